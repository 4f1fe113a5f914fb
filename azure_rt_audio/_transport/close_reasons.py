"""
Maps close codes, and ends without a close frame, to :class:`ConnectionClosedError`.

Pure: no socket, no clock, no thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .. import _retry_after
from ..errors import ConnectionClosedError, classify

__all__ = ["closed_by_peer", "lost"]

_CLOSE_CODES: Final[Mapping[int, str]] = {
    1000: "closed the connection normally",
    1001: "is going away; connect again for a new session",
    1002: "says that this side broke the WebSocket protocol; please report this",
    1003: "does not accept that kind of frame",
    1005: "closed the connection without saying why; connect again for a new session",
    1007: "could not read a message of this side as text",
    1008: "or a proxy on the way closed the connection for a policy of its own",
    1009: "found a message of this side too big; send audio in smaller pieces",
    1011: "ran into an error of its own; connect again, and quote the session id if it happens often",
    1012: "is restarting; connect again",
    1013: "is overloaded; connect again a little later",
}


def closed_by_peer(where: str, code: int, reason: str) -> ConnectionClosedError:
    """
    Say what it means that the peer sent a close frame.

    Args:
        where: ``host:port`` of the peer.
        code: Its close code; 1005 if the frame had none.
        reason: Its words. For codes 3000 to 4999 they are ``<error.type>.<error.code>``.
    """
    error_code = error_type = None
    if code == 1001 and "maximum duration" in reason.lower():
        error_code = "session_expired"
        what = "ended the session because it reached its maximum duration; connect again for a new one"
    elif 3000 <= code < 5000:
        error_type, _, error_code = reason.partition(".")
        what = "closed the connection over an error"
    else:
        what = _CLOSE_CODES.get(code, "closed the connection")
    quote = f": {reason}" if reason else ""
    return ConnectionClosedError(
        f"{where} {what} (close code {code}{quote}).",
        type=classify(code=error_code or None, type=error_type or None, close_code=code),
        code=error_code or None,
        close_code=code,
        reason=reason,
        is_clean=True,
        retry_after=_retry_after.from_words(reason),
    )


def lost(where: str, exc: BaseException | None = None) -> ConnectionClosedError:
    """Say that the connection to *where* ended without a close frame; *exc* becomes the cause."""
    detail = ""
    if isinstance(exc, OSError):
        detail = f" ({exc.strerror or type(exc).__name__})"
    error = ConnectionClosedError(
        f"The connection to {where} was lost without a close frame{detail}; connect again for a new session.",
        close_code=1006,
    )
    error.__cause__ = exc
    return error
