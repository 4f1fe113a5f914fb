"""
G.711: µ-law and A-law, the telephone network's one byte per sample.

PCM16 here is int16, little-endian, mono; 2 bytes per frame. G.711 is 1 byte per frame, by
convention at 8 kHz; these functions change the encoding, never the sample rate.

**Threads**: every function may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ._audioop import audioop, swapped
from .samples import AudioLike, mono, octets

__all__ = [
    "DECODERS",
    "ENCODERS",
    "alaw_decode",
    "alaw_encode",
    "resembles_pcm16",
    "ulaw_decode",
    "ulaw_encode",
]

_LEAST: Final = 2_000
"""Bytes from which on a sound may resemble PCM16: 40 ms of it, far more than a packet of G.711."""

_SMALL: Final = bytes([*range(16), *range(240, 256)])
"""High bytes of samples below an eighth of full scale, as most of speech and music are."""


def ulaw_encode(pcm: AudioLike) -> bytes:
    """
    Compress to µ-law.

    Args:
        pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; or an array, as
            :func:`~azure_rt_audio.audio.to_pcm16` takes it.

    Returns:
        One byte per frame.

    Raises:
        ValueError: An odd number of bytes.
    """
    return audioop.lin2ulaw(swapped(mono(pcm)), 2)


def ulaw_decode(ulaw: AudioLike) -> bytes:
    """
    Expand µ-law, one byte per frame.

    Returns:
        PCM16: int16, little-endian, mono; 2 bytes per frame; shape (frames,).
    """
    return bytes(swapped(audioop.ulaw2lin(octets(ulaw, "G.711"), 2)))


def alaw_encode(pcm: AudioLike) -> bytes:
    """
    Compress to A-law.

    Args:
        pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; or an array, as
            :func:`~azure_rt_audio.audio.to_pcm16` takes it.

    Returns:
        One byte per frame.

    Raises:
        ValueError: An odd number of bytes.
    """
    return audioop.lin2alaw(swapped(mono(pcm)), 2)


def alaw_decode(alaw: AudioLike) -> bytes:
    """
    Expand A-law, one byte per frame.

    Returns:
        PCM16: int16, little-endian, mono; 2 bytes per frame; shape (frames,).
    """
    return bytes(swapped(audioop.alaw2lin(octets(alaw, "G.711"), 2)))


ENCODERS: Final[dict[str, Callable[[AudioLike], bytes]]] = {
    "g711_ulaw": ulaw_encode,
    "g711_alaw": alaw_encode,
}
DECODERS: Final[dict[str, Callable[[AudioLike], bytes]]] = {
    "g711_ulaw": ulaw_decode,
    "g711_alaw": alaw_decode,
}
"""By the service's names of formats."""


def resembles_pcm16(sound: bytes) -> bool:
    """
    Whether bytes are PCM16 rather than G.711, as far as can be told; of short or loud sound it cannot.

    Every other byte of PCM16 is the high one of a sample, and mostly small; the low ones are of any size. The
    bytes of G.711 are all of one kind.
    """
    if len(sound) < _LEAST:
        return False
    low, high = sound[::2], sound[1::2]
    small = len(low.translate(None, _SMALL)) - len(high.translate(None, _SMALL))
    return small > 0.2 * len(high) and len(set(low)) > 128
