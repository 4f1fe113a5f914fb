"""
Asks the credential of a client, one connection at a time.

An attempt whose credential does not answer in time is given up, and its thread stays until the credential
returns. The next attempt does not ask beside it: it waits for its turn, so that however often the client
tries again, one thread hangs, and at most one waits.

**Threads and locks.** Any dial thread. ``OneAsker._condition`` is a leaf, not held while the credential is
asked.
"""

from __future__ import annotations

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from .._transport import no_token_in_time
from ..options import AzureRealTimeOptions

__all__ = ["OneAsker"]


class OneAsker:
    """
    Asks for what a client proves itself with.

    Args:
        seconds: How long a connection waits for its turn.
    """

    def __init__(self, options: AzureRealTimeOptions, seconds: float) -> None:
        self._options = options
        self._seconds = seconds
        self._condition = Condition()  # leaf; guards what follows
        self._is_asking = False

    def authorization(self) -> dict[str, str]:
        """
        Return the headers; blocks as long as the credential does, and before that for its turn at most as
        long as a connection waits.

        Raises:
            ConnectError: If an earlier connection still waits for the credential.
            Exception: What the credential raises.
        """
        if not self._condition.wait_quietly(self._take_turn, Deadline(self._seconds)):
            raise no_token_in_time(self._seconds)
        try:
            return self._options.authorization()
        finally:
            with self._condition.lock:
                self._condition.notify_all()
                self._is_asking = False

    def _take_turn(self) -> bool:
        is_free = not self._is_asking
        self._is_asking = True
        return is_free
