"""
What is fatal: whether there is any use in another attempt after a connection has ended or could not be made.

Pure: no clock, no socket, no thread. "Worked" means that a session was configured once; "for 60 s" and "three
tries" count from the loss, see :class:`~azure_rt_audio._session.backoff.Backoff`.

====================================================  =============================================
end                                                   verdict
====================================================  =============================================
quota used up, account or key no longer valid         fatal, whatever the status or close code
HTTP 401; credential that raises or gives no token    with a key fatal; a credential is asked once
                                                      more, or for 60 s if it is what fails
HTTP 403, 407; options that cannot be used            fatal
HTTP 404, another 4xx, 2xx or 3xx; certificate        fatal, but once it has worked only after 60 s
HTTP 408, 425, 429, 5xx                               again
names, TCP, TLS, time-out, proxy                      again
close 1000                                            fatal, unless the session had expired
close 1001, 1005, 1006, 1011 to 1015                  again
close 1002, 1003, 1007, 1008, 1009, 3001 and above    again, three tries
close 3000, 4000 to 4004                              fatal
listeners exceeded the backlog limit                  fatal
====================================================  =============================================
"""

from __future__ import annotations

import ssl
from enum import Enum
from http import HTTPStatus
from typing import Final

from attrs import frozen

from ..errors import (
    AUTHENTICATION_ERROR,
    INVALID_REQUEST_ERROR,
    PROXY_AUTHENTICATION_REQUIRED,
    ConnectError,
    ConnectionClosedError,
    DispatchOverflowError,
    RealtimeError,
)

__all__ = ["SESSION_EXPIRED", "Decision", "Verdict", "in_words", "judge", "kind_of"]

SESSION_EXPIRED: Final = "session_expired"

_GRACE_S: Final = 60.0
"""How long what had worked may be unknown: a deployment that is moved, a network with a log-in page."""

_TRIES: Final = 3

_FATAL_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "billing_hard_limit_reached",
        "account_deactivated",
        "invalid_api_key",
        PROXY_AUTHENTICATION_REQUIRED,
    }
)
_FATAL_STATUS: Final = frozenset({403, 407})
_TRANSIENT_STATUS: Final = frozenset({408, 425, 429})
_FATAL_CLOSES: Final = frozenset({3000, *range(4000, 4005)})
_LOST: Final = frozenset({1001, 1005, 1006, *range(1011, 1016)})


class Decision(Enum):
    """What comes after an end."""

    AGAIN = "again"
    ONCE_MORE = "once more"
    FATAL = "fatal"


@frozen
class Verdict:
    """
    A decision, with the end it is about in a few words.

    Attributes:
        reason: Such as ``"the connection was lost"``; for a person, without secrets.
    """

    decision: Decision
    reason: str

    @property
    def is_fatal(self) -> bool:
        """Whether no further attempt is to be made."""
        return self.decision is Decision.FATAL


def judge(
    outcome: RealtimeError,
    *,
    has_fresh_token: bool,
    has_worked: bool,
    has_expired: bool = False,
    before: int = 0,
    elapsed_s: float = 0.0,
) -> Verdict:
    """
    Return whether to try again.

    Args:
        outcome: How the connection ended, or why it could not be made.
        has_fresh_token: Whether the credential is asked anew for each attempt; a key is not.
        has_worked: Whether a session of this client was configured before.
        has_expired: Whether the service said that the session has expired.
        before: How many ends of the same :func:`kind_of` there were since the loss.
        elapsed_s: Seconds since the loss.
    """
    reason = in_words(outcome, has_expired=has_expired)
    if _is_fatal(outcome):
        return Verdict(Decision.FATAL, reason)
    if isinstance(outcome, ConnectionClosedError):
        decision = _closed(outcome, has_expired=has_expired, before=before)
    else:
        is_in_grace = has_worked and elapsed_s < _GRACE_S
        decision = _refused(outcome, has_fresh_token=has_fresh_token, is_in_grace=is_in_grace, before=before)
    return Verdict(decision, reason)


def kind_of(outcome: RealtimeError) -> str:
    """Return a key that is the same for ends of the same kind."""
    if isinstance(outcome, ConnectionClosedError):
        return f"close {outcome.close_code}"
    return f"HTTP {outcome.status}" if outcome.status is not None else outcome.type


def _is_fatal(outcome: RealtimeError) -> bool:
    return (
        (outcome.code or "").lower() in _FATAL_CODES
        or outcome.status in _FATAL_STATUS
        or isinstance(outcome, DispatchOverflowError)
        or (outcome.status is None and _is_unusable(outcome))
    )


def _is_unusable(outcome: RealtimeError) -> bool:
    """Whether the options themselves are wrong."""
    return isinstance(outcome, ConnectError) and outcome.type == INVALID_REQUEST_ERROR


def _closed(outcome: ConnectionClosedError, *, has_expired: bool, before: int) -> Decision:
    code = outcome.close_code
    if has_expired or outcome.code == SESSION_EXPIRED or code in _LOST:
        return Decision.AGAIN
    if code == 1000 or code in _FATAL_CLOSES:
        return Decision.FATAL
    return Decision.AGAIN if before < _TRIES else Decision.FATAL


def _refused(outcome: RealtimeError, *, has_fresh_token: bool, is_in_grace: bool, before: int) -> Decision:
    status = outcome.status
    if status == 401:
        return Decision.ONCE_MORE if has_fresh_token and before == 0 else Decision.FATAL
    if status is None and outcome.type == AUTHENTICATION_ERROR:  # its own service may be out of reach, too
        return Decision.AGAIN if has_fresh_token and is_in_grace else Decision.FATAL
    is_transient = status is None or status in _TRANSIENT_STATUS or status >= 500
    if is_transient and not _is_about_certificate(outcome):
        return Decision.AGAIN
    return Decision.AGAIN if is_in_grace else Decision.FATAL


def _is_about_certificate(outcome: BaseException) -> bool:
    cause: BaseException | None = outcome
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__
    return cause is not None


def in_words(outcome: RealtimeError, *, has_expired: bool = False) -> str:
    """Return in a few words how a connection ended, or why it could not be made; without secrets."""
    if isinstance(outcome, DispatchOverflowError):
        return "listeners exceeded the backlog limit"
    if has_expired or outcome.code == SESSION_EXPIRED:
        return "the session has expired"
    if isinstance(outcome, ConnectionClosedError):
        if outcome.close_code == 1006:  # never sent: there was no close frame
            return "the connection was lost"
        quote = f": {outcome.reason[:60]}" if outcome.reason else ""
        return f"the service closed the connection with code {outcome.close_code}{quote}"
    if outcome.status is not None:
        title = HTTPStatus(outcome.status).phrase if outcome.status in HTTPStatus._value2member_map_ else ""
        return f"HTTP {outcome.status} {title}".rstrip()
    return outcome.message.partition(". ")[0].rstrip(".")
