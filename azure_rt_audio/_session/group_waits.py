"""
What ``concurrent.futures.wait`` and ``as_completed`` use of a future, without a lock.

They hold the locks of all their futures while they look which are done, and leave their waiter behind for the
others. Ctrl-C in the midst of that leaves the locks taken for ever, and likewise the lock of the waiter's
event. Whoever resolves a future would hang in them, which is the I/O thread here.

So an :class:`Acknowledgement` has a :class:`View` in place of such a lock. Taking it freezes what this thread
sees of the state: what changes meanwhile is told to the waiter when it is left behind. A view that Ctrl-C did
not let go of is replaced by the thread's next one, and keeps nobody up.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline

if TYPE_CHECKING:
    from .acknowledgement import Acknowledgement

__all__ = ["GroupWaiters", "InterruptibleEvent", "View"]


class InterruptibleEvent:
    """In place of ``threading.Event``, whose lock Ctrl-C can leave taken."""

    def __init__(self) -> None:
        self._condition = Condition()  # leaf; guards the rest
        self._is_set = False

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def set(self) -> None:
        """Wake those who wait. Does not block."""
        with self._condition.lock:
            self._condition.notify_all()
            self._is_set = True

    def clear(self) -> None:
        """Let the next ones wait."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait *timeout* seconds until it is set; return whether it is."""
        return self._condition.wait_until(self.is_set, Deadline(timeout))


class View:
    """What a thread sees of a future's state between ``acquire`` and ``release``: it does not change."""

    def __init__(self, future: Acknowledgement[Any]) -> None:
        self._future = future

    def acquire(self) -> bool:
        """Freeze it."""
        self._future.views[threading.get_ident()] = self._future.state
        return True

    def release(self) -> None:
        """Let it go."""
        self._future.views.pop(threading.get_ident(), None)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


class GroupWaiters:
    """The waiters of a future, as the list that the standard library takes it for."""

    def __init__(self, future: Acknowledgement[Any]) -> None:
        self._future = future

    def append(self, waiter: Any) -> None:
        """Add a waiter; tell it at once if the future became done since this thread looked."""
        if not isinstance(waiter.event, InterruptibleEvent):
            waiter.event = InterruptibleEvent()  # nobody waits for it yet
        future = self._future
        with future._settled.lock:
            future.group_waiters.append(waiter)
            has_changed = future.state != future._state
        if has_changed:
            tell(waiter, future)

    def remove(self, waiter: Any) -> None:
        """Remove a waiter."""
        self._future.group_waiters.remove(waiter)


def tell(waiter: Any, future: Acknowledgement[Any]) -> None:
    """Tell a waiter that the future is done."""
    if future.cancelled():
        waiter.add_cancelled(future)
    elif future.error is not None:
        waiter.add_exception(future)
    else:
        waiter.add_result(future)
