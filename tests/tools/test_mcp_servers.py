"""Calls of MCP servers, which the service runs: listed, approved, followed, and answered once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from listeners import HANG
from simulated_tools import ToolSession

from azure_rt_audio import AzureRealTimeAudio, ConnectionClosedError, McpListingError, McpServer, Tools
from azure_rt_audio.emulator import (
    Conversation,
    Drop,
    Emulator,
    Faults,
    FunctionCall,
    Reply,
    Session,
    Swallow,
    after,
    before,
)
from azure_rt_audio.events import (
    Reconnected,
    ResponseDone,
    ToolApprovalRequested,
    ToolEnded,
    ToolStarted,
)
from azure_rt_audio.protocol.event_filter import event_filter
from azure_rt_audio.protocol.tools import McpTool

PORT = {"server_label": "port", "server_url": "https://port.test/mcp"}
FREE = {**PORT, "require_approval": "never"}


def tide(at: int) -> str:
    """Tell the tide."""
    if at > 24:
        raise ValueError("no such hour")
    return f"high at {at}"


def reply(conversation: Conversation, session: Session) -> Reply | str:
    """Call the tide as often as was asked for, then tell what came of it; with nothing, say so."""
    items = conversation.items
    asked = max((i for i, item in enumerate(items) if item.role == "user"), default=-1)
    wanted = items[asked].text if asked >= 0 else ""
    came = [item for item in items[asked + 1 :] if item.type in ("mcp_call", "function_call_output")]
    if came or not wanted.startswith("tide"):
        told = [
            i.output or str(i.extra.get("output") or i.extra.get("error", {}).get("message")) for i in came
        ]
        return ", ".join(told) or "nothing"
    words = wanted.split()[1:]
    return Reply(calls=[FunctionCall(*(("tide", {"at": int(w)}) if w.isdigit() else (w, {}))) for w in words])


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service that reaches one MCP server."""
    with Emulator(responder=reply, pace=0, mcp_tools={"port": {"tide": tide}}) as emulator:
        yield emulator


Connect = Callable[..., AzureRealTimeAudio]


@pytest.fixture
def client_with(service: Emulator) -> Iterator[Connect]:
    """Makes a client whose tools are these, that has listed those of the server."""
    clients: list[AzureRealTimeAudio] = []

    def make(*tools: Any, **arguments: Any) -> AzureRealTimeAudio:
        client = AzureRealTimeAudio(service.options(), tools=list(tools), **arguments)
        clients.append(client)
        client.wait_for_mcp_tools(HANG)
        return client

    yield make
    for client in clients:
        client.close()


def test_what_a_server_lists_can_be_read(client_with: Connect) -> None:
    """Typed, by the label of the server; the declaration stands beside those of functions."""
    client = client_with(McpServer(FREE))
    (listed,) = client.conversation.mcp_tools["port"]

    assert (listed.name, listed.description) == ("tide", "Tell the tide.")
    assert [server.label for server in client.tools.servers] == ["port"]
    assert len(client.tools) == 0


def test_a_call_is_followed_and_answered(client_with: Connect) -> None:
    """It ends the response, and the answer to it is asked for, as the service does not; failures too."""
    client = client_with(McpServer(FREE))
    with client.events(ToolStarted, ToolEnded, timeout=HANG) as events:
        response = client.ask("tide 5", timeout=HANG)
        started, ended = next(events), next(events)
        failed = client.ask("tide 25", timeout=HANG)
        next(events)
        error = next(events)

    assert response.text == "high at 5"
    assert [getattr(step, "status", None) for step in response.steps] == ["completed"]
    assert isinstance(started, ToolStarted)
    assert isinstance(ended, ToolEnded)
    assert str(started) == 'tide({"at": 5})'
    assert (started.server_label, ended.server_label) == ("port", "port")
    assert (ended.call_id, ended.output, ended.error) == (started.call_id, "high at 5", None)
    assert failed.text == "no such hour"
    assert isinstance(error, ToolEnded)
    assert "no such hour" in str(error.error)


def test_several_calls_have_one_answer(client_with: Connect, service: Emulator) -> None:
    """Calls of a function and of a server, in one response."""

    def port() -> str:
        """Name the port."""
        return "Lisbon"

    client = client_with(McpServer(FREE), port)
    with client.events(ResponseDone) as done:
        text = client.ask("tide 1 port 3", timeout=HANG).text
        assert sorted(text.split(", ")) == ["Lisbon", "high at 1", "high at 3"]
        client.ask("bye", timeout=HANG)
        assert len([next(done) for _ in range(3)]) == 3  # the calls, the answer, and what was asked then


def test_approval_comes_the_same_way(client_with: Connect) -> None:
    """Approved at once, or from another thread later, it runs; denied, the model has the reason."""
    client = client_with(McpServer(PORT))
    requests: list[ToolApprovalRequested] = []
    verdicts: list[bool] = []

    def decide(request: ToolApprovalRequested) -> None:
        requests.append(request)
        if "5" in request.arguments:
            verdicts.extend((request.approve(), request.deny("too late")))
        elif "6" in request.arguments:
            threading.Thread(target=request.approve).start()
        else:
            request.deny("not today")

    client.on(ToolApprovalRequested, decide)
    assert client.ask("tide 5", timeout=HANG).text == "high at 5"
    assert client.ask("tide 6", timeout=HANG).text == "high at 6"
    assert client.ask("tide 5 6", timeout=HANG).text == "high at 5, high at 6"
    with client.events(ToolEnded, timeout=HANG) as ended:
        assert client.ask("tide 7", timeout=HANG).text == "The call was denied: not today"
        assert next(ended).output == "this call was not allowed, and did not run: not today"

    assert verdicts == [True, False] * 2
    assert str(requests[0]) == 'tide({"at": 5})'
    assert requests[0].server_label == "port"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [(True, "high at 5"), (False, "The call was denied."), ("too wet", "The call was denied: too wet")],
)
def test_a_function_may_decide(client_with: Connect, verdict: Any, said: str) -> None:
    """On a thread of the tools."""
    names: list[str] = []

    def approve(request: ToolApprovalRequested) -> Any:
        names.append(threading.current_thread().name)
        return verdict

    client = client_with(McpServer(PORT, approve=approve))
    assert client.ask("tide 5", timeout=HANG).text == said
    assert names[0].startswith("azure-rt-tool-")


def test_who_waits_cannot_decide(client_with: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """``ask()`` in a listener keeps the listeners from being called: the call is denied at once."""
    client = client_with(McpServer(PORT))
    answers: queue.Queue[str] = queue.Queue()
    client.on(ToolApprovalRequested, lambda request: request.approve())
    client.once("init", lambda _: answers.put(client.ask("tide 5", timeout=None).text))
    assert answers.get(timeout=HANG) == "The call was denied: whoever could have decided was not reached"
    assert "pass a function as approve= of the server" in caplog.text


def test_nobody_decides(client_with: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """It is denied after the time, and a cancelled answer denies it at once."""
    client = client_with(McpServer(PORT, approval_timeout_s=0.3))
    text = client.ask("tide 5", timeout=HANG).text
    assert text == "The call was denied: nobody has decided within 0.3 seconds"
    assert "MCP server port needs approval, and nobody listens" in caplog.text
    assert "of MCP server port was denied after 0.3 s: nobody has called request.approve()" in caplog.text

    client.tools = Tools(McpServer(PORT, approval_timeout_s=60))
    with (
        client.events(ToolApprovalRequested, timeout=HANG) as requests,
        client.events(ResponseDone, timeout=HANG) as done,
    ):
        client.create_conversation_item(
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "tide 6"}]}
        )
        pending = client.create_response()
        request = next(requests)
        next(done)  # else the response may come to its end in the moment in which it is cancelled
        pending.cancel()
        assert pending.result(HANG).status == "cancelled"
        assert not request.approve()


def test_a_lost_connection_loses_what_waits_and_the_model_asks_again(
    client_with: Connect, service: Emulator
) -> None:
    """The service of the next connection knows nothing of it: it is told as ended, and asked for again."""
    client = client_with(McpServer(PORT))
    with (
        client.events(ToolApprovalRequested, timeout=HANG) as requests,
        client.events(ToolEnded, timeout=HANG) as ended,
    ):
        client.create_conversation_item(
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "tide 6"}]}
        )
        pending = client.create_response()
        first = next(requests)
        with client.events(Reconnected, timeout=HANG) as reconnected:
            service.drop()
            next(reconnected)
        lost, second = next(ended), next(requests)
        assert not first.approve()
        assert second.approve()
        assert pending.result(HANG).text == "high at 6"

    assert (lost.call_id, lost.output) == (first.call_id, "it was lost with its connection")


def test_a_call_in_progress_is_lost_with_its_connection() -> None:
    """It is told as ended, and the model calls again over the next one, even if ids come again there."""
    never: Future[str] = Future()

    def tide(at: int) -> Any:
        return never if len(service.connections) == 1 else "high"

    faults = Faults(after("response.mcp_call.in_progress", Drop()))
    service = Emulator(responder=reply, pace=0, mcp_tools={"port": {"tide": tide}}, faults=faults, seed=1)
    with service, AzureRealTimeAudio(service.options(), tools=[McpServer(FREE)]) as client:
        client.wait_for_mcp_tools(HANG)
        with client.events(ToolEnded, timeout=HANG) as ended:
            assert client.ask("tide 5", timeout=4 * HANG).text == "high"
            assert [next(ended).output for _ in range(2)] == ["it was lost with its connection", "high"]


def test_a_server_that_cannot_be_reached_is_told(service: Emulator) -> None:
    """By its label, with what to do; the session goes on."""
    errors: list[Any] = []
    is_told = threading.Event()

    def note(error: Any) -> None:
        errors.append(error)
        is_told.set()

    nowhere = McpServer({"server_label": "star", "server_url": "https://star.test/mcp"})
    with AzureRealTimeAudio(service.options(), tools=[nowhere]) as client:
        client.on("error", note)
        assert client.wait_for_mcp_tools(HANG) == {}
        client.tools = [McpServer({**PORT, "server_label": "moon"}), McpServer(PORT)]
        assert list(client.wait_for_mcp_tools(HANG)) == ["port"]
        assert is_told.wait(HANG)
        assert client.ask("hello", timeout=HANG).text == "nothing"
        client.close()

    (error, *_) = [error for error in errors if error.server_label == "moon"]
    assert isinstance(error, McpListingError)
    assert (error.code, error.type) == ("mcp_list_tools_failed", "server_error")
    assert 'could not list the tools of "moon"' in str(error)


def test_waiting_for_lists_is_bounded() -> None:
    """A list that does not come is a time-out that names the server; a closed client has none."""
    faults = Faults(
        before("mcp_list_tools.failed", Swallow(), times=None, count=None),
        before("conversation.item.done", Swallow(), times=None, count=None),
    )
    with Emulator(pace=0, faults=faults) as service:
        client = AzureRealTimeAudio(service.options(), tools=[McpServer(PORT)])
        with (
            client,
            pytest.raises(TimeoutError, match=r"the tools of 'port' were not listed within 0\.2 seconds"),
        ):
            client.wait_for_mcp_tools(0.2)
        with pytest.raises(ConnectionClosedError):
            client.wait_for_mcp_tools(HANG)


def test_what_the_program_does_by_hand_is_left_to_it(service: Emulator) -> None:
    """A server in the session's configuration is answered by the program, as before."""
    by_hand = {"tools": [{"type": "mcp", **PORT}], "modalities": ["text"]}

    def port() -> str:
        """Name the port."""
        return "Lisbon"

    with AzureRealTimeAudio({**service.options(), "session_config": by_hand}, tools=[port]) as client:
        client.on(ToolApprovalRequested, lambda request: request.approve())
        response = client.ask("tide 5", timeout=HANG)
        assert [item.type for item in response.output or ()] == ["mcp_call"]
        with pytest.raises(ValueError, match="MCP server 'port' is in the tools of the session"):
            client.tools.add(McpServer(PORT))


def test_what_cannot_be_is_refused_at_once(service: Emulator) -> None:
    """Equal labels, unknown fields, times, and the dialect that has no MCP."""
    server = McpServer(PORT)
    assert Tools(server).servers == [server]
    tools = Tools(McpTool(**PORT))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="already an MCP server 'port'"):
        tools.add(server)
    tools.remove("port")
    tools.add(McpTool(server_label="port"), approval_timeout_s=5)
    assert tools.servers[0].approval_timeout_s == 5
    with pytest.raises(TypeError, match="give them to McpServer"):
        Tools().add(server, approval_timeout_s=5)
    with pytest.raises(ValueError, match="approval_timeout_s must be more than 0"):
        McpServer(PORT, approval_timeout_s=0)
    with pytest.raises(ValueError, match="server_lable"):
        McpServer({"server_lable": "x"})
    with pytest.raises(TypeError, match="must be a McpTool or a mapping"):
        McpServer("port")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="MCP tools and items exist on GA only"):
        AzureRealTimeAudio(service.options("preview"), tools=[server])


class TideSession(ToolSession):
    """A simulated session whose model calls the tide once."""

    def _respond(self, conversation: Conversation, session: Session) -> Any:
        is_answered = any(item.type == "mcp_approval_response" for item in conversation)
        return "high" if is_answered else Reply(calls=[FunctionCall("tide", {"at": 5})])


def test_a_service_that_waits_for_a_response_to_run_what_was_approved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that does not run it by itself within 5 s is asked for a response."""
    monkeypatch.setattr("azure_rt_audio.emulator.session.mcp.McpCalls.decide", lambda *_: iter(()))
    session = TideSession(1, tools=Tools(McpServer(PORT)))
    session.service.behaviour = replace(session.service.behaviour, mcp_tools={"port": {"tide": tide}})
    engine = session.engine
    engine.listeners.add(
        event_filter(ToolApprovalRequested), lambda one: one.approve(), engine.dispatcher, once=False
    )
    session.run(1)
    session.service.change_session(tools=[{"type": "mcp", **PORT}])
    pending = session.ask("tide")
    session.run(4)
    assert not pending.done
    session.run(8)
    assert pending.result(0).text == "high"
    assert session.errors == []
    assert session.is_quiet()


def test_a_call_that_is_cut_off() -> None:
    """It does not run, and is waited for by nobody: neither the session nor the next answer."""
    session = TideSession(1, tools=Tools(McpServer(PORT)))
    session.service.behaviour = replace(session.service.behaviour, mcp_tools={"port": {"tide": tide}})
    session.run(1)
    session.service.change_session(tools=[{"type": "mcp", **PORT}], max_output_tokens=1)
    pending = session.ask("tide")
    session.run(4)

    assert pending.result(0).status == "incomplete"
    assert session.is_quiet()
