"""Scripted TCP and WebSocket servers, correct or faulty, over real sockets and TLS on loopback."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import queue
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import trustme
from websockets.sync.server import ServerConnection, serve

from azure_rt_audio._transport import Connection, Payload, Target
from azure_rt_audio.options import WebSocketOptions

HANG = 5.0
"""Seconds after which a wait counts as a hang."""

KEY = "0123456789abcdef-the-key"
HEADERS = {"api-key": KEY}
PATH = "/openai/v1/realtime?model=my-model&api-key-like=not-shown"

_CA = trustme.CA()
SERVER_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
_CA.issue_cert("localhost", "127.0.0.1").configure_cert(SERVER_TLS)


def client_tls() -> ssl.SSLContext:
    """Return a context that trusts the server."""
    context = ssl.create_default_context()
    _CA.configure_trust(context)
    return context


CLIENT_TLS = client_tls()

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def options_of(options: dict[str, Any]) -> WebSocketOptions:
    """Return the options among *options*; trust in the server is one of them, unless it is there."""
    own = {
        name: value for name, value in options.items() if name not in ("websocket_impl", "io_thread", "clock")
    }
    return WebSocketOptions(**{"ssl_context": CLIENT_TLS, **own})


class Recorder:
    """A connection with callbacks that write down what they are told."""

    def __init__(self, url: str, *, target: Callable[[], Target] | None = None, **options: Any) -> None:
        self.opened = threading.Event()
        self.ended = threading.Event()
        self.messages: queue.Queue[bytes] = queue.Queue()
        self.outcomes: list[Any] = []
        self.threads: set[str] = set()
        self.react: Callable[[bytes], None] = lambda message: None
        self.connection = Connection(
            target or (lambda: Target(url, HEADERS)),
            options_of(options),
            websocket_impl=options.get("websocket_impl"),
            io_thread=options.get("io_thread"),
            clock=options.get("clock", time.monotonic),
            on_open=self._on_open,
            on_message=self._on_message,
            on_end=self._on_end,
        )

    def _on_open(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.opened.set()

    def _on_message(self, payload: Payload) -> None:
        message = bytes(payload)
        self.threads.add(threading.current_thread().name)
        self.messages.put(message)
        self.react(message)

    def _on_end(self, outcome: Any) -> None:
        self.threads.add(threading.current_thread().name)
        self.outcomes.append(outcome)
        self.ended.set()

    def next(self) -> bytes:
        """Return the next message."""
        return self.messages.get(timeout=HANG)

    def open(self) -> Recorder:
        """Start, and wait until open."""
        self.connection.start()
        assert self.opened.wait(HANG), self.outcomes
        return self

    def close(self, patience: float = 0.0) -> bool:
        """Close with so many seconds for the peer's goodbye; return whether it has ended, however late."""
        return self.connection.close(patience) or self.connection.close(HANG)

    def end(self) -> Any:
        """Wait for the end and return its reason."""
        assert self.ended.wait(HANG)
        return self.outcomes[0]


@contextlib.contextmanager
def recording(url: str, **options: Any) -> Iterator[Recorder]:
    """Yield an open :class:`Recorder`, closed at the end."""
    recorder = Recorder(url, **options)
    try:
        yield recorder.open()
    finally:
        assert recorder.connection.close(HANG)


@contextlib.contextmanager
def websocket_server(
    handler: Callable[[ServerConnection], None], *, tls: bool = False, **options: Any
) -> Iterator[str]:
    """Run *handler* for each connection of a real WebSocket server; yield its URL."""
    options = {"compression": None, "max_size": None, "ping_interval": None, "close_timeout": 1, **options}
    with serve(handler, "127.0.0.1", 0, ssl=SERVER_TLS if tls else None, **options) as server:
        thread = threading.Thread(target=server.serve_forever, name="peer")
        thread.start()
        port = server.socket.getsockname()[1]
        try:
            yield f"{'wss' if tls else 'ws'}://127.0.0.1:{port}{PATH}"
        finally:
            server.shutdown()
            thread.join(HANG)


def echo(peer: ServerConnection) -> None:
    """Send everything back."""
    for message in peer:
        peer.send(message)


@contextlib.contextmanager
def tcp_server(script: Callable[[socket.socket], None], *, tls: bool = False) -> Iterator[str]:
    """
    Run *script* on each accepted connection; yield the URL.

    A script that waits for the other end needs no end of its own: its socket times out.
    What it raises, other than that the other end has gone, fails the test.
    """
    trouble: list[Exception] = []
    threads: list[threading.Thread] = []
    done = threading.Event()

    def serve_one(sock: socket.socket) -> None:
        sock.settimeout(HANG)
        try:
            with SERVER_TLS.wrap_socket(sock, server_side=True) if tls else sock as peer:
                script(peer)
        except OSError:
            sock.close()  # the other end has gone
        except Exception as exc:  # noqa: BLE001 - raised where the test sees it
            trouble.append(exc)

    def accept_all() -> None:
        while True:
            sock, _ = listener.accept()
            if done.is_set():
                sock.close()
                return
            threads.append(threading.Thread(target=serve_one, args=(sock,), name="peer"))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        port = listener.getsockname()[1]
        accepting = threading.Thread(target=accept_all, name="listener")
        accepting.start()
        try:
            yield f"{'wss' if tls else 'ws'}://127.0.0.1:{port}{PATH}"
        finally:
            done.set()
            socket.create_connection(("127.0.0.1", port), HANG).close()  # ends the accept()
            for thread in (accepting, *threads):
                thread.join(HANG + 1)
                assert not thread.is_alive()
    assert trouble == []


def read_head(sock: socket.socket) -> bytes:
    """Return the head of an HTTP request."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            raise OSError("gone")
        head += byte
    return head


def upgrade(sock: socket.socket, *extra: str, then: bytes = b"") -> bytes:
    """Answer the opening handshake; *then* goes out in the same write. Returns the request."""
    head = read_head(sock)
    key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    digest = hashlib.sha1(key.split(b":")[1].strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
        *extra,
    ]
    sock.sendall("\r\n".join([*lines, "", ""]).encode() + then)
    return head


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = False, claim: int = -1
) -> bytes:
    """Return a frame as a server sends it; *claim* is another length than the true one."""
    length = len(payload) if claim < 0 else claim
    flag = 0x80 if mask else 0
    if length < 126:
        head = bytes([fin << 7 | opcode, flag | length])
    elif length < 65536:
        head = struct.pack("!BBH", fin << 7 | opcode, flag | 126, length)
    else:
        head = struct.pack("!BBQ", fin << 7 | opcode, flag | 127, length)
    return head + (b"\0\0\0\0" if mask else b"") + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """Return *size* bytes."""
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise OSError("gone")
        data += part
    return bytes(data)


def read_frame(sock: socket.socket) -> tuple[int, bytes]:
    """Return opcode and payload of a masked frame as a client sends it."""
    first, second = read_exactly(sock, 2)
    assert second & 0x80, "a client masks"
    length = second & 0x7F
    if length == 126:
        length = struct.unpack("!H", read_exactly(sock, 2))[0]
    elif length == 127:
        length = struct.unpack("!Q", read_exactly(sock, 8))[0]
    mask = read_exactly(sock, 4)
    payload = read_exactly(sock, length)
    key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
    return first & 0x0F, (int.from_bytes(payload, "big") ^ key).to_bytes(length, "big")


def echo_frames(sock: socket.socket, *extra: str) -> None:
    """Send every frame back, and the close frame too: :func:`echo` on one thread, for TLS."""
    upgrade(sock, *extra)
    while True:
        opcode, payload = read_frame(sock)
        sock.sendall(frame(PONG if opcode == PING else opcode, payload))
        if opcode == CLOSE:
            return


def echo_server(*, tls: bool = False) -> contextlib.AbstractContextManager[str]:
    """
    Run a peer that sends everything back; yield its URL.

    Over TLS it is not the one of websockets, which reads and writes one TLS socket on two
    threads: on Python before 3.13 that loses a frame now and then, and the test with it.
    """
    return tcp_server(echo_frames, tls=True) if tls else websocket_server(echo)


def await_eof(sock: socket.socket) -> None:
    """Read until the other end has gone."""
    while sock.recv(65536):
        pass


@contextlib.contextmanager
def no_thread_is_left() -> Iterator[None]:
    """Fail if a thread outlives the test."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(HANG)
    assert [thread.name for thread in left if thread.is_alive()] == []
