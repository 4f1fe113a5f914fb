"""Text in the pieces in which it is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["arguments_as_written", "pieces"]

_TOKENS: Final = re.compile(r"[^\S\n]*(?:[\w'’]+|[^\w\s]+)|\s+")  # a word with the space in front of it
_WORDS: Final = re.compile(r"\s*\S+\s*|\s+")


def pieces(text: str, are_tokens: bool, characters: int | None = None) -> list[str]:
    """The text as tokens; or as words, or in pieces of so many *characters*."""
    if are_tokens or characters is None:
        return (_TOKENS if are_tokens else _WORDS).findall(text)
    return [text[start : start + characters] for start in range(0, len(text), characters)]


def arguments_as_written(arguments: Mapping[str, Any]) -> str:
    """Arguments of a function as JSON, with the white space that a model puts into it."""
    if not arguments:
        return "{}"
    fields = ", \n ".join(f"{json.dumps(name)}: {json.dumps(held)}" for name, held in arguments.items())
    return f"{{  \n {fields} \n}} \n"
