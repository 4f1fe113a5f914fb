"""
A spoken conversation with microphone, speaker and barge-in.

**Threads and locks.** The *capture thread* ``azure-rt-voice-N`` reads the microphone and sends each block;
after each block it updates the status and the levels. The *playback worker*, a dispatcher of the session's
own, handles the events of the service: it feeds the speaker and carries out interruptions. So these wait
neither for the program's listeners nor for the microphone, and do not block the I/O thread. The devices have
their own threads. The two threads share queues, and attributes with one writer each.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from .._concurrency import shutdown
from .._concurrency.deadline import Deadline, check_timeout
from .._concurrency.program_end import join_thread
from .._log import get_logger
from ..audio.level import SILENCE_DB, level_db
from ..audio.pcm import AudioLike, to_pcm16
from ..audio.resample import import_now
from ..devices import Microphone, Speaker
from ..devices.events import DeviceLost, DeviceOpened
from ..devices.interfaces import MicrophoneLike, SpeakerLike
from ..dispatch import WorkerDispatcher
from ..dispatch.base import call_guarded, report_failure
from ..errors import ConnectionClosedError, RealtimeError
from ..protocol.events import (
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioDone,
)
from ..protocol.events.local import Closed, GuardTripped
from .downlink import Downlink
from .echo import EchoPolicy, Headphones, echo_control
from .echo_reference import SAMPLE_RATE_HZ, Reference
from .events import Levels, SelfInterruption
from .interfaces import Client, Recorder
from .self_interruption import SelfInterruptionDetector
from .uplink import Uplink

__all__ = ["VoiceSession"]

log: logging.Logger = get_logger(__name__)

_numbers = itertools.count(1)

_READ_TIMEOUT_S: Final = 0.1
_LEVELS_INTERVAL_S: Final = 0.1
_REFERENCE_LEAD_S: Final = 0.04
"""Lead of the echo reference over the microphone: the latencies that devices report are inexact."""

_RECORDED_MS: Final = 10_000
"""Of sound before a release that is read after it, at most: what a microphone keeps by default."""

_CLOSE_TIMEOUT_S: Final = 2.0
_STOP_TIMEOUT_S: Final = 1.0
_RECORDER_TIMEOUT_S: Final = 0.5

_ADVICE: Final[dict[EchoPolicy, str]] = {
    "headphones": 'use headphones, or echo="cancel" or "gate"',
    "half_duplex": "the room's reverberation outlasts the policy's; turn the speaker down",
    "gate": 'turn the speaker down, use headphones, or echo="cancel"',
    "cancel": "turn the speaker down, or use headphones",
}


class VoiceSession:
    """
    A spoken conversation.

    Streams the microphone to the service and plays the answers. When the user speaks over an answer, the
    speaker stops at once and the answer is truncated at the position that was played. The client's status
    follows the speaker: it is ``speaking`` until the answer has been played. Works in ``pcm16`` and G.711
    sessions::

        with AzureRealTimeAudio(options) as client, client.talk() as voice:
            voice.wait()

    Args:
        client: An :class:`~azure_rt_audio.AzureRealTimeAudio`, connected or connecting; audio captured before
            the session is ready is buffered, and sent in order.
        microphone: A :class:`azure_rt_audio.devices.Microphone`; ``None`` for the default device. The
            session starts it, so it must not be started yet, and closes it at the end.
        speaker: A :class:`azure_rt_audio.devices.Speaker`, likewise.
        echo: The echo policy. ``"headphones"``: no echo control. ``"half_duplex"``: the microphone is muted
            while the speaker plays, so barge-in is impossible. ``"gate"``: only speech clearly louder than
            the echo is sent. ``"cancel"``: acoustic echo cancellation; needs the ``echo`` extra. With
            push-to-talk there is no echo, and only ``"cancel"`` has an effect.
        push_to_talk: Send only between :meth:`press` and :meth:`release`, then request a response; the
            session's turn detection is turned off.
        on_event: Called where the client's listeners run, with events for a user interface: levels, latency,
            interruptions, devices lost and opened, self-interruption. See :mod:`azure_rt_audio.voice`.

    Raises:
        ValueError: Unknown echo policy, or a device with another rate than 24 000 Hz.
        TypeError: The name or number of a device was passed in place of a device.
        MissingExtraError: The ``audio`` extra, or the ``echo`` extra, is not installed.

    **Threads.** Any method may be called from any thread. ``azure-rt-voice-N`` captures and sends; an
    ``azure-rt-events-N`` of the session's own plays the answers and interrupts; the devices play and record
    on their own threads. The session ends with its client, or with :meth:`close`; after ``client.off_all()``
    it no longer receives events.
    """

    def __init__(
        self,
        client: Client,
        microphone: MicrophoneLike | None = None,
        speaker: SpeakerLike | None = None,
        *,
        echo: EchoPolicy = "gate",
        push_to_talk: bool = False,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        policy = echo_control(echo)
        # A press stops the speaker, so there is no echo, and a gate would only clip the first word.
        self._echo = Headphones() if push_to_talk and echo != "cancel" else policy
        self._policy: EchoPolicy = echo
        self._client = client
        self._engine = client._engine
        self._on_event = on_event
        self.microphone: MicrophoneLike = Microphone() if microphone is None else microphone
        self.speaker: SpeakerLike = Speaker() if speaker is None else speaker
        for name, device in (("microphone", self.microphone), ("speaker", self.speaker)):
            if isinstance(device, str | int):
                raise TypeError(f"{name} is {device!r}: pass a device, {name.title()}({device!r})")
            does, not_this = ("read", "play") if name == "microphone" else ("play", "read")
            if not hasattr(device, does):
                hint = ": microphone and speaker are exchanged" if hasattr(device, not_this) else ""
                raise TypeError(f"{name} is a {type(device).__name__}, which has no {does}(){hint}")
            rate = getattr(device, "sample_rate_hz", SAMPLE_RATE_HZ)
            if rate != SAMPLE_RATE_HZ:  # the pitch would be wrong
                raise ValueError(
                    f"the {name} has sample_rate_hz={rate}, a voice session needs {SAMPLE_RATE_HZ}: "
                    "omit it; audio is converted to the rate of the device"
                )
        self.is_push_to_talk: bool = push_to_talk
        self._reference = Reference()
        self._self_interruption = SelfInterruptionDetector()
        self._uplink = Uplink(client)
        self._downlink = Downlink(client._engine, self.speaker, self._emit)
        self._worker = WorkerDispatcher()
        self._recorder: Recorder | None = None  # ours to close
        self._subscriptions: tuple[Any, ...] = ()
        # A press, with an event that is set once playback has stopped; None for a release.
        self._button: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()
        self._interruptions: queue.SimpleQueue[float] = queue.SimpleQueue()  # times, for the detector
        self._pressed: threading.Event | None = None  # capture thread only, as are the next four
        self._is_configured = False
        self._levels_at = 0.0
        self._microphone_db = SILENCE_DB
        self._has_warned = False
        self._are_levels_pending = False  # set by the capture thread, cleared where listeners run
        self._is_closing = threading.Event()
        self._has_ended = threading.Event()
        self._end_reason: RealtimeError | None = None  # written once, before _has_ended is set
        self._lock = threading.Lock()  # leaf; guards what follows
        self._waiting = 0  # threads in wait()
        self._capture_thread: threading.Thread | None = None

    # ------------------------------------------------------------ control

    def start(self) -> None:
        """
        Open the devices and begin to capture. Idempotent; blocks while the devices open.

        Raises:
            RealtimeError: If a device cannot be opened.
            RuntimeError: If the session has ended, or another of the client goes on.
        """
        name = f"azure-rt-voice-{next(_numbers)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        with self._lock:
            if self._is_closing.is_set():
                raise RuntimeError("this voice session has ended; create a new one")
            if self._capture_thread is not None:
                return
            if self._engine.voice.setdefault("session", self) is not self:
                raise RuntimeError(
                    "another voice session of this client goes on, and both would record and play: "
                    "close() that one first, or make another client"
                )
            self._capture_thread = thread
        try:
            import_now()
            self._subscribe()
            self._connect_devices()
            self.speaker.start()
            self.microphone.start()
            self._worker.submit(self._downlink.update, time.monotonic())  # its thread: at exit none starts
            thread.start()
        except BaseException:
            self._is_closing.set()
            self._shut_down()
            raise
        shutdown.register(shutdown.Stage.VOICE, self, VoiceSession.close)

    def _connect_devices(self) -> None:
        """Receive the devices' events, in addition to the callbacks they already have."""
        for device in (self.microphone, self.speaker):
            device.on_event = _chained(self._on_device_event, device.on_event)
        self.speaker.on_played = _chained(self._reference.add, self.speaker.on_played)

    def wait(self, timeout: float | None = None) -> bool:
        """
        Wait *timeout* seconds for the session's end, ``None`` without limit; return whether it came.

        An end that this side wanted, by :meth:`close` or that of the client, is no error.

        Raises:
            ConnectionClosedError: If the connection was lost or the service ended it, at the session's
                maximum duration too (``code`` is ``"session_expired"``).
            RealtimeError: If a device ended the session.
            RuntimeError: If it was not started.
        """
        check_timeout(timeout)
        self._check_started()
        with self._lock:
            self._waiting += 1
        try:
            with self._engine.waiters.told_of_end():
                has_ended = self._has_ended.wait(timeout)
        finally:
            with self._lock:
                self._waiting -= 1
        if has_ended and self._end_reason is not None:
            raise self._end_reason.again()
        return has_ended

    def interrupt(self) -> None:
        """
        Stop the answer, as if the user had spoken. Does not block.

        Raises:
            RuntimeError: If the session was not started.
        """
        self._check_started()
        self._worker.submit(lambda _: self._downlink.interrupt(by_user=False, must_cancel=True), None)

    def press(self) -> None:
        """
        Push to talk: begin a turn, and stop an answer in progress. Does not block.

        Raises:
            RuntimeError: If the session was created without ``push_to_talk=True``, or was not started.
        """
        self._check_push_to_talk()
        has_stopped = threading.Event()
        self._engine.turns.press()
        self._worker.submit(self._stop_playback, has_stopped)
        self._button.put(has_stopped)

    def release(self) -> None:
        """
        Push to talk: end the turn and request a response. Does not block.

        A turn of less than 100 ms is discarded. Raises as :meth:`press`.
        """
        self._check_push_to_talk()
        self._button.put(None)

    def _check_push_to_talk(self) -> None:
        if not self.is_push_to_talk:
            raise RuntimeError("this voice session captures all the time; create it with push_to_talk=True")
        self._check_started()

    def _check_started(self) -> None:
        """Refuse what has no effect, or no end, before the start."""
        if self._capture_thread is None and not self._is_closing.is_set():
            raise RuntimeError(
                "this voice session was not started: use it in a with statement, or call start()"
            )

    @property
    def is_muted(self) -> bool:
        """Whether silence is sent in place of the microphone. May be set."""
        return self.microphone.is_muted

    @is_muted.setter
    def is_muted(self, is_muted: bool) -> None:
        self.microphone.is_muted = is_muted

    @property
    def is_open(self) -> bool:
        """Whether it was started and has not ended."""
        return self._capture_thread is not None and not self._is_closing.is_set()

    def close(self, timeout: float = _CLOSE_TIMEOUT_S) -> bool:
        """
        End the conversation and close the devices; the client stays open. Idempotent; from any thread.

        Args:
            timeout: Seconds to wait for the threads; a driver that hangs may take some seconds more.

        Returns:
            Whether all threads have ended; false if called on one of them.
        """
        deadline = Deadline(timeout)
        with self._lock:
            self._is_closing.set()
            thread = self._capture_thread
        if thread is threading.current_thread() or self._worker.owns_this_thread():
            return False  # the capture thread sees the flag and shuts down
        if thread is not None and thread.ident is not None:
            join_thread(thread, deadline.remaining())
        self._shut_down()
        has_ended = self._worker.join(deadline.remaining()) and (thread is None or not thread.is_alive())
        if self._recorder is not None:
            self._recorder.close(max(_RECORDER_TIMEOUT_S, deadline.remaining() or 0.0))
        return has_ended

    def __enter__(self) -> VoiceSession:
        """Start."""
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # ------------------------------------------------------------ events of the service, on the worker

    def _subscribe(self) -> None:
        down, worker = self._downlink, self._worker
        on = self._client.on
        self._subscriptions = (
            on(ResponseCreated, down.on_created, dispatcher=worker),
            on(ResponseOutputAudioDelta, down.on_delta, dispatcher=worker),
            on(ResponseOutputAudioDone, down.on_audio_done, dispatcher=worker),
            on(ResponseDone, down.on_done, dispatcher=worker),
            on(InputAudioBufferSpeechStarted, self._on_speech_started, dispatcher=worker),
            on(InputAudioBufferSpeechStopped, self._on_speech_stopped, dispatcher=worker),
            on(GuardTripped, down.on_guard, dispatcher=worker),
            on(Closed, self._on_closed, dispatcher=worker),
        )

    def _on_speech_started(self, event: InputAudioBufferSpeechStarted) -> None:
        if self.speaker.is_playing:
            self._interruptions.put(time.monotonic())
        session = self._engine.session
        detection = session.turn_detection if session is not None else None
        must_cancel = detection is not None and detection.interrupt_response is False
        self._downlink.interrupt(by_user=True, must_cancel=must_cancel)

    def _on_speech_stopped(self, event: InputAudioBufferSpeechStopped) -> None:
        self._downlink.asked(time.monotonic())

    def _on_closed(self, event: Closed) -> None:
        self._note_end(event.error)
        self._is_closing.set()

    def _note_end(self, reason: RealtimeError) -> None:
        """Remember why it ends, unless this side wants it to, or it is known."""
        if not (self._is_closing.is_set() or self._engine.is_closing or self._end_reason is not None):
            self._end_reason = reason

    # ------------------------------------------------------------ the capture thread

    def _run(self) -> None:
        try:
            while not self._is_closing.is_set():
                self._process_next()
        except ConnectionClosedError as exc:
            self._note_end(exc)
            log.info("= voice session ended with its connection: %s", exc)
        except RealtimeError as exc:
            if not self._is_closing.is_set():
                level = logging.DEBUG if self._waiting else logging.WARNING  # who waits is told
                log.log(level, "! voice session ended: %s", exc)
            self._note_end(exc)
        except BaseException as exc:
            self._note_end(RealtimeError(f"the voice session ended with {type(exc).__name__}: {exc}"))
            raise
        finally:
            self._is_closing.set()
            self._shut_down()

    def _process_next(self) -> None:
        self._configure()
        block = self.microphone.read(_READ_TIMEOUT_S)
        if self._pressed is None:
            self._handle_button()  # before the block, which was recorded during the press
        if block is not None:
            self._process(block)
        else:
            self._uplink.flush()
        if self._pressed is not None:
            self._handle_button()
        now = time.monotonic()
        self._worker.submit(self._downlink.update, now)
        self._check_self_interruption()
        self._emit_levels(now)

    def _configure(self) -> None:
        """Once the session is ready, check its turn detection, or turn it off for push-to-talk."""
        if self._is_configured or not self._client.is_initialized:
            return
        self._is_configured = True
        session = self._engine.session
        is_detecting = session is not None and session.turn_detection is not None
        if self.is_push_to_talk and is_detecting:
            self._client.update_session({"turn_detection": None})
        elif not self.is_push_to_talk and not is_detecting:
            log.warning(
                "! turn detection is off, so no response will be requested; set turn_detection, or use "
                "push_to_talk=True"
            )

    def _process(self, recorded: AudioLike) -> int:
        """Handle a block, and return its length in bytes."""
        block = bytes(to_pcm16(recorded))  # of a microphone of the program's own, maybe an array
        ended_at = self.microphone.captured_at + len(block) / 48_000
        played = self._reference.take(len(block) // 2, ended_at + _REFERENCE_LEAD_S)
        sent = self._echo.process(block, played, self.speaker.is_playing)
        self._self_interruption.feed(sent, played)
        self._microphone_db = level_db(sent)
        if not self.is_push_to_talk or self._pressed is not None:
            self._uplink.send(sent)
        return len(block)

    def _handle_button(self) -> None:
        """Handle the next press or release, if there is one."""
        if self._button.empty():
            return
        pressed = self._button.get()
        if self._pressed is not None and pressed is None:
            self._process_recorded()
            self._worker.submit(self._downlink.asked, time.monotonic())
            self._pressed.wait(_STOP_TIMEOUT_S)  # or a late stop would cancel the answer to this turn
            self._uplink.end_turn()
        self._pressed = pressed

    def _process_recorded(self) -> None:
        """
        Process what was recorded before a release and was not read yet.

        No more, of a microphone that is faster than this: a simulated one, or one with ``b""`` for nothing.
        """
        microphone = self.microphone
        kept_ms = microphone.buffered_ms if isinstance(microphone, Microphone) else 0
        left = max(kept_ms, _RECORDED_MS) * 48
        while left > 0 and not self._is_closing.is_set():
            block = microphone.read(0.0)
            size = 0 if block is None else self._process(block)
            if not size:
                break
            left -= size

    def _stop_playback(self, has_stopped: threading.Event) -> None:
        """Interrupt on a press; runs on the worker."""
        try:
            self._downlink.interrupt(by_user=True, must_cancel=True)
        finally:
            has_stopped.set()

    def _check_self_interruption(self) -> None:
        while not self._interruptions.empty():
            if self._self_interruption.on_interruption(self._interruptions.get()):
                self._warn()

    def _warn(self) -> None:
        event = SelfInterruption(
            interruptions=self._self_interruption.interruptions, advice=_ADVICE[self._policy]
        )
        if not self._has_warned:
            log.warning(
                "! the assistant interrupts itself: the microphone picks up the speaker; %s", event.advice
            )
        self._has_warned = True
        self._emit(event)

    # ------------------------------------------------------------ events for user interfaces

    def _emit(self, event: Any) -> None:
        """Call ``on_event`` where the client's listeners run."""
        if self._on_event is not None:
            self._engine.dispatcher.submit(self._call_listener, event)

    def _call_listener(self, event: Any) -> None:
        if isinstance(event, Levels):
            self._are_levels_pending = False
        if self._on_event is not None:
            call_guarded(self._on_event, event, self._on_event)

    def _on_device_event(self, event: Any) -> None:
        if isinstance(event, DeviceLost | DeviceOpened):
            self._emit(event)

    def _emit_levels(self, now: float) -> None:
        taps = self._engine.taps
        is_wanted = self._on_event is not None and not self._are_levels_pending
        if not (is_wanted or taps.active) or now - self._levels_at < _LEVELS_INTERVAL_S:
            return
        self._levels_at = now
        levels = Levels(microphone_db=self._microphone_db, speaker_db=self.speaker.level_db)
        taps.levels(levels.microphone_db, levels.speaker_db)
        if is_wanted:
            self._are_levels_pending = True  # a slow listener gets no second ones before it has seen these
            self._emit(levels)

    # ------------------------------------------------------------ the end

    def _shut_down(self) -> None:
        """Close everything, whatever a device raises. Idempotent."""
        if self._has_ended.is_set():
            return
        for subscription in self._subscriptions:
            subscription.cancel()
        with contextlib.ExitStack() as stack:  # from bottom to top; Ctrl-C skips nothing of it
            stack.callback(self._note_has_ended)
            stack.callback(_call_device, self.speaker.close)
            stack.callback(_call_device, self._stop_speaker)
            stack.callback(_call_device, self.microphone.close)

    def _stop_speaker(self) -> None:
        stopped = {played.item_id: played.ms for played in self.speaker.stop()}
        self._worker.submit(self._downlink.end, stopped)

    def _note_has_ended(self) -> None:
        self._worker.close()
        shutdown.forget(shutdown.Stage.VOICE, self)
        if self._engine.voice.get("session") is self:
            self._engine.voice.pop("session", None)
        self._has_ended.set()


def _call_device(act: Callable[[], object]) -> None:
    """Call a device, which may be the program's own; log its exception, so that the rest is closed."""
    try:
        act()
    except BaseException as exc:  # noqa: BLE001 - logged, or raised again
        report_failure(exc, act)


def _chained(first: Callable[..., object], second: Callable[..., object] | None) -> Callable[..., object]:
    def call(*arguments: Any) -> None:
        first(*arguments)
        if second is not None:
            second(*arguments)

    return call
