"""Requests that are no handshakes: client secrets, and refusals."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from azure_rt_audio.emulator import Emulator, ManualClock

HANG_SECONDS = 5.0
SECRETS = "/openai/v1/realtime/client_secrets"
KEY = {"api-key": "emulator-key"}
CLOCK = ManualClock()


@pytest.fixture
def service() -> Iterator[Emulator]:
    with Emulator(clock=CLOCK) as running:
        yield running


def ask(service: Emulator, method: str, target: str, body: str = "", **headers: str) -> tuple[int, Any]:
    link = http.client.HTTPConnection("127.0.0.1", service.port, timeout=HANG_SECONDS)
    try:
        link.request(method, target, body, headers)
        response = link.getresponse()
        return response.status, json.loads(response.read() or "null")
    finally:
        link.close()


def first_event(service: Emulator, secret: str, query: str = "") -> dict[str, Any]:
    url = f"{service.host_name}/openai/v1/realtime{query}"
    with connect(url, additional_headers={"Authorization": f"Bearer {secret}"}) as client:
        event: dict[str, Any] = json.loads(client.recv(timeout=HANG_SECONDS))
        return event


def test_a_client_secret_connects_until_it_expires(service: Emulator) -> None:
    """Its session is the one it was minted with; the model need not be named again."""
    session = {"type": "realtime", "model": "gpt-realtime-mini", "instructions": "Be kind."}
    wish = json.dumps({"expires_after": {"anchor": "created_at", "seconds": 20}, "session": session})
    status, minted = ask(service, "POST", SECRETS, wish, **KEY)
    created = first_event(service, minted["value"])["session"]
    CLOCK.advance(21)

    assert (status, minted["value"][:3]) == (200, "ek_")
    assert minted["expires_at"] == int(CLOCK.time()) - 1
    assert (minted["session"]["instructions"], minted["session"]["expires_at"]) == ("Be kind.", 0)
    assert created["instructions"] == "Be kind."
    with pytest.raises(InvalidStatus, match="401"):
        first_event(service, minted["value"])
    assert [(one.method, one.target, one.status) for one in service.attempts] == [
        ("POST", SECRETS, 200),
        ("GET", "/openai/v1/realtime", 101),
        ("GET", "/openai/v1/realtime", 401),
    ]
    assert "emulator-key" not in repr(service.attempts)


def test_a_secret_of_a_transcription(service: Emulator) -> None:
    """Connects to a transcription session."""
    _, minted = ask(service, "POST", SECRETS, '{"session": {"type": "transcription"}}', **KEY)

    assert first_event(service, minted["value"])["session"]["object"] == "realtime.transcription_session"


@pytest.mark.parametrize(
    ("method", "target", "body", "headers", "status"),
    [
        ("POST", SECRETS, "", {}, 401),
        ("PUT", SECRETS, "", KEY, 405),
        ("POST", SECRETS, "{", KEY, 400),
        ("POST", SECRETS, "[]", KEY, 400),
        ("POST", SECRETS, '{"session": {"type": "realtime", "colour": 1}}', KEY, 400),
        ("POST", SECRETS, '{"expires_after": {"seconds": 9}}', KEY, 400),
        ("POST", SECRETS, '{"session": {"type": "realtime", "model": "x"}}', KEY, 404),
        ("POST", "/openai/v1/chat/completions", "{}", KEY, 404),
        ("GET", "/openai/v1/models", "", KEY, 404),
        ("DELETE", "/", "", KEY, 404),
    ],
)
def test_other_requests_are_refused(
    service: Emulator, method: str, target: str, body: str, headers: dict[str, str], status: int
) -> None:
    """With an answer, and recorded as they were."""
    answered, error = ask(service, method, target, body, **headers)

    assert answered == status
    assert "error" in error
    assert [(one.method, one.status) for one in service.attempts] == [(method, status)]


def test_a_get_without_upgrade_is_recorded_as_it_was_answered(service: Emulator) -> None:
    """It is accepted by its credential, and is no handshake all the same."""
    link = http.client.HTTPConnection("127.0.0.1", service.port, timeout=HANG_SECONDS)
    link.request("GET", "/openai/v1/realtime?model=gpt-realtime", headers=KEY)
    status = link.getresponse().status
    link.close()

    assert status == 426
    assert [one.status for one in service.attempts] == [426]
