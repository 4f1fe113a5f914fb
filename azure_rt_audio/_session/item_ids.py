"""
Items that stand in the conversation under another id than the program knows, or as text.

A service may insist on ids of its own, and what was cut of a restored answer is created anew. The program
goes on with the ids that it knows.

**Threads and locks.** The I/O thread changes it; any thread translates. Its dicts are replaced, not changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import attrs

from ..protocol.commands import Command
from ..protocol.events import ConversationItemAdded, ConversationItemDeleted, ConversationItemDone, Event
from ..protocol.items import ConversationItem

__all__ = ["ItemIds"]

_T = TypeVar("_T", Command, Event)

_NAMES = ("item_id", "previous_item_id")


class ItemIds:
    """
    The ids of items on the present connection.

    Attributes:
        restored: Assistant's messages that are restored as text, by the ids that the program knows.
        service: The service's ids by the program's, where they differ.
        is_active: Events have to pass :meth:`to_program`.
    """

    def __init__(self) -> None:
        self.is_active = False
        self.restored: Mapping[str, ConversationItem] = {}
        self._unannounced: frozenset[str] = frozenset()
        self._gone: Mapping[str, Event] = {}
        self.service: Mapping[str, str] = {}
        self._program: Mapping[str, str] = {}

    def begin(
        self,
        service: Mapping[str, str],
        restored: Mapping[str, ConversationItem],
        unannounced: Collection[str],
    ) -> None:
        """
        Another connection, with the items that were restored on it.

        Args:
            unannounced: The service's ids of items whose further announcements are not told.
        """
        self.service, self.restored = dict(service), dict(restored)
        self._program = {theirs: ours for ours, theirs in service.items()}
        self._unannounced = frozenset(unannounced)
        self.is_active = bool(self.service or self._unannounced)

    def hide(self, item_id: str) -> None:
        """An item is created that the program knows already."""
        self._unannounced |= {item_id}
        self.is_active = True

    def replace(self, item_id: str, service_id: str, fresh_id: str, event: Event) -> None:
        """
        An item is deleted and created anew under another id, of which neither is told.

        Args:
            event: What is told when it has been deleted.
        """
        self.service = {**self.service, item_id: fresh_id}
        self._program = {**self._program, fresh_id: item_id}
        self._unannounced |= {fresh_id}
        self._gone = {**self._gone, service_id: event}
        self.is_active = True

    def to_service(self, command: Command) -> Command:
        """Return a command with the service's ids."""
        return _translated(command, self.service) if self.service else command

    def to_program(self, event: Event) -> Event | None:
        """Return an event with the ids that the program knows; ``None`` if it is not to be told."""
        if isinstance(event, ConversationItemAdded | ConversationItemDone):
            if event.item.id in self._unannounced:
                if isinstance(event, ConversationItemDone):
                    self._unannounced -= {event.item.id}
                    self._settle()
                return None
        elif isinstance(event, ConversationItemDeleted) and event.item_id in self._gone:
            told = self._gone[event.item_id]
            self._gone = {key: other for key, other in self._gone.items() if key != event.item_id}
            self._settle()
            return told
        return _translated(event, self._program) if self._program else event

    def _settle(self) -> None:
        self.is_active = bool(self.service or self._unannounced or self._gone)


def _translated(message: _T, names: Mapping[str, str]) -> _T:
    changes: dict[str, Any] = {}
    for name in _NAMES:
        known = names.get(getattr(message, name, None) or "")
        if known is not None:
            changes[name] = known
    item = getattr(message, "item", None)
    if item is not None and (known := names.get(item.id or "")) is not None:
        changes["item"] = attrs.evolve(item, id=known)
    return attrs.evolve(message, **changes) if changes else message
