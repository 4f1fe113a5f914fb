"""
What is to be sent: written by its caller, or queued for the I/O thread.

A lone frame is written by its caller, as far as that needs no wait, without waking the I/O thread. A frame
that comes while something waits, or right after another one, is queued, and the I/O thread writes many with
one call. Over TLS the main thread always queues, because Ctrl-C may stop it between a write and its being
noted. Either way the order of calls is the order on the connection.

On a slow line nearly all that is unsent waits here, where it is bounded, has an age and can be dropped: the
system keeps little of it (see ``dial.py``), and the transport is given more only when it has written what it
had, and little of it if that took a wait. What was handed over has an age until the far end has it.

Frames that belong together are queued in one step, so that no other caller's frame comes between them.

Threads and locks: ``SendQueue._condition`` guards the queue and is a leaf, never held over I/O.
``SendQueue.write_lock`` is held over each call that touches socket or TLS; none of these calls waits, and no
user code runs under it, but for that of a ``websocket_impl``. So no two calls of OpenSSL overlap. Both are
taken by ``with`` alone, which Ctrl-C cannot divide. Neither is taken under the other, but for the queue's
lock in :meth:`SendQueue.hand_over`.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Final

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from ..errors import ConnectError, ConnectionClosedError
from .send_lag import SLACK, DroppedSound, LagReport, LagWatch

if TYPE_CHECKING:
    from .websocket import Transport

__all__ = ["SendQueue"]

_MOST: Final = 256 * 1024
"""Bytes given to the transport at a time while it writes them at once; the rest stays in the queue."""

_LEAST: Final = 16 * 1024
"""The same after a wait: what the transport has cannot be dropped any more. Twice as much next time."""

_TOGETHER: Final = 0.1
"""Seconds of frames of which only the oldest's age is known once they were handed over."""

_MARKS: Final = 1024
"""Of those that are kept: a hundred seconds."""

_Frame = tuple[bytes, float, float]
"""Payload, when it was put, and the seconds of live sound in it."""

_Mark = tuple[int, float, bool]
"""Bytes given to the transport until then, when the first of them was put, and whether they are live."""

_IN_A_ROW: Final = 50e-6
"""Seconds within which a frame belongs to the one before: writing many together is cheaper."""

_NEVER: Final = float("inf")


class SendQueue:
    """
    The frames that one connection has to send.

    Args:
        limit: Bytes that may wait before callers do.
        wake: Ends the I/O thread's wait.
        watch: Judges the age of what waits.
        clock: Of the connection.

    **Threads.** The first part is called from any thread, the second is the I/O thread's.
    """

    def __init__(
        self,
        limit: int,
        wake: Callable[[], None],
        watch: LagWatch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._wake = wake
        self._clock = clock
        self._watch = watch or LagWatch()
        self._condition = Condition()  # a leaf; guards what follows
        self._queue: deque[_Frame] = deque()
        self._queued = 0  # bytes in _queue
        self._live: deque[float] = deque()  # when the live sound in _queue was put
        self._dropped: list[DroppedSound] = []  # and not told yet
        self._end: ConnectError | ConnectionClosedError | None = None  # nothing more is taken, and why
        self.write_lock = Lock()  # to touch the transport
        self._transport: Transport | None = None  # written by the I/O thread, under write_lock
        # Of what the transport has and has not written; under write_lock, read bare.
        self._since: float | None = None  # when its oldest was put
        self._until = 0.0  # when its latest was put
        self._marks: deque[_Mark] = deque()  # of what it was given; under write_lock, copied bare
        self._last = 0.0  # when a caller last sent something
        self._at_a_time = _MOST
        self.lag_due = _NEVER
        """When :meth:`check_lag` is due, by the connection's clock; the I/O thread's."""
        self.failure: ConnectionClosedError | None = None
        """What a caller met while it wrote; for the I/O thread to deal with."""

    # From any thread.

    def put(self, payload: bytes, timeout: float | None, *, on_io_thread: bool, live_s: float = 0.0) -> None:
        """
        Write one text frame or queue it; wait for room if it comes to that.

        Args:
            timeout: Seconds to wait for room.
            on_io_thread: Whether the caller is the I/O thread, which never waits, and for which there is
                always room.
            live_s: Seconds of live sound in it: what may be dropped.
        """
        transport = self._transport
        if transport is not None and not on_io_thread:
            now = time.monotonic()
            is_alone, self._last = now - self._last > _IN_A_ROW, now
            # Whether it is worth trying is decided without a lock, and again under it.
            if is_alone and not self._queue and not self.write_lock.locked() and transport.may_write_here:
                is_tried = is_written = is_first = False
                try:
                    with self.write_lock:
                        is_open = self._end is None and self.failure is None and self._transport is not None
                        if is_open and not self._queue and not transport.unsent:
                            is_tried = True
                            transport.send(payload)
                            when = self._clock()
                            self._mark(transport, when, live_s > 0)
                            is_written = transport.flush()
                            if not is_written:
                                self._since = self._until = when
                            is_first = live_s > 0 and self.lag_due == _NEVER
                            if is_first:
                                self.lag_due = when + self._watch.limit
                except ConnectionClosedError as exc:
                    self.failure = exc  # the I/O thread's to find and to tell
                finally:
                    if is_tried and (is_first or not is_written):
                        self._wake()
                if is_tried:
                    self._last = time.monotonic()
                    return
        self._enqueue(payload, timeout, on_io_thread, live_s)

    def put_together(self, payloads: Sequence[bytes], timeout: float | None, *, on_io_thread: bool) -> None:
        """Queue several text frames, all of them or none, with no other between; see :meth:`put`."""
        *before, last = payloads
        self._enqueue(last, timeout, on_io_thread, 0.0, before)

    def _mark(self, transport: Transport, put: float, is_live: bool) -> None:
        """Note how far the transport's bytes go of a frame that it was given; under ``write_lock``."""
        marks = self._marks
        if marks:
            _, first, was_live = marks[-1]
            if was_live is is_live and put - first < _TOGETHER:
                marks[-1] = (transport.given, first, is_live)
                return
            if len(marks) >= _MARKS:
                self._forget_acknowledged(transport)
                if len(marks) >= _MARKS:
                    marks.popleft()
        marks.append((transport.given, put, is_live))

    def _forget_acknowledged(self, transport: Transport) -> None:
        """Forget what the far end has; under ``write_lock``."""
        marks, acknowledged = self._marks, transport.acknowledged
        while marks and marks[0][0] <= acknowledged:
            marks.popleft()

    def _enqueue(
        self,
        payload: bytes,
        timeout: float | None,
        on_io_thread: bool,
        live_s: float,
        before: Sequence[bytes] = (),
    ) -> None:
        size = len(payload) + (sum(map(len, before)) if before else 0)
        deadline: Deadline | None = None
        while True:  # another thread may be quicker
            with self._condition.lock:
                if self._end is not None:
                    raise self._end.again()
                if self._watch.may_drop and not self._is_room(size):
                    self._drop_locked(lambda _: not self._is_room(size))
                if on_io_thread or self._is_room(size):
                    when = self._clock()
                    for other in before:
                        self._queue.append((other, when, 0.0))
                    self._queue.append((payload, when, live_s))
                    self._queued += size
                    if live_s:
                        self._live.append(when)
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

    def _drop_locked(self, is_wanted: Callable[[float], bool]) -> None:
        """Drop live sound, the oldest first, as long as its age, put then, is one to drop."""
        kept: list[_Frame] = []
        run: list[_Frame] = []
        while self._queue and self._live and is_wanted(self._live[0]):
            frame = self._queue.popleft()
            if frame[2]:
                self._forget_live_locked(frame)
                self._queued -= len(frame[0])
                run.append(frame)
            else:
                kept.append(frame)
                self._note_dropped_locked(run)
                run = []
        self._note_dropped_locked(run)
        self._queue.extendleft(reversed(kept))

    def _note_dropped_locked(self, run: list[_Frame]) -> None:
        if run:
            seconds = sum(live_s for _, _, live_s in run)
            self._dropped.append(DroppedSound(run[0][1], len(run), seconds))

    def _forget_live_locked(self, frame: _Frame) -> None:
        """Forget when live sound was put that leaves; Ctrl-C may have kept that from being noted."""
        while self._live and self._live[0] <= frame[1]:
            self._live.popleft()

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
            self._live.clear()
            self._queued = 0
            self._condition.notify_all()
        self._since = None

    @property
    def unsent_since(self) -> float | None:
        """When the oldest frame was put that is not written; ``None`` if all are."""
        since = self._since
        if since is None:
            with contextlib.suppress(IndexError):  # it has just been handed over
                since = self._queue[0][1]
        return since

    @property
    def lag_s(self) -> float:
        """Seconds that the oldest frame has waited that the far end's system has not; 0 if it has all."""
        # Not tuple(): it may collect garbage in the midst, and whose finalizer lets another thread append.
        transport, marks = self._transport, self._marks.copy()
        since = None
        if transport is not None and marks:
            acknowledged = transport.acknowledged
            since = next((put for end, put, _ in marks if end > acknowledged), None)
        if since is None:
            since = self.unsent_since
        return 0.0 if since is None else max(0.0, self._clock() - since)

    def written_at(self, put: float) -> float | None:
        """Return when a frame was written that was put at *put*; ``None`` if it still waits."""
        since = self.unsent_since
        return None if since is not None and put >= since - SLACK else self._watch.written_at(put)

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
        return bool(self._queue) and not transport.unsent

    def hand_over(self, transport: Transport) -> None:
        """Give the transport the oldest that is queued; under ``write_lock``."""
        size = 0
        batch: list[_Frame] = []
        with self._condition.lock:
            queue = self._queue
            if queue:
                # Before it leaves, for those who look without a lock.
                self._since = self._since or queue[0][1]
            while queue and size < self._at_a_time:
                batch.append(frame := queue.popleft())
                size += len(frame[0])
                if frame[2]:
                    self._forget_live_locked(frame)
            self._queued -= size
            self._condition.notify_all()
        for payload, when, live_s in batch:
            transport.send(payload)
            self._mark(transport, when, live_s > 0)
            self._until = when

    def write(self, transport: Transport) -> bool:
        """
        Hand over what is due and write as much as the system takes; under ``write_lock``.

        Returns:
            Whether it took something that had to wait for it: the peer, then, has taken what was before.
        """
        waited = transport.unsent
        if self._queue and not waited:
            self.hand_over(transport)
        before = transport.unsent
        if transport.flush():
            self._at_a_time = min(_MOST, 2 * self._at_a_time)
            if self._since is not None:
                self._watch.note_written(self._until, self._clock())
                self._since = None
        else:
            self._at_a_time = _LEAST
        self._plan()
        return bool(waited) and transport.unsent < before

    def check_lag(self) -> LagReport | None:
        """Drop what has waited too long, if it may be, and return what is to be told, if anything is."""
        watch, now = self._watch, self._clock()
        lag_s = self.lag_s
        with self.write_lock:
            if self._transport is not None:
                self._forget_acknowledged(self._transport)
            since = self._live_since()
        lag = 0.0 if since is None else now - since
        if watch.may_drop and lag >= watch.limit:
            with self._condition.lock:
                if self._live:
                    # The older half: few longer gaps are understood better than many short ones.
                    middle = (self._live[0] + now) / 2
                    self._drop_locked(lambda put: put < middle)
                self._condition.notify_all()
        report = watch.look(lag, now, lag_s, self._queued, tuple(self._dropped))
        if report is not None:
            with self._condition.lock:
                del self._dropped[: len(report.dropped)]
        with self.write_lock:
            self._plan()
        return report

    def _live_since(self) -> float | None:
        """
        Return when the oldest live sound was put that the far end does not have, as far as was last looked.

        Under ``write_lock``: callers that write add marks.
        """
        given = next((put for _, put, is_live in self._marks if is_live), None)
        return self._queued_live_since() if given is None else given

    def _queued_live_since(self) -> float | None:
        try:
            return self._live[0] if self._live else None
        except IndexError:  # a caller has dropped it since, to make room
            return None

    def _plan(self) -> None:
        """Note when :meth:`check_lag` is due; under ``write_lock``, as is a caller's first live sound."""
        oldest, droppable = self._live_since(), self._queued_live_since()
        self.lag_due = self._watch.due_at(oldest, droppable, has_dropped=bool(self._dropped))
