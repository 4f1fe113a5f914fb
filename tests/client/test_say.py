"""Texts that the model is to say: in their turn, as part of the conversation, and no answer to anything."""

from __future__ import annotations

from typing import Any

import pytest
from listeners import HANG, NO_VAD, Connect, ready
from simulated_session import SimulatedSession
from simulated_tools import ToolSession, lookup

from azure_rt_audio import AzureRealTimeAudio, Response, Tools
from azure_rt_audio._session.recital import recital
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.protocol.responses import ResponseConfig

UNANSWERED = {"type": "server_vad", "silence_duration_ms": 500, "create_response": False}
SERVER = {"type": "server_vad", "silence_duration_ms": 500}


@pytest.mark.parametrize("version", [None, "2024-10-01-preview"])
def test_it_is_said_and_in_the_conversation(emulator: Emulator, dialect: str, version: str | None) -> None:
    """Word for word, with sound; nobody had to ask, and no tool is called."""
    options = emulator.options("preview" if version else dialect)
    if version:
        options["api_version"] = version
    tools = Tools(lookup)
    with AzureRealTimeAudio({**options, "session_config": NO_VAD}, tools=tools) as client:
        greeting = client.say("Good evening!\nLookup: two dishes.")
        response = greeting.result(HANG)
        heard = sum(map(len, greeting.audio(HANG)))
        text = client.conversation.entries[-1].text

    assert response.text == text == "Good evening!\nLookup: two dishes."
    assert heard > 0
    assert response.function_calls == []


@pytest.mark.parametrize(("text", "error"), [(7, TypeError), (" \n", ValueError)])
def test_what_cannot_be_said(connect: Connect, text: Any, error: type[Exception]) -> None:
    """It is refused where it is written."""
    client = ready(connect)
    with pytest.raises(error, match="text"):
        client.say(text)
    with pytest.raises(ValueError, match="superseded"):
        client.say("Hello", superseded="never")  # type: ignore[arg-type]


def test_it_waits_for_an_answer_in_progress(connect: Connect) -> None:
    """And what is asked after it waits for it."""
    client = ready(connect, session_config=NO_VAD)
    pending = [
        client.create_response({"metadata": {"which": "first"}}),
        client.say("The shop closes in five minutes."),
        client.create_response(),
    ]
    texts = [one.result(HANG).text for one in pending]
    assert texts[1] == "The shop closes in five minutes."
    assert [entry.text for entry in client.conversation.entries] == texts


def say(session: SimulatedSession, text: str) -> Any:
    """Have a text said in a simulated session, as the client does."""
    return session._keep(
        session.engine.response_queue.request(recital(text), may_wait=True, owner=None, is_recital=True)
    )


def test_it_waits_for_the_user_and_can_be_interrupted() -> None:
    """It is said after the answer to the user; who speaks over it cuts it short."""
    session = SimulatedSession(3, vad=SERVER, answer_chunks=40)
    session.at(1.0, lambda: session.speak(1.0))
    session.at(1.6, lambda: say(session, "announcement"))
    session.run(8)
    session.speak(1.0)
    session.run(10)

    done = [message["response"] for _, message in session.messages("service >", "response.done")]
    (handle,) = session.handles
    response: Response = handle.result(0)
    assert [one["status"] for one in done] == ["completed", "cancelled", "completed"]
    assert response.id == done[1]["id"]
    assert response.reason == "turn_detected"
    assert session.errors == []


@pytest.mark.parametrize(("said_at", "spoken_at"), [(0.90, 0.80), (0.94, 0.88), (0.96, 0.92), (0.98, 0.96)])
def test_it_is_no_answer_to_a_tool(said_at: float, spoken_at: float) -> None:
    """
    A text that is said between a result and the answer to it takes nothing from that.

    It is asked for just before the result, the user speaks before it begins, and so it is asked for again.
    """
    session = ToolSession(1, vad=UNANSWERED, seconds=lambda number: 1.0)
    session.run(1)
    session.ask("call 1")
    began = session.run_until(lambda: bool(session.loop._calls._running), 5)
    session.at(said_at, lambda: say(session, "one moment"))
    session.at(spoken_at, lambda: session.speak(1.0))
    session.run(25)

    answer, said = (handle.result(0) for handle in session.handles)
    assert began
    assert answer.is_completed
    assert answer.id != said.id
    assert (answer.metadata or {}).get("azure_rt_request") in session.asked_after
    assert session.errors == []


def test_what_is_asked_of_the_model() -> None:
    """Instructions for this one response, and no calls."""
    config = recital("Hello")
    assert config == ResponseConfig(instructions=config.instructions, tool_choice="none")
    assert str(config.instructions).endswith("\n\nHello")
