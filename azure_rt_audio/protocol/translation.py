"""Objects of GA's translation sessions."""

from __future__ import annotations

from .base import UNSET, ProtocolObject, Unset, frozen_shape
from .session import InputAudioTranscription, NoiseReduction

__all__ = [
    "TranslationAudio",
    "TranslationInput",
    "TranslationOutput",
    "TranslationSession",
    "TranslationSessionConfig",
]


@frozen_shape(kw_only=True)
class TranslationInput(ProtocolObject):
    """Noise reduction and transcription of the input."""

    noise_reduction: NoiseReduction | None = None
    transcription: InputAudioTranscription | None = None


@frozen_shape(kw_only=True)
class TranslationOutput(ProtocolObject):
    """
    The target language.

    Attributes:
        language: ISO 639-1 code, such as ``"es"``.
    """

    language: str | None = None


@frozen_shape(kw_only=True)
class TranslationAudio(ProtocolObject):
    """Input and output of a translation session."""

    input: TranslationInput | None = None
    output: TranslationOutput | None = None


@frozen_shape(kw_only=True)
class TranslationSessionConfig(ProtocolObject):
    """Configuration of a translation session."""

    audio: TranslationAudio | Unset = UNSET


@frozen_shape(kw_only=True)
class TranslationSession(ProtocolObject):
    """
    A translation session as the service reports it.

    Attributes:
        expires_at: Unix time in seconds.
    """

    type: str = "translation"
    id: str
    audio: TranslationAudio
    expires_at: int
    model: str
