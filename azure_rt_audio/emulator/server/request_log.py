"""
The handshakes, connections, commands and events of an emulator, and waiting for them.

Threads and locks: ``_changed`` is a leaf condition; nothing is looked up or called while it is held.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..dialects.names import canonical, check_name
from .arguments import check_count, check_seconds
from .connection import Connection

__all__ = ["Attempt", "RequestLog"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Attempt:
    """
    One request: a handshake, or another one.

    Attributes:
        method: Such as ``"GET"``, which all handshakes are.
        target: Path and query, credentials redacted.
        status: 101 if it was accepted; 0 if the connection was dropped without an answer.
        headers: Of the request, names in lower case, credentials redacted.
    """

    target: str
    status: int
    headers: Mapping[str, str]
    method: str = "GET"


class RequestLog:
    """
    What an emulator received and sent.

    Args:
        log_limit: Connections and handshakes remembered; the oldest are forgotten.

    **Threads**: every method may be called from any thread.
    """

    def __init__(self, log_limit: int) -> None:
        self._changed = threading.Condition()  # leaf
        self._connections: deque[Connection] = deque(maxlen=log_limit)  # guarded by _changed
        self._attempts: deque[Attempt] = deque(maxlen=log_limit)  # guarded by _changed
        self._changes = 0  # guarded by _changed; counts the wake-ups

    @property
    def connections(self) -> tuple[Connection, ...]:
        """All accepted connections, oldest first, closed ones included."""
        with self._changed:
            return tuple(self._connections)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every handshake and every other request, oldest first."""
        with self._changed:
            return tuple(self._attempts)

    def received(self, type: str | None = None) -> list[dict[str, Any]]:
        """
        Commands from all connections, in the order of connections; all types or one.

        Raises:
            ValueError: The emulator knows no such command, and received none.
        """
        found = [
            c
            for connection in self.connections
            for c in connection.received.copy()
            if type in (None, "*", c.get("type"))
        ]
        if not found and type is not None:
            check_name(type, is_command=True)
        return found

    def sent(self, type: str | None = None) -> list[dict[str, Any]]:
        """Events to all connections, in the order of connections; *type* in either dialect's spelling."""
        wanted = None if type is None else canonical(type)
        return [
            event
            for connection in self.connections
            for event in connection.sent.copy()
            if wanted is None or canonical(str(event.get("type"))) == wanted
        ]

    def wait_for_command(self, type: str, timeout: float = 5.0, *, count: int = 1) -> dict[str, Any]:
        """
        Block until the *count*-th command of this type was received, counted from the start.

        Raises:
            ValueError: The emulator knows no such command, and received none.
            TimeoutError: Not within *timeout* seconds.
        """
        found = self._wait(lambda: self.received(type), count, timeout)
        if found is None:
            raise TimeoutError(f"no {type!r} number {count} within {timeout} s")
        return found

    def wait_for_connection(self, timeout: float = 5.0, *, count: int = 1) -> Connection:
        """
        Block until the *count*-th connection was accepted.

        Raises:
            TimeoutError: Not within *timeout* seconds.
        """
        found = self._wait(lambda: list(self.connections), count, timeout)
        if found is None:
            raise TimeoutError(f"no connection number {count} within {timeout} s")
        return found

    def _wait(self, find: Callable[[], list[_T]], count: int, timeout: float) -> _T | None:
        check_seconds("timeout", timeout)
        check_count("count", count)
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                seen = self._changes
            found = find()
            if len(found) >= count:
                return found[count - 1]
            if not self._await_change(seen, max(0.0, deadline - time.monotonic())):
                return None

    def _await_change(self, seen: int, seconds: float) -> bool:
        # Without a loop in the block: Ctrl-C in the jump back of one would leave Python 3.13 with the lock.
        with self._changed:
            return self._changed.wait_for(lambda: self._changes != seen, seconds)

    def _notify(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _note_attempt(self, attempt: Attempt) -> None:
        with self._changed:
            self._attempts.append(attempt)
        self._notify()

    def _note_connection(self, connection: Connection) -> None:
        with self._changed:
            self._connections.append(connection)
        self._notify()
