"""Makes lines of what happened. Pure, apart from a user's function that replaces texts."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import orjson

from .redaction import Redaction

__all__ = ["Happening", "add_line"]

Happening: TypeAlias = tuple[float, str, int, "bytes | dict[str, Any]"]
"""
What waits to be recorded: when on the monotonic clock, its kind in the format, the connection of a message (0
for anything else), and the bytes of a message or the fields of anything else. One is made for each event, so
it is a plain tuple.
"""


def add_line(
    lines: list[bytes], happening: Happening, began: float, started: float, redaction: Redaction
) -> int:
    """
    Add the line of an entry, with its end, in pieces that are to be written one after the other.

    Args:
        began: When ``t`` is 0, on the monotonic clock.
        started: The same on the wall clock, as that is set now.

    Returns:
        Its bytes.

    Raises:
        Exception: Whatever a function of the user's raises.
    """
    when, kind, connection, body = happening
    t = when - began
    if isinstance(body, bytes):
        message = redaction.message(body)
        event = message.event
        sound = f',"sound_bytes":{message.sound_bytes}' if message.sound_bytes else ""
        start = (
            f'{{"t":{t:.6f},"at":{started + t:.3f},"kind":"{kind}","connection":{connection}{sound},'
            f'"{"raw" if event is None else "event"}":'
        ).encode()
        if event is None:
            event = f'"{message.raw}"'.encode()
        lines += (start, event, b"}\n")
        return len(start) + len(event) + 2
    if kind == "failed":  # what an exception says may be what somebody said
        body = {**body, "message": redaction.text(str(body["message"]))}
    rest = _json(body)[1:]
    start = f'{{"t":{t:.6f},"at":{started + t:.3f},"kind":"{kind}"{"," if body else ""}'.encode()
    line = redaction.without_secrets(start + rest + b"\n")
    lines.append(line)
    return len(line)


def _json(fields: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields, default=str)
    except TypeError:  # half a character, as in the name of a file that a listener's exception has
        text = json.dumps(fields, default=str, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")
