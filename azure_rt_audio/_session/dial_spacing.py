"""
Spaces the attempts of one process to reach one host, so that many clients that are dropped at once do not all
come back at once.

**Threads and locks.** Any thread. ``_lock`` is a leaf.
"""

from __future__ import annotations

import threading
import time
from typing import Final

__all__ = ["is_void", "next_slot", "note_limited"]

_INTERVAL: Final = 0.2
"""Seconds between two attempts: five a second."""

_LIMITED_INTERVAL: Final = 1.0
"""The same for a minute after the service has said that there are too many."""

_LIMITED_FOR: Final = 60.0

_lock = threading.Lock()  # leaf; guards what follows
_slots: dict[str, float] = {}  # when the latest attempt to reach a host is made
_limited: dict[str, tuple[float, float]] = {}  # from when until when it wants fewer


def next_slot(host: str, delay: float, *, is_limited: bool) -> float:
    """
    Return the delay of an attempt with its distance to those of others kept, and take that place.

    Args:
        is_limited: The service has just answered that there are too many.
    """
    now = time.monotonic()
    with _lock:
        if is_limited:
            _limit_locked(host, now)
        _, until = _limited.get(host, (0.0, 0.0))
        interval = _LIMITED_INTERVAL if now < until else _INTERVAL
        when = max(now + delay, _slots.get(host, 0.0) + interval)
        _slots[host] = when
    return when - now


def note_limited(host: str) -> None:
    """The service has answered that there are too many, and the next attempt has no place yet."""
    with _lock:
        _limit_locked(host, time.monotonic())


def _limit_locked(host: str, now: float) -> None:
    since, until = _limited.get(host, (0.0, 0.0))
    if now >= until:
        since, _slots[host] = now, now  # places that were given before are void
    _limited[host] = since, now + _LIMITED_FOR


def is_void(host: str, taken_at: float) -> bool:
    """Whether the service has said that there are too many since a place was taken: take another one."""
    with _lock:
        since, until = _limited.get(host, (0.0, 0.0))
    return taken_at < since and time.monotonic() < until
