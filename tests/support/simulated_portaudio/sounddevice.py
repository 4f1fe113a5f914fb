"""
In place of ``sounddevice``: one microphone and one loudspeaker that take real time, and need no sound card.

The microphone hears ``question.wav`` of the working directory and then silence; nobody hears the loudspeaker.
For programs of the documentation, which open the default devices.
"""

from __future__ import annotations

import os
import threading
import time
import types
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

RATE_HZ = int(os.environ.get("SIMULATED_RATE_HZ", "24000"))


class PortAudioError(Exception):
    """A device that cannot be used as asked."""


class CallbackAbort(Exception):  # noqa: N818  # PortAudio's name
    """Raised by a callback to end its stream."""


default = types.SimpleNamespace(hostapi=0, device=(0, 1))


def query_hostapis() -> tuple[dict[str, Any], ...]:
    """One."""
    return ({"name": "Simulated", "devices": [0, 1], "default_input_device": 0, "default_output_device": 1},)


def query_devices() -> tuple[dict[str, Any], ...]:
    """A microphone and a loudspeaker."""
    common = {"hostapi": 0, "default_samplerate": float(RATE_HZ)}
    return (
        {"index": 0, "name": "USB Microphone", "max_input_channels": 1, "max_output_channels": 0, **common},
        {"index": 1, "name": "USB Loudspeaker", "max_input_channels": 0, "max_output_channels": 1, **common},
    )


_initialized = 1  # by the import


def _initialize() -> None:
    global _initialized
    _initialized += 1


def _terminate() -> None:
    global _initialized
    if not _initialized:
        raise PortAudioError("Error terminating PortAudio: PortAudio not initialized")
    _initialized -= 1


def _exit_handler() -> None:
    pass


class _StreamBase:
    latency = 0.02

    def __init__(
        self,
        *,
        samplerate: float,
        blocksize: int,
        device: int,
        channels: int,
        dtype: str,
        latency: str,
        callback: Callable[..., None],
        finished_callback: Callable[[], None],
    ) -> None:
        if samplerate != RATE_HZ or channels != 1 or dtype != "int16":
            raise PortAudioError(f"the simulated devices have one channel at {RATE_HZ} Hz")
        self.closed = False
        self._frames, self._callback, self._finished = blocksize, callback, finished_callback
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated-portaudio", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(5)

    abort = stop

    def close(self) -> None:
        self.stop()
        self.closed = True

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._ended.wait(max(0.0, due - time.monotonic())):
                due += self._frames / RATE_HZ
                self._exchange(
                    types.SimpleNamespace(
                        currentTime=0.0, inputBufferAdcTime=-self.latency, outputBufferDacTime=self.latency
                    )
                )
        except CallbackAbort:
            pass
        self._finished()

    def _exchange(self, times: Any) -> None:
        raise NotImplementedError


class RawInputStream(_StreamBase):
    """The microphone."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        path = Path("question.wav")
        with wave.open(str(path)) if path.exists() else _nothing() as file:
            self._recording = file.readframes(file.getnframes()) if file else b""

    def _exchange(self, times: Any) -> None:
        size = 2 * self._frames
        block, self._recording = self._recording[:size], self._recording[size:]
        self._callback(block.ljust(size, b"\0"), self._frames, times, None)


class RawOutputStream(_StreamBase):
    """The loudspeaker."""

    def _exchange(self, times: Any) -> None:
        self._callback(memoryview(bytearray(2 * self._frames)), self._frames, times, None)


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()
