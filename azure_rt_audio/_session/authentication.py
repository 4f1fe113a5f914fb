"""The URL and the credential of a connection."""

from __future__ import annotations

from .._transport import Target
from ..errors import AUTHENTICATION_ERROR, ConnectError, RealtimeError
from ..options import AzureRealTimeOptions, WebSocketOptions

__all__ = ["target_of"]


def target_of(options: AzureRealTimeOptions, websocket_options: WebSocketOptions) -> Target:
    """Return URL and headers. Called on a thread of the transport, since a credential may block."""
    try:
        authorization = options.authorization()
    except RealtimeError:
        raise
    except BaseException as exc:  # SystemExit too, of a function that asks to sign in: this is no main thread
        # Without its message, which may quote a secret; the cause has it.
        what = type(exc).__name__
        hint = "Sign in anew, or check the credential by itself: get_token(scope), or the function you gave."
        raise ConnectError(
            f"The credential could not be obtained: it raised {what}. {hint}",
            type=AUTHENTICATION_ERROR,
            hint=hint,
        ) from exc
    return Target(options.url, {**websocket_options.headers, **authorization})
