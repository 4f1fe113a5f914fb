"""
The rate limits that the service has told of, for errors that do not say how long to wait.

**Threads.** The I/O thread's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .._retry_after import bounded
from ..errors import RATE_LIMIT_ERROR, ServiceError
from ..protocol.events import Event, RateLimit, RateLimitsUpdated, ResponseDone
from ..protocol.response_errors import USED_UP

__all__ = ["RateLimits"]


class RateLimits:
    """
    The latest ``rate_limits.updated``.

    Args:
        clock: Seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._limits: Sequence[RateLimit] = ()
        self._told_at = 0.0

    def take(self, event: Event) -> None:
        """Take an event: new limits, or a response that may have failed at one."""
        if isinstance(event, RateLimitsUpdated):
            self._limits, self._told_at = event.rate_limits or (), self._clock()
        elif isinstance(event, ResponseDone) and event.response.status == "failed":
            event.response._note_limit(self.resets_in)

    def complete(self, error: ServiceError) -> None:
        """Tell an error of a rate limit how long to wait, if it does not say so itself."""
        if error.type == RATE_LIMIT_ERROR and error.retry_after is None and error.code not in USED_UP:
            error.retry_after = self.resets_in

    @property
    def resets_in(self) -> float | None:
        """Seconds until the last of the limits that are used up is reset; ``None`` if none is."""
        resets = [
            limit.reset_seconds
            for limit in self._limits
            if limit.remaining is not None and limit.remaining <= 0 and limit.reset_seconds is not None
        ]
        if not resets:
            return None
        return bounded(round(max(0.0, self._told_at + max(resets) - self._clock()), 3))
