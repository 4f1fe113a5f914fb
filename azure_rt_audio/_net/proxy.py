"""
Which proxy to go through, and the way through one that speaks HTTP.

Threads: the connection's I/O thread only.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import selectors
import socket
from typing import Final

from ..options.proxy_url import Proxy, parse_proxy
from .connect_errors import parse_head, refused, unusable
from .waiting import BoundedWait

__all__ = ["is_spared", "proxy_from_environment", "tunnel"]

_MAX_HEAD: Final = 16 * 1024


def proxy_from_environment(host: str, port: int, *, secure: bool) -> Proxy | None:
    """
    Return the proxy that the environment names for *host*, if any.

    ``HTTPS_PROXY`` (for ``ws``: ``HTTP_PROXY``), or else ``ALL_PROXY``, unless ``NO_PROXY`` spares the
    host; in lower case they come first. Loopback is always spared: it never leaves the machine, and over
    plain ``ws`` a proxy would see the credential.

    Raises:
        ConnectError: If the variable cannot be right; does not repeat it.
    """
    # Here and not above: it takes 9 ms, which whoever does not connect need not spend.
    from urllib.request import getproxies_environment

    found = getproxies_environment()
    name = "https" if secure else "http"
    if name not in found:
        name = "all"
    value = found.get(name, "").strip()
    if not value or _is_loopback(host) or is_spared(host, port, found.get("no", "")):
        return None
    try:
        return parse_proxy(value if "://" in value else f"http://{value}")
    except ValueError as exc:
        problem = unusable(f"the variable {name.upper()}_PROXY {exc}")
    raise problem  # out here, so that it has no context, with frames that hold the password


def is_spared(host: str, port: int, no_proxy: str) -> bool:
    """
    Tell whether *no_proxy* lists the host, a domain above it or a network around it.

    Args:
        host: A name, or an address without brackets.
        port: Entries may be for one port only, as in ``host:port`` or ``[::1]:port``.
        no_proxy: Entries between commas or spaces; ``*`` is every host, and a domain may begin with
            a dot or with ``*.``
    """
    return any(_covers(entry, host.lower().rstrip("."), port) for entry in re.split(r"[,\s]+", no_proxy))


def _covers(entry: str, host: str, port: int) -> bool:
    with_port = re.fullmatch(r"(\[.+\]|[^:]+):(\d+)", entry)
    if with_port:
        if int(with_port[2]) != port:
            return False
        entry = with_port[1]
    if entry == "*":
        return True
    name = entry.lower().removeprefix("*").strip(".")
    if name and (host == name or host.endswith("." + name)):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False  # one of them is a name


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def tunnel(sock: socket.socket, url: str, host: str, port: int, proxy: Proxy, patience: BoundedWait) -> None:
    """
    Ask an HTTP proxy, to which *sock* is connected, for a way to *host*. Blocks.

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
        patience.wait(sock, selectors.EVENT_WRITE)
        unsent = unsent[sock.send(unsent) :]
    status, headers = parse_head(_read_head(sock, patience))
    if not 200 <= status < 300:
        raise refused(url, status, headers, b"", proxy=str(proxy))


def _read_head(sock: socket.socket, patience: BoundedWait) -> bytes:
    """Return the head of the answer, without its empty line, and read no more: what follows is the peer's."""
    head = bytearray()
    while len(head) <= _MAX_HEAD:
        patience.wait(sock)
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
