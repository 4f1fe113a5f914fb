"""
Calls of MCP servers, in each order in which a service may tell of them.

No recording has such a call. The orders are those that the samples and clients of the vendors expect, and the
one of the emulator before it followed them. The service is a script on a real socket.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
from emulator_session import Bench
from fake_servers import websocket_server
from listeners import HANG, message
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from azure_rt_audio import AzureRealTimeAudio, McpServer
from azure_rt_audio.events import ResponseDone, ToolApprovalRequested, ToolEnded, ToolStarted

Steps: TypeAlias = tuple[str, ...]

PORT = {"server_label": "port", "server_url": "https://port.test/mcp"}
CALL = {"id": "mcp_1", "type": "mcp_call", "server_label": "port", "name": "tide", "arguments": ""}
NOTHING = {"approval_request_id": None, "output": None, "error": None}
REQUEST = {**CALL, "id": "mcpr_1", "type": "mcp_approval_request", "arguments": "{}"}
ENDS = ("in_progress", "completed", "item", "output_item")
DENIED = ("failed", "item", "output_item")

FREE = {
    "it ends after the response": ("call", "arguments", "in_progress", "done", "completed", *ENDS[2:]),
    "it begins after the response": ("call", "arguments", "done", *ENDS),
    "it begins before its arguments": ("call", "in_progress", "arguments", "done", *ENDS[1:]),
    "it ends in the response": ("call", "arguments", *ENDS, "done"),
    "a message follows before it ends": ("call", "arguments", "in_progress", "message", "done", *ENDS[1:]),
}
# Up to the decision, what follows approval, and what follows denial once the answer has begun.
ASKED = {
    "asked after the response": (("call", "arguments", "done", "request"), ENDS, DENIED),
    "asked before its end": (("call", "arguments", "request", "done"), ENDS, DENIED),
    "asked in the output, too": (("call", "arguments", "request", "request_output", "done"), ENDS, DENIED),
    "and the call's item ends early": (
        ("call", "arguments", "request", "item", "output_item", "done"),
        ENDS[:3],
        (),
    ),
    "asked in the output alone": (("request", "request_output", "done"), ("call_item", *ENDS[:3]), ()),
    "asked beside the output": (("request", "done"), ("call_item", *ENDS[:3]), ()),
}


class Script:
    """A service whose model calls the tide once, and then tells what came of it."""

    def __init__(self, asks: Steps, approved: Steps = (), denied: Steps = ()) -> None:
        self.asks, self.approved, self.denied = asks, approved, denied
        self.commands: list[str] = []
        self.call: dict[str, Any] = {**CALL, **NOTHING}
        self.output: list[dict[str, Any]] = []
        self.responses = 0
        self.late: Steps = ()
        self.then: Steps = ()  # what follows a next message of the user

    def __call__(self, peer: ServerConnection) -> None:
        """Serve one connection."""
        bench = Bench(model="gpt-realtime", mcp_tools={"port": {"tide": lambda: None}})
        self.peer, self.make = peer, bench.engine.make
        try:
            for event in bench.drain():
                peer.send(json.dumps(event))
            for message in peer:
                command = json.loads(message)
                self.commands.append(command["type"])
                if command["type"] == "session.update":
                    for event in bench.tell(**command):
                        peer.send(json.dumps(event))
                elif command["type"] == "conversation.item.create":
                    self.item("added", command["item"])
                    self.item("done", command["item"])
                    if "approve" in command["item"]:
                        self.decide(command["item"]["approve"])
                    elif self.responses:
                        self.tell(self.then)
                elif command["type"] == "response.create":
                    self.respond()
        except ConnectionClosed:
            pass

    def send(self, name: str, **fields: Any) -> None:
        self.peer.send(json.dumps(self.make.event(name, **fields)))

    def item(self, moment: str, item: dict[str, Any]) -> None:
        self.send(f"conversation.item.{moment}", previous_item_id=None, item=item)

    def decide(self, is_approved: bool) -> None:
        """What is denied ends when the answer has begun."""
        self.call["approval_request_id"] = REQUEST["id"]
        if is_approved:
            self.tell(self.approved)
        else:
            self.late = self.denied

    def respond(self) -> None:
        self.responses += 1
        self.output = []
        self.send("response.created", response=self.response("in_progress"))
        if self.responses == 1:
            self.tell(self.asks)
            return
        late, self.late = self.late, ()
        self.tell(late)
        self.output = [self.words("over")]
        self.send("response.done", response=self.response("completed"))

    def response(self, status: str) -> dict[str, Any]:
        number = self.responses
        return {"id": f"resp_{number}", "status": status, "output": self.output, "conversation_id": "conv"}

    def words(self, text: str) -> dict[str, Any]:
        part = {"type": "output_text", "text": text}
        return {"id": f"item_{text}", "type": "message", "role": "assistant", "content": [part]}

    def tell(self, steps: Steps) -> None:
        where = {"item_id": "mcp_1", "output_index": 0}
        first = {"response_id": "resp_1", "output_index": 0}
        for step in steps:
            if step == "call":
                self.output.append(self.call)
                self.send("response.output_item.added", **first, item=self.call)
                self.item("added", self.call)
            elif step == "call_item":
                self.item("added", self.call)
            elif step == "arguments":
                self.call["arguments"] = "{}"
                self.send("response.mcp_call_arguments.done", response_id="resp_1", arguments="{}", **where)
            elif step == "request":
                self.item("added", REQUEST)
                self.item("done", REQUEST)
            elif step == "request_output":
                self.output.append(REQUEST)
                index = len(self.output) - 1
                for moment in ("added", "done"):
                    self.send(
                        f"response.output_item.{moment}",
                        response_id="resp_1",
                        output_index=index,
                        item=REQUEST,
                    )
            elif step == "message":
                self.output.append(self.words("wait"))
            elif step == "done":
                self.send("response.done", response=self.response("completed"))
            elif step == "item":
                self.item("done", self.call)
            elif step == "output_item":
                self.send("response.output_item.done", **first, item=self.call)
            else:
                if step == "completed":
                    self.call["output"] = "high"
                if step == "failed":
                    self.call["error"] = {"type": "tool_execution_error", "message": "denied"}
                self.send(f"response.mcp_call.{step}", **where)


@contextlib.contextmanager
def client_of(script: Script, needs: str = "always") -> Iterator[AzureRealTimeAudio]:
    """Yield a client of the service that has listed the tools."""
    with websocket_server(script) as url:
        options = {
            "host_name": url.partition("/openai")[0],
            "deployment": "gpt-realtime",
            "api_key": "k",
            "api_version": "v1",
            "session_config": {"modalities": ["text"]},
        }
        server = McpServer({**PORT, "require_approval": needs}, approval_timeout_s=HANG)
        with AzureRealTimeAudio(options, reconnect=None, tools=[server]) as client:
            client.wait_for_mcp_tools(HANG)
            yield client


def run(script: Script, needs: str, verdict: bool | None = None) -> list[Any]:
    """Ask a question that takes a call; return what listeners were told of it."""
    told: list[Any] = []
    with client_of(script, needs) as client:

        @client.on(ToolApprovalRequested)
        def decide(request: ToolApprovalRequested) -> None:
            told.append(request)
            assert request.approve() if verdict else request.deny()

        client.on(ToolStarted, told.append)
        client.on(ToolEnded, told.append)
        assert client.ask("tide", timeout=HANG).text == "over"
        assert script.commands.count("response.create") == 2
        assert client.ask("again", timeout=HANG).text == "over"
        assert script.commands.count("response.create") == 3  # and nothing is answered twice
    return told


@pytest.mark.parametrize("order", FREE)
def test_a_call_that_needs_no_approval(order: str) -> None:
    """It is told once, and answered once."""
    told = run(Script(FREE[order]), "never")

    assert [type(event) for event in told] == [ToolStarted, ToolEnded]
    assert {event.call_id for event in told} == {"mcp_1"}
    assert (told[0].arguments, told[1].output) == ("{}", "high")


@pytest.mark.parametrize("order", ASKED)
def test_a_call_that_needs_approval(order: str) -> None:
    """It is one call, which goes by the id of the request; the answer is asked for when it has ended."""
    told = run(Script(*ASKED[order]), "always", True)

    assert [type(event) for event in told] == [ToolApprovalRequested, ToolStarted, ToolEnded]
    assert {event.call_id for event in told} == {"mcpr_1"}
    assert {event.arguments for event in told[:2]} == {"{}"}
    assert told[2].output == "high"


def test_a_call_that_is_announced_after_the_request() -> None:
    """It is known as one when it ends, by the request that it names."""
    told = run(Script(("request", "call", "arguments", "done"), ENDS), "always", True)

    assert [type(event) for event in told] == [ToolApprovalRequested, ToolStarted, ToolEnded]
    assert {event.call_id for event in told} == {"mcpr_1"}


@pytest.mark.parametrize("order", ASKED)
def test_a_call_that_is_denied(order: str) -> None:
    """Its end is known at once; what the service says of it later is not taken for another call."""
    told = run(Script(*ASKED[order]), "always", False)

    assert [type(event) for event in told] == [ToolApprovalRequested, ToolEnded]
    assert "not allowed" in told[1].output


def test_a_request_that_belongs_to_no_response() -> None:
    """Whoever asked has the response that did not tell of it; the call is answered all the same."""
    script = Script(("done", "request"), *ASKED["asked beside the output"][1:])
    with client_of(script) as client, client.events(ResponseDone, timeout=HANG) as done:
        client.on(ToolApprovalRequested, lambda request: request.approve())
        assert client.ask("tide", timeout=HANG).text == ""
        assert [next(done).response.text for _ in range(2)] == ["", "over"]


def test_a_request_that_nobody_waits_for_any_more() -> None:
    """It is denied: the question was taken back between the response and the request."""
    script = Script(("call", "arguments", "done"))
    script.then = ("request",)
    asked: list[ToolApprovalRequested] = []
    with (
        client_of(script) as client,
        client.events(ResponseDone, timeout=HANG) as done,
        client.events(ToolEnded, timeout=HANG) as ended,
    ):
        client.on(ToolApprovalRequested, asked.append)
        pending = client.create_response()
        next(done)
        pending.cancel()
        assert pending.result(HANG).status == "cancelled"
        client.create_conversation_item(message("never mind"))
        assert "nobody waits for it any more" in next(ended).output
    assert (asked, script.commands.count("response.create")) == ([], 1)
