"""
What waits for the loop of a window, and the clients that are closed with it.

A toolkit's own dispatcher adds two things only: how its loop is made to call :meth:`Mailbox.run`, and how the
end of its window is noticed.

**Threads and locks.** Any thread puts; the thread of the loop runs, and ends. ``Mailbox._lock`` is a leaf,
never held while a listener runs.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

from .._concurrency.ui_loop import Loop, loop_ends, loop_turns
from .queued import Backlog

__all__ = ["PAUSE_MS", "Mailbox"]

log: logging.Logger = logging.getLogger(__name__)

BUDGET: Final = 0.008
"""Seconds that listeners may take of one turn of the loop: half a frame, at 60 a second."""

PAUSE_MS: Final = 4
"""Milliseconds that a loop is left to itself after a turn that has used up its budget: clicks, drawing."""


class Mailbox:
    """
    Calls that wait for a loop, made some milliseconds' worth at a time.

    Args:
        max_backlog_bytes: How much may wait; see :class:`~azure_rt_audio.dispatch.QueueDispatcher`.
        loop: The loop. Its ``ask_for_turn`` has it call :meth:`run`: called under the lock, by any thread,
            when something comes and nothing waited, it must neither wait nor call back.
    """

    def __init__(self, max_backlog_bytes: int, loop: Loop) -> None:
        self._lock = threading.Lock()  # leaf
        self._limit = max_backlog_bytes
        self._backlog: Backlog = Backlog(max_backlog_bytes)  # guarded by _lock
        self._clients: weakref.WeakSet[Any] = weakref.WeakSet()  # guarded by _lock
        self._loop = loop
        self._is_awake = False  # guarded by _lock; the loop will run what comes now
        self._is_running = False  # of the loop's thread
        self.is_over: bool = False  # written once, read bare; a finalizer may write it, which takes no lock

    def put(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Keep a call for the loop; after the end, forget it.

        Raises:
            DispatchOverflowError: If too much is waiting already.
        """
        with self._lock:
            if self.is_over:
                return
            self._backlog.put(callback, event)
            is_asleep, self._is_awake = not self._is_awake, True
            if is_asleep:
                # Under the lock, so that what is woken still exists: the end waits for the lock.
                self._loop.ask_for_turn()

    def host(self, client: Any) -> None:
        """
        Close *client* at the end, if anybody still holds it then.

        Raises:
            RuntimeError: If this is over already.
        """
        with self._lock:
            if self.is_over:
                raise RuntimeError(
                    "the window that this dispatcher worked for is gone; make another dispatcher, for another"
                )
            self._clients.add(client)

    def run(self) -> tuple[bool, bool]:
        """
        Make calls until none is left or the budget is used up. Called by the loop.

        Not from within a call, even if that runs a loop of its own, as a modal dialogue does: listeners run
        one at a time.

        Returns:
            Whether calls were made, and whether some are left, for which the loop must come back by itself.
        """
        if self._is_running:
            return False, False
        loop_turns(self._loop)
        self._is_running = True
        try:
            return self._run(time.monotonic() + BUDGET)
        finally:
            self._is_running = False

    def _run(self, end: float) -> tuple[bool, bool]:
        has_run = False
        while True:
            with self._lock:
                if self.is_over or not self._backlog:
                    self._is_awake = False
                    return has_run, False
                if has_run and time.monotonic() >= end:
                    return has_run, True
                callback, event = self._backlog.take()
            has_run = True
            callback(event)

    def end(self) -> None:
        """Forget what waits, take nothing more, and close the clients in the background. Idempotent."""
        for client in self.mute():
            name = "azure-rt-goodbye"
            try:
                threading.Thread(target=client.close, name=name, daemon=True).start()
            except RuntimeError as exc:  # none is to be had; at the interpreter's exit all are closed anyway
                log.warning("! no thread to close a client whose window is gone (%s)", exc)

    def mute(self) -> list[Any]:
        """Forget what waits, take nothing more, and return the clients that nobody has closed yet."""
        with self._lock:
            self.is_over = True
            self._backlog = Backlog(self._limit)
            clients = list(self._clients)
            self._clients.clear()
        loop_ends()
        return clients
