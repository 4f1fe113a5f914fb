"""
G.711: µ-law and A-law, the telephone network's one byte per sample.

PCM16 here is int16, little-endian, mono; 2 bytes per frame. G.711 is 1 byte per frame, by
convention at 8 kHz; these functions change the encoding, never the sample rate. Results are bit
for bit those of the standard library's former ``audioop``.

Tables are derived on first use, about 2 ms each, and kept; importing this module builds nothing.

**Threads**: every function may be called from any thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["alaw_decode", "alaw_encode", "ulaw_decode", "ulaw_encode"]

# The numbers of ITU-T G.711. µ-law works on 14-bit samples, A-law on 13-bit ones.
_ULAW_BIAS: Final = 33
_ULAW_CLIP: Final = 0x1FFF - _ULAW_BIAS  # with the bias added, 13 bits hold the loudest sample
_ALAW_EVEN_BITS: Final = 0x55  # every other bit travels inverted, so that silence is no run of zeros
_PIECE_FRAMES: Final = 4096  # half a second; larger pieces spend their time allocating integers


def ulaw_encode(pcm: Buffer) -> bytes:
    """
    Compress to µ-law.

    Args:
        pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; shape (frames,).

    Returns:
        One byte per frame.

    Raises:
        ValueError: An odd number of bytes.
    """
    return _encode(pcm, _ulaw_encoder())


def ulaw_decode(ulaw: Buffer) -> bytes:
    """
    Expand µ-law, one byte per frame.

    Returns:
        PCM16: int16, little-endian, mono; 2 bytes per frame; shape (frames,).
    """
    return _decode(ulaw, *_ulaw_decoder())


def alaw_encode(pcm: Buffer) -> bytes:
    """
    Compress to A-law.

    Args:
        pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; shape (frames,).

    Returns:
        One byte per frame.

    Raises:
        ValueError: An odd number of bytes.
    """
    return _encode(pcm, _alaw_encoder())


def alaw_decode(alaw: Buffer) -> bytes:
    """
    Expand A-law, one byte per frame.

    Returns:
        PCM16: int16, little-endian, mono; 2 bytes per frame; shape (frames,).
    """
    return _decode(alaw, *_alaw_decoder())


def _encode(pcm: Buffer, table: bytes) -> bytes:
    octets = _octets(pcm)
    if len(octets) % 2:
        raise ValueError(
            f"pcm has {len(octets)} bytes, but PCM16 has 2 bytes per frame: "
            "keep the odd byte and send it with the next chunk"
        )
    if sys.byteorder == "big":
        swapped = bytearray(len(octets))
        swapped[0::2], swapped[1::2] = octets[1::2], octets[0::2]
        octets = memoryview(swapped)
    samples = octets.cast("H")
    pieces = (samples[start : start + _PIECE_FRAMES] for start in range(0, len(samples), _PIECE_FRAMES))
    # One itemgetter call is the fastest look-up the standard library has. With fewer than two
    # arguments it is something else, hence the two extra zeros, dropped from the result.
    return b"".join(bytes(itemgetter(0, 0, *piece)(table)[2:]) for piece in pieces)


def _decode(g711: Buffer, low: bytes, high: bytes) -> bytes:
    octets = _octets(g711).tobytes()
    pcm = bytearray(2 * len(octets))
    pcm[0::2] = octets.translate(low)
    pcm[1::2] = octets.translate(high)
    return bytes(pcm)


def _octets(buffer: Buffer) -> memoryview:
    view = memoryview(buffer)
    # A view with a zero in its shape cannot be cast.
    return view.cast("B") if view.nbytes else memoryview(b"")


def _ulaw_code(sample: int) -> int:
    """Return the µ-law byte of a 14-bit *sample*."""
    inversion = 0x7F if sample < 0 else 0xFF
    magnitude = min(abs(sample), _ULAW_CLIP) + _ULAW_BIAS
    segment = magnitude.bit_length() - 6
    return (segment << 4 | magnitude >> (segment + 1) & 0x0F) ^ inversion


def _alaw_code(sample: int) -> int:
    """Return the A-law byte of a 13-bit *sample*."""
    sign = 0 if sample < 0 else 0x80
    magnitude = ~sample if sample < 0 else sample
    segment = max(magnitude.bit_length() - 5, 0)
    return (sign | segment << 4 | magnitude >> max(segment, 1) & 0x0F) ^ _ALAW_EVEN_BITS


def _ulaw_sample(code: int) -> int:
    """Return the 16-bit sample in the middle of the interval that *code* stands for."""
    code ^= 0xFF
    bias = _ULAW_BIAS << 2
    magnitude = (((code & 0x0F) << 3) + bias << (code >> 4 & 7)) - bias
    return -magnitude if code & 0x80 else magnitude


def _alaw_sample(code: int) -> int:
    """Return the 16-bit sample in the middle of the interval that *code* stands for."""
    code ^= _ALAW_EVEN_BITS
    segment = code >> 4 & 7
    magnitude = ((code & 0x0F) << 4) + 8
    if segment:
        magnitude = magnitude + 0x100 << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


@cache
def _ulaw_encoder() -> bytes:
    return _encoder(_ulaw_code, significant_bits=14)


@cache
def _alaw_encoder() -> bytes:
    return _encoder(_alaw_code, significant_bits=13)


@cache
def _ulaw_decoder() -> tuple[bytes, bytes]:
    return _decoder(_ulaw_sample)


@cache
def _alaw_decoder() -> tuple[bytes, bytes]:
    return _decoder(_alaw_sample)


def _encoder(code_of: Callable[[int], int], *, significant_bits: int) -> bytes:
    """Return the code of each int16, indexed by the sample read as uint16."""
    half = 1 << (significant_bits - 1)
    repeats = 1 << (16 - significant_bits)
    codes = bytes(map(code_of, (*range(half), *range(-half, 0))))
    table = bytearray(1 << 16)
    for offset in range(repeats):
        table[offset::repeats] = codes
    return bytes(table)


def _decoder(sample_of: Callable[[int], int]) -> tuple[bytes, bytes]:
    """Return the low and the high byte of each code's sample."""
    samples = [sample_of(code) & 0xFFFF for code in range(256)]
    return bytes(sample & 0xFF for sample in samples), bytes(sample >> 8 for sample in samples)
