"""Waiting for something to change, in a way that Ctrl-C cannot break."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .deadline import Deadline
from .ui_loop import wait_with_ui_warning

__all__ = ["Condition"]


class Condition:
    """
    A lock, and the waiting for what it guards.

    In place of ``threading.Condition``, whose ``wait`` takes its lock back before it returns: an interrupt
    at that moment leaves the lock to nobody, or takes it from another thread. Here nothing is held during
    a wait, and each wait has a gate of its own, which nobody misses when its thread has gone.

    Attributes:
        lock: A leaf. Hold it with ``with change.lock``: that is one step of the interpreter, which a
            method of this class could not be.

    **Threads.** Any thread waits and announces.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._gates: list[threading.Lock] = []  # shut; each is opened once. Guarded by lock

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
            gate = threading.Lock()
            gate.acquire()
            with self.lock:
                if is_so():
                    return True
                if deadline.expired:
                    return False
                self._gates.append(gate)
            remaining = deadline.remaining()
            if not gate.acquire(timeout=-1 if remaining is None else min(remaining, threading.TIMEOUT_MAX)):
                with self.lock:
                    if gate in self._gates:
                        self._gates.remove(gate)

    def notify_all(self) -> None:
        """Let those who wait look again. Called under the lock."""
        gates, self._gates = self._gates, []
        for gate in gates:
            gate.release()
