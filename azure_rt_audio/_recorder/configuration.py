"""What a recording says of the client's configuration: everything that explains what it did, no secret."""

from __future__ import annotations

from typing import Any, Final

from ..options import AzureRealTimeOptions, WebSocketOptions
from ..protocol.codec import to_json

__all__ = ["configuration"]

_TIMES: Final = (
    "connect_timeout",
    "close_timeout",
    "ping_interval",
    "ping_timeout",
    "send_timeout",
)


def configuration(options: AzureRealTimeOptions, websocket_options: WebSocketOptions) -> dict[str, Any]:
    """Return the ``configuration`` of a header."""
    return {
        "endpoint": options.endpoint.authority,
        "deployment": options.deployment,
        "dialect": options.resolved_dialect.name,
        "api_version": options.api_version,
        "session": to_json(options.session_config),
        "connection": {name: getattr(websocket_options, name) for name in _TIMES},
        # A mapping of this name would be a secret: here it is a list of names.
        "header_names": sorted(websocket_options.headers),
    }
