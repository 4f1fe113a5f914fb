"""``ask`` from several threads: each gets the answer to its own question."""

from __future__ import annotations

import threading

import pytest
from interloper import OTHER, Interloper
from listeners import HANG, Aside, Connect, message

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Conversation, Emulator, Session

BESIDE = {"conversation": "none"}


def echo(conversation: Conversation, session: Session) -> str:
    """Say back what was said last."""
    return conversation.last_user_text


Pairs = list[tuple[str, str]]


def wrong_pairs(client: AzureRealTimeAudio, threads: int, questions: int, config: object) -> Pairs:
    """Ask from all threads at once; return the questions with the answers that are another one's."""
    begin = threading.Barrier(threads)

    def ask(name: int) -> Pairs:
        begin.wait(HANG)
        asked = [f"question {name} {number}" for number in range(questions)]
        return [(text, client.ask(text, response=config, timeout=HANG).text) for text in asked]

    asides = [Aside(lambda name=name: ask(name)) for name in range(threads)]
    return [(text, answer) for aside in asides for text, answer in aside.result() if text != answer]


@pytest.mark.parametrize("config", [None, BESIDE], ids=["in", "beside"])
def test_eight_askers(connect: Connect, config: object) -> None:
    """In the conversation one after the other; beside it at once."""
    with Emulator(pace=0, responder=echo) as service:
        client = connect(service=service, session_config={"modalities": ["text"]})

        assert wrong_pairs(client, 8, 5, config) == []


@pytest.mark.parametrize("config", [None, BESIDE], ids=["in", "beside"])
def test_a_question_and_its_request_are_one_unit(connect: Connect, config: object) -> None:
    """What another thread sends at that moment, without asking, does not come between them."""
    with Emulator(pace=0, responder=echo) as service:
        client = connect(service=service, session_config={"modalities": ["text"]})
        interloper = Interloper(client, "how tall is it?")

        assert client.ask("how tall is it?", response=config, timeout=HANG).text == "how tall is it?"
        assert interloper.has_come
        client.create_conversation_item(message("the last one")).result(HANG)
        sent = [
            command["item"]["content"][0]["text"] if "item" in command else command["type"]
            for command in service.received()
            if command["type"] in ("conversation.item.create", "response.create")
        ]
    assert sent == ["how tall is it?", "response.create", OTHER, "the last one"]


@pytest.mark.thorough
@pytest.mark.parametrize("config", [None, BESIDE], ids=["in", "beside"])
def test_askers_far_away(connect: Connect, config: object) -> None:
    """The same with 60 ± 30 ms each way."""
    with Emulator(pace=0, responder=echo, latency_ms=(60, 30), seed=1) as service:
        client = connect(service=service, session_config={"modalities": ["text"]})

        assert wrong_pairs(client, 6, 3, config) == []


@pytest.mark.thorough
def test_askers_of_both_kinds(connect: Connect) -> None:
    """Questions in the conversation and beside it, at once."""
    with Emulator(pace=0, responder=echo, latency_ms=(60, 30), seed=2) as service:
        client = connect(service=service, session_config={"modalities": ["text"]})
        beside = Aside(lambda: wrong_pairs(client, 4, 4, BESIDE))

        assert wrong_pairs(client, 4, 4, None) == []
        assert beside.result() == []
