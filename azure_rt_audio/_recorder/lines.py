"""Makes lines of what happened. Pure, apart from a user's function that replaces texts."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from .redaction import Redaction

__all__ = ["Happening", "line"]


class Happening(NamedTuple):
    """
    What is to be recorded, as it waits for the thread that writes.

    Attributes:
        t: Monotonic clock of the system, in seconds.
        at: Wall clock.
        kind: As in the format.
        connection: Of a message; 0 for anything else.
        body: The bytes of a message, or the fields of anything else.
    """

    t: float
    at: float
    kind: str
    connection: int
    body: bytes | dict[str, Any]


def line(happening: Happening, began: float, redaction: Redaction) -> bytes:
    """
    Return the line of an entry, with its end.

    Args:
        began: When ``t`` is 0, on the monotonic clock.

    Raises:
        Exception: Whatever a function of the user's raises.
    """
    start = b'{"t":%.6f,"at":%.3f,"kind":"%s"' % (
        happening.t - began,
        happening.at,
        happening.kind.encode(),
    )
    body = happening.body
    if isinstance(body, dict):
        if happening.kind == "failed":  # what an exception says may be what somebody said
            body = {**body, "message": redaction.text(str(body["message"]))}
        rest = orjson.dumps(body, default=str)[1:]
        return redaction.without_secrets(start + (b"," if body else b"") + rest + b"\n")
    message = redaction.message(body)
    sound = b',"sound_bytes":%d' % message.sound_bytes if message.sound_bytes else b""
    what = (
        b'"event":%s' % message.event if message.event is not None else b'"raw":"%s"' % message.raw.encode()
    )
    return b'%s,"connection":%d%s,%s}\n' % (start, happening.connection, sound, what)
