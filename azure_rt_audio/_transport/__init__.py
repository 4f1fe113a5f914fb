"""
WebSocket connections, and the threads that own them. Nothing here knows events.

:mod:`.connection` is the handle that others hold, :mod:`.driver` the connection itself, driven by the
:mod:`.io_thread` that it may share with others. :mod:`.dialling` makes it, on a thread of its own, by way of
:mod:`.handshake`. The driver's parts are :mod:`.send_queue` with :mod:`.send_lag`, :mod:`.keepalive` and
:mod:`.closing`, with :mod:`.close_reasons`. Below it, :mod:`.websocket` is the protocol on
:mod:`.buffered_socket`, which is the socket as websocket-client sees it; what arrives lies in a
:mod:`.receive_buffer`, out of which :mod:`.frames` takes it, or :mod:`.custom_websocket` for a WebSocket
class of the user's own. These import websocket-client, which takes its time: they are imported for the first
connection, not with the package.
"""

from .._net.dial import Target
from .connection import Connection
from .dialling import WebSocketImpl, no_token_in_time
from .driver import Outcome
from .frames import Payload
from .io_thread import IOThread
from .send_lag import DroppedSound, LagReport
from .state import WebSocketState

__all__ = [
    "Connection",
    "DroppedSound",
    "IOThread",
    "LagReport",
    "Outcome",
    "Payload",
    "Target",
    "WebSocketImpl",
    "WebSocketState",
    "no_token_in_time",
]
