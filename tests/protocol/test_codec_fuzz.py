"""No input ends the reader, and nothing that comes out of it is mistyped."""

from __future__ import annotations

import json
import random
from typing import Any

from catalogues import CLIENT_SECTIONS, DIALECTS, SERVER_SECTIONS, events, messages, mistyped, samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import read_command

from azure_rt_audio.errors import DecodeError
from azure_rt_audio.protocol.checks import check_command
from azure_rt_audio.protocol.codec import build, build_item, decode_event, encode
from azure_rt_audio.protocol.commands import Command, ConversationItemCreate, ResponseCreate, SessionUpdate
from azure_rt_audio.protocol.conversation import Conversation
from azure_rt_audio.protocol.events import Event, ResponseOutputAudioDelta
from azure_rt_audio.protocol.responses import ResponseConfig
from azure_rt_audio.protocol.session import SessionConfig
from azure_rt_audio.protocol.turn import TurnState

EXAMPLES = settings().max_examples
"""Of a property, as ``--effort`` says."""
COMMON = settings(max_examples=5 * EXAMPLES // 2, suppress_health_check=[HealthCheck.too_slow])

FULL = [next(messages(*event)) for event in events(*SERVER_SECTIONS, *CLIENT_SECTIONS)]
MESSAGES = [*FULL, *(message for dialect in DIALECTS for message in samples(dialect))]
NAMES = sorted({message["type"] for message in MESSAGES})


def field_names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(field_names, value.values()))
    if isinstance(value, list):
        return set().union(*map(field_names, value))
    return set()


def texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(texts, value.values()))
    if isinstance(value, list):
        return set().union(*map(texts, value))
    return {value} if isinstance(value, str) and len(value) < 30 else set()


KEYS = sorted(field_names(MESSAGES))
KINDS = sorted(texts(MESSAGES))

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(KINDS)
    | st.sampled_from([2**63, 2**64, -(2**63), 10**30, 1e308, "\ud800", "\x00", "inf", "none"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=20,
)


def survives(data: bytes | str) -> None:
    """Hold one frame against everything that a reader does with it."""
    for decode in (decode_event, read_command):
        try:
            message = decode(data)
        except DecodeError as exc:
            assert exc.path.startswith("$")  # noqa: PT017 - either outcome is fine
            continue
        assert isinstance(message, Event | Command)
        assert mistyped(message) == []
        repr(message)
        for dialect in DIALECTS.values():
            again = decode(encode(message, dialect))
            if not isinstance(message, SessionUpdate):  # on GA its session's type decides
                assert type(again) is type(message)
        if isinstance(message, Event):
            assert message.raw["type"] == message.wire_type
            TurnState().advance(message)
            Conversation()._apply(message)
    assert isinstance(decode_event(AUDIO), ResponseOutputAudioDelta)


AUDIO = json.dumps(next(message for message in FULL if message["type"] == "response.audio.delta"))


@COMMON
@given(st.binary(max_size=80) | st.text(max_size=80))
def test_any_bytes(data: bytes | str) -> None:
    """Noise is a decode error."""
    survives(data)


@COMMON
@given(values)
def test_any_json(value: Any) -> None:
    """So is JSON that is no event."""
    survives(json.dumps(value))


@COMMON
@given(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(KEYS), values, max_size=8))
def test_any_fields_under_any_name(name: str, fields: dict[str, Any]) -> None:
    """And an event that says other things than it should."""
    survives(json.dumps({**fields, "type": name}))


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Messages with a few values replaced, removed, wrapped, or repeated."""
    message = json.loads(json.dumps(draw(st.sampled_from(MESSAGES))))
    for _ in range(draw(st.integers(1, 4))):
        places = [(owner, key) for owner, key in walk(message) if owner is not message or key != "type"]
        if not places:
            break
        owner, key = places[draw(st.integers(0, len(places) - 1))]
        match draw(st.sampled_from(["replace", "remove", "wrap", "unwrap", "rename", "mix"])):
            case "replace":
                owner[key] = draw(values)
            case "remove":
                del owner[key]
            case "wrap":
                owner[key] = draw(st.sampled_from([[owner[key]], {"type": owner[key]}, [[owner[key]]]]))
            case "unwrap":
                inner = owner[key]
                if isinstance(inner, list | dict) and inner:
                    owner[key] = inner[0] if isinstance(inner, list) else next(iter(inner.values()))
            case "rename" if isinstance(owner, dict):
                owner[draw(st.sampled_from(KEYS))] = owner.pop(key)
            case "mix":
                other = json.loads(json.dumps(draw(st.sampled_from(MESSAGES))))
                owner[key] = draw(st.sampled_from(list(other.values())))
    return json.dumps(message)


def walk(value: Any) -> list[tuple[Any, Any]]:
    inner = list(value.items()) if isinstance(value, dict) else []
    if isinstance(value, list):
        inner = list(enumerate(value))
    found = [(value, key) for key, _ in inner]
    for _, child in inner:
        found += walk(child)
    return found


@settings(COMMON, max_examples=8 * EXAMPLES)
@given(mutated())
def test_any_damage_to_a_message(data: str) -> None:
    """Every sample, and the fullest message of every event, with something wrong in it."""
    survives(data)


def test_every_value_of_every_message_with_another_type() -> None:
    """One at a time, all of them: each is either read or refused with just its path."""
    others = [None, True, 7, 0.5, "text", [], {}, [None], {"type": "message"}]
    for message in {message["type"]: message for message in FULL}.values():
        for owner, key in walk(message):
            before = owner[key]
            for other in others:
                owner[key] = other
                survives(json.dumps(message))
            owner[key] = before


def test_damaged_bytes() -> None:
    """Frames with bytes flipped, lost or doubled."""
    chance = random.Random(2024)
    for _ in range(30 * EXAMPLES):
        data = bytearray(json.dumps(chance.choice(MESSAGES)).encode()[:2000])
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(data))
            data[place : place + chance.randint(0, 2)] = bytes([chance.randrange(256)]) * chance.randint(0, 2)
        survives(bytes(data))


def test_depth_size_and_numbers() -> None:
    """What breaks naive readers: nesting, huge numbers, lone surrogates, repeated keys."""
    base = AUDIO[:-1]
    for tail in (
        ', "x": ' + "[" * 900 + "]" * 900 + "}",
        ', "x": ' + "[" * 100_000,
        ', "x": ' + '{"a":' * 900 + "1" + "}" * 900 + "}",
        ', "output_index": ' + "9" * 5000 + "}",
        ', "output_index": -0}',
        ', "output_index": 1e400}',
        ', "output_index": 1.0}',
        ', "delta": "\\ud800"}',
        ', "delta": "\\u0000"}',
        ', "delta": NaN}',
        ', "type": "error"}',
        ', "type": 7}',
        ", " + ", ".join('"delta": "a"' for _ in range(10_000)) + "}",
        "}" + " " * 10_000,
        "}}",
        ", }",
    ):
        try:
            message = decode_event(base + tail)
        except DecodeError:
            continue
        assert mistyped(message) == []


@COMMON
@given(values | st.dictionaries(st.sampled_from(KEYS), values, max_size=5))
def test_anything_a_user_may_write(written: Any) -> None:
    """It becomes a command that can be sent, or a built-in error that says where."""
    for make in (
        lambda: SessionUpdate(session=build(SessionConfig, written, "it")),
        lambda: ResponseCreate(response=build(ResponseConfig, written, "it")),
        lambda: ConversationItemCreate(item=build_item(written, "it")),
        lambda: SessionUpdate(session=SessionConfig(tools=written, voice=written, turn_detection=written)),
        lambda: ResponseCreate(response=ResponseConfig(input=written, metadata=written)),
    ):
        for dialect in DIALECTS.values():
            try:
                command = make()
                check_command(command, dialect)
                encode(command, dialect)
            except (ValueError, TypeError) as exc:
                assert type(exc) in (ValueError, TypeError)  # noqa: PT017 - either outcome is fine
