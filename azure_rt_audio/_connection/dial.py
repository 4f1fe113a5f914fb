"""
From a URL to a connected socket: name, TCP, proxy and TLS inside one deadline.

websocket-client bounds each ``recv``, not the whole, and holds on to the socket until it
is done; here every wait is one on a non-blocking socket with the waker beside
it, so the total keeps to its budget and ``close()`` can end it at any point.

Threads and locks: everything runs on the I/O thread but one short-lived helper per host
name, ``azure-rt-resolver``, because the system's resolver can be neither bounded nor
interrupted. ``_shared_lock`` guards the TLS context that all connections share; a leaf.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import ipaddress
import os
import selectors
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import attrs

from ..errors import ConnectError
from .outcomes import failed, parse_head, refused, unusable
from .patience import Interrupted, Late, Patience

__all__ = ["Target", "Wire", "dial"]

_MAX_PROXY_HEAD: Final = 16 * 1024


@attrs.frozen
class Target:
    """
    Where to connect to.

    Attributes:
        url: ``ws://`` or ``wss://``; holds no credential.
        headers: Sent with the handshake; hold the credential and are never shown.
    """

    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)


@attrs.frozen(kw_only=True)
class Wire:
    """
    How to connect, and the limits of a connection. Times are in seconds.

    Attributes:
        connect_timeout: Budget of the whole handshake: DNS, TCP, proxy, TLS and HTTP.
        close_timeout: Budget of a close handshake nobody gave another one.
        ping_interval: Silence after which a ping goes out; ``None`` sends none.
        ping_timeout: Silence after a ping that ends the connection.
        max_message_bytes: Largest message accepted from the peer, fragments together.
        max_backlog_bytes: Payload that may wait to be written before senders wait.
        ssl_context: For ``wss``; ``None`` uses one that all connections share.
        sslopt: The options of websocket-client of that name, used without *ssl_context*.
        http_proxy_host: ``None`` looks into the environment (``https_proxy``, ``no_proxy``).
        http_proxy_port: 8080 if not given, 1080 for SOCKS.
        http_proxy_auth: User and password.
        proxy_type: ``http``, ``socks4``, ``socks4a``, ``socks5`` or ``socks5h``.
        no_proxy: Hosts, domains or networks to reach directly; ``None`` asks the environment.
        sockopt: Arguments of further ``setsockopt`` calls.
        subprotocols: Offered in the handshake; the peer must choose one if there is any.
        user_agent: Sent unless the target's headers have one.
        websocket_impl: Makes the ``websocket.WebSocket`` to use.
    """

    connect_timeout: float = 10.0
    close_timeout: float = 5.0
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0
    max_message_bytes: int = 16 * 2**20
    max_backlog_bytes: int = 32 * 2**20
    ssl_context: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    sslopt: Mapping[str, Any] = attrs.field(default=MappingProxyType({}), repr=False)
    http_proxy_host: str | None = None
    http_proxy_port: int | None = None
    http_proxy_auth: tuple[str, str] | None = attrs.field(default=None, repr=False)
    proxy_type: str = "http"
    no_proxy: Sequence[str] | None = None
    sockopt: Sequence[tuple[Any, ...]] = ()
    subprotocols: Sequence[str] = ()
    user_agent: str | None = None
    websocket_impl: Callable[..., Any] | None = None


@attrs.frozen
class _Proxy:
    kind: str
    host: str
    port: int
    auth: tuple[str, str] | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def dial(url: str, wire: Wire, patience: Patience) -> socket.socket:
    """
    Connect to the host of *url* and, for ``wss``, finish the TLS handshake. Blocks.

    Returns:
        A non-blocking socket, ready for the HTTP request.

    Raises:
        ConnectError: If it cannot be done, or not in time.
        Interrupted: If the connection is closed meanwhile.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "wss"
    port = parts.port or (443 if secure else 80)
    sock: socket.socket | None = None
    proxy: _Proxy | None = None
    phase = "look-up of the proxy"
    problem: ConnectError
    try:
        context = _context(wire) if secure else None
        proxy = _proxy_for(host, secure, wire)
        first = (proxy.host, proxy.port) if proxy else (host, port)
        if proxy and proxy.kind != "http":
            phase = "SOCKS handshake"
            sock = _through_socks(proxy, host, port, patience)
        else:
            phase = "name look-up"
            addresses = _resolve(*first, patience)
            phase = "TCP connect"
            sock = _connect(addresses, patience)
        _tune(sock, wire)
        if proxy and proxy.kind == "http":
            phase = "proxy's CONNECT"
            _tunnel(sock, url, host, port, proxy, patience)
        if context is not None:
            phase = "TLS handshake"
            sock = _secure(sock, context, wire.sslopt.get("server_hostname") or host, patience)
        return sock
    except Interrupted:
        _close(sock)
        raise
    except (Late, TimeoutError):
        problem = failed(url, phase, None)
    except ConnectError as exc:
        problem = exc
    except Exception as exc:  # noqa: BLE001 - a resolver, a TLS option or python-socks may raise anything
        beyond = phase == "TLS handshake" or proxy is None
        problem = failed(url, phase, exc, proxy=None if beyond else str(proxy))
    # Raised out here so that no frame with headers or a proxy's password hangs on the error.
    _close(sock)
    raise problem


def _close(sock: socket.socket | None) -> None:
    if sock is not None:
        sock.close()


def _resolve(host: str, port: int, patience: Patience) -> list[Any]:
    """Return the addresses of *host*; the look-up itself runs in a thread that may be left behind."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        pass  # a name, then
    except UnicodeError:
        raise unusable("the host name is not a valid one") from None
    answers: list[Any] = []
    waker = patience.waker

    def look_up() -> None:
        try:
            answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as exc:  # noqa: BLE001 - raised on the I/O thread instead
            answers.append(exc)
        waker.wake()

    threading.Thread(target=look_up, name="azure-rt-resolver", daemon=True).start()
    while not answers:
        patience.wait(None)
    if isinstance(answers[0], Exception):
        raise answers[0]
    found: list[Any] = answers[0]
    return found


def _connect(addresses: Sequence[Any], patience: Patience) -> socket.socket:
    """Connect to the first address that answers; one that is silent gets only its share of the time."""
    trouble: Exception = OSError("no address")
    for index, (family, kind, proto, _, address) in enumerate(addresses):
        left = len(addresses) - index
        remaining = patience.deadline.remaining()
        share = patience if left == 1 or remaining is None else patience.at_most(min(3.0, remaining / left))
        try:
            sock = socket.socket(family, kind, proto)
        except OSError as exc:
            trouble = exc  # this address family does not exist here
            continue
        try:
            sock.setblocking(False)
            try:
                sock.connect(address)
            except BlockingIOError:
                share.wait(sock, selectors.EVENT_WRITE)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    # OSError picks the subclass by the number, such as ConnectionRefusedError.
                    raise OSError(code, os.strerror(code)) from None
            return sock
        except (OSError, Late) as exc:
            sock.close()
            trouble = exc
        except BaseException:
            sock.close()
            raise
    raise trouble


def _tune(sock: socket.socket, wire: Wire) -> None:
    """Send small frames at once, notice a dead peer, and do what the user asks."""
    wanted: list[tuple[Any, ...]] = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    if sys.platform == "linux":
        # A peer that vanishes while we send is otherwise noticed after many minutes.
        wanted += [
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(wire.ping_timeout * 1000))),
        ]
    for option in wanted:
        # A sandbox or an exotic socket may refuse; none of them is needed to work.
        with contextlib.suppress(OSError):
            sock.setsockopt(*option)
    for option in wire.sockopt:
        sock.setsockopt(*option)


def _proxy_for(host: str, secure: bool, wire: Wire) -> _Proxy | None:
    """Return the proxy to go through, from the options or else from the environment."""
    if wire.http_proxy_host:
        if _is_direct(host, wire.no_proxy or ()):
            return None
        port = wire.http_proxy_port or (8080 if wire.proxy_type == "http" else 1080)
        return _Proxy(wire.proxy_type, wire.http_proxy_host, int(port), wire.http_proxy_auth)
    name = "https_proxy" if secure else "http_proxy"
    value = (os.environ.get(name) or os.environ.get(name.upper()) or "").strip()
    # Loopback never leaves the machine: over plain ws a proxy would see the credential.
    if not value or _is_loopback(host):
        return None
    listed = wire.no_proxy
    if listed is None:
        listed = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    if _is_direct(host, listed):
        return None
    parts = urlsplit(value if "://" in value else f"http://{value}")
    if not parts.hostname:
        raise unusable(f"the variable {name} names no proxy host")
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return _Proxy(parts.scheme, parts.hostname, parts.port or (80 if parts.scheme == "http" else 1080), auth)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_direct(host: str, no_proxy: Sequence[str]) -> bool:
    """Tell whether *no_proxy* lists the host itself, a domain above it or a network around it."""
    for entry in (item.strip().lower().lstrip(".") for item in no_proxy):
        if entry in ("*", host) or (entry and host.endswith("." + entry)):
            return True
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            pass  # one of them is a name
    return False


def _tunnel(sock: socket.socket, url: str, host: str, port: int, proxy: _Proxy, patience: Patience) -> None:
    """Ask an HTTP proxy for a way through."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"
    if proxy.auth:
        token = base64.b64encode(":".join(proxy.auth).encode()).decode()
        request += f"Proxy-Authorization: Basic {token}\r\n"
    unsent = (request + "\r\n").encode()
    while unsent:
        patience.wait(sock, selectors.EVENT_WRITE)
        unsent = unsent[sock.send(unsent) :]
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        patience.wait(sock)
        byte = sock.recv(1)  # singly: what follows the head is the peer's
        if not byte:
            raise EOFError
        head += byte
        if len(head) > _MAX_PROXY_HEAD:
            raise ValueError("the proxy's answer has no end")
    status, headers = parse_head(bytes(head[:-4]))
    if not 200 <= status < 300:
        raise refused(url, status, headers, b"", proxy=str(proxy))


def _through_socks(proxy: _Proxy, host: str, port: int, patience: Patience) -> socket.socket:
    """Connect by way of a SOCKS proxy, which needs python-socks and cannot be interrupted."""
    if proxy.kind not in ("socks4", "socks4a", "socks5", "socks5h"):
        raise unusable(f'a proxy of the kind "{proxy.kind}" is not supported, use http or socks5h')
    try:
        library: Any = importlib.import_module("python_socks")
        make: Any = importlib.import_module("python_socks.sync").Proxy.create
    except ImportError:
        raise unusable('a SOCKS proxy needs the "socks" extra: pip install "azure-rt-audio[socks]"') from None
    user, password = proxy.auth or (None, None)
    kind = library.ProxyType.SOCKS5 if proxy.kind.startswith("socks5") else library.ProxyType.SOCKS4
    sock: socket.socket = make(
        proxy_type=kind,
        host=proxy.host,
        port=proxy.port,
        username=user,
        password=password,
        rdns=proxy.kind in ("socks4a", "socks5h"),
    ).connect(host, port, timeout=patience.deadline.remaining())
    sock.setblocking(False)
    return sock


_shared_lock = threading.Lock()  # guards _shared
_shared: ssl.SSLContext | None = None


def _context(wire: Wire) -> ssl.SSLContext:
    """Return the TLS context: without options one that all share, because it is big and slow to make."""
    global _shared
    if wire.ssl_context is not None:
        return wire.ssl_context
    if "context" in wire.sslopt:
        context: ssl.SSLContext = wire.sslopt["context"]
        return context
    options = {key: value for key, value in wire.sslopt.items() if key != "server_hostname"}
    if options:
        try:
            return _context_of(options)
        except (OSError, ValueError, TypeError) as exc:  # a file that is missing, a cipher nobody knows
            raise unusable(f"sslopt was refused ({type(exc).__name__}: {exc})") from exc
    with _shared_lock:
        if _shared is None:
            _shared = ssl.create_default_context()
        return _shared


def _context_of(options: dict[str, Any]) -> ssl.SSLContext:
    """Make a context from options by the names that websocket-client gave them."""
    cafile, capath = options.pop("ca_certs", None), options.pop("ca_cert_path", None)
    context = ssl.create_default_context(cafile=cafile, capath=capath)
    chain = options.pop("cert_chain", None) or (
        options.pop("certfile", None),
        options.pop("keyfile", None),
        options.pop("password", None),
    )
    if chain[0]:
        context.load_cert_chain(*chain)
    if "ciphers" in options:
        context.set_ciphers(options.pop("ciphers"))
    verify = options.pop("cert_reqs", ssl.CERT_REQUIRED)
    context.check_hostname = options.pop("check_hostname", verify != ssl.CERT_NONE)
    context.verify_mode = verify
    if options:
        raise ValueError(f"unknown {', '.join(sorted(options))}; pass ssl_context instead")
    return context


def _secure(sock: socket.socket, context: ssl.SSLContext, name: str, patience: Patience) -> ssl.SSLSocket:
    """Do the TLS handshake; *sock* is the returned socket's from here on, also if it fails."""
    tls = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
    try:
        while True:
            try:
                tls.do_handshake()
                return tls
            except ssl.SSLWantReadError:
                patience.wait(tls)
            except ssl.SSLWantWriteError:
                patience.wait(tls, selectors.EVENT_WRITE)
    except BaseException:
        tls.close()
        raise
