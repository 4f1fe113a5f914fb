"""
The bundled recordings, and a recogniser for known recordings.

It finds a recording in the audio that arrives and returns its transcript; other audio goes to a real
recogniser, if one is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from importlib import resources
from typing import TYPE_CHECKING, Final

from ..audio import read_wav
from ..errors import MissingExtraError
from . import UsageError
from .files import readable

if TYPE_CHECKING:
    from ..emulator import Session

__all__ = [
    "INTERRUPTION_WORDS",
    "QUESTION_WORDS",
    "RecordingRecogniser",
    "bundled",
    "interruption",
    "question",
    "read",
]

QUESTION_WORDS: Final = "What is the weather like in Lisbon today?"
INTERRUPTION_WORDS: Final = "Stop. Thank you, that is enough."

_SAMPLES: Final = 20
_SAMPLE_BYTES: Final = 960  # 20 ms


def question() -> bytes:
    """Return ``question.wav``. PCM16: int16, little-endian, mono, 24 000 Hz."""
    return _bundled("question.wav")


def interruption() -> bytes:
    """Return ``interruption.wav``. PCM16: int16, little-endian, mono, 24 000 Hz."""
    return _bundled("interruption.wav")


def read(path: str, option: str) -> bytes:
    """
    Return a user's WAV file as PCM16: int16, little-endian, mono, 24 000 Hz.

    Args:
        option: The option's name, for the error.

    Raises:
        UsageError: It does not exist, has no audio, or is unreadable.
        MissingExtraError: It has another rate, and the ``audio`` extra is not installed.
    """
    readable(path, option)
    try:
        pcm = read_wav(path)
    except MissingExtraError:
        raise
    except OSError as exc:
        raise UsageError(f"{option}: cannot read {path}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise UsageError(f"{option}: {exc}") from exc
    if not pcm:
        raise UsageError(f"{option}: {path} contains no audio")
    return pcm


def bundled() -> dict[bytes, str]:
    """Return the bundled recordings with their transcripts."""
    return {question(): QUESTION_WORDS, interruption(): INTERRUPTION_WORDS}


def _bundled(name: str) -> bytes:
    with (resources.files("azure_rt_audio") / "data" / name).open("rb") as file:
        return read_wav(file)


class RecordingRecogniser:
    """
    A recogniser for the emulator that knows recordings.

    Args:
        recordings: Transcripts by PCM16, 24 000 Hz.
        fallback: Recognises other audio; ``None`` for the emulator's default, which knows only durations.
    """

    def __init__(
        self, recordings: Mapping[bytes, str], fallback: Callable[..., str | Future[str]] | None = None
    ) -> None:
        self._transcripts = [(_samples(pcm), transcript) for pcm, transcript in recordings.items()]
        self._fallback = fallback

    def __call__(self, pcm: bytes, session: Session) -> str | Future[str]:
        """Return the transcript of *pcm*."""
        from ..emulator import default_recogniser

        for samples, transcript in self._transcripts:
            if any(sample in pcm for sample in samples):
                return transcript
        return (self._fallback or default_recogniser)(pcm, session)


def _samples(pcm: bytes) -> list[bytes]:
    """Return short samples of a recording; a turn cut out of it contains some of them."""
    step = max(2, len(pcm) // _SAMPLES // 2 * 2)
    found = [pcm[start : start + _SAMPLE_BYTES] for start in range(0, len(pcm), step)]
    return [sample for sample in found if len(sample) == _SAMPLE_BYTES and any(sample)]
