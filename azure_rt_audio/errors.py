"""
The exceptions of this library.

::

    RealtimeError
    ├── ConnectError            the connection could not be made (status, body, request_id)
    ├── ConnectionClosedError   the connection has ended (close_code, reason, is_clean)
    │   └── DispatchOverflowError   listeners exceeded the backlog limit
    ├── DecodeError             a malformed frame (path, payload)
    ├── ServiceError            the service refused a command, or a response failed (code, response)
    │   ├── McpListingError            the tools of an MCP server cannot be called (server_label)
    │   └── TranscriptionFailedError   a turn of the user was not transcribed (item_id)
    ├── DeviceError             a microphone or a speaker cannot be used
    ├── RecordingError          a recording cannot be read or written
    ├── ResponseActiveError     a response is in progress, and the caller chose not to wait
    ├── ResponseIncompleteError a response was cut short or cancelled; is not raised (code, response)
    ├── ResponseLostError       the service fell silent about a response (response)
    ├── ResponseSupersededError the user's own turn was answered while a request waited
    └── MissingExtraError       an optional dependency is not installed (extra)
        └── BrokenExtraError    it is installed, but cannot be imported (module)

Misuse that is detected before anything is sent raises a built-in :class:`ValueError`,
:class:`TypeError` or :class:`RuntimeError`; an expired time-out raises :class:`TimeoutError`.

Every error has a ``type``, one of five categories: ``connection_error``,
``authentication_error``, ``rate_limit_error``, ``invalid_request_error`` and ``server_error``.
:func:`classify` assigns it.
"""

from __future__ import annotations

import textwrap
from typing import Any, ClassVar, Final

from ._pages import EXTRAS
from ._printable import one_line

__all__ = [
    "BrokenExtraError",
    "ConnectError",
    "ConnectionClosedError",
    "DecodeError",
    "DeviceError",
    "DispatchOverflowError",
    "McpListingError",
    "MissingExtraError",
    "RealtimeError",
    "RecordingError",
    "ResponseActiveError",
    "ResponseIncompleteError",
    "ResponseLostError",
    "ResponseSupersededError",
    "ServiceError",
    "TranscriptionFailedError",
    "classify",
]

CONNECTION_ERROR: Final = "connection_error"
AUTHENTICATION_ERROR: Final = "authentication_error"
RATE_LIMIT_ERROR: Final = "rate_limit_error"
INVALID_REQUEST_ERROR: Final = "invalid_request_error"
SERVER_ERROR: Final = "server_error"

PROXY_AUTHENTICATION_REQUIRED: Final = "proxy_authentication_required"
"""A ``code`` of this library: the only one that is not the service's."""

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
_QUOTA_CODES: Final = frozenset(
    {"insufficient_quota", "toomanyrequests", "credit_balance_exhausted", "billing_hard_limit_reached"}
)
_LOST_CONNECTION_CLOSE_CODES: Final = frozenset({1000, 1001, 1005, 1006, 1012, 1013})


def classify(
    *,
    code: str | None = None,
    type: str | None = None,
    status: int | None = None,
    close_code: int | None = None,
) -> str:
    """
    Return the ``type`` of an error from what the service reported; the first match wins.

    Rate limits take precedence over ``invalid_request_error``, because the service reports them under that
    type.

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
    Base class of this library's exceptions.

    Attributes:
        type: The category; see the module docstring.
        message: What happened, to which field, and the remedy; also the ``str`` of the error. One line,
            without secrets, printable: control characters of what it quotes are escaped. The other
            attributes have what was received.
        code: The service's code, such as ``"cannot_update_voice"``, if there is one;
            ``"proxy_authentication_required"`` if a proxy did not accept the user.
        param: Path of the offending field, such as ``"session.voice"``, if known.
        event_id: Id of the refused command, if the service reports it.
        status: HTTP status of a refused handshake.
        retry_after: Seconds to wait before the next attempt, if the service asks for it: in a header, in
            a field, in words ("try again in 4.494s"), or by a rate limit that it has told of. A year at most.
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
        shown = one_line(message)
        super().__init__(shown)
        self.message: str = shown
        self.type: str = type or self.default_type
        self.code: str | None = code
        self.param: str | None = param
        self.event_id: str | None = event_id
        self.status: int | None = status
        self.retry_after: float | None = retry_after

    def again(self) -> RealtimeError:
        """
        Return a copy, with this exception as its cause.

        One recorded exception is raised in many callers; raising the same object each time would extend its
        traceback without limit.
        """
        copy = self.__class__.__new__(self.__class__, *self.args)
        copy.args = self.args
        copy.__dict__.update(self.__dict__)
        copy.__cause__ = self
        return copy


class ConnectError(RealtimeError):
    """
    The connection could not be made.

    Attributes:
        status: HTTP status, or ``None`` if there was no response (DNS, TCP, TLS, time-out).
        body: Start of the response's body, credentials removed; empty if there is none.
        request_id: The service's id of the request, for support cases.
        hint: The likely cause and remedy, or ``""``.
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
        self.hint: str = one_line(hint)


class ConnectionClosedError(RealtimeError):
    """
    The connection has ended: it was closed by either side, or lost.

    Attributes:
        close_code: WebSocket close code; 1006 if there was no close frame.
        reason: The reason of the close frame, or this side's.
        is_clean: Whether the closing handshake was completed.
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
    """Listeners exceeded the backlog limit, so the connection was closed."""


class DecodeError(RealtimeError):
    """
    A frame is not JSON, not an object or has no type, or a delta of sound is not base64.

    The connection stays open. A field that is missing or of another type is no error: see
    :attr:`azure_rt_audio.events.Event.problems`.

    Attributes:
        path: Path in the payload, such as ``"$.type"``.
        event_type: The frame's ``type``, if it has one.
        payload: The frame as received, truncated.
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
    The service refused a command, or a response failed.

    Attributes:
        service_type: ``error.type`` as received; ``type`` is this library's category.
        is_benign: Whether it can be ignored: a cancel without a response, an empty commit, a truncation that
            came too late.
        event: The event that reported it, if there was one.
        response: The :class:`~azure_rt_audio.Response` that failed, if one did: has what came of it.
    """

    def __init__(
        self,
        message: str,
        *,
        service_type: str | None = None,
        is_benign: bool = False,
        event: Any = None,
        response: Any = None,
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.service_type: str | None = service_type
        self.is_benign: bool = is_benign
        self.event: Any = event
        self.response: Any = response


class TranscriptionFailedError(ServiceError):
    """
    The service could not write down what the user said. It was heard all the same, and is answered.

    Nothing raises it: listeners of ``"error"`` are told, or the log.

    Attributes:
        item_id: Of the user's message.
    """

    def __init__(self, message: str, *, item_id: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.item_id: str | None = item_id


class McpListingError(ServiceError):
    """
    The service could not list the tools of an MCP server: the model has none of them. The session goes on.

    Nothing raises it: listeners of ``"error"`` are told, or the log.

    Attributes:
        server_label: The server, as it was declared.
        item_id: Of the list, in the conversation.
    """

    def __init__(
        self, message: str, *, server_label: str | None = None, item_id: str | None = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.server_label: str | None = server_label
        self.item_id: str | None = item_id


class DeviceError(RealtimeError):
    """
    A microphone or a speaker cannot be used: it does not exist, is busy, or was closed.

    The loss of an open device is no error but an event, because it is replaced.
    """

    default_type = INVALID_REQUEST_ERROR


class RecordingError(RealtimeError):
    """A recording cannot be read: it is none, or of another version; or it cannot be written any more."""

    default_type = INVALID_REQUEST_ERROR


class ResponseActiveError(RealtimeError, RuntimeError):
    """
    A response cannot begin at once, and the caller chose not to wait.

    One is in progress in the default conversation, or asked for, or it is the user's turn: the message says
    which.
    """

    default_type = INVALID_REQUEST_ERROR


class ResponseIncompleteError(RealtimeError):
    """
    A response ended before all of it was said: it was cut short, or cancelled.

    It is not raised, as there is an answer: it is the ``error`` of the response and of its handle.

    Attributes:
        code: The service's reason: ``"content_filter"``, ``"max_output_tokens"`` (cut short),
            ``"turn_detected"``, ``"client_cancelled"`` (cancelled); ``"guard"`` if the client's guard
            stopped it.
        response: The :class:`~azure_rt_audio.Response`; its ``status`` is ``"incomplete"`` or
            ``"cancelled"``.
    """

    default_type = INVALID_REQUEST_ERROR

    def __init__(self, message: str, *, response: Any = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.response: Any = response


class ResponseLostError(RealtimeError):
    """
    The service fell silent about a response, or has forgotten it, and it was given up.

    Attributes:
        response: What came of it: its items as far as they were streamed, ``status`` ``"incomplete"``;
            ``None`` if it never began.
    """

    def __init__(self, message: str, *, response: Any = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.response: Any = response


class ResponseSupersededError(RealtimeError):
    """The user's own turn was answered while the request waited, and it was to be dropped then."""

    default_type = INVALID_REQUEST_ERROR


class MissingExtraError(RealtimeError, ImportError):
    """
    A feature needs an extra that is not installed.

    Attributes:
        extra: Its name, as in ``pip install "azure-rt-audio[<extra>]"``.
    """

    default_type = INVALID_REQUEST_ERROR

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs the "{extra}" extra: pip install "azure-rt-audio[{extra}]". {EXTRAS}')
        self.extra: str = extra


class BrokenExtraError(MissingExtraError):
    """
    A feature needs an extra that is installed but cannot be imported.

    ``__cause__`` is the exception of the import.

    Attributes:
        module: The module that cannot be imported.
    """

    def __init__(self, what: str, extra: str, module: str, reason: str) -> None:
        if "cannot open shared object file" in reason:  # no package of Python brings it
            remedy = "install the package of your system that has this library"
        else:
            remedy = (
                "install versions that fit together: "
                f'pip install --upgrade --force-reinstall "azure-rt-audio[{extra}]"'
            )
        RealtimeError.__init__(
            self,
            f'{what} needs {module} of the "{extra}" extra, which is installed but cannot be imported '
            f"({textwrap.shorten(reason, 300)}); {remedy}. {EXTRAS}",
        )
        self.extra = extra
        self.module: str = module
