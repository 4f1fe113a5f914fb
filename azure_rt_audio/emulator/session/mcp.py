"""
Tools of MCP servers, which the service calls by itself; simulated from functions that the emulator is given.

There are no recordings of these: the events are as documented.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Final

from ..model.background import when_done
from ..model.conversation import Conversation, Item
from ..model.replies import FunctionCall, McpServers
from ..model.session import Session
from .events import EventMaker

__all__ = ["CANCELLED", "call", "list_tools", "needs_approval", "run_approved", "server_of"]


CANCELLED: Final[Mapping[str, Any]] = {
    "error": {"type": "tool_execution_error", "message": "The response was cancelled during the call."},
    "output": None,
}
"""What the item of a call says whose response ends before the call does."""

_KINDS: Final = ((str, "string"), (bool, "boolean"), (int, "integer"), (float, "number"))


def list_tools(
    tool: Mapping[str, Any], servers: McpServers, conversation: Conversation, make: EventMaker
) -> Iterator[dict[str, Any]]:
    """The events of the import of a server's tools, which fails if there is no such server."""
    server = str(tool["server_label"])
    item = Item(make.new_id("mcpl"), "mcp_list_tools", extra={"server_label": server, "tools": []})
    conversation.add(item)
    yield from make.item_added(item, conversation)
    yield make.event("mcp_list_tools.in_progress", item_id=item.id)
    functions = servers.get(server)
    if functions is None:
        yield make.event("mcp_list_tools.failed", item_id=item.id)
        yield from make.item_done(item, conversation)
        return
    item.extra["tools"] = [
        {"name": name, "description": function.__doc__ or "", "input_schema": _schema(function)}
        for name, function in functions.items()
        if _allows(tool, name)
    ]
    yield make.event("mcp_list_tools.completed", item_id=item.id)
    yield from make.item_done(item, conversation)


def _schema(function: Any) -> dict[str, Any]:
    """The schema of a function's parameters, as far as its signature tells."""
    try:
        given = inspect.signature(function, eval_str=True).parameters.values()
    except Exception:  # noqa: BLE001  # a builtin has none; an annotation may name anything
        return {"type": "object"}
    named = [one for one in given if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    properties: dict[str, dict[str, str]] = {one.name: {} for one in named}
    for one in named:
        for kind, word in _KINDS:
            if one.annotation is kind:
                properties[one.name]["type"] = word
    required = [one.name for one in named if one.default is one.empty]
    return {"type": "object", "properties": properties, "required": required}


def server_of(name: str, session: Session, servers: McpServers) -> str | None:
    """The label of the server whose tool has this name; ``None`` if it is a function of the client's."""
    tools = [tool for tool in session.tools if tool.get("type") == "mcp" and _allows(tool, name)]
    labels = [str(tool["server_label"]) for tool in tools]
    return next((label for label in labels if name in servers.get(label, {})), None)


def _allows(tool: Mapping[str, Any], name: str) -> bool:
    """Whether the client wants a tool of a server."""
    allowed = tool.get("allowed_tools")
    names = allowed.get("tool_names") if isinstance(allowed, Mapping) else allowed
    return names is None or name in names


def needs_approval(name: str, server: str, session: Session) -> bool:
    """Whether the client has to be asked before this tool is called: yes, if it did not say otherwise."""
    rule = next(tool.get("require_approval") for tool in session.tools if tool.get("server_label") == server)
    if isinstance(rule, Mapping):
        never = rule.get("never")
        return name not in ((never.get("tool_names") or ()) if isinstance(never, Mapping) else ())
    return rule != "never"


def run_approved(
    answer: Item, servers: McpServers, conversation: Conversation, make: EventMaker
) -> Generator[float | dict[str, Any], None, None]:
    """
    Run the call that an answer approves, beside the responses; another one than the first changes nothing.

    Whether the service runs it at once or in the next response is not documented.
    """
    request = conversation.get(str(answer.extra.get("approval_request_id")))
    others = [item for item in conversation if item.type == "mcp_approval_response" and item is not answer]
    if answer.extra.get("approve") is not True or request is None or request.type != "mcp_approval_request":
        return
    if any(item.extra.get("approval_request_id") == request.id for item in others):
        return
    told = {name: request.extra[name] for name in ("server_label", "name", "arguments")}
    extra = {**told, "approval_request_id": request.id}
    item = Item(make.new_id("mcp"), "mcp_call", name=told["name"], arguments=told["arguments"], extra=extra)
    conversation.add(item)
    yield from make.item_added(item, conversation)
    where = {"item_id": item.id, "output_index": 0}
    yield make.event("response.mcp_call.in_progress", **where)
    item.extra |= yield from call(
        told["server_label"], FunctionCall(told["name"], told["arguments"]), servers
    )
    item.output = item.extra["output"] or ""
    outcome = "completed" if item.extra["error"] is None else "failed"
    yield make.event(f"response.mcp_call.{outcome}", **where)
    yield from make.item_done(item, conversation)


def call(server: str, wanted: FunctionCall, servers: McpServers) -> Generator[float, None, dict[str, Any]]:
    """Call a tool; the value is what the item says of it: an output, or an error."""
    try:
        given = servers[server][wanted.name](**json.loads(wanted.arguments_json))
        output = (yield from when_done(given)) if isinstance(given, Future) else given
    except Exception as exc:  # noqa: BLE001  # a server's failure is an answer of its own
        return {"error": {"type": "tool_execution_error", "message": str(exc)}, "output": None}
    return {"output": str(output), "error": None}
