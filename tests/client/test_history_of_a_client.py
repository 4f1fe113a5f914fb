"""A conversation that was kept begins another client: the model knows it, and no listener is told of it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from listeners import HANG, NO_VAD, TONE, Connect, Probe, message
from manual_clock import ManualClock

from azure_rt_audio import ConnectionClosedError, ServiceError
from azure_rt_audio.emulator import (
    Conversation,
    Emulator,
    FunctionCall,
    Reply,
    Session,
    Swallow,
    before,
)

TOOL = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}}


class Model:
    """A responder that remembers what it was shown, and calls a tool where the user says "look"."""

    def __init__(self) -> None:
        self.saw: list[str] = []

    def __call__(self, conversation: Conversation, session: Session) -> Reply:
        self.saw = [
            item.text or item.output or f"{item.name} {json.loads(item.arguments)}"
            for item in conversation.items
        ]
        last = conversation.items[-1]
        if last.type == "message" and last.text == "Look":
            return Reply(calls=[FunctionCall("look", {"at": 1})])
        return Reply("One two three four.")


@pytest.fixture
def model() -> Model:
    """The model that the emulator plays."""
    return Model()


@pytest.fixture
def service(model: Model) -> Any:
    """An emulator with that model."""
    with Emulator(pace=0, responder=model, recogniser=lambda *_: "What is it?") as service:
        yield service


def test_a_conversation_goes_on(connect: Connect, service: Emulator, model: Model) -> None:
    """Texts, speech, a tool, and an answer as far as it was heard: all of it, once, in order."""
    config = {"session_config": {**NO_VAD, "tools": [TOOL]}}
    first = connect(service=service, **config)
    with first.events("response.done", timeout=HANG) as done:
        first.create_conversation_item(message("Look"))
        call = first.create_response().result(HANG).function_calls[0]
        first.create_conversation_item(
            {"type": "function_call_output", "call_id": call.call_id, "output": "a tree"}
        )
        answer = first.create_response().result(HANG)
        next(done)
    spoken = answer.output[0]
    heard_ms = first.conversation.get(spoken.id or "").audio_ms // 2  # type: ignore[union-attr]
    first.truncate_item(spoken.id or "", 0, heard_ms).result(HANG)
    with first.events("conversation.item.added", timeout=HANG) as added:
        first.append_audio(TONE)
        item_id = first.commit_audio().result(HANG).item_id
        assert next(event for event in added if event.item.id == item_id)
    kept, mute = first.conversation.to_dict(sound=True), first.conversation.to_dict()
    assert base64.b64decode(kept["items"][-1]["content"][0]["audio"]) == TONE

    told = Probe()
    second = connect(service=service, history=kept, **config)
    second.on("*", told)
    second.wait_until_ready(HANG)
    second.ask("And now?", timeout=HANG)

    assert model.saw == ["Look", "look {'at': 1}", "a tree", "One two", "What is it?", "And now?"]
    assert [entry.item.id for entry in second.conversation.entries][:5] == [
        item["id"] for item in kept["items"]
    ]
    heard = told.until(lambda event: event.type == "response.done")
    known = {item["id"] for item in kept["items"]}
    assert [event.type for event in heard if getattr(getattr(event, "item", None), "id", "") in known] == []

    third = connect(service=service, history=mute, **config)
    third.ask("And now?", timeout=HANG)

    assert model.saw == ["Look", "look {'at': 1}", "a tree", "One two", "And now?"]
    assert "'audio':" not in str(mute)


@pytest.mark.parametrize("audio_format", ["pcm16", "g711_ulaw"])
def test_sound_lasts(audio_format: str, connect: Connect, service: Emulator) -> None:
    """The client has the user's sound of its history: to be written again, and for the next session."""
    turns = [b"\1\2" * 4_800, b"\3\4" * 4_800]
    config: dict[str, Any] = {
        "service": service,
        "session_config": {**NO_VAD, "input_audio_format": audio_format},
        "reconnect": {"initial_delay": 0.02, "keep_turns_s": 2.5},
    }
    first = connect(**config)
    for turn in turns:
        first.append_audio(turn)
        first.commit_audio().result(HANG)
    first.clear_audio_buffer().result(HANG)  # its answer comes after the items
    kept = first.conversation.to_dict(sound=True)
    for _ in range(2):
        client = connect(**config, history=kept)
        client.wait_until_ready(HANG)
        assert sounds(client.conversation.to_dict(sound=True)) == turns
        with client.events("reconnected", timeout=HANG) as events:
            service.drop()
            event = next(events)
        assert (len(event.restored), event.lost) == (2, {})
        items = service.connections[-1]._engine.conversation
        assert [bytes(item.parts[0].audio) for item in items] == turns
        client.append_audio(turns[0])
        client.clear_audio_buffer().result(HANG)
        assert client.conversation.to_dict(sound=True)["input_audio_format"] == audio_format
        kept = client.conversation.to_dict(sound=True)


def test_sound_of_a_history_is_limited(connect: Connect, service: Emulator) -> None:
    """As that of other turns: the newest is kept, and what comes later takes the place of what is older."""
    said = {"type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    items = [
        {**said, "id": name, "content": [{"type": "input_audio", "audio": base64.b64encode(TONE).decode()}]}
        for name in ("a", "b", "c")
    ]
    kept = {"version": 1, "input_audio_format": "pcm16", "items": items}
    policy = {"initial_delay": 0.02, "keep_turns_s": 2.0}
    client = connect(service=service, history=kept, session_config=NO_VAD, reconnect=policy)
    client.wait_until_ready(HANG)

    def sounding() -> list[str]:
        written = client.conversation.to_dict(sound=True)["items"]
        return [item["id"] for item in written if "audio" in item["content"][0]]

    assert sounding() == ["b", "c"]
    client.append_audio(TONE)
    committed = client.commit_audio().result(HANG).item_id
    with client.events("reconnected", timeout=HANG) as events:
        service.drop()
        event = next(events)

    assert sounding() == ["c", committed]
    assert event.restored == ("c", committed)
    assert list(event.lost) == ["a", "b"]


def test_a_plain_list(connect: Connect, service: Emulator, model: Model) -> None:
    """Pairs of role and text are enough, and the session is ready when the model knows them."""
    client = connect(
        service=service, history=[("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi")]
    )
    client.wait_until_ready(HANG)

    assert [entry.text for entry in client.conversation.entries] == ["Be brief.", "Hello", "Hi"]
    client.ask("And now?", timeout=HANG)
    assert model.saw == ["Be brief.", "Hello", "Hi", "And now?"]


def test_the_session_is_changed_later(
    connect: Connect, service: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Updates, and going over to another connection, do not restore it once more."""
    client = connect(service=service, history=[("user", "Hello"), ("assistant", "Hi")])
    client.update_session({"instructions": "Be brief."}).result(HANG)

    assert client.reconnect().result(HANG).restored == ("history_1", "history_2")
    assert "callback failed" not in caplog.text
    for connection in service.connections:
        created = [
            command for command in connection.received if command["type"] == "conversation.item.create"
        ]
        assert [command["item"]["id"] for command in created] == ["history_1", "history_2"]


def sounds(kept: dict[str, Any]) -> list[bytes]:
    """Return the sound in a document."""
    return [base64.b64decode(item["content"][0]["audio"]) for item in kept["items"]]


def test_the_budget_and_the_format(
    connect: Connect, service: Emulator, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    """Of what is too long the newest is taken; sound in another format is lost; both are logged."""
    kept = {
        "version": 1,
        "input_audio_format": "g711_ulaw",
        "items": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAA"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi there."}]},
        ],
    }
    client = connect(service=service, history=kept, reconnect={"max_characters": 12})
    client.ask("And now?", timeout=HANG)

    assert model.saw == ["Hi there.", "And now?"]
    lost = client.conversation.lost
    assert lost == {
        "history_1": "beyond max_items or max_characters",
        "history_2": "it has no transcript, and its sound is not kept",
    }
    assert f"2 of 3 items of the history were not restored: {'; '.join(lost.values())}." in caplog.text


@pytest.mark.parametrize("dialect", ["ga", "preview"])
def test_what_was_not_restored_is_kept(
    dialect: str, connect: Connect, service: Emulator, model: Model
) -> None:
    """A history loses nothing to the budget: not its oldest items, nor the end of its newest one."""
    kept = [("user", "One"), ("assistant", "Two"), ("user", "Three"), ("assistant", "Four")]
    limits = {"max_items": 3, "max_characters": 9, "initial_delay": 0.02}
    client = connect(service=service, dialect=dialect, session_config=NO_VAD, history=kept, reconnect=limits)
    told = Probe()
    client.on("reconnected", told)
    client.create_conversation_item(message("Five, and more")).result(HANG)

    assert list(client.conversation.lost) == ["history_1", "history_2"]
    history = client.conversation.to_json()
    assert [entry.text for entry in client.conversation.entries] == [
        *(text for _, text in kept),
        "Five, and more",
    ]

    for is_planned in (True, False):  # what is told again is only what is lost again
        if is_planned:
            client.reconnect()
        else:
            service.drop()
        event = told.next()
        assert event.is_planned is is_planned
        assert list(event.lost) == (["history_3", "history_4"] if is_planned else [])
        assert list(client.conversation.lost) == [f"history_{number}" for number in range(1, 5)]
        assert list(client.conversation.shortened.values()) == ["only 9 of 14 characters"]
        assert client.conversation.to_json() == history

    again = connect(service=service, dialect=dialect, history=history, reconnect=limits)
    again.ask("And now?", timeout=HANG)
    assert model.saw == ["Five, and", "And now?"]
    assert [e.text for e in again.conversation.entries][:5] == [e.text for e in client.conversation.entries]
    assert list(again.conversation.shortened.values()) == ["only 9 of 14 characters"]


def test_nothing_of_it_is_restored(connect: Connect, service: Emulator, model: Model) -> None:
    """What is said now stands after what the session does not know."""
    kept = [("user", "One"), ("assistant", "Two")]
    client = connect(service=service, history=kept, reconnect={"restore": "none"})
    client.ask("Three", timeout=HANG)

    assert model.saw == ["Three"]
    assert [e.text for e in client.conversation.entries] == ["One", "Two", "Three", "One two three four."]


@pytest.mark.parametrize("policy", [None, {"max_attempts": 1}])
def test_a_service_that_does_not_take_it(
    policy: dict[str, Any] | None, connect: Connect, service: Emulator, clock: ManualClock
) -> None:
    """If nothing comes of its items for ten seconds the session ends, with a policy and without."""
    names = ("added", "created", "done")
    service.faults.add(*(before(f"conversation.item.{name}", Swallow(), times=None) for name in names))
    client, told = connect(service=service, history=[("user", "Hello")], reconnect=policy), Probe()
    client.on("closed", told)
    service.wait_for_command("conversation.item.create", HANG)
    clock.now += 9.0
    client._engine.attempts._check()
    assert client.state.name == "OPEN"
    clock.now += 2.0
    client._engine.attempts.call_in(0.0)

    assert "did not take back the conversation in time" in str(told.next().error)
    with pytest.raises(ConnectionClosedError, match="in time"):
        client.wait_until_ready(HANG)


@pytest.mark.parametrize("policy", [None, {"max_attempts": 1}])
def test_a_configuration_that_is_mended(
    policy: dict[str, Any] | None, connect: Connect, service: Emulator, model: Model, clock: ManualClock
) -> None:
    """Time is no limit while the program is to say what the session shall be instead."""
    wrong = {"extra": {"colour": 1}}
    client = connect(service=service, history=[("user", "One")], reconnect=policy, session_config=wrong)
    with pytest.raises(ServiceError, match="colour"):
        client.wait_until_ready(HANG)
    clock.now += 60.0
    client._engine.attempts._check()
    client.update_session({"voice": "alloy"})
    client.ask("Two", timeout=HANG)

    assert model.saw == ["One", "Two"]


def test_what_is_refused(connect: Connect, service: Emulator) -> None:
    """A history that cannot be right is refused by the constructor, with its path; nothing is dialled."""
    with pytest.raises(ValueError, match=r"history\[1\]\.role"):
        connect(service=service, history=[("user", "Hello"), ("robot", "Hi")])

    assert service.connections == ()
