"""The dialects that there are, by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from .base import Dialect
from .ga import Ga
from .preview import Preview

__all__ = ["DIALECTS", "dialect_named"]

DIALECTS: Final[Mapping[str, Dialect]] = {dialect.name: dialect for dialect in (Ga(), Preview())}


def dialect_named(name: str) -> Dialect:
    """
    The dialect of that name.

    Raises:
        ValueError: There is none.
    """
    found = DIALECTS.get(name) if isinstance(name, str) else None
    if found is None:
        known = " or ".join(map(repr, DIALECTS))
        close = get_close_matches(str(name), DIALECTS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"dialect is {name!r}: use {known}{hint}")
    return found
