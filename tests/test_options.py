"""What the user configures: understood in any spelling, refused with a remedy, silent about secrets."""

from __future__ import annotations

import math
import ssl
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from azure_rt_audio import (
    AzureRealTimeOptions,
    ConnectError,
    InputAudioTranscription,
    SessionConfig,
    TurnDetection,
    WebSocketOptions,
)
from azure_rt_audio._wire import wire_of
from azure_rt_audio.options import make_options
from azure_rt_audio.protocol.session import DEFAULT_INSTRUCTIONS
from azure_rt_audio.protocol.shape import UNSET

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
    assert made.session_config == SessionConfig(voice="echo")
    assert (made.api_version, made.wire.name) == ("2024-10-01-preview", "preview")


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
        ({"apiKey": KEY}, ValueError, "needs host_name, deployment"),
        (["host_name"], TypeError, "or a mapping, not list"),
        (WebSocketOptions(), TypeError, "expected AzureRealTimeOptions"),
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
        ({"deployment": 7}, "deployment is empty"),
        ({"api_key": ""}, "api_key is empty"),
        ({"api_key": 7}, "api_key is empty"),
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
    assert options(dialect="preview").wire.name == "preview"
    assert options(dialect="ga", api_version="2024-10-01-preview").wire.name == "ga"


def test_the_default_session() -> None:
    """Without a configuration the session is that of the original."""
    assert options().session_config == SessionConfig(
        voice="alloy",
        instructions="Call provided tools if appropriate for the user's input.",
        input_audio_format="pcm16",
        output_audio_format="pcm16",
        input_audio_transcription=InputAudioTranscription(model="whisper-1"),
        turn_detection=TurnDetection(type="server_vad", threshold=0.4, silence_duration_ms=600),
    )
    assert options().session_config.instructions == DEFAULT_INSTRUCTIONS


def test_null_is_not_unset() -> None:
    """``None`` clears, and what is left out is not mentioned."""
    config = options(session_config={"turn_detection": None}).session_config

    assert (config.turn_detection, config.input_audio_transcription) == (None, UNSET)


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


# ------------------------------------------------------------ the connection


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connect_timeout", 0),
        ("connect_timeout", None),
        ("connect_timeout", math.inf),
        ("connect_timeout", math.nan),
        ("connect_timeout", "10"),
        ("close_timeout", -1),
        ("close_timeout", None),
        ("ping_interval", 0),
        ("ping_timeout", None),
        ("send_timeout", -0.1),
        ("max_message_bytes", 0),
        ("max_send_backlog_bytes", 0),
        ("ssl_context", "default"),
        ("headers", ["a"]),
        ("headers", {"a b": "c"}),
        ("headers", {"": "c"}),
        ("headers", {"x-secret": f"{KEY}\r\nx-evil: 1"}),
        ("headers", {"x-secret": 5}),
    ],
)
def test_a_wrong_connection(name: str, value: Any) -> None:
    """Limits and headers that cannot be right are refused by name; a header's value is not repeated."""
    with pytest.raises((ValueError, TypeError), match=name) as caught:
        WebSocketOptions(**{name: value})

    assert KEY not in str(caught.value)


def test_the_connections_repr_is_silent() -> None:
    """Neither headers nor the proxy are shown."""
    made = WebSocketOptions(headers={"x-secret": KEY}, http_proxy=f"http://user:{KEY}@proxy:1")

    assert KEY not in repr(made)


def test_everything_reaches_the_wire() -> None:
    """Each option is handed to the transport."""
    context = ssl.create_default_context()
    made = WebSocketOptions(
        connect_timeout=1,
        close_timeout=2,
        ping_interval=3,
        ping_timeout=4,
        max_message_bytes=5000,
        max_send_backlog_bytes=6000,
        ssl_context=context,
        sockopt=[(1, 2, 3)],
        http_proxy="socks5h://us%40er:p%3Aw@proxy.example:1080",
    )

    wire = wire_of(made, None)

    assert (wire.connect_timeout, wire.close_timeout, wire.ping_interval, wire.ping_timeout) == (1, 2, 3, 4)
    assert (wire.max_message_bytes, wire.max_backlog_bytes) == (5000, 6000)
    assert (wire.ssl_context, list(wire.sockopt)) == (context, [(1, 2, 3)])
    assert (wire.http_proxy_host, wire.http_proxy_port, wire.proxy_type) == ("proxy.example", 1080, "socks5h")
    assert wire.http_proxy_auth == ("us@er", "p:w")
    assert wire.user_agent.startswith("azure-rt-audio/")


@pytest.mark.parametrize(
    "proxy",
    ["proxy.example:8080", f"ftp://{KEY}@proxy", f"http://user:{KEY}", "http://:80", f"http://[{KEY}"],
)
def test_a_wrong_proxy(proxy: str) -> None:
    """A proxy that cannot be right is refused without being repeated, in causes neither."""
    with pytest.raises(ValueError, match="must look like") as caught:
        wire_of(WebSocketOptions(http_proxy=proxy), None)

    assert (KEY in str(caught.value), caught.value.__context__) == (False, None)


def test_a_wrong_websocket() -> None:
    """What cannot make a WebSocket is refused."""
    with pytest.raises(TypeError, match="websocket_impl"):
        wire_of(WebSocketOptions(), "websocket")  # type: ignore[arg-type]
