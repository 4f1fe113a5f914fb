"""
The handle of one WebSocket connection: bytes in, bytes out; knows no events.

Threads and locks: none here, see ``driver.py``. The I/O thread holds the driver, not the handle, so a handle
that is dropped without ``close()`` is collected, and its finalizer closes the connection.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence

from .._concurrency import shutdown
from .._net.dial import Target
from .._repr import also_half_made
from ..errors import ConnectionClosedError
from ..options import WebSocketOptions
from .dialling import Opener, WebSocketImpl
from .driver import ConnectionDriver, Outcome
from .frames import Payload
from .io_thread import IOThread
from .send_lag import LagReport
from .state import WebSocketState

__all__ = ["Connection"]


class Connection:
    """
    One WebSocket connection.

    Args:
        target: Where to connect to; called on the dial thread, because a credential may take its time. What
            it raises ends the connection.
        options: How to connect, and the limits; their ``headers`` are up to *target*.
        on_open: Called when frames can flow.
        on_message: Called with each message, text or binary. It lies in the buffer that is read into:
            what is to outlast the call must be copied.
        on_end: Called once, always and last, with the reason.
        on_lag: Called when live sound has waited for ``lag_limit``, once a second while the line is behind,
            and when it has caught up.
        websocket_impl: Makes the ``websocket.WebSocket`` to use.
        io_thread: Serves the connection, beside others. ``None`` makes one that ends with the connection.
        opener: Makes the transport; ``None`` for :func:`.open_transport`.
        clock: Of the I/O thread that is made.

    **Threads.** Every method may be called from any thread, also from the callbacks, which run on the I/O
    thread (``on_end`` on a thread of its own, ``…-end``, if the I/O thread is stuck). An exception of a
    callback is logged and goes no further. Dialling has a thread of its own, ``azure-rt-dial-N``. After a
    fork the child can neither send nor harm the parent's connection.

    Raises:
        TypeError: If *websocket_impl* cannot make a WebSocket.
    """

    def __init__(
        self,
        target: Callable[[], Target],
        options: WebSocketOptions,
        *,
        on_open: Callable[[], None],
        on_message: Callable[[Payload], None],
        on_end: Callable[[Outcome], None],
        on_lag: Callable[[LagReport], None] | None = None,
        websocket_impl: WebSocketImpl | None = None,
        io_thread: IOThread | None = None,
        opener: Opener | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if websocket_impl is not None and not callable(websocket_impl):
            raise TypeError("websocket_impl must be a websocket.WebSocket class or a function that makes one")
        if opener is None:
            # Not with the module: websocket-client takes an eighth of the time of importing this package.
            from .handshake import open_transport

            opener = open_transport
        self._driver = ConnectionDriver(
            target, options, on_open, on_message, on_end, on_lag, websocket_impl, io_thread, opener, clock
        )
        # Weakly: the driver's outcome may lead back to this object, which then would never be collected. As
        # long as there is something to drop, the I/O thread holds the driver.
        finalizer = weakref.finalize(self, _drop, weakref.ref(self._driver))
        finalizer.atexit = False  # at exit all are closed at the same time
        shutdown.register(shutdown.Stage.TRANSPORTS, self._driver, _close_at_exit, ConnectionDriver.join)

    def start(self) -> None:
        """
        Begin to connect; returns at once. Once only.

        Raises:
            RuntimeError: If it was started before, or the I/O thread takes no more connections.
        """
        self._driver.start()

    def send(self, payload: bytes, timeout: float | None = 30.0, *, live_s: float = 0.0) -> None:
        """
        Send one text frame, or queue it. The order of calls is the order on the connection.

        Returns at once, also before the connection is open, unless the backlog is full;
        then it waits, but never on the I/O thread, where the limit does not hold.

        Args:
            payload: UTF-8.
            timeout: Seconds to wait for room; ``None`` waits as long as the connection lasts.
            live_s: Seconds of live sound in it: its lag is told, and with ``lag="drop_oldest"`` it may be
                dropped before it is written. 0 for all else.

        Raises:
            ConnectionClosedError: If the connection is over or being closed.
            ConnectError: If it could not be made.
            TimeoutError: If the backlog stayed full; the payload was not queued.
            RuntimeError: In a forked child.
        """
        driver = self._driver
        driver.check_ours()
        driver.send_queue.put(payload, timeout, on_io_thread=driver.owns_this_thread(), live_s=live_s)

    def send_together(self, payloads: Sequence[bytes], timeout: float | None = 30.0) -> None:
        """Queue several text frames, all of them or none, with no other between. As :meth:`send`."""
        driver = self._driver
        driver.check_ours()
        driver.send_queue.put_together(payloads, timeout, on_io_thread=driver.owns_this_thread())

    @property
    def send_lag_s(self) -> float:
        """Seconds that the oldest frame has waited that the far end does not have; 0 if it has all."""
        return self._driver.send_queue.lag_s

    def written_at(self, sent: float) -> float | None:
        """
        Return when the system had taken what was sent at a moment, by the connection's clock.

        ``None`` as long as it waits behind other frames; *sent* itself if it did not have to.
        """
        return self._driver.send_queue.written_at(sent)

    def close(self, timeout: float | None = None, code: int = 1000, reason: str = "") -> bool:
        """
        Write what is queued, send the close frame, wait for the peer's.

        Idempotent; a handshake that is going on is given up at once. Returns within
        *timeout* + 1 seconds whatever the peer, the network or a callback does. On the
        I/O thread it only begins to close.

        Args:
            timeout: Seconds for all of it; ``None`` means ``close_timeout`` of the options.
            code: 1000 or 3000 to 4999, for the peer.
            reason: At most 123 bytes of UTF-8, for the peer.

        Returns:
            Whether the connection's threads have ended; of an I/O thread that is shared, whether it is done
            with the connection. If not, one is stuck in the system's resolver, a credential or a callback,
            and ends as soon as that returns.

        Raises:
            ValueError: If code or reason cannot be sent.
        """
        if code != 1000 and not 3000 <= code < 5000:
            raise ValueError(f"code must be 1000 or between 3000 and 4999, not {code}")
        if len(reason.encode()) > 123:
            raise ValueError("reason must not be longer than 123 bytes in UTF-8")
        return self._driver.close(code, reason, timeout)

    def begin_close(self, timeout: float) -> None:
        """Begin to close, with *timeout* seconds for all of it. Does not wait; :meth:`close` does."""
        self._driver.begin_close(timeout)

    def end_aside(self) -> None:
        """End although the I/O thread is held up in a callback; ``on_end`` is waited for, 0.25 s at most."""
        self._driver.end_aside()

    def abort(self, outcome: ConnectionClosedError) -> None:
        """End at once, with this outcome; what is queued is lost. Does not wait."""
        self._driver.abort(outcome)

    @property
    def state(self) -> WebSocketState:
        """Where the connection is in its life."""
        return self._driver.state

    @property
    def outcome(self) -> Outcome | None:
        """Why it ended; ``None`` as long as it has not. To raise it, raise ``outcome.again()``."""
        return self._driver.outcome

    @property
    def heard_at(self) -> float:
        """When bytes last arrived, by the I/O thread's clock."""
        return self._driver.heard_at

    @property
    def peer_date(self) -> float | None:
        """Unix time of the peer's clock at the handshake, if it told."""
        return self._driver.peer_date

    def owns_this_thread(self) -> bool:
        """Tell whether the caller is the I/O or dial thread, which must not wait for the connection."""
        return self._driver.owns_this_thread()

    def check_ours(self) -> None:
        """Raise :class:`RuntimeError` in a forked child, where nothing ever comes."""
        self._driver.check_ours()

    @also_half_made
    def __repr__(self) -> str:
        return f"<Connection {self._driver.name}: {self.state.name}>"


def _drop(reference: weakref.ref[ConnectionDriver]) -> None:
    driver = reference()
    if driver is not None:
        driver.drop()


def _close_at_exit(driver: ConnectionDriver) -> None:
    driver.begin_close(shutdown.SECONDS[shutdown.Stage.TRANSPORTS])
