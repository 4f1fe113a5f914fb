"""Every sample message of both dialects, there and back again."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from catalogues import DIALECTS, catalogue, mistyped, samples
from reading import read_command, structure

from azure_rt_audio.errors import DecodeError
from azure_rt_audio.protocol.codec import decode_event, encode
from azure_rt_audio.protocol.commands import Command
from azure_rt_audio.protocol.dialects import canonical_name
from azure_rt_audio.protocol.events import Event, UnknownEvent

ALL = [(dialect, message) for dialect in DIALECTS for message in samples(dialect)]
IDS = [f"{dialect}-{index}-{message['type']}" for index, (dialect, message) in enumerate(ALL)]

FREE_FORM = {"parameters", "metadata", "headers", "variables", "input_schema", "annotations"}
"""What is below is the user's own and not described by anyone."""


def is_said_by_us(dialect: str, message: dict[str, Any]) -> bool:
    return message["type"] in {**catalogue(dialect)["client_events"]}


def read(dialect: str, message: dict[str, Any]) -> Event | Command:
    decode: Callable[[bytes], Event | Command] = (
        read_command if is_said_by_us(dialect, message) else decode_event
    )
    return decode(json.dumps(message).encode())


@pytest.mark.parametrize(("dialect", "message"), ALL, ids=IDS)
def test_a_sample_survives(dialect: str, message: dict[str, Any]) -> None:
    """It decodes to a class of its own, with every value in an attribute, and encodes to the same JSON."""
    decoded = read(dialect, message)

    assert type(decoded) is not UnknownEvent
    assert mistyped(decoded) == []
    assert message == json.loads(encode(decoded, DIALECTS[dialect], pytest.fail))


@pytest.mark.parametrize(("dialect", "message"), ALL, ids=IDS)
def test_unknown_fields_survive_at_every_level(dialect: str, message: dict[str, Any]) -> None:
    """What is newer than this library, wherever it stands, comes back."""
    for changed in with_unknown_fields(message):
        decoded = read(dialect, changed)

        assert changed == json.loads(encode(decoded, DIALECTS[dialect], pytest.fail))


def with_unknown_fields(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield {**value, "x_new": {"deep": [1, None, "two"]}}
        yield {**value, "x_null": None}
        for key, inner in value.items():
            if key not in FREE_FORM:
                for changed in with_unknown_fields(inner):
                    yield {**value, key: changed}
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            for changed in with_unknown_fields(inner):
                yield [*value[:index], changed, *value[index + 1 :]]


@pytest.mark.parametrize(("dialect", "message"), ALL, ids=IDS)
def test_a_sample_can_be_handed_around(dialect: str, message: dict[str, Any]) -> None:
    """Objects can be pickled, unless they have a secret, copied, compared and shown, and are not hashable."""
    decoded = read(dialect, message)

    if '"authorization"' in json.dumps(message):
        with pytest.raises(TypeError, match="are not pickled"):
            pickle.dumps(decoded)
    else:
        assert decoded == pickle.loads(pickle.dumps(decoded))
    assert decoded == copy.deepcopy(decoded)
    assert decoded == read(dialect, message)
    assert decoded != read(dialect, {**message, "event_id": "another"})
    assert repr(decoded).startswith(f"{type(decoded).__name__}(")
    with pytest.raises(TypeError, match="unhashable"):
        hash(decoded)


@pytest.mark.parametrize(
    ("dialect", "message"),
    [(dialect, message) for dialect, message in ALL if not is_said_by_us(dialect, message)],
)
def test_an_event_remembers_its_frame(dialect: str, message: dict[str, Any]) -> None:
    """``raw`` is the frame, ``wire_type`` the name in it, ``type`` the library's name."""
    event = read(dialect, message)

    assert isinstance(event, Event)
    assert message == event.raw
    assert message["type"] == event.wire_type
    assert canonical_name(message["type"]) == event.type
    assert event.type == type(event).TYPE


@pytest.mark.parametrize(
    ("dialect", "message"),
    [(dialect, message) for dialect, message in ALL if not is_said_by_us(dialect, message)],
)
def test_an_event_is_read_the_same_by_the_short_way(dialect: str, message: dict[str, Any]) -> None:
    """What is read once a kind of event is known to the reader is what the general hook reads or refuses."""
    expected = structure(message, type(read(dialect, message)))

    for changed in (message, dict(reversed(message.items()))):
        again = read(dialect, changed)
        assert type(again) is type(expected)
        assert vars(again) == vars(expected)
    for name in message.keys() - {"type"}:
        without = {key: value for key, value in message.items() if key != name}
        for changed in (without, {**without, "x_new": 1}, {**message, name: None}, {**message, name: [7]}):
            assert is_read_as_strictly(read(dialect, changed), changed)


def is_read_as_strictly(event: Event | Command, message: dict[str, Any]) -> bool:
    """Whether an event is what the strict reader makes of it, or has a problem where that one refuses it."""
    assert isinstance(event, Event)
    try:
        return vars(structure(message, type(event))) == vars(event)
    except DecodeError as refusal:
        return refusal.path in event.problems


@pytest.mark.parametrize(("dialect", "message"), ALL, ids=IDS)
def test_a_sample_can_be_said_in_the_other_dialect(dialect: str, message: dict[str, Any]) -> None:
    """What a command means does not depend on the dialect it came in, as far as both can carry it."""
    decoded = read(dialect, message)
    if not isinstance(decoded, Command):
        return
    other = next(DIALECTS[name] for name in DIALECTS if name != dialect)
    left_out: list[str] = []

    again = read_command(encode(decoded, other, left_out.append))

    assert type(decoded) is type(again)
    if not left_out:
        assert again == decoded


def test_every_event_has_a_sample() -> None:
    """The samples cover both catalogues' own events."""
    for dialect in DIALECTS:
        names = {message["type"] for message in samples(dialect)}
        assert names >= {*catalogue(dialect)["server_events"], *catalogue(dialect)["client_events"]}
