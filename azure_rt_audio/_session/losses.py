"""
What the present session lacks of the conversation: a program is told of each item once.

An item that was lost stays in the mirror, because it was said, and every later session lacks it, too. Only
the reconnection that has lost it names it. One that is restored again, and lost again, is named again.

**Threads.** The I/O thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import evolve

from ..protocol.events.local import Reconnected

__all__ = ["CONFIGURATION", "SOUND", "Losses", "without_transcripts"]

SOUND: Final = "sound"
"""Stands in the place of an id for sound that is no item, and is lost anew each time."""
CONFIGURATION: Final = "session"
"""The same for what the service refuses of the configuration; with the name of a field, if it is known."""

_UNTRANSCRIBED: Final = "without its transcript, which had not come"


def without_transcripts(event: Reconnected, item_ids: Iterable[str]) -> Reconnected:
    """Return an event that tells of transcripts, too, that were lost with their session."""
    restored = set(event.restored)
    untold = {key: _UNTRANSCRIBED for key in item_ids if key in restored}
    return evolve(event, shortened={**untold, **event.shortened}) if untold else event


class Losses:
    """What was told to be lost, or shortened, and still is."""

    def __init__(self) -> None:
        self._lost: Mapping[str, str] = {}
        self._shortened: Mapping[str, str] = {}

    def remember(self, shortened: Mapping[str, str], lost: Mapping[str, str]) -> None:
        """Note what the present session lacks."""
        self._shortened, self._lost = shortened, lost

    def told_once(self, event: Reconnected) -> Reconnected:
        """Return an event that is about to be told, with what is new in it, and remember the rest."""
        lost = {
            key: why
            for key, why in event.lost.items()
            if key in (SOUND, CONFIGURATION) or key.startswith(f"{CONFIGURATION}.") or key not in self._lost
        }
        shortened = {k: what for k, what in event.shortened.items() if self._shortened.get(k) != what}
        self.remember(event.shortened, event.lost)
        return evolve(event, lost=lost, shortened=shortened)
