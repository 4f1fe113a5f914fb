"""
Noticing that an interruption was the assistant's own voice.

What the service was sent is compared with what left the speaker: an echo is the same wave, later and
softer, while the voice of a user is not. Pure. Needs the ``audio`` extra (numpy).
"""

from __future__ import annotations

import collections
from typing import Any, Final

from .._extras import importing

__all__ = ["SelfInterruptionDetector"]

_RATIO: Final = 3  # compared at 8 000 Hz
_HEARD_FRAMES: Final = 4_800  # 600 ms
_PLAYED_FRAMES: Final = 12_000  # 1.5 s: an echo may be 900 ms late
_ECHO_LIKENESS: Final = 0.35
_OFTEN: Final = 3
_WITHIN_S: Final = 60.0


class SelfInterruptionDetector:
    """
    The last moments of both sides, and how often they were the same.

    **Threads.** One thread at a time.
    """

    def __init__(self) -> None:
        with importing("numpy", "audio", "Echo control"):
            import numpy
        self._numpy: Any = numpy
        self._sent: Any = numpy.zeros(_HEARD_FRAMES, "f4")
        self._played: Any = numpy.zeros(_PLAYED_FRAMES, "f4")
        self._times: collections.deque[float] = collections.deque()
        self.interruptions: int = 0
        """How often the assistant has interrupted itself so far."""

    def feed(self, sent: bytes, played: bytes) -> None:
        """Take both sides of the same moment: PCM16, 24 000 Hz, multiples of three frames."""
        self._sent = self._shifted(self._sent, sent)
        self._played = self._shifted(self._played, played)

    def _shifted(self, kept: Any, pcm: bytes) -> Any:
        frames = self._numpy.frombuffer(pcm, "<i2").astype("f4")
        coarse = frames[: len(frames) // _RATIO * _RATIO].reshape(-1, _RATIO).mean(axis=1)
        return self._numpy.concatenate((kept, coarse))[-len(kept) :]

    def likeness(self) -> float:
        """How much of what was sent is an echo: 0 to 1, from the best match over all delays."""
        numpy = self._numpy
        # The differences of neighbours: speech has its power at the bottom, where any two voices are alike.
        sent, played = numpy.diff(self._sent), numpy.diff(self._played)
        energy = float(sent @ sent)
        if energy < len(sent):  # less than one step of 16 bits: silence
            return 0.0
        size = 1 << (len(sent) + len(played) - 1).bit_length()
        spectrum = numpy.fft.rfft(played, size) * numpy.fft.rfft(sent, size).conj()
        lags = len(played) - len(sent) + 1
        products = numpy.abs(numpy.fft.irfft(spectrum, size)[:lags])
        sums = numpy.concatenate(([0.0], numpy.cumsum(played.astype("f8") ** 2)))
        energies = numpy.maximum(sums[len(sent) :] - sums[: len(sums) - len(sent)], 1.0)[:lags]
        return float((products / numpy.sqrt(energies * energy)).max())

    def on_interruption(self, now: float) -> bool:
        """
        The user is said to have spoken while an answer was playing.

        Args:
            now: Seconds of any clock that does not run backwards.

        Returns:
            Whether it was the assistant itself, and not for the first time: three times in a minute.
        """
        if self.likeness() < _ECHO_LIKENESS:
            return False
        self.interruptions += 1
        self._times.append(now)
        while self._times and now - self._times[0] > _WITHIN_S:
            self._times.popleft()
        return len(self._times) >= _OFTEN
