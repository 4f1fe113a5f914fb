"""
PortAudio, by way of ``sounddevice``: which devices there are, and lines to them.

Needs the ``audio`` extra and the PortAudio library, loaded on first use. The wheels of ``sounddevice``
for Windows and macOS bring the library; on Linux it is a package of the distribution.

**Threads and locks.** PortAudio's functions must not run at the same time as each other (its callbacks
may). ``_turn`` is held for one of them at a time, across the call, which no other lock of this library
is: a driver that hangs keeps it. So nobody waits for it without a limit, except threads made for
closing, that nobody waits for. What may hang most, ending a stream, is done without it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import frozen

from .._extras import importing
from ..errors import BrokenExtraError, DeviceError
from .events import Kind

__all__ = ["Device", "Line", "find", "list_devices", "look_again", "open_line"]

logger: Final = logging.getLogger(__name__)

_TURN_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 1.0

_turn = threading.Lock()  # one call of PortAudio at a time
_lines: set[Line] = set()  # the open ones; guarded by _turn


@frozen
class Device:
    """
    A sound device, as PortAudio lists it.

    Attributes:
        index: PortAudio's number; another one after devices came or went.
        host_api: Such as ``"ALSA"``, ``"Core Audio"``, ``"Windows WASAPI"``.
        input_channels: 0 if it cannot record.
        output_channels: 0 if it cannot play.
        sample_rate_hz: The rate it prefers.
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
        """Return how many channels it has for recording or playing."""
        return self.input_channels if kind == "input" else self.output_channels

    def is_default(self, kind: Kind) -> bool:
        """Whether it is what the system records with, or plays with."""
        return self.is_default_input if kind == "input" else self.is_default_output


def list_devices() -> tuple[Device, ...]:
    """
    Return all sound devices, including those that came since the last call.

    PortAudio sees new devices only when it starts anew, which ends its streams. So it does while none is
    open in this process; otherwise the list is that of the last start.

    Raises:
        MissingExtraError: The ``audio`` extra is not installed.
        DeviceError: PortAudio is not installed, or does not answer.
    """
    sounddevice = load()
    with _my_turn():
        if not _lines:
            _start_anew(sounddevice)
        return _listed(sounddevice)


def find(kind: Kind, wanted: str | int | None) -> Device:
    """
    Return the device that somebody means.

    Args:
        wanted: A number, or a part of a name in any case, ``None`` for the default. A name that is
            equal comes first, and the system's preferred host API before the others.

    Raises:
        DeviceError: There is none, or more than one.
        TypeError: It is neither a number nor a name.
    """
    if not isinstance(wanted, str | int | None):
        raise TypeError(f"device is {wanted!r}: pass a number or part of a name, or None for the default")
    devices = [device for device in list_devices() if device.channels(kind)]
    if not devices:
        raise DeviceError(
            f"there is no {kind} device: connect one, and see what `azure-rt-audio devices` lists"
        )
    if wanted is None:
        return next((device for device in devices if device.is_default(kind)), devices[0])
    if isinstance(wanted, int):
        found = [device for device in devices if device.index == wanted]
    else:
        found = _named(devices, wanted.casefold())
        apis = {device.host_api for device in devices if device.is_default(kind)}
        found = [device for device in found if device.host_api in apis] or found
    if len(found) == 1:
        return found[0]
    listed = "\n".join(f"  {device.index} {device.name}, {device.host_api}" for device in found or devices)
    what = f"{len(found)} {kind} devices match" if found else f"no {kind} device matches"
    raise DeviceError(f"{what} {wanted!r}; name one of these by its number or more of its name:\n{listed}")


def look_again() -> bool:
    """
    Let PortAudio start anew, to see new devices, and return whether it did.

    Lines that are open are ended by it, and say so to their owners, who open them again. Nothing
    happens while the process has streams of ``sounddevice`` that are not ours.
    """
    sounddevice = load()
    with _my_turn():
        if _somebody_elses(sounddevice):
            return False
        for line in list(_lines):
            line.end_for_now()
        return _start_anew(sounddevice)


def load() -> Any:
    """
    Return ``sounddevice``.

    Raises:
        MissingExtraError: It is not installed.
        DeviceError: PortAudio is not.
    """
    try:
        with importing("sounddevice", "audio", "Using a microphone or a speaker"):
            import sounddevice
    except BrokenExtraError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise DeviceError(
            "the PortAudio library is not there; on Debian and Ubuntu: sudo apt install libportaudio2, "
            "on Fedora: sudo dnf install portaudio"
        ) from error
    return sounddevice


class Line:
    """
    An open stream to one device.

    Attributes:
        device: Which one.
        sample_rate_hz: The stream's rate.
        channels: 1, or 2 for a device that has no mono.
        latency: Seconds, as the device says.
        blocks: How many blocks went over it; the callback counts them.
        is_over: Whether it has ended, by itself or by us.
        was_ended_by_us: Whether only because PortAudio started anew.
        ended: Set when PortAudio's thread has left it.

    **Threads.** ``blocks`` is written by PortAudio's thread; :meth:`close` may be called by any.
    """

    def __init__(self, device: Device, sample_rate_hz: int, channels: int) -> None:
        self.device: Final = device
        self.sample_rate_hz: Final = sample_rate_hz
        self.channels: Final = channels
        self.latency: float = 0.0
        self.blocks: int = 0
        self.is_over: bool = False
        self.was_ended_by_us: bool = False
        self.ended: Final = threading.Event()
        self._stream: Any = None

    def close(self, timeout: float = _CLOSE_SECONDS) -> bool:
        """
        End the stream, and return whether that was done within *timeout* seconds.

        Dropping what the device has not played yet. Drivers can hang in it; then a thread
        ``azure-rt-device-close`` is left waiting.
        """
        self.is_over = True
        closer = threading.Thread(target=self._end, name="azure-rt-device-close", daemon=True)
        try:
            closer.start()
        except RuntimeError:  # Python is exiting: sounddevice closes what has ended
            is_closed = self.ended.wait(timeout)
        else:
            closer.join(timeout)
            is_closed = not closer.is_alive()
        if not is_closed:
            logger.warning("! device %r does not close", self.device.name)
            self._abandon()
        return is_closed

    def end_for_now(self) -> None:
        """End the stream because PortAudio starts anew. Called with the turn."""
        _lines.discard(self)
        self.was_ended_by_us = True
        self.is_over = True
        self._stream.stop()
        self._stream.close()

    def _abandon(self) -> None:
        """Let the program end although PortAudio's thread is still in there."""
        sounddevice = load()
        # It would wait for the driver, for ever.
        atexit.unregister(getattr(sounddevice, "_exit_handler", self.close))
        # Python frees everything when it ends, the library too that the thread runs in. Not these.
        for thing in (getattr(sounddevice, "_lib", None), self._stream):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))

    def _end(self) -> None:
        with _turn:
            if self not in _lines:
                return
            _lines.discard(self)  # from here on it is ours alone to close
        self._stream.stop()  # waits for PortAudio's thread, so not with the turn
        with _turn:
            self._stream.close()


def open_line(
    kind: Kind,
    device: Device,
    sample_rate_hz: int,
    block_ms: int,
    prepare: Callable[[Line], Callable[[Any, int, Any, Any], None]],
) -> Line:
    """
    Open a stream of PCM16 to a device, and start it.

    Args:
        sample_rate_hz: The rate to have if the device can; else it is the device's own.
        prepare: Makes the callback of a line; may be called for several, of which the last is opened.

    Raises:
        DeviceError: It cannot be opened.
    """
    sounddevice = load()
    kind_of_stream = sounddevice.RawInputStream if kind == "input" else sounddevice.RawOutputStream
    rates = list(dict.fromkeys([sample_rate_hz, device.sample_rate_hz, 48_000, 44_100]))
    reason: Exception | None = None
    for channels in (1, 2)[: max(1, device.channels(kind))]:
        for rate in rates:
            line = Line(device, rate, channels)

            def ended(line: Line = line) -> None:
                line.is_over = True
                line.ended.set()

            callback = _until_over(line, prepare(line), sounddevice.CallbackAbort)
            with _my_turn():
                try:
                    line._stream = kind_of_stream(
                        samplerate=rate,
                        blocksize=rate * block_ms // 1000,
                        device=device.index,
                        channels=channels,
                        dtype="int16",
                        latency="high",
                        callback=callback,
                        finished_callback=ended,
                    )
                except (sounddevice.PortAudioError, ValueError) as error:
                    reason = reason or error
                    continue
                _lines.add(line)
                line.latency = line._stream.latency
                try:
                    line._stream.start()
                except sounddevice.PortAudioError as error:
                    reason = reason or error
                    line._stream.close()
                    _lines.discard(line)
                    continue
            return line
    raise DeviceError(f"{kind} device {device.name!r} cannot be opened: {reason}") from reason


def _until_over(
    line: Line, callback: Callable[[Any, int, Any, Any], None], end: type[Exception]
) -> Callable[[Any, int, Any, Any], None]:
    """
    Return a callback that ends the stream, and drops what the device has, once the line is over.

    In place of PortAudio's abort, which on Linux cancels the thread wherever it is: while it waits for
    the GIL, for example, which then nobody gets any more.
    """

    def guarded(data: Any, frames: int, times: Any, status: Any) -> None:
        if line.is_over:
            raise end
        callback(data, frames, times, status)

    return guarded


@contextlib.contextmanager
def _my_turn() -> Iterator[None]:
    if not _turn.acquire(timeout=_TURN_SECONDS):
        raise DeviceError("PortAudio does not answer: a device's driver or the sound server hangs")
    try:
        yield
    finally:
        _turn.release()


def _start_anew(sounddevice: Any) -> bool:
    """Let PortAudio look for devices, and return whether it did. Called with the turn and no line of ours."""
    if _somebody_elses(sounddevice):
        return False
    sounddevice._terminate()
    sounddevice._initialize()
    return True


def _somebody_elses(sounddevice: Any) -> bool:
    """
    Whether there are open streams besides our lines; they would be freed under whoever uses them.

    Nobody keeps a list of them, so this looks through all objects: some milliseconds, and rare.
    """
    ours = [line._stream for line in _lines]
    streams = [thing for thing in gc.get_objects() if issubclass(type(thing), sounddevice._StreamBase)]
    # One that could not be opened has no latency, and is not closed either.
    return any(hasattr(stream, "latency") and not stream.closed and stream not in ours for stream in streams)


def _listed(sounddevice: Any) -> tuple[Device, ...]:
    try:
        devices, apis = sounddevice.query_devices(), sounddevice.query_hostapis()
        system = apis[sounddevice.default.hostapi]
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"PortAudio does not list the devices: {error}") from error
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


def _named(devices: list[Device], name: str) -> list[Device]:
    equal = [device for device in devices if device.name.casefold() == name]
    return equal or [device for device in devices if name in f"{device.name}, {device.host_api}".casefold()]
