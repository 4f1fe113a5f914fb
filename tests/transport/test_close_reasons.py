"""Close codes, and an end without one, as errors."""

from __future__ import annotations

import pytest

from azure_rt_audio._transport.close_reasons import closed_by_peer, lost


@pytest.mark.parametrize(
    ("code", "reason", "kind", "error_code"),
    [
        (1000, "", "connection_error", None),
        (1001, "", "connection_error", None),
        (1001, "Your session hit the maximum duration of 60 minutes.", "connection_error", "session_expired"),
        (1005, "", "connection_error", None),
        (1008, "policy", "server_error", None),
        (1011, "", "server_error", None),
        (1012, "", "connection_error", None),
        (1013, "", "connection_error", None),
        (3000, "invalid_request_error.invalid_api_key", "authentication_error", "invalid_api_key"),
        (4000, "invalid_request_error.missing_model", "invalid_request_error", "missing_model"),
        (4004, "invalid_request_error.model_not_found", "invalid_request_error", "model_not_found"),
        (4008, "tokens.rate_limit_exceeded", "rate_limit_error", "rate_limit_exceeded"),
        (4999, "", "invalid_request_error", None),
        (4999, "words without a dot", "invalid_request_error", None),
        (1014, "", "server_error", None),
    ],
)
def test_each_close_code_has_its_kind(code: int, reason: str, kind: str, error_code: str | None) -> None:
    """Codes of their own carry the error in their reason."""
    error = closed_by_peer("host:443", code, reason)

    assert (kind, error_code) == (error.type, error.code)
    assert (code, reason, True) == (error.close_code, error.reason, error.is_clean)
    assert f"close code {code}" in error.message
    assert "host:443" in error.message


def test_a_lost_connection_is_1006() -> None:
    """Without a close frame there is no clean end."""
    cause = ConnectionResetError(104, "Connection reset by peer")
    error = lost("host:443", cause)

    assert (error.close_code, error.is_clean, error.type) == (1006, False, "connection_error")
    assert "Connection reset by peer" in error.message
    assert error.__cause__ is cause
