"""
Detects interruptions that were caused by the assistant's own voice.

The audio sent is correlated with the audio played: an echo is the same waveform, delayed and attenuated;
the voice of a user is not. Pure. Needs the ``audio`` extra (numpy).
"""

from __future__ import annotations

import collections
from typing import Any, Final

from .._extras import importing

__all__ = ["SelfInterruptionDetector"]

_DECIMATION: Final = 3  # to 8 000 Hz
_SENT_FRAMES: Final = 4_800  # 600 ms
_PLAYED_FRAMES: Final = 12_000  # 1.5 s, so a delay of up to 900 ms
_MIN_CORRELATION: Final = 0.35
_MIN_COUNT: Final = 3
_WINDOW_S: Final = 60.0


class SelfInterruptionDetector:
    """
    Keeps the last 600 ms that were sent and 1.5 s that were played, and counts self-interruptions.

    **Threads.** Not shared; one thread at a time.
    """

    def __init__(self) -> None:
        with importing("numpy", "audio", "Echo control"):
            import numpy
        self._numpy: Any = numpy
        self._sent: Any = numpy.zeros(_SENT_FRAMES, "f4")
        self._played: Any = numpy.zeros(_PLAYED_FRAMES, "f4")
        self._times: collections.deque[float] = collections.deque()
        self.interruptions: int = 0
        """Number of self-interruptions so far."""

    def feed(self, sent: bytes, played: bytes) -> None:
        """Add both directions of the same time: PCM16, 24 000 Hz, multiples of three frames."""
        self._sent = self._appended(self._sent, sent)
        self._played = self._appended(self._played, played)

    def _appended(self, kept: Any, pcm: bytes) -> Any:
        frames = self._numpy.frombuffer(pcm, "<i2").astype("f4")
        coarse = frames[: len(frames) // _DECIMATION * _DECIMATION].reshape(-1, _DECIMATION).mean(axis=1)
        return self._numpy.concatenate((kept, coarse))[-len(kept) :]

    def correlation(self) -> float:
        """Return the highest normalised cross-correlation over all delays: 0 to 1."""
        numpy = self._numpy
        # First differences: the power of speech is at low frequencies, where any two voices correlate.
        sent, played = numpy.diff(self._sent), numpy.diff(self._played)
        energy = float(sent @ sent)
        if energy < len(sent):  # less than one quantisation step: silence
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
        Note that the service detected speech during playback.

        Args:
            now: Seconds of a monotonic clock.

        Returns:
            Whether this was the third self-interruption, or a later one, within a minute.
        """
        if self.correlation() < _MIN_CORRELATION:
            return False
        self.interruptions += 1
        self._times.append(now)
        while self._times and now - self._times[0] > _WINDOW_S:
            self._times.popleft()
        return len(self._times) >= _MIN_COUNT
