"""
Makes the page: the template, its styles and scripts, and the data of a recording.

What comes from a recording stands in blocks that a browser does not run, with every ``<`` escaped; the page's
own script puts it into the document as text. The policy in the page's head admits this script alone, by its
hash, and no connection.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
from collections.abc import Callable
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import Any, Final

import attrs
import orjson

from ..._printable import one_line, printable_tree
from ...errors import MissingExtraError
from ..reconnections import with_reason
from ..recording import Recording
from ..stereo import stereo_blocks
from ..timeline import Timeline
from ..tracks import Track
from .opus import opus
from .peaks import peaks, piece_ms
from .rows import rows

__all__ = ["write_page"]

_SCRIPTS: Final = ("dom", "view", "waves", "lanes", "events", "talk", "player", "search", "main")
_MAX_SECONDS: Final = 172_800
_MAX_SPANS: Final = 20_000
_GAP_SECONDS: Final = 0.25

Advance = Callable[[float], object]


def write_page(
    path: str | os.PathLike[str],
    recording: Recording,
    timeline: Timeline,
    *,
    title: str,
    has_sound: bool = True,
    advance: Advance | None = None,
) -> str | None:
    """
    Write a recording as one HTML page. Blocking.

    Args:
        has_sound: Whether it can be played; needs the ``audio`` extra.
        advance: Called with seconds, up to three times the duration of the recording, to show progress.

    Returns:
        Why the page has no sound although it was asked for; ``None`` if it has.

    Raises:
        OSError: The file cannot be written.
        ValueError: The recording is longer than two days, or a damaged line says so.
    """
    if timeline.seconds > _MAX_SECONDS:
        hours = timeline.seconds / 3600
        raise ValueError(
            f"a page shows {_MAX_SECONDS // 3600} hours, the recording has {hours:.0f}: divide it"
        )
    tell = advance or (lambda seconds: None)
    seconds, ms = timeline.seconds, piece_ms(timeline.seconds)
    waves = {
        "said": _wave(timeline.said, seconds, ms, tell),
        "heard": _wave(timeline.heard, seconds, ms, lambda done: tell(seconds + done)),
    }
    sound, why = b"", None
    if has_sound:
        try:
            sound = _sound(timeline, lambda done: tell(2 * seconds + done))
        except (MissingExtraError, ValueError) as exc:
            why = str(exc)
    title = one_line(title)
    data = {**printable_tree(_data(recording, timeline, title, ms)), "hasSound": bool(sound), "noSound": why}
    Path(path).write_bytes(_page(title, data, {**waves, "sound": base64.b64encode(sound)}))
    return why


def _wave(track: Track, seconds: float, ms: int, advance: Advance) -> bytes:
    return base64.b64encode(peaks(track, seconds, ms, advance)) if track.has_sound else b""


def _sound(timeline: Timeline, advance: Advance) -> bytes:
    if not timeline.has_sound:
        raise ValueError("the recording has no sound")
    return opus(stereo_blocks(timeline), advance)


def _page(title: str, data: dict[str, Any], blocks: dict[str, bytes]) -> bytes:
    script = "\n".join(_file(f"{name}.js") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}\n}})();\n'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # What begins a tag, a comment or the end of the block cannot stand in it.
    json = orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS).replace(b"<", b"\\u003c")
    parts = {
        "title": html.escape(title).encode(),
        "digest": digest.encode(),
        "style": _file("page.css").encode(),
        "data": json,
        "script": script.encode(),
        **blocks,
    }
    pieces = _file("page.html").encode().split(b"%%")
    # Odd pieces are names; so what is put in is not searched for names again.
    return b"".join(parts[piece.decode()] if odd % 2 else piece for odd, piece in enumerate(pieces))


def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _data(recording: Recording, timeline: Timeline, title: str, ms: int) -> dict[str, Any]:
    listed = rows(recording)
    types: dict[str, int] = {}
    for row in listed:
        row[3] = types.setdefault(row[3], len(types))
    turns = [_times(turn) for turn in timeline.turns]
    return {
        "title": title,
        "seconds": round(timeline.seconds, 3),
        "about": _about(recording),
        "pieceMs": ms,
        "saidSpans": [] if timeline.said.has_sound else _spans(timeline.said),
        "heardSpans": [] if timeline.heard.has_sound else _spans(timeline.heard),
        "turns": turns,
        "tools": [_times(call) for call in timeline.tool_calls],
        "speech": [_times(speech) for speech in timeline.speech],
        "cuts": [_times(cut) for cut in timeline.interruptions],
        "latencies": [{**_times(wait), "seconds": round(wait.seconds, 3)} for wait in timeline.latencies],
        "medianLatency": timeline.median_latency,
        "connections": [_times(connection) for connection in timeline.connections],
        "reconnections": [
            {**_times(change), "text": with_reason(change)} for change in timeline.reconnections
        ],
        "failures": [_times(failure) for failure in timeline.failures],
        "types": list(types),
        "rows": listed,
        "problems": [[problem.line, problem.message] for problem in recording.problems],
    }


def _times(thing: Any) -> dict[str, Any]:
    fields = attrs.asdict(thing)
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in fields.items()}


def _about(recording: Recording) -> list[tuple[str, str]]:
    """Facts for the page's head: name and value."""
    header = recording.header
    configuration, session = header.configuration, header.configuration.get("session")
    known = {
        "recorded": _date(header.started + header.t),
        "endpoint": configuration.get("endpoint"),
        "deployment": configuration.get("deployment"),
        "dialect": configuration.get("dialect"),
        "voice": session.get("voice") if isinstance(session, dict) else None,
        "library": header.library,
    }
    return [(name, value) for name, value in known.items() if isinstance(value, str) and value]


def _date(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return ""  # no date of this calendar


def _spans(track: Track) -> list[tuple[float, float]]:
    """When there was sound, if nothing else is known of it."""
    spans: list[list[float]] = []
    for clip in track.clips:
        if spans and clip.start - spans[-1][1] < _GAP_SECONDS:
            spans[-1][1] = clip.end
        else:
            spans.append([clip.start, clip.end])
    return [(round(start, 3), round(end, 3)) for start, end in spans[:_MAX_SPANS]]
