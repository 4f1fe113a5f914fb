"""
A connection through an HTTP proxy, by its method CONNECT.

Threads: the dial thread only.
"""

from __future__ import annotations

import base64
import selectors
import socket
from typing import Final

from ..options.proxy_url import Proxy
from .connect_errors import refused
from .http_head import parse_head
from .waiting import BoundedWait

__all__ = ["connect_through"]

_MAX_HEAD: Final = 16 * 1024
_MOST_INTERIM: Final = 16
"""Answers of 1xx before the final one."""


def connect_through(
    sock: socket.socket, url: str, host: str, port: int, proxy: Proxy, bounds: BoundedWait
) -> None:
    """
    Ask an HTTP proxy, to which *sock* is connected, for a connection to *host*. Blocks.

    Raises:
        ConnectError: If the proxy refuses; *url* is for the error.
        OSError, EOFError, ValueError: If it does not answer as a proxy does.
        DeadlinePassed, Cancelled: See :meth:`BoundedWait.wait`.
    """
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
    if proxy.auth:
        token = base64.b64encode(":".join(proxy.auth).encode()).decode()
        request += f"Proxy-Authorization: Basic {token}\r\n"
    unsent = (request + "\r\n").encode()
    while unsent:
        bounds.wait(sock, selectors.EVENT_WRITE)
        unsent = unsent[sock.send(unsent) :]
    status, headers = parse_head(_read_head(sock, bounds))
    for _ in range(_MOST_INTERIM):
        if not 100 <= status < 200:
            break
        status, headers = parse_head(_read_head(sock, bounds))
    if not 200 <= status < 300:
        raise refused(url, status, headers, b"", proxy=str(proxy))


def _read_head(sock: socket.socket, bounds: BoundedWait) -> bytes:
    """Return the head of the answer, without its empty line; read no byte of what follows."""
    head = bytearray()
    while len(head) <= _MAX_HEAD:
        bounds.wait(sock)
        seen = sock.recv(_MAX_HEAD, socket.MSG_PEEK)
        if not seen:
            raise EOFError
        before = len(head)
        head += seen
        end = head.find(b"\r\n\r\n", max(0, before - 3))
        sock.recv(len(seen) if end < 0 else end + 4 - before)
        if end >= 0:
            return bytes(head[:end])
    raise ValueError("the proxy's answer has no end")
