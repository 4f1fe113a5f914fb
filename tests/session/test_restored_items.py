"""Answers that were restored as text, and are cut after that: the service cannot truncate them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from interloper import OTHER, Interloper
from listeners import HANG, NO_VAD, Connect, Probe, message, ready
from scripted_conversation import describe, respond, synthesise

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Emulator


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service whose answers take 100 ms for each word."""
    with Emulator(pace=0, responder=respond, synthesiser=synthesise) as service:
        yield service


@pytest.fixture
def restored(connect: Connect, service: Emulator) -> AzureRealTimeAudio:
    """A client with two questions and answers, on its second connection."""
    client = ready(connect, service=service, session_config=NO_VAD, reconnect={"initial_delay": 0.02})
    for text in ("one two three", "four"):
        client.ask(text, timeout=HANG)
    with client.events("reconnected", timeout=2 * HANG) as events:
        service.drop()
        assert not next(events).lost
    return client


def answer_of(client: AzureRealTimeAudio) -> str:
    """Return the id of the first answer."""
    return client.conversation.entries[1].item.id or ""


def words(service: Emulator) -> list[str]:
    """Return what the present session's conversation holds."""
    return [describe(item)[1] for item in service.connections[-1]._engine.conversation]


CUTS: dict[str, tuple[list[int], Callable[[str], bool]]] = {
    "once": ([300], lambda heard: 0 < len(heard) < len("answer to one two three")),
    "twice": ([400, 250], lambda heard: 0 < len(heard) < len("answer to one")),
    "at its end": ([5_000], lambda heard: heard == "answer to one two three"),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_restored_answer_is_cut(cut: str, restored: AzureRealTimeAudio, service: Emulator) -> None:
    """Its heard part is where it was; the program knows it by the same id, and is told of truncations."""
    ends, is_right = CUTS[cut]
    told = Probe()
    restored.on("*", told)
    item_id = answer_of(restored)
    for end_ms in ends:
        event = restored.truncate_item(item_id, 0, end_ms).result(HANG)
        assert (event.item_id, event.audio_end_ms) == (item_id, end_ms)
    restored.create_conversation_item(message("last")).result(HANG)

    question, heard, *rest = words(service)
    assert (question, rest) == ("one two three", ["four", "answer to four", "last"])
    assert is_right(heard)
    assert "answer to one two three".startswith(heard)
    added = "conversation.item.added"
    names = [e.type for e in told.until(lambda e: e.type == added and e.item.text == "last")]
    assert names.count("conversation.item.truncated") == len(ends)
    assert "conversation.item.deleted" not in names
    assert [entry.item.id for entry in restored.conversation.entries][1] == item_id
    restored.delete_item(item_id).result(HANG)
    assert words(service) == ["one two three", "four", "answer to four", "last"]


def test_nothing_comes_between_the_deletion_and_what_was_heard(
    restored: AzureRealTimeAudio, service: Emulator
) -> None:
    """What another thread sends while an answer is cut comes after both."""
    interloper = Interloper(restored, "conversation.item.delete")
    restored.truncate_item(answer_of(restored), 0, 300).result(HANG)
    restored.create_conversation_item(message("last")).result(HANG)

    assert interloper.has_come
    assert words(service)[2:] == ["four", "answer to four", OTHER, "last"]
    kinds = [command["type"] for command in service.received()]
    assert kinds[kinds.index("conversation.item.delete") :] == [
        "conversation.item.delete",
        *["conversation.item.create"] * 3,
    ]
    heard, other, _ = service.received("conversation.item.create")[-3:]
    assert [command["item"]["role"] for command in (heard, other)] == ["assistant", "user"]


def test_what_was_said_before_it_is_lost(connect: Connect, service: Emulator) -> None:
    """Its heard part has its place all the same."""
    policy = {"initial_delay": 0.02, "max_items": 1}
    client = ready(connect, service=service, session_config=NO_VAD, reconnect=policy)
    client.ask("one two three", timeout=HANG)
    with client.events("reconnected", timeout=2 * HANG) as events:
        service.drop()
        assert len(next(events).lost) == 1
    client.truncate_item(answer_of(client), 0, 300).result(HANG)
    client.create_conversation_item(message("last")).result(HANG)

    assert words(service) == ["answer to one", "last"]
    assert [entry.text for entry in client.conversation.entries][::2] == ["one two three", "last"]


def test_a_restored_answer_of_which_nothing_was_heard(
    restored: AzureRealTimeAudio, service: Emulator
) -> None:
    """It is gone from the session, and stays in the program's conversation."""
    item_id = answer_of(restored)
    event = restored.truncate_item(item_id, 0, 0).result(HANG)
    assert (event.item_id, event.audio_end_ms) == (item_id, 0)

    restored.create_conversation_item(message("last")).result(HANG)
    assert words(service) == ["one two three", "four", "answer to four", "last"]
    assert restored.conversation.get(item_id) is not None
    with restored.events("reconnected", timeout=2 * HANG) as events:
        service.drop()
        assert next(events).lost == {item_id: "nothing of it was heard"}
