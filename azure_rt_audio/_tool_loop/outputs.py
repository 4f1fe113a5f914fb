"""Sending the outputs of calls, and hearing whether the service has them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Future

import orjson

from .._log import get_logger
from .._session.response_queue import ResponseQueue
from .._session.sender import CommandSender
from .._session.waiter import Awaited, Waiter, item_added
from ..protocol.commands import ConversationItemCreate
from ..protocol.items import (
    ContentPart,
    ConversationItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    McpApprovalResponseItem,
    MessageItem,
)
from ..tools.output import ToolOutput

__all__ = ["OutputSender", "Sent"]

log: logging.Logger = get_logger(__name__)

Settled = Callable[[BaseException | None], object]


class Sent(Future[object]):
    """
    The outcome of an item that was sent. Kept alive by who waits for it.

    Args:
        settle: Called on the I/O thread with ``None``, once the item is in the conversation, or with why not.
    """

    def __init__(self, settle: Settled) -> None:
        super().__init__()
        self._settle = settle

    def set_result(self, result: object) -> None:
        """Take the acknowledgement."""
        super().set_result(result)
        self._settle(None)

    def set_exception(self, exception: BaseException | None) -> None:
        """Take a refusal."""
        super().set_exception(exception)
        self._settle(exception)


class OutputSender:
    """
    Sends outputs.

    Args:
        queue: Keeps outputs from coming between a question and its request.
        note_sent: Called with each item before it is sent.

    **Threads.** Any thread. Waits while the send backlog is full, on the I/O thread never.
    """

    def __init__(
        self,
        sender: CommandSender,
        queue: ResponseQueue,
        note_sent: Callable[[ConversationItem], object],
    ) -> None:
        self._sender = sender
        self._queue = queue
        self._note_sent = note_sent

    def item(self, call_id: str, output: ToolOutput) -> FunctionCallOutputItem:
        """Return the item of an output."""
        return FunctionCallOutputItem(id=self._sender.new_item_id(), call_id=call_id, output=output.text)

    def late_item(self, call: FunctionCallItem, output: ToolOutput) -> MessageItem:
        """Return the message with a result whose call was answered before; only a user's may have images."""
        arguments = call.arguments or ""
        with contextlib.suppress(orjson.JSONDecodeError, orjson.JSONEncodeError):  # or nested too deep for it
            arguments = orjson.dumps(orjson.loads(arguments)).decode()  # models write several lines
        text = f"The result of {call.name}({arguments}), which was called before: {output.text}"
        parts = [ContentPart(type="input_text", text=text), *_image_parts(output)]
        role = "user" if output.images else "system"
        return MessageItem(id=self._sender.new_item_id(), role=role, content=parts)

    def images(self, output: ToolOutput) -> MessageItem | None:
        """
        Return the message of the user's that has the images of an output, ``None`` if that has none.

        Raises:
            ValueError: If the service would refuse them: preview knows none, and there are limits.
        """
        if not output.images:
            return None
        message = MessageItem(id=self._sender.new_item_id(), role="user", content=_image_parts(output))
        self._sender.encode(ConversationItemCreate(item=message))
        return message

    def send(
        self, item: FunctionCallOutputItem | MessageItem, future: Sent, images: MessageItem | None = None
    ) -> None:
        """
        Send an output, with the message of its images.

        Raises:
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        self._sender.wait_to_send()
        call_id = item.call_id if isinstance(item, FunctionCallOutputItem) else None
        self._send(item, future, call_id, images)

    def send_approval(self, item: McpApprovalResponseItem, future: Sent) -> None:
        """
        Send what was decided on a call of an MCP server.

        Raises:
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        self._sender.wait_to_send()
        self._send(item, future, item.approval_request_id)

    def _send(
        self,
        item: ConversationItem,
        future: Future[object],
        call_id: str | None,
        images: MessageItem | None = None,
    ) -> None:
        """Send an item, and its images right after it, in one step."""
        awaited = [self._awaited(item, future, call_id)]
        if images is not None:
            awaited.append(self._awaited(images, Future(), None))
        *before, (waiter, payload) = awaited

        def send() -> None:
            self._note_sent(item)
            if images is not None:
                self._note_sent(images)
            self._sender.send_awaited(waiter, payload, None, *before)

        def fail(exc: Exception) -> None:
            log.warning("! the result of a tool was not sent: %s", exc)
            if isinstance(exc, TimeoutError):  # else the session is over, and whoever waits is told
                future.set_exception(exc)

        self._queue.send_result(send, fail)

    def _awaited(self, item: ConversationItem, future: Future[object], call_id: str | None) -> Awaited:
        """Return the command that creates an item, and who waits for its answer."""
        command = ConversationItemCreate(event_id=self._sender.new_event_id(), item=item)
        item_id = item.id
        waiter = Waiter(
            item_added(item_id),
            future,
            event_id=command.event_id,
            codes=frozenset(("invalid_tool_call_id",)),
            params=("item",),
            ids=frozenset(name for name in (item_id, call_id) if name),
            is_quiet=True,
        )
        return waiter, self._sender.encode(command)


def _image_parts(output: ToolOutput) -> list[ContentPart]:
    return [ContentPart(type="input_image", image_url=image) for image in output.images]
