"""Raw sockets as contestants: no client can be faster."""

from __future__ import annotations

import base64
import os
import selectors
import socket
import ssl
import struct
import threading
import time
from contextlib import nullcontext

from service import HANG_SECONDS, Service, expect

__all__ = ["Floor", "TwoThreadFloor"]


def _masked(payload: bytes) -> bytes:
    size = len(payload)
    head = bytes([0x81, 0x80 | size]) if size < 126 else struct.pack("!BBH", 0x81, 0x80 | 126, size)
    mask = os.urandom(4)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


class Floor:
    """
    A raw socket: what the kernel, TLS and the interpreter cost before anybody does anything useful.

    Frames are sent ready-made; of what comes only the headers are looked at. One thread, blocking.
    """

    def __init__(self, service: Service) -> None:
        self._expected = service.events
        sock = socket.create_connection(("127.0.0.1", service.port), HANG_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = service.tls()
        self._sock = sock if tls is None else tls.wrap_socket(sock, server_hostname="127.0.0.1")
        self._sock.sendall(
            f"GET /openai/v1/realtime?model={service.model} HTTP/1.1\r\nHost: {service.netloc}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        while b"session.created" not in self._sock.recv(65536):  # the answer and the greeting are small
            pass
        # A socket with a timeout polls before each call.
        self._sock.settimeout(None)
        self._buffer = bytearray(1 << 18)
        self._clear = _masked(b'{"type":"input_audio_buffer.clear"}')

    def receive(self) -> None:
        self._sock.sendall(_masked(b'{"type":"response.create"}'))
        seen = self._count_frames(self._expected + 2)  # response.created and response.done beside the deltas
        expect("events", self._expected + 2, seen)

    def _count_frames(self, wanted: int) -> int:
        buffer, view = self._buffer, memoryview(self._buffer)
        seen = at = kept = 0
        while seen < wanted:
            count = self._sock.recv_into(view[kept:])
            if not count:
                raise ConnectionResetError
            end = kept + count
            while at + 10 <= end:
                size, head = buffer[at + 1], 2
                if size == 126:
                    size, head = buffer[at + 2] << 8 | buffer[at + 3], 4
                elif size == 127:
                    size, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
                at += head + size
                seen += 1
            kept = max(0, end - at)
            buffer[:kept] = buffer[at:end]
            at = max(0, at - end)
        return seen

    def send(self, pcm: bytes, chunks: int) -> None:
        audio = base64.b64encode(pcm)
        chunk = _masked(b'{"type":"input_audio_buffer.append","audio":"' + audio + b'"}')
        for _ in range(chunks):
            self._sock.sendall(chunk)
        self._sock.sendall(_masked(b'{"type":"input_audio_buffer.commit"}'))
        expect("appends", True, b'"item_%d"' % chunks in self._sock.recv(4096))

    def round_trips(self, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self._sock.sendall(self._clear)
            self._sock.recv_into(self._buffer)
            took.append(time.perf_counter() - began)
        return took

    def close(self) -> None:
        self._sock.close()


class TwoThreadFloor(Floor):
    """
    A raw socket with a second thread that receives: what every client with listeners must spend at least.

    The receiver releases a lock that the sender waits for. Over TLS, where two threads must not be inside one
    socket, each takes its turn, and the receiver waits for bytes outside.
    """

    def round_trips(self, count: int) -> list[float]:
        arrived, turn = threading.Lock(), threading.Lock()
        arrived.acquire()
        is_tls = isinstance(self._sock, ssl.SSLSocket)

        def receive() -> None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                for _ in range(count):
                    if is_tls:
                        selector.select()
                    with turn if is_tls else nullcontext():
                        self._sock.recv_into(self._buffer)
                    arrived.release()

        receiver = threading.Thread(target=receive, name="floor-receiver", daemon=True)
        receiver.start()
        took = []
        for _ in range(count):
            began = time.perf_counter()
            with turn if is_tls else nullcontext():
                self._sock.sendall(self._clear)
            arrived.acquire()
            took.append(time.perf_counter() - began)
        receiver.join()
        return took
