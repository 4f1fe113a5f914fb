"""Tools and approvers that do not return: they take no thread from the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from listeners import HANG, Probe

from azure_rt_audio import AzureRealTimeAudio, Tool, ToolContext
from azure_rt_audio._tool_loop import calls, runner
from azure_rt_audio._tool_loop.runner import Runner, Task
from azure_rt_audio.emulator import Conversation, Emulator, FunctionCall, Reply, Session
from azure_rt_audio.events import ToolApprovalRequested, ToolEnded, ToolStarted


def reply(conversation: Conversation, session: Session) -> Reply | str:
    """Call the functions that were named; repeat the results."""
    last = conversation.items[-1]
    if last.type == "function_call_output":
        return f"got {last.output}"
    return Reply(calls=[FunctionCall(name, {}) for name in last.text.split()])


@pytest.fixture(scope="module")
def service() -> Iterator[Emulator]:
    """A service whose model calls."""
    with Emulator(responder=reply, pace=0) as emulator:
        yield emulator


def quick() -> str:
    """Return."""
    return "quick"


def connected(service: Emulator, *tools: Tool) -> AzureRealTimeAudio:
    """Return a client with tools."""
    config = {"modalities": ["text"]}
    return AzureRealTimeAudio(
        {**service.options(), "session_config": config}, tools=[*tools, quick], reconnect=None
    )


@pytest.mark.parametrize("hangs", ["tool", "approver"])
def test_what_was_given_up_takes_no_thread(hangs: str, service: Emulator) -> None:
    """All threads are taken by what never returns: the next call runs all the same."""
    release = threading.Event()

    def hang() -> str:
        release.wait(HANG)
        return ""

    def decide(request: ToolApprovalRequested) -> bool:
        release.wait(HANG)
        return True

    tool = (
        Tool(hang, timeout_s=0.05)
        if hangs == "tool"
        else Tool(hang, needs_approval=decide, approval_timeout_s=0.05)
    )
    with connected(service, tool) as client:
        try:
            assert '"error"' in client.ask(" ".join(["hang"] * runner.THREADS), timeout=HANG).text
            assert client.ask("quick", timeout=HANG).text == "got quick"
        finally:
            release.set()


def test_a_call_that_waits_for_a_thread_has_a_limit(
    service: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is given up in time, never started, and the log says, once, what has taken the threads."""
    monkeypatch.setattr(runner, "THREADS", 1)
    monkeypatch.setattr(calls, "_LONG_WAIT", 0.01)
    release = threading.Event()
    told = Probe()

    def hang() -> str:
        release.wait(HANG)
        return ""

    def never(context: ToolContext) -> str:
        raise AssertionError("nobody waits for it")

    with connected(service, Tool(hang), Tool(never, timeout_s=0.1)) as client:
        client.on(ToolStarted, told)
        with client.events(ToolEnded, timeout=HANG) as ends:
            thread = threading.Thread(target=client.ask, args=("hang never",), kwargs={"timeout": HANG})
            thread.start()
            first = next(ends)
            release.set()
            thread.join(HANG)
        assert client.ask("quick", timeout=HANG).text == "got quick"
    warnings = [record.message for record in caplog.records if "waits for a thread" in record.message]

    assert (first.name, type(first.error)) == ("never", TimeoutError)
    assert [event.name for event in told.until(lambda event: event.name == "quick")] == ["hang", "quick"]
    assert [message.partition(" waits")[0] for message in warnings] == ["! tool never"]
    assert "all 1 threads are taken by: hang;" in warnings[0]


def test_there_are_so_many_that_are_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond that nothing is taken, until one of them returns."""
    monkeypatch.setattr(runner, "THREADS", 2)
    monkeypatch.setattr(runner, "GIVEN_UP", 1)
    threads = Runner("test")
    releases = [threading.Event() for _ in range(3)]
    started = threading.Semaphore(0)
    done = threading.Event()

    def hang(number: int) -> None:
        started.release()
        releases[number].wait(HANG)

    tasks = [Task(f"hang {number}", lambda number=number: hang(number)) for number in range(3)]  # type: ignore[misc]
    for task in tasks:
        assert threads.submit(task)
        assert started.acquire(timeout=HANG)
        threads.give_up(task)
    assert [threads.submit(quick) for _ in range(2)] == [False, False]
    releases[0].set()
    while not threads.submit(done.set):  # its thread is on its way
        pass
    assert done.wait(HANG)
    for release in releases:
        release.set()
    threads.close()

    assert threads.join(HANG)
    assert len([record for record in caplog.records if "no more are run" in record.message]) == 1


def test_the_log_says_whose_threads_they_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of a guard are not called threads of tools."""
    threads, running = Runner("test", "the guard"), threading.Event()

    def fail() -> None:
        running.set()
        raise LookupError

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    assert threads.submit(fail)
    assert running.wait(HANG)
    threads.close()
    assert threads.join(HANG)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        assert not Runner("test", "the guard").submit(fail)
    said = [record.message for record in caplog.records]

    assert said == ["! a job of the guard failed", "! no thread for the guard: can't start new thread"]
