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
from .._transport import Connection, IOThread, Outcome, Payload, Target, WebSocketImpl
from ..errors import ConnectionClosedError
from ..options import AzureRealTimeOptions, WebSocketOptions
from ..protocol.commands import SessionUpdate
from .attempt import Attempt
from .readiness import Readiness
from .secrets import Secrets
from .taps import Taps

__all__ = ["Attempts"]

log: logging.Logger = logging.getLogger(__name__)

_GRACE: Final = 0.1
"""Seconds that the I/O thread has to end after its last connection has; a busy machine keeps it waiting."""


class _Session(Protocol):
    """What events are applied to. Its methods are called on the I/O thread."""

    taps: Taps

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
            headers = {**websocket_options.headers, **options.authorization()}
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
        attempt = Attempt(number, connection, ready, self._taps, self.lock, configuration, encoded)
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
        """Close all connections; return whether they and their threads have ended."""
        self.note_closing()
        deadline = Deadline(timeout)
        current = self.current
        others = [attempt for attempt in self.alive if attempt is not current]
        have_ended = [current.connection.close(timeout)]
        have_ended += [other.connection.close(deadline.remaining()) for other in others]
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
        log.info("= open to %s (%s)", self._options.endpoint.authority, self._options.resolved_dialect.name)
        if self._taps.active:
            self._taps.opened(number)

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
