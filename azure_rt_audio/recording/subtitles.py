"""Subtitles of a timeline, in the format SubRip (``.srt``). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .._printable import one_line
from .timeline import Timeline, Turn

__all__ = ["subtitles"]

_NAMES: Final = {"user": "You", "assistant": "Assistant", "system": "System"}
_MAX_CHARACTERS: Final = 84
_READING_CHARACTERS_PER_SECOND: Final = 15.0
_MIN_SECONDS: Final = 1.0

# The format has no escape: what a player would take for an arrow or a tag is written otherwise.
_HARMLESS: Final = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})


def subtitles(timeline: Timeline) -> str:
    """
    Return what was said and heard as subtitles.

    An interrupted answer ends with the last word that was heard, and an ellipsis.
    """
    cues = sorted(cue for turn in timeline.turns for cue in _cues(turn))
    return "".join(
        f"{number}\n{_clock(start)} --> {_clock(end)}\n{text}\n\n"
        for number, (start, end, text) in enumerate(cues, 1)
    )


def _cues(turn: Turn) -> Iterator[tuple[float, float, str]]:
    words = turn.heard_text.split()
    if turn.is_interrupted and words:
        words.append("…")
    portions = _portions(one_line(" ".join(words)).translate(_HARMLESS))
    total = sum(map(len, portions))
    if not total:
        return
    seconds = turn.end - turn.start
    if not turn.is_spoken or seconds <= 0:
        seconds = max(_MIN_SECONDS, total / _READING_CHARACTERS_PER_SECOND)
    start, name = turn.start, f"{_NAMES.get(turn.role) or one_line(turn.role)}: "
    for portion in portions:
        end = start + seconds * len(portion) / total
        yield start, end, name + portion
        start, name = end, ""


def _portions(text: str) -> list[str]:
    """Divide a text where it is long: after a sentence in the second half of a cue, or else at a word."""
    portions: list[str] = []
    for word in text.split():
        latest = portions[-1] if portions else ""
        is_whole = latest.endswith((".", "!", "?")) and len(latest) > _MAX_CHARACTERS / 2
        if latest and not is_whole and len(latest) + 1 + len(word) <= _MAX_CHARACTERS:
            portions[-1] = f"{latest} {word}"
        else:
            portions.append(word)
    return portions


def _clock(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"
