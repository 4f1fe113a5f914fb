"""
The threads on which a client's tools run, or its guard.

Not an executor of the standard library: its exit hook joins a thread that never returns. One whose job was
given up counts no more: another one takes its place, until there are too many of those.

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

from attrs import frozen

from .._concurrency.deadline import Deadline
from .._concurrency.program_end import join_thread
from .._log import get_logger

__all__ = ["Runner", "Task"]

log: logging.Logger = get_logger(__name__)

Job = Callable[[], object]

THREADS: Final = 8
WAITING: Final = 1000
GIVEN_UP: Final = 64
_IDLE_SECONDS: Final = 30.0

_numbers = itertools.count(1)


@frozen(eq=False)
class Task:
    """A job that has a name, for the log."""

    name: str
    run: Job

    def __call__(self) -> None:
        """Do it."""
        self.run()


class _Work:
    """
    What the threads share.

    Attributes:
        threads: Those that count, with what some of them run.
        given_up: Those that do not, as their jobs were given up.
        stuck: Those that count although their jobs were given up: there were too many of those.
        what: The jobs, in words.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.lock = threading.Lock()  # leaf; guards all but the queue
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.waiting = 0
        self.idle = 0
        self.threads: tuple[threading.Thread, ...] = ()
        self.given_up: tuple[threading.Thread, ...] = ()
        self.stuck: set[threading.Thread] = set()
        self.running: dict[threading.Thread, Job] = {}
        self.has_warned = False  # that no more can be given up
        self.is_closed = False  # written once, also without the lock

    def close(self) -> None:
        """Drop what waits, and let the threads end."""
        # Without a lock: a finalizer may run in the middle of anything.
        self.is_closed = True
        for _ in range(THREADS):
            self.jobs.put(None)

    def run(self) -> None:
        """Run jobs, as one of the threads."""
        ours = threading.current_thread()
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
                    self.threads = _without(self.threads, ours)
                    return
                self.running[ours] = job
            try:
                job()
            except BaseException:  # a job answers for its own
                log.exception("! a job of %s failed", self.what)
            del job  # it must not keep its client alive
            with self.lock:
                del self.running[ours]
                if not self._counts_again_locked(ours):
                    return

    def _counts_again_locked(self, thread: threading.Thread) -> bool:
        """A job has ended: return whether its thread does others."""
        self.stuck.discard(thread)
        if thread not in self.given_up:
            return True
        self.given_up = _without(self.given_up, thread)
        if self.stuck:
            self.give_up_locked(self.stuck.pop())
        if self.is_closed or len(self.threads) >= THREADS:
            return False
        self.threads = (*self.threads, thread)
        return True

    def give_up_locked(self, thread: threading.Thread) -> None:
        """The job of a thread was given up: the thread counts no more, if that may be."""
        if len(self.given_up) >= GIVEN_UP:
            self.stuck.add(thread)
        else:
            self.threads = _without(self.threads, thread)
            self.given_up = (*self.given_up, thread)


def _without(threads: tuple[threading.Thread, ...], one: threading.Thread) -> tuple[threading.Thread, ...]:
    return tuple(thread for thread in threads if thread is not one)


class Runner:
    """
    Runs jobs on up to eight threads.

    Args:
        name: Of the threads, without their numbers.
        what: They run, in words for the log.

    **Threads.** Any thread submits; nothing waits but :meth:`join`.
    """

    def __init__(self, name: str = "azure-rt-tool", what: str = "tools") -> None:
        self._work = _Work(what)
        self._name = f"{name}-{next(_numbers)}"
        self._count = itertools.count(1)
        finalizer = weakref.finalize(self, self._work.close)
        finalizer.atexit = False

    def submit(self, job: Job) -> bool:
        """Have a job run; return whether there is room for it. A job must raise nothing."""
        work = self._work
        starting: threading.Thread | None = None
        with work.lock:
            is_full = len(work.stuck) >= THREADS
            is_news, work.has_warned = is_full and not work.has_warned, is_full
            has_room = not (is_full or work.is_closed or work.waiting >= WAITING)
            if has_room:
                work.waiting += 1
                starting = self._new_thread_locked()
        if is_news:
            log.warning(
                "! %d calls of %s were given up and have not returned; no more are run",
                GIVEN_UP + THREADS,
                work.what,
            )
        if not has_room:
            return False
        work.jobs.put(job)
        return self._start(starting)

    def _new_thread_locked(self) -> threading.Thread | None:
        """Return the thread to be started for what waits, if there is to be one."""
        work = self._work
        if work.is_closed or work.idle >= work.waiting or len(work.threads) >= THREADS:
            return None
        name = f"{self._name}.{next(self._count)}"
        starting = threading.Thread(target=work.run, name=name, daemon=True)
        work.threads = (*work.threads, starting)
        return starting

    def _start(self, thread: threading.Thread | None) -> bool:
        """Start a thread; return whether there is any."""
        if thread is None:
            return True
        try:
            thread.start()
        except RuntimeError as exc:  # the system has no more, or the interpreter is exiting
            work = self._work
            with work.lock:
                work.threads = _without(work.threads, thread)
                has_others = bool(work.threads)
            log.warning("! no thread for %s: %s", work.what, exc)
            return has_others
        return True

    def give_up(self, job: Job) -> None:
        """Nobody waits for the end of a job any more: if it runs, another thread takes its thread's place."""
        work = self._work
        starting: threading.Thread | None = None
        with work.lock:
            thread = next((thread for thread, running in work.running.items() if running is job), None)
            if thread in work.threads:
                work.give_up_locked(thread)
                starting = self._new_thread_locked()
        self._start(starting)

    def taken(self) -> list[str]:
        """Return the names of what runs, if all threads are taken and something waits; else none."""
        work = self._work
        with work.lock:
            if work.idle or not work.waiting or len(work.threads) < THREADS:
                return []
            jobs = [work.running[thread] for thread in work.threads if thread in work.running]
        return [job.name if isinstance(job, Task) else "a result" for job in jobs]

    def close(self) -> None:
        """Drop what waits, and let the threads end when their jobs have."""
        self._work.close()

    def join(self, timeout: float | None) -> bool:
        """Wait for the end of the threads; return whether it came. A thread does not wait for itself."""
        deadline = Deadline(timeout)
        threads = (*self._work.threads, *self._work.given_up)
        return all(
            thread is not threading.current_thread()
            and thread.ident is not None
            and join_thread(thread, deadline.remaining())
            for thread in threads
        )
