"""A call of a tool on one line, for people to read."""

from __future__ import annotations

import contextlib
import json
from typing import Final

from .._printable import one_line

__all__ = ["call_text", "shortened"]

_MAX_CHARACTERS: Final = 160
"""Of a name, and of arguments; whoever decides on a call has to be able to read them."""


def call_text(name: str, arguments: str) -> str:
    """Return name and arguments, fit to be printed: JSON loses the line breaks that models write."""
    with contextlib.suppress(ValueError):
        arguments = json.dumps(json.loads(arguments or "{}"), ensure_ascii=False)
    return f"{shortened(name, _MAX_CHARACTERS)}({shortened(arguments, _MAX_CHARACTERS)})"


def shortened(text: str, limit: int) -> str:
    """Return text on one line, fit to be printed; what is longer is cut, with an ellipsis."""
    shown = one_line(text[: 2 * limit])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}\N{HORIZONTAL ELLIPSIS}"
