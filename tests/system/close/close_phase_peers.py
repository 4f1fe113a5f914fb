"""A service that brings each of its clients into a phase of ``close_phases.py``, and leaves it there."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from close_peers import CLEARED, PeerScript, answer, greet, no_answer
from close_phases import LOSSES
from close_service import WORDS
from fake_servers import (
    CLOSE,
    SERVER_TLS,
    TEXT,
    await_eof,
    frame,
    read_exactly,
    read_frame,
    read_head,
    tcp_server,
)
from listeners import HANG

WayIn = Callable[[socket.socket], contextlib.AbstractContextManager[socket.socket]]
"""Lets the first connection through a proxy, which is the same process; returns what leads on."""


def in_half_a_frame(sock: socket.socket) -> None:
    """Fall silent in the middle of a message."""
    sock.sendall(frame(TEXT, b"x" * 1000, claim=1_000_000))
    await_eof(sock)


def flooding(sock: socket.socket) -> None:
    """Never stop talking, and never listen."""
    while True:
        sock.sendall(frame(TEXT, WORDS.encode()) * 200)


MANNERS: dict[str, PeerScript] = {
    "is polite": answer,
    "is silent": await_eof,
    "stops in a message": in_half_a_frame,
    "floods": flooding,
}
"""How a connection goes on when its client is in the phase."""


def _go_on(sock: socket.socket) -> None:
    while True:
        _, payload = read_frame(sock)
        _answer(sock, payload)


@contextlib.contextmanager
def straight_in(sock: socket.socket) -> Iterator[socket.socket]:
    """No proxy."""
    yield sock


@contextlib.contextmanager
def by_connect(sock: socket.socket) -> Iterator[socket.socket]:
    """An HTTP proxy."""
    read_head(sock)
    sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    yield sock


@contextlib.contextmanager
def by_connect_and_tls(sock: socket.socket) -> Iterator[socket.socket]:
    """The same, to a service that speaks TLS."""
    with by_connect(sock), SERVER_TLS.wrap_socket(sock, server_side=True) as beyond:
        yield beyond


@contextlib.contextmanager
def by_socks5(sock: socket.socket) -> Iterator[socket.socket]:
    """A SOCKS5 proxy that is told a name."""
    read_exactly(sock, 3)
    sock.sendall(b"\5\0")
    read_exactly(sock, 2 + read_exactly(sock, 5)[-1])
    sock.sendall(b"\5\0\0\1" + bytes(6))
    yield sock


@contextlib.contextmanager
def by_socks4(sock: socket.socket) -> Iterator[socket.socket]:
    """A SOCKS4a proxy, which is."""
    read_exactly(sock, 8)
    for _ in ("user", "host"):
        while read_exactly(sock, 1) != b"\0":
            pass
    sock.sendall(b"\0\x5a" + bytes(6))
    yield sock


@contextlib.contextmanager
def phased(
    phase: str,
    patience: float,
    *,
    tls: bool = False,
    way_in: WayIn = straight_in,
    redialled: PeerScript = no_answer,
    old: PeerScript = _go_on,
    new: PeerScript = _go_on,
) -> Iterator[tuple[str, threading.Event]]:
    """
    Run it for one client; yield its host, and what makes it say something on the first connection.

    Args:
        patience: Seconds of silence after which it gives its client up.
        way_in: Of the first connection.
        redialled: Meets a client in ``connecting``.
        old: How the first connection goes on in the phase, if it is not lost.
        new: The same of the second one.
    """
    numbers, prompt = itertools.count(), threading.Event()

    def script(sock: socket.socket) -> None:
        sock.settimeout(patience)
        if next(numbers) == 0:
            with way_in(sock) as beyond:
                _first(beyond, prompt, phase, old)
        elif phase == "waiting":
            read_head(sock)
            sock.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n")
        elif phase == "connecting":
            redialled(sock)
        else:
            _second(sock, phase, new)

    with tcp_server(script, tls=tls) as url:
        parts = urlsplit(url)
        yield f"{parts.scheme}://{parts.netloc}", prompt


def _first(sock: socket.socket, prompt: threading.Event, phase: str, then: PeerScript) -> None:
    greet(sock)
    lock = threading.Lock()

    def speak() -> None:
        prompt.wait()
        with lock, contextlib.suppress(OSError):
            sock.sendall(CLEARED)

    speaking = threading.Thread(target=speak, name="speaking")
    speaking.start()
    updates = 0
    try:
        while True:
            opcode, payload = read_frame(sock)
            if opcode == CLOSE:
                continue  # not even that is answered
            with lock:
                kind = _answer(sock, payload)
            updates += kind == "session.update"
            if phase in LOSSES and kind == "input_audio_buffer.clear":
                reset(sock)
                return
            # The second update is the one that shows a swap that all that came before was taken.
            if (phase == "standby" and kind == "input_audio_buffer.clear") or updates == 2:
                then(sock)
    finally:
        prompt.set()
        speaking.join()


def reset(sock: socket.socket) -> None:
    """Have the connection reset when the socket is closed."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _second(sock: socket.socket, phase: str, then: PeerScript) -> None:
    greet(sock)
    kind = ""
    while kind != "conversation.item.create":
        _, payload = read_frame(sock)
        kind = _kind(payload) if phase == "restoring" else _answer(sock, payload)
    (await_eof if phase == "restoring" and then is _go_on else then)(sock)


def _kind(payload: bytes) -> str:
    return str(json.loads(payload)["type"]) if payload.startswith(b"{") else ""


def _answer(sock: socket.socket, payload: bytes) -> str:
    """Acknowledge an item; return what kind of command it was."""
    kind = _kind(payload)
    if kind == "conversation.item.create":
        item = {"object": "realtime.item", "status": "completed", **json.loads(payload)["item"]}
        for moment in ("added", "done"):
            event = {"type": f"conversation.item.{moment}", "event_id": f"event_{moment}", "item": item}
            sock.sendall(frame(TEXT, json.dumps({**event, "previous_item_id": None}).encode()))
    return kind


@contextlib.contextmanager
def nobody_home_again(patience: float) -> Iterator[str]:
    """Run a service that lets one client in, and then does not answer who knocks; yield its host."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()

        def fill() -> None:
            for _ in range(4):
                knock = stack.enter_context(socket.socket())
                knock.setblocking(False)
                knock.connect_ex(address)

        def serve() -> None:
            sock, _ = listener.accept()
            with sock, contextlib.suppress(OSError):
                sock.settimeout(patience)
                fill_then_lose(sock)

        def fill_then_lose(sock: socket.socket) -> None:
            greet(sock)
            kind = ""
            while kind != "input_audio_buffer.clear":
                kind = _answer(sock, read_frame(sock)[1])
            fill()
            reset(sock)

        serving = threading.Thread(target=serve, name="peer")
        serving.start()
        try:
            yield f"ws://127.0.0.1:{address[1]}"
        finally:
            serving.join(HANG)
            assert not serving.is_alive()
