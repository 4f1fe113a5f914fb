"""
The session behind a client: it lives as long as the client, its connections come and go.

The way of an event, on the I/O thread: bytes → taps → codec → status and mirror of the conversation →
response queue → blocked callers → listeners, through their dispatchers. So a blocked caller never depends
on a listener, and the I/O thread never waits for user code.

How it goes over from one connection to the next: see ``attempts.py``, which holds the engine weakly.

**Threads and locks.** What stands above the line "on the I/O thread" may be called from any thread; what
stands below it, by that thread alone, but for ``tell``, ``has_listener``, ``runs_calls`` and
``tell_no_sound``. It has no lock of its own.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from attrs import evolve

from .._concurrency import shutdown
from .._concurrency.deadline import Deadline
from .._concurrency.weak_call import weakly
from .._log import get_logger
from .._secret import without
from .._transport import Connection, LagReport, Outcome, Payload, WebSocketImpl
from ..dispatch import Dispatcher, QueueDispatcher
from ..errors import DecodeError, DispatchOverflowError, RealtimeError
from ..options import AzureRealTimeOptions, ReconnectPolicy, WebSocketOptions
from ..protocol.codec import Quirks, decode_event, prepare
from ..protocol.commands import SessionUpdate
from ..protocol.conversation import Conversation
from ..protocol.events import (
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionFailed,
    Error,
    Event,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    McpListToolsFailed,
    RateLimitsUpdated,
    ResponseCreated,
    ResponseDone,
    ResponseMcpCallArgumentsDone,
    ResponseOutputAudioDelta,
    ResponseOutputItemDone,
    SessionCreated,
    SessionOutputAudioDelta,
    SessionUpdated,
    UnknownEvent,
)
from ..protocol.events.local import (
    Closed,
    Init,
    LocalEvent,
    Reconnected,
    StatusChanged,
)
from ..protocol.history import History
from ..protocol.service_errors import mcp_listing_error, service_error
from ..protocol.session import Session, SessionConfig
from ..protocol.turn import ModelStatusEnum
from .attempt import Attempt
from .attempts import Attempts
from .audience import Audience
from .audio_input import AudioInput
from .call_follower import CallFollower, CallRunner
from .configuration import Configuration
from .event_stream import EventStreams
from .event_waits import EventWaits
from .interruption import Interruption
from .journal import Journal
from .listeners import Listeners
from .model_status import ModelStatus
from .question import Questions
from .rate_limits import RateLimits
from .raw_commands import RawCommands
from .readiness import Readiness
from .reconnector import Reconnector
from .response_queue import ResponseQueue
from .response_watchdog import MCP_STEPS
from .restored_items import RestoredItems
from .send_lag_log import SendLagLog
from .sender import CommandSender
from .taps import Taps, Told
from .transcription import Transcription
from .turn_taking import TurnTaking
from .user_turn import TurnLimits
from .verdict import SESSION_EXPIRED
from .waiter import Waiter
from .waiters import Handled, Waiters

__all__ = ["Engine"]

log: logging.Logger = get_logger(__name__)

_WITH_CONSEQUENCES: Final = frozenset(
    (
        Error,
        UnknownEvent,
        SessionCreated,
        SessionUpdated,
        InputAudioBufferSpeechStarted,
        InputAudioBufferSpeechStopped,
        InputAudioBufferCleared,
        InputAudioBufferCommitted,
        ConversationItemInputAudioTranscriptionCompleted,
        ConversationItemInputAudioTranscriptionFailed,
        RateLimitsUpdated,
        ResponseCreated,
        ResponseDone,
        ResponseOutputItemDone,
        ConversationItemDone,
        McpListToolsFailed,
        ResponseMcpCallArgumentsDone,
        *MCP_STEPS,
    )
)
"""Events that change the client's state. All others, the deltas above all, take the short way."""

_SOUNDS: Final = (ResponseOutputAudioDelta, SessionOutputAudioDelta)

_TIME_TO_LISTEN: Final = 0.25
"""Seconds between the constructor and ``on("error", ...)``, at most, for a program that listens at all."""


class Engine:
    """
    The implementation of a client; ``client.py`` is its public API.

    Args:
        websocket_impl: Makes the ``websocket.WebSocket`` to use.
        policy: Of reconnecting; ``None`` ends the session with its connection.
        history: What the session begins with.
        dispatcher: Where listeners run unless they ask otherwise.
        clock: Seconds that never run backwards, for all time-outs of callers.
    """

    def __init__(
        self,
        options: AzureRealTimeOptions,
        websocket_options: WebSocketOptions,
        websocket_impl: WebSocketImpl | None,
        dispatcher: Dispatcher,
        clock: Callable[[], float] = time.monotonic,
        *,
        policy: ReconnectPolicy | None = None,
        history: History | None = None,
    ) -> None:
        prepare()
        self.websocket_options = websocket_options
        self.dispatcher = dispatcher
        self.taps = Taps()
        self.listeners = Listeners(self.taps.failed)
        self.conversation = Conversation()
        self.quirks = Quirks()
        self.waiters = Waiters(clock)
        self.streams = EventStreams()
        self.audience = Audience(self.waiters, self.streams, self.listeners)
        self._clock = clock
        self._tell_no_sound = _NoSound(self)
        self.status = ModelStatus()
        self._turn = self.status.turn
        self.outcome: Outcome | None = None  # once listeners have been given the last event; written once
        self._is_expiry_told = False  # the I/O thread's: the service says that it is over, none is to follow
        self.attempts = Attempts(self, options, websocket_options, websocket_impl, clock)
        dialect = options.resolved_dialect
        self.journal = Journal(
            self.attempts,
            self.waiters,
            policy,
            websocket_options.max_send_backlog_bytes,
            weakly(self._input_audio_format),
            clock,
        )
        self.sender = CommandSender(
            self.attempts,
            self.journal,
            dialect,
            websocket_options.send_timeout,
            self.waiters,
            dispatcher,
            clock,
            websocket_options.max_message_bytes,
        )
        self.configuration = Configuration(self.attempts, self.sender, self.waiters, options.session_config)
        self.transcription = Transcription(self.configuration, self.listeners, self.streams)
        self.waits = EventWaits(self.sender, self.transcription, self.waiters, self.streams, clock)
        self.rate_limits = RateLimits(clock)
        # Encoded here and now, so that a mistake in the configuration is raised where it was written.
        self.attempts.current = self.configuration.new_attempt()
        self.ids = self.attempts.current.ids  # those of the attempt whose events are applied
        self.response_queue = ResponseQueue(
            self.sender.encode,
            self.sender.send_now,
            carries_metadata=dialect.carries_metadata,
            check_may_wait=self.sender.check_may_wait,
            audio_format=self.configuration.output_audio_format,
            clock=clock,
            start_timeout=options.response_start_timeout,
            silence_timeout=options.response_silence_timeout,
            limits=TurnLimits(
                options.turn_answer_timeout, options.turn_silence_timeout, options.turn_timeout
            ),
            call_in=self.attempts.call_in,
        )
        self._watchdog = self.response_queue.watchdog
        self.turns = TurnTaking(
            self.configuration,
            self.sender,
            self.waiters,
            self.response_queue,
            self.journal.sound,
            self.attempts,
        )
        self.questions = Questions(self.sender, self.response_queue, self.conversation)
        self.raw_commands = RawCommands(
            self.attempts, self.sender, self.response_queue, self.configuration.input_audio_format
        )
        self.restored_items = RestoredItems(self.attempts, self.sender, self.journal, self.conversation)
        self.interruption = Interruption(self.sender, self.response_queue, self.restored_items)
        self._watchdog.written_at = self.waiters.written_at = self.attempts.written_at
        self._send_lag = SendLagLog(websocket_options.lag)
        self.calls: CallRunner | None = None
        self.guard: CallFollower | None = None
        self.on_ready: Callable[[], object] | None = None
        """Called before the first session counts as ready: what it sends goes out first. The I/O thread's."""
        self.voice: dict[str, object] = {}  # the voice session that goes on; setdefault, atomic, takes it
        self.audio_input = AudioInput(
            self.sender, self.configuration.input_audio_format, self.response_queue.turn
        )
        self._policy = policy
        self.reconnector = Reconnector(
            weakref.proxy(self),
            policy or ReconnectPolicy(),
            self.attempts,
            self.configuration,
            self.sender,
            self.waiters,
            self.journal,
            self.response_queue,
            self.conversation,
            self.restored_items,
            weakly(self._status_now),
            clock,
            host=options.endpoint.authority,
            has_fresh_token=options.credential is not None,
        )
        self._why_no_swap = self.sender.why_held = weakly(self.reconnector.why_not_yet)
        self.conversation._sound = weakly(self.journal.sound.of_turns)
        if history is not None:
            self.reconnector.begin_with(history, self.attempts.current)
            self.attempts.on_check = weakly(self.reconnector.check_history)
        if policy is not None:
            self.attempts.on_ended = weakly(self.reconnector.on_ended)
            self.attempts.on_drained = weakly(self.reconnector.on_drained)
            self.attempts.on_check = weakly(self.reconnector.check)
            self.attempts.is_lasting = policy.retry_first
        shutdown.register(shutdown.Stage.SESSIONS, self.attempts, Attempts.note_closing)

    # ------------------------------------------------------------ connections

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self.attempts.start(self.attempts.current)

    def wait_until_ready(self, deadline: Deadline | None) -> None:
        """
        Wait until the session has been configured.

        Args:
            deadline: ``None``: as long as the options have it, or as the policy tries a first connection.
        """
        policy = self._policy
        if deadline is None and policy is not None and policy.retry_first:
            self.attempts.follow(Readiness.wait_until, Deadline(None))
        elif deadline is None:
            self.attempts.follow()
        else:
            self.attempts.follow(Readiness.wait_until, deadline)

    def close(self, timeout: float) -> bool:
        """Close all connections; see :meth:`azure_rt_audio.client.AzureRealTimeAudio.close`."""
        self.ready.needs_no_log.set()
        return self.attempts.close(timeout)

    @property
    def is_closing(self) -> bool:
        """Whether this side wants the end."""
        return self.attempts.is_closing

    @property
    def connection(self) -> Connection:
        """The current connection, which outlives this object by a moment."""
        return self.attempts.current.connection

    @property
    def ready(self) -> Readiness:
        """Whether the current connection's session is ready."""
        return self.attempts.current.ready

    @property
    def session(self) -> Session | None:
        """The session in force, as the service last described it."""
        return self.configuration.session

    def update_session(
        self,
        command: SessionUpdate,
        owner: object,
        on_settled: Callable[[BaseException | None], object] | None = None,
    ) -> Future[SessionUpdated]:
        """
        Change the session: the one that there is, or, for another voice, another one in its place.

        Args:
            on_settled: As of :class:`Waiter`.
        """
        config = command.session
        if (
            not isinstance(config, SessionConfig)
            or not self.swaps_for_voice
            or not self.has_spoken_unlike(config)
        ):
            return self.configuration.update(command, owner, on_settled=on_settled)
        self.sender.encode(command)  # a mistake is raised here
        future = self.sender.new_future(owner, self._why_no_swap)
        self.configuration.changes.add(config, future, on_settled)
        self.attempts.call_in(0.0)
        return future

    @property
    def swaps_for_voice(self) -> bool:
        """Whether another session takes the place of one whose voice cannot change any more."""
        return self._policy is not None and self._policy.voice_change == "swap"

    def has_spoken_unlike(self, config: SessionConfig) -> bool:
        """Whether a change asks for another voice after the model has spoken, which a session refuses."""
        return self.configuration.is_another_voice(config) and any(
            entry.audio_base64_length for entry in self.conversation.entries
        )

    def reconnect(self, owner: object) -> Future[Reconnected]:
        """Go over to another connection; see :meth:`azure_rt_audio.client.AzureRealTimeAudio.reconnect`."""
        if self._policy is None:
            raise RuntimeError(
                "this client was made with reconnect=None, or with a key that opens one connection (ek_); "
                "give it a ReconnectPolicy and another key"
            )
        self.sender.wait_to_send()
        outcome = self.ready.outcome
        if outcome is not None and not self.attempts.is_lasting:
            raise outcome.again()
        future = self.sender.new_future(owner, self._why_no_swap)
        waiter = Waiter(lambda key, event: key == Reconnected.TYPE, future)
        waiter.awaits_swap = True
        self.waiters.add(waiter)
        if not self.reconnector.is_reconnecting():
            self.reconnector.swap.ask("the program has asked for it")
        return future

    # ------------------------------------------------------------ status

    def follow_speaker(self, response_id: str, *, is_playing: bool) -> None:
        """Let the status follow the playback of a response."""
        self._tell_status(self.status.follow_speaker(response_id, is_playing=is_playing))

    def set_status(self, status: ModelStatusEnum) -> None:
        """Set what the model is doing; a change is reported to listeners."""
        self._tell_status(self.status.set(status))

    def _tell_status(self, event: StatusChanged | None) -> None:
        if event is not None:
            self.audience.tell(event)

    # ------------------------------------------------------------ on the I/O thread

    def apply(self, data: Payload) -> None:
        """Take a message into account, and tell those who want to know."""
        try:
            event = decode_event(data, self.quirks)
        except DecodeError as exc:
            log.debug("< malformed frame (%d bytes)", len(data))
            exc.payload = without(exc.payload, self.attempts.secrets.credentials.reveal())
            self.audience.report(exc)
            return
        if log.isEnabledFor(logging.DEBUG):
            log.debug("< %s (%d bytes)", event.wire_type, len(data))
        cls = event.__class__
        turn = self._turn
        try:
            if cls in _WITH_CONSEQUENCES:
                self._take(event)
                return
            if isinstance(event, _SOUNDS):
                event.__dict__["_report"] = self._tell_no_sound
                if (
                    # The first sound of the response in progress changes the status, later ones do not.
                    isinstance(event, ResponseOutputAudioDelta)
                    and turn.speaking != turn.current == event.response_id
                ):
                    self._take(event)
                    return
            if self.ids.is_active:
                translated = self.ids.to_program(event)
                if translated is None:
                    return
                event, cls = translated, translated.__class__
            self.conversation._apply(event)
            self._watchdog.latest = event
            if self.response_queue.begun:
                self.response_queue.feed(event)
            key = cls.TYPE
            if self.waiters.named:
                self.waiters.offer(key, event)
            if self.streams.streams:
                self.streams.offer(key, event)
            self.listeners.publish(key, event, to_all=True)
            if self.guard is not None:
                self.guard.on_event(event)
        except DispatchOverflowError as exc:
            self.connection.abort(exc)

    def _take(self, event: Event) -> None:
        event = self.attempts.secrets.masked(event)
        if self.ids.is_active:
            translated = self.ids.to_program(event)
            if translated is None:
                return
            event = translated
        if isinstance(event, ResponseDone) and not event.response.id:  # it ends what is in progress
            event = evolve(event, response=evolve(event.response, id=self.response_queue.active_id))
        if isinstance(event, SessionUpdated) and self.configuration.take_internal(event):
            self.turns.follow_detection()
            return
        previous = self._turn.status
        change = self.status.advance(event)
        self.conversation._apply(event)
        if isinstance(event, Error):
            self._refused(event)
            return
        self.rate_limits.take(event)
        calls, guard = self.calls, self.guard
        if isinstance(event, ResponseDone):
            if calls is not None:
                calls.on_ending(event)
            if guard is not None:
                guard.on_ending(event)
        is_told = self.response_queue.on_event(event)
        if calls is not None:
            calls.on_event(event)
            change = self.status.follow_calls(calls.is_at_work, change)
        if guard is not None:
            guard.on_event(event)
        self._before_publish(event, previous)
        key = event.type
        self.audience.offer(key, event)
        self.audience.publish(key, event)
        self._tell_status(change)
        self._after_publish(event, is_told=is_told)

    # ------------------------------------------------------------ for the reconnector

    def apply_event(self, event: Event) -> None:
        """Take an event into account that the client has made itself, and tell those who want to know."""
        try:
            self._take(event)
        except DispatchOverflowError as exc:
            self.connection.abort(exc)

    def tell(self, event: LocalEvent) -> bool:
        """Tell all of an event of the client's own; return whether a caller or a stream took it."""
        if self.taps.active and isinstance(event, Told):
            self.taps.told(self.attempts.current.number, event)
        try:
            return self.audience.tell(event)
        except DispatchOverflowError as exc:
            self.connection.abort(exc)
            return False

    def lose_transcripts(self) -> list[str]:
        """Tell of the transcripts that a session has not sent, which is over; return the ids of the items."""
        events = self.transcription.lose(self.conversation)
        for event in events:
            self.apply_event(event)
        return [event.item_id for event in events]

    def runs_calls(self, response_id: str) -> bool:
        """Whether functions run that a response in progress has called."""
        return self.calls is not None and self.calls.runs_calls(response_id)

    def has_listener(self, kind: type[Event | LocalEvent]) -> bool:
        """Whether anybody is handed events of a kind."""
        return self.audience.has_listener(kind)

    def rest(self) -> None:
        """No response is in progress any more, and nobody is known to speak."""
        self.turns.has_heard_user = False
        self._tell_status(self.status.rest())

    def _status_now(self) -> ModelStatusEnum:
        return self._turn.status

    def _input_audio_format(self) -> str:
        return self.configuration.input_audio_format()

    # ------------------------------------------------------------ what follows from an event

    def _before_publish(self, event: Event, previous: ModelStatusEnum) -> None:
        """Do what an event asks of the client, before it is reported."""
        if isinstance(event, SessionCreated | SessionUpdated):
            self.configuration.take(event)
            self.turns.follow_detection()
        else:
            self.turns.on_event(event, previous)

    def _after_publish(self, event: Event, *, is_told: bool) -> None:
        """Report what follows from an event."""
        if isinstance(event, SessionUpdated):
            self._initialized(event)
        elif isinstance(event, ResponseDone):
            if event.response.status == "completed":
                self.reconnector.on_done(event.response)
            self.audience.report_response(event.response, is_told=is_told)
        elif isinstance(event, McpListToolsFailed):
            entry = self.conversation.get(event.item_id)
            self.audience.report(mcp_listing_error(event, None if entry is None else entry.item))
        elif (untranscribed := self.transcription.take(event)) is not None:
            self.audience.report(untranscribed, is_told=self.transcription.is_told(untranscribed))

    def tell_no_sound(self, event: ResponseOutputAudioDelta | SessionOutputAudioDelta) -> None:
        """Report a delta of sound that is not base64. Called by whichever thread asks for the sound."""
        error = DecodeError(
            f"{event.wire_type} at $.delta: not base64; the rest of the sound is not affected",
            path="$.delta",
            event_type=event.wire_type,
            payload=event.delta[:200],
        )
        try:
            self.audience.report(error)
        except DispatchOverflowError as exc:
            self.connection.abort(exc)

    def tell_lag(self, report: LagReport) -> None:
        """Report how far sending is behind."""
        event = self._send_lag.take(report)
        if event.dropped_s:
            self.journal.sound.note_dropped(event.dropped_s)
        try:
            self.audience.tell(event)
        except DispatchOverflowError as exc:
            self.connection.abort(exc)

    def _initialized(self, event: SessionUpdated) -> None:
        ready = self.ready
        if ready.is_initialized or self.session is None or not isinstance(event.session, Session):
            return
        self._before_ready()
        ready.initialize()
        self._tell_ready(self.session)

    def _before_ready(self) -> None:
        if self.on_ready is not None:
            self.on_ready()

    def _tell_ready(self, session: Session) -> None:
        self.attempts.has_been_ready = True
        self.attempts.is_lasting = self._policy is not None
        self.attempts.call_in(0.0)  # the age of the session is known
        init = Init(session=session)
        self.audience.tell(init)

    def _refused(self, event: Error) -> None:
        error = service_error(event)
        self.rate_limits.complete(error)
        handled = self.waiters.fail(error) or self.response_queue.on_error(error)
        if handled is Handled.RETRIED:
            log.debug("= the service was answering already, and is asked again later: %s", error)
            return
        attempt = self.attempts.applied
        if handled is Handled.SILENT or self.interruption.caused(error):
            log.debug("= what was to be ended had ended: %s", error)
            if attempt is not None and error.event_id is not None:
                attempt.settle(error.event_id)  # an update of the client's own
            return
        if attempt is not None:
            if error.event_id is not None:
                attempt.settle(error.event_id)
            elif (error.param or "").startswith("session"):
                attempt.settle_oldest()
            attempt.ready.refuse(error)
        self._publish_error(event)
        if error.code == SESSION_EXPIRED:
            if attempt is not None:
                attempt.has_expired = True
            if self.attempts.is_lasting:  # another session is to follow
                return
            self._is_expiry_told = True
        self.audience.report(error, is_told=handled is Handled.TOLD)

    def _publish_error(self, event: Error) -> None:
        self.audience.offer(Error, event)
        self.listeners.publish(Error, event, to_all=True)

    def tell_error(self, event: Error) -> None:
        """Tell those who want to know of an error of a connection whose events are not applied."""
        try:
            self._publish_error(event)
            self.audience.report(service_error(event))
        except DispatchOverflowError as exc:
            self.connection.abort(exc)

    def configure(self, attempt: Attempt) -> None:
        """Configure the session of an attempt whose connection is open."""
        self.configuration.configure(attempt)

    def settle_for_created(self) -> None:
        """The configuration was not answered: ``session.created`` alone makes ready."""
        session = self.session
        if session is None or self.ready.is_initialized or self.ready.is_refused:
            return
        self._before_ready()
        if self.ready.initialize_unless_refused():
            log.warning("! the service did not acknowledge the configuration; the session goes on without it")
            self._tell_ready(session)

    def check(self) -> float | None:
        """Look at the clock; return the seconds until the next look, if there is to be one."""
        seconds = self.response_queue.check()
        for follower in (self.calls, self.guard):
            due = None if follower is None else follower.check()
            seconds = min((s for s in (seconds, due) if s is not None), default=None)
        has_turn_ended, has_lost = self.turns.has_ended(), self.response_queue.has_lost
        change = self.status.settle(has_turn_ended=has_turn_ended, has_lost=has_lost)
        if self.calls is not None:
            change = self.status.follow_calls(self.calls.is_at_work, change)
        self._tell_status(change)
        return seconds

    def move(self, attempt: Attempt) -> None:
        """Take into account that events of another attempt will be applied."""
        self.ids = attempt.ids
        if attempt.session is not None:
            self.configuration.session = attempt.session
        self.turns.follow_detection()
        if (event := self.configuration.take_changes(attempt)) is not None:
            self._announce(event)
        self.reconnector.swap.on_moved()
        if self.calls is not None:
            self.calls.on_moved()

    def _announce(self, event: SessionUpdated) -> None:
        """Tell all of an update that answers no command."""
        try:
            self.waiters.offer(event.type, event, is_answer=False)
            self.streams.offer(event.type, event)
            self.audience.publish(event.type, event)
        except DispatchOverflowError as exc:
            self.connection.abort(exc)

    def end(self, outcome: Outcome) -> None:
        """End the session."""
        is_asked_for = self.attempts.is_closing
        status = self.status.end()
        log.debug("= the session is over")  # its connection has said why
        self.journal.end(outcome)
        self.conversation._end()
        self.conversation._forget_sent()
        for follower in (self.calls, self.guard):
            if follower is not None:
                follower.end(outcome)
        is_raised = self.response_queue.end(outcome)
        # Callers come first: listeners of an inline dispatcher may take their time.
        if status is not None:
            self.audience.offer(status.type, status)
        # The service has said why it closes, and that was reported.
        is_told = is_asked_for or (self._is_expiry_told and outcome.code == SESSION_EXPIRED)
        if not is_told:
            self.audience.offer("error", outcome)
        closed = Closed(error=outcome)
        self.audience.offer(closed.type, closed)
        is_raised |= self.waiters.end(outcome)
        is_raised |= self.streams.end(None if is_asked_for else outcome)
        if status is not None:
            self.audience.publish_local(status)
        is_heard = is_told or self.audience.publish_error(outcome, sticky=True)
        self.audience.publish_local(closed)
        self.outcome = outcome
        if isinstance(self.dispatcher, QueueDispatcher):
            self.dispatcher._look_again()
        if not (is_heard or is_raised):
            self._log_unheard(outcome)

    def _log_unheard(self, outcome: RealtimeError) -> None:
        """Log how it ended, unless a caller or a listener is told a moment later."""
        if not self.ready.is_initialized:
            self.ready.needs_no_log.wait(_TIME_TO_LISTEN)
        if not (self.ready.is_told or self.listeners.was_late("error")):
            log.warning("! %s", outcome)


class _NoSound:
    """Tells an engine, which it does not keep alive, of sound that cannot be decoded."""

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)

    def __call__(self, event: ResponseOutputAudioDelta | SessionOutputAudioDelta) -> None:
        engine = self._engine()
        if engine is not None:
            engine.tell_no_sound(event)
