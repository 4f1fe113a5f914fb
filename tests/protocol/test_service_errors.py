"""What the service says when it says no, as exceptions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reading import structure

from azure_rt_audio.errors import ServiceError
from azure_rt_audio.protocol.codec import decode_event
from azure_rt_audio.protocol.events import Error
from azure_rt_audio.protocol.responses import Response
from azure_rt_audio.protocol.service_errors import response_error, service_error


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

    assert error is not None
    assert (said, type_) == (str(error), error.type)
    assert error.event is response


@pytest.mark.parametrize("status", ["completed", "cancelled", "incomplete", "in_progress", None])
def test_any_other_end_is_none(status: str | None) -> None:
    """A response that was cut off has not failed."""
    assert response_error(Response(status=status)) is None
