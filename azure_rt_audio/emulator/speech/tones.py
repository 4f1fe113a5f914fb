"""
The default synthesiser: vowels are formants, consonants are hums, hisses and taps.

It speaks no words. Its audio depends on the text, lasts about as long as speech, rises and falls like a
sentence, and needs the standard library alone. The same text in the same voice is the same audio, byte for
byte.
"""

from __future__ import annotations

import math
import random
import zlib
from array import array
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final

from ..model.pcm import SAMPLE_RATE_HZ, to_bytes
from ..model.session import Session

__all__ = ["MS_PER_CHARACTER", "speak", "synthesise"]

MS_PER_CHARACTER: Final = 65

_PITCH_HZ: Final = {
    "alloy": 165.0,
    "ash": 110.0,
    "ballad": 140.0,
    "cedar": 104.0,
    "coral": 208.0,
    "echo": 120.0,
    "marin": 196.0,
    "sage": 185.0,
    "shimmer": 230.0,
    "verse": 131.0,
}
# First and second formant in Hz: where the mouth's two chambers ring.
_VOWELS: Final = {
    "a": (800, 1250),
    "e": (530, 1850),
    "i": (300, 2250),
    "o": (500, 900),
    "u": (330, 800),
    "y": (320, 2050),
}
_HUMS: Final = {"m": (250, 1000), "n": (250, 1500), "l": (350, 1100), "r": (400, 1300), "w": (320, 700)}
_HISSES: Final = {"s": 0.30, "z": 0.24, "f": 0.16, "v": 0.14, "h": 0.12, "x": 0.28, "c": 0.20, "j": 0.22}
_TAPS: Final = frozenset("bdgkpqt")
_DIGITS: Final = ("ziro", "uan", "tu", "tri", "for", "faif", "six", "seven", "eit", "nain")
_PAUSES_MS: Final = {",": 120, ";": 140, ":": 140, ".": 220, "!": 220, "?": 220, "\n": 220}
_WORD_GAP_MS: Final = 45
_PEAK: Final = 11_000  # a third of full scale: loud enough for any detector, far from clipping
_FADE_FRAMES: Final = 120  # 5 ms


def synthesise(text: str, session: Session) -> Iterator[bytes]:
    """
    Speak *text* as *session* asks, word by word.

    Yields:
        PCM16: int16, little-endian, mono, 24 000 Hz; some tens of milliseconds at a time, made
        only when asked for, so a cancelled answer costs nothing.
    """
    name = session.voice if isinstance(session.voice, str) else str(session.voice.get("id", ""))
    yield from _speak(text, _pitch_of(name), session.speed)


def speak(text: str, *, voice: str = "alloy", speed: float = 1.0) -> bytes:
    """
    Speak *text* in one piece: for a test or a demonstration.

    Args:
        voice: One of the service's names, or any other; each has its own pitch.
        speed: 0.25 to 1.5; 1 is about 65 ms for each character.

    Returns:
        PCM16: int16, little-endian, mono, 24 000 Hz.
    """
    return b"".join(_speak(text, _pitch_of(voice), speed))


def _pitch_of(name: str) -> float:
    """The voice's own pitch in Hz; an unknown name gets one that is always the same."""
    known = _PITCH_HZ.get(name.lower())
    return known if known is not None else 105.0 + zlib.crc32(name.encode()) % 120


def _speak(text: str, pitch_hz: float, speed: float) -> Iterator[bytes]:
    letters = "".join(_DIGITS[int(c)] if c in "0123456789" else c for c in text.lower())
    asks = text.rstrip().endswith("?")
    total = max(1, len(letters))
    for position, letter in enumerate(letters):
        progress = position / total
        # A statement falls, a question rises at its end; both swing a little with the words.
        slope = 1.06 - 0.16 * progress if not asks else 0.96 + 0.22 * max(0.0, progress - 0.6) / 0.4
        contour = slope + 0.035 * math.sin(position * 1.7)
        yield _letter(letter, _period_frames(pitch_hz * contour), round(100 * speed))


def _period_frames(frequency_hz: float) -> int:
    """A whole number of frames per period, in steps of 4 so that few wave tables are needed."""
    return max(60, round(SAMPLE_RATE_HZ / frequency_hz / 4) * 4)


@lru_cache(maxsize=2048)
def _letter(letter: str, period: int, speed_percent: int) -> bytes:
    def frames_of(ms: float) -> int:
        # Multiples of three keep 8 kHz output free of leftovers.
        return round(ms * 100 / speed_percent * SAMPLE_RATE_HZ / 3000) * 3

    if letter in _VOWELS:
        return _shaped(_voiced(period, _VOWELS[letter]), frames_of(MS_PER_CHARACTER + 25), 1.0)
    if letter in _HUMS:
        return _shaped(_voiced(period, _HUMS[letter]), frames_of(MS_PER_CHARACTER), 0.6)
    if letter in _HISSES:
        return _shaped(_noise(), frames_of(MS_PER_CHARACTER), _HISSES[letter])
    if letter in _TAPS:
        closed = frames_of(MS_PER_CHARACTER * 0.6)
        tap = _shaped(_noise(), frames_of(MS_PER_CHARACTER * 0.25), 0.35)
        return bytes(2 * closed) + tap
    if letter in _PAUSES_MS:
        return bytes(2 * frames_of(_PAUSES_MS[letter]))
    if letter.isalpha():
        return _shaped(_voiced(period, _VOWELS["e"]), frames_of(MS_PER_CHARACTER), 0.8)
    return bytes(2 * frames_of(_WORD_GAP_MS))


@lru_cache(maxsize=512)
def _voiced(period: int, formants: tuple[int, int]) -> tuple[float, ...]:
    """One period of a buzz that rings at *formants*, scaled to a peak of 1."""
    fundamental_hz = SAMPLE_RATE_HZ / period
    wave = [0.0] * period
    for harmonic in range(1, int(3600 / fundamental_hz) + 1):
        frequency_hz = harmonic * fundamental_hz
        level = 0.25 / harmonic
        for centre_hz, weight in zip(formants, (1.0, 0.55), strict=True):
            level += weight * math.exp(-(((frequency_hz - centre_hz) / 220.0) ** 2)) / math.sqrt(harmonic)
        step = 2 * math.pi * harmonic / period
        for index in range(period):
            wave[index] += level * math.sin(step * index)
    peak = max(map(abs, wave))
    return tuple(value / peak for value in wave)


@lru_cache(maxsize=1)
def _noise() -> tuple[float, ...]:
    """Hiss: differences of random numbers, so that it is bright rather than rumbling."""
    source = random.Random(16)
    raw = [source.uniform(-1, 1) for _ in range(2_401)]
    return tuple((b - a) / 2 for a, b in pairwise(raw))


def _shaped(wave: tuple[float, ...], frames: int, gain: float) -> bytes:
    """*frames* of *wave*, repeated, faded in and out so that letters do not click."""
    repeats = frames // len(wave) + 1
    peak = _PEAK * gain
    flat = array("h", [int(peak * value) for value in wave]) * repeats
    sound = flat[:frames]
    fade = min(_FADE_FRAMES, frames // 2)
    for index in range(fade):
        sound[index] = sound[index] * index // fade
        sound[-1 - index] = sound[-1 - index] * index // fade
    return to_bytes(sound)
