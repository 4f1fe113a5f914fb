"""
Keeps a device open: opens it, detects loss or stalls, reopens.

**Threads and locks.** A thread ``azure-rt-microphone-N`` or ``azure-rt-speaker-N`` does all of it. Events
go through a :class:`CallbackThread`, where user code may block. No lock.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from .._concurrency import shutdown
from .._concurrency.program_end import join_thread
from .._log import get_logger
from ..audio.resample import import_now
from ..errors import DeviceError, RealtimeError
from .events import DeviceEvent, DeviceLost, DeviceOpened, Kind
from .portaudio import Device, Stream, find, list_devices, load, open_stream, rescan

__all__ = ["CallbackThread", "DeviceSupervisor", "check_device", "check_ms"]

logger: Final = get_logger(__name__)

_T = TypeVar("_T")

_TICK_SECONDS: Final = 0.02
_STALL_TICKS: Final = 30  # without a block, 0.6 s; ticks, so that a suspended process sees no stall
_FIRST_BLOCK_TICKS: Final = 150  # a device may have to power up
_RETRY_TICKS: Final = 25
_OPEN_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0

_numbers = itertools.count(1)


def check_ms(name: str, value: float, low: int, remedy: str = "") -> None:
    """Raise an error that names the argument if it is no number of milliseconds, at least *low*."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number of milliseconds, not {value!r}")
    if value < low:
        raise ValueError(f"{name} is {value}: pass milliseconds, {remedy or f'at least {low}'}")


def check_device(device: object) -> None:
    """Raise an error if it can be no device."""
    if isinstance(device, bool) or not isinstance(device, str | int | None):
        raise TypeError(f"device is {device!r}: pass a number or part of a name, or None for the default")


class CallbackThread(Generic[_T]):
    """
    Calls a function with one value after the other, on its own thread.

    **Threads.** Any thread may call :meth:`put`, stream callbacks included: it does not block.
    """

    def __init__(self, name: str, receive: Callable[[_T], object]) -> None:
        self._receive = receive
        self._queue: queue.SimpleQueue[_T | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, value: _T) -> None:
        """Queue a value."""
        self._queue.put(value)

    def close(self) -> None:
        """End the thread after the queued values; blocks for a second at most, on the thread itself never."""
        self._queue.put(None)
        join_thread(self._thread, _CLOSE_SECONDS)

    def _run(self) -> None:
        while (value := self._queue.get()) is not None:
            try:
                self._receive(value)
            except Exception:  # user code; the next value is passed on all the same
                logger.exception("! device callback failed")


class DeviceSupervisor:
    """
    Keeps one device open, from :meth:`start` to :meth:`close`.

    Args:
        kind: ``"input"`` or ``"output"``.
        wanted: The device; see :func:`find`. When it is lost, the default is opened.
        prepare: Returns the callback of a stream.
        on_lost: Called when a stream is lost.
        on_tick: Called 50 times a second.
        emit: Called with events.

    **Threads.** The four functions run on the supervisor's thread, *prepare*'s result on PortAudio's.
    """

    def __init__(
        self,
        kind: Kind,
        wanted: str | int | None,
        *,
        sample_rate_hz: int,
        block_ms: int,
        prepare: Callable[[Stream], Callable[[Any, int, Any, Any], None]],
        on_lost: Callable[[], None],
        on_tick: Callable[[], None],
        emit: Callable[[DeviceEvent], None],
    ) -> None:
        self._kind = kind
        self._wanted = wanted
        self._rate = sample_rate_hz
        self._block_ms = block_ms
        self._prepare = prepare
        self._on_lost = on_lost
        self._on_tick = on_tick
        self._emit = emit
        self._closing = threading.Event()
        self._opened = threading.Event()
        self._error: Exception | None = None
        what = "microphone" if kind == "input" else "speaker"
        self._name: Final = f"azure-rt-{what}-{next(_numbers)}"
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self.stream: Stream | None = None  # replaced by the supervisor's thread only

    def start(self) -> None:
        """
        Open the device. Blocks until it is open, at most 10 seconds.

        Raises:
            DeviceError: The device cannot be opened, or its driver hangs.
            MissingExtraError: The ``audio`` extra is not installed.
        """
        load()
        import_now()
        # After sounddevice was loaded, so that this runs before its exit hook, which would look like a loss.
        shutdown.register(shutdown.Stage.DEVICES, self, DeviceSupervisor._begin_close, DeviceSupervisor._join)
        self._thread.start()
        has_opened = self._opened.wait(_OPEN_SECONDS)
        if self._error is not None:
            self._thread.join(_CLOSE_SECONDS)
            if isinstance(self._error, RealtimeError):
                raise self._error.again() from self._error
            raise self._error
        if not has_opened:
            self._closing.set()
            raise DeviceError(
                f"the {self._kind} device did not open within {_OPEN_SECONDS:.0f} s: its driver hangs; "
                "choose another device"
            )

    def close(self) -> None:
        """Close the device. Idempotent; blocks for two seconds at most."""
        self._begin_close()
        shutdown.forget(shutdown.Stage.DEVICES, self)
        self._join(2 * _CLOSE_SECONDS)

    def _begin_close(self) -> None:
        self._closing.set()

    def _join(self, seconds: float) -> None:
        if self._thread.ident is not None:
            join_thread(self._thread, seconds)

    def _run(self) -> None:
        try:
            self._open(find(self._kind, self._wanted))
        except Exception as error:  # noqa: BLE001  # raised by start()
            self._error = error
            return
        finally:
            self._opened.set()
        try:
            self._watch()
        finally:
            if self.stream is not None:
                self.stream.close()

    def _watch(self) -> None:
        seen = idle = 0
        until_retry = 0
        while not self._closing.wait(_TICK_SECONDS):
            self._on_tick()
            stream = self.stream
            if stream is None:
                until_retry -= 1
                if until_retry <= 0:
                    self._reopen()
                    seen = idle = 0
                    until_retry = _RETRY_TICKS
                continue
            idle = idle + 1 if stream.blocks == seen else 0
            seen = stream.blocks
            if stream.was_suspended:
                self._lose(stream, None)
            elif stream.has_ended:
                self._lose(stream, "disconnected")
            elif idle >= (_STALL_TICKS if seen else _FIRST_BLOCK_TICKS):
                self._lose(stream, "stalled")
            if self.stream is None:
                until_retry = 0

    def _lose(self, stream: Stream, reason: str | None) -> None:
        self.stream = None
        self._on_lost()
        if reason is not None:
            logger.warning("! %s device %r lost: %s", self._kind, stream.device.name, reason)
            self._emit(DeviceLost(self._kind, stream.device.name, reason))
        stream.close(timeout=0.2)

    def _reopen(self) -> None:
        """Open the default device; failing that any other, and then again after a rescan."""
        for list_candidates in (self._candidates, self._candidates_after_rescan):
            try:
                candidates = list_candidates()
            except Exception as error:  # noqa: BLE001  # as below
                logger.debug("! %s", error)
                continue
            for device in candidates:
                if self._closing.is_set():
                    return
                try:
                    self._open(device)
                    return
                except Exception as error:  # noqa: BLE001  # whatever it is, it is tried again soon
                    logger.debug("! %s", error)

    def _candidates(self) -> list[Device]:
        usable = [device for device in list_devices() if device.channels(self._kind)]
        return sorted(usable, key=lambda device: not device.is_default(self._kind))

    def _candidates_after_rescan(self) -> list[Device]:
        return self._candidates() if rescan() else []

    def _open(self, device: Device) -> None:
        stream = open_stream(self._kind, device, self._rate, self._block_ms, self._prepare)
        self.stream = stream
        logger.info("= %s device %r open at %d Hz", self._kind, device.name, stream.sample_rate_hz)
        self._emit(DeviceOpened(self._kind, device.name, stream.sample_rate_hz, round(stream.latency * 1000)))
