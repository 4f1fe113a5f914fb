"""
What is to be sent: who may write it, and what waits.

The transport belongs to the I/O thread. While that waits for its socket, it lends it: a caller with a
single frame writes it at once, as far as that needs no wait, and the I/O thread need not get up for it. A
frame that comes while something else is being written, or right after another one, is queued, and the I/O
thread writes many with one call. Over TLS it writes all of the main thread's, because Ctrl-C may stop that
one anywhere. Either way the order of calls is the order on the wire.

Threads and locks: ``SendQueue._condition`` guards the queue and is a leaf, never held over I/O.
``SendQueue._turn`` is held by whoever may touch the transport. Callers only try it, and
hold it for one write that does not wait; so the I/O thread, which alone waits for
it, waits for microseconds, and no two calls of OpenSSL overlap.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import compress, repeat, starmap
from typing import Final

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from ..errors import ConnectError, ConnectionClosedError
from .websocket import Transport

__all__ = ["SendQueue"]

_HANDED_OVER: Final = 256 * 1024
"""Bytes given to the transport at a time; the rest stays in the queue, where it is counted."""

_IN_A_ROW: Final = 50e-6
"""Seconds within which a frame belongs to the one before: writing many together is cheaper."""

_LENT: Final = 2.5
"""Seconds, twice, after which a caller that has the transport counts as stopped in mid-write."""


class SendQueue:
    """
    The way out of one connection.

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
        self._is_writing = False  # the transport has bytes that the socket has not taken
        self._end: ConnectError | ConnectionClosedError | None = None  # nothing more is taken, and why
        self._turn = threading.Lock()  # to touch the transport
        self._transport: Transport | None = None  # written by the I/O thread, which has the turn
        self._last = 0.0  # when a caller last sent something
        self.failure: ConnectionClosedError | None = None
        """What a caller met while it had the transport; for the I/O thread to deal with."""

    # From any thread.

    def put(self, payload: bytes, deadline: Deadline, *, mine: bool) -> None:
        """
        Write one text frame or queue it; wait for room if it comes to that.

        Args:
            mine: Whether the caller is the I/O thread, which never waits, and for which there is always room.
        """
        got: list[bool] = []
        # Gives back what was got, when it is run through; one step, too, unlike a condition and a call.
        give_back = starmap(self._turn.release, compress(repeat(()), got))

        def is_room() -> bool:
            queued = self._queued
            return mine or not queued or queued + len(payload) <= self._limit or self._end is not None

        try:
            while True:  # another thread may be quicker
                with self._condition.lock:
                    if self._end is not None:
                        raise self._end.again()
                    if is_room():
                        if not mine and self._may_write_directly():
                            # One step for the interpreter: Ctrl-C cannot come between taking and noting it.
                            got.extend(map(self._turn.acquire, (False,)))
                        if not any(got):
                            self._queue.append(payload)
                            self._queued += len(payload)
                        break
                if not self._condition.wait_until(is_room, deadline):
                    raise TimeoutError(
                        f"{self._queued} bytes wait to be written and the peer does not take them; "
                        "this message was not queued"
                    )
            if any(got):
                self._write(payload)
            elif not mine:
                self._wake()
        finally:
            deque(give_back, maxlen=0)

    def _may_write_directly(self) -> bool:
        """Whether a frame that comes now may be written by its caller; under the lock."""
        now = time.monotonic()
        is_alone, self._last = now - self._last > _IN_A_ROW, now
        if not is_alone or self._queue or self._is_writing:
            return False
        return self._transport is not None and self._transport.is_lendable

    def _write(self, payload: bytes) -> None:
        """Write as the one who has the turn; what goes wrong is the I/O thread's to find and to tell."""
        transport = self._transport
        assert transport is not None
        try:
            transport.send(payload)
            transport.flush()
        except ConnectionClosedError as exc:
            self.failure = exc
        finally:
            if transport.unsent or self._queue or self.failure is not None:
                self._is_writing = True
                self._wake()
            self._last = time.monotonic()

    def flush(self, deadline: Deadline, may_wait: Callable[[], bool]) -> bool:
        """Wait until all that was queued is written; return whether it is."""

        def is_over() -> bool:
            return self._end is not None or not (self._queue or self._is_writing)

        return (
            is_over() or (may_wait() and self._condition.wait_until(is_over, deadline))
        ) and self._end is None

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
            self._is_writing = False
            self._condition.notify_all()

    # On the I/O thread.

    def serve(self, transport: Transport) -> None:
        """Begin to write through *transport*, with the turn taken."""
        self._turn.acquire()
        self._transport = transport

    def release_to_callers(self) -> None:
        """Let callers have the transport, because the I/O thread is about to wait."""
        self._turn.release()

    def reacquire(self) -> None:
        """Have the transport again; a caller that was stopped in mid-write never gives it back."""
        # Twice: the time during which the whole program was suspended counts once at most.
        if not self._turn.acquire(timeout=_LENT) and not self._turn.acquire(timeout=_LENT):
            self.failure = ConnectionClosedError(
                "A thread was stopped in the middle of sending, so the connection was given up.",
                close_code=1006,
            )

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._queue

    def is_due(self, transport: Transport) -> bool:
        """Whether something waits that *transport* would take now."""
        return bool(self._queue) and transport.unsent < _HANDED_OVER

    def hand_over(self, transport: Transport) -> None:
        """Give the transport what is queued, as long as it does not have plenty."""
        if not self.is_due(transport):
            return
        batch: list[bytes] = []
        size = transport.unsent
        with self._condition.lock:
            while self._queue and size < _HANDED_OVER:
                batch.append(self._queue.popleft())
                size += len(batch[-1])
                self._queued -= len(batch[-1])
            self._is_writing = True
            self._condition.notify_all()
        for payload in batch:
            transport.send(payload)

    def note_written(self, transport: Transport) -> None:
        """Tell those who flush, if the socket has taken everything."""
        if self._is_writing and not transport.unsent:
            with self._condition.lock:
                self._is_writing = False
                self._condition.notify_all()
