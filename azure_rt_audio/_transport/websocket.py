"""
An open WebSocket that never blocks: one non-blocking socket, large reads, bounded messages.

Frames are made and taken apart in ``frames.py``, unless a class of the user's own wants to see them: then
websocket-client's code does it, by way of ``custom_websocket.py``.

Threads and locks: none here. The methods that touch the socket are called under the ``write_lock`` of the
:class:`SendQueue`, so no two calls of OpenSSL for one connection ever overlap. :meth:`Transport.receive`
takes from the buffer only, on the I/O thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from .._secret import Secret, without
from ..errors import ConnectionClosedError
from .buffered_socket import BufferedSocket
from .close_reasons import lost
from .custom_websocket import CustomWebSocketFrames, sees_frames
from .frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    CloseFrame,
    FrameReader,
    Payload,
    ProtocolFault,
    TooBig,
    build_frame,
    parse_close,
)

__all__ = ["CloseFrame", "Payload", "Transport"]

_MAX_PONGS: Final = 1024 * 1024
"""Bytes of unwritten answers to pings that end a connection."""
_NOTHING: Final[Secret[Sequence[str]]] = Secret(())
_PONG_HEAD: Final = 6
"""Bytes of header and mask."""


class Transport:
    """
    A WebSocket connection that never blocks.

    Every method may raise :class:`ConnectionClosedError`, after which only
    :meth:`send_close`, :meth:`flush` and :meth:`release` make sense.

    Attributes:
        where: ``host:port``, for logs and errors.
        date: Unix time of the peer's clock at the handshake, if it told.

    A credential that the peer repeats as the reason of its close is blanked out.

    **Threads.** One at a time; :meth:`receive` may run beside the others.
    """

    def __init__(
        self,
        ws: Any,
        sock: BufferedSocket,
        where: str,
        limit: int,
        date: float | None = None,
        hidden: Secret[Sequence[str]] = _NOTHING,
    ) -> None:
        self._ws = ws
        self._socket = sock
        self.where = where
        self._limit = limit
        self.date = date
        self._hidden = hidden
        self._pong_bytes = 0  # since nothing was unsent last
        self._pongs: deque[bytearray] = deque()  # of receive(), for flush(), which has the lock
        ws.sock = sock
        self._custom = CustomWebSocketFrames(ws, sock, limit) if sees_frames(ws) else None
        self._next = (self._custom or FrameReader(sock.buffer, limit)).next

    @property
    def unsent(self) -> int:
        """Bytes that wait for the socket to take them."""
        return self._socket.unsent + len(self._pongs)

    @property
    def given(self) -> int:
        """Bytes that were to be sent so far."""
        return self._socket.given

    @property
    def acknowledged(self) -> int:
        """How many of them the far end's system has; from any thread, see :class:`BufferedSocket`."""
        return self._socket.acknowledged

    @property
    def may_write_here(self) -> bool:
        """Whether the calling thread may write, one at a time."""
        if self._custom is not None:
            return False  # the user's own class keeps to the I/O thread
        # Signal handlers run on the main thread, and Ctrl-C must not cost the connection.
        return self._socket.is_atomic or threading.get_ident() != threading.main_thread().ident

    @property
    def interest(self) -> int:
        """What to wait for, as :mod:`selectors` writes it."""
        return self._socket.interest

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    @property
    def has_more(self) -> bool:
        """Whether :meth:`fill` has more to read, although the descriptor may not say so."""
        return self._socket.has_more

    def fill(self) -> bool:
        """Read once what the socket has; return whether it had something, be it the end."""
        try:
            return self._socket.fill()
        except OSError as exc:
            raise lost(self.where, exc) from exc

    def receive(self) -> Payload | CloseFrame | None:
        """
        Return the next whole message that was read, or ``None`` if there is none.

        It lies in the buffer, so it is to be used up, or copied, before the next :meth:`fill`.
        """
        try:
            while True:
                found = self._next()
                if found is None:
                    break
                opcode, payload = found
                if opcode <= BINARY:
                    return payload
                if opcode == CLOSE:
                    code, reason = parse_close(bytes(payload))
                    return CloseFrame(code, without(reason, self._hidden.reveal()))
                if opcode == PING:
                    self._answer(bytes(payload))
        except ProtocolFault as fault:
            raise self._broken(fault.what, fault.code) from None
        except TooBig:
            raise self._too_big() from None
        if self._socket.at_eof:
            raise lost(self.where)
        return None

    def _answer(self, ping: bytes) -> None:
        if self._pong_bytes > _MAX_PONGS:
            raise ConnectionClosedError(
                f"{self.where} sends pings but does not read the answers; connect again.", close_code=1008
            )
        self._pong_bytes += len(ping) + _PONG_HEAD
        if self._custom is None:  # else websocket-client has answered it
            self._pongs.append(build_frame(PONG, ping))

    def send(self, payload: bytes) -> None:
        """Append a text frame to what is unsent."""
        if self._custom is None:
            self._socket.send(build_frame(TEXT, payload))
        else:
            self._ws.send(payload, TEXT)

    def ping(self) -> None:
        """Append a ping to what is unsent."""
        if self._custom is None:
            self._socket.send(build_frame(PING, b""))
        else:
            self._ws.ping()

    def _send_pongs(self) -> None:
        while self._pongs:
            self._socket.send(self._pongs.popleft())

    def send_close(self, code: int, reason: str) -> None:
        """Append the close frame; whatever would follow it is dropped."""
        self._send_pongs()
        self._socket.unseal()
        if self._custom is None:
            self._socket.send(build_frame(CLOSE, code.to_bytes(2, "big") + reason.encode()))
        else:
            self._ws.send_close(code, reason.encode())
        self._socket.seal()

    def flush(self) -> bool:
        """Write as much of what is unsent as the socket takes; return whether that was all."""
        try:
            if self._pongs:
                self._send_pongs()
            is_all = self._socket.flush()
        except OSError as exc:
            raise lost(self.where, exc) from exc
        if is_all:
            self._pong_bytes = 0
        return is_all

    def release(self) -> None:
        """Give the descriptor back; what is unsent is lost."""
        self._socket.release()

    def _broken(self, what: str, code: int) -> ConnectionClosedError:
        return ConnectionClosedError(
            f"{self.where} broke the WebSocket protocol ({what}), so the connection was ended; "
            "connect again.",
            close_code=code,
            reason=what,
        )

    def _too_big(self) -> ConnectionClosedError:
        return ConnectionClosedError(
            f"{self.where} sent a message over the limit of {self._limit} bytes, so the connection "
            "was ended; raise max_message_bytes if such messages are expected.",
            close_code=1009,
            reason="message too big",
        )
