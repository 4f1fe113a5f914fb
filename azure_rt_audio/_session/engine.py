"""
The session behind a client: it lives as long as the client, its connections come and go.

The way of an event, on the I/O thread: bytes → taps → codec → status and mirror of the conversation →
response queue → blocked callers → listeners, through their dispatchers. So a blocked caller never depends
on a listener, and the I/O thread never waits for user code.

**One connection and the next.** An :class:`~.attempt.Attempt` is one connection and all that ends with it. A
client makes one attempt, and its end is the end of the session. Beyond that, :meth:`Engine.connect` makes
another one, :meth:`Engine.promote` goes over to it, and ``connection.close`` drains the one before. All are
served by the engine's one I/O thread, so no event crosses from one thread to another. Commands go to the new
connection from the promotion on. Events of the old one are applied until it has ended, those of the new one
are held until then: nothing is lost, doubled or out of order.

**Threads and locks.** The I/O thread calls ``receive``, ``_opened`` and ``_ended``, and alone writes
``session``. All else may be called from any thread. ``Engine._lock`` guards the status, ``Attempts.lock`` the
attempts; both are leaves, never held over I/O, a wait or user code. Connections hold the engine weakly, so
that a client without references is collected.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

import attrs
import orjson

from .._concurrency import shutdown
from .._concurrency.deadline import Deadline
from .._transport import Connection, IOThread, Payload, WebSocketImpl
from ..dispatch import Dispatcher
from ..errors import (
    ConnectError,
    ConnectionClosedError,
    DecodeError,
    DispatchOverflowError,
    RealtimeError,
    ServiceError,
)
from ..options import AzureRealTimeOptions, WebSocketOptions
from ..protocol.base import UNSET
from ..protocol.codec import decode_event, prepare
from ..protocol.commands import Command, InputAudioBufferClear, InputAudioBufferCommit, SessionUpdate
from ..protocol.conversation import Conversation
from ..protocol.dialects.nesting import SESSION
from ..protocol.event_filter import EVERYTHING, EventFilter
from ..protocol.events import (
    Error,
    Event,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    SessionCreated,
    SessionUpdated,
    UnknownEvent,
)
from ..protocol.events.local import Closed, Init, StatusChanged
from ..protocol.service_errors import response_error, service_error
from ..protocol.session import Session, SessionConfig
from ..protocol.turn import ModelStatusEnum, TurnState
from .acknowledgement import Acknowledgement
from .attempt import Attempt, Attempts, PendingUpdate, merge_session
from .audio_input import AudioInput
from .authentication import target_of
from .event_stream import EventStream, EventStreams
from .interruption import Interruption
from .listeners import Listeners
from .readiness import Readiness
from .response_queue import ResponseQueue
from .sender import CommandSender
from .taps import Taps
from .waiters import Handled, Waiter, Waiters, as_listened

__all__ = ["Engine"]

log: logging.Logger = logging.getLogger(__name__)

Outcome = ConnectionClosedError | ConnectError

_WITH_CONSEQUENCES: Final = frozenset(
    (
        Error,
        UnknownEvent,
        SessionCreated,
        SessionUpdated,
        InputAudioBufferSpeechStarted,
        InputAudioBufferCommitted,
        ResponseCreated,
        ResponseDone,
    )
)
"""Events that change the client's state. All others, the deltas above all, take the short way."""

_ANSWERED_IN_ORDER: Final[Mapping[str, tuple[type[Event], str, tuple[str, ...]]]] = {
    SessionUpdate.TYPE: (SessionUpdated, SessionUpdate.TYPE, ("session",)),
    InputAudioBufferCommit.TYPE: (InputAudioBufferCommitted, "commit", ()),
    InputAudioBufferClear.TYPE: (InputAudioBufferCleared, "clear", ()),
}
"""Commands that are answered in order: the event, the kind of waiter, and the fields that errors name."""

_LOCAL_NAMES: Final = frozenset({Init.TYPE, StatusChanged.TYPE, Closed.TYPE, EVERYTHING})

_GRACE: Final = 0.1
"""Seconds that the I/O thread has to end after its last connection has; a busy machine keeps it waiting."""

_TIME_TO_LISTEN: Final = 0.25
"""Seconds between the constructor and ``on("error", ...)``, at most, for a program that listens at all."""


class Engine:
    """
    The implementation of a client; ``client.py`` is its public API.

    Args:
        websocket_impl: Makes the ``websocket.WebSocket`` to use.
        dispatcher: Where listeners run unless they ask otherwise.
        clock: Seconds that never run backwards, for all time-outs of callers.

    Attributes:
        on_attempt_ended: Asked when the current attempt has ended without ``close``, on its I/O thread,
            whether the session goes on: with another attempt, made then or later. ``None``: it ends.
    """

    def __init__(
        self,
        options: AzureRealTimeOptions,
        websocket_options: WebSocketOptions,
        websocket_impl: WebSocketImpl | None,
        dispatcher: Dispatcher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        prepare()
        self.options = options
        self.websocket_options = websocket_options
        self.dispatcher = dispatcher
        self.listeners = Listeners()
        self.conversation = Conversation()
        self.session: Session | None = None
        self.taps = Taps()
        self.on_attempt_ended: Callable[[Attempt, Outcome], bool] | None = None
        self.waiters = Waiters()
        self.streams = EventStreams()
        self._websocket_impl = websocket_impl
        self._clock = clock
        self._turn = TurnState()
        self._lock = threading.Lock()  # leaf; guards the status
        self._has_close_been_called = threading.Event()
        self.is_closing = False  # written once, without a lock: this side wants the end
        self._io_thread = IOThread()
        finalizer = weakref.finalize(self, self._io_thread.release)
        finalizer.atexit = False  # at exit its connections say goodbye first
        self._numbers = itertools.count(1)
        self._attempts = Attempts()
        self.applied = 1
        """The number of the attempt whose events are applied. Written under the attempts' lock, read bare."""
        self.sender = CommandSender(
            self._attempts,
            options.resolved_dialect,
            websocket_options.send_timeout,
            self.waiters,
            dispatcher,
            clock,
        )
        self._configuration: Any = options.session_config  # guarded by the order of events
        # Encoded here and now, so that a mistake in the configuration is raised where it was written.
        self._attempts.current = self._make_attempt()
        self.response_queue = ResponseQueue(
            self.sender.encode,
            self.sender.send_bytes,
            carries_metadata=options.resolved_dialect.carries_metadata,
            check_may_wait=self.sender.check_may_wait,
            audio_format=_weakly(self._output_audio_format),
            clock=clock,
        )
        self.interruption = Interruption(self.sender, self.response_queue)
        self.audio_input = AudioInput(self.sender, _weakly(self._input_audio_format))
        shutdown.register(shutdown.Stage.SESSIONS, self, Engine._note_closing)

    # ------------------------------------------------------------ connections

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._attempts.current.connection.start()

    def connect(self) -> Attempt:
        """
        Make another attempt beside the current one; returns at once.

        It connects and configures its session as asked for until now. Its events change nothing else until
        it is promoted.

        Raises:
            ConnectionClosedError: If the session has ended or is being closed.
            RuntimeError: In a forked child, or if the system has no more threads.
        """
        attempt = self._make_attempt()
        try:
            attempt.connection.start()
        except RuntimeError:
            self._attempts.discard(attempt)
            if self._io_thread.is_released:
                raise ConnectionClosedError("The client was closed, so it does not connect again.") from None
            raise
        return attempt

    def _make_attempt(self) -> Attempt:
        configuration = SessionUpdate(event_id=self.sender.new_event_id(), session=self._configuration)
        encoded = self.sender.encode(configuration)
        number = next(self._numbers)
        options, websocket_options = self.options, self.websocket_options
        connection = Connection(
            lambda: target_of(options, websocket_options),
            websocket_options,
            websocket_impl=self._websocket_impl,
            on_open=_weakly(self._opened, number),
            on_message=_route(self, number),
            on_end=_weakly(self._ended, number),
            io_thread=self._io_thread,
        )
        ready = Readiness(
            connection,
            options.endpoint.authority,
            websocket_options.connect_timeout,
            configuration.event_id,
            self._clock,
        )
        attempt = Attempt(number, connection, ready, self.taps, self._attempts.lock, configuration, encoded)
        self._attempts.add(attempt)
        return attempt

    def promote(self, attempt: Attempt) -> None:
        """
        Go over to another attempt, whose session is ready. Does not wait.

        Commands go to it from now on. Events of the attempt before are applied until that has ended, which
        is the caller's to bring about with ``connection.close``; those of this one are held until then.

        Raises:
            RealtimeError: If the attempt has ended.
            RuntimeError: If its session is not ready.
        """
        if attempt.ready.outcome is not None:
            raise attempt.ready.outcome.again()
        if not attempt.ready.is_initialized:
            raise RuntimeError("the session of this attempt is not ready")
        with self._attempts.lock:
            previous, self._attempts.current = self._attempts.current, attempt
            if attempt is previous:
                return
            attempt.hold_locked()
            has_ended = previous.is_over
        if has_ended:
            self._hand_over(previous)

    def _hand_over(self, previous: Attempt) -> None:
        """Apply the current attempt's events from now on: the one before has ended."""
        attempt = self._attempts.current
        outcome = previous.ready.outcome
        assert outcome is not None
        if attempt.session is not None:
            self.session = attempt.session
        self.waiters.move(previous.number, outcome)
        self.response_queue.move(outcome)
        if self._turn.status is ModelStatusEnum.THINKING:
            self.set_status(ModelStatusEnum.IDLE)
        while True:
            with self._attempts.lock:
                payload = attempt.next_held_locked()
                if payload is None:
                    self.applied = attempt.number
                    has_ended = attempt.is_over
                    break
            self._apply(payload)
        if has_ended:
            self._lost(attempt)

    @property
    def connection(self) -> Connection:
        """The current connection, which outlives this object by a moment."""
        return self._attempts.current.connection

    @property
    def ready(self) -> Readiness:
        """Whether the current connection's session is ready."""
        return self._attempts.current.ready

    # ------------------------------------------------------------ commands

    def send(self, event: Mapping[str, Any] | Command) -> None:
        """Send an event as it is; see :meth:`azure_rt_audio.client.AzureRealTimeAudio.send`."""
        payload = self.sender.encode_raw(event)
        message = orjson.loads(payload)
        kind, event_id = message["type"], message.get("event_id")
        event_id = event_id if isinstance(event_id, str) else None
        ready = self.ready
        if kind == SessionUpdate.TYPE:
            ready.wait_to_send_configuration()
            ready.try_again_with(event_id)
        else:
            ready.wait_to_send()
        if kind == "response.create" and not _is_out_of_band(message):
            self.response_queue.request_raw(payload, event_id)
        elif kind in _ANSWERED_IN_ORDER:
            self._send_in_order(kind, message, event_id, payload)
        else:
            self.sender.send_bytes(payload)

    def _send_in_order(self, kind: str, message: Any, event_id: str | None, payload: bytes) -> None:
        """Send a raw command with a placeholder waiter, so that a later one is not given its answer."""
        attempt = self._attempts.current
        waiter = _placeholder(kind, event_id)
        update = PendingUpdate(event_id, _input_format(message)) if kind == SessionUpdate.TYPE else None
        try:
            if update is not None:
                attempt.expect(update)
            self.waiters.add(waiter)
            waiter.connection = self.sender.send_bytes(payload)
        except BaseException:
            self.waiters.discard(waiter)
            if update is not None:
                attempt.settle(event_id)
            raise

    def update_session(self, command: SessionUpdate, owner: object) -> Acknowledgement[SessionUpdated]:
        """Send a change of the session; after a refused configuration, this may be the remedy."""
        attempt = self._attempts.current

        def wait() -> None:
            attempt.ready.wait_to_send_configuration()
            attempt.ready.try_again_with(command.event_id)
            attempt.expect_update(command)

        try:
            return self.sender.acknowledged(
                command,
                owner,
                lambda _, event: isinstance(event, SessionUpdated),
                wait=wait,
                kind=command.type,
                params=("session",),
            )
        except BaseException:
            attempt.settle(command.event_id)
            raise

    def _input_audio_format(self) -> str:
        """Return the format of audio that is appended next: of a pending update, or as in force."""
        asked = self._attempts.current.asked_input_format
        if asked is not None:
            return asked
        in_force = self.session.input_audio_format if self.session is not None else None
        return in_force or "pcm16"

    def _output_audio_format(self) -> str | None:
        return self.session.output_audio_format if self.session is not None else None

    # ------------------------------------------------------------ waiting

    def wait_for(
        self,
        subject: EventFilter,
        predicate: Callable[[Any], bool] | None,
        owner: object,
        timeout: float | None,
    ) -> Any:
        """Wait for the next event that *subject* and *predicate* accept."""
        self.sender.check_may_wait()
        future = self.sender.new_future(owner)

        def matches(key: Any, event: Any) -> bool:
            return subject.concerns(key, event) and (
                predicate is None or bool(predicate(as_listened(subject, event)))
            )

        waiter = Waiter(matches, future)
        self.waiters.add(waiter)
        try:
            return as_listened(subject, future.result(timeout))
        except TimeoutError:
            if future.done():
                raise
            raise TimeoutError(f"no {subject.key!r} came within {timeout} seconds") from None
        finally:
            self.waiters.discard(waiter)

    def stream(self, subjects: tuple[EventFilter, ...], owner: object, timeout: float | None) -> EventStream:
        """Return an iterator over the events of *subjects*, from now on."""
        stream = EventStream(subjects, timeout, self.sender.check_may_wait, owner, self._clock)
        self.streams.add(stream)
        return stream

    # ------------------------------------------------------------ status

    @property
    def status(self) -> ModelStatusEnum:
        """What the model is doing."""
        return self._turn.status

    def set_status(self, status: ModelStatusEnum) -> None:
        """Set what the model is doing; a change is reported to listeners."""
        with self._lock:
            previous, self._turn.status = self._turn.status, status
        self._tell_status(previous, status)

    def follow_speaker(self, response_id: str, *, is_playing: bool) -> None:
        """Let the status follow the playback of a response; a change is reported to listeners."""
        with self._lock:
            previous = self._turn.status
            status = self._turn.follow_speaker(response_id, is_playing=is_playing)
        self._tell_status(previous, status)

    def _tell_status(self, previous: ModelStatusEnum, status: ModelStatusEnum) -> None:
        if status is not previous:
            event = StatusChanged(status=status, previous=previous)
            self._offer(event.type, event)
            self._publish_local(event)

    # ------------------------------------------------------------ closing

    def close(self, timeout: float) -> bool:
        """Close all connections; see :meth:`azure_rt_audio.client.AzureRealTimeAudio.close`."""
        self._has_close_been_called.set()
        self._note_closing()
        deadline = Deadline(timeout)
        current = self._attempts.current
        connections = [current.connection]
        connections += [other.connection for other in self._attempts.alive if other is not current]
        have_ended = [connection.close(deadline.remaining()) for connection in connections]
        return all(have_ended) and self._io_thread.join((deadline.remaining() or 0.0) + _GRACE)

    def _note_closing(self) -> None:
        # Without a lock: a forked child may have nobody left to release it.
        self.is_closing = True
        self._io_thread.release()

    # ------------------------------------------------------------ on the I/O thread

    def _opened(self, number: int) -> None:
        log.info("= open to %s (%s)", self.options.endpoint.authority, self.options.resolved_dialect.name)
        if self.taps.active:
            self.taps.opened(number)

    def _received(self, number: int, data: Payload) -> None:
        """Take a message of an attempt whose events are not applied."""
        attempt = self._attempts.find(number)
        if attempt is not None:
            attempt.receive(data)

    def receive(self, data: Payload) -> None:
        """Take a message of the attempt whose events are applied."""
        if self.taps.active:
            self.taps.received(self.applied, data)
        self._apply(data)

    def _apply(self, data: Payload) -> None:
        try:
            event = decode_event(data)
        except DecodeError as exc:
            log.debug("< malformed frame (%d bytes)", len(data))
            self._report(exc)
            return
        if log.isEnabledFor(logging.DEBUG):
            log.debug("< %s (%d bytes)", event.wire_type, len(data))
        cls = event.__class__
        try:
            if cls in _WITH_CONSEQUENCES:
                self._take(event)
                return
            if cls is ResponseOutputAudioDelta and self._turn.begins_to_speak(event):
                self._take(event)
                return
            self.conversation.apply(event)
            if self.response_queue.begun:
                self.response_queue.on_event(event)
            key = cls.TYPE
            if self.waiters.waiting:
                self.waiters.offer(key, event)
            if self.streams.streams:
                self.streams.offer(key, event)
            self.listeners.publish_event(key, event)
        except DispatchOverflowError as exc:
            self.connection.abort(exc)

    def _take(self, event: Event) -> None:
        with self._lock:
            previous = self._turn.status
            status = self._turn.advance(event)
        self.conversation.apply(event)
        if isinstance(event, Error):
            self._refused(event)
            return
        is_told = self.response_queue.on_event(event)
        self._before_publish(event, previous)
        key = event.type
        self._offer(key, event)
        self._publish(key, event)
        self._tell_status(previous, status)
        self._after_publish(event, is_told=is_told)

    def _before_publish(self, event: Event, previous: ModelStatusEnum) -> None:
        """Do what an event asks of the client, before it is reported."""
        if isinstance(event, SessionCreated | SessionUpdated):
            self._configured(event)
        elif isinstance(event, InputAudioBufferSpeechStarted):
            if previous is ModelStatusEnum.THINKING:
                self._interrupt()
        elif isinstance(event, InputAudioBufferCommitted) and self._does_service_answer():
            self.response_queue.expect_turn()

    def _after_publish(self, event: Event, *, is_told: bool) -> None:
        """Report what follows from an event."""
        if isinstance(event, SessionUpdated):
            self._initialized(event)
        elif isinstance(event, ResponseDone):
            failure = response_error(event.response)
            if failure is not None:
                self._report(failure, is_told=is_told)

    def _offer(self, key: Any, payload: Any) -> None:
        self.waiters.offer(key, payload)
        self.streams.offer(key, payload)

    def _publish(self, key: str, event: Event) -> None:
        if event.__class__ is UnknownEvent:
            if key not in _LOCAL_NAMES:  # listeners of those expect another payload
                self.listeners.publish(key, event)
            self.listeners.publish(UnknownEvent, event)
            self.listeners.publish_to_all(event)
        else:
            self.listeners.publish_event(key, event)

    def _publish_local(self, event: Init | StatusChanged | Closed) -> None:
        is_sticky = not isinstance(event, StatusChanged)
        payload = event.session if isinstance(event, Init) else event
        self.listeners.publish(event.type, payload, sticky=is_sticky)
        self.listeners.publish(type(event), event, sticky=is_sticky)
        self.listeners.publish_to_all(event)

    def _report(self, error: RealtimeError, *, is_told: bool = False) -> None:
        self._offer("error", error)
        if not self._publish_error(error):  # no listener: at least a caller or the log is told
            log.log(logging.DEBUG if is_told else logging.WARNING, "! %s", error)

    def _publish_error(self, error: RealtimeError, *, sticky: bool = False) -> bool:
        """Publish an error; return whether it reached a listener."""
        is_heard = self.listeners.publish("error", error, sticky=sticky)
        if not isinstance(error, ServiceError):  # a refusal by the service is published as an event already
            self.listeners.publish_to_all(error)
        return is_heard

    def _configured(self, event: SessionCreated | SessionUpdated) -> None:
        if isinstance(event.session, Session):
            self.session = merge_session(self.session, event.session)
        attempt = self._attempts.find(self.applied)
        if attempt is None:
            return
        if isinstance(event, SessionCreated):
            # A placeholder waiter, so that session.updated is not matched to a later command.
            waiter = _placeholder(SessionUpdate.TYPE, attempt.configuration_id)
            waiter.connection = attempt.number
            self.waiters.add(waiter)
            attempt.send_configuration()
            return
        update = attempt.settle_oldest()
        if update is not None and update.event_id != attempt.configuration_id:
            self._configuration = _merge_configuration(self._configuration, update.config)

    def _initialized(self, event: SessionUpdated) -> None:
        ready = self.ready
        if ready.is_initialized or self.session is None or not isinstance(event.session, Session):
            return
        ready.initialize()
        init = Init(session=self.session)
        self._offer(init.type, init)
        self._publish_local(init)

    def _does_service_answer(self) -> bool:
        """Whether a turn of the user is answered without being asked for: server VAD."""
        detection = self.session.turn_detection if self.session is not None else None
        return detection is not None and detection.create_response is not False

    def _interrupt(self) -> None:
        """Cancel the response that the user interrupts, if the service does not do so by itself."""
        detection = self.session.turn_detection if self.session is not None else None
        if detection is not None and detection.interrupt_response is False and self.response_queue.is_busy:
            self.interruption.cancel()

    def _refused(self, event: Error) -> None:
        error = service_error(event)
        handled = self.waiters.fail(error) or self.response_queue.on_error(error)
        if handled is Handled.SILENT or self.interruption.caused(error):
            log.debug("= what was to be ended had ended: %s", error)
            return
        attempt = self._attempts.find(self.applied)
        if attempt is not None:
            if error.event_id is not None:
                attempt.settle(error.event_id)
            elif (error.param or "").startswith("session"):
                attempt.settle_oldest()
            attempt.ready.refuse(error)
        self._offer(Error, event)
        self.listeners.publish(Error, event)
        self.listeners.publish_to_all(event)
        if handled is not Handled.RETRIED:
            self._report(error, is_told=handled is Handled.TOLD)

    def _ended(self, number: int, outcome: Outcome) -> None:
        """Take the end of an attempt into account."""
        attempt = self._attempts.find(number)
        if attempt is None:
            return
        attempt.ready.end(outcome)
        if self.taps.active:
            self.taps.closed(number, outcome)
        with self._attempts.lock:
            attempt.is_over = True
            is_current = attempt is self._attempts.current
            is_applied = number == self.applied
            self._attempts.discard_locked(attempt)
        if is_applied and is_current:
            self._lost(attempt)
        elif is_applied:
            self._hand_over(attempt)

    def _lost(self, attempt: Attempt) -> None:
        """The current attempt has ended: the session ends, unless somebody makes another one."""
        outcome = attempt.ready.outcome
        assert outcome is not None
        if self.is_closing or self.on_attempt_ended is None or not self.on_attempt_ended(attempt, outcome):
            self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        """End the session."""
        is_asked_for = self.is_closing
        self._io_thread.release()
        with self._lock:
            previous, self._turn.status = self._turn.status, ModelStatusEnum.IDLE
        log.info("= closed: %s", outcome)
        self.response_queue.end(outcome)
        # Callers come first: listeners of an inline dispatcher may take their time.
        is_news = previous is not ModelStatusEnum.IDLE
        status = StatusChanged(status=ModelStatusEnum.IDLE, previous=previous)
        if is_news:
            self._offer(status.type, status)
        if not is_asked_for:
            self._offer("error", outcome)
        closed = Closed(error=outcome)
        self._offer(closed.type, closed)
        self.waiters.end(outcome)
        self.streams.end(None if is_asked_for else outcome)
        if is_news:
            self._publish_local(status)
        is_heard = is_asked_for or self._publish_error(outcome, sticky=True)
        self._publish_local(closed)
        if not is_heard:
            self._log_unheard(outcome)

    def _log_unheard(self, outcome: RealtimeError) -> None:
        """Log how it ended, unless a listener was added late: a program may fail sooner than it listens."""
        if not self.ready.is_initialized:
            self._has_close_been_called.wait(_TIME_TO_LISTEN)
        if not self.listeners.was_late("error"):
            log.warning("! %s", outcome)


def _placeholder(kind: str, event_id: str | None) -> Waiter:
    """Return a waiter that nobody holds the future of, for a command that is answered in order."""
    answer, waits_as, params = _ANSWERED_IN_ORDER[kind]
    future: Future[Any] = Future()
    return Waiter(
        lambda _, event: isinstance(event, answer),
        future,
        event_id=event_id,
        acknowledges=waits_as,
        params=params,
    )


def _is_out_of_band(message: Any) -> bool:
    response = message.get("response")
    return isinstance(response, dict) and response.get("conversation") == "none"


def _input_format(message: Any) -> str | None:
    """Return the input format that a raw ``session.update`` asks for, in either dialect's shape."""
    session = message.get("session")
    asked = SESSION.flatten(session).get("input_audio_format") if isinstance(session, dict) else None
    return asked if isinstance(asked, str) else None


def _merge_configuration(known: Any, update: Any) -> Any:
    """Return what is asked for after an update: the fields that it names are replaced."""
    if not isinstance(update, SessionConfig):
        return known
    if not isinstance(known, SessionConfig):
        return update
    names = (field.name for field in attrs.fields(SessionConfig) if field.name != "extra")
    changes = {name: value for name in names if (value := getattr(update, name)) is not UNSET}
    return attrs.evolve(known, **changes, extra={**known.extra, **update.extra})


def _route(engine: Engine, number: int) -> Callable[[Payload], None]:
    """Return the receiver of an attempt's messages, as long as the engine lives."""
    reference = weakref.ref(engine)

    def receive(data: Payload) -> None:
        alive = reference()
        if alive is not None:
            if alive.applied == number:
                alive.receive(data)
            else:
                alive._received(number, data)

    return receive


def _weakly(method: Any, *first: Any) -> Callable[..., Any]:
    """Return a function that calls a bound method as long as its object lives, and then does nothing."""
    reference, function = weakref.ref(method.__self__), method.__func__  # WeakMethod takes twice as long

    def call(*args: Any) -> Any:
        alive = reference()
        return None if alive is None else function(alive, *first, *args)

    return call
