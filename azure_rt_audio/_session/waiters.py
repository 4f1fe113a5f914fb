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
that set the status; any thread waits. ``Waiters._lock`` guards the replacement of the tuple and the outcome;
it is not held while a future is resolved or a user's predicate runs.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from typing import Any, Final, TypeAlias

from .._concurrency.program_end import ends_the_program
from .._log import get_logger
from ..errors import RealtimeError, ServiceError
from ..protocol.commands import InputAudioBufferClear, InputAudioBufferCommit, SessionUpdate
from ..protocol.event_filter import EventFilter
from ..protocol.events import (
    ConversationItemAdded,
    ConversationItemDone,
    Event,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    SessionUpdated,
)
from ..protocol.events.local import Init
from .acknowledgement import Acknowledgement

__all__ = [
    "ANSWERED_IN_ORDER",
    "Awaited",
    "Handled",
    "Waiter",
    "Waiters",
    "as_listened",
    "is_item_added",
    "placeholder",
]

log: logging.Logger = get_logger(__name__)

ANSWERED_IN_ORDER: Final[Mapping[str, tuple[type[Event], str, tuple[str, ...], tuple[str, ...]]]] = {
    SessionUpdate.TYPE: (SessionUpdated, SessionUpdate.TYPE, ("session",), ()),
    InputAudioBufferCommit.TYPE: (
        InputAudioBufferCommitted,
        "commit",
        (),
        ("input_audio_buffer_commit_empty",),
    ),
    InputAudioBufferClear.TYPE: (InputAudioBufferCleared, "clear", (), ()),
}
"""Commands that are answered in order: the event, the kind of waiter; fields and codes that errors name."""

OVERDUE: Final = 5.0
"""Seconds after which a command without an answer no longer stands before a new one of its kind."""
LOST: Final = 10.0
"""Seconds after which it is not given an event any more that may have another cause."""

_QUOTED: Final = re.compile(r"'([^' ]+)'")


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


def is_item_added(event: object, item_id: str | None, *, is_id_new: bool = True) -> bool:
    """
    Whether an event tells that an item is in the conversation.

    That it is complete tells so, too, unless the id may be that of an earlier item: it is refused then.
    """
    proofs = (ConversationItemAdded, ConversationItemDone) if is_id_new else (ConversationItemAdded,)
    return isinstance(event, proofs) and event.item.id == item_id


class Waiter:
    """
    One caller's interest in one event to come.

    The future is held weakly, unless it has callbacks: one that was thrown away is not waited for. The
    waiter stays in its place all the same, so that the next one is not given its acknowledgement.

    Args:
        matches: Whether an event is the one, given its key and itself. Runs where that is offered.
        future: Resolved with the event, or with the error.
        event_id: Of the command it acknowledges; an error that names it fails the future.
        acknowledges: Kind of acknowledgement. One event answers one command only: the oldest.
        codes: Codes by which an error that names no command can be told to mean this one.
        params: Fields by which such an error can be told, with all that is below them.
        ids: What its command names. An error that is told by its code, and quotes other ids, is not meant.
        is_quiet: Whether a refusal is reported to no one.
        on_settled: Called with the error, or with ``None`` for the event, before the future has it, and also
            if nobody holds that any more. On the thread that settles it, mostly the I/O thread: must not
            wait.
    """

    __slots__ = (
        "_future",
        "_kept",
        "acknowledges",
        "awaits_swap",
        "codes",
        "connection",
        "event_id",
        "ids",
        "is_internal",
        "is_quiet",
        "is_unsent",
        "matches",
        "on_settled",
        "params",
        "payload",
        "position",
        "sent_at",
        "sound_index",
    )

    def __init__(
        self,
        matches: Callable[[Any, Any], bool],
        future: Future[Any],
        *,
        event_id: str | None = None,
        acknowledges: str | None = None,
        codes: frozenset[str] = frozenset(),
        params: tuple[str, ...] = (),
        ids: frozenset[str] = frozenset(),
        is_quiet: bool = False,
        on_settled: Callable[[BaseException | None], object] | None = None,
    ) -> None:
        self.matches = matches
        self._future = weakref.ref(future)
        self._kept: Future[Any] | None = None
        self.event_id = event_id
        self.acknowledges = acknowledges
        self.codes = codes
        self.params = params
        self.ids = ids
        self.is_quiet = is_quiet
        self.on_settled = on_settled
        self.awaits_swap = False  # another connection is to take the place of the present one
        self.is_internal = False  # neither the command nor its answer is the program's
        self.is_unsent = False  # its command was not sent yet, on this connection: nothing answers it
        self.connection = 0  # the number of the one that its command was sent on
        self.sent_at = float("inf")  # by the clock of the waiters
        # Of its command; written by the journal, under its lock.
        self.payload = b""
        self.position: int | None = None
        self.sound_index = 0
        if isinstance(future, Acknowledgement):
            future.on_callback = self._keep

    def _keep(self) -> None:
        self._kept = self._future()

    def resolve(self, value: Any) -> None:
        """Resolve the future."""
        if self.event_id is not None and isinstance(value, ConversationItemDone):  # see is_item_added
            value = ConversationItemAdded(
                event_id=value.event_id,
                raw=value.raw,
                extra=value.extra,
                item=value.item,
                previous_item_id=value.previous_item_id,
            )
        if self.on_settled is not None:
            self.on_settled(None)
        future, self._kept = self._future(), None
        try:
            if future is not None:
                future.set_result(value)
        except InvalidStateError:
            log.debug("= the caller no longer waits")

    def fail(self, error: BaseException) -> bool:
        """Fail the future; return whether somebody still holds it."""
        if self.on_settled is not None:
            self.on_settled(error)
        future, self._kept = self._future(), None
        try:
            if future is not None:
                future.set_exception(error)
        except InvalidStateError:
            log.debug("= the caller no longer waits")
            return False
        return future is not None

    def is_meant_by(self, error: ServiceError) -> bool:
        """Whether *error* refuses the command of this waiter."""
        if error.event_id is not None:
            return self.event_id == error.event_id
        param = error.param or ""
        if error.code in self.codes:
            quoted = _QUOTED.findall(error.message) if self.ids else ()
            return not quoted or not self.ids.isdisjoint(quoted)
        return any(param == name or param.startswith((f"{name}.", f"{name}[")) for name in self.params)


Awaited: TypeAlias = "tuple[Waiter, bytes]"
"""Who waits for the answer to a command, and its bytes."""


def placeholder(kind: str, event_id: str | None, own: Future[Any] | None = None) -> Waiter:
    """
    Return a waiter that nobody holds the future of, for a command that is answered in order.

    Args:
        own: A future of the client's own, for a command that the program knows nothing of.
    """
    answer, waits_as, params, codes = ANSWERED_IN_ORDER[kind]
    future: Future[Any] = Future() if own is None else own
    waiter = Waiter(
        lambda _, event: isinstance(event, answer),
        future,
        event_id=event_id,
        acknowledges=waits_as,
        codes=frozenset(codes),
        params=params,
        is_quiet=own is not None,
    )
    waiter.is_internal = own is not None
    return waiter


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
        self.waiting: tuple[Waiter, ...] = ()  # guarded by _lock for replacement, read bare
        self._ended: RealtimeError | None = None  # guarded by _lock; written once
        self._told_of_end = 0  # guarded by _lock: callers that wait for the end, and are told why it came

    def add(self, waiter: Waiter) -> None:
        """Add a waiter; once the session has ended, it fails at once."""
        with self._lock:
            ended = self._ended
            if ended is None:
                self.waiting = (*self.waiting, waiter)
        if ended is not None:
            waiter.fail(ended)

    def discard(self, waiter: Waiter) -> None:
        """Remove a waiter."""
        with self._lock:
            self.waiting = tuple(w for w in self.waiting if w is not waiter)

    def note_sent(self, waiter: Waiter) -> None:
        """The command of a waiter was sent."""
        waiter.sent_at = self._clock()

    def note_sent_again(self, waiter: Waiter) -> None:
        """The same, later than when it was added: it stands behind all that was sent before."""
        with self._lock:
            others = tuple(w for w in self.waiting if w is not waiter)
            if len(others) < len(self.waiting):
                self.waiting = (*others, waiter)
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
            self.waiting = tuple(
                w for w in self.waiting if w.acknowledges is None or w.is_unsent or w.position is not None
            )

    def oldest(self, kind: str, event: Event) -> Waiter | None:
        """Return the command of a kind that an event answers; ``None`` if it answers none."""
        of_kind = (waiter for waiter in self.waiting if waiter.acknowledges == kind and not waiter.is_unsent)
        return next((waiter for waiter in of_kind if not self._is_lost(waiter, event)), None)

    def give_up_overdue(self, kind: str) -> tuple[Waiter, ...]:
        """Give up those of a kind whose answer was lost, before another of the kind is sent; return them."""
        since = self._clock() - OVERDUE
        overdue = tuple(w for w in self.waiting if w.acknowledges == kind and self._left_at(w) <= since)
        for waiter in overdue:
            self._give_up(waiter)
        return overdue

    def _left_at(self, waiter: Waiter) -> float:
        """Return when its command left; infinity if it is unsent: on a slow line sound may be before it."""
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
        later = self.waiting[self.waiting.index(waiter) + 1 :] if waiter in self.waiting else ()
        return any(other.is_internal and other.acknowledges == waiter.acknowledges for other in later)

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
        waiting = self.waiting
        if not waiting:
            return False
        is_taken = False
        answered: set[str] = set()
        for waiter in waiting:
            if not is_answer and waiter.event_id is not None:
                continue
            if waiter.acknowledges is not None and (waiter.is_unsent or waiter.acknowledges in answered):
                continue
            try:
                is_it = waiter.matches(key, event)
            except BaseException as exc:
                if ends_the_program(exc):
                    raise
                self.discard(waiter)
                waiter.fail(exc)
                continue
            if is_it:
                if waiter.acknowledges is not None:
                    if self._is_lost(waiter, event):
                        self._give_up(waiter)
                        continue
                    answered.add(waiter.acknowledges)
                self.discard(waiter)
                waiter.resolve(event)
                is_taken = True
        return is_taken

    def fail(self, error: ServiceError) -> Handled | None:
        """
        Fail the caller whose command was refused: of several that fit, the oldest.

        Returns:
            How it was handled, or ``None`` if it refuses none of these commands.
        """
        for waiter in self.waiting:
            if waiter.is_meant_by(error) and not (waiter.is_unsent and error.event_id is None):
                self.discard(waiter)
                is_told = waiter.fail(error)
                return Handled.SILENT if waiter.is_quiet else Handled.TOLD if is_told else Handled.UNHEARD
        return None

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
            waiting, self.waiting = self.waiting, ()
            is_told = self._told_of_end > 0
        are_held = [waiter.fail(outcome) for waiter in waiting]
        return is_told or any(are_held)
