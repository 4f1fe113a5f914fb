"""Keys, tokens and passwords: in no frame of ours when an exception leaves, and in no copy of the options."""

from __future__ import annotations

import copy
import functools
import json
import pickle
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import websocket
from frames import held_by_frames, shows
from hostile_service import http, refusing
from listeners import HANG, Probe

from azure_rt_audio import (
    AzureRealTimeAudio,
    AzureRealTimeOptions,
    McpServer,
    RealtimeError,
    Secret,
    SessionConfig,
    Tool,
    Tools,
    WebSocketOptions,
)
from azure_rt_audio._secret import forget_locals, forgets_locals
from azure_rt_audio.emulator import ChatModel, Close, Emulator, Faults, on_command
from azure_rt_audio.protocol.codec import to_json, typed
from azure_rt_audio.protocol.tools import McpTool

KEY = "KEY-0123456789-SECRET"


class Token:
    """What an Entra-like credential gives."""

    def __init__(self, token: str) -> None:
        self.token = token


class Entra:
    """A credential whose attributes and ``repr`` show its secret."""

    def __init__(self, token: Any = KEY, error: type[Exception] | None = None) -> None:
        self.client_secret, self.token, self.error = KEY, token, error

    def __repr__(self) -> str:
        return f"Entra({self.client_secret})"

    def get_token(self, *scopes: str) -> Token:
        """Return a token, or raise."""
        if self.error is not None:
            raise self.error("no")
        return Token(self.token)


def token_function(token: Any = KEY) -> Callable[[], Any]:
    """A function that returns a token."""
    return lambda: token


def raising() -> str:
    """A function that fails."""
    raise OSError("no")


class Impl(websocket.WebSocket):
    """A class of the user's that fails when it is given the headers."""

    def connect(self, url: str, **options: Any) -> None:
        """Fail."""
        raise RuntimeError("not today")


CREDENTIALS: dict[str, dict[str, Any]] = {
    "key": {"api_key": KEY},
    "function": {"credential": token_function()},
    "Entra": {"credential": Entra()},
}
ANSWERS = {
    "401": http(401, message="no"),
    "302": http(302, headers={"Location": "https://example.com/"}),
    "500": b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
    "echo": http(403, message=f"the key {KEY} is not known"),
    "garbage": b"\0" * 100,
    "hangs up": b"",
    "101 of another": b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: x\r\n\r\n",
}


def failure(options: dict[str, Any], web: dict[str, Any] | None = None, **more: Any) -> BaseException:
    """Return the exception of a client that cannot connect."""
    client = AzureRealTimeAudio({"deployment": "m", **options}, web, **more)
    try:
        client.wait_until_ready(5)
    except (RealtimeError, TimeoutError) as exc:
        return exc
    finally:
        client.close()
    raise AssertionError("it connected")


@contextmanager
def silent() -> Iterator[str]:
    """Yield the address of a server that answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_refused_handshakes(answer: str, credential: str) -> None:
    """Whatever the answer and whatever proves who we are."""
    headers = {"X-Gateway-Key": f"{KEY}-2"}
    with refusing(ANSWERS[answer]) as at:
        error = failure({"host_name": f"ws://{at}", **CREDENTIALS[credential]}, {"headers": headers})

    assert held_by_frames(error, KEY) == []
    assert any("handshake.py" in frame.filename for frame in _all_frames(error))  # lines are still told


def test_handshakes_that_fail_otherwise() -> None:
    """Nobody there, no answer in time, no TLS, a class of the user's, a name that does not exist."""
    key = {"api_key": KEY}
    with silent() as at, refusing(b"") as plain:
        errors = [
            failure({**key, "host_name": "ws://127.0.0.1:1"}),
            failure({**key, "host_name": f"ws://{at}"}, {"connect_timeout": 0.05}),
            failure({**key, "host_name": f"wss://{plain}"}),
            failure({**key, "host_name": f"ws://{plain}"}, websocket_impl=Impl),
            failure({**key, "host_name": "wss://[::ffff:0:0:1]:1"}, {"connect_timeout": 0.05}),
            failure({**key, "host_name": "ws://127.0.0.1:1"}, {"sockopt": [(1, 2**40, 1)]}),
        ]

    assert [held_by_frames(error, KEY) for error in errors] == [[]] * len(errors)


@pytest.mark.parametrize("scheme", ["http", "socks5h", "socks4a"])
@pytest.mark.parametrize("answer", ["407", "garbage", "hangs up", "nobody"])
def test_proxies(scheme: str, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password of a proxy that refuses, answers nonsense or is not there; given, or as a variable."""
    content = {**ANSWERS, "407": http(407, headers={"Proxy-Authenticate": "Basic"}), "nobody": b""}[answer]
    target = {"host_name": "wss://service.invalid", "api_key": KEY}
    with refusing(content) as at:
        where = "127.0.0.1:1" if answer == "nobody" else at
        proxy = f"{scheme}://user:{KEY}@{where}"
        errors = [failure(target, {"http_proxy": proxy})]
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        errors.append(failure(target))
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://user:{KEY}@{where}:x")
        errors.append(failure(target))

    assert [held_by_frames(error, KEY) for error in errors] == [[]] * 3


def test_credentials_that_fail() -> None:
    """What raises, and what returns no token; our frames hold neither it nor what it returned."""
    bad = f"{KEY}\nx"
    credentials: list[Any] = [
        raising,
        token_function(bad),
        token_function([KEY]),
        Entra(bad),
        Entra(error=OSError),
    ]
    target = {"host_name": "ws://127.0.0.1:1"}

    for credential in credentials:
        assert held_by_frames(failure({**target, "credential": credential}), KEY) == []
        options = AzureRealTimeOptions(**target, deployment="m", credential=credential)
        with pytest.raises((RealtimeError, OSError), match=r".") as raised:
            options.authorization()
        assert held_by_frames(raised.value, KEY) == []


WRONG: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    ({"deployment": ""}, None),
    ({"apikey": KEY}, None),
    ({"host_name": "ws://example.com"}, None),
    ({"host_name": f"wss://{KEY}@example.com"}, None),
    ({"host_name": f"wss://example.com/?api-key={KEY}"}, None),
    ({"api_key": f"{KEY}\r\nX: y"}, None),
    ({"api_key": KEY.encode()}, None),
    ({"api_key": f"{KEY} "}, None),
    ({"credential": lambda: KEY}, None),
    ({"credential": KEY, "api_key": None}, None),
    ({"api_version": 1}, None),
    ({"session_config": {"voice": 7}}, None),
    ({"dialect": "x"}, None),
    ({}, {"http_proxy": f"ftp://user:{KEY}@h"}),
    ({}, {"http_proxy": f"http://user:{KEY}@h:99999999"}),
    ({}, {"http_proxy": KEY.encode()}),
    ({}, {"headers": {"X-Gateway-Key": f"{KEY}\n"}}),
    ({}, {"headers": {"api-key": KEY}}),
    ({}, {"headers": KEY}),
    ({}, {"header": {"X": KEY}}),
    ({}, {"headers": {"X": KEY}, "connect_timeout": float("nan")}),
]


@pytest.mark.parametrize(("options", "web"), WRONG)
def test_refused_options(
    options: dict[str, Any], web: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the client from mappings, by the classes of options, and from the environment."""
    whole = {"host_name": "ws://127.0.0.1:1", "api_key": KEY, "deployment": "m", **options}
    makers: list[Callable[[], Any]] = [lambda: AzureRealTimeAudio(whole, web)]
    if web is None:
        makers += [lambda: AzureRealTimeOptions(**whole), lambda: AzureRealTimeOptions.from_env(**whole)]
    elif "api-key" not in web.get("headers", ()):
        makers += [lambda: WebSocketOptions(**web)]

    for make in makers:
        with pytest.raises((ValueError, TypeError)) as raised:
            make()
        assert held_by_frames(raised.value, KEY) == []


def test_errors_of_a_session() -> None:
    """Errors of a client that was connected: it and all that hangs on it is among the locals."""
    closing = Faults(on_command("response.create", Close(4000, "bye"), times=None))
    with Emulator(api_key=KEY, faults=closing) as service:
        web = {"headers": {"X-Gateway-Key": f"{KEY}-2"}}
        client = AzureRealTimeAudio(service.options(), web, record=None)
        errors = []
        try:
            for fail in (
                lambda: client.append_audio("***"),
                lambda: client.wait_for("response.done", timeout=0.01),
                lambda: client.create_response({"voice": 7}),
                lambda: client.ask("hello", timeout=5),
                lambda: client.append_audio(b"\0\0"),
            ):
                with pytest.raises((RealtimeError, ValueError, TimeoutError), match=r".") as raised:
                    fail()
                errors.append(raised.value)
        finally:
            client.close()

        assert [held_by_frames(error, KEY) for error in errors] == [[]] * 5
        assert shows(client, KEY) == []
        assert KEY not in repr(client)


OPTIONS = [
    AzureRealTimeOptions(host_name="ws://127.0.0.1:1", api_key=KEY, deployment="m"),
    AzureRealTimeOptions(host_name="ws://127.0.0.1:1", credential=Entra(), deployment="m"),
    WebSocketOptions(http_proxy=f"http://user:{KEY}@h:1", headers={"X": KEY}),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_what_shows_options(options: Any) -> None:
    """``repr``, tuples, dictionaries, copies, JSON; and what walks through attributes."""
    copies = [copy.copy(options), copy.deepcopy(options), attrs.evolve(options)]
    ways = [attrs.astuple(options), attrs.asdict(options), attrs.asdict(options, recurse=False), str(options)]

    assert [shows(way, KEY) for way in (options, f"{options}", *ways, *copies)] == [[]] * 9
    assert KEY not in json.dumps(attrs.asdict(options), default=str)
    assert copies == [options] * 3
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(options)


def mcp_tool() -> McpTool:
    """A server of tools that is shown a token and a key."""
    return McpTool(
        server_label="s", server_url="https://h/", authorization=KEY, headers={"X-Key": f"{KEY}-2"}
    )


@pytest.mark.parametrize(
    "tool",
    [
        mcp_tool(),
        {"type": "mcp", "server_label": "s", "authorization": KEY, "headers": {"X-Key": Secret(KEY)}},
    ],
)
def test_what_shows_a_session_with_an_mcp_server(tool: McpTool | dict[str, Any]) -> None:
    """The token of a server that the service calls is kept like a key, in the session and in a response."""
    options = AzureRealTimeOptions(
        host_name="ws://127.0.0.1:1", api_key="k", deployment="m", session_config={"tools": [tool]}
    )
    config = options.session_config

    ways = [
        config,
        attrs.asdict(config),
        attrs.astuple(config),
        to_json(config),
        options,
        attrs.asdict(options),
    ]
    ways += [copy.deepcopy(config), attrs.evolve(config), typed(config), f"{config!r}{config._repr_html_()}"]
    assert [shows(way, KEY) for way in ways] == [[]] * 10
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(config)


WRONG_SERVERS: list[dict[str, Any]] = [
    {"server_label": "s", "authorization": [KEY]},
    {"server_label": "s", "headers": {"X-Key": [KEY]}},
    {"server_label": "s", "headers": KEY},
    {"authorization": KEY},
    {"server_label": "s", "authorisation": KEY},
]


@pytest.mark.parametrize("server", WRONG_SERVERS)
def test_a_wrong_mcp_server_shows_no_token(server: dict[str, Any], client: AzureRealTimeAudio) -> None:
    """Neither the error of a configuration nor a frame of ours, whatever method was given it."""
    wrong = {"tools": [{"type": "mcp", **server}]}
    calls: list[Callable[[], object]] = [
        lambda: AzureRealTimeOptions(
            host_name="ws://127.0.0.1:1", api_key="k", deployment="m", session_config=wrong
        ),
        lambda: client.update_session(wrong),
        lambda: client.become(session=wrong),
        lambda: client.create_response(wrong),
        lambda: client.ask("hello", response=wrong),
        lambda: client.send({"type": "response.create", "response": {**wrong, "x": object()}}),
    ]

    for call in calls:
        with pytest.raises((ValueError, TypeError), match=r"tools\[0\]|response.create") as raised:
            call()
        assert held_by_frames(raised.value, KEY) == []


SERVER = {"type": "mcp", "server_label": "s", "server_url": "https://h/", "authorization": KEY}


def read_mail(password: str, folder) -> str:  # type: ignore[no-untyped-def]  # so that it is refused
    """Read mail."""
    return f"{password} {folder}"


@pytest.mark.parametrize(
    "give",
    [
        lambda client: McpServer({**SERVER, "server_label": 3}),
        lambda client: McpServer({**SERVER, "server_label": "\ud800"}),
        lambda client: McpServer(SERVER, approval_timeout_s=0),
        lambda client: Tools(SERVER),
        lambda client: Tools().add(SERVER),
        lambda client: Tools().update([SERVER]),
        lambda client: setattr(client, "tools", [SERVER]),
        lambda client: AzureRealTimeAudio(
            {"host_name": "ws://127.0.0.1:1", "api_key": "k", "deployment": "m"}, tools=[SERVER]
        ),
        lambda client: Tool(functools.partial(read_mail, KEY)),
        lambda client: Tools(functools.partial(read_mail, KEY)),
    ],
)
def test_what_is_refused_as_a_tool_shows_no_secret(
    give: Callable[[AzureRealTimeAudio], object], client: AzureRealTimeAudio
) -> None:
    """Neither the token of a server nor what a partial has bound, in no frame of ours."""
    with pytest.raises((ValueError, TypeError)) as raised:
        give(client)
    assert held_by_frames(raised.value, KEY) == []


URLS = {
    "https://h": "https://h",
    "https://h:8443/": "https://h:8443",
    "https://h/mcp": "https://h/...",
    f"https://user:{KEY}@[::1]:8443/mcp/{KEY}?key={KEY}#{KEY}": "https://[::1]:8443/...",
    f"https://user:12/{KEY}@h/": "...",
    f"https://h:{KEY}/": "...",
    KEY: "...",
}


@pytest.mark.parametrize("url", URLS)
def test_of_the_url_of_an_mcp_server_no_more_than_the_host_is_shown(url: str) -> None:
    """Many take a key in the query, some in the path."""
    tool = McpTool(server_label="s", server_url=url)
    shown = f"server_url='{URLS[url]}'"

    assert repr(tool) == f"McpTool(server_label='s', {shown})"
    assert KEY not in tool._repr_html_()
    assert shown in repr(SessionConfig(tools=[tool]))
    assert tool.server_url == url


def test_the_key_in_the_url_of_an_mcp_server_is_only_sent(tmp_path: Path) -> None:
    """What shows a session has none, nor has a recording."""
    url = f"https://user:{KEY}@h/mcp?key={KEY}"
    server = {"server_label": "s", "server_url": url, "require_approval": "never"}
    with Emulator(api_key="k") as service:
        with AzureRealTimeAudio(
            service.options("ga"), record=tmp_path / "talk.rta", tools=[McpServer(server)]
        ) as client:
            client.ask("hello", timeout=HANG)
            shown = f"{client.session!r}{client.session._repr_html_()}{client.tools!r}"
        sent = [command for command in service.received() if url in json.dumps(command)]

    assert [command["type"] for command in sent] == ["session.update"]
    assert "https://h/..." in shown
    for text in (shown, (tmp_path / "talk.rta").read_text(encoding="utf-8")):
        assert KEY not in text


def test_the_service_is_told_the_token_of_an_mcp_server(tmp_path: Path) -> None:
    """In the session, in a response, in events of one's own making; a recording does not hold it."""
    tool = mcp_tool()
    recording = tmp_path / "talk.rta"
    config = SessionConfig(tools=[tool], instructions=f"Never say {KEY}.")
    with Emulator(api_key="k") as service:
        options = service.options("ga", session_config=config)
        with AzureRealTimeAudio(options, record=recording) as client:
            client.create_response({"tools": [tool]}).result(10, check=False)
            client.send({"type": "session.update", "session": {"type": "realtime", "tools": [tool]}})
            client.ask("hello", timeout=10)
            told = client.session.tools[0]
        sent = [command for command in service.received() if "tools" in json.dumps(command)]

    kinds = ["session.update", "response.create", "session.update"]
    assert [command["type"] for command in sent] == kinds
    assert [json.dumps(command).count(f'"{KEY}"') for command in sent] == [1, 1, 1]
    assert [json.dumps(command).count(f'"{KEY}-2"') for command in sent] == [1, 1, 1]
    assert shows(told, KEY) == []
    assert KEY not in recording.read_text(encoding="utf-8")


def test_secrets_are_readable() -> None:
    """For the program that gave them, which can compare them too; and they can be given on."""
    options, entra, web = OPTIONS
    assert (options.api_key.reveal(), options.api_key == KEY, options.api_key == "x") == (KEY, True, False)
    assert (entra.credential.reveal().token, entra.api_key) == (KEY, None)
    assert (web.http_proxy.reveal(), web.headers["X"].reveal()) == (f"http://user:{KEY}@h:1", KEY)
    assert options.authorization() == {"api-key": KEY}
    tool = mcp_tool()
    assert (tool.authorization.reveal(), tool == mcp_tool(), tool.authorization == KEY) == (KEY, True, True)
    again = AzureRealTimeOptions(host_name="ws://127.0.0.1:1", api_key=options.api_key, deployment="m")
    assert again == options
    assert WebSocketOptions(headers=web.headers, http_proxy=web.http_proxy) == web
    assert (Secret("a") == Secret("a"), Secret(1) == 1, {Secret("a")} == {"a"}) == (True, True, True)
    assert (repr(Secret(KEY)), str(Secret(KEY)), f"{Secret(KEY)}") == ("Secret('***')", "***", "***")


def test_the_key_of_a_chat_model() -> None:
    """The emulator's responder holds one, too."""
    model = ChatModel("https://127.0.0.1:1/v1", key=KEY)
    with pytest.raises(ValueError, match="https only") as raised:
        ChatModel("http://example.com/v1", key=KEY)

    assert (shows(model, KEY), held_by_frames(raised.value, KEY)) == ([], [])


def test_frames_of_the_program_stay() -> None:
    """Only our frames are cleared; of those of a program that are among the causes the locals are kept."""
    try:
        local = "kept"
        raise KeyError("mine")
    except KeyError:
        with pytest.raises(ValueError, match="api_key") as raised:
            AzureRealTimeOptions(host_name="ws://127.0.0.1:1", api_key=f"{KEY} x", deployment="m")
    context = raised.value.__context__
    assert context is not None
    assert context.__traceback__ is not None
    assert context.__traceback__.tb_frame.f_locals["local"] == local


def test_clearing_survives_anything() -> None:
    """Frames that still run, exceptions that lead back to themselves, and none at all."""

    @forgets_locals
    def fail(secret: str) -> None:
        error = ValueError("no")
        error.__cause__ = error
        raise error

    with pytest.raises(ValueError, match="no") as raised:
        fail(KEY)
    forget_locals(raised.value)
    forget_locals(KeyError())
    frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(raised.value.__traceback__)]
    assert frames[-1] == "fail"
    assert sys.exc_info() == (None, None, None)


def _all_frames(error: BaseException) -> list[traceback.FrameSummary]:
    found: list[traceback.FrameSummary] = []
    link: BaseException | None = error
    while link is not None:
        found += traceback.extract_tb(link.__traceback__)
        link = link.__cause__
    return found


SAID = {"type": KEY, "code": KEY, "message": f"the key {KEY} and {KEY}-2 is bad", "param": KEY}
FAILED = {"id": "r", "status": "failed", "status_details": {"type": "failed", "error": SAID}}
ECHOES: list[dict[str, Any]] = [
    {"type": "error", "error": SAID},
    {"type": "error", "message": f"the key {KEY} is bad"},
    {"type": "error", "error": {**SAID, KEY: [[KEY]]}, "event_id": 7},
    {"type": "conversation.item.input_audio_transcription.failed", "item_id": "i", "error": SAID},
]


def test_what_the_service_repeats(caplog: pytest.LogCaptureFixture) -> None:
    """A key in the words of an error, of a failed response or of a close is in no exception, event or log."""
    caplog.set_level("DEBUG", logger="azure_rt_audio")
    closing = Faults(on_command("input_audio_buffer.clear", Close(4000, f"{KEY}.{KEY}")))
    with Emulator(api_key=KEY, faults=closing) as service:
        web = {"headers": {"X-Gateway-Key": f"{KEY}-2", "X-Team": "server_error"}}
        client = AzureRealTimeAudio(service.options(api_key=KEY), web, reconnect=None)
        errors, events, ended = Probe(), Probe(), Probe()
        client.on("error", errors)
        client.on("response.done", events)
        client.on("closed", ended)
        client.wait_until_ready(HANG)
        for echo in ECHOES:
            service.say(echo)
            error = errors.next()
            assert "the key [redacted]" in str(error)
            assert shows(error, KEY) == []
            assert error.event.raw["type"] == echo["type"]
        service.say(
            {"type": "error", "error": {"type": "server_error", "code": "server_error", "message": "x"}}
        )
        assert errors.next().code == "server_error"  # not the value of just any header
        service.say({"type": "response.created", "response": {"id": "r", "status": "in_progress"}})
        service.say({"type": "response.done", "response": FAILED})
        assert shows(events.next(), KEY) == []

        client.clear_audio_buffer()
        closed = ended.next()

        assert closed.error.close_code == 4000
        assert closed.error.reason == "[redacted].[redacted]"
        with pytest.raises(RealtimeError) as raised:
            client.create_response()
        for error in (closed.error, raised.value):
            assert KEY not in "".join(traceback.format_exception(error))
            assert (shows(error, KEY), held_by_frames(error, KEY)) == ([], [])
        client.close()
    assert KEY not in caplog.text
