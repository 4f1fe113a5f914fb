"""
How much of each answer was received, and which part must be truncated after barge-in.

Pure: no clock, no device, no connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attrs import frozen

__all__ = ["Cut", "PlayedAudio"]


@frozen
class Cut:
    """
    Where a spoken message of the assistant was truncated.

    Attributes:
        item_id: Id of the message.
        heard_ms: Milliseconds that had been played, at most *received_ms*; 0 if nothing had: then the
            message is deleted, because the service cannot truncate at 0.
        received_ms: Milliseconds that had been received.
    """

    item_id: str
    heard_ms: int
    received_ms: int


@dataclass
class _Item:
    response_id: str
    received_ms: float = 0.0
    is_complete: bool = False


class PlayedAudio:
    """
    The audio items that are being received or played.

    Out-of-band responses are not played, but for fillers: those are not in the conversation, and there is
    nothing to truncate.

    **Threads.** Not shared; one thread at a time.
    """

    def __init__(self) -> None:
        self._items: dict[str, _Item] = {}
        self._in_progress: set[str] = set()
        self._out_of_band: set[str] = set()
        self._fillers: set[str] = set()
        self._interrupted: dict[str, list[str]] = {}  # still in progress, with the items that came too late
        self._cut: set[str] = set()
        self.latest: str | None = None
        """The response that was received last."""

    def begin(self, response_id: str, *, is_out_of_band: bool = False, is_filler: bool = False) -> None:
        """Note that a response was created."""
        if is_filler:
            self._fillers.add(response_id)
        if is_out_of_band and not is_filler:
            self._out_of_band.add(response_id)
        else:
            self._in_progress.add(response_id)

    def discard(self, response_id: str) -> None:
        """Note that a response was cancelled: its later audio is not to be played."""
        self._interrupted.setdefault(response_id, [])

    def is_filler(self, response_id: str | None) -> bool:
        """Whether a response fills a silence."""
        return response_id in self._fillers

    def drop_fillers(self) -> None:
        """An answer is to be heard: nothing more of what filled the silence before."""
        self._items = {name: i for name, i in self._items.items() if i.response_id not in self._fillers}
        for response_id in self._fillers & self._in_progress:
            self.discard(response_id)
        self._fillers &= self._in_progress

    def receive(self, response_id: str, item_id: str, duration_ms: float) -> bool:
        """
        Note a delta of an item, and return whether it is to be played.

        A response whose ``response.created`` was missed is played from here on.
        """
        if response_id in self._out_of_band:
            return False
        late = self._interrupted.get(response_id)
        if late is not None:
            if item_id not in self._cut and item_id not in late:
                late.append(item_id)
            return False
        self._in_progress.add(response_id)
        item = self._items.setdefault(item_id, _Item(response_id))
        item.received_ms += duration_ms
        self.latest = response_id
        return True

    def complete(self, item_id: str) -> bool:
        """Note that an item's audio is complete, and return whether it is being played."""
        item = self._items.get(item_id)
        if item is not None:
            item.is_complete = True
        return item is not None

    def end(self, response_id: str) -> tuple[Cut, ...]:
        """
        Note that a response is done, whatever its status.

        Returns:
            The items that arrived after its interruption, of which nothing was played.
        """
        self._out_of_band.discard(response_id)
        self._in_progress.discard(response_id)
        for item in self._items.values():
            if item.response_id == response_id:
                item.is_complete = True
        late = [] if response_id in self._fillers else self._interrupted.get(response_id, [])
        self._interrupted.pop(response_id, None)
        if not self._interrupted:
            self._cut.clear()
        return tuple(Cut(item_id, 0, 0) for item_id in late)

    def is_unheard(self, response_id: str, played_ms: Callable[[str], float]) -> bool:
        """Whether there is something of a response that the user has not heard, or more of it may come."""
        return response_id in self._in_progress or any(
            item.response_id == response_id and played_ms(item_id) < int(item.received_ms)
            for item_id, item in self._items.items()
        )

    def others(self, response_id: str) -> list[str]:
        """Return the responses in progress but this one."""
        return [other for other in self._in_progress if other != response_id]

    def is_over(self, response_id: str) -> bool:
        """Whether a response is done."""
        return response_id not in self._in_progress

    def drop_completed(self) -> None:
        """Drop completed items: the speaker is quiet, so they were played to their end."""
        self._items = {name: item for name, item in self._items.items() if not item.is_complete}
        self._fillers &= {self.latest, *self._in_progress, *(i.response_id for i in self._items.values())}

    def interrupt(self, heard_ms: Mapping[str, float]) -> tuple[Cut, ...]:
        """
        Note that playback was stopped, and everything in progress with it.

        Args:
            heard_ms: Milliseconds played of each item that was not played to its end. An item that is
                missing here was played as far as it was received.

        Returns:
            The items to truncate, in order; those that were played to their end are left out.
        """
        cuts = []
        for item_id, item in self._items.items():
            received = int(item.received_ms)
            heard = max(0, min(int(heard_ms.get(item_id, received)), received))
            if item.response_id not in self._fillers and (not item.is_complete or heard < received):
                cuts.append(Cut(item_id, heard, received))
                self._cut.add(item_id)
        self._items.clear()
        for response_id in self._in_progress:
            self._interrupted.setdefault(response_id, [])
        if not self._interrupted:
            self._cut.clear()
        return tuple(cuts)
