"""
The thread that owns a connection, and what others leave for it: state, close request and outcome.

The I/O thread ``azure-rt-reader-N`` opens the connection, reads, writes, pings, closes and alone releases
the descriptor. What others send goes through the send_queue: at once, while this thread waits, or by way of a
queue. So no two calls of OpenSSL overlap, and nothing that must end waits behind a stalled send.

::

    CONNECTING ──open──▶ OPEN ──close, peer's close──▶ CLOSING ──▶ CLOSED
        └───────── refused, closed, lost, aborted ─────────────────▶┘

Threads and locks: ``IOThread._lock`` guards the state, the close request and the outcome. It is a
leaf, never held over I/O, a callback or another lock. :meth:`IOThread.drop` takes no lock, because a
finalizer may run in the midst of anything. For the locks of the way out see ``send_queue.py``.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import selectors
import threading
import time
from collections.abc import Callable
from typing import Final

import attrs

from .._concurrency.deadline import Deadline
from .._net.connect_errors import closed_by_peer
from ..errors import AUTHENTICATION_ERROR, ConnectError, ConnectionClosedError
from ..options import WebSocketOptions
from .keepalive import Keepalive
from .send_queue import SendQueue
from .state import WebSocketState
from .websocket import CloseFrame, Payload, Target, Transport, Waker, WebSocketImpl

__all__ = ["CloseRequest", "IOThread", "Opener", "Outcome"]

log: logging.Logger = logging.getLogger(__name__)

_numbers = itertools.count(1)

_MESSAGES_IN_A_ROW: Final = 64
"""Messages delivered before writers get their turn again."""

_CLOSE_WRITE_TIMEOUT: Final = 3.0
"""Seconds for our answer to the peer's close frame to be written."""

_GRACE: Final = 0.4
"""Seconds that the I/O thread has for its end after those of the goodbye; a busy machine keeps it waiting."""

Opener = Callable[[Target, WebSocketOptions, Deadline, Waker, WebSocketImpl | None], Transport]
Outcome = ConnectionClosedError | ConnectError


@attrs.frozen
class CloseRequest:
    """How this side wants to say goodbye; *timeout* is what *deadline* was made from."""

    code: int
    reason: str
    deadline: Deadline
    timeout: float


def _closing() -> ConnectionClosedError:
    return ConnectionClosedError(
        "The connection is being closed, so nothing more can be sent; connect again."
    )


class IOThread:
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
        websocket_impl: WebSocketImpl | None,
        opener: Opener,
    ) -> None:
        self.options = options
        self.name = f"azure-rt-reader-{next(_numbers)}"
        self._target = target
        self._on_open = on_open
        self._on_message = on_message
        self._on_end = on_end
        self._websocket_impl = websocket_impl
        self._opener = opener
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None  # written once, by start()
        self._waker: Waker | None = None  # written once, by start(), before the thread runs
        self._ident: int | None = None  # of the I/O thread while it runs; written by it
        self._send_queue = SendQueue(options.max_send_backlog_bytes, self._wake)
        self._lock = threading.Lock()  # a leaf; guards what follows
        self.state = WebSocketState.CONNECTING  # written under _lock, read bare
        self.outcome: Outcome | None = None  # written once under _lock, read bare
        self._close: CloseRequest | None = None
        self._abort: ConnectionClosedError | None = None
        self._dropped = False  # set by drop(), without the lock
        # The I/O thread's own: whole messages may be buffered, at first those that came with the handshake.
        self._undelivered = True

    # From any thread.

    def start(self) -> None:
        if self._waker is not None or self.outcome is not None:
            raise RuntimeError("a connection can be started only once")
        self._waker = Waker()
        thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads, or the interpreter is exiting
            self._waker.close()
            self._record(self._unopened())
            raise
        self._thread = thread

    def _wake(self) -> None:
        if self._waker is not None:
            self._waker.wake()

    def owns_this_thread(self) -> bool:
        return self._ident == threading.get_ident()

    def join(self, seconds: float | None) -> bool:
        """Wait for the I/O thread to end; return whether it has, or never was."""
        thread = self._thread
        if thread is not None and self._is_ours() and not self.owns_this_thread():
            with contextlib.suppress(RuntimeError):  # Python 3.14 joins no daemon thread while it exits
                thread.join(seconds)
        return thread is None or not thread.is_alive()

    def _is_ours(self) -> bool:
        """Tell whether this is the process that made the connection, not a fork of it."""
        return os.getpid() == self._pid

    def check_ours(self) -> None:
        if not self._is_ours():
            raise RuntimeError("this connection belongs to the parent process; connect anew after a fork")

    def send(self, payload: bytes, deadline: Deadline) -> None:
        self.check_ours()
        self._send_queue.put(payload, deadline, mine=self.owns_this_thread())

    def flush(self, deadline: Deadline) -> bool:
        return self._send_queue.flush(deadline, lambda: self._is_ours() and not self.owns_this_thread())

    def close(self, request: CloseRequest) -> bool:
        if not self._is_ours():
            return True  # nothing of this process's is left to end
        self.request_close(request)
        if self.owns_this_thread():
            return False
        # The I/O thread keeps the deadline itself; what is added is for it to get that far.
        if not self.join(request.timeout + _GRACE):
            self._end_aside(self._stuck())
        return self.join(0)

    def request_close(self, request: CloseRequest) -> None:
        """Begin to say goodbye; if somebody already has, only a shorter deadline counts."""
        if not self._is_ours():
            return
        if self._waker is None:
            self._end(self._unopened())
            return
        self._send_queue.refuse(_closing())
        with self._lock:
            unopened = self.state is WebSocketState.CONNECTING
            if self._close is None:
                self._close = request
            elif (request.deadline.remaining() or 0.0) < (self._close.deadline.remaining() or 0.0):
                self._close = attrs.evolve(self._close, deadline=request.deadline, timeout=request.timeout)
            if self.outcome is None:
                self.state = WebSocketState.CLOSING
        if unopened:
            self._waker.interrupt()
        else:
            self._waker.wake()

    def abort(self, outcome: ConnectionClosedError) -> None:
        if not self._is_ours():
            return
        with self._lock:
            if self._abort is None:
                self._abort = outcome
        if self._waker is None:
            self._end(outcome)
        else:
            self._waker.interrupt()

    def drop(self) -> None:
        """Close because the handle is gone. Takes no lock: it may run in the midst of anything."""
        self._dropped = True
        if self._waker is not None and self._is_ours():
            self._waker.interrupt()

    def _end(self, outcome: Outcome) -> None:
        """Record the outcome and notify_all it, unless there is one already."""
        if self._record(outcome):
            self._call(self._on_end, outcome)

    def _end_aside(self, outcome: Outcome) -> None:
        """The same for a caller that cannot wait for what hangs on the I/O thread, and may hang again."""
        if not self._record(outcome):
            return
        name = f"{self.name}-end"
        thread = threading.Thread(target=self._call, args=(self._on_end, outcome), name=name, daemon=True)
        # Python 3.12 starts no thread any more while it exits. Then nobody is told: it would be done on this
        # thread, where it may hang, and those who wait are gone, or daemons that go now.
        with contextlib.suppress(RuntimeError):
            thread.start()
            thread.join(0.25)

    def _record(self, outcome: Outcome) -> bool:
        """Write the outcome down, and wake who waits here; return False if there is one already."""
        with self._lock:
            if self.outcome is not None:
                return False
            self.outcome = outcome
            self.state = WebSocketState.CLOSED
        self._send_queue.end(outcome)
        log.info("= %s closed: %s", self.name, outcome)
        return True

    def _unopened(self) -> ConnectionClosedError:
        return ConnectionClosedError("The connection was closed by this side before it was open.")

    def _stuck(self) -> ConnectionClosedError:
        return ConnectionClosedError(
            "The connection was closed by this side while its thread was held up in a callback, "
            "a credential or a proxy."
        )

    # On the I/O thread.

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except Exception:
            # The client's code failed, not the connection: later messages still count.
            log.exception("! %s: a callback failed", self.name)

    def _run(self) -> None:
        self._ident = threading.get_ident()
        outcome: Outcome = ConnectionClosedError("The connection's thread failed; please report this.")
        try:
            outcome = self._live()
        except Exception:
            log.exception("! %s failed", self.name)
        finally:
            self._end(outcome)
            self._ident = None  # the system gives it to another thread
            assert self._waker is not None
            self._waker.close()

    def _live(self) -> Outcome:
        """Open the connection, serve it until its end, and return the reason for the end."""
        assert self._waker is not None
        try:
            target = self._target()
        except (ConnectError, ConnectionClosedError) as exc:
            return self._verdict() or exc
        except Exception as exc:  # noqa: BLE001 - a credential is the user's code
            error = ConnectError(
                f"The credential could not be obtained ({type(exc).__name__}).", type=AUTHENTICATION_ERROR
            )
            error.__cause__ = exc
            return self._verdict() or error
        verdict = self._verdict()
        if verdict is not None:
            return verdict
        began = time.monotonic()
        try:
            deadline = Deadline(self.options.connect_timeout)
            transport = self._opener(target, self.options, deadline, self._waker, self._websocket_impl)
        except ConnectError as exc:
            return self._verdict() or exc
        del target  # holds the credential, and this frame lasts as long as the connection
        try:
            with self._lock:
                if self.state is WebSocketState.CONNECTING:
                    self.state = WebSocketState.OPEN
            verdict = self._verdict()
            if verdict is not None:
                self._part(transport, 1000)
                return verdict
            took_ms = 1000 * (time.monotonic() - began)
            log.info("= %s open to %s after %.0f ms", self.name, transport.where, took_ms)
            self._call(self._on_open)
            return self._serve(transport, self._waker)
        finally:
            transport.release()

    def _verdict(self) -> Outcome | None:
        """Return what was decided about the connection before it was open, if anything was."""
        with self._lock:
            if self.outcome is not None:
                return self.outcome
            if self._abort is not None:
                return self._abort
            return self._unopened() if self._close is not None or self._dropped else None

    def _serve(self, transport: Transport, waker: Waker) -> ConnectionClosedError:
        """Move bytes both ways until the end, and return the reason for it."""
        pulse = Keepalive(self.options.ping_interval, self.options.ping_timeout)
        sent_close: CloseRequest | None = None
        send_queue = self._send_queue
        send_queue.serve(transport)
        with selectors.DefaultSelector() as selector:
            selector.register(waker, selectors.EVENT_READ)
            key = selector.register(transport, transport.interest)
            while True:
                if key.events != transport.interest:
                    key = selector.modify(transport, transport.interest)
                ready = self._wait(selector, waker, self._patience(pulse, transport))
                try:
                    if send_queue.failure is not None:
                        raise send_queue.failure
                    if transport in ready or transport.has_more or self._undelivered:
                        goodbye = self._read(transport)
                        if goodbye is not None:
                            return self._answer(transport, goodbye, sent_close)
                    if self._abort is not None:
                        self._part(transport, self._abort.close_code)
                        return self._abort
                    if self.outcome is not None:  # close() could not wait for a callback any longer
                        return self._unanswered(sent_close)
                    if self._dropped and self._close is None:
                        patience = self.options.close_timeout
                        self.request_close(CloseRequest(1000, "", Deadline(patience), patience))
                    send_queue.hand_over(transport)
                    request = self._close
                    if request is not None and sent_close is None and send_queue.is_empty:
                        log.debug("> %s close %d", self.name, request.code)
                        transport.send_close(request.code, request.reason)
                        sent_close = request
                    self._ping(transport, pulse)
                    if transport.unsent:
                        transport.flush()
                    send_queue.note_written(transport)
                except ConnectionClosedError as exc:
                    return self._broken(transport, exc, sent_close)
                if request is not None and request.deadline.expired:
                    return self._unanswered(request)

    def _wait(self, selector: selectors.BaseSelector, waker: Waker, seconds: float | None) -> list[object]:
        """Wait until something is to be done, lending the transport meanwhile; return what is ready."""
        if seconds == 0.0:
            fired = selector.select(0.0)
        else:
            self._send_queue.release_to_callers()
            try:
                # Who was suspended in a wait comes back to one that is over, whatever has arrived meanwhile;
                # without a second look that would count as silence.
                fired = selector.select(seconds if waker.arm() else 0.0) or selector.select(0.0)
            finally:
                waker.disarm()
                self._send_queue.reacquire()
        ready: list[object] = [key.fileobj for key, _ in fired]
        waker.drain(waker in ready)
        return ready

    def _patience(self, pulse: Keepalive, transport: Transport) -> float | None:
        """Return how long the next wait for the socket may be."""
        if self._undelivered or transport.has_more or self._send_queue.is_due(transport):
            return 0.0
        waits = [pulse.due(time.monotonic(), transport.last_heard)]
        if self._close is not None:
            waits.append(self._close.deadline.remaining())
        return min((wait for wait in waits if wait is not None), default=None)

    def _read(self, transport: Transport) -> CloseFrame | None:
        """Read once, unless there is plenty already, and deliver; return the peer's goodbye."""
        if not self._undelivered:
            transport.fill()
        receive, on_message = transport.receive, self._on_message
        for _ in range(_MESSAGES_IN_A_ROW):
            message = receive()
            if message is None:
                self._undelivered = False
                return None
            if isinstance(message, CloseFrame):
                return message
            try:
                on_message(message)
            except Exception:
                log.exception("! %s: a callback failed", self.name)
            if self._abort is not None:
                return None
        self._undelivered = True
        return None

    def _ping(self, transport: Transport, pulse: Keepalive) -> None:
        """Ping after a silence; raise if there was one after a ping, too."""
        now = time.monotonic()
        if pulse.due(now, transport.last_heard) != 0.0:
            return
        if pulse.is_waiting and not pulse.overslept(now):
            raise ConnectionClosedError(
                f"{transport.where} did not answer a ping within {self.options.ping_timeout:g} s, so the "
                "connection was given up; connect again for a new session.",
                close_code=1011,
                reason="keepalive ping timeout",
            )
        transport.ping()
        transport.flush()
        pulse.asked(time.monotonic())  # only now: who is stopped on the way has not asked yet
        log.debug("> %s ping", self.name)

    def _answer(
        self, transport: Transport, goodbye: CloseFrame, sent_close: CloseRequest | None
    ) -> ConnectionClosedError:
        """Finish the close handshake after the peer's close frame."""
        log.debug("< %s close %d", self.name, goodbye.code)
        self._send_queue.refuse(_closing())
        with self._lock:
            if self.outcome is None:
                self.state = WebSocketState.CLOSING
        if sent_close is not None:
            return ConnectionClosedError(
                "The connection was closed by this side.",
                close_code=goodbye.code,
                reason=goodbye.reason or sent_close.reason,
                is_clean=True,
            )
        self._part(transport, goodbye.code, patience=_CLOSE_WRITE_TIMEOUT)
        return closed_by_peer(transport.where, goodbye.code, goodbye.reason)

    def _part(self, transport: Transport, code: int, reason: str = "", patience: float = 0.0) -> None:
        """Send a close frame as far as the socket takes it within *patience* seconds; never raises."""
        if code in (1005, 1006, 1015):
            code = 1000  # these may not be sent
        assert self._waker is not None
        deadline = Deadline(patience)
        try:
            transport.send_close(code, reason)
            transport.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(transport, selectors.EVENT_WRITE)
                selector.register(self._waker, selectors.EVENT_READ)
                # Who closes as well, or has gone, does not wait for last words.
                while transport.unsent and not deadline.expired and self._close is None and not self._dropped:
                    if self._waker.arm():
                        selector.select(deadline.remaining())
                    self._waker.drain()
                    transport.flush()
        except ConnectionClosedError:
            pass  # the peer has gone without waiting for it

    def _broken(
        self, transport: Transport, exc: ConnectionClosedError, sent_close: CloseRequest | None
    ) -> ConnectionClosedError:
        """Return the reason behind a failure: the peer may have said it just before the line broke."""
        if exc.close_code != 1006:
            self._send_queue.hand_over(transport)  # what was sent before the peer's mistake still counts
            self._part(transport, exc.close_code, exc.reason)
            return exc
        if sent_close is not None:
            return self._unanswered(sent_close)
        try:
            while self._abort is None:
                goodbye = self._read(transport)
                if goodbye is not None:
                    return closed_by_peer(transport.where, goodbye.code, goodbye.reason)
                if not (self._undelivered or transport.has_more):
                    break
        except ConnectionClosedError:
            pass  # nothing more was said
        return exc

    def _unanswered(self, request: CloseRequest | None) -> ConnectionClosedError:
        """Return the outcome of a goodbye of ours that the peer did not answer."""
        detail = f" within {request.timeout:g} s" if request and request.deadline.expired else ""
        return ConnectionClosedError(
            f"The connection was closed by this side; the peer did not answer the goodbye{detail}.",
            reason=request.reason if request else "",
        )
