"""
Barge-in: cancels the response and truncates what was not played.

The service may have ended the response, or cut or deleted the message, at the same moment: a refusal for that
reason is no error and is not reported.
"""

from __future__ import annotations

import contextlib
import itertools

from ..errors import ConnectionClosedError, ServiceError
from ..protocol.commands import Command, ConversationItemDelete, ConversationItemTruncate
from ..protocol.events import ConversationItemDeleted, ConversationItemTruncated
from .response_queue import ResponseQueue
from .restored_items import RestoredItems
from .sender import CommandSender
from .waiter import Answers, about

__all__ = ["Interruption"]


class Interruption:
    """
    Cancels answers and truncates what was not heard of them.

    **Threads.** Any thread. Waits only while the send backlog is full, on the I/O thread never; raises
    ``TimeoutError`` if it stays full. A connection that is over is no error.
    """

    def __init__(self, sender: CommandSender, response_queue: ResponseQueue, restored: RestoredItems) -> None:
        self._sender = sender
        self._restored = restored
        self._response_queue = response_queue
        self._prefix = f"{sender.new_event_id()}_"
        self._numbers = itertools.count(1)

    def caused(self, error: ServiceError) -> bool:
        """Whether *error* refuses a command sent here, whose waiter has gone."""
        return error.event_id is not None and error.event_id.startswith(self._prefix)

    def stop_response(self) -> str | None:
        """
        Cancel the response in the conversation, if one is in progress or about to be.

        Returns:
            Its id; ``""`` if it has yet to begin; ``None`` if there is none.
        """
        with contextlib.suppress(ConnectionClosedError):
            return self._response_queue.canceller.interrupt()
        return None

    def is_unplayed(self, response_id: str) -> bool:
        """Whether what still comes of a response is not to be played, since it was given up."""
        return self._response_queue.canceller.is_unplayed(response_id)

    def cancel(self, response_id: str | None = None) -> None:
        """Cancel a response; ``None``, or no id as some services give it, for the one in the conversation."""
        with contextlib.suppress(ConnectionClosedError):
            self._response_queue.canceller.send(response_id or None, is_quiet=True)

    def truncate_unheard(self, item_id: str, heard_ms: int) -> None:
        """
        Truncate a spoken message to the part that was heard; delete it if nothing was.

        Args:
            item_id: Without one, as some services send it, there is nothing that could be truncated.
            heard_ms: Milliseconds from the start of the message's sound; no more than was received.
        """
        if not item_id:
            return
        if heard_ms > 0 and self._restored.has(item_id):
            with contextlib.suppress(ConnectionClosedError):
                self._restored.truncate(item_id, heard_ms)
            return
        event_id = self._new_event_id()
        if heard_ms > 0:
            self._ask(
                ConversationItemTruncate(
                    event_id=event_id, item_id=item_id, content_index=0, audio_end_ms=heard_ms
                ),
                about(ConversationItemTruncated, item_id),
                codes=("item_truncate_invalid_item_id", "unsupported_content_type"),
                params=("audio_end_ms", "content_index"),
            )
        else:
            self._ask(
                ConversationItemDelete(event_id=event_id, item_id=item_id),
                about(ConversationItemDeleted, item_id),
                codes=("item_delete_invalid_item_id",),
            )

    def _new_event_id(self) -> str:
        return f"{self._prefix}{next(self._numbers)}"

    def _ask(
        self,
        command: Command,
        answers: Answers,
        codes: tuple[str, ...],
        params: tuple[str, ...] = (),
    ) -> None:
        """Send it with a waiter, by which a refusal is recognised that names no command."""
        with contextlib.suppress(ConnectionClosedError):
            self._sender.acknowledged(
                command,
                None,
                answers,
                wait=lambda: None,
                codes=frozenset(codes),
                params=params,
                is_quiet=True,
            )
