"""Simulated microphone and speaker with the interfaces of real ones; the test advances their time."""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BLOCK = (b"\x00\x10" * 24 + b"\x00\xf0" * 24) * 10  # 20 ms of 500 Hz, loud
QUIET = bytes(960)


class StageMicrophone:
    """Brings what it is given."""

    def __init__(self, *blocks: bytes) -> None:
        self.is_muted = False
        self.on_event: Callable[[Any], object] | None = None
        self.captured_at = 0.0
        self.now = 0.0  # when the last block ends of those that were brought
        self.is_closed = threading.Event()
        self.is_started = False
        self._blocks: queue.Queue[tuple[bytes, float]] = queue.Queue()
        self.bring(*blocks)

    def bring(self, *blocks: bytes) -> None:
        for block in blocks:
            self._blocks.put((block, self.now))
            self.now += len(block) / 48_000

    def start(self) -> None:
        self.is_started = True

    def close(self) -> None:
        self.is_closed.set()

    def read(self, timeout: float) -> bytes | None:
        try:
            block, self.captured_at = (
                self._blocks.get(timeout=min(timeout, 0.02)) if timeout else self._blocks.get_nowait()
            )
        except queue.Empty:
            return None
        return bytes(len(block)) if self.is_muted else block


@dataclass(frozen=True)
class StagePlayed:
    item_id: str
    ms: int


class StageSpeaker:
    """Plays as many milliseconds as :meth:`play_on` says; keeps what was heard."""

    def __init__(self) -> None:
        self.level_db = -100.0
        self.on_event: Callable[[Any], object] | None = None
        self.on_played: Callable[[bytes, float], object] | None = None
        self.now = 0.0
        self.is_closed = threading.Event()
        self._news = threading.Condition()
        self._waiting: OrderedDict[str, bytearray] = OrderedDict()
        self._finished: set[str] = set()
        self._heard: OrderedDict[str, bytearray] = OrderedDict()
        self.stops = 0

    def start(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed.set()

    def play(self, pcm: bytes, *, item_id: str) -> None:
        with self._news:
            self._waiting.setdefault(item_id, bytearray()).extend(pcm)
            self._heard.setdefault(item_id, bytearray())
            self._news.notify_all()

    def finish(self, item_id: str) -> None:
        with self._news:
            self._finished.add(item_id)
            self._news.notify_all()

    def stop(self) -> tuple[StagePlayed, ...]:
        with self._news:
            self.stops += 1
            found = tuple(StagePlayed(name, len(self._heard[name]) // 48) for name in self._waiting)
            self._waiting.clear()
            self._news.notify_all()
            return found

    def played_ms(self, item_id: str) -> float:
        with self._news:
            return len(self._heard.get(item_id, b"")) / 48

    @property
    def is_playing(self) -> bool:
        with self._news:
            return bool(self._waiting)

    # for the tests

    @property
    def items(self) -> list[str]:
        """All items of which something came, in order."""
        with self._news:
            return list(self._heard)

    def heard(self, item_id: str) -> bytes:
        with self._news:
            return bytes(self._heard[item_id])

    @property
    def finished(self) -> int:
        """How many items have come completely."""
        with self._news:
            return len(self._finished)

    def waiting_ms(self) -> float:
        with self._news:
            return sum(map(len, self._waiting.values())) / 48

    def play_on(self, ms: float) -> None:
        """Let that much time pass; there must be enough to play."""
        self._play_on(int(ms) * 48)

    def _play_on(self, left: int) -> None:
        with self._news:
            while left:
                assert self._waiting, f"{left // 48} ms too few"
                name, pcm = next(iter(self._waiting.items()))
                part = pcm[:left]
                self._heard[name] += part
                if self.on_played is not None:
                    self.on_played(bytes(part), self.now)
                self.now += len(part) / 48_000
                del pcm[: len(part)]
                left -= len(part)
                if not pcm:
                    del self._waiting[name]

    def play_out(self) -> None:
        """Let enough time pass for everything that came."""
        with self._news:
            waiting = sum(map(len, self._waiting.values()))
        self._play_on(waiting)

    def wait_for_ms(self, ms: float, timeout: float = 5.0) -> None:
        """Block until that much waits to be played."""
        with self._news:
            is_there = self._news.wait_for(lambda: sum(map(len, self._waiting.values())) / 48 >= ms, timeout)
        assert is_there, "the sound did not come"

    def wait_until_finished(self, count: int = 1, timeout: float = 5.0) -> None:
        """Block until so many items have come completely."""
        with self._news:
            assert self._news.wait_for(lambda: len(self._finished) >= count, timeout), "no item was finished"

    def wait_until_stopped(self, count: int = 1, timeout: float = 5.0) -> None:
        """Block until it has been stopped so often."""
        with self._news:
            assert self._news.wait_for(lambda: self.stops >= count, timeout), "it was not stopped"
