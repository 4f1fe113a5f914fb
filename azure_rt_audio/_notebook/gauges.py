"""How loud the answer is, for the live view. Pure: seconds of a monotonic clock come in with every call."""

from __future__ import annotations

from typing import Final

from ..audio.g711 import DECODERS
from ..audio.level import peak_db
from ..protocol.events import ResponseOutputAudioDelta

__all__ = ["Levels"]

_BLOCK_SECONDS: Final = 0.05
_QUIETEST_DB: Final = -50.0
_HOUR_OF_BLOCKS: Final = int(3600 / _BLOCK_SECONDS)


class Levels:
    """
    How loud the answer is at each moment while it is heard.

    It comes faster than it is spoken, so the levels wait for their time, which begins with the first of them.
    """

    def __init__(self) -> None:
        self._levels: list[float] = []
        self._began = 0.0
        self._response: str | None = None

    def add(self, delta: ResponseOutputAudioDelta, audio_format: str | None, now: float) -> None:
        """Take more of an answer; the first of another one ends the former."""
        if delta.response_id != self._response:
            self._levels, self._began, self._response = [], now, delta.response_id
        decode = DECODERS.get(audio_format or "")
        sound = delta.audio if decode is None else decode(delta.audio)
        step = int((24_000 if decode is None else 8_000) * _BLOCK_SECONDS) * 2
        if len(self._levels) < _HOUR_OF_BLOCKS:
            whole = len(sound) // 2 * 2
            self._levels += [_height(sound[i : min(i + step, whole)]) for i in range(0, whole, step)]

    def stop(self) -> None:
        """The answer is not heard any more."""
        self._levels = []

    def at(self, now: float) -> float:
        """Return the level, from 0.0 (nothing) to 1.0 (as loud as can be)."""
        place = int((now - self._began) / _BLOCK_SECONDS)
        return self._levels[place] if 0 <= place < len(self._levels) else 0.0

    def is_heard_at(self, now: float) -> bool:
        """Whether there is more to come from then on."""
        return now < self._began + len(self._levels) * _BLOCK_SECONDS


def _height(pcm: bytes) -> float:
    return max(0.0, 1.0 - peak_db(pcm) / _QUIETEST_DB)
