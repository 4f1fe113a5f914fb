"""
A microphone and a speaker without a device, for tests, demonstrations and machines without sound.

The microphone plays a recording; the speaker takes real time, makes no sound, and keeps what it played.
Both take the place of real ones::

    microphone, speaker = SimulatedMicrophone(question), SimulatedSpeaker()
    with client.talk(microphone, speaker, echo="headphones"):
        ...

Pure arithmetic on the clock: neither has a thread, and nothing but the standard library is needed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from ..audio import SAMPLE_RATE_HZ, AudioLike, to_pcm16
from ..audio.level import level_db
from ..errors import DeviceError
from .events import Played
from .supervisor import check_ms

__all__ = ["SimulatedMicrophone", "SimulatedSpeaker"]

_BYTES_PER_MS: Final = 48
_LEVEL_MS: Final = 50


class SimulatedMicrophone:
    """
    A microphone that hears what it is told to, at the pace of speech, and silence before and after.

    Args:
        recording: PCM16: int16, little-endian, mono, 24 000 Hz, or what
            :func:`azure_rt_audio.audio.to_pcm16` takes; heard from :meth:`start` on.
        repeat: Whether the recording is heard again and again.
        block_ms: How much :meth:`read` returns at a time.
        tempo: Seconds of sound per second.

    Raises:
        ValueError: A tempo or a length that is not positive.
        TypeError: A length that is no whole number, or a tempo that is none at all.

    **Threads.** One thread reads, any may do the rest.
    """

    def __init__(
        self, recording: AudioLike = b"", *, repeat: bool = False, block_ms: int = 20, tempo: float = 1.0
    ) -> None:
        _check_tempo(tempo)
        check_ms("block_ms", block_ms, 1)
        self.on_event: Callable[[Any], object] | None = None
        """Never called: nothing is lost."""
        self.is_muted: bool = False
        self.captured_at: float = 0.0
        heard = bytes(to_pcm16(recording))
        self._repeated = heard if repeat else b""
        self._block_bytes = block_ms * _BYTES_PER_MS
        self._block_s = block_ms / 1000 / tempo
        self._lock = threading.Lock()  # leaf; guards _waiting and _silent_since
        self._waiting = bytearray(heard)
        self._silent_since: float | None = None
        self._ends_at = 0.0  # the next block
        self._has_started = False
        self._closed = threading.Event()

    def start(self) -> None:
        """Begin to hear."""
        self._ends_at = time.monotonic() + self._block_s
        self._has_started = True

    def close(self) -> None:
        """End, for good; a :meth:`read` that waits ends as well."""
        self._closed.set()

    def say(self, pcm: AudioLike) -> None:
        """Let it hear PCM16, 24 000 Hz, after what it has been told before. Does not wait."""
        heard = to_pcm16(pcm)
        with self._lock:
            self._waiting += heard
            self._silent_since = None

    @property
    def silent_s(self) -> float:
        """Seconds since :meth:`read` brought the last of what it was told to hear; 0 until then."""
        with self._lock:
            return 0.0 if self._silent_since is None else time.monotonic() - self._silent_since

    def read(self, timeout: float | None = None) -> bytes | None:
        """
        Return the next block, waiting for it.

        Args:
            timeout: Seconds to wait at most; ``None`` has no limit.

        Returns:
            ``block_ms`` of PCM16: int16, little-endian, mono, 24 000 Hz. ``None`` when the time is over.

        Raises:
            DeviceError: The microphone was closed, by any thread, or never started.
        """
        if not self._has_started:
            raise DeviceError("the microphone was not started")
        wait = max(0.0, self._ends_at - time.monotonic())
        if self._closed.wait(wait if timeout is None else min(wait, timeout)):
            raise DeviceError("the microphone is closed")
        if timeout is not None and timeout < wait:
            return None
        self.captured_at = self._ends_at - self._block_s
        self._ends_at += self._block_s
        with self._lock:
            block = bytes(self._waiting[: self._block_bytes])
            del self._waiting[: self._block_bytes]
            if not self._waiting:
                self._waiting += self._repeated
            if block and not self._waiting:
                self._silent_since = time.monotonic()
        return bytes(self._block_bytes) if self.is_muted else block.ljust(self._block_bytes, b"\0")


class _Item:
    """An item, as far as it came and was played."""

    def __init__(self, item_id: str) -> None:
        self.item_id = item_id
        self.waiting = bytearray()
        self.heard = bytearray()
        self.is_over = False  # nothing more comes: it was finished, or stopped


class SimulatedSpeaker:
    """
    A speaker that nobody hears: it takes as long as a real one, and keeps what it played.

    Args:
        tempo: Seconds of sound per second.

    Raises:
        ValueError: A tempo that is not positive.
        TypeError: A tempo that is no number.

    **Threads.** Any method may be called from any thread.
    """

    def __init__(self, *, tempo: float = 1.0) -> None:
        _check_tempo(tempo)
        self.on_event: Callable[[Any], object] | None = None
        """Never called: nothing is lost."""
        self.on_played: Callable[[bytes, float], object] | None = None
        """Never called: nothing is heard, by a microphone either."""
        self._frames_per_s = SAMPLE_RATE_HZ * tempo
        self._lock = threading.Lock()  # leaf; guards all that follows
        self._now = 0.0  # until when it has played
        self._queue: list[_Item] = []  # in their order; the last may have run dry
        self._items: dict[str, _Item] = {}  # the latest of each id

    def start(self) -> None:
        """Begin to play; it always does."""

    def close(self) -> None:
        """Be silent."""
        self.stop()

    def play(self, pcm: AudioLike, *, item_id: str = "") -> None:
        """
        Append PCM16 (int16, little-endian, mono, 24 000 Hz) of an item. Does not wait.

        After :meth:`finish` or :meth:`stop`, the same id begins a new item.
        """
        sound = to_pcm16(pcm)
        with self._lock:
            self._play_on_locked()
            item = self._items.get(item_id)
            if item is None or item.is_over:
                item = self._items[item_id] = _Item(item_id)
            if item not in self._queue:
                self._queue.append(item)
            item.waiting += sound

    def finish(self, item_id: str = "") -> None:
        """Say that nothing more of an item will come."""
        with self._lock:
            if item_id in self._items:
                self._items[item_id].is_over = True

    def stop(self) -> tuple[Played, ...]:
        """Drop what waits, and return how much was played of the items that were not played out."""
        with self._lock:
            self._play_on_locked()
            sizes = [(item.item_id, len(item.heard)) for item in self._queue]
            for item in self._queue:
                item.is_over = True
            self._queue.clear()
        return tuple(Played(item_id, size // 2, size // _BYTES_PER_MS, False) for item_id, size in sizes)

    def heard(self, item_id: str = "") -> bytes:
        """Return what was played of an item by now. PCM16: int16, little-endian, mono, 24 000 Hz."""
        with self._lock:
            self._play_on_locked()
            return bytes(self._items[item_id].heard) if item_id in self._items else b""

    def played_ms(self, item_id: str = "") -> int:
        """Return how much was played of an item by now."""
        with self._lock:
            self._play_on_locked()
            return len(self._items[item_id].heard) // _BYTES_PER_MS if item_id in self._items else 0

    @property
    def is_playing(self) -> bool:
        """Whether something that was given to it has not been played yet."""
        with self._lock:
            self._play_on_locked()
            return any(item.waiting for item in self._queue)

    @property
    def level_db(self) -> float:
        """How loud the last 50 ms were, in dB below full scale; -100 is silence."""
        with self._lock:
            self._play_on_locked()
            playing = next((item for item in self._queue if item.waiting), None)
            latest = b"" if playing is None else bytes(playing.heard[-_LEVEL_MS * _BYTES_PER_MS :])
        return level_db(latest)

    def _play_on_locked(self) -> None:
        """Play what there has been time for since the last call."""
        frames = int((time.monotonic() - self._now) * self._frames_per_s)
        self._now += frames / self._frames_per_s
        left = frames * 2
        for item in self._queue.copy():
            part = item.waiting[:left]
            item.heard += part
            del item.waiting[: len(part)]
            left -= len(part)
            # One that another follows is over, finished or not.
            if not item.waiting and (item.is_over or item is not self._queue[-1]):
                self._queue.remove(item)


def _check_tempo(tempo: float) -> None:
    if isinstance(tempo, bool) or not isinstance(tempo, int | float):
        raise TypeError(f"tempo must be a number of seconds of sound per second, not {tempo!r}")
    if not 0 < tempo < float("inf"):
        raise ValueError(f"tempo is {tempo}: pass seconds of sound per second, more than 0")
