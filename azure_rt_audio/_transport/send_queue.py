"""
What is to be sent: written by its caller, or queued for the I/O thread.

A lone frame is written by its caller, as far as that needs no wait, without waking the I/O thread. A frame
that comes while something waits, or right after another one, is queued, and the I/O thread writes many with
one call. Over TLS the main thread always queues, because Ctrl-C may stop it between a write and its being
noted. Either way the order of calls is the order on the connection.

Threads and locks: ``SendQueue._condition`` guards the queue and is a leaf, never held over I/O.
``SendQueue.write_lock`` is held over each call that touches socket or TLS; none of these calls waits, and no
user code runs under it, but for that of a ``websocket_impl``. So no two calls of OpenSSL overlap. Both are
taken by ``with`` alone, which Ctrl-C cannot divide. Neither is taken under the other, but for the queue's
lock in :meth:`SendQueue.hand_over`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from ..errors import ConnectError, ConnectionClosedError

if TYPE_CHECKING:
    from .websocket import Transport

__all__ = ["SendQueue"]

_HANDED_OVER: Final = 256 * 1024
"""Bytes given to the transport at a time; the rest stays in the queue, where it is counted."""

_IN_A_ROW: Final = 50e-6
"""Seconds within which a frame belongs to the one before: writing many together is cheaper."""


class SendQueue:
    """
    The frames that one connection has to send.

    Args:
        limit: Bytes that may wait before callers do.
        wake: Ends the I/O thread's wait.

    **Threads.** The first part is called from any thread, the second is the I/O thread's.
    """

    def __init__(self, limit: int, wake: Callable[[], None]) -> None:
        self._limit = limit
        self._wake = wake
        self._condition = Condition()  # a leaf; guards what follows
        self._queue: deque[bytes] = deque()
        self._queued = 0  # bytes in _queue
        self._end: ConnectError | ConnectionClosedError | None = None  # nothing more is taken, and why
        self.write_lock = Lock()  # to touch the transport
        self._transport: Transport | None = None  # written by the I/O thread, under write_lock
        self._last = 0.0  # when a caller last sent something
        self.failure: ConnectionClosedError | None = None
        """What a caller met while it wrote; for the I/O thread to deal with."""

    # From any thread.

    def put(self, payload: bytes, timeout: float | None, *, on_io_thread: bool) -> None:
        """
        Write one text frame or queue it; wait for room if it comes to that.

        Args:
            timeout: Seconds to wait for room.
            on_io_thread: Whether the caller is the I/O thread, which never waits, and for which there is
                always room.
        """
        transport = self._transport
        if transport is not None and not on_io_thread:
            now = time.monotonic()
            is_alone, self._last = now - self._last > _IN_A_ROW, now
            # Whether it is worth trying is decided without a lock, and again under it.
            if is_alone and not self._queue and not self.write_lock.locked() and transport.may_write_here:
                is_tried = is_written = False
                try:
                    with self.write_lock:
                        is_open = self._end is None and self.failure is None and self._transport is not None
                        if is_open and not self._queue and not transport.unsent:
                            is_tried = True
                            transport.send(payload)
                            is_written = transport.flush()
                except ConnectionClosedError as exc:
                    self.failure = exc  # the I/O thread's to find and to tell
                finally:
                    if is_tried and not is_written:
                        self._wake()
                if is_tried:
                    self._last = time.monotonic()
                    return
        self._enqueue(payload, timeout, on_io_thread)

    def _enqueue(self, payload: bytes, timeout: float | None, on_io_thread: bool) -> None:
        size = len(payload)
        deadline: Deadline | None = None
        while True:  # another thread may be quicker
            with self._condition.lock:
                if self._end is not None:
                    raise self._end.again()
                if on_io_thread or self._is_room(size):
                    self._queue.append(payload)
                    self._queued += size
                    break
            deadline = deadline or Deadline(timeout)
            if not self._condition.wait_until(lambda: self._end is not None or self._is_room(size), deadline):
                raise TimeoutError(
                    f"{self._queued} bytes wait to be written and the peer does not take them; "
                    "this message was not queued"
                )
        if not on_io_thread:
            self._wake()

    def _is_room(self, size: int) -> bool:
        return not self._queued or self._queued + size <= self._limit

    def refuse(self, why: ConnectError | ConnectionClosedError) -> None:
        """Take nothing more; what waits will still be written."""
        with self._condition.lock:
            if self._end is None:
                self._end = why
            self._condition.notify_all()

    def end(self, outcome: ConnectError | ConnectionClosedError) -> None:
        """Forget what waits, and tell everybody the outcome."""
        with self._condition.lock:
            self._end = outcome
            self._queue.clear()
            self._queued = 0
            self._condition.notify_all()

    # On the I/O thread.

    def attach(self, transport: Transport | None) -> None:
        """Write through *transport* from now on; ``None`` for no more."""
        with self.write_lock:
            self._transport = transport

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._queue

    def is_due(self, transport: Transport) -> bool:
        """Whether something waits that *transport* would take now."""
        return bool(self._queue) and transport.unsent < _HANDED_OVER

    def hand_over(self, transport: Transport) -> None:
        """Give the transport what is queued, as long as it does not have plenty; under ``write_lock``."""
        size = transport.unsent
        batch: list[bytes] = []
        with self._condition.lock:
            while self._queue and size < _HANDED_OVER:
                batch.append(self._queue.popleft())
                size += len(batch[-1])
                self._queued -= len(batch[-1])
            self._condition.notify_all()
        for payload in batch:
            transport.send(payload)
