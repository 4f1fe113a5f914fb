"""Sounds to play, and what to compare of them; PCM16 at 24 kHz."""

from __future__ import annotations

import math
import queue
import statistics
import time
from typing import Any, TypeVar

import numpy
from sound.room import RATE_HZ

T = TypeVar("T")


def tone(seconds: float, hz: float = 440.0, level: float = 0.3) -> bytes:
    """Return a sine."""
    time = numpy.arange(int(seconds * RATE_HZ)) / RATE_HZ
    sine: bytes = numpy.rint(32767 * level * numpy.sin(2 * math.pi * hz * time)).astype("<i2").tobytes()
    return sine


def noise(seconds: float, *, seed: int = 1, level: float = 0.1) -> bytes:
    """Return noise up to 6 kHz, which is like itself at one place only; never silent for long."""
    source = numpy.random.default_rng(seed)
    spectrum = numpy.fft.rfft(source.standard_normal(int(seconds * RATE_HZ)))
    spectrum[len(spectrum) // 2 :] = 0
    wave = numpy.fft.irfft(spectrum, int(seconds * RATE_HZ))
    scaled: bytes = numpy.rint(wave / wave.std() * 32767 * level).clip(-32767, 32767).astype("<i2").tobytes()
    return scaled


def likeness(said: bytes, heard: bytes) -> float:
    """
    Return how like the two are where they are most alike, as the correlation of their typical 50 ms.

    A gap, where the machine was too busy to keep up with real time, is so no reason to fail.
    """
    size = RATE_HZ // 20 * 2
    parts = [said[start : start + size] for start in range(0, len(said) - size + 1, size)]
    return statistics.median(best_match(part, heard)[0] for part in parts)


def best_match(part: bytes, whole: bytes) -> tuple[float, int]:
    """Return the correlation of *part* with where it is most like *whole*, and at which frame that is."""
    a, b = (numpy.frombuffer(pcm, "<i2").astype("f8") for pcm in (part, whole))
    assert len(b) >= len(a), "the recording is shorter than what is looked for"
    size = 1 << (len(a) + len(b)).bit_length()
    products = numpy.fft.irfft(numpy.fft.rfft(b, size) * numpy.fft.rfft(a, size).conj(), size)
    shift = int(products[: len(b) - len(a) + 1].argmax())
    window = b[shift : shift + len(a)]
    return float(window @ a / math.sqrt((window @ window) * (a @ a) or 1.0)), shift


class Events:
    """Remembers what ``on_event`` was told."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._news: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __call__(self, event: Any) -> None:
        self.all.append(event)
        self._news.put(event)

    def wait_for(self, kind: type[T], timeout: float = 10.0) -> T:
        """Return the next event of a kind."""
        deadline = time.monotonic() + timeout
        while True:
            event = self._news.get(timeout=max(0.0, deadline - time.monotonic()))
            if isinstance(event, kind):
                return event
