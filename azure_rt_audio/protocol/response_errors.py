"""Maps a response that did not complete to the exception that says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .. import _retry_after
from ..errors import RATE_LIMIT_ERROR, RealtimeError, ResponseIncompleteError, ServiceError, classify

if TYPE_CHECKING:
    from .responses import Response

__all__ = ["CONNECTION_LOST", "GUARD", "USED_UP", "response_error"]

USED_UP: Final = frozenset({"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"})
"""Codes of a quota that does not come back by waiting."""

CONNECTION_LOST: Final = "connection_lost"
"""A reason of this side: the conversation goes on over another connection, without the rest."""

GUARD: Final = "guard"
"""A reason of this side: the client's guard has stopped it, and said why."""

_NO_ERROR: Final = (None, "completed", "in_progress", "queued")

_REASONS: Final = {
    "content_filter": "the content filter stopped it; what it said before stands",
    "max_output_tokens": "the limit of output tokens is reached; raise max_output_tokens of the response, or "
    "max_response_output_tokens of the session",
    "turn_detected": "the user began to speak",
    "client_cancelled": "this side cancelled it",
    CONNECTION_LOST: "the connection was lost while it came",
}


def response_error(response: Response) -> RealtimeError | None:
    """
    Return why a response did not complete; ``None`` if it did, or is in progress.

    A failed one is a :class:`ServiceError`, one that was cut short or cancelled a
    :class:`ResponseIncompleteError`.
    """
    if response.status in _NO_ERROR:
        return None
    details = response.status_details
    if response.status != "failed":
        reason = details.reason if details is not None else None
        why = _REASONS.get(reason or "", reason or "the service gave no reason")
        if reason == GUARD and details is not None and details.error is not None:
            why = f"the guard stopped it: {details.error.message}"
        end = "was cancelled" if response.status == "cancelled" else f"is {response.status}"
        return ResponseIncompleteError(f"response {response.id} {end}: {why}", code=reason, response=response)
    error = details.error if details is not None else None
    code, service_type = (error.code, error.type) if error is not None else (None, None)
    said = (error.message or code if error is not None else None) or "the service gave no reason"
    kind = classify(code=code, type=service_type)
    retry_after = None
    if code not in USED_UP:
        retry_after = _retry_after.from_fields({"message": error.message, **error.extra}) if error else None
        if retry_after is None and kind == RATE_LIMIT_ERROR:
            retry_after = response._limit_resets_in
    remedy = " (the quota is used up; waiting does not help)" if code in USED_UP else ""
    return ServiceError(
        f"response {response.id} failed: {said}{remedy}",
        type=kind,
        code=code,
        service_type=service_type,
        retry_after=retry_after,
        response=response,
    )
