"""
What of a recording was said again to a session that took the place of another one. Pure.

The conversation that a new session is given, and the sound that the old one may not have heard, are in the
recording twice.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from ..protocol.events import local
from .format import Entry, Opened, Reconnected, Reconnecting, Sent
from .timeline import Reconnection
from .tracks import Chunk, size_of

__all__ = ["Reconnections", "in_words", "with_reason"]


class Reconnections:
    """
    The connections that took the place of another one.

    Attributes:
        found: Each change, as far as the entries were taken.
        replayed: Seconds of sound that such a connection was sent before the session went on over it.

    Args:
        entries: All of the recording, in order.
        audio_format: Of the sound that is sent.
        dropped: The ``id()`` of each command that was not sent.
    """

    def __init__(
        self, entries: Iterable[Entry], audio_format: str, dropped: Container[int] = frozenset()
    ) -> None:
        sizes: dict[int, int] = {}
        self.found: list[Reconnection] = []
        self.replayed: dict[int, float] = {}
        self._planned: set[int] = set()
        for entry in entries:
            if isinstance(entry, Opened):
                sizes[entry.connection] = 0
            elif isinstance(entry, Sent) and entry.type == "input_audio_buffer.append":
                if id(entry) in dropped:
                    continue
                audio = entry.event.get("audio")
                size = entry.sound_bytes or size_of(audio if isinstance(audio, str) else "")
                sizes[entry.connection] = sizes.get(entry.connection, 0) + size
            elif isinstance(entry, Reconnected):
                size = sizes.get(entry.connection, 0)
                self.replayed[entry.connection] = Chunk(size, audio_format, None).seconds
                if entry.is_planned:
                    self._planned.add(entry.connection)
        self._restoring = {*self.replayed}  # those over which the session does not go on yet

    def is_restoring(self, connection: int) -> bool:
        """Whether items of a connection are those of the conversation before, under whatever ids."""
        return connection in self._restoring and connection not in self._planned

    def take(self, now: float, entry: Reconnecting | Reconnected) -> Reconnection:
        """Take the next change into account; return it."""
        change = self.found[-1] if self.found and self.found[-1].end is None else None
        if change is None:
            change = Reconnection(start=now, reason=entry.reason)
            self.found.append(change)
        if isinstance(entry, Reconnecting):
            change.attempts = entry.attempt
            return change
        self._restoring.discard(entry.connection)
        change.end, change.connection, change.is_planned = now, entry.connection, entry.is_planned
        change.restored, change.shortened = entry.restored, entry.shortened
        change.lost, change.responses = entry.lost, entry.responses
        return change


def in_words(change: Reconnection) -> str:
    """Return how a change ended, in a line."""
    if change.end is None:
        return "it was not connected again"
    return str(
        local.Reconnected(
            gap_s=change.end - change.start,
            reason=change.reason,
            is_planned=change.is_planned,
            restored=change.restored,
            shortened=change.shortened,
            lost=change.lost,
            responses=change.responses,
        )
    )


def with_reason(change: Reconnection) -> str:
    """Return why a change was made, and how it ended, in a line."""
    words = in_words(change)
    if change.is_planned:
        return words  # with the reason
    tries = f" ({change.attempts} attempts)" if change.attempts > 1 else ""
    return f"{change.reason}; {words}{tries}"
