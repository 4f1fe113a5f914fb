"""Events of the program's own making."""

from __future__ import annotations

from typing import Any

import pytest
from listeners import HANG, NO_VAD, Connect, Probe, message, ready

from azure_rt_audio.emulator import Emulator
from azure_rt_audio.protocol.commands import ConversationItemCreate, ResponseCreate
from azure_rt_audio.protocol.items import ContentPart, MessageItem


def test_a_mapping_is_sent_as_it_is(connect: Connect, emulator: Emulator) -> None:
    """A mapping reaches the service untranslated and unchecked; its answer reaches listeners."""
    client, told = ready(connect), Probe()
    client.on("input_audio_buffer.cleared", told)
    client.send({"type": "input_audio_buffer.clear", "event_id": "mine"})

    assert told.next().type == "input_audio_buffer.cleared"
    assert emulator.received("input_audio_buffer.clear") == [
        {"type": "input_audio_buffer.clear", "event_id": "mine"}
    ]


def test_an_unknown_event_is_refused_by_the_service(connect: Connect) -> None:
    """What the service does not know is its to refuse; the error reaches listeners."""
    client, told = ready(connect), Probe()
    client.on("error", told)
    client.send({"type": "no.such.event", "event_id": "mine"})

    assert told.next().event_id == "mine"


def test_a_command_object(connect: Connect) -> None:
    """A command object is sent in the shape of the dialect."""
    client = ready(connect)
    added = client.events("conversation.item.added", timeout=HANG)
    part = ContentPart(type="input_text", text="hello")
    client.send(ConversationItemCreate(item=MessageItem(id="mine", role="user", content=[part])))

    assert next(added).item.id == "mine"


@pytest.mark.parametrize(
    ("event", "error", "says"),
    [
        (None, TypeError, "mapping or a command object, not NoneType"),
        ("response.create", TypeError, "not str"),
        ({}, ValueError, 'needs a "type"'),
        ({"type": 5}, ValueError, 'needs a "type"'),
        ({"type": "a", "b": object()}, TypeError, "a holds something that JSON cannot express"),
        ({"type": "a", 1: 2}, TypeError, "a holds something that JSON cannot express"),
    ],
)
def test_what_is_no_event(connect: Connect, event: Any, error: type[Exception], says: str) -> None:
    """Only the type is checked, and that JSON can express the rest."""
    client = ready(connect)

    with pytest.raises(error, match=says):
        client.send(event)


@pytest.mark.parametrize("event", [{"type": "response.create"}, ResponseCreate()])
def test_a_raw_request_makes_the_queue_busy(connect: Connect, emulator: Emulator, event: Any) -> None:
    """Requests before and after a raw one wait their turn: never are there two at once."""
    client = ready(connect, session_config=NO_VAD)
    errors, done = Probe(), Probe()
    client.on("error", errors)
    client.on("response.done", done)
    client.create_conversation_item(message("hello")).result(HANG)
    first = client.create_response()
    client.send(event)
    client.send(event)
    answer = client.ask("and now?", timeout=2 * HANG)

    finished = [done.next().response.id for _ in range(4)]
    order = [
        event["type"]
        for event in emulator.connections[0].sent
        if event["type"] in ("response.created", "response.done")
    ]
    assert first.result(0).id == finished[0]
    assert answer.id == finished[3]
    assert order == ["response.created", "response.done"] * 4
    assert errors.told == []


def test_a_raw_request_that_is_refused_frees_the_queue(connect: Connect) -> None:
    """A refusal of a raw request reaches listeners, and the next request goes out."""
    client, errors = ready(connect, session_config=NO_VAD), Probe()
    client.on("error", errors)
    client.send({"type": "response.create", "response": {"max_output_tokens": "many"}, "event_id": "mine"})

    assert errors.next().event_id == "mine"
    assert client.ask("hello", timeout=HANG).status == "completed"


def test_a_raw_update_is_taken_into_account(connect: Connect, dialect: str) -> None:
    """Audio after a raw update is in the format that it asks for; a later update gets its own answer."""
    client = ready(connect)
    flat = {"input_audio_format": "g711_ulaw"}
    nested = {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcmu"}}}}
    client.send({"type": "session.update", "session": nested if dialect == "ga" else flat})
    client.append_audio(b"\xff" * 801)
    updated = client.update_session({"instructions": "Be brief."}).result(HANG)

    assert updated.session.instructions == "Be brief."
    assert client.session is not None
    assert client.session.input_audio_format == "g711_ulaw"


def test_a_raw_commit_keeps_the_order_of_answers(connect: Connect) -> None:
    """The answer of a raw commit is not taken for that of a later one."""
    client = ready(connect, session_config=NO_VAD)
    sound = b"\0\0" * 4800
    with client.events("conversation.item.added", timeout=HANG) as added:
        client.append_audio(sound)
        client.send({"type": "input_audio_buffer.commit"})
        client.append_audio(sound)
        mine = client.commit_audio().result(HANG)
        items = [next(added).item.id, next(added).item.id]

    assert items.index(mine.item_id) == 1


def test_an_event_gets_an_id(connect: Connect, emulator: Emulator) -> None:
    """One without an id is sent with one of its own; the mapping is left as it is."""
    client, event = ready(connect), {"type": "input_audio_buffer.clear"}
    client.send(event)
    client.send({**event, "event_id": None})
    client.clear_audio_buffer().result(HANG)

    ids = [sent["event_id"] for sent in emulator.received("input_audio_buffer.clear")]
    assert (len(set(ids)), None in ids) == (3, False)
    assert event == {"type": "input_audio_buffer.clear"}


def test_a_raw_item_that_is_refused_blames_nobody_else(connect: Connect) -> None:
    """The refusal of a raw item reaches listeners; a question that is under way is answered."""
    client, errors = ready(connect, session_config=NO_VAD), Probe()
    client.on("error", errors)
    item = {"type": "function_call_output", "call_id": "nope", "output": "x"}
    client.send({"type": "conversation.item.create", "item": item})

    assert client.ask("hello", timeout=HANG).status == "completed"
    assert errors.next().code == "invalid_tool_call_id"
