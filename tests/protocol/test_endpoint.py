"""Endpoints in all their spellings, and the URLs that become of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azure_rt_audio.protocol.dialects import GaDialect, PreviewDialect
from azure_rt_audio.protocol.endpoint import Endpoint, parse_endpoint

GA = GaDialect("v1")
PREVIEW = PreviewDialect("2024-10-01-preview")


@pytest.mark.parametrize(
    "text",
    [
        "res.openai.azure.com",
        " res.openai.azure.com/ ",
        "https://res.openai.azure.com",
        "https://res.openai.azure.com/",
        "HTTPS://RES.OpenAI.Azure.com/",
        "https://res.openai.azure.com/openai",
        "https://res.openai.azure.com/openai/",
        "https://res.openai.azure.com/openai/v1",
        "https://res.openai.azure.com/openai/v1/",
        "https://res.openai.azure.com/openai/v1/realtime",
        "wss://res.openai.azure.com/openai/realtime",
        "https://res.openai.azure.com/openai/deployments/d",
        "https://res.openai.azure.com/realtime",
    ],
)
def test_every_spelling_is_the_same_endpoint(text: str) -> None:
    """Whatever the portal, a sample or a colleague wrote, it is this host over TLS."""
    assert parse_endpoint(text) == Endpoint("wss", "res.openai.azure.com")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:8080", Endpoint("ws", "localhost", 8080)),
        ("LOCALHOST:8080", Endpoint("ws", "localhost", 8080)),
        ("127.0.0.1:8080", Endpoint("ws", "127.0.0.1", 8080)),
        ("[::1]:8080", Endpoint("ws", "::1", 8080)),
        ("127.0.0.1", Endpoint("wss", "127.0.0.1")),
        ("localhost:443", Endpoint("wss", "localhost", 443)),
        ("wss://localhost:8443", Endpoint("wss", "localhost", 8443)),
        ("::1", Endpoint("wss", "::1")),
        ("2001:db8::1", Endpoint("wss", "2001:db8::1")),
        ("10.0.0.1:8080", Endpoint("wss", "10.0.0.1", 8080)),
        ("http://10.0.0.1", Endpoint("ws", "10.0.0.1")),
        ("service:443", Endpoint("wss", "service", 443)),
        ("https://gate.example/my-api/openai", Endpoint("wss", "gate.example", None, "/my-api")),
        ("https://gate.example/my-api/", Endpoint("wss", "gate.example", None, "/my-api")),
        ("https://gate.example/a/b/openai/v1/realtime", Endpoint("wss", "gate.example", None, "/a/b")),
        ("müller.example", Endpoint("wss", "xn--mller-kva.example")),
    ],
)
def test_other_places(text: str, expected: Endpoint) -> None:
    """Without a scheme it is TLS, but for a port on this machine; a gateway's prefix is kept."""
    assert expected == parse_endpoint(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        (None, "is empty"),
        (7, "is empty"),
        ("res", 'did you mean "res.openai.azure.com"'),
        ("https://res", 'did you mean "res.openai.azure.com"'),
        ("ftp://res.example", "use https:// or wss://"),
        ("https://", "no valid host"),
        ("https://:443", "no valid host"),
        ("res.example:0", "no valid host and port"),
        ("res..example", "no valid host"),
        ("res.example:port", "expected host or host:port"),
        ("res.example:99999", "expected host or host:port"),
        ("https://[::1", "expected host or host:port"),
        ("ü..example", "expected host or host:port"),
        ("res example", "blanks"),
        ("res.example/a b", "blanks"),
        ("res.example\r\nX-Injected: 1", "blanks"),
        ("res.example/a\tb", "blanks"),
        ("res\x00.example", "control characters"),
        ("res.example\\x", "backslashes"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_a_remedy(text: Any, said: str) -> None:
    """The error says what to write instead."""
    with pytest.raises(ValueError, match="host_name") as caught:
        parse_endpoint(text)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://S3CRET@res.example",
        "https://user:S3CRET@res.example",
        "S3CRET@res.example",
        "res.example?api-key=S3CRET",
        "https://res.example/openai?API-KEY=S3CRET",
        "https://gate.example?subscription-key=S3CRET",
        "https://gate.example/x?code=S3CRET",
        "https://res.example?Authorization=Bearer%20S3CRET",
        "res.example:S3CRET",
        "S3CRET" * 14,
    ],
)
def test_a_credential_is_refused_and_not_repeated(text: str) -> None:
    """A key in the endpoint is an error, and the error does not show it."""
    with pytest.raises(ValueError, match="host_name") as caught:
        parse_endpoint(text)

    assert "S3CRET" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_url_follows_the_dialect() -> None:
    """GA names the model, preview the version and the deployment; what is given is quoted."""
    endpoint = parse_endpoint("https://gate.example:8443/my-api")

    base = "wss://gate.example:8443/my-api/openai"
    assert f"{base}/v1/realtime?model=my%20dep%2F%C3%BC%26x" == endpoint.url(GA, "my dep/ü&x")
    assert f"{base}/realtime?api-version=2024-10-01-preview&deployment=dep" == endpoint.url(PREVIEW, "dep")
    assert Endpoint("ws", "::1", 80).url(GA, "d") == "ws://[::1]:80/openai/v1/realtime?model=d"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("res.openai.azure.com", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, expected: bool) -> None:
    """Only what cannot leave this machine counts: a key may go there in the clear."""
    assert expected == Endpoint("ws", host).is_loopback


@given(st.text(max_size=40) | st.from_regex(r"[a-z:/@?\[\]%.=&#0-9]{0,30}", fullmatch=True))
def test_any_text_is_an_endpoint_or_a_value_error(text: str) -> None:
    """No text does worse than a ``ValueError``, and what passes makes a URL of one plain line."""
    try:
        endpoint = parse_endpoint(text)
    except ValueError as exc:
        assert "host_name" in str(exc)  # noqa: PT017 - either outcome is fine
        return
    url = endpoint.url(GA, "d")
    assert url.startswith(("ws://", "wss://"))
    assert not any(sign.isspace() or ord(sign) < 33 for sign in url)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wss://res.openai.azure.com/openai/v1/realtime?model=other", ("other", None)),
        (
            "https://res.openai.azure.com/openai/realtime?api-version=2024-10-01-preview&deployment=d",
            ("d", "2024-10-01-preview"),
        ),
    ],
)
def test_a_query_names_deployment_and_version(text: str, said: tuple[str, str | None]) -> None:
    """What a pasted URL says behind the question mark is understood."""
    assert parse_endpoint(text) == Endpoint("wss", "res.openai.azure.com", None, "", *said)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("call_id=rtc_1", "parameter 'call_id', which would not be sent"),
        ("model=a&deployment=b", "more than one"),
        ("model=a&model=b", "more than one model"),
        ("api-version=a&api-version=b", "more than one api-version"),
    ],
)
def test_a_query_that_cannot_be_kept(query: str, message: str) -> None:
    """Nothing of a URL is dropped without a word."""
    with pytest.raises(ValueError, match=message):
        parse_endpoint(f"wss://res.openai.azure.com/openai/v1/realtime?{query}")
