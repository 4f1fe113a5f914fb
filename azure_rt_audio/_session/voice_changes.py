"""
Changes of the session that only another session can have: another voice after the model has spoken.

Each waits for a connection that was configured with it. What leaves "waiting": the events of that connection
are applied; the service refuses it there, and nothing of it is asked for any more; the end of the session.

**Threads and locks.** Any thread adds; the I/O thread does all else. ``VoiceChanges._lock`` is a leaf; it
guards the replacement of the tuple.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import attrs

from ..errors import RealtimeError
from ..protocol.base import UNSET
from ..protocol.events import SessionUpdated
from ..protocol.session import SessionConfig
from .attempt import next_place
from .waiter import Waiter
from .waiters import Waiters

__all__ = ["VoiceChange", "VoiceChanges"]


@attrs.frozen(eq=False)
class VoiceChange:
    """One of them; *place* is that among all updates of the session."""

    config: SessionConfig
    waiter: Waiter
    place: int = attrs.field(factory=next_place)


class VoiceChanges:
    """
    Those that wait, in the order of their calls.

    Attributes:
        waiting: Replaced under the lock, read bare.
    """

    def __init__(self, waiters: Waiters) -> None:
        self._waiters = waiters
        self._lock = threading.Lock()  # leaf
        self.waiting: tuple[VoiceChange, ...] = ()

    def add(
        self,
        config: SessionConfig,
        future: Future[Any],
        on_settled: Callable[[BaseException | None], object] | None,
    ) -> None:
        """Ask for a change. Any thread."""
        waiter = Waiter((), future, on_settled=on_settled)
        self._waiters.add(waiter)  # for the end of the session
        with self._lock:
            self.waiting = (*self.waiting, VoiceChange(config, waiter))

    def names_voice(self) -> bool:
        """Whether one asks for a voice. Any thread."""
        return any(change.config.voice is not UNSET for change in self.waiting)

    def remove(self, changes: tuple[VoiceChange, ...]) -> None:
        """They wait no longer."""
        waiters = [change.waiter for change in changes]
        with self._lock:
            self.waiting = tuple(change for change in self.waiting if change.waiter not in waiters)

    def resolve(self, changes: tuple[VoiceChange, ...], event: SessionUpdated) -> None:
        """They are in force."""
        for change in changes:
            self._waiters.discard(change.waiter)
            change.waiter.resolve(event)

    def fail(self, changes: tuple[VoiceChange, ...], error: RealtimeError) -> bool:
        """They are refused; return whether a caller is told so."""
        self.remove(changes)
        for change in changes:
            self._waiters.discard(change.waiter)
        are_told = [change.waiter.fail(error) for change in changes]
        return any(are_told)

    def override(self, config: SessionConfig, place: int) -> None:
        """Another update is in force: earlier changes do not ask any more for what it has set."""
        names = [name for name in attrs.fields_dict(SessionConfig) if name != "extra"]
        given: dict[str, Any] = {name: UNSET for name in names if getattr(config, name) is not UNSET}
        with self._lock:
            self.waiting = tuple(
                change
                if change.place > place or not _names_any(change.config, given)
                else attrs.evolve(change, config=attrs.evolve(change.config, **given))
                for change in self.waiting
            )


def _names_any(config: SessionConfig, names: Any) -> bool:
    return any(getattr(config, name) is not UNSET for name in names)
