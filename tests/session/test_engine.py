"""The engine by itself, with the service in miniature and a clock that the test advances."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from listeners import HANG, Aside
from manual_clock import ManualClock

from azure_rt_audio import AzureRealTimeOptions, ConnectionClosedError, InlineDispatcher, WebSocketOptions
from azure_rt_audio._concurrency.deadline import Deadline
from azure_rt_audio._session.acknowledgement import Acknowledgement
from azure_rt_audio._session.engine import Engine
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.protocol.commands import InputAudioBufferClear
from azure_rt_audio.protocol.event_filter import event_filter


@pytest.fixture
def clock() -> ManualClock:
    """Time that the test advances."""
    return ManualClock()


@pytest.fixture
def engine(emulator: Emulator, clock: ManualClock) -> Iterator[Engine]:
    """An engine whose session is ready."""
    options = AzureRealTimeOptions(**emulator.options())
    engine = Engine(options, WebSocketOptions(), None, InlineDispatcher(), clock)
    engine.start()
    engine.wait_until_ready(Deadline(HANG))
    yield engine
    assert engine.close(HANG)


def test_a_wait_for_an_event_ends_by_the_clock(clock: ManualClock, engine: Engine) -> None:
    """An hour without the event is a TimeoutError, and takes no time."""
    aside = Aside(lambda: engine.waits.wait_for(event_filter("response.done"), None, None, 3600.0))
    while not engine.waiters.waiting:
        threading.Event().wait(0.001)
    future = engine.waiters.waiting[0]._future()
    assert isinstance(future, Acknowledgement)
    clock.advance(3600.0, future._settled)

    with pytest.raises(TimeoutError, match=r"no 'response\.done' came within 3600\.0 seconds"):
        aside.result()


def test_a_wait_for_an_acknowledgement_ends_by_the_clock(clock: ManualClock, engine: Engine) -> None:
    """The same for a command that the service does not answer."""
    future = engine.sender.acknowledged(
        InputAudioBufferClear(), None, lambda key, event: False, wait=engine.sender.wait_to_send
    )
    aside = Aside(lambda: future.result(3600.0))
    clock.advance(3600.0, future._settled)

    with pytest.raises(TimeoutError, match=r"did not acknowledge it within 3600\.0 seconds"):
        aside.result()


def test_a_stream_ends_by_the_clock(clock: ManualClock, engine: Engine) -> None:
    """The same for a loop over events."""
    stream = engine.waits.stream((event_filter("response.done"),), None, 3600.0)
    aside = Aside(lambda: next(stream))
    clock.advance(3600.0, stream._condition)

    with pytest.raises(TimeoutError, match=r"no event came for 3600\.0 seconds"):
        aside.result()


def test_after_the_end_no_connection_is_made(engine: Engine, emulator: Emulator) -> None:
    """A session that was lost has ended: there is nothing to connect for."""
    emulator.drop()
    with pytest.raises(ConnectionClosedError):
        engine.waits.wait_for(event_filter("response.done"), None, None, None)

    with pytest.raises(ConnectionClosedError, match="does not connect again"):
        engine.attempts.start(engine.configuration.new_attempt())
