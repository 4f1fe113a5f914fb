"""The API in the reference: where each public name is, and what Sphinx is told of it."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import attrs
from docstrings import PACKAGE, class_docstring, constants, field_table

from azure_rt_audio.protocol.events import EVENT_CLASSES, Event, UnknownEvent
from azure_rt_audio.protocol.events.local import LOCAL_EVENTS

REFERENCE = Path(__file__).parents[1] / "reference"

MODULES = tuple(
    f"azure_rt_audio{name}"
    for name in ("", ".audio", ".devices", ".dispatch", ".emulator", ".errors", ".events", ".tools", ".voice")
)
"""The public modules, but for ``azure_rt_audio.qt``, which cannot be imported without Qt."""

SECTIONS = {
    "session": ("session.", "transcription_session."),
    "input audio": ("input_audio_buffer.",),
    "conversation": ("conversation.",),
    "response": ("response.",),
    "service's playback": ("output_audio_buffer.",),
    "MCP and limits": ("mcp_list_tools.", "rate_limits.", "error"),
}
"""Headings of the page of events, and what the names below them begin with."""

_BLOCK = re.compile(r"^```\{generated\} ([\w-]+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def events(section: str) -> list[type[Any]]:
    """Return the classes of events below a heading."""
    begins = SECTIONS[section]
    return [cls for name, cls in EVENT_CLASSES.items() if name.startswith(begins)]


def documented() -> list[str]:
    """Return the public names that the reference has, with their modules, one for each time."""
    found: list[str] = []
    for page in sorted(REFERENCE.glob("*.md")):
        for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
            if block[1] == "api":
                found += [f"{block[2]}.{name}" for name in block[3].split()]
            elif block[1] == "events":
                found += [f"azure_rt_audio.events.{cls.__name__}" for cls in events(block[3].strip())]
            elif block[1] == "local-events":
                found += [f"azure_rt_audio.events.{cls.__name__}" for cls in LOCAL_EVENTS]
    return found


@functools.cache
def homes() -> dict[str, str]:
    """Return the documented place of each public name, for each of its places."""
    known: dict[tuple[str, int], str] = {}
    places: list[tuple[str, Any]] = []
    for place in documented():
        module, _, name = place.rpartition(".")
        if module in MODULES:
            known[name, id(getattr(importlib.import_module(module), name))] = place
    for module in MODULES:
        source = importlib.import_module(module)
        places += [(f"{module}.{name}", getattr(source, name)) for name in source.__all__]
    found = {place: known.get((place.rpartition(".")[2], id(value)), place) for place, value in places}
    return {**found, "azure_rt_audio.qt.RealtimeSignals": "azure_rt_audio.qt.RealtimeSignals"}


def internal(place: str) -> bool:
    """Whether something of the package has this name, which is not public."""
    for home in homes():
        if place.startswith(home + "."):
            return False
    return locate(place) is not None


def locate(place: str) -> Any:
    """Return the object with a dotted name, or ``None``."""
    parts = place.split(".")
    for size in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:size]))
        except ImportError:
            continue
        for name in parts[size:]:
            if not hasattr(value, name):
                fields = getattr(value, "__attrs_attrs__", ())
                return value if name in {a.name for a in fields} else None
            value = getattr(value, name)
        return value
    return None


def document(module: str, name: str) -> str:
    """Return what the reference says of a public name, as MyST."""
    place = f"{module}.{name}"
    if module == "azure_rt_audio.qt":
        text = class_docstring(PACKAGE / "qt.py", name).replace("\n", "\n   ")
        return eval_rst(f".. py:class:: {place}(client, parent=None)\n\n   {_plain_sections(text)}\n")
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value) and attrs.has(value):
        return fields_class(place, value)
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, BaseException) else "class"
        inherited = "\n   :inherited-members:" if name == "AzureRealTimeAudio" else ""
        return eval_rst(f".. auto{kind}:: {place}\n   :members:{inherited}\n")
    if inspect.isroutine(value):
        return eval_rst(f".. autofunction:: {place}\n")
    if name == "__version__":
        return eval_rst(f".. py:data:: {place}\n   :type: str\n\n   Version of this library.\n")
    code, said = constants()[name]
    return eval_rst(
        f".. py:data:: {place}\n   :value: {code}\n\n   {said.replace(chr(10), chr(10) + '   ')}\n"
    )


def fields_class(place: str, value: type[Any]) -> str:
    """Return what the reference says of a class with fields: a table has them."""
    is_event = issubclass(value, Event)
    described = eval_rst(f".. autoclass:: {place}\n   :members:\n   :no-undoc-members:\n")
    return described + "\n" + field_table(value, with_defaults=not is_event and value not in LOCAL_EVENTS)


def event(cls: type[Any], preview_name: str | None) -> str:
    """Return what the reference says of an event."""
    other = f"; preview: `{preview_name}`" if preview_name else ""
    return f"### `{cls.TYPE}`\n\nGA: `{cls.TYPE}`{other}\n\n" * (cls is not UnknownEvent) + fields_class(
        f"azure_rt_audio.events.{cls.__name__}", cls
    )


def eval_rst(text: str) -> str:
    """Return a fence of reStructuredText."""
    return f"````{{eval-rst}}\n{text}````\n"


def _plain_sections(text: str) -> str:
    return re.sub(r"^( *)(Args|Raises):$", r"\1**\2**\n", text, flags=re.MULTILINE)
