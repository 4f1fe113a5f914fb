"""
When to try again after a loss, and when to give up.

Pure: no clock and no thread; the time is an argument, and what is drawn at random comes from a function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from attrs import frozen

from ..errors import RealtimeError
from ..options import ReconnectPolicy
from .verdict import judge, kind_of

__all__ = ["STEADY_S", "Backoff", "GiveUp", "Retry"]

STEADY_S: Final = 60.0
"""Seconds of a working connection after which the count of attempts begins anew."""

_MAX_DOUBLINGS: Final = 40  # far beyond any max_delay


@frozen
class Retry:
    """
    Another attempt is to be made.

    Attributes:
        attempt: Its number since the loss, from 1.
        delay_s: Seconds to wait before it.
        reason: Why the connection, or the attempt before, ended.
    """

    attempt: int
    delay_s: float
    reason: str


@frozen
class GiveUp:
    """
    No further attempt is to be made.

    Attributes:
        reason: Why not.
    """

    reason: str


class Backoff:
    """
    Decides after each end of a connection or attempt whether there is another one, and when.

    Args:
        policy: Delays and limits.
        draw: Returns a random number from 0 to 1; the delay is that share of its limit (full jitter).
        has_fresh_token: Whether the credential is asked anew for each attempt.

    **Threads.** One: that which owns the connections.
    """

    def __init__(
        self, policy: ReconnectPolicy, draw: Callable[[], float], *, has_fresh_token: bool = False
    ) -> None:
        self._policy = policy
        self._draw = draw
        self._has_fresh_token = has_fresh_token
        self._seen: Counter[str] = Counter()
        self._lost_at: float | None = None
        self.attempt: int = 0

    def reset(self) -> None:
        """Begin the count anew: a response was completed, or a connection worked for :data:`STEADY_S`."""
        self._seen.clear()
        self._lost_at = None
        self.attempt = 0

    def after(
        self, outcome: RealtimeError, now: float, *, has_worked: bool, has_expired: bool = False
    ) -> Retry | GiveUp:
        """
        Decide after an end.

        Args:
            outcome: How the connection ended, or why it could not be made.
            now: Monotonic time in seconds.
            has_worked: Whether a session of this client was configured before.
            has_expired: Whether the service said that the session has expired.
        """
        if self._lost_at is None:
            self._lost_at = now
        elapsed = now - self._lost_at
        kind = kind_of(outcome)
        verdict = judge(
            outcome,
            has_fresh_token=self._has_fresh_token,
            has_worked=has_worked,
            has_expired=has_expired,
            before=self._seen[kind],
            elapsed_s=elapsed,
        )
        self._seen[kind] += 1
        if verdict.is_fatal or not (has_worked or self._policy.retry_first):
            return GiveUp(verdict.reason)
        return self._next(verdict.reason, elapsed, outcome.retry_after)

    def _next(self, reason: str, elapsed: float, retry_after: float | None) -> Retry | GiveUp:
        policy = self._policy
        if policy.max_attempts is not None and self.attempt >= policy.max_attempts:
            return GiveUp(f"{reason}; {self.attempt} attempts were made (max_attempts)")
        self.attempt += 1
        doublings = min(self.attempt - 1, _MAX_DOUBLINGS)
        delay = self._draw() * min(policy.max_delay, policy.initial_delay * 2.0**doublings)
        earliest = retry_after or 0.0
        if policy.max_seconds is None:
            return Retry(self.attempt, earliest + delay, reason)
        left = policy.max_seconds - elapsed
        if left <= 0:
            return GiveUp(f"{reason}; no connection for {elapsed:.0f} s (max_seconds)")
        if earliest > left:
            return GiveUp(
                f"{reason}; the service wants {earliest:.0f} s without attempts, beyond max_seconds"
            )
        return Retry(self.attempt, min(earliest + delay, left), reason)
