"""
What left the speaker when, lined up with what the microphone brings.

Both devices run on clocks of their own, and both report in bursts. So the two ends of this timeline
go on from where they were, frame by frame, and jump only when they are off by more than a burst.
Needs the ``audio`` extra (numpy).
"""

from __future__ import annotations

import collections
from typing import Any, Final

from .._extras import importing

__all__ = ["SAMPLE_RATE_HZ", "Reference"]

SAMPLE_RATE_HZ: Final = 24_000

_KEPT_FRAMES: Final = 3 * SAMPLE_RATE_HZ
_SLACK_FRAMES: Final = 60 * SAMPLE_RATE_HZ // 1000


class Reference:
    """
    The speaker's sound of the last seconds, by the time at which it left.

    **Threads.** One thread adds, the speaker's callback among them: adding takes no lock and waits for
    nothing. One other thread takes.
    """

    def __init__(self) -> None:
        with importing("numpy", "audio", "Echo control"):
            import numpy
        self._numpy: Any = numpy
        # Appending and popping are single steps of the interpreter. Two minutes of blocks of 10 ms may wait.
        self._arrivals: collections.deque[tuple[bytes, float]] = collections.deque(maxlen=12_000)
        self._ring: Any = numpy.zeros(_KEPT_FRAMES, "<i2")
        self._written = 0  # frames since the clock's zero; the ring holds those before it
        self._read = 0

    def add(self, pcm: bytes, when: float) -> None:
        """
        Note what leaves the speaker.

        Args:
            pcm: PCM16: int16, little-endian, mono, 24 000 Hz.
            when: Seconds of ``time.monotonic`` at which its first frame leaves; may be in the future.
        """
        self._arrivals.append((pcm, when))

    def take(self, frames: int, now: float) -> bytes:
        """
        Return what left during the *frames* that end now, silence where nothing did.

        Args:
            now: Seconds of ``time.monotonic``.

        Returns:
            PCM16 of exactly that many frames.
        """
        while self._arrivals:
            self._write(*self._arrivals.popleft())
        start = _continued(self._read, round(now * SAMPLE_RATE_HZ) - frames)
        self._read = start + frames
        sound = self._numpy.zeros(frames, "<i2")
        first = max(start, self._written - _KEPT_FRAMES)
        last = min(self._read, self._written)
        if first < last:
            places = self._numpy.arange(first, last) % _KEPT_FRAMES
            sound[first - start : last - start] = self._ring[places]
        result: bytes = sound.tobytes()
        return result

    def _write(self, pcm: bytes, when: float) -> None:
        sound = self._numpy.frombuffer(pcm, "<i2")
        start = _continued(self._written, round(when * SAMPLE_RATE_HZ))
        gap = min(start - self._written, _KEPT_FRAMES)
        if gap > 0:  # it was silent in between
            self._ring[self._numpy.arange(start - gap, start) % _KEPT_FRAMES] = 0
        self._written = start + len(sound)
        kept = sound[-_KEPT_FRAMES:]
        self._ring[self._numpy.arange(self._written - len(kept), self._written) % _KEPT_FRAMES] = kept


def _continued(position: int, measured: int) -> int:
    """Where a stream goes on: where it was, unless the clock says that it cannot be true."""
    return position if abs(measured - position) <= _SLACK_FRAMES else measured
