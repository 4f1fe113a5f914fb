"""
The sound of the user's turns that are items, as far as another session may need it.

Pure: no clock, no lock, no thread.
"""

from __future__ import annotations

import collections

__all__ = ["KeptTurns"]


class KeptTurns:
    """
    The newest turns, in their order, each whole or from some byte on. The last one is kept whatever its size.

    Attributes:
        sound: By the ids of their items; empty where there was nothing of it.
        missing_s: Seconds that are missing at the beginning of those that are not whole, by id.
    """

    def __init__(self) -> None:
        self.sound: collections.OrderedDict[str, bytes] = collections.OrderedDict()
        self.missing_s: dict[str, float] = {}

    def add(self, item_id: str, sound: bytes, missing_s: float, room: int) -> None:
        """Add the last turn, and drop the oldest until all have no more than *room* bytes."""
        self.discard(item_id)
        self.sound[item_id] = sound
        if missing_s:
            self.missing_s[item_id] = missing_s
        size = sum(map(len, self.sound.values()))
        while len(self.sound) > 1:
            oldest, its_sound = next(iter(self.sound.items()))
            if size <= room and its_sound:
                break
            size -= len(its_sound)
            self.discard(oldest)

    def discard(self, item_id: str) -> None:
        """Let go of a turn, if it is here."""
        self.sound.pop(item_id, None)
        self.missing_s.pop(item_id, None)

    def clear(self) -> None:
        """Let go of all."""
        self.sound.clear()
        self.missing_s.clear()
