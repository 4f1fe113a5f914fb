"""
What the emulator saw: who came, what they said, what they were told; and waiting for it.

Threads and locks: ``_news`` is a leaf condition; it is never held while anything is looked up,
waited for elsewhere, or called.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..dialects.base import canonical
from .connection import Connection

__all__ = ["Attempt", "RequestLog"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Attempt:
    """
    One handshake.

    Attributes:
        target: Path and query, credentials redacted.
        status: 101 if the client came in; 0 if the connection was dropped without an answer.
        headers: Of the request, names in lower case, credentials redacted.
    """

    target: str
    status: int
    headers: Mapping[str, str]


class RequestLog:
    """
    The memory of an emulator.

    Args:
        log_limit: Connections and handshakes remembered; the oldest are forgotten.

    **Threads**: every method may be called from any thread.
    """

    def __init__(self, log_limit: int) -> None:
        self._news = threading.Condition()  # leaf; guards what says so
        self._connections: deque[Connection] = deque(maxlen=log_limit)  # guarded by _news
        self._attempts: deque[Attempt] = deque(maxlen=log_limit)  # guarded by _news
        self._changes = 0  # guarded by _news; grows with everything worth waking up for

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Everybody who came in, oldest first, those who left included."""
        with self._news:
            return tuple(self._connections)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every handshake, oldest first."""
        with self._news:
            return tuple(self._attempts)

    def received(self, type: str | None = None) -> list[dict[str, Any]]:
        """Commands from all connections, in the order of connections; all types or one."""
        return [c for link in self.connections for c in link.received.copy() if type in (None, c.get("type"))]

    def sent(self, type: str | None = None) -> list[dict[str, Any]]:
        """Events to all connections, in the order of connections; *type* in either dialect's spelling."""
        wanted = None if type is None else canonical(type)
        return [
            event
            for link in self.connections
            for event in link.sent.copy()
            if wanted is None or canonical(str(event.get("type"))) == wanted
        ]

    def wait_for_command(self, type: str, timeout: float = 5.0, *, count: int = 1) -> dict[str, Any]:
        """
        Block until the *count*-th command of this type has come, counted from the start.

        Raises:
            TimeoutError: Not within *timeout* seconds.
        """
        found = self._wait(lambda: self.received(type), count, timeout)
        if found is None:
            raise TimeoutError(f"no {type!r} number {count} within {timeout} s")
        return found

    def wait_for_connection(self, timeout: float = 5.0, *, count: int = 1) -> Connection:
        """
        Block until the *count*-th client has come in.

        Raises:
            TimeoutError: Not within *timeout* seconds.
        """
        found = self._wait(lambda: list(self.connections), count, timeout)
        if found is None:
            raise TimeoutError(f"no connection number {count} within {timeout} s")
        return found

    def _wait(self, look: Callable[[], list[_T]], count: int, timeout: float) -> _T | None:
        deadline = time.monotonic() + timeout
        while True:
            with self._news:
                seen = self._changes
            found = look()
            if len(found) >= count:
                return found[count - 1]
            with self._news:
                while self._changes == seen:
                    if not self._news.wait(max(0.0, deadline - time.monotonic())):
                        return None

    def _announce(self) -> None:
        with self._news:
            self._changes += 1
            self._news.notify_all()

    def _note_attempt(self, attempt: Attempt) -> None:
        with self._news:
            self._attempts.append(attempt)
        self._announce()

    def _note_connection(self, connection: Connection) -> None:
        with self._news:
            self._connections.append(connection)
        self._announce()
