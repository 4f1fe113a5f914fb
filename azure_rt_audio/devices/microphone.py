"""
A microphone that is read in blocks of PCM16.

**Threads and locks.** The stream callback writes into a lock-free ring buffer (see ``ring.py``) and
releases ``Microphone._wake``, an atomic operation; the reader acquires it to wait. It guards nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from .._concurrency.deadline import Deadline
from ..audio import SAMPLE_RATE_HZ, Resampler
from ..audio.level import level_db
from ..audio.resample import check_rate
from ..errors import DeviceError
from .events import DeviceEvent
from .portaudio import Stream
from .ring import Ring
from .supervisor import CallbackThread, DeviceSupervisor, check_device, check_ms

__all__ = ["Microphone"]

_FRAME: Final = 2


class Microphone:
    """
    A microphone.

    ::

        with Microphone() as microphone:
            while (block := microphone.read(timeout=1)) is not None:
                client.append_audio(block)

    Audio is buffered for :meth:`read`, up to *buffer_ms*; when the buffer is full, new blocks are dropped and
    counted as overflows. A device that disappears or stalls is replaced by the default device within about a
    second, or as soon as there is one; ``on_event`` reports both.

    Args:
        device: A number, or part of a name, ignoring case; ``None`` for the system's default.
        sample_rate_hz: Rate that :meth:`read` returns; converted if the device does not support it.
        block_ms: Length of a block that :meth:`read` returns.
        buffer_ms: Length of the buffer.
        on_event: Called with :class:`DeviceOpened` and :class:`DeviceLost`.

    Raises:
        ValueError: A length below 1 ms, or an unsupported rate.

    **Threads.** One thread reads, any thread may call the rest. ``on_event`` runs on its own thread; it may
    block, and may close the microphone.
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        block_ms: int = 20,
        buffer_ms: int = 10_000,
        on_event: Callable[[DeviceEvent], object] | None = None,
    ) -> None:
        check_rate("sample_rate_hz", sample_rate_hz)
        for name, value in (("block_ms", block_ms), ("buffer_ms", buffer_ms)):
            check_ms(name, value, 1)
        check_device(device)
        self._device = device
        self._rate: Final = sample_rate_hz
        self._block_ms = block_ms
        self._block_bytes = sample_rate_hz * block_ms // 1000 * _FRAME
        self._buffer_ms = buffer_ms
        self.on_event: Callable[[DeviceEvent], object] | None = on_event
        """May be set until :meth:`start`."""
        self._captures: deque[_Capture] = deque()  # appended to by the supervisor; the last one is written
        self._converted = bytearray()  # from _captures[0]; reader only
        self._supervisor: DeviceSupervisor | None = None
        self._event_thread: CallbackThread[DeviceEvent] | None = None
        self._wake = threading.Lock()  # held while there is nothing new
        self._is_closed = False
        self._captured_at = 0.0
        self._past_overflows = 0  # of captures that were removed
        self.is_muted: bool = False
        """Whether silence replaces the input, from the next block on."""

    def start(self) -> None:
        """
        Open the device and begin to record. Blocks until it is open, at most 10 seconds.

        Raises:
            DeviceError: There is no such device, or it cannot be opened.
            MissingExtraError: The ``audio`` extra is not installed.
            RuntimeError: The microphone was started before.
        """
        if self._supervisor is not None:
            raise RuntimeError("the microphone was already started; create a new one")
        if self.on_event is not None:
            self._event_thread = CallbackThread("azure-rt-microphone-events", self.on_event)
        self._supervisor = DeviceSupervisor(
            "input",
            self._device,
            sample_rate_hz=self._rate,
            block_ms=min(self._block_ms, 20),
            prepare=self._prepare,
            on_lost=_ignore,
            on_tick=_ignore,
            emit=_ignore if self._event_thread is None else self._event_thread.put,
        )
        try:
            self._supervisor.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop recording and close the device. Idempotent; blocks for three seconds at most."""
        self._is_closed = True
        self._wake_reader()
        if self._supervisor is not None:
            self._supervisor.close()
        if self._event_thread is not None:
            self._event_thread.close()

    def __enter__(self) -> Microphone:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read(self, timeout: float | None = None) -> bytes | None:
        """
        Return the next block. Blocks until it is there.

        Args:
            timeout: Seconds to wait; ``None`` waits without limit.

        Returns:
            ``block_ms`` of PCM16: int16, little-endian, mono, at :attr:`sample_rate_hz`. ``None`` if the
            time-out expired.

        Raises:
            DeviceError: The microphone is closed, or was not started.
        """
        deadline = Deadline(timeout)
        while True:
            if self._supervisor is None or self._is_closed:
                raise DeviceError(f"the microphone {'is closed' if self._is_closed else 'was not started'}")
            block = self._take()
            if block is not None:
                return block
            remaining = deadline.remaining()
            wait = -1 if remaining is None else min(remaining, threading.TIMEOUT_MAX)
            if not self._wake.acquire(timeout=wait):
                return None

    @property
    def captured_at(self) -> float:
        """Time of the first frame of the last block, in seconds of ``time.monotonic``."""
        return self._captured_at

    @property
    def level_db(self) -> float:
        """Level of the last 50 ms, in dBFS; -100 is silence."""
        captures = tuple(self._captures)
        return level_db(captures[-1].latest(50)) if captures else level_db(b"")

    @property
    def overflows(self) -> int:
        """Number of dropped blocks: the buffer was full, or the callback was late."""
        return self._past_overflows + sum(capture.overflows for capture in tuple(self._captures))

    @property
    def buffered_ms(self) -> int:
        """Milliseconds that are buffered for :meth:`read`."""
        converted_ms = len(self._converted) // _FRAME * 1000 // self._rate
        return converted_ms + sum(capture.buffered_ms for capture in tuple(self._captures))

    @property
    def device_name(self) -> str | None:
        """Name of the open device; ``None`` if there is none."""
        stream = None if self._supervisor is None else self._supervisor.stream
        return None if stream is None else stream.device.name

    @property
    def sample_rate_hz(self) -> int:
        """The rate that :meth:`read` returns."""
        return self._rate

    def _take(self) -> bytes | None:
        while len(self._converted) < self._block_bytes:
            if not self._captures:
                return None
            has_successor = len(self._captures) > 1  # read first: nothing is appended to this one later
            capture = self._captures[0]
            pcm = capture.take()
            if pcm:
                self._converted += pcm
            elif has_successor:
                self._converted += capture.resampler.finish()
                self._past_overflows += capture.overflows
                self._captures.popleft()
            else:
                return None
        if self._captures:
            self._captured_at = self._captures[0].time_of(len(self._converted) // _FRAME, self._rate)
        block = bytes(self._converted[: self._block_bytes])
        del self._converted[: self._block_bytes]
        return block

    def _wake_reader(self) -> None:
        # Another thread may release it in between.
        with contextlib.suppress(RuntimeError):
            if self._wake.locked():
                self._wake.release()

    def _prepare(self, stream: Stream) -> Callable[[Any, int, Any, Any], None]:
        """Return the callback of a stream. It runs on PortAudio's thread: it must not block or log."""
        capture = _Capture(stream, self._rate, self._buffer_ms)
        if self._captures and not self._captures[-1].ring.written:
            self._captures.pop()  # its stream could not be opened
        self._captures.append(capture)

        def callback(data: Any, frames: int, times: Any, status: Any) -> None:
            now = time.monotonic()
            stream.blocks += 1
            if status and status.input_overflow:
                capture.overflows += 1
            ago = times.currentTime - times.inputBufferAdcTime
            if not 0 <= ago < 5:  # some host APIs report nothing
                ago = stream.latency
            capture.write(bytes(len(data)) if self.is_muted else data, now - ago)
            self._wake_reader()

        return callback


class _Capture:
    """The buffered input of one stream, with its time. One thread writes, one reads; see ``ring.py``."""

    def __init__(self, stream: Stream, rate_hz: int, buffer_ms: int) -> None:
        self._rate = stream.sample_rate_hz
        self._frame = _FRAME * stream.channels
        self._chunk_bytes = self._rate // 100 * self._frame
        self._timestamp = (0, 0.0)  # a number of frames, and the time of the next one
        self.ring = Ring(max(self._rate * buffer_ms // 1000, self._rate // 5) * self._frame)
        self.resampler = Resampler(self._rate, rate_hz)
        self.overflows = 0

    def write(self, data: Any, at: float) -> None:
        self._timestamp = (self.ring.written // self._frame, at)
        if not self.ring.write(data):
            self.overflows += 1

    def take(self) -> bytes:
        """Remove and return the next audio, mono and converted; empty if there is none."""
        size = min(len(self.ring) // self._frame * self._frame, self._chunk_bytes)
        if not size:
            return b""
        pcm = self.ring.read(size)
        return self.resampler.feed(self._mono(pcm)) or self.take()

    def latest(self, ms: int) -> bytes:
        """Return the last milliseconds, mono, without removing them."""
        return self._mono(self.ring.latest(self._rate * ms // 1000 * self._frame))

    @property
    def buffered_ms(self) -> int:
        return len(self.ring) // self._frame * 1000 // self._rate

    def time_of(self, frames_before: int, rate_hz: int) -> float:
        """Return the time of the frame that lies *frames_before* converted frames before the next one."""
        frames, at = self._timestamp
        return at + (self.ring.consumed // self._frame - frames) / self._rate - frames_before / rate_hz

    def _mono(self, pcm: bytes) -> bytes:
        """Return the first channel."""
        if self._frame == _FRAME:
            return pcm
        mono = bytearray(len(pcm) // 2)
        mono[0::2], mono[1::2] = pcm[0::4], pcm[1::4]
        return bytes(mono)


def _ignore(*_: object) -> None:
    pass
