"""What goes wrong on the way and on the line, as the client's user sees it."""

from __future__ import annotations

import io
import logging
import socket
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from listeners import HANG, MARKER, Aside, Connect, Probe, Stage, message, ready

import azure_rt_audio
from azure_rt_audio import (
    AzureRealTimeAudio,
    ConnectError,
    ConnectionClosedError,
    DecodeError,
    DispatchOverflowError,
    QueueDispatcher,
    RealtimeError,
    ServiceError,
    WebSocketState,
    WorkerDispatcher,
)
from azure_rt_audio.emulator import (
    BadFrame,
    Close,
    Drop,
    Emulator,
    Faults,
    IgnorePings,
    Redirect,
    Refuse,
    Silence,
    at_handshake,
)
from azure_rt_audio.protocol.events import Error

KEY = "sesame-0123456789-the-key"


# ------------------------------------------------------------ at the door

REFUSALS = [
    (
        Refuse(400, {"code": "OperationNotSupported", "message": "no deployment present on the querystring"}),
        "invalid_request_error",
        "OperationNotSupported",
    ),
    (Refuse(401), "authentication_error", None),
    (Refuse(401, has_body=False), "authentication_error", None),
    (Refuse(403), "authentication_error", "AuthenticationTypeDisabled"),
    (Refuse(404), "invalid_request_error", None),
    (
        Refuse(
            404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}}
        ),
        "invalid_request_error",
        "DeploymentNotFound",
    ),
    (Refuse(429, retry_after_ms=1500), "rate_limit_error", None),
    (Refuse(500), "server_error", None),
    (Refuse(503), "server_error", None),
]


@pytest.mark.parametrize(("refusal", "kind", "code"), REFUSALS, ids=lambda v: getattr(v, "status", None))
def test_a_refused_handshake(
    connect: Connect, emulator: Emulator, refusal: Refuse, kind: str, code: str | None
) -> None:
    """The service's refusal comes with its status, body, request id and what to do about it."""
    emulator.faults.add(at_handshake(refusal))
    client, errors, closed = connect(), Probe(), Probe()
    client.on("error", errors)
    client.on("closed", closed)

    with pytest.raises(ConnectError) as caught:
        client.wait_until_ready(HANG)

    error = caught.value
    assert (error.status, error.type, bool(error.request_id)) == (refusal.status, kind, True)
    assert code in (None, error.code)
    assert (bool(error.hint), error.hint in error.message) == (True, True)
    assert (error.body != "") == refusal.has_body
    assert error.retry_after == (1.5 if refusal.status == 429 else None)
    assert (errors.next().status, closed.next().error.status) == (refusal.status, refusal.status)
    assert client.state is WebSocketState.CLOSED


def test_with_raises_why(emulator: Emulator, dialect: str) -> None:
    """A with statement raises the refusal itself, and leaves nothing open."""
    emulator.faults.add(at_handshake(Refuse(401)))

    with pytest.raises(ConnectError, match="401"), AzureRealTimeAudio(emulator.options(dialect)):
        raise AssertionError


def test_with_and_a_service_that_does_not_answer(dialect: str) -> None:
    """If the handshake hangs, the connection's own error is raised, which knows what hung."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {
            "host_name": f"ws://127.0.0.1:{silent.getsockname()[1]}",
            "deployment": "m",
            "api_key": KEY,
        }
        dated = {"api_version": "2025-04-01-preview"} if dialect == "preview" else {}
        client = AzureRealTimeAudio({**options, **dated}, {"connect_timeout": 0.2})

        with pytest.raises(ConnectError, match="did not complete the handshake in time"), client:
            raise AssertionError


def test_nobody_listens_there(dialect: str) -> None:
    """A port nobody listens at is a connection error that names it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = AzureRealTimeAudio({"host_name": f"ws://127.0.0.1:{port}", "deployment": "m", "api_key": KEY})

    with pytest.raises(ConnectError, match=f"Nothing listens at 127.0.0.1:{port}") as caught, client:
        raise AssertionError
    assert (caught.value.type, caught.value.status) == ("connection_error", None)


def test_a_wrong_key(connect: Connect) -> None:
    """A key the service does not know is an authentication error."""
    with pytest.raises(ConnectError) as caught:
        ready(connect, api_key=KEY)

    assert (caught.value.type, KEY in traceback.format_exc()) == ("authentication_error", False)


def test_a_redirect_is_refused(connect: Connect, emulator: Emulator) -> None:
    """The key does not follow a redirect."""
    with Emulator() as elsewhere:
        emulator.faults.add(at_handshake(Redirect(elsewhere.host_name)))

        with pytest.raises(ConnectError) as caught:
            ready(connect)

        assert (caught.value.status, elsewhere.attempts) == (307, ())


def test_every_method_says_why(connect: Connect, emulator: Emulator) -> None:
    """After a refused handshake, whatever is called raises the reason, as an exception of its own."""
    emulator.faults.add(at_handshake(Refuse(401)))
    client = connect()
    seen: list[BaseException] = []

    for method in (
        client.wait_until_ready,
        client.commit_audio,
        client.create_response,
        client.cancel_response,
        lambda: client.append_audio(bytes(2)),
        lambda: client.update_session({}),
        lambda: client.ask("Hello"),
        lambda: client.wait_for("response.done"),
        lambda: next(client.events()),
    ):
        with pytest.raises(ConnectError, match="401") as caught:
            method()
        seen.append(caught.value)

    assert len(set(map(id, seen))) == len(seen)


# ------------------------------------------------------------ credentials


def test_a_credential_is_asked_for_each_connection(connect: Connect) -> None:
    """Each connection asks anew; the token goes out as a bearer."""
    tokens = iter(["token-1", "token-2"])
    with Emulator(tokens=["token-1", "token-2"]) as service:
        for _ in range(2):
            client = ready(connect, service=service, api_key=None, credential=lambda: next(tokens))
            client.close()

        assert [attempt.status for attempt in service.attempts] == [101, 101]
        assert all("api-key" not in attempt.headers for attempt in service.attempts)


@pytest.mark.parametrize("base", [Exception, SystemExit, KeyboardInterrupt])
def test_a_credential_that_fails(base: type[BaseException], connect: Connect) -> None:
    """A credential that raises is a clear connection error, with the original as its cause."""

    class SecretError(base):  # type: ignore[valid-type, misc]
        pass

    def credential() -> str:
        raise SecretError(KEY)

    with pytest.raises(ConnectError, match="it raised SecretError") as caught:
        ready(connect, api_key=None, credential=credential)

    error = caught.value
    assert (error.type, KEY in str(error), bool(error.hint)) == ("authentication_error", False, True)
    assert error.__cause__ is not None
    assert isinstance(error.__cause__.__cause__, SecretError)


def test_a_credential_that_gives_no_token(connect: Connect) -> None:
    """What is no token is said to be none."""
    with pytest.raises(ConnectError, match="not a token") as caught:
        ready(connect, api_key=None, credential=lambda: f"Bearer {KEY}")

    assert (caught.value.type, KEY in str(caught.value)) == ("authentication_error", False)


def test_a_credential_that_hangs(connect: Connect) -> None:
    """The attempt ends within ``connect_timeout``, and its token, which comes later, opens nothing."""
    go_on = threading.Event()

    def credential() -> str:
        assert go_on.wait(4 * HANG)
        return "token-1"

    with Emulator(tokens=["token-1"]) as service:
        client = connect(
            service=service, api_key=None, credential=credential, websocket_options={"connect_timeout": 0.1}
        )
        with pytest.raises(ConnectError, match=r"no token within 0\.1 s") as caught:
            client.wait_until_ready(HANG)
        assert caught.value.type == "authentication_error"
        go_on.set()
        assert client.close(HANG)
        assert not service.attempts


def test_the_credential_does_not_hold_up_the_constructor(connect: Connect) -> None:
    """A credential that takes its time is asked on the dial thread; close does not wait for it long."""
    stage = Stage()

    def credential() -> str:
        stage(None)
        return "token"

    client = connect(api_key=None, credential=credential)
    stage.wait()

    assert client.state is WebSocketState.CONNECTING
    assert not client.close(timeout=0)
    with pytest.raises(ConnectionClosedError):
        client.wait_until_ready(HANG)
    stage.go_on.set()


def test_headers_that_are_sent_already(emulator: Emulator) -> None:
    """A header that would be sent twice is refused by name."""
    with pytest.raises(ValueError, match=r"headers\['API-Key'\]") as caught:
        AzureRealTimeAudio(emulator.options(), {"headers": {"API-Key": KEY}})

    assert KEY not in str(caught.value)


# ------------------------------------------------------------ on the line

LOSSES: list[tuple[Any, dict[str, Any]]] = [
    (Drop(), {"close_code": 1006, "type": "connection_error"}),
    (Drop(is_reset=True), {"close_code": 1006, "type": "connection_error"}),
    (Close(1000), {"close_code": 1000, "type": "connection_error", "is_clean": True}),
    (
        Close(1001, "Your session hit the maximum duration of 60 minutes."),
        {"close_code": 1001, "type": "connection_error"},
    ),
    (Close(1011, "internal error"), {"close_code": 1011, "type": "server_error"}),
    (Close(1012), {"close_code": 1012, "type": "connection_error"}),
    (Close(1013), {"close_code": 1013, "type": "connection_error"}),
    (
        Close(3000, "invalid_request_error.invalid_api_key"),
        {"close_code": 3000, "type": "authentication_error", "code": "invalid_api_key"},
    ),
    (
        Close(4000, "invalid_request_error.missing_model"),
        {"close_code": 4000, "type": "invalid_request_error", "code": "missing_model"},
    ),
    (
        Close(4004, "invalid_request_error.model_not_found"),
        {"close_code": 4004, "type": "invalid_request_error", "code": "model_not_found"},
    ),
    (BadFrame(), {"type": "connection_error"}),
]


@pytest.mark.parametrize(("loss", "facts"), LOSSES, ids=lambda v: getattr(v, "code", type(v).__name__))
def test_a_lost_connection(connect: Connect, emulator: Emulator, loss: Any, facts: dict[str, Any]) -> None:
    """However the connection ends for good, all who wait are told, and listeners of now and of later."""
    client = ready(connect, reconnect=None)
    early = [Probe(), Probe()]
    client.on("error", early[0])
    client.on("closed", early[1])
    waiting = [
        Aside(lambda: client.wait_for("response.done", timeout=HANG)),
        Aside(lambda: list(client.events("response.done", timeout=HANG))),
    ]
    emulator.inject(Silence())
    pending = client.create_response()
    emulator.wait_for_command("response.create")

    emulator.inject(loss)

    error, closed = early[0].next(), early[1].next()
    for wait in (*(aside.result for aside in waiting), pending.result):
        with pytest.raises(ConnectionClosedError):
            wait()
    late = Probe()
    client.on("error", late)
    client.once(ConnectionClosedError, late)
    client.on("closed", late)
    assert [late.next() for _ in range(3)] == [error, error, closed]
    assert {name: getattr(error, name) for name in facts} == facts
    assert (closed.error, closed.is_clean) == (error, error.is_clean)
    assert (client.state, client.status) == (WebSocketState.CLOSED, "idle")
    assert early[0].told == []


def test_the_last_events_are_in_order(connect: Connect, emulator: Emulator) -> None:
    """At the end come the status, the error and then, last of all, closed."""
    client, probe = ready(connect, reconnect=None), Probe()
    client.on("*", probe)
    client.status = "listening"  # type: ignore[assignment]

    emulator.drop()

    told = probe.until(lambda event: event.type == "closed")
    assert [event.type for event in told] == [
        "status_changed",
        "status_changed",
        "connection_error",
        "closed",
    ]
    assert told[1].status == "idle"


def test_the_session_expires(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """That is one error, however often the service says so. The log has one line of each connection's end."""
    caplog.set_level(logging.INFO, "azure_rt_audio")
    errors, events = Probe(), Probe()
    with Emulator(pace=0, faults=Faults(session_seconds=0.5)) as service:
        client = connect(service=service, reconnect=None)
        client.on("error", errors)
        client.on(Error, events)
        with pytest.raises(ConnectionClosedError) as caught:
            client.wait_for("response.done", timeout=HANG)
        assert (caught.value.code, caught.value.close_code) == ("session_expired", 1001)
        first = errors.next()
        assert (type(first), first.code, first.type) == (ServiceError, "session_expired", "connection_error")
        assert events.next().error.code == "session_expired"
        assert client.close()
    ours = [r.getMessage() for r in caplog.records if ".emulator" not in r.name]

    assert (errors.told, events.told) == ([], [])
    assert len([line for line in ours if " open to " in line]) == 1
    assert len([line for line in ours if " closed: " in line]) == 1


def test_a_peer_that_is_gone(connect: Connect, emulator: Emulator) -> None:
    """A service that answers no pings is given up by name."""
    pings = {"ping_interval": 0.05, "ping_timeout": 0.1}
    client, errors = ready(connect, websocket_options=pings, reconnect=None), Probe()
    client.on("error", errors)

    emulator.inject(IgnorePings())

    assert "did not answer a ping" in errors.next().message


def test_waiting_for_the_end(connect: Connect, emulator: Emulator) -> None:
    """The end itself can be waited for, and is the last event of a stream."""
    client = ready(connect, reconnect=None)
    events = client.events("closed", "error", timeout=HANG)
    aside = Aside(lambda: client.wait_for("closed", timeout=HANG))
    other = Aside(lambda: client.wait_for(ConnectionClosedError, timeout=HANG))
    stream = client.events("test.marker", timeout=HANG)
    emulator.say(MARKER)
    next(stream)

    emulator.drop()

    error, closed = next(events), next(events)
    assert (aside.result(), other.result()) == (closed, error)
    with pytest.raises(ConnectionClosedError):
        next(events)


def test_closing_ends_loops_without_an_error(connect: Connect) -> None:
    """A loop over events ends quietly when this side closes, and with closed if that was asked for."""
    client = ready(connect)
    quiet = client.events("response.done", timeout=HANG)
    everything = client.events(timeout=HANG)

    client.close()

    assert list(quiet) == []
    assert [event.type for event in everything] == ["closed"]
    assert list(client.events()) == []


# ------------------------------------------------------------ refusals


def test_benign_errors_end_nothing(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """Harmless refusals reach listeners, by name and by class, and the conversation goes on."""
    from azure_rt_audio.protocol.events import Error

    errors, services, events, everything = Probe(), Probe(), Probe(), Probe()
    client.on("error", errors)
    client.on(ServiceError, services)
    client.on(Error, events)
    client.on("*", everything)

    client.commit_audio()

    error = errors.next()
    assert (error.type, error.code, error.is_benign) == (
        "invalid_request_error",
        "input_audio_buffer_commit_empty",
        True,
    )
    assert (services.next(), events.next()) == (error, error.event)
    assert everything.next() is error.event
    assert client.ask("Hello", timeout=HANG).is_completed


def test_an_error_nobody_listens_to_is_logged(
    client: AzureRealTimeAudio, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a listener an error is a warning in the log; a spent once-only listener is none."""
    caplog.set_level(logging.WARNING, "azure_rt_audio._session")
    once = Probe()
    error = {"type": "error", "error": {"type": "server_error", "message": "The server had an error."}}
    with client.events("test.marker", timeout=HANG) as markers:
        client.once("error", once)
        for _ in range(2):
            emulator.say(error)
        emulator.say(MARKER)
        next(markers)

    assert once.next().type == "server_error"
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "! the service refused: The server had an error.")
    ]


@pytest.mark.parametrize("listens", [True, False])
def test_a_refusal_quicker_than_on_error_is_logged_only_if_that_never_comes(
    listens: bool,
    connect: Connect,
    emulator: Emulator,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program that begins to listen right after the constructor finds no warning in its log."""
    monkeypatch.setattr("azure_rt_audio._session.engine._TIME_TO_LISTEN", HANG)
    caplog.set_level(logging.WARNING, "azure_rt_audio._session")
    emulator.faults.add(at_handshake(Refuse(401)))
    closed, late = Probe(), Probe()
    client = connect()
    client.on("closed", closed)
    closed.next()  # all is over, and nobody has listened to errors
    if listens:
        client.once("error", late)
        assert late.next().status == 401
    client.close()

    assert [record.levelno for record in caplog.records] == ([] if listens else [logging.WARNING])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "invalid_request_error", "code": "invalid_api_key"}, "authentication_error"),
        ({"type": "invalid_request_error", "code": "rate_limit_exceeded"}, "rate_limit_error"),
        ({"type": "tokens", "code": "rate_limit_exceeded"}, "rate_limit_error"),
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, "rate_limit_error"),
        ({"type": "invalid_request_error", "code": "session_expired"}, "connection_error"),
        ({"type": "invalid_request_error", "code": "unknown_parameter"}, "invalid_request_error"),
        ({"type": "server_error", "code": None}, "server_error"),
        ({"type": "something_new"}, "server_error"),
    ],
)
def test_the_kinds_of_errors(connect: Connect, emulator: Emulator, error: dict[str, Any], kind: str) -> None:
    """What the service says is sorted into the five kinds that a listener distinguishes."""
    client, errors = ready(connect, reconnect=None), Probe()
    client.on("error", errors)

    emulator.say({"type": "error", "event_id": None, "error": {"message": "m", **error}})

    found = errors.next()
    assert (found.type, found.code, found.service_type) == (kind, error.get("code"), error["type"])


# ------------------------------------------------------------ listeners that cannot keep up


@pytest.mark.parametrize("make", [WorkerDispatcher, QueueDispatcher])
def test_listeners_too_far_behind(connect: Connect, make: Callable[..., Any]) -> None:
    """Past the limit the connection ends by name, and the listeners still learn of it."""
    dispatcher = make(max_backlog_bytes=20_000)
    client, probe, stage = ready(connect, dispatcher=dispatcher), Probe(), Stage()
    client.once("response.created", stage)
    for event in ("response.audio.delta", "error", "closed"):
        client.on(event, probe)
    aside = Aside(lambda: list(client.create_response().text(HANG)))

    with pytest.raises(DispatchOverflowError, match="more than 20000 bytes behind"):
        aside.result()
    stage.go_on.set()
    if make is QueueDispatcher:
        dispatcher.run_pending()

    told = probe.until(lambda event: event.type == "closed")
    kinds = [event.type for event in told]
    assert set(kinds[:-2]) == {"response.output_audio.delta"}
    assert kinds[-2:] == ["connection_error", "closed"]
    assert (type(told[-2]), told[-1].error) == (DispatchOverflowError, told[-2])
    assert told[-2].close_code == 1011
    if make is WorkerDispatcher:
        dispatcher.close()
        assert dispatcher.join(HANG)


def test_a_failing_listener_ends_nothing(
    client: AzureRealTimeAudio, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a listener raises is logged, and the others and the conversation go on."""
    probe = Probe()

    def fail(_: object) -> None:
        raise SystemExit(3)

    client.on("test.marker", fail)
    client.on("test.marker", probe)

    emulator.say(MARKER)
    emulator.say(MARKER)

    assert [probe.next().type, probe.next().type] == ["test.marker"] * 2
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [SystemExit] * 2
    assert client.ask("Hello", timeout=HANG).is_completed


# ------------------------------------------------------------ secrets


def test_the_key_is_nowhere(
    connect: Connect, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither log, nor repr, nor warning, nor exception, nor its causes hold the key."""
    caplog.set_level(logging.DEBUG)
    proxy_password = "proxy-password-0123"
    seen = io.StringIO()
    with warnings.catch_warnings(record=True) as warned, Emulator(pace=0, api_key=KEY) as service:
        warnings.simplefilter("always")
        client = ready(
            connect,
            service=service,
            session_config={"temperature": 0.7, "parallel_tool_calls": True},
            websocket_options={"headers": {"x-own": KEY}},
            reconnect={"initial_delay": 0.01},
        )
        client.ask("Hello", timeout=HANG)
        print(client, client.options, client._engine, client._engine.connection, client.session, file=seen)
        client.commit_audio().exception(HANG)
        service.say({"type": "response.audio.delta", "delta": 5})
        refusal = Refuse(401, {"error": {"code": "401", "message": f"bad key {KEY}"}})
        with client.events("reconnected", "closed", timeout=HANG) as ends:
            service.drop()
            print(next(ends), file=seen)
            service.faults.add(at_handshake(refusal))
            service.drop()
            print(next(ends), file=seen)
        with pytest.raises(ConnectError, match="401"):
            client.wait_for("response.done", timeout=HANG)
        service.faults.add(at_handshake(refusal))
        for broken in (
            lambda: ready(connect, service=service),
            lambda: ready(
                connect,
                service=service,
                websocket_options={"http_proxy": f"http://user:{proxy_password}@127.0.0.1:1"},
            ),
            lambda: connect(service=service, api_key=f"{KEY}\r\n"),
            lambda: connect(service=service, deployment=""),
            lambda: connect(service=service, host_name=f"https://user:{KEY}@example.com"),
        ):
            try:
                broken()
            except (RealtimeError, ValueError):
                traceback.print_exc(file=seen, chain=True)
        client.close()

    everything = [
        seen.getvalue(),
        *capfd.readouterr(),
        *(str(warning.message) for warning in warned),
        *(record.getMessage() for record in caplog.records if "emulator" not in record.name),
        *(repr(record.args) for record in caplog.records if "emulator" not in record.name),
    ]
    assert len(caplog.records) > 20
    # Lines of this file are shown in tracebacks; they name the constants, not their values.
    assert [text for text in everything if KEY in text or proxy_password in text] == []


def test_what_is_said_is_not_logged(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """The log holds types and sizes, never what was said."""
    caplog.set_level(logging.DEBUG, "azure_rt_audio")

    ready(connect).ask("please say: xylophone", timeout=HANG)

    ours = [record.getMessage() for record in caplog.records if "emulator" not in record.name]
    assert "> response.create" in ours
    assert [line for line in ours if "xylophone" in line] == []


def test_a_malformed_frame_hides_an_ephemeral_key(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """The excerpt of a frame that was not understood does not show a secret that stands in it."""
    errors = Probe()
    client.on(DecodeError, errors)

    emulator.send_raw(f'{{"type": "session.created", "session": {{"client_secret": {{"value": "{KEY}"')

    assert KEY not in errors.next().payload


def test_a_command_during_the_goodbye(connect: Connect, emulator: Emulator) -> None:
    """What the service says while this side says goodbye does not turn a clean end into another."""
    from azure_rt_audio import InlineDispatcher

    with Emulator(pace=0) as service:
        client, closed = ready(connect, service=service, dispatcher=InlineDispatcher()), Probe()
        client.on("closed", closed)
        # The remembered cancel falls due while the connection is being closed, on the I/O thread.
        client.once("input_audio_buffer.cleared", lambda _: (client.close(), None))
        client.create_response().cancel()
        client.clear_audio_buffer()

        assert closed.next().is_clean


WAV = Path(azure_rt_audio.__file__).parent / "data" / "question.wav"

ON_A_CLOSED_CLIENT: dict[str, tuple[Any, ...]] = {
    "append_audio": (b"\0\0",),
    "ask": ("Hello",),
    "become": ("Be brief.",),
    "cancel_response": (),
    "clear_audio_buffer": (),
    "commit_audio": (),
    "create_conversation_item": (message("Hello"),),
    "create_response": (),
    "delete_item": ("item",),
    "reconnect": (),
    "retrieve_item": ("item",),
    "say": ("Hello",),
    "send": ({"type": "input_audio_buffer.clear"},),
    "send_audio_file": (WAV,),
    "truncate_item": ("item", 0, 0),
    "update_session": ({},),
    "wait_for": ("response.done",),
    "wait_until_ready": (),
}
"""Arguments of the methods that a closed client refuses."""

ON_ANY_CLIENT = {
    *("close", "display", "events", "off", "off_all", "on", "once", "run_pending"),
    *("set_model_speak_done", "talk", "wait_for_mcp_tools"),
}
"""The others; the last one has nothing to wait for without MCP servers."""


def test_what_a_closed_client_refuses_is_documented(client: AzureRealTimeAudio) -> None:
    """Each method says in its docstring what it raises then; a new one has to be put here."""
    client.close()
    unlike = []
    for name, arguments in ON_A_CLOSED_CLIENT.items():
        with pytest.raises(ConnectionClosedError):
            getattr(client, name)(*arguments)
        if "ConnectionClosedError: " not in (getattr(AzureRealTimeAudio, name).__doc__ or ""):
            unlike.append(name)
    public = {name for name in dir(client) if not name.startswith("_")}
    methods = {name for name in public if callable(getattr(AzureRealTimeAudio, name))}

    assert unlike == []
    assert methods - ON_ANY_CLIENT == set(ON_A_CLOSED_CLIENT)
