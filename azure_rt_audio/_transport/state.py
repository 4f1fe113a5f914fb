"""Where a connection is in its life."""

from __future__ import annotations

import enum

__all__ = ["WebSocketState"]


class WebSocketState(enum.IntEnum):
    """Where a connection is in its life; the numbers are those of a browser's ``readyState``."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3
