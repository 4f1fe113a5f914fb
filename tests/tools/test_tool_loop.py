"""A client with tools and the service: calls are run, outputs sent, and the final answer is returned."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from interloper import Interloper
from listeners import HANG, TONE, Connect

from azure_rt_audio import (
    AzureRealTimeAudio,
    ConnectionClosedError,
    FunctionTool,
    InlineDispatcher,
    MessageItem,
    Response,
    ServiceError,
    Tool,
    ToolContext,
    Tools,
)
from azure_rt_audio._tool_loop.catalogue import Catalogue
from azure_rt_audio.emulator import (
    Conversation,
    Emulator,
    Faults,
    FunctionCall,
    Reply,
    SendRaw,
    Session,
    Swallow,
    before,
)
from azure_rt_audio.events import ToolEnded, ToolProgress, ToolStarted


def reply(conversation: Conversation, session: Session) -> Reply | str:
    """Do what was written: ``call name {"a": 1}; name {}`` calls functions; results are repeated."""
    last = conversation.items[-1]
    if last.type == "function_call_output":
        latest = itertools.takewhile(
            lambda item: item.type == "function_call_output", conversation.items[::-1]
        )
        said = next((output for item in latest if (output := item.output or "").startswith("call ")), "")
        if not said or session.tool_choice == "none":
            outputs = [
                item.output or "" for item in conversation.items if item.type == "function_call_output"
            ]
            return f"results: {' | '.join(outputs)}"
    else:
        said = last.text
    if not said.startswith("call "):
        return f"no call in {said}"
    wanted = [part.strip().partition(" ") for part in said.removeprefix("call ").split(";")]
    return Reply(calls=[FunctionCall(name, orjson.loads(given or "{}")) for name, _, given in wanted])


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service that calls what it is told to."""
    with Emulator(responder=reply, pace=0) as emulator:
        yield emulator


def connected(service: Emulator, *tools: Any, dialect: str = "ga", **facts: Any) -> AzureRealTimeAudio:
    """Return a client with tools."""
    options = {
        **service.options(dialect),
        "session_config": {"modalities": ["text"], **facts.pop("session", {})},
    }
    return AzureRealTimeAudio(options, tools=tools, **facts)


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def again(count: int) -> str:
    """Have itself called again, so many times."""
    return f'call again {{"count": {count - 1}}}' if count else "done"


def test_ask_returns_the_final_answer(service: Emulator, dialect: str) -> None:
    """Calls are run and answered; the steps have the way there, in order."""
    with connected(service, add, dialect=dialect) as client:
        response = client.ask('call add {"a": 1}; add {"a": 2, "b": 3}', timeout=HANG)
        first, *outputs = response.steps

    assert response.text in ("results: 2 | 5", "results: 5 | 2")  # in the order in which they were done
    assert isinstance(first, Response)
    assert [call.name for call in first.function_calls] == ["add", "add"]
    assert sorted(step.output for step in outputs if not isinstance(step, Response)) == ["2", "5"]
    assert response.function_calls == []


def test_a_handle_goes_on_through_all_rounds(service: Emulator) -> None:
    """Its text is that of all responses, its events are those of all, and its result is the last."""
    with connected(service, again) as client:
        client.create_conversation_item(
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": 'call again {"count": 2}'}],
            }
        )
        pending = client.create_response()
        assert "".join(pending.text(HANG)).startswith("results: ")
        response = pending.result(HANG)
        kinds = [event.type for event in pending]

    assert response.text.endswith("done")
    assert (kinds.count("response.created"), kinds.count("response.done")) == (4, 4)
    assert [isinstance(step, Response) for step in response.steps] == [True, False] * 3


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_beginning_of_a_response_is_lost(count: int, dialect: str) -> None:
    """Its end tells what it answers: of a question, of a follow-up that calls again, and of the last one."""
    faults = Faults(before("response.created", Swallow(), count=count))
    with (
        Emulator(responder=reply, pace=0, faults=faults) as service,
        connected(service, again, dialect=dialect) as client,
    ):
        response = client.ask('call again {"count": 1}', timeout=HANG)
        following = client.ask('call again {"count": 0}', timeout=HANG)

    assert response.text == 'results: call again {"count": 0} | done'
    assert [isinstance(step, Response) for step in response.steps] == [True, False] * 2
    assert following.text.endswith("| done")


@pytest.mark.parametrize("end", [{}, {"response": {}}, {"response": {"status": "finished"}}], ids=str)
def test_the_end_of_a_response_says_little(end: dict[str, Any], dialect: str) -> None:
    """Its calls are answered all the same: what is in progress ends, and well, unless it says otherwise."""
    raw = SendRaw(json.dumps({"type": "response.done", **end}))
    with (
        Emulator(responder=reply, pace=0, faults=Faults(before("response.done", raw, Swallow()))) as service,
        connected(service, again, dialect=dialect) as client,
    ):
        response = client.ask('call again {"count": 0}', timeout=HANG)

    assert response.text == "results: done"


def test_rounds_have_a_limit(service: Emulator) -> None:
    """The last answer is asked for with ``tool_choice="none"``; as long as that holds, there are no calls."""
    with connected(service, again, max_tool_rounds=2) as client:
        response = client.ask('call again {"count": 9}', timeout=HANG)

    assert len([step for step in response.steps if isinstance(step, Response)]) == 2
    assert response.is_completed
    assert "results: " in response.text


def test_a_model_that_goes_on_calling_is_stopped() -> None:
    """Calls beyond the limit have an output that says so, and no further answer is asked for."""
    endless = Emulator(
        responder=lambda conversation, session: Reply(calls=[FunctionCall("add", {"a": 1})]), pace=0
    )
    with (
        endless as service,
        connected(service, add, max_tool_rounds=1) as client,
        client.events("conversation.item.added", timeout=HANG) as added,
    ):
        response = client.ask("go on", timeout=HANG)
        outputs: list[str] = []
        while len(outputs) < 2:
            item = next(added).item
            outputs += [item.output] if item.type == "function_call_output" else []

    assert [call.name for call in response.function_calls] == ["add"]
    assert outputs[0] == "2"
    assert "no more functions can be called" in outputs[1]


def test_the_model_may_answer_although_it_had_to_call(service: Emulator) -> None:
    """After ``tool_choice="required"`` the answer is asked for with ``"auto"``, else as the question."""
    with connected(service, add) as client:
        client.ask(
            'call add {"a": 1}', response={"tool_choice": "required", "instructions": "Shout."}, timeout=HANG
        )
        asked = service.received("response.create")

    assert [command["response"].get("tool_choice") for command in asked] == ["required", "auto"]
    assert [command["response"].get("instructions") for command in asked] == ["Shout.", "Shout."]


def test_never_leaves_the_answer_to_the_program(service: Emulator) -> None:
    """Outputs are sent all the same."""
    with connected(service, add, follow_up="never") as client:
        with client.events(ToolEnded, timeout=HANG) as ended:
            response = client.ask('call add {"a": 1}', timeout=HANG)
            assert next(ended).output == "2"
        assert [call.name for call in response.function_calls] == ["add"]
        assert client.create_response().result(HANG).text == "results: 2"


def test_calls_of_functions_by_hand_are_the_programs(service: Emulator) -> None:
    """The answer is the program's to ask for then; its calls are not run, and unknown ones are answered."""
    by_hand = FunctionTool(name="mine", parameters={"type": "object"})
    with connected(service, add, session={"tools": [by_hand]}) as client:
        with client.events(ToolEnded, timeout=HANG) as ended:
            response = client.ask('call add {"a": 1}; mine {}', timeout=HANG)
            assert next(ended).name == "add"
        call = response.function_calls[1]
        client.create_conversation_item(
            {"type": "function_call_output", "call_id": call.call_id, "output": "by hand"}
        )
        assert client.create_response().result(HANG).text == "results: 2 | by hand"
        unknown = client.ask("call none {}", timeout=HANG).text
        other = client.ask("call theirs {}", response={"tools": [{"name": "theirs"}]}, timeout=HANG)

    assert "there is no function 'none'; known are add" in unknown
    assert other.function_calls[0].name == "theirs"


def test_equal_names_are_refused(service: Emulator) -> None:
    """In the constructor, in a change of the session, and in a change of the tools."""
    by_hand = {"tools": [{"name": "add"}]}
    with pytest.raises(ValueError, match="'add' is in the tools of the session's configuration"):
        connected(service, add, session=by_hand)
    with connected(service, add) as client:
        with pytest.raises(ValueError, match="'add' is in the tools"):
            client.update_session(by_hand)
        client.update_session({"tools": [{"name": "mine"}]}).result(HANG)
        with pytest.raises(ValueError, match="'mine' is in the tools"):
            client.tools.add(Tool(add, name="mine"))
        with pytest.raises(ValueError, match="'mine' is in the tools"):
            client.tools = [Tool(add, name="mine")]
        assert [tool.name for tool in client.tools] == ["add"]
    for wrong, said in (({"follow_up": "no"}, "follow_up"), ({"max_tool_rounds": 0}, "at least 1")):
        with pytest.raises(ValueError, match=said):
            connected(service, add, **wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="tools must be functions in a list"):
        AzureRealTimeAudio(service.options(), tools=3)  # type: ignore[arg-type]


def names_declared(client: AzureRealTimeAudio) -> list[str]:
    """Return the names that the session has, as the service says."""
    assert client.session is not None
    return [tool.name for tool in client.session.tools or () if isinstance(tool, FunctionTool) and tool.name]


def test_the_session_follows(service: Emulator) -> None:
    """Tools are added, removed and replaced at any time, beside those by hand; clients may share a set."""
    shared = Tools()
    with (
        AzureRealTimeAudio(service.options(), tools=shared) as client,
        AzureRealTimeAudio(service.options(), tools=shared) as other,
    ):
        with client.events("session.updated", timeout=HANG) as updated:
            shared.add(add)
            next(updated)
            assert names_declared(client) == ["add"]
            assert client.ask('call add {"a": 1}', timeout=HANG).text == "results: 2"
            client.update_session({"tools": [{"name": "mine"}]}).result(HANG)
            next(updated)
            assert names_declared(client) == ["mine", "add"]
            client.tools = [again]
            next(updated)
            assert names_declared(client) == ["mine", "again"]
            client.tools.remove("again")
            next(updated)
            assert names_declared(client) == ["mine"]
        assert other.ask('call add {"a": 2}', timeout=HANG).text == "results: 3"
    shared.add(again)  # of clients that are closed, nobody is told


def test_a_refused_change_by_hand_is_taken_back(service: Emulator) -> None:
    """Also of one that was made before the refusal came: nothing declared later is refused with it."""
    refused = {"tools": [{"name": "mine"}], "voice": "nobody"}
    changes: list[Any] = []
    with connected(service, add) as client:
        with pytest.raises(ServiceError, match="nobody"):
            client.update_session(refused).result(HANG)
        with client.events("session.updated", timeout=HANG) as updated:
            client.tools.add(again)
            next(updated)
            assert names_declared(client) == ["add", "again"]

        @client.once("response.done", dispatcher=InlineDispatcher())
        def change(event: object) -> None:  # on the I/O thread: no answer comes between these two
            changes.append(client.update_session(refused))
            client.tools.remove("again")

        with client.events("session.updated", timeout=HANG) as updated:
            client.ask("hello", timeout=HANG)
            next(updated)
            next(updated)
            assert names_declared(client) == ["add"]
        assert isinstance(changes[0].exception(HANG), ServiceError)


def test_refusals_by_hand_in_any_order() -> None:
    """The latest change that was not refused counts; one that is in force is not taken back any more."""
    catalogue = Catalogue(Tools(add), [FunctionTool(name="first")])

    def names() -> list[str | None]:
        return [tool.name for tool in catalogue.declarations if isinstance(tool, FunctionTool)]

    one = catalogue.change_by_hand([FunctionTool(name="one")])
    assert names() == ["one", "add"]  # a change of the client's tools: it goes with those of the other
    two = catalogue.change_by_hand([FunctionTool(name="two")])
    assert not catalogue.take_back_by_hand(one)  # the second one stands in its place
    assert catalogue.take_back_by_hand(two)
    assert names() == ["first", "add"]
    three, four = (catalogue.change_by_hand([FunctionTool(name=name)]) for name in ("three", "four"))
    catalogue.keep_by_hand(three)
    assert not catalogue.take_back_by_hand(four)
    assert not catalogue.take_back_by_hand(three)
    assert names() == ["three", "add"]


@pytest.mark.parametrize("history", [None, [("user", "Hello")]], ids=["anew", "with a history"])
def test_a_client_that_is_not_ready_holds_up_nobody(history: Any) -> None:
    """The others of a set are told at once, and it before its first command."""
    connects, shared = threading.Event(), Tools()

    def credential() -> str:
        assert connects.wait(HANG)
        return "token"

    with (
        Emulator(responder=reply, pace=0, tokens=["token"]) as service,
        contextlib.closing(
            AzureRealTimeAudio(
                {**service.options(), "api_key": None, "credential": credential},
                tools=shared,
                history=history,
            )
        ) as late,
        AzureRealTimeAudio(service.options(), tools=shared) as client,
        client.events("session.updated", timeout=HANG) as updated,
    ):
        shared.add(add)
        next(updated)
        assert names_declared(client) == ["add"]
        assert not late.is_initialized
        connects.set()
        assert late.ask('call add {"a": 1}', timeout=HANG).text == "results: 2"


def test_a_client_that_cannot_be_told_holds_up_nobody(
    service: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its send backlog is full: the log says so, and the others are told. So they are if one refuses."""
    shared = Tools()

    def full(*_: object) -> None:
        raise TimeoutError("no room")

    def refuse() -> None:
        raise ValueError("too large")

    with (
        AzureRealTimeAudio(service.options(), tools=shared) as stalled,
        AzureRealTimeAudio(service.options(), tools=shared) as client,
        client.events("session.updated", timeout=HANG) as updated,
    ):
        monkeypatch.setattr(stalled._engine.configuration, "update", full)
        shared.add(add)
        next(updated)
        assert "the session was not told of its tools: no room" in caplog.text
        monkeypatch.setattr(stalled._tools, "on_change", refuse)
        with pytest.raises(ValueError, match="too large"):
            shared.remove("add")
        next(updated)
        assert names_declared(client) == []


def test_events_tell_what_happens(service: Emulator) -> None:
    """A call begins, tells how far it is, and ends; an exception is in the event and not on the wire."""

    def work(context: ToolContext) -> str:
        context.progress("half")
        raise ValueError("password=hunter2")

    told: list[Any] = []
    with connected(service, work) as client:
        for kind in (ToolStarted, ToolProgress, ToolEnded):
            client.on(kind, told.append)
        text = client.ask("call work {}", timeout=HANG).text
    started, progress, ended = told

    assert "the function failed" in text
    assert (started.type, started.name, started.arguments) == ("tool_started", "work", "{}")
    assert (progress.type, progress.text, progress.call_id) == ("tool_progress", "half", started.call_id)
    assert (ended.type, str(ended.error)) == ("tool_ended", "password=hunter2")
    assert "hunter2" not in str(service.received())


def test_a_tool_may_use_the_client(service: Emulator) -> None:
    """All but a question of its own in the conversation, which is refused with what to do."""
    said: list[str] = []

    def look(context: ToolContext) -> str:
        client = context.client
        client.update_session({"instructions": "Whisper."}).result(HANG)
        said.append(client.ask("hello", response={"conversation": "none"}, timeout=HANG).text)
        with pytest.raises(RuntimeError, match=r"ask\(\) in tool look\(\).*conversation"):
            client.ask("hello")
        return threading.current_thread().name

    with connected(service, look) as client:
        text = client.ask("call look {}", timeout=HANG).text

    assert text.startswith("results: azure-rt-tool-")
    assert len(said) == 1


def test_an_executor_runs_it_elsewhere(service: Emulator) -> None:
    """On threads of the program's, or in processes; one that was shut down is a failure of the tool."""
    with ThreadPoolExecutor(1, "pool") as pool, ProcessPoolExecutor(1) as processes:
        tools = [
            Tool(lambda: threading.current_thread().name, name="where", executor=pool),
            Tool(add, executor=processes),
        ]
        with connected(service, *tools) as client:
            assert client.ask("call where {}", timeout=HANG).text == "results: pool_0"
            assert client.ask('call add {"a": 1}', timeout=HANG).text.endswith("| 2")
            assert "arguments.a must be" in client.ask('call add {"a": ""}', timeout=HANG).text
            pool.shutdown()
            assert client.ask("call where {}", timeout=HANG).text.endswith('failed; no more is known"}')


def test_many_calls_run_at_once(service: Emulator) -> None:
    """Fifty of one response, eight at a time."""
    gate, lock, now = threading.Barrier(8), threading.Lock(), [0, 0]

    def count(n: int) -> int:
        with lock:
            now[0] += 1
            now[1] = max(now)
        if n < 8:
            gate.wait(HANG)
        with lock:
            now[0] -= 1
        return n

    with connected(service, count) as client:
        text = client.ask("call " + "; ".join(f'count {{"n": {n}}}' for n in range(50)), timeout=HANG).text

    assert sorted(map(int, text.removeprefix("results: ").split(" | "))) == list(range(50))
    assert now[1] == 8


PNG = b"\x89PNG\r\n\x1a\n"


def test_images_follow_as_a_message(
    service: Emulator, dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the protocol knows images; elsewhere the log says that they were not sent."""
    with connected(service, Tool(lambda: PNG, name="plot"), dialect=dialect) as client:
        response = client.ask("call plot {}", timeout=HANG)
        roles = [entry.role for entry in client.conversation.entries]

    assert response.is_completed
    assert roles == (
        ["user", None, None, "user", "assistant"] if dialect == "ga" else ["user", None, None, "assistant"]
    )
    assert ("images of tool plot were not sent" in caplog.text) == (dialect == "preview")


def test_nothing_comes_between_an_output_and_its_images(service: Emulator) -> None:
    """What another thread sends at that moment comes after both."""
    with connected(service, Tool(lambda: PNG, name="plot")) as client:
        interloper = Interloper(client, "function_call_output")
        client.ask("call plot {}", timeout=HANG)
        kinds = [
            command["item"]["content"][0]["type"] if "content" in command["item"] else "output"
            for command in service.received("conversation.item.create")
        ]

    assert interloper.has_come
    assert kinds == ["input_text", "output", "input_image", "input_text"]


@pytest.mark.parametrize("follow_up", ["auto", "never"])
def test_a_background_tool_returns_an_image(service: Emulator, dialect: str, follow_up: Any) -> None:
    """The message with its result has it; where the protocol knows no images, it says that none follows."""
    is_told = threading.Event()
    plot = Tool(lambda: is_told.wait(HANG) and PNG, name="plot", background=True)
    with (
        connected(service, plot, dialect=dialect, follow_up=follow_up) as client,
        client.events("conversation.item.created", timeout=HANG) as created,
    ):
        client.ask("call plot {}", timeout=HANG)
        is_told.set()
        told = next(
            message
            for event in created
            if isinstance(message := event.item, MessageItem) and "which was called before" in message.text
        )

    kinds = [part.type for part in told.content or ()]
    if dialect == "ga":
        assert (told.role, kinds) == ("user", ["input_text", "input_image"])
    else:
        assert (told.role, kinds) == ("system", ["input_text"])
        assert "no image follows" in told.text


def test_cancelling_tells_the_tools(service: Emulator) -> None:
    """A handle that is cancelled while a tool runs ends at once; the call has its output, and no answer."""
    started, cancelled = threading.Event(), threading.Event()

    def wait(context: ToolContext) -> str:
        started.set()
        cancelled.set() if context.cancelled.wait(HANG) else None
        return "late"

    with connected(service, wait) as client:
        with client.events("conversation.item.added", timeout=HANG) as added:
            pending = client._engine.questions.ask(message("call wait {}"), None, client)
            assert started.wait(HANG)
            pending.cancel()
            response = pending.result(HANG)
            assert response.status == "cancelled" or response.function_calls  # it was over already
            assert cancelled.wait(HANG)
            while next(added).item.type != "function_call_output":
                pass
        assert client.ask("hello", timeout=HANG).text == "no call in hello"
        with pytest.raises(TimeoutError, match=r"longer than 0\.3 seconds and was cancelled"):
            client.ask("call wait {}", timeout=0.3)


def message(text: str) -> Any:
    """Return a message of the user's."""
    from azure_rt_audio import ContentPart, MessageItem

    return MessageItem(role="user", content=[ContentPart(type="input_text", text=text)])


def test_close_tells_tools_and_does_not_wait_for_long(service: Emulator) -> None:
    """Who waits for an answer is told; what waits is not begun; a tool that runs on is not waited for."""
    started, release, told = threading.Event(), threading.Event(), threading.Event()

    def block(context: ToolContext) -> str:
        started.set()
        context.cancelled.wait(HANG)
        told.set()
        release.wait(HANG)
        return ""

    client = connected(service, block)
    client.wait_until_ready()
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            client.ask("call block {}", timeout=HANG)
        except ConnectionClosedError as exc:
            failed.append(exc)

    asker = threading.Thread(target=ask)
    asker.start()
    assert started.wait(HANG)
    assert not client.close(0.2)
    asker.join(HANG)
    assert told.wait(HANG)
    release.set()

    assert len(failed) == 1
    assert client.close(HANG)


def test_the_program_ends_even_if_a_tool_does_not(service: Emulator) -> None:
    """An exit does not join it."""
    source = """
import sys, threading
from azure_rt_audio import AzureRealTimeAudio
started = threading.Event()
def block():
    started.set()
    threading.Event().wait()
options = {"host_name": sys.argv[1], "deployment": "gpt-realtime", "api_key": "emulator-key"}
client = AzureRealTimeAudio(options, tools=[block])
client.wait_until_ready()
client.create_conversation_item(
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "call block {}"}]}
)
client.create_response()
print(started.wait(10), flush=True)
"""
    host = service.options()["host_name"]
    done = subprocess.run(
        [sys.executable, "-c", source, host], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_a_client_with_tools_is_collected_when_it_is_dropped(service: Emulator) -> None:
    """By reference counting, and its threads end."""
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        client = connected(service, add)
        client.ask('call add {"a": 1}', timeout=HANG)
        dead = weakref.ref(client)
        runner = client._tools._runner
        assert runner is not None
        work = runner._work
        del client, runner
        assert dead() is None
        assert work.is_closed
    finally:
        gc.enable()


def test_without_tools_nothing_changes(connect: Connect) -> None:
    """There is no loop, no thread, and no declaration."""
    client = connect()
    client.wait_until_ready()

    assert client._engine.calls is None
    assert len(client.tools) == 0
    assert not [t for t in threading.enumerate() if t.name.startswith("azure-rt-tool")]


def test_over_a_network_with_delay() -> None:
    """With 60 ± 30 ms each way, two rounds of three calls have one follow-up each."""
    with (
        Emulator(responder=reply, pace=0, latency_ms=(60, 30)) as service,
        connected(service, add, again) as client,
    ):
        text = client.ask('call add {"a": 1}; add {"a": 2}; again {"count": 1}', timeout=2 * HANG).text
        asked = service.received("response.create")

    assert text.startswith("results: ")
    assert text.count("|") == 3
    assert len(asked) == 3


def test_a_spoken_turn_calls_over_a_network_with_delay() -> None:
    """Nobody has asked for the response that calls, nor for the answer: the loop does."""
    turns = ['call add {"a": 1}; again {"count": 1}', "thanks"]
    detection = {"type": "server_vad", "silence_duration_ms": 200, "prefix_padding_ms": 100}
    told: list[str] = []
    both = threading.Semaphore(0)

    def done(event: Any) -> None:
        if event.response.text:
            told.append(event.response.text)
            both.release()

    with (
        Emulator(responder=reply, recogniser=turns, pace=0, latency_ms=(60, 30)) as service,
        connected(service, add, again, session={"turn_detection": detection}) as client,
    ):
        client.on("response.done", done)
        for _ in turns:
            client.append_audio(TONE + bytes(48_000))
            assert both.acquire(timeout=2 * HANG)

    assert told[0].startswith("results: ")
    assert told[0].count("|") == 2
    assert told[1] == "no call in thanks"


def test_a_tool_may_speak_and_change_the_tools(service: Emulator) -> None:
    """What it has said comes in its turn, and is no answer: the result is answered all the same, once."""
    said: list[Any] = []

    def work(context: ToolContext) -> str:
        client = context.client
        said.append(client.say("One moment."))
        client.tools.remove("work")
        client.tools.add(add)
        client.create_conversation_item(
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "note"}]}
        ).result(HANG)
        return "worked"

    with connected(service, work) as client:
        response = client.ask("call work {}", timeout=HANG)
        assert said[0].result(HANG).id != response.id
        assert names_declared(client) == ["add"]
        asked = service.received("response.create")

    assert response.is_completed
    assert [step.output for step in response.steps if not isinstance(step, Response)] == ["worked"]
    assert len(asked) == 3


def test_a_tool_may_close_the_client(service: Emulator) -> None:
    """It does not wait for itself; who waits for the answer is told."""
    closed: list[bool] = []

    def leave(context: ToolContext) -> str:
        closed.append(context.client.close(HANG))
        return "gone"

    client = connected(service, leave)
    with pytest.raises(ConnectionClosedError):
        client.ask("call leave {}", timeout=HANG)
    assert client.close(HANG)

    assert closed == [False]  # its own thread has not ended


def test_nothing_of_an_exception_is_on_the_wire(service: Emulator) -> None:
    """Neither its text nor where it came from, nor the arguments of what it wraps."""

    def work() -> str:
        token = "token-7f3a"
        try:
            raise KeyError(token)
        except KeyError as exc:
            raise RuntimeError(f"no access with {token}") from exc

    with connected(service, work, Tool(work, name="open_work", errors="tell")) as client:
        client.ask("call work {}", timeout=HANG)
        hidden = str(service.received())
        client.ask("call open_work {}", timeout=HANG)
        told = str(service.received())

    assert "token-7f3a" not in hidden
    assert "RuntimeError: no access with token-7f3a" in told
    assert "KeyError" not in told
