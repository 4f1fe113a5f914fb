"""One direction of a network: what is put in comes out later, in the same order."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Line"]

_T = TypeVar("_T")


@dataclass
class Line(Generic[_T]):
    """
    Values on their way.

    Args:
        delay: Seconds that a value takes, more or less *jitter*; evenly distributed.

    **Threads**: none; one thread at a time may use it.
    """

    delay: float
    jitter: float
    chance: random.Random
    _values: deque[tuple[float, _T]] = field(default_factory=deque)

    def put(self, value: _T, now: float) -> None:
        """Send a value."""
        due = now + max(0.0, self.delay + self.jitter * self.chance.uniform(-1, 1))
        if self._values:
            due = max(due, self._values[-1][0])
        self._values.append((due, value))

    def take(self, now: float) -> _T | None:
        """The next value that has arrived; ``None`` if there is none."""
        return self._values.popleft()[1] if self._values and self._values[0][0] <= now else None

    def take_all(self) -> list[_T]:
        """All values, arrived or not."""
        values = [value for _, value in self._values]
        self._values.clear()
        return values

    @property
    def due(self) -> float | None:
        """When the next value arrives; ``None`` if there is none."""
        return self._values[0][0] if self._values else None
