"""
Tools of MCP servers, which the service calls by itself; simulated from functions that the emulator is given.

There are no recordings of these: the events are as documented.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from ..model.background import when_done
from ..model.conversation import Conversation, Item
from ..model.replies import FunctionCall, McpServers
from ..model.session import Session
from .events import EventMaker

__all__ = ["approved", "call", "list_tools", "needs_approval", "server_of"]


def list_tools(
    server: str, servers: McpServers, conversation: Conversation, make: EventMaker
) -> Iterator[dict[str, Any]]:
    """The events of the import of a server's tools, which fails if there is no such server."""
    item = Item(make.new_id("mcpl"), "mcp_list_tools", extra={"server_label": server, "tools": []})
    conversation.add(item)
    yield from make.item_added(item, conversation)
    yield make.event("mcp_list_tools.in_progress", item_id=item.id)
    functions = servers.get(server)
    if functions is None:
        yield make.event("mcp_list_tools.failed", item_id=item.id)
        return
    item.extra["tools"] = [
        {"name": name, "description": function.__doc__ or "", "input_schema": {"type": "object"}}
        for name, function in functions.items()
    ]
    yield make.event("mcp_list_tools.completed", item_id=item.id)
    yield from make.item_done(item, conversation)


def server_of(name: str, session: Session, servers: McpServers) -> str | None:
    """The label of the server whose tool has this name; ``None`` if it is a function of the client's."""
    labels = [str(tool["server_label"]) for tool in session.tools if tool.get("type") == "mcp"]
    return next((label for label in labels if name in servers.get(label, {})), None)


def needs_approval(name: str, server: str, session: Session) -> bool:
    """Whether the client has to be asked before this tool is called: yes, if it did not say otherwise."""
    rule = next(tool.get("require_approval") for tool in session.tools if tool.get("server_label") == server)
    if isinstance(rule, Mapping):
        never = rule.get("never")
        return name not in ((never.get("tool_names") or ()) if isinstance(never, Mapping) else ())
    return rule != "never"


def approved(conversation: Conversation) -> list[Item]:
    """The requests that the client approved, and that were not carried out yet."""
    answers = [item.extra for item in conversation if item.type == "mcp_approval_response"]
    agreed = [answer.get("approval_request_id") for answer in answers if answer.get("approve") is True]
    over = [item.extra.get("approval_request_id") for item in conversation if item.type == "mcp_call"]
    requests = [item for item in conversation if item.type == "mcp_approval_request"]
    return [item for item in requests if item.id in agreed and item.id not in over]


def call(server: str, wanted: FunctionCall, servers: McpServers) -> Generator[float, None, dict[str, Any]]:
    """Call a tool; the value is what the item says of it: an output, or an error."""
    try:
        given = servers[server][wanted.name](**json.loads(wanted.arguments_json))
        output = (yield from when_done(given)) if isinstance(given, Future) else given
    except Exception as exc:  # noqa: BLE001  # a server's failure is an answer of its own
        return {"error": {"type": "tool_execution_error", "message": str(exc)}, "output": None}
    return {"output": str(output), "error": None}
