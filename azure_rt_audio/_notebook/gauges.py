"""
What is measured for the live view: how loud the answer is, and how soon it came.

Pure: seconds of a monotonic clock come in with every call.
"""

from __future__ import annotations

import array
import math
import sys
from typing import Final

from ..audio.g711 import alaw_decode, ulaw_decode
from ..protocol.events import (
    ConversationItemAdded,
    Event,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStopped,
    ResponseCreated,
    ResponseFunctionCallArgumentsDelta,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
)
from ..protocol.items import MessageItem

__all__ = ["Latency", "Levels"]

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
        rate_hz = 24_000
        sound = delta.audio
        if audio_format in ("g711_ulaw", "g711_alaw"):
            sound = (ulaw_decode if audio_format == "g711_ulaw" else alaw_decode)(sound)
            rate_hz = 8_000
        samples = array.array("h", sound[: len(sound) // 2 * 2])
        if sys.byteorder == "big":
            samples.byteswap()
        step = int(rate_hz * _BLOCK_SECONDS)
        if len(self._levels) < _HOUR_OF_BLOCKS:
            self._levels += [_level(samples[i : i + step]) for i in range(0, len(samples), step)]

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


def _level(samples: array.array[int]) -> float:
    peak = max(max(samples), -min(samples), 1)
    return max(0.0, 1.0 - 20.0 * math.log10(peak / 32768) / _QUIETEST_DB)


class Latency:
    """
    How long after the user's turn the answer begins.

    Attributes:
        seconds: Of the latest answer; ``None`` before the first.
    """

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._asked: float | None = None

    def see(self, event: Event, now: float) -> None:
        """Take an event into account; of what asks, the latest before the answer counts."""
        if isinstance(event, InputAudioBufferSpeechStopped | InputAudioBufferCommitted):
            self._asked = now
        elif isinstance(event, ConversationItemAdded):
            if not (isinstance(event.item, MessageItem) and event.item.role == "assistant"):
                self._asked = now
        elif isinstance(event, ResponseCreated):
            self._asked = now if self._asked is None else self._asked
        elif self._asked is not None and isinstance(
            event,
            ResponseOutputAudioDelta
            | ResponseOutputAudioTranscriptDelta
            | ResponseOutputTextDelta
            | ResponseFunctionCallArgumentsDelta,
        ):
            self.seconds, self._asked = now - self._asked, None
