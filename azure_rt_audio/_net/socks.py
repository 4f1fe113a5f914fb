"""
A connection through a SOCKS proxy, by python-socks.

python-socks speaks the protocol, but its own sockets have neither our deadline nor our interruption. So it
is given a stream of ours, as if another proxy in front had made the connection.

Threads: the dial thread only.
"""

from __future__ import annotations

import importlib
import selectors
import socket
from typing import Any, Final

from .._extras import importing
from ..errors import MissingExtraError
from ..options.proxy_url import Proxy
from .connect_errors import refused_by_socks, unusable
from .waiting import BoundedWait

__all__ = ["ask_socks", "import_socks"]

_ANSWERS: Final = {
    1: "it failed",
    2: "its rules do not allow it",
    3: "the network cannot be reached from there",
    4: "the host cannot be reached from there",
    5: "nothing listens there",
    6: "it takes too many hops",
    7: "it does not make connections",
    8: "it does not know that kind of address",
    0x5B: "it was rejected, or failed",
    0x5C: "it wants to ask identd on this machine, and cannot",
    0x5D: "identd on this machine names another user",
}
"""RFC 1928, section 6, and SOCKS4."""


def import_socks() -> Any:
    """
    Return python-socks.

    Raises:
        ConnectError: If it is not installed, or broken.
    """
    try:
        with importing("python_socks.sync.v2", "socks", "a SOCKS proxy"):
            importlib.import_module("python_socks.sync.v2")
            return importlib.import_module("python_socks")
    except MissingExtraError as exc:
        raise unusable(exc.message) from exc


def ask_socks(sock: socket.socket, url: str, host: str, port: int, proxy: Proxy, bounds: BoundedWait) -> None:
    """
    Ask a SOCKS proxy, to which *sock* is connected, for a connection to *host*. Blocks.

    Args:
        sock: Not blocking.
        url: For the error.
        host: What the proxy is to connect to: a name only if it is to resolve it.
        port: TCP port.
        proxy: Which one, and as whom.
        bounds: Of all waits.

    Raises:
        ConnectError: If the proxy refuses.
        OSError, EOFError: If it hangs up.
        DeadlinePassed, Cancelled: See :meth:`BoundedWait.wait`.
    """
    library = import_socks()
    user, password = proxy.auth or (None, None)
    kind = library.ProxyType.SOCKS5 if proxy.kind.startswith("socks5") else library.ProxyType.SOCKS4
    way = library.sync.v2.Proxy(
        kind,
        proxy.host,
        proxy.port,
        username=user,
        password=password,
        rdns=True,
        forward=_Connected(_Stream(sock, bounds)),
    )
    try:
        way.connect(dest_host=host, dest_port=port)
        return
    except UnicodeError:
        problem = unusable("the host name is not a valid one")
    except library.ProxyError as exc:
        # Its texts are its own and may change; the code is the protocol's.
        words = _ANSWERS.get(getattr(exc, "error_code", None) or 0)
        problem = refused_by_socks(url, str(proxy), words, is_about_auth="auth" in str(exc).lower())
    raise problem  # out here, so that it has no context, with frames that hold the password


class _Connected:
    """A proxy in front of the SOCKS proxy, for python-socks."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def connect(self, **_: Any) -> _Stream:
        return self._stream


class _Stream:
    """A stream for python-socks that waits within bounds; its methods have the names of 2.4 and of 3.0."""

    def __init__(self, sock: socket.socket, bounds: BoundedWait) -> None:
        self._sock = sock
        self._bounds = bounds

    def write(self, data: bytes) -> None:
        while data:
            self._bounds.wait(self._sock, selectors.EVENT_WRITE)
            data = data[self._sock.send(data) :]

    def read(self, max_bytes: int = 512) -> bytes:
        self._bounds.wait(self._sock)
        data = self._sock.recv(max_bytes)
        if not data:
            raise EOFError
        return data

    def read_exactly(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            data += self.read(n - len(data))
        return data

    write_all = write
    read_exact = read_exactly

    def close(self) -> None:
        """Do nothing: the dial closes the socket."""
