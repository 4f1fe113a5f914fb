"""What the service's catalogues in ``data`` say, as messages to read and facts to hold classes against."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import attrs
from catalogue_types import DATA, alternatives, catalogue, fields_of

from azure_rt_audio._secret import Secret
from azure_rt_audio.protocol.base import ProtocolObject
from azure_rt_audio.protocol.dialects import GaDialect, PreviewDialect

DIALECTS = {"ga": GaDialect("v1"), "preview": PreviewDialect("2025-04-01-preview")}

SERVER_SECTIONS = ("server_events", "translation_server_events", "openai_beta_only_events")
CLIENT_SECTIONS = ("client_events", "translation_client_events")

ITEM_FIELDS = {
    "message": {"id", "object", "type", "status", "role", "content"},
    "function_call": {"id", "object", "type", "status", "name", "arguments", "call_id"},
    "function_call_output": {"id", "object", "type", "status", "output", "call_id"},
    "item_reference": {"id", "type"},
}
"""Preview describes all kinds of items as one object; which fields belong to which kind is known from GA."""
REQUIRED_ITEM_FIELDS = {"function_call_output": {"call_id", "output"}, "item_reference": {"id"}}
"""The same for what is required."""

NOT_GENERATED = {
    ("preview", "ResponseCreateEvent.Response", "max_response_output_tokens"): (
        "a misspelling of max_output_tokens by one SDK's types, understood but never both"
    ),
}
ONE_OF: dict[str, list[Any]] = {
    "preview modalities": [["text"], ["text", "audio"]],  # the service never speaks without writing
    "ga output_modalities": [["audio"], ["text"]],  # never both
    # Described as anything; the sample shows this.
    "preview conversation.item.input_audio_transcription.completed languages": [[{"code": "en"}], []],
    # Milliseconds that one description calls texts; what it shows is numbers.
    "preview RealtimeServerVadTurnDetection prefix_padding_ms": [300],
    "preview RealtimeServerVadTurnDetection silence_duration_ms": [200],
    # What all items have in common; the other kinds have more.
    "preview RealtimeResponseItem type": ["message"],
    # Described without what is required; GA requires the id.
    **{
        f"preview {owner} prompt": [{"id": "p", "version": "1", "variables": {"x": {"kind": "new"}}}]
        for owner in ("Session", "SessionUpdateEvent.Session", "ResponseCreateEvent.Response")
    },
}
"""Values of a field that the catalogue describes too loosely, by dialect, owner if it matters, and name."""


def samples(dialect: str) -> list[dict[str, Any]]:
    """Return the sample messages of a dialect."""
    lines = (DATA / f"samples_{dialect}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def events(*sections: str) -> list[tuple[str, str, str]]:
    """Return dialect, section and wire name of every event in these sections of both catalogues."""
    return [
        (dialect, section, name)
        for dialect in DIALECTS
        for section in sections
        for name in catalogue(dialect).get(section, ())
    ]


def variants(dialect: str, type_: str, field: str = "", owner: str = "") -> Iterator[Any]:
    """
    Yield values of a catalogue's type: the fullest one first, then one for each alternative in it.

    Alternatives are tried one at a time, so their number is a sum and not a product.
    """
    for key in (f"{dialect} {owner} {field}", f"{dialect} {field}"):
        if key in ONE_OF:
            yield from ONE_OF[key]
            return
    for kind, argument in alternatives(dialect, type_):
        if kind == "ref":
            yield from _all_objects(dialect, argument)
        elif kind == "value":
            yield argument
        elif kind == "array":
            for value in variants(dialect, argument):
                yield [value]
            yield []
        elif kind == "map":
            for value in variants(dialect, argument):
                yield {"key": value}
        elif kind == "object":
            yield from _combined(
                dialect, {name: {**held, "required": True} for name, held in argument.items()}, ""
            )
        else:
            plain: dict[str, list[Any]] = {
                "string": [f"a {field or 'text'}"],
                "integer": [7],
                "number": [0.75],
                "boolean": [True, False],
                "any": [{"type": "object", "deep": [1, None, {"x": "y"}]}],
            }
            yield from plain[kind]


def objects(dialect: str, name: str, section: str = "objects") -> Iterator[dict[str, Any]]:
    """Yield variants of an object of the catalogue."""
    if name not in catalogue(dialect)[section]:
        section = "objects_2024_10_01"
    fields = {
        field: facts
        for field, facts in catalogue(dialect)[section][name].items()
        if (dialect, name, field) not in NOT_GENERATED and "until" not in facts
    }
    if name in ("ConversationItem", "ConversationItemWithReference"):
        for kind in catalogue(dialect)["enums"][f"{name}.type"]:
            required = REQUIRED_ITEM_FIELDS.get(kind, set())
            of_kind = {
                field: {**facts, "required": field in required}
                for field, facts in fields.items()
                if field in ITEM_FIELDS[kind]
            }
            yield from _combined(dialect, {**of_kind, "type": {"type": f"const:{json.dumps(kind)}"}}, name)
    else:
        yield from _combined(dialect, fields, name)


@cache
def _all_objects(dialect: str, name: str) -> list[dict[str, Any]]:
    return list(objects(dialect, name))


def messages(dialect: str, section: str, name: str) -> Iterator[dict[str, Any]]:
    """Yield variants of an event of the catalogue."""
    return _combined(dialect, catalogue(dialect)[section][name], name)


def nulled(dialect: str, section: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path of a nullable field, and the message with null there."""
    full = next(messages(dialect, section, name))
    for path, value in _nullable(dialect, catalogue(dialect)[section][name], full, ()):
        yield ".".join(map(str, path)), value


def _nullable(
    dialect: str, fields: Mapping[str, Any], value: dict[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for field, facts in fields.items():
        if field not in value:
            continue
        if facts.get("nullable"):
            yield (*path, field), {**value, field: None}
        kind, argument = next(alternatives(dialect, facts["type"]))
        if kind == "ref" and isinstance(value[field], dict):
            inner = fields_of(dialect, kind, argument)
            for where, changed in _nullable(dialect, inner, value[field], (*path, field)):
                yield where, {**value, field: changed}


def _combined(dialect: str, fields: Mapping[str, Any], owner: str) -> Iterator[dict[str, Any]]:
    choices = {name: list(variants(dialect, facts["type"], name, owner)) for name, facts in fields.items()}
    full = {name: values[0] for name, values in choices.items()}
    yield full
    for name, values in choices.items():
        for value in values[1:]:
            yield {**full, name: value}
    # A type is never left out, though some descriptions do not require it.
    yield {name: value for name, value in full.items() if fields[name].get("required") or name == "type"}


def shapes(shape: ProtocolObject, path: str = "$") -> Iterator[tuple[str, ProtocolObject]]:
    """Yield an object of the protocol and all that are in it, with their paths."""
    yield path, shape
    for a in attrs.fields(type(shape)):
        if a.name not in ("extra", "raw"):
            yield from _shapes_in(getattr(shape, a.name), f"{path}.{a.name}")


def _shapes_in(value: Any, path: str) -> Iterator[tuple[str, ProtocolObject]]:
    if isinstance(value, ProtocolObject):
        yield from shapes(value, path)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _shapes_in(inner, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _shapes_in(inner, f"{path}.{key}")


def mistyped(shape: ProtocolObject) -> list[str]:
    """Return the paths in *shape* whose values are not what the annotations say."""
    wrong = []
    for path, inner in shapes(shape):
        hints = _type_hints(type(inner))
        wrong += [
            f"{path}.{a.name}"
            for a in attrs.fields(type(inner))
            if not _fits(getattr(inner, a.name), hints[a.name])
        ]
    return wrong


@cache
def _type_hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, alternative) for alternative in arguments)
    if origin is Secret:
        return type(value) is Secret and _fits(value.reveal(), arguments[0])
    if origin is typing.Literal:
        return value in arguments and type(value) is str
    if origin is list:
        return type(value) is list and all(_fits(inner, arguments[0]) for inner in value)
    if origin in (dict, Mapping):
        return type(value) is dict and all(
            type(key) is str and _fits(inner, arguments[1]) for key, inner in value.items()
        )
    if hint is type(None):
        return value is None
    return type(value) is hint
