"""
Observers of a session: every message that comes or leaves, every opening and end of a connection, what
becomes of the session then, what the user hears, and listeners that fail.

**Threads and locks.** A tuple that is replaced, never changed, and empty as a rule: then a message costs one
truth test. ``Taps._lock`` guards the replacement; it is not held while a tap runs.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from .._concurrency.program_end import ends_the_program
from .._log import get_logger
from .._transport import DroppedSound, Payload
from ..errors import RealtimeError
from ..protocol.events.local import Reconnected, Reconnecting, ToolEnded, ToolStarted

__all__ = ["Tap", "Taps", "Told"]

Told = Reconnecting | Reconnected | ToolStarted | ToolEnded
"""Events of the client's own of which taps are told."""

log: logging.Logger = get_logger(__name__)


class Tap:
    """
    What an observer may have: it need not derive from this, and has the methods that it needs. *connection*
    counts a client's connections, from 1.

    **Threads.** ``on_sent`` runs on the thread that sends, several at once; ``on_tool``, ``on_heard``,
    ``on_levels`` and ``on_failed`` where it happens; the others on the I/O thread. A tap must be quick, and
    must not use the client. One that raises is logged and removed.
    """

    def on_opened(self, connection: int) -> None:
        """Messages can flow."""

    def on_received(self, connection: int, payload: Payload) -> None:
        """A message has come, not yet decoded. It is valid during the call only; copy what you keep."""

    def on_sent(self, connection: int, payload: bytes, when: float) -> None:
        """
        A message was accepted for sending.

        *when* is before that, on the monotonic clock, and so before anything that the service answers.
        """

    def on_dropped(self, connection: int, sound: tuple[DroppedSound, ...]) -> None:
        """Of what was accepted for sending, this was dropped: the line is too slow."""

    def on_closed(self, connection: int, outcome: RealtimeError) -> None:
        """The connection has ended; nothing follows."""

    def on_reconnecting(self, event: Reconnecting) -> None:
        """There is no connection, and another attempt will be made."""

    def on_reconnected(self, connection: int, event: Reconnected) -> None:
        """The session goes on over another connection."""

    def on_tool(self, event: ToolStarted | ToolEnded) -> None:
        """A tool begins to run, or has come to its end."""

    def on_heard(self, item_id: str, ms: float, end: str | None) -> None:
        """
        A voice session's speaker has played so many milliseconds of an item.

        *end* is ``"played"`` at the end of the item, ``"interrupted"`` where it was cut, else ``None``.
        """

    def on_levels(self, microphone_db: float, speaker_db: float) -> None:
        """Levels of a voice session, in dBFS, ten times a second."""

    def on_failed(self, listener: str, event: str, exc: BaseException) -> None:
        """A listener raised; both are named."""


class Taps:
    """The taps of one client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # leaf
        self.active: tuple[object, ...] = ()  # guarded by _lock for replacement, read bare

    def add(self, tap: object) -> None:
        """Add an observer, which has some of the methods of :class:`Tap`, from the next message on."""
        with self._lock:
            self.active = (*self.active, tap)

    def remove(self, tap: object) -> None:
        """Remove an observer. Removing one that is not there does nothing."""
        with self._lock:
            self.active = tuple(other for other in self.active if other is not tap)

    def opened(self, connection: int) -> None:
        """Report that messages can flow."""
        for tap in self.active:
            self._call(tap, "on_opened", connection)

    def received(self, connection: int, payload: Payload) -> None:
        """Report a message that has come."""
        for tap in self.active:
            self._call(tap, "on_received", connection, payload)

    def sent(self, connection: int, payload: bytes, when: float) -> None:
        """Report a message that was accepted for sending, after *when*."""
        for tap in self.active:
            self._call(tap, "on_sent", connection, payload, when)

    def dropped(self, connection: int, sound: tuple[DroppedSound, ...]) -> None:
        """Report sound that was accepted for sending and is not sent."""
        for tap in self.active:
            self._call(tap, "on_dropped", connection, sound)

    def closed(self, connection: int, outcome: RealtimeError) -> None:
        """Report the end of a connection."""
        for tap in self.active:
            self._call(tap, "on_closed", connection, outcome)

    def told(self, connection: int, event: Told) -> None:
        """Report that a session is without a connection, or goes on over this one; or of a tool."""
        for tap in self.active:
            if isinstance(event, Reconnecting):
                self._call(tap, "on_reconnecting", event)
            elif isinstance(event, ToolStarted | ToolEnded):
                self._call(tap, "on_tool", event)
            else:
                self._call(tap, "on_reconnected", connection, event)

    def heard(self, item_id: str, ms: float, end: str | None) -> None:
        """Report how much of an item a speaker has played."""
        for tap in self.active:
            self._call(tap, "on_heard", item_id, ms, end)

    def levels(self, microphone_db: float, speaker_db: float) -> None:
        """Report the levels of a voice session."""
        for tap in self.active:
            self._call(tap, "on_levels", microphone_db, speaker_db)

    def failed(self, listener: str, event: str, exc: BaseException) -> None:
        """Report what a listener raised."""
        for tap in self.active:
            self._call(tap, "on_failed", listener, event, exc)

    def _call(self, tap: object, name: str, *arguments: Any) -> None:
        try:
            method = getattr(tap, name, None)  # which may be code of the tap as well
            if method is not None:
                method(*arguments)
        except BaseException as exc:  # noqa: BLE001 - logged, or raised again
            self._remove_failed(tap, exc)

    def _remove_failed(self, tap: object, exc: BaseException) -> None:
        if ends_the_program(exc):
            raise exc
        self.remove(tap)
        log.error("! the tap %s failed and was removed", type(tap).__name__, exc_info=exc)
