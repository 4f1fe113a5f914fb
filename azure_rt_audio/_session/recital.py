"""Responses that say a given text."""

from __future__ import annotations

from typing import Final

from ..protocol.responses import ResponseConfig

__all__ = ["recital"]

_INSTRUCTIONS: Final = (
    "Say exactly the following text, in its own language, and nothing before or after it:\n\n"
)


def recital(text: str, name: str = "text") -> ResponseConfig:
    """
    Return what has the model say a text, and call nothing.

    Args:
        name: Of the argument, for errors.

    Raises:
        TypeError: If it is no text.
        ValueError: If there is nothing to say.
    """
    if not isinstance(text, str):
        raise TypeError(f"{name} must be text, not {type(text).__name__}")
    if not text.strip():
        raise ValueError(f"{name} is empty: there is nothing to say")
    return ResponseConfig(instructions=_INSTRUCTIONS + text, tool_choice="none")
