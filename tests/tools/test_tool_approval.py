"""Calls that have to be approved before they run."""

from __future__ import annotations

import gc
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from listeners import HANG
from simulated_tools import ToolSession, lookup

from azure_rt_audio import AzureRealTimeAudio, McpServer, QueueDispatcher, Tool, Tools
from azure_rt_audio._concurrency.deadline import Deadline
from azure_rt_audio._guard import check_guard
from azure_rt_audio.dispatch import Dispatcher, InlineDispatcher
from azure_rt_audio.emulator import Conversation, Emulator, FunctionCall, Reply, Session
from azure_rt_audio.events import ToolApprovalRequested, ToolStarted
from azure_rt_audio.protocol.event_filter import event_filter

CALL = FunctionCall("pay", {"amount": 5})


def reply(conversation: Conversation, session: Session) -> Reply | str:
    """Pay, and say what came of it."""
    last = conversation.items[-1]
    return (last.output or "") if last.type == "function_call_output" else Reply(calls=[CALL])


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service whose model pays."""
    with Emulator(responder=reply, pace=0) as emulator:
        yield emulator


paid: list[int] = []


def pay(amount: int) -> str:
    """Pay."""
    paid.append(amount)
    return "paid"


def test_an_approved_call_runs(service: Emulator) -> None:
    """From any thread, once: later decisions are told that they are too late. It has not begun before."""
    paid.clear()
    seen: list[Any] = []

    def decide(request: ToolApprovalRequested) -> None:
        seen.append((request.name, request.arguments, list(paid)))
        seen.extend((request.approve(), request.deny("no"), request.approve()))

    with AzureRealTimeAudio(service.options(), tools=[Tool(pay, needs_approval=True)]) as client:
        client.on("tool_approval_requested", decide)
        with client.events(ToolStarted, timeout=HANG) as started:
            assert client.ask("pay", timeout=HANG).text == "paid"
            assert next(started).name == "pay"

    assert seen[0][2] == []  # not before
    assert seen[1:] == [True, False, False]
    assert paid == [5]


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (True, "paid"),
        (False, "not allowed, and did not run"),
        ("too much", "not allowed, and did not run: too much"),
    ],
)
def test_a_function_may_decide(service: Emulator, verdict: Any, said: str) -> None:
    """On a thread of the tools; it returns whether, or why not."""
    names: list[str] = []

    def decide(request: ToolApprovalRequested) -> Any:
        names.append(threading.current_thread().name)
        return verdict

    with AzureRealTimeAudio(service.options(), tools=[Tool(pay, needs_approval=decide)]) as client:
        assert said in client.ask("pay", timeout=HANG).text
    assert names[0].startswith("azure-rt-tool-")


class Unanswerable:
    """A verdict that no question can be put to."""

    def __bool__(self) -> bool:
        raise ValueError("neither yes nor no")

    @property
    def __class__(self) -> Any:
        raise ValueError("of no class")


async def refuse(request: ToolApprovalRequested) -> bool:
    """Decide, if anybody awaits it."""
    return False


WRONG: dict[str, Callable[[ToolApprovalRequested], Any]] = {
    "coroutine": lambda request: refuse(request),
    "dict": lambda request: {"approved": False},
    "tuple": lambda request: (False, "no"),
    "bytes": lambda request: b"no",
    "ValueError": lambda request: ValueError("no"),
    "int": lambda request: 1,
    "ndarray": lambda request: np.array([True, False]),
    "Unanswerable": lambda request: Unanswerable(),
}


@pytest.mark.filterwarnings("error")  # of a coroutine that was never awaited
@pytest.mark.parametrize("kind", WRONG)
def test_only_true_approves(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """What a function must not return is a no, told in the log; so is that of an MCP server."""
    decided: list[Any] = []
    request = ToolApprovalRequested(
        call_id="c", name="pay", arguments="{}", decide=lambda *verdict: decided.append(verdict)
    )
    Tool(pay, needs_approval=WRONG[kind])._ask_approver(request)
    McpServer({"server_label": "bank"}, approve=WRONG[kind])._ask_approver(request)
    gc.collect()
    assert decided == [(False, None)] * 2
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 2
    assert f"the approval of tool pay returned {kind}, and it does not run" in caplog.text
    assert f"the approval of a call of MCP server bank returned {kind}" in caplog.text


def test_an_object_that_decides_may_be_false(service: Emulator) -> None:
    """Such as a list of rules without any: it is asked all the same."""

    class Rules(list[str]):
        def __call__(self, request: ToolApprovalRequested) -> str:
            return "no rule allows it"

    paid.clear()
    with AzureRealTimeAudio(service.options(), tools=[Tool(pay, needs_approval=Rules())]) as client:
        assert "did not run: no rule allows it" in client.ask("pay", timeout=HANG).text
    assert paid == []


def test_a_function_that_fails_or_decides_later(service: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """A failure is logged, and no approval; ``None`` leaves it to the request."""
    requests: list[ToolApprovalRequested] = []
    is_there = threading.Event()

    def keep(request: ToolApprovalRequested) -> None:
        requests.append(request)
        is_there.set()

    def fail(request: ToolApprovalRequested) -> bool:
        raise ValueError("no keyboard")

    with AzureRealTimeAudio(service.options(), tools=[Tool(pay, needs_approval=keep)]) as client:
        threading.Thread(target=lambda: is_there.wait(HANG) and requests[0].deny("not today")).start()
        assert client.ask("pay", timeout=HANG).text.endswith('did not run: not today"}')
        client.tools = [Tool(pay, needs_approval=fail)]
        assert "not allowed" in client.ask("pay", timeout=HANG).text
    assert "the approval of tool pay failed" in caplog.text


def test_nobody_decides(caplog: pytest.LogCaptureFixture) -> None:
    """The call is denied after the time; that nobody listens is logged at once; the user talks meanwhile."""
    tools = Tools(Tool(lookup, needs_approval=True, approval_timeout_s=3.0, timeout_s=1.0))
    session = ToolSession(1, tools=tools)
    session.run(1)
    pending = session.ask("call 1")
    session.run(2)
    other = session.ask("hello")
    session.run(10)

    assert "nobody listens to 'tool_approval_requested'" in caplog.text
    assert "a call of tool lookup was denied after 3 s: nobody has called request.approve()" in caplog.text
    assert other.result(0).text == "answer to hello"
    assert "did not run: nobody has decided within 3 seconds" in pending.result(0).text
    assert session.errors == []
    assert session.is_quiet()


def test_a_slow_approval_is_not_the_tools_time() -> None:
    """``timeout_s`` counts from the approval."""
    tools = Tools(Tool(lookup, needs_approval=True, timeout_s=1.0))
    session = ToolSession(1, tools=tools, seconds=lambda number: 0.5)
    engine = session.engine
    engine.listeners.add(
        event_filter(ToolApprovalRequested),
        lambda request: session.at(20, request.approve),
        engine.dispatcher,
        once=False,
    )
    session.run(1)
    pending = session.ask("call 2")
    session.run(30)

    assert pending.result(0).text == "answer to looked up 2"
    assert session.errors == []


def test_a_cancelled_answer_needs_no_approval_any_more() -> None:
    """The call has its output, and the request is over."""
    requests: list[ToolApprovalRequested] = []
    session = ToolSession(1, tools=Tools(Tool(lookup, needs_approval=True)))
    engine = session.engine
    engine.listeners.add(event_filter(ToolApprovalRequested), requests.append, engine.dispatcher, once=False)
    session.run(1)
    pending = session.ask("call 1")
    session.run(2)
    pending.cancel()
    session.run(2)

    assert pending.result(0).status == "cancelled"
    assert not requests[0].approve()
    assert session.outputs_of_calls() == {"call_1": 1}
    assert session.errors == []


def test_who_waits_cannot_decide(service: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """``ask()`` in a listener keeps the listeners from being called: it is denied at once, not after 60 s."""
    paid.clear()
    answers: queue.Queue[str] = queue.Queue()
    with AzureRealTimeAudio(service.options(), tools=[Tool(pay, needs_approval=True)]) as client:
        client.on(ToolApprovalRequested, lambda request: request.approve())
        client.once("init", lambda _: answers.put(client.ask("pay", timeout=None).text))
        assert "whoever could have decided was not reached" in answers.get(timeout=HANG)
    assert "run on the thread that waits for the answer" in caplog.text
    assert "pass a function as needs_approval= of the tool" in caplog.text
    assert paid == []


def test_the_thread_of_a_queue_cannot_decide_while_it_waits(service: Emulator) -> None:
    """Nor in the loop over the answer's text."""
    with AzureRealTimeAudio(
        service.options(), dispatcher=QueueDispatcher(), tools=[Tool(pay, needs_approval=True)]
    ) as client:
        client.on(ToolApprovalRequested, lambda request: request.approve())
        client.run_pending()
        client.create_conversation_item(
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "pay"}]}
        )
        assert "was not reached" in "".join(client.create_response().text(None))


class Queue(QueueDispatcher):
    """Of a thread that is known."""

    def __init__(self, *threads: int) -> None:
        super().__init__()
        self.threads = threads

    def serves(self, thread_id: int) -> bool:
        return thread_id in self.threads


@pytest.mark.parametrize(
    ("dispatchers", "seconds", "is_over"),
    [
        ([Queue(1)], None, True),
        ([Queue(1)], 61, True),
        ([Queue(1), Queue(1, 2)], 61, True),
        ([Queue(1)], 50, False),  # the wait is over before the time to decide, and the thread may go on then
        ([Queue(1), Queue(2)], None, False),
        ([Queue(1), InlineDispatcher()], None, False),  # of which nothing is known, and somebody has it
        ([Queue(), Queue(1)], None, False),
    ],
)
def test_when_waiting_decides(dispatchers: list[Dispatcher], seconds: float | None, is_over: bool) -> None:
    """Only if no listener can be called before the time is over."""
    tools = Tools(Tool(lookup, needs_approval=True, approval_timeout_s=60))
    session = ToolSession(1, tools=tools)
    for dispatcher in dispatchers:
        subject = event_filter(ToolApprovalRequested)
        session.engine.listeners.add(subject, lambda request: None, dispatcher, once=False)
    session.run(1)
    pending = session.ask("call 1")
    pending._waits[1] = Deadline(seconds, pending._clock)
    session.run(5)

    assert pending.done is is_over
    assert session.errors == []


def test_a_caller_who_has_the_request_may_decide() -> None:
    """Who iterates over the requests is asked as well, whatever the listeners' thread does."""
    session = ToolSession(1, tools=Tools(Tool(lookup, needs_approval=True)))
    engine, subject = session.engine, event_filter(ToolApprovalRequested)
    engine.listeners.add(subject, print, Queue(1), once=False)
    requests = engine.waits.stream((subject,), None, HANG)
    session.run(1)
    pending = session.ask("call 1")
    pending._waits[1] = Deadline(None)
    session.run(5)
    assert not pending.done
    next(requests).approve()
    session.run(5)

    assert pending.result(0).text == "answer to looked up 1"


def test_listeners_that_were_not_called(caplog: pytest.LogCaptureFixture) -> None:
    """The log does not say that they have failed to decide."""
    session = ToolSession(1, tools=Tools(Tool(lookup, needs_approval=True, approval_timeout_s=3.0)))
    session.engine.listeners.add(event_filter(ToolApprovalRequested), print, QueueDispatcher(), once=False)
    session.run(1)
    pending = session.ask("call 1")
    session.run(10)

    assert "nobody has decided within 3 seconds" in pending.result(0).text
    assert (
        "denied after 3 s: the listeners of 'tool_approval_requested' have not been called yet" in caplog.text
    )
    assert "nobody has called" not in caplog.text


def test_times_that_cannot_be() -> None:
    """They are refused where they are written."""
    with pytest.raises(ValueError, match="approval_timeout_s must be more than 0"):
        Tool(pay, needs_approval=True, approval_timeout_s=0)


async def later(request: object) -> bool:
    """Approve."""
    return True


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda: True, "accept one argument"),
        (lambda a, b: True, "accept one argument"),
        (later, "not be async"),
    ],
)
def test_functions_that_cannot_be_called_as_they_will_be(function: Any, fault: str) -> None:
    """They are refused when they are given, not with the first call; a coroutine would count as a yes."""
    with pytest.raises(TypeError, match=f"needs_approval must .*{fault}"):
        Tool(pay, needs_approval=function)
    with pytest.raises(TypeError, match=f"approve must .*{fault}"):
        McpServer({"server_label": "port", "server_url": "https://port.example/mcp"}, approve=function)
    with pytest.raises(TypeError, match=f"guard must .*{fault}"):
        check_guard(function)
