"""Listeners in windows: both toolkits, the real ones."""

from __future__ import annotations

import gc
import itertools
import logging
import threading
import time
import warnings
import weakref
from typing import Any

import pytest
from listeners import HANG, MARKER, Connect, Probe, message
from toolkits import Window

from azure_rt_audio import AzureRealTimeAudio, ConnectionClosedError, WebSocketState
from azure_rt_audio.dispatch.mailbox import BUDGET
from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.windows


@pytest.fixture
def dialect() -> str:
    """One will do: the dispatchers do not know of them."""
    return "ga"


def numbered(number: int) -> dict[str, Any]:
    return {"type": "test.number", "event_id": f"e{number}", "number": number}


def spend(seconds: float) -> None:
    """Be busy, as a listener that draws is."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def wait_for_end(client: AzureRealTimeAudio) -> None:
    """Wait, on a thread with nothing else to do, until the client is closed."""
    with pytest.raises(ConnectionClosedError):
        client.wait_for("never.comes", timeout=HANG)


def test_listeners_run_on_the_windows_thread_in_order(
    window: Window, connect: Connect, emulator: Emulator
) -> None:
    """Every listener, of every event from the first to the last, as they came."""
    client, told, threads = connect(dispatcher=window.dispatcher), [], set()

    def listen(event: Any) -> None:
        threads.add(threading.current_thread())
        told.append(event)

    client.on("*", listen)
    client.on("init", lambda _: threads.add(threading.current_thread()))
    client.on("test.marker", window.stop)

    def say_much() -> None:
        for number in range(1000):
            emulator.say(numbered(number))
        emulator.say(MARKER)

    client.once("init", lambda _: say_much())
    window.run(20)

    assert [event.raw["number"] for event in told if event.type == "test.number"] == list(range(1000))
    assert threads == {threading.current_thread()}


def test_callbacks_of_futures_run_there_too(window: Window, connect: Connect) -> None:
    """What is done when the service acknowledges is done on the window's thread."""
    client, threads = connect(dispatcher=window.dispatcher), []

    def acknowledged(_: object) -> None:
        threads.append(threading.current_thread())
        window.stop()

    client.once(
        "init", lambda _: client.create_conversation_item(message("Hi")).add_done_callback(acknowledged)
    )
    window.run()

    assert threads == [threading.current_thread()]


def test_a_listener_may_run_elsewhere(window: Window, connect: Connect) -> None:
    """One listener in the window, the others where they were."""
    client, probe = connect(), Probe()
    client.on("init", probe)
    client.on("init", lambda _: probe.threads.add("window"), dispatcher=window.dispatcher)
    client.on("init", window.stop, dispatcher=window.dispatcher)

    window.run()

    probe.next()
    assert {name.rstrip("0123456789") for name in probe.threads} == {"azure-rt-events-", "window"}


def test_a_flood_leaves_the_window_its_time(window: Window, connect: Connect, emulator: Emulator) -> None:
    """While a second's worth of listeners waits, the loop goes on turning, every few milliseconds."""
    client = connect(dispatcher=window.dispatcher)
    client.wait_until_ready(HANG)
    beats: list[int] = []
    seen: list[object] = []

    def beat() -> None:
        beats.append(len(seen))
        window.later(0.01, beat)

    def listen(event: object) -> None:
        seen.append(event)
        spend(0.002)

    client.on("test.number", listen)
    client.on("test.marker", window.stop)
    probe = Probe()
    client.on("test.marker", probe, dispatcher=InlineNow())
    for number in range(500):
        emulator.say(numbered(number))
    emulator.say(MARKER)
    probe.next()  # all of it waits when the loop starts
    window.later(0, beat)
    window.run(30)

    assert len(seen) == 500
    at_once = max(later - earlier for earlier, later in itertools.pairwise(beats))
    assert at_once <= 4 * BUDGET / 0.002
    assert len(beats) > 25


class InlineNow:
    """Calls at once, on the reader."""

    def submit(self, callback: Any, event: Any) -> None:
        callback(event)


def test_a_blocking_call_needs_no_listener(window: Window, connect: Connect) -> None:
    """``ask`` on the window's thread comes back although listeners wait for that thread; then they run."""
    client = connect(dispatcher=window.dispatcher)
    story: list[str] = []
    client.on("response.done", lambda _: story.append("listener"))
    client.on("response.done", window.stop)

    def ask(_: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on a slow machine it takes long enough to be warned of
            story.append(client.ask("Hello!").status or "")

    client.once("init", ask)
    window.run(20)

    assert story == ["completed", "listener"]


def test_it_says_so_when_a_call_keeps_the_window_waiting(window: Window, connect: Connect) -> None:
    """A wait of more than 100 ms in the loop is warned of, at the line that waits; outside of it, not."""
    client = connect(dispatcher=window.dispatcher)
    client.once("init", window.stop)
    window.run()
    with pytest.raises(TimeoutError):
        client.wait_for("never.comes", timeout=0.15)
    caught: list[warnings.WarningMessage] = []

    def wait() -> None:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("default")
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    client.wait_for("never.comes", timeout=0.15)
        caught.extend(found)
        window.stop()

    window.later(0.2, wait)
    window.run()

    assert [(warning.category, warning.filename) for warning in caught] == [(RuntimeWarning, __file__)]
    assert "add_done_callback" in str(caught[0].message)


def test_short_waits_are_nothing_to_warn_of(window: Window, connect: Connect) -> None:
    """Waits that let the loop turn in between may add up to any time; warnings are errors here."""
    client = connect(dispatcher=window.dispatcher)
    waited: list[int] = []

    def wait() -> None:
        with pytest.raises(TimeoutError):
            client.wait_for("never.comes", timeout=0.04)
        waited.append(1)
        if len(waited) < 5:
            window.later(0.1, wait)
        else:
            window.stop()

    window.later(0.1, wait)
    window.run()

    assert len(waited) == 5


def test_many_short_waits_in_one_turn_are(window: Window, connect: Connect) -> None:
    """It is the loop that counts, not the call."""
    client = connect(dispatcher=window.dispatcher)

    def wait() -> None:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                client.wait_for("never.comes", timeout=0.04)

    window.later(0.1, wait)
    with pytest.raises(RuntimeWarning, match="keeps the loop of the window waiting"):
        window.run()


def test_what_listeners_raise_does_not_stop_the_loop(
    window: Window, connect: Connect, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the next listener has its turn."""
    client = connect(dispatcher=window.dispatcher)
    client.wait_until_ready(HANG)

    def fail(_: object) -> None:
        raise ValueError("out of a listener")

    client.on("test.marker", fail)
    client.on("test.marker", window.stop)
    emulator.say(MARKER)
    window.run()

    failures = [record for record in caplog.records if record.exc_info]
    assert [record.levelno for record in failures] == [logging.ERROR]


@pytest.mark.parametrize("where", ["loop", "listener"])
def test_a_client_can_be_closed_there(window: Window, connect: Connect, where: str) -> None:
    """From a callback of the toolkit, and from a listener; the window goes on, and hears of it."""
    client = connect(dispatcher=window.dispatcher)
    closed: list[bool] = []

    def close(_: object = None) -> None:
        closed.append(client.close())

    if where == "loop":
        client.once("init", lambda _: window.later(0.01, close))
    else:
        client.once("init", close)
    client.on("closed", window.stop)
    window.run()

    assert closed == [True]


def test_the_end_of_the_window_closes_its_clients(window: Window, connect: Connect) -> None:
    """All that were made with its dispatcher; what was waiting for the window is forgotten."""
    clients = [connect(dispatcher=window.dispatcher) for _ in range(2)]
    apart = connect()
    for client in (*clients, apart):
        client.wait_until_ready(HANG)
    late: list[object] = []
    window.later(0.1, window.destroy)
    window.run()
    for client in clients:
        client.on("closed", late.append)
        wait_for_end(client)

    assert [client.state for client in clients] == [WebSocketState.CLOSED] * 2
    assert apart.state is WebSocketState.OPEN
    assert late == []


def test_the_window_may_go_in_the_middle_of_a_listener(
    window: Window, connect: Connect, emulator: Emulator
) -> None:
    """A listener that destroys the window is the last to run."""
    client = connect(dispatcher=window.dispatcher)
    client.wait_until_ready(HANG)
    seen: list[object] = []

    def listen(event: object) -> None:
        seen.append(event)
        window.destroy()

    client.on("test.number", listen)
    for number in range(100):
        emulator.say(numbered(number))
    window.run()
    wait_for_end(client)

    assert len(seen) == 1


def test_no_client_for_a_window_that_is_gone(window: Window, connect: Connect) -> None:
    """It is refused at once, and nothing is left behind."""
    window.destroy()

    with pytest.raises(RuntimeError, match="make another dispatcher"):
        connect(dispatcher=window.dispatcher)


def test_a_listener_that_shows_a_dialogue_holds_up_the_others(
    window: Window, connect: Connect, emulator: Emulator
) -> None:
    """The loop in the loop runs none of them, so they run one at a time; the window's own work goes on."""
    client = connect(dispatcher=window.dispatcher)
    client.wait_until_ready(HANG)
    story: list[str] = []

    def show_dialogue() -> None:
        window.later(0.2, lambda: (story.append("window"), window.stop()))
        window.nest()
        story.append("dialogue over")

    def listen(event: Any) -> None:
        story.append(event.raw["number"])
        if event.raw["number"] == 0:
            show_dialogue()

    client.on("test.number", listen)
    for number in range(3):
        emulator.say(numbered(number))
    client.on("test.marker", window.stop)
    emulator.say(MARKER)
    window.run()
    if story[-1] != 2:  # stopping the inner loop stopped the outer one as well
        window.run()

    assert story == [0, "window", "dialogue over", 1, 2]


def test_a_dropped_client_is_collected(window: Window, emulator: Emulator) -> None:
    """The dispatcher, the window and its loop do not keep a client that nobody else keeps."""
    client = AzureRealTimeAudio(emulator.options("ga"), dispatcher=window.dispatcher)
    client.on("*", lambda _: None)
    client.on("init", window.stop)
    window.run()
    reference = weakref.ref(client)

    del client
    window.later(0.1, window.stop)
    window.run()
    gc.collect()

    assert reference() is None


def test_two_dispatchers_for_one_window(window: Window, connect: Connect) -> None:
    """Each brings the events of its own client."""
    clients = [connect(dispatcher=window.dispatcher), connect(dispatcher=window.new_dispatcher())]
    seen: list[AzureRealTimeAudio] = []

    def listen(client: AzureRealTimeAudio) -> None:
        seen.append(client)
        if len(seen) == 2:
            window.stop()

    clients[0].on("init", lambda _: listen(clients[0]))
    clients[1].on("init", lambda _: listen(clients[1]))
    window.run()

    assert set(seen) == set(clients)
