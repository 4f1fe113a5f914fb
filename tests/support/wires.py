"""Makes a recording of a conversation that another program recorded, or that a test invents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from azure_rt_audio.recording import Recording

KINDS = {"c": "sent", "s": "received"}


def recording_lines(steps: Iterable[Mapping[str, Any]], dialect: str = "ga", **header: Any) -> list[bytes]:
    """
    Return the lines of a recording.

    Args:
        steps: ``{"dir": "c" or "s", "event": {...}}`` in order; ``{"dir": "close", "event": {"code": ...}}``
            is an end that the service made.
    """
    lines: list[dict[str, Any]] = [
        {
            "format": "azure-rt-audio recording",
            "version": 1,
            "started": 0,
            "configuration": {"dialect": dialect},
            **header,
        },
        {"t": 0, "at": 0, "kind": "opened", "connection": 1},
    ]
    for number, step in enumerate(steps, 1):
        time = {"t": number / 100, "at": number / 100}
        if step["dir"] == "close":
            end = step.get("event") or {}
            lines.append({**time, "kind": "closed", "connection": 1, "code": end.get("code", 1000)})
        else:
            lines.append({**time, "kind": KINDS[step["dir"]], "connection": 1, "event": step["event"]})
    return [orjson.dumps(line) + b"\n" for line in lines]


def recording_of(steps: Iterable[Mapping[str, Any]], dialect: str = "ga", **header: Any) -> Recording:
    """Return the same, read."""
    return Recording.read(recording_lines(steps, dialect, **header))
