"""
A microphone, as blocks of PCM16.

**Threads and locks.** PortAudio's thread writes into a ring without a lock (see ``ring.py``) and opens
a gate, which is one step in C; the reader takes from the ring and waits at the gate. No other lock.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from .._concurrency.deadline import Deadline
from ..audio import SAMPLE_RATE_HZ, Resampler
from ..audio.level import level_db
from ..audio.resample import check_rate
from ..errors import DeviceError
from .events import DeviceEvent
from .portaudio import Line
from .ring import Ring
from .supervisor import CallbackThread, DeviceSupervisor

__all__ = ["Microphone"]

_FRAME: Final = 2


class Microphone:
    """
    A microphone.

    ::

        with Microphone() as microphone:
            while (block := microphone.read(timeout=1)) is not None:
                client.append_audio(block)

    What is recorded waits for :meth:`read`, up to *buffer_ms*; when that is full, what is recorded next
    is lost and counted. A device that disappears or stalls is replaced by the default one within a
    second or so, or when there is one; ``on_event`` tells.

    Args:
        device: A number, or part of a name in any case; ``None`` for the system's default.
        sample_rate_hz: Of what :meth:`read` returns; a device that cannot record at it is converted.
        block_ms: How much :meth:`read` returns at a time.
        buffer_ms: How much waits for :meth:`read`.
        on_event: Called with :class:`DeviceOpened` and :class:`DeviceLost`.

    Raises:
        ValueError: A length that is not positive, or a rate that nothing has.

    **Threads.** One thread reads, any may do the rest. ``on_event`` runs on a thread of its own; it may
    take its time, and may close the microphone.
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
            if value < 1:
                raise ValueError(f"{name} is {value}: pass milliseconds, at least 1")
        self._device = device
        self._rate: Final = sample_rate_hz
        self._block_ms = block_ms
        self._block_bytes = sample_rate_hz * block_ms // 1000 * _FRAME
        self._buffer_ms = buffer_ms
        self.on_event: Callable[[DeviceEvent], object] | None = on_event
        """As given; may be changed before :meth:`start`."""
        self._tapes: deque[_Capture] = deque()  # the last is being written; appended to by the attendant
        self._ready = bytearray()  # converted, of _tapes[0]; the reader's
        self._attendant: DeviceSupervisor | None = None
        self._messenger: CallbackThread[DeviceEvent] | None = None
        self._gate = threading.Lock()  # shut while there is nothing new; opened by PortAudio's thread
        self._is_closed = False
        self._captured_at = 0.0
        self._lost_blocks = 0  # of tapes that were read to their end
        self.is_muted: bool = False
        """Whether silence takes the place of what is recorded, from the next block on."""

    def start(self) -> None:
        """
        Open the device and begin to record; blocks until that is done, at most 10 seconds.

        Raises:
            DeviceError: There is none, or it cannot be opened.
            MissingExtraError: The ``audio`` extra is not installed.
            RuntimeError: It was started already.
        """
        if self._attendant is not None:
            raise RuntimeError("the microphone was started already; make another one")
        if self.on_event is not None:
            self._messenger = CallbackThread("azure-rt-microphone-events", self.on_event)
        self._attendant = DeviceSupervisor(
            "input",
            self._device,
            sample_rate_hz=self._rate,
            block_ms=min(self._block_ms, 20),
            prepare=self._prepare,
            on_lost=_nothing,
            on_tick=_nothing,
            tell=_nothing if self._messenger is None else self._messenger.put,
        )
        try:
            self._attendant.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop recording, for good; returns within three seconds or so, whatever the driver does."""
        self._is_closed = True
        self._open_gate()
        if self._attendant is not None:
            self._attendant.close()
        if self._messenger is not None:
            self._messenger.close()

    def __enter__(self) -> Microphone:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, timeout: float | None = None) -> bytes | None:
        """
        Return the next block, waiting for it.

        Args:
            timeout: Seconds to wait at most; ``None`` has no limit.

        Returns:
            ``block_ms`` of PCM16: int16, little-endian, mono, at :attr:`sample_rate_hz`. ``None`` when
            the time is over.

        Raises:
            DeviceError: The microphone was closed, by any thread, or never started.
        """
        deadline = Deadline(timeout)
        while True:
            if self._attendant is None or self._is_closed:
                raise DeviceError(f"the microphone {'is closed' if self._is_closed else 'was not started'}")
            block = self._take()
            if block is not None:
                return block
            remaining = deadline.remaining()
            wait = -1 if remaining is None else min(remaining, threading.TIMEOUT_MAX)
            if not self._gate.acquire(timeout=wait):
                return None

    @property
    def captured_at(self) -> float:
        """When the first frame of the last block was recorded, in seconds of ``time.monotonic``."""
        return self._captured_at

    @property
    def level_db(self) -> float:
        """How loud the last 50 ms are, in dB below full scale; -100 is silence."""
        tapes = tuple(self._tapes)
        return level_db(tapes[-1].latest(50)) if tapes else level_db(b"")

    @property
    def overflows(self) -> int:
        """How many blocks were lost, because nobody read in time or because the machine was too busy."""
        return self._lost_blocks + sum(tape.lost for tape in tuple(self._tapes))

    @property
    def buffered_ms(self) -> int:
        """How much waits to be read."""
        tapes = tuple(self._tapes)
        return len(self._ready) // _FRAME * 1000 // self._rate + sum(tape.waiting_ms for tape in tapes)

    @property
    def device_name(self) -> str | None:
        """The name of the device that is open, ``None`` if none is."""
        line = None if self._attendant is None else self._attendant.line
        return None if line is None else line.device.name

    @property
    def sample_rate_hz(self) -> int:
        """The rate of what :meth:`read` returns."""
        return self._rate

    def _take(self) -> bytes | None:
        while len(self._ready) < self._block_bytes:
            if not self._tapes:
                return None
            has_successor = len(self._tapes) > 1  # asked first: after it nothing is added to this one
            tape = self._tapes[0]
            pcm = tape.take()
            if pcm:
                self._ready += pcm
            elif has_successor:
                self._ready += tape.resampler.finish()
                self._lost_blocks += tape.lost
                self._tapes.popleft()
            else:
                return None
        if self._tapes:
            self._captured_at = self._tapes[0].time_of(len(self._ready) // _FRAME, self._rate)
        block = bytes(self._ready[: self._block_bytes])
        del self._ready[: self._block_bytes]
        return block

    def _open_gate(self) -> None:
        # Somebody else may open it in between.
        with contextlib.suppress(RuntimeError):
            if self._gate.locked():
                self._gate.release()

    def _prepare(self, line: Line) -> Callable[[Any, int, Any, Any], None]:
        """Make the callback of a line. It runs on PortAudio's thread: no waiting, no logging."""
        tape = _Capture(line, self._rate, self._buffer_ms)
        if self._tapes and not self._tapes[-1].ring.written:
            self._tapes.pop()  # of a line that could not be opened
        self._tapes.append(tape)

        def callback(data: Any, frames: int, times: Any, status: Any) -> None:
            now = time.monotonic()
            line.blocks += 1
            if status and status.input_overflow:
                tape.lost += 1
            ago = times.currentTime - times.inputBufferAdcTime
            if not 0 <= ago < 5:  # some host APIs do not tell
                ago = line.latency
            tape.write(bytes(len(data)) if self.is_muted else data, now - ago)
            self._open_gate()

        return callback


class _Capture:
    """What one line recorded, and when. One thread writes, one reads; see ``ring.py``."""

    def __init__(self, line: Line, rate_hz: int, buffer_ms: int) -> None:
        self._rate = line.sample_rate_hz
        self._frame = _FRAME * line.channels
        self._piece = self._rate // 100 * self._frame
        self._mark = (0, 0.0)  # a number of frames, and when the next one was recorded
        self.ring = Ring(max(self._rate * buffer_ms // 1000, self._rate // 5) * self._frame)
        self.resampler = Resampler(self._rate, rate_hz)
        self.lost = 0

    def write(self, data: Any, at: float) -> None:
        self._mark = (self.ring.written // self._frame, at)
        if not self.ring.write(data):
            self.lost += 1

    def take(self) -> bytes:
        """Return some more, mono and converted; nothing if there is nothing."""
        size = min(len(self.ring) // self._frame * self._frame, self._piece)
        if not size:
            return b""
        pcm = self.ring.read(size)
        return self.resampler.feed(self._mono(pcm)) or self.take()

    def latest(self, ms: int) -> bytes:
        """Look at the last so many milliseconds."""
        return self._mono(self.ring.latest(self._rate * ms // 1000 * self._frame))

    @property
    def waiting_ms(self) -> int:
        return len(self.ring) // self._frame * 1000 // self._rate

    def time_of(self, frames_before: int, rate_hz: int) -> float:
        """Return when the frame was recorded that lies so many converted frames before the next to take."""
        frames, at = self._mark
        return at + (self.ring.consumed // self._frame - frames) / self._rate - frames_before / rate_hz

    def _mono(self, pcm: bytes) -> bytes:
        """The first channel."""
        if self._frame == _FRAME:
            return pcm
        mono = bytearray(len(pcm) // 2)
        mono[0::2], mono[1::2] = pcm[0::4], pcm[1::4]
        return bytes(mono)


def _nothing(*_: object) -> None:
    pass
