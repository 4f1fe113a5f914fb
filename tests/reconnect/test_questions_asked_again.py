"""A question whose answer is lost with the connection: what is asked again is that, and no other item."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from listeners import HANG, NO_VAD, TONE, Aside, Connect, message, ready
from outages import DISTANT, come_back, lose

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Conversation, Emulator, Session, Swallow, before

QUESTION = "What is my balance?"
TEXT = {**NO_VAD, "modalities": ["text"]}


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service that says what it answers; the first answer is never ready."""
    answers: list[Future[str]] = []

    def respond(conversation: Conversation, session: Session) -> str | Future[str]:
        answers.append(Future())
        return answers[0] if len(answers) == 1 else f"re: {conversation.items[-1].text or 'speech'}"

    with Emulator(pace=0, responder=respond) as service:
        yield service


def ask(connect: Connect, service: Emulator, **policy: Any) -> tuple[AzureRealTimeAudio, Aside]:
    """Return a client, and the call of ``ask`` that waits for its answer."""
    client = ready(connect, service=service, session_config=TEXT, reconnect={**DISTANT, **policy})
    with client.events("response.created", timeout=HANG) as begun:
        asking = Aside(lambda: client.ask(QUESTION, timeout=4 * HANG).text)
        next(begun)
    return client, asking


def questions(service: Emulator) -> list[str]:
    """Return the ids under which the question was created."""
    created = service.received("conversation.item.create")
    return [made["item"]["id"] for made in created if made["item"]["content"][0].get("text") == QUESTION]


@pytest.mark.parametrize("when", ["before", "unanswered", "meanwhile"])
def test_an_item_of_another_thread(when: str, connect: Connect, service: Emulator) -> None:
    """It comes between the question and its answer; the answer is to the question all the same."""
    client, asking = ask(connect, service)
    if when == "unanswered":
        for name in ("conversation.item.added", "conversation.item.created", "conversation.item.done"):
            service.faults.add(before(name, Swallow(), count=None))
    if when != "meanwhile":
        note = client.create_conversation_item(message("a note"))
    if when == "before":
        note.result(HANG)
    elif when == "unanswered":
        client.update_session({"instructions": "Answer."}).result(HANG)  # what came before was taken
        service.faults.clear()
    lose(client, service)
    if when == "meanwhile":
        note = client.create_conversation_item(message("a note"))
    come_back(client)
    note.result(2 * HANG)

    assert asking.result() == f"re: {QUESTION}"
    assert [entry.text for entry in client.conversation.entries] == ["a note", QUESTION, f"re: {QUESTION}"]


def test_what_the_user_says(connect: Connect, service: Emulator) -> None:
    """So it is with a turn of the user that nobody has asked for the answer to."""
    client, asking = ask(connect, service)
    client.append_audio(TONE)
    client.commit_audio().result(HANG)
    lose(client, service)
    come_back(client)

    assert asking.result() == f"re: {QUESTION}"


def test_a_session_that_is_given_nothing(connect: Connect, service: Emulator) -> None:
    """It is given the question, of which it is to give the answer."""
    client, asking = ask(connect, service, restore="none")
    lose(client, service)
    event = come_back(client)

    assert list(event.lost) == questions(service)[:1]
    assert asking.result() == f"re: {QUESTION}"


def test_a_question_that_is_the_newest(connect: Connect, service: Emulator) -> None:
    """It stays the item that it was."""
    client, asking = ask(connect, service)
    lose(client, service)
    event = come_back(client)

    assert asking.result() == f"re: {QUESTION}"
    assert len(set(questions(service))) == 1
    assert event.restored == tuple(questions(service)[:1])
    assert not service.received("conversation.item.delete")
