"""
Frames through a WebSocket class of the user's own.

Such a class may see, change or count frames, so its overrides are called: ``send`` and ``recv_data_frame`` of
websocket-client run, and the latter reads from :class:`FrameReader` in place of the socket.

Threads: the connection's I/O thread only.
"""

from __future__ import annotations

from typing import Any

import websocket

from .buffered_socket import BufferedSocket
from .frames import CLOSE, FrameReader, Payload, ProtocolFault, TooBig

__all__ = ["CustomWebSocketFrames", "sees_frames"]

_OF_FRAMES = ("recv_data_frame", "recv_frame", "send", "send_frame", "ping", "pong", "send_close", "_send")


def sees_frames(ws: Any) -> bool:
    """Whether *ws* is of a class that changes how websocket-client sends or receives."""
    return (
        any(getattr(type(ws), name, None) is not getattr(websocket.WebSocket, name) for name in _OF_FRAMES)
        or type(ws.frame_buffer) is not websocket.frame_buffer
        or type(ws.cont_frame) is not websocket.continuous_frame
    )


class CustomWebSocketFrames:
    """What :class:`FrameReader` does, through the methods of *ws*; pings are answered on the way."""

    def __init__(self, ws: Any, sock: BufferedSocket, limit: int) -> None:
        self._ws = ws
        self._limit = limit
        if type(ws.frame_buffer) is websocket.frame_buffer:  # else the user brings frame code, which stays
            ws.frame_buffer = _Frames(sock, limit)

    def next(self) -> tuple[int, Payload] | None:
        """Return opcode and payload of the next whole message or control frame; ``None`` if there is none."""
        try:
            opcode, frame = self._ws.recv_data_frame(True)
        except (websocket.WebSocketTimeoutException, websocket.WebSocketConnectionClosedException):
            return None
        except websocket.WebSocketException as exc:
            raise ProtocolFault(str(exc.args[0] if exc.args else type(exc).__name__)) from exc
        if len(frame.data) > self._limit:
            raise TooBig
        return opcode, frame.data


class _Frames(websocket.frame_buffer):
    """What websocket-client reads frames from: they are whole messages already, and within the limit."""

    def __init__(self, sock: BufferedSocket, limit: int) -> None:
        super().__init__(sock.recv, True)
        self._sock = sock
        self._frames = FrameReader(sock.buffer, limit)

    def recv_frame(self) -> websocket.ABNF:
        found = self._frames.next()
        if found is None:
            raise websocket.WebSocketTimeoutException
        opcode, payload = found
        if opcode == CLOSE:
            # websocket-client answers every close frame with 1000; the connection answers in kind, and once.
            self._sock.seal()
        return websocket.ABNF(1, 0, 0, 0, opcode, 0, bytes(payload))
