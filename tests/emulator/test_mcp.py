"""Tools of MCP servers, which the emulator simulates from functions."""

from __future__ import annotations

import json
from concurrent.futures import Future
from typing import Any

import pytest
from emulator_session import Bench, kinds, only

from azure_rt_audio.emulator import FunctionCall


def tide(at: int) -> str:
    """Tells the tide."""
    return f"high at {at}"


def server(label: str = "port", **rules: Any) -> dict[str, Any]:
    return {"type": "mcp", "server_label": label, "server_url": "https://port.test/mcp", **rules}


def bench(call: FunctionCall, **rules: Any) -> Bench:
    """A session whose model calls a tool once."""
    answers: list[Any] = [call, "Done."]
    made = Bench(responder=lambda *given: answers.pop(0), mcp_tools={"port": {"tide": tide}})
    made.tell("session.update", session=made.session(tools=[server(**rules)], modalities=["text"]))
    return made


def test_tools_are_listed_or_the_import_fails() -> None:
    """What the emulator was given is listed; another server cannot be reached."""
    made = Bench(mcp_tools={"port": {"tide": tide}})
    events = made.tell("session.update", session=made.session(tools=[server(), server("star")]))

    assert kinds(events) == [
        "session.updated",
        "conversation.item.added",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "conversation.item.done",
        "conversation.item.added",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.failed",
        "conversation.item.done",
    ]
    schema = {"type": "object", "properties": {"at": {"type": "integer"}}, "required": ["at"]}
    assert events[4]["item"]["tools"] == [
        {"name": "tide", "description": "Tells the tide.", "input_schema": schema}
    ]


@pytest.mark.parametrize("allowed", [["tide"], {"tool_names": ["tide"]}])
def test_only_what_is_allowed_is_there(allowed: Any) -> None:
    """The other tools are neither listed nor called."""
    functions = {"tide": tide, "wreck": tide}
    made = Bench(responder=lambda *_: FunctionCall("wreck", {"at": 5}), mcp_tools={"port": functions})
    events = made.tell("session.update", session=made.session(tools=[server(allowed_tools=allowed)]))
    items = [event["item"] for event in made.tell("response.create") if "output_item.done" in event["type"]]

    assert [tool["name"] for tool in events[-1]["item"]["tools"]] == ["tide"]
    assert [item["type"] for item in items] == ["function_call"]


def test_a_tool_is_called_by_the_service() -> None:
    """When the response has ended; its output is in the item then, which never lacks a field."""
    made = bench(FunctionCall("tide", {"at": 5}), require_approval="never")
    events = made.tell("response.create")
    item = only(events, "response.output_item.done")["item"]
    nothing = {"output": None, "error": None, "approval_request_id": None}

    assert kinds(events)[3:] == [
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.done",
        "response.mcp_call.completed",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert [event["item"].items() >= nothing.items() for event in events[1:3]] == [True, True]
    assert only(events, "response.done")["response"]["output"] == [{**item, **nothing}]
    assert (json.loads(item["arguments"]), item["output"], item["error"]) == ({"at": 5}, "high at 5", None)
    retrieved = made.tell("conversation.item.retrieve", item_id=item["id"])
    assert retrieved[0]["item"] == item


def test_a_tool_that_fails_says_why() -> None:
    """The item has the error, and the response ends well."""
    made = bench(FunctionCall("tide", {"on": 5}), require_approval={"never": {"tool_names": ["tide"]}})
    events = made.tell("response.create")

    assert "response.mcp_call.failed" in kinds(events)
    assert only(events, "response.output_item.done")["item"]["error"]["type"] == "tool_execution_error"
    assert only(events, "response.done")["response"]["status"] == "completed"


def asked(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The request for approval among events."""
    found = [event["item"] for event in events if event["type"] == "conversation.item.done"]
    (request,) = [item for item in found if item["type"] == "mcp_approval_request"]
    return dict(request)


def test_a_tool_waits_for_approval() -> None:
    """By default the client is asked; what it approves runs at once, beside the responses, and only once."""
    made = bench(FunctionCall("tide", {"at": 5}))
    first = made.tell("response.create")
    call, request = only(first, "response.output_item.added")["item"], asked(first)
    answer = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
    events = made.tell("conversation.item.create", item=answer)
    item = events[-1]["item"]
    again = made.tell("conversation.item.create", item=answer)
    items = [event["item"] for event in made.tell("response.create") if "output_item.done" in event["type"]]

    assert kinds(first)[-4:] == [
        "response.mcp_call_arguments.done",
        "response.done",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert [one["id"] for one in only(first, "response.done")["response"]["output"]] == [call["id"]]
    assert (request["name"], request["arguments"]) == ("tide", '{"at": 5}')
    assert kinds(events)[2:] == [
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert (item["id"], item["output"]) == (call["id"], "high at 5")
    assert item["approval_request_id"] == request["id"]
    assert kinds(again) == ["conversation.item.added", "conversation.item.done"]
    assert [item["type"] for item in items] == ["message"]


def test_a_call_outlives_its_response() -> None:
    """The next response does not wait for it; what the limit of tokens has cut off does not run."""
    pending: Future[str] = Future()
    answers: list[Any] = [FunctionCall("tide", {"at": 5}), "Done.", FunctionCall("tide", {"at": 5})]
    made = Bench(responder=lambda *_: answers.pop(0), mcp_tools={"port": {"tide": lambda at: pending}})
    tools = [server(require_approval="never")]
    made.tell("session.update", session=made.session(tools=tools, modalities=["text"]))
    made.send("response.create")
    made.until("response.done")
    made.send("response.create")
    text = made.until("response.output_text.done")["text"]
    pending.set_result("high")
    made.until("response.mcp_call.completed")
    item = made.until("response.output_item.done")["item"]

    assert (text, item["output"]) == ("Done.", "high")

    made.drain()
    made.send("response.create", response={"max_output_tokens": 1})
    item = made.until("response.output_item.done")["item"]
    done = made.until("response.done")["response"]
    assert (done["status"], done["usage"]["output_tokens"]) == ("incomplete", 1)
    assert done["output"] == [item]
    assert item["arguments"] in ('{"', '{"at')
    assert "response.mcp_call.in_progress" not in kinds(made.drain())


def test_what_is_denied_does_not_run() -> None:
    """The call fails, and says why; so does one that nobody could approve."""
    made = bench(FunctionCall("tide", {"at": 5}))
    request = asked(made.tell("response.create"))
    answer = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": False}
    events = made.tell("conversation.item.create", item={**answer, "reason": "not today"})

    assert kinds(events)[2:] == [
        "response.mcp_call.failed",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert events[-1]["item"]["error"]["message"] == "The call was denied: not today"

    made = bench(FunctionCall("tide", {"at": 5}))
    events = made.tell("response.create", response={"conversation": "none"})
    assert kinds(events)[-2:] == ["response.mcp_call.failed", "response.output_item.done"]
    assert made.engine.conversation.items[1:] == ()


@pytest.mark.parametrize(
    ("approves", "says"),
    [
        (None, "Here is the result of tide: high at 5."),
        (True, "Here is the result of tide: high at 5."),
        (False, "I am sorry, the tide was not allowed."),
    ],
)
def test_the_default_responder_calls_them_like_functions(approves: bool | None, says: str) -> None:
    """When the user's words name one, once; then it tells the result, or that there is none."""
    made = Bench(mcp_tools={"port": {"tide": tide}})
    rules = {"require_approval": "never"} if approves is None else {}
    made.tell("session.update", session=made.session(tools=[server(**rules)], modalities=["text"]))
    question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Tide at 5?"}]}
    made.tell("conversation.item.create", item=question)
    events = made.tell("response.create")
    item = only(events, "response.done")["response"]["output"][0]
    if approves is not None:
        request_id = asked(events)["id"]
        waits = only(made.tell("response.create"), "response.output_item.done")["item"]["content"][0]["text"]
        answer = {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approves}
        made.tell("conversation.item.create", item=answer)
        assert waits == "I am waiting for the tide."  # and is not asked for it again
    told = only(made.tell("response.create"), "response.output_item.done")["item"]

    assert (item["name"], json.loads(item["arguments"])) == ("tide", {"at": 5})
    assert told["content"][0]["text"] == says


def test_the_default_responder_tells_what_went_wrong() -> None:
    """Of a tool that failed; of a server whose tools are not there, nothing is called."""
    made = Bench(mcp_tools={"port": {"tide": lambda at: 1 / 0}})
    tools = [server(require_approval="never"), server("star")]
    made.tell("session.update", session=made.session(tools=tools, modalities=["text"]))
    question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Tide at 5?"}]}
    made.tell("conversation.item.create", item=question)
    made.tell("response.create")
    told = only(made.tell("response.create"), "response.output_item.done")["item"]

    assert told["content"][0]["text"] == "I am sorry, the tide did not work: division by zero."


@pytest.mark.parametrize(
    ("fields", "code", "where"),
    [
        ({"allowed_tools": 5}, "invalid_type", "allowed_tools"),
        ({"allowed_tools": "tide"}, "invalid_type", "allowed_tools"),
        ({"allowed_tools": [5]}, "invalid_type", "allowed_tools[0]"),
        ({"allowed_tools": {"tool_names": "tide"}}, "invalid_type", "allowed_tools.tool_names"),
        ({"allowed_tools": {"names": ["tide"]}}, "unknown_parameter", "allowed_tools.names"),
        ({"allowed_callers": ["me"]}, "invalid_value", "allowed_callers[0]"),
        ({"require_approval": "sometimes"}, "invalid_value", "require_approval"),
        ({"require_approval": 7}, "invalid_type", "require_approval"),
        ({"require_approval": {"never": "tide"}}, "invalid_type", "require_approval.never"),
        (
            {"require_approval": {"never": {"tool_names": 5}}},
            "invalid_type",
            "require_approval.never.tool_names",
        ),
        ({"headers": "a"}, "invalid_type", "headers"),
        ({"headers": {"a": 5}}, "invalid_type", "headers.a"),
        ({"tunnel_id": "t"}, "invalid_value", "tunnel_id"),
        ({"connector_id": "connector_gmail"}, "invalid_value", "connector_id"),
    ],
)
def test_a_malformed_declaration_changes_nothing(fields: Any, code: str, where: str) -> None:
    """It is refused by its field, in a session and in a response; no tools are listed."""
    made = Bench(mcp_tools={"port": {"tide": tide}})
    before = made.engine.session
    error = made.error("session.update", session=made.session(tools=[server(**fields)]))

    assert (error["code"], error["param"]) == (code, f"session.tools[0].{where}")
    assert (made.engine.session, len(made.engine.conversation.items)) == (before, 0)
    assert made.error("response.create", response={"tools": [server(**fields)]})["code"] == code


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"type": "mcp_list_tools", "tools": 5}, "tools"),
        ({"type": "mcp_list_tools", "tools": [{"name": "tide"}]}, "tools[0].input_schema"),
        ({"type": "mcp_call", "name": "tide", "arguments": "{}", "error": "none"}, "error"),
        ({"type": "mcp_call", "name": "tide", "arguments": "{}", "error": {"type": "lost"}}, "error.type"),
    ],
)
def test_a_malformed_item_of_a_server_is_refused(fields: Any, where: str) -> None:
    """What the service itself writes into the conversation is typed as well."""
    made = Bench()
    error = made.error("conversation.item.create", item={"server_label": "port", **fields})

    assert (error["param"], made.engine.conversation.items) == (f"item.{where}", ())


def test_a_declaration_names_its_server() -> None:
    """By a URL, a connector or a tunnel; a null of another field is as if it were left out."""
    made = Bench(mcp_tools={"port": {"tide": tide}})
    nowhere = {"type": "mcp", "server_label": "port"}
    empty = dict.fromkeys(("allowed_tools", "allowed_callers", "headers", "require_approval"))
    error = made.error("session.update", session=made.session(tools=[nowhere]))

    assert (error["code"], error["param"]) == ("missing_required_parameter", "session.tools[0].server_url")
    for name, where in {"server_url": "u", "connector_id": "connector_gmail", "tunnel_id": "t"}.items():
        tool = {**nowhere, name: where}
        events = made.tell("session.update", session=made.session(tools=[{**tool, **empty}]))
        assert events[0]["session"]["tools"] == [tool]
