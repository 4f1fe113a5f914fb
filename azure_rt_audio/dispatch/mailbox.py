"""
The queue of a window's event loop, and the clients that are closed with the window.

A toolkit's dispatcher adds only two things: how its loop calls :meth:`Mailbox.run`, and how it learns of the
end of its window.

**Threads and locks.** Any thread puts; the loop's thread runs and ends. ``Mailbox._condition.lock`` is a
leaf, not held while a listener or the toolkit runs.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from .._concurrency.ui_loop import Loop, loop_ends, loop_turns
from .._log import get_logger
from .queued import Backlog

__all__ = ["PAUSE_MS", "Mailbox"]

log: logging.Logger = get_logger(__name__)

BUDGET: Final = 0.008
"""Seconds of one iteration of the loop that listeners may take: half a frame at 60 Hz."""

PAUSE_MS: Final = 4
"""Milliseconds for input and drawing, after listeners have used up their budget."""

_WAKE_TIMEOUT: Final = 1.0


class Mailbox:
    """
    Calls that are queued for an event loop, which runs some milliseconds of them per iteration.

    Args:
        max_backlog_bytes: See :class:`~azure_rt_audio.dispatch.QueueDispatcher`.
        loop: The loop. Its ``ask_for_turn`` makes it call :meth:`run`. It is called on any thread, when the
            queue is no longer empty, never after :meth:`mute`; it must not block.
    """

    def __init__(self, max_backlog_bytes: int, loop: Loop) -> None:
        self._condition = Condition()  # its lock guards the next four
        self._backlog: Backlog = Backlog(max_backlog_bytes)
        self._clients: weakref.WeakSet[Any] = weakref.WeakSet()
        self._is_awake = False  # the loop is about to call run()
        self._wakes = 0  # calls of ask_for_turn in progress
        self._limit = max_backlog_bytes
        self._loop = loop
        self._is_running = False  # loop's thread only
        self._thread_id = threading.get_ident()  # where the loop runs: dispatchers are made there
        self.is_over: bool = False  # written once; by a finalizer without the lock

    @property
    def is_disposable(self) -> bool:
        """Whether the loop's objects may be destroyed: it has ended, and no thread is waking it."""
        return self.is_over and not self._wakes

    def put(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Queue a call for the loop; after the end, drop it. Does not block.

        Raises:
            DispatchOverflowError: If the queue is full.
        """
        with self._condition.lock:
            if self.is_over:
                return
            self._backlog.put(callback, event)
            if self._is_awake:
                return
            self._is_awake = True
            self._wakes += 1  # until it is 0 again, mute() waits, and what is woken exists
        try:
            self._loop.ask_for_turn()
        finally:
            with self._condition.lock:
                self._wakes -= 1
                self._condition.notify_all()

    def serves(self, thread_id: int) -> bool:
        """Whether the loop runs on the thread *thread_id*, its ``threading.get_ident()``."""
        return self._thread_id == thread_id

    def host(self, client: Any) -> None:
        """
        Close *client* at the end, unless it was collected before.

        Raises:
            RuntimeError: If the window is gone.
        """
        with self._condition.lock:
            if self.is_over:
                raise RuntimeError("the window of this dispatcher is gone; make another dispatcher")
            self._clients.add(client)

    def run(self) -> tuple[bool, bool]:
        """
        Run calls until none is left or the budget is used up. Called by the loop.

        Does nothing within a call, as in the nested loop of a modal dialogue: listeners run one at a time.

        Returns:
            Whether calls were made, and whether some are left, for which the loop must call this again.
        """
        if self._is_running:
            return False, False
        loop_turns(self._loop)
        self._thread_id = threading.get_ident()
        self._is_running = True
        try:
            return self._run(time.monotonic() + BUDGET)
        finally:
            self._is_running = False

    def _run(self, end: float) -> tuple[bool, bool]:
        has_run = False
        while True:
            with self._condition.lock:
                if self.is_over or not self._backlog:
                    self._is_awake = False
                    return has_run, False
                if has_run and time.monotonic() >= end:
                    return has_run, True
                callback, event = self._backlog.take()
            has_run = True
            callback(event)

    def end(self) -> None:
        """Drop queued calls, refuse further ones, and close the clients in the background. Idempotent."""
        for client in self.mute():
            name = "azure-rt-close"
            try:
                threading.Thread(target=client.close, name=name, daemon=True).start()
            except RuntimeError as exc:  # out of threads; the client is closed at exit
                log.warning("! cannot start a thread to close the client of a closed window (%s)", exc)

    def mute(self) -> list[Any]:
        """Drop queued calls, refuse further ones, and return the clients to close. Idempotent."""
        with self._condition.lock:
            self.is_over = True
            self._backlog = Backlog(self._limit)
            clients = list(self._clients)
            self._clients.clear()
        loop_ends()
        # ask_for_turn() does not block, so this is a moment; the limit is for a finalizer inside of it.
        self._condition.wait_until(lambda: not self._wakes, Deadline(_WAKE_TIMEOUT))
        return clients
