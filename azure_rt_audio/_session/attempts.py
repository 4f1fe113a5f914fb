"""
The connections of a session: which of them commands go to, and whose events are applied.

A client makes one attempt, and its end is the end of the session, unless ``on_ended`` makes another one. That
one takes the place of one that has ended (:meth:`Attempts.replace`, :meth:`Attempts.go_over`), or of one that
still lives (:meth:`Attempts.intercept`, :meth:`Attempts.go_over_to`): then events of the new one are held
until the old one has ended. If the new one is lost before that, the old one speaks to its end while yet
another one is made. Nothing is lost, doubled or out of order. All are served by one I/O thread, so no event
crosses from one thread to another.

**Threads and locks.** ``Attempts.lock`` is a leaf. It guards which attempt is current and whose events are
applied, which have ended, and the events that an attempt holds. It is not held over I/O, a wait, or the
application of an event. The session is held weakly: a client without references is collected, and its
attempts with it.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final, Protocol

from .._concurrency.deadline import Deadline
from .._concurrency.weak_call import weakly
from .._log import get_logger
from .._transport import Connection, IOThread, LagReport, Outcome, Payload, Target, WebSocketImpl
from ..errors import ConnectionClosedError, RealtimeError
from ..options import AzureRealTimeOptions, WebSocketOptions
from ..protocol.codec import Quirks
from ..protocol.commands import SessionUpdate
from .attempt import Attempt
from .item_ids import ItemIds
from .one_asker import OneAsker
from .readiness import Readiness
from .secrets import Secrets
from .taps import Taps
from .verdict import in_words

__all__ = ["Attempts"]

log: logging.Logger = get_logger(__name__)

_GRACE: Final = 0.1
"""Seconds that the I/O thread has to end after its last connection has; a busy machine keeps it waiting."""


_CREATED_GRACE: Final = 0.25
"""Seconds that an open connection waits for ``session.created`` before the configuration goes out."""

_UPDATED_GRACE: Final = 3.0
"""Seconds after which ``session.created`` alone makes ready, if the configuration is not answered."""


class _Session(Protocol):
    """What events are applied to. Its methods are called on the I/O thread."""

    taps: Taps
    quirks: Quirks

    def configure(self, attempt: Attempt) -> None:
        """Configure the session of the attempt whose events are applied."""

    def settle_for_created(self) -> None:
        """The service does not answer the configuration; what ``session.created`` said is to do."""

    def check(self) -> float | None:
        """Look at the clock; return the seconds until the next look, if there is to be one."""

    def apply(self, data: Payload) -> None:
        """Take a message into account."""

    def move(self, attempt: Attempt) -> None:
        """Events of another attempt will be applied; the one before has ended."""

    def tell_lag(self, report: LagReport) -> None:
        """Report how far sending is behind."""

    def end(self, outcome: Outcome) -> None:
        """No attempt is left."""


class _Applied:
    """The number of the attempt whose events are applied. Written under the attempts' lock, read bare."""

    number = 1


class Attempts:
    """
    The attempts of one session, and their I/O thread.

    Args:
        session: What events are applied to.
        websocket_impl: Makes the ``websocket.WebSocket`` to use.
        clock: Seconds that never run backwards, for the time-outs of callers.

    Attributes:
        secrets: What the client proves itself with.
        current: The one to which commands go. Written under the lock, read bare.
        alive: All that have not ended, the current one included. Written under the lock, read bare.
        is_closing: This side wants the end. Written once.
        has_been_ready: A session has been configured. Written once.
        is_lasting: The session may outlive its connection. Written by the I/O thread, read bare.
        on_ended: Asked when an attempt has ended without :meth:`close`, on the I/O thread, whether the
            session goes on: with another one, made then or later. ``None``: it ends with the current one.
        on_drained: Called when the attempt that was applied has ended after the one in its place was lost.
        on_check: Called with each look at the clock; returns the seconds until the next one.
    """

    def __init__(
        self,
        session: _Session,
        options: AzureRealTimeOptions,
        websocket_options: WebSocketOptions,
        websocket_impl: WebSocketImpl | None,
        clock: Callable[[], float],
    ) -> None:
        self._session = weakref.ref(session)
        self._taps = session.taps
        self._quirks = session.quirks
        self._options = options
        self._websocket_options = websocket_options
        self._websocket_impl = websocket_impl
        self._clock = clock
        self._numbers = itertools.count(1)
        self.lock = threading.Lock()  # leaf
        self.current: Attempt
        self.alive: tuple[Attempt, ...] = ()
        self._applied = _Applied()
        self.is_closing = False
        self.has_been_ready = False
        self.is_lasting = False
        self.on_ended: Callable[[Attempt, Outcome], bool] | None = None
        self.on_drained: Callable[[], object] | None = None
        self.on_check: Callable[[], float | None] | None = None
        self._taking_over: Attempt | None = None  # while the events that it has held are applied
        self._draining = 0  # the number of the attempt whose events are applied by way of its on_event
        self.secrets = Secrets(options, websocket_options)
        self._asker = OneAsker(options, websocket_options.connect_timeout)
        self._io_thread = IOThread()
        self._io_thread.on_alarm = weakly(self._check)
        self.call_in = self._io_thread.set_alarm
        finalizer = weakref.finalize(self, self._io_thread.release)
        finalizer.atexit = False  # at exit the connections are closed first

    # ------------------------------------------------------------ any thread

    @property
    def applied(self) -> Attempt | None:
        """The one whose events are applied, unless it has ended."""
        return self._taking_over or self._find(self._applied.number or self._draining)

    def _find(self, number: int) -> Attempt | None:
        return next((attempt for attempt in self.alive if attempt.number == number), None)

    @property
    def ids(self) -> ItemIds:
        """How items are called on the connection to which commands go."""
        return self.current.ids

    def may_go_on(self, attempt: Attempt) -> bool:
        """Whether the session may outlive the end of an attempt that somebody has just met."""
        return self.is_lasting and not self.is_closing and attempt is self.current

    def follow(
        self,
        wait: Callable[[Readiness, Deadline | None], None] = Readiness.wait_as_configured,
        deadline: Deadline | None = None,
    ) -> Attempt:
        """
        Wait for the current attempt; if it fails, for those in its place. Return the one that did not.

        Args:
            wait: Waits for the first one.
            deadline: Of the caller, which all of them share; ``None`` is ``connect_timeout``.

        Raises:
            TimeoutError: If it took longer.
            RealtimeError: If an attempt failed, and there is none in its place.
        """
        attempt, why = self.current, ""
        limit = deadline or Deadline(self._websocket_options.connect_timeout, self._clock)
        while True:
            try:
                if why:
                    attempt.ready.wait_until(limit)
                else:
                    wait(attempt.ready, deadline)
            except RealtimeError as exc:
                if attempt is self.current:
                    raise
                attempt, why = self.current, in_words(exc)
            except TimeoutError as exc:
                if not why:
                    raise
                raise TimeoutError(f"{exc} The attempt before that has failed: {why}.") from None
            else:
                return attempt

    def written_at(self, sent: float) -> float | None:
        """Return when the system had taken what was sent at a moment; ``None`` as long as it waits here."""
        return self.current.connection.written_at(sent)

    def add(self, configuration: SessionUpdate, encoded: bytes) -> Attempt:
        """
        Make another attempt, which does not connect yet.

        Args:
            configuration: The command that configures the session.
            encoded: Its bytes.
        """
        number = next(self._numbers)
        options, websocket_options, secrets = self._options, self._websocket_options, self.secrets
        asker = self._asker

        def target() -> Target:
            headers = {name: value.reveal() for name, value in websocket_options.headers.items()}
            headers.update(asker.authorization())
            secrets.add(headers)
            return Target(options.url, headers, secrets.credentials)

        connection = Connection(
            target,
            websocket_options,
            websocket_impl=self._websocket_impl,
            on_open=weakly(self._opened, number),
            on_message=self._receiver(number),
            on_end=weakly(self._ended, number),
            on_lag=weakly(self._lags, number),
            io_thread=self._io_thread,
        )
        ready = Readiness(
            connection,
            options.endpoint.authority,
            websocket_options.connect_timeout,
            configuration.event_id,
            self._clock,
        )
        attempt = Attempt(
            number,
            connection,
            ready,
            self._taps,
            self._quirks,
            self.secrets,
            self.lock,
            configuration,
            encoded,
        )
        with self.lock:
            self.alive = (*self.alive, attempt)
        return attempt

    def start(self, attempt: Attempt) -> None:
        """
        Begin to connect; returns at once.

        Raises:
            ConnectionClosedError: If the session has ended or is being closed.
            ConnectError: If the system has no more descriptors.
            RuntimeError: In a forked child, or if the system has no more threads.
        """
        attempt.is_started = True
        try:
            attempt.connection.start()
        except BaseException as exc:  # Ctrl-C too, which may come when all has been done
            with self.lock:
                self._discard_locked(attempt)
            attempt.connection.abort(
                ConnectionClosedError("The connection was closed by this side before it was open.")
            )
            if isinstance(exc, RuntimeError) and self._io_thread.is_released:
                raise ConnectionClosedError("The client was closed, so it does not connect again.") from None
            raise

    def _discard_locked(self, attempt: Attempt) -> None:
        self.alive = tuple(other for other in self.alive if other is not attempt)

    def close(self, timeout: float) -> bool:
        """Close all connections at the same time; return whether they and their threads have ended."""
        self.note_closing()
        deadline = Deadline(timeout)
        current = self.current.connection
        others = [attempt.connection for attempt in self.alive if attempt.connection is not current]
        for other in others:
            other.begin_close(timeout)
        is_waiting = not self.current.is_started and self.has_been_ready
        have_ended = [is_waiting or current.close(timeout)]
        have_ended += [other.close(deadline.remaining()) for other in others]
        has_ended = all(have_ended) and self._io_thread.join((deadline.remaining() or 0.0) + _GRACE)
        if is_waiting:
            if has_ended or current.owns_this_thread():
                self._end_waiting()
            else:
                current.end_aside()
        return has_ended

    def _end_waiting(self) -> None:
        """End a session that waits for its time to connect. The I/O thread, or, after its end, any other."""
        attempt = self.current
        with self.lock:
            if attempt.is_over or attempt.is_started:
                return
            self._discard_locked(attempt)
        outcome = ConnectionClosedError("The connection was closed by this side before it was open.")
        attempt.connection.abort(outcome)  # its state is CLOSED then; it has nothing more to tell
        self.fail(attempt, outcome)

    def note_closing(self) -> None:
        """Make no more attempts. Without a lock: a forked child may have nobody left to release it."""
        self.is_closing = True
        self._io_thread.release()

    # ------------------------------------------------------------ the I/O thread

    def _receiver(self, number: int) -> Callable[[Payload], None]:
        """Return the receiver of an attempt's messages, as long as the session lives."""
        session, reference, applied = self._session, weakref.ref(self), self._applied

        def receive(data: Payload) -> None:
            if applied.number == number:
                alive = session()
                if alive is not None:
                    if alive.taps.active:
                        alive.taps.received(number, data)
                    alive.apply(data)
            elif (attempts := reference()) is not None and (attempt := attempts._find(number)) is not None:
                attempt.receive(data)

        return receive

    def _opened(self, number: int) -> None:
        log.debug("= the protocol is %s", self._options.resolved_dialect.name)
        if self._taps.active:
            self._taps.opened(number)
        attempt = self._find(number)
        if attempt is not None:
            now = self._clock()
            attempt.opened_at, attempt.opened_wall = now, time.time()
            attempt.configure_at, attempt.ready_at = now + _CREATED_GRACE, now + _UPDATED_GRACE
            self.call_in(_CREATED_GRACE)

    def _check(self) -> float | None:
        """Look at the clock, for all that has a time limit here and in the session."""
        session = self._session()
        if session is None:
            return None
        now, due = self._clock(), session.check()
        if self.on_check is not None and (again := self.on_check()) is not None:
            due = again if due is None else min(again, due)
        for attempt in self.alive:
            is_applied = attempt.number == self._applied.number
            if attempt.configure_at is not None and now >= attempt.configure_at:
                log.debug("= no session.created came; the session is configured without it")
                if is_applied:
                    session.configure(attempt)
                else:
                    attempt.send_configuration()
            if attempt.ready_at is not None and now >= attempt.ready_at:
                attempt.ready_at = None
                if is_applied:
                    session.settle_for_created()
                elif attempt.session is not None and not attempt.ready.is_refused:
                    attempt.configured()
            for moment in (attempt.configure_at, attempt.ready_at):
                if moment is not None:
                    due = min(moment - now, due if due is not None else moment - now)
        return None if due is None else max(due, 0.01)

    def _lags(self, number: int, report: LagReport) -> None:
        session = self._session()
        if report.dropped and self._taps.active:
            self._taps.dropped(number, report.dropped)
        if session is not None and number == self.current.number:
            session.tell_lag(report)

    def _ended(self, number: int, outcome: Outcome) -> None:
        attempt = self._find(number)
        if attempt is None:
            return
        attempt.outcome = outcome
        if self._taps.active:
            self._taps.closed(number, outcome)
        with self.lock:
            attempt.is_over = True
            is_current = attempt is self.current
            is_applied = number == (self._applied.number or self._draining)
            self._discard_locked(attempt)
            is_last = is_current and (is_applied or self.applied is None)
        if is_last:
            self._lost(attempt)
        elif is_applied:
            attempt.ready.end(outcome)
            self._hand_over()
        else:
            self._ended_early(attempt, outcome)

    def _ended_early(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt has ended whose events were not applied yet: those of another one are."""
        if self.on_ended is not None and not self.is_closing:
            # If it was the current one, and there will be no other, the session ends with the applied one.
            self.on_ended(attempt, outcome)
        # After that: who waits for it looks whether another one has taken its place.
        attempt.ready.end(outcome)

    def configure_with(self, attempt: Attempt, command: SessionUpdate, encoded: bytes) -> None:
        """Ask for another session than the one that was refused. The I/O thread's."""
        attempt.ready_at = self._clock() + _UPDATED_GRACE
        attempt.configure_with(command, encoded)
        self.call_in(_UPDATED_GRACE)

    def fail(self, attempt: Attempt, outcome: Outcome) -> None:
        """The current attempt could not even begin. The I/O thread's, or, after its end, any other's."""
        with self.lock:
            if attempt.is_over:  # close() was a moment earlier, and its end was told
                return
            attempt.is_over = True
        attempt.outcome = outcome
        if self.applied in (None, attempt):
            self._lost(attempt)
        else:
            self._ended_early(attempt, outcome)

    def replace(self, attempt: Attempt) -> None:
        """Make an attempt the current one in place of one that has ended. The I/O thread's."""
        with self.lock:
            self.current = attempt

    def go_over(self) -> None:
        """Have the events of the current attempt applied, which has taken the place of one that has ended."""
        session = self._session()
        if session is not None:
            session.move(self.current)
            with self.lock:
                self._draining, self._applied.number = 0, self.current.number

    def intercept(self, attempt: Attempt) -> None:
        """Give the events of the attempt that are applied to its ``on_event`` instead. The I/O thread's."""
        with self.lock:
            self._draining, self._applied.number = attempt.number, 0

    def resume(self, attempt: Attempt) -> None:
        """Apply them again. The I/O thread's."""
        with self.lock:
            self._draining, self._applied.number = 0, attempt.number

    def go_over_to(self, attempt: Attempt) -> None:
        """
        Make an attempt the current one while the one before, which is intercepted, lasts. The I/O thread's.

        Events of *attempt* are held until then.
        """
        with self.lock:
            self.current = attempt
            attempt.hold_locked()

    def _hand_over(self) -> None:
        """Have the current attempt's events applied from now on: the one before has ended."""
        attempt, session = self.current, self._session()
        self._draining = 0
        if session is None:
            return
        if not attempt.is_holding:  # it is yet to be made: the one that went over was lost
            if self.on_drained is not None:
                self.on_drained()
            if attempt.is_over:
                self._lost(attempt)
            return
        session.move(attempt)
        self._taking_over = attempt
        while True:
            with self.lock:
                payload = attempt.next_held_locked()
                if payload is None:
                    self._taking_over, self._applied.number = None, attempt.number
                    has_ended = attempt.is_over
                    break
            session.apply(payload)
        if has_ended:
            self._lost(attempt)

    def _lost(self, attempt: Attempt) -> None:
        """The current attempt has ended: the session ends, unless somebody makes another one."""
        outcome, session = attempt.outcome, self._session()
        assert outcome is not None
        on_ended = None if session is None or self.is_closing else self.on_ended
        goes_on = on_ended is not None and on_ended(attempt, outcome)
        self.is_lasting = goes_on
        # After that: who waits for it looks whether another one has taken its place.
        attempt.ready.end(outcome)
        if not goes_on:
            self._io_thread.release()
            if session is not None:
                session.end(outcome)
