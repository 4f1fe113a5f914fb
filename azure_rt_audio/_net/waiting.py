"""
Waiting that can be bounded, interrupted and ended from any thread.

Threads and locks: the I/O thread waits, any thread rings. ``Waker._lock`` is a leaf.
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
    a finalizer; the rest is the I/O thread's.
    """

    def __init__(self) -> None:
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        # Keeps a late ring from hitting a descriptor that was closed and given out anew.
        # Re-entrant because a finalizer may ring in the midst of a ring.
        self._lock = threading.RLock()
        self._is_called = False
        self._is_armed = True
        self._is_rung = False
        self.interrupted = False
        """Whether the handshake is to be given up; never taken back."""

    def wake(self) -> None:
        """End the wait; costs a system call only if there is one, and nobody has rung yet."""
        self._is_called = True
        if not self._is_armed or self._is_rung:
            return
        with self._lock:
            self._is_rung = True
            try:
                self._bell.send(b"\0")
            except OSError:
                pass  # full: awake already; closed: nobody is left to wake
            except BaseException:
                self._is_rung = False  # Ctrl-C: maybe it has rung, but the next one must not rely on it
                raise

    def interrupt(self) -> None:
        """End the wait and give up a handshake that is going on."""
        self.interrupted = True
        self.wake()

    def fileno(self) -> int:
        """Return what to wait on for reading."""
        return self._ear.fileno()

    def drain(self, may_be_rung: bool = True) -> None:
        """
        Make ready for the next call; look at what the callers left only after this.

        Args:
            may_be_rung: Whether the descriptor may be readable; a call of the system less if not.
        """
        self._is_called = False
        if may_be_rung or self._is_rung:
            with contextlib.suppress(OSError):
                self._ear.recv(4096)
            self._is_rung = False

    def disarm(self) -> None:
        """Be awake: who calls need not ring."""
        self._is_armed = False

    def arm(self) -> bool:
        """Be about to wait; return whether nobody has called since the last :meth:`drain`."""
        self._is_armed = True
        return not self._is_called

    def close(self) -> None:
        """Release the descriptors; later rings do nothing."""
        with self._lock:
            self._ear.close()
            self._bell.close()


class BoundedWait:
    """The bounds of a wait: until ready, until late, or until interrupted."""

    def __init__(self, deadline: Deadline, waker: Waker) -> None:
        self.deadline = deadline
        self.waker = waker

    def wait(self, sock: HasFileno | None, events: int = selectors.EVENT_READ) -> None:
        """
        Wait until *sock* is ready, or for a ring of the waker if there is no socket.

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
        """Return the same patience, but not for longer than *seconds*."""
        left = self.deadline.remaining()
        return BoundedWait(Deadline(seconds if left is None else min(seconds, left)), self.waker)
