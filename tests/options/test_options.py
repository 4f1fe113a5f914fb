"""What the user configures: understood in any spelling, refused with a remedy, silent about secrets."""

from __future__ import annotations

import inspect
import math
import re
import ssl
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import trustme

from azure_rt_audio import (
    AzureRealTimeOptions,
    ConnectError,
    SessionConfig,
    TurnDetection,
    WebSocketOptions,
)
from azure_rt_audio.options import make_options
from azure_rt_audio.options.proxy_url import Proxy, parse_proxy
from azure_rt_audio.protocol.base import UNSET
from azure_rt_audio.protocol.session_defaults import DEFAULT_INSTRUCTIONS

KEY = "sesame-0123456789"
NEEDED = {"host_name": "my-resource.openai.azure.com", "deployment": "my-model", "api_key": KEY}


def options(**changes: Any) -> AzureRealTimeOptions:
    """Return complete options, changed; ``None`` leaves one out."""
    given = {name: value for name, value in {**NEEDED, **changes}.items() if value is not None}
    return AzureRealTimeOptions(**given)


# ------------------------------------------------------------ spelling


@pytest.mark.parametrize(
    "given",
    [
        options(session_config={"voice": "echo"}, api_version="2024-10-01-preview"),
        {**NEEDED, "session_config": {"voice": "echo"}, "api_version": "2024-10-01-preview"},
        {
            "hostName": NEEDED["host_name"],
            "deployment": NEEDED["deployment"],
            "apiKey": KEY,
            "sessionConfig": {"voice": "echo"},
            "apiVersion": "2024-10-01-preview",
        },
    ],
    ids=["object", "snake_case", "camelCase"],
)
def test_any_spelling(given: Any) -> None:
    """Options may be an object, or a mapping in either spelling."""
    made = make_options(AzureRealTimeOptions, given)

    assert (made.host_name, made.deployment, made.api_key) == (
        NEEDED["host_name"],
        NEEDED["deployment"],
        KEY,
    )
    assert made.session_config == options(session_config=SessionConfig(voice="echo")).session_config
    assert (made.api_version, made.resolved_dialect.name) == ("2024-10-01-preview", "preview")


@pytest.mark.parametrize("given", [None, {}, WebSocketOptions()])
def test_websocket_options_may_be_left_out(given: Any) -> None:
    """Without options the connection has the documented limits."""
    assert make_options(WebSocketOptions, given) == WebSocketOptions()


def test_websocket_options_in_camel_case() -> None:
    """The connection's options have both spellings, too."""
    assert make_options(WebSocketOptions, {"connectTimeout": 3, "pingInterval": None}) == WebSocketOptions(
        connect_timeout=3, ping_interval=None
    )


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({**NEEDED, "hostname": "x"}, ValueError, "did you mean 'host_name'"),
        ({**NEEDED, "colour": "red"}, ValueError, "known are host_name, deployment"),
        ({"apiKey": KEY}, ValueError, "needs host_name"),
        (["host_name"], TypeError, "or a mapping, not list"),
        (WebSocketOptions(), TypeError, "options must be AzureRealTimeOptions"),
    ],
)
def test_what_is_no_option(given: Any, error: type[Exception], says: str) -> None:
    """An unknown name, a missing one, or something else altogether is refused with the remedy."""
    with pytest.raises(error, match=says):
        make_options(AzureRealTimeOptions, given)


# ------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"host_name": ""}, "host_name is empty"),
        ({"host_name": 5}, "host_name"),
        ({"host_name": "my-resource"}, "did you mean"),
        ({"host_name": "http://my-resource.openai.azure.com"}, "unencrypted"),
        ({"host_name": "ws://203.0.113.7:8080"}, "unencrypted"),
        ({"host_name": f"https://user:{KEY}@host.example"}, "holds a credential"),
        ({"host_name": f"https://host.example/?api-key={KEY}"}, "holds a credential"),
        ({"deployment": " "}, "deployment is empty"),
        ({"deployment": 7}, "deployment must be text, not int"),
        ({"deployment": "gpt\ud800"}, r"deployment is 'gpt\\ud800'"),
        ({"deployment": "gpt\n"}, "deployment is .* blanks at an end"),
        ({"deployment": "g\0pt"}, "characters that no name has"),
        ({"api_key": ""}, "api_key is empty"),
        ({"api_key": 7}, "api_key must be text, not int"),
        ({"api_key": f"{KEY}\r\nx-evil: 1"}, "api_key holds spaces, line breaks"),
        ({"api_key": f"{KEY}\n"}, "api_key holds spaces, line breaks"),
        ({"api_key": f"{KEY}\0"}, "api_key holds spaces, line breaks"),
        ({"api_key": f"{KEY}é"}, "outside ASCII"),
        ({"api_key": None}, "api_key is missing"),
        ({"credential": lambda: KEY}, "exclude each other"),
        ({"api_version": "2024"}, "api_version"),
        ({"api_version": 2024}, "api_version"),
        ({"dialect": "english"}, "dialect"),
        ({"session_config": {"voize": "alloy"}}, r"session_config\.voize"),
        ({"session_config": {"turn_detection": {"threshold": "high"}}}, r"turn_detection\.threshold"),
    ],
)
def test_a_wrong_value(changes: dict[str, Any], says: str) -> None:
    """What cannot be right is refused at once, by its name, and a secret in it is not repeated."""
    with pytest.raises(ValueError, match=says) as caught:
        options(**changes)

    assert KEY not in str(caught.value)
    assert KEY not in repr(caught.value.__cause__)


def test_a_credential_that_is_none() -> None:
    """A credential must be something that can be asked."""
    with pytest.raises(TypeError, match="get_token"):
        options(api_key=None, credential="a token")


@pytest.mark.parametrize(
    "host", ["ws://127.0.0.1:8080", "ws://[::1]:8080", "http://localhost:8080", "localhost:8080"]
)
def test_plain_text_to_this_machine(host: str) -> None:
    """To this machine itself the key may travel unencrypted."""
    assert options(host_name=host).url.startswith("ws://")


def test_the_url_holds_no_credential() -> None:
    """Key and token are in no URL."""
    assert options().url == "wss://my-resource.openai.azure.com/openai/v1/realtime?model=my-model"
    assert options(api_version="2025-04-01-preview").url == (
        "wss://my-resource.openai.azure.com/openai/realtime"
        "?api-version=2025-04-01-preview&deployment=my-model"
    )


def test_the_dialect_overrides_the_version() -> None:
    """A dialect that is named wins over what the version says."""
    assert options(dialect="preview").resolved_dialect.name == "preview"
    assert options(dialect="ga", api_version="2024-10-01-preview").resolved_dialect.name == "ga"


def test_the_default_session() -> None:
    """Without a configuration the session is that of the original."""
    assert options().session_config == SessionConfig(
        voice="alloy",
        instructions="Call provided tools if appropriate for the user's input.",
        input_audio_format="pcm16",
        output_audio_format="pcm16",
        turn_detection=TurnDetection(type="server_vad", threshold=0.4, silence_duration_ms=600),
    )
    assert options().session_config.instructions == DEFAULT_INSTRUCTIONS


def test_null_is_not_unset() -> None:
    """``None`` clears, and what is left out keeps its default."""
    config = options(session_config={"turn_detection": None}).session_config

    assert (config.turn_detection, config.voice, config.input_audio_transcription) == (None, "alloy", UNSET)


def test_without_defaults() -> None:
    """On request the session is configured with what was given and nothing else."""
    config = options(session_config={"voice": "echo"}, session_defaults=False).session_config

    assert config == SessionConfig(voice="echo")


def test_a_pasted_url_says_it_all() -> None:
    """Deployment and version may stand in the URL alone."""
    url = "https://res.openai.azure.com/openai/realtime?api-version=2024-10-01-preview&deployment=d"
    made = AzureRealTimeOptions(host_name=url, api_key=KEY)

    assert (made.deployment, made.api_version, made.resolved_dialect.name) == (
        "d",
        "2024-10-01-preview",
        "preview",
    )
    assert made.url == url.replace("https", "wss")
    assert AzureRealTimeOptions(host_name=url, api_key=KEY, deployment="d").url == made.url


@pytest.mark.parametrize("other", [{"deployment": "e"}, {"api_version": "v1"}])
def test_a_pasted_url_is_not_contradicted(other: dict[str, str]) -> None:
    """What is said twice must be the same."""
    url = "https://res.openai.azure.com/openai/realtime?api-version=2024-10-01-preview&deployment=d"

    with pytest.raises(ValueError, match=f"{next(iter(other))} is '.*', but the URL in host_name says"):
        AzureRealTimeOptions(host_name=url, api_key=KEY, **other)


def test_options_are_immutable() -> None:
    """What was checked stays as it was."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        options().api_key = "another"  # type: ignore[misc]


@pytest.mark.parametrize("made", [options(), options(api_key=None, credential=lambda: KEY)])
def test_repr_is_silent(made: AzureRealTimeOptions) -> None:
    """The repr shows where to, not as whom."""
    assert KEY not in repr(made)
    assert "my-resource.openai.azure.com" in repr(made)


# ------------------------------------------------------------ credentials


def test_the_key_goes_into_a_header() -> None:
    """A key is sent as api-key."""
    assert options().authorization() == {"api-key": KEY}


def test_a_credential_of_azure_identity() -> None:
    """Its token is asked for with the scope, and sent as a bearer."""
    asked: list[str] = []

    class Credential:
        def get_token(self, *scopes: str) -> Any:
            asked.extend(scopes)
            return SimpleNamespace(token=f"token-{len(asked)}")

    made = options(api_key=None, credential=Credential(), credential_scope="https://ai.azure.com/.default")

    assert made.authorization() == {"Authorization": "Bearer token-1"}
    assert made.authorization() == {"Authorization": "Bearer token-2"}
    assert asked == ["https://ai.azure.com/.default"] * 2


def test_a_credential_that_is_a_function() -> None:
    """A function is asked anew each time."""
    tokens = iter(["one", "two"])
    made = options(api_key=None, credential=lambda: next(tokens))

    assert [made.authorization()["Authorization"] for _ in range(2)] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("token", [None, "", 5, f"Bearer {KEY}", f"{KEY}\r\nx-evil: 1", b"bytes"])
def test_what_is_no_token(token: Any) -> None:
    """A credential that returns something else is an authentication error, which does not repeat it."""
    with pytest.raises(ConnectError, match="not a token") as caught:
        options(api_key=None, credential=lambda: token).authorization()

    assert (caught.value.type, KEY in str(caught.value)) == ("authentication_error", False)


# ------------------------------------------------------------ from the environment


VARIABLES = {
    "AZURE_OPENAI_ENDPOINT": "https://my-resource.openai.azure.com/",
    "AZURE_OPENAI_API_KEY": KEY,
    "AZURE_OPENAI_DEPLOYMENT": "my-model",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with all there is to know."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("environment")
def test_from_the_environment() -> None:
    """Endpoint, key and deployment are taken from the environment; arguments win."""
    made = AzureRealTimeOptions.from_env(deployment="another")

    assert (made.endpoint.host, made.deployment, made.api_key) == (NEEDED["host_name"], "another", KEY)


@pytest.mark.usefixtures("environment")
def test_a_credential_replaces_the_key() -> None:
    """With a credential, a key in the environment is not looked at."""
    made = AzureRealTimeOptions.from_env(credential=lambda: "token")

    assert (made.api_key, made.authorization()) == (None, {"Authorization": "Bearer token"})


def test_what_is_missing_in_the_environment(environment: pytest.MonkeyPatch) -> None:
    """The variables that are missing, or empty, are named."""
    environment.delenv("AZURE_OPENAI_ENDPOINT")
    environment.setenv("AZURE_OPENAI_DEPLOYMENT", "")

    with pytest.raises(ValueError, match="set AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_DEPLOYMENT in the env"):
        AzureRealTimeOptions.from_env()


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("AZURE_OPENAI_ENDPOINT", "ftp://res.openai.azure.com", "AZURE_OPENAI_ENDPOINT begins with ftp"),
        ("AZURE_OPENAI_ENDPOINT", "ws://res.openai.azure.com", "AZURE_OPENAI_ENDPOINT res.openai"),
        ("AZURE_OPENAI_API_KEY", "two words", "AZURE_OPENAI_API_KEY holds spaces"),
        ("AZURE_OPENAI_DEPLOYMENT", " x", "AZURE_OPENAI_DEPLOYMENT is ' x'"),
        (
            "AZURE_OPENAI_ENDPOINT",
            "https://res.openai.azure.com/openai/v1/realtime?model=y",
            "AZURE_OPENAI_DEPLOYMENT is .*, but the URL in AZURE_OPENAI_ENDPOINT says 'y'",
        ),
    ],
)
def test_the_environment_is_named(
    environment: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    """An error about what came from a variable names it; about an argument, the argument."""
    environment.setenv(variable, value)

    with pytest.raises(ValueError, match=f"^{says}"):
        AzureRealTimeOptions.from_env()
    with pytest.raises(ValueError, match=r"^host_name has blanks"):
        AzureRealTimeOptions.from_env(host_name="no name")


@pytest.mark.parametrize(
    ("given", "model"),
    [
        (None, "my-whisper"),
        ({"voice": "echo"}, "my-whisper"),
        ({"input_audio_transcription": {"language": "en"}}, "my-whisper"),
        ({"audio": {"input": {"transcription": {"model": "other"}}}}, "other"),
        ({"input_audio_transcription": None}, None),
    ],
)
def test_transcription_by_the_environment(
    environment: pytest.MonkeyPatch, given: Any, model: str | None
) -> None:
    """A deployment for it in the environment turns transcription on, where nothing else is said."""
    environment.setenv("AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT", "my-whisper")

    config = AzureRealTimeOptions.from_env(session_config=given).session_config

    assert getattr(config.input_audio_transcription, "model", None) == model


def test_the_environment_may_hold_a_pasted_url(environment: pytest.MonkeyPatch) -> None:
    """A deployment in the URL need not be set again."""
    environment.delenv("AZURE_OPENAI_DEPLOYMENT")
    environment.setenv(
        "AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com/openai/v1/realtime?model=pasted"
    )

    assert AzureRealTimeOptions.from_env().deployment == "pasted"


# ------------------------------------------------------------ the connection


@pytest.mark.parametrize(
    ("name", "value", "error", "says"),
    [
        ("connect_timeout", 0, ValueError, "from 0.001 to 604800 seconds, not 0"),
        ("connect_timeout", None, TypeError, "a number of seconds, not NoneType"),
        ("connect_timeout", math.inf, ValueError, "not inf"),
        ("connect_timeout", math.nan, ValueError, "not nan"),
        ("connect_timeout", "10", TypeError, "not str"),
        ("connect_timeout", True, TypeError, "not bool"),
        pytest.param("connect_timeout", 10**400, ValueError, "from 0.001 to 604800", id="huge"),
        ("close_timeout", -1, ValueError, "from 0 to 604800 seconds, not -1"),
        ("close_timeout", None, TypeError, "NoneType"),
        ("ping_interval", 0, ValueError, "from 0.01 to 604800 seconds or None, not 0"),
        ("ping_interval", False, TypeError, "seconds or None, not bool"),
        ("ping_interval", math.nan, ValueError, "not nan"),
        ("ping_timeout", None, TypeError, "NoneType"),
        ("ping_timeout", -20, ValueError, "not -20"),
        ("send_timeout", -0.1, ValueError, "not -0.1"),
        ("max_message_bytes", 0, ValueError, "at least 1024 bytes, not 0"),
        ("max_message_bytes", 1e6, TypeError, "a whole number of bytes, not float"),
        ("max_message_bytes", True, TypeError, "not bool"),
        ("max_message_bytes", None, TypeError, "NoneType"),
        ("max_send_backlog_bytes", -1, ValueError, "at least 1024"),
        ("max_send_backlog_bytes", "1 MB", TypeError, "not str"),
        ("ssl_context", "default", TypeError, '"truststore" or None, not another text'),
        ("ssl_context", True, TypeError, "not bool"),
        ("ssl_context", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ValueError, "for servers"),
        ("headers", ["a"], TypeError, "not list"),
        ("headers", {"a b": "c"}, ValueError, "no header can have"),
        ("headers", {"": "c"}, ValueError, "no header can have"),
        ("headers", {5: "c"}, ValueError, "no header can have"),
        ("headers", {"x\r\ny": "c"}, ValueError, "no header can have"),
        ("headers", {"x-secret": f"{KEY}\r\nx-evil: 1"}, ValueError, "line breaks"),
        ("headers", {"x-secret": f"{KEY}é"}, ValueError, "outside ASCII"),
        ("headers", {"x-secret": 5}, ValueError, "no text"),
        ("headers", {"x-secret": f"{KEY}\tb"}, ValueError, "holds tabs"),
        ("headers", {"Host": "other.example"}, ValueError, "a part of the handshake"),
        ("headers", {"Sec-WebSocket-Key": KEY}, ValueError, "a part of the handshake"),
        ("http_proxy", "", ValueError, "must look like"),
        ("http_proxy", "proxy.example:8080", ValueError, "must look like"),
        ("http_proxy", f"ftp://{KEY}@proxy", ValueError, "must look like"),
        ("http_proxy", f"http://user:{KEY}", ValueError, "must look like"),
        ("http_proxy", "http://:80", ValueError, "must look like"),
        ("http_proxy", "http://proxy:0", ValueError, "must look like"),
        ("http_proxy", "http://proxy:65536", ValueError, "must look like"),
        ("http_proxy", f"http://[{KEY}", ValueError, "must look like"),
        ("http_proxy", f"http://user:{KEY}/x@proxy:80", ValueError, "percent-encoded"),
        ("http_proxy", f"http://user:12/{KEY}@proxy:80", ValueError, "percent-encoded"),
        ("http_proxy", f"http://user:{KEY}#x@proxy:80", ValueError, "percent-encoded"),
        ("http_proxy", f"http://user:{KEY}@proxy:80/path", ValueError, "must look like"),
        ("http_proxy", f"http://user:{KEY}@proxy:80\r\nx-evil: 1", ValueError, "must look like"),
        ("http_proxy", f"http://user:{KEY}@proxy:80\n", ValueError, "must look like"),
        ("http_proxy", f"https://user:{KEY}@proxy:80", ValueError, "must begin with http://, not https://"),
        ("http_proxy", f"socks5://user:{KEY}é@proxy", ValueError, "ASCII"),
        ("http_proxy", f"socks5://user:{KEY * 20}@proxy", ValueError, "1 to 255"),
        ("http_proxy", "socks5://user@proxy", ValueError, "or neither"),
        ("http_proxy", b"http://proxy:80", TypeError, "not bytes"),
        ("http_proxy", 8080, TypeError, "not int"),
        ("sockopt", 5, TypeError, "triples"),
        ("sockopt", "abc", TypeError, "not str"),
        ("sockopt", (1, 2, 3), ValueError, "not 1"),
        ("sockopt", [(1, 2)], ValueError, r"not \(1, 2\)"),
        ("sockopt", [(1, 2, "3")], TypeError, "value as int or bytes"),
        ("sockopt", [(1, 2.0, 3)], TypeError, "level and option as int"),
    ],
)
def test_a_wrong_connection(name: str, value: Any, error: type[Exception], says: str) -> None:
    """What cannot be right is refused by name with the remedy; secrets are not repeated."""
    with pytest.raises(error, match=says) as caught:
        WebSocketOptions(**{name: value})

    assert str(caught.value).startswith(name)
    shown = "".join(traceback.format_exception(caught.value))
    assert (KEY in str(caught.value), KEY in shown, "Attribute(" in shown) == (False, False, False)
    assert caught.value.__context__ is None


def test_the_documented_defaults() -> None:
    """What the docstring says about the defaults is so, and it says something about each."""
    said = (inspect.getdoc(WebSocketOptions) or "").partition("Raises:")[0]
    numbers = {
        "connect_timeout": 10,
        "close_timeout": 5,
        "ping_interval": 20,
        "ping_timeout": 20,
        "send_timeout": 10,
        "max_message_bytes": 16,
        "max_send_backlog_bytes": 32,
    }
    entries = dict(re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", said, re.M | re.S))

    for attribute in attrs.fields(WebSocketOptions):
        entry = entries.pop(attribute.name)
        if attribute.name in numbers:
            unit = " MiB" if attribute.name.startswith("max") else ""
            factor = 2**20 if unit else 1
            assert f"{numbers[attribute.name]}{unit} by default" in " ".join(entry.split())
            assert attribute.default == numbers[attribute.name] * factor
        else:
            assert "default" in entry
    assert entries == {}


def test_the_documented_context_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of the docstring for an authority and a client certificate of one's own run as they stand."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "company-ca.pem"))
    own = authority.issue_cert("client.example")
    own.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    said = inspect.getdoc(WebSocketOptions) or ""
    lines = re.findall(r"^    (context[ .].*|WebSocketOptions\(ssl.*)$", said, re.M)

    assert len(lines) == 3
    monkeypatch.chdir(tmp_path)
    exec("\n".join(lines), {"ssl": ssl, "WebSocketOptions": WebSocketOptions})


def test_the_connections_repr_is_silent() -> None:
    """Neither headers nor the proxy are shown."""
    made = WebSocketOptions(headers={"x-secret": KEY}, http_proxy=f"http://user:{KEY}@proxy:1")

    assert KEY not in repr(made)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.example", Proxy("http", "proxy.example", 80)),
        ("HTTP://Proxy.Example:3128/", Proxy("http", "proxy.example", 3128)),
        ("http://me:@proxy.example:1", Proxy("http", "proxy.example", 1, ("me", ""))),
        ("http://me@proxy.example:1", Proxy("http", "proxy.example", 1, ("me", ""))),
        ("http://d%5Cme:p%40%2F%C3%A4@10.0.0.1:1", Proxy("http", "10.0.0.1", 1, ("d\\me", "p@/ä"))),
        ("http://me:p@ss@proxy.example:1", Proxy("http", "proxy.example", 1, ("me", "p@ss"))),
        ("http://[2001:db8::1]:3128", Proxy("http", "2001:db8::1", 3128)),
        ("socks5h://proxy.example", Proxy("socks5h", "proxy.example", 1080)),
        ("socks4://me@proxy.example", Proxy("socks4", "proxy.example", 1080, ("me", ""))),
    ],
)
def test_the_urls_of_proxies(url: str, proxy: Proxy) -> None:
    """Kind, host, port and credentials are taken from the URL, and nothing shows the password."""
    kept = WebSocketOptions(http_proxy=url).http_proxy
    assert kept is not None
    assert parse_proxy(kept.reveal()) == proxy
    assert str(parse_proxy("http://[2001:db8::1]:3128")) == "[2001:db8::1]:3128"
    assert KEY not in repr(parse_proxy(f"http://me:{KEY}@proxy"))


@pytest.mark.parametrize("value", [True, 65536, b"eth0"])
def test_socket_options_are_taken(value: Any) -> None:
    """Numbers, flags and bytes are values for setsockopt; lists serve as well as tuples."""
    assert list(WebSocketOptions(sockopt=[[1, 2, value]]).sockopt) == [[1, 2, value]]  # type: ignore[list-item]
