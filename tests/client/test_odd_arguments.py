"""Arguments that cannot be right are refused at once, by name, whatever state the client is in."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from listeners import HANG, Connect, message, ready

from azure_rt_audio import (
    AzureRealTimeAudio,
    AzureRealTimeOptions,
    McpServer,
    QueueDispatcher,
    ReconnectPolicy,
    SessionConfig,
    WebSocketOptions,
)
from azure_rt_audio.audio import WavWriter, read_audio, read_wav, write_audio, write_wav
from azure_rt_audio.devices import Microphone, SimulatedMicrophone, Speaker
from azure_rt_audio.dispatch import WorkerDispatcher
from azure_rt_audio.emulator import Emulator
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


HALF = "menu\udce9.txt"
"""What Python makes of a file name that is no text, which JSON cannot express."""


def test_half_a_character_in_what_is_kept() -> None:
    """A text that every later connection or change of the session would fail at is refused at once."""
    options: dict[str, Any] = {"host_name": "localhost:1", "deployment": "m", "api_key": "k"}
    server = {"server_label": "wiki", "server_url": "https://wiki.example"}
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
    schema = {"type": "object", "properties": {"a": {"enum": [HALF]}}}

    def documented() -> None:
        """"""

    documented.__doc__ = HALF
    calls: dict[str, Callable[[], object]] = {
        "note": lambda: ReconnectPolicy(note=HALF),
        "deployment": lambda: AzureRealTimeOptions(**{**options, "deployment": HALF}),
        "session_config.instructions": lambda: AzureRealTimeOptions(
            **options, session_config={"instructions": HALF}
        ),
        "a name in session_config.tools[0].parameters": lambda: AzureRealTimeOptions(
            **options,
            session_config={"tools": [{"type": "function", "name": "f", "parameters": {HALF: 1}}]},
        ),
        "session_config.new": lambda: AzureRealTimeOptions(
            **options, session_config=SessionConfig(extra={"new": HALF})
        ),
        "headers['x']": lambda: WebSocketOptions(headers={"x": HALF}),
        "description": lambda: Tool(look_up, description=HALF),
        "documented.description": lambda: Tool(documented),
        "look_up.parameters.properties.a.enum[0]": lambda: Tool(look_up, parameters=schema),
        "say_meanwhile": lambda: Tool(look_up, say_meanwhile=HALF),
        "mcp_server.server_label": lambda: McpServer({**server, "server_label": HALF}),
        "mcp_server.server_description": lambda: McpServer({**server, "server_description": HALF}),
        "mcp_server.headers.x": lambda: McpServer({**server, "headers": {"x": HALF}}),
        "mcp_server.authorization": lambda: McpServer({**server, "authorization": HALF}),
        "history[0].content[0].text": lambda: AzureRealTimeAudio(options, history=[("user", HALF)]),
        "history[0].id": lambda: AzureRealTimeAudio(options, history=[{**said, "id": HALF}]),
    }
    for path, call in calls.items():
        with pytest.raises(ValueError, match=rf"^{re.escape(path)} ") as caught:
            call()
        assert HALF not in str(caught.value) or path == "deployment"


def test_paths_that_no_file_has(tmp_path: Path, connect: Connect) -> None:
    """The system's own words name neither the argument nor the path."""
    client = ready(connect)
    options: dict[str, Any] = {"host_name": "localhost:1", "deployment": "m", "api_key": "k"}
    for name in ("a\0b.wav", "a\ud800.wav"):
        path = str(tmp_path / name)
        calls: list[Callable[[], object]] = [
            lambda path=path: client.send_audio_file(path),
            lambda path=path: read_audio(path),
            lambda path=path: read_wav(path),
            lambda path=path: write_audio(path, b""),
            lambda path=path: write_wav(path, b""),
            lambda path=path: WavWriter(path),
            lambda path=path: AzureRealTimeAudio(options, record=path),
        ]
        for call in calls:
            with pytest.raises(ValueError, match=r"^(path|record) is .*no file is named"):
                call()


def test_what_is_refused_changes_nothing(connect: Connect, emulator: Emulator) -> None:
    """Tools can be added, and connections made, after a change that was not one."""
    client = ready(connect, session_config={"modalities": ["text"]})
    client.tools = [look_up]
    client.update_session({}).result(HANG)
    tool = {"type": "function", "name": "by_hand", "parameters": {"type": "object", "properties": {}}}
    number = len(emulator.received("session.update"))
    calls: list[Callable[[], object]] = [
        lambda: client.update_session({"tools": [{**tool, "description": HALF}]}),
        lambda: client.update_session({"tools": [{**tool, "name": ""}]}),
        lambda: client.update_session({"tools": [tool], "temperature": 9.0}),
        lambda: client.become(HALF, tools=[]),
        lambda: client.tools.add(look_up, name="other", description=HALF),
        lambda: client.create_conversation_item(message(HALF)),
        lambda: client.ask(HALF),
        lambda: client.say(HALF),
        lambda: client.send({"type": "session.update", "session": {"instructions": HALF}}),
        lambda: client.truncate_item("item_1", 0, 10**30),
        lambda: client.truncate_item("item_1", 10**30, 0),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"half a character|64 bits|is missing|temperature"):
            call()

    assert len(emulator.received("session.update")) == number
    client.tools.add(look_up, name="by_hand")
    emulator.drop()
    assert client.ask("Hello", timeout=HANG).text
    assert client.session is not None
    assert [one.name for one in client.session.tools or ()] == ["look_up", "by_hand"]  # type: ignore[union-attr]


def test_capitals_in_a_pasted_url() -> None:
    """The path that every resource has is known in any spelling."""
    for host in ("https://res.example.com/OpenAI/V1/realtime", "res.example.com/OPENAI/"):
        options = AzureRealTimeOptions(host_name=host, deployment="m", api_key="k")
        assert options.url == "wss://res.example.com/openai/v1/realtime?model=m"
