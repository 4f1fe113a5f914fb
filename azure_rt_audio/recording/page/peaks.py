"""Waveforms: the lowest and the highest sample of each short piece of sound."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from ...audio._audioop import audioop
from ...audio.pcm import SAMPLE_RATE_HZ
from ..tracks import Track

__all__ = ["peaks", "piece_ms"]

_FRAME_BYTES: Final = 2
_FINE_SECONDS: Final = 600.0
_COARSE_SECONDS: Final = 4_000.0


def piece_ms(seconds: float) -> int:
    """Return how long a piece of a recording of *seconds* is: 5 to 20 ms, so that a page stays small."""
    return 5 if seconds <= _FINE_SECONDS else 10 if seconds <= _COARSE_SECONDS else 20


def peaks(track: Track, seconds: float, ms: int, advance: Callable[[float], object] | None = None) -> bytes:
    """
    Return the waveform of a track.

    Args:
        ms: Length of a piece.
        advance: Called with the seconds that were read, to show progress.

    Returns:
        Two bytes for each piece: the lowest and the highest sample, divided by 256, plus 128.
    """
    step = ms * SAMPLE_RATE_HZ // 1000 * _FRAME_BYTES
    silence = bytes([128, 128])
    found = bytearray()
    for second, block in enumerate(track.blocks(seconds), 1):
        if block.count(0) == len(block):
            found += silence * -(-len(block) // step)
        else:
            native = block if sys.byteorder == "little" else audioop.byteswap(block, _FRAME_BYTES)
            for first in range(0, len(native), step):
                low, high = audioop.minmax(native[first : first + step], _FRAME_BYTES)
                found.append((low >> 8) + 128)
                found.append((high >> 8) + 128)
        if advance is not None:
            advance(float(second))
    return bytes(found)
