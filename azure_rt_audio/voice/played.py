"""
What was received of each answer, and so what is left to take back when the user speaks over it.

Pure: no clock, no device, no connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attrs import frozen

__all__ = ["Cut", "PlayedAudio"]


@frozen
class Cut:
    """
    Where a spoken message of the assistant ended for the user.

    Attributes:
        item_id: Of the message.
        heard_ms: What had left the speaker, never more than was received; 0 if nothing had: then the
            message is deleted, because the service cannot cut one at its very beginning.
        received_ms: What had been received of it.
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
    The answers that are being received or played.

    Responses beside the conversation are not for the speaker: what they bring is turned away.

    **Threads.** One thread at a time.
    """

    def __init__(self) -> None:
        self._items: dict[str, _Item] = {}
        self._in_progress: set[str] = set()
        self._beside: set[str] = set()
        self._interrupted: dict[str, list[str]] = {}  # in progress still, with the items nobody will hear
        self._cut: set[str] = set()
        self.latest: str | None = None
        """The response whose sound was taken last."""

    def begin(self, response_id: str, *, is_beside: bool = False) -> None:
        """A response has been created."""
        if is_beside:
            self._beside.add(response_id)
        else:
            self._in_progress.add(response_id)

    def turn_away(self, response_id: str) -> None:
        """A response was cancelled: what comes of it from now on is not played."""
        self._interrupted.setdefault(response_id, [])

    def receive(self, response_id: str, item_id: str, duration_ms: float) -> bool:
        """
        Sound of an item has come; return whether it is to be played.

        A response that began before anybody kept this ledger is played from here on.
        """
        if response_id in self._beside:
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
        """All sound of an item has come; return whether it is being played."""
        item = self._items.get(item_id)
        if item is not None:
            item.is_complete = True
        return item is not None

    def end(self, response_id: str) -> tuple[Cut, ...]:
        """
        A response is done, whatever its status.

        Returns:
            What came of it after it had been interrupted, and was not played.
        """
        self._beside.discard(response_id)
        self._in_progress.discard(response_id)
        for item in self._items.values():
            if item.response_id == response_id:
                item.is_complete = True
        late = self._interrupted.pop(response_id, [])
        if not self._interrupted:
            self._cut.clear()
        return tuple(Cut(item_id, 0, 0) for item_id in late)

    def is_over(self, response_id: str) -> bool:
        """Whether nothing more will come of a response."""
        return response_id not in self._in_progress

    def forget_heard(self) -> None:
        """The speaker is quiet: what has come completely has been heard to its end."""
        self._items = {name: item for name, item in self._items.items() if not item.is_complete}

    def interrupt(self, heard_ms: Mapping[str, float]) -> tuple[Cut, ...]:
        """
        The user is not listening any more: whatever is in progress is over for them.

        Args:
            heard_ms: How much has left the speaker of each item that had not been played out. One that
                is not in it has been heard as far as it had come.

        Returns:
            What to take back, in the order in which it would have been heard; of items that were heard
            to their end there is nothing to say.
        """
        cuts = []
        for item_id, item in self._items.items():
            received = int(item.received_ms)
            heard = max(0, min(int(heard_ms.get(item_id, received)), received))
            if not item.is_complete or heard < received:
                cuts.append(Cut(item_id, heard, received))
                self._cut.add(item_id)
        self._items.clear()
        for response_id in self._in_progress:
            self._interrupted.setdefault(response_id, [])
        if not self._interrupted:
            self._cut.clear()
        return tuple(cuts)
