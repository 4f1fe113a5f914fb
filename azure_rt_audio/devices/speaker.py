"""
A speaker that reports how much was played.

**Threads and locks.** ``Speaker._condition.lock`` guards the queue (``playback.py``). The stream callback
takes it too: it is held for some microseconds, to copy or convert at most 100 ms, never across I/O, a wait
or user code. Waiting for the GIL, which the callback needs anyway, takes longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from ..audio import SAMPLE_RATE_HZ, AudioLike, Resampler, to_pcm16
from ..audio.level import level_db
from ..audio.resample import check_rate
from ..errors import DeviceError
from .events import DeviceEvent, Played
from .playback import Playback
from .portaudio import Stream
from .supervisor import CallbackThread, DeviceSupervisor, check_device, check_ms

__all__ = ["Speaker"]

_FRAME: Final = 2
_BLOCK_MS: Final = 20
_CHUNK_MS: Final = 100


class Speaker:
    """
    A loudspeaker, or headphones.

    ::

        with Speaker() as speaker:
            for delta in response.audio:
                speaker.play(delta, item_id="msg_1")
            speaker.finish("msg_1")
            speaker.wait_until_quiet(timeout=60)

    Audio is played in the order of the calls, one item after the other. A device that disappears or stalls
    is replaced by the default device within about a second, or as soon as there is one; it plays what the
    lost one did not. ``on_event`` reports both.

    Args:
        device: A number, or part of a name, ignoring case; ``None`` for the system's default.
        sample_rate_hz: Rate that :meth:`play` takes; converted if the device does not support it.
        prebuffer_ms: Audio of an item that is buffered before its playback begins, or resumes after an
            underflow. A shorter item begins when it is finished, or after that time.
        on_event: Called with :class:`DeviceOpened`, :class:`DeviceLost`, and with :class:`Played` when an
            item was played to its end.
        on_played: Called for each block that the device takes, silence included, with its PCM16 at
            *sample_rate_hz* and the time of its first frame in seconds of ``time.monotonic``, some
            milliseconds ahead. An echo reference: ``Microphone.captured_at`` uses the same clock.

    Raises:
        ValueError: A negative length, or an unsupported rate.

    **Threads.** Any thread may call any method; calls of :meth:`play` for one item come from one thread.
    ``on_event`` and ``on_played`` have a thread each; they may block, and may close the speaker.
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        prebuffer_ms: int = 100,
        on_event: Callable[[DeviceEvent], object] | None = None,
        on_played: Callable[[bytes, float], object] | None = None,
    ) -> None:
        check_rate("sample_rate_hz", sample_rate_hz)
        check_ms("prebuffer_ms", prebuffer_ms, 0, "0 for none")
        check_device(device)
        self._device = device
        self._rate: Final = sample_rate_hz
        self.on_event: Callable[[DeviceEvent], object] | None = on_event
        """May be set until :meth:`start`, as may ``on_played``."""
        self.on_played: Callable[[bytes, float], object] | None = on_played
        self._condition = Condition()
        self._playback = Playback(sample_rate_hz, prebuffer_ms)  # guarded by _condition.lock
        self._device_underflows = 0  # stored by PortAudio's thread only
        self._last_block = b""  # the last block; stored by PortAudio's thread only
        self._supervisor: DeviceSupervisor | None = None
        self._event_thread: CallbackThread[DeviceEvent] | None = None
        self._played_thread: CallbackThread[tuple[bytes, float, int]] | None = None
        self._is_closed = False

    def start(self) -> None:
        """
        Open the device and begin to play. Blocks until it is open, at most 10 seconds.

        Raises:
            DeviceError: There is no such device, or it cannot be opened.
            MissingExtraError: The ``audio`` extra is not installed.
            RuntimeError: The speaker was started before.
        """
        if self._supervisor is not None:
            raise RuntimeError("the speaker was already started; create a new one")
        if self.on_event is not None:
            self._event_thread = CallbackThread("azure-rt-speaker-events", self.on_event)
        if self.on_played is not None:
            self._played_thread = CallbackThread(
                "azure-rt-speaker-tap", _Resampled(self.on_played, self._rate)
            )
        self._supervisor = DeviceSupervisor(
            "output",
            self._device,
            sample_rate_hz=self._rate,
            block_ms=_BLOCK_MS,
            prepare=self._prepare,
            on_lost=self._on_lost,
            on_tick=self._on_tick,
            emit=self._emit,
        )
        try:
            self._supervisor.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop playing and close the device. Idempotent; blocks for four seconds at most."""
        self._is_closed = True
        if self._supervisor is not None:
            self._supervisor.close()
        for thread in (self._event_thread, self._played_thread):
            if thread is not None:
                thread.close()
        with self._condition.lock:
            self._playback.cut()
            self._condition.notify_all()

    def __enter__(self) -> Speaker:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def play(self, pcm: AudioLike, *, item_id: str = "") -> None:
        """
        Queue audio. Does not block; the queue is unbounded.

        Args:
            pcm: PCM16 (int16, little-endian, mono) at the speaker's rate, or what
                :func:`azure_rt_audio.audio.to_pcm16` takes. Whole frames.
            item_id: The item it belongs to. After :meth:`finish` or :meth:`stop`, the same id begins a new
                item.

        Raises:
            ValueError, TypeError: *pcm* is not audio.
            DeviceError: The speaker is closed.
        """
        octets = memoryview(to_pcm16(pcm))
        if self._is_closed:
            raise DeviceError("the speaker is closed")
        size = self._rate * _CHUNK_MS // 1000 * _FRAME
        for start in range(0, len(octets), size):
            with self._condition.lock:  # not for all of it, because the callback takes the lock, too
                self._playback.add(item_id, octets[start : start + size])

    def finish(self, item_id: str = "") -> None:
        """
        Mark an item as complete; ``on_event`` receives :class:`Played` once it was played to its end.

        Without it, the end of the item's audio counts as an underflow.
        """
        with self._condition.lock:
            self._playback.finish(item_id)

    def stop(self) -> tuple[Played, ...]:
        """
        Drop what the device has not taken yet. Does not block.

        Returns:
            The items that were not played to their end, in order, with the part of each that is played in
            all. It includes audio in the device's buffer, at most :attr:`latency_ms`, which cannot be
            dropped.
        """
        with self._condition.lock:
            cut = self._playback.cut()
            self._condition.notify_all()
        return cut

    def played_ms(self, item_id: str = "") -> int:
        """Return the milliseconds of an item played by now, the device's latency considered."""
        with self._condition.lock:
            return self._playback.played_frames(item_id, time.monotonic()) * 1000 // self._rate

    def received_ms(self, item_id: str = "") -> int:
        """Return the milliseconds of an item passed to :meth:`play`."""
        with self._condition.lock:
            return self._playback.received_frames(item_id) * 1000 // self._rate

    @property
    def is_playing(self) -> bool:
        """Whether audio is queued, or in the device's buffer."""
        with self._condition.lock:
            return not self._playback.is_quiet(time.monotonic())

    def wait_until_quiet(self, timeout: float | None = None) -> bool:
        """Block until the queue was played, for *timeout* seconds at most; return whether it was."""
        return self._condition.wait_until(
            lambda: self._playback.is_quiet(time.monotonic()), Deadline(timeout)
        )

    @property
    def level_db(self) -> float:
        """Level of the last block, in dBFS; -100 is silence."""
        return level_db(self._last_block)

    @property
    def underflows(self) -> int:
        """Number of underflows: an item's audio was late, or the callback was."""
        return self._playback.underflows + self._device_underflows

    @property
    def latency_ms(self) -> int:
        """Latency reported by the device; 0 if none is open."""
        stream = None if self._supervisor is None else self._supervisor.stream
        return 0 if stream is None else round(stream.latency * 1000)

    @property
    def device_name(self) -> str | None:
        """Name of the open device; ``None`` if there is none."""
        stream = None if self._supervisor is None else self._supervisor.stream
        return None if stream is None else stream.device.name

    @property
    def sample_rate_hz(self) -> int:
        """The rate that :meth:`play` takes."""
        return self._rate

    def _emit(self, event: DeviceEvent) -> None:
        if self._event_thread is not None:
            self._event_thread.put(event)

    def _on_lost(self) -> None:
        with self._condition.lock:
            self._playback.lose(time.monotonic())

    def _on_tick(self) -> None:
        now = time.monotonic()
        with self._condition.lock:
            ended = self._playback.take_ended(now)
            if self._playback.is_quiet(now):
                self._condition.notify_all()
        for played in ended:
            self._emit(played)

    def _prepare(self, stream: Stream) -> Callable[[Any, int, Any, Any], None]:
        """Return the callback of a stream. It runs on PortAudio's thread: it must not block or log."""
        with self._condition.lock:
            self._playback.change_device_rate(stream.sample_rate_hz)
        lock, playback = self._condition.lock, self._playback
        mono = bytearray(stream.sample_rate_hz * _FRAME)  # one second, longer than any block

        def callback(data: Any, frames: int, times: Any, status: Any) -> None:
            now = time.monotonic()
            stream.blocks += 1
            ahead = times.outputBufferDacTime - times.currentTime
            if not 0 < ahead < 5:  # some host APIs report nothing
                ahead = stream.latency
            block = memoryview(mono)[: frames * _FRAME]
            with lock:
                if status and status.output_underflow and not playback.is_quiet(now):
                    self._device_underflows += 1
                playback.pull(block, now + ahead, now)
            self._last_block = bytes(block)
            if stream.channels == 1:
                data[:] = block
            else:
                stereo = bytearray(len(data))
                for byte in (0, 1, 2, 3):
                    stereo[byte::4] = block[byte % 2 :: 2]
                data[:] = stereo
            if self._played_thread is not None:
                self._played_thread.put((self._last_block, now + ahead, stream.sample_rate_hz))

        return callback


class _Resampled:
    """Resamples the device's blocks to the speaker's rate, and passes them on."""

    def __init__(self, receive: Callable[[bytes, float], object], rate_hz: int) -> None:
        self._receive = receive
        self._rate = rate_hz
        self._resampler = Resampler(rate_hz, rate_hz)
        self._lag = 0.0  # seconds inside the resampler

    def __call__(self, block: tuple[bytes, float, int]) -> None:
        pcm, at, rate = block
        if rate != self._resampler.from_hz:
            self._resampler = Resampler(rate, self._rate)
            self._lag = 0.0
        converted = self._resampler.feed(pcm)
        begin = at - self._lag
        self._lag += len(pcm) / _FRAME / rate - len(converted) / _FRAME / self._rate
        if converted:
            self._receive(converted, begin)
