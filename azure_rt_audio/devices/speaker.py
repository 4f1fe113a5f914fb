"""
A speaker that knows what was heard.

**Threads and locks.** ``Speaker._condition.lock`` guards the queue (``playback.py``). PortAudio's thread
takes it too: it is held for the copying of a block or for arithmetic, some microseconds, never across
I/O, a wait or user code; waiting for the GIL, which that thread must have anyway, takes longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from ..audio import SAMPLE_RATE_HZ, AudioLike, Resampler, to_pcm16
from ..audio.level import level_db
from ..audio.resample import check_rate
from ..errors import DeviceError
from .events import DeviceEvent, Played
from .playback import Playback
from .portaudio import Line
from .supervisor import CallbackThread, DeviceSupervisor

__all__ = ["Speaker"]

_FRAME: Final = 2
_BLOCK_MS: Final = 20
_PIECE_MS: Final = 100


class Speaker:
    """
    A loudspeaker, or headphones.

    ::

        with Speaker() as speaker:
            for delta in response.audio:
                speaker.play(delta, item_id="msg_1")
            speaker.finish("msg_1")
            speaker.wait_until_quiet(timeout=60)

    Sound is played in the order of the calls, one item after the other. A device that disappears or
    stalls is replaced by the default one within a second or so, or when there is one; what was not heard
    is played there. ``on_event`` tells.

    Args:
        device: A number, or part of a name in any case; ``None`` for the system's default.
        sample_rate_hz: Of what :meth:`play` takes; it is converted for a device that cannot play it.
        prebuffer_ms: How much of an item is there before it begins, and again after it ran dry. With
            less it begins when it is finished, or when waiting has taken that long.
        on_event: Called with :class:`DeviceOpened`, :class:`DeviceLost`, and with :class:`Played` when an
            item was heard to its end.
        on_played: Called for each block that the device takes, silence included, with its PCM16 at
            *sample_rate_hz* and when its first frame is heard, in seconds of ``time.monotonic``, which
            is some milliseconds ahead. For an echo canceller: ``Microphone.captured_at`` is the same clock.

    Raises:
        ValueError: A length that is negative, or a rate that nothing has.

    **Threads.** Any thread may call anything; calls of :meth:`play` for one item come from one thread.
    ``on_event`` and ``on_played`` run on a thread of their own each; they may take their time, and may
    close the speaker.
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
        if prebuffer_ms < 0:
            raise ValueError(f"prebuffer_ms is {prebuffer_ms}: pass milliseconds, 0 for none")
        self._device = device
        self._rate: Final = sample_rate_hz
        self.on_event: Callable[[DeviceEvent], object] | None = on_event
        """As given; may be changed before :meth:`start`, as may ``on_played``."""
        self.on_played: Callable[[bytes, float], object] | None = on_played
        self._condition = Condition()
        self._playback = Playback(sample_rate_hz, prebuffer_ms)  # guarded by _condition.lock
        self._device_underflows = 0  # stored by PortAudio's thread only
        self._latest = b""  # the last block; stored by PortAudio's thread only
        self._attendant: DeviceSupervisor | None = None
        self._messenger: CallbackThread[DeviceEvent] | None = None
        self._tap: CallbackThread[tuple[bytes, float, int]] | None = None
        self._is_closed = False

    def start(self) -> None:
        """
        Open the device; blocks until that is done, at most 10 seconds. What is queued begins.

        Raises:
            DeviceError: There is none, or it cannot be opened.
            MissingExtraError: The ``audio`` extra is not installed.
            RuntimeError: It was started already.
        """
        if self._attendant is not None:
            raise RuntimeError("the speaker was started already; make another one")
        if self.on_event is not None:
            self._messenger = CallbackThread("azure-rt-speaker-events", self.on_event)
        if self.on_played is not None:
            self._tap = CallbackThread("azure-rt-speaker-tap", _Tap(self.on_played, self._rate))
        self._attendant = DeviceSupervisor(
            "output",
            self._device,
            sample_rate_hz=self._rate,
            block_ms=_BLOCK_MS,
            prepare=self._prepare,
            on_lost=self._lose,
            on_tick=self._settle,
            tell=self._tell,
        )
        try:
            self._attendant.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Be silent, for good; returns within four seconds or so, whatever the driver does."""
        self._is_closed = True
        if self._attendant is not None:
            self._attendant.close()
        for messenger in (self._messenger, self._tap):
            if messenger is not None:
                messenger.close()
        with self._condition.lock:
            self._playback.cut()
            self._condition.notify_all()

    def __enter__(self) -> Speaker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def play(self, pcm: AudioLike, *, item_id: str = "") -> None:
        """
        Queue sound, and return without waiting for the device. The queue has no limit.

        Args:
            pcm: PCM16 (int16, little-endian, mono) at the rate of the speaker, or what
                :func:`azure_rt_audio.audio.to_pcm16` takes. Whole frames.
            item_id: What it belongs to. After an item was finished, or cut by :meth:`stop`, the same id
                begins another one.

        Raises:
            ValueError, TypeError: It is not audio.
            DeviceError: The speaker was closed.
        """
        octets = memoryview(to_pcm16(pcm))
        if self._is_closed:
            raise DeviceError("the speaker is closed")
        size = self._rate * _PIECE_MS // 1000 * _FRAME
        for start in range(
            0, len(octets), size
        ):  # converting a long one at once would keep the device waiting
            with self._condition.lock:
                self._playback.add(item_id, octets[start : start + size])

    def finish(self, item_id: str = "") -> None:
        """
        Say that no more of an item comes; when it was heard to its end, ``on_event`` is told.

        Without it an item whose sound has all been played counts as run dry.
        """
        with self._condition.lock:
            self._playback.finish(item_id)

    def stop(self) -> tuple[Played, ...]:
        """
        Drop everything that has not left for the device; at once, without waiting.

        Returns:
            The items that were not played to their end, in their order, and how much of each the user
            hears in all. It counts what the device has taken already, :attr:`latency_ms` at most: that
            is still heard, and cannot be called back.
        """
        with self._condition.lock:
            cut = self._playback.cut()
            self._condition.notify_all()
        return cut

    def played_ms(self, item_id: str = "") -> int:
        """Return how much of an item was heard by now, the device's latency taken into account."""
        with self._condition.lock:
            return self._playback.heard_frames(item_id, time.monotonic()) * 1000 // self._rate

    def received_ms(self, item_id: str = "") -> int:
        """Return how much of an item was given to :meth:`play`."""
        with self._condition.lock:
            return self._playback.received_frames(item_id) * 1000 // self._rate

    @property
    def is_playing(self) -> bool:
        """Whether something is queued, or on its way to be heard."""
        with self._condition.lock:
            return not self._playback.is_quiet(time.monotonic())

    def wait_until_quiet(self, timeout: float | None = None) -> bool:
        """Block until everything queued was heard; return whether it was before *timeout* seconds passed."""
        return self._condition.wait_until(
            lambda: self._playback.is_quiet(time.monotonic()), Deadline(timeout)
        )

    @property
    def level_db(self) -> float:
        """How loud the last block is, in dB below full scale; -100 is silence."""
        return level_db(self._latest)

    @property
    def underflows(self) -> int:
        """How often sound was missing: an item ran dry, or the machine was too busy to play in time."""
        return self._playback.underflows + self._device_underflows

    @property
    def latency_ms(self) -> int:
        """How much the device takes in advance, as it says itself; 0 if none is open."""
        line = None if self._attendant is None else self._attendant.line
        return 0 if line is None else round(line.latency * 1000)

    @property
    def device_name(self) -> str | None:
        """The name of the device that is open, ``None`` if none is."""
        line = None if self._attendant is None else self._attendant.line
        return None if line is None else line.device.name

    @property
    def sample_rate_hz(self) -> int:
        """The rate of what :meth:`play` takes."""
        return self._rate

    def _tell(self, event: DeviceEvent) -> None:
        if self._messenger is not None:
            self._messenger.put(event)

    def _lose(self) -> None:
        with self._condition.lock:
            self._playback.lose(time.monotonic())

    def _settle(self) -> None:
        now = time.monotonic()
        with self._condition.lock:
            ended = self._playback.settle(now)
            if self._playback.is_quiet(now):
                self._condition.notify_all()
        for played in ended:
            self._tell(played)

    def _prepare(self, line: Line) -> Callable[[Any, int, Any, Any], None]:
        """Make the callback of a line. It runs on PortAudio's thread: no waiting, no logging."""
        with self._condition.lock:
            self._playback.change_device_rate(line.sample_rate_hz)
        lock, playback = self._condition.lock, self._playback
        mono = bytearray(line.sample_rate_hz * _FRAME)  # a second, which no block is as long as

        def callback(data: Any, frames: int, times: Any, status: Any) -> None:
            now = time.monotonic()
            line.blocks += 1
            ahead = times.outputBufferDacTime - times.currentTime
            if not 0 < ahead < 5:  # some host APIs do not tell
                ahead = line.latency
            block = memoryview(mono)[: frames * _FRAME]
            with lock:
                if status and status.output_underflow and not playback.is_quiet(now):
                    self._device_underflows += 1
                playback.pull(block, now + ahead, now)
            self._latest = bytes(block)
            if line.channels == 1:
                data[:] = block
            else:
                stereo = bytearray(len(data))
                for byte in (0, 1, 2, 3):
                    stereo[byte::4] = block[byte % 2 :: 2]
                data[:] = stereo
            if self._tap is not None:
                self._tap.put((self._latest, now + ahead, line.sample_rate_hz))

        return callback


class _Tap:
    """Hands blocks on at the speaker's rate, whatever the device's is."""

    def __init__(self, receive: Callable[[bytes, float], object], rate_hz: int) -> None:
        self._receive = receive
        self._rate = rate_hz
        self._resampler = Resampler(rate_hz, rate_hz)
        self._lag = 0.0  # seconds that went into the resampler and did not come out

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
