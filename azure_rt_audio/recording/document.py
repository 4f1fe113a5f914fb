"""The timeline of a recording as a JSON document, for other programs. Pure."""

from __future__ import annotations

from typing import Any, Final

import attrs

from .recording import Recording
from .timeline import Timeline

__all__ = ["FORMAT", "VERSION", "document"]

FORMAT: Final = "azure-rt-audio timeline"
VERSION: Final = 1

_LISTS: Final = (
    "turns",
    "tool_calls",
    "speech",
    "interruptions",
    "latencies",
    "connections",
    "reconnections",
    "failures",
)


def document(recording: Recording, timeline: Timeline) -> dict[str, Any]:
    """
    Return a JSON object with the facts of a timeline, which docs/reference/recording.md describes.

    All times are seconds since the file began, to the millisecond.
    """
    header = recording.header
    shown: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "recording": {
            "started": header.started + header.t,
            "library": header.library,
            "configuration": dict(header.configuration),
        },
        "seconds": _rounded(timeline.seconds),
        "median_latency": _rounded(timeline.median_latency),
    }
    for name in _LISTS:
        shown[name] = [
            {field: _rounded(value) for field, value in attrs.asdict(thing).items()}
            for thing in getattr(timeline, name)
        ]
    for fields, turn in zip(shown["turns"], timeline.turns, strict=True):
        fields["heard"] = turn.heard_text
    for fields, latency in zip(shown["latencies"], timeline.latencies, strict=True):
        fields["seconds"] = _rounded(latency.seconds)
    shown["problems"] = [attrs.asdict(problem) for problem in recording.problems]
    return shown


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value
