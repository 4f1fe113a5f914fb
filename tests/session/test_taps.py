"""Observers where bytes pass."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from listeners import HANG, MARKER, Connect, Probe, ready

from azure_rt_audio import ConnectionClosedError
from azure_rt_audio._session.taps import Tap, Taps
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.events import Reconnected, Reconnecting, ToolStarted


class Counter(Tap):
    """Counts bytes, and keeps the order of what happened."""

    def __init__(self) -> None:
        self.received = self.sent = 0
        self.happened: list[str] = []

    def on_opened(self, connection: int) -> None:
        self.happened.append(f"opened {connection}")

    def on_received(self, connection: int, payload: Any) -> None:
        self.received += len(payload)

    def on_sent(self, connection: int, payload: bytes, when: float) -> None:
        self.sent += len(payload)

    def on_closed(self, connection: int, outcome: BaseException) -> None:
        self.happened.append(f"closed {connection}")


class Broken(Counter):
    """Fails at the first message."""

    def __init__(self, failure: type[BaseException]) -> None:
        super().__init__()
        self.failure = failure

    def on_received(self, connection: int, payload: Any) -> None:
        self.received += 1
        raise self.failure("broken")


def test_a_tap_sees_every_byte(connect: Connect, emulator: Emulator) -> None:
    """Commands of all kinds, and events, pass the taps; the end of the connection is reported last."""
    client, counter = ready(connect), Counter()
    client._engine.taps.add(counter)
    before = len(emulator.received())
    client.clear_audio_buffer().result(HANG)
    client.append_audio(b"\0\0" * 2400)
    client.send({"type": "input_audio_buffer.clear"})
    client.create_response().result(HANG)
    client.cancel_response()
    emulator.wait_for_command("response.cancel")
    client.close()

    kinds = [command["type"] for command in emulator.received()[before:]]
    assert len(kinds) == 5
    assert counter.sent > 6400  # the base64 of the audio, and four commands
    assert counter.received > 0
    assert counter.happened == ["closed 1"]


@pytest.mark.parametrize("failure", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_broken_tap_is_removed(
    failure: type[BaseException], connect: Connect, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A tap that raises is logged once and called no more; events still arrive."""
    client, broken, told = ready(connect), Broken(failure), Probe()
    client.on("test.marker", told)
    client._engine.taps.add(broken)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            emulator.say(MARKER)
            told.next()

    assert broken.received == 1
    assert [record.getMessage() for record in caplog.records] == ["! the tap Broken failed and was removed"]


class OnlyClosed:
    """A tap that derives from nothing, and wants to know one thing."""

    def __init__(self) -> None:
        self.closed: list[int] = []

    def on_closed(self, connection: int, outcome: BaseException) -> None:
        """Keep the number."""
        self.closed.append(connection)


class Hopeless:
    """A tap whose methods cannot even be looked up."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)


STARTED = ToolStarted(call_id="c", name="n", arguments="{}", response_id="r")
LOST = ConnectionClosedError("lost", close_code=1006)
REPORTS: dict[str, Callable[[Taps], None]] = {
    "on_opened": lambda taps: taps.opened(1),
    "on_received": lambda taps: taps.received(1, b"{}"),
    "on_sent": lambda taps: taps.sent(1, b"{}", 0.0),
    "on_dropped": lambda taps: taps.dropped(1, ()),
    "on_closed": lambda taps: taps.closed(1, LOST),
    "on_reconnecting": lambda taps: taps.told(1, Reconnecting(attempt=1, delay_s=0.0, reason="lost")),
    "on_reconnected": lambda taps: taps.told(1, Reconnected(gap_s=0.0, reason="lost")),
    "on_tool": lambda taps: taps.told(1, STARTED),
    "on_heard": lambda taps: taps.heard("item", 1.0, None),
    "on_levels": lambda taps: taps.levels(-60.0, -60.0),
    "on_failed": lambda taps: taps.failed("listener", "event", LOST),
}


@pytest.mark.parametrize("name", [name for name in vars(Tap) if name.startswith("on_")])
def test_a_tap_has_what_it_needs(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A method that is not there is not called; one that raises, or cannot be found, ends the tap only."""
    taps, fine, counter = Taps(), OnlyClosed(), Counter()
    for tap in (Hopeless(), fine, counter, type("Failing", (), {name: lambda: "takes nothing"})()):
        taps.add(tap)
    with caplog.at_level(logging.ERROR):
        REPORTS[name](taps)

    assert taps.active == (fine, counter)
    assert [record.getMessage() for record in caplog.records] == [
        f"! the tap {kind} failed and was removed" for kind in ("Hopeless", "Failing")
    ]


def test_a_tap_with_one_method_sees_a_whole_session(connect: Connect, emulator: Emulator) -> None:
    """A listener that fails, and a reconnection, are nothing to it, and nothing to the client."""
    client, tap, told = ready(connect, reconnect={"initial_delay": 0.01}), OnlyClosed(), Probe()
    client._engine.taps.add(tap)

    @client.once("test.marker")
    def fail(event: object) -> None:
        raise ValueError("a listener")

    client.on("test.marker", told)
    client.on("reconnected", told)
    emulator.say(MARKER)
    told.next()
    emulator.drop()
    told.next()

    assert tap.closed == [1]
    assert client._engine.taps.active == (tap,)


def test_a_removed_tap_is_silent(connect: Connect) -> None:
    """A tap that was removed sees nothing more."""
    client, counter = ready(connect), Counter()
    client._engine.taps.add(counter)
    client._engine.taps.remove(counter)
    client.clear_audio_buffer().result(HANG)

    assert (counter.sent, counter.received) == (0, 0)
