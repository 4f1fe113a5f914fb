"""The displayed state of a spoken conversation, updated by events."""

from __future__ import annotations

import functools
from typing import Any, Final, Literal

from attrs import define, field

from ...devices import DeviceLost, DeviceOpened
from ...errors import RealtimeError, ServiceError, TranscriptionFailedError
from ...protocol.events import (
    ConversationItemAdded,
    ConversationItemDeleted,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionFailed,
    InputAudioBufferSpeechStarted,
    ResponseDone,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
)
from ...protocol.events.local import (
    Closed,
    Init,
    Reconnected,
    Reconnecting,
    SendLag,
    StatusChanged,
    ToolApprovalRequested,
    ToolEnded,
    ToolProgress,
    ToolStarted,
)
from ...protocol.items import MessageItem
from ...protocol.response_errors import CONNECTION_LOST
from ...voice import FirstSound, Interrupted, Levels, SelfInterruption
from ..tool_calls import result_text

__all__ = ["EVENTS", "ConversationLog", "Line"]

EVENTS: Final[tuple[type[Any], ...]] = (
    Init,
    Closed,
    Reconnecting,
    Reconnected,
    SendLag,
    StatusChanged,
    InputAudioBufferSpeechStarted,
    ConversationItemAdded,
    ConversationItemDeleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionFailed,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
    ResponseDone,
    ToolStarted,
    ToolApprovalRequested,
    ToolProgress,
    ToolEnded,
)
"""Events of the client to pass to the log, besides errors and the voice session's events."""

SILENCE_DB: Final = -100.0


@define(eq=False)
class Line:
    """
    A message, a note or a call of a tool.

    Attributes:
        text: The text so far.
        remark: An abnormal end, such as ``"interrupted"``.
        is_open: Whether more text is expected.
        revision: Incremented by every change.
    """

    role: Literal["you", "model", "tool", "note", "error"]
    text: str = ""
    remark: str = ""
    is_open: bool = False
    revision: int = 0

    def change(self, text: str, *, remark: str = "", is_open: bool = False) -> None:
        """Replace the line's content."""
        self.text, self.remark, self.is_open = text, remark, is_open
        self.revision += 1


@define
class ConversationLog:
    """
    The state of the display.

    Attributes:
        lines: Messages and notes in order.
        status: ``"connecting"``, the client's status, or ``"over"``.
        latencies_ms: From the end of each question to the first sample played of its answer.
        has_begun: Whether the session became ready.
        lag_s: How far the line is behind what is said; 0 if it is not.
        outage: The line about the connection, while there is none.
        end: The error that ended the connection, if it has ended.
        has_transcription_failed: Whether the user has been told why, and what to do.
        approvals: Calls of tools that wait for a yes or no.

    **Threads**: not shared; one thread at a time.
    """

    lines: list[Line] = field(factory=list)
    status: str = "connecting"
    microphone_db: float = SILENCE_DB
    speaker_db: float = SILENCE_DB
    microphone_name: str | None = None
    speaker_name: str | None = None
    latencies_ms: list[float] = field(factory=list)
    has_begun: bool = False
    lag_s: float = 0.0
    outage: Line | None = None
    end: RealtimeError | None = None
    has_transcription_failed: bool = False
    items_by_id: dict[str, Line] = field(factory=dict)
    approvals: list[ToolApprovalRequested] = field(factory=list)
    calls_by_id: dict[str, Line] = field(factory=dict)

    def update(self, event: object) -> None:
        """Apply an event of the client or of the voice session, or an error; ignores others."""
        _update(event, self)

    def note(self, text: str, *, is_error: bool = False) -> None:
        """Append a note."""
        self.lines.append(Line("error" if is_error else "note", text))

    def line_of(self, item_id: str, role: Literal["you", "model"]) -> Line:
        """Return the line of an item, without an id of the one in progress; appends one if needed."""
        key = item_id or role
        if key not in self.items_by_id:
            self.items_by_id[key] = line = Line(role, is_open=True)
            self.lines.append(line)
        return self.items_by_id[key]

    def line_of_call(self, call_id: str) -> Line:
        """Return the line of a call; appends one if needed."""
        if call_id not in self.calls_by_id:
            self.calls_by_id[call_id] = line = Line("tool", is_open=True)
            self.lines.append(line)
        return self.calls_by_id[call_id]

    def settle(self, call_id: str) -> None:
        """It is decided whether a call may run: by the user, or by somebody else."""
        self.approvals = [request for request in self.approvals if request.call_id != call_id]

    def drop(self, item_id: str) -> None:
        """Remove an item that was not played."""
        line = self.items_by_id.pop(item_id, None)
        if line is not None:
            self.lines.remove(line)

    def cut(self, item_id: str, share: float) -> None:
        """Truncate a line to a share of its text, at a word: the transcript is ahead of the audio."""
        line = self.items_by_id.get(item_id)
        if line is None:
            return
        kept = line.text[: round(len(line.text) * share)]
        if len(kept) < len(line.text):
            kept = kept[: kept.rfind(" ") + 1].rstrip()
        line.change(f"{kept} …".lstrip(), remark="interrupted")


@functools.singledispatch
def _update(event: object, log: ConversationLog) -> None:
    return None


# The connection ---------------------------------------------------------------------------------


@_update.register
def _(event: Init, log: ConversationLog) -> None:
    log.has_begun = True
    log.status = "idle"


@_update.register
def _(event: StatusChanged, log: ConversationLog) -> None:
    log.status = str(event.status)


@_update.register
def _(event: Closed, log: ConversationLog) -> None:
    log.status = "over"
    log.end = event.error
    log.outage = None
    log.lag_s = 0.0
    log.approvals.clear()


@_update.register
def _(event: SendLag, log: ConversationLog) -> None:
    log.lag_s = event.lag_s if event.is_behind else 0.0
    if event.dropped_s:
        log.note(
            f"The line is too slow: {event.dropped_s:.1f} s of what you said were dropped.", is_error=True
        )


@_update.register
def _(event: Reconnecting, log: ConversationLog) -> None:
    log.lag_s = 0.0
    if log.outage is None:
        log.outage = Line("note")
        log.lines.append(log.outage)
    log.outage.change(_sentence(event))


@_update.register
def _(event: Reconnected, log: ConversationLog) -> None:
    log.outage = None
    if event.is_planned and not event.lost and not event.shortened:
        return  # nobody could notice it
    log.note(_sentence(event))
    for item_id, line in list(log.items_by_id.items()):
        if line.is_open and (line.text or item_id in event.restored):
            line.change(line.text, remark="cut off" if line.text else "not transcribed")
        elif line.is_open:  # the new session hears that from its beginning, under another id
            log.drop(item_id)


def _sentence(event: object) -> str:
    text = str(event)
    return f"{text[0].upper()}{text[1:]}."


@_update.register
def _(error: RealtimeError, log: ConversationLog) -> None:
    if isinstance(error, ServiceError) and error.is_benign:
        return
    if isinstance(error, TranscriptionFailedError):
        if log.has_transcription_failed or error.code == CONNECTION_LOST:
            return  # the line of each turn says so
        log.has_transcription_failed = True
    log.note(error.message, is_error=True)


# The user ---------------------------------------------------------------------------------------


@_update.register
def _(event: InputAudioBufferSpeechStarted, log: ConversationLog) -> None:
    log.line_of(event.item_id, "you")


@_update.register
def _(event: ConversationItemAdded, log: ConversationLog) -> None:
    item = event.item
    if isinstance(item, MessageItem) and item.id and item.role in ("user", "assistant"):
        line = log.line_of(item.id, "you" if item.role == "user" else "model")
        if item.text and not line.text:
            line.change(item.text)


@_update.register
def _(event: ConversationItemInputAudioTranscriptionDelta, log: ConversationLog) -> None:
    line = log.line_of(event.item_id, "you")
    line.change(line.text + (event.delta or ""), is_open=True)


@_update.register
def _(event: ConversationItemInputAudioTranscriptionCompleted, log: ConversationLog) -> None:
    text = event.transcript.strip()
    log.line_of(event.item_id, "you").change(text, remark="" if text else "no words")
    log.items_by_id.pop("you", None)


@_update.register
def _(event: ConversationItemInputAudioTranscriptionFailed, log: ConversationLog) -> None:
    reason = event.error.code or event.error.message or "no reason given"
    if reason == CONNECTION_LOST:
        reason = "the connection was lost"
    line = log.line_of(event.item_id, "you")
    what = "the rest was not transcribed" if line.text else "not transcribed"
    line.change(line.text, remark=f"{what}: {reason}")


# The model --------------------------------------------------------------------------------------


@_update.register(ResponseOutputAudioTranscriptDelta)
@_update.register(ResponseOutputTextDelta)
def _(event: ResponseOutputAudioTranscriptDelta | ResponseOutputTextDelta, log: ConversationLog) -> None:
    line = log.line_of(event.item_id, "model")
    if not line.remark:  # late deltas of an interrupted answer are not played
        line.change(line.text + event.delta, is_open=True)


@_update.register
def _(event: ResponseDone, log: ConversationLog) -> None:
    response = event.response
    if response.error is not None and response.status not in ("failed", "cancelled"):
        log.note(f"The answer is not complete: {response.error.message}", is_error=True)
    for item in event.response.output or ():
        line = log.items_by_id.get(getattr(item, "id", None) or "")
        if line is not None and line.is_open:
            line.change(line.text, remark=line.remark)
    unnamed = log.items_by_id.pop("model", None)
    if unnamed is not None:
        unnamed.change(unnamed.text, remark=unnamed.remark)


@_update.register
def _(event: ConversationItemDeleted, log: ConversationLog) -> None:
    log.drop(event.item_id)


# Tools ------------------------------------------------------------------------------------------


@_update.register
def _(event: ToolStarted, log: ConversationLog) -> None:
    log.line_of_call(event.call_id).change(str(event), is_open=True)
    log.settle(event.call_id)


@_update.register
def _(event: ToolApprovalRequested, log: ConversationLog) -> None:
    log.line_of_call(event.call_id).change(str(event), remark="needs your approval", is_open=True)
    log.approvals.append(event)


@_update.register
def _(event: ToolProgress, log: ConversationLog) -> None:
    line = log.line_of_call(event.call_id)
    line.change(line.text or event.name, remark=event.text, is_open=True)


@_update.register
def _(event: ToolEnded, log: ConversationLog) -> None:
    line = log.line_of_call(event.call_id)
    line.change(f"{line.text or event.name} \N{RIGHTWARDS ARROW} {result_text(event)}")
    log.calls_by_id.pop(event.call_id, None)
    log.settle(event.call_id)


# The voice session ------------------------------------------------------------------------------


@_update.register
def _(event: Levels, log: ConversationLog) -> None:
    log.microphone_db = event.microphone_db
    log.speaker_db = event.speaker_db


@_update.register
def _(event: FirstSound, log: ConversationLog) -> None:
    if event.latency_ms is not None:
        log.latencies_ms.append(event.latency_ms)


@_update.register
def _(event: Interrupted, log: ConversationLog) -> None:
    for cut in event.cuts:
        log.cut(cut.item_id, cut.heard_ms / max(1, cut.received_ms))


@_update.register
def _(event: SelfInterruption, log: ConversationLog) -> None:
    log.note(f"The assistant interrupts itself: {event.advice}.")


@_update.register
def _(event: DeviceOpened, log: ConversationLog) -> None:
    name = event.device_name
    if event.kind == "input":
        before, log.microphone_name, what = log.microphone_name, name, "microphone"
    else:
        before, log.speaker_name, what = log.speaker_name, name, "speaker"
    if before is not None:
        log.note(f"The {what} is now {name}.")


@_update.register
def _(event: DeviceLost, log: ConversationLog) -> None:
    what = "microphone" if event.kind == "input" else "speaker"
    log.note(
        f"The {what} {event.device_name} is lost ({event.reason}). The default device is used as soon as "
        "there is one: reconnect it, or choose another one in the system's settings.",
        is_error=True,
    )
