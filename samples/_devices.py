"""
A microphone and a speaker for a machine without sound: a recording speaks, and nobody hears the answer.

A program of your own needs none of this: ``client.talk()`` opens the real ones.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from _service import parser

from azure_rt_audio import RealtimeError
from azure_rt_audio.audio import read_wav
from azure_rt_audio.devices import Played, list_devices
from azure_rt_audio.devices.level import level_db
from azure_rt_audio.voice import MicrophoneLike, SpeakerLike

BLOCK_BYTES = 960  # 20 ms of PCM16, 24 000 Hz
BYTES_PER_MS = 48

parser.add_argument("--recording", action="store_true", help="a recording, even if there is a microphone")


def devices() -> tuple[MicrophoneLike | None, SpeakerLike | None]:
    """Return a microphone and a speaker for ``client.talk()``; ``None`` stands for those of the system."""
    try:
        found = () if parser.parse_args().recording else list_devices()
    except RealtimeError:
        found = ()
    is_complete = any(each.input_channels for each in found) and any(each.output_channels for each in found)
    return (None, None) if is_complete else (Asking(), Unheard())


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


class Asking:
    """A microphone that hears a question, at the pace of speech, and after a pause of some seconds again."""

    def __init__(self, pause_s: float = 8.0) -> None:
        with (files("azure_rt_audio") / "data" / "question.wav").open("rb") as file:
            self._sound = read_wav(file) + bytes(int(pause_s * 50) * BLOCK_BYTES)
        self._position = 0
        self._closed = threading.Event()
        self.captured_at = 0.0
        self.is_muted = False
        self.on_event: Callable[[Any], object] | None = None

    def start(self) -> None:
        self.captured_at = time.monotonic() - 0.02

    def close(self) -> None:
        self._closed.set()

    def read(self, timeout: float) -> bytes | None:
        due = self.captured_at + 0.04  # a block can be read when it is over
        if self._closed.wait(max(0.0, min(timeout, due - time.monotonic()))) or time.monotonic() < due:
            return None
        self.captured_at += 0.02
        block = self._sound[self._position : self._position + BLOCK_BYTES]
        self._position = (self._position + BLOCK_BYTES) % len(self._sound)
        return bytes(BLOCK_BYTES) if self.is_muted else block.ljust(BLOCK_BYTES, b"\0")


class Unheard:
    """A speaker that takes its time, and makes no sound."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: dict[str, tuple[float, bytearray]] = {}  # when it began, in seconds; guarded by _lock
        self._end = 0.0
        self.on_event: Callable[[Any], object] | None = None
        self.on_played: Callable[[bytes, float], object] | None = None

    def start(self) -> None:
        pass

    def close(self) -> None:
        self.stop()

    def play(self, pcm: bytes, *, item_id: str) -> None:
        with self._lock:
            self._end = max(self._end, time.monotonic())
            self._items.setdefault(item_id, (self._end, bytearray()))[1].extend(pcm)
            self._end += len(pcm) / BYTES_PER_MS / 1000

    def finish(self, item_id: str) -> None:
        pass

    def stop(self) -> list[Played]:
        with self._lock:
            found = [
                (item_id, self._heard(item_id), len(sound)) for item_id, (_, sound) in self._items.items()
            ]
            self._items.clear()
            self._end = 0.0
        return [
            Played(item_id, frames=int(ms * 24), ms=int(ms), is_complete=False)
            for item_id, ms, size in found
            if ms < size / BYTES_PER_MS
        ]

    def _heard(self, item_id: str) -> float:
        begun, sound = self._items.get(item_id, (0.0, b""))
        return max(0.0, min((time.monotonic() - begun) * 1000, len(sound) / BYTES_PER_MS))

    def played_ms(self, item_id: str) -> float:
        with self._lock:
            return self._heard(item_id)

    @property
    def is_playing(self) -> bool:
        return time.monotonic() < self._end

    @property
    def level_db(self) -> float:
        with self._lock:
            for begun, sound in reversed(self._items.values()):
                at = int((time.monotonic() - begun) * 1000) * BYTES_PER_MS
                if 0 <= at < len(sound):
                    return level_db(sound[at : at + 50 * BYTES_PER_MS])
        return level_db(b"")
