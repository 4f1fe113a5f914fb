"""Steps of several threads, one by one."""

from __future__ import annotations

import threading

import pytest
from listeners import HANG, Aside

from azure_rt_audio import RealtimeError
from azure_rt_audio._session.one_by_one import OneByOne, Step


class Interrupted(BaseException):
    """Ctrl-C, by another name."""


def step(does: object, failures: list[Exception]) -> Step:
    """Return a step that raises, calls or records."""

    def run() -> None:
        if isinstance(does, BaseException):
            raise does
        if callable(does):
            does()

    return Step(run, failures.append)


def test_a_step_is_done_by_who_is_at_work() -> None:
    """The one that comes second does not wait; its failure goes where it belongs."""
    steps, failures, order = OneByOne(), [], []
    entered, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        assert go_on.wait(HANG)
        order.append("slow")

    first = Aside(lambda: steps.run(step(slow, failures)))
    assert entered.wait(HANG)
    steps.run(step(lambda: order.append("second"), failures))
    steps.run(step(RealtimeError("no"), failures))
    before = list(order)
    go_on.set()
    first.result()

    assert (before, order, [str(f) for f in failures]) == ([], ["slow", "second"], ["no"])


def test_a_failure_of_ones_own_is_raised() -> None:
    """It is not told a second time, and the next step runs."""
    steps, failures, order = OneByOne(), [], []
    with pytest.raises(RealtimeError, match="no"):
        steps.run(step(RealtimeError("no"), failures))
    steps.run(step(lambda: order.append("next"), failures))

    assert (order, failures) == (["next"], [])


def test_who_is_interrupted_holds_nobody_up() -> None:
    """What Ctrl-C left undone is done by the next one, or when somebody looks."""
    steps, order = OneByOne(), []

    def interrupted() -> None:
        steps.run(step(lambda: order.append("left"), []))
        raise Interrupted

    for _ in range(2):
        with pytest.raises(Interrupted):
            steps.run(step(interrupted, []))
    before = list(order)
    steps.run_rest()

    assert (before, order) == (["left"], ["left", "left"])
