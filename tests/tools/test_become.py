"""Handoffs: ``client.become`` changes instructions and tools at once, in tools and out of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import orjson
import pytest
from listeners import HANG

from azure_rt_audio import AzureRealTimeAudio, ServiceError, Tool, ToolContext
from azure_rt_audio.dispatch import InlineDispatcher
from azure_rt_audio.emulator import Conversation, Emulator, FunctionCall, Reply, Session
from azure_rt_audio.events import Reconnected, ResponseDone, ToolEnded


def reply(conversation: Conversation, session: Session) -> Reply | str:
    """Call what the user says, ``call a; b``; else say who speaks, what it can call, and the last result."""
    last = conversation.items[-1]
    if last.type != "function_call_output" and last.text.startswith("call "):
        names = last.text.removeprefix("call ").split("; ")
        return Reply(calls=[FunctionCall(name, {}) for name in names])
    names = sorted(tool["name"] for tool in session.tools)
    return f"{session.instructions} {names}: {last.output or last.text}"


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service whose assistant says who it is."""
    with Emulator(responder=reply, pace=0) as emulator:
        yield emulator


def reception(service: Emulator, *tools: Any, dialect: str = "ga", **facts: Any) -> AzureRealTimeAudio:
    """Return a client with the first assistant."""
    config = {"modalities": ["text"], "instructions": "Reception", **facts.pop("session", {})}
    return AzureRealTimeAudio(
        {**service.options(dialect), "session_config": config}, tools=[to_billing, *tools], **facts
    )


def to_billing(context: ToolContext) -> str:
    """Hand over to billing."""
    context.client.become("Billing", tools=[find_bill])
    return "handed over"


def find_bill() -> str:
    """Find a bill."""
    return "12 euros"


def open_hours() -> str:
    """Tell when it is open."""
    return "from 9 to 5"


def test_the_answer_to_the_tool_is_the_new_assistant_s(service: Emulator, dialect: str) -> None:
    """Instructions and tools change by one update, before the result; the conversation is kept."""
    with reception(service, dialect=dialect) as client:
        first = client.ask("Hello", timeout=HANG).text
        handed = client.ask("call to_billing", timeout=HANG).text
        later = client.ask("call find_bill", timeout=HANG).text
        roles = [entry.item.role for entry in client.conversation.entries if entry.item.type == "message"]
        changes = service.received("session.update")

    assert first == "Reception ['to_billing']: Hello"
    assert handed == "Billing ['find_bill']: handed over"
    assert later == "Billing ['find_bill']: 12 euros"
    assert roles == ["user", "assistant"] * 3
    assert len(changes) == 2
    assert {"instructions", "tools"} <= set(changes[1]["session"])


def test_from_outside_of_tools(service: Emulator, dialect: str) -> None:
    """From any thread; what is left out stays."""
    with reception(service, dialect=dialect) as client:
        client.become("Billing").result(HANG)
        assert client.ask("Hello", timeout=HANG).text == "Billing ['to_billing']: Hello"
        client.become(tools=[open_hours]).result(HANG)
        assert client.ask("Hello", timeout=HANG).text == "Billing ['open_hours']: Hello"
        client.become(tools=[], session={"instructions": "Night"})
        assert client.ask("Hello", timeout=HANG).text == "Night []: Hello"


def test_it_does_not_wait_on_the_thread_that_reads(service: Emulator) -> None:
    """An inline listener may call it."""
    became: Future[Future[Any]] = Future()
    with reception(service) as client:
        client.on(
            ResponseDone,
            lambda event: became.set_result(client.become("Billing")),
            dispatcher=InlineDispatcher(),
        )
        client.ask("Hello", timeout=HANG)
        became.result(HANG).result(HANG)
        assert client.session is not None
        assert client.session.instructions == "Billing"


def test_what_was_called_before_is_still_run(service: Emulator) -> None:
    """A call of the same response, after that of the handoff, finds its tool; later ones do not."""
    handed, opened = threading.Event(), threading.Event()

    def hand_over(context: ToolContext) -> str:
        """Hand over."""
        context.client.become("Billing", tools=[find_bill]).result(HANG)
        handed.set()
        return "handed over"

    def wait_for_it() -> str:
        """Wait until the handoff is done."""
        opened.set()
        return f"still here: {handed.wait(HANG)}"

    with reception(service, hand_over, Tool(wait_for_it, name="wait")) as client:
        response = client.ask("call hand_over; wait; open_hours", timeout=HANG)
        outputs = [getattr(step, "output", "") for step in response.steps]
        again = client.ask("call wait", timeout=HANG)

    assert opened.is_set()
    assert "still here: true" in str(outputs).lower()
    assert response.text.startswith("Billing ['find_bill']")
    assert "there is no function 'wait'; known are find_bill" in again.text


def test_a_call_that_comes_after_the_change_is_run(service: Emulator) -> None:
    """The response began before it: what it calls was declared to it."""
    seen: list[str] = []
    with reception(service, open_hours) as client:
        catalogue = client._tools._catalogue
        client.on(
            "response.created",
            lambda event: seen.append(
                str(client.become("Billing", tools=[find_bill])) if not seen else "again"
            ),
            dispatcher=InlineDispatcher(),
        )
        response = client.ask("call open_hours", timeout=HANG)
        client.ask("Hello", timeout=HANG)
        assert catalogue.find("open_hours") is None

    assert response.text == "Billing ['find_bill']: from 9 to 5"


def test_the_question_s_instructions_were_for_the_assistant_before(service: Emulator) -> None:
    """What was asked to be different for one answer does not bind the assistant after the handoff."""
    special = {"instructions": "Shout", "tool_choice": {"type": "function", "name": "to_billing"}}
    with reception(service) as client:
        response = client.ask("call to_billing", response=special, timeout=HANG)
        asked = [command["response"] for command in service.received("response.create")]

    assert response.text == "Billing ['find_bill']: handed over"
    assert [one.get("instructions") for one in asked] == ["Shout", None]
    assert asked[1].get("tool_choice") in (None, "auto")


def test_a_choice_of_a_tool_that_is_gone_is_freed(service: Emulator) -> None:
    """The session would have the model call a function that it does not have."""
    choice = {"type": "function", "name": "to_billing"}
    with reception(service, session={"tool_choice": choice}) as client:
        client.become(tools=[find_bill]).result(HANG)
        assert client.session is not None
        assert client.session.tool_choice == "auto"


def test_tools_that_run_go_on(service: Emulator) -> None:
    """The new assistant is told their results."""
    go_on = threading.Event()

    def make_report() -> str:
        """Make a report."""
        go_on.wait(HANG)
        return "12 pages"

    with reception(service, Tool(make_report, background=True)) as client:
        client.ask("call make_report", timeout=HANG)
        client.ask("call to_billing", timeout=HANG)
        with client.events(ResponseDone, timeout=HANG) as done, client.events(ToolEnded, timeout=HANG) as end:
            go_on.set()
            assert next(end).output == "12 pages"
            said = next(done).response.text

    assert said.startswith("Billing ['find_bill']")
    assert said.endswith("12 pages")


def test_two_at_once(service: Emulator) -> None:
    """Two handoffs in one answer: the session has the tools that the client has."""

    def to_a(context: ToolContext) -> str:
        """Hand over to A."""
        context.client.become("A", tools=[find_bill])
        return "a"

    def to_b(context: ToolContext) -> str:
        """Hand over to B."""
        context.client.become("B", tools=[open_hours])
        return "b"

    for _ in range(5):
        with reception(service, to_a, to_b) as client:
            said = client.ask("call to_a; to_b", timeout=HANG).text
            ours = [tool.name for tool in client.tools]
            assert client.session is not None
            theirs = [tool.name for tool in client.session.tools or ()]

        assert theirs == ours
        assert said.startswith(f"{'A' if ours == ['find_bill'] else 'B'} {ours}")


@pytest.mark.parametrize("is_cut_first", [False, True])
def test_another_connection_begins_as_the_new_assistant(
    service: Emulator, dialect: str, is_cut_first: bool
) -> None:
    """Whether it was lost before the change or after it."""
    with reception(service, dialect=dialect) as client, client.events(Reconnected, timeout=4 * HANG) as again:
        client.ask("Hello", timeout=HANG)
        if is_cut_first:
            service.drop()
            client.become("Billing", tools=[find_bill])
        else:
            client.become("Billing", tools=[find_bill]).result(HANG)
            service.drop()
        next(again)
        said = client.ask("call find_bill", timeout=HANG).text

    assert said == "Billing ['find_bill']: 12 euros"


def test_a_connection_that_is_lost_in_the_middle(service: Emulator, dialect: str) -> None:
    """Between the change and the tool's result: both reach the next one, in this order."""

    def hand_over(context: ToolContext) -> str:
        """Hand over."""
        context.client.become("Billing", tools=[find_bill])
        service.drop()
        return "handed over"

    with (
        reception(service, hand_over, dialect=dialect) as client,
        client.events(Reconnected, timeout=4 * HANG) as again,
    ):
        said = client.ask("call hand_over", timeout=4 * HANG).text
        next(again)
        later = client.ask("call find_bill", timeout=4 * HANG).text

    assert said == "Billing ['find_bill']: handed over"
    assert later == "Billing ['find_bill']: 12 euros"


SPOKEN = {"modalities": ["audio"], "voice": "alloy"}


def test_the_voice_of_a_model_that_has_spoken(service: Emulator) -> None:
    """It is refused before anything has changed."""
    with reception(service, session=SPOKEN) as client:
        client.become(session={"voice": "sage"}).result(HANG)  # it has not spoken yet
        client.ask("Hello", timeout=HANG)
        with pytest.raises(ValueError, match=r"session\.voice cannot change .*voice_change"):
            client.become("Billing", tools=[find_bill], session={"voice": "coral"})
        assert [tool.name for tool in client.tools] == ["to_billing"]


def test_another_voice_comes_with_another_session(service: Emulator) -> None:
    """With ``voice_change="swap"``; instructions and tools do not wait for it."""
    policy = {"voice_change": "swap"}
    with (
        reception(service, session=SPOKEN, reconnect=policy) as client,
        client.events(Reconnected, timeout=4 * HANG) as again,
    ):
        client.ask("Hello", timeout=HANG)
        client.become("Billing", tools=[find_bill], session={"voice": "sage"}).result(HANG)
        assert client.ask("Hello", timeout=HANG).text.startswith("Billing ['find_bill']")
        next(again)
        assert client.session is not None
        assert client.session.voice == "sage"
        at_once = service.received("session.update")[1]["session"]
        assert at_once["instructions"] == "Billing"
        assert b"sage" not in orjson.dumps(at_once)
        assert client.ask("Hello", timeout=HANG).text.startswith("Billing ['find_bill']")


def test_a_change_that_the_service_refuses(service: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """The assistant stays what it was, with its tools; the log says so, even if nobody asks the future."""
    with caplog.at_level(logging.WARNING), reception(service) as client:
        changed = client.become("Billing", tools=[find_bill], session={"voice": "nobody"})
        with pytest.raises(ServiceError, match="nobody"):
            changed.result(HANG)
        told = threading.Event()
        changed.add_done_callback(lambda future: told.set())
        assert told.wait(HANG)
        assert [tool.name for tool in client.tools] == ["to_billing"]
        assert client.ask("Hello", timeout=HANG).text == "Reception ['to_billing']: Hello"

    assert "the assistant stays what it was" in caplog.text


def test_what_is_refused_here(service: Emulator) -> None:
    """By name, and nothing has changed."""

    async def wait() -> None:
        """Wait."""

    by_hand = {"type": "function", "name": "find_bill", "parameters": {"type": "object", "properties": {}}}
    with reception(service, session={"tools": [by_hand]}) as client:
        with pytest.raises(ValueError, match="'find_bill' is in the tools of the session's configuration"):
            client.become(tools=[find_bill])
        with pytest.raises(ValueError, match=r"session\.tools are those that the program answers"):
            client.become(session={"tools": []})
        with pytest.raises(TypeError, match="async"):
            client.become(tools=[wait])
        with pytest.raises((TypeError, ValueError), match="instructions"):
            client.become(7)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="tools"):
            client.become(tools=7)  # type: ignore[arg-type]
        assert [tool.name for tool in client.tools] == ["to_billing"]
        assert len(service.received("session.update")) == 1


def test_the_tools_may_be_a_set_that_changes(service: Emulator) -> None:
    """The set of the assistant before is not followed any more."""
    with reception(service) as client:
        before = client.tools
        client.become("Billing", tools=[find_bill]).result(HANG)
        before.add(open_hours)
        client.tools.add(to_billing)
        assert client.ask("Hello", timeout=HANG).text == "Billing ['find_bill', 'to_billing']: Hello"
        assert orjson.dumps(service.received("session.update")).count(b"open_hours") == 0
