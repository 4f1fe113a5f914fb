"""Services, proxies and resolvers that hang, each at another point, and one that behaves."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from close_service import GREETING
from fake_servers import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    await_eof,
    close_frame,
    frame,
    read_frame,
    read_head,
    tcp_server,
    upgrade,
)
from listeners import HANG

PeerScript = Callable[[socket.socket], None]

CLEARED = frame(
    TEXT, json.dumps({"type": "input_audio_buffer.cleared", "event_id": "event_cleared"}).encode()
)
"""An event, as it goes over the wire."""


def greet(sock: socket.socket) -> None:
    """Let a client in and say that its session is ready."""
    upgrade(sock, then=b"".join(frame(TEXT, said.encode()) for said in GREETING))


def answer(sock: socket.socket, on_ping: Callable[[], object] = lambda: None) -> None:
    """Answer pings, and the goodbye, which is the end."""
    while True:
        opcode, payload = read_frame(sock)
        if opcode in (PING, CLOSE):
            sock.sendall(frame(PONG if opcode == PING else CLOSE, payload))
        if opcode == PING:
            on_ping()
        if opcode == CLOSE:
            return


def polite(sock: socket.socket) -> None:
    """Behave."""
    greet(sock)
    answer(sock)


def silent(sock: socket.socket) -> None:
    """Take everything and answer nothing more, not even the goodbye."""
    greet(sock)
    await_eof(sock)


def blank(sock: socket.socket) -> None:
    """Let a client in and say nothing at all: no session."""
    upgrade(sock)
    await_eof(sock)


def half_a_frame(sock: socket.socket) -> None:
    """Fall silent in the middle of a message."""
    greet(sock)
    sock.sendall(frame(TEXT, b"x" * 1000, claim=1_000_000))
    await_eof(sock)


def flood(sock: socket.socket) -> None:
    """Never stop talking, and never listen."""
    greet(sock)
    while True:
        sock.sendall(CLEARED * 500)


def no_answer(sock: socket.socket) -> None:
    """Take the handshake's request and say nothing."""
    read_head(sock)
    await_eof(sock)


def half_a_head(sock: socket.socket) -> None:
    """Fall silent in the middle of the answer to the handshake."""
    read_head(sock)
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso")
    await_eof(sock)


def silent_beyond(sock: socket.socket) -> None:
    """Be a proxy that opens the way to somebody who says nothing."""
    read_head(sock)
    sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    await_eof(sock)


def socks_that_stalls(sock: socket.socket) -> None:
    """Be a SOCKS proxy that agrees on the method and then says nothing."""
    sock.recv(3)
    sock.sendall(b"\5\0")
    await_eof(sock)


def host_of(url: str) -> str:
    """Return scheme, host and port, as a client's options take them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@contextlib.contextmanager
def deaf(leave: threading.Event | None = None, *, tls: bool = False) -> Iterator[str]:
    """Run a service that reads nothing, and says goodbye when it is to *leave*; yield its URL."""
    done = threading.Event()

    def script(sock: socket.socket) -> None:
        greet(sock)
        if leave is not None and leave.wait(HANG):
            sock.sendall(close_frame(1001, "enough"))
        assert done.wait(6 * HANG)

    with tcp_server(script, tls=tls) as url:
        try:
            yield url
        finally:
            done.set()


@contextlib.contextmanager
def prompted(then: PeerScript = await_eof) -> Iterator[tuple[str, threading.Event]]:
    """Run a service that says something when prompted, and what it does *then*; yield URL and prompt."""
    prompt = threading.Event()

    def script(sock: socket.socket) -> None:
        greet(sock)
        assert prompt.wait(HANG)
        sock.sendall(CLEARED)
        then(sock)

    with tcp_server(script) as url:
        try:
            yield url, prompt
        finally:
            prompt.set()


@contextlib.contextmanager
def awaited(script: PeerScript, *, tls: bool = False) -> Iterator[tuple[str, threading.Event]]:
    """Run a script; yield its URL and an event that is set when somebody has come."""
    arrived = threading.Event()

    def noted(sock: socket.socket) -> None:
        arrived.set()
        script(sock)

    with tcp_server(noted, tls=tls) as url:
        yield url, arrived


@contextlib.contextmanager
def nobody_home() -> Iterator[str]:
    """Yield an address whose queue of connections is full: who knocks there is not answered at all."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        selector = stack.enter_context(selectors.DefaultSelector())
        is_answered = True
        while is_answered:
            knock = stack.enter_context(socket.socket())
            knock.setblocking(False)
            knock.connect_ex(address)
            selector.register(knock, selectors.EVENT_WRITE)
            is_answered = bool(selector.select(0.05))
            selector.unregister(knock)
        yield f"127.0.0.1:{address[1]}"


@contextlib.contextmanager
def resolver_that_hangs(
    name: str = "hang.example", answers: int = 0
) -> Iterator[tuple[threading.Event, threading.Event]]:
    """
    Have the look-up of a name hang; yield what is set when it has begun, and what ends it.

    Args:
        answers: Look-ups that find this machine before.
    """
    entered, go_on = threading.Event(), threading.Event()
    real, left = socket.getaddrinfo, iter(range(answers))

    def resolve(host: str, *args: Any, **options: Any) -> Any:
        if host != name:
            return real(host, *args, **options)
        if not options.get("flags") and next(left, None) is not None:
            return real("127.0.0.1", *args, **options)
        if not options.get("flags"):
            entered.set()
            assert go_on.wait(6 * HANG)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with mock.patch.object(socket, "getaddrinfo", resolve):
        try:
            yield entered, go_on
        finally:
            go_on.set()
