"""
The echo reference: the speaker's output, aligned with the microphone's input.

The devices have different clocks, and both report in bursts. So each end of the timeline continues
frame by frame, and is resynchronised only when it is off by more than a burst. Needs the ``audio`` extra
(numpy).
"""

from __future__ import annotations

import collections
from typing import Any, Final

from .._extras import importing

__all__ = ["SAMPLE_RATE_HZ", "Reference"]

SAMPLE_RATE_HZ: Final = 24_000

_CAPACITY_FRAMES: Final = 3 * SAMPLE_RATE_HZ
_TOLERANCE_FRAMES: Final = 60 * SAMPLE_RATE_HZ // 1000


class Reference:
    """
    The speaker's output of the last three seconds, by time.

    **Threads.** One thread adds, possibly the speaker's callback: adding takes no lock and does not block.
    One other thread takes.
    """

    def __init__(self) -> None:
        with importing("numpy", "audio", "Echo control"):
            import numpy
        self._numpy: Any = numpy
        # Appending and popping are atomic. Room for two minutes of 10 ms blocks.
        self._arrivals: collections.deque[tuple[bytes, float]] = collections.deque(maxlen=12_000)
        self._ring: Any = numpy.zeros(_CAPACITY_FRAMES, "<i2")
        self._written = 0  # end of the ring's content, in frames since the clock's zero
        self._read = 0

    def add(self, pcm: bytes, when: float) -> None:
        """
        Add a block of the speaker's output.

        Args:
            pcm: PCM16: int16, little-endian, mono, 24 000 Hz.
            when: Time of its first frame, in seconds of ``time.monotonic``; may be in the future.
        """
        self._arrivals.append((pcm, when))

    def take(self, frames: int, now: float) -> bytes:
        """
        Return the output of the *frames* that end now, with silence where there was none.

        Args:
            now: Seconds of ``time.monotonic``.

        Returns:
            PCM16 of exactly that many frames.
        """
        while self._arrivals:
            self._write(*self._arrivals.popleft())
        start = _next_position(self._read, round(now * SAMPLE_RATE_HZ) - frames)
        self._read = start + frames
        sound = self._numpy.zeros(frames, "<i2")
        first = max(start, self._written - _CAPACITY_FRAMES)
        last = min(self._read, self._written)
        if first < last:
            places = self._numpy.arange(first, last) % _CAPACITY_FRAMES
            sound[first - start : last - start] = self._ring[places]
        result: bytes = sound.tobytes()
        return result

    def _write(self, pcm: bytes, when: float) -> None:
        sound = self._numpy.frombuffer(pcm, "<i2")
        start = _next_position(self._written, round(when * SAMPLE_RATE_HZ))
        gap = min(start - self._written, _CAPACITY_FRAMES)
        if gap > 0:  # silence in between
            self._ring[self._numpy.arange(start - gap, start) % _CAPACITY_FRAMES] = 0
        self._written = start + len(sound)
        kept = sound[-_CAPACITY_FRAMES:]
        self._ring[self._numpy.arange(self._written - len(kept), self._written) % _CAPACITY_FRAMES] = kept


def _next_position(position: int, measured: int) -> int:
    """Continue at the last position, or at the measured one if they differ too much."""
    return position if abs(measured - position) <= _TOLERANCE_FRAMES else measured
