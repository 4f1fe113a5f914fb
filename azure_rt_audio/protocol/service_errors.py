"""Maps errors of the service to exceptions."""

from __future__ import annotations

from typing import Final

from ..errors import ServiceError, classify
from .events import Error
from .responses import Response

__all__ = ["response_error", "service_error"]

_BENIGN_CODES: Final = frozenset(
    {
        "conversation_already_has_active_response",
        "input_audio_buffer_commit_empty",
        "item_truncate_invalid_item_id",
        "response_cancel_not_active",
        "unsupported_content_type",
    }
)
_ALREADY_SHORTER: Final = "already shorter than"

_REMEDIES: Final = {
    "cannot_update_voice": "set the voice before the first spoken answer, or begin a new session",
    "conversation_already_has_active_response": "wait for response.done, or cancel the response",
    "input_audio_buffer_commit_empty": "append at least 100 ms of audio first; with server VAD the service "
    "commits by itself",
    "session_expired": "begin a new session",
}


def service_error(event: Error) -> ServiceError:
    """Return the exception for an ``error`` event."""
    error = event.error
    remedy = _REMEDIES.get(error.code or "")
    message = f"the service refused: {error.message or error.code or 'it gave no reason'}"
    return ServiceError(
        f"{message} ({remedy})" if remedy else message,
        type=classify(code=error.code, type=error.type),
        code=error.code,
        param=error.param,
        event_id=error.event_id,
        service_type=error.type or None,
        is_benign=error.code in _BENIGN_CODES
        or (error.code == "invalid_value" and _ALREADY_SHORTER in error.message),
        event=event,
    )


def response_error(response: Response) -> ServiceError | None:
    """Return the exception for a failed response, or ``None`` if it did not fail."""
    if response.status != "failed":
        return None
    details = response.status_details
    error = details.error if details is not None else None
    code, kind = (error.code, error.type) if error is not None else (None, None)
    said = (error.message if error is not None else None) or "the service gave no reason"
    return ServiceError(
        f"response {response.id} failed: {said}",
        type=classify(code=code, type=kind),
        code=code,
        service_type=kind,
        event=response,
    )
