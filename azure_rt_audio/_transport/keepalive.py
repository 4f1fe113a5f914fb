"""Whether the peer is still there."""

from __future__ import annotations

from typing import Final

__all__ = ["Keepalive"]

_NEVER: Final = float("inf")


class Keepalive:
    """
    When to ping, and when to give the peer up: judged by what arrives, whatever it is.

    Args:
        interval: Seconds of silence before a ping; ``None`` for never.
        timeout: Seconds of silence after the ping that mean the peer is gone.
    """

    def __init__(self, interval: float | None, timeout: float) -> None:
        self._interval = interval
        self._timeout = timeout
        self._pinged: float | None = None

    def due_at(self, heard: float) -> float:
        """
        Return when something is to be done; infinity if nothing ever is.

        Args:
            heard: When bytes last arrived, by the same clock.
        """
        if self._interval is None:
            return _NEVER
        if self._pinged is None:
            return heard + self._interval
        if heard > self._pinged:
            self._pinged = None
            return heard + self._interval
        return self._pinged + self._timeout

    @property
    def is_waiting(self) -> bool:
        """Whether a ping is out and, by the last :meth:`due_at`, nothing has arrived since."""
        return self._pinged is not None

    def is_overslept(self, now: float) -> bool:
        """
        Tell whether the end of the time-out is long past.

        Then this side was away (stopped, suspended, held up in a callback), and the peer is to be pinged once
        more: its answer may be lost.
        """
        return self._pinged is not None and now - self._pinged > 1.5 * self._timeout

    def note_ping(self, now: float) -> None:
        """Note that a ping was written."""
        self._pinged = now
