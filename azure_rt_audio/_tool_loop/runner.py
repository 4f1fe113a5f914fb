"""
The threads on which a client's tools run.

Not an executor of the standard library: its exit hook joins a thread that never returns.

**Threads and locks.** Daemons, made when they are needed, ended after half a minute without work. The lock is
a leaf. The threads hold what they share, not the runner, which is collected with its client.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Final

from .._concurrency.deadline import Deadline
from .._concurrency.program_end import join_thread
from .._log import get_logger

__all__ = ["Runner"]

log: logging.Logger = get_logger(__name__)

Job = Callable[[], object]

THREADS: Final = 8
WAITING: Final = 1000
_IDLE_SECONDS: Final = 30.0

_numbers = itertools.count(1)


class _Work:
    """What the threads share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # leaf; guards all but the queue
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.waiting = 0
        self.idle = 0
        self.threads: tuple[threading.Thread, ...] = ()
        self.is_closed = False  # written once, also without the lock

    def close(self) -> None:
        """Drop what waits, and let the threads end."""
        # Without a lock: a finalizer may run in the middle of anything.
        self.is_closed = True
        for _ in range(THREADS):
            self.jobs.put(None)

    def run(self) -> None:
        """Run jobs, as one of the threads."""
        while True:
            with self.lock:
                self.idle += 1
            try:
                job = self.jobs.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                job = None
            with self.lock:
                self.idle -= 1
                if job is not None:
                    self.waiting -= 1
                elif self.waiting and not self.is_closed:
                    continue  # it came just now
                if job is None or self.is_closed:
                    ours = threading.current_thread()
                    self.threads = tuple(thread for thread in self.threads if thread is not ours)
                    return
            try:
                job()
            except BaseException:  # a job answers for its own
                log.exception("! a job of a tool failed")
            del job  # it must not keep its client alive


class Runner:
    """
    Runs jobs on up to eight threads.

    Args:
        name: Of the threads, without their numbers.

    **Threads.** Any thread submits; nothing waits but :meth:`join`.
    """

    def __init__(self, name: str = "azure-rt-tool") -> None:
        self._work = _Work()
        self._name = f"{name}-{next(_numbers)}"
        self._count = itertools.count(1)
        finalizer = weakref.finalize(self, self._work.close)
        finalizer.atexit = False

    def submit(self, job: Job) -> bool:
        """Have a job run; return whether there is room for it. A job must raise nothing."""
        work = self._work
        starting: threading.Thread | None = None
        with work.lock:
            if work.is_closed or work.waiting >= WAITING:
                return False
            work.waiting += 1
            if work.idle < work.waiting and len(work.threads) < THREADS:
                name = f"{self._name}.{next(self._count)}"
                starting = threading.Thread(target=work.run, name=name, daemon=True)
                work.threads = (*work.threads, starting)
        work.jobs.put(job)
        if starting is not None:
            try:
                starting.start()
            except RuntimeError as exc:  # the system has no more, or the interpreter is exiting
                with work.lock:
                    work.threads = tuple(thread for thread in work.threads if thread is not starting)
                    has_others = bool(work.threads)
                log.warning("! no thread for a tool: %s", exc)
                return has_others
        return True

    def close(self) -> None:
        """Drop what waits, and let the threads end when their tools have."""
        self._work.close()

    def join(self, timeout: float | None) -> bool:
        """Wait for the end of the threads; return whether it came. A thread does not wait for itself."""
        deadline = Deadline(timeout)
        threads = self._work.threads
        return all(
            thread is not threading.current_thread()
            and thread.ident is not None
            and join_thread(thread, deadline.remaining())
            for thread in threads
        )
