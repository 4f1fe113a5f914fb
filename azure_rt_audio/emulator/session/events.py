"""
Server events under construction: ids that agree, names of the dialect, and the counting of tokens.
"""

from __future__ import annotations

import math
import random
import string
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..dialects.base import event_name, item_on_wire
from ..dialects.schema import RefusalError
from .conversation import Conversation, Item
from .state import Session

__all__ = ["EventMaker", "RateLimits", "input_tokens", "output_tokens", "text_tokens"]

_ALPHABET: Final = string.ascii_letters + string.digits
_AUDIO_IN_MS_PER_TOKEN: Final = 100
_AUDIO_OUT_MS_PER_TOKEN: Final = 50


class EventMaker:
    """
    Makes the events of one connection.

    Args:
        dialect: ``"ga"`` or ``"preview"``.
        source: Where ids come from; seed it and they repeat.
    """

    def __init__(self, dialect: str, source: random.Random) -> None:
        self.dialect = dialect
        self._source = source

    def new_id(self, prefix: str) -> str:
        """A fresh id such as ``item_`` and 21 letters and digits."""
        return f"{prefix}_{''.join(self._source.choices(_ALPHABET, k=21))}"

    def event(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """An event by its preview name, as the dialect writes it."""
        return {"type": event_name(name, self.dialect), "event_id": self.new_id("event"), **fields}

    def error(self, refusal: RefusalError, event_id: str | None) -> dict[str, Any]:
        """The ``error`` event for a refused command; *event_id* is the client's, if it gave one."""
        return self.event(
            "error",
            error={
                "type": refusal.type,
                "code": refusal.code,
                "message": refusal.message,
                "param": refusal.param,
                "event_id": event_id,
            },
        )

    def item(self, item: Item, *, with_audio: bool = False) -> dict[str, Any]:
        """The item as the dialect writes it."""
        return item_on_wire(item, self.dialect, with_audio=with_audio)

    def item_begun(self, item: Item, conversation: Conversation) -> Iterator[dict[str, Any]]:
        """An item joined the conversation: ``added`` in GA, ``created`` in preview."""
        name = "conversation.item.added" if self.dialect == "ga" else "conversation.item.created"
        yield self.event(name, previous_item_id=conversation.before(item), item=self.item(item))

    def item_ended(self, item: Item, conversation: Conversation) -> Iterator[dict[str, Any]]:
        """An item is final; only GA says so."""
        if self.dialect == "ga":
            yield self.event(
                "conversation.item.done", previous_item_id=conversation.before(item), item=self.item(item)
            )


def text_tokens(text: str) -> int:
    """About four characters each, as a rule of thumb."""
    return math.ceil(len(text) / 4)


def input_tokens(conversation: Conversation, session: Session) -> tuple[int, int]:
    """What a response has to read: text tokens and audio tokens."""
    text = text_tokens(session.instructions) + sum(text_tokens(str(tool)) for tool in session.tools)
    audio = 0
    for item in conversation:
        text += 4 + text_tokens(item.arguments) + text_tokens(item.output)
        for part in item.parts:
            text += text_tokens(part.text)
            audio += math.ceil(part.duration_ms / _AUDIO_IN_MS_PER_TOKEN)
    return text, audio


def output_tokens(text: str, audio_ms: float) -> tuple[int, int]:
    """What was written and said: text tokens and audio tokens."""
    return text_tokens(text), math.ceil(audio_ms / _AUDIO_OUT_MS_PER_TOKEN)


class RateLimits:
    """
    The deployment's quota, which refills evenly over a minute.

    GA reports tokens only; preview reports requests too.
    """

    _LIMITS: Final[Mapping[str, int]] = {"requests": 1_000, "tokens": 100_000}

    def __init__(self, dialect: str) -> None:
        names = ("tokens",) if dialect == "ga" else ("requests", "tokens")
        self._left = {name: float(self._LIMITS[name]) for name in names}
        self._at = 0.0

    def spend(self, tokens: int, now: float) -> list[dict[str, Any]]:
        """Book one response and return what ``rate_limits.updated`` carries."""
        rows: list[dict[str, Any]] = []
        for name, left in self._left.items():
            limit = self._LIMITS[name]
            refilled = min(float(limit), left + limit * max(0.0, now - self._at) / 60)
            self._left[name] = max(0.0, refilled - (tokens if name == "tokens" else 1))
            rows.append(
                {
                    "name": name,
                    "limit": limit,
                    "remaining": int(self._left[name]),
                    "reset_seconds": round((limit - self._left[name]) / limit * 60, 3),
                }
            )
        self._at = now
        return rows
