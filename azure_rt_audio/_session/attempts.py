"""
The connections of a session: which of them commands go to, and whose events are applied.

A client makes one attempt, and its end is the end of the session. Beyond that, :meth:`Attempts.promote` goes
over to another one, and ``connection.close`` drains the one before. Commands go to the new one from the
promotion on. Events of the old one are applied until it has ended, those of the new one are held until then:
nothing is lost, doubled or out of order. All are served by one I/O thread, so no event crosses from one
thread to another.

**Threads and locks.** ``Attempts.lock`` is a leaf. It guards which attempt is current and whose events are
applied, which have ended, and the events that an attempt holds. It is not held over I/O, a wait, or the
application of an event. The session is held weakly: a client without references is collected, and its
attempts with it.
"""

from __future__ import annotations

import itertools
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, Protocol

from .._concurrency.deadline import Deadline
from .._log import get_logger
from .._transport import Connection, IOThread, Outcome, Payload, Target, WebSocketImpl
from ..errors import ConnectionClosedError
from ..options import AzureRealTimeOptions, WebSocketOptions
from ..protocol.codec import Quirks
from ..protocol.commands import SessionUpdate
from .attempt import Attempt
from .readiness import Readiness
from .secrets import Secrets
from .taps import Taps

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

    def move(self, previous: Attempt, attempt: Attempt) -> None:
        """Events of another attempt will be applied; the one before has ended."""

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
        on_ended: Asked when the current attempt has ended without :meth:`close`, on the I/O thread, whether
            the session goes on: with another attempt, made then or later. ``None``: it ends.
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
        self.on_ended: Callable[[Attempt, Outcome], bool] | None = None
        self.secrets = Secrets(options, websocket_options)
        self._io_thread = IOThread()
        self._io_thread.on_alarm = _weakly(self._check)
        self.call_in = self._io_thread.set_alarm
        finalizer = weakref.finalize(self, self._io_thread.release)
        finalizer.atexit = False  # at exit the connections are closed first

    # ------------------------------------------------------------ any thread

    @property
    def applied(self) -> Attempt | None:
        """The one whose events are applied, unless it has ended."""
        return self._find(self._applied.number)

    def _find(self, number: int) -> Attempt | None:
        return next((attempt for attempt in self.alive if attempt.number == number), None)

    def add(self, configuration: SessionUpdate, encoded: bytes) -> Attempt:
        """
        Make another attempt, which does not connect yet.

        Args:
            configuration: The command that configures the session.
            encoded: Its bytes.
        """
        number = next(self._numbers)
        options, websocket_options, secrets = self._options, self._websocket_options, self.secrets

        def target() -> Target:
            headers = {name: value.reveal() for name, value in websocket_options.headers.items()}
            headers.update(options.authorization())
            secrets.add(headers)
            return Target(options.url, headers)

        connection = Connection(
            target,
            websocket_options,
            websocket_impl=self._websocket_impl,
            on_open=_weakly(self._opened, number),
            on_message=self._receiver(number),
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
        attempt = Attempt(
            number, connection, ready, self._taps, self._quirks, self.lock, configuration, encoded
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
        with self.lock:
            previous, self.current = self.current, attempt
            if attempt is previous:
                return
            attempt.hold_locked()
            has_ended = previous.is_over
        if has_ended:
            self._hand_over(previous)

    def close(self, timeout: float) -> bool:
        """Close all connections at the same time; return whether they and their threads have ended."""
        self.note_closing()
        deadline = Deadline(timeout)
        current = self.current.connection
        others = [attempt.connection for attempt in self.alive if attempt.connection is not current]
        for other in others:
            other.begin_close(timeout)
        have_ended = [current.close(timeout)]
        have_ended += [other.close(deadline.remaining()) for other in others]
        return all(have_ended) and self._io_thread.join((deadline.remaining() or 0.0) + _GRACE)

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
            attempt.configure_at = self._clock() + _CREATED_GRACE
            attempt.ready_at = self._clock() + _UPDATED_GRACE
            self.call_in(_CREATED_GRACE)

    def _check(self) -> float | None:
        """Look at the clock, for all that has a time limit here and in the session."""
        session = self._session()
        if session is None:
            return None
        now, due = self._clock(), session.check()
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
                elif attempt.session is not None:
                    attempt.ready.initialize_unless_refused()
            for moment in (attempt.configure_at, attempt.ready_at):
                if moment is not None:
                    due = min(moment - now, due if due is not None else moment - now)
        return None if due is None else max(due, 0.01)

    def _ended(self, number: int, outcome: Outcome) -> None:
        attempt = self._find(number)
        if attempt is None:
            return
        attempt.ready.end(outcome)
        if self._taps.active:
            self._taps.closed(number, outcome)
        with self.lock:
            attempt.is_over = True
            is_current = attempt is self.current
            is_applied = number == self._applied.number
            self._discard_locked(attempt)
        if is_applied and is_current:
            self._lost(attempt)
        elif is_applied:
            self._hand_over(attempt)

    def _hand_over(self, previous: Attempt) -> None:
        """Have the current attempt's events applied from now on: the one before has ended."""
        attempt, session = self.current, self._session()
        if session is None:
            return
        session.move(previous, attempt)
        while True:
            with self.lock:
                payload = attempt.next_held_locked()
                if payload is None:
                    self._applied.number = attempt.number
                    has_ended = attempt.is_over
                    break
            session.apply(payload)
        if has_ended:
            self._lost(attempt)

    def _lost(self, attempt: Attempt) -> None:
        """The current attempt has ended: the session ends, unless somebody makes another one."""
        outcome, session = attempt.ready.outcome, self._session()
        assert outcome is not None
        if self.is_closing or self.on_ended is None or not self.on_ended(attempt, outcome):
            self._io_thread.release()
            if session is not None:
                session.end(outcome)


def _weakly(method: Any, *first: Any) -> Callable[..., Any]:
    """Return a function that calls a bound method as long as its object lives, and then does nothing."""
    reference, function = weakref.ref(method.__self__), method.__func__

    def call(*args: Any) -> Any:
        alive = reference()
        return None if alive is None else function(alive, *first, *args)

    return call
