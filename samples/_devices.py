"""
A microphone and a speaker for a machine without sound: a recording speaks, and nobody hears the answer.

A program of your own needs none of this: ``client.talk()`` opens the real ones.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

BLOCK_BYTES = 960  # 20 ms of PCM16, 24 000 Hz


class Recorded:
    """A microphone that brings what it is told to say, faster than anybody speaks."""

    def __init__(self) -> None:
        self.is_muted = False
        self.captured_at = 0.0
        self.on_event: Callable[[Any], object] | None = None
        self._blocks: queue.Queue[bytes] = queue.Queue()

    def say(self, pcm: bytes) -> None:
        for start in range(0, len(pcm), BLOCK_BYTES):
            self._blocks.put(pcm[start : start + BLOCK_BYTES])

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass

    def read(self, timeout: float) -> bytes | None:
        try:
            block = self._blocks.get(timeout=timeout) if timeout else self._blocks.get_nowait()
        except queue.Empty:
            return None
        self.captured_at = time.monotonic() - len(block) / 48_000
        return block


class Played(NamedTuple):
    """What was heard of an item."""

    item_id: str
    ms: int


class Unheard:
    """A speaker that takes its time, and makes no sound."""

    def __init__(self) -> None:
        self.level_db = -100.0
        self.on_event: Callable[[Any], object] | None = None
        self.on_played: Callable[[bytes, float], object] | None = None
        self._lock = threading.Lock()  # guards the rest
        self._begun = 0.0
        self._lengths_ms: dict[str, float] = {}  # of what is in the queue, in its order

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass

    def play(self, pcm: bytes, *, item_id: str) -> None:
        with self._lock:
            if self._elapsed_ms() >= sum(self._lengths_ms.values()):
                self._lengths_ms.clear()
                self._begun = time.monotonic()
            self._lengths_ms[item_id] = self._lengths_ms.get(item_id, 0.0) + len(pcm) / 48

    def finish(self, item_id: str) -> None:
        pass

    def stop(self) -> tuple[Played, ...]:
        with self._lock:
            found = tuple(Played(item, int(self._heard_ms(item))) for item in self._lengths_ms)
            self._lengths_ms.clear()
        return found

    def played_ms(self, item_id: str) -> float:
        with self._lock:
            return self._heard_ms(item_id)

    @property
    def is_playing(self) -> bool:
        with self._lock:
            return self._elapsed_ms() < sum(self._lengths_ms.values())

    def _elapsed_ms(self) -> float:
        return (time.monotonic() - self._begun) * 1000

    def _heard_ms(self, item_id: str) -> float:
        left = self._elapsed_ms()
        for item, length in self._lengths_ms.items():
            if item == item_id:
                return max(0.0, min(left, length))
            left -= length
        return 0.0
