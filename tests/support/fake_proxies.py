"""HTTP and SOCKS proxies over real sockets, and addresses that do not answer."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_servers import HANG, read_exactly, read_head, tcp_server

from azure_rt_audio._net.happy_eyeballs import Address

OPEN_FILES = Path("/proc/self/fd")


def relay(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes both ways until either side has gone."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while ready := selector.select(HANG):
            for key, _ in ready:
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                if not data:
                    return
                key.data.sendall(data)


def pass_on(sock: socket.socket, host: str, port: int, answer: bytes) -> None:
    """Say *answer* and be the way to the port, at this machine whatever the host's name."""
    where = "::1" if host == "::1" else "127.0.0.1"
    with socket.create_connection((where, port), timeout=HANG) as onward:
        sock.sendall(answer)
        relay(sock, onward)


@contextlib.contextmanager
def http_proxy(log: list[bytes], refuse: str = "") -> Iterator[str]:
    """Run a CONNECT proxy that writes down what it is asked; yield its host:port."""

    def script(sock: socket.socket) -> None:
        head = read_head(sock)
        log.append(head)
        if refuse:
            sock.sendall(refuse.encode())
            return
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        pass_on(sock, host.strip("[]"), int(port), b"HTTP/1.1 200 Connection established\r\n\r\n")

    with tcp_server(script) as url:
        yield url.split("/")[2]


@contextlib.contextmanager
def socks_proxy(
    log: list[str], *, auth: tuple[str, str] | None = None, refuse: dict[str, int] | None = None
) -> Iterator[str]:
    """
    Run a SOCKS proxy of either version; yield its host:port.

    Args:
        log: What it is asked for: kind of address, colon, address; and what it is told of the user.
        auth: User and password that it wants, by version 5.
        refuse: What it answers, by kind of address.
    """

    def script(sock: socket.socket) -> None:
        if read_exactly(sock, 1) == b"\4":
            version_4(sock)
        else:
            version_5(sock)

    def version_4(sock: socket.socket) -> None:
        assert read_exactly(sock, 1) == b"\1"
        port = int.from_bytes(read_exactly(sock, 2), "big")
        address = read_exactly(sock, 4)
        log.append(f"user:{read_text(sock)}")
        host = str(ipaddress.IPv4Address(address))
        named = address[:3] == b"\0\0\0"
        log.append(f"name:{read_text(sock)}" if named else f"ipv4:{host}")
        code = (refuse or {}).get("name" if named else "ipv4", 0x5A)
        if code == 0x5A:
            pass_on(sock, host, port, bytes([0, code]) + bytes(6))
        else:
            sock.sendall(bytes([0, code]) + bytes(6))

    def version_5(sock: socket.socket) -> None:
        methods = read_exactly(sock, read_exactly(sock, 1)[0])
        method = 2 if auth else 0
        if method not in methods:
            sock.sendall(b"\5\xff")
            return
        sock.sendall(bytes([5, method]))
        if auth:
            assert read_exactly(sock, 1) == b"\1"
            told = tuple(read_exactly(sock, read_exactly(sock, 1)[0]).decode() for _ in auth)
            log.append(":".join(("user", *told)))
            sock.sendall(bytes([1, told != auth]))
            if told != auth:
                return
        assert read_exactly(sock, 3) == b"\5\1\0"
        form = read_exactly(sock, 1)[0]
        kind = {1: "ipv4", 3: "name", 4: "ipv6"}[form]
        size = {1: 4, 4: 16}.get(form) or read_exactly(sock, 1)[0]
        raw = read_exactly(sock, size)
        host = raw.decode() if form == 3 else str(ipaddress.ip_address(raw))
        log.append(f"{kind}:{host}")
        port = int.from_bytes(read_exactly(sock, 2), "big")
        code = (refuse or {}).get(kind, 0)
        answer = bytes([5, code]) + b"\0\1\0\0\0\0\0\0"
        if code:
            sock.sendall(answer)
        else:
            pass_on(sock, host, port, answer)

    with tcp_server(script) as url:
        yield url.split("/")[2]


def read_text(sock: socket.socket) -> str:
    """Return the text up to a zero byte."""
    text = b""
    while (byte := read_exactly(sock, 1)) != b"\0":
        text += byte
    return text.decode()


def at(*places: tuple[str, int]) -> list[Address]:
    """Return addresses as the resolver does."""
    return [
        (socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
        for host, port in places
    ]


@contextlib.contextmanager
def silent_address() -> Iterator[tuple[str, int]]:
    """Yield an address that does not even refuse: that of a listener whose queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1))
        where = listener.getsockname()
        for _ in range(16):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(where)
            with selectors.DefaultSelector() as selector:
                selector.register(filler, selectors.EVENT_WRITE)
                if not selector.select(0.1):
                    break
        else:
            pytest.skip("this system's queues of connections have no end")
        yield where


@contextlib.contextmanager
def refusing_addresses(count: int = 1) -> Iterator[list[tuple[str, int]]]:
    """Yield addresses at which nothing listens, and which nobody else gets meanwhile."""
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in taken:
            sock.bind(("127.0.0.1", 0))
        yield [sock.getsockname() for sock in taken]


@contextlib.contextmanager
def no_file_is_left_open() -> Iterator[None]:
    """Fail if a descriptor outlives the block, where the system can tell."""

    before = _open_files()
    yield
    assert _open_files() - before == set()


def _open_files() -> set[str]:
    found = set()
    for entry in OPEN_FILES.iterdir() if OPEN_FILES.exists() else ():
        with contextlib.suppress(OSError):  # the listing itself was one
            found.add(os.readlink(entry))  # has a number that no other file will have
    return found


def has_ipv6() -> bool:
    """Whether this machine has the address ``::1``."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
