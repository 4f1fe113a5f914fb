"""
Whether a session is ready, and waiting for it.

What leaves "not ready": ``session.updated``; a refusal of the configuration; the end of the connection; 3 s
after it opened, ``session.created`` alone, for services that acknowledge no update. The configuration goes
out at ``session.created``, or 0.25 s after the connection opened. If neither event comes, callers wait for
``connect_timeout`` and are told; a connection that can be made again is given up after 10 s. A refusal is
left by another update.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from .._pages import ERRORS, THREADS
from .._transport import Connection, Outcome, WebSocketState
from ..errors import ServiceError

__all__ = ["Readiness"]

_GRACE: Final = 1.0
"""Seconds that a connection attempt gets after its time-out to report why it failed."""


class Readiness:
    """
    The progress of one connection from the first byte to the configured session, or to its failure.

    Args:
        authority: Host and port, for errors.
        timeout: Seconds that methods wait that are called early.
        configuration_id: Event id of the command that configures the session.
        clock: Seconds that never run backwards.

    **Threads.** Any thread waits; the I/O thread decides. ``Readiness._condition`` is a leaf.
    """

    def __init__(
        self,
        connection: Connection,
        authority: str,
        timeout: float,
        configuration_id: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._authority = authority
        self._timeout = timeout
        self._clock = clock
        self._condition = Condition()  # leaf; guards what follows
        self._configuration_id = configuration_id
        self._refusal: ServiceError | None = None
        self.was_refused = False  # written once, read bare
        self.is_initialized = False  # written once, read bare
        self.outcome: Outcome | None = None  # written once, read bare
        self.is_told = False  # a caller was told the outcome; written once, read bare
        self.needs_no_log = threading.Event()  # set then, or by close()

    # ------------------------------------------------------------ any thread

    def wait_until(self, deadline: Deadline | None) -> None:
        """
        Wait until the session has been configured.

        Args:
            deadline: Of the caller, whose time may have begun before; ``None`` has no limit.

        Raises:
            ConnectError, ConnectionClosedError: If there is no connection any more.
            ServiceError: If the service refused the configuration.
            TimeoutError: If it took longer.
            RuntimeError: On the I/O thread.
        """
        self._wait(deadline or Deadline(None), grace=0.0)

    def wait_as_configured(self, deadline: Deadline | None = None) -> None:
        """
        The same, with the time-out of the options; a connection that fails in time is reported as such.

        Args:
            deadline: Of the caller, who has no longer than that.
        """
        left = None if deadline is None else deadline.remaining()
        if deadline is not None and left is not None and left <= self._timeout:
            self._wait(deadline, grace=0.0)
        else:
            grace = _GRACE if left is None else min(_GRACE, left - self._timeout)
            self._wait(Deadline(self._timeout, self._clock), grace)

    def wait_to_send(self, deadline: Deadline | None = None) -> None:
        """Wait until commands can be sent; on the I/O thread, where they go out in order anyway, do not."""
        if not self.is_initialized and not self._connection.owns_this_thread():
            self.wait_as_configured(deadline)

    def wait_to_send_configuration(self, deadline: Deadline | None = None) -> None:
        """The same, unless the configuration was refused: then another one may be sent."""
        if self._refusal is None:
            self.wait_to_send(deadline)

    def _wait(self, deadline: Deadline, grace: float) -> None:
        self._connection.check_ours()
        if self.is_initialized and self.outcome is None:
            return
        if self._connection.owns_this_thread():
            raise RuntimeError(
                "this would wait for the session on the thread that makes it; listeners of an inline "
                f"dispatcher must not block: use the default dispatcher, or another thread. {THREADS}"
            )
        is_decided = self._condition.wait_until(self._is_decided, deadline)
        is_connecting = self._connection.state is WebSocketState.CONNECTING
        if not is_decided and is_connecting and grace:
            # The connection has the same limit, begun a moment later, and will report why it failed.
            is_decided = self._condition.wait_until(self._is_decided, Deadline(grace, self._clock))
        with self._condition.lock:
            problem = self.outcome or (None if self.is_initialized else self._refusal)
        if problem is not None:
            self.is_told = True
            self.needs_no_log.set()
            raise problem.again()
        if not is_decided:
            what = "was still being made" if is_connecting else "is open, but session.updated did not come"
            raise TimeoutError(
                f"the session was not ready after {deadline.seconds} seconds: the connection to "
                f"{self._authority} {what}. {ERRORS}"
            )

    def _is_decided(self) -> bool:
        return self.is_initialized or self._refusal is not None or self.outcome is not None

    def try_again_with(self, configuration_id: str | None) -> None:
        """Another configuration follows a refused one; waiting callers wait for its acknowledgement."""
        with self._condition.lock:
            if self._refusal is not None and not self.is_initialized:
                self._refusal, self._configuration_id = None, configuration_id

    # ------------------------------------------------------------ the I/O thread

    def initialize(self) -> None:
        """The session is configured."""
        with self._condition.lock:
            self.is_initialized = True
            self._condition.notify_all()

    def initialize_unless_refused(self) -> bool:
        """The same if nothing has been decided; return whether that was so."""
        with self._condition.lock:
            is_open = not self._is_decided()
            if is_open:
                self.is_initialized = True
                self._condition.notify_all()
        return is_open

    @property
    def is_refused(self) -> bool:
        """Whether the service has refused the configuration, and no other one was sent."""
        return self._refusal is not None

    def refuse(self, error: ServiceError, *, is_meant: bool = False) -> bool:
        """
        Take a refusal into account if it refuses the configuration; return whether it does.

        Args:
            is_meant: Whether that is known already.
        """
        with self._condition.lock:
            is_it = is_meant or (
                error.event_id == self._configuration_id
                if error.event_id is not None
                else (error.param or "").startswith("session")
            )
            is_refused = is_it and not self.is_initialized
            if is_refused:
                self._refusal, self.was_refused = error, True
                self._condition.notify_all()
        return is_refused

    def end(self, outcome: Outcome) -> None:
        """The connection is over."""
        with self._condition.lock:
            self.outcome = outcome
            self._condition.notify_all()
