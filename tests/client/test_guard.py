"""``guard=``: a function that sees each answer as it grows, and stops it."""

from __future__ import annotations

import contextvars
import gc
import logging
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from hostile_service import hostile_service
from listeners import HANG, Probe
from manual_clock import ManualClock

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, ResponseIncompleteError
from azure_rt_audio._guard import LIMIT_S
from azure_rt_audio.emulator import (
    Conversation,
    Delay,
    Emulator,
    Faults,
    FunctionCall,
    Reply,
    Session,
    Swallow,
    before,
)
from azure_rt_audio.events import GuardTripped, ResponseDone

TALE = "Once upon a time there was a king who had a secret, and he told it to a reed by the river at night."
SOON = "Once upon a time"
LATE = "at night."


def reply(conversation: Conversation, session: Session) -> Reply | str:
    """Tell the tale, or say what is asked for; ``look up`` calls a tool, too."""
    last = conversation.items[-1]
    if last.type == "function_call_output":
        return f"I know: {last.output}"
    if last.text == "look up":
        return Reply("I look up the secret.", calls=[FunctionCall("look_up", {})])
    return TALE if last.text == "tell" else last.text


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service that tells the tale as fast as it can."""
    with Emulator(responder=reply, pace=0) as emulator:
        yield emulator


def guarded(service: Emulator, guard: Any, dialect: str = "ga", **facts: Any) -> AzureRealTimeAudio:
    """Return a client with a guard, which writes unless told otherwise."""
    config = {"modalities": ["text"], **facts.pop("session", {})}
    return AzureRealTimeAudio({**service.options(dialect), "session_config": config}, guard=guard, **facts)


def no_secret(text: str) -> str | None:
    """Stop what tells of a secret."""
    return "it tells a secret" if "secret" in text else None


def test_it_sees_the_answer_grow(service: Emulator, dialect: str) -> None:
    """Each time all of the text until now, the whole of it in the end, on a thread of its own."""
    seen: list[tuple[str, str]] = []

    def guard(text: str) -> None:
        seen.append((text, threading.current_thread().name))

    with guarded(service, guard, dialect) as client:
        response = client.ask("tell", timeout=HANG)
        texts = [text for text, _ in seen]

    assert response.is_completed
    assert texts[-1] == TALE == response.text
    assert sorted(set(texts), key=len) == texts
    assert all(TALE.startswith(text) for text in texts)
    assert {name.rpartition("-")[0] for _, name in seen} == {"azure-rt-guard"}


@pytest.mark.parametrize("modality", ["text", "audio"])
def test_a_reason_stops_the_answer(dialect: str, modality: str) -> None:
    """It is cancelled while it comes; the event and the error of the response have the reason."""
    told = Probe()
    with (
        Emulator(responder=reply, pace=3) as service,
        guarded(service, no_secret, dialect, session={"modalities": [modality]}) as client,
    ):
        client.on(GuardTripped, told)
        client.on("guard_tripped", told)
        response = client.ask("tell", timeout=HANG)
        event, same = told.next(), told.next()
        again = client.ask("Hello", timeout=HANG)
        cancels = service.received("response.cancel")

    assert (response.status, response.reason) == ("cancelled", "guard")
    error = response.error
    assert isinstance(error, ResponseIncompleteError)
    assert error.code == "guard"
    assert str(error).endswith("was cancelled: the guard stopped it: it tells a secret")
    assert event is same
    assert (event.response_id, event.reason, event.error) == (response.id, "it tells a secret", None)
    assert TALE.startswith(event.text)
    assert "secret" in event.text
    assert str(event) == "the answer was stopped: it tells a secret"
    assert again.text == "Hello"
    assert len(cancels) == 1 or modality == "text"  # which comes at once, and may be over


def test_the_end_waits_for_the_guard(service: Emulator) -> None:
    """The answer is there at once, and nobody has it before all of it was judged."""
    asked, go_on = threading.Event(), threading.Event()

    def guard(text: str) -> str | None:
        asked.set()
        assert go_on.wait(HANG)
        return "too late in the day" if LATE in text else None

    with guarded(service, guard) as client, client.events(ResponseDone, timeout=HANG) as done:
        client.create_conversation_item(
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "tell"}]}
        )
        pending = client.create_response()
        assert asked.wait(HANG)
        event = next(done)
        with pytest.raises(TimeoutError):
            pending.result(0.05)
        assert (pending.done, pending.status, event.response.status) == (False, "in_progress", "completed")
        go_on.set()
        response = pending.result(HANG)
        said = "".join(pending.text(HANG))

    assert (response.status, response.text, said) == ("cancelled", TALE, TALE)
    assert pending.error is not None
    assert pending.status == "cancelled"
    assert service.received("response.cancel") == []  # there was nothing left to cancel


def test_a_slow_guard_sees_the_newest(service: Emulator) -> None:
    """Not each piece in turn, and never two at a time."""
    seen: list[str] = []
    begun, go_on = threading.Event(), threading.Event()
    running: list[int] = []

    def guard(text: str) -> None:
        running.append(1)
        assert len(running) == 1
        seen.append(text)
        begun.set()
        assert go_on.wait(HANG)
        running.clear()

    with guarded(service, guard) as client, client.events(ResponseDone, timeout=HANG) as done:
        answer: list[Any] = []
        asker = threading.Thread(target=lambda: answer.append(client.ask("tell", timeout=HANG)))
        asker.start()
        assert begun.wait(HANG)
        next(done)
        go_on.set()
        asker.join(HANG)

    assert answer[0].is_completed
    assert len(seen) == 2
    assert SOON.startswith(seen[0]) or TALE.startswith(seen[0])
    assert seen[1] == TALE


def test_a_guard_that_fails_stops_the_answer(service: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """What could not be judged is not let go on; the reason has nothing of the exception, the log has all."""

    def guard(text: str) -> str | None:
        raise LookupError("the list of words is gone")

    told = Probe()
    with guarded(service, guard) as client:
        client.on(GuardTripped, told)
        response = client.ask("tell", timeout=HANG)
        event = told.next()

    assert (response.status, event.reason) == ("cancelled", "the guard failed")
    assert isinstance(event.error, LookupError)
    assert "the list of words is gone" in caplog.text
    assert "the list" not in str(response.error)
    caplog.clear()


@pytest.mark.parametrize("answer", [True, False, 7])
def test_a_guard_returns_a_reason_or_none(
    service: Emulator, answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    """A flag is no reason: it may mean either."""
    told = Probe()
    with guarded(service, lambda text: answer) as client:
        client.on(GuardTripped, told)
        assert client.ask("Hello", timeout=HANG).status == "cancelled"
        assert isinstance(told.next().error, TypeError)
    caplog.clear()


def test_an_empty_reason_is_none(service: Emulator) -> None:
    """Such as the words that were found, joined."""
    with guarded(service, lambda text: ", ".join(word for word in ("oath",) if word in text)) as client:
        assert client.ask("Hello", timeout=HANG).is_completed


def test_a_guard_that_hangs(service: Emulator, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    """After 30 seconds it has failed; the client can be closed, although the function has not returned."""
    begun, go_on = threading.Event(), threading.Event()
    told = Probe()

    def guard(text: str) -> None:
        begun.set()
        go_on.wait(2 * HANG)

    try:
        with guarded(service, guard) as client:
            client.on(GuardTripped, told)
            answer: list[Any] = []
            asker = threading.Thread(target=lambda: answer.append(client.ask("tell", timeout=None)))
            asker.start()
            assert begun.wait(HANG)
            clock.now += LIMIT_S
            client._engine.attempts.call_in(0.0)
            event = told.next()
            asker.join(HANG)
            assert not client.close(0.1)
            go_on.set()
    finally:
        go_on.set()

    assert event.reason == "the guard did not answer within 30 seconds"
    assert isinstance(event.error, TimeoutError)
    assert answer[0].status == "cancelled"
    assert "did not answer within 30 seconds" in caplog.text
    caplog.clear()


def test_what_is_asked_for_beside_is_not_judged(service: Emulator, dialect: str) -> None:
    """So that a guard may ask the model itself."""
    seen: list[str] = []

    def guard(text: str) -> str | None:
        seen.append(text)
        question = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        judged = client.create_response({"conversation": "none", "input": [question]}).result(HANG)
        return f"the model has said {judged.text}" if text == "Goodbye" else None

    with guarded(service, guard, dialect) as client:
        response = client.ask("Goodbye", timeout=HANG)

    assert response.error is not None
    assert "Goodbye" in seen
    assert "Hello" not in seen


def test_what_a_stopped_answer_has_called_is_not_answered() -> None:
    """The tool has its output; no answer to it is asked for."""
    ran, stopped = threading.Event(), Probe()

    def look_up() -> str:
        """Look up."""
        ran.set()
        return "the secret"

    faults = Faults(before("response.done", Delay(0.5)))  # it is stopped before that
    with (
        Emulator(responder=reply, pace=0, faults=faults) as service,
        guarded(service, no_secret, tools=[look_up]) as client,
    ):
        client.on(GuardTripped, stopped)
        first = client.ask("look up", timeout=HANG)
        stopped.next()
        assert ran.wait(HANG)
        service.wait_for_command("conversation.item.create", count=2)
        asked = service.received("response.create")

    assert (first.status, first.reason) == ("cancelled", "guard")
    assert len(asked) == 1


def test_the_answer_to_a_tool_is_judged(service: Emulator) -> None:
    """Each response by itself: the final one too."""

    def look_up() -> str:
        """Look up."""
        return "the secret"

    with guarded(
        service, lambda text: "no" if text.startswith("I know") else None, tools=[look_up]
    ) as client:
        response = client.ask("look up", timeout=HANG)

    assert (response.status, len(response.steps)) == ("cancelled", 2)


def test_the_context_is_that_of_the_maker(service: Emulator) -> None:
    """As that of tools: a copy for each call."""
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")
    name.set("Ada")
    seen: list[str] = []

    def guard(text: str) -> None:
        seen.append(name.get())
        name.set("Bo")

    with guarded(service, guard) as client:
        client.ask("tell", timeout=HANG)

    assert set(seen) == {"Ada"}


def test_a_connection_that_ends_meanwhile(service: Emulator) -> None:
    """Who waits for an answer that is all there, but not judged, has it as stopped; nobody waits for ever."""
    begun, go_on = threading.Event(), threading.Event()

    def guard(text: str) -> None:
        begun.set()
        go_on.wait(2 * HANG)

    try:
        with guarded(service, guard, reconnect=None) as client:
            answer: list[Any] = []

            with client.events(ResponseDone, timeout=HANG) as done:
                asker = threading.Thread(target=lambda: answer.append(client.ask("tell", timeout=HANG)))
                asker.start()
                assert begun.wait(HANG)
                next(done)
                service.drop()
                asker.join(HANG)
            (ended,) = answer
            assert ended.reason == "guard"
            assert "the session ended before the guard had judged it" in str(ended.error)
            go_on.set()
    finally:
        go_on.set()


def test_without_one_there_is_nothing(service: Emulator) -> None:
    """Neither an object nor a thread."""
    with guarded(service, None) as client:
        client.ask("tell", timeout=HANG)
        assert client._engine.guard is None
        assert not [t for t in threading.enumerate() if t.name.startswith("azure-rt-guard")]


def test_a_client_that_is_dropped_is_collected(service: Emulator) -> None:
    """The guard keeps nothing alive."""
    client = guarded(service, no_secret)
    client.wait_until_ready(HANG)
    client.ask("Hello", timeout=HANG)
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None


def test_what_cannot_be_one(service: Emulator) -> None:
    """Is refused at once, by name."""

    async def wait(text: str) -> None:
        """Wait."""

    class Waits:
        async def __call__(self, text: str) -> None:
            """Wait."""

    with pytest.raises(TypeError, match="guard must be a function of the answer's text, not str"):
        guarded(service, "no secrets")
    for function in (wait, Waits()):
        with pytest.raises(TypeError, match="guard must not be async"):
            guarded(service, function)


def test_nothing_is_logged_of_what_is_said(service: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the text nor the reason: both may be a user's."""
    caplog.set_level(logging.INFO)
    with guarded(service, no_secret) as client:
        client.ask("tell", timeout=HANG)

    assert "secret" not in caplog.text


@pytest.mark.parametrize("lost", ["response.created", "response.output_text.delta"])
def test_events_that_are_lost(dialect: str, lost: str) -> None:
    """What was not heard of before its end is judged then."""
    faults = Faults(before(lost, Swallow(), count=None, times=None))
    with (
        Emulator(responder=reply, pace=0, faults=faults) as service,
        guarded(service, no_secret, dialect) as client,
    ):
        response = client.ask("tell", timeout=HANG)

    assert (response.status, response.reason) == ("cancelled", "guard")


@pytest.mark.parametrize("said_last", ["Once", "It was quiet."])
def test_all_that_streamed_is_judged(said_last: str) -> None:
    """Even if the end has other words by the time at which a slow guard sees them: they were shown."""
    begun, go_on = threading.Event(), threading.Event()
    seen: list[str] = []

    def guard(text: str) -> str | None:
        seen.append(text)
        begun.set()
        assert go_on.wait(HANG)
        return no_secret(text)

    def act(send: Any, command: dict[str, Any], connection: Any) -> None:
        if command["type"] != "response.create":
            return
        response = {
            "id": "resp_1",
            "object": "realtime.response",
            "metadata": command["response"]["metadata"],
        }
        send("response.created", response={**response, "status": "in_progress", "output": []})
        place = {"response_id": "resp_1", "item_id": "item_2", "output_index": 0, "content_index": 0}
        send("response.output_text.delta", delta="Once", **place)
        assert begun.wait(HANG)
        send("response.output_text.delta", delta=" there was a secret", **place)
        part = {"type": "output_text", "text": said_last}
        said = {
            "id": "item_2",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }
        send("response.done", response={**response, "status": "completed", "output": [said]})

    with (
        hostile_service(act) as url,
        AzureRealTimeAudio(
            AzureRealTimeOptions(
                host_name=url, deployment="d", api_key="k", session_config={"modalities": ["text"]}
            ),
            guard=guard,
        ) as client,
    ):
        answer: list[Any] = []
        with client.events(ResponseDone, timeout=HANG) as done:
            asker = threading.Thread(target=lambda: answer.append(client.ask("tell", timeout=HANG)))
            asker.start()
            next(done)
            go_on.set()
            asker.join(HANG)

    assert (answer[0].status, answer[0].reason) == ("cancelled", "guard")
    assert seen == ["Once", "Once there was a secret"]
