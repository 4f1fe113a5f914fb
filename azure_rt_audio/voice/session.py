"""
A spoken conversation: microphone up, speaker down, and the user may interrupt.

**Threads and locks.** The *pulse* ``azure-rt-voice-N`` reads the microphone, block by block, and sends it;
with each block it also looks at the speaker, for the status and the levels. The *listener thread* of the
session's own dispatcher takes what the service says, gives it to the speaker and carries out interruptions:
so they wait neither for the program's listeners nor for the microphone, and hold up no reader. The devices
have threads of their own. What the two threads share are queues, and attributes that one of them writes.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from .._concurrency import shutdown
from .._concurrency.deadline import Deadline
from ..audio.level import SILENCE_DB, level_db
from ..devices import Microphone, Speaker
from ..devices.events import DeviceLost, DeviceOpened
from ..devices.interfaces import MicrophoneLike, SpeakerLike
from ..dispatch import WorkerDispatcher
from ..dispatch.base import call_guarded
from ..errors import ConnectionClosedError, RealtimeError
from ..protocol.events import (
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioDone,
)
from ..protocol.events.local import Closed
from .downlink import Downlink
from .echo import EchoPolicy, Headphones, echo_control
from .echo_reference import SAMPLE_RATE_HZ, Reference
from .events import Levels, SelfInterruption
from .self_interruption import SelfInterruptionDetector
from .uplink import Uplink

if TYPE_CHECKING:
    from ..client import AzureRealTimeAudio

__all__ = ["VoiceSession"]

log: logging.Logger = logging.getLogger(__name__)

_numbers = itertools.count(1)

_PULSE_S: Final = 0.1  # without a microphone; with one, its blocks are the pulse
_LEVELS_S: Final = 0.1
_LEAD_S: Final = 0.04
"""How much earlier than the microphone the canceller is told of a sound: devices err about their latency."""

_CLOSE_S: Final = 2.0
_SILENCE_S: Final = 1.0

_ADVICE: Final[dict[EchoPolicy, str]] = {
    "headphones": 'use headphones, or echo="cancel" or "gate"',
    "half_duplex": "the tail of the room is longer than that of the policy; turn the speaker down",
    "gate": 'turn the speaker down, use headphones, or echo="cancel"',
    "cancel": "turn the speaker down, or use headphones",
}


class VoiceSession:
    """
    A spoken conversation.

    Streams the microphone to the service and plays the answers. When the user speaks over an answer the
    speaker is silent at once, and the service is told how much of it was heard. The client's status follows
    the speaker: it is ``speaking`` until the answer has been played out. Works in ``pcm16`` and G.711
    sessions::

        with AzureRealTimeAudio(options) as client, client.talk() as voice:
            voice.wait()

    Args:
        client: Connected or connecting; what is said meanwhile is kept, and sent in order.
        microphone: A :class:`azure_rt_audio.devices.Microphone`; ``None`` for the default device. The
            session starts it, so it must not have been started, and closes it at the end.
        speaker: A :class:`azure_rt_audio.devices.Speaker`, likewise.
        echo: How the assistant is kept from hearing itself. ``"headphones"``: it cannot. ``"half_duplex"``:
            the microphone is silent while the speaker plays, so that nobody can interrupt. ``"gate"``: only
            what is clearly louder than the echo gets through. ``"cancel"``: the echo is taken out; needs the
            ``echo`` extra. With push-to-talk there is no echo, and only ``"cancel"`` does anything.
        push_to_talk: Send only between :meth:`press` and :meth:`release`, and ask for the answer then; the
            session's turn detection is turned off.
        on_event: Called where the client's listeners run, with what a user interface may show: levels,
            latency, interruptions, devices that come and go, an assistant that hears itself. See
            :mod:`azure_rt_audio.voice`.

    Raises:
        ValueError: There is no such echo policy, or a device was made for another rate than 24 000 Hz.
        TypeError: The name or number of a device was given in place of a device.
        MissingExtraError: The ``audio`` extra, or the ``echo`` extra, is not installed.

    **Threads.** Any method may be called from any thread. ``azure-rt-voice-N`` captures and sends; an
    ``azure-rt-events-N`` of the session's own takes the answers and interrupts; the devices play and record
    on threads of theirs. The session ends with its client, or with :meth:`close`; ``client.off_all()`` makes
    it deaf to the service.
    """

    def __init__(
        self,
        client: AzureRealTimeAudio,
        microphone: MicrophoneLike | None = None,
        speaker: SpeakerLike | None = None,
        *,
        echo: EchoPolicy = "gate",
        push_to_talk: bool = False,
        on_event: Callable[[Any], object] | None = None,
    ) -> None:
        policy = echo_control(echo)
        # Who presses the button stops the speaker: there is no echo, and nothing of the first word to lose.
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
            rate = getattr(device, "sample_rate_hz", SAMPLE_RATE_HZ)
            if rate != SAMPLE_RATE_HZ:  # it would sound too high or too low
                raise ValueError(
                    f"the {name} has a sample_rate_hz of {rate}, a voice session needs {SAMPLE_RATE_HZ}: "
                    "leave it out, any device is converted"
                )
        self.is_push_to_talk: bool = push_to_talk
        self._reference = Reference()
        self._self_hearing = SelfInterruptionDetector()
        self._uplink = Uplink(client)
        self._downlink = Downlink(client, self.speaker, self._tell)
        self._lane = WorkerDispatcher()
        self._subscriptions: tuple[Any, ...] = ()
        self._button: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()  # a press, or its end
        self._suspects: queue.SimpleQueue[float] = (
            queue.SimpleQueue()
        )  # interruptions, for the pulse to judge
        self._pressed: threading.Event | None = None  # set when the press has silenced all; the pulse's
        self._is_configured = False  # the pulse's
        self._levels_at = 0.0  # the pulse's
        self._microphone_db = SILENCE_DB  # the pulse's
        self._has_hinted = False  # the pulse's
        self._are_levels_waiting = False  # set by the pulse, cleared where listeners run
        self._is_closing = threading.Event()
        self._has_ended = threading.Event()
        self._lock = threading.Lock()  # leaf; guards _pulse
        self._pulse: threading.Thread | None = None

    # ------------------------------------------------------------ the user's side

    def start(self) -> None:
        """
        Begin: the devices are opened, and the microphone is heard from now on. Idempotent.

        Raises:
            RealtimeError: If a device cannot be opened.
            RuntimeError: If the session is over.
        """
        name = f"azure-rt-voice-{next(_numbers)}"
        pulse = threading.Thread(target=self._run, name=name, daemon=True)
        with self._lock:
            if self._is_closing.is_set():
                raise RuntimeError("this voice session is over; make another one")
            if self._pulse is not None:
                return
            self._pulse = pulse
        try:
            self._listen()
            self._wire_devices()
            self.speaker.start()
            self.microphone.start()
            pulse.start()
        except BaseException:
            self._is_closing.set()
            self._tear_down()
            raise
        shutdown.register(shutdown.Stage.VOICE, self, VoiceSession.close)

    def _wire_devices(self) -> None:
        """See to it that the session hears of what its devices do, and whoever did before."""
        for device in (self.microphone, self.speaker):
            device.on_event = _both(self._tell_of_device, device.on_event)
        self.speaker.on_played = _both(self._reference.add, self.speaker.on_played)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, and return whether it has come; ``None`` waits as long as it takes."""
        return self._has_ended.wait(timeout)

    def interrupt(self) -> None:
        """Stop the answer, as if the user had spoken. Does not wait."""
        self._lane.submit(lambda _: self._downlink.interrupt(by_user=False, is_service_told=False), None)

    def press(self) -> None:
        """
        Push to talk: the user begins to speak, and an answer in progress is stopped. Does not wait.

        Raises:
            RuntimeError: If the session is not one of push-to-talk.
        """
        self._check_push_to_talk()
        silenced = threading.Event()
        self._lane.submit(self._silence, silenced)
        self._button.put(silenced)

    def release(self) -> None:
        """
        Push to talk: the user has spoken and wants an answer. Does not wait.

        After less than 100 ms nothing is asked. Raises as :meth:`press`.
        """
        self._check_push_to_talk()
        self._button.put(None)

    def _check_push_to_talk(self) -> None:
        if not self.is_push_to_talk:
            raise RuntimeError("the microphone is open; make the session with push_to_talk=True")

    @property
    def is_muted(self) -> bool:
        """Whether the service hears silence instead of the user. May be set."""
        return self.microphone.is_muted

    @is_muted.setter
    def is_muted(self, is_muted: bool) -> None:
        self.microphone.is_muted = is_muted

    @property
    def is_open(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._pulse is not None and not self._is_closing.is_set()

    def close(self, timeout: float = _CLOSE_S) -> bool:
        """
        End, close the devices, leave the client as it is. Idempotent; from any thread.

        Args:
            timeout: Seconds for the threads; a driver that hangs may take some seconds more.

        Returns:
            Whether all threads have ended; from one of them they cannot yet have.
        """
        deadline = Deadline(timeout)
        with self._lock:
            self._is_closing.set()
            pulse = self._pulse
        is_ours = pulse is threading.current_thread() or self._lane.owns_this_thread()
        if is_ours:
            return False  # the pulse sees it, and ends the rest
        if pulse is not None and pulse.ident is not None:
            with contextlib.suppress(RuntimeError):  # Python 3.14 joins no daemon thread while it exits
                pulse.join(deadline.remaining())
        self._tear_down()
        return self._lane.join(deadline.remaining()) and (pulse is None or not pulse.is_alive())

    def __enter__(self) -> VoiceSession:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------ what the service says: the listener thread

    def _listen(self) -> None:
        down, lane = self._downlink, self._lane
        on = self._client.on
        self._subscriptions = (
            on(ResponseCreated, down.on_created, dispatcher=lane),
            on(ResponseOutputAudioDelta, down.on_delta, dispatcher=lane),
            on(ResponseOutputAudioDone, down.on_audio_done, dispatcher=lane),
            on(ResponseDone, down.on_done, dispatcher=lane),
            on(InputAudioBufferSpeechStarted, self._on_speech_started, dispatcher=lane),
            on(InputAudioBufferSpeechStopped, self._on_speech_stopped, dispatcher=lane),
            on(Closed, self._on_closed, dispatcher=lane),
        )

    def _on_speech_started(self, event: InputAudioBufferSpeechStarted) -> None:
        if self.speaker.is_playing:
            self._suspects.put(time.monotonic())
        session = self._engine.session
        detection = session.turn_detection if session is not None else None
        does_service_stop = detection is None or detection.interrupt_response is not False
        self._downlink.interrupt(by_user=True, is_service_told=does_service_stop)

    def _on_speech_stopped(self, event: InputAudioBufferSpeechStopped) -> None:
        self._downlink.asked(time.monotonic())

    def _on_closed(self, event: Closed) -> None:
        self._is_closing.set()

    # ------------------------------------------------------------ the pulse

    def _run(self) -> None:
        try:
            while not self._is_closing.is_set():
                self._beat()
        except ConnectionClosedError as exc:
            log.info("= the voice session ends with its connection: %s", exc)
        except RealtimeError as exc:
            if not self._is_closing.is_set():
                log.warning("! the voice session ends: %s", exc)
        finally:
            self._is_closing.set()
            self._tear_down()

    def _beat(self) -> None:
        self._configure()
        block = self.microphone.read(_PULSE_S)
        if self._pressed is None:
            self._heed_button()  # what was recorded while it was being pressed belongs to the turn
        if block is not None:
            self._hear(block)
        else:
            self._uplink.flush()
        if self._pressed is not None:
            self._heed_button()
        now = time.monotonic()
        self._lane.submit(self._downlink.look, now)
        self._judge_suspects()
        self._tell_levels(now)

    def _configure(self) -> None:
        """Once the session is ready, see to it that its turn detection fits."""
        if self._is_configured or not self._client.is_initialized:
            return
        self._is_configured = True
        session = self._engine.session
        is_detecting = session is not None and session.turn_detection is not None
        if self.is_push_to_talk and is_detecting:
            self._client.update_session({"turn_detection": None})
        elif not self.is_push_to_talk and not is_detecting:
            log.warning("! the session detects no turns, so nobody will answer; use push_to_talk=True")

    def _hear(self, block: bytes) -> None:
        ended_at = self.microphone.captured_at + len(block) / 48_000
        played = self._reference.take(len(block) // 2, ended_at + _LEAD_S)
        sent = self._echo.process(block, played, self.speaker.is_playing)
        self._self_hearing.feed(sent, played)
        self._microphone_db = level_db(sent)
        if not self.is_push_to_talk or self._pressed is not None:
            self._uplink.send(sent)

    def _heed_button(self) -> None:
        """Take note of what has become of the button: of one change at a time."""
        if self._button.empty():
            return
        silenced = self._button.get()
        if self._pressed is not None and silenced is None:
            while (block := self.microphone.read(0.0)) is not None:  # what had been said by then
                self._hear(block)
            self._lane.submit(self._downlink.asked, time.monotonic())
            self._pressed.wait(_SILENCE_S)  # or the press would stop the answer to what was said in it
            self._uplink.end_turn()
        self._pressed = silenced

    def _silence(self, silenced: threading.Event) -> None:
        """Interrupt because the button was pressed, on the listener thread, and say that it is done."""
        try:
            self._downlink.interrupt(by_user=True, is_service_told=False)
        finally:
            silenced.set()

    def _judge_suspects(self) -> None:
        while not self._suspects.empty():
            if self._self_hearing.on_interruption(self._suspects.get()):
                self._give_hint()

    def _give_hint(self) -> None:
        hint = SelfInterruption(interruptions=self._self_hearing.interruptions, advice=_ADVICE[self._policy])
        if not self._has_hinted:
            log.warning("! the assistant interrupts itself, it hears the speaker: %s", hint.advice)
        self._has_hinted = True
        self._tell(hint)

    # ------------------------------------------------------------ what user interfaces show

    def _tell(self, event: Any) -> None:
        """Have the program's listener called where its other listeners run."""
        if self._on_event is not None:
            self._engine.dispatcher.submit(self._deliver, event)

    def _deliver(self, event: Any) -> None:
        if isinstance(event, Levels):
            self._are_levels_waiting = False
        if self._on_event is not None:
            call_guarded(self._on_event, event, self._on_event)

    def _tell_of_device(self, event: Any) -> None:
        if isinstance(event, DeviceLost | DeviceOpened):
            self._tell(event)

    def _tell_levels(self, now: float) -> None:
        if self._on_event is None or self._are_levels_waiting or now - self._levels_at < _LEVELS_S:
            return
        self._levels_at = now
        self._are_levels_waiting = True  # a busy listener gets the next ones when it has seen these
        self._tell(Levels(microphone_db=self._microphone_db, speaker_db=self.speaker.level_db))

    # ------------------------------------------------------------ the end

    def _tear_down(self) -> None:
        """Close everything; twice does no harm."""
        for subscription in self._subscriptions:
            subscription.cancel()
        self.microphone.close()
        self.speaker.close()
        self._lane.close()
        shutdown.forget(shutdown.Stage.VOICE, self)
        self._has_ended.set()


def _both(ours: Callable[..., object], theirs: Callable[..., object] | None) -> Callable[..., object]:
    def call(*arguments: Any) -> None:
        ours(*arguments)
        if theirs is not None:
            theirs(*arguments)

    return call
