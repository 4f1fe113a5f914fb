"""
How long the session still lasts, by what the service and the policy say.

**Threads.** The I/O thread.
"""

from __future__ import annotations

import time
from typing import Final

from ..options import ReconnectPolicy
from .attempts import Attempts
from .configuration import Configuration

__all__ = ["SessionAge"]

_DAY: Final = 86400.0


class SessionAge:
    """The age of the session of the current attempt."""

    def __init__(self, policy: ReconnectPolicy, attempts: Attempts, configuration: Configuration) -> None:
        self._policy = policy
        self._attempts = attempts
        self._configuration = configuration
        self._life: float | None = None  # seconds that the session lasts, as far as that is known

    def left(self, now: float) -> float | None:
        """Return the seconds until its end; ``None`` if that is not known."""
        attempt = self._attempts.current
        left: list[float] = []
        self._life = self._policy.max_age_s
        if attempt.opened_at is None:
            return None
        if self._policy.max_age_s is not None:
            left.append(attempt.opened_at + self._policy.max_age_s - now)
        session = self._configuration.session
        expires_at = session.expires_at if session is not None else None
        if isinstance(expires_at, int | float) and not isinstance(expires_at, bool):
            peer_date = attempt.connection.peer_date
            began = attempt.opened_wall if peer_date is None else peer_date
            if 0.0 < expires_at - began < _DAY:
                self._life = expires_at - began
                # A clock that was set, and a machine that slept: whichever shows less.
                left.append(attempt.opened_at + (expires_at - began) - now)
                left.append(attempt.opened_wall + (expires_at - began) - time.time())
        return min(left, default=None)

    @property
    def window(self) -> float:
        """How long before its end another connection is made, in seconds; to be read after :meth:`left`."""
        window = self._policy.swap_before_s or 0.0
        return window if self._life is None else min(window, self._life / 2)
