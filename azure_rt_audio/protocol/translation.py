"""Objects of GA's translation sessions, which have a small vocabulary of their own."""

from __future__ import annotations

from .session import InputAudioTranscription, NoiseReduction
from .shape import UNSET, Shape, Unset, frozen_shape

__all__ = [
    "TranslationAudio",
    "TranslationInput",
    "TranslationOutput",
    "TranslationSession",
    "TranslationSessionConfig",
]


@frozen_shape(kw_only=True)
class TranslationInput(Shape):
    """How the speech to translate is cleaned and written down."""

    noise_reduction: NoiseReduction | None = None
    transcription: InputAudioTranscription | None = None


@frozen_shape(kw_only=True)
class TranslationOutput(Shape):
    """
    What to translate into.

    Attributes:
        language: ISO 639-1 code, such as ``"es"``.
    """

    language: str | None = None


@frozen_shape(kw_only=True)
class TranslationAudio(Shape):
    """Both sides of a translation."""

    input: TranslationInput | None = None
    output: TranslationOutput | None = None


@frozen_shape(kw_only=True)
class TranslationSessionConfig(Shape):
    """What the user asks of a translation session."""

    audio: TranslationAudio | Unset = UNSET


@frozen_shape(kw_only=True)
class TranslationSession(Shape):
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
