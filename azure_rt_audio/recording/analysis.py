"""
Makes the timeline of a recording.

Pure. Events are taken as they were on the connection, in either dialect; a field that is missing or of
another type is passed over, because a recording also shows what went wrong.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..protocol.dialects.names import canonical_name
from .dropped_sound import dropped_sound
from .format import (
    ConnectionEnded,
    Dropped,
    Entry,
    Heard,
    LevelsMeasured,
    ListenerFailed,
    Lost,
    Opened,
    Received,
    Reconnected,
    Reconnecting,
    Sent,
    ToolEnded,
    ToolStarted,
)
from .reconnections import Reconnections
from .recording import Recording
from .timeline import Connection, Failure, Interruption, Latency, Speech, Timeline, ToolCall, Turn
from .tracks import Chunk, InputPlacement, OutputItem, place_items, size_of

__all__ = ["analyse", "text_in"]

_Json = Mapping[str, Any]

_FORMATS: Final = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
_REDACTED: Final = "[redacted]"
"""Stands for each text of a recording without texts."""

_BARGE_IN_SECONDS: Final = 2.0
"""An answer that is cut so soon after the user began to speak was interrupted by the user."""

_EARLY_SECONDS: Final = 0.1
"""So much sooner than that is told it may be cut, because the two are recorded by different threads."""

_AT_ONCE_SECONDS: Final = 5.0
"""Sound that is dropped so soon after other sound is told together with it."""


def analyse(recording: Recording, advance: Callable[[float], object] | None = None) -> Timeline:
    """
    Return the timeline of a recording.

    Args:
        advance: Called now and then with the seconds that were read, to show progress.
    """
    analysis = _Analysis(recording)
    for count, entry in enumerate(recording.entries):
        analysis.take(entry)
        if advance is not None and count % 5_000 == 0:
            advance(entry.t - recording.header.t)
    return analysis.timeline()


def text_in(fields: Any, *path: str) -> str:
    """Return the text at a path of nested objects; empty if there is none."""
    for name in path:
        fields = fields.get(name) if isinstance(fields, Mapping) else None
    return fields if isinstance(fields, str) else ""


class _Analysis:
    """What is known after the entries so far."""

    def __init__(self, recording: Recording) -> None:
        self._zero = recording.header.t
        self._now = 0.0
        self._last = 0.0
        self._line = Timeline()
        self._outputs: dict[str, OutputItem] = {}
        self._turns: dict[str, Turn] = {}
        self._turns_of: dict[str, list[Turn]] = {}  # of each response; some may be of another one by now
        self._calls: dict[str, ToolCall] = {}
        self._speech: dict[str, Speech] = {}
        self._connections: dict[int, Connection] = {}
        self._cuts: dict[str, float] = {}  # when each item was cut
        self._began_at: list[float] = []  # when the service told that the user speaks
        self._detections: list[tuple[float, bool]] = []  # from when on it did, or did not, detect that
        self._asked_at: float | None = None
        self._first_at: dict[str, tuple[float, float]] = {}  # of a response: asked, first word or sound
        self._out_of_band: set[str] = set()
        self._uncommitted: float | None = None  # when the sound began that no commit has ended
        self._formats = {"input": "pcm16", "output": "pcm16"}
        self._answer_formats: dict[str, str] = {}  # of responses that say it
        session = recording.header.configuration.get("session")
        if isinstance(session, Mapping):
            self._set_session(session)
        self._dropped = dropped_sound(recording.entries)
        self._changes = Reconnections(recording.entries, self._formats["input"], self._dropped)
        self._input = InputPlacement(self._changes.replayed)
        self._dropped_at, self._dropped_seconds = 0.0, 0.0
        self._uncommitted_items: set[str] = set()  # of speech that the service has begun to hear

    def take(self, entry: Entry) -> None:
        """Take the next entry into account."""
        self._now = max(0.0, entry.t - self._zero)
        self._last = max(self._last, self._now)
        if isinstance(entry, Received):
            self._on_received(canonical_name(entry.type), entry)
        elif isinstance(entry, Sent):
            self._on_sent(entry)
        elif isinstance(entry, Heard):
            self._on_heard(entry)
        elif isinstance(entry, LevelsMeasured):
            self._line.levels.append((self._now, entry.microphone_db, entry.speaker_db))
        elif isinstance(entry, Opened):
            self._connection(entry.connection)
        elif isinstance(entry, ConnectionEnded):
            was_made = entry.connection in self._connections
            ended = self._connection(entry.connection)
            ended.was_made = was_made
            ended.end, ended.code, ended.reason = self._now, entry.code, entry.reason or entry.message
            ended.is_lost = not (entry.is_clean or entry.is_asked_for)
            if ended.is_lost:
                self._fail("connection", entry.message or entry.error or "the connection was lost")
        elif isinstance(entry, Reconnecting | Reconnected):
            self._on_reconnection(entry)
        elif isinstance(entry, ToolStarted | ToolEnded):
            self._on_tool(entry)
        elif isinstance(entry, ListenerFailed):
            self._fail("listener", f"{entry.listener}: {entry.error}: {entry.message}")
        elif isinstance(entry, Dropped):
            self._on_dropped(entry)
        elif isinstance(entry, Lost):
            self._fail("lost", f"{entry.count} entries are missing here: the disk was too slow")

    def timeline(self) -> Timeline:
        """Return what is known at the end."""
        line = self._line
        line.said = self._input.track
        line.heard = place_items(list(self._outputs.values()))
        self._began_at.sort()
        for item in self._outputs.values():
            self._finish_spoken(item)
        for turn in self._turns.values():
            turn.heard = _share(turn)
        for speech in self._speech.values():
            turn_of_user = self._turns.get(speech.item_id)
            if turn_of_user is not None and turn_of_user.role == "user":
                turn_of_user.start = speech.start
                turn_of_user.end = speech.end if speech.end is not None else turn_of_user.end
                turn_of_user.is_spoken = True
        played_at: dict[str, float] = {}  # of each response, when its first sound was
        for item in self._outputs.values():
            if item.played_at is not None:
                played_at[item.response_id] = min(item.played_at, played_at.get(item.response_id, math.inf))
        line.latencies = [
            Latency(
                response_id=name,
                asked_at=asked_at,
                first_at=first_at,
                heard_at=max(asked_at, played_at[name]) if name in played_at else None,
            )
            for name, (asked_at, first_at) in self._first_at.items()
        ]
        line.turns = sorted(self._turns.values(), key=lambda turn: min(turn.start, turn.came_at))
        line.tool_calls = list(self._calls.values())
        line.speech = list(self._speech.values())
        line.connections = list(self._connections.values())
        line.reconnections = self._changes.found
        line.interruptions.sort(key=lambda cut: cut.at)
        line.seconds = max(self._last, line.said.end, line.heard.end)
        return line

    # ------------------------------------------------------------ commands

    def _on_sent(self, entry: Sent) -> None:
        kind, event = entry.type, entry.event
        if kind == "input_audio_buffer.append":
            chunk = self._chunk(entry, "audio", self._formats["input"])
            if chunk is not None and id(entry) not in self._dropped:
                start = self._input.add(self._now, entry.connection, chunk)
                if self._uncommitted is None:
                    self._uncommitted = start
        elif kind == "conversation.item.create":
            item = event.get("item")
            if isinstance(item, Mapping) and item.get("type") == "function_call_output":
                call = self._calls.get(text_in(item, "call_id"))
                if call is not None and call.end is None:
                    call.output, call.end = text_in(item, "output"), self._now
        elif kind == "conversation.item.truncate":
            output = self._outputs.get(text_in(event, "item_id"))
            played_ms = event.get("audio_end_ms")
            if output is not None and isinstance(played_ms, int | float):
                if not output.accounts:
                    output.accounts.append((self._now, played_ms / 1000))
                self._cut(output, played_ms / 1000)
        elif kind == "conversation.item.delete":
            output = self._outputs.get(text_in(event, "item_id"))
            if output is not None and not output.accounts:
                output.deleted_at = self._now
        elif kind == "response.create":
            self._ask()
        elif kind == "input_audio_buffer.clear":
            self._uncommitted = None

    # ------------------------------------------------------------ events

    def _on_received(self, kind: str, entry: Received) -> None:
        event = entry.event
        item_id, response_id = text_in(event, "item_id"), text_in(event, "response_id")
        if kind == "response.output_audio.delta":
            self._on_sound(entry, item_id, response_id)
        elif kind in ("response.output_audio_transcript.delta", "response.output_text.delta"):
            _add(self._answer(item_id, response_id), text_in(event, "delta"))
        elif kind in ("response.output_audio_transcript.done", "response.output_text.done"):
            turn = self._answer(item_id, response_id)
            turn.text = turn.text or text_in(event, "transcript") or text_in(event, "text")
        elif kind in ("session.created", "session.updated"):
            self._set_session(event.get("session"))
        elif kind.startswith("input_audio_buffer."):
            self._on_input(kind, item_id, entry)
        elif kind.startswith("conversation.item."):
            self._on_item(kind, item_id, entry)
        elif kind.startswith("response."):
            self._on_response(kind, event)
        elif kind == "error":
            error = event.get("error")
            self._fail("service", text_in(error, "message") or text_in(error, "code") or "no reason given")

    def _on_sound(self, entry: Received, item_id: str, response_id: str) -> None:
        audio_format = self._answer_formats.get(response_id, self._formats["output"])
        chunk = self._chunk(entry, "delta", audio_format)
        if chunk is None or response_id in self._out_of_band:
            return
        output = self._outputs.setdefault(item_id, OutputItem(item_id, response_id))
        output.deltas.append((self._now, chunk))
        self._answer(item_id, response_id).is_spoken = True

    def _on_input(self, kind: str, item_id: str, entry: Received) -> None:
        said_at = self._input.moment
        if kind == "input_audio_buffer.speech_started":
            self._began_at.append(self._now)
            start = said_at(entry.connection, entry.event.get("audio_start_ms"))
            self._speech[item_id] = Speech(item_id=item_id, start=self._now if start is None else start)
            self._uncommitted_items.add(item_id)
            self._user_turn(item_id)
        elif kind == "input_audio_buffer.speech_stopped":
            end = said_at(entry.connection, entry.event.get("audio_end_ms"))
            speech = self._speech.get(item_id)
            if speech is not None:
                speech.end = max(speech.start, self._now if end is None else end)
            self._user_turn(item_id).came_at = self._now
            self._ask(anew=True)
        elif kind == "input_audio_buffer.committed":
            turn = self._user_turn(item_id)
            self._uncommitted_items.discard(item_id)
            if item_id not in self._speech and self._uncommitted is not None:
                turn.start, turn.end, turn.is_spoken = self._uncommitted, self._input.track.end, True
            self._uncommitted = None
            self._ask()

    def _on_item(self, kind: str, item_id: str, entry: Received) -> None:
        event = entry.event
        if kind == "conversation.item.added":
            item = event.get("item")
            is_told_again = text_in(item, "id") in self._turns and entry.connection in self._changes.replayed
            if is_told_again or self._changes.is_restoring(entry.connection):
                return
            if text_in(item, "type") == "message" and text_in(item, "role") != "assistant":
                turn = self._user_turn(text_in(item, "id"), text_in(item, "role") or "user")
                turn.text = turn.text or _content(item)
                self._ask()
        elif kind == "conversation.item.input_audio_transcription.delta":
            _add(self._user_turn(item_id), text_in(event, "delta"))
        elif kind == "conversation.item.input_audio_transcription.completed":
            self._user_turn(item_id).text = text_in(event, "transcript").strip()
        elif kind == "conversation.item.input_audio_transcription.failed":
            reason = text_in(event.get("error"), "message") or "no reason given"
            self._fail("service", f"the user was not transcribed: {reason}")

    def _on_response(self, kind: str, event: _Json) -> None:
        item = event.get("item")
        if kind == "response.created":
            response = event.get("response")
            if isinstance(response, Mapping) and response.get("conversation_id", "") is None:
                self._out_of_band.add(text_in(response, "id"))
            if (audio_format := _format_in(response, "output")) is not None:
                self._answer_formats[text_in(response, "id")] = audio_format
            self._ask()
        elif kind == "response.output_item.added" and text_in(item, "type") in ("function_call", "mcp_call"):
            self._call(item)
        elif kind == "response.output_item.done":
            if text_in(item, "type") in ("function_call", "mcp_call"):
                call = self._call(item)
                call.arguments = text_in(item, "arguments") or call.arguments
                if text_in(item, "type") == "mcp_call":
                    call.output, call.end = text_in(item, "output"), self._now
        elif kind == "response.function_call_arguments.done":
            known = self._calls.get(text_in(event, "call_id"))
            if known is not None:
                known.arguments = text_in(event, "arguments")
        elif kind == "response.done":
            self._on_done(event.get("response"))

    def _on_done(self, response: Any) -> None:
        response_id, status = text_in(response, "id"), text_in(response, "status")
        self._set_status(response_id, status)
        if status == "failed":
            details = response.get("status_details")
            error = details.get("error") if isinstance(details, Mapping) else None
            self._fail("service", text_in(error, "message") or "the response has failed")

    def _set_status(self, response_id: str, status: str) -> None:
        for turn in self._turns_of.get(response_id, ()):
            if turn.response_id == response_id:
                turn.status = status

    def _on_reconnection(self, entry: Reconnecting | Reconnected) -> None:
        change = self._changes.take(self._now, entry)
        failures = self._line.failures
        if isinstance(entry, Reconnecting) and failures and failures[-1].kind == "connection":
            failures.pop()  # what this attempt mends
        for response_id, outcome in change.responses.items():
            self._set_status(response_id, outcome)
        if isinstance(entry, Reconnected) and not entry.is_planned:
            for item_id in self._uncommitted_items:  # the new session hears that from its beginning
                self._speech.pop(item_id, None)
                self._turns.pop(item_id, None)
            self._uncommitted_items.clear()

    def _on_tool(self, entry: ToolStarted | ToolEnded) -> None:
        call = self._call({"call_id": entry.call_id, "name": entry.name})
        if isinstance(entry, ToolStarted):
            call.ran_from = self._now
        else:
            call.ran_until, call.has_failed = self._now, entry.has_failed

    def _on_dropped(self, entry: Dropped) -> None:
        """Tell of what was dropped since the line became too slow at once."""
        failures, seconds, at = self._line.failures, entry.seconds, self._now
        if failures and failures[-1].kind == "dropped" and at - self._dropped_at < _AT_ONCE_SECONDS:
            seconds, at = seconds + self._dropped_seconds, failures.pop().at
        self._dropped_at, self._dropped_seconds = self._now, seconds
        words = f"{seconds:.1f} s of what was said were dropped: the line was too slow"
        failures.append(Failure(at=at, kind="dropped", message=words))

    def _on_heard(self, entry: Heard) -> None:
        output = self._outputs.get(entry.item)
        if output is None:
            return
        seconds = entry.ms / 1000
        output.accounts.append((self._now, seconds))
        if entry.end == "interrupted":
            self._cut(output, seconds, is_certain=True)

    # ------------------------------------------------------------ parts

    def _chunk(self, entry: Sent | Received, field: str, audio_format: str) -> Chunk | None:
        audio = text_in(entry.event, field)
        size = entry.sound_bytes or size_of(audio)
        if not size:
            return None
        return Chunk(size, audio_format, audio or None)

    def _set_session(self, session: Any) -> None:
        detects = _detects_turns(session)
        if detects is not None and detects != (self._detections[-1][1] if self._detections else None):
            self._detections.append((self._now, detects))
        for direction in self._formats:
            self._formats[direction] = _format_in(session, direction) or self._formats[direction]

    def _connection(self, number: int) -> Connection:
        return self._connections.setdefault(number, Connection(number=number, start=self._now))

    def _user_turn(self, item_id: str, role: str = "user") -> Turn:
        return self._turns.setdefault(
            item_id, Turn(role=role, item_id=item_id, start=self._now, end=self._now, came_at=self._now)
        )

    def _answer(self, item_id: str, response_id: str) -> Turn:
        if self._asked_at is not None and response_id not in self._out_of_band:
            self._first_at.setdefault(response_id, (self._asked_at, self._now))
            self._asked_at = None
        turn = self._turns.get(item_id)
        if turn is None:
            turn = self._turns[item_id] = Turn(
                role="assistant", item_id=item_id, start=self._now, end=self._now, came_at=self._now
            )
        if not turn.response_id and turn.response_id != response_id:
            turn.response_id = response_id
            self._turns_of.setdefault(response_id, []).append(turn)
        turn.end = turn.came_at = self._now
        return turn

    def _call(self, item: Any) -> ToolCall:
        call_id = text_in(item, "call_id") or text_in(item, "id")
        return self._calls.setdefault(
            call_id, ToolCall(call_id=call_id, name=text_in(item, "name"), start=self._now)
        )

    def _ask(self, *, anew: bool = False) -> None:
        if anew or self._asked_at is None:
            self._asked_at = self._now

    def _cut(self, output: OutputItem, seconds: float, *, is_certain: bool = False) -> None:
        if output.cut_at is None or is_certain:
            output.cut_at = seconds
        self._cuts.setdefault(output.item_id, self._now)

    def _fail(self, kind: str, message: str) -> None:
        self._line.failures.append(Failure(at=self._now, kind=kind, message=message))

    def _finish_spoken(self, item: OutputItem) -> None:
        turn = self._turns[item.item_id]
        turn.received_seconds, turn.heard_seconds = item.received, item.heard
        turn.start = item.start if item.start is not None else item.deltas[0][0]
        turn.end = item.end if item.end is not None else turn.start
        turn.is_interrupted, turn.has_account = item.cut_at is not None, item.played_at is not None
        if item.cut_at is None:
            return
        at = self._cuts.get(item.item_id, item.deleted_at)
        at = turn.end if at is None else at
        self._line.interruptions.append(
            Interruption(
                at=at,
                item_id=item.item_id,
                heard_seconds=item.heard,
                received_seconds=item.received,
                by_user=self._is_by_user(at),
            )
        )

    def _is_by_user(self, at: float) -> bool | None:
        """Whether the user cut what was heard at a moment; ``None`` if nobody knows."""
        last = bisect.bisect_right(self._began_at, at + _EARLY_SECONDS) - 1
        if last >= 0 and at - self._began_at[last] <= _BARGE_IN_SECONDS:
            return True
        # Without turn detection the user may have pressed a button.
        detects = next((detects for since, detects in reversed(self._detections) if since <= at), False)
        return False if detects and at > _BARGE_IN_SECONDS else None


def _detects_turns(session: Any) -> bool | None:
    """Whether a session detects turns; ``None`` if it does not say so."""
    for path in ((), ("audio", "input")):
        fields = session
        for name in path:
            fields = fields.get(name) if isinstance(fields, Mapping) else None
        if isinstance(fields, Mapping) and "turn_detection" in fields:
            return text_in(fields, "turn_detection", "type") not in ("", "none")
    return None


def _format_in(described: Any, direction: str) -> str | None:
    """Return the format of sound that a session or response names, in either dialect."""
    name = text_in(described, f"{direction}_audio_format") or _FORMATS.get(
        text_in(described, "audio", direction, "format", "type")
    )
    return name if name in _FORMATS.values() else None


def _content(item: Any) -> str:
    parts = item.get("content") if isinstance(item, Mapping) else None
    if not isinstance(parts, list):
        return ""
    return " ".join(filter(None, (text_in(part, "text") or text_in(part, "transcript") for part in parts)))


def _add(turn: Turn, text: str) -> None:
    """Add to the text of a turn what came of it; what stands for each part of a text stands once for all."""
    if text != _REDACTED or turn.text != _REDACTED:
        turn.text += text


def _share(turn: Turn) -> int:
    """How many characters of its text were heard: a share as of the sound, up to a word's end."""
    if not turn.is_interrupted or not turn.received_seconds or turn.heard_seconds is None:
        return len(turn.text)
    if turn.text == _REDACTED:
        return len(turn.text) if turn.heard_seconds else 0
    share = round(len(turn.text) * turn.heard_seconds / turn.received_seconds)
    return share if share >= len(turn.text) else turn.text[:share].rfind(" ") + 1
