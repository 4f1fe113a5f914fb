"""Texts in place of what a new session does not take as it was: unheard words, refused calls, long ids."""

from __future__ import annotations

from typing import Final

from .items import ContentPart, FunctionCallItem, FunctionCallOutputItem, MessageItem

__all__ = ["MAX_ID", "call_as_text", "heard_text", "in_seconds", "output_as_text", "short_id"]

MAX_ID: Final = 32
"""Characters that the service takes for the id of an item or call."""

_WORD: Final = 24
"""Characters that are looked back for the end of a word."""


def short_id(name: str, suffix: str = "") -> str:
    """Return an id of at most 32 characters, the same for the same name."""
    if len(name) + len(suffix) <= MAX_ID:
        return name + suffix
    import hashlib  # 3 ms that only a long id should cost

    return hashlib.sha256(name.encode()).hexdigest()[: MAX_ID - len(suffix)] + suffix


def heard_text(text: str, heard_ms: float, total_ms: float) -> str:
    """
    Return the words that were heard of a spoken text, by the share of its sound; whole words only.

    Args:
        heard_ms: Milliseconds of its sound that were played.
        total_ms: Milliseconds of its sound in all. Where there is none, the whole text is returned.
    """
    if total_ms <= 0 or heard_ms >= total_ms:
        return text
    end = int(len(text) * max(heard_ms, 0.0) / total_ms)
    if end and not text[end].isspace():
        before = text[max(0, end - _WORD) : end]
        space = max(before.rfind(" "), before.rfind("\n"))
        if space >= 0:
            end -= len(before) - space
        elif end <= _WORD and before.isascii():  # the first word; some languages do without spaces
            end = 0
    return text[:end].rstrip()


def in_seconds(seconds: float) -> str:
    """Return a length of sound in words; what is shorter than 0.1 s is not told to be nothing."""
    return f"{max(seconds, 0.1):.1f} s"


def call_as_text(call: FunctionCallItem, output: FunctionCallOutputItem | None = None) -> MessageItem:
    """Return a text in the place of a function call, and its output, that the service does not take."""
    said = f"The function {call.name} was called with {call.arguments or '{}'}"
    ended = " and has not returned yet." if output is None else f" and returned: {output.output}"
    return MessageItem(id=call.id, role="system", content=[ContentPart(type="input_text", text=said + ended)])


def output_as_text(name: str, output: FunctionCallOutputItem) -> MessageItem:
    """Return a text in the place of the output of a function call that was restored as text."""
    return MessageItem(
        id=output.id,
        role="system",
        content=[ContentPart(type="input_text", text=f"The function {name} returned: {output.output}")],
    )
