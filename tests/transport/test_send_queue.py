"""Who writes: callers while the I/O thread waits, else the I/O thread; one at a time, and in order."""

from __future__ import annotations

import contextlib
import itertools
import queue
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websocket
from fake_servers import (
    HANG,
    TEXT,
    await_eof,
    echo_server,
    frame,
    no_thread_is_left,
    options_of,
    read_frame,
    tcp_server,
    upgrade,
)

from azure_rt_audio._transport import Connection, Target
from azure_rt_audio._transport.handshake import open_transport
from azure_rt_audio._transport.send_queue import SendQueue
from azure_rt_audio._transport.websocket import Transport


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    with no_thread_is_left():
        yield


def test_frames_that_belong_together_are_queued_together() -> None:
    """All of them or none: without room for the last, the first is not queued either."""
    queue = SendQueue(10, lambda: None)
    queue.put(b"first.", 0.0, on_io_thread=False)
    with pytest.raises(TimeoutError, match="6 bytes"):
        queue.put_together([b"123", b"45"], 0.0, on_io_thread=False)
    queue.put_together([b"12", b"34"], 0.0, on_io_thread=False)

    assert [frame[0] for frame in queue._queue] == [b"first.", b"12", b"34"]
    assert queue._queued == 10


class Watched:
    """The real transport, noting who calls what, and that nobody calls while somebody else is inside."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._inside = threading.Lock()
        self.overlaps = 0
        self.calls: list[tuple[str, str]] = []
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[], None]] = {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._transport, name)
        if name not in ("fill", "receive", "send", "ping", "send_close", "flush", "release"):
            return value

        def call(*args: Any) -> Any:
            if not self._inside.acquire(blocking=False):
                self.overlaps += 1
                return value(*args)
            try:
                self.calls.append((name, threading.current_thread().name))
                self.before.get(name, _nothing)()
                result = value(*args)
                self.after.get(name, _nothing)()
                return result
            finally:
                self._inside.release()

        return call

    def callers_of(self, name: str) -> list[str]:
        """Return the threads that called it, in order."""
        return [thread for called, thread in self.calls if called == name]


def _nothing() -> None:
    pass


class Opened:
    """A connection over a :class:`Watched` transport."""

    def __init__(self, url: str, **options: Any) -> None:
        self.messages: queue.Queue[bytes] = queue.Queue()
        self.react: Callable[[], None] = _nothing
        self.ended: queue.Queue[Any] = queue.Queue()
        opened = threading.Event()

        def opener(*args: Any) -> Any:
            self.transport = Watched(open_transport(*args))
            return self.transport

        self.connection = Connection(
            lambda: Target(url),
            options_of(options),
            websocket_impl=options.get("websocket_impl"),
            on_open=opened.set,
            on_message=self._take,
            on_end=self.ended.put,
            opener=opener,
        )
        self.connection.start()
        assert opened.wait(HANG)
        self.send_queue = self.connection._driver.send_queue

    def _take(self, payload: Any) -> None:
        self.messages.put(bytes(payload))
        self.react()

    def wait_until_idle(self) -> None:
        """Wait until the I/O thread waits, and a caller may write."""
        pause = threading.Event()
        for _ in range(int(HANG / 0.001)):
            if self.connection._driver._io._waker._is_armed and not self.send_queue.write_lock.locked():
                return
            pause.wait(0.001)
        raise AssertionError("the I/O thread never waited")


@contextlib.contextmanager
def opened(url: str, **options: Any) -> Iterator[Opened]:
    """Yield an open connection, closed at the end."""
    it = Opened(url, **options)
    try:
        yield it
    finally:
        assert it.connection.close(HANG)
        assert it.transport.overlaps == 0


@pytest.mark.parametrize("tls", [False, True])
def test_a_lone_frame_is_written_by_its_caller(tls: bool) -> None:
    """While the I/O thread waits, it need not get up for a frame."""
    with echo_server(tls=tls) as url, opened(url) as it:
        it.wait_until_idle()
        caller = threading.Thread(target=it.connection.send, args=(b"alone",), name="caller")
        caller.start()
        caller.join(HANG)

        assert it.messages.get(timeout=HANG) == b"alone"
        assert it.transport.callers_of("send") == ["caller"]


@pytest.mark.parametrize("tls", [False, True])
def test_over_tls_the_main_thread_leaves_its_frames(tls: bool) -> None:
    """A signal handler can come between writing and noting there, and Ctrl-C must not cost the connection."""
    assert threading.current_thread() is threading.main_thread()
    with echo_server(tls=tls) as url, opened(url) as it:
        it.wait_until_idle()
        it.connection.send(b"main")

        assert it.messages.get(timeout=HANG) == b"main"
        assert it.transport.callers_of("send")[0].startswith("azure-rt-reader" if tls else "MainThread")


def test_frames_in_a_row_are_written_together() -> None:
    """A burst takes fewer writes than it has frames, and none is left behind."""
    with echo_server() as url, opened(url) as it:
        for number in range(1000):
            it.connection.send(b"%d" % number)

        assert [int(it.messages.get(timeout=HANG)) for _ in range(1000)] == list(range(1000))
        assert len(it.transport.callers_of("send")) == 1000
        assert len(it.transport.callers_of("flush")) < 900


def test_a_frame_during_a_read_is_queued() -> None:
    """The losing side of the race for the transport leaves its frame, and it goes out all the same."""
    reading, sent = threading.Event(), threading.Event()

    def hold() -> None:
        reading.set()
        assert sent.wait(HANG)

    with echo_server() as url, opened(url) as it:
        it.wait_until_idle()
        it.transport.after["fill"] = hold
        it.connection.send(b"first")
        assert reading.wait(HANG)
        it.connection.send(b"second")
        sent.set()

        assert [it.messages.get(timeout=HANG) for _ in range(2)] == [b"first", b"second"]
        assert it.transport.callers_of("send")[1].startswith("azure-rt-reader")


def test_a_frame_during_a_callers_write_is_queued_behind_it() -> None:
    """Of two callers one writes; the other's frame follows, in order."""
    writing, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        writing.set()
        assert go_on.wait(HANG)

    with echo_server() as url, opened(url) as it:
        it.wait_until_idle()
        it.transport.before["flush"] = hold
        first = threading.Thread(target=it.connection.send, args=(b"first",), name="first")
        first.start()
        assert writing.wait(HANG)
        del it.transport.before["flush"]
        it.connection.send(b"second")
        go_on.set()
        first.join(HANG)

        assert [it.messages.get(timeout=HANG) for _ in range(2)] == [b"first", b"second"]
        assert it.transport.callers_of("send")[0] == "first"


def test_what_the_socket_does_not_take_at_once_is_the_io_threads() -> None:
    """A caller never waits for the network: it leaves what is unsent, and goes on."""
    go_on = threading.Event()
    sizes: queue.Queue[int] = queue.Queue()

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        assert go_on.wait(HANG)
        for _ in range(2):
            sizes.put(len(read_frame(sock)[1]))
        await_eof(sock)

    with tcp_server(script) as url, opened(url) as it:
        it.wait_until_idle()
        it.connection.send(b"x" * 12_000_000)  # returns, though nobody reads
        it.connection.send(b"y")
        go_on.set()

        assert sizes.get(timeout=2 * HANG) == 12_000_000
        assert sizes.get(timeout=HANG) == 1
        assert it.transport.callers_of("send")[0] == threading.current_thread().name


@pytest.mark.parametrize("tls", [False, True])
def test_four_threads_send_while_everything_happens(tls: bool) -> None:
    """Callers and the I/O thread take turns under pings and a flood of answers; each thread's order holds."""
    chance = random.Random(3)
    sizes = [chance.choice((1, 100, 5_000, 70_000)) for _ in range(300)]
    with echo_server(tls=tls) as url, opened(url, ping_interval=0.01, ping_timeout=HANG) as it:

        def send(name: bytes) -> None:
            pause = threading.Event()
            for number, size in enumerate(sizes):
                it.connection.send(b"%b %d " % (name, number) + b"x" * size)
                if number % 20 == 0:
                    pause.wait(0.002)  # so that there are lone frames too

        def send_alone() -> None:
            while threading.current_thread().name not in it.transport.callers_of("send"):
                it.wait_until_idle()
                it.connection.send(b"alone")

        threads = [threading.Thread(target=send, args=(b"%d" % index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        seen: dict[bytes, list[int]] = {b"%d" % index: [] for index in range(4)}
        for _ in range(4 * len(sizes)):
            name, number, rest = it.messages.get(timeout=HANG).split(b" ", 2)
            assert len(rest) == sizes[int(number)]
            seen[name].append(int(number))
        for thread in threads:
            thread.join(HANG)
        # On a busy machine the I/O thread may have written all of it, so one caller tries until it may.
        alone = threading.Thread(target=send_alone, name="alone", daemon=True)
        alone.start()
        alone.join(HANG)
        writers = set(it.transport.callers_of("send"))

    assert all(numbers == list(range(len(sizes))) for numbers in seen.values())
    assert "alone" in writers
    assert any(name.startswith("azure-rt-reader") for name in writers)


def test_nothing_is_written_after_the_goodbye() -> None:
    """A frame that comes while the connection is being closed is refused, not put behind the close frame."""
    frames: queue.Queue[Any] = queue.Queue()

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        frames.put(read_frame(sock)[0])
        frames.put(sock.recv(1))

    with tcp_server(script) as url:
        it = Opened(url)
        it.connection.close(0.2)
        with pytest.raises(Exception, match="closed by this side"):
            it.connection.send(b"late")

    assert [frames.get(timeout=HANG), frames.get(timeout=HANG)] == [8, b""]


def test_what_a_caller_meets_is_told_by_the_io_thread() -> None:
    """A write into a broken connection raises no more than a queued one would."""

    def fail() -> None:
        from azure_rt_audio._transport.close_reasons import lost

        raise lost("there", BrokenPipeError(32, "Broken pipe"))

    with echo_server() as url:
        it = Opened(url)
        it.wait_until_idle()
        it.transport.before["flush"] = fail
        it.connection.send(b"x")

        assert "lost without a close frame (Broken pipe)" in str(it.ended.get(timeout=HANG))
        assert it.connection.close(HANG)


class Stopping:
    """The socket of a link, which stops its caller just before or just after a write."""

    def __init__(self, link: Any, when: str) -> None:
        self._real, self._when = link._sock, when
        self.is_armed = True
        link._sock = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def fileno(self) -> int:
        return int(self._real.fileno())

    def send(self, data: bytes) -> int:
        if self.is_armed and self._when == "before":
            self.is_armed = False
            raise KeyboardInterrupt
        count = int(self._real.send(data))
        if self.is_armed:
            self.is_armed = False
            raise KeyboardInterrupt
        return count


def test_a_caller_stopped_between_writing_and_noting_ends_the_connection() -> None:
    """Where nobody knows what was written, nothing is written twice: the connection says so, and ends."""
    seen: queue.Queue[Any] = queue.Queue()
    with tcp_server(_collect_into(seen), tls=True) as url:
        it = Opened(url)
        it.wait_until_idle()
        Stopping(it.transport._transport._socket, "after")

        def send() -> None:
            try:
                it.connection.send(b"once")
            except KeyboardInterrupt:
                seen.put("stopped")

        caller = threading.Thread(target=send)
        caller.start()
        caller.join(HANG)
        outcome = it.ended.get(timeout=HANG)
        assert it.connection.close(HANG)

    assert "sending was interrupted" in str(outcome)
    assert {seen.get(timeout=HANG), seen.get(timeout=HANG)} == {"stopped", b"once"}
    assert seen.empty()


def _collect_into(seen: queue.Queue[Any]) -> Callable[[socket.socket], None]:
    def script(sock: socket.socket) -> None:
        upgrade(sock)
        while True:
            opcode, payload = read_frame(sock)
            if opcode != TEXT:
                return
            seen.put(payload)

    return script


def test_a_class_of_ones_own_is_called_on_the_io_thread_only() -> None:
    """Who overrides sending need not know of threads."""
    threads: set[str] = set()

    class Mine(websocket.WebSocket):
        def send_frame(self, frame: Any) -> Any:
            threads.add(threading.current_thread().name)
            return super().send_frame(frame)

    with echo_server() as url, opened(url, websocket_impl=Mine) as it:
        it.wait_until_idle()
        for _ in range(20):
            it.connection.send(b"x")
            it.messages.get(timeout=HANG)

    assert len(threads) == 1
    assert threads.pop().startswith("azure-rt-reader")


def test_a_callback_that_sends_does_not_wait_for_itself() -> None:
    """On the I/O thread, which has the transport, a frame is queued and goes out in the same turn."""
    with tcp_server(_one_and_echo) as url, opened(url) as it:
        it.react = lambda: it.connection.send(b"answer") if it.messages.qsize() == 1 else None
        it.connection.send(b"go")

        assert [it.messages.get(timeout=HANG) for _ in range(2)] == [b"go", b"answer"]


def _one_and_echo(sock: socket.socket) -> None:
    upgrade(sock)
    while True:
        opcode, payload = read_frame(sock)
        sock.sendall(frame(opcode, payload))
        if opcode != TEXT:
            return


_INTERRUPTED = """
    import os, signal, ssl, sys, threading
    from azure_rt_audio._transport import Connection, Target
    from azure_rt_audio.options import WebSocketOptions

    armed = False

    def handler(*_):
        global armed
        if armed:
            armed = False
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handler)
    opened, ended = threading.Event(), threading.Event()
    connection = Connection(
        lambda: Target(sys.argv[1]),
        WebSocketOptions(ssl_context=ssl._create_unverified_context()),
        on_open=opened.set,
        on_message=lambda _: None,
        on_end=lambda outcome: (print("ended:", outcome, flush=True), ended.set()),
    )
    connection.start()
    assert opened.wait(10)
    stop = threading.Event()

    def interrupt():
        while not stop.wait(0.0007):
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    sent = interrupts = 0
    while interrupts < 300 and not ended.is_set():
        try:
            armed = True
            while True:
                connection.send(b"%08d" % sent + b"x" * 3000)
                sent += 1
        except KeyboardInterrupt:
            interrupts += 1
        except Exception:
            break
    armed = False
    stop.set()
    connection.close(40)  # what waits is read by a peer that takes its time
    print("interrupts:", interrupts, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of POSIX")
@pytest.mark.parametrize("tls", [False, True])
def test_three_hundred_interrupts_damage_nothing(tls: bool) -> None:
    """Ctrl-C while sending, again and again: frames are whole, in order, once, and the connection stays."""
    numbers: list[int] = []
    faults: list[bytes] = []

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        while True:
            opcode, payload = read_frame(sock)
            if opcode != TEXT:
                sock.sendall(frame(opcode, payload))
                return
            if len(payload) != 3008 or payload[8:] != b"x" * 3000:
                faults.append(payload[:20])
            numbers.append(int(payload[:8]))

    with tcp_server(script, tls=tls) as url:
        program = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(_INTERRUPTED), url],
            capture_output=True,
            text=True,
            timeout=90,
        )

    assert program.returncode == 0, program.stderr
    assert "ended: The connection was closed by this side." in program.stdout
    assert "interrupts: 300" in program.stdout
    assert faults == []
    # A number is sent again only if the interrupt came after its frame had been queued.
    assert all(later - earlier in (0, 1) for earlier, later in itertools.pairwise(numbers))
