"""Calls and responses that a service announces twice, and answers that several wait for."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fake_servers import websocket_server
from listeners import HANG, MARKER, Aside
from websockets.sync.server import ServerConnection

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Delay, Emulator, FunctionCall, before
from azure_rt_audio.events import ResponseOutputItemAdded, ToolStarted

OPTIONS = {"deployment": "d", "api_key": "k", "session_config": {"modalities": ["text"]}}


@pytest.mark.parametrize("kind", ["response.output_item.done", "response.done"])
@pytest.mark.parametrize("is_other", [False, True], ids=["the same response", "another one"])
def test_a_call_that_comes_again_does_not_run_again(kind: str, is_other: bool) -> None:
    """Neither is it answered again, nor is another response asked for."""
    paid: list[int] = []

    def pay(euros: int) -> str:
        paid.append(euros)
        return f"{euros} paid"

    replies = iter([FunctionCall("pay", {"euros": 5})])
    with (
        Emulator(pace=0, responder=lambda *_: next(replies, "done")) as service,
        AzureRealTimeAudio(service.options(), tools=[pay]) as client,
    ):
        client.ask("pay", timeout=HANG)
        asked = len(service.received("response.create"))
        again = json.loads(json.dumps(service.sent(kind)[0]))
        if is_other and "response_id" in again:
            again["response_id"] = "resp_other"
        elif is_other:
            again["response"]["id"] = "resp_other"
        with client.events("test.marker", timeout=HANG) as markers:
            service.say(again)
            service.say(MARKER)
            next(markers)
        assert client.ask("hello", timeout=HANG).text == "done"

        assert paid == [5]
        assert len(service.received("response.create")) == asked + 1
        outputs = [c for c in service.received("conversation.item.create") if "output" in c["item"]]
        assert len(outputs) == 1


@contextmanager
def repeating(*ids: str) -> Iterator[tuple[str, list[str]]]:
    """A service that gives its responses these ids in turn, the last one for ever; the first one calls."""
    asked: list[str] = []

    def serve(peer: ServerConnection) -> None:
        names = itertools.chain(ids, itertools.repeat(ids[-1]))

        def say(kind: str, **fields: Any) -> None:
            peer.send(json.dumps({"type": kind, "event_id": "event_1", **fields}))

        say("session.created", session={"id": "sess_1"})
        for text in peer:
            command = json.loads(text)
            if command["type"] == "session.update":
                say("session.updated", session={"id": "sess_1", **command["session"]})
            elif command["type"] == "conversation.item.create":
                say("conversation.item.added", item=command["item"])
                say("conversation.item.done", item=command["item"])
            elif command["type"] == "response.create":
                asked.append(command["type"])
                named = {"id": next(names), "metadata": (command.get("response") or {}).get("metadata")}
                item: dict[str, Any] = {"id": f"item_{len(asked)}", "status": "completed"}
                if len(asked) == 1:
                    item |= {"type": "function_call", "name": "look", "call_id": "call_1", "arguments": "{}"}
                else:
                    part = {"type": "output_text", "text": f"answer {len(asked)}"}
                    item |= {"type": "message", "role": "assistant", "content": [part]}
                say("response.created", response={**named, "status": "in_progress", "output": []})
                say("response.output_item.done", response_id=named["id"], output_index=0, item=item)
                say("response.done", response={**named, "status": "completed", "output": [item]})

    with websocket_server(serve) as url:
        yield url.partition("/openai")[0], asked


def test_a_follow_up_with_the_id_of_the_response_that_called() -> None:
    """It is the answer; and no response is asked for without end."""
    with (
        repeating("resp_1") as (address, asked),
        AzureRealTimeAudio(
            {**OPTIONS, "host_name": address}, tools=[finding_nothing()], max_tool_rounds=2
        ) as client,
    ):
        assert client.ask("look", timeout=HANG).text == "answer 2"
        assert client.ask("again", timeout=HANG).text == "answer 3"

    assert len(asked) == 3


def finding_nothing() -> Any:
    """Return a tool that finds nothing."""

    def look() -> str:
        return "nothing"

    return look


def test_each_that_waits_for_one_answer_has_the_steps_of_his_own() -> None:
    """One answer to the results of two questions goes to both."""
    is_due = threading.Event()

    def weather(city: str) -> str:
        is_due.wait(HANG)
        return f"fine in {city}"

    def respond(conversation: Any, session: Any) -> Any:
        last = conversation.items[-1]
        if last.type == "function_call_output":
            return "fine everywhere"
        return FunctionCall("weather", {"city": last.text}) if last.text != "wait" else "waited"

    with (
        Emulator(pace=0, responder=respond) as service,
        AzureRealTimeAudio(service.options(), tools=[weather]) as client,
        client.events(ToolStarted, "response.output_item.added", timeout=HANG) as events,
    ):
        client.wait_until_ready(HANG)
        service.faults.add(before("response.done", Delay(0.3), count=3))  # both results are there meanwhile
        asking = []
        for text, kind in (
            ("Lisbon", ToolStarted),
            ("Porto", ToolStarted),
            ("wait", ResponseOutputItemAdded),
        ):
            asking.append(Aside(lambda text=text: client.ask(text, timeout=HANG)))
            while not isinstance(event := next(events), kind) or "function_call" in repr(event):
                pass
        is_due.set()
        lisbon, porto, _ = (one.result() for one in asking)

    assert lisbon.text == porto.text == "fine everywhere"
    assert [outputs(answer) for answer in (lisbon, porto)] == [["fine in Lisbon"], ["fine in Porto"]]


def outputs(answer: Any) -> list[str]:
    """Return the outputs among the steps of an answer."""
    return [step.output for step in answer.steps if isinstance(getattr(step, "output", None), str)]
