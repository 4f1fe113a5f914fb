"""Objects of GA's translation sessions, which have a small vocabulary of their own."""

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
    """How the speech to translate is cleaned and written down."""

    noise_reduction: NoiseReduction | None = None
    transcription: InputAudioTranscription | None = None


@frozen_shape(kw_only=True)
class TranslationOutput(ProtocolObject):
    """
    What to translate into.

    Attributes:
        language: ISO 639-1 code, such as ``"es"``.
    """

    language: str | None = None


@frozen_shape(kw_only=True)
class TranslationAudio(ProtocolObject):
    """Both sides of a translation."""

    input: TranslationInput | None = None
    output: TranslationOutput | None = None


@frozen_shape(kw_only=True)
class TranslationSessionConfig(ProtocolObject):
    """What the user asks of a translation session."""

    audio: TranslationAudio | Unset = UNSET


@frozen_shape(kw_only=True)
class TranslationSession(ProtocolObject):
    """
    The translation session in force.

    Attributes:
        expires_at: Unix time in seconds.
    """

    type: str = "translation"
    id: str
    audio: TranslationAudio
    expires_at: int
    model: str
