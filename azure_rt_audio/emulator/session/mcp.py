"""
Tools of MCP servers, which the service calls by itself; simulated from functions that the emulator is given.

There are no recordings of these: the events are as documented, and their order is the one that the vendors'
own samples and tests need. A call belongs to the response that asks for it, and ends after it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from ..model.background import when_done
from ..model.conversation import Conversation, Item
from ..model.replies import McpServers
from ..model.session import Session
from .events import EventMaker

__all__ = ["McpCall", "McpCalls", "list_tools", "needs_approval", "server_of"]

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


@dataclass
class McpCall:
    """
    One call that a response has asked for.

    Attributes:
        item: Of the call, which has neither an output nor an error yet.
        output_index: Of the item in the response.
        home: The conversation that has the item; ``None`` out of band.
        function: What the server does.
    """

    item: Item
    response_id: str
    output_index: int
    home: Conversation | None
    function: Callable[..., Any]
    needs_approval: bool

    @property
    def place(self) -> dict[str, Any]:
        """What its steps say of it."""
        return {"item_id": self.item.id, "output_index": self.output_index}


class McpCalls:
    """
    The calls of one session, after the responses that have asked for them.

    Args:
        run: Runs steps beside the responses.
    """

    def __init__(
        self, make: EventMaker, run: Callable[[Generator[float | dict[str, Any], None, None]], None]
    ) -> None:
        self._make = make
        self._run = run
        self._undecided: dict[str, McpCall] = {}  # by the id of the request to approve them

    def follow(self, calls: Iterable[McpCall]) -> Iterator[dict[str, Any]]:
        """Run the calls of a response that has ended, or request approval: the events of that."""
        for call in calls:
            if not call.needs_approval:
                self._run(self._call(call))
            elif call.home is None:  # a request would have no place, nor would its answer
                yield from self._end(call, _failure("It needs approval, which is given in the conversation."))
            else:
                told = {name: call.item.extra[name] for name in ("server_label", "name", "arguments")}
                request = Item(self._make.new_id("mcpr"), "mcp_approval_request", extra=told)
                request.name, request.arguments = call.item.name, call.item.arguments
                call.item.extra["approval_request_id"] = request.id
                self._undecided[request.id] = call
                call.home.add(request)
                yield from self._make.item_added(request, call.home)
                yield from self._make.item_done(request, call.home)

    def decide(self, answer: Item) -> Iterator[dict[str, Any]]:
        """
        Run the call that an answer approves, or end the one that it denies: the events of that.

        The first answer counts. Whether the service runs the call at once or in the next response is not
        documented; the vendors' samples wait for it without asking for one.
        """
        call = self._undecided.pop(str(answer.extra.get("approval_request_id")), None)
        if call is None:
            return
        if answer.extra.get("approve") is True:
            self._run(self._call(call))
        else:
            reason = answer.extra.get("reason")
            yield from self._end(call, _failure(f"The call was denied{f': {reason}' if reason else '.'}"))

    def _call(self, call: McpCall) -> Generator[float | dict[str, Any], None, None]:
        if call.needs_approval:
            yield self._make.event("response.mcp_call.in_progress", **call.place)
        try:
            given = call.function(**json.loads(call.item.arguments))
            output = (yield from when_done(given)) if isinstance(given, Future) else given
        except Exception as exc:  # noqa: BLE001  # a server's failure is an answer of its own
            yield from self._end(call, _failure(str(exc)))
        else:
            yield from self._end(call, {"output": str(output), "error": None})

    def _end(self, call: McpCall, outcome: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        item, home = call.item, call.home
        item.extra |= outcome
        item.output, item.status = item.extra["output"] or "", "completed"
        item.ended_after = None if home is None else home.last_id
        step = "completed" if item.extra["error"] is None else "failed"
        yield self._make.event(f"response.mcp_call.{step}", **call.place)
        if home is not None and home.get(item.id) is item:  # not if the client deleted it
            yield from self._make.output_done(item, home)
        yield self._make.event(
            "response.output_item.done",
            response_id=call.response_id,
            output_index=call.output_index,
            item=self._make.item(item),
        )


def _failure(message: str) -> dict[str, Any]:
    return {"output": None, "error": {"type": "tool_execution_error", "message": message}}
