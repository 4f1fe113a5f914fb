"""
Asking: an item and the request for its answer, as one unit.

Both are sent when their turn has come, in one step: nothing that another thread sends comes between them. So
each thread that asks gets the answer to its own question. With ``conversation="none"`` they are sent at once,
and together too.

A response that the user has talked over before it began is asked for again, and so is its question: the item
is deleted and created under another id, so that it is the newest. So it is if anything else was sent or said
after it when the request has to be sent again, on another connection above all: results of tools, items of
the program, what the user says; and if the session was not given it.

What leaves "asked": the answer; a refusal of the item or of the request; and what ends a request (see
``response_queue.py``). The item's acknowledgement is not waited for: the answer proves it as well.

**Threads.** Any thread asks; the question is sent by that thread or the I/O thread.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import attrs

from .._concurrency.deadline import Deadline
from ..errors import ServiceError
from ..protocol.commands import ConversationItemCreate, ConversationItemDelete
from ..protocol.conversation import Conversation
from ..protocol.events import ConversationItemDeleted
from ..protocol.items import MessageItem
from ..protocol.responses import ResponseConfig
from .pending_response import PendingResponse
from .response_queue import ResponseQueue
from .response_request import ResponseRequest
from .sender import CommandSender
from .waiter import Awaited, Waiter, about, item_added

__all__ = ["Questions"]


class _Question(Future[Any]):
    """The outcome of the item that a request asks about. A refusal fails the request."""

    def __init__(self, refuse: Callable[[ServiceError], None]) -> None:
        super().__init__()
        self._refuse = refuse

    def __repr__(self) -> str:
        return "<_Question>"  # that of Future takes its lock, and fails for one that is half made

    def set_exception(self, exception: BaseException | None) -> None:
        """Take a refusal. Called by the I/O thread."""
        super().set_exception(exception)
        if isinstance(exception, ServiceError):
            self._refuse(exception)


class Questions:
    """Asks on behalf of the client."""

    def __init__(
        self,
        sender: CommandSender,
        response_queue: ResponseQueue,
        conversation: Conversation,
    ) -> None:
        self._sender = sender
        self._conversation = conversation
        self._response_queue = response_queue

    def ask(
        self,
        item: MessageItem,
        config: ResponseConfig | None,
        owner: object,
        deadline: Deadline | None = None,
    ) -> PendingResponse:
        """
        Ask about an item. Waits only for the session, and for room.

        Args:
            deadline: Of whoever asks; without one, those waits have the time-outs of the options.
        """
        sender = self._sender
        command, payload = self._write(item)
        is_sent = False

        def ask_first(request: ResponseRequest) -> tuple[Awaited, ...]:
            nonlocal command, payload, is_sent
            outdated: tuple[Awaited, ...] = ()
            if is_sent:  # something was said after it: the question is to be the newest again
                outdated = (self._deletion(command.item.id),)
                command, payload = self._write(item)
            is_sent = True
            item_id = command.item.id or ""

            def refuse(error: ServiceError) -> None:
                self._response_queue.canceller.cancel_request(request)
                request.finish(error)

            question = request.question = _Question(refuse)
            waiter = Waiter(
                item_added(item_id),
                question,
                event_id=command.event_id,
                codes=frozenset(("invalid_tool_call_id",)),
                params=("item", "previous_item_id"),
            )
            request.is_newest = lambda: self._is_newest(item_id, waiter)
            self._conversation._note_sent(command.item)
            return (*outdated, (waiter, payload))

        return self._response_queue.request(
            config,
            may_wait=True,
            owner=owner,
            wait=lambda: sender.wait_to_send(deadline),
            ask_first=ask_first,
            deadline=deadline,
        )

    def _is_newest(self, item_id: str, waiter: Waiter) -> bool:
        """Whether nothing stands, or is about to stand, behind an item that was asked about."""
        return self._conversation._is_newest(item_id) and not self._sender.creates_after(waiter)

    def _write(self, item: MessageItem) -> tuple[ConversationItemCreate, bytes]:
        """Return the command that creates the item under a new id, and its encoding."""
        sender = self._sender
        item = attrs.evolve(item, id=sender.new_item_id())
        command = ConversationItemCreate(event_id=sender.new_event_id(), item=item)
        return command, sender.encode(command)

    def _deletion(self, item_id: str | None) -> Awaited:
        """Return what deletes an item that was asked about in vain; a refusal is reported to no one."""
        sender = self._sender
        command = ConversationItemDelete(event_id=sender.new_event_id(), item_id=item_id or "")
        waiter = Waiter(
            about(ConversationItemDeleted, item_id),
            Future(),
            event_id=command.event_id,
            is_quiet=True,
        )
        return waiter, sender.encode(command)
