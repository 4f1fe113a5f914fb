"""Refused handshakes and failed attempts, as errors with a remedy."""

from __future__ import annotations

import errno
import socket
import ssl
import traceback

import pytest

from azure_rt_audio._net.connect_errors import (
    MAX_BODY,
    failed,
    place,
    refused,
    refused_by_socks,
    unusable,
)

GA = "wss://res.openai.azure.com/openai/v1/realtime?model=my-model"
PREVIEW = "wss://res.openai.azure.com/openai/realtime?api-version=2024-10-01-preview&deployment=my-dep"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (GA, "res.openai.azure.com:443"),
        ("ws://127.0.0.1:8080/x?api-key=k", "127.0.0.1:8080"),
        ("ws://[::1]/", "[::1]:80"),
    ],
)
def test_place_is_host_and_port(url: str, expected: str) -> None:
    """An error says where, and no more of the URL."""
    assert expected == place(url)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":{"code":"DeploymentNotFound","message":"It is not there."}}', "DeploymentNotFound"),
        (b'{"code":"OperationNotSupported","message":"It is not there."}', "OperationNotSupported"),
        (b'{"statusCode":404,"message":"It is not there."}', "404"),
        (b'{"error":"It is not there."}', None),
    ],
)
def test_the_shapes_of_a_body(body: bytes, code: str | None) -> None:
    """Code and message are found in each shape Azure uses."""
    error = refused(GA, 404, {}, body)

    assert code == error.code
    assert "It is not there" in error.message
    assert body.decode() == error.body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[1]",
        b'"text"',
        b"\xff\xfe",
        b'{"error":null,"message":3}',
        b"[" * 8_000,
        b'{"code":%s%s}' % (b"[" * 400, b"]" * 400),
        b'{"code":%s}' % (b"9" * 5_000),
    ],
    ids=range(9),
)
def test_a_body_of_no_known_shape_is_kept(body: bytes) -> None:
    """An unknown body is no reason to fail."""
    error = refused(GA, 500, {}, body)

    assert error.code is None
    assert body.decode("utf-8", "replace") == error.body


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [
        (302, "connection_error", "redirects are not followed"),
        (200, "connection_error", "not a WebSocket endpoint"),
        (400, "invalid_request_error", '"my-model"'),
        (401, "authentication_error", "key belongs to this resource"),
        (403, "authentication_error", "firewall"),
        (404, "invalid_request_error", '"my-model"'),
        (408, "invalid_request_error", "Try again"),
        (429, "rate_limit_error", "quota"),
        (431, "invalid_request_error", "headers"),
        (500, "server_error", "request id"),
        (503, "server_error", "try again"),
        (799, "server_error", "try again"),
    ],
)
def test_each_status_has_its_kind_and_its_hint(status: int, kind: str, word: str) -> None:
    """Every refusal says what to do about it."""
    error = refused(GA, status, {}, b"")

    assert (kind, status) == (error.type, error.status)
    assert word in error.hint
    assert error.hint in error.message
    assert "res.openai.azure.com:443" in error.message


@pytest.mark.parametrize("status", [401, 404])
def test_a_preview_url_is_recognised(status: int) -> None:
    """The preview API has ended; whoever still calls it learns so."""
    assert "preview API ended" in refused(PREVIEW, status, {}, b"").hint
    assert "takes no api-version" in refused(GA + "&api-version=1", status, {}, b"").hint
    assert "api_version" not in refused(GA, status, {}, b"").hint


def test_a_url_without_a_deployment_is_recognised() -> None:
    """The most frequent 400 has a hint of its own."""
    assert "names no deployment" in refused("wss://h/openai/v1/realtime", 400, {}, b"").hint


def test_disabled_keys_are_recognised() -> None:
    """A resource without keys needs another kind of credential."""
    error = refused(GA, 403, {}, b'{"error":{"code":"AuthenticationTypeDisabled","message":"no"}}')

    assert "credential=" in error.hint


def test_ephemeral_authentication_is_recognised() -> None:
    """Some operations take client secrets only."""
    error = refused(GA, 401, {}, b'{"error":{"code":"Unauthorized","message":"It requires ephemeral."}}')

    assert "client secret" in error.hint


def test_a_redirect_names_the_host_only() -> None:
    """Path and query of a redirect's target may hold a secret."""
    error = refused(GA, 302, {"location": "https://elsewhere.example/p?sig=s3cret"}, b"")

    assert "elsewhere.example" in error.message
    assert "s3cret" not in error.message


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "9"}, 9.0),
        (
            {"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"},
            30.0,
        ),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after-ms": "inf", "retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    """Milliseconds come first, then seconds, then a date by the service's own clock."""
    assert expected == refused(GA, 429, headers, b"").retry_after


@pytest.mark.parametrize("name", ["apim-request-id", "x-request-id", "x-ms-client-request-id"])
def test_the_request_id_is_kept(name: str) -> None:
    """A support case needs it."""
    assert refused(GA, 500, {name: "r-1"}, b"").request_id == "r-1"


def test_credentials_are_blanked_out() -> None:
    """A server that echoes the request does not put the key into our error."""
    body = b'{"error":{"code":"401","message":"key s3cret-key is wrong"}}'

    error = refused(GA, 401, {}, body, secrets=["s3cret-key", ""])

    assert "s3cret" not in str(error) + error.body
    assert "key [redacted] is wrong" in error.message


def test_a_long_body_is_cut() -> None:
    """A body has a bound, and a credential on the cut does not survive by half."""
    body = b"x" * (MAX_BODY - 3) + b"s3cret-key"

    error = refused(GA, 500, {}, body, secrets=["s3cret-key"])

    assert len(error.body) == MAX_BODY
    assert "s3c" not in error.body


def test_a_refusal_by_the_proxy_names_the_proxy() -> None:
    """It is not the service that refuses."""
    error = refused(GA, 407, {}, b"", proxy="proxy:3128")

    assert "The proxy proxy:3128 refused the way to res.openai.azure.com:443" in error.message
    assert 'http_proxy="<kind>://user:password@host:port"' in error.hint
    assert "HTTPS_PROXY" in error.hint
    assert (error.type, error.code) == ("authentication_error", "proxy_authentication_required")


def test_a_proxy_that_wants_another_scheme_is_told_apart() -> None:
    """Only Basic is spoken; who asks for something else needs a helper in between."""
    offered = {"proxy-authenticate": 'Negotiate, NTLM, Digest realm="r", nonce="n"'}
    asked = refused(GA, 407, offered, b"", proxy="proxy:3128")

    assert "wants Negotiate or NTLM or Digest, and only Basic is spoken" in asked.hint
    assert (
        "user and a password"
        in refused(GA, 407, {"proxy-authenticate": 'Basic realm="r"'}, b"", proxy="p").hint
    )


def test_a_proxy_that_does_not_let_through() -> None:
    """The hint names what the user can set, by its public name."""
    hint = refused(GA, 403, {}, b"", proxy="proxy:3128").hint

    assert "NO_PROXY" in hint
    assert "http_proxy" in hint


@pytest.mark.parametrize(
    ("words", "is_about_auth", "says"),
    [
        ("its rules do not allow it", False, "refused the way to res.openai.azure.com:443: its rules"),
        (None, True, "refused the way to res.openai.azure.com:443 to this user"),
        (None, False, "did not answer as a SOCKS proxy does"),
    ],
)
def test_a_refusal_by_a_socks_proxy(words: str | None, is_about_auth: bool, says: str) -> None:
    """It names the proxy, the reason and the remedy."""
    error = refused_by_socks(GA, "proxy:1080", words, is_about_auth=is_about_auth)

    assert f"The proxy proxy:1080 {says}" in error.message
    assert error.message.endswith(error.hint)
    assert ("http_proxy" in error.hint) is (words is not None or is_about_auth)
    assert (error.type, error.code) == (
        ("authentication_error", "proxy_authentication_required")
        if is_about_auth
        else ("connection_error", None)
    )


def test_a_certificate_that_truststore_refuses() -> None:
    """An error of its making lacks the reason that OpenSSL gives apart."""
    error = failed(GA, "TLS handshake", ssl.SSLCertVerificationError("Peer sent no certificates to verify."))

    assert "was not accepted: Peer sent no certificates to verify. If" in error.message


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        (None, "not complete the handshake in time"),
        (socket.gaierror(-2, "Name or service not known"), "could not be resolved"),
        (ConnectionRefusedError(111, "Connection refused"), "Nothing listens"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "TLS with"),
        (EOFError(), "hung up"),
        (OSError(113, "No route to host"), "No route to host"),
        (ValueError("the answer is odd"), "the answer is odd"),
        (KeyError("s3cret"), "KeyError"),
    ],
)
def test_each_failure_has_its_sentence(exc: Exception | None, words: str) -> None:
    """What kept an answer from coming is said, with the host, and the cause is kept."""
    error = failed(GA, "TLS handshake", exc)

    assert words in error.message
    assert "res.openai.azure.com:443" in error.message
    assert error.type == "connection_error"
    assert error.__cause__ is exc
    assert "s3cret" not in error.message


def test_a_failure_on_the_way_to_the_proxy_names_the_proxy() -> None:
    """The host to look at is the proxy's."""
    error = failed(GA, "TCP connect", ConnectionRefusedError(111, "refused"), proxy="proxy:3128")

    assert "Nothing listens at the proxy proxy:3128" in error.message


def test_a_failure_keeps_no_frames() -> None:
    """The frames below hold the request's headers, which a debugger would print."""
    try:
        raise OSError(5, "Input/output error")
    except OSError as exc:
        error = failed(GA, "HTTP upgrade", exc)

    assert error.__cause__ is not None
    assert error.__cause__.__traceback__ is None
    assert "test_a_failure_keeps_no_frames" not in "".join(traceback.format_exception(error))


def test_wrong_options_are_the_callers_fault() -> None:
    """Trying again would not help."""
    assert unusable("this").type == "invalid_request_error"


@pytest.mark.parametrize(
    ("number", "who"), [(errno.EMFILE, "This process is out"), (errno.ENFILE, "The system is out")]
)
def test_out_of_descriptors_while_dialling(number: int, who: str) -> None:
    """Wherever the last one was missing, the error says so, and not that the service cannot be reached."""
    error = failed(GA, "TCP connect", OSError(number, "Too many open files"))

    assert error.message.startswith(f"{who} of file descriptors. Close files")
    assert isinstance(error.__cause__, OSError)
