"""
Server events: their ids and names, and rate limits.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..dialects.base import Dialect
from ..dialects.rules import RefusalError
from ..model.conversation import Conversation, Item

__all__ = ["EventMaker", "RateLimits"]

_ALPHABET: Final = string.ascii_letters + string.digits
_WITH_OBFUSCATION: Final = frozenset(
    {
        "conversation.item.input_audio_transcription.delta",
        "response.function_call_arguments.delta",
        "response.mcp_call_arguments.delta",
        "response.output_audio_transcript.delta",
        "response.output_text.delta",
    }
)
_OBFUSCATED_LENGTH: Final = 16


class EventMaker:
    """
    Makes the events of one connection.

    Args:
        source: Of the random ids.
    """

    def __init__(self, dialect: Dialect, source: random.Random) -> None:
        self.dialect = dialect
        self._source = source

    def new_id(self, prefix: str) -> str:
        """A fresh id such as ``item_`` and 21 letters and digits."""
        return f"{prefix}_{''.join(self._source.choices(_ALPHABET, k=21))}"

    def event(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """An event by its canonical name, as the dialect writes it."""
        if name in _WITH_OBFUSCATION and self.dialect.profile.obfuscates:
            missing = _OBFUSCATED_LENGTH - len(fields["delta"]) % _OBFUSCATED_LENGTH
            fields["obfuscation"] = "".join(self._source.choices(_ALPHABET, k=missing))
        return {"type": self.dialect.wire_name(name), "event_id": self.new_id("event"), **fields}

    def error(self, refusal: RefusalError, event_id: str | None) -> dict[str, Any]:
        """The ``error`` event for a refused command; *event_id* is the client's, if it gave one."""
        return self.event(
            "error",
            error={
                "type": refusal.type,
                "code": refusal.code,
                "message": refusal.message,
                "param": refusal.param,
                "event_id": event_id if refusal.names_command else None,
            },
        )

    def item(self, item: Item, *, with_audio: bool = False) -> dict[str, Any]:
        """The item as the dialect writes it."""
        return self.dialect.item_on_wire(item, with_audio=with_audio)

    def item_added(self, item: Item, conversation: Conversation) -> Iterator[dict[str, Any]]:
        """An item joined the conversation."""
        return self._about_item("conversation.item.added", item, conversation)

    def item_done(self, item: Item, conversation: Conversation) -> Iterator[dict[str, Any]]:
        """An item is final; not every dialect has an event for it."""
        return self._about_item("conversation.item.done", item, conversation)

    def output_done(self, item: Item, conversation: Conversation) -> Iterator[dict[str, Any]]:
        """An item of a response is final."""
        is_second = item in conversation.items[1:2]
        named = conversation if not is_second or self.dialect.profile.names_first_item else None
        return self._about_item("conversation.item.done", item, named)

    def _about_item(
        self, name: str, item: Item, conversation: Conversation | None
    ) -> Iterator[dict[str, Any]]:
        if self.dialect.wire_name(name):
            previous = conversation.before(item) if conversation is not None else None
            yield self.event(name, previous_item_id=previous, item=self.item(item))


class RateLimits:
    """
    The deployment's quotas, refilled evenly over a minute.

    Args:
        names: Of the quotas that the dialect reports.
    """

    _LIMITS: Final[Mapping[str, int]] = {"requests": 1_000, "tokens": 100_000}

    def __init__(self, names: Sequence[str]) -> None:
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
