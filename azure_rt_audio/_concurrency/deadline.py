"""One budget of seconds, spent across several waits."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Deadline"]


class Deadline:
    """
    A point in time that several waits share.

    Args:
        seconds: The whole budget, counted from now; ``None`` means no limit.
        clock: Seconds that never run backwards.

    **Threads.** Immutable; may be shared.
    """

    __slots__ = ("_clock", "_end")

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds

    def remaining(self) -> float | None:
        """Return the seconds left, never negative; ``None`` when there is no limit."""
        return None if self._end is None else max(0.0, self._end - self._clock())

    @property
    def expired(self) -> bool:
        """Whether nothing of the budget is left."""
        return self._end is not None and self._clock() >= self._end

    def __repr__(self) -> str:
        left = self.remaining()
        return "<Deadline: none>" if left is None else f"<Deadline: {left:.3f} s left>"
