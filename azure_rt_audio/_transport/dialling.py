"""
Dialling: credential, DNS, TCP, proxy, TLS and the opening handshake, on a short-lived thread of its own.

So an attempt never delays a connection that is open, and what cannot be interrupted, such as a credential or
the system's resolver, hangs a thread that nobody has to wait for. All of it has ``connect_timeout``: the
opener keeps that by itself, and an attempt whose credential does not is given up by its driver.

Threads and locks: ``Dialling._lock`` decides who owns the transport: the dial thread, which releases it if
the attempt was abandoned, or the I/O thread. It is a leaf. :meth:`Dialling.interrupt` takes only the waker's.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._concurrency.deadline import Deadline
from .._concurrency.program_end import join_thread
from .._log import get_logger
from .._net.dial import Target
from .._net.waiting import Waker
from .._secret import forget_locals
from ..errors import AUTHENTICATION_ERROR, ConnectError, ConnectionClosedError
from ..options import WebSocketOptions
from .closing import closed_unopened

if TYPE_CHECKING:
    import websocket

    from .websocket import Transport

    WebSocketImpl = type[websocket.WebSocket] | Callable[..., websocket.WebSocket]
    Opener = Callable[[Target, WebSocketOptions, Deadline, Waker, WebSocketImpl | None], Transport]
else:
    WebSocketImpl = Opener = Callable[..., Any]

__all__ = ["Dialling", "Opener", "WebSocketImpl", "no_token_in_time"]

log: logging.Logger = get_logger(__name__)


def no_token_in_time(seconds: float) -> ConnectError:
    """Return why an attempt has ended whose credential did not answer within ``connect_timeout``."""
    hint = (
        "Check the credential by itself, get_token(scope) or the function you gave, or raise connect_timeout."
    )
    return ConnectError(
        f"The credential gave no token within {seconds:g} s (connect_timeout). {hint}",
        type=AUTHENTICATION_ERROR,
        hint=hint,
    )


class Dialling:
    """
    One attempt to connect.

    Args:
        name: Of the thread.
        target: Where to connect to; a credential may take its time.
        options: How.
        websocket_impl: Makes the ``websocket.WebSocket`` to use.
        opener: Makes the transport.
        on_done: Called on the dial thread when :meth:`result` has something.
    """

    def __init__(
        self,
        name: str,
        target: Callable[[], Target],
        options: WebSocketOptions,
        websocket_impl: WebSocketImpl | None,
        opener: Opener,
        on_done: Callable[[], None],
    ) -> None:
        self._target = target
        self._options = options
        self._websocket_impl = websocket_impl
        self._opener = opener
        self._on_done = on_done
        self.seconds = 0.0  # that the handshake took; written by the dial thread
        self.ident: int | None = None  # of the dial thread while it runs; written by it
        self.is_asking = True  # the credential has not answered yet; written once, by the dial thread
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._lock = threading.Lock()  # a leaf; guards what follows
        self._result: Transport | ConnectError | ConnectionClosedError | None = None
        self._is_abandoned = False
        self._has_begun = False  # the dial thread runs, and closes the waker
        self._is_called_off = False

    # From any thread.

    def start(self) -> None:
        """Begin; returns at once. If it raises anything, Ctrl-C included, call :meth:`call_off`."""
        self._thread.start()

    def call_off(self) -> None:
        """See to it that a dial thread which has not begun never does; interrupt one that has."""
        with self._lock:
            self._is_called_off = True
            has_begun = self._has_begun
        if has_begun:
            self.interrupt()
        else:
            self._waker.close()

    def interrupt(self) -> None:
        """Give the attempt up. Takes no lock that user code is ever under; a finalizer may call it."""
        self._waker.interrupt()

    def join(self, seconds: float | None) -> bool:
        """Wait for the dial thread to end; return whether it has."""
        return join_thread(self._thread, seconds)

    # On the I/O thread.

    def result(self, *, is_wanted: bool) -> Transport | ConnectError | ConnectionClosedError | None:
        """
        Return the result, if there is one, for the caller to own.

        Args:
            is_wanted: Otherwise the attempt is abandoned: a transport that comes later is released.
        """
        with self._lock:
            self._is_abandoned = not is_wanted
            result, self._result = self._result, None
            return result

    # On the dial thread.

    def _run(self) -> None:
        with self._lock:
            if self._is_called_off:
                return
            self._has_begun = True
        self.ident = threading.get_ident()
        result: Transport | ConnectError | ConnectionClosedError
        result = ConnectionClosedError("The connection's thread failed; please report this.")
        try:
            result = self._dial()
            if isinstance(result, Exception):
                forget_locals(result)  # those of the handshake are headers and passwords
        except BaseException as exc:
            forget_locals(exc)
            log.exception("! %s failed", threading.current_thread().name)
        finally:
            self._waker.close()
            with self._lock:
                is_abandoned, self._result = self._is_abandoned, result
            if not is_abandoned:
                self._on_done()
            elif not isinstance(result, Exception):
                result.release()
            self.ident = None  # the system gives it to another thread

    def _dial(self) -> Transport | ConnectError | ConnectionClosedError:
        deadline = Deadline(self._options.connect_timeout)
        try:
            target = self._target()
        except (ConnectError, ConnectionClosedError) as exc:
            return exc
        except BaseException as exc:  # noqa: BLE001 - a credential is the user's code
            # Without its message, which may quote a secret; the cause has it.
            what = type(exc).__name__
            hint = (
                "Sign in anew, or check the credential by itself: get_token(scope), or the function you gave."
            )
            message = f"The credential could not be obtained: it raised {what}. {hint}"
            error = ConnectError(message, type=AUTHENTICATION_ERROR, hint=hint)
            error.__cause__ = exc
            return error
        self.is_asking = False
        if self._waker.interrupted:  # while the credential took its time
            return closed_unopened()
        began = time.monotonic()
        try:
            transport = self._opener(target, self._options, deadline, self._waker, self._websocket_impl)
        except ConnectError as exc:
            return exc
        self.seconds = time.monotonic() - began
        return transport
