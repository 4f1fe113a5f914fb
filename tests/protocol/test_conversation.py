"""The mirror of the conversation, kept from the events alone."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import attrs
import pytest

from azure_rt_audio.protocol.codec import decode_event
from azure_rt_audio.protocol.conversation import Conversation, ConversationEntry
from azure_rt_audio.protocol.events import ConversationItemAdded, Event, ResponseDone
from azure_rt_audio.protocol.items import ContentPart, FunctionCallItem, McpCallItem, MessageItem


def heard(**fields: Any) -> Event:
    return decode_event(json.dumps(fields))


def added(id_: str, name: str = "conversation.item.added", role: str = "user", **fields: Any) -> Event:
    content = fields.pop("content", [])
    item = {"id": id_, "type": "message", "role": role, "content": content}
    return heard(type=name, item=item, **fields)


def streamed(kind: str, id_: str, part: int | None = 0, **fields: Any) -> Event:
    place: dict[str, Any] = {} if part is None else {"content_index": part}
    if kind.startswith("response."):
        place |= {"response_id": "r", "output_index": 0}
    return heard(type=kind, item_id=id_, **place, **fields)


def output_item(id_: str) -> list[Event]:
    item = {"id": id_, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    return [
        heard(type="response.created", response={"id": "r", "status": "in_progress", "output": []}),
        heard(type="response.output_item.added", response_id="r", output_index=0, item=item),
    ]


def mirror(*events: Event) -> Conversation:
    conversation = Conversation()
    for event in events:
        conversation._apply(event)
    return conversation


def ids(conversation: Conversation) -> list[str | None]:
    return [entry.item.id for entry in conversation.entries]


def texts(conversation: Conversation) -> list[str]:
    return [entry.text for entry in conversation.entries]


# ---------------------------------------------------------------- order


@pytest.mark.parametrize(
    "name", ["conversation.item.created", "conversation.item.added", "conversation.item.done"]
)
def test_items_stand_where_the_service_puts_them(name: str) -> None:
    """After the one they name; at the end if they name none or one nobody knows."""
    conversation = mirror(
        added("a", name),
        added("c", name, previous_item_id="a"),
        added("b", name, previous_item_id="a"),
        added("d", name, previous_item_id="nobody"),
        added("e", name),
    )

    assert ids(conversation) == ["a", "b", "c", "d", "e"]
    assert len(conversation) == 5


@pytest.mark.parametrize("first", ["root", None])
def test_an_item_that_nothing_precedes_is_the_first(first: str | None) -> None:
    """The service says so with null; a missing field says nothing."""
    conversation = mirror(
        added("a", previous_item_id=None),
        added("b", previous_item_id="a"),
        added("c"),
        added("z", previous_item_id=first),
    )
    assert ids(conversation) == ["z", "a", "b", "c"]


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_is_the_first_only_where_it_means_that(nothing: str | None) -> None:
    """Some services say it of every item; all say it of an answer's items when they are done."""
    always = mirror(*(added(name, previous_item_id=nothing) for name in "abc"))
    answered = mirror(
        added("a", previous_item_id=None),
        added("b", previous_item_id="a"),
        heard(type="input_audio_buffer.committed", item_id="u", previous_item_id="a"),
        added("u", previous_item_id=nothing),
        *output_item("c"),
        added("c", previous_item_id=nothing, role="assistant"),
        added("c", "conversation.item.done", previous_item_id=nothing, role="assistant"),
        added("d", "conversation.item.done", previous_item_id=nothing),
    )

    own = mirror(
        added("a", previous_item_id=nothing),
        *output_item("b"),
        added("b", previous_item_id="a", role="assistant"),
        added("c", previous_item_id=nothing),
    )

    assert ids(always) == ids(own) == ["a", "b", "c"]
    assert ids(answered) == ["a", "u", "b", "c", "d"]


def test_an_item_is_announced_twice_on_ga() -> None:
    """Added and done are one item, at one place; done knows more."""
    conversation = mirror(
        added("a", role="assistant"),
        added("b", previous_item_id="a"),
        added(
            "a",
            "conversation.item.done",
            role="assistant",
            content=[{"type": "output_text", "text": "Hi."}],
            previous_item_id="b",
        ),
    )

    assert ids(conversation) == ["a", "b"]
    assert texts(conversation) == ["Hi.", ""]


def test_items_can_be_deleted() -> None:
    """And what comes late for them finds nobody."""
    conversation = mirror(
        added("a"),
        added("b", previous_item_id="a"),
        heard(type="conversation.item.deleted", item_id="a"),
        heard(type="conversation.item.deleted", item_id="nobody"),
        streamed("conversation.item.input_audio_transcription.completed", "a", transcript="late"),
        added("c", previous_item_id="a"),
    )

    assert ids(conversation) == ["b", "c"]
    assert conversation.get("a") is None
    assert len(conversation) == 2


def test_an_item_without_an_id_is_left_out() -> None:
    """Nothing could refer to it."""
    item = {"type": "message", "role": "user", "content": []}
    assert mirror(heard(type="conversation.item.created", item=item)).entries == ()


# ---------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("delta", "done", "field"),
    [
        ("response.text", "response.text.done", "text"),
        ("response.output_text", "response.output_text.done", "text"),
        ("response.audio_transcript", "response.audio_transcript.done", "transcript"),
        ("response.output_audio_transcript", "response.output_audio_transcript.done", "transcript"),
        (
            "conversation.item.input_audio_transcription",
            "conversation.item.input_audio_transcription.completed",
            "transcript",
        ),
    ],
)
def test_text_grows_while_it_streams(delta: str, done: str, field: str) -> None:
    """Delta by delta; the whole, when it comes, replaces the pieces."""
    conversation = mirror(added("a"), *(streamed(f"{delta}.delta", "a", delta=piece) for piece in "abc"))
    assert texts(conversation) == ["abc"]

    conversation._apply(streamed(done, "a", 0, **{field: "Abc."}))
    assert texts(conversation) == ["Abc."]


def test_a_transcript_may_come_late() -> None:
    """It finds its place by the item's id."""
    conversation = mirror(
        added("u", content=[{"type": "input_audio", "transcript": None}]),
        added("a", role="assistant", previous_item_id="u"),
        streamed("response.output_audio_transcript.done", "a", transcript="Fine."),
        added("u", "conversation.item.done", content=[{"type": "input_audio", "transcript": None}]),
        streamed("conversation.item.input_audio_transcription.delta", "u", None, delta="How "),
        streamed("conversation.item.input_audio_transcription.delta", "u", None),
        streamed("conversation.item.input_audio_transcription.completed", "u", transcript="How are you?"),
    )

    assert texts(conversation) == ["How are you?", "Fine."]


def test_a_transcript_may_overtake_its_item() -> None:
    """Between the commit and the item it is kept, without being shown."""
    conversation = mirror(
        heard(type="input_audio_buffer.committed", item_id="u", previous_item_id=None),
        streamed("conversation.item.input_audio_transcription.completed", "u", transcript="Early."),
    )
    assert (conversation.entries, conversation.get("u"), len(conversation)) == ((), None, 0)

    conversation._apply(added("u", content=[{"type": "input_audio", "transcript": None}]))
    assert texts(conversation) == ["Early."]


def test_parts_are_kept_apart() -> None:
    """The whole of one part does not replace another."""
    conversation = mirror(
        added("a", content=[{"type": "input_text", "text": "Listen: "}, {"type": "input_audio"}]),
        streamed("conversation.item.input_audio_transcription.delta", "a", 1, delta="la"),
        streamed("conversation.item.input_audio_transcription.completed", "a", 1, transcript="la la"),
    )
    assert texts(conversation) == ["Listen: la la"]


def test_a_done_item_without_words_does_not_take_them_away() -> None:
    """The service's description may lack what was streamed."""
    conversation = mirror(
        added("a", role="assistant"),
        streamed("response.output_audio_transcript.delta", "a", delta="Hello"),
        heard(
            type="response.output_item.done",
            response_id="r",
            output_index=0,
            item={"id": "a", "type": "message", "role": "assistant", "status": "incomplete", "content": []},
        ),
    )
    entry = conversation.get("a")

    assert entry is not None
    assert entry.text == "Hello"
    assert isinstance(entry.item, MessageItem)
    assert entry.item.status == "incomplete"


def test_long_answers_are_not_copied_with_each_piece() -> None:
    """Two hundred thousand pieces are no trouble."""
    piece = streamed("response.text.delta", "a", delta="word ")
    conversation = mirror(added("a"))
    for _ in range(200_000):
        conversation._apply(piece)
    assert len(texts(conversation)[0]) == 1_000_000


# ---------------------------------------------------------------- audio


def test_audio_is_counted_and_not_kept() -> None:
    """An hour of speech is hundreds of megabytes."""
    delta = base64.b64encode(bytes(4800)).decode()
    conversation = mirror(
        added("u", content=[{"type": "input_audio", "audio": delta, "transcript": "Hm."}]),
        added("a", role="assistant"),
        *(streamed("response.output_audio.delta", "a", delta=delta) for _ in range(3)),
        heard(
            type="conversation.item.retrieved",
            item={
                "id": "a",
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_audio", "audio": delta, "transcript": "Yes."}],
            },
        ),
    )

    user, assistant = conversation.entries
    assert assistant.audio_base64_length == 3 * len(delta)
    assert user.audio_base64_length == 0
    assert (user.text, assistant.text) == ("Hm.", "Yes.")
    for entry in (user, assistant):
        assert isinstance(entry.item, MessageItem)
        assert [part.audio for part in entry.item.content or ()] == [None]


ULAW = {"type": "audio/pcmu"}


def session_in(name: str, audio_format: dict[str, Any]) -> Event:
    return heard(type=f"session.{name}", session={"id": "s", "audio": {"output": {"format": audio_format}}})


def created_in(**audio: Any) -> Event:
    return heard(type="response.created", response={"id": "r", "status": "in_progress", **audio})


PCM16 = {"type": "audio/pcm", "rate": 24_000}
ANSWERS: dict[str, tuple[int, list[Event], list[Event]]] = {
    "pcm16": (48, [created_in()], []),
    "ulaw of a session": (8, [session_in("created", ULAW), created_in()], []),
    "ulaw of a response": (8, [created_in(audio={"output": {"format": ULAW}})], []),
    "ulaw of a preview response": (8, [created_in(output_audio_format="g711_ulaw")], []),
    "pcm16 of a response": (
        48,
        [session_in("created", ULAW), created_in(audio={"output": {"format": PCM16}})],
        [],
    ),
    "a session that changes": (48, [created_in()], [session_in("updated", ULAW)]),
    "a response that is told at its end": (
        8,
        [added("a", role="assistant")],
        [
            heard(
                type="response.done",
                response={
                    "id": "r",
                    "status": "completed",
                    "audio": {"output": {"format": ULAW}},
                    "output": [{"id": "a", "type": "message", "role": "assistant", "content": []}],
                },
            )
        ],
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("padding", ["=", ""], ids=["padded", "unpadded"])
def test_milliseconds_of_an_answer(case: str, padding: str) -> None:
    """By the format that its sound had, whatever the session has since; padding is no sound."""
    bytes_per_ms, before, after = ANSWERS[case]
    delta = base64.b64encode(bytes(20 * bytes_per_ms)).decode()
    if bytes_per_ms == 8:
        assert delta.endswith("=")
    if not padding:
        delta = delta.rstrip("=")
    conversation = mirror(
        *before,
        *(streamed("response.output_audio.delta", "a", delta=delta) for _ in range(100)),
        added("a", role="assistant"),
        *after,
    )
    entry = conversation.get("a")

    assert entry is not None
    assert entry.audio_ms == 2000
    assert conversation.to_dict()["items"][0]["audio_ms"] == 2000


def test_a_truncation_is_remembered() -> None:
    """The text stays: the service does not say which part of it was heard."""
    conversation = mirror(
        added("a", role="assistant", content=[{"type": "output_audio", "transcript": "One two three"}]),
        heard(type="conversation.item.truncated", item_id="a", content_index=0, audio_end_ms=700),
        heard(type="conversation.item.truncated", item_id="nobody", content_index=0, audio_end_ms=1),
    )
    entry = conversation.get("a")

    assert entry is not None
    assert (entry.truncated_at_ms, entry.text) == (700, "One two three")


# ---------------------------------------------------------------- what stays outside


def test_out_of_band_responses_do_not_enter() -> None:
    """Their items are never created in the conversation, so nothing of them has a place."""
    item = {"id": "side", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "x"}]}
    conversation = mirror(
        added("a"),
        heard(type="response.created", response={"id": "r", "conversation_id": None}),
        heard(type="response.output_item.added", response_id="r", output_index=0, item=item),
        streamed("response.text.delta", "side", delta="x"),
        streamed("response.output_audio.delta", "side", delta="AAAA"),
        streamed("response.text.done", "side", text="x"),
        heard(type="response.output_item.done", response_id="r", output_index=0, item=item),
        heard(type="response.done", response={"id": "r", "conversation_id": None, "output": [item]}),
    )
    assert ids(conversation) == ["a"]


def test_a_call_of_a_server_may_end_after_its_response() -> None:
    """Its item has the output then; what the next response streams without naming itself is that one's."""
    call = {"id": "mcp_1", "type": "mcp_call", "server_label": "port", "name": "tide", "arguments": "{}"}
    place = {"response_id": "r", "output_index": 0}
    conversation = mirror(
        heard(type="response.created", response={"id": "r", "status": "in_progress", "output": []}),
        heard(type="response.output_item.added", **place, item=call),
        heard(type="conversation.item.added", previous_item_id=None, item=call),
        heard(type="response.done", response={"id": "r", "status": "completed", "output": [call]}),
        heard(type="response.created", response={"id": "r2", "status": "in_progress", "output": []}),
        heard(type="response.output_item.done", **place, item={**call, "output": "high"}),
        heard(type="response.output_text.delta", output_index=0, content_index=0, delta="High"),
    )
    done = heard(type="response.done", response={"id": "r2", "status": "completed", "output": []})
    conversation._apply(done)

    assert isinstance(done, ResponseDone)
    assert done.response.text == "High"
    (first, _) = (entry.item for entry in conversation.entries)
    assert isinstance(first, McpCallItem)
    assert first.output == "high"


def test_an_item_retrieved_again_does_not_enter_twice() -> None:
    """Nor one that is not in the conversation any more."""
    item = {"id": "gone", "type": "message", "role": "user", "content": []}
    conversation = mirror(
        heard(type="input_audio_buffer.committed", item_id="gone"),
        heard(type="conversation.item.retrieved", item=item),
        heard(type="conversation.item.retrieved", item={"type": "message"}),
    )
    assert conversation.entries == ()


def test_other_events_do_not_concern_it() -> None:
    """Unknown ones least of all."""
    conversation = mirror(
        added("a"), heard(type="response.smell.delta", item_id="a"), heard(type="session.closed")
    )
    assert ids(conversation) == ["a"]


# ---------------------------------------------------------------- reading


def test_an_entry_knows_who_it_is_from() -> None:
    """Calls are from nobody."""
    call = {"id": "c", "type": "function_call", "name": "f", "call_id": "x", "arguments": "{}"}
    conversation = mirror(added("a", role="assistant"), heard(type="conversation.item.added", item=call))

    assert [entry.role for entry in conversation.entries] == ["assistant", None]
    assert isinstance(conversation.entries[1].item, FunctionCallItem)


def test_what_is_read_is_a_snapshot() -> None:
    """Entries are immutable and do not change under the reader's eyes."""
    conversation = mirror(added("a"))
    before = conversation.entries

    conversation._apply(streamed("response.text.delta", "a", delta="x"))

    assert before[0].text == ""
    assert conversation.entries[0] != before[0]
    assert conversation.entries == conversation.entries
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        before[0].text = "y"  # type: ignore[misc]


def test_any_thread_may_read_while_one_applies() -> None:
    """Readers see prefixes of the text, in an order that was true at some time."""
    conversation = mirror(added("a"))
    ended = threading.Event()
    seen: list[tuple[ConversationEntry, ...]] = []
    faults: list[BaseException] = []

    def look() -> None:
        try:
            while not ended.is_set():
                seen.append(conversation.entries[:2])
                del seen[:-1000]
        except BaseException as exc:  # noqa: BLE001 - handed to the test
            faults.append(exc)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(2000):
        conversation._apply(streamed("response.text.delta", "a", number % 3, delta="x"))
        conversation._apply(added(f"i{number}", previous_item_id="a"))
        if number % 2:
            conversation._apply(heard(type="conversation.item.deleted", item_id=f"i{number - 1}"))
    ended.set()
    for reader in readers:
        reader.join(5)

    assert faults == []
    assert all(set(entries[0].text) <= {"x"} for entries in seen)
    assert texts(conversation)[0] == "x" * 2000
    assert len(conversation) == 1001


def with_image(number: int, size: int = 4) -> MessageItem:
    """Return a message of the user with an image of so many characters."""
    image = ContentPart(type="input_image", image_url="A" * size)
    return MessageItem(id=f"item_{number}", role="user", content=[image])


def described(conversation: Conversation, number: int) -> str | None:
    """Have the service describe an item without its image; return the image that it has here."""
    item = MessageItem(id=f"item_{number}", role="user", content=[ContentPart(type="input_image")])
    conversation._apply(ConversationItemAdded(item=item))
    (entry,) = [entry for entry in conversation.entries if entry.item.id == item.id]
    assert isinstance(entry.item, MessageItem)
    assert entry.item.content is not None
    return entry.item.content[0].image_url


def test_images_are_kept_until_their_items_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are on their way at a time, up to a limit in bytes; one is kept in any case."""
    conversation = Conversation()
    for number in range(100):
        conversation._note_sent(with_image(number))
    assert [described(conversation, number) for number in range(100)] == ["AAAA"] * 100

    monkeypatch.setattr("azure_rt_audio.protocol.conversation._MAX_SENT_CHARACTERS", 10)
    for number, size in enumerate((4, 4, 4, 20), 100):
        conversation._note_sent(with_image(number, size))
        if number == 102:
            assert [described(conversation, 100), described(conversation, 101)] == [None, "AAAA"]
    assert [described(conversation, 102), described(conversation, 103)] == [None, "A" * 20]

    conversation._note_sent(with_image(104))
    conversation._forget_sent()
    assert described(conversation, 104) is None
    assert conversation._sent == {}
