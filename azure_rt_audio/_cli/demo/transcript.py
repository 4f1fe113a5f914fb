"""A conversation as it is written down: events in, lines and facts out."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from ...devices import SimulatedSpeaker
from ...errors import ServiceError, TranscriptionFailedError
from ...protocol.events import (
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionFailed,
    ConversationItemTruncated,
    Event,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioDone,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
)
from ...protocol.events.local import Reconnected, Reconnecting, StatusChanged
from ...protocol.items import FunctionCallItem
from ...protocol.latency import Latency
from ...protocol.turn import ModelStatusEnum
from ..printer import Printer

if TYPE_CHECKING:
    from ... import AzureRealTimeAudio, Response

__all__ = ["MissedError", "Transcript", "Turn"]

_TIMEOUT_SECONDS: Final = 30.0
_TICK_SECONDS: Final = 0.1
_STOPPED: Final = {
    "turn_detected": "interrupted: you began to speak",
    "client_cancelled": "stopped by this program",
}
"""The service's reasons for a cancelled response, in words."""


class MissedError(Exception):
    """Something that should have happened did not; says what."""


@define
class Turn:
    """
    What happened since somebody began to ask.

    Attributes:
        latency: From when text was sent, or the service noticed the end of speech.
        answer: The response that ended well and asks for nothing more.
        audio: Sound of each response. PCM16: int16, little-endian, mono, 24 000 Hz.
        stopped: The response that was cancelled because somebody spoke.
        calls: Names of the functions that were called.
        cut_at_ms: Where the service cut the item that was being played, once it has said so.
        failure: How a response ended that did not end well.
    """

    latency: Latency = field(factory=lambda: Latency(asked_at=monotonic()))
    has_speech: bool = False
    answer: Response | None = None
    calls: list[str] = field(factory=list)
    audio: dict[str, bytearray] = field(factory=dict)
    stopped: Response | None = None
    cut_at_ms: int | None = None
    failure: str | None = None

    @property
    def answer_audio(self) -> bytes:
        """The sound of the answer, in whole frames."""
        sound = self.audio.get(self.answer.id or "", b"") if self.answer is not None else b""
        return bytes(sound[: len(sound) // 2 * 2])

    def since_asked_ms(self, moment: float | None) -> str:
        """Say how long after the question something happened."""
        seconds = self.latency.since_asked(moment)
        if seconds is None:
            return "-"
        ms = seconds * 1000
        return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


class Transcript:
    """
    Follows a client's events, writes them down, and does what has to be done at once.

    That is: what the speaker has not played of an interrupted answer is cut off, and functions
    are called.

    Args:
        call: Does what the model asks for; returns the output to send back.

    **Threads**: not shared; everything happens on the thread that calls :meth:`follow`.
    """

    def __init__(
        self,
        client: AzureRealTimeAudio,
        screen: Printer,
        speaker: SimulatedSpeaker,
        call: Callable[[FunctionCallItem], str],
    ) -> None:
        self._client = client
        self._screen = screen
        self._speaker = speaker
        self._call = call
        self._silenced: set[str] = set()  # responses that the user has spoken over
        self._unheard: list[str] = []  # words of an answer whose sound has not begun
        self._held: list[tuple[str, str]] = []  # lines that must not cut into an answer
        self._has_told_untranscribed = False
        self._speaks = False
        self._response_id = ""
        self.status = client.status
        self.turn = Turn()
        reactions: dict[type[Any], Callable[[Any], None]] = {
            StatusChanged: self._on_status,
            Reconnecting: self._on_connection,
            Reconnected: self._on_connection,
            InputAudioBufferSpeechStarted: self._on_speech_started,
            InputAudioBufferSpeechStopped: lambda event: None,  # for the latency
            ConversationItemInputAudioTranscriptionCompleted: self._on_heard,
            ConversationItemInputAudioTranscriptionFailed: self._on_not_heard,
            ResponseCreated: self._on_created,
            ResponseOutputTextDelta: self._on_text,
            ResponseOutputAudioTranscriptDelta: self._on_words,
            ResponseOutputAudioDelta: self._on_audio,
            ResponseOutputAudioDone: self._on_audio_done,
            ResponseDone: self._on_done,
            ConversationItemTruncated: self._on_truncated,
        }
        self._reactions = reactions
        self._events = client.events(*reactions, "error", timeout=_TICK_SECONDS)

    def follow(self, until: Callable[[], bool], missing: str) -> None:
        """
        Write down what happens until something is true. Blocks.

        Args:
            until: Asked after every event, and ten times a second.
            missing: What did not happen, for the error.

        Raises:
            MissedError: Nothing happened for half a minute, or an answer failed.
            ConnectionClosedError: The connection ended.
        """
        quiet_since = monotonic()
        while not until():
            if self.turn.failure is not None:
                raise MissedError(f"{missing}: {self.turn.failure}")
            try:
                event = next(self._events)
            except TimeoutError:
                if monotonic() - quiet_since > _TIMEOUT_SECONDS:
                    raise MissedError(f"{missing}: nothing came for {_TIMEOUT_SECONDS:.0f} s") from None
                continue
            except StopIteration:
                raise MissedError(f"{missing}: the connection was closed") from None
            quiet_since = monotonic()
            self._take(event)

    def _take(self, event: Any) -> None:
        if isinstance(event, TranscriptionFailedError):
            if not self._has_told_untranscribed:  # once: each spoken turn says so too
                self._line("status", event.message)
            self._has_told_untranscribed = True
            return
        if isinstance(event, ServiceError):
            self._line("status", f"the service says: {event.message}")
            if not event.is_benign:
                self.turn.failure = event.message
            return
        react = self._reactions.get(type(event))
        if react is not None:
            if isinstance(event, Event):
                self.turn.latency.see(event, monotonic())
            react(event)

    # Lines --------------------------------------------------------------------------------

    def _line(self, label: str, text: str) -> None:
        """Write a line, but not in the middle of an answer."""
        if self._speaks:
            self._held.append((label, text))
        else:
            self._screen.line(label, text)

    def _flush(self) -> None:
        self._speaks = False
        self._screen.end_line()
        for label, text in self._held:
            self._screen.line(label, text)
        self._held.clear()

    def _on_status(self, event: StatusChanged) -> None:
        self.status = event.status
        if self._speaks:
            return
        if not self._screen.is_growing("status"):
            self._screen.grow("status", str(event.previous))
        self._screen.grow("status", f" -> {event.status}")
        if event.status is ModelStatusEnum.SPEAKING:
            self._say("".join(self._unheard))
            self._unheard.clear()

    def _on_connection(self, event: Reconnecting | Reconnected) -> None:
        self._line("status", str(event))

    # The user -----------------------------------------------------------------------------

    def _on_speech_started(self, event: InputAudioBufferSpeechStarted) -> None:
        self.turn.has_speech = True
        self.turn.answer = None
        stopped = self._speaker.stop()
        if not stopped:
            return  # the answer had been heard to its end
        # Nothing of the answer may be heard any more, whatever of it is still under way.
        self._silenced.add(self._response_id)
        for played in stopped:
            if played.ms > 0:
                self._client.truncate_item(played.item_id, 0, played.ms)
        self._flush()
        self._screen.line("you", f"[begin to speak, {stopped[0].ms / 1000:.1f} s into the answer]")

    def _on_heard(self, event: ConversationItemInputAudioTranscriptionCompleted) -> None:
        self._line("you", event.transcript.strip())

    def _on_not_heard(self, event: ConversationItemInputAudioTranscriptionFailed) -> None:
        reason = event.error.message or event.error.code or "the service gives no reason"
        self._line("you", f"[said something that was not written down: {reason}]")

    # The model ----------------------------------------------------------------------------

    def _on_created(self, event: ResponseCreated) -> None:
        self._response_id = event.response.id or ""
        self._unheard.clear()

    def _on_text(self, event: ResponseOutputTextDelta) -> None:
        self._say(event.delta)

    def _on_words(self, event: ResponseOutputAudioTranscriptDelta) -> None:
        if event.response_id in self._silenced:
            return
        # The words run ahead of their sound; an answer begins when it can be heard.
        if self.status is ModelStatusEnum.SPEAKING:
            self._say(event.delta)
        else:
            self._unheard.append(event.delta)

    def _on_audio(self, event: ResponseOutputAudioDelta) -> None:
        self.turn.audio.setdefault(event.response_id, bytearray()).extend(event.audio)
        if event.response_id not in self._silenced:
            self._speaker.play(event.audio, item_id=event.item_id)

    def _on_audio_done(self, event: ResponseOutputAudioDone) -> None:
        self._speaker.finish(event.item_id)

    def _say(self, words: str) -> None:
        self._speaks = True
        self._screen.grow("model", words)

    def _on_done(self, event: ResponseDone) -> None:
        response = event.response
        self._flush()
        if response.status == "cancelled":
            self.turn.stopped = response
            reason = response.reason or "no reason given"
            self._screen.line("model", f"[{_STOPPED.get(reason, f'stopped: {reason}')}]")
        elif response.status not in ("completed", None):
            self.turn.failure = str(response.error)
        elif response.function_calls:
            self._answer_calls(response.function_calls)
        else:
            self.turn.answer = response

    def _answer_calls(self, calls: list[FunctionCallItem]) -> None:
        for call in calls:
            output = self._call(call)
            self._screen.grow("tool", f"{call.name}({_on_one_line(call.arguments or '')})", is_whole=True)
            self._screen.grow("tool", " -> ")
            self._screen.grow("tool", output, is_whole=True)
            self._screen.end_line()
            self.turn.calls.append(call.name or "")
            self._client.create_conversation_item(
                {"type": "function_call_output", "call_id": call.call_id, "output": output}
            )
        self._client.create_response()

    def _on_truncated(self, event: ConversationItemTruncated) -> None:
        self.turn.cut_at_ms = event.audio_end_ms


def _on_one_line(arguments: str) -> str:
    """Arguments without the white space that models put into them."""
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False)
    except (ValueError, RecursionError):
        return arguments
