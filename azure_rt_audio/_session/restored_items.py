"""
Truncates answers that were restored: as texts, which the service cannot truncate.

Such an item is deleted, and its heard part created in its place under an id of its own; the program goes on
with the id that it knows, and is told of a truncation.

**Threads.** Any thread.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from ..protocol.commands import ConversationItemCreate, ConversationItemDelete, ConversationItemTruncate
from ..protocol.conversation import Conversation
from ..protocol.events import ConversationItemTruncated
from ..protocol.items import ContentPart, MessageItem
from ..protocol.restored_texts import heard_text
from .attempts import Attempts
from .journal import Journal
from .sender import CommandSender
from .waiter import Waiter, about

__all__ = ["RestoredItems"]


class RestoredItems:
    """The items of the present connection that were restored in another form than they had."""

    def __init__(
        self, attempts: Attempts, sender: CommandSender, journal: Journal, conversation: Conversation
    ) -> None:
        self._attempts = attempts
        self._sender = sender
        self._journal = journal
        self._conversation = conversation

    def has(self, item_id: str) -> bool:
        """Whether an item has to be truncated by :meth:`truncate`."""
        return item_id in self._attempts.ids.restored and not self._journal.is_holding

    def truncate(self, item_id: str, heard_ms: int, future: Future[Any] | None = None) -> None:
        """
        Cut an item to the part that was heard. Does not wait; a truncation is told when it has been done.

        Args:
            future: Resolved with that event.

        Raises:
            ConnectionClosedError: If the session is over.
            TimeoutError: If the send backlog stayed full.
        """
        ids, sender, entry = self._attempts.ids, self._sender, self._conversation.get(item_id)
        service_id, text = ids.service.get(item_id, item_id), ""
        if entry is not None:
            text = heard_text(entry.text, heard_ms, entry.audio_ms)
        fresh_id = sender.new_item_id()
        event = ConversationItemTruncated(item_id=item_id, content_index=0, audio_end_ms=heard_ms)
        ids.replace(item_id, service_id, fresh_id, event)
        delete = ConversationItemDelete(event_id=sender.new_event_id(), item_id=service_id)
        waiter = Waiter(
            about(ConversationItemTruncated, item_id),
            Future() if future is None else future,
            event_id=delete.event_id,
            is_quiet=future is None,
        )
        payload = sender.encode_as_is(delete)
        if text:
            previous_id = self._conversation._previous(item_id)
            item = MessageItem(id=fresh_id, role="assistant", content=[ContentPart(type="text", text=text)])
            create = ConversationItemCreate(
                event_id=sender.new_event_id(),
                item=item,
                previous_item_id="root" if previous_id is None else ids.service.get(previous_id, previous_id),
            )
            sender.send_now(sender.encode_as_is(create), None, (waiter, payload))
        else:
            sender.send_awaited(waiter, payload)
        # If its answer is lost with the connection, the next one is given what it leaves.
        waiter.payload = sender.encode_as_is(
            ConversationItemTruncate(item_id=item_id, content_index=0, audio_end_ms=heard_ms)
        )
