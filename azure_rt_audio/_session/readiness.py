"""Whether the session is ready, and the waiting for it."""

from __future__ import annotations

from typing import Final

from .._concurrency import shutdown
from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from .._transport import Connection, WebSocketState
from ..errors import RealtimeError, ServiceError

__all__ = ["Readiness"]

_GRACE: Final = 1.0
"""Seconds that a connection attempt whose time is up is given to say why it failed."""


class Readiness:
    """
    From the first byte to the session that the user asked for, or to the reason why there is none.

    Args:
        authority: Host and port, for errors.
        timeout: Seconds that methods wait that are called early.
        configuration_id: Event id of the command that configures the session.

    **Threads and locks.** Any thread waits; the reader decides. ``Readiness._condition`` is a leaf.
    """

    def __init__(
        self, connection: Connection, authority: str, timeout: float, configuration_id: str | None
    ) -> None:
        self._connection = connection
        self._authority = authority
        self._timeout = timeout
        self._condition = Condition()  # leaf; guards what follows
        self._configuration_id = configuration_id
        self._refusal: ServiceError | None = None
        self.is_initialized = False  # written once, read bare
        self.is_closing = False  # written once: this side wants the end
        self.outcome: RealtimeError | None = None  # written once, read bare
        shutdown.register(shutdown.Stage.SESSIONS, self, Readiness.close)

    # ------------------------------------------------------------ any thread

    def wait(self, timeout: float | None) -> None:
        """
        Wait until the session has been configured.

        Raises:
            ConnectError, ConnectionClosedError: If there is no connection any more.
            ServiceError: If the service refused the configuration.
            TimeoutError: If it took longer.
            RuntimeError: On the reader thread.
        """
        self._wait(timeout, grace=0.0)

    def wait_as_configured(self) -> None:
        """The same, as long as the options say; a connection that fails in that time is told as such."""
        self._wait(self._timeout, grace=_GRACE)

    def wait_to_send(self) -> None:
        """Wait until commands make sense; not on the reader, where what is sent now goes out in its turn."""
        if not self.is_initialized and not self._connection.owns_this_thread():
            self.wait_as_configured()

    def wait_to_send_configuration(self) -> None:
        """Wait for the connection only: a configuration that was refused can be sent again, mended."""
        if self._refusal is None:
            self.wait_to_send()

    def _wait(self, timeout: float | None, grace: float) -> None:
        if self.is_initialized and self.outcome is None:
            return
        self._connection.check_ours()
        if self._connection.owns_this_thread():
            raise RuntimeError(
                "this would wait for the session on the thread that makes it; listeners of an inline "
                "dispatcher must not block: use the default dispatcher, or another thread"
            )
        is_decided = self._condition.wait_until(self._is_decided, Deadline(timeout))
        is_connecting = self._connection.state is WebSocketState.CONNECTING
        if not is_decided and is_connecting and grace:
            # The attempt has the same limit, begun a moment later, and knows why it failed.
            is_decided = self._condition.wait_until(self._is_decided, Deadline(grace))
        with self._condition.lock:
            problem = self.outcome or (None if self.is_initialized else self._refusal)
        if problem is not None:
            raise problem.again()
        if not is_decided:
            what = "was still being made" if is_connecting else "is open, but session.updated did not come"
            raise TimeoutError(
                f"the session was not ready after {timeout} seconds: the connection to "
                f"{self._authority} {what}"
            )

    def _is_decided(self) -> bool:
        return self.is_initialized or self._refusal is not None or self.outcome is not None

    def try_again_with(self, configuration_id: str | None) -> None:
        """A refused configuration is about to be mended by this command; those who wait wait for it."""
        with self._condition.lock:
            if self._refusal is not None and not self.is_initialized:
                self._refusal, self._configuration_id = None, configuration_id

    def close(self) -> None:
        """Note that this side wants the end."""
        self.is_closing = True  # without the lock: in a forked child nobody may be left to release it

    # ------------------------------------------------------------ the reader

    def initialize(self) -> None:
        """The session is configured."""
        with self._condition.lock:
            self.is_initialized = True
            self._condition.notify_all()

    def refuse(self, error: ServiceError) -> None:
        """Take a refusal into account, if it is that of the configuration."""
        with self._condition.lock:
            is_meant = (
                error.event_id == self._configuration_id
                if error.event_id is not None
                else (error.param or "").startswith("session")
            )
            if is_meant and not self.is_initialized:
                self._refusal = error
                self._condition.notify_all()

    def end(self, outcome: RealtimeError) -> bool:
        """The connection is over; return whether this side wanted it."""
        with self._condition.lock:
            self.outcome = outcome
            self._condition.notify_all()
            return self.is_closing
