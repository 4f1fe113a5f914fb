"""Long recordings, cut where it is quiet into pieces that a recogniser takes."""

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
_LONGEST_MS: Final = 28_000
_SHORTEST_MS: Final = 18_000
"""Of a segment that others follow. Recognisers of speech look at half a minute at a time."""

_STEP_MS: Final = 100
_LEAST_MS: Final = 200
"""The service refuses less than 100 ms."""

_SILENT: Final = 33
"""Root mean square of what is not worth a question, some 60 dB below full scale: asked what is said in
silence, recognisers invent something."""


@frozen
class Segment:
    """
    A piece of a recording.

    Attributes:
        pcm: PCM16: int16, little-endian, mono, 24 000 Hz; at least 200 ms.
        start_ms: Where it begins in the recording.
        end_ms: Where it ends.
    """

    pcm: bytes
    start_ms: int
    end_ms: int


def segments(reader: AudioReader) -> Iterator[Segment]:
    """
    Yield what is to be heard of a recording, in order; not what is silent all through.

    Raises:
        ValueError: The file is damaged; what came before has been yielded.
        MissingExtraError: It has another rate, and the ``audio`` extra is not installed.
    """
    start = 0
    held = bytearray()
    for pcm in _at_our_rate(reader):
        held += pcm
        while len(held) > _LONGEST_MS * _MS_BYTES:
            cut = _quietest(held)
            yield from _segment(bytes(held[:cut]), start)
            del held[:cut]
            start += cut
    yield from _segment(bytes(held), start)


def _at_our_rate(reader: AudioReader) -> Iterator[bytes]:
    resampler = reader.resampler(SAMPLE_RATE_HZ)
    for block in reader.blocks(1.0):
        yield resampler.feed(block)
    yield resampler.finish()


def _segment(pcm: bytes, start: int) -> Iterator[Segment]:
    if max((_power(pcm, at) for at in range(0, len(pcm), _STEP_MS * _MS_BYTES)), default=0.0) >= _SILENT**2:
        yield Segment(
            pcm=pcm.ljust(_LEAST_MS * _MS_BYTES, b"\0"),
            start_ms=duration_ms(start),
            end_ms=duration_ms(start + len(pcm)),
        )


def _quietest(pcm: bytearray) -> int:
    """Return the middle of the quietest step in the region where a segment may end."""
    steps = range(_SHORTEST_MS * _MS_BYTES, _LONGEST_MS * _MS_BYTES, _STEP_MS * _MS_BYTES)
    quietest = min(steps, key=lambda at: _power(pcm, at))
    return quietest + _STEP_MS // 2 * _MS_BYTES


def _power(pcm: bytes | bytearray, at: int) -> float:
    samples = array("h", bytes(pcm[at : at + _STEP_MS * _MS_BYTES]))
    if sys.byteorder == "big":
        samples.byteswap()
    energy: int = sum(map(operator.mul, samples, samples))
    return energy / len(samples)
