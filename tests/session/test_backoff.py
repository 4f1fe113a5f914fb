"""When to try again after a loss, and when to give up: a table of policies, with a clock of numbers."""

from __future__ import annotations

import random
from typing import Any

import pytest

from azure_rt_audio import ConnectError, ConnectionClosedError, ReconnectPolicy
from azure_rt_audio._session.backoff import Backoff, GiveUp, Retry

LOST = ConnectionClosedError("lost", close_code=1006)


def limits(**policy: Any) -> Backoff:
    """Return a backoff whose delays are the limits of the random ones."""
    return Backoff(ReconnectPolicy(**policy), lambda: 1.0)


def delays(backoff: Backoff, count: int, now: float = 0.0) -> list[float]:
    """Return the delays of a row of attempts that all fail at once."""
    found = []
    for _ in range(count):
        step = backoff.after(LOST, now, has_worked=True)
        assert isinstance(step, Retry)
        found.append(step.delay_s)
        now += step.delay_s
    return found


def test_delays_double() -> None:
    """The limit of each delay is twice the one before, up to max_delay."""
    assert delays(limits(), 9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert delays(limits(initial_delay=2, max_delay=5), 4) == [2, 4, 5, 5]


def test_full_jitter() -> None:
    """A delay is drawn evenly between 0 and its limit."""
    seeded = Backoff(ReconnectPolicy(max_seconds=None), random.Random(14).random)
    drawn = []
    for _ in range(400):
        seeded.reset()
        drawn += delays(seeded, 2)[1:]

    assert 0 <= min(drawn) < 0.05
    assert 0.95 < max(drawn) <= 1
    assert 0.45 < sum(drawn) / len(drawn) < 0.55


def test_attempts_are_numbered() -> None:
    """Each step has its number since the loss, and the reason of the end before it."""
    backoff = limits()

    assert backoff.after(LOST, 0, has_worked=True) == Retry(1, 0.5, "the connection was lost")
    refused = ConnectError("m", status=503)
    assert backoff.after(refused, 1, has_worked=True) == Retry(2, 1, "HTTP 503 Service Unavailable")


def test_retry_after() -> None:
    """The service's delay is kept, with jitter on top, also beyond max_delay."""
    wait = ConnectError("m", status=429, retry_after=40)

    assert limits().after(wait, 0, has_worked=True) == Retry(1, 40.5, "HTTP 429 Too Many Requests")
    assert Backoff(ReconnectPolicy(), lambda: 0.0).after(wait, 0, has_worked=True) == Retry(
        1, 40, "HTTP 429 Too Many Requests"
    )


def test_retry_after_beyond_the_limit() -> None:
    """There is no use in waiting for what comes after the end."""
    wait = ConnectError("m", status=429, retry_after=601)
    given_up = limits().after(wait, 0, has_worked=True)

    assert isinstance(given_up, GiveUp)
    assert "601 s without attempts, beyond max_seconds" in given_up.reason
    assert limits(max_seconds=None).after(wait, 0, has_worked=True) == Retry(
        1, 601.5, "HTTP 429 Too Many Requests"
    )


def test_max_attempts() -> None:
    """After so many attempts in a row it is given up."""
    backoff = limits(max_attempts=3)

    assert len(delays(backoff, 3)) == 3
    assert backoff.after(LOST, 9, has_worked=True) == GiveUp(
        "the connection was lost; 3 attempts were made (max_attempts)"
    )


def test_max_seconds() -> None:
    """The last attempt is made when the time is over, not after."""
    backoff = limits(max_seconds=10)

    assert delays(backoff, 5, now=1000) == [0.5, 1, 2, 4, 2.5]
    assert backoff.after(LOST, 1010, has_worked=True) == GiveUp(
        "the connection was lost; no connection for 10 s (max_seconds)"
    )


def test_the_count_begins_anew() -> None:
    """After a completed response, or a minute, a loss is the first one."""
    backoff = limits(max_seconds=10, max_attempts=3)
    delays(backoff, 3)
    backoff.reset()

    assert backoff.attempt == 0
    assert delays(backoff, 3, now=5000) == [0.5, 1, 2]


def test_a_connection_that_is_lost_at_once() -> None:
    """Without a reset the count goes on: connections that do not last are not dialled for ever."""
    backoff = limits(max_seconds=100)

    assert [backoff.after(LOST, now, has_worked=True) for now in (0, 30, 60)] == [
        Retry(1, 0.5, "the connection was lost"),
        Retry(2, 1, "the connection was lost"),
        Retry(3, 2, "the connection was lost"),
    ]
    assert isinstance(backoff.after(LOST, 100, has_worked=True), GiveUp)


def test_no_end() -> None:
    """With neither limit it goes on for days, and the delays stay finite."""
    backoff = limits(max_seconds=None)

    assert delays(backoff, 5000)[-1] == 30


@pytest.mark.parametrize(("retry_first", "kind"), [(False, GiveUp), (True, Retry)])
def test_the_first_connection(retry_first: bool, kind: type[Any]) -> None:
    """A client that never worked gives up at once, unless it is to keep trying."""
    backoff = limits(retry_first=retry_first)

    assert isinstance(backoff.after(ConnectError("no route"), 0, has_worked=False), kind)


def test_a_fatal_end() -> None:
    """What is fatal is not tried again, whatever the policy."""
    backoff = limits(retry_first=True, max_seconds=None)

    assert backoff.after(ConnectError("m", status=403), 0, has_worked=True) == GiveUp("HTTP 403 Forbidden")


def test_a_token_is_asked_once_more() -> None:
    """Of refusals of the token, the second one in a row is the last."""
    backoff = Backoff(ReconnectPolicy(), lambda: 0.0, has_fresh_token=True)
    refused = ConnectError("m", status=401)

    assert isinstance(backoff.after(refused, 0, has_worked=True), Retry)
    assert isinstance(backoff.after(LOST, 0, has_worked=True), Retry)
    assert backoff.after(refused, 1, has_worked=True) == GiveUp("HTTP 401 Unauthorized")
    backoff.reset()
    assert isinstance(backoff.after(refused, 2, has_worked=True), Retry)


def test_ends_of_a_kind_are_counted() -> None:
    """Three tries of a policy violation, a minute of a deployment that is unknown."""
    backoff = limits()
    violation = ConnectionClosedError("m", close_code=1008)
    unknown = ConnectError("m", status=404)

    steps = [backoff.after(violation, 0, has_worked=True) for _ in range(4)]
    assert [type(step) for step in steps] == [Retry, Retry, Retry, GiveUp]
    backoff.reset()
    steps = [backoff.after(unknown, now, has_worked=True) for now in (0, 59, 60)]
    assert [type(step) for step in steps] == [Retry, Retry, GiveUp]
