"""The time that an emulator goes by: the system's, or one that a test turns."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from .arguments import check_finite

__all__ = ["Clock", "ManualClock", "SystemClock"]

_POLL_SECONDS = 0.005


class Clock(Protocol):
    """
    A source of time.

    **Threads**: every method may be called from any thread.
    """

    def monotonic(self) -> float:
        """Seconds that never run backwards."""

    def time(self) -> float:
        """Unix seconds."""

    def limit(self, seconds: float) -> float:
        """How many real seconds to block at most before the time is looked at again."""


class SystemClock:
    """
    The system's time.

    Args:
        offset: Seconds by which its calendar is ahead of the system's; negative if it is behind.
    """

    def __init__(self, offset: float = 0.0) -> None:
        check_finite("offset", offset)
        self._offset = offset

    def monotonic(self) -> float:
        """Seconds since some start."""
        return time.monotonic()

    def time(self) -> float:
        """Unix seconds."""
        return time.time() + self._offset

    def limit(self, seconds: float) -> float:
        """The same: both run alike."""
        return max(0.0, seconds)


class ManualClock:
    """
    Time that stands still until :meth:`advance` is called.

    ::

        clock = ManualClock()
        with Emulator(clock=clock) as service:
            ...
            clock.advance(3600)  # every session expires

    The pace of audio, delays, pings and expiry go by it; an emulator with ``pace=0`` answers while it stands
    still. Futures of a responder, recogniser or synthesiser are looked at only when it advances.

    Args:
        unix_time: Seconds since 1970 that it shows first.

    **Threads**: every method may be called from any thread.
    """

    def __init__(self, unix_time: float = 1_700_000_000.0) -> None:
        check_finite("unix_time", unix_time)
        self._lock = threading.Lock()  # leaf; guards _passed
        self._passed = 0.0
        self._began = unix_time

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass. Returns at once; the emulator acts within some milliseconds."""
        check_finite("seconds", seconds)
        if seconds < 0:
            raise ValueError(f"seconds is {seconds!r}: time runs forwards only")
        with self._lock:
            self._passed += seconds

    def monotonic(self) -> float:
        """Seconds passed."""
        with self._lock:
            return self._passed

    def time(self) -> float:
        """Unix seconds."""
        return self._began + self.monotonic()

    def limit(self, seconds: float) -> float:
        """Some milliseconds, since an advance wakes nothing."""
        return min(max(0.0, seconds), _POLL_SECONDS)
