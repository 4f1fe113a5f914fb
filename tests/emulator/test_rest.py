"""Requests that are no handshakes: client secrets, and refusals."""

from __future__ import annotations

import gc
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request
from websockets.sync.client import connect

from azure_rt_audio.emulator import Emulator, ManualClock

HANG_SECONDS = 5.0
SECRETS = "/openai/v1/realtime/client_secrets"
SESSIONS = "/openai/realtimeapi/sessions"
TRANSCRIPTIONS = "/openai/realtime/transcription_sessions"
VERSION = "?api-version=2025-04-01-preview"
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


def first_event(
    service: Emulator, secret: str, query: str = "", path: str = "/openai/v1/realtime"
) -> dict[str, Any]:
    url = f"{service.host_name}{path}{query}"
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


def test_secrets_that_have_expired_are_forgotten(service: Emulator) -> None:
    """When the next one is minted: an emulator that runs for long would have all of them."""
    known = service._authenticator.secrets
    minted = []
    for seconds in (20, 60, 60):
        wish = json.dumps({"expires_after": {"anchor": "created_at", "seconds": seconds}})
        minted.append(ask(service, "POST", SECRETS, wish, **KEY)[1]["value"])
        CLOCK.advance(20)

    assert list(known) == minted[1:]


def test_a_secret_of_a_transcription(service: Emulator) -> None:
    """Connects to a transcription session."""
    _, minted = ask(service, "POST", SECRETS, '{"session": {"type": "transcription"}}', **KEY)

    assert first_event(service, minted["value"])["session"]["object"] == "realtime.transcription_session"


def test_a_secret_of_a_conversation_opens_no_transcription(service: Emulator) -> None:
    """It names a deployment, which excludes the intent of a transcription."""
    _, minted = ask(service, "POST", SECRETS, **KEY)

    with pytest.raises(InvalidStatus, match="400"):
        first_event(service, minted["value"], "?intent=transcription")


def test_a_key_may_stand_in_the_query(service: Emulator) -> None:
    """As in that of a handshake; it is in no record."""
    status, _ = ask(service, "POST", f"{SECRETS}?api-key=emulator-key")

    assert status == 200
    assert [one.target for one in service.attempts] == [f"{SECRETS}?api-key=***"]


@pytest.mark.parametrize(
    ("path", "body", "query", "seconds"),
    [
        (SESSIONS, {"voice": "echo", "instructions": "Be kind."}, "&deployment=gpt-realtime", 60),
        (SESSIONS, {"client_secret": {"expires_after": {"seconds": 20}}, "model": "gpt-realtime"}, "", 20),
        (TRANSCRIPTIONS, {"input_audio_format": "g711_ulaw"}, "&intent=transcription", 60),
        (TRANSCRIPTIONS, {"client_secret": {"expires_at": {"seconds": 20}}}, "", 20),
    ],
)
def test_the_secrets_of_the_preview(
    service: Emulator, path: str, body: dict[str, Any], query: str, seconds: int
) -> None:
    """The body is the session, and the answer is it with the secret in it."""
    status, minted = ask(service, "POST", path + VERSION, json.dumps(body), **KEY)
    secret = minted.pop("client_secret")
    created = first_event(service, secret["value"], VERSION + query, "/openai/realtime")

    assert (status, secret["value"][:3]) == (200, "ek_")
    assert secret["expires_at"] == int(CLOCK.time()) + seconds
    wanted = {name: held for name, held in body.items() if name not in ("model", "client_secret")}
    mine, its = (
        {
            name: held
            for name, held in one.items()
            if name not in ("id", "expires_at", "model", "client_secret")
        }
        for one in (minted, created["session"])
    )
    assert wanted.items() <= mine.items()
    assert its == mine


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
        ("POST", SECRETS, '{"expires_after": {"anchor": "x"}}', KEY, 400),
        ("POST", SECRETS, '{"colour": 1}', KEY, 400),
        ("POST", f"{SECRETS}{VERSION}", "", KEY, 401),
        ("POST", f"{SECRETS}?call_id=1", "", KEY, 404),
        ("POST", SESSIONS, "", KEY, 404),
        ("POST", f"{SESSIONS}{VERSION}", "", {}, 401),
        ("POST", f"{SESSIONS}{VERSION}", '{"type": "realtime"}', KEY, 400),
        ("POST", f"{SESSIONS}{VERSION}", '{"client_secret": {"expires_after": {"anchor": "x"}}}', KEY, 400),
        ("POST", f"{TRANSCRIPTIONS}{VERSION}", '{"voice": "echo"}', KEY, 400),
        ("GET", f"{SESSIONS}{VERSION}", "", KEY, 404),
        ("POST", "/openai/v1/chat/completions", "{}", KEY, 404),
        ("GET", "/openai/v1/models", "", KEY, 404),
        ("DELETE", "/", "", KEY, 404),
        # Those with a body are none for websockets, which ends the connection.
        ("GET", f"{SESSIONS}{VERSION}", "{}", KEY, 404),
        ("GET", "/openai/v1/realtime?model=gpt-realtime", "{}", {}, 401),
        ("GET", "/openai/v1/realtime?model=gpt-realtime", "{}", KEY, 400),
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


@pytest.mark.parametrize("length", ["16000000", "9" * 5000], ids=["long", "absurd"])
def test_a_body_beyond_all_measure_is_refused_with_an_answer(service: Emulator, length: str) -> None:
    """Although it is not looked at: the connection would be reset before the client reads the answer."""
    status, error = ask(service, "POST", SECRETS, " " * 16_000_000, **{"Content-Length": length}, **KEY)

    assert (status, error["error"]["message"]) == (400, "Bad request")


def test_a_client_that_leaves_in_mid_handshake_is_forgotten(service: Emulator) -> None:
    """It was accepted, and is never served."""
    client: Any = type("Client", (), {})()
    named = Headers({"api-key": "emulator-key"})
    handler = service._requests
    assert handler.check_handshake(client, Request("/openai/v1/realtime?model=gpt-realtime", named)) is None
    assert len(handler._accepted) == 1
    del client
    gc.collect()

    assert not handler._accepted


def test_a_get_without_upgrade_is_recorded_as_it_was_answered(service: Emulator) -> None:
    """It is accepted by its credential, and is no handshake all the same."""
    link = http.client.HTTPConnection("127.0.0.1", service.port, timeout=HANG_SECONDS)
    link.request("GET", "/openai/v1/realtime?model=gpt-realtime", headers=KEY)
    status = link.getresponse().status
    link.close()

    assert status == 426
    assert [one.status for one in service.attempts] == [426]
