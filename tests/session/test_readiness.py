"""Whether a session is ready, by itself: its time-outs go by the clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from listeners import Aside
from manual_clock import ManualClock

from azure_rt_audio import ConnectError, ServiceError, WebSocketOptions
from azure_rt_audio._concurrency.deadline import Deadline
from azure_rt_audio._session.readiness import Readiness
from azure_rt_audio._transport import Connection, Target


@pytest.fixture
def clock() -> ManualClock:
    """Time that the test advances."""
    return ManualClock()


@pytest.fixture
def ready(clock: ManualClock) -> Iterator[Readiness]:
    """That of a connection which is still to be made, with an hour to wait."""
    connection = Connection(
        lambda: Target("ws://127.0.0.1:1/"),
        WebSocketOptions(),
        on_open=lambda: None,
        on_message=lambda _: None,
        on_end=lambda _: None,
    )
    yield Readiness(connection, "127.0.0.1:1", 3600.0, "mine", clock)
    connection.close()


def test_a_wait_ends_by_the_clock(clock: ManualClock, ready: Readiness) -> None:
    """When the time has passed, the error says how far the connection had come."""
    aside = Aside(lambda: ready.wait_until(Deadline(60.0, clock)))
    clock.advance(60.0, ready._condition)

    with pytest.raises(TimeoutError, match=r"not ready after 60\.0 seconds.* still being made"):
        aside.result()


def test_the_connection_has_a_moment_more(clock: ManualClock, ready: Readiness) -> None:
    """A connection that fails with the time-out of the options is reported as such."""
    aside = Aside(ready.wait_as_configured)
    clock.advance(3600.0, ready._condition)
    clock.advance(0.5, ready._condition)
    ready.end(ConnectError("it was refused"))

    with pytest.raises(ConnectError, match="it was refused"):
        aside.result()


def test_the_moment_more_is_within_the_time_of_the_caller(clock: ManualClock, ready: Readiness) -> None:
    """Who has less time than the connection gets none; who has a little more gets that."""
    deadline = Deadline(60.0, clock)
    aside = Aside(lambda: ready.wait_to_send(deadline))
    clock.advance(60.0, ready._condition)
    with pytest.raises(TimeoutError, match=r"not ready after 60\.0 seconds"):
        aside.result()

    deadline = Deadline(3600.5, clock)
    aside = Aside(lambda: ready.wait_to_send(deadline))
    clock.advance(3600.0, ready._condition)
    clock.advance(0.5, ready._condition)
    with pytest.raises(TimeoutError, match=r"not ready after 3600\.0 seconds"):
        aside.result()


def test_another_configuration_after_a_refused_one(clock: ManualClock, ready: Readiness) -> None:
    """A refusal is raised; once another configuration was sent, callers wait for its acknowledgement."""
    ready.refuse(ServiceError("no", event_id="another's"))
    ready.refuse(ServiceError("no", event_id="mine"))
    with pytest.raises(ServiceError):
        ready.wait_until(Deadline(0, clock))
    ready.try_again_with("better")
    aside = Aside(lambda: ready.wait_until(Deadline(60.0, clock)))
    clock.advance(59.0, ready._condition)
    ready.initialize()

    assert aside.result() is None
