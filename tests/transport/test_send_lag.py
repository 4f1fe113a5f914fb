"""A line that takes less than is sent: what waits is seen, told, kept or dropped, and counts as life."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from fake_servers import HANG, await_eof, no_thread_is_left, options_of, read_frame, tcp_server, upgrade

from azure_rt_audio._transport import Connection, LagReport, Target, send_queue
from azure_rt_audio._transport.send_lag import LagWatch
from azure_rt_audio._transport.send_queue import SendQueue
from azure_rt_audio._transport.websocket import Transport

LARGE = 12_000_000
"""Bytes that no system takes from a peer that does not read."""


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    with no_thread_is_left():
        yield


class Line:
    """An open connection that writes down what it is told."""

    def __init__(self, url: str, **options: Any) -> None:
        self.reports: queue.Queue[LagReport] = queue.Queue()
        self.ended: queue.Queue[Any] = queue.Queue()
        opened = threading.Event()
        self.connection = Connection(
            lambda: Target(url),
            options_of({"lag_limit": 0.1, **options}),
            on_open=opened.set,
            on_message=lambda _: None,
            on_end=self.ended.put,
            on_lag=self.reports.put,
        )
        self.connection.start()
        assert opened.wait(HANG)

    def next_report(self) -> LagReport:
        """Return the next one."""
        return self.reports.get(timeout=HANG)


class Reader:
    """A peer that reads when it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.frames: queue.Queue[bytes] = queue.Queue()

    def __call__(self, sock: socket.socket) -> None:
        upgrade(sock)
        assert self.go_on.wait(HANG)
        while (frame := read_frame(sock))[0] != 8:
            self.frames.put(frame[1])

    def until(self, last: bytes) -> list[bytes]:
        """Let it read, and return what comes until then."""
        self.go_on.set()
        found: list[bytes] = []
        while not found or found[-1] != last:
            found.append(self.frames.get(timeout=HANG))
        return found


def until_zero(figure: Callable[[], float]) -> bool:
    """Wait until something is 0: an acknowledgement takes a moment."""
    pause = threading.Event()
    return any(figure() == 0 or pause.wait(0.001) for _ in range(int(HANG / 0.001)))


@contextlib.contextmanager
def line_to(script: Callable[[socket.socket], None], *, tls: bool = False, **options: Any) -> Iterator[Line]:
    """Yield an open connection to a scripted peer."""
    with tcp_server(script, tls=tls) as url:
        line = Line(url, **options)
        try:
            yield line
        finally:
            assert line.connection.close(HANG)


@pytest.mark.parametrize("tls", [False, True])
def test_what_waits_has_an_age_and_is_told(tls: bool) -> None:
    """Sound that a peer does not take is told when the limit is over, and again when it is gone."""
    peer = Reader()
    with line_to(peer, tls=tls) as line:
        idle = line.connection.send_lag_s
        line.connection.send(b"x" * LARGE)
        for _ in range(10):
            line.connection.send(b"sound", live_s=0.1)
        sent = line.connection._driver._clock()
        line.connection.send(b"command")
        behind = line.next_report()
        lag, unwritten = line.connection.send_lag_s, line.connection.written_at(sent)
        arrived = peer.until(b"command")
        caught_up = line.next_report()
        while not caught_up.is_behind and line.reports.qsize():
            caught_up = line.next_report()

        assert idle == 0
        assert behind.is_behind
        assert (behind.dropped_s, behind.unsent_bytes) == (0, 10 * len(b"sound") + len(b"command"))
        assert 0.1 <= behind.lag_s <= lag
        assert unwritten is None
        assert arrived[1:] == [b"sound"] * 10 + [b"command"]
        assert not caught_up.is_behind
        assert until_zero(lambda: line.connection.send_lag_s)
        assert (line.connection.written_at(sent) or 0.0) >= sent


def test_the_oldest_sound_is_dropped_and_nothing_else() -> None:
    """Of what waits too long, sound goes, the oldest first; commands stay, and their order."""
    peer = Reader()
    with line_to(peer, lag="drop_oldest") as line:
        line.connection.send(b"x" * LARGE)
        for number in range(5):
            line.connection.send(b"old %d" % number, live_s=0.2)
            line.connection.send(b"command %d" % number)
        report = line.next_report()
        arrived = peer.until(b"command 4")[1:]
        line.connection.send(b"new", live_s=0.2)
        line.connection.send(b"end")
        arrived += peer.until(b"end")

        assert report.is_behind
        assert report.dropped_s == pytest.approx(1.0)
        assert arrived == [b"command %d" % number for number in range(5)] + [b"new", b"end"]


def test_files_are_not_dropped() -> None:
    """What is not live is kept and not complained of, however long it takes."""
    peer = Reader()
    with line_to(peer, lag="drop_oldest") as line:
        line.connection.send(b"x" * LARGE)
        line.connection.send(b"file")
        line.connection.send(b"old", live_s=0.1)
        report = line.next_report()  # of the sound behind it
        line.connection.send(b"end")

        assert report.dropped_s == pytest.approx(0.1)
        assert peer.until(b"end")[1:] == [b"file", b"end"]


def test_sound_that_finds_no_room_makes_some() -> None:
    """With a small queue the oldest is dropped at once, and no caller waits."""
    peer = Reader()
    limits = {"max_send_backlog_bytes": 10_000, "lag_limit": HANG, "lag": "drop_oldest"}
    with line_to(peer, **limits) as line:
        line.connection.send(b"x" * LARGE)
        for number in range(20):
            line.connection.send(b"%d " % number + bytes(998), 0.0, live_s=0.1)
        line.connection.send(b"end", 0.0)
        arrived = peer.until(b"end")[1:]

        assert [int(piece.split()[0]) for piece in arrived[:-1]] == list(range(11, 20))
        dropped_s = line.next_report().dropped_s
        while dropped_s < 1.05:  # the I/O thread may look while there are more to come
            dropped_s += line.next_report().dropped_s
        assert dropped_s == pytest.approx(1.1)


def test_progress_is_life() -> None:
    """A peer that takes what waits, slowly, is alive, though it says nothing; one that stops is not."""
    size = 24_000_000
    stopped = threading.Event()

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        pause, left = threading.Event(), size // 2
        while left > 0 and (part := sock.recv(1_000_000)):
            left -= len(part)
            pause.wait(0.01)
        stopped.set()
        pause.wait(1.0)
        await_eof(sock)

    with tcp_server(script) as url:
        line = Line(url, ping_interval=0.1, ping_timeout=0.1, lag_limit=HANG)
        line.connection.send(b"x" * size)
        assert stopped.wait(2 * HANG)
        was_alive = line.connection.outcome is None
        outcome = line.ended.get(timeout=HANG)
        line.connection.close(0.1)

    assert was_alive
    assert "did not answer a ping" in str(outcome)


def test_when_a_delayed_frame_was_written() -> None:
    """What was put before the end of a batch was written with it; what came later was not delayed."""
    watch = LagWatch(2.0)
    watch.note_written(10.0, 10.1)  # hardly delayed
    watch.note_written(20.0, 23.0)
    watch.note_written(21.0, 25.0)

    assert [watch.written_at(put) for put in (9.0, 20.0, 20.5, 21.01, 22.0)] == [23.0, 23.0, 25.0, 25.0, 22.0]


def test_only_so_much_is_remembered() -> None:
    """An hour behind costs no more than a minute."""
    watch = LagWatch(2.0)
    for number in range(5000):
        watch.note_written(number, number + 3.0)

    assert len(watch._written) <= 64
    assert watch.written_at(4999.0) == 5002.0


@pytest.mark.parametrize(
    ("lags", "told"),
    [
        ([0.0, 1.9], []),
        ([2.0, 2.5], [True]),
        ([2.0, 0.9], [True]),
        ([2.0, 0.7], [True, False]),
        ([2.0, 0.7, 2.0], [True, False, True]),
    ],
)
def test_what_is_told(lags: list[float], told: list[bool]) -> None:
    """Only a change, half a second apart; in between the lag goes up and down."""
    watch = LagWatch(2.0)
    reports = [watch.look(lag, 0.5 * number, lag, 0) for number, lag in enumerate(lags)]

    assert [report.is_behind for report in reports if report is not None] == told


def test_it_is_told_once_a_second() -> None:
    """Whoever listens sees how it goes, and is not flooded."""
    watch = LagWatch(2.0)
    reports = [watch.look(3.0, number / 10, 3.0, 0) for number in range(31)]

    assert sum(report is not None for report in reports) == 4


class Swallowing:
    """A transport that takes everything and is never told that it arrived."""

    given = acknowledged = unsent = 0
    may_write_here = True

    def send(self, payload: bytes) -> None:
        """Count it."""
        self.given += len(payload)

    def flush(self) -> bool:
        """All is written."""
        return True


class Live(float):
    """Seconds of live sound that let something happen whenever a mark of theirs is looked at."""

    meanwhile: Callable[[], None]

    def __gt__(self, other: object) -> bool:
        return cast(bool, self)

    def __bool__(self) -> bool:
        self.meanwhile()
        return False


def a_queue(limit: float = 2.0) -> SendQueue:
    """Return one whose clock goes on by a second at each look, so that each frame has a mark of its own."""
    times = iter(range(1_000_000))
    sender = SendQueue(1 << 20, lambda: None, LagWatch(limit, may_drop=True), lambda: float(next(times)))
    sender.attach(cast(Transport, Swallowing()))
    return sender


def test_a_caller_writes_while_the_lag_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that callers send between any two steps of a look do not end the connection."""
    monkeypatch.setattr(send_queue, "_IN_A_ROW", -1.0)  # each is written by its caller, if it may be
    sender = a_queue()
    seconds = Live(0.02)
    seconds.meanwhile = lambda: None
    for _ in range(3):
        sender.put(b"sound", 0.0, on_io_thread=False, live_s=seconds)
    sent: list[bytes] = []

    def put() -> None:
        sent.append(b"command")
        sender.put(sent[-1], 0.0, on_io_thread=False)

    seconds.meanwhile = put
    sender.check_lag()

    assert sent
    assert sender.lag_s > 0


class Left(deque[float]):
    """Live sound that is dropped between a look whether there is any and a look at it."""

    def __len__(self) -> int:
        return 1


def test_a_caller_drops_sound_while_the_lag_is_looked_at() -> None:
    """Sound that finds no room and drops what was before does not end the connection, either."""
    sender = a_queue()
    sender._live = Left()

    assert sender.check_lag() is None
    assert sender.lag_due == float("inf")
