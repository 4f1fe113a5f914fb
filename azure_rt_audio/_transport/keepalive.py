"""Whether the peer is still there."""

from __future__ import annotations

__all__ = ["Keepalive"]


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
        self._asked: float | None = None

    def due(self, now: float, heard: float) -> float | None:
        """
        Return the seconds until something is to be done; ``None`` if nothing ever is.

        Args:
            now: The present moment.
            heard: When bytes last arrived, by the same clock.
        """
        if self._interval is None:
            return None
        if self._asked is not None and heard > self._asked:
            self._asked = None
        when = heard + self._interval if self._asked is None else self._asked + self._timeout
        return max(0.0, when - now)

    @property
    def is_waiting(self) -> bool:
        """Whether a ping is out and, by the last :meth:`due`, nothing has arrived since."""
        return self._asked is not None

    def overslept(self, now: float) -> bool:
        """
        Tell whether the end of the time-out is long past.

        Then it was this side that was away (stopped, suspended, held up in a callback), and the peer is to
        be asked once more: what it said meanwhile may be lost.
        """
        return self._asked is not None and now - self._asked > 1.5 * self._timeout

    def asked(self, now: float) -> None:
        """Note that a ping was sent."""
        self._asked = now
