"""Events about the conversation, its items and the user's transcripts."""

from __future__ import annotations

from typing import ClassVar

from ..base import ProtocolObject, frozen_shape
from ..items import ConversationItem
from .base import Event

__all__ = [
    "ConversationCreated",
    "ConversationInfo",
    "ConversationItemAdded",
    "ConversationItemDeleted",
    "ConversationItemDone",
    "ConversationItemInputAudioTranscriptionCompleted",
    "ConversationItemInputAudioTranscriptionDelta",
    "ConversationItemInputAudioTranscriptionFailed",
    "ConversationItemInputAudioTranscriptionSegment",
    "ConversationItemRetrieved",
    "ConversationItemTruncated",
    "LogProbability",
    "TranscriptionError",
    "TranscriptionInputTokens",
    "TranscriptionLanguage",
    "TranscriptionUsage",
]


@frozen_shape(kw_only=True)
class ConversationInfo(ProtocolObject):
    """The default conversation of a session."""

    id: str | None = None
    object: str | None = None


@frozen_shape(kw_only=True)
class LogProbability(ProtocolObject):
    """
    How sure the transcription is of a token.

    Attributes:
        bytes: UTF-8 of the token, as numbers.
        logprob: Natural logarithm of the probability.
    """

    token: str
    bytes: list[int] | None = None
    logprob: float


@frozen_shape(kw_only=True)
class TranscriptionInputTokens(ProtocolObject):
    """Tokens of the transcribed input by modality."""

    text_tokens: int | None = None
    audio_tokens: int | None = None


@frozen_shape(kw_only=True)
class TranscriptionUsage(ProtocolObject):
    """
    What a transcription cost.

    Attributes:
        type: ``"tokens"`` or ``"duration"``.
        seconds: Of audio, for ``"duration"``; the other fields are for ``"tokens"``.
    """

    type: str
    seconds: float | None = None
    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: TranscriptionInputTokens | None = None


@frozen_shape(kw_only=True)
class TranscriptionLanguage(ProtocolObject):
    """A detected language."""

    code: str


@frozen_shape(kw_only=True)
class TranscriptionError(ProtocolObject):
    """Reason of a failed transcription."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None


@frozen_shape(kw_only=True)
class ConversationCreated(Event):
    """The conversation was created (preview)."""

    TYPE: ClassVar[str] = "conversation.created"
    conversation: ConversationInfo


@frozen_shape(kw_only=True)
class ConversationItemAdded(Event):
    """An item was added to the conversation; the assistant's are still empty."""

    TYPE: ClassVar[str] = "conversation.item.added"
    item: ConversationItem
    previous_item_id: str | None = None


@frozen_shape(kw_only=True)
class ConversationItemDone(Event):
    """An item is complete (GA)."""

    TYPE: ClassVar[str] = "conversation.item.done"
    item: ConversationItem
    previous_item_id: str | None = None


@frozen_shape(kw_only=True)
class ConversationItemRetrieved(Event):
    """A requested item, audio included."""

    TYPE: ClassVar[str] = "conversation.item.retrieved"
    item: ConversationItem


@frozen_shape(kw_only=True)
class ConversationItemTruncated(Event):
    """An assistant's message was truncated to the part that the user heard."""

    TYPE: ClassVar[str] = "conversation.item.truncated"
    item_id: str
    content_index: int
    audio_end_ms: int


@frozen_shape(kw_only=True)
class ConversationItemDeleted(Event):
    """An item was deleted."""

    TYPE: ClassVar[str] = "conversation.item.deleted"
    item_id: str


@frozen_shape(kw_only=True)
class ConversationItemInputAudioTranscriptionDelta(Event):
    """A piece of the user's transcript."""

    TYPE: ClassVar[str] = "conversation.item.input_audio_transcription.delta"
    item_id: str
    content_index: int | None = None
    delta: str | None = None
    logprobs: list[LogProbability] | None = None


@frozen_shape(kw_only=True)
class ConversationItemInputAudioTranscriptionSegment(Event):
    """
    A segment of the transcript, by speaker (GA).

    Attributes:
        start: Seconds from the beginning of the item's audio.
        end: Seconds.
    """

    TYPE: ClassVar[str] = "conversation.item.input_audio_transcription.segment"
    item_id: str
    content_index: int
    id: str
    text: str
    speaker: str
    start: float
    end: float


@frozen_shape(kw_only=True)
class ConversationItemInputAudioTranscriptionCompleted(Event):
    """The user's complete transcript; arrives any time after the commit."""

    TYPE: ClassVar[str] = "conversation.item.input_audio_transcription.completed"
    item_id: str
    content_index: int
    transcript: str
    usage: TranscriptionUsage | None = None
    logprobs: list[LogProbability] | None = None
    languages: list[TranscriptionLanguage] | None = None


@frozen_shape(kw_only=True)
class ConversationItemInputAudioTranscriptionFailed(Event):
    """
    The user's speech was not transcribed; the response is not affected.

    The client makes it as well, with the code ``"connection_lost"``, of a transcript that had not come when
    the session ended, and another one takes its place.
    """

    TYPE: ClassVar[str] = "conversation.item.input_audio_transcription.failed"
    item_id: str
    content_index: int
    error: TranscriptionError
