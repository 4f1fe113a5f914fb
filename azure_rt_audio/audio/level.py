"""
How loud PCM16 is: int16, little-endian, mono; 2 bytes per frame.

In dB below full scale (dBFS), from -100, which is silence or nothing at all, to 0.

**Threads**: every function may be called from any thread.
"""

from __future__ import annotations

import math
from typing import Final

from ._audioop import audioop, swapped
from .samples import AudioLike, mono

__all__ = ["SILENCE_DB", "level_db", "peak_db"]

SILENCE_DB: Final = -100.0


def level_db(pcm: AudioLike) -> float:
    """Return the level: RMS in dBFS. A full-scale square wave has 0, a full-scale sine -3."""
    return _db(audioop.rms(swapped(mono(pcm)), 2))


def peak_db(pcm: AudioLike) -> float:
    """Return the level of the loudest sample in dBFS."""
    return _db(audioop.max(swapped(mono(pcm)), 2))


def _db(amplitude: int) -> float:
    return 20 * math.log10(amplitude / 32768) if amplitude else SILENCE_DB
