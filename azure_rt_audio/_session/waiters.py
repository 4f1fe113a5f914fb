"""
Blocked callers that wait for one event: the next of a kind, or an acknowledgement.

They are served before the listeners and never depend on them.

What leaves "waiting": the event; a refusal that names the command, or its kind; another connection in place
of the command's; the end of the session. If none comes, the caller's own time-out ends the wait, and the
waiter stays in its place, so that later answers are not matched to the wrong command. An acknowledgement may
be lost, though: of commands that are answered in order, one is given up that is ``OVERDUE`` when the next is
sent; or ``LOST`` when an event of the kind comes that has another cause: the user's own turn, or an update of
the client's own. Any other event of the kind is its answer, however late.

**Threads and locks.** The I/O thread offers events, and so do threads of tools and of the guard, and those
that set the status; any thread waits. ``Waiters._lock`` guards changes of who waits, and the outcome; it is
not held while a future is resolved or a user's predicate runs. What an event answers is looked up, so
thousands of commands without an answer cost an event nothing.
"""

from __future__ import annotations

import contextlib
import enum
import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final

from .._concurrency.program_end import ends_the_program
from .._log import get_logger
from ..errors import RealtimeError, ServiceError
from ..protocol.event_filter import EventFilter
from ..protocol.events import Event, InputAudioBufferCommitted
from ..protocol.events.local import Init
from .waiter import ANY, ERROR, Waiter

__all__ = ["Handled", "Waiters", "as_listened"]

log: logging.Logger = get_logger(__name__)

OVERDUE: Final = 5.0
"""Seconds after which a command without an answer no longer stands before a new one of its kind."""
LOST: Final = 10.0
"""Seconds after which it is not given an event any more that may have another cause."""


class Handled(enum.Enum):
    """How a refusal by the service was handled."""

    TOLD = enum.auto()
    """Its caller knows."""
    UNHEARD = enum.auto()
    """It refuses a command whose caller does not wait for the outcome."""
    SILENT = enum.auto()
    """It is to be reported to no one."""
    RETRIED = enum.auto()
    """The command will be sent again."""


def as_listened(subject: EventFilter, payload: Any) -> Any:
    """Return what a listener of *subject* receives: by its name, ``init`` is the session itself."""
    return payload.session if isinstance(payload, Init) and subject.key == Init.TYPE else payload


def _item_of(event: object) -> str | None:
    """Return the id of the item that an event is about, if there is one."""
    item = getattr(event, "item", None)
    item_id = getattr(event, "item_id", None) if item is None else getattr(item, "id", None)
    return item_id if isinstance(item_id, str) else None


def _copied(waiters: dict[Waiter, None]) -> tuple[Waiter, ...]:
    while True:
        try:
            return tuple(waiters)
        except RuntimeError:  # another thread has changed it meanwhile
            continue


class Waiters:
    """
    All blocked callers of one client.

    Args:
        clock: Seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.written_at: Callable[[float], float | None] = lambda sent: sent
        self.heard: str | None = None
        """The item of the user's latest turn that the service found by itself. The I/O thread's."""
        self._lock = threading.Lock()  # leaf
        self._all: dict[Waiter, None] = {}  # changed under _lock; in the order in which they were sent
        self.named: dict[Hashable, dict[Waiter, None]] = {}
        """The same by their names. Changed under _lock, read bare."""
        self._ended: RealtimeError | None = None  # guarded by _lock; written once
        self._told_of_end = 0  # guarded by _lock: callers that wait for the end, and are told why it came

    def add(self, waiter: Waiter) -> None:
        """Add a waiter; once the session has ended, it fails at once."""
        with self._lock:
            ended = self._ended
            if ended is None:
                self._add_locked(waiter)
        if ended is not None:
            waiter.fail(ended)

    def _add_locked(self, waiter: Waiter) -> None:
        self._all[waiter] = None
        for name in waiter.names:
            self.named.setdefault(name, {})[waiter] = None

    def discard(self, waiter: Waiter) -> None:
        """Remove a waiter."""
        with self._lock:
            self._discard_locked(waiter)

    def _discard_locked(self, waiter: Waiter) -> bool:
        # Ctrl-C may have struck while it was added: then it is not everywhere.
        for name in waiter.names:
            found = self.named.get(name)
            if found is not None:
                found.pop(waiter, None)
                if not found:
                    del self.named[name]
        was_there = waiter in self._all
        self._all.pop(waiter, None)
        return was_there

    @property
    def waiting(self) -> tuple[Waiter, ...]:
        """All of them; without the lock, as the journal looks under its own."""
        return _copied(self._all)

    def _found(self, name: Hashable) -> tuple[Waiter, ...]:
        """Those with a name, without the lock: an event does not wait for it."""
        return _copied(self.named.get(name, {}))

    def note_sent(self, waiter: Waiter) -> None:
        """The command of a waiter was sent."""
        waiter.sent_at = self._clock()

    def note_sent_again(self, waiter: Waiter) -> None:
        """The same, later than when it was added: it stands behind all that was sent before."""
        with self._lock:
            if self._discard_locked(waiter):
                self._add_locked(waiter)
        waiter.is_unsent = False
        self.note_sent(waiter)

    def hold(self) -> None:
        """Nothing is answered until the commands were sent on another connection."""
        self.forget_own()
        for waiter in self.waiting:
            waiter.sent_at = float("inf")
            waiter.is_unsent = waiter.position is not None

    def forget_own(self) -> None:
        """The connection is over: what the client sent by itself, for that one only, is never answered."""
        with self._lock:
            for waiter in tuple(self._all):
                if waiter.acknowledges is not None and not waiter.is_unsent and waiter.position is None:
                    self._discard_locked(waiter)

    def oldest(self, kind: str, event: Event) -> Waiter | None:
        """Return the command of a kind that an event answers; ``None`` if it answers none."""
        sent = (waiter for waiter in self._found(kind) if not waiter.is_unsent)
        return next((waiter for waiter in sent if not self._is_lost(waiter, event)), None)

    def give_up_overdue(self, kind: str) -> tuple[Waiter, ...]:
        """Give up those of a kind whose answer was lost, before another of the kind is sent; return them."""
        since = self._clock() - OVERDUE
        sent = (waiter for waiter in self._found(kind) if not waiter.is_unsent)
        overdue = tuple(itertools.takewhile(lambda waiter: self._left_at(waiter) <= since, sent))
        for waiter in overdue:
            self._give_up(waiter)
        return overdue

    def _left_at(self, waiter: Waiter) -> float:
        """Return when its command left; infinity if it is unsent: on a slow line sound may be before it."""
        if waiter.is_unsent:  # whoever was about to note that it was sent may be too late: it is held again
            return float("inf")
        left = self.written_at(waiter.sent_at)
        return float("inf") if left is None else left

    def is_overdue(self, waiter: Waiter) -> bool:
        """Whether the answer to a command has not come for so long that it counts as lost."""
        return self._clock() - self._left_at(waiter) >= LOST

    def _is_lost(self, waiter: Waiter, event: Any) -> bool:
        """Whether an event of its kind has another cause, and its own answer is lost."""
        if not self.is_overdue(waiter):
            return False
        if isinstance(event, InputAudioBufferCommitted) and event.item_id == self.heard:
            return True
        of_kind = self._found(waiter.acknowledges)
        later = of_kind[of_kind.index(waiter) + 1 :] if waiter in of_kind else ()
        return any(other.is_internal for other in later)

    def _give_up(self, waiter: Waiter) -> None:
        self.discard(waiter)
        seconds = self._clock() - self._left_at(waiter)
        log.warning("! a command (%s) was given up: no answer for %.3g s", waiter.acknowledges, seconds)
        waiter.fail(
            RealtimeError(
                f"the service did not acknowledge the command within {seconds:.3g} s, and its answer counts "
                "as lost; whether it took effect is not known: send it again if that does no harm",
                event_id=waiter.event_id,
            )
        )

    def offer(self, key: Any, event: Any, *, is_answer: bool = True) -> bool:
        """
        Offer an event to all waiters; return whether one took it.

        Args:
            is_answer: Whether it may be the answer to a command.
        """
        if not self.named:
            return False
        is_taken = False
        for waiter in self._found(ANY):
            try:
                is_it = waiter.matches is not None and waiter.matches(key, event)
            except BaseException as exc:
                if ends_the_program(exc):
                    raise
                self.discard(waiter)
                waiter.fail(exc)
                continue
            if is_it:
                self.discard(waiter)
                waiter.resolve(event)
                is_taken = True
        return (is_answer and self._answer(event)) or is_taken

    def _answer(self, event: Any) -> bool:
        """Resolve what waits for an event that answers commands; return whether there is something."""
        kind, item_id = type(event), _item_of(event)
        answered = [] if item_id is None else list(self._found((kind, item_id)))
        for waiter in self._found((kind, None)):  # it answers one of these only
            if waiter.is_unsent:
                continue
            if not self._is_lost(waiter, event):
                answered.append(waiter)
                break
            self._give_up(waiter)
        for waiter in answered:
            self.discard(waiter)
            waiter.resolve(event)
        return bool(answered)

    def fail(self, error: ServiceError) -> Handled | None:
        """
        Fail the caller whose command was refused: of several that fit, the oldest.

        Returns:
            How it was handled, or ``None`` if it refuses none of these commands.
        """
        if error.event_id is not None:
            meant = iter(self._found((ERROR, error.event_id)))
        else:
            meant = (waiter for waiter in self.waiting if waiter.is_meant_by(error))
        waiter = next(meant, None)
        if waiter is None:
            return None
        self.discard(waiter)
        is_told = waiter.fail(error)
        return Handled.SILENT if waiter.is_quiet else Handled.TOLD if is_told else Handled.UNHEARD

    def refuse_swaps(self, error: RealtimeError) -> bool:
        """Fail those who asked for another connection: there is none; return whether a caller is told."""
        asked = [waiter for waiter in self.waiting if waiter.awaits_swap]
        for waiter in asked:
            self.discard(waiter)
        are_told = [waiter.fail(error) for waiter in asked]
        return any(are_told)

    @contextlib.contextmanager
    def told_of_end(self) -> Iterator[None]:
        """Within the block a caller waits for the session's end, and raises why it came."""
        with self._lock:
            self._told_of_end += 1
        try:
            yield
        finally:
            with self._lock:
                self._told_of_end -= 1

    def end(self, outcome: RealtimeError) -> bool:
        """Fail all waiters: the session is over; return whether a caller is told so."""
        with self._lock:
            if self._ended is None:
                self._ended = outcome
            waiting = tuple(self._all)
            self._all.clear()
            self.named.clear()
            is_told = self._told_of_end > 0
        are_held = [waiter.fail(outcome) for waiter in waiting]
        return is_told or any(are_held)
