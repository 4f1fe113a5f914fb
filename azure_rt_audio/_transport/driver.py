"""
One connection from dialling to its end, as its I/O thread drives it, and what others leave for that thread.

::

    CONNECTING ──open──▶ OPEN ──close, peer's close──▶ CLOSING ──▶ CLOSED
        └───────── refused, closed, lost, aborted ─────────────────▶┘

Threads and locks: ``ConnectionDriver._condition`` guards the state, the close request and the outcome. It is
a leaf, never held over I/O, a callback or another lock. :meth:`ConnectionDriver.drop` takes no lock, because
a finalizer may run in the middle of anything. For the locks of sending see ``send_queue.py``.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from .._concurrency.program_end import ends_the_program
from .._log import get_logger
from .._net.connect_errors import out_of_descriptors
from .._net.dial import Target, import_now
from ..errors import ConnectError, ConnectionClosedError
from ..options import WebSocketOptions
from .close_reasons import closed_by_peer
from .closing import CloseHandshake, CloseRequest, being_closed, closed_unopened, held_up
from .dialling import Dialling, Opener, WebSocketImpl, no_token_in_time
from .frames import CloseFrame, Payload
from .io_thread import IOThread
from .keepalive import Keepalive
from .send_lag import LagReport, LagWatch
from .send_queue import SendQueue
from .state import WebSocketState

if TYPE_CHECKING:
    from .websocket import Transport

__all__ = ["ConnectionDriver", "Outcome"]

log: logging.Logger = get_logger(__name__)

Outcome = ConnectionClosedError | ConnectError

_MESSAGES_IN_A_ROW: Final = 64
"""Messages delivered before writers and other connections get their turn."""

_GRACE: Final = 0.4
"""Seconds beyond those of a close that the I/O thread has to end; a busy machine keeps it waiting."""

_NEVER: Final = float("inf")


class ConnectionDriver:
    """
    All of a connection but its handle; :class:`Connection` documents what it does.

    **Threads.** The first part is called from any thread, the second is the I/O thread's.
    """

    def __init__(
        self,
        target: Callable[[], Target],
        options: WebSocketOptions,
        on_open: Callable[[], None],
        on_message: Callable[[Payload], None],
        on_end: Callable[[Outcome], None],
        on_lag: Callable[[LagReport], None] | None,
        websocket_impl: WebSocketImpl | None,
        io_thread: IOThread | None,
        opener: Opener,
        clock: Callable[[], float],
    ) -> None:
        self.options = options
        self._owns_io_thread = io_thread is None
        self._io = io = IOThread(clock) if io_thread is None else io_thread
        self.check_ours = io.check_ours
        self.name = io.new_name()
        self._clock = io.clock
        self._on_open = on_open
        self._on_message = on_message
        self._on_end = on_end
        self._on_lag = on_lag
        name = self.name.replace("reader", "dial")
        self._dial = partial(Dialling, name, target, options, websocket_impl, opener, self._wake)
        self._dialling: Dialling | None = None  # written once, by start()
        watch = LagWatch(options.lag_limit, may_drop=options.lag == "drop_oldest")
        self.send_queue = SendQueue(options.max_send_backlog_bytes, self._wake, watch, self._clock)
        self._condition = Condition()  # a leaf; guards what follows
        self.state = WebSocketState.CONNECTING  # written under the lock, read bare
        self.outcome: Outcome | None = None  # written once under the lock, read bare
        self._close: CloseRequest | None = None
        self._abort: ConnectionClosedError | None = None
        self.is_over = False  # written once, when the I/O thread is done with it
        self._dropped = False  # set by drop(), without the lock
        # For the I/O thread: see Served.
        self.is_ready = False
        self.is_called = False
        self.due = _NEVER
        # The I/O thread's own.
        self._transport: Transport | None = None
        self._interest = 0
        self._keepalive = Keepalive(options.ping_interval, options.ping_timeout)
        self.heard_at = 0.0  # when bytes last arrived, or the peer made room for some of ours
        self.peer_date: float | None = None  # of the peer's clock at the handshake
        self._acknowledged = 0  # bytes that the far end had at the last look
        self._ping_end: int | None = None  # how far the bytes go of a ping that is behind others
        self._closing = CloseHandshake(self._clock)
        self._failure: ConnectionClosedError | None = None  # writing is over, and the rest is being read
        # Whole messages may be buffered, at first those that came with the handshake.
        self._has_undelivered = True

    # From any thread.

    def start(self) -> None:
        if self._dialling is not None or self.outcome is not None:
            raise RuntimeError("a connection can be started only once")
        try:
            import_now(self.options)
            self._dialling = self._dial()
            self.due = self._clock() + self.options.connect_timeout
            self._io.add(self)
            self._dialling.start()
            if self._owns_io_thread:
                self._io.release()
        except OSError as exc:
            self._undo_start()
            raise out_of_descriptors(exc) from exc
        except BaseException:  # no more threads, or Ctrl-C, at any point
            self._undo_start()
            raise

    def _undo_start(self) -> None:
        """End, without a word to ``on_end``: the caller of start() is told."""
        self._record(closed_unopened())
        if self._dialling is not None:
            self._dialling.call_off()
        if self._io.take_back(self):
            self._note_over()
        else:
            self._wake()
        if self._owns_io_thread:
            self._io.release()

    def _wake(self) -> None:
        self.is_called = True
        self._io.wake()

    def owns_this_thread(self) -> bool:
        ident = threading.get_ident()
        dialling = self._dialling
        return ident == self._io.ident or (dialling is not None and ident == dialling.ident)

    def join(self, seconds: float | None) -> bool:
        """Wait for the connection's end and that of its threads; return whether they have ended."""
        dialling = self._dialling
        if dialling is None or not self._io.is_ours():
            return True
        deadline = Deadline(0.0 if self.owns_this_thread() else seconds)
        if self._owns_io_thread:
            has_ended = self._io.join(deadline.remaining())
        else:
            has_ended = self._condition.wait_quietly(lambda: self.is_over, deadline)
        return has_ended and dialling.join(deadline.remaining())

    def close(self, code: int, reason: str, timeout: float | None) -> bool:
        if not self._io.is_ours():
            return True  # nothing of this process's is left to end
        seconds = self.options.close_timeout if timeout is None else timeout
        self.begin_close(seconds, code, reason)
        if self.owns_this_thread():
            return False
        # The I/O thread keeps the deadline itself; what is added is for it to get that far.
        if not self.join(seconds + _GRACE):
            self.end_aside()
        return self.join(0)

    def begin_close(self, seconds: float, code: int = 1000, reason: str = "") -> None:
        """Begin to close; if that has begun, only a shorter deadline counts."""
        if not self._io.is_ours():
            return
        request = CloseRequest(code, reason, Deadline(seconds, self._clock), seconds)
        dialling = self._dialling
        if dialling is None:
            self._end(closed_unopened())
            return
        self.send_queue.refuse(being_closed())
        with self._condition.lock:
            if self._close is None:
                self._close = request
            elif (request.deadline.remaining() or 0.0) < (self._close.deadline.remaining() or 0.0):
                self._close = attrs.evolve(self._close, deadline=request.deadline, timeout=request.timeout)
            if self.outcome is None:
                self.state = WebSocketState.CLOSING
        dialling.interrupt()
        self._wake()

    def abort(self, outcome: ConnectionClosedError) -> None:
        if not self._io.is_ours():
            return
        with self._condition.lock:
            self._abort = self._abort or outcome
        dialling = self._dialling
        if dialling is None:
            self._end(outcome)
            return
        dialling.interrupt()
        self._wake()

    def drop(self) -> None:
        """Close because the handle is gone. Takes no lock: it may run in the middle of anything."""
        self._dropped = True
        if not self._io.is_ours():
            return
        if self._dialling is not None:
            self._dialling.interrupt()
        self._wake()

    def _end(self, outcome: Outcome) -> None:
        """Record the outcome and tell it, unless there is one already."""
        if self._record(outcome):
            self._call(self._on_end, outcome)

    def end_aside(self) -> None:
        """The same for a caller that cannot wait for what hangs on the I/O thread, and may hang again."""
        outcome = held_up()
        # While Python exits no thread runs any more, and Thread.start would wait for one. Then on_end is not
        # called: here it could hang, and the callers that wait are gone, or daemons.
        if not self._record(outcome) or sys.is_finalizing():
            return
        name = f"{self.name}-end"
        thread = threading.Thread(target=self._call, args=(self._on_end, outcome), name=name, daemon=True)
        with contextlib.suppress(RuntimeError):
            thread.start()
            thread.join(0.25)

    def _record(self, outcome: Outcome) -> bool:
        """Write the outcome down, and wake callers that wait; return False if there is one already."""
        with self._condition.lock:
            if self.outcome is not None:
                return False
            self.outcome = outcome
            self.state = WebSocketState.CLOSED
        self.send_queue.end(outcome)
        log.info("= %s closed: %s", self.name, outcome)
        return True

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except BaseException as exc:
            if ends_the_program(exc):
                raise
            # The client's code failed, not the connection: later messages still count.
            log.exception("! %s: a callback failed", self.name)

    # On the I/O thread.

    def step(self, now: float) -> bool:
        """Do what is to be done, without waiting; return whether the connection goes on."""
        self.is_called = False
        transport = self._transport
        try:
            outcome = self._open(now) if transport is None else self._serve(transport, now)
        except BaseException:
            log.exception("! %s failed", self.name)
            self.fail()
            return False
        if outcome is None:
            return True
        self._finish(outcome)
        return False

    def fail(self) -> None:
        """End: the thread cannot go on."""
        self._finish(ConnectionClosedError("The connection's thread failed; please report this."))

    def _open(self, now: float) -> Outcome | None:
        """Take the transport that was dialled, unless the attempt was given up or has failed."""
        with self._condition.lock:
            verdict = self.outcome or self._abort
            if verdict is None and (self._close is not None or self._dropped):
                verdict = closed_unopened()
        dialling = self._dialling
        if dialling is None:
            return verdict
        result = dialling.result(is_wanted=verdict is None)
        if result is None and verdict is None and now >= self.due:
            self.due = _NEVER  # the opener keeps the same limit, and says why it failed
            if dialling.is_asking:
                dialling.interrupt()  # a token that comes later is not used
                return no_token_in_time(self.options.connect_timeout)
        if result is None or isinstance(result, Exception):
            return verdict or result
        with self._condition.lock:
            if self.state is WebSocketState.CONNECTING:
                self.state = WebSocketState.OPEN
        self._transport = result
        self._interest = result.interest
        self._io.watch(result, self, self._interest, is_new=True)
        if verdict is not None:
            self._closing.send_last(result, 1000)
            return verdict
        self.heard_at = self._clock()
        self.peer_date = result.date
        self.send_queue.attach(result)
        log.info("= %s open to %s after %.0f ms", self.name, result.where, 1000 * dialling.seconds)
        self._call(self._on_open)
        return self._serve(result, now)

    def _serve(self, transport: Transport, now: float) -> Outcome | None:
        """Move bytes both ways; return the outcome if this is the end."""
        try:
            outcome = self._move(transport, now)
        except ConnectionClosedError as exc:
            outcome = self._failed(transport, exc)
        if outcome is None:
            self._plan(transport)
        return outcome

    def _move(self, transport: Transport, now: float) -> Outcome | None:
        is_ready, self.is_ready = self.is_ready, False
        queue = self.send_queue
        closing = self._closing
        if queue.failure is not None and self._failure is None:
            raise queue.failure
        if closing.outcome is not None:
            return self._write_answer(transport)
        if is_ready or self._has_undelivered or transport.has_more or self._failure is not None:
            frame = self._read(transport, now)
            if frame is not None:
                return self._answer(transport, frame)
        if self._failure is not None:
            is_more = self._has_undelivered or transport.has_more
            return None if is_more and self._abort is None else self._failure
        if self._abort is not None:
            with queue.write_lock:
                closing.send_last(transport, self._abort.close_code)
            return self._abort
        if self.outcome is not None:  # close() could not wait for a callback any longer
            return closing.unanswered(closing.sent)
        if self._dropped and self._close is None:
            self.begin_close(self.options.close_timeout)
        request = self._close
        if now >= queue.lag_due:
            self._tell_lag()
        if not queue.is_empty or request is not None or transport.unsent:
            is_sent = closing.sent is not None
            with queue.write_lock:
                if queue.write(transport):
                    self.heard_at = now
                if request is not None and not is_sent and queue.is_empty:
                    closing.begin(transport, request)
                    transport.flush()
            if request is not None and not is_sent and closing.sent is not None:
                log.debug("> %s close %d", self.name, request.code)
        if now >= self._keepalive.due_at(self.heard_at):
            self._ping(transport, now)
        if request is not None and request.deadline.expired:
            return closing.unanswered(request)
        return None

    def _plan(self, transport: Transport) -> None:
        """Say what to wait for, and until when."""
        closing = self._closing
        interest = transport.interest
        if closing.outcome is not None:
            interest = selectors.EVENT_WRITE
            self.due = self._clock() + (closing.deadline.remaining() or 0.0)
        elif (
            self._has_undelivered or transport.has_more or self._failure or self.send_queue.is_due(transport)
        ):
            self.due = 0.0  # at once
        else:
            self.due = min(self._keepalive.due_at(self.heard_at), self.send_queue.lag_due)
            if self._close is not None:
                self.due = min(self.due, self._clock() + (self._close.deadline.remaining() or 0.0))
        if interest != self._interest:
            self._interest = interest
            self._io.watch(transport, self, interest, is_new=False)

    def _read(self, transport: Transport, now: float) -> CloseFrame | None:
        """Read once, unless there is plenty already, and deliver; return the peer's close frame."""
        if not self._has_undelivered:
            with self.send_queue.write_lock:
                if transport.fill():
                    self.heard_at = now
        receive, on_message = transport.receive, self._on_message
        for _ in range(_MESSAGES_IN_A_ROW):
            message = receive()
            if message is None:
                self._has_undelivered = False
                return None
            if isinstance(message, CloseFrame):
                return message
            try:
                on_message(message)
            except BaseException:
                log.exception("! %s: a callback failed", self.name)
            if self._abort is not None:
                return None
        self._has_undelivered = True
        return None

    def _tell_lag(self) -> None:
        """Drop sound that has waited too long, if it may be, and report how far sending is behind."""
        report = self.send_queue.check_lag()
        if report is not None and self._on_lag is not None:
            self._call(self._on_lag, report)

    def _ping(self, transport: Transport, now: float) -> None:
        """Ping after a silence; raise if there was one after a ping, too."""
        keepalive = self._keepalive
        if self._is_ping_on_its_way(transport):
            keepalive.note_ping(self._clock())
            return
        if keepalive.is_waiting and not keepalive.is_overslept(now):
            raise ConnectionClosedError(
                f"{transport.where} did not answer a ping within {self.options.ping_timeout:g} s, so the "
                "connection was given up; connect again for a new session.",
                close_code=1011,
                reason="keepalive ping timeout",
            )
        with self.send_queue.write_lock:
            self._acknowledged = transport.acknowledged
            transport.ping()
            # On a slow line much may be before it; else its time begins at once.
            is_behind = self.send_queue.lag_s > self.options.ping_timeout / 4
            self._ping_end = transport.given if is_behind else None
            transport.flush()
        keepalive.note_ping(self._clock())  # only now: a thread that is stopped on the way has not pinged yet
        log.debug("> %s ping", self.name)

    def _is_ping_on_its_way(self, transport: Transport) -> bool:
        """Whether the line was busy with what was before the ping: then its time begins anew."""
        if self._ping_end is None or not self._keepalive.is_waiting:
            return False
        before, self._acknowledged = self._acknowledged, transport.acknowledged
        if self._acknowledged >= self._ping_end:
            self._ping_end = None  # it has arrived meanwhile
            return True
        return self._acknowledged > before

    def _answer(self, transport: Transport, frame: CloseFrame) -> Outcome | None:
        """Finish the close handshake after the peer's close frame."""
        log.debug("< %s close %d", self.name, frame.code)
        closing = self._closing
        if self._failure is not None:
            return closed_by_peer(transport.where, frame.code, frame.reason)
        self.send_queue.refuse(being_closed())
        with self._condition.lock:
            if self.outcome is None:
                self.state = WebSocketState.CLOSING
        with self.send_queue.write_lock:
            closing.answer(transport, frame)
        return self._write_answer(transport)

    def _write_answer(self, transport: Transport) -> Outcome | None:
        """Write what is left of our last close frame; return the outcome when that is done, or given up."""
        closing = self._closing
        with contextlib.suppress(ConnectionClosedError), self.send_queue.write_lock:
            transport.flush()
            # A closing or dropped connection does not wait for it.
            is_wanted = self._close is None and self._abort is None and not self._dropped
            if transport.unsent and is_wanted and not closing.deadline.expired:
                return None
        return closing.outcome

    def _failed(self, transport: Transport, exc: ConnectionClosedError) -> Outcome | None:
        """Return the reason behind a failure; the peer may have sent it just before the line broke."""
        if self._failure is not None:
            return self._failure
        if exc.close_code != 1006:
            with self.send_queue.write_lock:
                # What was sent before the peer's mistake still counts.
                self.send_queue.hand_over(transport)
                self._closing.send_last(transport, exc.close_code, exc.reason)
            return exc
        if self._closing.sent is not None:
            return self._closing.unanswered(self._closing.sent)
        self._failure = exc
        return None

    def _finish(self, outcome: Outcome) -> None:
        """Release the transport, and tell the outcome."""
        transport, self._transport = self._transport, None
        if transport is not None:
            self.send_queue.attach(None)
            self._io.unwatch(transport)
            transport.release()
        elif self._dialling is not None:
            left = self._dialling.result(is_wanted=False)
            if left is not None and not isinstance(left, Exception):
                left.release()
        self._end(outcome)
        self.due = _NEVER
        self._note_over()

    def _note_over(self) -> None:
        with self._condition.lock:
            self.is_over = True
            self._condition.notify_all()
