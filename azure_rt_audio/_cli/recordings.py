"""
The recordings that come with the package, and ears that know recordings.

These ears are told beforehand what is said in a recording, and find the recording again in what arrives;
for the rest they have a recogniser, where one is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from importlib import resources
from typing import TYPE_CHECKING, Final

from ..audio import read_wav
from ..errors import MissingExtraError
from . import UsageError

if TYPE_CHECKING:
    from ..emulator import Session

__all__ = ["INTERRUPTION_WORDS", "QUESTION_WORDS", "Ears", "interruption", "question", "read", "shipped"]

QUESTION_WORDS: Final = "What is the weather like in Lisbon today?"
INTERRUPTION_WORDS: Final = "Stop. Thank you, that is enough."

_PROBES: Final = 20
_PROBE_BYTES: Final = 960  # 20 ms


def question() -> bytes:
    """Return ``question.wav``. PCM16: int16, little-endian, mono, 24 000 Hz."""
    return _shipped("question.wav")


def interruption() -> bytes:
    """Return ``interruption.wav``. PCM16: int16, little-endian, mono, 24 000 Hz."""
    return _shipped("interruption.wav")


def read(path: str, option: str) -> bytes:
    """
    Return a user's WAV file as PCM16: int16, little-endian, mono, 24 000 Hz.

    Args:
        option: Which option named it, for the error.

    Raises:
        UsageError: It is not there, holds no sound, or is nothing that can be read.
        MissingExtraError: It has another rate, and the ``audio`` extra is not installed.
    """
    try:
        pcm = read_wav(path)
    except MissingExtraError:
        raise
    except OSError as exc:
        raise UsageError(f"{option}: cannot read {path}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise UsageError(f"{option}: {exc}") from exc
    if not pcm:
        raise UsageError(f"{option}: {path} holds no sound")
    return pcm


def shipped() -> dict[bytes, str]:
    """Return what is said in each of them."""
    return {question(): QUESTION_WORDS, interruption(): INTERRUPTION_WORDS}


def _shipped(name: str) -> bytes:
    with (resources.files("azure_rt_audio") / "data" / name).open("rb") as file:
        return read_wav(file)


class Ears:
    """
    An ears function for the emulator.

    Args:
        recordings: PCM16, 24 000 Hz, to what is said in it; this is believed first.
        otherwise: What hears the rest; ``None`` is the emulator's default, which understands nothing.
    """

    def __init__(
        self, recordings: Mapping[bytes, str], otherwise: Callable[..., str | Future[str]] | None = None
    ) -> None:
        self._words = [(_probes(pcm), words) for pcm, words in recordings.items()]
        self._otherwise = otherwise

    def __call__(self, pcm: bytes, session: Session) -> str | Future[str]:
        """Say what is said in *pcm*."""
        from ..emulator import default_recogniser

        for probes, words in self._words:
            if any(probe in pcm for probe in probes):
                return words
        return (self._otherwise or default_recogniser)(pcm, session)


def _probes(pcm: bytes) -> list[bytes]:
    """Short pieces from all over a recording; a turn that was cut out of it holds some of them."""
    step = max(2, len(pcm) // _PROBES // 2 * 2)
    pieces = [pcm[start : start + _PROBE_BYTES] for start in range(0, len(pcm), step)]
    return [piece for piece in pieces if len(piece) == _PROBE_BYTES and any(piece)]
