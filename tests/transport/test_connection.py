"""One connection and its thread: opening, sending, receiving, and every way to end, over real sockets."""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import signal
import socket
import ssl
import struct
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets.exceptions
from fake_servers import (
    CLOSE,
    HANG,
    KEY,
    PING,
    TEXT,
    Recorder,
    await_eof,
    client_tls,
    close_frame,
    echo,
    echo_server,
    frame,
    no_thread_is_left,
    read_frame,
    read_head,
    recording,
    tcp_server,
    upgrade,
    websocket_server,
)
from websockets.sync.server import ServerConnection

from azure_rt_audio._concurrency.deadline import Deadline
from azure_rt_audio._net.waiting import Waker
from azure_rt_audio._transport import Connection, Target, WebSocketState
from azure_rt_audio._transport.keepalive import Keepalive
from azure_rt_audio.errors import ConnectError, ConnectionClosedError
from azure_rt_audio.options import WebSocketOptions


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    with no_thread_is_left():
        yield


def run(*functions: Any) -> list[Any]:
    """Run each function on a thread of its own and return their results, or their exceptions."""
    results: list[Any] = [None] * len(functions)

    def one(index: int) -> None:
        try:
            results[index] = functions[index]()
        except Exception as exc:  # noqa: BLE001 - a result like others
            results[index] = exc

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * HANG)
        assert not thread.is_alive()
    return results


# Sending and receiving.


@pytest.mark.parametrize("tls", [False, True])
def test_open_send_receive_close(tls: bool) -> None:
    """The whole life of a connection, and every callback on the one thread."""
    with echo_server(tls=tls) as url:
        recorder = Recorder(url)
        assert WebSocketState.CONNECTING is recorder.connection.state
        recorder.open()
        assert WebSocketState.OPEN is recorder.connection.state

        recorder.connection.send("grüß".encode())
        assert "grüß".encode() == recorder.next()

        assert recorder.connection.close(HANG)
        assert WebSocketState.CLOSED is recorder.connection.state

    outcome = recorder.end()
    assert (outcome.close_code, outcome.is_clean, outcome.type) == (1000, True, "connection_error")
    assert "closed by this side" in str(outcome)
    assert outcome is recorder.connection.outcome
    assert len(recorder.threads) == 1
    assert recorder.threads.pop().startswith("azure-rt-reader-")


def test_what_is_sent_before_the_start_goes_out_first() -> None:
    """A connection queues from the beginning, in the order of calls."""
    with websocket_server(echo) as url:
        recorder = Recorder(url)
        recorder.connection.send(b"1")
        recorder.connection.start()
        recorder.connection.send(b"2")

        assert [recorder.next(), recorder.next()] == [b"1", b"2"]
        assert recorder.connection.close(HANG)


def test_callbacks_may_send() -> None:
    """A send on the I/O thread goes out without anybody waking it, and never waits for room."""
    with websocket_server(echo) as url:
        recorder = Recorder(url, max_send_backlog_bytes=1024)

        def react(message: bytes) -> None:
            if len(message) < 5000:
                recorder.connection.send(message * 2, timeout=0)
                recorder.connection.send(message * 2, timeout=0)

        recorder.react = react
        recorder.connection.send(b"x" * 4000)
        recorder.connection.start()

        assert [len(recorder.next()) for _ in range(3)] == [4000, 8000, 8000]
        assert recorder.connection.close(HANG)


def test_only_the_io_thread_owns_the_thread() -> None:
    """Whoever must not wait for the connection can tell."""
    answers: queue.Queue[bool] = queue.Queue()
    with websocket_server(echo) as url, recording(url) as recorder:
        recorder.react = lambda _: answers.put(recorder.connection.owns_this_thread())
        recorder.connection.send(b"x")

        assert answers.get(timeout=HANG)
        assert not recorder.connection.owns_this_thread()


def test_binary_messages_are_delivered_too() -> None:
    """The service sends none; what to make of one is the decoder's business."""

    def script(sock: socket.socket) -> None:
        upgrade(sock, then=frame(2, b"\0\xff"))
        await_eof(sock)

    with tcp_server(script) as url:
        recorder = Recorder(url).open()
        assert recorder.next() == b"\0\xff"
        assert recorder.close()


@pytest.mark.parametrize("tls", [False, True])
def test_a_large_message_both_ways(tls: bool) -> None:
    """5 MB go out and come back."""
    with echo_server(tls=tls) as url, recording(url) as recorder:
        recorder.connection.send(b"x" * 5_000_000)
        assert recorder.next() == b"x" * 5_000_000


def test_many_small_frames_in_one_write() -> None:
    """More frames than are delivered in a row arrive in order without another byte from the peer."""
    parts = [str(index).encode() for index in range(1000)]

    def script(sock: socket.socket) -> None:
        upgrade(sock, then=b"".join(frame(TEXT, part) for part in parts))
        await_eof(sock)

    with tcp_server(script) as url:
        recorder = Recorder(url).open()
        assert parts == [recorder.next() for _ in parts]
        assert recorder.close()


@pytest.mark.parametrize("version", [None, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_many_threads_send(version: ssl.TLSVersion | None) -> None:
    """Frames of eight threads arrive whole and in each thread's order, while as many come back."""
    count = 200
    context = client_tls()
    if version:
        context.minimum_version = context.maximum_version = version

    with (
        echo_server(tls=version is not None) as url,
        recording(url, ssl_context=context, max_send_backlog_bytes=100_000) as recorder,
    ):

        def sender(name: int) -> None:
            for index in range(count):
                recorder.connection.send(f"{name} {index} ".encode() + b"x" * (index * 37 % 9000))

        results = run(*(lambda name=name: sender(name) for name in range(8)))
        received = [recorder.next() for _ in range(8 * count)]

    assert results == [None] * 8
    for name in range(8):
        mine = [message for message in received if message.startswith(b"%d " % name)]
        assert list(range(count)) == [int(message.split(b" ")[1]) for message in mine]
        assert [index * 37 % 9000 for index in range(count)] == [message.count(b"x") for message in mine]


# A full backlog.


@contextlib.contextmanager
def stalled(**options: Any) -> Iterator[Recorder]:
    """Yield an open connection whose peer reads nothing and whose buffers are full."""

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        assert done.wait(4 * HANG)

    done = threading.Event()
    with tcp_server(script) as url:
        recorder = Recorder(url, max_send_backlog_bytes=1_000_000, **options).open()
        try:
            with contextlib.suppress(TimeoutError):
                while True:
                    recorder.connection.send(b"x" * 500_000, timeout=0.1)
            yield recorder
        finally:
            assert recorder.close()
            done.set()


def test_a_full_backlog_makes_senders_wait_and_give_up() -> None:
    """Memory is bounded when the peer does not read."""
    with stalled() as recorder, pytest.raises(TimeoutError, match="wait to be written"):
        recorder.connection.send(b"x" * 600_000, timeout=0.01)


@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_waiting_sender_wakes_at_the_end(how: str) -> None:
    """A sender that waits for room is told that none will come."""
    with stalled() as recorder:
        connection = recorder.connection
        trying = threading.Event()

        def send() -> None:
            trying.set()
            connection.send(b"x" * 600_000, timeout=None)

        def end() -> Any:
            assert trying.wait(HANG)
            return connection.close(0.1) if how == "close" else connection.abort(mine)

        mine = ConnectionClosedError("enough")
        error, _ = run(send, end)
        outcome = recorder.end()

    assert isinstance(error, ConnectionClosedError)
    assert how == "close" or str(error) == "enough"
    assert how == "close" or mine is outcome


def test_a_stalled_connection_closes_in_time() -> None:
    """A close frame behind a stalled send is given up when its time has passed."""
    with stalled() as recorder:
        assert recorder.close(0.1)
        outcome = recorder.end()

    assert (outcome.close_code, outcome.is_clean) == (1006, False)
    assert "did not answer the close frame within 0.1 s" in str(outcome)


def test_a_stalled_connection_is_given_up_by_its_ping() -> None:
    """Liveness does not wait behind a stalled send."""
    with stalled(ping_interval=0.3, ping_timeout=0.3) as recorder:
        assert "ping" in str(recorder.end())


# Closing by this side.


def test_queued_frames_go_out_before_the_close_frame() -> None:
    """A goodbye loses nothing, and carries code and reason."""
    got: queue.Queue[Any] = queue.Queue()

    def handler(peer: ServerConnection) -> None:
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            while True:
                got.put(peer.recv())
        got.put((peer.close_code, peer.close_reason))

    with websocket_server(handler) as url:
        recorder = Recorder(url).open()
        for index in range(500):
            recorder.connection.send(b"%d " % index + b"x" * 2000)
        assert recorder.connection.close(HANG, 3001, "bye")
        received = [got.get(timeout=HANG) for _ in range(501)]

    assert [int(message.split()[0]) for message in received[:-1]] == list(range(500))
    assert received[-1] == (3001, "bye")


def test_senders_get_their_turn_beside_a_flood() -> None:
    """A peer that never stops sending cannot keep our frames from going out."""
    heard = threading.Event()

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        flood = frame(TEXT, b"x" * 50) * 1000

        def listen() -> None:
            assert read_frame(sock)[1] == b"enough"
            heard.set()

        listener = threading.Thread(target=listen)
        listener.start()
        while not heard.is_set():
            sock.sendall(flood)
        listener.join(HANG)
        await_eof(sock)

    with tcp_server(script) as url:
        recorder = Recorder(url).open()
        for _ in range(5000):
            recorder.next()
        recorder.connection.send(b"enough")
        assert heard.wait(HANG)
        assert recorder.close()


def test_messages_are_delivered_until_the_peer_has_closed() -> None:
    """What the peer still had to say is not lost."""

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        assert read_frame(sock) == (8, b"\x03\xe8")
        sock.sendall(frame(TEXT, b"last") + close_frame(1000))
        await_eof(sock)

    with tcp_server(script) as url:
        recorder = Recorder(url).open()
        assert recorder.connection.close(HANG)

    assert recorder.next() == b"last"
    assert recorder.end().is_clean


def test_nothing_is_delivered_after_the_peers_goodbye() -> None:
    """What a peer sends after its own close frame does not count any more."""

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        sock.sendall(frame(TEXT, b"before") + close_frame(4000) + frame(TEXT, b"after"))
        await_eof(sock)

    with tcp_server(script) as url:
        recorder = Recorder(url).open()
        assert recorder.end().close_code == 4000
        assert recorder.connection.close(HANG)

    assert recorder.next() == b"before"
    assert recorder.messages.empty()


def test_a_silent_peer_cannot_hold_close_up() -> None:
    """Without an answer to the close frame the deadline ends it."""
    with tcp_server(lambda sock: (upgrade(sock), await_eof(sock))[1]) as url:
        recorder = Recorder(url).open()
        assert recorder.close(0.1)

    assert (recorder.end().close_code, recorder.end().is_clean) == (1006, False)


def test_an_impatient_caller_sets_the_pace() -> None:
    """A second close with less time shortens the first."""
    with tcp_server(lambda sock: (upgrade(sock), await_eof(sock))[1]) as url:
        recorder = Recorder(url).open()
        slow = threading.Thread(target=recorder.connection.close, args=(60,))
        slow.start()
        assert recorder.close(0.1)
        slow.join(HANG)
        assert not slow.is_alive()


def test_close_is_idempotent() -> None:
    """Again, from several threads at once and after the end."""
    with websocket_server(echo) as url:
        recorder = Recorder(url).open()
        close = recorder.connection.close

        assert run(*[lambda: close(HANG)] * 4) == [True] * 4
        assert close(0)

    assert len(recorder.outcomes) == 1


@pytest.mark.parametrize("place", ["on_open", "on_message", "on_end"])
def test_close_from_a_callback(place: str) -> None:
    """The I/O thread cannot wait for itself: the closing begins, and close says it is not done."""
    results: list[bool] = []

    def close(*_: Any) -> None:
        results.append(recorder.connection.close(HANG))

    def record(*_: Any) -> None:
        pass

    with websocket_server(echo) as url:
        recorder = Recorder(url)
        callbacks: dict[str, Any] = dict.fromkeys(("on_open", "on_message", "on_end"), record)
        ended = threading.Event()
        callbacks["on_end"] = lambda outcome: ended.set()
        if place == "on_end":
            callbacks[place] = lambda outcome: (close(), ended.set())
        else:
            callbacks[place] = close
        recorder.connection = Connection(lambda: Target(url), WebSocketOptions(), **callbacks)
        recorder.connection.send(b"x")
        recorder.connection.start()
        if place == "on_end":
            assert recorder.connection.close(HANG)
        assert ended.wait(HANG)
        assert recorder.connection.close(HANG)

    assert results == [False]


def test_sending_after_the_end_says_why() -> None:
    """Each caller gets a fresh exception, caused by the recorded one."""
    with websocket_server(echo) as url, recording(url) as recorder:
        assert recorder.connection.close(HANG)
        with pytest.raises(ConnectionClosedError, match="closed by this side") as caught:
            recorder.connection.send(b"x")

    assert caught.value is not recorder.connection.outcome
    assert caught.value.__cause__ is recorder.connection.outcome


def test_sending_while_closing_is_refused() -> None:
    """Nothing may follow the close frame."""
    with tcp_server(lambda sock: (upgrade(sock), read_frame(sock), got.set(), await_eof(sock))[3]) as url:
        got = threading.Event()
        recorder = Recorder(url).open()
        thread = threading.Thread(target=recorder.connection.close, args=(60,))
        thread.start()
        assert got.wait(HANG)
        assert WebSocketState.CLOSING is recorder.connection.state
        with pytest.raises(ConnectionClosedError, match="being closed"):
            recorder.connection.send(b"x")
        assert recorder.close()
        thread.join(HANG)


@pytest.mark.parametrize(("code", "reason"), [(1001, ""), (2999, ""), (5000, ""), (1000, "ü" * 62)])
def test_a_goodbye_that_cannot_be_sent(code: int, reason: str) -> None:
    """Codes and lengths that the protocol does not allow are refused before anything happens."""
    connection = Recorder("ws://127.0.0.1:1/").connection
    with pytest.raises(ValueError, match=r"code must|reason must"):
        connection.close(1, code, reason)

    assert WebSocketState.CONNECTING is connection.state


def test_a_connection_never_started_can_be_closed() -> None:
    """It has an end like any other, and cannot be started any more."""
    recorder = Recorder("ws://127.0.0.1:1/")
    assert recorder.close()

    assert "before it was open" in str(recorder.end())
    with pytest.raises(RuntimeError, match="started only once"):
        recorder.connection.start()


def test_a_connection_is_started_once() -> None:
    """A second thread would own the same socket."""
    with (
        websocket_server(echo) as url,
        recording(url) as recorder,
        pytest.raises(RuntimeError, match="started only once"),
    ):
        recorder.connection.start()


# Closing while connecting.


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_close_gives_a_handshake_up(scheme: str) -> None:
    """Neither a silent TLS nor a silent HTTP peer delays it."""
    arrived = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.recv(1)
        arrived.set()
        await_eof(sock)

    with tcp_server(script) as url:
        recorder = Recorder(url.replace("ws:", f"{scheme}:"), connect_timeout=60.0)
        recorder.connection.start()
        assert arrived.wait(HANG)
        assert recorder.connection.close(60)

    outcome = recorder.end()
    assert isinstance(outcome, ConnectionClosedError)
    assert "before it was open" in str(outcome)
    assert not recorder.opened.is_set()


def test_close_leaves_a_stuck_credential_behind() -> None:
    """It cannot be interrupted, and delays nothing: the end is reported at once, and only once."""
    go_on, entered = threading.Event(), threading.Event()

    def target() -> Target:
        entered.set()
        assert go_on.wait(4 * HANG)
        return Target("ws://127.0.0.1:1/")

    recorder = Recorder("", target=target)
    recorder.connection.start()
    assert entered.wait(HANG)
    assert not recorder.connection.close(0.1)
    assert recorder.ended.is_set()
    assert [name.startswith("azure-rt-reader-") for name in recorder.threads] == [True]

    go_on.set()
    assert recorder.connection.close(HANG)
    assert len(recorder.outcomes) == 1


def test_close_leaves_a_stuck_callback_behind() -> None:
    """A callback that does not return cannot hold close up."""
    go_on, entered = threading.Event(), threading.Event()

    def react(_: bytes) -> None:
        entered.set()
        assert go_on.wait(4 * HANG)

    with websocket_server(echo) as url:
        recorder = Recorder(url).open()
        recorder.react = react
        recorder.connection.send(b"x")
        assert entered.wait(HANG)
        assert not recorder.connection.close(0.1)
        assert "held up" in str(recorder.end())
        go_on.set()
        assert recorder.connection.close(HANG)

    assert len(recorder.outcomes) == 1


# Ends by the other side.


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("code", "reason", "kind", "error_code"),
    [
        (1000, "", "connection_error", None),
        (1001, "Your session hit the maximum duration of 60 minutes.", "connection_error", "session_expired"),
        (1011, "oops", "server_error", None),
        (4000, "invalid_request_error.missing_model", "invalid_request_error", "missing_model"),
        (3000, "invalid_request_error.invalid_api_key", "authentication_error", "invalid_api_key"),
    ],
)
def test_the_peer_closes(tls: bool, code: int, reason: str, kind: str, error_code: str | None) -> None:
    """Code and reason are kept, classified, and answered in kind."""
    replies: queue.Queue[tuple[int, bytes]] = queue.Queue()

    def script(sock: socket.socket) -> None:
        upgrade(sock, then=frame(TEXT, b"last words") + close_frame(code, reason))
        replies.put(read_frame(sock))
        await_eof(sock)

    with tcp_server(script, tls=tls) as url:
        recorder = Recorder(url)
        recorder.connection.start()
        outcome = recorder.end()
        assert recorder.connection.close(HANG)

    assert recorder.next() == b"last words"
    assert (code, reason, True, kind, error_code) == (
        outcome.close_code,
        outcome.reason,
        outcome.is_clean,
        outcome.type,
        outcome.code,
    )
    assert (8, code.to_bytes(2, "big")) == replies.get(timeout=HANG)


def test_the_peer_closes_without_a_code() -> None:
    """An empty close frame is a clean end, and is answered."""
    got: list[Any] = []

    def script(sock: socket.socket) -> None:
        upgrade(sock, then=frame(8))
        got.append(read_frame(sock))

    with tcp_server(script) as url:
        recorder = Recorder(url)
        recorder.connection.start()
        outcome = recorder.end()
        assert recorder.connection.close(HANG)

    assert (outcome.close_code, outcome.is_clean) == (1005, True)
    assert got == [(8, b"\x03\xe8")]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_the_peer_vanishes(tls: bool, reset: bool) -> None:
    """An end without a close frame is 1006, by FIN or by RST."""

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        read_frame(sock)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with tcp_server(script, tls=tls) as url:
        recorder = Recorder(url).open()
        recorder.connection.send(b"x")
        outcome = recorder.end()
        assert recorder.connection.close(HANG)

    assert (outcome.close_code, outcome.is_clean, outcome.type) == (1006, False, "connection_error")
    assert "lost without a close frame" in str(outcome)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(TEXT, b"x", mask=True), 1002, id="masked"),
        pytest.param(frame(5, b"x"), 1002, id="bad opcode"),
        pytest.param(frame(TEXT, claim=2**62), 1009, id="too big"),
    ],
)
def test_a_fault_of_the_peer_ends_the_connection_by_name(data: bytes, code: int) -> None:
    """What came before is delivered, and the peer is told the code."""
    got: list[Any] = []

    def script(sock: socket.socket) -> None:
        upgrade(sock, then=frame(TEXT, b"fine") + data)
        got.append(read_frame(sock))

    with tcp_server(script) as url:
        recorder = Recorder(url)
        recorder.connection.start()
        outcome = recorder.end()
        assert recorder.connection.close(HANG)

    assert recorder.next() == b"fine"
    assert code == outcome.close_code
    assert code == int.from_bytes(got[0][1][:2], "big")


def test_what_was_sent_before_the_peers_fault_is_still_written() -> None:
    """An answer that waited while the fault was read goes out before the close frame that names the fault."""
    got: list[tuple[int, bytes]] = []

    def script(sock: socket.socket) -> None:
        upgrade(sock, then=frame(TEXT, b"ask") + frame(5, b"x"))
        got.extend(read_frame(sock) for _ in range(2))

    with tcp_server(script) as url:
        recorder = Recorder(url)
        recorder.react = lambda _: recorder.connection.send(b"answer")
        recorder.connection.start()
        recorder.end()
        assert recorder.connection.close(HANG)

    assert [(TEXT, b"answer"), (CLOSE, (1002).to_bytes(2, "big"))] == [
        (op, data[:2] if op == CLOSE else data) for op, data in got
    ]


def test_a_refused_handshake_is_the_end() -> None:
    """The outcome is the ConnectError, and senders get it too."""

    def script(sock: socket.socket) -> None:
        read_head(sock)
        sock.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    with tcp_server(script) as url:
        recorder = Recorder(url)
        recorder.connection.start()
        outcome = recorder.end()
        assert recorder.connection.close(HANG)

    assert isinstance(outcome, ConnectError)
    assert outcome.status == 401
    assert WebSocketState.CLOSED is recorder.connection.state
    with pytest.raises(ConnectError, match="401"):
        recorder.connection.send(b"x")


def test_the_connect_timeout_ends_it() -> None:
    """It counts from the start of the handshake."""
    with tcp_server(await_eof) as url:
        recorder = Recorder(url, connect_timeout=0.1)
        recorder.connection.start()
        outcome = recorder.end()
        assert recorder.connection.close(HANG)

    assert "in time" in str(outcome)


@pytest.mark.parametrize("error", [ConnectError("mine"), ValueError(KEY)])
def test_a_credential_that_fails_is_the_end(error: Exception) -> None:
    """Our own errors pass as they are; others are translated, their text is not repeated."""

    def target() -> Target:
        raise error

    recorder = Recorder("", target=target)
    recorder.connection.start()
    outcome = recorder.end()
    assert recorder.connection.close(HANG)

    assert isinstance(outcome, ConnectError)
    if isinstance(error, ConnectError):
        assert outcome is error
    else:
        assert outcome.type == "authentication_error"
        assert outcome.__cause__ is error
        assert KEY not in str(outcome)


# Liveness.


def test_a_silent_peer_is_pinged_and_given_up() -> None:
    """Without an answer the connection ends by name, with the code others use for it."""
    got: list[Any] = []

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        got.append(read_frame(sock)[0])
        await_eof(sock)

    with tcp_server(script) as url:
        recorder = Recorder(url, ping_interval=0.1, ping_timeout=0.2)
        recorder.connection.start()
        outcome = recorder.end()
        assert recorder.connection.close(HANG)

    assert got == [PING]
    assert (outcome.close_code, outcome.is_clean, outcome.type) == (1011, False, "connection_error")
    assert "did not answer a ping within 0.2 s" in str(outcome)


def test_a_peer_that_answers_pings_stays() -> None:
    """Several rounds of silence and pongs, and then a message still arrives."""

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        for _ in range(3):
            assert read_frame(sock)[0] == PING
            sock.sendall(frame(10))
        sock.sendall(frame(TEXT, b"still here"))
        await_eof(sock)

    with tcp_server(script) as url:
        recorder = Recorder(url, ping_interval=0.05, ping_timeout=HANG).open()
        assert recorder.next() == b"still here"
        assert recorder.close()


def test_keepalive() -> None:
    """Anything heard counts; a ping is due after the interval, the verdict after the time-out."""
    keepalive = Keepalive(20.0, 10.0)

    assert keepalive.due_at(heard=100.0) == 120.0
    keepalive.note_ping(121.0)
    assert keepalive.due_at(heard=100.0) == 131.0
    assert keepalive.is_waiting
    assert not keepalive.is_overslept(131.0)
    assert keepalive.is_overslept(137.0)
    assert keepalive.due_at(heard=122.0) == 142.0
    assert not keepalive.is_waiting
    assert Keepalive(None, 10.0).due_at(heard=0.0) == float("inf")


# Callbacks.


def test_a_failing_callback_is_logged_and_passed_by(caplog: pytest.LogCaptureFixture) -> None:
    """The next message is delivered as if nothing had happened."""
    with websocket_server(echo) as url, recording(url) as recorder:

        def react(message: bytes) -> None:
            if message == b"1":
                raise LookupError("mine")

        recorder.react = react
        recorder.connection.send(b"1")
        recorder.connection.send(b"2")
        assert [recorder.next(), recorder.next()] == [b"1", b"2"]

    record = next(record for record in caplog.records if record.exc_info)
    assert "a callback failed" in record.getMessage()


def test_abort_ends_at_once_with_its_outcome() -> None:
    """Also from a callback; messages behind it are not delivered any more."""

    def script(sock: socket.socket) -> None:
        upgrade(sock, then=frame(TEXT, b"1") + frame(TEXT, b"2"))
        await_eof(sock)

    mine = ConnectionClosedError("enough", close_code=1008)
    with tcp_server(script) as url:
        recorder = Recorder(url)
        recorder.react = lambda _: recorder.connection.abort(mine)
        recorder.connection.start()

        assert mine is recorder.end()
        assert recorder.connection.close(HANG)

    assert list(recorder.messages.queue) == [b"1"]


def test_abort_while_connecting() -> None:
    """The handshake is given up."""
    mine = ConnectionClosedError("enough")
    arrived = threading.Event()
    with tcp_server(lambda sock: (read_head(sock), arrived.set(), await_eof(sock))[2]) as url:
        recorder = Recorder(url, connect_timeout=60.0)
        recorder.connection.start()
        assert arrived.wait(HANG)
        recorder.connection.abort(mine)

        assert mine is recorder.end()
        assert recorder.connection.close(HANG)


def test_abort_before_the_start() -> None:
    """The end is reported from there."""
    mine = ConnectionClosedError("enough")
    recorder = Recorder("ws://127.0.0.1:1/")
    recorder.connection.abort(mine)

    assert mine is recorder.end()


def test_another_opener_is_used() -> None:
    """The transport is a seam: whoever makes it decides what the connection runs on."""
    seen: list[Any] = []

    def opener(target: Target, _: WebSocketOptions, deadline: Deadline, waker: Waker, impl: Any) -> Any:
        seen.append((target, deadline.remaining() is not None, waker.interrupted))
        raise ConnectError("no")

    outcomes: queue.Queue[Any] = queue.Queue()
    target = Target("ws://h/")
    connection = Connection(
        lambda: target,
        WebSocketOptions(),
        on_open=lambda: None,
        on_message=lambda _: None,
        on_end=outcomes.put,
        opener=opener,
    )
    connection.start()

    assert str(outcomes.get(timeout=HANG)) == "no"
    assert connection.close(HANG)
    assert [(target, True, False)] == seen


# Process life.


def test_a_dropped_connection_ends() -> None:
    """A handle nobody holds is collected, the peer gets a goodbye, and the thread ends."""
    with websocket_server(echo) as url:
        ended = threading.Event()
        opened = threading.Event()
        connection = Connection(
            lambda: Target(url),
            WebSocketOptions(),
            on_open=opened.set,
            on_message=lambda _: None,
            on_end=lambda _: ended.set(),
        )
        connection.start()
        assert opened.wait(HANG)
        gone = weakref.ref(connection)
        del connection
        gc.collect()

        assert gone() is None
        assert ended.wait(HANG)


def test_a_connection_dropped_while_connecting_ends() -> None:
    """Also then nobody is left to wait for the handshake."""
    ended = threading.Event()
    arrived = threading.Event()
    with tcp_server(lambda sock: (read_head(sock), arrived.set(), await_eof(sock))[2]) as url:
        connection = Connection(
            lambda: Target(url),
            WebSocketOptions(connect_timeout=60.0),
            on_open=lambda: None,
            on_message=lambda _: None,
            on_end=lambda _: ended.set(),
        )
        connection.start()
        assert arrived.wait(HANG)
        del connection
        gc.collect()

        assert ended.wait(HANG)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_no_harm() -> None:
    """The child can neither send nor close; the parent's connection goes on."""
    with websocket_server(echo) as url, recording(url) as recorder:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            word = b"?"
            try:
                try:
                    recorder.connection.send(b"from the child")
                except RuntimeError:
                    word = b"refused" if recorder.connection.close(1) else b"close"
                recorder.connection.abort(ConnectionClosedError("no"))
            finally:
                os.write(write_end, word)
                os._exit(0)
        os.close(write_end)
        said = os.read(read_end, 100)
        os.close(read_end)
        os.waitpid(child, 0)
        recorder.connection.send(b"from the parent")

        assert said == b"refused"
        assert recorder.next() == b"from the parent"


@pytest.mark.parametrize("hold", ["connection = ", "[", ""], ids=["held", "in a cycle", "dropped"])
def test_the_interpreter_exits(hold: str) -> None:
    """An open connection delays the exit only by its goodbye, and leaves no trace on stderr."""
    closes: queue.Queue[Any] = queue.Queue()

    def handler(peer: ServerConnection) -> None:
        for _ in peer:
            peer.send("hello")
        closes.put(peer.close_code)

    made = {"connection = ": "keep = make()", "[": "keep = [make()]; keep.append(keep)", "": "make()"}[hold]
    with websocket_server(handler) as url:
        code = f"""
            import threading
            from azure_rt_audio._transport import Connection, Target
            from azure_rt_audio.options import WebSocketOptions
            heard = threading.Event()
            def make():
                connection = Connection(
                    lambda: Target({url!r}), WebSocketOptions(), on_open=lambda: None,
                    on_message=lambda message: heard.set(), on_end=lambda outcome: None,
                )
                connection.send(b"x")
                connection.start()
                assert heard.wait(5)
                return connection
            {made}
        """
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", textwrap.dedent(code)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            timeout=4 * HANG,
            check=False,
        )

        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert closes.get(timeout=HANG) == 1000


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Logs say where and how large, never what or with which key."""
    caplog.set_level("DEBUG")
    with websocket_server(echo) as url, recording(url, ping_interval=0.05) as recorder:
        recorder.connection.send(b"private words")
        recorder.next()

    ours = [record.getMessage() for record in caplog.records if record.name.startswith("azure_rt_audio")]
    assert [line for line in ours if "open to 127.0.0.1" in line]
    assert not [line for line in ours if KEY in line or "private" in line or "not-shown" in line]
    assert "Connection azure-rt-reader-" in repr(recorder.connection)


def test_a_wrong_websocket() -> None:
    """What cannot make a WebSocket is refused."""
    with pytest.raises(TypeError, match="websocket_impl"):
        Recorder("ws://127.0.0.1:1/", websocket_impl="websocket")
