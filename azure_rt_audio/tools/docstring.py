"""What a docstring in Google's style says of a function, and of each of its parameters."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

__all__ = ["parameters_said", "summary"]

_SECTION: Final = re.compile(
    r"^(?:Args|Arguments|Parameters|Attributes):[ \t]*\n((?:[ \t]+.*\n?|\n)*)", re.MULTILINE
)
_ENTRY: Final = re.compile(r"^\*{0,2}(\w+)(?:\s*\([^)]*\))?:\s*(.*)$")


def summary(documented: Any) -> str:
    """Return the first paragraph of a docstring on one line, or nothing."""
    text = inspect.cleandoc(getattr(documented, "__doc__", None) or "")
    return " ".join(text.partition("\n\n")[0].split())


def parameters_said(documented: Any) -> dict[str, str]:
    """Return what the docstring says of each parameter or attribute, each on one line."""
    said: dict[str, list[str]] = {}
    for section in _SECTION.findall(inspect.cleandoc(getattr(documented, "__doc__", None) or "")):
        lines = [line for line in section.split("\n") if line.strip()]
        outermost = min((_indent(line) for line in lines), default=0)
        words: list[str] = []
        for line in lines:
            entry = _ENTRY.match(line.strip()) if _indent(line) == outermost else None
            if entry is not None:
                words = said[entry[1]] = [entry[2]]
            else:
                words.append(line.strip())
    return {name: " ".join(words).strip() for name, words in said.items()}


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
