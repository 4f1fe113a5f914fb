"""
Closing where a program ends or forks: each in a process of its own.

A script prints how long its ``close`` took; those that close nothing are timed from their last line to the
end of the process.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cli_runner import environment
from close_callers import LIMIT, TIMEOUT
from close_peers import PeerScript, blank, deaf, flood, host_of, no_answer, polite, silent
from fake_servers import tcp_server

HANG_SECONDS = 30.0
"""Seconds after which a process counts as hung."""

EXIT_LIMIT = 3.0
"""Seconds to exit in: connections and listeners may take one each, and Python needs some."""

PRELUDE = """
import json, sys
options, TIMEOUT = json.loads(sys.argv[1])
BEFORE
import atexit, gc, os, signal, threading, time, warnings, weakref
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
from azure_rt_audio import *

def connect(which="service", roomy=False, **more):
    limits = {"connect_timeout": 60, "send_timeout": 60}
    if roomy:
        limits["max_send_backlog_bytes"] = 2**30
    client = AzureRealTimeAudio(options[which], limits, **{"reconnect": None, **more})
    if which not in ("dark", "blank", "nowhere"):
        client.wait_until_ready(5)
    return client

def close(client, clock=time.monotonic, write=os.write, text=json.dumps):
    began = clock()
    ended = client.close(TIMEOUT)
    write(1, (text({"ended": ended, "seconds": clock() - began}) + "\\n").encode())
"""


@dataclass(frozen=True)
class Script:
    """
    A program that ends in some way.

    Attributes:
        source: What it does after ``PRELUDE``.
        before: What it does before it imports the library.
        ends: What ``close`` returns in it; ``None`` if it may return either.
        closes: How often it says that it has closed; 0 times the exit instead.
    """

    source: str
    before: str = ""
    ends: bool | None = True
    closes: int = 1

    @property
    def limit(self) -> float:
        """Seconds within which it must have happened."""
        return LIMIT if self.closes else EXIT_LIMIT

    def run(self) -> float:
        """Run it, check everything that must hold, and return the seconds it took."""
        with services() as hosts:
            return self.run_at(hosts)

    def run_at(self, hosts: dict[str, str]) -> float:
        """Do so with services of the caller's."""
        with started(self.source, hosts, self.before) as process:
            said = [said_by(process) for _ in range(self.closes or 1)]
            since = time.monotonic()
            out, err = process.communicate(timeout=HANG_SECONDS)
            exited = time.monotonic() - since
        assert (process.returncode, out, err) == (0, "", ""), (process.returncode, said, out, err)
        if not self.closes:
            assert said == ["done"]
            return exited
        closings: list[dict[str, Any]] = [json.loads(line) for line in said]
        assert self.ends is None or [closing["ended"] for closing in closings] == [self.ends] * self.closes
        assert exited < EXIT_LIMIT
        return max(float(closing["seconds"]) for closing in closings)


@contextlib.contextmanager
def services() -> Iterator[dict[str, str]]:
    """Yield where the scripts can connect to, by name."""
    with (
        tcp_server(_patiently(polite)) as service,
        tcp_server(_patiently(silent)) as mute,
        tcp_server(_patiently(flood)) as loud,
        tcp_server(_patiently(no_answer)) as dark,
        tcp_server(_patiently(blank)) as new,
        deaf() as stone,
    ):
        urls = {"service": service, "mute": mute, "loud": loud, "dark": dark, "blank": new, "deaf": stone}
        yield {**{name: host_of(url) for name, url in urls.items()}, "nowhere": "wss://hang.example"}


def _patiently(script: PeerScript) -> PeerScript:
    def patient(sock: socket.socket) -> None:
        sock.settimeout(HANG_SECONDS)
        script(sock)

    return patient


@contextlib.contextmanager
def started(source: str, hosts: dict[str, str], before: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run a script; kill it if it is still there at the end."""
    options = {
        name: {"host_name": host, "deployment": "m", "api_key": "close-key"} for name, host in hosts.items()
    }
    code = PRELUDE.replace("BEFORE", textwrap.dedent(before)) + textwrap.dedent(source)
    with subprocess.Popen(
        [
            *(sys.executable, "-W", "error", "-X", "faulthandler", "-u", "-c", code),
            json.dumps([options, TIMEOUT]),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # does nothing to one that has ended


def said_by(process: subprocess.Popen[str]) -> str:
    """Return the next line; kill the process if there is none for too long."""
    assert process.stdout is not None
    alarm = threading.Timer(HANG_SECONDS, process.kill)
    alarm.start()
    try:
        line = process.stdout.readline().strip()
    finally:
        alarm.cancel()
        alarm.join()
    assert line, process.communicate(timeout=HANG_SECONDS)
    return line


SCRIPTS: dict[str, Script] = {
    "atexit": Script(
        """
        client = connect("mute")
        atexit.register(close, client)
        """
    ),
    "atexit, after the library's own": Script(
        """
        client = connect("mute")
        """,
        before="import atexit; atexit.register(lambda: close(client))",
    ),
    "atexit, an inline listener of all stuck": Script(
        """
        client, entered = connect("loud", dispatcher=InlineDispatcher()), threading.Event()
        @client.on("*")
        def listen(event):
            entered.set()
            threading.Event().wait()
        entered.wait(5)
        atexit.register(close, client)
        """,
        ends=False,
    ),
    "weakref.finalize at exit": Script(
        """
        class Thing:
            pass
        thing = Thing()
        weakref.finalize(thing, close, connect("mute"))
        """
    ),
    "threading's own end": Script(
        """
        threading._register_atexit(close, connect("mute"))
        """
    ),
    "a thread that outlives the main one": Script(
        """
        client = connect("mute")
        def last():
            threading.main_thread().join()
            close(client)
        threading.Thread(target=last).start()
        """
    ),
    "__del__ of a global": Script(
        """
        class DeadlinePassed:
            def __init__(self):
                self.client, self.close = connect("mute"), close
            def __del__(self):
                self.close(self.client)
        late = DeadlinePassed()
        """,
        ends=None,  # no other thread runs any more, so what has not ended by then never will
    ),
    "__del__ of a global, as Python 3.14 joins": Script(
        """
        exec('''
        def join(thread, timeout=None):
            if is_over() and thread.daemon and thread.is_alive():
                raise RuntimeError("cannot join thread at Python finalization")
            real(thread, timeout)
        threading.Thread.join = join
        ''', {"threading": threading, "real": threading.Thread.join, "is_over": sys.is_finalizing})
        class DeadlinePassed:
            def __init__(self):
                self.client, self.close = connect("mute"), close
            def __del__(self):
                self.close(self.client)
        late = DeadlinePassed()
        """,
        ends=None,
    ),
    "__del__ of a global, a listener stuck": Script(
        """
        import queue
        full = queue.Queue(1)
        full.put(None)
        class DeadlinePassed:
            def __init__(self):
                self.client, self.close = connect("mute"), close
                self.client.on("init", full.put)  # no function of this module, which would keep its globals
                threading.Event().wait(0.1)
            def __del__(self):
                self.close(self.client)
        late = DeadlinePassed()
        """,
        ends=None,  # what Python says of threads that it has stopped for good differs
    ),
    "forked child": Script(
        """
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, which is the point
        client = connect("mute")
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            close(client)
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        assert client.state is WebSocketState.OPEN
        client.clear_audio_buffer()
        close(client)
        """,
        closes=2,
    ),
    "forked children in the midst of things": Script(
        """
        warnings.simplefilter("ignore", DeprecationWarning)
        client = connect("loud")
        client.on("input_audio_buffer.cleared", lambda event: None)
        sys.setswitchinterval(1e-6)  # so that a fork finds the other threads anywhere
        slowest = 0.0
        for _ in range(60):
            began = time.monotonic()
            child = os.fork()
            if child == 0:
                signal.alarm(10)
                client.close(TIMEOUT)
                atexit._run_exitfuncs()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            slowest = max(slowest, time.monotonic() - began)
        sys.setswitchinterval(0.005)
        print(json.dumps({"ended": True, "seconds": slowest}))
        close(client)
        """,
        ends=None,
        closes=2,
    ),
    "signal handler": Script(
        """
        client = connect("mute")
        signal.signal(signal.SIGTERM, lambda *_: close(client))
        threading.Timer(0.1, signal.pthread_kill, [threading.main_thread().ident, signal.SIGTERM]).start()
        try:
            client.wait_for("response.done", timeout=None)
        except ConnectionClosedError:
            pass
        """
    ),
    "exit: idle": Script("client = connect(); print('done')", closes=0),
    "exit: peer silent": Script("client = connect('mute'); print('done')", closes=0),
    "exit: flooded": Script("client = connect('loud'); print('done')", closes=0),
    "exit: HTTP hangs": Script("client = connect('dark'); print('done')", closes=0),
    "exit: DNS hangs": Script(
        """
        import socket
        real, entered = socket.getaddrinfo, threading.Event()
        def resolve(host, *args, **options):
            if host != "hang.example":
                return real(host, *args, **options)
            if not options.get("flags"):
                entered.set()
                threading.Event().wait()
            raise socket.gaierror(socket.EAI_NONAME, "no")
        socket.getaddrinfo = resolve
        client = connect("nowhere")
        entered.wait(5)
        print("done")
        """,
        closes=0,
    ),
    "exit: credential hangs": Script(
        """
        entered = threading.Event()
        def credential():
            entered.set()
            threading.Event().wait()
        key = options["nowhere"].pop("api_key")
        options["nowhere"]["credential"] = credential
        client = connect("nowhere")
        entered.wait(5)
        print("done")
        """,
        closes=0,
    ),
    "exit: listener hangs": Script(
        """
        client, entered = connect("mute"), threading.Event()
        @client.on("init")
        def listen(event):
            entered.set()
            threading.Event().wait()
        entered.wait(5)
        print("done")
        """,
        closes=0,
    ),
    "exit: inline listener hangs": Script(
        """
        client, entered = connect("loud", dispatcher=InlineDispatcher()), threading.Event()
        @client.on("input_audio_buffer.cleared")
        def listen(event):
            entered.set()
            threading.Event().wait()
        entered.wait(5)
        print("done")
        """,
        closes=0,
    ),
    "exit: send stalled": Script(
        """
        client = connect("deaf")
        def append():
            try:
                while True:
                    client.append_audio(bytes(960_000))
            except ConnectionClosedError:
                pass
        threading.Thread(target=append, daemon=True).start()
        threading.Event().wait(0.3)
        print("done")
        """,
        closes=0,
    ),
    "exit: connecting while exiting": Script(
        """
        def late():
            try:
                connect("service")
            except RuntimeError as exc:  # Python 3.12 and later start no thread any more
                assert "shutdown" in str(exc), exc
            gc.collect()
            print("done")
        atexit.register(late)
        """,
        closes=0,
    ),
}
