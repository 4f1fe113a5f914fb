"""
Waits that have a deadline and can be ended from any thread.

Threads and locks: one thread waits, any thread wakes it. ``Waker._lock`` is a leaf.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Protocol

from .._concurrency.deadline import Deadline

__all__ = ["BoundedWait", "Cancelled", "DeadlinePassed", "HasFileno", "Waker"]


class HasFileno(Protocol):
    """What can be waited for."""

    def fileno(self) -> int:
        """Return the descriptor."""


class DeadlinePassed(Exception):  # noqa: N818 - an outcome, never shown
    """The deadline passed. Not a TimeoutError, which websocket-client would translate."""


class Cancelled(Exception):  # noqa: N818 - an outcome, never shown
    """The connection is being closed, so the attempt is given up."""


class Waker:
    """
    Ends the I/O thread's wait for its socket.

    **Threads.** :meth:`wake` and :meth:`interrupt` are called from any thread, also from
    a finalizer; the rest by the thread that waits.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = socket.socketpair()
        self._read_end.setblocking(False)
        self._write_end.setblocking(False)
        # Keeps a late wake() from writing to a descriptor that was closed and reused.
        # Re-entrant: a finalizer may call wake() while wake() runs on this thread.
        self._lock = threading.RLock()
        self._is_called = False
        self._is_armed = True
        self._is_written = False
        self.interrupted = False
        """Whether the handshake is to be given up; never taken back."""

    def wake(self) -> None:
        """End the wait; costs a system call only if there is one that is not ended yet."""
        self._is_called = True
        if not self._is_armed or self._is_written:
            return
        with self._lock:
            self._is_written = True
            try:
                self._write_end.send(b"\0")
            except OSError:
                pass  # full: awake already; closed: no thread is left to wake
            except BaseException:
                self._is_written = False  # Ctrl-C: maybe it is written; the next call must not rely on it
                raise

    def interrupt(self) -> None:
        """End the wait and give up a handshake that is going on."""
        self.interrupted = True
        self.wake()

    def fileno(self) -> int:
        """Return what to wait on for reading."""
        return self._read_end.fileno()

    def drain(self, may_be_readable: bool = True) -> None:
        """
        Take the calls so far; look at what the callers left only after this.

        Args:
            may_be_readable: Whether the descriptor may be readable; a call of the system less if not.
        """
        self._is_called = False
        if may_be_readable or self._is_written:
            with contextlib.suppress(OSError):
                self._read_end.recv(4096)
            self._is_written = False

    def disarm(self) -> None:
        """End the wait: wake() costs no system call until the next one."""
        self._is_armed = False

    def arm(self) -> bool:
        """Begin a wait; return whether there was no call of wake() since the last :meth:`drain`."""
        self._is_armed = True
        return not self._is_called

    def close(self) -> None:
        """Release the descriptors; later calls do nothing."""
        with self._lock:
            self._read_end.close()
            self._write_end.close()


class BoundedWait:
    """A wait that ends when a socket is ready, at a deadline, or when it is interrupted."""

    def __init__(self, deadline: Deadline, waker: Waker) -> None:
        self.deadline = deadline
        self.waker = waker

    def wait(self, sock: HasFileno | None, events: int = selectors.EVENT_READ) -> None:
        """
        Wait until *sock* is ready, or for a call of the waker if there is no socket.

        Raises:
            DeadlinePassed: If the deadline passes first.
            Cancelled: If the connection is closed meanwhile.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self.waker, selectors.EVENT_READ)
            if sock is not None:
                selector.register(sock, events)
            while True:
                if self.waker.interrupted:
                    raise Cancelled
                if self.deadline.expired:
                    raise DeadlinePassed
                ready = [key.fileobj for key, _ in selector.select(self.deadline.remaining())]
                if self.waker in ready:
                    self.waker.drain()
                    if self.waker.interrupted:
                        raise Cancelled
                    if sock is None:
                        return
                if sock is not None and sock in ready:
                    return

    def at_most(self, seconds: float) -> BoundedWait:
        """Return the same bounds, but not for longer than *seconds*."""
        left = self.deadline.remaining()
        return BoundedWait(Deadline(seconds if left is None else min(seconds, left)), self.waker)
