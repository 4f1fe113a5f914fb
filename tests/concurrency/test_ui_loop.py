"""What a wait says when it keeps a loop from turning; with a loop that is none, on a thread of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
from listeners import HANG, Aside

from azure_rt_audio._concurrency.condition import Condition
from azure_rt_audio._concurrency.deadline import Deadline
from azure_rt_audio._concurrency.ui_loop import loop_ends, loop_turns


class Loop:
    """A loop that runs, or does not."""

    def __init__(self) -> None:
        self.runs = True
        self.asked = 0

    def is_running(self) -> bool:
        return self.runs

    def ask_for_turn(self) -> None:
        self.asked += 1


def waits(seconds: float, times: int = 1) -> None:
    """Wait for nothing; the change is never announced."""
    for _ in range(times):
        assert not Condition().wait_until(lambda: False, Deadline(seconds))


def warned(action: Callable[[Loop], object]) -> list[str]:
    """Return the files warned of by an action on a thread whose loop has turned."""

    def run() -> None:
        loop = Loop()
        loop_turns(loop)
        action(loop)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Aside(run).result()
    return [warning.filename for warning in caught]


def test_a_long_wait_is_told_at_the_line_that_waits() -> None:
    """It names the line outside of this package, and says so while it still waits."""
    assert warned(lambda _: waits(0.5)) == [__file__]


def test_short_waits_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over within the limit nobody notices."""
    monkeypatch.setattr("azure_rt_audio._concurrency.ui_loop.LIMIT_S", HANG)
    assert warned(lambda _: waits(0.01, times=3)) == []


def test_waits_of_one_turn_add_up_and_are_told_once() -> None:
    """What counts is how long the loop has not turned."""
    assert warned(lambda _: waits(0.04, times=6)) == [__file__]


def test_a_turn_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between turns the loop has done its work."""
    monkeypatch.setattr("azure_rt_audio._concurrency.ui_loop.LIMIT_S", 1.0)

    def wait_and_turn(loop: Loop) -> None:
        for _ in range(4):
            waits(0.4)
            loop_turns(loop)

    assert warned(wait_and_turn) == []


def test_the_loop_is_asked_to_turn_once_after_a_wait() -> None:
    """So that the account of a loop with nothing to do is settled, too."""
    loop = Loop()

    def run() -> int:
        loop_turns(loop)
        waits(0.001, times=3)
        return loop.asked

    assert Aside(run).result() == 1


@pytest.mark.parametrize("way", ["not running", "over", "never"])
def test_without_a_loop_waits_are_free(way: str) -> None:
    """Outside of a loop, after its end and on threads that have none, nothing is said."""

    def wait(loop: Loop) -> None:
        if way == "not running":
            loop.runs = False
        elif way == "over":
            loop_ends()
        else:
            Aside(lambda: waits(0.15)).result()
            return
        waits(0.15)

    assert warned(wait) == []


def test_a_warning_that_is_an_error_leaves_everything_whole() -> None:
    """With ``-W error`` the wait ends with the warning; the next one works."""
    change = Condition()

    def run() -> bool:
        loop_turns(Loop())
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(RuntimeWarning):
                change.wait_until(lambda: False, Deadline(HANG))
        return change.wait_until(lambda: True, Deadline(HANG))

    assert Aside(run).result()
