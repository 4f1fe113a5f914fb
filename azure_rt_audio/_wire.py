"""From what the user says about the connection to what the transport needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import websocket

from ._connection import Wire
from ._version import __version__
from .options import WebSocketOptions

__all__ = ["WebSocketImpl", "wire_of"]

WebSocketImpl = type[websocket.WebSocket] | Callable[..., websocket.WebSocket]

_PROXIES = ("http", "socks4", "socks4a", "socks5", "socks5h")


def wire_of(options: WebSocketOptions, websocket_impl: WebSocketImpl | None) -> Wire:
    """
    Translate the options.

    Raises:
        ValueError: If the proxy's URL cannot be right; does not repeat it.
        TypeError: If *websocket_impl* cannot make a WebSocket.
    """
    if websocket_impl is not None and not callable(websocket_impl):
        raise TypeError("websocket_impl must be a websocket.WebSocket class or a function that returns one")
    proxy: dict[str, Any] = {}
    if options.http_proxy is not None:
        try:
            parts = urlsplit(options.http_proxy)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None  # its message quotes what may be a password
        if parts.scheme not in _PROXIES or not parts.hostname:
            raise ValueError("http_proxy must look like http://host:port or socks5://host:port")
        proxy = {
            "http_proxy_host": parts.hostname,
            "http_proxy_port": port,
            "proxy_type": parts.scheme,
            "no_proxy": (),
        }
        if parts.username is not None:
            proxy["http_proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    return Wire(
        connect_timeout=options.connect_timeout,
        close_timeout=options.close_timeout,
        ping_interval=options.ping_interval,
        ping_timeout=options.ping_timeout,
        max_message_bytes=options.max_message_bytes,
        max_backlog_bytes=options.max_send_backlog_bytes,
        ssl_context=options.ssl_context,
        sockopt=options.sockopt,
        user_agent=f"azure-rt-audio/{__version__}",
        websocket_impl=websocket_impl,
        **proxy,
    )
