"""The reference has every public name once, and what it says of extras and variables is complete."""

from __future__ import annotations

import ast
import configparser
import importlib
import json
import re
import sys
from pathlib import Path

import pytest

import azure_rt_audio
from azure_rt_audio.protocol.codec import to_json
from azure_rt_audio.protocol.session_defaults import DEFAULTS

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "docs" / "extensions"), str(ROOT / "tests")]

import api  # noqa: E402
import tables  # noqa: E402
from test_public_names import PUBLIC  # noqa: E402


def test_every_public_name_is_documented_once() -> None:
    """At one of the places that it can be imported from."""
    documented = api.documented()
    places: dict[object, set[str]] = {}
    for module, names in PUBLIC.items():
        for name in names.split():
            place = f"{module}.{name}"
            is_importable = module in api.MODULES
            key = (name, id(getattr(importlib.import_module(module), name))) if is_importable else place
            places.setdefault(key, set()).add(place)

    counts = {min(found): sum(map(documented.count, found)) for found in places.values()}

    assert {place: count for place, count in counts.items() if count != 1} == {}
    assert set(documented) <= set().union(*places.values())


def test_every_extra_has_a_purpose() -> None:
    """A new extra of setup.cfg gets a row."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")

    assert set(setup["options.extras_require"]) == set(tables.EXTRAS)


def test_the_table_of_session_fields_has_the_defaults() -> None:
    """Those of the code, and no more."""
    rows = [re.split(r" (?<!\\)\| ", line) for line in tables.session_fields().splitlines()[2:]]
    shown = {row[0].strip("| `"): row[3].strip("`") for row in rows if row[3] != "not sent"}

    assert {name: json.loads(value) for name, value in shown.items()} == to_json(DEFAULTS)


def test_every_variable_is_in_the_table() -> None:
    """What the package reads of the environment by a name of its own."""
    found: set[str] = set()
    for path in Path(azure_rt_audio.__file__).parent.rglob("*.py"):
        strings = [
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        found.update(text for text in strings if re.fullmatch(r"(AZURE_OPENAI|EMULATOR)_[A-Z_]+", text))

    assert found <= set(tables.VARIABLES)


@pytest.mark.parametrize(
    "kind",
    ["client_events", "session_fields", "response_fields", "codes", "handshakes", "command_line", "extras"],
)
def test_a_table_is_made(kind: str) -> None:
    """With rows below its head, and each row as wide as that."""
    lines = [line for line in getattr(tables, kind)().splitlines() if line.startswith("| ")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}

    assert len(lines) > 6
    assert len(widths) == 1
