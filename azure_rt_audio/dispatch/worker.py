"""Listeners on a worker thread."""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from .._concurrency import shutdown
from .base import call_guarded
from .queued import DEFAULT_BACKLOG_BYTES, Backlog

__all__ = ["WorkerDispatcher"]

log: logging.Logger = logging.getLogger(__name__)

_numbers = itertools.count(1)


class WorkerDispatcher:
    """
    Runs listeners one at a time, in order, on the daemon thread ``azure-rt-events-N``.

    Listeners may call any method of the client, also blocking ones: the I/O thread goes on meanwhile. The
    thread starts with the first event and ends after :meth:`close`; a later event (a listener added to a
    closed client still receives ``closed``) starts another thread. When the interpreter exits, queued calls
    still run, for a second at most; later ones do not.

    Args:
        max_backlog_bytes: See :class:`~azure_rt_audio.dispatch.QueueDispatcher`.

    **Threads.** Any thread may call any method; only :meth:`join` blocks.
    """

    def __init__(self, max_backlog_bytes: int = DEFAULT_BACKLOG_BYTES) -> None:
        self._worker = _Worker(max_backlog_bytes)

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Queue a call for the thread. Does not block.

        Raises:
            DispatchOverflowError: If the queue is full; no event is dropped silently.
        """
        self._worker.submit(callback, event)

    def close(self) -> None:
        """End the thread once the queued calls have run. Does not block."""
        self._worker.close()

    def join(self, timeout: float | None) -> bool:
        """Block until the thread has ended, and return whether it has; on that thread, return at once."""
        return self._worker.join(timeout)

    def owns_this_thread(self) -> bool:
        """Whether the current thread is this worker's."""
        return threading.current_thread() is self._worker.thread

    def __del__(self) -> None:
        self._worker.close()


class _Worker:
    """
    The state of the thread. It does not hold the dispatcher, so that an unused one is collected.

    The lock is a leaf, never held while a listener runs, a thread is started or the thread waits.
    """

    def __init__(self, max_backlog_bytes: int) -> None:
        self._lock = threading.Lock()  # leaf
        self._backlog = Backlog(max_backlog_bytes)  # guarded by _lock
        self._is_idle = False  # guarded by _lock; the thread waits for _wakeup
        self._is_closed = False  # written once, also without the lock
        self._is_exiting = False  # guarded by _lock
        # SimpleQueue.put is reentrant: a finalizer may run in the middle of get() on the same thread.
        self._wakeup: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None  # guarded by _lock; None once it is about to end
        self._latest: threading.Thread | None = None  # the last one started
        shutdown.register(shutdown.Stage.WORKERS, self, _Worker.end_at_exit, _Worker.join)

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        with self._lock:
            if self._is_exiting:
                return
            self._backlog.put(callback, event)
            is_idle, self._is_idle = self._is_idle, False
            starting = None
            if self.thread is None:
                name = f"azure-rt-events-{next(_numbers)}"
                starting = self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        if starting is not None:
            self._start(starting)
        elif is_idle:
            self._wakeup.put(None)

    def _start(self, thread: threading.Thread) -> None:
        try:
            thread.start()
        except RuntimeError as exc:
            # The system is out of threads, or the interpreter is exiting.
            with self._lock:
                self.thread = None
            log.warning("! cannot start a thread for listeners (%s); retried with the next event", exc)
        else:
            self._latest = thread

    def close(self) -> None:
        self._is_closed = True  # without the lock, as this is called by a finalizer, too
        self._wakeup.put(None)

    def end_at_exit(self) -> None:
        """Refuse further calls: the interpreter is exiting."""
        with self._lock:
            self._is_exiting = True
        self.close()

    def join(self, timeout: float | None) -> bool:
        thread = self.thread or self._latest
        if thread is None:
            return True
        if thread is threading.current_thread():
            return False
        if thread.ident is not None:
            with contextlib.suppress(RuntimeError):  # Python 3.14 joins no daemon thread while it exits
                thread.join(timeout)
        return thread.ident is not None and not thread.is_alive()

    def _run(self) -> None:
        while True:
            callback: Callable[[Any], object] | None = None
            event = None
            with self._lock:
                if self._backlog:
                    callback, event = self._backlog.take()
                elif self._is_closed:
                    self.thread = None
                    return
                else:
                    self._is_idle = True
            if callback is None:
                self._wakeup.get()
            else:
                call_guarded(callback, event, callback)
            del callback, event  # an idle thread must not keep the last event and listener alive
