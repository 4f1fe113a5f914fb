"""
Items that stand in the conversation under another id than the program knows, or as text.

A service may insist on ids of its own, and what was cut of a restored answer is created anew. The program
goes on with the ids that it knows.

**Threads and locks.** The I/O thread changes it; any thread translates. Its dicts are replaced, not changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar

import attrs
import orjson

from ..protocol.commands import Command, ConversationItemCreate, ResponseCreate
from ..protocol.events import (
    ConversationItemAdded,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemRetrieved,
    Event,
)
from ..protocol.items import ConversationItem, FunctionCallOutputItem, ItemReference, MessageItem
from ..protocol.responses import ResponseConfig
from ..protocol.restored_texts import output_as_text

__all__ = ["ItemIds"]

_T = TypeVar("_T", Command, Event)

_NAMES = ("item_id", "previous_item_id")
_INPUTS = ("input", "append_input_items", "input_items")

_FORMER: Final = 2000
"""Ids of earlier connections that are understood, of the newest items: commands of then may name them."""


class ItemIds:
    """
    The ids of items on the present connection.

    Attributes:
        restored: Assistant's messages that are restored as text, by the ids that the program knows.
        service: The service's ids by the program's, where they differ.
        calls: Names by call id of function calls that are restored as text, and whose output is to come.
        is_active: Events have to pass :meth:`to_program`.
    """

    def __init__(self) -> None:
        self.is_active = False
        self.restored: Mapping[str, ConversationItem] = {}
        self._unannounced: frozenset[str] = frozenset()
        self._gone: Mapping[str, Event] = {}
        self._retrieved: Mapping[str, Callable[[ConversationItem], object]] = {}
        self.service: Mapping[str, str] = {}
        self.calls: Mapping[str, str] = {}
        self._program: Mapping[str, str] = {}
        self._former: Mapping[str, str] = {}  # the program's ids by those of earlier connections

    def inherit(self, previous: ItemIds) -> None:
        """Understand what was encoded for the connection before."""
        former = {**previous._former, **previous._program}
        self._former = dict(list(former.items())[-_FORMER:])

    def known(self, item_id: str) -> str:
        """Return the program's id of an item, given that of an earlier connection."""
        return self._former.get(item_id, item_id)

    def begin(
        self,
        service: Mapping[str, str],
        restored: Mapping[str, ConversationItem],
        unannounced: Collection[str],
        calls: Mapping[str, str],
    ) -> None:
        """
        Another connection, with the items that were restored on it.

        Args:
            unannounced: The service's ids of items whose further announcements are not told.
        """
        self.service, self.restored, self.calls = dict(service), dict(restored), dict(calls)
        self._program = {theirs: ours for ours, theirs in service.items()}
        self._unannounced = frozenset(unannounced)
        self.is_active = bool(self.service or self._unannounced)

    def hide(self, item: ConversationItem) -> None:
        """An item is created that the program knows already."""
        item_id = item.id or ""
        self._unannounced |= {item_id}
        if isinstance(item, MessageItem) and item.role == "assistant":
            self.restored = {**self.restored, item_id: item}
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

    def retrieve(self, item_id: str, take: Callable[[ConversationItem], object]) -> None:
        """Give an item that the client asks for by itself to *take*, and tell nobody."""
        self._retrieved = {**self._retrieved, self.service.get(item_id, item_id): take}
        self.is_active = True

    def to_service(self, command: Command) -> Command:
        """Return a command with the service's ids; the output of a call that is a text is a text, too."""
        if self.calls and isinstance(command, ConversationItemCreate):
            item = command.item
            if isinstance(item, FunctionCallOutputItem) and (name := self.calls.get(item.call_id or "")):
                command = attrs.evolve(command, item=output_as_text(name, item))
        return _translated(command, self.service) if self.service else command

    def encoded_to_service(self, payload: bytes) -> bytes:
        """Return the same of a command that was encoded for an earlier connection."""
        if not (self._former or self.service or self.calls):
            return payload
        message = orjson.loads(payload)
        for name in _NAMES:
            if isinstance(given := message.get(name), str):
                message[name] = self._again(given)
        response = message.get("response") or {}
        for part in itertools.chain.from_iterable(response.get(name) or () for name in _INPUTS):
            if part.get("type") == "item_reference" and isinstance(given := part.get("id"), str):
                part["id"] = self._again(given)
        item = message.get("item")
        if isinstance(item, dict) and item.get("call_id") in self.calls and "output" in item:
            output = FunctionCallOutputItem(id=item.get("id"), call_id=item["call_id"], output=item["output"])
            text = output_as_text(self.calls[item["call_id"]], output)
            content = [{"type": "input_text", "text": text.text}]
            message["item"] = {"id": text.id, "type": "message", "role": text.role, "content": content}
        return orjson.dumps(message)

    def _again(self, given: str) -> str:
        known = self.known(given)
        return self.service.get(known, known)

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
        elif isinstance(event, ConversationItemRetrieved) and (event.item.id or "") in self._retrieved:
            retrieved = dict(self._retrieved)
            take = retrieved.pop(event.item.id or "")
            self._retrieved = retrieved
            self._settle()
            take(event.item)
            return None
        return _translated(event, self._program) if self._program else event

    def _settle(self) -> None:
        self.is_active = bool(self.service or self._unannounced or self._gone or self._retrieved)


def _translated(message: _T, names: Mapping[str, str]) -> _T:
    changes: dict[str, Any] = {}
    for name in _NAMES:
        known = names.get(getattr(message, name, None) or "")
        if known is not None:
            changes[name] = known
    if isinstance(message, ResponseCreate) and message.response is not None:
        changes["response"] = _referring(message.response, names)
    item = getattr(message, "item", None)
    if item is not None and (known := names.get(item.id or "")) is not None:
        changes["item"] = attrs.evolve(item, id=known)
    return attrs.evolve(message, **changes) if changes else message


def _referring(response: ResponseConfig, names: Mapping[str, str]) -> ResponseConfig:
    changes: dict[str, Any] = {}
    for name in _INPUTS:
        items = getattr(response, name) or []
        if any(isinstance(item, ItemReference) and item.id in names for item in items):
            changes[name] = [_renamed(item, names) for item in items]
    return attrs.evolve(response, **changes) if changes else response


def _renamed(item: ConversationItem, names: Mapping[str, str]) -> ConversationItem:
    known = names.get(item.id) if isinstance(item, ItemReference) else None
    return item if known is None else attrs.evolve(item, id=known)
