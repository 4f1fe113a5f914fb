"""
A service that costs next to nothing: what it sends is made beforehand, what it receives is not looked into.

It runs in a process of its own, with one thread for all connections, so that the client is what is measured.
It prints two ports as JSON, plain and TLS, and ends when its standard input does.

It says ``session.created`` to who connects and answers five commands, by the real protocol:

* ``session.update`` with ``session.updated``;
* ``response.create`` with a flood: audio deltas, a transcript delta after every fourth, ``response.done``.
  How many and how long is in the name of the model that the client asks for, see :func:`model`;
* ``input_audio_buffer.append`` is counted;
* ``input_audio_buffer.commit`` with ``input_audio_buffer.committed``, whose ``item_id`` says how many
  appends there were: who has it knows that all have arrived;
* ``input_audio_buffer.clear`` with ``input_audio_buffer.cleared``, at once: the round trip.

Names are GA's, or those of Voice Live for a client that asks for its path.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import json
import random
import re
import selectors
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Mapping

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BATCH_BYTES = 400_000
"""How much is handed to the kernel at once, so that the sender is never what is waited for."""
_LARGEST_COMMAND = 1024
"""Bytes; what is longer is audio. 20 ms of PCM16 are 1 280 characters of base64."""
_HANDSHAKE_TIMEOUT = 10.0


def model(events: int, characters: int) -> str:
    """Return the name of a model that answers with so many events, audio deltas of so many characters."""
    return f"flood-{events}-{characters}"


def frame(message: Mapping[str, object]) -> bytes:
    """Return an unmasked text frame."""
    payload = json.dumps(message, separators=(",", ":")).encode()
    size = len(payload)
    if size < 126:
        return bytes([0x81, size]) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload


def _event(kind: str, **fields: object) -> bytes:
    return frame({"type": kind, "event_id": "event_1", **fields})


_SESSION = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": "m", "audio": {}}
_CREATED = _event("session.created", session=_SESSION)
_UPDATED = _event("session.updated", session=_SESSION)
_CLEARED = _event("input_audio_buffer.cleared")
_RESPONSE = {"object": "realtime.response", "id": "resp_1", "output": []}
_BEGUN = _event("response.created", response={**_RESPONSE, "status": "in_progress"})
_DONE = _event("response.done", response={**_RESPONSE, "status": "completed"})
_GOODBYE = b"\x88\x02\x03\xe8"


def _sound(characters: int) -> str:
    """Return noise in base64."""
    return base64.b64encode(random.Random(0).randbytes(characters))[:characters].decode()


@functools.cache
def _flood(prefix: str, events: int, characters: int) -> tuple[bytes, int, bytes]:
    """Return a batch of deltas, how many times to send it, and what is left over."""
    place = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    audio = _event(f"response.{prefix}audio.delta", **place, delta=_sound(characters))
    text = _event(f"response.{prefix}audio_transcript.delta", **place, delta="word ")
    five = audio * 4 + text
    fives = max(1, _BATCH_BYTES // len(five))
    batches, left = divmod(events, 5 * fives)
    return five * fives, batches, five * (left // 5) + audio * (left % 5)


class _Connection:
    """One client, from its first byte to its last."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray(1 << 16)
        self._kept = 0  # bytes at the start of the buffer that are no whole command yet
        self._skip = 0  # bytes of audio that are still to come
        self._appends = 0
        self._flood = self._shake_hands()
        self._answers: list[tuple[bytes, Callable[[], None]]] = [
            (b"input_audio_buffer.clear", lambda: self.sock.sendall(_CLEARED)),
            (b"input_audio_buffer.commit", self._commit),
            (b"session.update", lambda: self.sock.sendall(_UPDATED)),
            (b"response.create", self._respond),
        ]

    def _shake_hands(self) -> tuple[bytes, int, bytes]:
        self.sock.settimeout(_HANDSHAKE_TIMEOUT)
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()
        request = b""
        while b"\r\n\r\n" not in request:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionResetError("no request")
            request += data
        key = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", request)
        asked = re.search(rb"flood-(\d+)-(\d+)", request)
        if key is None:
            raise ConnectionResetError("no WebSocket request")
        accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
        self.sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + _CREATED
        )
        self.sock.settimeout(None)
        events, characters = (int(asked[1]), int(asked[2])) if asked else (0, 0)
        return _flood("" if b"/voice-live/" in request else "output_", events, characters)

    def read(self) -> bool:
        """Read once what there is and answer it; return whether the connection goes on."""
        while True:
            count = self.sock.recv_into(memoryview(self._buffer)[self._kept :])
            if not count:
                return False
            if not self._take(self._kept + count):
                return False
            if not isinstance(self.sock, ssl.SSLSocket) or not self.sock.pending():
                return True

    def _take(self, end: int) -> bool:
        """Work through the buffer up to *end*; keep the beginning of a frame that is not whole."""
        buffer, at = self._buffer, self._skip
        while at + 2 <= end:
            size, head = buffer[at + 1] & 0x7F, 2
            if size == 126:
                head = 4
                if at + head > end:
                    break
                size = buffer[at + 2] << 8 | buffer[at + 3]
            elif size == 127:
                head = 10
                if at + head > end:
                    break
                size = int.from_bytes(buffer[at + 2 : at + 10], "big")
            if size >= _LARGEST_COMMAND:
                self._appends += 1
                at += head + 4 + size
                continue
            if at + head + 4 + size > end:
                break
            begin = at + head + 4
            if not self._answer(buffer[at] & 0x0F, buffer[begin - 4 : begin], buffer[begin : begin + size]):
                return False
            at = begin + size
        self._skip = max(0, at - end)
        self._kept = max(0, end - at)
        buffer[: self._kept] = buffer[at:end]
        return True

    def _answer(self, opcode: int, mask: bytearray, payload: bytearray) -> bool:
        if opcode == 8:
            self.sock.sendall(_GOODBYE)
            return False
        pad = (bytes(mask) * (len(payload) // 4 + 1))[: len(payload)]
        plain = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(payload), "big")
        if opcode == 9:
            self.sock.sendall(bytes([0x8A, len(plain)]) + plain)
        for command, answer in self._answers:
            if command in plain:
                answer()
                break
        return True

    def _commit(self) -> None:
        appends, self._appends = self._appends, 0
        self.sock.sendall(_event("input_audio_buffer.committed", item_id=f"item_{appends}"))

    def _respond(self) -> None:
        batch, batches, rest = self._flood
        self.sock.sendall(_BEGUN)
        for _ in range(batches):
            self.sock.sendall(batch)
        self.sock.sendall(rest + _DONE)


class _Service:
    """Two listening sockets and their connections, all on one thread."""

    def __init__(self, certificate: str) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        self._selector = selectors.DefaultSelector()
        self.ports: dict[str, int] = {}
        for scheme in ("ws", "wss"):
            listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
            self.ports[scheme] = listener.getsockname()[1]
            self._watch(listener, functools.partial(self._accept, listener, scheme == "wss"))

    def _watch(self, sock: socket.socket, callback: Callable[[], None]) -> None:
        self._selector.register(sock, selectors.EVENT_READ, callback)

    def _accept(self, listener: socket.socket, is_tls: bool) -> None:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if is_tls:
            sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        try:
            connection = _Connection(sock)
        except (OSError, ConnectionResetError) as exc:
            print(f"peer: {exc}", file=sys.stderr)
            sock.close()
        else:
            self._watch(sock, functools.partial(self._read, connection))

    def _read(self, connection: _Connection) -> None:
        try:
            goes_on = connection.read()
        except OSError:  # a client that is gone in the middle of a flood
            goes_on = False
        if not goes_on:
            self._selector.unregister(connection.sock)
            connection.sock.close()

    def run(self) -> None:
        """Serve until standard input ends."""
        self._selector.register(sys.stdin, selectors.EVENT_READ, None)
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                key.data()


def main() -> None:
    """Print the ports and serve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1] if __doc__ else None)
    parser.add_argument("certificate", help="PEM file with the private key and the certificate chain")
    service = _Service(parser.parse_args().certificate)
    print(json.dumps(service.ports), flush=True)
    service.run()


if __name__ == "__main__":
    main()
