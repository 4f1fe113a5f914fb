"""Calls that a service describes otherwise than it should: each runs once, with what is known of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostile_service import hostile_service
from listeners import HANG, Probe

from azure_rt_audio import AzureRealTimeAudio, McpServer, ModelStatusEnum, Tools

Message = dict[str, Any]
Odd = Callable[[Message], list[Message]]

CALL = {
    "id": "i",
    "type": "function_call",
    "call_id": "c",
    "name": "look_up",
    "arguments": '{"city": "London"}',
}
ANSWER = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Fog."}],
}
OF_THE_CALL = {"response_id": "r1", "item_id": "i", "output_index": 0, "call_id": "c"}


def calling() -> Iterator[Message]:
    """A response that calls."""
    announced = {**CALL, "arguments": "", "status": "in_progress"}
    yield {"type": "response.created", "response": {"id": "r1", "status": "in_progress", "output": []}}
    yield {"type": "response.output_item.added", "response_id": "r1", "output_index": 0, "item": announced}
    yield {
        "type": "response.function_call_arguments.done",
        **OF_THE_CALL,
        "arguments": CALL["arguments"],
        "name": CALL["name"],
    }
    done = {**CALL, "status": "completed"}
    yield {"type": "response.output_item.done", "response_id": "r1", "output_index": 0, "item": done}
    yield {"type": "response.done", "response": {"id": "r1", "status": "completed", "output": [done]}}


def answering() -> Iterator[Message]:
    """The response that answers what came of it."""
    yield {"type": "response.created", "response": {"id": "r2", "status": "in_progress", "output": []}}
    place = {"response_id": "r2", "item_id": "m", "output_index": 0, "content_index": 0}
    yield {"type": "response.output_text.delta", **place, "delta": "Fog."}
    yield {"type": "response.done", "response": {"id": "r2", "status": "completed", "output": [ANSWER]}}


def altered(kind: str, of: str, *path: str, to: Any = None) -> Odd:
    """Return the events but for a field of one, which is missing, or another value."""

    def alter(event: Message) -> list[Message]:
        response_id = event.get("response_id") or event["response"]["id"]
        if (event["type"], response_id) != (f"response.{kind}", of):
            return [event]
        *parents, last = path
        event = place = dict(event)
        for name in parents:
            place[name] = place = dict(place[name])
        place.pop(last)
        if to is not None:
            place[last] = to
        return [event]

    return alter


def late_arguments() -> Odd:
    """Return the events with the arguments behind the item, which does not have them."""
    held: list[Message] = []
    without = altered("output_item.done", "r1", "item", "arguments")

    def swap(event: Message) -> list[Message]:
        if event["type"] == "response.function_call_arguments.done":
            held.append(event)
            return []
        return [*without(event), *(held if event["type"] == "response.output_item.done" else ())]

    return swap


def again(kind: str) -> Odd:
    """Return the events with one of the call's again, when its result is answered."""
    kept: list[Message] = []

    def repeat(event: Message) -> list[Message]:
        if event["type"] == kind and not kept:
            kept.append(event)
        return [event, *kept] if event["type"] == "response.output_text.delta" else [event]

    return repeat


CASES: dict[str, Odd] = {
    "item without a response": altered("output_item.done", "r1", "response_id"),
    "item of another response": altered("output_item.done", "r1", "response_id", to="r0"),
    "item without arguments": altered("output_item.done", "r1", "item", "arguments"),
    "item with empty arguments": altered("output_item.done", "r1", "item", "arguments", to=""),
    "item without a name": altered("output_item.done", "r1", "item", "name"),
    "item without a call": altered("output_item.done", "r1", "item", "call_id"),
    "arguments after the item": late_arguments(),
    "item comes again": again("response.output_item.done"),
    "end comes again": again("response.done"),
    "call begins without an id": altered("created", "r1", "response", "id"),
    "answer begins without an id": altered("created", "r2", "response", "id"),
    "answer ends without an id": altered("done", "r2", "response", "id"),
}


@contextlib.contextmanager
def serving(odd: Odd) -> Iterator[str]:
    """Yield the URL of a service that calls, and answers."""
    responses = iter((calling, answering))

    def act(send: Any, command: Message, connection: Any) -> None:
        if command["type"] == "response.create":
            for event in next(responses)():
                for one in odd(event):
                    send(one["type"], **{name: value for name, value in one.items() if name != "type"})

    with hostile_service(act) as url:
        yield url


@pytest.mark.parametrize("case", CASES)
def test_a_call_runs_once(case: str) -> None:
    """With what the model wrote; who has asked gets the answer, and nothing is left in progress."""
    cities: list[str] = []

    def look_up(city: str = "?") -> str:
        """Look up the weather."""
        cities.append(city)
        return "fog"

    rests = Probe()
    with serving(CASES[case]) as url:
        options = {"host_name": url, "deployment": "m", "api_key": "k"}
        with AzureRealTimeAudio(options, tools=[look_up], reconnect=None) as client:
            client.on("response.done", rests)
            response = client.ask("What is the weather in London?", timeout=HANG)
            rests.until(lambda event: event.response.text == "Fog.")

            assert client.status is ModelStatusEnum.IDLE
            assert not client._engine.response_queue.is_busy

    assert response.text == "Fog."
    assert cities == ["London"]


def test_an_approval_is_asked_for_once() -> None:
    """Although the item does not say of which response it is."""
    request = {
        "id": "i",
        "type": "mcp_approval_request",
        "server_label": "port",
        "name": "open",
        "arguments": "{}",
    }
    end = {"id": "r1", "status": "completed", "output": [request]}

    def act(send: Any, command: Message, connection: Any) -> None:
        if command["type"] == "response.create":
            send("response.created", response={"id": "r1", "status": "in_progress", "output": []})
            send("response.output_item.done", output_index=0, item=request)
            send("response.done", response=end)

    asked = Probe()
    server = McpServer({"server_label": "port", "server_url": "https://port.test/mcp"})
    with hostile_service(act) as url:
        options = {"host_name": url, "deployment": "m", "api_key": "k"}
        with AzureRealTimeAudio(options, tools=Tools(server), reconnect=None) as client:
            client.on("tool_approval_requested", asked)
            client.on("response.done", asked)
            client.create_response()
            told = [event.type for event in asked.until(lambda event: event.type == "response.done")]

    assert told == ["tool_approval_requested", "response.done"]
