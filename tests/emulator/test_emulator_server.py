"""The emulator on a real socket: the door, the log, faults, and coming to an end."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from azure_rt_audio.emulator import (
    BadFrame,
    Close,
    Connection,
    Delay,
    Drop,
    Emulator,
    Faults,
    IgnorePings,
    ManualClock,
    Redirect,
    Refuse,
    Say,
    SendRaw,
    Silence,
    StopReading,
    Swallow,
    after,
    after_seconds,
    at_handshake,
    before,
    on_command,
    speak,
)
from azure_rt_audio.errors import MissingExtraError

KEY = "a key for a test"
GA = "/openai/v1/realtime"
PREVIEW = "/openai/realtime"
GA_QUERY = "?model=gpt-realtime"
PREVIEW_QUERY = "?api-version=2025-04-01-preview&deployment=gpt-realtime"
HANG_SECONDS = 5.0


def open_socket(service: Emulator, target: str = GA + GA_QUERY, **options: Any) -> Any:
    """A neutral client's connection, as a context manager."""
    headers = options.pop("headers", {"api-key": KEY})
    return connect(
        service.host_name + target,
        additional_headers=headers,
        open_timeout=HANG_SECONDS,
        close_timeout=2,
        **options,
    )


def hear(client: ClientConnection) -> dict[str, Any]:
    """The next event."""
    event: dict[str, Any] = json.loads(client.recv(timeout=HANG_SECONDS))
    return event


def until(client: ClientConnection, kind: str) -> dict[str, Any]:
    """Events up to one of this type, which is returned."""
    while True:
        event = hear(client)
        if event["type"] == kind:
            return event


def tell(client: ClientConnection, type: str, **fields: Any) -> None:
    """Send a command."""
    client.send(json.dumps({"type": type, **fields}))


def ask(client: ClientConnection, text: str = "hello") -> None:
    """A user's message and the wish for an answer."""
    content = [{"type": "input_text", "text": text}]
    tell(client, "conversation.item.create", item={"type": "message", "role": "user", "content": content})
    tell(client, "response.create")


def ending(client: ClientConnection) -> ConnectionClosed:
    """Hear everything to the end; how it ended."""
    while True:
        try:
            client.recv(timeout=HANG_SECONDS)
        except ConnectionClosed as end:
            return end


UPGRADE = (
    f"GET {GA}{GA_QUERY} HTTP/1.1\r\nHost: x\r\napi-key: {KEY}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def masked(text: bytes) -> bytes:
    """A short text frame by hand, masked with zeros."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text


def wait_until_stalled(link: Connection) -> None:
    """Return once the service sends no more, because nobody takes it."""
    count = -1
    while len(link.sent) != count:
        count = len(link.sent)
        link.wait_closed(0.2)


def refusal(service: Emulator, target: str, headers: dict[str, str]) -> Any:
    """The HTTP answer of a handshake that fails."""
    with pytest.raises(InvalidStatus) as caught:
        open_socket(service, target, headers=headers).__enter__()
    return caught.value.response


@pytest.fixture
def service() -> Iterator[Emulator]:
    """An emulator in its default manner."""
    with Emulator(api_key=KEY) as running:
        yield running


@pytest.fixture
def threads() -> Callable[[], set[str]]:
    """Names of the threads that were not there before the test, after a moment to end."""
    present = set(threading.enumerate())

    def new() -> set[str]:
        deadline = time.monotonic() + HANG_SECONDS
        for thread in set(threading.enumerate()) - present:
            while thread.ident is None and time.monotonic() < deadline:  # one that is only just being started
                threading.Event().wait(0.01)
            thread.join(max(0.0, deadline - time.monotonic()))
        return {thread.name for thread in set(threading.enumerate()) - present}

    return new


# The door --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (GA + GA_QUERY, {"api-key": KEY}),
        (GA + GA_QUERY, {"Authorization": f"Bearer {KEY}"}),
        (GA + GA_QUERY, {"Authorization": "Bearer an-entra-token"}),
        (GA + "?deployment=gpt-realtime", {"api-key": KEY}),
        (GA + "?model=gpt-realtime&api-key=a%20key%20for%20a%20test", {}),
        (GA + "?model=gpt-realtime&Authorization=Bearer%20an-entra-token", {}),
        (GA + "?intent=transcription", {"api-key": KEY}),
        (PREVIEW + PREVIEW_QUERY, {"api-key": KEY}),
        (PREVIEW + "?api-version=2024-10-01-preview&deployment=gpt-realtime", {"api-key": KEY}),
        (PREVIEW + PREVIEW_QUERY, {"api-key": KEY, "OpenAI-Beta": "realtime=v1"}),
        (PREVIEW + "?api-version=2025-04-01-preview&intent=transcription", {"api-key": KEY}),
    ],
)
def test_ways_in(target: str, headers: dict[str, str]) -> None:
    """Every documented address and credential opens a session at once."""
    with (
        Emulator(api_key=KEY, tokens=["an-entra-token"]) as service,
        open_socket(service, target, headers=headers) as client,
    ):
        assert hear(client)["type"] in ("session.created", "transcription_session.created")
        assert client.response is not None
        assert client.response.headers["apim-request-id"]


@pytest.mark.parametrize(
    ("target", "headers", "status", "code"),
    [
        (GA + GA_QUERY, {}, 401, "401"),
        (GA + GA_QUERY, {"api-key": "wrong"}, 401, "401"),
        (GA + GA_QUERY, {"Authorization": f"Basic {KEY}"}, 401, "401"),
        (GA + GA_QUERY + "&api-version=2025-04-01-preview", {"api-key": KEY}, 401, "401"),
        (GA + "?model=unheard-of", {"api-key": KEY}, 404, "DeploymentNotFound"),
        (GA, {"api-key": KEY}, 400, "OperationNotSupported"),
        (GA + GA_QUERY + "&intent=transcription", {"api-key": KEY}, 400, "OperationNotSupported"),
        (GA + "?call_id=rtc_1", {"api-key": KEY}, 404, "404"),
        (PREVIEW + GA_QUERY, {"api-key": KEY}, 404, "404"),
        (PREVIEW + "?api-version=2025-04-01-preview", {"api-key": KEY}, 400, "OperationNotSupported"),
        (PREVIEW + PREVIEW_QUERY, {"api-key": "wrong"}, 401, "401"),
        ("/openai/v2/realtime", {"api-key": KEY}, 404, "404"),
    ],
)
def test_ways_not_in(service: Emulator, target: str, headers: dict[str, str], status: int, code: str) -> None:
    """A bad address or credential is refused with the service's status, body and headers."""
    response = refusal(service, target, {**headers, "x-ms-client-request-id": "request-1"})
    body = json.loads(response.body)

    assert response.status_code == status
    assert body.get("error", body)["code"] == code
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["x-ms-region"] == "Sweden Central"
    assert response.headers["apim-request-id"]
    assert response.headers["x-ms-client-request-id"] == "request-1"
    assert service.attempts[-1].status == status
    assert service.connections == ()


def test_a_retired_dialect() -> None:
    """A dialect the emulator was told not to speak is not found."""
    with Emulator(api_key=KEY, dialects=["ga"]) as service:
        assert refusal(service, PREVIEW + PREVIEW_QUERY, {"api-key": KEY}).status_code == 404


def test_beta_header_on_ga(service: Emulator) -> None:
    """The beta header on GA is told off in an error event, and the connection is closed with 4000."""
    with open_socket(service, headers={"api-key": KEY, "OpenAI-Beta": "realtime=v1"}) as client:
        end = ending(client)

    # Not what the client heard: websockets 14 forgets messages that wait when a close arrives.
    assert [event["error"]["code"] for event in service.sent()] == ["beta_api_shape_disabled"]
    assert end.rcvd is not None
    assert (end.rcvd.code, end.rcvd.reason) == (4000, "invalid_request_error.beta_api_shape_disabled")


def test_browsers_get_their_subprotocol(service: Emulator) -> None:
    """A client that offers the subprotocol realtime gets it."""
    with open_socket(service, subprotocols=["realtime"]) as client:
        assert client.subprotocol == "realtime"


@pytest.fixture
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and a client's that trusts it."""
    authority = trustme.CA()
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(inside)
    outside = ssl.create_default_context()
    authority.configure_trust(outside)
    return inside, outside


# Over TLS the client here runs on one thread: the threaded client of websockets, like any other that
# reads and writes a TLS socket from two, crashes some interpreters.


def test_tls(certificates: tuple[ssl.SSLContext, ssl.SSLContext], threads: Callable[[], set[str]]) -> None:
    """With a certificate the emulator is wss, whole turns work, and nothing is left behind."""
    inside, outside = certificates
    with Emulator(api_key=KEY, ssl_context=inside) as service:
        assert service.options()["host_name"] == f"wss://localhost:{service.port}"

        async def turn() -> str:
            from websockets.asyncio.client import connect as connect_async

            headers = {"api-key": KEY}
            async with connect_async(service.url(), additional_headers=headers, ssl=outside) as client:
                await client.send(json.dumps({"type": "input_audio_buffer.append", "audio": "A" * 1_000_000}))
                await client.send('{"type": "response.create"}')
                while True:
                    event = json.loads(await asyncio.wait_for(client.recv(), HANG_SECONDS))
                    if event["type"] == "response.done":
                        return str(event["response"]["status"])

        assert asyncio.run(turn()) == "completed"
    assert threads() == set()


@pytest.mark.parametrize("is_reset", [False, True])
def test_drop_over_tls(certificates: tuple[ssl.SSLContext, ssl.SSLContext], is_reset: bool) -> None:
    """A dropped connection is dropped under TLS too."""
    inside, outside = certificates
    faults = Faults(after("session.created", Drop(is_reset)))
    with Emulator(api_key=KEY, ssl_context=inside, faults=faults) as service:

        async def listen() -> ConnectionClosed:
            from websockets.asyncio.client import connect as connect_async

            headers = {"api-key": KEY}
            async with connect_async(service.url(), additional_headers=headers, ssl=outside) as client:
                while True:
                    try:
                        await asyncio.wait_for(client.recv(), HANG_SECONDS)
                    except ConnectionClosed as end:
                        return end

        assert asyncio.run(listen()).rcvd is None


def test_strangers_at_the_tls_door(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext], threads: Callable[[], set[str]]
) -> None:
    """Clients that speak no TLS, or nothing at all, do not hold up the end."""
    inside, _ = certificates
    with (
        Emulator(api_key=KEY, ssl_context=inside) as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=HANG_SECONDS),
        socket.create_connection(("127.0.0.1", service.port), timeout=HANG_SECONDS) as plain,
    ):
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while plain.recv(1_024):
            pass
        service.stop()
    assert threads() == set()


def test_a_tls_client_that_does_not_read(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext], threads: Callable[[], set[str]]
) -> None:
    """A client that stops reading under TLS does not hold up the end either."""
    inside, outside = certificates
    story = "A very long story that nobody reads. " * 2_000
    reply = {"responder": lambda conversation, session: story, "pace": 0}
    with Emulator(api_key=KEY, ssl_context=inside, **reply) as service:
        with socket.create_connection(("127.0.0.1", service.port), timeout=HANG_SECONDS) as plain:
            deaf = outside.wrap_socket(plain, server_hostname="localhost")
            deaf.sendall(UPGRADE.encode())
            link = service.wait_for_connection()
            deaf.sendall(masked(b'{"type":"response.create"}'))
            service.wait_for_command("response.create")
            wait_until_stalled(link)
            service.stop(HANG_SECONDS)
            deaf.close()
        assert not link.is_open
    assert threads() == set()


# Options and observation -----------------------------------------------------------------------


def test_options() -> None:
    """Options are what a client needs, for either dialect; an unknown one is refused."""
    with Emulator(api_key=KEY, deployments=["mine"]) as service:
        assert service.options() == {
            "host_name": f"ws://127.0.0.1:{service.port}",
            "api_version": "v1",
            "deployment": "mine",
            "api_key": KEY,
        }
        assert service.options("preview")["api_version"] == "2025-04-01-preview"
        with pytest.raises(ValueError, match="dialect is 'latin'"):
            service.options("latin")


@pytest.mark.parametrize("dialect", ["ga", "preview"])
def test_url(dialect: str) -> None:
    """The whole address of a dialect opens a session of it."""
    with (
        Emulator(api_key=KEY, deployments=["my deployment"]) as service,
        connect(service.url(dialect), additional_headers={"api-key": KEY}) as client,
    ):
        assert hear(client)["type"] == "session.created"
        assert service.wait_for_connection().dialect == dialect
        assert service.wait_for_connection().deployment == "my deployment"


def test_ipv6() -> None:
    """An IPv6 host is written in brackets and reached."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with Emulator(api_key=KEY, host="::1") as service, open_socket(service) as client:
        assert service.host_name == f"ws://[::1]:{service.port}"
        assert hear(client)["type"] == "session.created"


def test_no_port_before_the_start() -> None:
    """Before it is started an emulator has no port, and says what to do."""
    with pytest.raises(RuntimeError, match="start"):
        _ = Emulator().port


def test_everything_is_remembered_but_secrets_and_sound(service: Emulator) -> None:
    """Commands, events and handshakes can be looked up; keys are redacted and audio abridged."""
    target = GA + GA_QUERY + "&api-key=a%20key%20for%20a%20test"
    headers = {"api-key": KEY, "Authorization": f"Bearer {KEY}"}
    with open_socket(service, target, headers=headers) as client:
        tell(client, "input_audio_buffer.append", audio=base64.b64encode(bytes(480)).decode())
        ask(client)
        until(client, "response.done")
        assert service.wait_for_command("response.create") == {"type": "response.create"}
        link = service.wait_for_connection()

        assert service.received("input_audio_buffer.append")[0]["audio"] == "<480 bytes of audio>"
        assert link.audio_bytes == 480
        assert {event["delta"] for event in service.sent("response.audio.delta")} >= {"<4800 bytes of audio>"}
        assert [event["type"] for event in service.sent("session.created")] == ["session.created"]
        seen = f"{service.connections} {service.attempts} {link.headers} {link.target}"
        assert KEY not in seen
        assert "a+key" not in seen
        assert "a%20key" not in seen
        assert link.dialect == "ga"


def test_sound_is_kept_on_request() -> None:
    """With keep_audio the log holds what was really sent."""
    with Emulator(api_key=KEY, keep_audio=True) as service, open_socket(service) as client:
        audio = base64.b64encode(bytes(480)).decode()
        tell(client, "input_audio_buffer.append", audio=audio)

        assert service.wait_for_command("input_audio_buffer.append")["audio"] == audio


@pytest.mark.parametrize("is_kept", [False, True])
def test_the_sound_of_a_conversation_goes_with_its_connection(is_kept: bool) -> None:
    """Unless it is to be kept: an emulator that runs for long would grow with each client that speaks."""
    sound = bytes(9600)
    content = {"type": "input_audio", "audio": base64.b64encode(sound).decode()}
    item = {"type": "message", "role": "user", "content": [content]}
    with Emulator(api_key=KEY, recogniser=lambda *_: "one two", keep_audio=is_kept) as service:
        with open_socket(service) as client:
            tell(client, "conversation.item.create", item=item)
            tell(client, "input_audio_buffer.append", audio=content["audio"])
            until(client, "conversation.item.done")
        connection = service.wait_for_connection()
        assert connection.wait_closed(HANG_SECONDS)
        (kept,) = connection._engine.conversation

        assert [bytes(part.audio) for part in kept.parts] == [sound if is_kept else b""]
        assert (kept.text, kept.parts[0].duration_ms) == ("one two", 200)
        assert (connection._engine.input_audio._buffer.duration_ms > 0) == is_kept


def test_waiting_has_an_end(service: Emulator) -> None:
    """Waiting for what does not come is a TimeoutError that names it."""
    with pytest.raises(TimeoutError, match=r"response\.create"):
        service.wait_for_command("response.create", timeout=0.01)
    with pytest.raises(TimeoutError, match="connection"):
        service.wait_for_connection(timeout=0.01)


def test_log_lines() -> None:
    """A log listener is told of handshakes, commands and events by type and size."""
    lines: list[str] = []
    with Emulator(api_key=KEY, on_log=lines.append) as service, open_socket(service) as client:
        ask(client)
        until(client, "response.done")
    text = "\n".join(lines)

    assert "= handshake /openai/v1/realtime?model=gpt-realtime -> 101" in text
    assert "#1 < response.create (" in text
    assert "#1 > response.done (" in text
    assert KEY not in text
    assert "hello" not in text


# Conversations ---------------------------------------------------------------------------------


def test_two_clients_in_two_dialects(service: Emulator) -> None:
    """One port serves clients of both dialects at once, each with a session of its own."""
    with open_socket(service) as ga, open_socket(service, PREVIEW + PREVIEW_QUERY) as preview:
        ask(ga, "repeat after me: one")
        ask(preview, "repeat after me: two")

        assert until(ga, "response.output_audio_transcript.done")["transcript"] == "one"
        assert until(preview, "response.audio_transcript.done")["transcript"] == "two"


def test_speech_while_it_speaks(service: Emulator) -> None:
    """Speech sent during an answer interrupts it, over the wire too."""
    slow = Emulator(api_key=KEY, responder=lambda conversation, session: "A long story. " * 40, pace=1.0)
    with slow, open_socket(slow) as client:
        ask(client)
        until(client, "response.output_audio.delta")
        tell(client, "input_audio_buffer.append", audio=base64.b64encode(speak("stop it now")).decode())
        until(client, "input_audio_buffer.speech_started")
        done = until(client, "response.done")["response"]

    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}


def test_a_binary_message(service: Emulator) -> None:
    """A binary message is an error event."""
    with open_socket(service) as client:
        client.send(b"\x00\x01")

        assert until(client, "error")["error"]["code"] == "invalid_event"


# Faults ----------------------------------------------------------------------------------------


def test_refused_for_a_while() -> None:
    """A declared refusal happens as often as it says, with its headers, and then no more."""
    faults = Faults(at_handshake(Refuse(429, retry_after_ms=1500), times=2))
    with Emulator(api_key=KEY, faults=faults) as service:
        for _ in range(2):
            response = refusal(service, GA + GA_QUERY, {"api-key": KEY})
            assert (response.status_code, response.headers["retry-after-ms"]) == (429, "1500")
            assert response.headers["retry-after"] == "2"
        with open_socket(service) as client:
            assert hear(client)["type"] == "session.created"


def test_refusals_of_one_s_own(service: Emulator) -> None:
    """A refusal may have any body, or none at all."""
    service.faults.add(
        at_handshake(Refuse(503, {"message": "later"}, {"retry-after": "7"})),
    )
    response = refusal(service, GA + GA_QUERY, {"api-key": KEY})
    assert (json.loads(response.body), response.headers["retry-after"]) == ({"message": "later"}, "7")

    service.faults.add(at_handshake(Refuse(401, has_body=False)))
    response = refusal(service, GA + GA_QUERY, {"api-key": KEY})
    assert (bytes(response.body), "Content-Type" in response.headers) == (b"", False)


def test_redirect_and_dropped_handshake(service: Emulator) -> None:
    """A handshake can be redirected, and cut off without an answer."""
    service.faults.add(at_handshake(Redirect("wss://elsewhere.example/", 302)))
    with socket.create_connection(("127.0.0.1", service.port), timeout=HANG_SECONDS) as plain:
        request = f"GET {GA}{GA_QUERY} HTTP/1.1\r\nHost: x\r\napi-key: {KEY}\r\n\r\n"
        plain.sendall(request.encode())
        answer = plain.recv(65_536).decode()
    assert answer.startswith("HTTP/1.1 302 ")
    assert "Location: wss://elsewhere.example/" in answer

    service.faults.add(at_handshake(Drop()))
    with socket.create_connection(("127.0.0.1", service.port), timeout=HANG_SECONDS) as plain:
        plain.sendall(request.encode())
        assert plain.recv(65_536) == b""
    assert [attempt.status for attempt in service.attempts] == [302, 0]


def test_close_in_mid_turn() -> None:
    """The connection can be closed with a code after the n-th delta, named in either dialect."""
    faults = Faults(after("response.audio.delta", Close(1011, "the model fell over"), count=3))
    with Emulator(api_key=KEY, faults=faults) as service, open_socket(service) as client:
        ask(client)
        end = ending(client)
        link = service.wait_for_connection()
        assert link.wait_closed()

        assert end.rcvd is not None
        assert (end.rcvd.code, end.rcvd.reason) == (1011, "the model fell over")
        assert len(service.sent("response.output_audio.delta")) == 3
        assert link.close_code == 1011


@pytest.mark.parametrize("is_reset", [False, True])
def test_drop_in_mid_turn(is_reset: bool) -> None:
    """The connection can be cut without a close frame."""
    faults = Faults(after("response.created", Drop(is_reset)))
    with Emulator(api_key=KEY, faults=faults) as service, open_socket(service) as client:
        ask(client)
        end = ending(client)
        assert service.connections[0].wait_closed()

        assert isinstance(end, ConnectionClosedError)
        assert end.rcvd is None
        assert service.connections[0].close_code == 1006


def test_run_time_closes(service: Emulator) -> None:
    """A running service can close or drop everybody and goes on."""
    with open_socket(service) as client:
        service.wait_for_connection()
        service.close(1012, "restart")
        end = ending(client)
        assert end.rcvd is not None
        assert (end.rcvd.code, end.rcvd.reason) == (1012, "restart")
    with open_socket(service) as client:
        service.wait_for_connection(count=2)
        service.drop()
        assert ending(client).rcvd is None
    with open_socket(service) as client:
        assert hear(client)["type"] == "session.created"


def test_strange_messages(service: Emulator) -> None:
    """Unknown events, text that is no JSON and binary messages can be put in."""
    with open_socket(service) as client:
        hear(client)
        service.say({"type": "surprise.party", "guests": 3})
        service.send_raw("not json")
        service.send_raw(b"\x00\x01")

        assert hear(client) == {"type": "surprise.party", "guests": 3}
        assert client.recv(timeout=HANG_SECONDS) == "not json"
        assert client.recv(timeout=HANG_SECONDS) == b"\x00\x01"


def test_a_frame_that_is_none(service: Emulator) -> None:
    """Bytes that are no WebSocket frame make a client give up."""
    with open_socket(service) as client:
        hear(client)
        service.inject(BadFrame())
        end = ending(client)

    assert end.sent is not None
    assert end.sent.code == 1002


def test_events_can_be_lost_and_added() -> None:
    """An event can be left out, and another sent in its place."""
    faults = Faults(
        before("response.done", Swallow(), Say({"type": "response.lost"})),
        on_command("response.create", SendRaw('{"type": "response.expected"}'), Delay(0.01)),
    )
    with (
        Emulator(api_key=KEY, faults=faults, profile="documented") as service,
        open_socket(service) as client,
    ):
        ask(client)
        until(client, "response.expected")
        until(client, "response.lost")

        assert hear(client)["type"] == "rate_limits.updated"


def test_pings(service: Emulator) -> None:
    """Pings are answered until they are not, and again after that."""
    with open_socket(service) as client:
        link = service.wait_for_connection()
        assert client.ping().wait(HANG_SECONDS)
        service.inject(IgnorePings(), link)
        unanswered = client.ping()
        tell(client, "input_audio_buffer.clear")
        until(client, "input_audio_buffer.cleared")
        assert not unanswered.is_set()
        service.resume()

        assert client.ping().wait(HANG_SECONDS)


def test_silence(service: Emulator) -> None:
    """A silent service reads on and answers pings, and has everything to say once resumed."""
    with open_socket(service) as client:
        hear(client)
        service.inject(Silence())
        tell(client, "input_audio_buffer.clear")
        service.wait_for_command("input_audio_buffer.clear")
        assert client.ping().wait(HANG_SECONDS)
        assert service.sent("input_audio_buffer.cleared") == []
        service.resume()

        assert hear(client)["type"] == "input_audio_buffer.cleared"


def test_silence_before_an_event(service: Emulator) -> None:
    """The event is not sent before the service is resumed, and then in its place."""
    service.faults.add(before("input_audio_buffer.cleared", Silence()))
    with open_socket(service) as client:
        hear(client)
        tell(client, "input_audio_buffer.clear")
        tell(client, "conversation.item.retrieve", item_id="item_none")
        service.wait_for_command("conversation.item.retrieve")
        assert client.ping().wait(HANG_SECONDS)
        assert service.sent("input_audio_buffer.cleared") == []
        service.resume()

        assert [hear(client)["type"] for _ in range(2)] == ["input_audio_buffer.cleared", "error"]


def test_a_service_that_does_not_read(service: Emulator) -> None:
    """Nothing is taken from the client while reading is stopped; it stalls, and goes on when resumed."""
    with open_socket(service) as client:
        link = service.wait_for_connection()
        service.inject(StopReading(), link)
        done = threading.Event()
        audio = "A" * 400_000

        def push() -> None:
            for _ in range(100):
                tell(client, "input_audio_buffer.append", audio=audio)
            done.set()

        pusher = threading.Thread(target=push)
        pusher.start()
        # 40 MB do not fit into the buffers of a loopback connection.
        assert not done.wait(0.3)
        assert len(service.received("input_audio_buffer.append")) <= 1
        service.resume()
        service.wait_for_command("input_audio_buffer.append", count=100, timeout=30)
        pusher.join(HANG_SECONDS)

        assert done.is_set()


# Time, which a clock of the test's own lets pass ------------------------------------------------


def test_after_some_time() -> None:
    """A fault can wait for a connection's age."""
    clock, faults = ManualClock(), Faults(after_seconds(60, Close(1001, "going away")))
    with Emulator(api_key=KEY, faults=faults, clock=clock) as service, open_socket(service) as client:
        until(client, "session.created")
        clock.advance(59)
        tell(client, "input_audio_buffer.clear")
        until(client, "input_audio_buffer.cleared")
        clock.advance(1)
        end = ending(client)

    assert end.rcvd is not None
    assert end.rcvd.code == 1001


def test_a_timed_fault_happens_each_time_it_is_added(service: Emulator) -> None:
    """On a connection that has performed it before, and one that was removed since."""
    first, second = (after_seconds(0, Say({"type": name}), times=None) for name in ("first", "second"))
    with open_socket(service) as client:
        until(client, "session.created")
        service.faults.add(first)
        until(client, "first")
        service.faults.clear()
        service.faults.add(first, second)
        assert [hear(client)["type"] for _ in range(2)] == ["first", "second"]
        service.faults.add(second)
        assert hear(client)["type"] == "second"


def test_session_expiry() -> None:
    """After an hour a session ends with session_expired and close 1001."""
    clock = ManualClock(unix_time=1_000.0)
    with Emulator(api_key=KEY, clock=clock) as service, open_socket(service) as client:
        created = until(client, "session.created")
        clock.advance(3600)
        end = ending(client)

    assert created["session"]["expires_at"] == 4_600
    assert service.sent("error")[0]["error"]["code"] == "session_expired"
    assert end.rcvd is not None
    assert end.rcvd.code == 1001
    assert "maximum duration" in end.rcvd.reason


def test_audio_keeps_its_pace() -> None:
    """In real time a second of audio takes a second, on the emulator's clock."""
    clock = ManualClock()
    with (
        Emulator(api_key=KEY, clock=clock, pace=1, first_delay=2, responder=lambda *_: "la " * 50) as service,
        open_socket(service) as client,
    ):
        ask(client)
        until(client, "response.created")
        assert service.sent("response.output_item.added") == []
        clock.advance(2)
        until(client, "response.output_audio.delta")
        assert len(service.sent("response.output_audio.delta")) == 1
        clock.advance(1.01)
        for _ in range(10):
            until(client, "response.output_audio.delta")
        assert len(service.sent("response.output_audio.delta")) == 11


def test_a_delay_and_a_ping() -> None:
    """A delayed command is answered when the delay is over; the service pings every 20 seconds."""
    clock, faults = ManualClock(), Faults(on_command("input_audio_buffer.clear", Delay(30)))
    with (
        Emulator(api_key=KEY, clock=clock, faults=faults) as service,
        open_socket(service) as client,
    ):
        until(client, "session.created")
        tell(client, "input_audio_buffer.clear")
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.05)
        assert service.received() == []
        clock.advance(30)
        until(client, "input_audio_buffer.cleared")
        pinged = threading.Event()
        respond = client.protocol.recv_frame

        def watch(frame: Any) -> None:
            if frame.opcode.name == "PING":
                pinged.set()
            respond(frame)

        client.protocol.recv_frame = watch  # type: ignore[method-assign]
        clock.advance(20)
        assert pinged.wait(HANG_SECONDS)


def test_a_delayed_handshake() -> None:
    """It is answered when the clock says so, and stopping does not wait for it."""
    waits = threading.Event()

    class Watched(ManualClock):
        def limit(self, seconds: float) -> float:
            waits.set()
            return super().limit(seconds)

    clock, faults = Watched(), Faults(at_handshake(Delay(10)))
    with Emulator(api_key=KEY, clock=clock, faults=faults) as service:
        opened: list[Any] = []
        opening = threading.Thread(target=lambda: opened.append(open_socket(service).__enter__()))
        opening.start()
        assert waits.wait(HANG_SECONDS)
        assert opened == []
        clock.advance(10)
        opening.join(HANG_SECONDS)
        assert len(opened) == 1
        opened[0].close()


def test_cleared_faults_do_not_happen(service: Emulator) -> None:
    """Rules can be taken back."""
    service.faults.add(at_handshake(Refuse(500)))
    service.faults.clear()
    with open_socket(service) as client:
        assert hear(client)["type"] == "session.created"


# The end ---------------------------------------------------------------------------------------


def test_stop_says_goodbye_and_leaves_nothing(threads: Callable[[], set[str]]) -> None:
    """Stopping closes everybody with 1001, ends every thread, and may be repeated."""
    with Emulator(
        api_key=KEY, responder=lambda conversation, session: "On and on. " * 200, pace=1
    ) as service:
        with open_socket(service) as first, open_socket(service) as second:
            ask(first)
            until(first, "response.output_audio.delta")
            service.stop()
            end = ending(second)
            ending(first)
        service.stop()

        assert end.rcvd is not None
        assert end.rcvd.code == 1001
        assert service.wait(0)
    assert threads() == set()
    with pytest.raises(OSError, match=r"refused|reset"):
        socket.create_connection(("127.0.0.1", service.port), timeout=HANG_SECONDS)


def test_stop_does_not_wait_for_the_silent(threads: Callable[[], set[str]]) -> None:
    """Clients that never speak, never finish their handshake or never read do not hold it up."""
    story = "A very long story that nobody reads. " * 2_000
    with Emulator(api_key=KEY, responder=lambda conversation, session: story, pace=0) as service:
        mute = socket.create_connection(("127.0.0.1", service.port))
        deaf = socket.create_connection(("127.0.0.1", service.port))
        deaf.sendall(UPGRADE.encode())
        link = service.wait_for_connection()
        deaf.sendall(masked(b'{"type":"response.create"}'))
        service.wait_for_command("response.create")
        wait_until_stalled(link)
        began = time.monotonic()
        service.stop(timeout=HANG_SECONDS)

        assert time.monotonic() - began < 2 * HANG_SECONDS
        assert not link.is_open
        mute.close()
        deaf.close()
    assert threads() == set()


def test_stop_from_a_reply_function(threads: Callable[[], set[str]]) -> None:
    """A reply function may stop the service it answers for."""
    service: Emulator

    def reply(conversation: Any, session: Any) -> str:
        service.stop()
        return "Too late."

    service = Emulator(api_key=KEY, responder=reply)
    with service, open_socket(service) as client:
        ask(client)
        ending(client)
        assert service.wait(HANG_SECONDS)
    assert threads() == set()


def test_an_emulator_starts_once() -> None:
    """A second start is refused with what to do."""
    with Emulator() as service, pytest.raises(RuntimeError, match="another one"):
        service.start()


def test_a_listener_that_raises() -> None:
    """A log listener that raises ends its connection with 1011, and the service goes on."""

    def listen(line: str) -> None:
        if "conversation.item.retrieve" in line:
            raise LookupError("full disk")

    with Emulator(api_key=KEY, on_log=listen) as service:
        with open_socket(service) as client:
            tell(client, "conversation.item.retrieve", item_id="x")
            end = ending(client)
        with open_socket(service) as client:
            assert hear(client)["type"] == "session.created"

    assert end.rcvd is not None
    assert end.rcvd.code == 1011


def test_websockets_is_loaded_late() -> None:
    """The emulator can be imported, and its session used, without websockets."""
    program = (
        "import sys; sys.modules['websockets'] = None; import azure_rt_audio.emulator as e;"
        "print(e.SessionEngine(e.Behaviour()).pull(0.0)['type'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.stdout.strip(), done.stderr) == ("session.created", "")


def test_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without websockets the emulator names the extra to install."""
    monkeypatch.setitem(sys.modules, "websockets.sync.server", None)
    with pytest.raises(MissingExtraError, match=r"azure-rt-audio\[emulator\]"):
        Emulator().start()


# ------------------------------------------------------------ for its user


def test_its_repr_says_where_and_whether_it_runs() -> None:
    """Without the key."""
    service = Emulator(api_key=KEY)
    assert repr(service) == "<Emulator, not started>"
    with service:
        assert repr(service) == f"<Emulator at ws://127.0.0.1:{service.port}, running>"
    assert repr(service) == f"<Emulator at ws://127.0.0.1:{service.port}, stopped>"


def test_further_options_are_merged_in() -> None:
    """They win over those of the emulator."""
    with Emulator() as service:
        options = service.options("preview", session_config={"voice": "echo"}, api_key="wrong")

        assert options == {
            **service.options("preview"),
            "session_config": {"voice": "echo"},
            "api_key": "wrong",
        }


def test_a_command_that_was_received_may_have_any_name() -> None:
    """One that is newer than the emulator, for example."""
    with Emulator(api_key=KEY) as service, open_socket(service) as client:
        client.send(json.dumps({"type": "response.smell"}))
        until(client, "error")

        assert service.received("response.smell") == [{"type": "response.smell"}]
        assert service.received("*") == service.received()
        assert service.received("response.create") == []


def test_the_log_holds_no_key_and_no_text(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, too, where the library of the server would write headers and messages."""
    caplog.set_level("DEBUG")
    update = {"type": "session.update", "session": {"type": "realtime", "instructions": "be-discreet"}}
    with (
        Emulator(api_key="a-secret-key") as service,
        open_socket(service, headers={"api-key": "a-secret-key"}) as client,
    ):
        hear(client)
        client.send(json.dumps(update))
        hear(client)

    server_log = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("azure_rt_audio"))
    assert "session.update" in server_log
    assert "a-secret-key" not in server_log
    assert "be-discreet" not in server_log
