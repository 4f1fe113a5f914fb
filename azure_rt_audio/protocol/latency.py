"""How soon an answer comes. Pure: seconds of a monotonic clock come in with every call."""

from __future__ import annotations

from attrs import define

from .events import (
    ConversationItemAdded,
    Event,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStopped,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
)
from .items import MessageItem

__all__ = ["Latency"]


@define
class Latency:
    """
    From the end of the user's turn to the answer; calls of functions in between are part of the wait.

    Attributes:
        asked_at: When the user had finished, the latest before the answer; of an answer that nobody asked
            for, when it began.
        first_text_at: When the first word of the answer came, written or of what is spoken.
        first_audio_at: When its first sound came.
        done_at: When its last response ended.
        seconds: From the question to the first of the answer, word or sound; of the latest answer, so it
            stays while the next is waited for. ``None`` before the first.

    **Threads**: not shared; one thread at a time.
    """

    asked_at: float | None = None
    first_text_at: float | None = None
    first_audio_at: float | None = None
    done_at: float | None = None
    seconds: float | None = None

    def ask(self, now: float) -> None:
        """The user has finished; what comes next is the answer."""
        self.asked_at = now
        self.first_text_at = self.first_audio_at = self.done_at = None

    def since_asked(self, moment: float | None) -> float | None:
        """Return the seconds from the question to a moment, never less than 0; ``None`` without either."""
        if self.asked_at is None or moment is None:
            return None
        return max(0.0, moment - self.asked_at)

    def see(self, event: Event, now: float) -> None:
        """Take an event into account, which came at *now*."""
        if isinstance(event, InputAudioBufferSpeechStopped | InputAudioBufferCommitted):
            self.ask(now)
        elif isinstance(event, ConversationItemAdded):
            if isinstance(event.item, MessageItem) and event.item.role != "assistant":
                self.ask(now)
        elif isinstance(event, ResponseCreated):
            if self.asked_at is None or self._is_answered:
                self.ask(now)
        elif isinstance(event, ResponseDone):
            self.done_at = now
        elif isinstance(
            event, ResponseOutputAudioDelta | ResponseOutputAudioTranscriptDelta | ResponseOutputTextDelta
        ):
            if not self._is_answered:
                self.seconds = self.since_asked(now)
            if isinstance(event, ResponseOutputAudioDelta):
                self.first_audio_at = self.first_audio_at or now
            else:
                self.first_text_at = self.first_text_at or now

    @property
    def _is_answered(self) -> bool:
        return self.first_text_at is not None or self.first_audio_at is not None
