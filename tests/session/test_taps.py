"""Observers where bytes pass."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from listeners import HANG, MARKER, Connect, Probe, ready

from azure_rt_audio._session.taps import Tap
from azure_rt_audio.emulator import Emulator


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


def test_a_removed_tap_is_silent(connect: Connect) -> None:
    """A tap that was removed sees nothing more."""
    client, counter = ready(connect), Counter()
    client._engine.taps.add(counter)
    client._engine.taps.remove(counter)
    client.clear_audio_buffer().result(HANG)

    assert (counter.sent, counter.received) == (0, 0)
