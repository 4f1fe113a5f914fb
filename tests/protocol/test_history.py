"""A conversation as JSON values: what is written, what is read, and what is refused, with its path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from azure_rt_audio.protocol.codec import decode_event
from azure_rt_audio.protocol.conversation import Conversation
from azure_rt_audio.protocol.dialects import choose_dialect
from azure_rt_audio.protocol.history import History, history_from
from azure_rt_audio.protocol.items import (
    ContentPart,
    FunctionCallItem,
    FunctionCallOutputItem,
    MessageItem,
)
from azure_rt_audio.protocol.restoration import plan_restoration

GA = choose_dialect("v1", None)
IMAGE = "data:image/png;base64,AAAA"


def feed(conversation: Conversation, *events: dict[str, Any]) -> Conversation:
    """Apply events as the service sends them."""
    for event in events:
        conversation._apply(decode_event(json.dumps(event)))
    return conversation


def added(**item: Any) -> dict[str, Any]:
    """Return the event of an item that is in the conversation."""
    return {"type": "conversation.item.added", "item": item}


def message(id_: str, role: str, *content: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """Return the event of a message."""
    return added(type="message", id=id_, role=role, content=list(content), **facts)


def spoken() -> Conversation:
    """Return a conversation with one of each."""
    made = Conversation()
    image = ContentPart(type="input_image", image_url=IMAGE)
    look = ContentPart(type="input_text", text="Look")
    made._note_sent(MessageItem(id="u1", role="user", content=[look, image]))
    place = {"response_id": "r", "output_index": 0, "content_index": 0, "item_id": "a"}
    return feed(
        made,
        {"type": "session.updated", "session": {"type": "realtime", "audio": {"input": {}, "output": {}}}},
        message("s", "system", {"type": "input_text", "text": "Be brief."}),
        message("u1", "user", {"type": "input_text", "text": "Look"}, {"type": "input_image"}),
        message("u2", "user", {"type": "input_audio", "transcript": None}),
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "u2",
            "content_index": 0,
            "transcript": "What is it?",
        },
        added(type="function_call", id="c", name="look", arguments="{}", call_id="k", status="completed"),
        added(type="function_call_output", id="o", call_id="k", output="a tree"),
        {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}},
        message("a", "assistant", status="in_progress"),
        {**place, "type": "response.output_audio_transcript.delta", "delta": "It is a tall tree."},
        {**place, "type": "response.output_audio.delta", "delta": "AAAA" * 16_000},
        {
            **message("a", "assistant", {"type": "output_audio", "transcript": "It is a tall tree."}),
            "type": "conversation.item.done",
        },
        {"type": "conversation.item.truncated", "item_id": "a", "content_index": 0, "audio_end_ms": 500},
        added(type="mcp_list_tools", id="l", server_label="s", tools=[]),
        message("u3", "user", {"type": "input_audio"}),
    )


DOCUMENT = {
    "version": 1,
    "items": [
        {
            "type": "message",
            "id": "s",
            "role": "system",
            "content": [{"type": "input_text", "text": "Be brief."}],
        },
        {
            "type": "message",
            "id": "u1",
            "role": "user",
            "content": [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": IMAGE}],
        },
        {
            "type": "message",
            "id": "u2",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": "What is it?"}],
        },
        {
            "type": "function_call",
            "id": "c",
            "name": "look",
            "arguments": "{}",
            "call_id": "k",
            "status": "completed",
        },
        {"type": "function_call_output", "id": "o", "call_id": "k", "output": "a tree"},
        {
            "type": "message",
            "id": "a",
            "role": "assistant",
            "content": [{"type": "audio", "transcript": "It is a tall tree."}],
            "audio_ms": 1000,
            "truncated_at_ms": 500,
        },
        {"type": "message", "id": "u3", "role": "user", "content": [{"type": "input_audio"}]},
    ],
}


def test_what_is_written() -> None:
    """Texts, transcripts, images that were sent, calls, and how far an answer was heard."""
    conversation = spoken()

    assert conversation.to_dict() == DOCUMENT
    assert json.loads(conversation.to_json()) == DOCUMENT
    assert conversation.to_dict(sound=True) == DOCUMENT, "nothing is kept"


def test_sound_if_asked() -> None:
    """What is kept of the user's speech is written on request, with its format."""
    conversation = spoken()
    conversation._sound = lambda _: {"u2": "AAAA", "u3": "BBBB", "gone": "CCCC"}
    written = conversation.to_dict(sound=True)

    assert conversation.to_dict() == DOCUMENT
    assert written["input_audio_format"] == "pcm16"
    assert written["items"][2]["content"] == [
        {"type": "input_audio", "transcript": "What is it?", "audio": "AAAA"}
    ]
    assert history_from(written).sound == {"u2": "AAAA", "u3": "BBBB"}
    assert "AAAA" not in repr(history_from(written))


def test_it_comes_back_as_it_was() -> None:
    """What is read gives a new session the same as the conversation itself."""
    conversation = spoken()
    for value in (conversation.to_dict(), conversation.to_json(), conversation.to_json().encode()):
        read = history_from(value)
        assert plan_restoration(read.entries, GA) == plan_restoration(conversation.entries, GA)
        again = Conversation()
        again._begin_with(read.entries)
        assert again.to_dict(sound=False) == conversation.to_dict(), "however often it is kept"
    assert [entry.text for entry in read.entries][5] == "It is a tall tree."
    assert plan_restoration(read.entries, GA).shortened == {"a": "only what was heard: 500 of 1000 ms"}


def test_an_answer_in_progress() -> None:
    """It is written as far as it has come."""
    conversation = feed(
        Conversation(),
        message("a", "assistant", status="in_progress"),
        {
            "type": "response.output_text.delta",
            "response_id": "r",
            "item_id": "a",
            "output_index": 0,
            "content_index": 0,
            "delta": "It is",
        },
    )

    (item,) = conversation.to_dict()["items"]
    assert (item["content"], item["status"]) == ([{"type": "text", "text": "It is"}], "in_progress")


@pytest.mark.parametrize(
    "pairs",
    [
        [("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi")],
        [["system", "Be brief."], ["user", "Hello"], ["assistant", "Hi"]],
        [
            {"role": "system", "text": "Be brief."},
            {"role": "user", "text": "Hello"},
            {"role": "assistant", "text": "Hi"},
        ],
        (
            MessageItem(role="system", content=[ContentPart(type="input_text", text="Be brief.")]),
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
            ("assistant", "Hi"),
        ),
        '[["system", "Be brief."], ["user", "Hello"], ["assistant", "Hi"]]',
    ],
    ids=["tuples", "lists", "mappings", "items", "json"],
)
def test_a_plain_list(pairs: Any) -> None:
    """Pairs of role and text are enough; each gets an id of its own."""
    assert [entry.item for entry in history_from(pairs).entries] == [
        MessageItem(
            id="history_1", role="system", content=[ContentPart(type="input_text", text="Be brief.")]
        ),
        MessageItem(id="history_2", role="user", content=[ContentPart(type="input_text", text="Hello")]),
        MessageItem(id="history_3", role="assistant", content=[ContentPart(type="text", text="Hi")]),
    ]


def test_an_empty_one() -> None:
    """Nothing is a history, too."""
    assert history_from([]) == history_from({"version": 1, "items": []}) == History()
    assert Conversation().to_dict() == {"version": 1, "items": []}


def test_long_ids() -> None:
    """Ids that a service would refuse are replaced, of a call and its output by the same."""
    read = history_from(
        [
            FunctionCallItem(id="c" * 40, name="look", arguments="{}", call_id="call_" + "7" * 40),
            FunctionCallOutputItem(id="o", call_id="call_" + "7" * 40, output="seen"),
        ]
    )
    call, output = (entry.item for entry in read.entries)

    assert isinstance(call, FunctionCallItem)
    assert isinstance(output, FunctionCallOutputItem)
    assert call.call_id == output.call_id
    assert (len(call.id or ""), len(output.call_id), output.id) == (32, 32, "o")


CALL = {"type": "function_call", "id": "c", "name": "look", "arguments": "{}", "call_id": "k"}
OUTPUT = {"type": "function_call_output", "id": "o", "call_id": "k", "output": "seen"}
HELLO = {"type": "message", "id": "u", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


def of(*items: Any, **facts: Any) -> dict[str, Any]:
    """Return a document."""
    return {"version": 1, "items": list(items), **facts}


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        (None, TypeError, r"history must be a mapping or a list, not NoneType; give what Conversation\."),
        (5, TypeError, "not int"),
        ("Hello", ValueError, "history is not JSON"),
        ("5", TypeError, "not int"),
        ({}, ValueError, r"history\.version is missing; give what"),
        ({"items": []}, ValueError, r"history\.version is missing"),
        ({"version": 2, "items": []}, ValueError, r"history\.version is 2, and this library reads 1"),
        ({"version": "1", "items": []}, ValueError, r"history\.version is '1'"),
        ({"version": True, "items": []}, ValueError, r"history\.version is True"),
        ({"version": 1}, ValueError, r"history\.items must be a list"),
        ({"version": 1, "items": "Hello"}, ValueError, r"history\.items must be a list"),
        (of(colour="red"), ValueError, r"history\.colour is unknown"),
        (
            of(HELLO, OUTPUT),
            ValueError,
            r"history\.items\[1\]\.call_id: no function call before it has the id",
        ),
        (of(OUTPUT, CALL), ValueError, r"history\.items\[0\]\.call_id: no function call before it"),
        (
            of(CALL, OUTPUT, {**OUTPUT, "id": "o2"}),
            ValueError,
            r"items\[2\]\.call_id: the call 'k' has an output",
        ),
        (
            of(CALL, {**CALL, "id": "c2"}),
            ValueError,
            r"items\[1\]\.call_id: 'k' is the id of an earlier call",
        ),
        (of(HELLO, HELLO), ValueError, r"items\[1\]\.id: 'u' is the id of an earlier item"),
        (of({**CALL, "call_id": None}), ValueError, r"items\[0\]\.call_id is missing"),
        (of({**OUTPUT, "output": 5}), ValueError, r"history\.items\[0\]\.output"),
        (
            of({**HELLO, "role": "robot"}),
            ValueError,
            r"items\[0\]\.role must be one of system, user, assistant",
        ),
        (of({**HELLO, "content": [{"type": "input_text", "text": 5}]}), ValueError, r"content\[0\]\.text"),
        (of({**HELLO, "colour": "red"}), ValueError, r"items\[0\]\.colour"),
        (of({**HELLO, "audio_ms": -1}), ValueError, r"items\[0\]\.audio_ms must be a whole number"),
        (of({**HELLO, "truncated_at_ms": True}), ValueError, r"truncated_at_ms must be a whole number"),
        (
            of({"type": "mcp_list_tools", "server_label": "s", "tools": []}),
            ValueError,
            "not part of a history",
        ),
        (of({"type": "video"}), ValueError, r"items\[0\]"),
        (
            of({**HELLO, "content": [{"type": "input_audio", "audio": "AAAA"}]}),
            ValueError,
            "input_audio_format must say",
        ),
        (
            of({**HELLO, "content": [{"type": "input_audio", "audio": "A!"}]}, input_audio_format="pcm16"),
            ValueError,
            r"items\[0\]\.content\[0\]\.audio is not base64",
        ),
        (["Hello"], ValueError, r"history\[0\] must be a pair \(role, text\)"),
        ([("user", "Hi", "there")], ValueError, r"history\[0\] must be a pair"),
        ([("user", "Hi"), ("robot", "Hi")], ValueError, r"history\[1\]\.role must be one of system"),
        ([("user", "")], ValueError, r"history\[0\]\.text must be a text that is not empty"),
        ([("user", None)], ValueError, r"history\[0\]\.text must be"),
        ([([], "Hi")], ValueError, r"history\[0\]\.role must be"),
        ([{"role": "user", "content": "Hi"}], ValueError, r'must have "role" and "text".*not content, role'),
        ([5], ValueError, r"history\[0\] must be a pair"),
    ],
)
def test_what_is_refused(value: Any, error: type[Exception], says: str) -> None:
    """Another version, broken pairs, and everything that cannot be right: by its path, with a remedy."""
    with pytest.raises(error, match=says):
        history_from(value)


def test_the_path_is_the_callers() -> None:
    """A command names its file."""
    with pytest.raises(ValueError, match=r"^talk\.json\.version is 9"):
        history_from({"version": 9}, "talk.json")


def test_a_mirror_begins_with_it() -> None:
    """The items stand at the end, in order, once; later events about them are taken as ever."""
    conversation = feed(Conversation(), message("s", "system", {"type": "input_text", "text": "Be brief."}))
    kept = history_from([("user", "Hello"), ("assistant", "Hi")])
    conversation._begin_with(kept.entries)
    conversation._begin_with(kept.entries)
    feed(conversation, message("u", "user", {"type": "input_text", "text": "And?"}))

    assert [(entry.item.id, entry.text) for entry in conversation.entries] == [
        ("s", "Be brief."),
        ("history_1", "Hello"),
        ("history_2", "Hi"),
        ("u", "And?"),
    ]
    feed(conversation, {"type": "conversation.item.deleted", "item_id": "history_1"})
    assert len(conversation) == 3


def test_an_image_is_kept_when_it_is_described_again() -> None:
    """Events that lack it do not take it away, and those that have it win."""
    conversation = spoken()
    again = message("u1", "user", {"type": "input_text", "text": "Look"}, {"type": "input_image"})
    feed(conversation, {**again, "type": "conversation.item.done"})
    feed(conversation, {**again, "type": "conversation.item.retrieved"})

    assert conversation.to_dict() == DOCUMENT
