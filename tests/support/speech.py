"""Helpers of the speech tests: the extra, recordings, and the word error count."""

from __future__ import annotations

import importlib.util
import re
import sys
import wave
from importlib.resources import files
from pathlib import Path

import pytest

from azure_rt_audio.audio import read_wav

QUESTION = Path(str(files("azure_rt_audio") / "data" / "question.wav"))
QUESTION_WORDS = "what is the weather like in lisbon today"
TOMORROW = Path(__file__).parents[1] / "data" / "tomorrow.wav"
TOMORROW_WORDS = "what is the weather like in new york tomorrow"

HEARD = (
    QUESTION_WORDS
    if importlib.util.find_spec("pocketsphinx")
    else "What is the weather like in Lisbon today?"
)
"""What an emulator of the command line hears in ``question.wav``: by itself, or as it was told."""

needs_speech = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="there are no wheels of PocketSphinx for this Python"
)


def write_stereo(path: Path, pcm: bytes, rate_hz: int) -> None:
    """Write mono PCM16 as the two channels of a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(b"".join(pcm[i : i + 2] * 2 for i in range(0, len(pcm), 2)))


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case, without punctuation."""
    return re.findall(r"[a-z']+", text.lower())


def errors_in(heard: str, said: str) -> int:
    """How many words must be changed, added or left out to get from what was heard to what was said."""
    wanted, row = words_of(said), list(range(len(words_of(said)) + 1))
    for count, word in enumerate(words_of(heard), 1):
        above, row = row, [count]
        for index, other in enumerate(wanted):
            row.append(min(above[index + 1] + 1, row[-1] + 1, above[index] + (word != other)))
    return row[-1]


def read_question() -> bytes:
    """``question.wav``: 0.3 s of silence, 2.1 s of speech, 0.7 s of silence; PCM16, 24 000 Hz."""
    return read_wav(QUESTION)
