"""
Audio formats, and their conversion.

Inside the emulator audio is always PCM16: int16, little-endian, mono, 24 000 Hz. On the wire it may be G.711
at 8 000 Hz; this module is the only place that converts. Formats have the preview's names: ``pcm16``,
``g711_ulaw``, ``g711_alaw``.
"""

from __future__ import annotations

import sys
from array import array
from typing import Final

from ...audio.g711 import DECODERS, ENCODERS

__all__ = ["BYTES_PER_MS", "FORMATS", "SAMPLE_RATE_HZ", "from_wire", "samples", "to_bytes", "to_wire"]

SAMPLE_RATE_HZ: Final = 24_000
FORMATS: Final = ("pcm16", "g711_ulaw", "g711_alaw")
BYTES_PER_MS: Final = {"pcm16": 48, "g711_ulaw": 8, "g711_alaw": 8}

_RATIO: Final = 3  # 24 000 Hz to 8 000 Hz


def samples(pcm: bytes) -> array[int]:
    """PCM16 bytes of even length as native integers; shape (frames,)."""
    result = array("h")
    result.frombytes(pcm)
    if sys.byteorder == "big":
        result.byteswap()
    return result


def to_bytes(frames: array[int]) -> bytes:
    """Native integers of 16 bits as PCM16, little-endian."""
    if sys.byteorder == "big":
        frames = array("h", frames)
        frames.byteswap()
    return frames.tobytes()


def to_wire(pcm: bytes, audio_format: str) -> bytes:
    """
    Encode PCM16 24 000 Hz for the wire.

    For G.711 three frames become one, by their mean: a crude low-pass, good enough for a
    telephone. A last group of fewer than three frames is left out, so cut at multiples of three.
    """
    if audio_format == "pcm16":
        return pcm
    frames = samples(pcm)
    usable = len(frames) - len(frames) % _RATIO
    third = array(
        "h",
        [
            (a + b + c) // _RATIO
            for a, b, c in zip(
                frames[0:usable:_RATIO], frames[1:usable:_RATIO], frames[2:usable:_RATIO], strict=True
            )
        ],
    )
    return ENCODERS[audio_format](to_bytes(third))


def from_wire(data: bytes, audio_format: str) -> bytes:
    """Decode audio of the wire to PCM16 24 000 Hz; G.711 is interpolated linearly."""
    if audio_format == "pcm16":
        return data
    frames = samples(DECODERS[audio_format](data))
    result = array("h", bytes(2 * _RATIO * len(frames)))
    following = frames[1:]
    following.extend(frames[-1:])
    result[0::_RATIO] = frames
    result[1::_RATIO] = array("h", [(2 * a + b) // 3 for a, b in zip(frames, following, strict=True)])
    result[2::_RATIO] = array("h", [(a + 2 * b) // 3 for a, b in zip(frames, following, strict=True)])
    return to_bytes(result)
