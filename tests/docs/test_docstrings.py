"""Docstrings of public names: complete, and in agreement with the signatures that they describe."""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "docs" / "extensions"), str(ROOT / "tests")]

from docstrings import fields_said  # noqa: E402
from test_public_names import NEEDS_AN_EXTRA, PUBLIC  # noqa: E402

SELF_EVIDENT = {
    *("self", "cls"),
    *("path", "data", "pcm", "alaw", "ulaw", "audio_format", "seconds"),
    *("item_id", "response_id", "call_id", "name", "message", "code", "type", "reason", "kind", "now"),
    *("callback", "event", "client", "session", "conversation", "dialect"),
}
"""Parameters whose name and annotation, with the first line of a docstring, say all."""

HANDED_OUT = {
    "azure_rt_audio._session.listeners.Subscription",
    "azure_rt_audio._session.pending_response.PendingResponse",
    "azure_rt_audio.emulator.model.conversation.Conversation",
    "azure_rt_audio.emulator.model.conversation.Item",
    "azure_rt_audio.emulator.model.session.Session",
    "azure_rt_audio.emulator.server.connection.Connection",
}
"""Classes whose objects a program is given; it does not make them."""

SERVICES_OWN = {"type", "id", "object", "status", "extra", "raw"}
"""Fields that every object of the protocol has or may have."""

CONFIGURED = [
    *("AzureRealTimeOptions", "WebSocketOptions", "SessionConfig", "ResponseConfig", "TurnDetection"),
    *("NoiseReduction", "InputAudioTranscription", "FunctionTool", "ToolChoice"),
    *("MessageItem", "ContentPart", "FunctionCallItem", "FunctionCallOutputItem"),
]
"""Classes whose objects a program makes, so each field is described; events have the service's names."""

CLASSES, FUNCTIONS = {}, {}
for _module in PUBLIC.keys() - NEEDS_AN_EXTRA:
    for _name in PUBLIC[_module].split():
        _value = getattr(importlib.import_module(_module), _name)
        if inspect.isclass(_value):
            CLASSES[f"{_value.__module__}.{_name}"] = _value
        elif inspect.isfunction(_value):
            FUNCTIONS[f"{_value.__module__}.{_name}"] = _value


def members(cls: type[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that the package's own bases give a class."""
    for name in dir(cls):
        value = inspect.getattr_static(cls, name)
        home = next((base for base in cls.__mro__ if name in vars(base)), object)
        is_code = isinstance(value, property | classmethod | staticmethod) or inspect.isfunction(value)
        if is_code and not name.startswith("_") and home.__module__.startswith("azure_rt_audio"):
            yield name, value


def plain(value: Any) -> Callable[..., Any]:
    """Return the function within a property or a class's method."""
    if isinstance(value, property):
        return typing.cast("Callable[..., Any]", value.fget)
    return typing.cast("Callable[..., Any]", getattr(value, "__func__", value))


def callables() -> Iterator[tuple[str, Callable[..., Any], str]]:
    """Yield all that is called, by name, with the docstring that describes its parameters."""
    for place, function in FUNCTIONS.items():
        yield place, function, inspect.getdoc(function) or ""
    for place, cls in CLASSES.items():
        for name, value in members(cls):
            if not isinstance(value, property):
                yield f"{place}.{name}", plain(value), inspect.getdoc(getattr(cls, name)) or ""
        if place in HANDED_OUT:
            continue
        if (
            "__init__" in vars(cls)
            and not attrs.has(cls)
            and not (issubclass(cls, enum.Enum | BaseException) or getattr(cls, "_is_protocol", False))
        ):
            yield place, cls.__init__, f"{inspect.getdoc(cls)}\n{inspect.getdoc(cls.__init__)}"


def section(docstring: str, name: str) -> dict[str, str]:
    """Return the entries of a section, such as ``Args``, with what is said of each."""
    found = re.search(rf"^{name}:\n((?:    .*\n?|\n)*)", docstring, re.MULTILINE)
    entries = re.findall(
        r"^    \*{0,2}(\w+): (.*\n?(?:     .*\n?|\n)*)", found[1] if found else "", re.MULTILINE
    )
    return {name: " ".join(text.split()) for name, text in entries}


def defaults_said(text: str) -> list[str]:
    """Return what a description calls the default, without quotes."""
    text = re.sub(r"[^;.]*(?:\.\d[^;.]*)*\bservice's default[^;]*", "", text)
    value = r"(?:``([^`]+)``|:class:`~?(?:[\w.]*\.)?(\w+)`|(-?\d[\d  ]*(?:\.\d+)?))"
    found = re.findall(rf"{value}(?: [a-z]+)?,? (?:is )?(?:the|by) default\b", text)
    found += re.findall(rf"\bdefaults? (?:to|is):? {value}", text)
    return [re.sub(r"(?<=\d)[  ](?=\d)", "", "".join(groups)).strip("\"'") for groups in found]


def is_default(said: str, default: Any) -> bool:
    """Whether a default is as said."""
    known = {str(default), repr(default).strip("'"), getattr(default, "__name__", "")}
    if isinstance(default, float):
        known.add(f"{default:g}")
    return said in known


def contradictions(said: dict[str, str], defaults: dict[str, Any]) -> Iterator[str]:
    """Yield the descriptions whose default is another than the code's."""
    for name, text in said.items():
        for value in defaults_said(text):
            if name in defaults and not is_default(value, defaults[name]):
                yield f"{name} says {value}, but has {defaults[name]!r}"


def test_docstrings_are_complete() -> None:
    """Of each class, method, property and function, and its first paragraph is a sentence."""
    documented = dict(FUNCTIONS) | dict(CLASSES)
    for place, cls in CLASSES.items():
        documented |= {f"{place}.{name}": getattr(cls, name) for name, _ in members(cls)}
    assert len(documented) > 500
    wrong = {
        place: first
        for place, value in documented.items()
        if not (first := (inspect.getdoc(value) or "").split("\n\n")[0]).endswith((".", "::"))
        or "\n" in first
        or not re.match(r"[A-Z`:]", first)
    }

    assert wrong == {}


def test_described_parameters_exist() -> None:
    """A name in ``Args`` is one of the signature."""
    wrong = {
        place: sorted(unknown)
        for place, function, docstring in callables()
        if (unknown := section(docstring, "Args").keys() - inspect.signature(function).parameters.keys())
    }

    assert wrong == {}


def test_parameters_are_described() -> None:
    """In ``Args``, or in a sentence, unless it is self-evident or another docstring is referred to."""
    wrong = {}
    for place, function, docstring in callables():
        if re.search(r"\b[Ss]ee\s+:(meth|class):", docstring) or ".SessionEngine" in place:
            continue
        names = [
            name
            for name in inspect.signature(function).parameters
            if name not in SELF_EVIDENT and name[0] != "_" and not re.search(rf"\b{name}\b", docstring)
        ]
        if names:
            wrong[place] = names

    assert wrong == {}


def test_described_fields_exist() -> None:
    """A name in ``Attributes`` is a field or a property."""
    wrong = {}
    for place, cls in CLASSES.items():
        if attrs.has(cls):
            unknown = fields_said(cls).keys() - {a.name for a in attrs.fields(cls)} - set(dir(cls))
            if unknown:
                wrong[place] = sorted(unknown)

    assert wrong == {}


@pytest.mark.parametrize("name", CONFIGURED)
def test_fields_are_described(name: str) -> None:
    """Each that the constructor takes."""
    cls = getattr(importlib.import_module("azure_rt_audio"), name)
    names = {a.name for a in attrs.fields(cls) if a.init and a.name not in SERVICES_OWN}

    assert names - fields_said(cls).keys() == set()


def test_defaults_are_as_said() -> None:
    """A default in a description is the one of the signature or the field."""
    wrong = {}
    for place, function, docstring in callables():
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.default is not parameter.empty
        }
        if found := list(contradictions(section(docstring, "Args"), defaults)):
            wrong[place] = found
    for place, cls in CLASSES.items():
        if attrs.has(cls):
            defaults = {
                a.name: a.default
                for a in attrs.fields(cls)
                if a.default is not attrs.NOTHING and not isinstance(a.default, attrs.Factory)  # type: ignore[arg-type]
            }
            if found := list(contradictions(fields_said(cls), defaults)):
                wrong[place] = found

    assert wrong == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Seconds; 0.5 by default.", ["0.5"]),
        ('``"v1"``, the default, or a date.', ["v1"]),
        (":class:`EnergyDetector`, the default, or another.", ["EnergyDetector"]),
        ("Hz; the default is 24 000.", ["24000"]),
        ("Seconds; ``None`` waits without limit.", []),
    ],
)
def test_a_default_is_recognised(text: str, said: list[str]) -> None:
    """In the ways that docstrings say it."""
    assert defaults_said(text) == said
