"""Listeners on a thread of their own."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from .._concurrency import shutdown
from .._concurrency.deadline import check_timeout
from .._concurrency.program_end import join_thread
from .._log import get_logger
from .base import report_failure
from .queued import DEFAULT_BACKLOG_BYTES, Backlog

__all__ = ["WorkerDispatcher"]

log: logging.Logger = get_logger(__name__)

_numbers = itertools.count(1)


class WorkerDispatcher:
    """
    Runs listeners one at a time, in order, on the daemon thread ``azure-rt-events-N``.

    Listeners may call any method of the client, blocking ones included: the I/O thread goes on meanwhile.
    The thread starts with the first event and ends after :meth:`close`; an event that comes even later
    (a listener added to a closed client is still told how it ended) starts another. When the
    interpreter exits, what waits is still run, for at most a second, and the log says if that was not all;
    what comes after that is not run. From Python 3.12 on no thread starts then: one that has not been needed
    before is missing.

    Args:
        max_backlog_bytes: See :class:`~azure_rt_audio.dispatch.QueueDispatcher`.

    **Threads.** Any thread may call any method; none waits for a listener but :meth:`join`.
    """

    def __init__(self, max_backlog_bytes: int = DEFAULT_BACKLOG_BYTES) -> None:
        self._worker = _Worker(max_backlog_bytes)

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Hand it to the thread. Never blocks.

        Raises:
            DispatchOverflowError: If listeners are too far behind; nothing is dropped silently.
        """
        worker = self._worker
        with worker.lock:
            if worker.is_exiting:
                return
            worker.end_wait_locked()  # before, so that Ctrl-C between these leaves nothing that nobody runs
            worker.backlog.put(callback, event)
            if worker.thread is not None:
                return
        worker.start()

    def close(self) -> None:
        """Let the thread end when it has run what waits."""
        self._worker.close()

    def join(self, timeout: float | None) -> bool:
        """Wait *timeout* seconds for the end of the thread; return whether it came. Never waits on itself."""
        check_timeout(timeout)
        return self._worker.join(timeout)

    def owns_this_thread(self) -> bool:
        """Whether the caller is a listener running here."""
        return threading.current_thread() is self._worker.thread

    def serves(self, thread_id: int) -> bool:
        """Whether listeners run on the thread *thread_id*, its ``threading.get_ident()``."""
        thread = self._worker.thread
        return thread is not None and thread.ident == thread_id

    def __del__(self) -> None:
        # Ctrl-C in the constructor leaves half an object. At exit, globals of this module are None.
        worker = self.__dict__.get("_worker")
        if worker is not None:
            worker.drop()


class _Worker:
    """
    What the thread holds: not the dispatcher, so that one nobody holds any more is collected.

    The lock is a leaf, never held while a listener runs, a thread is started or anything is waited for.
    """

    def __init__(self, max_backlog_bytes: int) -> None:
        self.lock = threading.Lock()  # leaf
        self.backlog = Backlog(max_backlog_bytes)  # guarded by lock
        self.is_idle = False  # guarded by lock; the thread waits for _wakeup
        self._is_closed = False  # written once, also without the lock
        self.is_exiting = False  # guarded by lock
        # A simple queue, because it alone may be put to in the middle of anything, even of getting from it:
        # that is where a finalizer may find itself.
        self._wakeup: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None  # guarded by lock; None once it has decided to end
        self._latest: threading.Thread | None = None  # the last one that was made
        shutdown.register(shutdown.Stage.WORKERS, self, _Worker.end_at_exit, _Worker.join_at_exit)

    def end_wait_locked(self) -> None:
        """End the thread's wait, if it waits: it looks again once the lock is free."""
        if self.is_idle:
            self._wakeup.put(None)
            self.is_idle = False

    def start(self) -> None:
        """Start a thread. Of several that are started at the same time, one goes on."""
        thread = threading.Thread(target=self._run, name=f"azure-rt-events-{next(_numbers)}", daemon=True)
        self._latest = thread
        try:
            thread.start()
        except RuntimeError as exc:
            # No threads are to be had: the system has no more, or the interpreter is exiting.
            self._latest = None
            log.warning("! no thread for listeners (%s); they run with the next event, if one comes", exc)

    def close(self) -> None:
        self._is_closed = True
        self._wakeup.put(None)

    drop = close  # takes no lock: a finalizer may run in the middle of anything

    def end_at_exit(self) -> None:
        """Take nothing more: the interpreter is exiting."""
        with self.lock:
            self.is_exiting = True
        self.close()

    def join(self, timeout: float | None) -> bool:
        thread = self.thread or self._latest
        if thread is None:
            return True
        return thread.ident is not None and join_thread(thread, timeout)

    def join_at_exit(self, seconds: float) -> None:
        """Let the thread run what waits, and tell what it did not come to."""
        self.join(seconds)
        left = len(self.backlog)
        if left:
            why = "their thread is still busy" if self.thread else "Python starts no thread any more"
            log.warning("! calls of listeners are lost, %d: the interpreter exits, and %s", left, why)

    def _run(self) -> None:
        # The thread itself says that it is the one: Ctrl-C may strike whoever starts it at any step of that.
        with self.lock:
            if self.thread is not None:
                return
            self.thread = threading.current_thread()
        take = self.backlog.take
        while True:
            try:
                callback, event = take()
            except IndexError:
                if not self._wait():
                    return
                continue
            try:
                callback(event)
            except BaseException as exc:  # noqa: BLE001 - logged; this is no main thread
                report_failure(exc, callback)
            del callback, event  # an idle thread must not keep the last event and its listener alive

    def _wait(self) -> bool:
        """Wait until there may be something to run; return whether the thread goes on."""
        with self.lock:
            if self.backlog:
                return True
            if self._is_closed:
                self.thread = None
                return False
            self.is_idle = True
        self._wakeup.get()
        return True
