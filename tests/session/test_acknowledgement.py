"""Futures of commands: on which thread they wait, and where their callbacks run."""

from __future__ import annotations

import logging
import traceback
from concurrent.futures import CancelledError
from typing import Any

import pytest
from listeners import HANG, Aside, Probe

from azure_rt_audio import InlineDispatcher, QueueDispatcher, ServiceError
from azure_rt_audio._session.acknowledgement import Acknowledgement


def future(dispatcher: Any = None, *, may_wait: Any = lambda: None) -> Acknowledgement[int]:
    """Return a future whose callbacks run where *dispatcher* says."""
    return Acknowledgement(None, may_wait, (dispatcher or InlineDispatcher()).submit)


def refuse() -> None:
    """What the I/O thread is told that wants to wait."""
    raise RuntimeError("not on the I/O thread")


def test_result() -> None:
    """The result is what it was resolved with."""
    made = future()
    made.set_result(1)

    assert (made.result(), made.exception()) == (1, None)


@pytest.mark.parametrize("method", ["result", "exception"])
def test_it_does_not_wait_on_the_reader(method: str) -> None:
    """On the I/O thread it may be looked at when it is done, but not waited for."""
    made = future(may_wait=refuse)

    with pytest.raises(RuntimeError, match="not on the I/O thread"):
        getattr(made, method)()
    made.set_result(1)

    assert made.result() == 1


@pytest.mark.parametrize("method", ["result", "exception"])
def test_time_is_the_builtin_timeout_error(method: str) -> None:
    """Time that runs out is the built-in TimeoutError in every Python, and says what was waited for."""
    with pytest.raises(TimeoutError, match="did not acknowledge it within 0 seconds"):
        getattr(future(), method)(0)


def test_a_timeout_error_as_the_outcome() -> None:
    """An outcome that is a TimeoutError itself is not taken for time that ran out."""
    made = future()
    made.set_exception(TimeoutError("of the user's predicate"))

    with pytest.raises(TimeoutError, match="predicate"):
        made.result(0)


def test_each_caller_gets_an_exception_of_its_own() -> None:
    """Raising one object again and again would let its traceback grow without end."""
    made = future()
    made.set_exception(error := ServiceError("no", code="c"))

    lengths = []
    for _ in range(3):
        with pytest.raises(ServiceError) as caught:
            made.result()
        assert caught.value is not error
        assert (caught.value.code, caught.value.__cause__) == ("c", error)
        lengths.append(len(traceback.extract_tb(caught.value.__traceback__)))

    assert len(set(lengths)) == 1
    assert error.__traceback__ is None


def test_cancelled_by_the_user() -> None:
    """A cancelled future stays cancelled."""
    made = future()

    assert made.cancel()
    with pytest.raises(CancelledError):
        made.result()


def test_the_wait_ends_with_the_result() -> None:
    """Who waits on another thread is woken."""
    made = future()
    aside = Aside(lambda: made.result(HANG))

    made.set_result(1)

    assert aside.result() == 1


def test_callbacks_run_where_listeners_run() -> None:
    """A callback waits for the dispatcher, whether it was added before or after the result."""
    queue, probe = QueueDispatcher(), Probe()
    made = future(queue)

    made.add_done_callback(probe)
    made.set_result(1)
    made.add_done_callback(probe)
    before = probe.told

    assert (before, queue.run_pending(), probe.told) == ([], 2, [made, made])


def test_a_callback_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A callback that raises is logged by this library, and the next one runs."""
    made, probe = future(), Probe()

    def fail(_: object) -> None:
        raise LookupError("in the callback")

    made.add_done_callback(fail)
    made.add_done_callback(probe)
    made.set_result(1)

    assert probe.told == [made]
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("azure_rt_audio.dispatch.base", logging.ERROR)
    ]
