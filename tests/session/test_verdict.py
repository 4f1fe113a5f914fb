"""What is fatal: the table of ends after which another attempt is of no use."""

from __future__ import annotations

import itertools
import socket
import ssl
from typing import Any

import pytest

from azure_rt_audio import ConnectError, ConnectionClosedError, DispatchOverflowError, RealtimeError
from azure_rt_audio._net.connect_errors import failed, refused, unusable
from azure_rt_audio._session.verdict import Decision, Verdict, judge, kind_of
from azure_rt_audio._transport.close_reasons import closed_by_peer, lost

AGAIN, ONCE, FATAL = Decision.AGAIN, Decision.ONCE_MORE, Decision.FATAL
URL = "wss://my-resource.openai.azure.com/openai/v1/realtime?model=m"


def http(status: int, body: bytes = b"", **facts: Any) -> ConnectError:
    """Return the error of a handshake that was refused."""
    return refused(URL, status, {}, body, **facts)


def closed(code: int, reason: str = "") -> ConnectionClosedError:
    """Return the error of a connection that the service closed."""
    return closed_by_peer("host:443", code, reason)


def decide(outcome: RealtimeError, **facts: Any) -> Decision:
    """Return the decision alone; it has worked with a key, unless told otherwise."""
    return judge(outcome, **{"has_fresh_token": False, "has_worked": True, **facts}).decision


def everywhere(outcome: RealtimeError) -> set[Decision]:
    """Return all decisions about an outcome, whatever else is known."""
    flags = ("has_fresh_token", "has_worked", "has_expired")
    return {
        decide(outcome, **dict(zip(flags, values, strict=True)), before=before, elapsed_s=elapsed)
        for values in itertools.product((False, True), repeat=3)
        for before in (0, 5)
        for elapsed in (0.0, 100.0)
    }


@pytest.mark.parametrize(
    "outcome",
    [
        http(403),
        http(403, b'{"error": {"code": "AuthenticationTypeDisabled", "message": "no keys"}}'),
        http(429, b'{"error": {"code": "insufficient_quota", "message": "none left"}}'),
        http(407, proxy="proxy:8080"),
        http(403, proxy="proxy:8080"),
        closed(3000, "invalid_request_error.invalid_api_key"),
        ConnectionClosedError("m", close_code=1008, code="insufficient_quota"),
        RealtimeError("m", code="billing_hard_limit_reached"),
        unusable("truststore is missing"),
        DispatchOverflowError("listeners are slow"),
    ],
    ids=lambda outcome: f"{kind_of(outcome)} {outcome.code}",
)
def test_always_fatal(outcome: RealtimeError) -> None:
    """Nothing else that is known makes another attempt useful."""
    assert everywhere(outcome) == {FATAL}


@pytest.mark.parametrize(
    "outcome",
    [
        http(408),
        http(425),
        http(429),
        http(500),
        http(503),
        http(502, proxy="proxy:8080"),
        failed(URL, "name look-up", socket.gaierror(-3, "Temporary failure")),
        failed(URL, "TCP connect", ConnectionRefusedError()),
        failed(URL, "TCP connect", OSError(101, "Network is unreachable")),
        failed(URL, "TLS handshake", ssl.SSLError(1, "unexpected eof")),
        failed(URL, "HTTP upgrade", EOFError()),
        failed(URL, "TCP connect", None),
        lost("host:443", ConnectionResetError()),
        *(closed(code) for code in (1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015)),
        closed(1001, "Your session hit the maximum duration of 60 minutes."),
    ],
    ids=lambda outcome: f"{kind_of(outcome)} {outcome.message[:30]}",
)
def test_always_again(outcome: RealtimeError) -> None:
    """These pass by themselves, as long as the policy's limits allow."""
    assert everywhere(outcome) == {AGAIN}


@pytest.mark.parametrize("code", [3000, 4000, 4001, 4002, 4003, 4004])
def test_closes_over_an_error(code: int) -> None:
    """A request that was wrong is wrong again, unless the session ended for its age."""
    assert decide(closed(code, "invalid_request_error.missing_model")) is FATAL
    assert decide(closed(code), has_expired=True) is AGAIN


def test_a_normal_close() -> None:
    """Close 1000 that this side did not ask for ends it, unless the session had expired."""
    assert decide(closed(1000)) is FATAL
    assert decide(closed(1000), has_expired=True) is AGAIN


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 3001, 4005, 4999])
def test_three_tries(code: int) -> None:
    """What may be a proxy's mood, or a message that comes again, is tried three times."""
    assert [decide(closed(code), before=before) for before in range(5)] == [AGAIN, AGAIN, AGAIN, FATAL, FATAL]


def test_401() -> None:
    """A token that ran out is replaced once; a key stays what it is."""
    assert [decide(http(401), has_fresh_token=True, before=before) for before in range(3)] == [
        ONCE,
        FATAL,
        FATAL,
    ]
    assert decide(http(401)) is FATAL
    assert decide(http(401), has_fresh_token=True, has_worked=False) is ONCE


def test_a_credential_that_fails() -> None:
    """Where the network is down, the credential's own service is out of reach as well."""
    error = ConnectError("The credential could not be obtained.", type="authentication_error")

    assert decide(error, has_fresh_token=True, elapsed_s=59) is AGAIN
    assert decide(error, has_fresh_token=True, elapsed_s=60) is FATAL
    assert decide(error, has_fresh_token=True, has_worked=False) is FATAL


@pytest.mark.parametrize(
    "outcome",
    [
        http(404),
        http(400),
        http(431),
        http(302),
        http(200),
        failed(URL, "TLS handshake", ssl.SSLCertVerificationError("self-signed")),
        failed(URL, "TLS handshake", ssl.SSLCertVerificationError("self-signed")).again(),
    ],
    ids=["404", "400", "431", "302", "200", "certificate", "certificate again"],
)
def test_what_had_worked(outcome: RealtimeError) -> None:
    """A deployment that is moved, or a network with a log-in page, comes back: for 60 s."""
    assert decide(outcome, elapsed_s=59.9) is AGAIN
    assert decide(outcome, elapsed_s=60) is FATAL
    assert decide(outcome, has_worked=False) is FATAL


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (http(503), "HTTP 503 Service Unavailable"),
        (http(599), "HTTP 599"),
        (lost("host:443"), "the connection was lost"),
        (closed(1011, "internal"), "the service closed the connection with code 1011: internal"),
        (
            closed(4000, "invalid_request_error.missing_model"),
            "the service closed the connection with code 4000: invalid_req",
        ),
        (closed(1001, "Your session hit the maximum duration of 60 minutes."), "the session has expired"),
        (failed(URL, "TCP connect", ConnectionRefusedError()), "Nothing listens at my-resource.openai.azu"),
        (DispatchOverflowError("x"), "listeners exceeded the backlog limit"),
    ],
    ids=["503", "599", "lost", "1011", "4000", "expired", "refused", "overflow"],
)
def test_the_reason(outcome: RealtimeError, words: str) -> None:
    """A verdict says in a few words what ended."""
    verdict = judge(outcome, has_fresh_token=False, has_worked=True)

    assert verdict == Verdict(verdict.decision, verdict.reason)
    assert verdict.reason.startswith(words)
    assert len(verdict.reason) < 110
