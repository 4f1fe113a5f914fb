"""Delay and jitter between a client and the emulator."""

from __future__ import annotations

import json
import random
import threading
import time

import pytest
from websockets.sync.client import connect

from azure_rt_audio.emulator import Emulator
from azure_rt_audio.emulator.server.latency import Line

HANG_SECONDS = 5.0


def test_a_line_delays_and_keeps_the_order() -> None:
    """Each value takes delay plus or minus jitter, and none overtakes another."""
    line: Line[int] = Line(0.06, 0.03, random.Random(1))
    arrived: list[tuple[int, float]] = []
    for tick in range(300):
        now = tick / 100
        if tick < 100:
            line.put(tick, now)
        while (value := line.take(now)) is not None:
            arrived.append((value, now - value / 100))

    assert [value for value, _ in arrived] == list(range(100))
    delays = [delay for _, delay in arrived]
    assert (
        min(delays) >= 0.03,
        max(delays) <= 0.1 + 1e-9,
        len({*map(round, [d * 100 for d in delays])}),
    ) == (
        True,
        True,
        pytest.approx(6, abs=3),
    )
    assert line.due is None


def test_a_round_trip_takes_twice_the_latency() -> None:
    """A command takes its time to arrive, and its answer to come back."""
    with (
        Emulator(latency_ms=(30, 0)) as service,
        connect(service.url(), additional_headers={"api-key": "emulator-key"}) as client,
    ):
        assert json.loads(client.recv(timeout=HANG_SECONDS))["type"] == "session.created"
        began = time.monotonic()
        client.send('{"type": "input_audio_buffer.clear"}')
        assert json.loads(client.recv(timeout=HANG_SECONDS))["type"] == "input_audio_buffer.cleared"
        assert time.monotonic() - began >= 0.06
        client.send('{"type": "input_audio_buffer.clear", "event_id": "last"}')
    service.wait_for_command("input_audio_buffer.clear", HANG_SECONDS, count=2)  # was on its way at the end


def test_what_was_sent_before_the_end_is_received_although_the_emulator_stops() -> None:
    """The connection's thread is still busy with the first command when the emulator is told to stop."""
    is_busy, stops = threading.Event(), threading.Event()

    def hold(line: str) -> None:
        if "> input_audio_buffer.cleared" in line:
            is_busy.set()
            service.connections[0]._gone.wait(HANG_SECONDS)
            stops.set()

    service = Emulator(on_log=hold)
    with service, connect(service.url(), additional_headers={"api-key": "emulator-key"}) as client:
        client.send('{"type": "input_audio_buffer.clear"}')
        assert is_busy.wait(HANG_SECONDS)
        client.send('{"type": "input_audio_buffer.clear"}')
    assert stops.is_set()
    service.wait_for_command("input_audio_buffer.clear", HANG_SECONDS, count=2)


def test_what_was_sent_before_a_close_frame_is_received() -> None:
    """The connection's thread learns of the close when it writes an answer, with a command still unread."""
    is_busy, go_on = threading.Event(), threading.Event()

    def hold(line: str) -> None:
        if "> input_audio_buffer.cleared" in line:
            is_busy.set()
            go_on.wait(HANG_SECONDS)

    with Emulator(on_log=hold) as service:
        with connect(service.url(), additional_headers={"api-key": "emulator-key"}) as client:
            client.send('{"type": "input_audio_buffer.clear"}')
            assert is_busy.wait(HANG_SECONDS)
            client.send('{"type": "input_audio_buffer.clear"}')
        go_on.set()  # the client has left, with the close frame of both sides
        assert service.connections[0].wait_closed(HANG_SECONDS)
        assert len(service.received("input_audio_buffer.clear")) == 2


@pytest.mark.parametrize("latency", [60, (1,), (-1, 0), ("60", 0), (0, float("nan"))])
def test_a_latency_that_cannot_be(latency: object) -> None:
    """Is refused by name."""
    with pytest.raises((TypeError, ValueError), match="latency_ms"):
        Emulator(latency_ms=latency)  # type: ignore[arg-type]
