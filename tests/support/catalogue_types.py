"""
The service's catalogues, read once: which fields its messages have, and what each may hold.

This is the tests' one view of a request and of an event; :mod:`catalogues` makes messages of it for the
client, :mod:`emulator_session` checks the emulator's events with it, ``test_requests.py`` its requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data"


@cache
def catalogue(dialect: str) -> dict[str, Any]:
    """Return ``ga.json`` or ``preview.json``."""
    found: dict[str, Any] = json.loads((DATA / f"{dialect}.json").read_text("utf-8"))
    # Named in an event, described nowhere in this file: GA has it.
    if dialect == "preview":
        ga = catalogue("ga")["objects"]
        for name in ga:
            if name.startswith(
                ("RealtimeTranscriptionSession", "RealtimeAudioFormats", "AudioTranscription")
            ):
                found["objects"].setdefault(name, ga[name])
        found["enums"] = {**catalogue("ga")["enums"], **found["enums"]}
    return found


def split(text: str, separator: str) -> list[str]:
    """Split at a separator that stands outside of brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "<[{") - (sign in ">]}")
        if sign == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]


def alternatives(dialect: str, type_: str) -> Iterator[tuple[str, Any]]:
    """
    Yield what a catalogue's type allows, as kind and argument.

    ``value`` and an exact value; ``ref`` and an object's name; ``object`` and its fields; ``array`` or
    ``map`` and the type of its elements; or a plain kind (``string``, ``integer``, ``number``, ``boolean``,
    ``any``) and ``None``.
    """
    for alternative in split(type_, "|"):
        kind, _, rest = alternative.partition(":")
        if kind == "const":
            yield "value", json.loads(rest)
        elif kind == "enum":
            yield from (("value", value) for value in catalogue(dialect)["enums"][rest])
        elif alternative.startswith("enum["):
            yield from (("value", value) for value in alternative[5:-1].split(","))
        elif kind == "ref":
            yield "ref", rest
        elif alternative.startswith("array<"):
            yield "array", alternative[6:-1]
        elif alternative.startswith("map<"):
            yield "map", split(alternative[4:-1], ",")[1]
        elif alternative.startswith("object{"):
            fields = dict(part.split(": ", 1) for part in split(alternative[7:-1], ","))
            yield "object", {name: {"type": inner, "required": False} for name, inner in fields.items()}
        else:
            assert alternative in ("string", "integer", "number", "boolean", "any"), alternative
            yield alternative, None


def fields_of(dialect: str, kind: str, argument: Any) -> Mapping[str, Any]:
    """The fields of a ``ref`` or an ``object``."""
    found: Mapping[str, Any] = argument if kind == "object" else catalogue(dialect)["objects"][argument]
    return found
