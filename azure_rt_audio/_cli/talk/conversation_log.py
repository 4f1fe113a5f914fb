"""What a spoken conversation looks like at any moment: events in, lines and figures out."""

from __future__ import annotations

import functools
from typing import Any, Final, Literal

from attrs import define, field

from ...devices import DeviceLost, DeviceOpened
from ...errors import RealtimeError, ServiceError
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
from ...protocol.events.local import Closed, Init, StatusChanged
from ...protocol.items import MessageItem
from ...voice import FirstSound, Interrupted, Levels, SelfInterruption

__all__ = ["EVENTS", "ConversationLog", "Line"]

EVENTS: Final[tuple[type[Any], ...]] = (
    Init,
    Closed,
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
)
"""What a dialogue wants to hear from a client, besides its errors and what a voice session tells."""

SILENCE_DB: Final = -100.0


@define(eq=False)
class Line:
    """
    Something said, or something to know.

    Attributes:
        text: May grow and change.
        remark: How it ended, if not well.
        revision: Changes whenever something else does.
    """

    who: Literal["you", "model", "note", "error"]
    text: str = ""
    remark: str = ""
    is_open: bool = False
    revision: int = 0

    def change(self, text: str, *, remark: str = "", is_open: bool = False) -> None:
        """Say something else."""
        self.text, self.remark, self.is_open = text, remark, is_open
        self.revision += 1


@define
class ConversationLog:
    """
    The state behind a screen.

    Attributes:
        lines: In the order in which they were said.
        status: ``"connecting"``, what the model is doing, or ``"over"``.
        latencies_ms: From the end of each question to the first sound heard of its answer.
        has_begun: Whether the session was ever ready.
        end: How the connection ended, if it has.

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
    end: RealtimeError | None = None
    _items: dict[str, Line] = field(factory=dict)

    def take(self, event: object) -> None:
        """Take an event, an error, or what a voice session tells, into account; ignores all else."""
        _take(event, self)

    def note(self, text: str, *, is_error: bool = False) -> None:
        """Add something to know."""
        self.lines.append(Line("error" if is_error else "note", text))

    def line_of(self, item_id: str, who: Literal["you", "model"]) -> Line:
        """Return the line of an item, a new one if it has none."""
        if item_id not in self._items:
            self._items[item_id] = line = Line(who, is_open=True)
            self.lines.append(line)
        return self._items[item_id]

    def drop(self, item_id: str) -> None:
        """Forget an item: it was not heard."""
        line = self._items.pop(item_id, None)
        if line is not None:
            self.lines.remove(line)

    def cut(self, item_id: str, share: float) -> None:
        """Leave only so much of a line, to the next word: the words run ahead of their sound."""
        line = self._items.get(item_id)
        if line is None:
            return
        kept = line.text[: round(len(line.text) * share)]
        if len(kept) < len(line.text):
            kept = kept[: kept.rfind(" ") + 1].rstrip()
        line.change(f"{kept} …".lstrip(), remark="interrupted")


@functools.singledispatch
def _take(event: object, dialogue: ConversationLog) -> None:
    return None


# The connection ---------------------------------------------------------------------------------


@_take.register
def _(event: Init, dialogue: ConversationLog) -> None:
    dialogue.has_begun = True
    dialogue.status = "idle"


@_take.register
def _(event: StatusChanged, dialogue: ConversationLog) -> None:
    dialogue.status = str(event.status)


@_take.register
def _(event: Closed, dialogue: ConversationLog) -> None:
    dialogue.status = "over"
    dialogue.end = event.error


@_take.register
def _(error: RealtimeError, dialogue: ConversationLog) -> None:
    if not (isinstance(error, ServiceError) and error.is_benign):
        dialogue.note(error.message, is_error=True)


# The user ---------------------------------------------------------------------------------------


@_take.register
def _(event: InputAudioBufferSpeechStarted, dialogue: ConversationLog) -> None:
    dialogue.line_of(event.item_id, "you")


@_take.register
def _(event: ConversationItemAdded, dialogue: ConversationLog) -> None:
    item = event.item
    if isinstance(item, MessageItem) and item.id and item.role in ("user", "assistant"):
        line = dialogue.line_of(item.id, "you" if item.role == "user" else "model")
        if item.text and not line.text:
            line.change(item.text)


@_take.register
def _(event: ConversationItemInputAudioTranscriptionDelta, dialogue: ConversationLog) -> None:
    line = dialogue.line_of(event.item_id, "you")
    line.change(line.text + (event.delta or ""), is_open=True)


@_take.register
def _(event: ConversationItemInputAudioTranscriptionCompleted, dialogue: ConversationLog) -> None:
    text = event.transcript.strip()
    dialogue.line_of(event.item_id, "you").change(text, remark="" if text else "no words")


@_take.register
def _(event: ConversationItemInputAudioTranscriptionFailed, dialogue: ConversationLog) -> None:
    reason = event.error.message or event.error.code or "no reason given"
    dialogue.line_of(event.item_id, "you").change("", remark=f"not written down: {reason}")


# The model --------------------------------------------------------------------------------------


@_take.register(ResponseOutputAudioTranscriptDelta)
@_take.register(ResponseOutputTextDelta)
def _(event: ResponseOutputAudioTranscriptDelta | ResponseOutputTextDelta, dialogue: ConversationLog) -> None:
    line = dialogue.line_of(event.item_id, "model")
    if not line.remark:  # what comes late of an answer that was interrupted is not heard
        line.change(line.text + event.delta, is_open=True)


@_take.register
def _(event: ResponseDone, dialogue: ConversationLog) -> None:
    for item in event.response.output or ():
        line = dialogue._items.get(getattr(item, "id", None) or "")
        if line is not None and line.is_open:
            line.change(line.text, remark=line.remark)


@_take.register
def _(event: ConversationItemDeleted, dialogue: ConversationLog) -> None:
    dialogue.drop(event.item_id)


# The voice session ------------------------------------------------------------------------------


@_take.register
def _(event: Levels, dialogue: ConversationLog) -> None:
    dialogue.microphone_db = event.microphone_db
    dialogue.speaker_db = event.speaker_db


@_take.register
def _(event: FirstSound, dialogue: ConversationLog) -> None:
    if event.latency_ms is not None:
        dialogue.latencies_ms.append(event.latency_ms)


@_take.register
def _(event: Interrupted, dialogue: ConversationLog) -> None:
    for cut in event.cuts:
        dialogue.cut(cut.item_id, cut.heard_ms / max(1, cut.received_ms))


@_take.register
def _(event: SelfInterruption, dialogue: ConversationLog) -> None:
    dialogue.note(f"The assistant hears itself and stops: {event.advice}.")


@_take.register
def _(event: DeviceOpened, dialogue: ConversationLog) -> None:
    name = event.device_name
    if event.kind == "input":
        before, dialogue.microphone_name, what = dialogue.microphone_name, name, "microphone"
    else:
        before, dialogue.speaker_name, what = dialogue.speaker_name, name, "speaker"
    if before is not None:
        dialogue.note(f"The {what} is {name} now.")


@_take.register
def _(event: DeviceLost, dialogue: ConversationLog) -> None:
    what = "microphone" if event.kind == "input" else "speaker"
    dialogue.note(
        f"The {what} {event.device_name} is lost ({event.reason}). The default one is taken as soon as there "
        "is one: plug it in again, or choose another one in the system's settings.",
        is_error=True,
    )
