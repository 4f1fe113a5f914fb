"""
Counts of tokens: what a response reads, how much of that is cached, and what it writes.

By the rules of thumb of the documentation, not by a tokenizer.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ..model.conversation import Conversation, Item
from ..model.session import Session

__all__ = [
    "AUDIO_OUT_MS_PER_TOKEN",
    "CHARACTERS_PER_TOKEN",
    "Prompt",
    "Tokens",
    "output_tokens",
    "prompt_of",
    "shared_tokens",
    "text_tokens",
    "total",
]

CHARACTERS_PER_TOKEN: Final = 4
AUDIO_OUT_MS_PER_TOKEN: Final = 50
_AUDIO_IN_MS_PER_TOKEN: Final = 100
_ITEM_TOKENS: Final = 4
# An image of low detail; another one is counted as 1024 x 1024 pixels in four tiles.
_LOW_IMAGE_TOKENS: Final = 85
_IMAGE_TOKENS: Final = 85 + 4 * 170


@dataclass(frozen=True)
class Tokens:
    """Of each kind."""

    text: int = 0
    audio: int = 0
    image: int = 0

    def in_blocks(self, size: int) -> Tokens:
        """What whole blocks of a kind have."""
        return Tokens(*(count - count % size for count in (self.text, self.audio, self.image)))

    @property
    def sum(self) -> int:
        """Of all kinds."""
        return self.text + self.audio + self.image


Prompt: TypeAlias = tuple[tuple[Hashable, Tokens], ...]
"""What a response reads, in order: what tells a piece from others, and its tokens."""


def text_tokens(text: str) -> int:
    """How many a text has."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def output_tokens(text: str, audio_ms: float) -> tuple[int, int]:
    """What was written and said: text tokens and audio tokens."""
    return text_tokens(text), math.ceil(audio_ms / AUDIO_OUT_MS_PER_TOKEN)


def prompt_of(conversation: Conversation, session: Session) -> Prompt:
    """What a response has to read: instructions, tools and items."""
    settings = [session.instructions, *(str(tool) for tool in session.tools)]
    texts = [(text, Tokens(text=text_tokens(text))) for text in settings]
    return (*texts, *(_piece(item) for item in conversation))


def _piece(item: Item) -> tuple[Hashable, Tokens]:
    words = (item.arguments, item.output, *(part.text for part in item.parts))
    audio = image = 0
    for part in item.parts:
        rate = AUDIO_OUT_MS_PER_TOKEN if part.kind == "audio" else _AUDIO_IN_MS_PER_TOKEN
        audio += math.ceil(part.duration_ms / rate)
        if part.kind == "input_image":
            image += _LOW_IMAGE_TOKENS if part.detail == "low" else _IMAGE_TOKENS
    return (item.id, words), Tokens(_ITEM_TOKENS + sum(map(text_tokens, words)), audio, image)


def total(pieces: Iterable[tuple[Hashable, Tokens]]) -> Tokens:
    """The tokens of all pieces."""
    counts = [tokens for _, tokens in pieces]
    return Tokens(
        sum(one.text for one in counts), sum(one.audio for one in counts), sum(one.image for one in counts)
    )


def shared_tokens(earlier: Prompt, prompt: Prompt) -> Tokens:
    """Those of the beginning that a prompt has in common with an earlier one, from which they are cached."""
    same = 0
    for before, now in zip(earlier, prompt, strict=False):
        if before != now:
            break
        same += 1
    return total(prompt[:same])
