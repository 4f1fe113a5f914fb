"""What a new session is given of a conversation, in which form, and what is lost."""

from __future__ import annotations

import json
import random
from typing import Any

import attrs
import pytest
from emulator_session import Bench

from azure_rt_audio.protocol.budget import BEYOND, Budget
from azure_rt_audio.protocol.checks import check_command
from azure_rt_audio.protocol.codec import encode
from azure_rt_audio.protocol.commands import ConversationItemCreate
from azure_rt_audio.protocol.conversation import ConversationEntry
from azure_rt_audio.protocol.dialects import Dialect, choose_dialect
from azure_rt_audio.protocol.items import (
    ContentPart,
    ConversationItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    ItemReference,
    McpApprovalRequestItem,
    McpApprovalResponseItem,
    McpCallItem,
    McpError,
    McpListToolsItem,
    MessageItem,
    UnknownItem,
)
from azure_rt_audio.protocol.restoration import Restoration, plan_restoration
from azure_rt_audio.protocol.restored_texts import call_as_text, heard_text, output_as_text, short_id

GA = choose_dialect("v1", None)
PREVIEW = choose_dialect("2025-04-01-preview", None)
IMAGE = "data:image/png;base64,AAAA"
SOUND = "AAAA" * 800


def user(id_: str, text: str, *more: ContentPart) -> ConversationEntry:
    """Return a message that the user wrote."""
    content = [ContentPart(type="input_text", text=text), *more]
    return ConversationEntry(item=MessageItem(id=id_, role="user", content=content), text=text)


def speech(id_: str, transcript: str | None) -> ConversationEntry:
    """Return a message that the user spoke; the item was described before its transcript came."""
    item = MessageItem(id=id_, role="user", content=[ContentPart(type="input_audio")])
    texts = {} if transcript is None else {0: transcript}
    return ConversationEntry(item=item, text=transcript or "", texts=texts)


def answer(id_: str, text: str, **facts: Any) -> ConversationEntry:
    """Return an answer that was spoken, of 100 ms for each character."""
    part = ContentPart(type="audio", transcript=text or None)
    item = MessageItem(id=id_, role="assistant", content=[part], status=facts.pop("status", "completed"))
    return ConversationEntry(
        item=item, text=text, texts={0: text} if text else {}, audio_ms=100 * len(text), **facts
    )


def system(id_: str, text: str) -> ConversationEntry:
    """Return a message of the system."""
    content = [ContentPart(type="input_text", text=text)]
    return ConversationEntry(item=MessageItem(id=id_, role="system", content=content), text=text)


def call(id_: str, call_id: str, **facts: Any) -> ConversationEntry:
    """Return a function call."""
    facts = {"name": "look", "arguments": '{"at": 1}', "status": "completed", **facts}
    return ConversationEntry(item=FunctionCallItem(id=id_, call_id=call_id, **facts))


def output(id_: str, call_id: str, text: str = "seen") -> ConversationEntry:
    """Return the output of a function call."""
    return ConversationEntry(item=FunctionCallOutputItem(id=id_, call_id=call_id, output=text))


def entry(item: ConversationItem) -> ConversationEntry:
    """Return any item."""
    return ConversationEntry(item=item)


def mcp_call(id_: str, **facts: Any) -> ConversationEntry:
    """Return a call of an MCP tool."""
    return entry(McpCallItem(id=id_, server_label="s", name="search", arguments='{"q": "x"}', **facts))


def plan(*entries: ConversationEntry, dialect: Dialect = GA, **facts: Any) -> Restoration:
    """Return a plan, each of whose items can be sent."""
    made = plan_restoration(entries, dialect, **facts)
    for item in made.items:
        check_command(ConversationItemCreate(item=item), dialect)
    assert list(made.sources) == [item.id for item in made.items]
    assert not made.lost.keys() & set(made.restored)
    assert made.shortened.keys() <= set(made.restored)
    return made


def shape(made: Restoration) -> list[tuple[Any, ...]]:
    """Return what matters of the planned items."""
    found: list[tuple[Any, ...]] = []
    for item in made.items:
        if isinstance(item, MessageItem):
            parts = [f"{part.type}:{part.text or part.image_url or '<sound>'}" for part in item.content or ()]
            found.append((item.id, item.role, *parts))
        elif isinstance(item, FunctionCallItem):
            found.append((item.id, f"{item.name}{item.arguments}", item.call_id))
        elif isinstance(item, FunctionCallOutputItem):
            found.append((item.id, item.output, item.call_id))
    return found


# ------------------------------------------------------------ one item


@pytest.mark.parametrize("dialect", [GA, PREVIEW], ids=["ga", "preview"])
def test_a_whole_conversation(dialect: Dialect) -> None:
    """Items stay in order under their own ids; speech becomes text."""
    made = plan(
        system("s", "Be brief."),
        user("u1", "Hello"),
        answer("a1", "Hi there."),
        speech("u2", "What is it?"),
        call("c1", "call_1"),
        output("o1", "call_1"),
        answer("a2", "A tree."),
        dialect=dialect,
    )

    assert shape(made) == [
        ("s", "system", "input_text:Be brief."),
        ("u1", "user", "input_text:Hello"),
        ("a1", "assistant", "text:Hi there."),
        ("u2", "user", "input_text:What is it?"),
        ("c1", 'look{"at": 1}', "call_1"),
        ("o1", "seen", "call_1"),
        ("a2", "assistant", "text:A tree."),
    ]
    assert made.restored == ("s", "u1", "a1", "u2", "c1", "o1", "a2")
    assert (made.shortened, made.lost) == ({}, {})


def test_what_the_service_fills_in_is_left_out() -> None:
    """Status, phase and the like are not sent back."""
    item = MessageItem(
        id="a",
        role="assistant",
        status="completed",
        object="realtime.item",
        extra={"phase": "final_answer"},
        content=[ContentPart(type="text", text="Hi", extra={"annotations": []})],
    )

    assert plan(entry(item)).items == (
        MessageItem(id="a", role="assistant", content=[ContentPart(type="text", text="Hi")]),
    )


@pytest.mark.parametrize(
    ("transcript", "sound", "restore", "expected"),
    [
        ("Hello", SOUND, "text", "input_text:Hello"),
        ("Hello", SOUND, "audio", "input_audio:<sound>"),
        ("Hello", None, "audio", "input_text:Hello"),
        (None, SOUND, "text", "input_audio:<sound>"),
        (None, SOUND, "audio", "input_audio:<sound>"),
        (None, None, "text", None),
    ],
)
def test_what_the_user_said(
    transcript: str | None, sound: str | None, restore: Any, expected: str | None
) -> None:
    """The transcript, the sound where there is none, or where sound is wanted; without both it is lost."""
    made = plan(speech("u", transcript), sound={"u": sound} if sound else {}, restore=restore)

    assert shape(made) == ([("u", "user", expected)] if expected else [])
    assert made.lost == ({} if expected else {"u": "it has no transcript, and its sound is not kept"})


def test_sound_without_its_beginning() -> None:
    """What is missing is told; a transcript has it, and is preferred. What was given whole stays whole."""
    made = plan(speech("u", None), sound={"u": SOUND}, cut_s={"u": 66.0})
    written = plan(speech("u", "Hello"), sound={"u": SOUND}, cut_s={"u": 66.0}, restore="audio")
    whole = plan(speech("u", None), sound={"u": SOUND * 2})
    again = plan(speech("u", None), sound={"u": SOUND}, cut_s={"u": 66.0}, previous=whole)
    gone = plan(speech("u", None), previous=made)

    assert shape(made) == [("u", "user", "input_audio:<sound>")]
    assert made.shortened == gone.shortened == {"u": "without 66.0 s of its beginning"}
    assert shape(written) == [("u", "user", "input_text:Hello")]
    assert written.shortened == {}
    assert (again.items, again.shortened) == (whole.items, {})
    assert gone.items == made.items


def test_what_is_being_transcribed() -> None:
    """A transcript that was cut off is no transcript, if there is the sound; else it is told to be short."""
    begun = attrs.evolve(speech("u", "Hel"), is_being_heard=True)
    sounding, written = plan(begun, sound={"u": SOUND}), plan(begun)

    assert shape(sounding) == [("u", "user", "input_audio:<sound>")]
    assert sounding.shortened == {}
    assert shape(written) == [("u", "user", "input_text:Hel")]
    assert written.shortened == {"u": "without the end of its transcript"}


def test_images() -> None:
    """They are kept on GA; on preview the words beside them are."""
    picture = ContentPart(type="input_image", image_url=IMAGE, detail="low")
    alone = entry(MessageItem(id="i", role="user", content=[picture]))
    gone = entry(MessageItem(id="g", role="user", content=[ContentPart(type="input_image")]))
    made = plan(user("u", "This", picture), alone, gone)
    on_preview = plan(user("u", "This", picture), alone, dialect=PREVIEW)

    assert shape(made) == [
        ("u", "user", "input_text:This", f"input_image:{IMAGE}"),
        ("i", "user", f"input_image:{IMAGE}"),
    ]
    assert made.lost == {"g": "the image is not kept"}
    assert shape(on_preview) == [("u", "user", "input_text:This")]
    assert on_preview.shortened == {"u": "without an image"}
    assert on_preview.lost["i"].startswith("images exist on GA only")


def test_parts_keep_their_order() -> None:
    """Of a message of several parts each has its own words."""
    content = [ContentPart(type="input_audio"), ContentPart(type="input_text", text="and this")]
    said = ConversationEntry(
        item=MessageItem(id="u", role="user", content=content), text="That and this", texts={0: "That "}
    )
    mute = without_transcript(said)

    assert shape(plan(said)) == [("u", "user", "input_text:That ", "input_text:and this")]
    assert shape(plan(mute)) == [("u", "user", "input_text:and this")]
    assert plan(mute).shortened == {"u": "without speech"}


def without_transcript(said: ConversationEntry) -> ConversationEntry:
    """Return an entry whose transcript has not come."""
    return ConversationEntry(item=said.item)


# ------------------------------------------------------------ answers as far as they were heard


@pytest.mark.parametrize(
    ("text", "heard", "total", "expected"),
    [
        ("one two three", 1300, 1300, "one two three"),
        ("one two three", 2000, 1300, "one two three"),
        ("one two three", 800, 1300, "one two"),
        ("one two three", 700, 1300, "one two"),
        ("one two three", 650, 1300, "one"),
        ("one two three", 300, 1300, "one"),
        ("one two three", 200, 1300, ""),
        ("one two three", 0, 1300, ""),
        ("one two three", -5, 1300, ""),
        ("one two three", 5, 0, "one two three"),
        ("", 5, 10, ""),
        ("一二三四五六", 300, 600, "一二三"),
        ("a" * 80 + " b", 4100, 8200, "a" * 41),
    ],
)
def test_heard_text(text: str, heard: float, total: float, expected: str) -> None:
    """Whole words, by the share of the sound; languages without spaces are cut between characters."""
    assert heard_text(text, heard, total) == expected


def test_a_truncated_answer() -> None:
    """It is restored as far as it was heard."""
    made = plan(
        answer("a", "one two three", truncated_at_ms=800),
        answer("b", "one two three", truncated_at_ms=400),
        answer("c", "one two three"),
        answer("d", "one two three", truncated_at_ms=1300),
    )

    assert shape(made) == [
        ("a", "assistant", "text:one two"),
        ("b", "assistant", "text:one"),
        ("c", "assistant", "text:one two three"),
        ("d", "assistant", "text:one two three"),
    ]
    assert made.shortened == {
        "a": "only what was heard: 800 of 1300 ms",
        "b": "only what was heard: 400 of 1300 ms",
    }


def test_an_answer_that_cannot_be_restored() -> None:
    """Sound of the model cannot be created: without words, or unheard, there is nothing to give."""
    made = plan(answer("a", ""), answer("b", "Hello", truncated_at_ms=0))

    assert made.items == ()
    assert made.lost == {"a": "it has no transcript", "b": "nothing of it was heard"}


def test_an_answer_that_was_cut_off() -> None:
    """What has come of it is restored."""
    half = ConversationEntry(
        item=MessageItem(id="a", role="assistant", content=[], status="in_progress"),
        text="It is",
        texts={0: "It is"},
        audio_ms=300,
    )

    assert shape(plan(half)) == [("a", "assistant", "text:It is")]
    assert plan(half).shortened == {"a": "cut off"}


# ------------------------------------------------------------ calls


def test_calls_and_outputs() -> None:
    """A call without an answer yet stays; one that was cut off is lost, and so is an output without one."""
    made = plan(
        call("c1", "call_1"),
        call("c2", "call_2", status="in_progress", arguments='{"at'),
        call("c3", "call_3", arguments=None),
        call("c4", "call_4", arguments="", status=None),
        output("o1", "call_1"),
        output("o9", "call_9"),
    )

    assert shape(made) == [
        ("c1", 'look{"at": 1}', "call_1"),
        ("c4", "look{}", "call_4"),
        ("o1", "seen", "call_1"),
    ]
    assert made.lost == {
        "c2": "the call was cut off",
        "c3": "the call was cut off",
        "o9": "its function call is not in the conversation",
    }


def test_mcp_items() -> None:
    """A call that has ended becomes a function call with its output; what is pending is lost."""
    request = McpApprovalRequestItem(id="r1", server_label="s", name="search", arguments="{}")
    pending = McpApprovalRequestItem(id="r2", server_label="s", name="search", arguments="{}")
    long_id = "mcp_" + "7" * 40
    made = plan(
        entry(McpListToolsItem(id="l", server_label="s", tools=[])),
        entry(request),
        entry(McpApprovalResponseItem(id="y1", approval_request_id="r1", approve=True)),
        mcp_call(long_id, output="found", approval_request_id="r1"),
        mcp_call("m2", error=McpError(type="http_error", message="no route", code=502)),
        mcp_call("m3"),
        entry(pending),
        entry(McpApprovalResponseItem(id="y2", approval_request_id="r2", approve=True)),
    )
    short = short_id(long_id)

    assert shape(made) == [
        (short, 'search{"q": "x"}', short),
        (short_id(long_id, "_o"), "found", short),
        ("m2", 'search{"q": "x"}', "m2"),
        ("m2_o", "error: no route", "m2"),
    ]
    assert all(len(item.id or "") <= 32 for item in made.items)
    assert made.restored == (long_id, "m2")
    assert made.shortened.keys() == {long_id, "m2"}
    assert made.lost == {
        "m3": "the MCP call ended with its session",
        "r2": "a pending approval ends with its session",
        "y2": "the call that it approves ended with its session",
    }


def test_what_cannot_be_created() -> None:
    """Items of other kinds are lost, by name; so is a message without content."""
    made = plan(
        entry(UnknownItem(type="video", id="v")),
        entry(ItemReference(id="x")),
        entry(MessageItem(id="e", role="user", content=[])),
        entry(MessageItem(id="f", role="system", content=[])),
        entry(MessageItem(role="user", content=[ContentPart(type="input_text", text="no id")])),
    )

    assert made.lost == {
        "v": "an item of type 'video' cannot be created",
        "x": "an item of type 'item_reference' cannot be created",
        "e": "it is empty",
        "f": "it has no text",
    }
    assert shape(made) == [("restored_5", "user", "input_text:no id")]


def test_nothing_is_restored() -> None:
    """On request the conversation begins anew, and everything is told to be lost."""
    made = plan(user("u", "Hi"), system("s", "x"), restore="none")

    assert (made.items, made.lost) == ((), {"u": 'restore="none"', "s": 'restore="none"'})


# ------------------------------------------------------------ the budget


def kept(budget: Budget, *entries: ConversationEntry, **facts: Any) -> list[str]:
    """Return the ids of what is restored, and see that all else is told to be lost."""
    made = plan(*entries, budget=budget, **facts)
    assert set(made.lost.values()) <= {BEYOND}
    assert {*made.restored, *made.lost} == {item.item.id for item in entries}
    return list(made.restored)


TALK = (
    system("s", "x" * 10),
    user("u1", "x" * 10),
    call("c1", "k1"),  # 13 characters
    user("u2", "x" * 10),
    output("o1", "k1", "x" * 10),
    user("u3", "x" * 10),
)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (Budget(6, 63), ["s", "u1", "c1", "u2", "o1", "u3"]),
        (Budget(5, 63), ["s", "c1", "u2", "o1", "u3"]),
        (Budget(6, 62), ["s", "c1", "u2", "o1", "u3"]),
        (Budget(4, 63), ["s", "c1", "o1", "u3"]),
        (Budget(6, 43), ["s", "c1", "o1", "u3"]),
        (Budget(3, 63), ["s", "u3"]),
        (Budget(6, 42), ["s", "u3"]),
        (Budget(1, 63), ["s"]),
        (Budget(0, 0), ["s"]),
    ],
)
def test_a_budget_shortens_from_the_old_end(budget: Budget, expected: list[str]) -> None:
    """The newest are kept, pairs whole; messages of the system in any case."""
    assert kept(budget, *TALK) == expected


def test_nothing_older_than_what_is_left_out() -> None:
    """There are no holes: a small item before a large one that did not fit is left out as well."""
    assert kept(Budget(9, 30), user("a", "x"), user("b", "x" * 40), user("c", "x" * 10)) == ["c"]


def test_a_call_whose_tool_is_running() -> None:
    """It is kept whatever the budget, because its output would be refused without it."""
    talk = (call("c", "k"), user("a", "x" * 10), user("b", "x" * 10))

    assert kept(Budget(9, 25), *talk) == ["a", "b"]
    assert kept(Budget(9, 25), *talk, pending={"k"}) == ["c", "b"]


def test_the_newest_item_alone_is_too_long() -> None:
    """Its text is cut, and told; nothing else has room."""
    made = plan(user("a", "Hi"), user("b", "0123456789"), budget=Budget(9, 4))
    of_tool = plan(call("c", "k"), output("o", "k", "0123456789"), budget=Budget(9, 15))
    hopeless = plan(user("a", "Hi"), call("c", "k"), budget=Budget(9, 4))

    assert shape(made) == [("b", "user", "input_text:0123")]
    assert (made.shortened, made.lost) == ({"b": "only 4 of 10 characters"}, {"a": BEYOND})
    assert shape(of_tool)[1] == ("o", "01", "k")
    assert hopeless.lost == {"a": BEYOND, "c": BEYOND}


def test_half_a_budget() -> None:
    """After deaths while restoring there is less of it."""
    assert Budget(5, 100).halved() == Budget(2, 50)


# ------------------------------------------------------------ refusals


def test_a_call_that_the_service_does_not_take() -> None:
    """It becomes a text under the same id, with its output if there is one."""
    made = FunctionCallItem(id="c", name="look", arguments='{"at": 1}', call_id="k")
    came = FunctionCallOutputItem(id="o", call_id="k", output="seen")

    assert call_as_text(made).text == 'The function look was called with {"at": 1} and has not returned yet.'
    assert call_as_text(made, came).text.endswith("and returned: seen")
    assert output_as_text("look", came).text == "The function look returned: seen"
    assert (call_as_text(made).id, output_as_text("look", came).id) == ("c", "o")
    for text in (call_as_text(made), output_as_text("look", came)):
        check_command(ConversationItemCreate(item=text), PREVIEW)


# ------------------------------------------------------------ on the wire


@pytest.mark.parametrize("dialect", [GA, PREVIEW], ids=["ga", "preview"])
def test_the_emulator_takes_it(dialect: Dialect) -> None:
    """Every kind of planned item is accepted, and stands in the new session in order."""
    made = plan(
        *TALK,
        speech("u4", None),
        answer("a1", "one two three", truncated_at_ms=800),
        mcp_call("m1", output="found"),
        call("c2", "k2"),
        dialect=dialect,
        sound={"u4": SOUND},
    )
    bench = Bench(dialect.name)

    for item in made.items:
        heard = bench.tell(**json.loads(encode(ConversationItemCreate(item=item), dialect)))
        assert [event["type"] for event in heard] == bench.item_events()
    assert [item.id for item in bench.engine.conversation.items] == [item.id for item in made.items]
    assert [item.text for item in bench.engine.conversation.items if item.role == "assistant"] == ["one two"]


# ------------------------------------------------------------ any conversation


def random_entry(dice: random.Random, number: int, calls: list[str]) -> ConversationEntry:
    """Return an item of any kind, in any condition."""
    id_, words = f"i{number}", " ".join(["word"] * dice.randrange(0, 12))
    kind = dice.randrange(10)
    if kind == 0:
        return system(id_, words)
    if kind in (1, 2):
        return user(
            id_, words, *([ContentPart(type="input_image", image_url=IMAGE)] if dice.random() < 0.3 else [])
        )
    if kind == 3:
        return speech(id_, dice.choice([None, words]))
    if kind in (4, 5):
        cut = dice.choice([None, None, 0, 300, 99_999])
        return answer(id_, words, truncated_at_ms=cut, status=dice.choice(["completed", "in_progress", None]))
    if kind == 6:
        calls.append(f"k{number}")
        return call(id_, calls[-1], status=dice.choice(["completed", "in_progress", None]))
    if kind in (7, 8):
        return output(id_, calls.pop() if calls and dice.random() < 0.8 else "nobody", words)
    return mcp_call(id_, **dice.choice([{"output": words}, {}, {"error": McpError(type="x", message="no")}]))


def characters(item: ConversationItem) -> int:
    """Return the characters that the model reads; of sound it reads no transcript."""
    if isinstance(item, MessageItem):
        return sum(len(part.text or "") for part in item.content or ())
    if isinstance(item, FunctionCallItem):
        return len(f"{item.name}{item.arguments}")
    return len(item.output) if isinstance(item, FunctionCallOutputItem) else 0


@pytest.mark.parametrize("seed", range(100))
def test_any_conversation(seed: int) -> None:
    """Each item is restored or lost, pairs are whole, the budget holds, and a service takes it all."""
    dice = random.Random(seed)
    dialect = dice.choice([GA, PREVIEW])
    calls: list[str] = []
    entries = [random_entry(dice, number, calls) for number in range(dice.randrange(30))]
    budget = Budget(dice.randrange(1, 40), dice.randrange(1, 900))
    sound = {e.item.id or "": SOUND for e in entries if dice.random() < 0.5}
    restore = dice.choice(["text", "audio"])
    made = plan(*entries, dialect=dialect, budget=budget, sound=sound, restore=restore)

    assert plan_restoration(
        entries, dialect, budget=budget, sound=sound, restore=restore, previous=made
    ).items == (made.items), "a session that has it all is given no more"
    ids = [entry.item.id for entry in entries]
    assert sorted({*made.restored, *made.lost}, key=ids.index) == ids
    assert list(made.restored) == [id_ for id_ in ids if id_ in made.restored]
    others = [item for item in made.items if getattr(item, "role", "") != "system"]
    if others:
        assert len(made.items) <= budget.max_items
        assert sum(map(characters, made.items)) <= budget.max_characters
    answered = {i.call_id for i in made.items if isinstance(i, FunctionCallOutputItem)}
    asked = {i.call_id for i in made.items if isinstance(i, FunctionCallItem)}
    assert answered <= asked
    unanswered = {e.item.call_id for e in entries if isinstance(e.item, FunctionCallOutputItem)} & asked
    assert unanswered <= answered
    bench = Bench(dialect.name)
    for item in made.items:
        bench.tell(**json.loads(encode(ConversationItemCreate(item=item), dialect)))
    assert [item.id for item in bench.engine.conversation.items] == [item.id for item in made.items]


# ------------------------------------------------------------ more of it, later


def test_what_comes_later_is_added() -> None:
    """A session that was given the newest keeps them: the budget does not move on under it."""
    talk = [user(f"u{n}", "x" * 10) for n in range(6)]
    first = plan(*talk[:4], budget=Budget(3, 99))
    more = plan(*talk, budget=Budget(3, 99), previous=first)

    assert first.restored == ("u1", "u2", "u3")
    assert more.restored == ("u1", "u2", "u3", "u4", "u5")
    assert more.items[:3] == first.items
    assert more.lost == {"u0": BEYOND}


def test_what_was_cut_stays_cut() -> None:
    """Or the session would have to be replaced for ever; another text is not taken for the same one."""
    first = plan(user("u", "x" * 10), budget=Budget(9, 4))

    assert plan(user("u", "x" * 10), user("v", "y"), previous=first).items[:1] == first.items
    assert plan(user("u", "x" * 11), previous=first).items != first.items


def test_what_was_left_out_stays_out() -> None:
    """So does the output of a call that was left out: the service would refuse it."""
    talk = [call("c", "k"), user("a", "x" * 10), output("o", "k"), user("b", "x")]
    first = plan(*talk[:2], budget=Budget(9, 10))
    more = plan(*talk, budget=Budget(9, 10), previous=first)

    assert first.restored == ("a",)
    assert more.restored == ("a", "b")
    assert more.lost == {"c": BEYOND, "o": BEYOND}


def test_sound_that_is_no_longer_kept() -> None:
    """What a session was given as sound it has, also when the sound is not kept here any more."""
    first = plan(speech("u", None), sound={"u": SOUND})

    assert plan(speech("u", None), user("v", "Hi"), previous=first).items[:1] == first.items
    assert plan(speech("u", "Hello"), previous=first).items != first.items, "a transcript has come"
