"""Listeners on the thread that calls ``run_pending``."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from ..errors import DispatchOverflowError
from .base import weight

__all__ = ["DEFAULT_BACKLOG_BYTES", "Backlog", "QueueDispatcher"]

DEFAULT_BACKLOG_BYTES = 64 * 2**20
"""About 16 minutes of PCM16 in base64: a listener further behind will not catch up."""


class Backlog:
    """
    A queue of calls, limited in bytes.

    **Threads**: not shared; guarded by its owner's lock.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._bytes = 0
        self._calls: collections.deque[tuple[Callable[[Any], object], Any, int]] = collections.deque()

    def __len__(self) -> int:
        return len(self._calls)

    def put(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Append a call.

        Raises:
            DispatchOverflowError: If the queue is full, unless *event* weighs nothing.
        """
        size = weight(event)
        if size and self._bytes > self.limit:
            raise DispatchOverflowError(
                f"listeners fell more than {self.limit} bytes behind; make them faster, hand long work to a "
                "thread of its own, or raise max_backlog_bytes",
                close_code=1011,
                reason="listeners too slow",
            )
        self._bytes += size
        self._calls.append((callback, event, size))

    def take(self) -> tuple[Callable[[Any], object], Any]:
        """Remove and return the oldest call."""
        callback, event, size = self._calls.popleft()
        self._bytes -= size
        return callback, event


class QueueDispatcher:
    """
    Queues events until the program's own loop runs the listeners.

    Call ``run_pending()`` in that loop: in a game's frame, a robot's cycle, a GUI's timer.

    Args:
        max_backlog_bytes: Limit of the queue, counted as the length of deltas plus 512 bytes per event.
            Beyond it ``submit`` raises, which ends the connection: no event is dropped silently.

    **Threads.** Any thread submits; one at a time runs. No lock is held while a listener runs.
    """

    def __init__(self, max_backlog_bytes: int = DEFAULT_BACKLOG_BYTES) -> None:
        self._condition = Condition()  # leaf
        self._backlog = Backlog(max_backlog_bytes)  # guarded by _condition

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Queue a call for ``run_pending``. Does not block.

        Raises:
            DispatchOverflowError: If the queue is full.
        """
        with self._condition.lock:
            self._backlog.put(callback, event)
            self._condition.notify_all()

    def run_pending(self, timeout: float | None = 0.0) -> int:
        """
        Run the queued calls on this thread; not those that are queued meanwhile.

        Args:
            timeout: Seconds to wait for a first call if there is none; ``None`` waits without limit.

        Returns:
            The number of calls.
        """
        if timeout is None or timeout > 0:
            self._condition.wait_until(lambda: len(self._backlog) > 0, Deadline(timeout))
        with self._condition.lock:
            waiting = len(self._backlog)
        for done in range(waiting):
            with self._condition.lock:
                if not self._backlog:
                    return done
                callback, event = self._backlog.take()
            callback(event)
        return waiting
