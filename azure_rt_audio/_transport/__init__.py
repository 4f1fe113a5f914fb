"""
The machine room: one WebSocket connection and the one thread that owns it. It knows no events.

From the outside in: :mod:`.connection` is the handle that others hold, :mod:`.reader` the thread and
its queue, :mod:`.pulse` its sense of whether the peer is alive, :mod:`.transport` the protocol on
:mod:`.link`, which is the socket as websocket-client sees it. What arrives lies in a :mod:`.buffer`, out
of which :mod:`.frames` takes it (or :mod:`.theirs`, for a WebSocket class of the user's own).
:mod:`.dial` is the way there (DNS, TCP, proxy, TLS) with :mod:`.patience`, and :mod:`.outcomes` what the
far end did, in words.
"""

from .._net.dial import Target
from .connection import Connection
from .frames import Payload
from .state import WebSocketState
from .websocket import WebSocketImpl

__all__ = ["Connection", "Payload", "Target", "WebSocketImpl", "WebSocketState"]
