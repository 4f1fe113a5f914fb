"""
The close handshake of one connection (RFC 6455, section 7), and what its course means for the outcome.

Nothing here waits: a close frame that the socket does not take at once is written by the I/O thread's loop,
until its time has passed.

Threads: the I/O thread, which holds the write lock over each method that sends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from .._concurrency.deadline import Deadline
from ..errors import ConnectionClosedError
from .close_reasons import closed_by_peer
from .frames import CloseFrame

if TYPE_CHECKING:
    from .websocket import Transport

__all__ = ["CloseHandshake", "CloseRequest", "being_closed", "closed_unopened", "held_up"]

_CLOSE_WRITE_TIMEOUT: Final = 3.0
"""Seconds for our answer to the peer's close frame to be written."""

_NEVER_SENT: Final = (1005, 1006, 1015)
"""Close codes that a frame may not have."""


@attrs.frozen
class CloseRequest:
    """The close frame that this side wants to send; *timeout* is what *deadline* was made from."""

    code: int
    reason: str
    deadline: Deadline
    timeout: float


class CloseHandshake:
    """
    How far the handshake has come.

    Attributes:
        sent: Our request, once its close frame has been handed to the transport.
        outcome: The certain end, while the answer to the peer's close frame waits to be written.
        deadline: Of that answer.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.sent: CloseRequest | None = None
        self.outcome: ConnectionClosedError | None = None
        self.deadline = Deadline(None)

    def begin(self, transport: Transport, request: CloseRequest) -> None:
        """Send our close frame, behind which nothing follows."""
        self.sent = request
        transport.send_close(request.code, request.reason)

    def answer(self, transport: Transport, frame: CloseFrame) -> None:
        """Take the peer's close frame: the outcome is certain, and may have an answer to be written."""
        if self.sent is not None:
            self.outcome = ConnectionClosedError(
                "The connection was closed by this side.",
                close_code=frame.code,
                reason=frame.reason or self.sent.reason,
                is_clean=True,
            )
            return
        self.outcome = closed_by_peer(transport.where, frame.code, frame.reason)
        self.deadline = Deadline(_CLOSE_WRITE_TIMEOUT, self._clock)
        self.send_last(transport, frame.code)

    def send_last(self, transport: Transport, code: int, reason: str = "") -> None:
        """Send a close frame as far as the socket takes it now; never raises."""
        with contextlib.suppress(ConnectionClosedError):  # the peer has gone without waiting for it
            transport.send_close(1000 if code in _NEVER_SENT else code, reason)
            transport.flush()

    def unanswered(self, request: CloseRequest | None) -> ConnectionClosedError:
        """Return the outcome of a close frame of ours that the peer did not answer."""
        detail = f" within {request.timeout:g} s" if request and request.deadline.expired else ""
        return ConnectionClosedError(
            f"The connection was closed by this side; the peer did not answer the close frame{detail}.",
            reason=request.reason if request else "",
        )


def being_closed() -> ConnectionClosedError:
    """Return what a sender is told meanwhile."""
    return ConnectionClosedError(
        "The connection is being closed, so nothing more can be sent; connect again."
    )


def closed_unopened() -> ConnectionClosedError:
    """Return the outcome of a connection that this side gave up while it was dialled."""
    return ConnectionClosedError("The connection was closed by this side before it was open.")


def held_up() -> ConnectionClosedError:
    """Return the outcome of a close that a callback kept from its end."""
    return ConnectionClosedError(
        "The connection was closed by this side while its thread was held up in a callback."
    )
