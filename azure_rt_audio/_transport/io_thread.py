"""
The thread that moves the bytes of one connection, or of several.

``azure-rt-reader-N`` waits for all its sockets in one selector, and alone reads, pings, closes and releases
the descriptors. Connections come in through an inbox, in the state of being dialled; others end its wait by
its waker, after they have noted what they want with the connection.

Threads and locks: ``IOThread._lock`` guards the inbox and the thread's start and end; a leaf.
:meth:`IOThread.wake` and :meth:`IOThread.release` do not take it, because a finalizer may call them.
"""

from __future__ import annotations

import itertools
import logging
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from .._concurrency.program_end import join_thread
from .._log import get_logger
from .._net.waiting import HasFileno, Waker
from .._pages import FORKING

__all__ = ["IOThread", "Served"]

log: logging.Logger = get_logger(__name__)

_numbers = itertools.count(1)

_NEVER: Final = float("inf")


class Served(Protocol):
    """A connection, as the I/O thread sees it."""

    is_ready: bool
    """Whether its socket is; set by the I/O thread."""

    is_called: bool
    """Whether another thread wants something; set by that one, before it calls :meth:`IOThread.wake`."""

    due: float
    """When it wants its turn in any case, by the thread's clock."""

    is_over: bool
    """Whether it is not to be served any more."""

    def step(self, now: float) -> bool:
        """Do what is to be done, without waiting; return whether the connection goes on."""

    def fail(self) -> None:
        """End: the thread cannot go on. Never raises."""


class IOThread:
    """
    A thread, a selector, and the connections that share them: mostly one.

    Args:
        clock: Seconds that never run backwards; for keepalive and the deadlines of closing.

    Attributes:
        is_released: Whether it takes no more connections. Written once.
        ident: The thread's :func:`threading.get_ident` while it runs.

    The thread starts with the first connection. It ends when it was released and its last connection is over.
    A callback that takes its time delays all connections of the thread.

    **Threads.** Any thread may call the public methods.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = f"azure-rt-reader-{next(_numbers)}"
        self.clock = clock
        self._pid = os.getpid()
        self.ident: int | None = None  # written by the thread
        self.is_released = False  # written without the lock
        self._names = itertools.count(1)
        self._lock = threading.Lock()  # a leaf; guards what follows
        self._inbox: deque[Served] = deque()
        self._thread: threading.Thread | None = None
        self._has_begun = False  # the thread runs, and closes what it works with
        self._alarm = _NEVER
        self.on_alarm: Callable[[], float | None] | None = None  # written before the thread is started
        # Written before the thread is started.
        self._waker: Waker | None = None
        self._selector: selectors.BaseSelector | None = None
        # The thread's own. What comes in is put here under the lock.
        self._served: list[Served] = []

    # From any thread.

    def add(self, served: Served) -> None:
        """
        Serve another connection from now on.

        Raises:
            RuntimeError: After :meth:`release`, in a forked child, or if the system has no more threads.
            OSError: If the system has no more descriptors.

        If it raises anything, Ctrl-C included, call :meth:`take_back`.
        """
        self.check_ours()
        thread = None
        try:
            with self._lock:
                if self.is_released:
                    raise RuntimeError("this I/O thread was released, and takes no more connections")
                if self._thread is None:
                    self._waker, self._selector = self._make_tools()
                    thread = self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                self._inbox.append(served)
            if thread is not None:
                thread.start()
            self.wake()
        except BaseException:  # no descriptors, no threads, the interpreter is exiting, or Ctrl-C
            self._call_off()
            raise

    def _make_tools(self) -> tuple[Waker, selectors.BaseSelector]:
        """Return all that the thread needs descriptors for, so that it cannot fail for want of them."""
        waker = Waker()
        try:
            selector = selectors.DefaultSelector()
            try:
                selector.register(waker, selectors.EVENT_READ)
            except BaseException:
                selector.close()
                raise
        except BaseException:
            waker.close()
            raise
        return waker, selector

    def _call_off(self) -> None:
        """See to it that a thread which has not begun never does."""
        with self._lock:
            if self._thread is None or self._has_begun:
                return
            self._thread = None
            waker, selector = self._waker, self._selector
        assert waker is not None
        assert selector is not None
        selector.close()
        waker.close()

    def take_back(self, served: Served) -> bool:
        """Forget a connection that :meth:`add` failed to add; return False if it is served all the same."""
        if not self.is_ours():
            return True  # the lock may be held by a thread that the fork left behind
        with self._lock:
            if served in self._inbox:
                self._inbox.remove(served)
            return served not in self._served

    def new_name(self) -> str:
        """Return a name for a connection: the thread's for the first one."""
        number = next(self._names)
        return self.name if number == 1 else f"{self.name}.{number}"

    def release(self) -> None:
        """Take no more connections, and end after the last. Idempotent, takes no lock, does not wait."""
        self.is_released = True
        self.wake()

    def wake(self) -> None:
        """End the thread's wait. Nothing in a forked child, where the waker's lock may be held for ever."""
        waker = self._waker
        if waker is not None and os.getpid() == self._pid:
            waker.wake()

    def set_alarm(self, seconds: float) -> None:
        """Have ``on_alarm``, which returns the next number, called on the thread in so many seconds."""
        due = self.clock() + seconds
        with self._lock:
            is_sooner = due < self._alarm
            if is_sooner:
                self._alarm = due
        if is_sooner and self.ident != threading.get_ident():
            self.wake()

    def is_ours(self) -> bool:
        """Whether this is the process that made it, not a fork of it."""
        return os.getpid() == self._pid

    def check_ours(self) -> None:
        """Raise :class:`RuntimeError` in a forked child, where nothing ever comes."""
        if os.getpid() != self._pid:
            raise RuntimeError(
                f"this connection belongs to the parent process; connect anew after a fork. {FORKING}"
            )

    def join(self, seconds: float | None) -> bool:
        """Wait for the thread to end; return whether it has, or never was."""
        thread = self._thread
        if thread is None:
            return True
        return join_thread(thread, seconds) if self.is_ours() else not thread.is_alive()

    # On the thread.

    def watch(self, socket: HasFileno, served: Served, interest: int, *, is_new: bool) -> None:
        """Wait for *interest* in a connection's socket, in place of what was waited for before."""
        assert self._selector is not None
        change = self._selector.register if is_new else self._selector.modify
        change(socket, interest, served)

    def unwatch(self, socket: HasFileno) -> None:
        """Do not wait for this socket any more; to be called before it is released."""
        assert self._selector is not None
        self._selector.unregister(socket)

    def _run(self) -> None:
        with self._lock:
            if self._thread is not threading.current_thread():
                return  # called off
            self._has_begun = True
        self.ident = threading.get_ident()
        waker, selector = self._waker, self._selector
        assert waker is not None
        assert selector is not None
        try:
            self._loop(selector, waker)
        except BaseException:
            log.exception("! %s failed", self.name)
        finally:
            self.is_released = True
            with self._lock:
                left = [*self._served, *self._inbox]
                self._inbox.clear()
            for served in left:
                try:
                    served.fail()
                except BaseException:  # the others are to end all the same
                    log.exception("! %s failed", self.name)
            self.ident = None  # the system gives it to another thread
            selector.close()
            waker.close()

    def _loop(self, selector: selectors.BaseSelector, waker: Waker) -> None:
        clock, select = self.clock, selector.select
        while not self._is_over():
            due = min(self._due(), self._alarm)
            if due <= 0.0:
                self._dispatch(select(0.0), waker)
                continue
            seconds = None if due == _NEVER else max(0.0, due - clock())
            # After a suspend the first select times out although data is pending: without a second one that
            # would count as silence.
            fired = select(seconds if waker.arm() else 0.0) or select(0.0)
            waker.disarm()
            self._dispatch(fired, waker)
            fired.clear()  # an idle thread must not keep a connection alive

    def _due(self) -> float:
        due = _NEVER
        for served in self._served:
            if served.due < due:
                due = served.due
        return due

    def _dispatch(self, fired: list[tuple[selectors.SelectorKey, int]], waker: Waker) -> None:
        is_woken = False
        for key, _ in fired:
            if key.data is None:
                is_woken = True
            else:
                key.data.is_ready = True
        waker.drain(is_woken)  # before a look at what the callers left
        now = self.clock()
        if self._inbox:
            with self._lock:
                self._served += self._inbox
                self._inbox.clear()
        if self._alarm <= now:
            self._ring()
            for served in self._served:
                served.is_called = True  # what was sent meanwhile has been queued only
        has_ended = False
        for served in self._served:
            if served.is_ready or served.is_called or served.due <= now:
                has_ended |= not served.step(now)
        if has_ended:
            self._served = [served for served in self._served if not served.is_over]

    def _ring(self) -> None:
        with self._lock:
            self._alarm = _NEVER
        try:
            seconds = self.on_alarm() if self.on_alarm is not None else None
        except Exception:
            log.exception("! %s: a timer failed", self.name)
            seconds = 1.0
        if seconds is not None and seconds != _NEVER:
            self.set_alarm(seconds)

    def _is_over(self) -> bool:
        if not self.is_released or self._served:
            return False
        with self._lock:
            return not self._inbox
