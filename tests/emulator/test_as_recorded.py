"""
The client's side of conversations with real services, replayed to the emulator.

What comes back has to have the order of events and the key paths that were recorded, see
``tests/data/recorded_shapes.json``; words, ids and sound are our own.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from catalogue_types import DATA
from emulator_session import Bench

from azure_rt_audio.emulator import FunctionCall, speak
from azure_rt_audio.emulator.dialects.choose import dialect_named

RECORDED = json.loads((DATA / "recorded_shapes.json").read_text("utf-8"))
CONVERSATIONS = [(profile, name) for profile, told in RECORDED.items() for name in told["order"]]
NOT_RECORDED = ("rate_limits.updated",)  # of OpenAI; these recordings end before it
TOOL = {"type": "function", "name": "get_weather", "description": "Tells.", "parameters": {"type": "object"}}


def text(role: str, words: str) -> dict[str, Any]:
    """A message in writing."""
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": words}]}


def respond(conversation: Any, session: Any) -> Any:
    """A call first, if there is a tool; then an answer that is longer than the question."""
    if session.tools and conversation.items[-1].type == "message":
        return FunctionCall("get_weather", {"city": "Bergen"})
    return "Nice to meet you, Robin! Is there anything that I can do for you?"


def replay(profile: str, name: str) -> list[dict[str, Any]]:
    """Send what the client sent; all events that came back."""
    bench = Bench(profile=profile, responder=respond, recogniser=lambda pcm, session: "Hello, I am Robin.")
    has_deployment = name != "voice_without_transcription"
    bench.configure(
        instructions="Be brief.",
        modalities=["text"] if name in ("tool", "history") else ["audio"],
        tools=[TOOL] if name == "tool" else [],
        input_audio_transcription={"model": "gpt-realtime-whisper" if has_deployment else "whisper"},
        turn_detection={"type": "server_vad", "create_response": True, "interrupt_response": True},
    )
    if name.startswith("voice"):
        bench.append(bytes(48 * 500) + speak("Hello, I am Robin.") + bytes(48 * 500))
        bench.drain()
        return bench.heard
    items = [text("user", "Hello, I am Robin.")]
    if name == "history":
        items += [text("assistant", "Hello, Robin!"), text("user", "What is my name?")]
    for item in items:
        bench.send("conversation.item.create", item=item)
    bench.tell("response.create")
    if name == "tool":
        call_id = bench.engine.conversation.items[-1].call_id
        result = {"type": "function_call_output", "call_id": call_id, "output": "Fog."}
        bench.send("conversation.item.create", item=result)
        bench.tell("response.create")
    return bench.heard


def key(event: dict[str, Any]) -> str:
    """The type, with that of the item."""
    kind = event.get("item", {}).get("type")
    return f"{event['type']} of {kind}" if kind else event["type"]


def paths(value: Any, path: str = "") -> set[str]:
    """The paths of all fields, those of a tool's parameters left out."""
    if isinstance(value, dict):
        below = (paths(held, f"{path}.{name}") for name, held in value.items() if name != "parameters")
        return {f"{path}.{name}" for name in value}.union(*below)
    return set().union(*(paths(held, f"{path}[]") for held in value)) if isinstance(value, list) else set()


@pytest.mark.parametrize(("profile", "name"), CONVERSATIONS)
def test_the_order_is_as_recorded(profile: str, name: str) -> None:
    """Event for event, but for deltas, which are as many as there are tokens."""
    events = [key(event) for event in replay(profile, name)]
    order = [kind for kind in events if not kind.endswith(".delta") and kind not in NOT_RECORDED]

    assert order == RECORDED[profile]["order"][name]


@pytest.mark.parametrize("profile", RECORDED)
def test_the_fields_are_as_recorded(profile: str) -> None:
    """Each event has the fields that it had on the wire, no more and no fewer, at any depth."""
    found: dict[str, set[str]] = {}
    for name in RECORDED[profile]["order"]:
        for event in replay(profile, name):
            if event["type"] in NOT_RECORDED:
                continue
            found.setdefault(key(event), set()).update(paths(event))

    assert {kind: sorted(fields) for kind, fields in found.items()} == RECORDED[profile]["paths"]


def test_transcripts_come_among_the_deltas_of_the_answer() -> None:
    """They begin after response.created, and end after the first words of the answer."""
    kinds = [event["type"].rpartition(".")[0] for event in replay("azure", "voice")]
    heard = "conversation.item.input_audio_transcription"
    said = "response.output_audio_transcript"

    assert kinds.index("response") < kinds.index(heard) < kinds.index(said)
    assert (
        kinds.index(said)
        < len(kinds) - 1 - kinds[::-1].index(heard)
        < len(kinds) - 1 - kinds[::-1].index(said)
    )


def test_arguments_are_written_as_a_model_does() -> None:
    """Token by token, with white space."""
    deltas = [
        e["delta"] for e in replay("azure", "tool") if e["type"] == "response.function_call_arguments.delta"
    ]

    assert len(deltas) > 8
    assert json.loads("".join(deltas)) == {"city": "Bergen"}
    assert "".join(deltas) == '{  \n "city": "Bergen" \n} \n'


@pytest.mark.parametrize(
    ("name", "unnamed"),
    [("voice", [True, True]), ("tool", [True, True, False, False]), ("history", [True] + 3 * [False])],
)
def test_the_end_of_an_output_does_not_name_the_first_item(name: str, unnamed: list[bool]) -> None:
    """Where an output is second in the conversation, only its beginning says what is before it."""
    events = replay("azure", name)
    added, done = (
        [e["previous_item_id"] for e in events if e["type"] == f"conversation.item.{moment}"]
        for moment in ("added", "done")
    )

    assert [previous is None for previous in added] == [True] + [False] * (len(added) - 1)
    assert [previous is None for previous in done] == unnamed
    assert all(one in (None, other) for one, other in zip(done, added, strict=True))


def test_a_session_names_the_model_of_its_deployment() -> None:
    """A deployment that is named after no model is one of gpt-realtime."""
    models = {name: dialect_named("ga").model_of(name) for name in ("gpt-realtime", "gpt-realtime-2", "mine")}

    assert models == {
        "gpt-realtime": "gpt-realtime",
        "gpt-realtime-2": "gpt-realtime-2",
        "mine": "gpt-realtime",
    }


def test_ids_of_the_client_are_kept_within_limits() -> None:
    """Up to 32 characters; a second item of the same id is refused without naming command or field."""
    bench = Bench()
    item = {**text("user", "hello"), "id": "i" * 32}
    created = bench.tell("conversation.item.create", item=item)
    again = bench.error("conversation.item.create", item=item, event_id="mine")
    long = bench.error("conversation.item.create", item={**item, "id": "i" * 33})
    call = {"type": "function_call", "call_id": "c" * 33, "name": "look", "arguments": "{}"}

    assert created[0]["item"]["id"] == "i" * 32
    assert (again["code"], again["param"], again["event_id"]) == ("item_create_duplicate_item_id", None, None)
    assert "i" * 32 in again["message"]
    assert (long["code"], long["param"]) == ("string_above_max_length", "item.id")
    assert long["message"] == (
        "Invalid 'item.id': string too long. Expected a string with maximum length 32, but got a string with "
        "length 33 instead."
    )
    assert bench.error("conversation.item.create", item=call)["param"] == "item.call_id"


def test_a_tool_is_described_within_limits() -> None:
    """In 1024 characters, by a name without spaces."""
    bench = Bench()
    for change, code in (
        ({"description": "x" * 1025}, "string_above_max_length"),
        ({"name": "a b"}, "invalid_value"),
    ):
        error = bench.error("session.update", session={"type": "realtime", "tools": [{**TOOL, **change}]})
        assert error["code"] == code
