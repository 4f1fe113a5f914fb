"""
Everything that can go wrong, as one tree.

::

    RealtimeError
    ├── ConnectError            the handshake did not succeed (status, body, request_id)
    ├── ConnectionClosedError   the connection is over (code, reason, is_clean)
    │   └── DispatchOverflowError   listeners fell behind past the documented limit
    ├── DecodeError             a frame that is not what it claims to be (path, payload)
    ├── ServiceError            the service said no (code, param, event_id)
    ├── DeviceError             a microphone or a speaker cannot be used
    ├── ResponseActiveError     a response is in progress and the caller asked not to wait
    └── MissingExtraError       an optional dependency is not installed (extra)
        └── BrokenExtraError    it is installed, but cannot be imported (module)

Misuse that can be known before anything is sent is a built-in :class:`ValueError`,
:class:`TypeError` or :class:`RuntimeError`; time that ran out is :class:`TimeoutError`.

Every error carries ``type``, one of the five kinds that an ``error`` listener
distinguishes: ``connection_error``, ``authentication_error``, ``rate_limit_error``,
``invalid_request_error`` and ``server_error``. :func:`classify` is the one place
that decides which.
"""

from __future__ import annotations

import textwrap
from typing import Any, ClassVar, Final

__all__ = [
    "BrokenExtraError",
    "ConnectError",
    "ConnectionClosedError",
    "DecodeError",
    "DeviceError",
    "DispatchOverflowError",
    "MissingExtraError",
    "RealtimeError",
    "ResponseActiveError",
    "ServiceError",
    "classify",
]

CONNECTION_ERROR: Final = "connection_error"
AUTHENTICATION_ERROR: Final = "authentication_error"
RATE_LIMIT_ERROR: Final = "rate_limit_error"
INVALID_REQUEST_ERROR: Final = "invalid_request_error"
SERVER_ERROR: Final = "server_error"

_AUTHENTICATION_CODES: Final = frozenset(
    {
        "invalid_api_key",
        "unauthorized",
        "authenticationtypedisabled",
        "permissiondenied",
        "account_deactivated",
    }
)
_AUTHENTICATION_TYPES: Final = frozenset({"authentication_error", "permission_error"})
_QUOTA_CODES: Final = frozenset({"insufficient_quota", "toomanyrequests"})
_LOST_CONNECTION_CLOSE_CODES: Final = frozenset({1000, 1001, 1005, 1006, 1012, 1013})


def classify(
    *,
    code: str | None = None,
    type: str | None = None,
    status: int | None = None,
    close_code: int | None = None,
) -> str:
    """
    Name the kind of an error from what the service said; the first match wins.

    Rate limits are looked for before ``invalid_request_error`` because the service
    reports them under that type.

    Args:
        code: ``error.code`` of an event, of a failed response or of an HTTP body.
        type: ``error.type`` of the same.
        status: HTTP status of a refused handshake.
        close_code: WebSocket close code; 3000 to 4999 carry ``<type>.<code>`` as
            their reason, which the caller has split into *type* and *code*.
    """
    low_code = (code or "").lower()
    low_type = (type or "").lower()
    if low_code in _AUTHENTICATION_CODES or low_type in _AUTHENTICATION_TYPES or status in (401, 403):
        return AUTHENTICATION_ERROR
    if (
        "rate_limit" in low_code
        or low_code in _QUOTA_CODES
        or "rate_limit" in low_type
        or low_type == "insufficient_quota"
        or status == 429
    ):
        return RATE_LIMIT_ERROR
    if low_code == "session_expired" or close_code in _LOST_CONNECTION_CLOSE_CODES:
        return CONNECTION_ERROR
    if (
        low_type == INVALID_REQUEST_ERROR
        or (status is not None and 400 <= status < 500)
        or (close_code is not None and 3000 <= close_code < 5000)
    ):
        return INVALID_REQUEST_ERROR
    return SERVER_ERROR


class RealtimeError(Exception):
    """
    Root of everything this library raises on its own account.

    Attributes:
        type: The kind of error; see the module docstring.
        message: What happened, to what, and what to do about it. Never holds a secret.
        code: The service's own code, such as ``"cannot_update_voice"``, if it gave one.
        param: Path of the offending field, such as ``"session.voice"``, if known.
        event_id: Id of the command that was refused, if the service said which.
        status: HTTP status of a refused handshake.
        retry_after: Seconds the service asks to wait before the next attempt.
    """

    default_type: ClassVar[str] = SERVER_ERROR

    def __init__(
        self,
        message: str,
        *,
        type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        event_id: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message: str = message
        self.type: str = type or self.default_type
        self.code: str | None = code
        self.param: str | None = param
        self.event_id: str | None = event_id
        self.status: int | None = status
        self.retry_after: float | None = retry_after

    def again(self) -> RealtimeError:
        """
        Return a fresh exception with the same facts, caused by this one.

        One recorded outcome is handed to many callers; raising the same object in
        each of them would let its traceback grow without end.
        """
        twin = self.__class__.__new__(self.__class__, *self.args)
        twin.args = self.args
        twin.__dict__.update(self.__dict__)
        twin.__cause__ = self
        return twin


class ConnectError(RealtimeError):
    """
    The connection could not be made.

    Attributes:
        status: HTTP status, or ``None`` when no answer came (DNS, TCP, TLS, time-out).
        body: Start of the refusal's body, credentials removed; empty if there was none.
        request_id: The service's id of the request, to quote in a support case.
        hint: What most likely went wrong and what to do, or ``""``.
    """

    default_type = CONNECTION_ERROR

    def __init__(
        self,
        message: str,
        *,
        body: str = "",
        request_id: str | None = None,
        hint: str = "",
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.body: str = body
        self.request_id: str | None = request_id
        self.hint: str = hint


class ConnectionClosedError(RealtimeError):
    """
    The connection is over: closed by either side, lost, or never usable again.

    Attributes:
        close_code: WebSocket close code; 1006 when the peer vanished without one.
        reason: The peer's or our own words for it.
        is_clean: Whether both sides said goodbye as the protocol asks.
    """

    default_type = CONNECTION_ERROR

    def __init__(
        self,
        message: str,
        *,
        close_code: int = 1006,
        reason: str = "",
        is_clean: bool = False,
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.close_code: int = close_code
        self.reason: str = reason
        self.is_clean: bool = is_clean


class DispatchOverflowError(ConnectionClosedError):
    """Listeners fell behind by more than the backlog limit, so the connection was ended."""


class DecodeError(RealtimeError):
    """
    A frame could not be understood; the connection goes on.

    Attributes:
        path: Where in the payload, such as ``"$.response.output[0].id"``.
        event_type: The frame's own ``type``, if it had one.
        payload: The frame as received, shortened.
    """

    default_type = SERVER_ERROR

    def __init__(
        self,
        message: str,
        *,
        path: str = "$",
        event_type: str | None = None,
        payload: str = "",
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.path: str = path
        self.event_type: str | None = event_type
        self.payload: str = payload


class ServiceError(RealtimeError):
    """
    The service refused a command or failed while answering.

    Attributes:
        service_type: ``error.type`` as the service sent it; ``type`` is our classification.
        is_benign: Whether the session simply goes on and nothing needs mending: a cancel
            with nothing to cancel, an empty commit, a lost race of truncations.
        event: The event that reported it, if it was one.
    """

    def __init__(
        self,
        message: str,
        *,
        service_type: str | None = None,
        is_benign: bool = False,
        event: Any = None,
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.service_type: str | None = service_type
        self.is_benign: bool = is_benign
        self.event: Any = event


class DeviceError(RealtimeError):
    """
    A microphone or a speaker cannot be used: none is there, none has that name, it is busy, it was closed.

    One that is lost while it is in use is no error but an event, because another one takes its place.
    """

    default_type = INVALID_REQUEST_ERROR


class ResponseActiveError(RealtimeError, RuntimeError):
    """A response is in progress in the default conversation, and the caller chose not to wait."""

    default_type = INVALID_REQUEST_ERROR


class MissingExtraError(RealtimeError, ImportError):
    """
    An optional part was used whose dependencies are not installed.

    Attributes:
        extra: The name to put between brackets: ``pip install "azure-rt-audio[<extra>]"``.
    """

    default_type = INVALID_REQUEST_ERROR

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs the "{extra}" extra: pip install "azure-rt-audio[{extra}]"')
        self.extra: str = extra


class BrokenExtraError(MissingExtraError):
    """
    An optional part was used whose dependencies are installed, but cannot be imported.

    The message says why, in short; ``__cause__`` is what the import raised.

    Attributes:
        module: What cannot be imported.
    """

    def __init__(self, what: str, extra: str, module: str, reason: str) -> None:
        RealtimeError.__init__(
            self,
            f'{what} needs {module} of the "{extra}" extra, which is installed but cannot be imported '
            f"({textwrap.shorten(reason, 300)}); install versions that fit together: "
            f'pip install --upgrade --force-reinstall "azure-rt-audio[{extra}]"',
        )
        self.extra = extra
        self.module: str = module
