"""
A shorter way to read events that are all strings and numbers, as deltas are.

The general hook of a class looks each field up in its tables. Here a function is written out instead, for
exactly the fields that the service sends, once it has sent them. Events with other fields, or with values of
other types, take the general hook, which knows about errors, nulls and unknown fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from ..events import Event
from .structure import plain_kind, types_of
from .unions import Hook

__all__ = ["specialising"]


def specialising(cls: type[Event], read: Hook, replace: Callable[[Hook], None]) -> Hook:
    """
    Return a hook that replaces itself when it has read the first event of nothing but plain values.

    Args:
        read: The general hook of *cls*; returned as it is if such events do not exist.
        replace: Puts another hook in place of this one.
    """
    types = types_of(cls)
    fields = [a for a in attrs.fields(cls) if a.name not in ("extra", "raw")]
    plain = {a.name: kind for a in fields if (kind := plain_kind(types[a.name])) is not None}
    if any(a.default is attrs.NOTHING and a.name not in plain for a in fields):
        return read

    def hook(source: Any, _: Any) -> Any:
        event = read(source, None)
        sent = {name: value.__class__ for name, value in source.items() if name != "type"}
        if sent and all(plain.get(name) is kind for name, kind in sent.items()):
            defaults = {a.name: a.default for a in fields if a.name not in sent}
            replace(_written_out(cls, sent, defaults, read))
        return event

    return hook


def _written_out(cls: type[Event], sent: dict[str, type], defaults: dict[str, Any], read: Hook) -> Hook:
    values = {name: f"value_{index}" for index, name in enumerate(sent)}
    scope = {"cls": cls, "read": read, "new": object.__new__, "defaults": defaults}
    is_plain = " and ".join(f"{values[name]}.__class__ is {kind.__name__}" for name, kind in sent.items())
    lines = [
        "def hook(source, _):",
        f"    if len(source) == {len(sent) + 1}:",
        "        try:",
        *(f"            {value} = source[{name!r}]" for name, value in values.items()),
        "        except KeyError:",
        "            return read(source, None)",
        f"        if {is_plain}:",
        # Past __init__ and the guard of a frozen class, as the general hook does.
        "            event = new(cls)",
        "            fields = event.__dict__",
        *(f"            fields[{name!r}] = {value}" for name, value in values.items()),
        *(f"            fields[{name!r}] = defaults[{name!r}]" for name in defaults),
        '            fields["extra"] = {}',
        '            fields["raw"] = source',
        "            return event",
        "    return read(source, None)",
    ]
    exec("\n".join(lines), scope)
    hook: Hook = scope["hook"]  # type: ignore[assignment]
    return hook
