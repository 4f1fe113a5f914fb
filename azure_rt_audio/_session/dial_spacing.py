"""
Spaces the attempts of one process to reach one host, so that many clients that are dropped at once do not all
come back at once.

**Threads and locks.** Any thread. ``_lock`` is a leaf.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["DialPlace"]

_INTERVAL: Final = 0.2
"""Seconds between two attempts: five a second."""

_LIMITED_INTERVAL: Final = 1.0
"""The same for a minute after the service has said that there are too many."""

_LIMITED_FOR: Final = 60.0

_lock = threading.Lock()  # leaf; guards what follows
_slots: dict[str, float] = {}  # when the latest attempt to reach a host is made
_limited: dict[str, tuple[float, float]] = {}  # from when until when it wants fewer


class DialPlace:
    """
    The place of one connection to be among the attempts of the process to reach a host.

    Args:
        clock: Seconds that never run backwards.

    **Threads.** One, but for :attr:`due_in`.
    """

    def __init__(self, host: str, clock: Callable[[], float]) -> None:
        self._host = host
        self._clock = clock
        self._due: float | None = None
        self._taken_at = 0.0

    @property
    def is_taken(self) -> bool:
        """Whether an attempt is to be made."""
        return self._due is not None

    @property
    def due_in(self) -> float | None:
        """Seconds until that is to be made; ``None`` if it is not to be. Any thread."""
        due = self._due
        return None if due is None else max(0.0, due - self._clock())

    def take(self, delay: float = 0.0, *, is_limited: bool = False) -> float:
        """
        Take a place at a distance to those of others; return the seconds until it comes.

        Args:
            delay: Not before that.
            is_limited: The service has just answered that there are too many.
        """
        self._taken_at = self._clock()
        wait = _next_slot(self._host, delay, is_limited=is_limited)
        self._due = self._taken_at + wait
        return wait

    def left(self) -> float:
        """
        Return the seconds until the attempt is to be made; 0 if that is now, and the place is given back.

        Takes a place if there is none, or another one if the service has said since that there are too many.
        """
        now = self._clock()
        if self._due is None or (now >= self._due and _is_void(self._host, self._taken_at)):
            self.take()
        assert self._due is not None
        left = max(0.0, self._due - now)
        if not left:
            self._due = None
        return left

    def give_back(self) -> None:
        """No attempt is to be made."""
        self._due = None

    def note_limited(self) -> None:
        """The service has answered that there are too many, and the next attempt has no place yet."""
        with _lock:
            _limit_locked(self._host, time.monotonic())


def _next_slot(host: str, delay: float, *, is_limited: bool) -> float:
    now = time.monotonic()
    with _lock:
        if is_limited:
            _limit_locked(host, now)
        _, until = _limited.get(host, (0.0, 0.0))
        interval = _LIMITED_INTERVAL if now < until else _INTERVAL
        when = max(now + delay, _slots.get(host, 0.0) + interval)
        _slots[host] = when
    return when - now


def _limit_locked(host: str, now: float) -> None:
    since, until = _limited.get(host, (0.0, 0.0))
    if now >= until:
        since, _slots[host] = now, now  # places that were given before are void
    _limited[host] = since, now + _LIMITED_FOR


def _is_void(host: str, taken_at: float) -> bool:
    with _lock:
        since, until = _limited.get(host, (0.0, 0.0))
    return taken_at < since and time.monotonic() < until
