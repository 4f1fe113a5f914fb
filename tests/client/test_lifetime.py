"""How a client ends: closed from anywhere, dropped, at the interpreter's exit, and by Ctrl-C."""

from __future__ import annotations

import gc
import inspect
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from listeners import HANG, MARKER, Aside, Connect, Probe, Stage, message, ready

from azure_rt_audio import (
    AzureRealTimeAudio,
    ConnectionClosedError,
    InlineDispatcher,
    QueueDispatcher,
    WebSocketState,
)
from azure_rt_audio.devices import SimulatedMicrophone
from azure_rt_audio.emulator import Delay, Emulator, Silence, StopReading, Swallow, after, before

pytestmark = pytest.mark.thorough


def threads() -> set[str]:
    """Return the names of this library's threads."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("azure-rt-")} - {
        thread.name for thread in threading.enumerate() if "emulator" in thread.name
    }


# ------------------------------------------------------------ close


def test_close(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """Closing says goodbye and ends both threads; what was sent before is delivered."""
    probe = Probe()
    client.on("init", probe)
    probe.next()
    running = threads()
    client.clear_audio_buffer()

    assert client.close()

    assert {name.rstrip("0123456789") for name in running} == {"azure-rt-reader-", "azure-rt-events-"}
    assert threads() == set()
    assert emulator.wait_for_command("input_audio_buffer.clear")
    assert client.state is WebSocketState.CLOSED


def test_close_again(client: AzureRealTimeAudio) -> None:
    """Closing again does nothing, from as many threads as like."""
    asides = [Aside(client.close) for _ in range(8)]

    assert [aside.result() for aside in asides] == [True] * 8
    assert client.close()


@pytest.mark.parametrize("timeout", [None, 0, -5, 0.001, 10**10, float("inf")])
def test_close_with_any_patience(client: AzureRealTimeAudio, timeout: Any) -> None:
    """However little or much time it is given, it ends, and the threads do."""
    client.close(timeout)

    assert client.state is WebSocketState.CLOSED
    assert client.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_nothing_waits_in_a_forked_child(connect: Connect, emulator: Emulator) -> None:
    """What would wait for the service in a forked child, which has no I/O thread, is refused at once."""
    client = connect()
    client.wait_until_ready(HANG)
    events = client.events("response.done")
    emulator.faults.add(before("input_audio_buffer.cleared", Swallow()))
    emulator.faults.add(before("response.done", Delay(0.7)))  # its sound goes on
    future = client.clear_audio_buffer()
    pending = client.create_response()
    calls: dict[str, Callable[[], Any]] = {
        "append_audio": lambda: client.append_audio(b"\0\0"),
        "ask": lambda: client.ask("Hello"),
        "become": lambda: client.become("Be brief."),
        "cancel_response": client.cancel_response,
        "clear_audio_buffer": client.clear_audio_buffer,
        "commit_audio": client.commit_audio,
        "create_conversation_item": lambda: client.create_conversation_item(message("Hello")),
        "create_response": client.create_response,
        "delete_item": lambda: client.delete_item("item_1"),
        "events": lambda: next(client.events("response.done")),
        "reconnect": client.reconnect,
        "retrieve_item": lambda: client.retrieve_item("item_1"),
        "run_pending": lambda: client.run_pending(None),
        "say": lambda: client.say("Hello"),
        "send": lambda: client.send({"type": "response.create"}),
        "send_audio_file": lambda: client.send_audio_file("no file"),
        "talk": lambda: client.talk(SimulatedMicrophone()),
        "truncate_item": lambda: client.truncate_item("item_1", 0, 0),
        "update_session": lambda: client.update_session({}),
        "wait_for": lambda: client.wait_for("response.done", timeout=None),
        "wait_for_mcp_tools": client.wait_for_mcp_tools,
        "wait_until_ready": client.wait_until_ready,
        "a stream from before": lambda: next(events),
        "a future from before": future.result,
        "a response from before": pending.result,
        "its sound": lambda: list(pending.audio()),
    }
    neither_sends_nor_waits = {"close", "display", "off", "off_all", "on", "once", "set_model_speak_done"}
    methods = {
        name
        for cls in AzureRealTimeAudio.__mro__
        for name, value in vars(cls).items()
        if inspect.isfunction(value) and name == name.lower() and not name.startswith("_")
    }
    assert methods - calls.keys() <= neither_sends_nor_waits, "new methods belong into the table"
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        said = {}
        try:
            for name, call in calls.items():
                try:
                    said[name] = repr(call())
                except Exception as exc:  # noqa: BLE001 - it is told
                    said[name] = "refused" if "parent process" in str(exc) else repr(exc)
        finally:
            os.write(write_end, json.dumps(said).encode())
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        said = json.loads(pipe.read() or "null")
    os.waitpid(child, 0)

    assert said == dict.fromkeys(calls, "refused")
    assert client.ask("Hello", timeout=HANG)  # the parent's is as good as before


def test_close_from_a_listener(client: AzureRealTimeAudio) -> None:
    """From a listener, close returns although the listener's own thread cannot have ended."""
    probe, closed = Probe(), Probe()
    client.on("closed", closed)
    client.once("input_audio_buffer.cleared", lambda _: probe((client.close(), client.state)))

    client.clear_audio_buffer()

    assert probe.next() == (False, WebSocketState.CLOSED)
    assert closed.next().is_clean


def test_close_from_an_inline_listener(connect: Connect) -> None:
    """From the I/O thread, close begins the end and returns."""
    client, probe = ready(connect, dispatcher=InlineDispatcher()), Probe()
    client.on("closed", probe)
    client.once("input_audio_buffer.cleared", lambda _: probe(client.close()))

    client.clear_audio_buffer()

    assert probe.next() is False
    assert probe.next().is_clean


def test_close_from_a_callback_of_a_future(client: AzureRealTimeAudio) -> None:
    """From a future's callback, close works as from a listener."""
    probe = Probe()

    client.clear_audio_buffer().add_done_callback(lambda _: probe(client.close()))

    assert probe.next() is False


def test_close_while_a_listener_is_stuck(client: AzureRealTimeAudio) -> None:
    """A listener that does not return cannot hold up close, which says that a thread is left."""
    stage = Stage()
    client.once("input_audio_buffer.cleared", stage)
    client.clear_audio_buffer()
    stage.wait()

    ended = client.close(timeout=0.05)
    stage.go_on.set()

    assert (ended, client.state) == (False, WebSocketState.CLOSED)
    assert client.close()


def test_close_while_connecting(emulator: Emulator, dialect: str) -> None:
    """A client can be closed before it was ever open."""
    door = threading.Event()
    with Emulator(on_log=lambda line: door.wait(HANG) if "handshake" in line else None) as service:
        client = AzureRealTimeAudio(service.options(dialect))
        closed, errors = Probe(), Probe()
        client.on("error", errors)
        client.on("closed", closed)

        assert client.close()
        door.set()

        assert isinstance(closed.next().error, ConnectionClosedError)
        assert errors.told == []
        with pytest.raises(ConnectionClosedError):
            client.wait_until_ready()


def test_close_against_a_silent_service(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """A service that does not say goodbye cannot hold up close."""
    emulator.inject(StopReading())

    assert client.close(timeout=0.1) or client.close(HANG)  # the latter on a busy machine
    emulator.resume()


def test_close_wakes_everybody(connect: Connect, emulator: Emulator) -> None:
    """Whoever waits for anything is told that the connection was closed."""
    client = ready(connect)
    emulator.inject(Silence())
    pending, future = client.create_response(), client.clear_audio_buffer()
    asides = [
        Aside(lambda: client.wait_for("response.done", timeout=None)),
        Aside(lambda: pending.result(None)),
        Aside(lambda: "".join(pending.text(None))),
        Aside(lambda: future.result(None)),
    ]
    emulator.wait_for_command("input_audio_buffer.clear")

    assert client.close()

    for aside in asides:
        with pytest.raises(ConnectionClosedError):
            aside.result()


def test_after_the_end(client: AzureRealTimeAudio) -> None:
    """After the end, methods that talk to the service raise, and the others work."""
    client.close()

    for method in (
        lambda: client.append_audio(bytes(2)),
        client.commit_audio,
        client.create_response,
        client.cancel_response,
        client.wait_until_ready,
        lambda: client.update_session({}),
    ):
        with pytest.raises(ConnectionClosedError):
            method()
    client.set_model_speak_done()
    client.off_all()
    assert (client.status, client.is_initialized) == ("idle", True)


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_with_closes(emulator: Emulator, failure: type[BaseException]) -> None:
    """At the end of a with statement the client is closed, whatever happened in it."""
    with pytest.raises(failure), AzureRealTimeAudio(emulator.options()) as client:
        raise failure

    assert client.state is WebSocketState.CLOSED


# ------------------------------------------------------------ dropped


class Assistant:
    """An object that holds a client and listens to it, as programs do."""

    def __init__(self, options: Any, told: Probe) -> None:
        self.client = AzureRealTimeAudio(options)
        self.told = told
        self.client.on("*", self.listen)
        self.client.on("init", self.listen)
        self.client.once("response.done", self.listen)

    def listen(self, event: Any) -> None:
        """Be told something."""
        self.told(event)


def drop(make: Callable[[], Any], told: Probe) -> tuple[list[weakref.ref[Any]], set[str]]:
    """Make something that holds a client, let it come to life, and let go of it."""
    held = make()
    client = getattr(held, "client", held)
    client.wait_until_ready(HANG)
    told.next()
    client.clear_audio_buffer().result(HANG)
    told.until(lambda event: getattr(event, "type", None) == "input_audio_buffer.cleared")
    return [weakref.ref(client), weakref.ref(client._engine)], threads()


@pytest.mark.parametrize("kind", ["plain", "assistant", "waiting"])
def test_a_dropped_client_is_collected(emulator: Emulator, dialect: str, kind: str) -> None:
    """A client nobody holds is collected and its threads end, also if its own listeners hold it."""
    told = Probe()

    def make() -> Any:
        if kind == "assistant":
            return Assistant(emulator.options(dialect), told)
        client = AzureRealTimeAudio(emulator.options(dialect))
        client.on("*", told)
        client.on("init", told)
        if kind == "waiting":  # futures and handles that nobody holds hold nobody
            client.create_response()
            client.create_response()
            client.update_session({})
            client.events()
        return client

    references, running = drop(make, told)
    gc.collect()
    for thread in threading.enumerate():
        if thread.name in running:
            thread.join(HANG)

    assert running != set()
    assert [reference() for reference in references] == [None, None]
    assert threads() == set()


@pytest.mark.parametrize("is_held_by_its_listener", [False, True])
def test_a_client_that_ended_by_an_overflow_is_collected(
    emulator: Emulator, is_held_by_its_listener: bool
) -> None:
    """How it ended leads back to it, through the frames of the error; that keeps nothing alive."""
    held: list[AzureRealTimeAudio] = []
    client = AzureRealTimeAudio(emulator.options(), dispatcher=QueueDispatcher(max_backlog_bytes=1))
    client.on("*", (lambda _, client=client: client) if is_held_by_its_listener else held.index)
    ended = threading.Event()
    client.on("error", lambda _: None, dispatcher=InlineDispatcher())  # a log would keep it
    client.on("closed", lambda _: ended.set(), dispatcher=InlineDispatcher())
    emulator.wait_for_connection()
    for _ in range(3):  # what came before may have been too early for the listeners
        emulator.say(MARKER)
    assert ended.wait(HANG)
    assert client.close()
    references = [weakref.ref(client), weakref.ref(client._engine)]
    del client
    gc.collect()

    assert [reference() for reference in references] == [None, None]


@pytest.mark.parametrize(
    "hold",
    [
        lambda client: client.clear_audio_buffer(),
        lambda client: client.create_response(),
        lambda client: client.create_response().text(),
        lambda client: client.events("response.done", timeout=HANG),
    ],
    ids=["future", "handle", "text", "events"],
)
def test_who_waits_keeps_the_client(emulator: Emulator, hold: Callable[[AzureRealTimeAudio], Any]) -> None:
    """As long as somebody can wait for something of a client, it lives."""
    client = AzureRealTimeAudio(emulator.options())
    client.wait_until_ready(HANG)
    held = hold(client)
    reference = weakref.ref(client)

    del client
    gc.collect()
    alive = reference()

    assert alive is not None
    assert alive.state is WebSocketState.OPEN
    alive.close()
    del alive, held
    gc.collect()
    assert reference() is None


# ------------------------------------------------------------ processes

PRELUDE = """
import json, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
from azure_rt_audio import *
options = json.loads(sys.argv[1])
"""


def run(script: str, service: Emulator, *, interrupt_at: str | None = None) -> tuple[int, str, str]:
    """Run a script in a process of its own; press Ctrl-C when it has printed *interrupt_at*."""
    process = subprocess.Popen(
        [
            sys.executable,
            *("-W", "error", "-X", "faulthandler", "-u"),
            *("-c", PRELUDE + textwrap.dedent(script)),
            json.dumps(service.options()),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = ""
        if interrupt_at is not None:
            assert process.stdout is not None
            for line in process.stdout:
                said += line
                if line.strip() == interrupt_at:
                    process.send_signal(signal.SIGINT)
                    break
        out, err = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, said + out, err


@pytest.mark.parametrize(
    "script",
    [
        "client = AzureRealTimeAudio(options)",
        "client = AzureRealTimeAudio(options); client.wait_until_ready()",
        """
        client = AzureRealTimeAudio(options)
        client.on("closed", lambda event: None)
        client.on("error", lambda event: None)
        client.wait_until_ready()
        """,
        """
        client = AzureRealTimeAudio(options)
        client.on("*", lambda event: print(event.type))
        client.ask("Hello")
        """,
        """
        client = AzureRealTimeAudio(options)
        pending, future, events = client.create_response(), client.commit_audio(), client.events()
        """,
        "clients = [AzureRealTimeAudio(options) for _ in range(5)]",
        "client = AzureRealTimeAudio({**options, 'host_name': 'ws://127.0.0.1:1'})",
        """
        def listen(event):
            client.close()
        client = AzureRealTimeAudio(options)
        client.on("init", listen)
        """,
    ],
    ids=["at once", "ready", "listeners", "conversation", "waiting", "many", "refused", "closing"],
)
def test_a_script_without_close_ends_by_itself(emulator: Emulator, script: str) -> None:
    """At the end of a script that closes nothing, the process ends, and has nothing to say about it."""
    code, _, err = run(script, emulator)

    expected = "" if "127.0.0.1:1'" not in script else err
    assert (code, err) == (0, expected)
    assert "Traceback" not in err
    assert "Fatal" not in err


def test_a_listener_may_print_until_the_end(emulator: Emulator) -> None:
    """Listeners that print while the interpreter exits do not bring it down."""
    code, _, err = run(
        """
        client = AzureRealTimeAudio(options)
        client.on("*", lambda event: print(event.type, flush=True))
        client.create_response()
        """,
        emulator,
    )

    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    "wait",
    [
        "client.wait_for('response.done', timeout=None)",
        "client.ask('Hello', timeout=None)",
        "client.create_response().result(None)",
        "list(client.create_response().text(None))",
        "next(client.events('response.done'))",
        "client.clear_audio_buffer().result()",
    ],
    ids=["wait_for", "ask", "result", "text", "events", "future"],
)
def test_ctrl_c_while_waiting(emulator: Emulator, wait: str) -> None:
    """Ctrl-C ends a wait at once, as KeyboardInterrupt, and the client can then be closed."""
    emulator.faults.add(after("session.updated", Silence()))

    code, out, err = run(
        f"""
        client = AzureRealTimeAudio(options)
        client.wait_until_ready()
        threading.Timer(0.05, print, ["waiting"]).start()
        try:
            {wait}
        except KeyboardInterrupt:
            print("interrupted", client.close())
        """,
        emulator,
        interrupt_at="waiting",
    )

    assert (code, out.split("\n")[1], err) == (0, "interrupted True", "")


def test_ctrl_c_while_connecting(emulator: Emulator) -> None:
    """Ctrl-C ends the wait of a with statement, which closes what it began."""
    code, out, err = run(
        """
        import socket
        silent = socket.create_server(("127.0.0.1", 0))
        options = {**options, "host_name": f"ws://127.0.0.1:{silent.getsockname()[1]}"}
        client = AzureRealTimeAudio(options)
        threading.Timer(0.05, print, ["waiting"]).start()
        try:
            with client:
                pass
        except KeyboardInterrupt:
            print("interrupted", client.state.name)
        silent.close()
        """,
        emulator,
        interrupt_at="waiting",
    )

    assert (code, out.split("\n")[1], err) == (0, "interrupted CLOSED", "")
