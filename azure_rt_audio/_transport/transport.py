"""What a connection needs of an open WebSocket, and no more: :mod:`.websocket` is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from .frames import Payload

if TYPE_CHECKING:
    import websocket

    WebSocketImpl = type[websocket.WebSocket] | Callable[..., websocket.WebSocket]
else:
    WebSocketImpl = Callable[..., Any]

__all__ = ["CloseFrame", "Transport", "WebSocketImpl"]


@attrs.frozen
class CloseFrame:
    """The peer's close frame; code 1005 if it named none."""

    code: int
    reason: str


class Transport(Protocol):
    """
    A WebSocket connection that never blocks.

    Every method may raise :class:`ConnectionClosedError`, after which only
    :meth:`send_close`, :meth:`flush` and :meth:`release` make sense.

    **Threads.** One at a time; :meth:`receive` may run beside the others.
    """

    @property
    def where(self) -> str:
        """``host:port``, for logs and errors."""

    @property
    def unsent(self) -> int:
        """Bytes that wait for the socket to take them."""

    @property
    def may_write_here(self) -> bool:
        """Whether the calling thread may write, one at a time."""

    @property
    def interest(self) -> int:
        """What to wait for, as :mod:`selectors` writes it."""

    def fileno(self) -> int:
        """Return the descriptor to wait on."""

    @property
    def has_more(self) -> bool:
        """Whether :meth:`fill` has more to read, although the descriptor may not say so."""

    def fill(self) -> bool:
        """Read once what the socket has; return whether it had something, be it the end."""

    def receive(self) -> Payload | CloseFrame | None:
        """
        Return the next whole message that was read, or ``None`` if there is none.

        It lies in the buffer, so it is to be used up, or copied, before the next :meth:`fill`.
        """

    def send(self, payload: bytes) -> None:
        """Append a text frame to what is unsent."""

    def ping(self) -> None:
        """Append a ping to what is unsent."""

    def send_close(self, code: int, reason: str) -> None:
        """Append the close frame; whatever would follow it is dropped."""

    def flush(self) -> None:
        """Write as much of what is unsent as the socket takes."""

    def release(self) -> None:
        """Give the descriptor back; what is unsent is lost."""
