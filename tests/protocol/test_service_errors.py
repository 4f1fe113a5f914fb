"""What the service says when it says no, as exceptions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reading import structure

from azure_rt_audio.errors import ResponseIncompleteError, ServiceError
from azure_rt_audio.protocol.codec import decode_event
from azure_rt_audio.protocol.events import ConversationItemInputAudioTranscriptionFailed, Error
from azure_rt_audio.protocol.response_errors import response_error
from azure_rt_audio.protocol.responses import Response
from azure_rt_audio.protocol.service_errors import service_error, transcription_error


def refusal(**fields: Any) -> ServiceError:
    event = decode_event(
        json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": "m", **fields}})
    )
    assert isinstance(event, Error)
    error = service_error(event)
    assert error.event is event
    return error


@pytest.mark.parametrize(
    ("fields", "type_", "is_benign"),
    [
        ({"code": "invalid_value", "param": "session.voice"}, "invalid_request_error", False),
        ({"code": "cannot_update_voice"}, "invalid_request_error", False),
        ({"code": "input_audio_buffer_commit_empty"}, "invalid_request_error", True),
        ({"code": "conversation_already_has_active_response"}, "invalid_request_error", True),
        ({"code": "response_cancel_not_active"}, "invalid_request_error", True),
        ({"code": "item_truncate_invalid_item_id"}, "invalid_request_error", True),
        ({"code": "unsupported_content_type"}, "invalid_request_error", True),
        (
            {"code": "invalid_value", "message": "Audio content of 900ms is already shorter than 1000ms"},
            "invalid_request_error",
            True,
        ),
        ({"code": "session_expired"}, "connection_error", False),
        ({"code": "invalid_api_key"}, "authentication_error", False),
        ({"code": "inference_rate_limit_exceeded"}, "rate_limit_error", False),
        ({"code": "rate_limit_exceeded", "type": "tokens"}, "rate_limit_error", False),
        ({"type": "server_error"}, "server_error", False),
    ],
)
def test_an_error_event_is_classified(fields: dict[str, Any], type_: str, is_benign: bool) -> None:
    """By code before type; what mends itself is marked."""
    error = refusal(**fields, event_id="evt_7")

    assert (type_, is_benign) == (error.type, error.is_benign)
    assert (fields.get("code"), fields.get("param"), "evt_7") == (error.code, error.param, error.event_id)
    assert fields.get("type", "invalid_request_error") == error.service_type
    assert str(error).startswith(f"the service refused: {fields.get('message', 'm')}")


def test_a_remedy_is_named_where_there_is_one() -> None:
    """In brackets behind the service's own words."""
    assert str(refusal(code="session_expired")) == "the service refused: m (begin a new session)"
    assert str(refusal(code="other")) == "the service refused: m"


@pytest.mark.parametrize(
    ("fields", "said", "type_"),
    [
        (
            {
                "error": {
                    "type": "invalid_request_error",
                    "code": "inference_rate_limit_exceeded",
                    "message": "slow",
                }
            },
            "response r failed: slow",
            "rate_limit_error",
        ),
        (
            {"error": {"type": "server_error"}},
            "response r failed: the service gave no reason",
            "server_error",
        ),
        ({}, "response r failed: the service gave no reason", "server_error"),
        (None, "response r failed: the service gave no reason", "server_error"),
    ],
)
def test_a_failed_response_is_an_error(fields: Any, said: str, type_: str) -> None:
    """With whatever the service said about it, which may be nothing."""
    response = structure({"id": "r", "status": "failed", "status_details": fields}, Response)

    error = response_error(response)

    assert isinstance(error, ServiceError)
    assert (said, type_) == (str(error), error.type)
    assert error.response is response


@pytest.mark.parametrize(
    ("status", "reason", "says"),
    [
        ("incomplete", "content_filter", "is incomplete: the content filter"),
        ("incomplete", "max_output_tokens", "is incomplete: the limit of output tokens"),
        ("cancelled", "turn_detected", "was cancelled: the user began to speak"),
        ("cancelled", "client_cancelled", "was cancelled: this side cancelled it"),
        ("cancelled", None, "was cancelled: the service gave no reason"),
        ("blocked", "something_new", "is blocked: something_new"),
    ],
)
def test_a_response_that_was_cut_short_says_why(status: str, reason: str | None, says: str) -> None:
    """It has not failed, and yet it is not all that was to be said."""
    details = {"type": status, "reason": reason}
    response = structure({"id": "r", "status": status, "status_details": details}, Response)

    error = response_error(response)

    assert isinstance(error, ResponseIncompleteError)
    assert (error.code, error.response) == (reason, response)
    assert says in str(error)


@pytest.mark.parametrize("status", ["completed", "in_progress", "queued", None])
def test_any_other_end_is_none(status: str | None) -> None:
    """A response that is complete, or goes on, is no error."""
    assert response_error(Response(status=status)) is None


@pytest.mark.parametrize("status", ["failed", "error"])
@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        ({"code": "rate_limit_exceeded", "message": "Please try again in 4.494s. Visit the page."}, 4.494),
        ({"code": "rate_limit_exceeded", "message": "slow", "retry_after_ms": 250}, 0.25),
        ({"code": "rate_limit_exceeded", "message": "slow"}, None),
        ({"code": "insufficient_quota", "message": "Try again in 1 day"}, None),
        ({"code": "server_error", "message": "overloaded, retry after 3 seconds"}, 3.0),
    ],
)
def test_how_long_to_wait_is_a_number(status: str, error: dict[str, Any], seconds: float | None) -> None:
    """Of a failed response and of a refusal alike, wherever the service says it."""
    if status == "error":
        assert refusal(**error).retry_after == seconds
        return
    details = {"type": "failed", "error": error}
    failed = response_error(structure({"id": "r", "status": "failed", "status_details": details}, Response))
    assert failed is not None
    assert failed.retry_after == seconds


@pytest.mark.parametrize(
    ("error", "model", "kind", "says"),
    [
        (
            {"type": "server_error", "code": "DeploymentNotFound", "message": "Input transcription failed."},
            "whisper-1",
            "server_error",
            'failed [DeploymentNotFound]; there is no deployment "whisper-1" in this resource',
        ),
        ({"message": "odd"}, "transcribe", "server_error", 'odd; check that "transcribe" is a deployment'),
        ({}, None, "server_error", "gave no reason; check that the transcription model is"),
        (
            {"code": "rate_limit_exceeded", "message": "Try again in 120ms"},
            "transcribe",
            "rate_limit_error",
            'quota of "transcribe"',
        ),
        (
            {"code": "connection_lost", "message": "the connection ended"},
            "whisper-1",
            "connection_error",
            "not transcribed: the connection ended; no more of the transcript will come",
        ),
    ],
)
def test_a_failed_transcription_names_the_deployment(
    error: dict[str, Any], model: str | None, kind: str, says: str
) -> None:
    """With the service's code, and what to do about it."""
    name = ConversationItemInputAudioTranscriptionFailed.TYPE
    event = decode_event(json.dumps({"type": name, "item_id": "i", "content_index": 0, "error": error}))
    assert isinstance(event, ConversationItemInputAudioTranscriptionFailed)

    failed = transcription_error(event, model)

    assert says in str(failed)
    assert (failed.code, failed.type, failed.item_id) == (error.get("code"), kind, "i")
    assert failed.retry_after == (0.12 if kind == "rate_limit_error" else None)
    assert failed.event is event
