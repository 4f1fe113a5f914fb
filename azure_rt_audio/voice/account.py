"""The account of what was heard: of each answer, how much the speaker has played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Account"]

_INTERVAL_S: Final = 0.25


@dataclass
class _Item:
    received_ms: float = 0.0
    is_complete: bool = False
    told_ms: float = 0.0
    told_at: float = float("-inf")


class Account:
    """
    Tells how much of each item was played: four times a second at most, and at its end.

    Args:
        tell: Called with the id of an item, the milliseconds that were played of it, and ``"played"``,
            ``"interrupted"`` or, while it plays, ``None``.

    **Threads.** Not shared: the worker of the session.
    """

    def __init__(self, tell: Callable[[str, float, str | None], object]) -> None:
        self._tell = tell
        self._items: dict[str, _Item] = {}

    def receive(self, item_id: str, duration_ms: float) -> None:
        """Note that the speaker was given so much of an item."""
        item = self._items.get(item_id)
        if item is None:
            item = self._items[item_id] = _Item()
        item.received_ms += duration_ms

    def complete(self, item_id: str) -> None:
        """Note that the speaker was given all of an item."""
        item = self._items.get(item_id)
        if item is not None:
            item.is_complete = True

    def update(self, now: float, played_ms: Callable[[str], float]) -> None:
        """Look how much was played by *now*, on the monotonic clock."""
        for item_id, item in list(self._items.items()):
            played = played_ms(item_id)
            if item.is_complete and played >= int(item.received_ms):
                del self._items[item_id]
                self._tell(item_id, played, "played")
            elif played > item.told_ms and now - item.told_at >= _INTERVAL_S:
                item.told_ms, item.told_at = played, now
                self._tell(item_id, played, None)

    def interrupt(self, stopped_ms: Mapping[str, float]) -> None:
        """
        Note that playback was stopped.

        Args:
            stopped_ms: Milliseconds played of each item that was not played to its end.
        """
        items, self._items = self._items, {}
        for item_id, item in items.items():
            played = stopped_ms.get(item_id, item.received_ms)
            was_whole = item.is_complete and played >= int(item.received_ms)
            self._tell(item_id, played, "played" if was_whole else "interrupted")
