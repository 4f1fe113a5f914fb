"""Where listeners run: in order, one at a time, within a limit, and never without a word."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import Any

import attrs
import pytest
from listeners import HANG, Probe, Stage

from azure_rt_audio import (
    DispatchOverflowError,
    InlineDispatcher,
    QueueDispatcher,
    ServiceError,
    WorkerDispatcher,
)
from azure_rt_audio._session.event_stream import EventStream
from azure_rt_audio.dispatch.base import Dispatcher, call_guarded, weight
from azure_rt_audio.protocol.event_filter import event_filter
from azure_rt_audio.protocol.events import ResponseOutputAudioDelta, SessionClosed, UnknownEvent
from azure_rt_audio.protocol.events.local import (
    LOCAL_EVENTS,
    GuardTripped,
    Reconnected,
    Reconnecting,
    ToolEnded,
    ToolProgress,
)

SMALL = UnknownEvent(raw={"type": "a.small.one"})


def delta(length: int) -> ResponseOutputAudioDelta:
    """Return an audio delta with so many characters."""
    return ResponseOutputAudioDelta(
        response_id="r", item_id="i", output_index=0, content_index=0, delta="A" * length
    )


@pytest.fixture
def worker() -> Any:
    """A worker whose thread has ended when the test has."""
    worker = WorkerDispatcher()
    yield worker
    worker.close()
    assert worker.join(HANG)


# ------------------------------------------------------------ the contract


@pytest.mark.parametrize("make", [InlineDispatcher, QueueDispatcher, WorkerDispatcher])
def test_each_is_a_dispatcher(make: Any) -> None:
    """What this package offers fulfils its own protocol."""
    assert isinstance(make(), Dispatcher)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (delta(1000), 1512),
        (SMALL, 512),
        (SessionClosed(), 512),
        (ServiceError("no"), 512),
        (ConnectionError(), 0),
        (ToolProgress(call_id="c", name="n", text="x" * 1000), 1512),
        (ToolEnded(call_id="c", name="n", output="x" * 1000, error=None, seconds=1.0), 1512),
        (GuardTripped(response_id="r", reason="x" * 500, text="x" * 500), 1512),
        (object(), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_weight(event: Any, expected: int) -> None:
    """Deltas and tools weigh their text, the service's other events 512 bytes, and a status nothing."""
    assert weight(event) == expected


def test_every_text_of_a_program_weighs() -> None:
    """Of the client's own events, those that always get through hold none."""
    texts = {
        event: {field.name for field in attrs.fields(event) if field.type == "str"}
        for event in LOCAL_EVENTS
        if event not in (Reconnecting, Reconnected)  # why a connection ended, as often as one is made
    }
    ids = {"call_id", "response_id", "name"}

    assert {event: names - ids for event, names in texts.items()} == {
        event: set(getattr(event, "_TEXTS", ())) for event in texts
    }


def test_progress_that_nobody_takes_is_too_much_at_last() -> None:
    """For a dispatcher, and for a stream."""
    event = ToolProgress(call_id="c", name="n", text="x" * 2**20)
    dispatcher = QueueDispatcher(max_backlog_bytes=1000)
    stream: EventStream[Any] = EventStream((event_filter(ToolProgress),), None, lambda: None, None)
    dispatcher.submit(id, event)
    with pytest.raises(DispatchOverflowError):
        dispatcher.submit(id, event)
    for _ in range(64):
        stream._feed(event)

    assert stream.is_over
    assert [next(stream) for _ in range(64)] == [event] * 64
    with pytest.raises(DispatchOverflowError):
        next(stream)


def test_a_failing_listener_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of the user's code ends in the log, with its traceback."""

    def fail(_: object) -> None:
        raise LookupError("in the listener")

    call_guarded(fail, None, "the listener")

    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError]


def test_ctrl_c_belongs_to_the_main_thread() -> None:
    """On the main thread, what ends a program goes through."""

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call_guarded(interrupt, None, "the listener")


# ------------------------------------------------------------ inline


def test_inline_runs_at_once() -> None:
    """The inline dispatcher has called the listener when it returns."""
    probe = Probe()

    InlineDispatcher().submit(probe, 1)

    assert probe.told == [1]
    assert probe.threads == {threading.current_thread().name}


# ------------------------------------------------------------ queued


def test_queued_runs_when_asked() -> None:
    """Nothing runs before run_pending, and then everything, in order, on the thread that called it."""
    dispatcher, probe = QueueDispatcher(), Probe()
    for number in range(3):
        dispatcher.submit(probe, number)
    before = probe.told

    count = dispatcher.run_pending()

    assert (before, count, probe.told) == ([], 3, [0, 1, 2])
    assert probe.threads == {threading.current_thread().name}


def test_run_pending_leaves_what_it_causes() -> None:
    """What listeners cause to be submitted waits for the next round, so a round ends."""
    dispatcher = QueueDispatcher()

    def again(event: Any) -> None:
        dispatcher.submit(again, event)

    dispatcher.submit(again, 1)

    assert [dispatcher.run_pending() for _ in range(3)] == [1, 1, 1]


def test_run_pending_waits_for_a_first_event() -> None:
    """With a timeout it waits until something comes, from whichever thread."""
    dispatcher, probe = QueueDispatcher(), Probe()
    thread = threading.Thread(target=dispatcher.submit, args=(probe, 1))
    thread.start()

    count = dispatcher.run_pending(timeout=HANG)

    thread.join(HANG)
    assert (count, probe.told) == (1, [1])


def test_run_pending_returns_without_an_event() -> None:
    """When nothing comes in time, no call was made."""
    assert QueueDispatcher().run_pending(timeout=0.001) == 0


def test_a_second_loop_takes_from_the_first() -> None:
    """A listener that runs what is pending itself leaves nothing for the outer round, which says so."""
    dispatcher, probe = QueueDispatcher(), Probe()
    inner: list[int] = []
    dispatcher.submit(lambda _: inner.append(dispatcher.run_pending()), 0)
    dispatcher.submit(probe, 1)
    dispatcher.submit(probe, 2)

    outer = dispatcher.run_pending()

    assert (outer, inner, probe.told) == (1, [2], [1, 2])


def test_the_backlog_has_a_limit() -> None:
    """Past the limit a delta is refused by name, and what waited before is still run."""
    dispatcher, probe = QueueDispatcher(max_backlog_bytes=5000), Probe()
    dispatcher.submit(probe, delta(6000))

    with pytest.raises(DispatchOverflowError, match="max_backlog_bytes") as caught:
        dispatcher.submit(probe, delta(1))

    assert caught.value.close_code == 1011
    assert (dispatcher.run_pending(), len(probe.told)) == (1, 1)
    dispatcher.submit(probe, delta(1))
    assert dispatcher.run_pending() == 1


def test_the_last_word_gets_through() -> None:
    """How it ended is delivered even if the backlog is full: it weighs nothing."""
    dispatcher, probe = QueueDispatcher(max_backlog_bytes=0), Probe()
    dispatcher.submit(probe, SMALL)

    dispatcher.submit(probe, DispatchOverflowError("too slow"))

    assert dispatcher.run_pending() == 2


# ------------------------------------------------------------ worker


def test_the_worker_keeps_the_order(worker: WorkerDispatcher) -> None:
    """Events arrive in the order of submission, on one thread of the worker's own."""
    probe = Probe()
    for number in range(200):
        worker.submit(probe, number)

    assert [probe.next() for _ in range(200)] == list(range(200))
    assert len(probe.threads) == 1
    assert probe.threads.pop().startswith("azure-rt-events-")


def test_a_slow_listener_loses_nothing(worker: WorkerDispatcher) -> None:
    """While a listener is busy, events wait, and then come in order."""
    stage, probe = Stage(), Probe()
    worker.submit(stage, None)
    stage.wait()
    for number in range(50):
        worker.submit(probe, number)
    before = probe.told

    stage.go_on.set()

    assert before == []
    assert [probe.next() for _ in range(50)] == list(range(50))


@pytest.mark.parametrize("failure", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_nothing_kills_the_worker(
    worker: WorkerDispatcher, caplog: pytest.LogCaptureFixture, failure: type[BaseException]
) -> None:
    """Whatever a listener raises, it is logged and the next one runs."""
    probe = Probe()

    def fail(_: object) -> None:
        raise failure("out of a listener")

    worker.submit(fail, 1)
    worker.submit(probe, 2)

    assert probe.next() == 2
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [failure]


def test_the_worker_has_a_limit(worker: WorkerDispatcher) -> None:
    """Past the limit submit raises, and what waits is still delivered."""
    lane = WorkerDispatcher(max_backlog_bytes=100)
    stage, probe = Stage(), Probe()
    lane.submit(stage, SMALL)
    stage.wait()
    lane.submit(probe, SMALL)
    with pytest.raises(DispatchOverflowError):
        lane.submit(probe, SMALL)

    stage.go_on.set()
    lane.close()

    assert lane.join(HANG)
    assert probe.told == [SMALL]


def test_close_lets_it_finish(worker: WorkerDispatcher) -> None:
    """What waits when the worker is closed is run before its thread ends."""
    stage, probe = Stage(), Probe()
    worker.submit(stage, None)
    stage.wait()
    worker.submit(probe, 1)
    worker.close()

    stage.go_on.set()

    assert worker.join(HANG)
    assert probe.told == [1]


def test_it_starts_again_after_its_end(worker: WorkerDispatcher) -> None:
    """An event after the end starts another thread, which ends as well."""
    probe = Probe()
    worker.submit(probe, 1)
    worker.close()
    assert worker.join(HANG)

    worker.submit(probe, 2)

    assert [probe.next(), probe.next()] == [1, 2]
    assert worker.join(HANG)
    assert len(probe.threads) == 2


def test_it_cannot_join_itself(worker: WorkerDispatcher) -> None:
    """From its own thread, join returns at once, and says that the thread has not ended."""
    probe = Probe()
    worker.submit(lambda _: probe((worker.owns_this_thread(), worker.join(None))), None)

    assert probe.next() == (True, False)
    assert not worker.owns_this_thread()


def test_join_without_a_thread() -> None:
    """A worker that never ran has ended."""
    assert WorkerDispatcher().join(0)


def test_join_before_the_thread_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that is about to start has not ended, and cannot be waited for yet."""
    worker, seen = WorkerDispatcher(), []
    start = threading.Thread.start

    def look_first(thread: threading.Thread) -> None:
        seen.append(worker.join(HANG))
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", look_first)
    worker.submit(Probe(), 1)
    worker.close()

    assert seen == [False]
    assert worker.join(HANG)


def test_an_event_while_the_thread_starts(worker: WorkerDispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is submitted between the decision to start a thread and its first step is run by it."""
    probe = Probe()
    start = threading.Thread.start

    def submit_first(thread: threading.Thread) -> None:
        monkeypatch.undo()
        worker.submit(probe, 2)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", submit_first)
    worker.submit(probe, 1)

    assert [probe.next(), probe.next()] == [1, 2]
    assert len(probe.threads) == 1


def test_no_thread_is_to_be_had(
    worker: WorkerDispatcher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the system has no thread left, that is said, and the event is run with the next one."""
    probe = Probe()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        worker.submit(probe, 1)
    worker.submit(probe, 2)

    assert [probe.next(), probe.next()] == [1, 2]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_an_idle_worker_keeps_nothing_alive(worker: WorkerDispatcher) -> None:
    """Neither the last event nor its listener is held by a thread that waits for the next."""

    class Event:
        pass

    class Listener:
        def __call__(self, event: object) -> None:
            pass

    event, listener, probe = Event(), Listener(), Probe()
    held = [weakref.ref(event), weakref.ref(listener)]
    worker.submit(listener, event)
    worker.submit(probe, 1)
    assert probe.next() == 1
    # The thread takes the next event only after it has let go of the one before.
    worker.submit(probe, 2)
    assert probe.next() == 2

    del event, listener

    assert [reference() for reference in held] == [None, None]


def test_a_dropped_worker_ends() -> None:
    """A worker nobody holds any more is collected, and its thread ends without being closed."""
    worker, probe = WorkerDispatcher(), Probe()
    worker.submit(lambda _: probe(threading.current_thread()), None)
    thread = probe.next()

    del worker
    gc.collect()

    thread.join(HANG)
    assert not thread.is_alive()


def test_half_a_worker_is_collected_in_silence() -> None:
    """Ctrl-C in its constructor leaves one without its parts."""
    worker = WorkerDispatcher.__new__(WorkerDispatcher)
    del worker  # what __del__ raises fails the test: see filterwarnings
    gc.collect()


def test_a_worker_may_be_collected_by_its_own_thread() -> None:
    """If the last one to hold a worker is its own listener, the thread ends all the same."""
    worker, probe = WorkerDispatcher(), Probe()
    stage = Stage()
    held = [worker]
    worker.submit(stage, None)
    stage.wait()
    worker.submit(lambda _: (probe(threading.current_thread()), held.clear()), None)
    del worker

    stage.go_on.set()

    thread = probe.next()
    thread.join(HANG)
    assert not thread.is_alive()
    assert held == []


def test_an_alarm_too_many_does_no_harm() -> None:
    """Closing a worker again and again, as a finalizer may once more, changes nothing."""
    worker = WorkerDispatcher()
    for _ in range(1000):
        worker.close()

    worker.submit(Probe(), 1)

    assert worker.join(HANG)


def test_listeners_finish_at_exit() -> None:
    """At the interpreter's exit what waits is still run, and what comes later is not, without a word."""
    script = """
        import atexit
        atexit.register(lambda: worker.submit(print, "too late"))  # runs last: handlers run in reverse order
        from azure_rt_audio import WorkerDispatcher
        import threading
        worker = WorkerDispatcher()
        worker.submit(lambda _: threading.Event().wait(0.2), None)
        worker.submit(print, "in time")
    """

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr, done.stdout) == (0, "", "in time\n")
