"""What streamed counts, also if the end of a response does not say it again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from azure_rt_audio.protocol.codec import decode_event
from azure_rt_audio.protocol.conversation import Conversation
from azure_rt_audio.protocol.events import Event, ResponseDone
from azure_rt_audio.protocol.items import MessageItem
from azure_rt_audio.protocol.responses import Response

ABSENT = object()
NOTHING = [None, [], ABSENT, "none", [7]]
"""What stands for an output at the end that says nothing."""


def heard(**fields: Any) -> Event:
    return decode_event(json.dumps(fields))


def created(**fields: Any) -> Event:
    return heard(
        type="response.created", response={"id": "r", "status": "in_progress", "output": [], **fields}
    )


def done(output: Any, status: str = "completed", **fields: Any) -> ResponseDone:
    response = {"id": "r", "status": status, **({} if output is ABSENT else {"output": output}), **fields}
    event = heard(type="response.done", response=response)
    assert isinstance(event, ResponseDone)
    return event


def message(id_: str | None = "m", text: str = "") -> dict[str, Any]:
    part = {"type": "output_text", "text": text}
    return {"id": id_, "type": "message", "role": "assistant", "content": [part] if text else []}


def call(arguments: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "id": "f",
        "type": "function_call",
        "name": "add",
        "call_id": "c",
        "arguments": arguments,
        **fields,
    }


def item(state: str, item: dict[str, Any], index: int = 0) -> Event:
    return heard(type=f"response.output_item.{state}", response_id="r", output_index=index, item=item)


def text(delta: str, id_: Any = "m", kind: str = "output_text", **fields: Any) -> Event:
    place = {"response_id": "r", "item_id": id_, "output_index": 0, "content_index": 0, **fields}
    return heard(type=f"response.{kind}.delta", delta=delta, **place)


def arguments(kind: str, **fields: Any) -> Event:
    place = {"response_id": "r", "item_id": "f", "output_index": 1, "call_id": "c"}
    return heard(type=f"response.function_call_arguments.{kind}", **{**place, **fields})


def followed(*events: Event) -> tuple[Response, Conversation]:
    conversation = Conversation()
    for event in events:
        conversation._apply(event)
    end = events[-1]
    assert isinstance(end, ResponseDone)
    return end.response, conversation


def words(conversation: Conversation) -> list[str]:
    return [entry.words for entry in conversation.entries]


@pytest.mark.parametrize("output", NOTHING)
@pytest.mark.parametrize("kind", ["output_text", "output_audio_transcript"])
def test_deltas_alone_make_an_answer(output: Any, kind: str) -> None:
    """No item is announced, and the end says nothing: the text is there, and in the conversation."""
    response, conversation = followed(created(), text("Hell", kind=kind), text("o.", kind=kind), done(output))

    assert response.text == "Hello."
    assert [(entry.role, entry.text) for entry in conversation.entries] == [("assistant", "Hello.")]
    (spoken,) = response.output or ()
    assert isinstance(spoken, MessageItem)
    assert spoken.status == "completed"
    assert [part.type for part in spoken.content or ()] == ["text" if kind == "output_text" else "audio"]


@pytest.mark.parametrize("output", NOTHING)
def test_item_events_make_an_answer(output: Any) -> None:
    """Items that were announced and done stand in the output, in their order."""
    response, conversation = followed(
        created(),
        item("added", call(), 1),
        item("added", message()),
        text("On it."),
        arguments("delta", delta='{"a":'),
        arguments("delta", delta=" 1}"),
        item("done", call('{"a": 1}'), 1),
        item("done", message(text="On it.")),
        done(output),
    )

    assert response.text == "On it."
    assert [(c.name, c.call_id, c.arguments) for c in response.function_calls] == [("add", "c", '{"a": 1}')]
    assert [one.id for one in response.output or ()] == ["m", "f"]
    assert words(conversation) == ["On it.", 'add({"a": 1})']


@pytest.mark.parametrize("output", NOTHING)
@pytest.mark.parametrize(
    "events",
    [
        [arguments("done", arguments="{}", name="add")],
        [item("added", call(), 1), arguments("delta", delta="{}")],
        [
            item("added", call(), 1),
            arguments("delta", delta="{", item_id=None),
            arguments("delta", delta="}"),
        ],
        [arguments("delta", delta="{}"), item("done", call(None), 1)],  # type: ignore[arg-type]
    ],
)
def test_a_call_is_put_together(output: Any, events: list[Event]) -> None:
    """From whatever came of it."""
    response, conversation = followed(created(), *events, done(output))

    assert [(c.name, c.call_id, c.arguments) for c in response.function_calls] == [("add", "c", "{}")]
    assert words(conversation) == ["add({})"]


@pytest.mark.parametrize("status", ["cancelled", "incomplete", "failed"])
def test_a_call_that_was_cut_short_is_not_made(status: str) -> None:
    """Its arguments may not be whole; what was said is kept."""
    response, conversation = followed(
        created(),
        item("added", message()),
        text("I will"),
        item("added", call(), 1),
        arguments("delta", delta='{"amount": 1'),
        done([], status),
    )

    assert response.function_calls == []
    assert response.text == "I will"
    assert [getattr(one, "status", "") for one in response.output or ()] == ["incomplete"]
    assert words(conversation) == ["I will"]


def test_what_the_end_leaves_open_is_filled_in() -> None:
    """An item without its text, a call without its name and arguments, an item that is missing."""
    response, _ = followed(
        created(),
        item("added", message()),
        text("Hello"),
        item("added", call(), 1),
        arguments("delta", delta="{}"),
        item("done", message("n", "And more."), 2),
        done([message(), call("", name=None)]),
    )

    assert response.text == "HelloAnd more."
    assert [(c.name, c.call_id, c.arguments) for c in response.function_calls] == [("add", "c", "{}")]


def test_a_whole_output_is_left_alone() -> None:
    """The end's word counts where it says something."""
    response, conversation = followed(
        created(), item("added", message()), text("Hell"), done([message(text="Hello.")])
    )

    assert response.text == "Hello."
    assert response.extra == {}
    assert words(conversation) == ["Hello."]


@pytest.mark.parametrize(
    "place", [{"id_": None}, {"id_": ""}, {"id_": 7, "output_index": 1}, {"id_": None, "response_id": None}]
)
def test_deltas_that_do_not_name_their_item(place: dict[str, Any]) -> None:
    """They belong to the message of the response."""
    response, conversation = followed(
        created(),
        item("added", message(), 1),
        item("added", call("{}")),
        text("Hell", **place),
        text("o", **place),
        done(None),
    )

    assert response.text == "Hello"
    assert [one.id for one in response.output or ()] == ["f", "m"]
    assert words(conversation) == ["add({})", "Hello"]


def test_items_that_share_an_index() -> None:
    """Some services number each item 0: they are told apart by their ids."""
    response, conversation = followed(
        created(),
        item("added", message()),
        text("On it."),
        item("done", message()),
        item("added", call()),
        item("done", call("{}")),
        done(None),
    )

    assert [one.id for one in response.output or ()] == ["m", "f"]
    assert words(conversation) == ["On it.", "add({})"]


def test_an_item_whose_id_is_odd_at_its_end() -> None:
    """It is no further item."""
    response, _ = followed(
        created(), item("added", message()), item("done", message("7", "Hello")), done([message()])
    )

    assert [(one.id, response.text) for one in response.output or ()] == [("m", "Hello")]


def test_an_answer_without_any_id() -> None:
    """Nothing can refer to it, but it was said."""
    response, conversation = followed(
        heard(type="response.created", response={}), heard(type="response.text.delta", delta="Hi."),
        heard(type="response.done", response={}),
    )  # fmt: skip

    assert response.text == "Hi."
    assert [(entry.item.id, entry.text) for entry in conversation.entries] == [(None, "Hi.")]


@pytest.mark.parametrize("at_end", [{}, {"conversation_id": None}])
def test_beside_the_conversation(at_end: dict[str, Any]) -> None:
    """The answer is complete as well, and leaves no trace."""
    response, conversation = followed(
        created(conversation_id=None), item("added", message()), text("Psst."), done(None, **at_end)
    )

    assert response.text == "Psst."
    assert conversation.entries == ()
    assert conversation.get("m") is None


def test_an_item_that_was_deleted_meanwhile_stays_deleted() -> None:
    """The end of its response does not bring it back."""
    added = heard(type="conversation.item.added", item=message(), previous_item_id=None)
    response, conversation = followed(
        created(),
        item("added", message()),
        added,
        heard(type="conversation.item.deleted", item_id="m"),
        done([message(text="Hello")]),
    )

    assert (response.text, conversation.entries) == ("Hello", ())


def test_responses_whose_end_was_lost_are_forgotten() -> None:
    """The client of a service that loses its ends does not grow."""
    conversation = Conversation()
    for number in range(1000):
        conversation._apply(text("x", f"m{number}", response_id=f"r{number}"))

    assert len(conversation._streams) < 100


def test_an_empty_text_does_not_wipe_what_streamed() -> None:
    """Neither at the end of a part nor of an item."""
    part = {"response_id": "r", "item_id": "m", "output_index": 0, "content_index": 0}
    response, conversation = followed(
        created(),
        text("Hello"),
        heard(type="response.output_text.done", text="", **part),
        item("done", {**message(), "content": [{"type": "output_text", "text": ""}]}),
        done([message()]),
    )

    assert response.text == "Hello"
    assert words(conversation) == ["Hello"]
