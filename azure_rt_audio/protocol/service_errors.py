"""Maps errors of the service to exceptions; those of responses: see ``response_errors.py``."""

from __future__ import annotations

from typing import Final

from .. import _retry_after
from ..errors import CONNECTION_ERROR, McpListingError, ServiceError, TranscriptionFailedError, classify
from .events import ConversationItemInputAudioTranscriptionFailed, Error, McpListToolsFailed
from .items import ConversationItem, McpListToolsItem
from .response_errors import CONNECTION_LOST, USED_UP

__all__ = ["mcp_listing_error", "service_error", "transcription_error"]

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
    **dict.fromkeys(USED_UP, "the quota is used up; waiting does not help"),
}

_NO_DEPLOYMENT: Final = frozenset({"deploymentnotfound", "model_not_found", "deployment_not_found"})
_NAME_ANOTHER: Final = (
    'name it by input_audio_transcription={"model": ...}, AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT or '
    "--transcription-deployment"
)


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
        retry_after=None
        if error.code in USED_UP
        else _retry_after.from_fields({"message": error.message, **error.extra}),
        service_type=error.type or None,
        is_benign=error.code in _BENIGN_CODES
        or (error.code == "invalid_value" and _ALREADY_SHORTER in error.message),
        event=event,
    )


def transcription_error(
    event: ConversationItemInputAudioTranscriptionFailed, model: str | None
) -> TranscriptionFailedError:
    """
    Return the exception for a turn of the user that was not transcribed.

    Args:
        model: The name that the session has for the model that transcribes, if known.
    """
    error = event.error
    said = (error.message or error.code or "the service gave no reason").rstrip(".")
    name = f'"{model}"' if model else "the transcription model"
    kind = classify(code=error.code, type=error.type)
    if error.code == CONNECTION_LOST:
        return TranscriptionFailedError(
            f"the user was not transcribed: {said}; no more of the transcript will come",
            type=CONNECTION_ERROR,
            code=error.code,
            event=event,
            item_id=event.item_id,
        )
    if (error.code or "").lower() in _NO_DEPLOYMENT:
        remedy = (
            f"there is no deployment {name} in this resource: deploy a transcription model such as "
            f"gpt-4o-transcribe, and {_NAME_ANOTHER}"
        )
    elif kind == "rate_limit_error":
        remedy = f"the quota of {name} is used up for now"
    else:
        remedy = (
            f"check that {name} is a deployment with a transcription model such as gpt-4o-transcribe; "
            f"{_NAME_ANOTHER}"
        )
    code = f" [{error.code}]" if error.code and error.code not in said else ""
    return TranscriptionFailedError(
        f"the user was not transcribed: {said}{code}; {remedy}",
        type=kind,
        code=error.code,
        param=error.param,
        retry_after=_retry_after.from_fields({"message": error.message, **error.extra}),
        service_type=error.type,
        event=event,
        item_id=event.item_id,
    )


def mcp_listing_error(event: McpListToolsFailed, item: ConversationItem | None) -> McpListingError:
    """
    Return the exception for an MCP server whose tools could not be listed.

    Args:
        item: What the conversation has of the list.
    """
    label = item.server_label if isinstance(item, McpListToolsItem) else None
    name = f'"{label}"' if label else "an MCP server"
    reason = item.extra.get("error") if isinstance(item, McpListToolsItem) else None
    said = f" ({reason})" if isinstance(reason, str) else ""
    return McpListingError(
        f"the service could not list the tools of {name}{said}, and the model cannot call them: check its "
        "server_url and authorization, and that the service can reach it",
        type="server_error",
        code="mcp_list_tools_failed",
        event=event,
        server_label=label,
        item_id=event.item_id,
    )
