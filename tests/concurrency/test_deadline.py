"""One budget across several waits."""

from __future__ import annotations

from manual_clock import ManualClock

from azure_rt_audio._concurrency.deadline import Deadline


def test_it_counts_down_from_its_making() -> None:
    """The budget is shared by all who ask, however often."""
    clock = ManualClock()
    deadline = Deadline(2.0, clock)
    clock.now += 1.5

    assert deadline.remaining() == 0.5
    assert not deadline.expired


def test_it_is_never_negative() -> None:
    """A wait may be given what remains without a check."""
    clock = ManualClock()
    deadline = Deadline(2.0, clock)
    clock.now += 9

    assert deadline.remaining() == 0.0
    assert deadline.expired


def test_it_expires_at_the_very_moment() -> None:
    """Nothing left means expired, so a loop cannot spin on a wait of zero."""
    assert Deadline(0.0, ManualClock()).expired


def test_none_never_expires() -> None:
    """Without a limit, what remains is None, which every wait of the standard library takes for no limit."""
    deadline = Deadline(None)

    assert deadline.remaining() is None
    assert not deadline.expired
    assert repr(deadline) == "<Deadline: none>"


def test_it_shows_what_is_left() -> None:
    """A log line may hold a deadline."""
    assert repr(Deadline(2.0, ManualClock())) == "<Deadline: 2.000 s left>"
