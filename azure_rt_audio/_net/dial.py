"""
From a URL to a connected socket: name, TCP, proxy and TLS inside one deadline.

websocket-client has a time-out for each ``recv``, not for the whole, and cannot be interrupted. Here every
wait is one on a non-blocking socket and the waker, so the total keeps to its deadline, and ``close()`` can
end it at any point.

The steps are in :mod:`.proxy`, :mod:`.happy_eyeballs`, :mod:`.http_connect`, :mod:`.socks` and :mod:`.tls`;
this is their order.

Threads: the dial thread, and the helpers of :mod:`.helper_thread`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from .._secret import Secret
from ..errors import ConnectError
from ..options import WebSocketOptions
from ..options.proxy_url import Proxy, parse_proxy
from .connect_errors import failed, unusable
from .happy_eyeballs import by_turns, connect, resolve
from .http_connect import connect_through
from .proxy import proxy_from_environment
from .socks import ask_socks, import_socks
from .tls import choose_context, import_truststore, secure
from .tls_stream import TlsStream
from .waiting import BoundedWait, Cancelled, DeadlinePassed

__all__ = ["Target", "dial", "import_now"]


@attrs.frozen
class Target:
    """
    Where to connect to.

    Attributes:
        url: ``ws://`` or ``wss://``; holds no credential.
        headers: Sent with the handshake; hold the credential and are never shown.
        hidden: Other values that are never shown if the peer repeats them.
    """

    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    hidden: Secret[tuple[str, ...]] = attrs.field(factory=lambda: Secret(()), repr=False)


def import_now(options: WebSocketOptions) -> None:
    """
    Import what the first attempt to connect would, which takes about 10 ms once.

    To be called on the thread that makes the connection. A fork while the dial thread imports would leave the
    module locked in the child for ever. An extra that is missing or broken is reported by the attempt.
    """
    import encodings.idna  # noqa: F401
    import urllib.request

    with contextlib.suppress(ConnectError):
        if options.ssl_context == "truststore":
            import_truststore()
    with contextlib.suppress(ConnectError):
        given = "" if options.http_proxy is None else options.http_proxy.reveal()
        proxies = [given, *urllib.request.getproxies_environment().values()]
        if any(proxy.strip().lower().startswith("socks") for proxy in proxies):
            import_socks()


def dial(url: str, options: WebSocketOptions, bounds: BoundedWait) -> socket.socket | TlsStream:
    """
    Connect to the host of *url* and, for ``wss``, finish the TLS handshake. Blocks.

    Returns:
        A non-blocking socket, or what stands for one, ready for the HTTP request.

    Raises:
        ConnectError: If it cannot be done, or not in time.
        Cancelled: If the connection is closed meanwhile.
    """
    attempt = _Attempt(url, options, bounds)
    problem: ConnectError
    try:
        return attempt.run()
    except Cancelled:
        attempt.give_up()
        raise
    except (DeadlinePassed, TimeoutError):
        problem = failed(url, attempt.phase, None, proxy=attempt.nearest)
    except ConnectError as exc:
        problem = exc
    except Exception as exc:  # noqa: BLE001 - a resolver, a TLS context or python-socks may raise anything
        problem = failed(url, attempt.phase, exc, proxy=attempt.nearest)
    attempt.give_up()
    # Raised out here and without the frames below, which hold a proxy's password.
    raise problem.with_traceback(None)


class _Attempt:
    """An attempt to connect: how far it has come, and what must be closed if it gets no further."""

    def __init__(self, url: str, options: WebSocketOptions, bounds: BoundedWait) -> None:
        parts = urlsplit(url)
        self._url = url
        self._options = options
        self._bounds = bounds
        self._secure = parts.scheme == "wss"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._sock: socket.socket | None = None
        self.phase = "look-up of the proxy"
        self.nearest: str | None = None
        """The proxy, as long as a failure would be on the way to it."""

    def run(self) -> socket.socket | TlsStream:
        options = self._options
        context = choose_context(options.ssl_context) if self._secure else None
        proxy = self._choose_proxy()
        if proxy is None:
            sock = self._reach(self._host, self._port)
        else:
            self.nearest = str(proxy)
            sock = self._by_http(proxy) if proxy.kind == "http" else self._by_socks(proxy)
            self.nearest = None
        if context is not None:
            self.phase = "TLS handshake"
            return secure(sock, context, self._host, self._bounds)
        return sock

    def _choose_proxy(self) -> Proxy | None:
        if self._options.http_proxy is not None:
            return parse_proxy(self._options.http_proxy.reveal())
        return proxy_from_environment(self._host, self._port, secure=self._secure)

    def give_up(self) -> None:
        """Release the descriptor."""
        if self._sock is not None:
            self._sock.close()

    def _reach(self, host: str, port: int) -> socket.socket:
        """Connect to *host* itself."""
        self.phase = "name look-up"
        addresses = resolve(host, port, self._bounds)
        self.phase = "TCP connect"
        self._sock = connect(addresses, lambda sock: _tune(sock, self._options), self._bounds)
        return self._sock

    def _by_http(self, proxy: Proxy) -> socket.socket:
        sock = self._reach(proxy.host, proxy.port)
        self.phase = "proxy's CONNECT"
        connect_through(sock, self._url, self._host, self._port, proxy, self._bounds)
        return sock

    def _by_socks(self, proxy: Proxy) -> socket.socket:
        import_socks()
        targets = self._socks_targets(proxy)
        while True:
            sock = self._reach(proxy.host, proxy.port)
            self.phase = "SOCKS handshake"
            try:
                ask_socks(sock, self._url, targets.pop(0), self._port, proxy, self._bounds)
                return sock
            except ConnectError:
                if not targets:
                    raise
            sock.close()

    def _socks_targets(self, proxy: Proxy) -> list[str]:
        """Return what to ask a SOCKS proxy for: the name, or an address of each family if it wants one."""
        if proxy.kind in ("socks4a", "socks5h") and not _is_address(self._host):
            return [self._host]
        self.phase = "name look-up"
        self.nearest = None
        found = resolve(self._host, self._port, self._bounds)
        if proxy.kind.startswith("socks4"):
            found = [address for address in found if address[0] == socket.AF_INET]
            if not found:
                raise unusable("SOCKS4 knows no IPv6, which the host has only; use socks5 or socks5h")
        self.nearest = str(proxy)
        return [str(address[4][0]) for address in by_turns(found)[:2]]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


_UNSENT_BYTES: Final = 32 * 1024
"""Bytes that the system may hold and not have sent: half a second of speech; more makes nothing faster."""

_SEND_BUFFER_BYTES: Final = 128 * 1024
"""Where that cannot be said: bytes that the system may hold, in flight ones included."""


def _tune(sock: socket.socket, options: WebSocketOptions) -> None:
    """Send small frames at once, keep unsent ones here, notice a dead peer, and do what the user asks."""
    wanted: list[tuple[Any, ...]] = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        # The system would take megabytes that a slow line needs a minute for, and nobody would see it.
        (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        if hasattr(socket, "TCP_NOTSENT_LOWAT")  # Linux, macOS
        else (socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES),
    ]
    if sys.platform == "linux":
        # A peer that vanishes while we send is otherwise noticed after many minutes.
        wanted += [
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        ]
        if options.ping_interval is None:
            # With pings there is no need, and it would end a connection that is heard, but not read.
            milliseconds = max(1, int(options.ping_timeout * 1000))
            wanted.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds))
    for option in wanted:
        # A sandbox or an exotic socket may refuse; none of them is needed to work.
        with contextlib.suppress(OSError):
            sock.setsockopt(*option)
    for option in options.sockopt:
        try:
            sock.setsockopt(*option)
        except (OSError, OverflowError, TypeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise unusable(f"the system does not take the sockopt {option!r}: {reason}") from exc
