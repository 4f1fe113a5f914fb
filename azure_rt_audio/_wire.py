"""From what the user says about the connection to what the transport needs."""

from __future__ import annotations

from collections.abc import Callable

import websocket

from ._transport import Wire
from ._version import __version__
from .options import WebSocketOptions
from .options.proxy_url import parse_proxy

__all__ = ["WebSocketImpl", "wire_of"]

WebSocketImpl = type[websocket.WebSocket] | Callable[..., websocket.WebSocket]


def wire_of(options: WebSocketOptions, websocket_impl: WebSocketImpl | None) -> Wire:
    """
    Translate the options.

    Raises:
        TypeError: If *websocket_impl* cannot make a WebSocket.
    """
    if websocket_impl is not None and not callable(websocket_impl):
        raise TypeError("websocket_impl must be a websocket.WebSocket class or a function that returns one")
    return Wire(
        connect_timeout=options.connect_timeout,
        close_timeout=options.close_timeout,
        ping_interval=options.ping_interval,
        ping_timeout=options.ping_timeout,
        max_message_bytes=options.max_message_bytes,
        max_backlog_bytes=options.max_send_backlog_bytes,
        ssl_context=options.ssl_context,
        sockopt=options.sockopt,
        proxy=None if options.http_proxy is None else parse_proxy(options.http_proxy),
        user_agent=f"azure-rt-audio/{__version__}",
        websocket_impl=websocket_impl,
    )
