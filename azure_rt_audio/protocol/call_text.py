"""A call of a tool on one line, for people to read."""

from __future__ import annotations

import contextlib
import json
from typing import Final

from .._printable import one_line

__all__ = ["call_text", "shortened"]

_MAX_CHARACTERS: Final = 160
"""Of a name, and of arguments."""

_MAX_TO_DECIDE: Final = 4_000
"""The same for whoever decides on a call: what is dangerous must not hide behind what is long."""


def call_text(name: str, arguments: str, *, to_decide: bool = False) -> str:
    """Return name and arguments, fit to be printed: JSON loses the line breaks that models write."""
    limit = _MAX_TO_DECIDE if to_decide else _MAX_CHARACTERS
    with contextlib.suppress(ValueError, RecursionError):
        arguments = json.dumps(json.loads(arguments or "{}"), ensure_ascii=False)
    more = len(arguments) - limit if to_decide else 0
    told = f" ({more} characters more, not shown)" if more > 0 else ""
    return f"{shortened(name, limit)}({shortened(arguments, limit)}){told}"


def shortened(text: str, limit: int) -> str:
    """Return text on one line, fit to be printed; what is longer is cut, with an ellipsis."""
    shown = one_line(text[: 2 * limit])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"
