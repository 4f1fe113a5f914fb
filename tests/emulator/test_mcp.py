"""Tools of MCP servers, which the emulator simulates from functions."""

from __future__ import annotations

import json
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
    """Its arguments and its output are in the item."""
    events = bench(FunctionCall("tide", {"at": 5}), require_approval="never").tell("response.create")
    item = only(events, "response.output_item.done")["item"]

    assert kinds(events)[3:9] == [
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert (json.loads(item["arguments"]), item["output"], item["error"]) == ({"at": 5}, "high at 5", None)


def test_a_tool_that_fails_says_why() -> None:
    """The item has the error, and the response ends well."""
    made = bench(FunctionCall("tide", {"on": 5}), require_approval={"never": {"tool_names": ["tide"]}})
    events = made.tell("response.create")

    assert "response.mcp_call.failed" in kinds(events)
    assert only(events, "response.output_item.done")["item"]["error"]["type"] == "tool_execution_error"
    assert only(events, "response.done")["response"]["status"] == "completed"


def test_a_tool_waits_for_approval() -> None:
    """By default the client is asked; what it approves runs at once, beside the responses, and only once."""
    made = bench(FunctionCall("tide", {"at": 5}))
    asked = only(made.tell("response.create"), "response.output_item.done")["item"]
    answer = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": True}
    events = made.tell("conversation.item.create", item=answer)
    item = events[-1]["item"]
    again = made.tell("conversation.item.create", item=answer)
    items = [event["item"] for event in made.tell("response.create") if "output_item.done" in event["type"]]

    assert (asked["type"], asked["name"]) == ("mcp_approval_request", "tide")
    assert kinds(events)[2:] == [
        "conversation.item.added",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "conversation.item.done",
    ]
    assert (item["output"], item["approval_request_id"]) == ("high at 5", asked["id"])
    assert kinds(again) == ["conversation.item.added", "conversation.item.done"]
    assert [item["type"] for item in items] == ["message"]


def test_what_is_denied_does_not_run() -> None:
    """Nothing follows but the item of the answer."""
    made = bench(FunctionCall("tide", {"at": 5}))
    asked = only(made.tell("response.create"), "response.output_item.done")["item"]
    answer = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": False}

    events = made.tell("conversation.item.create", item={**answer, "reason": "not today"})
    assert kinds(events) == ["conversation.item.added", "conversation.item.done"]


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
    item = only(made.tell("response.create"), "response.output_item.done")["item"]
    if approves is not None:
        answer = {"type": "mcp_approval_response", "approval_request_id": item["id"], "approve": approves}
        made.tell("conversation.item.create", item=answer)
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
