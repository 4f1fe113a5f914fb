"""What a replay prints, and when. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from ...recording.reconnections import in_words
from ...recording.timeline import Timeline, ToolCall, Turn

__all__ = ["Line", "script"]

_WORDS: Final = re.compile(r"\s*\S+")
_LABELS: Final = {"user": "you", "assistant": "model", "system": "system"}


@frozen
class Line:
    """
    A piece of text at a moment of the recording.

    Attributes:
        is_first: Whether it begins a line; otherwise it goes on with the one of its *key*.
    """

    at: float
    label: str
    text: str
    key: str
    is_first: bool


def script(timeline: Timeline) -> list[Line]:
    """
    Return the pieces in order of time: answers word by word as they were heard, all else at once.

    Where the speaker gave no account of what was heard, an answer stands where all of it had come.
    """
    lines = [line for turn in timeline.turns for line in _turn(turn)]
    lines += [line for call in timeline.tool_calls for line in _call(call)]
    for wait in timeline.latencies:
        at = wait.first_at if wait.heard_at is None else wait.heard_at
        lines.append(_line(at, "", f"the answer came after {wait.seconds * 1000:.0f} ms"))
    for cut in timeline.interruptions:
        who = {True: " by the user", False: " by the program", None: ""}[cut.by_user]
        heard = f"{cut.heard_seconds:.1f} of {cut.received_seconds:.1f} s were heard"
        lines.append(_line(cut.at, "", f"interrupted{who}: {heard}"))
    for connection in timeline.connections:
        if connection.was_made:
            lines.append(_line(connection.start, "status", f"connection {connection.number} is open"))
        if connection.end is not None:
            what = "is closed" if connection.was_made else "could not be made"
            why = " ".join(filter(None, (str(connection.code or ""), connection.reason)))
            text = f"connection {connection.number} {what}" + (f": {why}" if why else "")
            lines.append(_line(connection.end, "status", text))
    for change in timeline.reconnections:
        if not change.is_planned:
            lines.append(_line(change.start, "status", "reconnecting"))
        if change.end is not None:
            lines.append(_line(change.end, "status", in_words(change)))
    lines += [_line(failure.at, "error", failure.message) for failure in timeline.failures]
    # What is told of an answer comes first.
    return sorted(lines, key=lambda line: (line.at, line.label == _LABELS["assistant"]))


def _line(at: float, label: str, text: str) -> Line:
    return Line(at, label, text, "", True)


def _turn(turn: Turn) -> Iterator[Line]:
    label = _LABELS.get(turn.role, turn.role)
    text = turn.heard_text.strip()
    if turn.role != "assistant" or not turn.is_spoken:
        # Sound that is sent faster than it lasts ends later than the service has told.
        yield _line(min(turn.end, turn.came_at), label, text or "(not transcribed)")
        return
    if not text and turn.is_interrupted:
        return  # nobody heard anything of it
    words = _WORDS.findall(text) or ["(no transcript)"]
    if turn.is_interrupted:
        words[-1] += " …"
    if not turn.has_account:
        yield _line(turn.came_at, label, "".join(words))
        return
    seconds, total, before = turn.end - turn.start, sum(map(len, words)), 0
    for word in words:
        yield Line(turn.start + seconds * before / total, label, word, turn.item_id, not before)
        before += len(word)


def _call(call: ToolCall) -> Iterator[Line]:
    yield _line(call.start, "tool", f"{call.name}({_compact(call.arguments)})")
    if call.end is not None:
        yield _line(call.end, "tool", f"{call.name} returned {_compact(call.output or '')}")


def _compact(text: str) -> str:
    """Return JSON on one line; other text as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
