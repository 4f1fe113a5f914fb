"""
How far sending is behind, and when that is to be told.

The lag is an age: how long the oldest frame has waited that the far end's system does not have yet (where the
system here does not tell, that it has not taken). For speech that is sent as it is spoken that is also the
length of the sound that waits. Only live sound is judged: a file that takes its time is no fault of the line.

Pure: no socket, no clock, no thread.
"""

from __future__ import annotations

from typing import Final

import attrs

__all__ = ["SLACK", "DroppedSound", "LagReport", "LagWatch"]

_BETWEEN_REPORTS: Final = 1.0
"""Seconds between two reports, at least, while the line is behind."""

_CAUGHT_UP: Final = 0.4
"""Share of the limit below which the line has caught up. Dropping goes down to half of it."""

_DELAYED: Final = 0.5
"""Seconds from which it is remembered when a frame was written."""

_REMEMBERED: Final = 64

SLACK: Final = 0.05
"""Seconds between a caller's look at the clock and the queue's, at most."""

_NEVER: Final = float("inf")


@attrs.frozen
class DroppedSound:
    """
    Frames of live sound that followed each other and were dropped.

    Attributes:
        since: When the first of them was put.
        count: How many.
        seconds: Of sound in them.
    """

    since: float
    count: int
    seconds: float


@attrs.frozen
class LagReport:
    """
    How far sending is behind.

    Attributes:
        lag_s: Seconds that the oldest frame has waited that the far end does not have.
        unsent_bytes: In the queue.
        dropped_s: Seconds of sound that were dropped since the last report.
        is_behind: False if it has caught up.
        dropped: That sound, in order.
    """

    lag_s: float
    unsent_bytes: int
    dropped_s: float
    is_behind: bool
    dropped: tuple[DroppedSound, ...] = ()


class LagWatch:
    """
    Judges the age of unsent live sound, and remembers when delayed frames were written.

    Args:
        limit: Seconds from which the line is behind.
        may_drop: Whether older sound is dropped.

    **Threads.** :meth:`written_at` from any thread, all else on the I/O thread.
    """

    def __init__(self, limit: float = _NEVER, *, may_drop: bool = False) -> None:
        self.limit = limit
        self.may_drop = may_drop
        self._is_behind = False
        self._next_report = -_NEVER
        self._written: tuple[tuple[float, float], ...] = ()  # replaced: put until, written at

    def note_written(self, put: float, now: float) -> None:
        """Note that all is written that was put until *put*."""
        if now - put < _DELAYED:
            return
        written = self._written
        if len(written) > 1 and now - written[-2][1] < _DELAYED:
            written = written[:-1]  # frames in between count as written half a second later
        self._written = (*written[1 - _REMEMBERED :], (put, now))

    def written_at(self, put: float) -> float:
        """Return when a frame was written that was put at *put* and is written, or a little later."""
        at = put
        for until, written in self._written:
            if until >= put - SLACK and (at == put or until <= put + SLACK):
                at = written
        return at

    def due_at(self, oldest: float | None, droppable: float | None, *, has_dropped: bool) -> float:
        """
        Return when to look next.

        Args:
            oldest: When the oldest unsent live sound was put.
            droppable: The same for what may still be dropped.
            has_dropped: Whether something was dropped that was not told yet.
        """
        if self._is_behind:
            due = 0.0 if oldest is None else self._next_report
        else:
            due = _NEVER if oldest is None else oldest + self.limit
        if self.may_drop and droppable is not None:
            due = min(due, droppable + self.limit)
        return min(due, self._next_report) if has_dropped else due

    def look(
        self, live_lag: float, now: float, lag: float, size: int, dropped: tuple[DroppedSound, ...] = ()
    ) -> LagReport | None:
        """Return what is to be told now, if anything is."""
        was_behind = self._is_behind
        self._is_behind = live_lag >= (self.limit * _CAUGHT_UP if was_behind else self.limit)
        is_due = (self._is_behind or bool(dropped)) and now >= self._next_report
        if self._is_behind == was_behind and not is_due:
            return None
        self._next_report = now + _BETWEEN_REPORTS
        seconds = sum(one.seconds for one in dropped)
        return LagReport(max(lag, live_lag), size, seconds, self._is_behind, dropped)
