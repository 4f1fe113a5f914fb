"""Events about the session: configuration, rate limits, errors."""

from __future__ import annotations

from typing import ClassVar

from attrs import field

from ..base import ProtocolObject, frozen_shape
from ..session import Session, TranscriptionSession
from ..translation import TranslationSession
from .base import Event, show_length
from .sound import SoundDelta

__all__ = [
    "Error",
    "ErrorDetails",
    "RateLimit",
    "RateLimitsUpdated",
    "SessionClosed",
    "SessionCreated",
    "SessionInputTranscriptDelta",
    "SessionOutputAudioDelta",
    "SessionOutputTranscriptDelta",
    "SessionUpdated",
    "TranscriptionSessionCreated",
    "TranscriptionSessionUpdated",
]


@frozen_shape(kw_only=True)
class ErrorDetails(ProtocolObject):
    """
    Details of an ``error`` event.

    Attributes:
        type: The service's kind of error, such as ``"invalid_request_error"``.
        code: Such as ``"cannot_update_voice"``.
        param: Path of the offending field.
        event_id: Of the refused command, if known.
    """

    message: str
    type: str
    code: str | None = None
    param: str | None = None
    event_id: str | None = None


@frozen_shape(kw_only=True)
class RateLimit(ProtocolObject):
    """
    A rate limit and its remainder.

    Attributes:
        name: ``"requests"`` or ``"tokens"``.
        reset_seconds: Time until the limit is reset.
    """

    name: str | None = None
    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


@frozen_shape(kw_only=True)
class SessionCreated(Event):
    """First event of a session, with the service's defaults."""

    TYPE: ClassVar[str] = "session.created"
    session: Session | TranscriptionSession | TranslationSession


@frozen_shape(kw_only=True)
class SessionUpdated(Event):
    """The complete configuration of the session after a change."""

    TYPE: ClassVar[str] = "session.updated"
    session: Session | TranscriptionSession | TranslationSession


@frozen_shape(kw_only=True)
class TranscriptionSessionCreated(Event):
    """First event of a transcription session (preview)."""

    TYPE: ClassVar[str] = "transcription_session.created"
    session: TranscriptionSession


@frozen_shape(kw_only=True)
class TranscriptionSessionUpdated(Event):
    """The complete configuration of a transcription session after a change (preview)."""

    TYPE: ClassVar[str] = "transcription_session.updated"
    session: TranscriptionSession


@frozen_shape(kw_only=True)
class RateLimitsUpdated(Event):
    """Remainders of the rate limits."""

    TYPE: ClassVar[str] = "rate_limits.updated"
    rate_limits: list[RateLimit]


@frozen_shape(kw_only=True)
class Error(Event):
    """An error; after most of them the session stays open."""

    TYPE: ClassVar[str] = "error"
    error: ErrorDetails


@frozen_shape(kw_only=True)
class SessionClosed(Event):
    """A translation session has ended."""

    TYPE: ClassVar[str] = "session.closed"


@frozen_shape(kw_only=True)
class SessionInputTranscriptDelta(Event):
    """A piece of the transcript before translation."""

    TYPE: ClassVar[str] = "session.input_transcript.delta"
    delta: str
    elapsed_ms: int | None = None


@frozen_shape(kw_only=True)
class SessionOutputTranscriptDelta(Event):
    """A piece of the translation's transcript."""

    TYPE: ClassVar[str] = "session.output_transcript.delta"
    delta: str
    elapsed_ms: int | None = None


@frozen_shape(kw_only=True)
class SessionOutputAudioDelta(SoundDelta, Event):
    """
    A piece of the translation's audio.

    Attributes:
        delta: Base64 of PCM16: int16, little-endian.
        sample_rate: Hz; 24 000 if missing.
    """

    TYPE: ClassVar[str] = "session.output_audio.delta"
    delta: str = field(repr=show_length)
    elapsed_ms: int | None = None
    channels: int | None = None
    format: str | None = None
    sample_rate: int | None = None
