"""
A blocked caller that waits for one event, and what answers its command.

**Threads.** Any thread makes one; the journal, the I/O thread and the registry of all (``waiters.py``) write
its attributes, each its own.
"""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, InvalidStateError
from typing import Any, Final, TypeAlias

from .._log import get_logger
from ..errors import ServiceError
from ..protocol.commands import InputAudioBufferClear, InputAudioBufferCommit, SessionUpdate
from ..protocol.events import (
    ConversationItemAdded,
    ConversationItemDone,
    Event,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    SessionUpdated,
)
from .acknowledgement import Acknowledgement

__all__ = [
    "ANSWERED_IN_ORDER",
    "ANY",
    "ERROR",
    "Answers",
    "Awaited",
    "Waiter",
    "about",
    "item_added",
    "placeholder",
]

log: logging.Logger = get_logger(__name__)

Answers: TypeAlias = "tuple[tuple[type[Event], str | None], ...]"
"""What answers a command: classes of events, each with the item that it is about; ``None`` is any event."""

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

ANY: Final = "*"
"""The name under which those are found to whom each event is shown."""
ERROR: Final = "error"
"""With the event id of a command: the name under which who waits for it is found by an error."""

_QUOTED: Final = re.compile(r"'([^' ]+)'")


def about(kind: type[Event], item_id: str | None) -> Answers:
    """Return what answers a command about an item."""
    return ((kind, item_id or ""),)


def item_added(item_id: str | None, *, is_id_new: bool = True) -> Answers:
    """
    Return what tells that an item is in the conversation.

    That it is complete tells so, too, unless the id may be that of an earlier item: it is refused then.
    """
    added = about(ConversationItemAdded, item_id)
    return (*added, *about(ConversationItemDone, item_id)) if is_id_new else added


class Waiter:
    """
    One caller's interest in one event to come.

    The future is held weakly, unless it has callbacks: one that was thrown away is not waited for. The
    waiter stays in its place all the same, so that the next one is not given its acknowledgement.

    Args:
        awaited: What answers the command; or, for other events, whether one is the one, given its key and
            itself: that runs where it is offered, for each event.
        future: Resolved with the event, or with the error.
        event_id: Of the command it acknowledges; an error that names it fails the future.
        acknowledges: Kind of acknowledgement. One event answers one command only: the oldest that was sent.
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
        "names",
        "on_settled",
        "params",
        "payload",
        "position",
        "sent_at",
        "sound_index",
    )

    def __init__(
        self,
        awaited: Callable[[Any, Any], bool] | Answers,
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
        self.matches = awaited if callable(awaited) else None
        names: list[Hashable] = [ANY] if callable(awaited) else list(awaited)
        if acknowledges is not None:
            names.append(acknowledges)
        if event_id is not None:
            names.append((ERROR, event_id))
        self.names = tuple(names)  # under which it is found
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
        if self.event_id is not None and isinstance(value, ConversationItemDone):  # see item_added
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
        """Whether *error*, which names no command, refuses that of this waiter."""
        if self.is_unsent:
            return False
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
        ((answer, None),),
        future,
        event_id=event_id,
        acknowledges=waits_as,
        codes=frozenset(codes),
        params=params,
        is_quiet=own is not None,
    )
    waiter.is_internal = own is not None
    return waiter
