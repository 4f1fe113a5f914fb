"""Arguments that cannot be right are refused at once, by name, whatever state the client is in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from listeners import HANG, Connect

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, QueueDispatcher
from azure_rt_audio.devices import Microphone, SimulatedMicrophone, Speaker
from azure_rt_audio.dispatch import WorkerDispatcher
from azure_rt_audio.events import ToolApprovalRequested
from azure_rt_audio.tools import Tool, ToolContext, Tools

Door = Callable[[Any], object]


def doors(client: AzureRealTimeAudio) -> Iterator[Door]:
    """Yield everything of a client that takes a time-out; what it waits for may be there already."""
    future = client.clear_audio_buffer()
    future.result(HANG)
    done, pending = client.create_response(), client.create_response()
    done.result(HANG)
    for handle in (done, pending):
        yield from (handle.result, handle.text, handle.audio)
    yield from (future.result, future.exception, client.clear_audio_buffer().result)
    yield from (client.wait_until_ready, client.close, QueueDispatcher().run_pending)
    yield lambda timeout: client.ask("Hello", timeout=timeout)
    yield lambda timeout: client.events("init", timeout=timeout)
    yield lambda timeout: client.wait_for("init", timeout=timeout)
    yield from (WorkerDispatcher().join, client.talk(SimulatedMicrophone()).wait, client.talk().close)


def test_timeouts(connect: Connect) -> None:
    """Not a number, another type and a truth value are refused; infinity is no limit."""
    client = connect()
    client.wait_until_ready(math.inf)
    for door in doors(client):
        for value in (math.nan, "5", True, [5]):
            error = ValueError if isinstance(value, float) else TypeError
            with pytest.raises(error, match="timeout must be a number of seconds, or None"):
                door(value)

    assert client.clear_audio_buffer().result(math.inf).type == "input_audio_buffer.cleared"


def test_a_timeout_in_place_of_the_predicate(connect: Connect) -> None:
    """Who counts on the order of other libraries is told what to write."""
    with pytest.raises(TypeError, match=r"predicate must be a function .* timeout=5"):
        connect().wait_for("response.done", 5)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="predicate must be a function of the event, or None, not str"):
        connect().wait_for("response.done", "completed")  # type: ignore[call-overload]


def test_the_rest() -> None:
    """Sizes, lengths, devices and files."""
    options = {"host_name": "localhost:1", "deployment": "m", "api_key": "k"}
    calls: list[tuple[str, Callable[[], object]]] = []
    for value in (math.nan, "5", True, -1):
        calls += [
            ("max_backlog_bytes", lambda value=value: QueueDispatcher(value)),
            ("max_backlog_bytes", lambda value=value: WorkerDispatcher(value)),
            ("block_ms", lambda value=value: Microphone(block_ms=value)),
            ("buffer_ms", lambda value=value: Microphone(buffer_ms=value)),
            ("prebuffer_ms", lambda value=value: Speaker(prebuffer_ms=value)),
        ]
    for odd in (math.nan, True, b"USB"):
        calls += [
            ("device", lambda odd=odd: Microphone(odd)),
            ("device", lambda odd=odd: Speaker(odd)),
            ("record", lambda odd=odd: AzureRealTimeAudio(options, record=odd)),
        ]
    for name, call in calls:
        with pytest.raises((TypeError, ValueError), match=f"{name} (is|must be)"):
            call()


def look_up(item: str) -> str:
    """Look something up."""
    return item


WRONG: dict[str, tuple[object, ...]] = {
    "timeout_s": (math.nan, -1, 0, "5", True, [5]),
    "approval_timeout_s": (math.nan, -1, "5", True, None),
    "say_meanwhile": (5, True, "", b"x", []),
    "say_meanwhile_after_s": (math.nan, 0, -1, "5", True, None),
    "max_output": (math.nan, 0, -1, "5", True, None, 1.5),
    "background": (None, 1, "yes"),
    "needs_approval": (None, 1, "yes"),
    "errors": (None, True, "show", []),
    "late": (None, True, "keep", []),
    "on_duplicate": (None, True, "drop", []),
    "name": (5, True, b"x", "", "a b", "x" * 65, "\x1b"),
    "description": (5, True, b"x", [], "x" * 1025),
    "parameters": (5, "x", [], {}, {"type": "object", "x": object()}),
    "executor": (5, True, "threads"),
}


@pytest.mark.parametrize("name", WRONG)
def test_options_of_tools(name: str) -> None:
    """Another type, a truth value for a number, not a number, and what the service would refuse."""
    for value in WRONG[name]:
        with pytest.raises((TypeError, ValueError), match=name):
            Tool(look_up, **{"say_meanwhile": "One moment.", name: value})  # type: ignore[arg-type]
    assert Tool(look_up, timeout_s=math.inf).timeout_s == math.inf


def test_what_tools_are_given() -> None:
    """Sets of tools, what a tool says, and what it is answered."""
    tools: Any = Tools(look_up)
    context: Any = ToolContext("call_1", "look_up")
    request: Any = ToolApprovalRequested(call_id="c", name="look_up", arguments="{}", decide=lambda *_: True)
    calls: list[tuple[str, Callable[[], object]]] = []
    for odd in (math.nan, True, 5, object()):
        calls += [
            ("a tool is a function", lambda odd=odd: Tools(odd)),
            ("tools must be", lambda odd=odd: tools.update(odd)),
            ("name must be", lambda odd=odd: tools.remove(odd)),
            ("call must be", lambda odd=odd: tools.call(odd)),
            ("text must be", lambda odd=odd: context.progress(odd)),
            ("reason must be", lambda odd=odd: request.deny(odd)),
        ]
    for name, call in calls:
        with pytest.raises((TypeError, ValueError), match=name):
            call()
    assert len(tools) == 1


def test_what_a_client_is_given() -> None:
    """Each of its arguments is named when it cannot be right, and no thread was started."""
    options = {"host_name": "localhost:1", "deployment": "m", "api_key": "k"}
    wrong: dict[str, tuple[object, ...]] = {
        "websocket_options": (5, True, math.nan, "x", []),
        "dispatcher": (5, True, math.nan, "x", []),
        "tools": (5, True, math.nan),
        "guard": (5, True, math.nan, "x"),
        "follow_up": (5, None, True, "always"),
        "max_tool_rounds": (0, -1, True, None, math.nan, 1.5, "8"),
        "reconnect": (5, True, False, math.nan, "x", []),
        "history": (5, True, math.nan, "x", [("user", 5)], [("nobody", "x")], [5], {}),
    }
    for name, values in wrong.items():
        for value in values:
            with pytest.raises((TypeError, ValueError), match=name):
                AzureRealTimeAudio(options, **{name: value})  # type: ignore[arg-type]


def test_capitals_in_a_pasted_url() -> None:
    """The path that every resource has is known in any spelling."""
    for host in ("https://res.example.com/OpenAI/V1/realtime", "res.example.com/OPENAI/"):
        options = AzureRealTimeOptions(host_name=host, deployment="m", api_key="k")
        assert options.url == "wss://res.example.com/openai/v1/realtime?model=m"
