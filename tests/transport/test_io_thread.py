"""Several connections on one I/O thread: each is served as if it were alone, and none delays another."""

from __future__ import annotations

import contextlib
import gc
import itertools
import linecache
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from fake_servers import (
    CLOSE,
    HANG,
    PING,
    TEXT,
    Recorder,
    await_eof,
    close_frame,
    echo_server,
    frame,
    no_thread_is_left,
    read_frame,
    read_head,
    tcp_server,
    upgrade,
)
from manual_clock import ManualClock

from azure_rt_audio._net import happy_eyeballs
from azure_rt_audio._transport import Connection, IOThread, Target, WebSocketState
from azure_rt_audio.errors import ConnectError, ConnectionClosedError
from azure_rt_audio.options import WebSocketOptions


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    with no_thread_is_left():
        yield


@pytest.fixture
def io_thread() -> Iterator[IOThread]:
    """A thread that ends with the test."""
    io_thread = IOThread()
    yield io_thread
    io_thread.release()
    assert io_thread.join(HANG)


@contextlib.contextmanager
def shared(url: str, io_thread: IOThread, **options: Any) -> Iterator[Recorder]:
    """Yield an open connection on a shared thread, closed at the end."""
    recorder = Recorder(url, io_thread=io_thread, **options).open()
    try:
        yield recorder
    finally:
        assert recorder.close()


def descriptors() -> int:
    """Return how many this process has open, once it has forgotten what nobody holds."""
    gc.collect()
    return len(os.listdir("/dev/fd")) if os.path.exists("/dev/fd") else 0


def settles(before: int) -> bool:
    """Whether as many descriptors are open as *before*, once the peers in this process have closed theirs."""
    end = time.monotonic() + HANG
    while (now := descriptors()) != before and time.monotonic() < end:
        threading.Event().wait(0.02)
    return now == before


def numbered_flood(count: int, got: list[int]) -> Callable[[socket.socket], None]:
    """
    Return a peer that sends numbered messages, and notes the numbers of what it gets.

    One thread does both, because no two threads may be inside one TLS connection: it sends a first lot, and
    then a message for each that it gets.
    """

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        messages = (frame(TEXT, b"%d" % number + b" " * 500) for number in range(count))
        sock.sendall(b"".join(itertools.islice(messages, 200)))
        while True:
            opcode, payload = read_frame(sock)
            if opcode == CLOSE:
                break
            got.append(int(payload))
            sock.sendall(next(messages, b""))
        sock.sendall(close_frame(1000))
        await_eof(sock)

    return script


# Several at once.


@pytest.mark.parametrize("tls", [(False, False), (True, True), (False, True)])
def test_two_floods_in_both_directions(tls: tuple[bool, bool], io_thread: IOThread) -> None:
    """Nothing of either is lost, doubled or out of order, and one thread receives both."""
    count = 3000
    numbers = list(range(count))
    got: tuple[list[int], list[int]] = ([], [])
    with (
        tcp_server(numbered_flood(count, got[0]), tls=tls[0]) as url_a,
        tcp_server(numbered_flood(count, got[1]), tls=tls[1]) as url_b,
        shared(url_a, io_thread) as a,
        shared(url_b, io_thread) as b,
    ):

        def send(recorder: Recorder) -> None:
            for number in numbers:
                recorder.connection.send(b"%d" % number + b" " * (number * 37 % 900))

        senders = [threading.Thread(target=send, args=(recorder,)) for recorder in (a, b)]
        for sender in senders:
            sender.start()
        received = [[int(recorder.next()) for _ in numbers] for recorder in (a, b)]
        for sender in senders:
            sender.join(60)
        assert a.connection.close(HANG)
        assert b.connection.close(HANG)

    assert received == [numbers, numbers]
    assert list(got) == [numbers, numbers]
    assert a.threads == b.threads == {io_thread.name}
    assert a.end().is_clean
    assert b.end().is_clean


def test_a_caller_writes_while_another_connection_is_busy(io_thread: IOThread) -> None:
    """A callback of one connection does not keep callers from writing to another one themselves."""
    inside, go_on = threading.Event(), threading.Event()

    def hold(_: bytes) -> None:
        inside.set()
        assert go_on.wait(HANG)

    got: queue.Queue[bytes] = queue.Queue()

    def note(sock: socket.socket) -> None:
        upgrade(sock)
        got.put(read_frame(sock)[1])
        await_eof(sock)

    with (
        tcp_server(note) as url_a,
        echo_server() as url_b,
        shared(url_a, io_thread) as a,
        shared(url_b, io_thread) as b,
    ):
        b.react = hold
        b.connection.send(b"x")
        assert inside.wait(HANG)
        caller = threading.Thread(target=a.connection.send, args=(b"alone",))
        caller.start()
        caller.join(HANG)

        assert got.get(timeout=HANG) == b"alone"
        go_on.set()


def test_a_flood_leaves_the_others_their_turn(io_thread: IOThread) -> None:
    """A peer that never stops sending does not keep another connection's round trips from ending."""
    done = threading.Event()

    def flood(sock: socket.socket) -> None:
        upgrade(sock)
        frames = frame(TEXT, b"x" * 50) * 1000
        while not done.is_set():
            sock.sendall(frames)
        await_eof(sock)

    with (
        tcp_server(flood) as url_a,
        echo_server() as url_b,
        shared(url_a, io_thread) as a,
        shared(url_b, io_thread) as b,
    ):
        for number in range(50):
            b.connection.send(b"%d" % number)
            assert b.next() == b"%d" % number
        assert a.messages.qsize() > 0
        done.set()


# Dialling.


def credential(stop: threading.Event, _: pytest.MonkeyPatch) -> Callable[[], Target]:
    """Return a target whose credential hangs."""

    def target() -> Target:
        assert stop.wait(4 * HANG)
        raise OSError

    return target


def resolver(stop: threading.Event, patch: pytest.MonkeyPatch) -> Callable[[], Target]:
    """Return a target whose name the system looks up for ever."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        if host != "hangs.example" or options.get("flags"):
            return real(host, *args, **options)
        assert stop.wait(4 * HANG)
        raise socket.gaierror

    patch.setattr(happy_eyeballs.socket, "getaddrinfo", getaddrinfo)
    return lambda: Target("ws://hangs.example/")


@pytest.mark.parametrize("what", [credential, resolver])
def test_a_dial_that_hangs_delays_nobody(
    what: Callable[..., Callable[[], Target]], io_thread: IOThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The open connection goes on, and the end of the other one is told at once."""
    stop = threading.Event()
    with echo_server() as url, shared(url, io_thread) as a:
        hanging = Recorder("", target=what(stop, monkeypatch), io_thread=io_thread, connect_timeout=60.0)
        hanging.connection.start()
        for number in range(20):
            a.connection.send(b"%d" % number)
            assert a.next() == b"%d" % number
        assert WebSocketState.CONNECTING is hanging.connection.state
        hanging.connection.close(0.05)

        assert "before it was open" in str(hanging.end())
        assert hanging.threads == {io_thread.name}
        a.connection.send(b"after")
        assert a.next() == b"after"
        stop.set()
        assert hanging.connection.close(HANG)


def test_a_silent_handshake_delays_nobody(io_thread: IOThread) -> None:
    """A peer that accepts and says nothing has its own connection waiting, and no other."""
    arrived = threading.Event()
    with (
        tcp_server(lambda sock: (read_head(sock), arrived.set(), await_eof(sock))[2]) as silent,
        echo_server() as url,
        shared(url, io_thread) as a,
    ):
        b = Recorder(silent, io_thread=io_thread, connect_timeout=60.0)
        b.connection.start()
        assert arrived.wait(HANG)
        a.connection.send(b"x")
        assert a.next() == b"x"
        assert b.connection.close(HANG)
        assert "before it was open" in str(b.end())


def test_a_transport_that_comes_too_late_is_released(io_thread: IOThread) -> None:
    """The dial thread closes what nobody wants any more."""
    go_on, entered, left = threading.Event(), threading.Event(), threading.Event()

    class Late:
        where = "late"

        def release(self) -> None:
            left.set()

    def opener(*_: Any) -> Any:
        entered.set()
        assert go_on.wait(HANG)
        return Late()

    ended: queue.Queue[Any] = queue.Queue()
    connection = Connection(
        lambda: Target("ws://127.0.0.1:1/"),
        WebSocketOptions(),
        on_open=lambda: None,
        on_message=lambda _: None,
        on_end=ended.put,
        io_thread=io_thread,
        opener=opener,
    )
    connection.start()
    assert entered.wait(HANG)
    assert not connection.close(0.01)
    assert "before it was open" in str(ended.get(timeout=HANG))
    go_on.set()

    assert left.wait(HANG)
    assert connection.close(HANG)


# Ends.


def test_one_that_ends_leaves_the_other(io_thread: IOThread) -> None:
    """Closing, aborting, losing or refusing a connection is no business of its neighbour."""
    with echo_server() as url, shared(url, io_thread) as a:

        def is_well() -> bool:
            a.connection.send(b"x")
            return a.next() == b"x"

        closed = Recorder(url, io_thread=io_thread).open()
        assert closed.connection.close(HANG)
        assert closed.end().is_clean
        assert is_well()
        aborted = Recorder(url, io_thread=io_thread).open()
        mine = ConnectionClosedError("enough")
        aborted.connection.abort(mine)
        assert aborted.end() is mine
        assert is_well()
        with tcp_server(upgrade) as lost:
            vanished = Recorder(lost, io_thread=io_thread).open()
            assert vanished.end().close_code == 1006
        assert is_well()
        refused = Recorder("ws://127.0.0.1:1/", io_thread=io_thread)
        refused.connection.start()
        assert "Nothing listens" in str(refused.end())
        assert is_well()
        for ended in (closed, aborted, vanished, refused):
            assert ended.connection.close(HANG)


def test_an_answer_that_nobody_reads_delays_nobody(io_thread: IOThread) -> None:
    """The close frame that answers a peer's waits for the socket without the thread."""
    stop = threading.Event()

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        got.put(sock.recv(1))
        sock.sendall(close_frame(4000))
        assert stop.wait(4 * HANG)

    got: queue.Queue[bytes] = queue.Queue()
    with tcp_server(script) as deaf, echo_server() as url, shared(url, io_thread) as a:
        b = Recorder(deaf, io_thread=io_thread).open()
        b.connection.send(b"x" * 20_000_000)
        pause = threading.Event()
        while b.connection.state is WebSocketState.OPEN:
            pause.wait(0.001)
        for _ in range(20):
            a.connection.send(b"x")
            assert a.next() == b"x"
        assert WebSocketState.CLOSING is b.connection.state
        assert b.connection.close(HANG)
        stop.set()

    assert b.end().close_code == 4000


def test_a_dropped_connection_leaves_the_other(io_thread: IOThread) -> None:
    """Its handle is collected and its peer told; the driver goes too, although the thread lives on."""
    with echo_server() as url, shared(url, io_thread) as a:
        opened, ended = threading.Event(), threading.Event()
        connection = Connection(
            lambda: Target(url),
            WebSocketOptions(),
            on_open=opened.set,
            on_message=lambda _: None,
            on_end=lambda _: ended.set(),
            io_thread=io_thread,
        )
        connection.start()
        assert opened.wait(HANG)
        handle, driver = weakref.ref(connection), weakref.ref(connection._driver)
        del connection
        gc.collect()
        assert handle() is None
        assert ended.wait(HANG)
        a.connection.send(b"x")
        assert a.next() == b"x"
        a.connection.send(b"y")  # by now the thread is done with what came before
        assert a.next() == b"y"
        gc.collect()

        assert driver() is None


def test_a_stuck_callback_holds_no_close_up(io_thread: IOThread) -> None:
    """close() of a neighbour returns in time, and its end is told on a thread of its own."""
    inside, go_on = threading.Event(), threading.Event()

    def hold(_: bytes) -> None:
        inside.set()
        assert go_on.wait(4 * HANG)

    with echo_server() as url, shared(url, io_thread) as a, shared(url, io_thread) as b:
        a.react = hold
        a.connection.send(b"x")
        assert inside.wait(HANG)
        assert not b.connection.close(0.05)
        assert "held up" in str(b.end())
        go_on.set()
        assert b.connection.close(HANG)


# The thread.


def test_it_ends_when_it_is_released_and_empty() -> None:
    """No connection is taken after that, and the last one ends it."""
    io_thread = IOThread()
    with echo_server() as url:
        a = Recorder(url, io_thread=io_thread).open()
        io_thread.release()
        late = Recorder(url, io_thread=io_thread)
        with pytest.raises(RuntimeError, match="takes no more connections"):
            late.connection.start()
        a.connection.send(b"x")
        assert a.next() == b"x"
        assert not io_thread.join(0)
        assert a.connection.close(HANG)
        assert io_thread.join(HANG)
    assert late.connection.close(0)


def test_it_outlives_its_connections() -> None:
    """One connection after the other may use it, until it is released."""
    io_thread = IOThread()
    with echo_server() as url:
        for _ in range(3):
            with shared(url, io_thread) as recorder:
                recorder.connection.send(b"x")
                assert recorder.next() == b"x"
            assert recorder.threads == {io_thread.name}
        assert not io_thread.join(0)
    io_thread.release()
    assert io_thread.join(HANG)


def test_one_that_never_served_needs_no_thread() -> None:
    """It starts with its first connection."""
    io_thread = IOThread()
    assert io_thread.join(0)
    io_thread.release()
    assert io_thread.join(0)


def test_all_of_its_callbacks_own_the_thread(io_thread: IOThread) -> None:
    """A callback of one connection must not wait for another one of the same thread."""
    answers: queue.Queue[bool] = queue.Queue()
    with echo_server() as url, shared(url, io_thread) as a, shared(url, io_thread) as b:
        a.react = lambda _: answers.put(b.connection.owns_this_thread())
        a.connection.send(b"x")

        assert answers.get(timeout=HANG)
        assert not b.connection.owns_this_thread()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_gets_no_connection(io_thread: IOThread) -> None:
    """The child can neither add to the parent's thread nor harm its connections."""
    with echo_server() as url, shared(url, io_thread) as a:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            word = b"?"
            try:
                io_thread.release()
                try:
                    Recorder(url, io_thread=io_thread).connection.start()
                except RuntimeError:
                    word = b"refused"
                a.connection.close(1)
            finally:
                os.write(write_end, word)
                os._exit(0)
        os.close(write_end)
        said = os.read(read_end, 100)
        os.close(read_end)
        os.waitpid(child, 0)
        a.connection.send(b"x")

        assert said == b"refused"
        assert a.next() == b"x"


def test_the_interpreter_exits() -> None:
    """All connections of a thread say goodbye at exit."""
    codes: queue.Queue[bytes] = queue.Queue()

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        opcode, payload = read_frame(sock)
        assert opcode == CLOSE
        codes.put(payload)
        sock.sendall(close_frame(1000))

    with tcp_server(script) as url:
        code = f"""
            import threading
            from azure_rt_audio._transport import Connection, IOThread, Target
            from azure_rt_audio.options import WebSocketOptions
            io_thread = IOThread()
            def make():
                opened = threading.Event()
                connection = Connection(
                    lambda: Target({url!r}), WebSocketOptions(), on_open=opened.set,
                    on_message=print, on_end=lambda outcome: None, io_thread=io_thread,
                )
                connection.start()
                assert opened.wait(5)
                return connection
            keep = [make(), make(), make()]
        """
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", textwrap.dedent(code)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            timeout=4 * HANG,
            check=False,
        )

        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert [codes.get(timeout=HANG) for _ in range(3)] == [b"\x03\xe8"] * 3


# What goes wrong at the start.


class Interrupt:
    """Raises ``KeyboardInterrupt`` at the *nth* line of the transport that this thread executes."""

    def __init__(self, nth: int) -> None:
        self.left = nth

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if not re.search(r"_transport.(driver|dialling|io_thread)\.py$", frame.f_code.co_filename):
            return None
        # Not where a lock is about to be released: tracing can raise there, an interrupt cannot.
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and not line.lstrip().startswith("with "):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # of what was interrupted while it was made
def test_ctrl_c_anywhere_in_the_start() -> None:
    """At whatever line it comes, the connection ends, and leaves no thread, descriptor or lock behind."""
    io_thread = IOThread()
    interrupts = 0
    with echo_server() as url, shared(url, io_thread):  # all that is made once has been made
        before = descriptors()
        for shares in (False, True):
            nth, has_started = 0, False
            while not has_started:
                nth += 1
                recorder = Recorder(url, io_thread=io_thread if shares else None)
                tracer = sys.gettrace()
                sys.settrace(Interrupt(nth))
                try:
                    recorder.connection.start()
                    has_started = True
                except KeyboardInterrupt:
                    interrupts += 1
                finally:
                    sys.settrace(tracer)
                assert recorder.connection.close(HANG)
                assert recorder.connection.state is WebSocketState.CLOSED
        assert settles(before)
        assert interrupts > 50
    io_thread.release()
    assert io_thread.join(HANG)


@pytest.mark.skipif(sys.platform == "win32", reason="limits descriptors")
def test_out_of_descriptors() -> None:
    """However few are left, start() says so at once, or the attempt does; nothing stays open."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    said: list[str] = []
    with echo_server() as url:
        before = descriptors()
        try:
            for spare in range(5):
                recorder = Recorder(url)
                highest = max(int(name) for name in os.listdir("/dev/fd"))
                resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 30, hard))
                taken: list[int] = []
                with contextlib.suppress(OSError):
                    while True:
                        taken.append(os.dup(1))
                for _ in range(spare):
                    os.close(taken.pop())
                try:
                    recorder.connection.start()
                except ConnectError as exc:
                    said.append(str(exc))
                finally:
                    for descriptor in taken:
                        os.close(descriptor)
                    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                assert recorder.connection.close(HANG)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert settles(before)
    assert len(said) == 5
    assert all("This process is out of file descriptors" in message for message in said)


def test_the_first_attempt_imports_nothing() -> None:
    """A fork while the dial thread imports would leave a module locked in the child."""
    code = """
        import sys, threading
        from azure_rt_audio._transport import Connection, Target
        from azure_rt_audio.options import WebSocketOptions
        go, ended = threading.Event(), threading.Event()
        def target():
            go.wait()
            return Target("wss://127.0.0.1:9/")
        connection = Connection(
            target, WebSocketOptions(), on_open=print, on_message=print, on_end=lambda _: ended.set()
        )
        connection.start()
        before = set(sys.modules)
        go.set()
        ended.wait(5)
        print(*sorted(set(sys.modules) - before))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=4 * HANG,
        check=False,
    )

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, b"", b"")


class Unlucky:
    """A connection whose every method wants to end the program."""

    is_ready = is_over = False
    is_called = True
    due = 0.0

    def step(self, now: float) -> bool:
        raise SystemExit

    def fail(self) -> None:
        raise SystemExit


def test_a_thread_that_fails_ends_all_of_its_connections() -> None:
    """One that cannot even fail keeps no other from ending, and no descriptor open."""
    io_thread = IOThread()
    before = descriptors()
    recorder = Recorder("ws://127.0.0.1:9", io_thread=io_thread)
    io_thread.add(Unlucky())
    with contextlib.suppress(RuntimeError):  # it may be over already
        recorder.connection.start()

    assert io_thread.join(HANG)
    assert recorder.connection.close(HANG)
    assert settles(before)


# The clock.


def test_keepalive_goes_by_the_clock() -> None:
    """The ping, its time-out and the verdict come when the clock says so, without a wait."""
    clock = ManualClock()
    io_thread = IOThread(clock)
    pinged = threading.Event()

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        assert read_frame(sock)[0] == PING
        pinged.set()
        await_eof(sock)

    with tcp_server(script) as url:
        recorder = Recorder(url, io_thread=io_thread, ping_interval=3600.0, ping_timeout=3600.0).open()
        clock.now += 3599.0
        io_thread.wake()
        assert not pinged.is_set()
        clock.now += 1.0
        io_thread.wake()
        assert pinged.wait(HANG)
        for _ in range(100):  # the ping is noted a moment after it was written
            clock.now += 3600.0
            io_thread.wake()
            if recorder.ended.wait(HANG / 100):
                break
        assert "did not answer a ping within 3600 s" in str(recorder.end())
        assert recorder.connection.close(HANG)
    io_thread.release()
    assert io_thread.join(HANG)


def test_the_deadline_of_a_close_goes_by_the_clock() -> None:
    """A silent peer is given up when the clock says so."""
    clock = ManualClock()
    io_thread = IOThread(clock)
    got = threading.Event()

    def script(sock: socket.socket) -> None:
        upgrade(sock)
        assert read_frame(sock)[0] == CLOSE
        got.set()
        await_eof(sock)

    with tcp_server(script) as url:
        recorder = Recorder(url, io_thread=io_thread).open()
        closing = threading.Thread(target=recorder.connection.close, args=(3600.0,))
        closing.start()
        assert got.wait(HANG)
        assert recorder.connection.outcome is None
        clock.now += 3600.0
        io_thread.wake()
        closing.join(HANG)

        assert not closing.is_alive()
        assert "did not answer the close frame within 3600 s" in str(recorder.end())
    io_thread.release()
    assert io_thread.join(HANG)
