"""What is said while tools run: in silence, beside the conversation, until anything else begins."""

from __future__ import annotations

import logging
import random
import threading
from typing import Any

import pytest
from jittering_relay import JitteringRelay
from listeners import HANG, Probe, message
from simulated_tools import ToolSession, lookup

from azure_rt_audio import AzureRealTimeAudio, ModelStatusEnum, Tool, Tools
from azure_rt_audio.devices import SimulatedMicrophone, SimulatedSpeaker
from azure_rt_audio.emulator import Conversation, Emulator, FunctionCall, Reply, Session
from azure_rt_audio.emulator.model.replies import Answer
from azure_rt_audio.events import ResponseDone, ResponseOutputAudioDelta
from azure_rt_audio.protocol.event_filter import event_filter
from azure_rt_audio.voice import FirstSound

SERVER = {"type": "server_vad", "silence_duration_ms": 500}
MOMENT = "One moment, please."


class FilledSession(ToolSession):
    """A session with a tool that has something said meanwhile; it follows instructions to say something."""

    def __init__(self, seed: int = 0, *, after: float = 2.0, **facts: Any) -> None:
        tools = Tools(Tool(lookup, say_meanwhile=MOMENT, say_meanwhile_after_s=after))
        super().__init__(seed, vad=SERVER, tools=tools, **facts)
        inline, idle = self.engine.dispatcher, ModelStatusEnum.IDLE

        def play(event: ResponseDone) -> None:
            self.at(0.1, lambda: self.engine.set_status(idle))  # in place of a speaker

        self.engine.listeners.add(event_filter(ResponseDone), play, inline, once=False)

    def _respond(self, conversation: Conversation, session: Session) -> Answer:  # type: ignore[override]
        if MOMENT in session.instructions:
            assert not len(conversation), "the conversation is not told"
            assert not session.tools
            return Reply(MOMENT)
        return super()._respond(conversation, session)

    def fillers(self) -> list[dict[str, Any]]:
        """The ends of what was said meanwhile, as the service sent them."""
        done = [message["response"] for _, message in self.messages("service >", "response.done")]
        return [one for one in done if "azure_rt_filler" in (one["metadata"] or {})]

    def spans(self) -> list[tuple[float, float, bool]]:
        """When each response began and ended at the service, and whether it was a filler."""
        ends = {m["response"]["id"]: t for t, m in self.messages("service >", "response.done")}
        return [
            (when, ends[m["response"]["id"]], "azure_rt_filler" in (m["response"]["metadata"] or {}))
            for when, m in self.messages("service >", "response.created")
        ]


def ask(session: ToolSession, text: str = "call 1") -> Any:
    """Ask, once the session is ready."""
    session.run(1)
    return session.ask(text)


def asked_at(session: ToolSession) -> list[float]:
    """When fillers were asked for."""
    return [
        when
        for when, message in session.messages(">", "response.create")
        if "azure_rt_filler" in (message["response"].get("metadata") or {})
    ]


def test_it_is_said_after_a_while() -> None:
    """Once, n seconds after the tool has begun; it is not in the conversation, and no tool is offered."""
    session = FilledSession(seconds=lambda number: 9.0)
    handle = ask(session)
    session.run(20)

    (command,) = [
        message["response"]
        for _, message in session.messages(">", "response.create")
        if "azure_rt_filler" in (message["response"].get("metadata") or {})
    ]
    assert (command["conversation"], command["input"], command["tools"]) == ("none", [], [])
    (started,) = [
        when
        for when, message in session.messages("<", "response.output_item.done")
        if message["item"]["type"] == "function_call"
    ]
    assert asked_at(session)[0] - started == pytest.approx(2.0, abs=0.4)
    (filler,) = session.fillers()
    assert (filler["status"], filler["output"][0]["content"][0]["transcript"]) == ("completed", MOMENT)
    assert handle.result(0).text == "answer to looked up 1"
    assert [entry.text for entry in session.engine.conversation.entries if entry.text] == [
        "call 1",
        "answer to looked up 1",
    ]
    assert session.errors == []


@pytest.mark.parametrize("seconds", [0.5, 1.8])
def test_quick_tools_need_none(seconds: float) -> None:
    """The result is there before."""
    session = FilledSession(seconds=lambda number: seconds)
    ask(session)
    session.run(15)

    assert session.fillers() == []


def test_several_calls_have_one() -> None:
    """It is for the calls of one response together."""
    session = FilledSession(seconds=lambda number: 4.0 + number)
    ask(session, "call 3")
    session.run(20)

    assert len(session.fillers()) == 1


def test_the_answer_ends_it() -> None:
    """A result that comes just then is not kept waiting: what is said meanwhile is cancelled."""
    session = FilledSession(seconds=lambda number: 2.4, answer_chunks=30)
    handle = ask(session)
    session.run(20)

    (filler,) = session.fillers()
    assert filler["status"] == "cancelled"
    assert handle.result(0).text == "answer to looked up 1"
    assert session.errors == []


def test_the_user_ends_it() -> None:
    """Who speaks over it is answered, and hears it no second time."""
    session = FilledSession(seconds=lambda number: 12.0, answer_chunks=30)
    session.words = lambda: "and what else"  # type: ignore[method-assign]
    handle = ask(session)
    session.at(2.8, lambda: session.speak(1.0))
    session.run(40)

    (filler,) = session.fillers()
    assert filler["status"] == "cancelled"
    assert handle.result(0).text == "answer to looked up 1"
    assert session.errors == []


def test_it_waits_for_silence() -> None:
    """While the user speaks, and is answered, nothing is said; the seconds count from then."""
    session = FilledSession(seconds=lambda number: 12.0, answer_chunks=10)
    session.words = lambda: "and what else"  # type: ignore[method-assign]
    ask(session)
    session.at(1.0, lambda: session.speak(2.0))
    session.run(40)

    (when,) = asked_at(session)
    answered = max(m for m, message in session.messages("<", "response.done") if m < when)
    assert when - answered == pytest.approx(2.0, abs=0.4)
    assert session.errors == []


def test_not_where_the_protocol_has_none() -> None:
    """The first preview has no responses beside the conversation; the call and its answer are as ever."""
    told = threading.Event()

    class Noticing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "nothing is said while tools run" in record.getMessage():
                told.set()

    def look(number: int) -> str:
        return f"found {told.wait(HANG)}"

    def reply(conversation: Conversation, session: Session) -> Answer:
        last = conversation.items[-1]
        is_result = last.type == "function_call_output"
        return f"said {last.output}" if is_result else Reply(calls=[FunctionCall("look", {"number": 1})])

    log, handler = logging.getLogger("azure_rt_audio._tool_loop.fillers"), Noticing()
    log.addHandler(handler)
    level, log_level = log.level, logging.INFO
    log.setLevel(log_level)
    try:
        with Emulator(responder=reply, pace=0) as emulator:
            options = {**emulator.options("preview"), "api_version": "2024-10-01-preview"}
            tool = Tool(look, say_meanwhile=MOMENT, say_meanwhile_after_s=0.1)
            with AzureRealTimeAudio(options, tools=[tool]) as client:
                assert client.ask("look", timeout=2 * HANG).text == "said found True"
            assert len(emulator.received("response.create")) == 2
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


def test_a_refusal_reaches_nobody() -> None:
    """A service that cannot do it is asked once, and the answer is as ever."""

    def fault(event: dict[str, Any]) -> Any:
        if event["type"] == "response.created" and "azure_rt_filler" in (event["response"]["metadata"] or {}):
            refused.append(event)
            error = {"type": "invalid_request_error", "code": "invalid_value", "message": "no", "param": None}
            error["event_id"] = asked_by(session)
            return [(0.0, {"type": "error", "event_id": "x", "error": error})]
        is_filler = refused and event.get("response_id") == refused[0]["response"]["id"]
        is_end = refused and event.get("response", {}).get("id") == refused[0]["response"]["id"]
        return [] if is_filler or is_end else [(0.0, event)]

    refused: list[dict[str, Any]] = []
    session = FilledSession(seconds=lambda number: 6.0, fault=fault)
    handle = ask(session)
    session.run(30)

    assert len(refused) == 1
    assert handle.result(0).text == "answer to looked up 1"
    assert session.errors == []


def asked_by(session: ToolSession) -> str:
    """The id of the command that asked for a filler."""
    return next(
        message["event_id"]
        for _, message in session.messages(">", "response.create")
        if "azure_rt_filler" in (message["response"].get("metadata") or {})
    )


def act(session: FilledSession) -> None:
    """Let the user speak and the program ask at any time."""
    chance = session.chance
    session._seconds = lambda number: 3 * chance.random()
    session.words = lambda: chance.choice(("call 1", "call 2 in 2 rounds", "so"))  # type: ignore[method-assign]
    for _ in range(5):
        session.at(1 + 12 * chance.random(), lambda: session.speak(chance.choice((0.3, 1.0))))
    session.at(1.0 + chance.random(), lambda: session.ask("call 2 in 3 rounds"))


def test_never_beside_another_answer(seed: int, effort: float) -> None:
    """Whatever the user and the tools do, a filler has ended when another answer is heard."""
    filled = 0
    for number in random.Random(seed).sample(range(1000), min(1000, max(1, round(8 * effort)))):
        session = FilledSession(number, after=0.6, answer_chunks=8)
        act(session)
        session.run(20)
        assert session.run_until(session.is_quiet, 60), number

        assert session.errors == [], number
        assert set(session.outputs_of_calls().values()) <= {1}, number
        spans = session.spans()
        filled += sum(is_filler for *_, is_filler in spans)
        for begin, end, is_filler in spans:
            if is_filler:  # what comes between is the round trip of the cancel, at most
                beside = [(b, e) for b, e, filler in spans if not filler and b < end - 0.4 and e > begin]
                assert not beside, (number, begin, end, beside)
    assert filled


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"say_meanwhile": 7}, TypeError, "say_meanwhile must be text"),
        ({"say_meanwhile": " "}, ValueError, "say_meanwhile is empty"),
        ({"say_meanwhile": "So", "background": True}, ValueError, "leave say_meanwhile out"),
        ({"say_meanwhile": "So", "say_meanwhile_after_s": 0}, ValueError, "say_meanwhile_after_s"),
        ({"say_meanwhile_after_s": float("nan")}, ValueError, "say_meanwhile_after_s"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], error: type[Exception], said: str) -> None:
    """It is refused where it is written."""
    with pytest.raises(error, match=said):
        Tool(lookup, **options)


def test_it_is_heard_over_a_network_with_delay() -> None:
    """By voice, 60 ± 30 ms each way: first what is said meanwhile, then the answer, which has its place."""
    has_sounded = threading.Event()

    def look(number: int) -> str:
        return f"found {number} {has_sounded.wait(2 * HANG)}"

    def reply(conversation: Conversation, session: Session) -> Answer:
        if MOMENT in session.instructions:
            return MOMENT
        last = conversation.items[-1]
        is_result = last.type == "function_call_output"
        return f"said {last.output}" if is_result else Reply(calls=[FunctionCall("look", {"number": 1})])

    with Emulator(responder=reply) as emulator, JitteringRelay(emulator.port) as relay:
        options = {**emulator.options(), "host_name": f"127.0.0.1:{relay.port}"}
        tool = Tool(look, say_meanwhile=MOMENT, say_meanwhile_after_s=0.3)
        speaker, heard, told = SimulatedSpeaker(), Probe(), []

        def on_delta(event: ResponseOutputAudioDelta) -> None:
            if event.item_id not in told:
                told.append(event.item_id)

        def on_event(event: Any) -> None:  # levels, many times a second
            heard(event)
            if told and speaker.played_ms(told[0]):
                has_sounded.set()

        with AzureRealTimeAudio(options, tools=[tool]) as client:
            client.on(ResponseOutputAudioDelta, on_delta)
            with client.talk(SimulatedMicrophone(), speaker, echo="headphones", on_event=on_event):
                client.create_conversation_item(message("look"))
                response = client.create_response().result(2 * HANG)
                first = heard.until(lambda event: isinstance(event, FirstSound))[-1]
            texts = [entry.text for entry in client.conversation.entries if entry.text]

    assert response.text == "said found 1 True"
    assert first.response_id == response.id
    assert len(told) == 2
    assert MOMENT not in texts
    assert texts[-1] == response.text
