"""From a target to a transport, and all the ways in which that fails: real sockets, TLS and proxies."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import websocket
from connect_helpers import opened, receive, refusal
from fake_servers import (
    HANG,
    HEADERS,
    KEY,
    PATH,
    PING,
    PONG,
    TEXT,
    await_eof,
    close_frame,
    echo,
    echo_frames,
    echo_server,
    frame,
    no_thread_is_left,
    read_frame,
    read_head,
    tcp_server,
    upgrade,
    websocket_server,
)

from azure_rt_audio import __version__
from azure_rt_audio._concurrency.deadline import Deadline
from azure_rt_audio._net.waiting import Waker
from azure_rt_audio._transport import Target
from azure_rt_audio._transport.handshake import open_transport
from azure_rt_audio._transport.websocket import CloseFrame
from azure_rt_audio.errors import ConnectError, ConnectionClosedError
from azure_rt_audio.options import WebSocketOptions


@pytest.fixture(autouse=True)
def _no_thread_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with no_thread_is_left():
        yield


def answer(
    status: str, *headers: str, body: bytes = b"", linger: bool = False
) -> Callable[[socket.socket], None]:
    """Return a script that answers the handshake with this."""

    def script(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body)
        if linger:
            await_eof(sock)

    return script


# Opening.


@pytest.mark.parametrize("tls", [False, True])
def test_messages_go_both_ways(tls: bool) -> None:
    """A message sent comes back the same, over ws and over wss."""
    with echo_server(tls=tls) as url, opened(url) as transport:
        transport.send("grüß".encode())
        transport.flush()

        assert "grüß".encode() == receive(transport)
        assert url.split("/")[2] == transport.where


def test_the_request_says_what_it_should() -> None:
    """The headers go out once, with our user agent, and without an Origin that would mark a browser."""
    heads: list[bytes] = []
    with (
        tcp_server(lambda sock: (heads.append(upgrade(sock)), await_eof(sock))[1]) as url,
        opened(url, {"api-key": KEY, "X-A": "1"}),
    ):
        pass

    lines = heads[0].decode().split("\r\n")
    assert f"GET {PATH} HTTP/1.1" == lines[0]
    assert lines.count(f"api-key: {KEY}") == 1
    assert lines.count(f"User-Agent: azure-rt-audio/{__version__}") == 1
    assert not [line for line in lines if line.lower().startswith(("origin", "cookie"))]


def test_a_user_agent_of_ones_own_stays() -> None:
    """The target's headers come first."""
    heads: list[bytes] = []
    with (
        tcp_server(lambda sock: (heads.append(upgrade(sock)), await_eof(sock))[1]) as url,
        opened(url, {"user-agent": "mine"}),
    ):
        pass

    assert b"user-agent: mine" in heads[0]
    assert b"azure-rt-audio" not in heads[0]


def test_frames_in_the_same_write_as_the_response_are_kept() -> None:
    """What arrives with the handshake's answer belongs to the connection."""
    first = frame(TEXT, b"one") + frame(TEXT, b"two")
    with (
        tcp_server(lambda sock: (upgrade(sock, then=first), await_eof(sock))[1]) as url,
        opened(url) as transport,
    ):
        assert [receive(transport), receive(transport)] == [b"one", b"two"]


def test_cookies_do_not_travel_to_other_connections() -> None:
    """websocket-client's cookie jar is the whole process's; nothing of ours ends up in it."""
    heads: list[bytes] = []

    def script(sock: socket.socket) -> None:
        heads.append(upgrade(sock, "Set-Cookie: a=b; Domain=127.0.0.1"))
        await_eof(sock)

    with tcp_server(script) as url:
        for _ in range(2):
            with opened(url):
                pass

    assert [b"cookie" in head.lower() for head in heads] == [False, False]


def test_socket_options_are_set() -> None:
    """The user's options come on top of ours."""
    option = (socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    with websocket_server(echo) as url, opened(url, sockopt=[option]) as transport:
        probe = socket.socket(fileno=transport.fileno())
        try:
            assert probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            assert 65536 <= probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * 65536
        finally:
            probe.detach()


# A WebSocket class of the user's own.


def test_a_subclass_is_used() -> None:
    """websocket_impl sees every frame, like the class it replaces."""
    seen: list[Any] = []

    class Mine(websocket.WebSocket):
        def send_frame(self, frame: Any) -> Any:
            seen.append(frame.opcode)
            return super().send_frame(frame)

        def recv_frame(self) -> Any:
            frame = super().recv_frame()
            seen.append(frame.data)
            return frame

    with websocket_server(echo) as url, opened(url, websocket_impl=Mine) as transport:
        transport.send(b"x")
        transport.flush()
        receive(transport)

    assert seen == [TEXT, b"x"]


def test_a_class_that_makes_its_own_socket_is_used() -> None:
    """A class that connects by a way of its own keeps it."""
    made: list[socket.socket] = []

    class Mine(websocket.WebSocket):
        def connect(self, url: str, **options: Any) -> None:
            port = int(url.split("/")[2].split(":")[1])
            made.append(socket.create_connection(("127.0.0.1", port)))
            super().connect(url, **{**options, "socket": made[0]})

    with websocket_server(echo) as url, opened(url, websocket_impl=Mine) as transport:
        transport.send(b"x")
        transport.flush()

        assert receive(transport) == b"x"
        assert made[0].fileno() == transport.fileno()


@pytest.mark.parametrize("status", ["401 Unauthorized", "302 Found"])
def test_a_refusal_of_its_own_socket_is_translated(status: str) -> None:
    """Also then no exception of websocket-client, with all headers in its text, reaches the user."""

    class Mine(websocket.WebSocket):
        def connect(self, url: str, **options: Any) -> None:
            port = int(url.split("/")[2].split(":")[1])
            own = socket.create_connection(("127.0.0.1", port))
            try:
                super().connect(url, **{**options, "socket": own})
            finally:
                if not self.connected or self.status != 101:
                    own.close()

    def script(sock: socket.socket) -> None:
        sock.settimeout(HANG)
        with contextlib.suppress(OSError):
            answer(status, "Location: /x", "Content-Length: 2", body=b"{}")(sock)

    with tcp_server(script) as url:
        assert int(status[:3]) == refusal(url, websocket_impl=Mine).status


def test_a_class_that_fails_is_named() -> None:
    """An exception of the user's code becomes a ConnectError with its type."""

    def broken(**_: Any) -> Any:
        raise LookupError("secret " + KEY)

    with pytest.raises(ConnectError, match="LookupError") as caught:
        open_transport(Target("ws://127.0.0.1:1/"), WebSocketOptions(), Deadline(HANG), websocket_impl=broken)

    assert KEY not in caught.value.message


# Refusals.


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("has_length", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("401 Unauthorized", "authentication_error"),
        ("404 Not Found", "invalid_request_error"),
        ("429 Too Many Requests", "rate_limit_error"),
        ("500 Internal Server Error", "server_error"),
    ],
)
def test_a_refusal_keeps_what_the_service_said(tls: bool, has_length: bool, status: str, kind: str) -> None:
    """Status, code, message, body, request id and the time to wait are kept, however the body ends."""
    body = json.dumps({"error": {"code": "Some", "message": f"No: {KEY}."}}).encode()
    headers = ["apim-request-id: r-1", "retry-after-ms: 2500"]
    if has_length:
        headers.append(f"Content-Length: {len(body)}")
    with tcp_server(answer(status, *headers, body=body, linger=has_length), tls=tls) as url:
        error = refusal(url)

    assert (int(status[:3]), kind, "Some", "r-1", 2.5) == (
        error.status,
        error.type,
        error.code,
        error.request_id,
        error.retry_after,
    )
    assert "No: [redacted]" in error.message
    assert "No: [redacted]" in error.body


def test_a_bearer_token_is_blanked_out_too() -> None:
    """The token is a secret with and without its scheme."""
    with tcp_server(answer("401 Unauthorized", body=f"token {KEY} is stale".encode())) as url:
        error = refusal(url, {"Authorization": f"Bearer {KEY}"})

    assert error.body == "token [redacted] is stale"


def test_a_body_in_chunks_is_read() -> None:
    """A gateway may send its refusal in chunks."""
    body = b'1c\r\n{"code":"Odd","message":"x"}\r\n0\r\n\r\n'
    with tcp_server(answer("400 Bad Request", "Transfer-Encoding: chunked", body=body)) as url:
        assert refusal(url).code == "Odd"


@pytest.mark.parametrize(
    "headers",
    [[], ["Content-Length: 99999999999"], [f"Content-Length: {'9' * 5_000}"]],
    ids=["no length", "a length", "a number that Python does not read"],
)
def test_an_endless_body_is_cut(headers: list[str]) -> None:
    """No more is read than is kept, whatever length is claimed."""

    def script(sock: socket.socket) -> None:
        answer("500 Oops", *headers)(sock)
        while True:
            sock.sendall(b"x" * 65536)

    with tcp_server(script) as url:
        assert len(refusal(url).body) == 8192


def test_a_body_that_never_comes_is_not_waited_for() -> None:
    """A refusal is reported although its body stays away."""
    with tcp_server(answer("403 Forbidden", "Content-Length: 10", linger=True)) as url:
        error = refusal(url)

    assert (error.status, error.body) == (403, "")


def test_a_refusal_that_is_not_understood_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong while the error is made, the socket is closed; the peer sees it."""
    has_ended = threading.Event()

    def script(sock: socket.socket) -> None:
        answer("403 Forbidden", "Content-Length: 2", body=b"{}", linger=True)(sock)
        has_ended.set()

    monkeypatch.setattr("azure_rt_audio._transport.handshake.refused", lambda *_, **__: 1 / 0)
    with tcp_server(script) as url:
        with pytest.raises(ZeroDivisionError) as caught:
            open_transport(Target(url), WebSocketOptions(), Deadline(HANG))

        assert has_ended.wait(HANG)
        assert caught.tb is not None  # whose frames hold the socket


def test_a_redirect_does_not_carry_the_key_away() -> None:
    """The second host is never contacted."""
    visits: list[bytes] = []
    with (
        tcp_server(lambda sock: visits.append(read_head(sock))) as second,
        tcp_server(answer("302 Found", f"Location: {second}", "Content-Length: 0")) as first,
    ):
        error = refusal(first)

    assert error.status == 302
    assert "127.0.0.1" in error.hint
    assert visits == []


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (answer("200 OK", "Content-Length: 2", body=b"ok"), "not a WebSocket endpoint"),
        (
            answer("101 Switching Protocols", "Upgrade: websocket"),
            "did not answer as the WebSocket protocol asks",
        ),
        (
            lambda sock: sock.sendall(b"SSH-2.0-OpenSSH\r\n\r\n"),
            "did not answer as the WebSocket protocol asks",
        ),
        (lambda sock: sock.sendall(b"HTTP/1.1 101 x\r\nA: " + b"x" * 99999), "did not answer as"),
        (lambda sock: read_head(sock), "hung up"),
    ],
)
def test_what_is_no_websocket_is_said_to_be_none(script: Callable[[socket.socket], None], words: str) -> None:
    """An answer that is not one of the protocol is named."""
    with tcp_server(script) as url:
        assert words in refusal(url).message


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


def test_interim_answers_are_passed_over() -> None:
    """Any number of 1xx may come before the answer that counts (RFC 9110, 15.2), be it 101 or a refusal."""

    def greet(sock: socket.socket) -> None:
        sock.sendall(INTERIM)
        echo_frames(sock)

    def refuse(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(INTERIM + b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")

    with tcp_server(greet) as url, opened(url) as transport:
        transport.send(b"hello")
        transport.flush()
        assert receive(transport) == b"hello"
    with tcp_server(refuse) as url:
        assert refusal(url).status == 401


def test_interim_answers_without_end_are_a_refusal() -> None:
    """A peer that sends nothing else is given up, long before the time-out."""
    with tcp_server(lambda sock: (read_head(sock), sock.sendall(INTERIM * 20))[1]) as url:
        assert refusal(url).status == 103


@pytest.mark.parametrize(
    "line", ["Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: realtime"]
)
def test_what_was_not_asked_for_is_refused(line: str) -> None:
    """An extension or a subprotocol in the answer that is not in the request fails the connection."""
    with tcp_server(lambda sock: (upgrade(sock, line), None)[1]) as url:
        assert f"has {line.partition(':')[0].title()}, which was not asked for" in refusal(url).message


def test_a_class_that_asks_for_a_subprotocol_gets_it() -> None:
    """What a class of the user's own asks for is not refused."""

    class Asking(websocket.WebSocket):
        def connect(self, url: str, **options: Any) -> None:
            super().connect(url, subprotocols=["realtime"], **options)

    def greet(sock: socket.socket) -> None:
        echo_frames(sock, "Sec-WebSocket-Protocol: realtime")

    with tcp_server(greet) as url, opened(url, websocket_impl=Asking) as transport:
        transport.send(b"hello")
        transport.flush()
        assert receive(transport) == b"hello"


def test_a_wrong_accept_key_is_refused() -> None:
    """A response to another request, such as a cached one, does not open a connection."""
    lines = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: AAAA")
    with tcp_server(answer("101 Switching Protocols", *lines)) as url:
        assert "not a valid one" in refusal(url).message


# No answer.


def test_nothing_listens() -> None:
    """A refused TCP connection names host and port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    assert f"Nothing listens at 127.0.0.1:{port}" in refusal(f"ws://127.0.0.1:{port}/").message


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that cannot be resolved is named."""

    def resolve(*_: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    assert "host name of res.example:443 could not be resolved" in refusal("wss://res.example/x").message


def test_a_name_that_is_none() -> None:
    """A host name that cannot be encoded is an error like others."""
    assert "host name is not a valid one" in refusal(f"wss://{'x' * 70}.example/").message


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline holds although the system's resolver knows none."""
    go_on = threading.Event()
    real = socket.getaddrinfo

    def resolve(*args: Any, **options: Any) -> Any:
        if options.get("flags"):
            return real(*args, **options)
        assert go_on.wait(HANG)
        raise socket.gaierror(socket.EAI_AGAIN, "late")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    try:
        error = refusal("wss://res.example/x", seconds=0.1)
    finally:
        go_on.set()

    assert "the name look-up was still going on" in error.message


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may have addresses that do not answer."""
    with websocket_server(echo) as url:
        port = int(url.split("/")[2].split(":")[1])
        with socket.create_server(("127.0.0.1", 0)) as probe:
            dead = probe.getsockname()[1]
        real = socket.getaddrinfo

        def resolve(host: str, *args: Any, **options: Any) -> Any:
            if host != "res.example":
                return real(host, *args, **options)
            if options.get("flags"):
                raise socket.gaierror(socket.EAI_NONAME, "not a number")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", at)) for at in (dead, port)]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with opened(f"ws://res.example:{port}/") as transport:
            assert f"res.example:{port}" == transport.where


@pytest.mark.parametrize(
    ("tls", "phase"), [(False, "HTTP upgrade"), (True, "TLS handshake")], ids=["no HTTP", "no TLS"]
)
def test_a_peer_that_says_nothing(tls: bool, phase: str) -> None:
    """TCP is accepted and then nothing comes: the deadline ends it and says where it stood."""
    with tcp_server(await_eof) as url:
        error = refusal(url.replace("ws:", "wss:") if tls else url, seconds=0.2)

    assert f"the {phase} was still going on" in error.message


def test_a_peer_that_drips_is_late_all_the_same() -> None:
    """The budget is one for the whole handshake, not one for each byte."""

    def script(sock: socket.socket) -> None:
        read_head(sock)
        for byte in b"HTTP/1.1 101 Switching" * 100:
            sock.sendall(bytes([byte]))
            if select_readable(sock, 0.02):
                return

    with tcp_server(script) as url:
        assert "still going on" in refusal(url, seconds=0.3).message


def select_readable(sock: socket.socket, seconds: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def test_an_interrupt_ends_the_attempt() -> None:
    """Closing need not wait for the deadline."""
    waker = Waker()
    arrived = threading.Event()

    def script(sock: socket.socket) -> None:
        read_head(sock)
        arrived.set()
        await_eof(sock)

    def interrupt() -> None:
        assert arrived.wait(HANG)
        waker.interrupt()

    thread = threading.Thread(target=interrupt)
    with tcp_server(script) as url:
        thread.start()
        with pytest.raises(ConnectError, match="given up"):
            open_transport(Target(url, HEADERS), WebSocketOptions(), Deadline(None), waker)
    thread.join(HANG)
    waker.close()


def test_a_certificate_nobody_vouches_for() -> None:
    """The reason and the remedy behind a company proxy are named."""
    with echo_server(tls=True) as url:
        error = refusal(url, ssl_context=ssl.create_default_context())

    assert "certificate of 127.0.0.1" in error.message
    assert "cafile" in error.hint
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)


def test_a_port_without_tls() -> None:
    """wss to a plain port is a TLS failure, not a mystery."""
    with tcp_server(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as url:
        assert "TLS with 127.0.0.1" in refusal(url.replace("ws:", "wss:")).message


@pytest.mark.parametrize("url", ["https://host/x", "ws:///x", "host"])
def test_a_url_of_another_kind(url: str) -> None:
    """Only ws and wss are spoken."""
    error = refusal(url)

    assert "ws:// or wss://" in error.message
    assert error.type == "invalid_request_error"


def test_a_key_with_a_line_break() -> None:
    """A key read from a file with its line break cannot smuggle a header in."""
    assert "'api-key' holds a line break" in refusal("ws://127.0.0.1:1/", {"api-key": KEY + "\n"}).message


# Frames.


def conversation(*parts: bytes) -> Callable[[socket.socket], None]:
    """Return a script that upgrades and sends these."""

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        for part in parts:
            sock.sendall(part)
        await_eof(sock)

    return script


def test_a_message_in_fragments_with_pings_between() -> None:
    """Fragments are put together, and a ping in their midst is answered at once."""
    pongs: list[tuple[int, bytes]] = []

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        sock.sendall(frame(TEXT, b"a" * 70000, fin=False) + frame(PING, b"p") + frame(0, b"", fin=False))
        pongs.append(read_frame(sock))
        sock.sendall(frame(0, b"b" * 3, fin=False) + frame(0, b"c"))
        await_eof(sock)

    with tcp_server(script) as url, opened(url) as transport:
        while not transport.unsent:
            transport.fill()
            assert transport.receive() is None
        transport.flush()

        assert receive(transport) == b"a" * 70000 + b"bbbc"
    assert pongs == [(10, b"p")]


@pytest.mark.parametrize("tls", [False, True])
def test_a_frame_in_single_bytes(tls: bool) -> None:
    """A frame that arrives byte by byte is kept until it is whole."""
    whole = frame(TEXT, b"x" * 200)
    parts = [whole[index : index + 1] for index in range(len(whole))]
    with tcp_server(conversation(*parts), tls=tls) as url, opened(url) as transport:
        assert receive(transport) == b"x" * 200


def test_many_frames_in_one_write() -> None:
    """One read serves many frames."""
    parts = [str(index).encode() for index in range(500)]
    with (
        tcp_server(conversation(b"".join(frame(TEXT, part) for part in parts))) as url,
        opened(url) as transport,
    ):
        assert parts == [receive(transport) for _ in parts]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 5_000_000])
def test_sizes(tls: bool, size: int) -> None:
    """Every length form and a message of many reads and writes arrive whole."""
    payload = bytes(32 + index % 89 for index in range(1000)) * (size // 1000) + b"x" * (size % 1000)
    with echo_server(tls=tls) as url, opened(url) as transport:
        transport.send(payload)
        with selectors.DefaultSelector() as selector:
            selector.register(transport, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while transport.unsent:
                assert selector.select(HANG)
                transport.flush()
                transport.fill()

        assert payload == receive(transport)


@pytest.mark.parametrize("claim", [1025, 65536, 2**40, 2**63 - 1])
def test_an_oversized_claim_is_refused_by_its_header(claim: int) -> None:
    """The length is judged before any of the payload is there."""
    with (
        tcp_server(conversation(frame(TEXT, b"", claim=claim))) as url,
        opened(url, max_message_bytes=1024) as transport,
        pytest.raises(ConnectionClosedError, match="over the limit of 1024 bytes") as caught,
    ):
        receive(transport)

    assert caught.value.close_code == 1009


def test_fragments_are_limited_together() -> None:
    """Small fragments cannot grow past the limit of a message."""
    parts = [frame(TEXT, b"x" * 600, fin=False), frame(0, b"", claim=425)]
    with (
        tcp_server(conversation(*parts)) as url,
        opened(url, max_message_bytes=1024) as transport,
        pytest.raises(ConnectionClosedError, match="over the limit"),
    ):
        receive(transport)


def test_the_limit_itself_is_allowed() -> None:
    """A message of exactly the limit passes."""
    with (
        tcp_server(conversation(frame(TEXT, b"x" * 1024))) as url,
        opened(url, max_message_bytes=1024) as transport,
    ):
        assert receive(transport) == b"x" * 1024


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(TEXT, b"x", mask=True), 1002, id="masked"),
        pytest.param(frame(3, b"x"), 1002, id="bad opcode"),
        pytest.param(frame(0x40 | TEXT, b"x"), 1002, id="reserved bit"),
        pytest.param(frame(0, b"x"), 1002, id="continuation of nothing"),
        pytest.param(frame(TEXT, b"x", fin=False) + frame(TEXT, b"x"), 1002, id="text in a text"),
        pytest.param(frame(PING, b"x" * 126), 1002, id="long ping"),
        pytest.param(frame(PING, b"x", fin=False), 1002, id="ping in parts"),
        pytest.param(frame(8, b"x"), 1002, id="close of one byte"),
        pytest.param(close_frame(1005), 1002, id="close code not to be sent"),
        pytest.param(close_frame(999), 1002, id="close code out of range"),
        pytest.param(frame(8, b"\x03\xe8\xff"), 1007, id="close reason not UTF-8"),
    ],
)
def test_a_breach_of_the_protocol_ends_the_connection(data: bytes, code: int) -> None:
    """The peer's fault has a name and a close code."""
    with (
        tcp_server(conversation(data)) as url,
        opened(url) as transport,
        pytest.raises(ConnectionClosedError, match="broke the WebSocket protocol") as caught,
    ):
        receive(transport)

    assert code == caught.value.close_code


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (close_frame(1000, "grüß"), CloseFrame(1000, "grüß")),
        (close_frame(4000, "a.b"), CloseFrame(4000, "a.b")),
        (frame(8), CloseFrame(1005, "")),
    ],
)
def test_a_close_frame_keeps_code_and_reason(data: bytes, expected: CloseFrame) -> None:
    """And nothing is answered without being asked for."""
    with tcp_server(conversation(data)) as url, opened(url) as transport:
        assert expected == receive(transport)
        assert transport.unsent == 0


def test_each_ping_is_answered_with_its_own_payload() -> None:
    """Several in a row, of every length, after pongs that nobody asked for."""
    payloads = [b"", b"1", bytes(range(125)), b"again"]
    answers: list[tuple[int, bytes]] = []

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        sock.sendall(frame(PONG, b"nobody asked") + b"".join(frame(PING, payload) for payload in payloads))
        answers.extend(read_frame(sock) for _ in payloads)
        sock.sendall(frame(TEXT, b"done"))
        await_eof(sock)

    with tcp_server(script) as url, opened(url) as transport:
        with selectors.DefaultSelector() as selector:
            selector.register(transport, selectors.EVENT_READ)
            while (message := transport.receive()) is None:
                transport.flush()
                assert selector.select(HANG)
                transport.fill()
        assert message == b"done"

    assert answers == [(PONG, payload) for payload in payloads]


def test_an_end_without_a_close_frame() -> None:
    """What arrived before it is still delivered."""

    def script(sock: socket.socket) -> None:
        upgrade(sock, then=frame(TEXT, b"last"))

    with tcp_server(script) as url, opened(url) as transport:
        assert receive(transport) == b"last"
        with pytest.raises(ConnectionClosedError, match="lost without a close frame") as caught:
            receive(transport)

    assert caught.value.close_code == 1006


def test_pings_whose_answers_are_not_taken_end_the_connection() -> None:
    """A peer cannot make us store pongs without end."""

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        pings = frame(PING, b"x" * 125) * 1000
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(pings)

    with (
        tcp_server(script) as url,
        opened(url) as transport,
        pytest.raises(ConnectionClosedError, match="does not read the answers"),
    ):
        receive(transport)


def test_nothing_follows_a_close_frame() -> None:
    """What is sent after the close frame is dropped, also a pong."""
    got: list[Any] = []

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        got.append(read_frame(sock))
        got.append(sock.recv(1))

    with tcp_server(script) as url, opened(url) as transport:
        transport.send_close(1000, "bye")
        transport.send(b"x")
        transport.flush()

    assert got == [(8, b"\x03\xe8bye"), b""]


def test_a_target_shows_no_secret() -> None:
    """A repr ends up in logs."""
    assert KEY not in repr(Target("wss://h/", HEADERS))


def test_websocket_client_logs_nothing_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """At the level DEBUG no log of ours or of a dependency holds the key."""
    caplog.set_level(logging.DEBUG)
    with websocket_server(echo) as url, opened(url):
        pass

    assert KEY not in "".join(
        record.getMessage()
        for record in caplog.records
        if record.name.split(".")[0] in ("azure_rt_audio", "websocket")
    )


def test_the_waker_rings_once_and_forgives() -> None:
    """Rings add up to one, and one after the end does nothing."""
    waker = Waker()
    waker.wake()
    waker.wake()
    assert select_readable(SimpleNamespace(fileno=waker.fileno), 0)  # type: ignore[arg-type]
    waker.drain()

    assert not select_readable(SimpleNamespace(fileno=waker.fileno), 0)  # type: ignore[arg-type]
    waker.drain()
    waker.close()
    waker.wake()
    assert not waker.interrupted


def test_websocket_clients_trace_holds_no_key() -> None:
    """Whoever switches the trace of websocket-client on sees the handshake, without the credential."""
    log = logging.getLogger("websocket")
    kept, level = list(log.handlers), log.level
    shown = io.StringIO()
    heads: list[bytes] = []
    try:
        websocket.enableTrace(True, handler=logging.StreamHandler(shown))
        with (
            tcp_server(lambda sock: (heads.append(upgrade(sock)), await_eof(sock))[1]) as url,
            opened(url, {**HEADERS, "Authorization": f"Bearer {KEY}"}),
        ):
            pass
    finally:
        websocket.enableTrace(False)
        log.handlers, log.level = kept, level

    assert "GET /openai" in shown.getvalue()
    assert KEY not in shown.getvalue()
    assert f"api-key: {KEY}\r\nAuthorization: Bearer {KEY}\r\n".encode() in heads[0]
