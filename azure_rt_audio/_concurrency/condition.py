"""A condition variable that Ctrl-C cannot break."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .deadline import Deadline
from .ui_loop import wait_with_ui_warning

__all__ = ["Condition"]


class Condition:
    """
    A lock, and waits for a change of what it guards.

    In place of ``threading.Condition``, whose ``wait`` reacquires its lock before it returns: an interrupt at
    that moment leaves the lock held for ever, or releases that of another thread. Here nothing is held during
    a wait, and each waiter has its own lock, so an interrupted waiter leaves nothing to clean up.

    Attributes:
        lock: A leaf. Hold it with ``with condition.lock``: that is one step of the interpreter, which a
            method of this class could not be.

    **Threads.** Any thread waits and notifies.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._waiters: list[threading.Lock] = []  # each is held until it is notified. Guarded by lock

    def wait_until(self, is_so: Callable[[], bool], deadline: Deadline) -> bool:
        """
        Wait until *is_so* and return whether it is. Not to be called under the lock.

        Args:
            is_so: Asked under the lock: quick, takes no lock and raises nothing.
        """
        return wait_with_ui_warning(lambda deadline: self.wait_quietly(is_so, deadline), deadline)

    def wait_quietly(self, is_so: Callable[[], bool], deadline: Deadline) -> bool:
        """The same, without a warning if the wait keeps the loop of a window from running."""
        while True:
            waiter = threading.Lock()
            waiter.acquire()
            with self.lock:
                if is_so():
                    return True
                if deadline.expired:
                    return False
                self._waiters.append(waiter)
            remaining = deadline.remaining()
            if not waiter.acquire(timeout=-1 if remaining is None else min(remaining, threading.TIMEOUT_MAX)):
                with self.lock:
                    if waiter in self._waiters:
                        self._waiters.remove(waiter)

    def notify_all(self) -> None:
        """
        Have all waiters check again. Called under the lock.

        A thread that Ctrl-C can strike calls it right before the change, which is then one step: whoever is
        woken in vain waits on.
        """
        for waiter in self._waiters:  # all of them stay there, should Ctrl-C strike in the midst
            if waiter.locked():
                waiter.release()
        self._waiters.clear()
