"""
Finds what JSON cannot express in values of a user's, before they are kept: by its path, not repeating it.

Half a character of UTF-16 (a lone surrogate) is what Python makes of bytes that are no text, in names of
files or arguments of the command line. Whole numbers beyond 64 bits are more than a service's reader takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from ..._secret import Secret

__all__ = ["check_expressible", "flaw_of"]

_HALF: Final = re.compile("[\ud800-\udfff]")
_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**64 - 1
_DEEPEST: Final = 254
"""Of what is nested deeper, or in itself, nothing is written."""


def check_expressible(value: Any, path: str) -> None:
    """
    Refuse a value that JSON cannot express; of objects of the protocol, all fields are looked at.

    Raises:
        ValueError: Names the path and the remedy.
    """
    flaw = flaw_of(value, path)
    if flaw is not None:
        raise ValueError(flaw)


def flaw_of(value: Any, path: str = "") -> str | None:
    """Return where and what JSON cannot express, ``None`` if there is no such text or number."""
    places = [(path, value, 0)]
    while places:
        path, value, depth = places.pop()
        if isinstance(value, Secret):
            value = value.reveal()
        if isinstance(value, str):
            half = _HALF.search(value)
            if half is not None:
                return (
                    f"{path or 'the text'} has half a character (a surrogate, U+{ord(half[0]):04X}) at "
                    f"position {half.start()}, which JSON cannot express: give text that can be encoded, "
                    'such as text.encode(errors="replace").decode()'
                )
        elif isinstance(value, int):
            if not _LOWEST <= value <= _HIGHEST:
                return f"{path or 'the number'} is a whole number beyond 64 bits, which no service can read"
        elif depth < _DEEPEST:
            places += [(where, inner, depth + 1) for where, inner in _parts(value, path)]
    return None


def _parts(value: Any, path: str) -> list[tuple[str, Any]]:
    """Return what a value holds, with its paths; the first part last."""
    if isinstance(value, Mapping):
        parts = []
        for name, inner in value.items():
            if isinstance(name, str) and _HALF.search(name):
                parts += [(f"a name in {path or 'the object'}", name)]
            else:
                parts += [(f"{path}.{name}" if path else str(name), inner)]
    elif isinstance(value, list | tuple):
        parts = [(f"{path}[{index}]", inner) for index, inner in enumerate(value)]
    elif attrs.has(value.__class__):
        parts = []
        for one in attrs.fields(value.__class__):
            inner = getattr(value, one.name)
            if one.name == "extra":  # stands beside the rest
                parts += _parts(inner, path)
            else:
                parts += [(f"{path}.{one.name}" if path else one.name, inner)]
    else:
        return []
    return parts[::-1]
