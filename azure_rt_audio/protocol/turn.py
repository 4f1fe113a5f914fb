"""The status of the model, derived from the events."""

from __future__ import annotations

import enum
from typing import Final

from .events import (
    Event,
    InputAudioBufferSpeechStarted,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
)
from .items import MessageItem
from .responses import Response

__all__ = ["FILLER", "ModelStatusEnum", "TurnState", "is_filler", "is_out_of_band"]

FILLER: Final = "azure_rt_filler"
"""Key in the metadata of a response that fills a silence."""


class ModelStatusEnum(str, enum.Enum):
    """Status of the model, for user interfaces."""

    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"

    def __str__(self) -> str:
        return self.value


class TurnState:
    """
    The status that follows from the events so far.

    Out-of-band responses do not count: they are not part of the conversation.

    Attributes:
        status: May be set from outside as well; the next event goes on from there.
        current: The response in progress in the conversation; ``""`` if the service does not name it.
        filler: The latest one beside it that is to be heard all the same.
        speaking: The response of which sound has come last.
    """

    def __init__(self) -> None:
        self.status: ModelStatusEnum = ModelStatusEnum.IDLE
        self.current: str | None = None
        self.filler: str | None = None
        self.speaking: str | None = None

    def advance(self, event: Event) -> ModelStatusEnum:
        """Take one event into account and return the status after it."""
        if isinstance(event, ResponseOutputAudioDelta):
            # Only the first delta: later ones of a response that is being interrupted must not
            # turn "listening" back into "speaking".
            if event.response_id == self.current and event.response_id != self.speaking:
                self.speaking = event.response_id
                self.status = ModelStatusEnum.SPEAKING
            elif event.response_id == self.filler != self.speaking:
                self.speaking = event.response_id
                if self.status is not ModelStatusEnum.LISTENING:  # the user cuts it short
                    self.status = ModelStatusEnum.SPEAKING
        elif isinstance(event, InputAudioBufferSpeechStarted):
            self.status = ModelStatusEnum.LISTENING
        elif isinstance(event, ResponseCreated):
            if not is_out_of_band(event.response):
                self.current = event.response.id or ""
                self.status = ModelStatusEnum.THINKING
            elif is_filler(event.response):
                self.filler = event.response.id
        elif isinstance(event, ResponseDone) and (
            event.response.id in (None, self.current) or self.current == ""
        ):
            is_spoken = _has_audio(event.response) or self.speaking == self.current is not None
            self.current = None
            if self.status is not ModelStatusEnum.LISTENING:
                self.status = _after(event.response, is_spoken=is_spoken)
        return self.status

    def lose(self) -> None:
        """The response in progress is over, though its end was not heard of."""
        self.current = None
        if self.status in (ModelStatusEnum.THINKING, ModelStatusEnum.SPEAKING):
            self.status = ModelStatusEnum.IDLE

    def rest(self) -> None:
        """The connection is over: nothing is in progress, but for what is being played."""
        self.current = None
        if self.status is not ModelStatusEnum.SPEAKING:
            self.status = ModelStatusEnum.IDLE

    def stop_listening(self) -> None:
        """The user's turn is over; the status is that of what is in progress."""
        if self.status is ModelStatusEnum.LISTENING:
            is_speaking = self.current is not None and self.speaking == self.current
            in_progress = ModelStatusEnum.SPEAKING if is_speaking else ModelStatusEnum.THINKING
            self.status = ModelStatusEnum.IDLE if self.current is None else in_progress

    def follow_speaker(self, response_id: str, *, is_playing: bool) -> ModelStatusEnum:
        """
        Take into account whether an answer can be heard, and return the status after it.

        Args:
            response_id: The response that is being played, or has been played out; what is known of a
                later one is not touched by that.
        """
        if is_playing:
            if self.status is not ModelStatusEnum.LISTENING:
                self.status = ModelStatusEnum.SPEAKING
        elif self.status is ModelStatusEnum.SPEAKING and self.speaking == response_id != self.current:
            self.status = ModelStatusEnum.IDLE if self.current is None else ModelStatusEnum.THINKING
        return self.status


def is_out_of_band(response: Response) -> bool:
    """Whether a response stands beside the conversation; the service says so with a null id."""
    return response.conversation_id is None and "conversation_id" in response.extra


def is_filler(response: Response) -> bool:
    """Whether a response beside the conversation is to be heard: it fills a silence."""
    return FILLER in (response.metadata or {})


def _after(response: Response, *, is_spoken: bool) -> ModelStatusEnum:
    """A spoken answer is still being played when the service is done with it."""
    if response.status in (None, "completed", "incomplete") and is_spoken:
        return ModelStatusEnum.SPEAKING
    return ModelStatusEnum.IDLE


def _has_audio(response: Response) -> bool:
    return any(
        part.type == "audio"
        for item in response.output or ()
        if isinstance(item, MessageItem)
        for part in item.content or ()
    )
