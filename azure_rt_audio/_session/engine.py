"""
Where the machines of one client are knitted together.

One event's way, on the reader thread: bytes → codec → status and mirror of the conversation →
requests for responses → blocked callers → listeners, by way of their dispatcher. So a blocked caller
never depends on a listener, and the reader never waits for user code.

**Threads and locks.** The reader calls ``_opened``, ``_received`` and ``_ended``, and alone writes
``session``. Everything else may be called from any thread. ``Engine._lock`` guards the status; it is a leaf
and is never held over I/O, a wait or user code. The connection holds the engine weakly, so that a
client that nobody holds any more is collected.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

import attrs

from .._transport import Connection, Payload, Wire
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
from ..protocol.codec import decode_event, prepare
from ..protocol.commands import SessionUpdate
from ..protocol.conversation import Conversation
from ..protocol.event_filter import EVERYTHING, EventFilter
from ..protocol.events import (
    Error,
    Event,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    UnknownEvent,
)
from ..protocol.events.local import Closed, Init, StatusChanged
from ..protocol.service_errors import response_error, service_error
from ..protocol.session import Session
from ..protocol.turn import ModelStatusEnum, TurnState
from .acknowledgement import Acknowledgement
from .authentication import target_of
from .interruption import Interruption
from .listeners import Listeners
from .readiness import Readiness
from .response_queue import ResponseQueue
from .sender import CommandSender
from .event_stream import EventStream, EventStreams
from .waiters import Handled, Waiter, Waiters, as_listened

__all__ = ["Engine"]

log: logging.Logger = logging.getLogger(__name__)

_CONCERN_US: Final = frozenset(
    (SessionCreated, SessionUpdated, InputAudioBufferSpeechStarted, InputAudioBufferCommitted, ResponseDone)
)
"""Events on which the client itself does something. Most are not: of deltas there are masses."""

_OUR_NAMES: Final = frozenset({Init.TYPE, StatusChanged.TYPE, Closed.TYPE, EVERYTHING})

_TIME_TO_LISTEN: Final = 0.25
"""Seconds between the constructor and ``on("error", ...)``, at most, for a program that listens at all."""


class Engine:
    """
    Everything a client does, but the names.

    Args:
        wire: How to connect.
        dispatcher: Where listeners run unless they ask otherwise.
    """

    def __init__(
        self,
        options: AzureRealTimeOptions,
        websocket_options: WebSocketOptions,
        wire: Wire,
        dispatcher: Dispatcher,
    ) -> None:
        prepare()
        self.options = options
        self.websocket_options = websocket_options
        self.dispatcher = dispatcher
        self.registry = Listeners()
        self.conversation = Conversation()
        self.session: Session | None = None
        self._waiters = Waiters()
        self._streams = EventStreams()
        self._turn = TurnState()
        self._lock = threading.Lock()  # leaf; guards the status
        self._closing = threading.Event()  # the program has called close()
        self._connection = Connection(
            lambda: target_of(options, websocket_options),
            wire=wire,
            on_open=_weakly(self._opened),
            on_message=_weakly(self._received),
            on_end=_weakly(self._ended),
        )
        self.out = CommandSender(
            self._connection, options.wire, websocket_options.send_timeout, self._waiters, dispatcher
        )
        # Encoded here and now, so that what is wrong with the configuration is said to whoever wrote it.
        configuration = SessionUpdate(event_id=self.out.new_event_id(), session=options.session_config)
        self._configuration_id = configuration.event_id
        self._configuration = self.out.encode(configuration)
        self.ready = Readiness(
            self._connection,
            options.endpoint.authority,
            websocket_options.connect_timeout,
            configuration.event_id,
        )
        # Updates that are on their way, by event id, with the input format they ask for; guarded by _lock for
        # replacement.
        self._updates: tuple[tuple[str | None, str | None], ...] = ()
        self._ask_for(configuration)
        self.gate = ResponseQueue(
            self.out.encode,
            self.out.send_bytes,
            carries_metadata=options.wire.carries_metadata,
            check_may_wait=self.out.check_may_wait,
            audio_format=_weakly(self._output_audio_format),
        )
        self.interruption = Interruption(self.out, self.gate)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._connection.start()

    @property
    def connection(self) -> Connection:
        """The connection, which outlives this object by a moment."""
        return self._connection

    def update_session(self, command: SessionUpdate, owner: object) -> Acknowledgement[SessionUpdated]:
        """Send a change of the session; if the session was refused before, this may mend it."""

        def wait() -> None:
            self.ready.wait_to_send_configuration()
            self.ready.try_again_with(command.event_id)
            self._ask_for(command)

        try:
            return self.out.acknowledged(
                command,
                owner,
                lambda _, event: isinstance(event, SessionUpdated),
                wait=wait,
                kind=command.type,
                params=("session",),
            )
        except BaseException:
            self._settle(command.event_id)
            raise

    def _ask_for(self, command: SessionUpdate) -> None:
        asked = getattr(command.session, "input_audio_format", None)
        with self._lock:
            self._updates = (*self._updates, (command.event_id, asked if isinstance(asked, str) else None))

    def _settle(self, event_id: str | None) -> None:
        with self._lock:
            self._updates = tuple(update for update in self._updates if update[0] != event_id)

    @property
    def input_audio_format(self) -> str:
        """What is appended next is in: as asked for with an update that is on its way, or as in force."""
        for _, asked in reversed(self._updates):
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
        self.out.check_may_wait()
        future = self.out.new_future(owner)

        def matches(key: Any, event: Any) -> bool:
            return subject.concerns(key, event) and (
                predicate is None or bool(predicate(as_listened(subject, event)))
            )

        waiter = Waiter(matches, future)
        self._waiters.add(waiter)
        try:
            return as_listened(subject, future.result(timeout))
        except TimeoutError:
            if future.done():
                raise
            raise TimeoutError(f"no {subject.key!r} came within {timeout} seconds") from None
        finally:
            self._waiters.discard(waiter)

    def stream(self, subjects: tuple[EventFilter, ...], owner: object, timeout: float | None) -> EventStream:
        """Return an iterator over the events of *subjects*, from now on."""
        stream = EventStream(subjects, timeout, self.out.check_may_wait, owner)
        self._streams.add(stream)
        return stream

    # ------------------------------------------------------------ status

    @property
    def status(self) -> ModelStatusEnum:
        """What the model is doing."""
        return self._turn.status

    def set_status(self, status: ModelStatusEnum) -> None:
        """Say what the model is doing; listeners are told if that is news."""
        with self._lock:
            previous, self._turn.status = self._turn.status, status
        self._tell_status(previous, status)

    def follow_speaker(self, response_id: str, *, is_playing: bool) -> None:
        """Let the status follow what can be heard of a response; listeners are told if that is news."""
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
        """Say goodbye; see :meth:`azure_rt_audio.client.AzureRealTimeAudio.close`."""
        self._closing.set()
        self.ready.close()
        return self._connection.close(timeout)

    # ------------------------------------------------------------ the reader's side

    def _opened(self) -> None:
        log.info("= open to %s (%s)", self.options.endpoint.authority, self.options.wire.name)

    def _received(self, data: Payload) -> None:
        try:
            event = decode_event(data)
        except DecodeError as exc:
            log.debug("< malformed frame (%d bytes)", len(data))
            self._report(exc)
            return
        if log.isEnabledFor(logging.DEBUG):
            log.debug("< %s (%d bytes)", event.wire_type, len(data))
        try:
            self._take(event)
        except DispatchOverflowError as exc:
            self._connection.abort(exc)

    def _take(self, event: Event) -> None:
        with self._lock:
            previous = self._turn.status
            status = self._turn.advance(event)
        self.conversation.apply(event)
        if isinstance(event, Error):
            self._refused(event)
            return
        is_told = self.gate.on_event(event)
        concerns_us = event.__class__ in _CONCERN_US
        if concerns_us:
            self._heed(event, previous)
        key = event.type
        self._offer(key, event)
        self._publish(key, event)
        if status is not previous:
            self._tell_status(previous, status)
        if concerns_us:
            self._follow_up(event, is_told=is_told)

    def _heed(self, event: Event, previous: ModelStatusEnum) -> None:
        """Do what an event asks of the client, before anybody hears of it."""
        if isinstance(event, SessionCreated | SessionUpdated):
            self._configured(event)
        elif isinstance(event, InputAudioBufferSpeechStarted):
            if previous is ModelStatusEnum.THINKING:
                self._interrupt()
        elif isinstance(event, InputAudioBufferCommitted) and self._answers_by_itself():
            self.gate.expect_turn()

    def _follow_up(self, event: Event, *, is_told: bool) -> None:
        """Tell what follows from an event."""
        if isinstance(event, SessionUpdated):
            self._initialized(event)
        elif isinstance(event, ResponseDone):
            failure = response_error(event.response)
            if failure is not None:
                self._report(failure, is_told=is_told)

    def _offer(self, key: Any, payload: Any) -> None:
        self._waiters.offer(key, payload)
        self._streams.offer(key, payload)

    def _publish(self, key: str, event: Event) -> None:
        if event.__class__ is not UnknownEvent:
            self.registry.publish(key, event)
        else:
            if key not in _OUR_NAMES:  # who listens to those expects something else
                self.registry.publish(key, event)
            self.registry.publish(UnknownEvent, event)
        self.registry.publish_to_all(event)

    def _publish_local(self, event: Init | StatusChanged | Closed) -> None:
        is_sticky = not isinstance(event, StatusChanged)
        payload = event.session if isinstance(event, Init) else event
        self.registry.publish(event.type, payload, sticky=is_sticky)
        self.registry.publish(type(event), event, sticky=is_sticky)
        self.registry.publish_to_all(event)

    def _report(self, error: RealtimeError, *, is_told: bool = False) -> None:
        self._offer("error", error)
        if not self._publish_error(error):  # then at least a caller, or the log
            log.log(logging.DEBUG if is_told else logging.WARNING, "! %s", error)

    def _publish_error(self, error: RealtimeError, *, sticky: bool = False) -> bool:
        """Tell the listeners; return whether there were any."""
        is_heard = self.registry.publish("error", error, sticky=sticky)
        if not isinstance(error, ServiceError):  # what the service refuses is an event already
            self.registry.publish_to_all(error)
        return is_heard

    def _configured(self, event: SessionCreated | SessionUpdated) -> None:
        if isinstance(event.session, Session):
            self.session = _whole(self.session, event.session)
        if isinstance(event, SessionCreated):
            # In the row of those that wait for session.updated, lest somebody else take it for theirs.
            nobody: Future[Any] = Future()
            self._waiters.add(
                Waiter(
                    lambda _, event: isinstance(event, SessionUpdated),
                    nobody,
                    event_id=self._configuration_id,
                    acknowledges=SessionUpdate.TYPE,
                    params=("session",),
                )
            )
            self.out.send_if_open(self._configuration)
        elif self._updates:
            self._settle(self._updates[0][0])

    def _initialized(self, event: SessionUpdated) -> None:
        if self.ready.is_initialized or self.session is None or not isinstance(event.session, Session):
            return
        self.ready.initialize()
        init = Init(session=self.session)
        self._offer(init.type, init)
        self._publish_local(init)

    def _answers_by_itself(self) -> bool:
        detection = self.session.turn_detection if self.session is not None else None
        return detection is not None and detection.create_response is not False

    def _interrupt(self) -> None:
        """The user speaks while the model thinks; where the service does not stop by itself, we say so."""
        detection = self.session.turn_detection if self.session is not None else None
        if detection is not None and detection.interrupt_response is False and self.gate.is_busy:
            self.interruption.cancel()

    def _refused(self, event: Error) -> None:
        error = service_error(event)
        fate = self._waiters.fail(error) or self.gate.on_error(error)
        if fate is Handled.SILENT or self.interruption.caused(error):
            log.debug("= what we wanted to end had ended: %s", error)
            return
        if error.event_id is not None:
            self._settle(error.event_id)
        elif self._updates and (error.param or "").startswith("session"):
            self._settle(self._updates[0][0])
        self.ready.refuse(error)
        self._offer(Error, event)
        self.registry.publish(Error, event)
        self.registry.publish_to_all(event)
        if fate is not Handled.RETRIED:  # asked again when it is its turn
            self._report(error, is_told=fate is Handled.TOLD)

    def _ended(self, outcome: ConnectionClosedError | ConnectError) -> None:
        is_asked_for = self.ready.end(outcome)
        with self._lock:
            previous, self._turn.status = self._turn.status, ModelStatusEnum.IDLE
        log.info("= closed: %s", outcome)
        self.gate.end(outcome)
        # Callers come first: listeners of an inline dispatcher may take their time.
        is_news = previous is not ModelStatusEnum.IDLE
        status = StatusChanged(status=ModelStatusEnum.IDLE, previous=previous)
        if is_news:
            self._offer(status.type, status)
        if not is_asked_for:
            self._offer("error", outcome)
        closed = Closed(error=outcome)
        self._offer(closed.type, closed)
        self._waiters.end(outcome)
        self._streams.end(None if is_asked_for else outcome)
        if is_news:
            self._publish_local(status)
        is_heard = is_asked_for or self._publish_error(outcome, sticky=True)
        self._publish_local(closed)
        if not is_heard:
            self._log_unheard(outcome)

    def _log_unheard(self, outcome: RealtimeError) -> None:
        """Say in the log how it ended, unless the program, quicker to fail than to listen, listens now."""
        if not self.ready.is_initialized:
            self._closing.wait(_TIME_TO_LISTEN)
        if not self.registry.was_late("error"):
            log.warning("! %s", outcome)


def _whole(known: Session | None, said: Session) -> Session:
    """Return the session with what *said* leaves out as it was; an explicit null is kept in ``extra``."""
    if known is None:
        return said
    names = (field.name for field in attrs.fields(Session) if field.name not in ("extra", *said.extra))
    kept = {name: getattr(known, name) for name in names if getattr(said, name) is None}
    return attrs.evolve(said, **kept)


def _weakly(method: Any) -> Callable[..., Any]:
    """Return a function that calls a bound method as long as its object lives, and then does nothing."""
    reference, function = weakref.ref(method.__self__), method.__func__  # WeakMethod takes twice as long

    def call(*args: Any) -> Any:
        alive = reference()
        return None if alive is None else function(alive, *args)

    return call
