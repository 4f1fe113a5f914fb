"""Editing: what a program adds to the conversation and takes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import attrs

from ._session.engine import Engine
from .protocol.codec import build_item
from .protocol.commands import (
    Command,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
)
from .protocol.events import (
    ConversationItemAdded,
    ConversationItemDeleted,
    ConversationItemRetrieved,
    ConversationItemTruncated,
)
from .protocol.items import ConversationItem

__all__ = ["Editing"]


class Editing:
    """The part of a client that changes the items of the conversation."""

    _engine: Engine

    def create_conversation_item(
        self, item: ConversationItem | Mapping[str, Any], previous_item_id: str | None = None
    ) -> Future[ConversationItemAdded]:
        """
        Add an item to the conversation. Does not wait.

        Args:
            item: A message, a function call or its output; an object or a mapping. It is given an
                ``id`` if it has none, by which the acknowledgement is recognised.
            previous_item_id: Put it after this one; ``None`` at the end.

        Returns:
            A future of the acknowledging event.

        Raises:
            ValueError: If a field cannot be right; names its path.
        """
        made = build_item(item, "item")
        if made.id is None:
            made = attrs.evolve(made, id=self._engine.sender.new_item_id())
        command = ConversationItemCreate(
            event_id=self._engine.sender.new_event_id(), item=made, previous_item_id=previous_item_id
        )
        return self._acknowledged(
            command,
            lambda event: isinstance(event, ConversationItemAdded) and event.item.id == made.id,
            codes=("invalid_tool_call_id",),
            params=("item", "previous_item_id"),
        )

    def delete_item(self, item_id: str) -> Future[ConversationItemDeleted]:
        """Remove an item. Does not wait; returns a future of the acknowledging event."""
        return self._acknowledged(
            ConversationItemDelete(event_id=self._engine.sender.new_event_id(), item_id=item_id),
            lambda event: isinstance(event, ConversationItemDeleted) and event.item_id == item_id,
            codes=("item_delete_invalid_item_id",),
        )

    def truncate_item(
        self, item_id: str, content_index: int, audio_end_ms: int
    ) -> Future[ConversationItemTruncated]:
        """
        Cut a spoken message of the assistant at what the user heard. Does not wait.

        Args:
            content_index: Which part; 0.
            audio_end_ms: Milliseconds from the start of the item's audio; not beyond its end.

        Returns:
            A future of the acknowledging event.
        """
        return self._acknowledged(
            ConversationItemTruncate(
                event_id=self._engine.sender.new_event_id(),
                item_id=item_id,
                content_index=content_index,
                audio_end_ms=audio_end_ms,
            ),
            lambda event: isinstance(event, ConversationItemTruncated) and event.item_id == item_id,
            codes=("item_truncate_invalid_item_id", "unsupported_content_type"),
            params=("audio_end_ms", "content_index"),
        )

    def retrieve_item(self, item_id: str) -> Future[ConversationItemRetrieved]:
        """Ask for an item as the service has it, audio included. Does not wait; returns a future."""
        return self._acknowledged(
            ConversationItemRetrieve(event_id=self._engine.sender.new_event_id(), item_id=item_id),
            lambda event: isinstance(event, ConversationItemRetrieved) and event.item.id == item_id,
            codes=("item_retrieve_invalid_item_id",),
        )

    def _acknowledged(
        self,
        command: Command,
        is_it: Callable[[Any], bool],
        *,
        codes: tuple[str, ...] = (),
        params: tuple[str, ...] = (),
    ) -> Future[Any]:
        return self._engine.sender.acknowledged(
            command,
            self,
            lambda _, event: is_it(event),
            wait=self._engine.ready.wait_to_send,
            codes=frozenset(codes),
            params=params,
        )
