"""Commands: one class per client event, named after its wire name."""

from __future__ import annotations

from typing import ClassVar

from attrs import field

from .base import ProtocolObject, frozen_shape
from .items import ConversationItem
from .responses import ResponseConfig
from .session import SessionConfig, TranscriptionSessionConfig
from .translation import TranslationSessionConfig

__all__ = [
    "Command",
    "ConversationItemCreate",
    "ConversationItemDelete",
    "ConversationItemRetrieve",
    "ConversationItemTruncate",
    "InputAudioBufferAppend",
    "InputAudioBufferClear",
    "InputAudioBufferCommit",
    "OutputAudioBufferClear",
    "ResponseCancel",
    "ResponseCreate",
    "SessionClose",
    "SessionInputAudioBufferAppend",
    "SessionUpdate",
    "TranscriptionSessionUpdate",
]


@frozen_shape(kw_only=True)
class Command(ProtocolObject):
    """
    An event from the client to the service.

    Attributes:
        event_id: At most 512 characters; an ``error`` about this command names it.
    """

    TYPE: ClassVar[str]
    event_id: str | None = None

    @property
    def type(self) -> str:
        """Name on the wire."""
        return self.TYPE


@frozen_shape(kw_only=True)
class SessionUpdate(Command):
    """Configure the session; only fields that are set change."""

    TYPE: ClassVar[str] = "session.update"
    session: SessionConfig | TranslationSessionConfig


@frozen_shape(kw_only=True)
class TranscriptionSessionUpdate(Command):
    """Configure a transcription session; on GA it is sent as ``session.update``."""

    TYPE: ClassVar[str] = "transcription_session.update"
    session: TranscriptionSessionConfig


@frozen_shape(kw_only=True)
class InputAudioBufferAppend(Command):
    """
    Add audio to the input buffer. The service does not acknowledge it.

    Attributes:
        audio: Base64 of audio in the session's input format, at most 15 MiB.
    """

    TYPE: ClassVar[str] = "input_audio_buffer.append"
    audio: str = field(repr=lambda audio: f"<{len(audio)} characters>")


@frozen_shape(kw_only=True)
class InputAudioBufferCommit(Command):
    """Make a user message of the input buffer, which must hold at least 100 ms."""

    TYPE: ClassVar[str] = "input_audio_buffer.commit"


@frozen_shape(kw_only=True)
class InputAudioBufferClear(Command):
    """Discard the input buffer."""

    TYPE: ClassVar[str] = "input_audio_buffer.clear"


@frozen_shape(kw_only=True)
class OutputAudioBufferClear(Command):
    """Stop the service's own playback; WebRTC and SIP only, refused over WebSocket."""

    TYPE: ClassVar[str] = "output_audio_buffer.clear"


@frozen_shape(kw_only=True)
class ConversationItemCreate(Command):
    """
    Add an item to the conversation.

    Attributes:
        previous_item_id: Inserts after this item; ``None`` appends, ``"root"`` prepends (GA).
    """

    TYPE: ClassVar[str] = "conversation.item.create"
    item: ConversationItem
    previous_item_id: str | None = None


@frozen_shape(kw_only=True)
class ConversationItemRetrieve(Command):
    """Request an item as the service has it, audio included."""

    TYPE: ClassVar[str] = "conversation.item.retrieve"
    item_id: str


@frozen_shape(kw_only=True)
class ConversationItemTruncate(Command):
    """
    Cut an assistant's spoken message after the part that the user heard.

    Attributes:
        content_index: Index of the content part; 0.
        audio_end_ms: Inclusive; at most the length of the audio.
    """

    TYPE: ClassVar[str] = "conversation.item.truncate"
    item_id: str
    content_index: int
    audio_end_ms: int


@frozen_shape(kw_only=True)
class ConversationItemDelete(Command):
    """Remove an item from the conversation."""

    TYPE: ClassVar[str] = "conversation.item.delete"
    item_id: str


@frozen_shape(kw_only=True)
class ResponseCreate(Command):
    """Ask the model to answer."""

    TYPE: ClassVar[str] = "response.create"
    response: ResponseConfig | None = None


@frozen_shape(kw_only=True)
class ResponseCancel(Command):
    """
    Stop a response.

    Attributes:
        response_id: ``None`` for the one in the default conversation.
    """

    TYPE: ClassVar[str] = "response.cancel"
    response_id: str | None = None


@frozen_shape(kw_only=True)
class SessionInputAudioBufferAppend(Command):
    """
    Add audio to be translated (GA translation sessions).

    Attributes:
        audio: Base64 of PCM16: int16, little-endian, mono, 24 000 Hz.
    """

    TYPE: ClassVar[str] = "session.input_audio_buffer.append"
    audio: str = field(repr=lambda audio: f"<{len(audio)} characters>")


@frozen_shape(kw_only=True)
class SessionClose(Command):
    """End a translation session once all audio sent has been translated."""

    TYPE: ClassVar[str] = "session.close"
