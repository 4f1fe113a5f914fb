"""
One WebSocket connection: bytes in, bytes out; knows no events.

Threads and locks: :class:`Connection` is only a handle and has none; see ``reader.py``. The
I/O thread holds the reader, not the handle, so a handle that is dropped without ``close()``
is collected, and its finalizer closes the connection.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

from .._concurrency import shutdown
from .._concurrency.deadline import Deadline
from ..errors import ConnectionClosedError
from ..options import WebSocketOptions
from .io_thread import CloseRequest, IOThread, Opener, Outcome
from .state import WebSocketState
from .websocket import Payload, Target, WebSocketImpl, open_transport

__all__ = ["Connection"]


class Connection:
    """
    One WebSocket connection and the one thread that owns it.

    Args:
        target: Where to connect to; called on the I/O thread, because a credential may
            take its time. What it raises ends the connection.
        options: How to connect, and the limits; their ``headers`` are the target's business.
        on_open: Called when frames can flow.
        on_message: Called with each message, text or binary. It lies in the buffer that is read into:
            what is to outlast the call must be copied.
        on_end: Called once, always and last, with the reason.
        websocket_impl: Makes the ``websocket.WebSocket`` to use.
        opener: Makes the transport.

    Raises:
        TypeError: If *websocket_impl* cannot make a WebSocket.

    **Threads.** Every method may be called from any thread, also from the callbacks, which
    run on the I/O thread (``on_end`` on a thread of its own, ``…-end``, if the I/O thread is stuck). An
    exception of a callback is logged and goes no further. After a fork the child can
    neither send nor harm the parent's connection.
    """

    def __init__(
        self,
        target: Callable[[], Target],
        options: WebSocketOptions,
        *,
        on_open: Callable[[], None],
        on_message: Callable[[Payload], None],
        on_end: Callable[[Outcome], None],
        websocket_impl: WebSocketImpl | None = None,
        opener: Opener = open_transport,
    ) -> None:
        if websocket_impl is not None and not callable(websocket_impl):
            raise TypeError("websocket_impl must be a websocket.WebSocket class or a function that makes one")
        self._reader = IOThread(target, options, on_open, on_message, on_end, websocket_impl, opener)
        # Weakly: what the reader ends with may lead back to this object, which then never went. As long as
        # there is something to drop, the reader's own thread holds it.
        finalizer = weakref.finalize(self, _drop, weakref.ref(self._reader))
        finalizer.atexit = False  # at exit all say goodbye at the same time
        shutdown.register(shutdown.Stage.TRANSPORTS, self._reader, _say_goodbye, IOThread.join)

    def start(self) -> None:
        """Start the I/O thread, which connects; returns at once. Once only."""
        self._reader.start()

    def send(self, payload: bytes, timeout: float | None = 30.0) -> None:
        """
        Queue one text frame. The order of calls is the order on the wire.

        Returns at once, also before the connection is open, unless the backlog is full;
        then it waits, but never on the I/O thread, where the limit does not hold.

        Args:
            payload: UTF-8.
            timeout: Seconds to wait for room; ``None`` waits as long as the connection lasts.

        Raises:
            ConnectionClosedError: If the connection is over or being closed.
            ConnectError: If it could not be made.
            TimeoutError: If the backlog stayed full; the payload was not queued.
            RuntimeError: In a forked child.
        """
        self._reader.send(payload, Deadline(timeout))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was queued is written; return whether it is. Never waits on the I/O thread."""
        return self._reader.flush(Deadline(timeout))

    def close(self, timeout: float | None = None, code: int = 1000, reason: str = "") -> bool:
        """
        Say goodbye: write what is queued, send the close frame, wait for the peer's.

        Idempotent; a handshake that is going on is given up at once. Returns within
        *timeout* + 1 seconds whatever the peer, the network or a callback does. On the
        I/O thread it only starts the closing.

        Args:
            timeout: Seconds for all of it; ``None`` means ``close_timeout`` of the options.
            code: 1000 or 3000 to 4999, for the peer.
            reason: At most 123 bytes of UTF-8, for the peer.

        Returns:
            Whether the I/O thread has ended. If not, it is stuck in the system's resolver,
            a credential or a callback, and ends by itself as soon as that returns.

        Raises:
            ValueError: If code or reason cannot be sent.
        """
        if code != 1000 and not 3000 <= code < 5000:
            raise ValueError(f"code must be 1000 or between 3000 and 4999, not {code}")
        if len(reason.encode()) > 123:
            raise ValueError("reason must not be longer than 123 bytes in UTF-8")
        if timeout is None:
            timeout = self._reader.options.close_timeout
        return self._reader.close(CloseRequest(code, reason, Deadline(timeout), timeout))

    def abort(self, outcome: ConnectionClosedError) -> None:
        """End at once, with this outcome; what is queued is lost. Does not wait."""
        self._reader.abort(outcome)

    @property
    def state(self) -> WebSocketState:
        """Where the connection is in its life."""
        return self._reader.state

    @property
    def outcome(self) -> Outcome | None:
        """Why it ended; ``None`` as long as it has not. To raise it, raise ``outcome.again()``."""
        return self._reader.outcome

    def owns_this_thread(self) -> bool:
        """Tell whether the caller is the I/O thread, which must not wait for the connection."""
        return self._reader.owns_this_thread()

    def check_ours(self) -> None:
        """Raise :class:`RuntimeError` in a forked child, where nothing ever comes."""
        self._reader.check_ours()

    def __repr__(self) -> str:
        return f"<Connection {self._reader.name}: {self.state.name}>"


def _drop(reference: weakref.ref[IOThread]) -> None:
    reader = reference()
    if reader is not None:
        reader.drop()


def _say_goodbye(reader: IOThread) -> None:
    seconds = shutdown.SECONDS[shutdown.Stage.TRANSPORTS]
    reader.request_close(CloseRequest(1000, "", Deadline(seconds), seconds))
