"""The emulator's rules for requests, compared with the service's catalogues field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from catalogue_types import alternatives, catalogue, fields_of

from azure_rt_audio.emulator.dialects.choose import DIALECTS
from azure_rt_audio.emulator.dialects.fields import Metadata
from azure_rt_audio.emulator.dialects.rules import (
    Anything,
    Array,
    Boolean,
    Choice,
    Either,
    Mapped,
    Nullable,
    Number,
    Record,
    RefusalError,
    Rule,
    Tagged,
    Text,
    Unsupported,
)

COMMANDS = [(dialect, name) for dialect in DIALECTS for name in catalogue(dialect)["client_events"]]
LATER = "of GA, on the preview too; not tried at the service"
ENUM = "described as any text beside an enumeration; the service refuses others"
KNOWN = {
    "audio.output.speed is surplus": "the service changes it between turns; not described for a response",
    "conversation refuses 'any text'": ENUM,
    "tool_choice refuses 'any text'": ENUM,
    "include[] refuses 'any text'": ENUM,
    "connector_id accepts any text": "connectors come and go",
    "content[].detail is missing": "of images, which the preview does not take",
    "content[].image_url refuses 'any text'": "a data URI of a PNG or JPEG, as is said beside the type",
    "content[].image_url is missing": "of images, which the preview does not take",
    "content[].id is missing": "of item references inside a message, which the emulator does not resolve",
    "voice refuses 'any text'": ENUM,
    "tools[].name refuses 'any text'": "a name has no space; the service says so, the description does not",
    "phase is surplus": LATER,
    "prompt.id is required": "described without what is required; GA requires it",
    "tool_choice accepts objects": "of the first preview",
    "tool_choice.function is surplus": "of the first preview",
    "tool_choice.name is surplus": "of the first preview",
    "tool_choice.type is surplus": "of the first preview",
    "tools[].name is required": "described without what is required; GA requires it",
    "voice accepts objects": LATER,
    "voice.id is surplus": LATER,
    "session.include is surplus": LATER,
    "input_audio_noise_reduction.strength is surplus": LATER,
    "input_audio_transcription.delay is surplus": LATER,
    "input_audio_transcription.keywords is surplus": LATER,
    "input_audio_transcription.languages is surplus": LATER,
    "model accepts any text": "a deployment of the user's own",
    "truncation.retention_ratio is required": "described without what is required; GA requires it",
}
"""How the rules differ from the catalogues, by the ends of the sentences below, and why."""
LEFT_OUT = {"output_audio_buffer.clear": "for WebRTC and SIP only; over a WebSocket the service refuses it"}


def rules_in(rule: Rule) -> Iterator[Rule]:
    """The alternatives of a rule that are none of themselves."""
    if isinstance(rule, Nullable):
        yield from rules_in(rule.inner)
    elif isinstance(rule, Either):
        for inner in rule.rules:
            yield from rules_in(inner)
    elif isinstance(rule, Tagged):
        for inner in rule.kinds.values():
            yield from rules_in(inner)
    else:
        yield rule


def accepts(rule: Rule, value: Any) -> bool:
    try:
        rule(value, "x")
    except RefusalError:
        return False
    return True


def differences(dialect: str, rule: Rule, type_: str, path: str) -> Iterator[str]:
    """How a rule and a type of the catalogue differ, as sentences."""
    rules = list(rules_in(rule))
    if any(isinstance(one, (Anything, Unsupported)) for one in rules):
        return
    told = list(alternatives(dialect, type_))
    kinds = {kind for kind, _ in told}
    if "any" in kinds:
        return
    for kind, argument in told:
        if kind in ("value", "string", "boolean"):
            value = {"string": "any text", "boolean": True}.get(kind, argument)
            tried = value if not isinstance(rule, Choice) or kind == "value" else rule.values[0]
            if not any(accepts(one, tried) for one in rules):
                yield f"{path} refuses {tried!r}"
        elif kind in ("integer", "number"):
            if not any(isinstance(one, Number) or accepts(one, 24_000) for one in rules):
                yield f"{path} refuses numbers"
        elif kind == "array":
            of = [one.of for one in rules if isinstance(one, Array)]
            if not of:
                yield f"{path} refuses lists"
            else:
                elements = " | ".join(one for of_kind, one in told if of_kind == "array")
                yield from differences(dialect, Either(*of), elements, f"{path}[]")
        elif kind == "map" and not any(isinstance(one, (Mapped, Metadata)) for one in rules):
            yield f"{path} refuses pairs"
    if "string" not in kinds and any(isinstance(one, Text) for one in rules):
        yield f"{path} accepts any text"
    if "boolean" not in kinds and any(isinstance(one, Boolean) for one in rules):
        yield f"{path} accepts booleans"
    if not kinds & {"integer", "number"} and any(isinstance(one, Number) for one in rules):
        yield f"{path} accepts numbers"
    exact = {str(argument) for kind, argument in told if kind == "value"}
    if "string" not in kinds:
        for one in rules:
            for value in one.values if isinstance(one, Choice) else ():
                if str(value) not in exact and not kinds & {"integer", "number"}:
                    yield f"{path} accepts {value!r}"
    told_objects = [fields_of(dialect, kind, of) for kind, of in told if kind in ("ref", "object")]
    yield from in_objects(dialect, [one for one in rules if isinstance(one, Record)], told_objects, path)


def in_objects(dialect: str, rules: list[Record], told: list[Any], path: str) -> Iterator[str]:
    """Alternatives of an object, field by field: what any rule accepts against what any description has."""
    if bool(rules) != bool(told):
        yield f"{path} {'accepts' if rules else 'refuses'} objects"
    accepted: dict[str, list[Rule]] = {}
    for record in rules:
        if record.is_open:
            return
        for name, rule in record.fields.items():
            accepted.setdefault(name, []).append(rule)
    described: dict[str, list[str]] = {}
    for fields in told:
        for name, facts in fields.items():
            described.setdefault(name, []).append(facts["type"])
    for name in described.keys() - accepted.keys():
        yield f"{path}.{name} is missing"
    for name in accepted.keys() - described.keys():
        yield f"{path}.{name} is surplus"
    for name in sorted(accepted.keys() & described.keys()):
        if name != "type":
            types = " | ".join(dict.fromkeys(described[name]))
            yield from differences(dialect, Either(*accepted[name]), types, f"{path}.{name}")
    if told and rules:
        for name in sorted(accepted.keys() & described.keys() - {"type"}):
            always = all(fields.get(name, {}).get("required") for fields in told)
            if always and not all(name in record.required for record in rules):
                yield f"{path}.{name} is not required"
            ever = any(fields.get(name, {}).get("required") for fields in told)
            if not ever and all(name in record.required for record in rules):
                yield f"{path}.{name} is required"


@pytest.mark.parametrize(("dialect", "name"), COMMANDS)
def test_requests_are_the_catalogue_s(dialect: str, name: str) -> None:
    """Fields, types, enumerations and required fields of each command; what differs has its reason."""
    if name in LEFT_OUT:
        assert name not in DIALECTS[dialect].requests
        return
    rule = DIALECTS[dialect].requests[name]
    assert isinstance(rule, Record)
    found = set(in_objects(dialect, [rule], [catalogue(dialect)["client_events"][name]], name))

    assert sorted(one for one in found if not one.endswith(tuple(KNOWN))) == []


def test_every_known_difference_is_one() -> None:
    """The list above is not longer than the truth."""
    found = [
        one
        for dialect, name in COMMANDS
        if name not in LEFT_OUT
        for one in in_objects(
            dialect,
            [DIALECTS[dialect].requests[name]],  # type: ignore[list-item]
            [catalogue(dialect)["client_events"][name]],
            name,
        )
    ]

    assert [end for end in KNOWN if not any(one.endswith(end) for one in found)] == []
