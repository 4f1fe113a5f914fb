"""
Somebody who keeps a device open, notices when it is lost, and opens another.

**Threads and locks.** A thread ``azure-rt-microphone-N`` or ``azure-rt-speaker-N`` opens, watches and
opens again. What it has to tell goes through a :class:`CallbackThread`, whose thread may run user code as
long as it likes. No lock.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from .._concurrency import shutdown
from ..errors import DeviceError, RealtimeError
from .events import DeviceEvent, DeviceLost, DeviceOpened, Kind
from .portaudio import Device, Line, find, list_devices, load, look_again, open_line

__all__ = ["CallbackThread", "DeviceSupervisor"]

logger: Final = logging.getLogger(__name__)

_T = TypeVar("_T")

_TICK_SECONDS: Final = 0.02
_STALL_TICKS: Final = 30  # in a row without a block: 0.6 s, and never because the whole process stood still
_FIRST_BLOCK_TICKS: Final = 150  # a device may have to wake up
_RETRY_TICKS: Final = 25
_OPEN_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0

_numbers = itertools.count(1)


class CallbackThread(Generic[_T]):
    """
    Hands things to a function, one after the other, on a thread of its own.

    **Threads.** Any may :meth:`put`, PortAudio's too: a ``SimpleQueue`` takes no lock of Python.
    """

    def __init__(self, name: str, receive: Callable[[_T], object]) -> None:
        self._receive = receive
        self._queue: queue.SimpleQueue[_T | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, thing: _T) -> None:
        """Let it be handed over."""
        self._queue.put(thing)

    def close(self) -> None:
        """End the thread after what was put; waits for a second, unless called on that very thread."""
        self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while (thing := self._queue.get()) is not None:
            try:
                self._receive(thing)
            except Exception:  # user code: the next thing is to be handed over all the same
                logger.exception("! listener of device events failed")


class DeviceSupervisor:
    """
    Keeps one device open, from :meth:`start` to :meth:`close`.

    Args:
        kind: ``"input"`` or ``"output"``.
        wanted: Which device; see :func:`find`. When it is lost, the default is opened.
        prepare: Makes the callback of a line.
        on_lost: Called when one is lost.
        on_tick: Called 50 times a second.
        tell: Where events go.

    **Threads.** The four functions run on the attendant's thread, *prepare*'s result on PortAudio's.
    """

    def __init__(
        self,
        kind: Kind,
        wanted: str | int | None,
        *,
        sample_rate_hz: int,
        block_ms: int,
        prepare: Callable[[Line], Callable[[Any, int, Any, Any], None]],
        on_lost: Callable[[], None],
        on_tick: Callable[[], None],
        tell: Callable[[DeviceEvent], None],
    ) -> None:
        self._kind = kind
        self._wanted = wanted
        self._rate = sample_rate_hz
        self._block_ms = block_ms
        self._prepare = prepare
        self._on_lost = on_lost
        self._on_tick = on_tick
        self._tell = tell
        self._closing = threading.Event()
        self._opened = threading.Event()
        self._refusal: Exception | None = None
        what = "microphone" if kind == "input" else "speaker"
        self._name: Final = f"azure-rt-{what}-{next(_numbers)}"
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self.line: Line | None = None  # replaced by the attendant's thread only

    def start(self) -> None:
        """
        Open the device; blocks until that is done, at most 10 seconds.

        Raises:
            DeviceError: It cannot be opened, or its driver hangs.
            MissingExtraError: The ``audio`` extra is not installed.
        """
        load()
        # After sounddevice was loaded, so closed before its own exit hook: or the end would look like a loss.
        shutdown.register(shutdown.Stage.DEVICES, self, DeviceSupervisor._begin_close, DeviceSupervisor._join)
        self._thread.start()
        is_over = self._opened.wait(_OPEN_SECONDS)
        if self._refusal is not None:
            self._thread.join(_CLOSE_SECONDS)
            if isinstance(self._refusal, RealtimeError):
                raise self._refusal.again() from self._refusal
            raise self._refusal
        if not is_over:
            self._closing.set()
            raise DeviceError(f"opening the {self._kind} device takes too long: its driver hangs")

    def close(self) -> None:
        """Close the device; returns within two seconds or so, whatever the driver does."""
        self._begin_close()
        shutdown.forget(shutdown.Stage.DEVICES, self)
        self._join(2 * _CLOSE_SECONDS)

    def _begin_close(self) -> None:
        self._closing.set()

    def _join(self, seconds: float) -> None:
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            with contextlib.suppress(RuntimeError):  # Python 3.14 joins no daemon thread while it exits
                self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._open(find(self._kind, self._wanted))
        except Exception as error:  # noqa: BLE001  # for the caller of start(), whose arguments they were
            self._refusal = error
            return
        finally:
            self._opened.set()
        try:
            self._watch()
        finally:
            if self.line is not None:
                self.line.close()

    def _watch(self) -> None:
        seen = idle = 0
        until_retry = 0
        while not self._closing.wait(_TICK_SECONDS):
            self._on_tick()
            line = self.line
            if line is None:
                until_retry -= 1
                if until_retry <= 0:
                    self._open_another()
                    seen = idle = 0
                    until_retry = _RETRY_TICKS
                continue
            idle = idle + 1 if line.blocks == seen else 0
            seen = line.blocks
            if line.was_ended_by_us:
                self._lose(line, None)
            elif line.is_over:
                self._lose(line, "it disappeared")
            elif idle >= (_STALL_TICKS if seen else _FIRST_BLOCK_TICKS):
                self._lose(line, "it stalled")
            if self.line is None:
                until_retry = 0

    def _lose(self, line: Line, reason: str | None) -> None:
        self.line = None
        self._on_lost()
        if reason is not None:
            logger.warning("! %s device %r is lost: %s", self._kind, line.device.name, reason)
            self._tell(DeviceLost(self._kind, line.device.name, reason))
        line.close(timeout=0.2)

    def _open_another(self) -> None:
        """Open the default; failing that the one that was wanted, any, and one that has just come."""
        for attempt in (self._candidates, self._candidates_anew):
            try:
                candidates = attempt()
            except RealtimeError as error:
                logger.debug("! %s", error)
                continue
            for device in candidates:
                if self._closing.is_set():
                    return
                try:
                    self._open(device)
                    return
                except RealtimeError as error:
                    logger.debug("! %s", error)

    def _candidates(self) -> list[Device]:
        usable = [device for device in list_devices() if device.channels(self._kind)]
        return sorted(usable, key=lambda device: not device.is_default(self._kind))

    def _candidates_anew(self) -> list[Device]:
        return self._candidates() if look_again() else []

    def _open(self, device: Device) -> None:
        line = open_line(self._kind, device, self._rate, self._block_ms, self._prepare)
        self.line = line
        logger.info("= %s device %r at %d Hz", self._kind, device.name, line.sample_rate_hz)
        self._tell(DeviceOpened(self._kind, device.name, line.sample_rate_hz, round(line.latency * 1000)))
