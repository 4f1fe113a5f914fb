"""
Gives a new session the conversation: the items are created, and their acknowledgements matched.

What leaves "restoring": every item acknowledged or refused; the end of the connection; ``RESTORE_TIMEOUT``
without a word about an item, when the attempt is given up.

**Threads.** The I/O thread.
"""

from __future__ import annotations

import collections
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs

from ..protocol.commands import Command, ConversationItemCreate
from ..protocol.events import ConversationItemAdded, ConversationItemDone, Error, Event
from ..protocol.items import ConversationItem, FunctionCallItem
from ..protocol.restoration import call_as_text
from ..protocol.service_errors import service_error
from .attempt import Attempt

__all__ = ["RESTORE_TIMEOUT", "Restorer"]

log: logging.Logger = logging.getLogger(__name__)

RESTORE_TIMEOUT: Final = 10.0
"""Seconds without a word about any item, after which an attempt is given up."""


class Restorer:
    """
    Creates items on one connection, in order.

    Args:
        encode: Checks and encodes a command.
        new_event_id: Makes ids for the commands.
        on_done: Called when all items that were given have been answered.
        clock: Seconds that never run backwards.

    Attributes:
        created: What was asked for so far, under the ids that the program knows.
        ids: The service's ids of items, where they are others.
        shortened: Items that the service took in another form, with what is missing.
        lost: Items that the service refused, with its reason.
    """

    def __init__(
        self,
        attempt: Attempt,
        encode: Callable[[Command], bytes],
        new_event_id: Callable[[], str],
        on_done: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        self._attempt = attempt
        self._encode = encode
        self._new_event_id = new_event_id
        self._on_done = on_done
        self._clock = clock
        self._waiting: collections.OrderedDict[str, ConversationItem] = collections.OrderedDict()
        self.created: list[ConversationItem] = []
        self.ids: dict[str, str] = {}
        self.shortened: dict[str, str] = {}
        self.lost: dict[str, str] = {}
        self.undone: set[str] = set()  # the service's ids of items whose conversation.item.done is to come
        self.heard_at = clock()

    @property
    def is_done(self) -> bool:
        """Whether all has been answered."""
        return not self._waiting

    @property
    def is_overdue(self) -> bool:
        """Whether the service has been silent for too long."""
        return bool(self._waiting) and self._clock() - self.heard_at >= RESTORE_TIMEOUT

    def create(self, items: Iterable[ConversationItem]) -> None:
        """Create items after those that were created before; calls ``on_done`` at once if there are none."""
        self.heard_at = self._clock()
        for item in items:
            self.created.append(item)
            self._send(item)
        if self.is_done:
            self._on_done()

    def _send(self, item: ConversationItem) -> None:
        event_id = self._new_event_id()
        try:
            payload = self._encode(ConversationItemCreate(event_id=event_id, item=item))
        except ValueError as exc:  # the program sent it raw, or the service took what it refuses now
            self.lost[item.id or ""] = str(exc)
            return
        self._waiting[event_id] = item
        self._attempt.send(payload, 0.0)

    def on_event(self, event: Event) -> None:
        """Take an event of the connection."""
        if isinstance(event, ConversationItemAdded):
            self._added(event.item)
        elif isinstance(event, ConversationItemDone):
            self.undone.discard(event.item.id or "")
            if any(item.id == event.item.id for item in self._waiting.values()):
                self._added(event.item)
                self.undone.discard(event.item.id or "")
        elif isinstance(event, Error):
            self._refused(event)

    def _added(self, item: ConversationItem) -> None:
        """Match an item that the service has: by its id, or else by the order."""
        self.heard_at = self._clock()
        found = next((key for key, asked in self._waiting.items() if asked.id == item.id), None)
        if found is None and self._waiting and item.id and not self._is_known(item.id):
            found = next(iter(self._waiting))
            asked = self._waiting[found]
            if type(asked) is not type(item):
                return
            self.ids[asked.id or ""] = item.id
        if found is None:
            return
        del self._waiting[found]
        self.undone.add(item.id or "")
        if self.is_done:
            self._on_done()

    def _is_known(self, item_id: str) -> bool:
        return any(item.id == item_id for item in self.created)

    def _refused(self, event: Error) -> None:
        error = service_error(event)
        item = self._waiting.pop(error.event_id, None) if error.event_id is not None else None
        if item is None:
            if error.event_id is not None or not self._waiting or not (error.param or "").startswith("item"):
                return
            _, item = self._waiting.popitem(last=False)  # one that names no command: they are answered in order
        self.heard_at = self._clock()
        item_id = item.id or ""
        if isinstance(item, FunctionCallItem) and item_id not in self.shortened:
            log.warning("! the service does not take back a function call, so it is restored as text: %s", error)
            self.shortened[item_id] = "a function call, restored as text"
            self._send(call_as_text(item))
        else:
            log.warning("! an item could not be restored: %s", error)
            self.shortened.pop(item_id, None)
            self.lost[item_id] = f"refused by the service: {error.message}"
        if self.is_done:
            self._on_done()


def continues(created: Sequence[ConversationItem], wanted: Sequence[ConversationItem]) -> bool:
    """Whether what was created is the beginning of what is wanted now."""
    return list(wanted[: len(created)]) == list(created)


