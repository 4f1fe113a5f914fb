"""Where to connect to, and as whom."""

from __future__ import annotations

from .._transport import Target
from ..errors import AUTHENTICATION_ERROR, ConnectError, RealtimeError
from ..options import AzureRealTimeOptions, WebSocketOptions

__all__ = ["target_of"]


def target_of(options: AzureRealTimeOptions, websocket_options: WebSocketOptions) -> Target:
    """Where to connect to and as whom; on the reader thread, because a credential may take its time."""
    try:
        authorization = options.authorization()
    except RealtimeError:
        raise
    except Exception as exc:
        # Not its message, which may quote a secret; that is in the cause.
        what = type(exc).__name__
        hint = "Sign in anew, or check the credential by itself: get_token(scope), or the function you gave."
        raise ConnectError(
            f"The credential could not be obtained: it raised {what}. {hint}",
            type=AUTHENTICATION_ERROR,
            hint=hint,
        ) from exc
    return Target(options.url, {**websocket_options.headers, **authorization})
