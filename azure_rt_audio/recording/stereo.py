"""Sound of both sides together: left what was said, right what was heard."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable, Iterator
from typing import Final

from ..audio._audioop import audioop
from ..audio.pcm import SAMPLE_RATE_HZ
from .timeline import Timeline

__all__ = ["mixed_blocks", "stereo_blocks", "write_stereo"]

_FRAME_BYTES: Final = 2


def stereo_blocks(timeline: Timeline) -> Iterator[bytes]:
    """
    Yield the sound of a timeline, a second at a time.

    Yields:
        PCM16: int16, little-endian, stereo, 24 000 Hz; left what was said, right what was heard.
    """
    for said, heard in _both(timeline, 0.0, 1.0):
        left = audioop.tostereo(said, _FRAME_BYTES, 1, 0)
        yield audioop.add(left, audioop.tostereo(heard, _FRAME_BYTES, 0, 1), _FRAME_BYTES)


def mixed_blocks(timeline: Timeline, start: float, block_seconds: float) -> Iterator[bytes]:
    """Yield both sides mixed. PCM16: int16, little-endian, mono, 24 000 Hz."""
    for said, heard in _both(timeline, start, block_seconds):
        yield audioop.add(said, heard, _FRAME_BYTES)


def write_stereo(
    path: str | os.PathLike[str], timeline: Timeline, advance: Callable[[float], object] | None = None
) -> None:
    """
    Write the sound of a timeline as a WAV file: 16 bits, stereo, 24 000 Hz. Blocking.

    Args:
        advance: Called with the seconds that were written, to show progress.

    Raises:
        OSError: The file cannot be written.
        ValueError: It would be larger than 4 GB, which is twelve hours.
    """
    size = round(timeline.seconds * SAMPLE_RATE_HZ) * 2 * _FRAME_BYTES
    if size > 0xFFFFFFFF - 44:
        raise ValueError("a WAV file has 4 GB at most, twelve hours: divide the recording")
    with open(path, "wb") as file, wave.open(file, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(_FRAME_BYTES)
        writer.setframerate(SAMPLE_RATE_HZ)
        writer.setnframes(size // 4)
        for second, block in enumerate(stereo_blocks(timeline), 1):
            writer.writeframesraw(block)
            if advance is not None:
                advance(float(second))


def _both(timeline: Timeline, start: float, block_seconds: float) -> Iterator[tuple[bytes, bytes]]:
    said = timeline.said.blocks(timeline.seconds, start, block_seconds)
    return zip(said, timeline.heard.blocks(timeline.seconds, start, block_seconds), strict=True)
