"""TLS under many threads: no two calls of OpenSSL overlap on a connection, and nothing is lost or damaged."""

from __future__ import annotations

import os
import random
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from fake_servers import HANG, TEXT, Recorder, close_frame, frame, read_frame, tcp_server, upgrade
from race_client import Watch, race, watch_over
from race_plan import Ledger, make_frame
from race_service import Service
from race_tls import Handshake, KeyLog, Records

CONNECTIONS = 300

RUN = int(os.environ.get("TLS_RACE_RUN") or random.SystemRandom().randrange(10**9))
"""What the race is drawn from; the variable repeats one that failed."""


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    """A context that trusts the service."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_nothing_is_lost_whatever_the_threads_do(
    authority: trustme.CA, context: ssl.SSLContext, tmp_path: Path
) -> None:
    """
    Three hundred connections end as planned and every frame arrives whole and in its place, with no two calls
    of OpenSSL at once, while four threads write and keys change and tickets come in the midst of frames.
    """
    pem = tmp_path / "service.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(pem))
    watches = watch_over(context)
    with Service(pem, RUN) as service:
        result = race(service, context, RUN, CONNECTIONS)

    summary = f"repeat with TLS_RACE_RUN={RUN}: {result}"
    assert result.problems == [], summary
    assert (result.connections, result.lost, result.corrupted) == (CONNECTIONS, 0, 0), summary
    # It was a race: there was all that makes one.
    assert min(result.out, result.back) > 10 * CONNECTIONS, summary
    assert min(result.updates, result.answers, result.tickets, result.pings) > CONNECTIONS / 4, summary

    assert len(watches) == CONNECTIONS, summary
    assert [watch.overlaps for watch in watches if watch.overlaps] == [], summary
    # Others may write, but the dial thread alone shakes hands, and then the I/O thread reads and closes.
    owners = [name for watch in watches for name in watch.owners]
    for kind in ("azure-rt-dial-", "azure-rt-reader-"):
        of_kind = [name for name in owners if name.startswith(kind)]
        assert len(set(of_kind)) == len(of_kind) == CONNECTIONS, summary
    assert len(owners) == 2 * CONNECTIONS, summary


class _RecordSocket:
    """As much of a socket as the script of a peer needs, over :class:`Records`."""

    def __init__(self, sock: socket.socket, handshake: Handshake) -> None:
        while handshake.records is None:
            sock.sendall(handshake.take(sock.recv(65536)))
        self._sock = sock
        self._data = bytearray(handshake.records.open(handshake.rest))
        self.records = handshake.records

    def recv(self, size: int) -> bytes:
        while not self._data and not self.records.at_end:
            self._data += self.records.open(self._sock.recv(65536))
        data = bytes(self._data[:size])
        del self._data[:size]
        return data

    def sendall(self, data: bytes) -> None:
        self._sock.sendall(self.records.data(data))


@pytest.mark.parametrize(
    "second",
    [
        lambda records: records.ticket(b"a session ticket"),
        lambda records: records.key_update(requested=False),
        lambda records: records.key_update(requested=True),
    ],
    ids=["ticket", "update", "update_and_ask"],
)
def test_a_stalled_write_survives_what_the_peer_asks_for(
    second: Callable[[Records], bytes], authority: trustme.CA, context: ssl.SSLContext, tmp_path: Path
) -> None:
    """
    While the peer reads nothing, it may change the keys, ask for new ones and go on with the handshake
    protocol: messages keep arriving, and what could not be written arrives whole once it reads again.
    """
    large = b"x" * 2_000_000  # more than the buffers of two sockets that are not read
    stalled, arrived = threading.Event(), threading.Event()
    received: list[Any] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.num_tickets = 0
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    keys = KeyLog(server, tmp_path / "keys")

    def script(sock: socket.socket) -> None:
        peer: Any = _RecordSocket(sock, Handshake(server, keys))
        upgrade(peer)
        assert stalled.wait(HANG)
        sock.sendall(peer.records.key_update(requested=True) + second(peer.records))
        peer.sendall(frame(TEXT, b"still here"))
        arrived.wait(HANG)
        received.extend(read_frame(peer) for _ in range(3))
        received.append(peer.records.updates_received)
        peer.sendall(close_frame(4000))

    with tcp_server(script) as url:
        recorder = Recorder(
            url.replace("ws://", "wss://"),
            ssl_context=context,
            sockopt=[(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)],
        ).open()
        recorder.connection.send(large)
        recorder.connection.send(b"and")
        assert not recorder.ended.wait(0.3)
        transport = recorder.connection._driver._transport
        assert transport is not None
        assert transport.unsent > 0
        stalled.set()
        try:
            assert recorder.next() == b"still here"
            recorder.connection.send(b"done")  # nobody waits for the peer
        finally:
            arrived.set()
            outcome = recorder.end()
            assert recorder.connection.close(HANG)

    assert received[:3] == [(TEXT, large), (TEXT, b"and"), (TEXT, b"done")]
    assert received[3] >= 1
    assert outcome.close_code == 4000


def test_the_ledger_finds_what_is_lost_repeated_swapped_or_damaged() -> None:
    """Of ten frames one that is missing, comes twice, comes too early or has one wrong byte is found."""
    dice = random.Random(1)
    frames = [make_frame(2, number, dice) for number in range(10)]
    damaged = frames[4][:-1] + bytes([frames[4][-1] ^ 1])

    def entered(*order: bytes) -> Ledger:
        ledger = Ledger()
        for one in order:
            ledger.enter(one)
        return ledger

    whole = entered(*frames)
    assert (whole.lost, whole.corrupted, whole.counts) == ([], [], [0, 0, 10, 0, 0])
    assert entered(*frames[:4], *frames[5:]).lost
    assert entered(*frames[:4], *frames[3:]).lost
    assert entered(frames[1], frames[0], *frames[2:]).lost
    assert len(entered(*frames[:4], damaged, *frames[5:]).corrupted) == 1


def test_the_watch_finds_two_threads_at_once() -> None:
    """A call that begins on one thread while another is inside is found, and one that follows is not."""
    watch = Watch()
    thread = threading.Thread(target=lambda: watch.using("pending").__enter__(), name="other")
    with watch.using("read"), watch.using("write"):
        assert watch.overlaps == []
        thread.start()
        thread.join(HANG)
    assert watch.overlaps == ["pending on other"]
    with watch.using("read"):
        pass
    assert len(watch.overlaps) == 1
    assert watch.owners == {threading.current_thread().name, "other"}
