"""
A service that costs nothing: what it sends is made beforehand, what it receives is counted by frame.

Runs in a process of its own, so that the client is what is measured. It prints its port, then serves one
connection after the other: ``session.created``, ``session.updated`` for the first frame it gets, then for
each ``response.create`` a flood of audio deltas with a transcript delta after every fourth, and
``input_audio_buffer.committed`` once the announced number of appends has arrived.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import sys

FLOOD = 20_000
APPENDS = 20_000
DELTA_CHARACTERS = 10_240
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(message: dict[str, object]) -> bytes:
    """Return an unmasked text frame."""
    payload = json.dumps(message, separators=(",", ":")).encode()
    size = len(payload)
    head = bytes([0x81, size]) if size < 126 else struct.pack("!BBH", 0x81, 126, size)
    return head + payload


def _part(kind: str, delta: str) -> bytes:
    place = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    return frame({"type": kind, "event_id": "event_1", **place, "delta": delta})


_SESSION = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "m", "audio": {}}
CREATED = frame({"type": "session.created", "event_id": "event_1", "session": _SESSION})
UPDATED = frame({"type": "session.updated", "event_id": "event_1", "session": _SESSION})
COMMITTED = frame({"type": "input_audio_buffer.committed", "event_id": "event_1", "item_id": "item_1"})
DONE = frame(
    {"type": "response.done", "event_id": "event_1", "response": {"id": "resp_1", "status": "completed"}}
)
_AUDIO = _part("response.output_audio.delta", "A" * DELTA_CHARACTERS)
_TEXT = _part("response.output_audio_transcript.delta", "word ")
_FIVE = _AUDIO * 4 + _TEXT


class _Frames:
    """Reads frames of a client; large ones are skipped without a look at their payload."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()

    def _need(self, count: int) -> None:
        while len(self._buffer) < count:
            data = self._sock.recv(1 << 20)
            if not data:
                raise ConnectionResetError
            self._buffer += data

    def next(self) -> tuple[int, bytes | None]:
        """Return the opcode, and the payload of a frame that is small enough to be a command."""
        self._need(6)
        size, head = self._buffer[1] & 0x7F, 2
        if size == 126:
            self._need(8)
            size, head = struct.unpack_from("!H", self._buffer, 2)[0], 4
        elif size == 127:
            self._need(14)
            size, head = struct.unpack_from("!Q", self._buffer, 2)[0], 10
        self._need(head + 4 + size)
        opcode = self._buffer[0] & 0x0F
        payload = None
        if size < 1024:
            mask = self._buffer[head : head + 4]
            payload = bytes(b ^ mask[i % 4] for i, b in enumerate(self._buffer[head + 4 : head + 4 + size]))
        del self._buffer[: head + 4 + size]
        return opcode, payload


def serve(sock: socket.socket) -> None:
    """Serve one connection to its end."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = b""
    while b"\r\n\r\n" not in request:
        request += sock.recv(65536)
    key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key.split(b":")[1].strip() + _GUID).digest())
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + CREATED
    )
    frames, appends = _Frames(sock), 0
    while True:
        opcode, payload = frames.next()
        if opcode == 8:
            sock.sendall(b"\x88\x02\x03\xe8")
            return
        if payload is None:
            appends += 1
            if appends == APPENDS:
                appends = 0
                sock.sendall(COMMITTED)
        elif b"session.update" in payload:
            sock.sendall(UPDATED)
        elif b"response.create" in payload:
            for _ in range(FLOOD // 5):
                sock.sendall(_FIVE)
            sock.sendall(DONE)


def main() -> None:
    """Print the port and serve until standard input ends or the process is killed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            sock, _ = listener.accept()
            with sock:
                try:
                    serve(sock)
                except OSError as exc:
                    print(f"peer: {exc}", file=sys.stderr)


if __name__ == "__main__":
    main()
