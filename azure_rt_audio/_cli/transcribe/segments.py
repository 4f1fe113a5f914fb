"""Splits long recordings at quiet positions into segments for a recogniser."""

from __future__ import annotations

import operator
import sys
from array import array
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from ...audio import SAMPLE_RATE_HZ, AudioReader, duration_ms

__all__ = ["Segment", "segments"]

_MS_BYTES: Final = SAMPLE_RATE_HZ // 1000 * 2
_MAX_MS: Final = 28_000
_MIN_MS: Final = 18_000
"""Except for the last segment. Speech recognisers process windows of half a minute."""

_STEP_MS: Final = 100
_PADDED_MS: Final = 200
"""Minimum length, by padding; the service refuses less than 100 ms."""

_SILENCE_RMS: Final = 33
"""Segments below it, about -60 dBFS, are skipped, because recognisers hallucinate text in silence."""


@frozen
class Segment:
    """
    A segment of a recording.

    Attributes:
        pcm: PCM16: int16, little-endian, mono, 24 000 Hz; at least 200 ms.
        start_ms: Its beginning in the recording.
        end_ms: Its end.
    """

    pcm: bytes
    start_ms: int
    end_ms: int


def segments(reader: AudioReader) -> Iterator[Segment]:
    """
    Yield the segments of a recording in order, without silent ones.

    Raises:
        ValueError: The file is damaged; earlier segments have been yielded.
        MissingExtraError: The file has another rate, and the ``audio`` extra is not installed.
    """
    start = 0
    held = bytearray()
    for pcm in _resampled(reader):
        held += pcm
        while len(held) > _MAX_MS * _MS_BYTES:
            cut = _quietest(held)
            yield from _segment(bytes(held[:cut]), start)
            del held[:cut]
            start += cut
    yield from _segment(bytes(held), start)


def _resampled(reader: AudioReader) -> Iterator[bytes]:
    resampler = reader.resampler(SAMPLE_RATE_HZ)
    for block in reader.blocks(1.0):
        yield resampler.feed(block)
    yield resampler.finish()


def _segment(pcm: bytes, start: int) -> Iterator[Segment]:
    if (
        max((_power(pcm, at) for at in range(0, len(pcm), _STEP_MS * _MS_BYTES)), default=0.0)
        >= _SILENCE_RMS**2
    ):
        yield Segment(
            pcm=pcm.ljust(_PADDED_MS * _MS_BYTES, b"\0"),
            start_ms=duration_ms(start),
            end_ms=duration_ms(start + len(pcm)),
        )


def _quietest(pcm: bytearray) -> int:
    """Return the middle of the quietest step in the region where a segment may end."""
    steps = range(_MIN_MS * _MS_BYTES, _MAX_MS * _MS_BYTES, _STEP_MS * _MS_BYTES)
    quietest = min(steps, key=lambda at: _power(pcm, at))
    return quietest + _STEP_MS // 2 * _MS_BYTES


def _power(pcm: bytes | bytearray, at: int) -> float:
    samples = array("h", bytes(pcm[at : at + _STEP_MS * _MS_BYTES]))
    if sys.byteorder == "big":
        samples.byteswap()
    energy: int = sum(map(operator.mul, samples, samples))
    return energy / len(samples)
