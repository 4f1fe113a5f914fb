"""One budget of seconds, spent across several waits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

__all__ = ["Deadline", "check_timeout"]


def check_timeout(seconds: float | None, name: str = "timeout") -> None:
    """
    Refuse what is no number of seconds; ``None``, infinity and what is over already are fine.

    Raises:
        TypeError: It is of another type; names it.
        ValueError: It is not a number.
    """
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} must be a number of seconds, or None, not {type(seconds).__name__}")
    if math.isnan(seconds):
        raise ValueError(f"{name} must be a number of seconds, or None, not {seconds!r}")


class Deadline:
    """
    A point in time that several waits share.

    Args:
        seconds: The whole budget, counted from now; ``None`` and infinity mean no limit.
        clock: Seconds that never run backwards.

    Attributes:
        seconds: As given.

    Raises:
        TypeError, ValueError: See :func:`check_timeout`.

    **Threads.** Immutable; may be shared.
    """

    __slots__ = ("_clock", "_end", "seconds")

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.seconds = seconds
        check_timeout(seconds)
        self._end = None if seconds is None or seconds == math.inf else clock() + seconds

    def remaining(self) -> float | None:
        """Return the seconds left, never negative; ``None`` when there is no limit."""
        return None if self._end is None else max(0.0, self._end - self._clock())

    @property
    def expired(self) -> bool:
        """Whether nothing of the budget is left."""
        return self._end is not None and self._clock() >= self._end

    def __repr__(self) -> str:
        if not hasattr(self, "_end"):  # refused in the constructor
            return "<Deadline, half made>"
        left = self.remaining()
        return "<Deadline: none>" if left is None else f"<Deadline: {left:.3f} s left>"
