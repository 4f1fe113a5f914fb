"""Listeners on a thread of the program's own choosing: the one that runs what is pending."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from typing import Any

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from ..errors import DispatchOverflowError
from .base import weight

__all__ = ["DEFAULT_BACKLOG_BYTES", "Backlog", "QueueDispatcher"]

DEFAULT_BACKLOG_BYTES = 64 * 2**20
"""Some 16 minutes of PCM16 in base64: who is further behind than that will not catch up."""


class Backlog:
    """
    Calls that wait, counted in bytes.

    **Threads.** Its owner's lock guards :meth:`put`. One thread takes; it needs no lock.
    """

    def __init__(self, limit: int) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"max_backlog_bytes must be a whole number of bytes, not {type(limit).__name__}")
        if limit < 0:
            raise ValueError(f"max_backlog_bytes is {limit}: pass a number of bytes, such as 64 * 2**20")
        self.limit = limit
        self._put_bytes = 0
        self._taken_bytes = 0
        self._waiting: collections.deque[tuple[Callable[[Any], object], Any, int]] = collections.deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Append a call.

        Raises:
            DispatchOverflowError: If too much is waiting already, unless *event* weighs nothing.
        """
        size = weight(event)
        if size and self._put_bytes - self._taken_bytes > self.limit:
            raise DispatchOverflowError(
                f"listeners fell more than {self.limit} bytes behind; make them faster, hand long work to a "
                "thread of its own, or raise max_backlog_bytes",
                close_code=1011,
                reason="listeners too slow",
            )
        self._put_bytes += size
        self._waiting.append((callback, event, size))

    def take(self) -> tuple[Callable[[Any], object], Any]:
        """
        Remove the oldest call and return it.

        Raises:
            IndexError: If none is waiting.
        """
        callback, event, size = self._waiting.popleft()
        self._taken_bytes += size
        return callback, event


class QueueDispatcher:
    """
    Keeps events until the program's own loop runs the listeners.

    ``run_pending()`` belongs into that loop: a game's frame, a robot's cycle, a GUI's timer.

    Args:
        max_backlog_bytes: How much may wait, counted by the length of deltas, and of the texts of tools, plus
            512 bytes an event. Beyond it ``submit`` raises, which ends the connection: nothing is dropped
            silently.

    **Threads.** Any thread submits; one at a time runs. The lock is never held while a listener runs.
    """

    def __init__(self, max_backlog_bytes: int = DEFAULT_BACKLOG_BYTES) -> None:
        self._condition = Condition()  # leaf
        self._backlog = Backlog(max_backlog_bytes)  # guarded by _condition
        self._thread_id: int | None = None  # of the latest thread that ran listeners

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Keep it for ``run_pending``. Never blocks.

        Raises:
            DispatchOverflowError: If too much is waiting already.
        """
        with self._condition.lock:
            self._condition.notify_all()  # before the change, which Ctrl-C cannot divide then
            self._backlog.put(callback, event)

    def run_pending(self, timeout: float | None = 0.0) -> int:
        """
        Run the listeners of everything that waits, on this thread; not of what they cause to come.

        Args:
            timeout: Seconds to wait for a first event if there is none; ``None`` waits without limit, also
                for that of another client: the client's own method ends with its session.

        Returns:
            How many calls were made.
        """
        return self._run(timeout, lambda: False)

    def _run(self, timeout: float | None, is_over: Callable[[], bool]) -> int:
        """The same; the wait also ends if *is_over*, which :meth:`_look_again` has asked again."""
        self._thread_id = threading.get_ident()
        deadline = Deadline(timeout)
        if not deadline.expired:
            self._condition.wait_until(lambda: len(self._backlog) > 0 or is_over(), deadline)
        with self._condition.lock:
            waiting = len(self._backlog)
        for done in range(waiting):
            with self._condition.lock:
                if not self._backlog:
                    return done
                callback, event = self._backlog.take()
            callback(event)
        return waiting

    def _look_again(self) -> None:
        """Have who waits look whether it is over."""
        with self._condition.lock:
            self._condition.notify_all()

    def serves(self, thread_id: int) -> bool:
        """Whether the thread *thread_id*, its ``threading.get_ident()``, has run listeners last."""
        return self._thread_id == thread_id
