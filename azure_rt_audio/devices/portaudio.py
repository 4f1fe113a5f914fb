"""
PortAudio through ``sounddevice``: lists devices, and opens streams.

Needs the ``audio`` extra and the PortAudio library, loaded on first use. The wheels of ``sounddevice``
for Windows and macOS contain the library; on Linux it is a package of the distribution.

**Threads and locks.** PortAudio is not thread-safe: no two of its functions may run at once, except
callbacks. ``_portaudio_lock`` serialises them, so unlike all other locks of this library it is held across
I/O, and a hanging driver keeps it. All waits for it time out, except in disposable closing threads. Stopping
a stream, which hangs most often, is done without it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import frozen

from .._extras import importing
from .._log import get_logger
from ..errors import BrokenExtraError, DeviceError
from .events import Kind

__all__ = ["Device", "Stream", "find", "list_devices", "open_stream", "rescan"]

logger: Final = get_logger(__name__)

_LOCK_TIMEOUT_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 1.0

_portaudio_lock = threading.Lock()  # serialises all calls of PortAudio
_streams: set[Stream] = set()  # the open ones; guarded by _portaudio_lock


def _start_anew() -> None:
    global _portaudio_lock, _streams
    _portaudio_lock, _streams = threading.Lock(), set()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)  # another thread may have had it at the fork


@frozen
class Device:
    """
    A sound device.

    Attributes:
        index: PortAudio's number; changes when devices are connected or removed.
        host_api: Such as ``"ALSA"``, ``"Core Audio"``, ``"Windows WASAPI"``.
        input_channels: 0 if it cannot record.
        output_channels: 0 if it cannot play.
        sample_rate_hz: Its preferred rate.
    """

    index: int
    name: str
    host_api: str
    input_channels: int
    output_channels: int
    sample_rate_hz: int
    is_default_input: bool
    is_default_output: bool

    def channels(self, kind: Kind) -> int:
        """Return the number of its input or output channels."""
        return self.input_channels if kind == "input" else self.output_channels

    def is_default(self, kind: Kind) -> bool:
        """Whether it is the system's default for input or output."""
        return self.is_default_input if kind == "input" else self.is_default_output


def list_devices() -> tuple[Device, ...]:
    """
    Return all sound devices, including new ones. Blocks, for five seconds at most if a driver hangs.

    PortAudio finds new devices only when it is initialised, which ends all streams. So it is initialised
    again only if the process has no open stream; otherwise this is the list of the last time.

    Raises:
        MissingExtraError: The ``audio`` extra is not installed.
        DeviceError: PortAudio is not installed, cannot start or list the devices, or does not answer.
    """
    sounddevice = load()
    with _exclusive():
        if not _streams:
            _reinitialise(sounddevice)
        return _query_devices(sounddevice)


def find(kind: Kind, wanted: str | int | None) -> Device:
    """
    Return the device that matches *wanted*.

    Args:
        wanted: A number, or part of a name, ignoring case; ``None`` for the default. An exact name takes
            precedence, and so does the system's default host API.

    Raises:
        DeviceError: No device matches, or more than one.
        TypeError: *wanted* is neither a number nor a name.
    """
    if not isinstance(wanted, str | int | None):
        raise TypeError(f"device is {wanted!r}: pass a number or part of a name, or None for the default")
    devices = [device for device in list_devices() if device.channels(kind)]
    if not devices:
        raise DeviceError(f"there is no {kind} device: connect one; `azure-rt-audio devices` lists them")
    if wanted is None:
        return next((device for device in devices if device.is_default(kind)), devices[0])
    if isinstance(wanted, int):
        found = [device for device in devices if device.index == wanted]
    else:
        found = _match_name(devices, wanted.casefold())
        apis = {device.host_api for device in devices if device.is_default(kind)}
        found = [device for device in found if device.host_api in apis] or found
    if len(found) == 1:
        return found[0]
    listed = "\n".join(f"  {device.index} {device.name}, {device.host_api}" for device in found or devices)
    what = f"{len(found)} {kind} devices match" if found else f"no {kind} device matches"
    raise DeviceError(f"{what} {wanted!r}; pass the number, or more of the name, of one of these:\n{listed}")


def rescan() -> bool:
    """
    Initialise PortAudio again to find new devices, and return whether that was done.

    This ends our open streams; their supervisors reopen them. Not done while the process has other streams
    of ``sounddevice``.

    Raises:
        DeviceError: PortAudio cannot start, or does not answer.
    """
    sounddevice = load()
    with _exclusive():
        if _has_foreign_streams(sounddevice):
            return False
        for stream in list(_streams):
            stream.suspend()
        return _reinitialise(sounddevice)


def load() -> Any:
    """
    Return ``sounddevice``.

    Raises:
        MissingExtraError: ``sounddevice`` is not installed.
        DeviceError: The PortAudio library is not installed, or cannot start.
    """
    try:
        with importing("sounddevice", "audio", "Using a microphone or a speaker"):
            import sounddevice
    except BrokenExtraError as error:
        cause = error.__cause__
        if type(cause).__name__ == "PortAudioError":  # of the module whose import failed, so that it is gone
            raise _cannot_start(cause) from error
        if not isinstance(cause, OSError):
            raise
        raise DeviceError(
            "the PortAudio library is not installed; on Debian and Ubuntu: sudo apt install libportaudio2, "
            "on Fedora: sudo dnf install portaudio"
        ) from error
    return sounddevice


class Stream:
    """
    A stream from or to one device.

    Attributes:
        device: The device.
        sample_rate_hz: The stream's rate.
        channels: 1, or 2 for a device without mono.
        latency: Seconds, as reported by the device.
        blocks: Number of blocks, counted by the callback.
        has_ended: Whether it has ended, for whatever reason.
        was_suspended: Whether it was ended only for a rescan.
        finished: Set by PortAudio's ``finished_callback``.

    **Threads.** ``blocks`` is written by PortAudio's thread; :meth:`close` may be called by any.
    """

    def __init__(self, device: Device, sample_rate_hz: int, channels: int) -> None:
        self.device: Final = device
        self.sample_rate_hz: Final = sample_rate_hz
        self.channels: Final = channels
        self.latency: float = 0.0
        self.blocks: int = 0
        self.has_ended: bool = False
        self.was_suspended: bool = False
        self.finished: Final = threading.Event()
        self._stream: Any = None

    def close(self, timeout: float = _CLOSE_SECONDS) -> bool:
        """
        Stop the stream, drop its buffer, and return whether that was done within *timeout* seconds.

        A driver may hang in it; then a thread ``azure-rt-device-close`` is left behind.
        """
        self.has_ended = True
        closer = threading.Thread(target=self._stop, name="azure-rt-device-close", daemon=True)
        try:
            closer.start()
        except RuntimeError:  # at exit; sounddevice closes the stream
            is_closed = self.finished.wait(timeout)
        else:
            closer.join(timeout)
            is_closed = not closer.is_alive()
        if not is_closed:
            logger.warning("! device %r does not close: its driver hangs", self.device.name)
            self._abandon()
        return is_closed

    def suspend(self) -> None:
        """End the stream for a rescan. Called with the lock held."""
        _streams.discard(self)
        self.was_suspended = True
        self.has_ended = True
        self._stream.stop()
        self._stream.close()

    def _abandon(self) -> None:
        """Let the interpreter exit although PortAudio's thread still runs."""
        sounddevice = load()
        # Its exit hook would wait for the driver without limit.
        atexit.unregister(getattr(sounddevice, "_exit_handler", self.close))
        # Keep alive what that thread uses: the interpreter would free the library while it runs.
        for needed in (getattr(sounddevice, "_lib", None), self._stream):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(needed))

    def _stop(self) -> None:
        with _portaudio_lock:
            if self not in _streams:
                return
            _streams.discard(self)  # a rescan leaves it alone now
        self._stream.stop()  # waits for PortAudio's thread, so without the lock
        with _portaudio_lock:
            self._stream.close()


def open_stream(
    kind: Kind,
    device: Device,
    sample_rate_hz: int,
    block_ms: int,
    prepare: Callable[[Stream], Callable[[Any, int, Any, Any], None]],
) -> Stream:
    """
    Open and start a stream of PCM16.

    Args:
        sample_rate_hz: The preferred rate; if the device does not support it, its own is used.
        prepare: Returns the callback of a stream; may be called for several, of which the last is opened.

    Raises:
        DeviceError: The device cannot be opened.
    """
    sounddevice = load()
    stream_class = sounddevice.RawInputStream if kind == "input" else sounddevice.RawOutputStream
    rates = list(dict.fromkeys([sample_rate_hz, device.sample_rate_hz, 48_000, 44_100]))
    reason: Exception | None = None
    for channels in (1, 2)[: max(1, device.channels(kind))]:
        for rate in rates:
            stream = Stream(device, rate, channels)

            def finished(stream: Stream = stream) -> None:
                stream.has_ended = True
                stream.finished.set()

            callback = _abortable(stream, prepare(stream), sounddevice.CallbackAbort)
            with _exclusive():
                try:
                    stream._stream = stream_class(
                        samplerate=rate,
                        blocksize=rate * block_ms // 1000,
                        device=device.index,
                        channels=channels,
                        dtype="int16",
                        latency="high",
                        callback=callback,
                        finished_callback=finished,
                    )
                except (sounddevice.PortAudioError, ValueError) as error:
                    reason = reason or error
                    continue
                _streams.add(stream)
                stream.latency = stream._stream.latency
                try:
                    stream._stream.start()
                except sounddevice.PortAudioError as error:
                    reason = reason or error
                    stream._stream.close()
                    _streams.discard(stream)
                    continue
            return stream
    raise DeviceError(f"{kind} device {device.name!r} cannot be opened: {reason}") from reason


def _abortable(
    stream: Stream, callback: Callable[[Any, int, Any, Any], None], abort: type[Exception]
) -> Callable[[Any, int, Any, Any], None]:
    """
    Return a callback that aborts the stream, and drops the device's buffer, once the stream has ended.

    Used in place of ``Pa_AbortStream``, which cancels the thread on Linux, wherever it is: cancelled while it
    acquires the GIL, it would block the interpreter for ever.
    """

    def guarded(data: Any, frames: int, times: Any, status: Any) -> None:
        if stream.has_ended:
            raise abort
        callback(data, frames, times, status)

    return guarded


@contextlib.contextmanager
def _exclusive() -> Iterator[None]:
    if not _portaudio_lock.acquire(timeout=_LOCK_TIMEOUT_SECONDS):
        raise DeviceError(
            "PortAudio does not answer: a driver or the sound server hangs; reconnect the device"
        )
    try:
        yield
    finally:
        _portaudio_lock.release()


def _reinitialise(sounddevice: Any) -> bool:
    """Initialise PortAudio unless foreign streams are open; called with the lock, without streams of ours."""
    if _has_foreign_streams(sounddevice):
        return False
    with contextlib.suppress(sounddevice.PortAudioError):  # it is not initialised: that failed the last time
        sounddevice._terminate()
    try:
        sounddevice._initialize()
    except sounddevice.PortAudioError as error:
        raise _cannot_start(error) from error
    return True


def _cannot_start(error: BaseException | None) -> DeviceError:
    return DeviceError(f"PortAudio cannot start: {error}; check the sound server, and try again")


def _has_foreign_streams(sounddevice: Any) -> bool:
    """
    Whether the program has streams of ``sounddevice`` of its own, which a rescan would free while in use.

    ``sounddevice`` keeps no list of them, so this walks all objects: some milliseconds, and rare.
    """
    ours = [stream._stream for stream in _streams]
    streams = [found for found in gc.get_objects() if issubclass(type(found), sounddevice._StreamBase)]
    # One that failed to open has no latency, and is not closed.
    return any(hasattr(stream, "latency") and not stream.closed and stream not in ours for stream in streams)


def _query_devices(sounddevice: Any) -> tuple[Device, ...]:
    try:
        devices, apis = sounddevice.query_devices(), sounddevice.query_hostapis()
        system = apis[sounddevice.default.hostapi]
    except (sounddevice.PortAudioError, ValueError) as error:  # or a name that it cannot decode
        raise DeviceError(f"PortAudio cannot list the devices: {error}") from error
    return tuple(
        Device(
            index=device["index"],
            name=device["name"],
            host_api=apis[device["hostapi"]]["name"],
            input_channels=device["max_input_channels"],
            output_channels=device["max_output_channels"],
            sample_rate_hz=int(device["default_samplerate"]),
            is_default_input=device["index"] == system["default_input_device"],
            is_default_output=device["index"] == system["default_output_device"],
        )
        for device in devices
    )


def _match_name(devices: list[Device], name: str) -> list[Device]:
    exact = [device for device in devices if device.name.casefold() == name]
    return exact or [device for device in devices if name in f"{device.name}, {device.host_api}".casefold()]
