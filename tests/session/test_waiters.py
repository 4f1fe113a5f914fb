"""Those who wait: for one event, for an acknowledgement, or for events one by one."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import Any

import pytest
from listeners import HANG, Aside
from manual_clock import ManualClock

from azure_rt_audio import (
    ConnectError,
    ConnectionClosedError,
    DispatchOverflowError,
    InlineDispatcher,
    ServiceError,
)
from azure_rt_audio._session.acknowledgement import Acknowledgement
from azure_rt_audio._session.event_stream import EventStream, EventStreams
from azure_rt_audio._session.waiter import Answers, Waiter, item_added
from azure_rt_audio._session.waiters import Handled, Waiters, as_listened
from azure_rt_audio.dispatch.queued import DEFAULT_BACKLOG_BYTES
from azure_rt_audio.protocol.event_filter import event_filter
from azure_rt_audio.protocol.events import (
    ConversationItemAdded,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    ResponseOutputAudioDelta,
    SessionClosed,
)
from azure_rt_audio.protocol.events.local import Init
from azure_rt_audio.protocol.items import MessageItem
from azure_rt_audio.protocol.session import Session

LOST = ConnectionClosedError("lost")

DELTA: dict[str, Any] = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}

COMMITTED: Answers = ((InputAudioBufferCommitted, None),)


def key_is(wanted: str) -> Callable[[Any, Any], bool]:
    """Return a condition on the key an event is published under."""
    return lambda key, event: bool(key == wanted)


def commits(waiters: Waiters, event_id: str) -> Future[Any]:
    """Wait for the acknowledgement of a command of which one event answers one."""
    future: Future[Any] = Future()
    waiters.add(Waiter(COMMITTED, future, event_id=event_id, acknowledges="commit"))
    return future


def committed(item_id: str) -> InputAudioBufferCommitted:
    """Return what acknowledges one."""
    return InputAudioBufferCommitted(item_id=item_id)


def may_wait() -> None:
    """Allow it."""


# ------------------------------------------------------------ one event


def test_an_event_wakes_who_waits_for_it() -> None:
    """The event goes to every waiter that it matches, and to no other."""
    waiters = Waiters()
    futures: list[Future[Any]] = [Future() for _ in range(3)]
    for future, key in zip(futures, ("a", "a", "b"), strict=True):
        waiters.add(Waiter(key_is(key), future))

    waiters.offer("a", 1)

    assert [future.result(0) for future in futures[:2]] == [1, 1]
    assert not futures[2].done()


def test_one_event_answers_one_command() -> None:
    """Of several commands of a kind, an acknowledgement is the oldest one's."""
    waiters = Waiters()
    first, second = commits(waiters, "1"), commits(waiters, "2")

    waiters.offer("committed", committed("a"))
    after_one = (first.done(), second.done())
    waiters.offer("committed", committed("b"))

    assert after_one == (True, False)
    assert (first.result(0), second.result(0)) == (committed("a"), committed("b"))


def test_who_gave_up_keeps_its_place() -> None:
    """A cancelled future takes its acknowledgement all the same, so that the next one gets its own."""
    waiters = Waiters()
    first, second = commits(waiters, "1"), commits(waiters, "2")

    assert first.cancel()
    waiters.offer("committed", committed("a"))
    waiters.offer("committed", committed("b"))

    assert (first.cancelled(), second.result(0)) == (True, committed("b"))


def test_a_future_thrown_away_keeps_its_place() -> None:
    """A future nobody holds is not kept alive, and its acknowledgement is nobody else's."""
    waiters = Waiters()
    reference = weakref.ref(commits(waiters, "1"))
    second = commits(waiters, "2")
    gc.collect()

    waiters.offer("committed", committed("a"))
    waiters.offer("committed", committed("b"))

    assert (reference(), second.result(0)) == (None, committed("b"))


def test_a_callback_keeps_the_future() -> None:
    """Who asked to be called back need not hold the future."""
    waiters, results = Waiters(), []

    def ask() -> None:
        future: Acknowledgement[Any] = Acknowledgement(None, may_wait, InlineDispatcher().submit)
        waiters.add(Waiter(key_is("a"), future))
        future.add_done_callback(lambda done: results.append(done.result()))

    ask()
    gc.collect()
    waiters.offer("a", 1)

    assert results == [1]


def test_a_predicate_that_fails() -> None:
    """A condition that raises fails the wait it belongs to, and no other."""
    waiters = Waiters()
    bad: Future[Any] = Future()
    good: Future[Any] = Future()
    waiters.add(Waiter(lambda key, event: bool(event.no_such_thing), bad))
    waiters.add(Waiter(key_is("a"), good))

    waiters.offer("a", 1)

    assert isinstance(bad.exception(0), AttributeError)
    assert good.result(0) == 1


@pytest.mark.parametrize("failure", [SystemExit, KeyboardInterrupt])
def test_a_predicate_that_ends_the_program(failure: type[BaseException]) -> None:
    """It ends the wait that it belongs to, not the I/O thread; on the main thread it is Ctrl-C."""
    waiters = Waiters()
    bad: Future[Any] = Future()
    good: Future[Any] = Future()

    def fail(key: Any, event: Any) -> bool:
        raise failure

    waiters.add(Waiter(fail, bad))
    waiters.add(Waiter(key_is("a"), good))
    with pytest.raises(failure):
        waiters.offer("a", 1)
    assert not bad.done()

    Aside(lambda: waiters.offer("a", 1)).result()

    assert isinstance(bad.exception(0), failure)
    assert good.result(0) == 1


def test_a_discarded_waiter_is_not_asked() -> None:
    """Nothing is offered to a waiter that was taken back."""
    waiters, asked = Waiters(), []
    future: Future[Any] = Future()
    waiter = Waiter(lambda key, event: bool(asked.append(event)), future)
    waiters.add(waiter)
    waiters.discard(waiter)

    waiters.offer("a", 1)

    assert asked == []


def test_the_race_of_giving_up_and_an_event() -> None:
    """A waiter that gives up while it is being offered the event is left alone."""
    waiters = Waiters()
    future: Future[Any] = Future()

    def give_up(key: Any, event: Any) -> bool:
        waiters.discard(waiter)
        return future.cancel()

    waiter = Waiter(give_up, future)
    waiters.add(waiter)

    waiters.offer("a", 1)

    assert future.cancelled()


# ------------------------------------------------------------ refusals


def test_a_refusal_finds_its_command_by_id() -> None:
    """An error that names a command fails that one."""
    waiters = Waiters()
    first, second = commits(waiters, "1"), commits(waiters, "2")
    error = ServiceError("no", event_id="2")

    assert waiters.fail(error) == Handled.TOLD
    assert (first.done(), second.exception(0)) == (False, error)


@pytest.mark.parametrize(
    ("facts", "fate"),
    [
        ({"code": "empty"}, Handled.TOLD),
        ({"code": "other"}, None),
        ({"param": "item"}, Handled.TOLD),
        ({"param": "item.content[0]"}, Handled.TOLD),
        ({"param": "item[0]"}, Handled.TOLD),
        ({"param": "item_id"}, None),
        ({}, None),
        ({"code": "empty", "event_id": "another"}, None),
    ],
)
def test_a_refusal_without_id(facts: dict[str, str], fate: str | None) -> None:
    """An error that names no command is told by its code or its field; one that names another is not."""
    waiters = Waiters()
    future: Future[Any] = Future()
    waiters.add(
        Waiter(key_is("a"), future, event_id="1", codes=frozenset({"empty"}), params=("item",)),
    )

    assert waiters.fail(ServiceError("no", **facts)) == fate
    assert future.done() is (fate == Handled.TOLD)


@pytest.mark.parametrize(
    ("message", "told"),
    [("an item with id 'b' exists", "b"), ("an item exists", "a"), ("an item with id 'c' exists", None)],
)
def test_a_refusal_that_names_what_it_is_about_in_words(message: str, told: str | None) -> None:
    """Of commands of a kind it fails the one with that id; without an id the oldest; of another's, none."""
    waiters = Waiters()
    futures: dict[str, Future[Any]] = {name: Future() for name in "ab"}
    for name, future in futures.items():
        codes, ids = frozenset({"duplicate"}), frozenset({name})
        waiters.add(Waiter(key_is("a"), future, event_id=name, codes=codes, ids=ids))

    assert waiters.fail(ServiceError(message, code="duplicate")) == (Handled.TOLD if told else None)
    assert [name for name, future in futures.items() if future.done()] == ([told] if told else [])


def test_a_refusal_nobody_waits_for() -> None:
    """If the future was thrown away or cancelled, the refusal has told nobody."""
    waiters = Waiters()
    commits(waiters, "1")
    gc.collect()
    cancelled = commits(waiters, "2")
    cancelled.cancel()

    fates = [waiters.fail(ServiceError("no", event_id=event_id)) for event_id in "12"]

    assert fates == [Handled.UNHEARD, Handled.UNHEARD]


# ------------------------------------------------------------ the end


def test_the_end_wakes_everybody() -> None:
    """When the connection is over, every wait fails with the reason."""
    waiters = Waiters()
    futures = [commits(waiters, "1"), commits(waiters, "2")]

    waiters.end(LOST)

    assert [future.exception(0) for future in futures] == [LOST, LOST]


def test_after_the_end() -> None:
    """Who begins to wait after the end is told at once; the first reason stays."""
    waiters = Waiters()
    waiters.end(LOST)
    waiters.end(ConnectionClosedError("another"))

    assert commits(waiters, "1").exception(0) is LOST


def test_the_race_of_waiting_and_the_end() -> None:
    """Who comes while the end holds the lock is told, as who came before is."""
    waiters = Waiters()
    early = commits(waiters, "1")
    with waiters._lock:
        ending = Aside(lambda: waiters.end(LOST))
        coming = Aside(lambda: commits(waiters, "2"))

    ending.result()

    assert early.exception(HANG) is LOST
    assert coming.result().exception(HANG) is LOST


def test_an_unsent_command_is_not_overdue() -> None:
    """On a slow line, sound is sent before it: the time for its answer begins when it has left."""
    clock, left = ManualClock(), [None, 1070.0]
    waiters = Waiters(clock)
    waiters.written_at = lambda sent: left[0]
    future = commits(waiters, "1")
    waiters.note_sent(waiters.waiting[0])
    clock.now += 80.0
    unsent = waiters.give_up_overdue("commit")
    left[0] = clock.now - 1.0
    on_its_way = waiters.give_up_overdue("commit")
    clock.now += 60.0
    lost = waiters.give_up_overdue("commit")

    assert (unsent, on_its_way, len(lost)) == ((), (), 1)
    assert "within 61 s" in str(future.exception(HANG))


def test_a_command_that_is_held_again_is_not_overdue() -> None:
    """Also if its connection was lost just before its caller noted that it was sent."""
    clock = ManualClock()
    waiters = Waiters(clock)
    commits(waiters, "1")
    (waiter,) = waiters.waiting
    waiter.position = 1
    waiters.hold()
    waiters.note_sent(waiter)
    clock.now += 60.0
    held = waiters.give_up_overdue("commit")
    waiters.note_sent_again(waiter)
    clock.now += 60.0

    assert (held, waiters.give_up_overdue("commit")) == ((), (waiter,))


# ------------------------------------------------------------ many


def steps(function: Callable[[], Any]) -> int:
    """Return how many steps of the interpreter a function takes."""
    count = 0

    def trace(frame: FrameType, what: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += what == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def costs(many: int) -> list[int]:
    """Return what each kind of event costs while so many commands have no answer."""
    waiters, futures = Waiters(), [Future[Any]() for _ in range(many)]
    for number, future in enumerate(futures):
        waiters.add(Waiter(item_added(f"item{number}"), future, event_id=f"item{number}"))
        commits(waiters, f"commit{number}")
    first, second, *_, last = waiters.waiting
    delta = ResponseOutputAudioDelta(**DELTA, delta="AAAA")
    steps(lambda: waiters.offer("", delta))  # Python 3.12 does not count the first time
    item = MessageItem(id=f"item{many - 1}", role="user", content=[])
    found = [
        steps(lambda: waiters.offer("", delta)),
        steps(lambda: waiters.offer("", committed("a"))),
        steps(lambda: waiters.oldest("commit", committed("a"))),
        steps(lambda: waiters.give_up_overdue("commit")),
        steps(lambda: waiters.note_sent_again(first)),
        steps(lambda: waiters.note_sent_again(last)),
        steps(lambda: waiters.offer("", ConversationItemAdded(item=item))),
        steps(lambda: waiters.fail(ServiceError("no", event_id=f"item{many - 2}"))),
        steps(lambda: waiters.discard(second)),
    ]
    assert futures[-1].result(0).item is item
    assert [future.done() for future in futures[-3:]] == [False, True, True]
    return found


def test_thousands_of_commands_cost_an_event_nothing() -> None:
    """What it answers, or refuses, is looked up; so is what is sent again. All of them take linear time."""
    few, many = costs(20), costs(200)

    assert [more for more, less in zip(many, few, strict=True) if more > 1.5 * less] == []


# ------------------------------------------------------------ streams


class Owner:
    """Somebody who can be seen to be alive."""


@pytest.fixture
def streams() -> EventStreams:
    """No streams yet."""
    return EventStreams()


def stream_of(
    streams: EventStreams,
    *events: Any,
    timeout: float | None = HANG,
    owner: object = None,
    may_wait: Callable[[], None] = may_wait,
    clock: Callable[[], float] = time.monotonic,
) -> EventStream:
    """Begin to take events."""
    stream = EventStream(tuple(map(event_filter, events)), timeout, may_wait, owner, clock)
    streams.add(stream)
    return stream


def test_a_stream_takes_what_it_named(streams: EventStreams) -> None:
    """Events come in order, and only those that were asked for."""
    stream = stream_of(streams, "session.closed", "input_audio_buffer.cleared")
    closed, cleared = SessionClosed(), InputAudioBufferCleared()

    streams.offer("session.closed", closed)
    streams.offer("response.done", object())
    streams.offer("input_audio_buffer.cleared", cleared)
    streams.end(None)

    assert list(stream) == [closed, cleared]


def test_an_event_named_twice_comes_once(streams: EventStreams) -> None:
    """An event that fits several of the names is one event."""
    stream = stream_of(streams, "*", "session.closed", SessionClosed)

    streams.offer("session.closed", SessionClosed())
    streams.end(None)

    assert len(list(stream)) == 1


def test_init_by_name_is_the_session() -> None:
    """What waits for init by its name receives what a listener would."""
    init = Init(session=Session(id="s"))

    assert as_listened(event_filter("init"), init) is init.session
    assert as_listened(event_filter(Init), init) is init
    assert as_listened(event_filter("*"), init) is init


def test_a_lost_connection_ends_a_stream_with_an_error(streams: EventStreams) -> None:
    """What came before is taken first; then the reason is raised, each time as an exception of its own."""
    stream = stream_of(streams, "*")
    streams.offer("session.closed", event := SessionClosed())
    streams.end(LOST)

    assert next(stream) is event
    errors = []
    for _ in range(2):
        with pytest.raises(ConnectionClosedError, match="lost") as caught:
            next(stream)
        errors.append(caught.value)
    assert errors[0] is not errors[1]


def test_a_stream_of_a_closed_connection(streams: EventStreams) -> None:
    """A stream that begins after the end ends as the others did."""
    streams.end(LOST)

    with pytest.raises(ConnectionClosedError):
        next(stream_of(streams, "*"))


def test_a_stream_has_patience(streams: EventStreams) -> None:
    """If nothing comes in time, TimeoutError is raised, and the stream goes on."""
    clock = ManualClock()
    stream = stream_of(streams, "*", timeout=60.0, clock=clock)
    aside = Aside(lambda: next(stream))
    clock.advance(60.0, stream._condition)

    with pytest.raises(TimeoutError, match=r"60\.0 seconds"):
        aside.result()
    streams.offer("session.closed", event := SessionClosed())

    assert next(stream) is event


def test_an_event_wakes_the_loop(streams: EventStreams) -> None:
    """A loop that waits goes on as soon as an event comes."""
    waiting = threading.Event()
    stream = stream_of(streams, "*", may_wait=waiting.set)
    aside = Aside(lambda: next(stream))
    assert waiting.wait(HANG)

    streams.offer("session.closed", event := SessionClosed())

    assert aside.result() is event


@pytest.mark.parametrize("how", ["close", "end", "lose"])
def test_the_end_wakes_the_loop(streams: EventStreams, how: str) -> None:
    """A loop that waits ends with the stream, with the connection, or with its loss."""
    waiting = threading.Event()
    stream = stream_of(streams, "*", timeout=None, may_wait=waiting.set)
    aside = Aside(lambda: list(stream))
    assert waiting.wait(HANG)

    {"close": stream.close, "end": lambda: streams.end(None), "lose": lambda: streams.end(LOST)}[how]()

    if how == "lose":
        with pytest.raises(ConnectionClosedError):
            aside.result()
    else:
        assert aside.result() == []


def test_a_closed_stream_forgets(streams: EventStreams) -> None:
    """Closing throws away what waits, takes nothing more, and may be done again."""
    with stream_of(streams, "*") as stream:
        streams.offer("session.closed", SessionClosed())
    stream.close()
    streams.offer("session.closed", SessionClosed())
    streams.end(LOST)

    assert list(stream) == []
    assert streams.streams == ()


def test_a_stream_has_a_limit(streams: EventStreams) -> None:
    """A loop that falls too far behind gets what waited, and then the reason why there is no more."""
    stream = stream_of(streams, "*")
    big = ResponseOutputAudioDelta(**DELTA, delta="A" * (DEFAULT_BACKLOG_BYTES // 2))
    for _ in range(4):
        streams.offer("response.audio.delta", big)

    assert [next(stream), next(stream)] == [big, big]
    with pytest.raises(DispatchOverflowError, match="take events faster"):
        next(stream)


def test_a_stream_nobody_holds_is_forgotten(streams: EventStreams) -> None:
    """Leaving the loop is enough: neither the stream nor its owner is kept, nor is it fed."""
    owner = Owner()
    reference = weakref.ref(owner)
    for _ in range(3):
        streams.offer("session.closed", SessionClosed())
        stream = stream_of(streams, "*", owner=owner)
        streams.offer("session.closed", SessionClosed())
        for _event in stream:
            break
        del stream

    del owner
    gc.collect()
    streams.offer("session.closed", SessionClosed())

    assert (reference(), streams.streams) == (None, ())


def test_a_stream_keeps_its_owner(streams: EventStreams) -> None:
    """As long as somebody iterates, the client is not collected."""
    reference = weakref.ref(owner := Owner())
    stream = stream_of(streams, "*", owner=owner)

    del owner
    gc.collect()

    assert reference() is not None
    del stream
    assert reference() is None


def test_a_stream_does_not_wait_where_it_must_not(streams: EventStreams) -> None:
    """On the I/O thread, what is there can be taken; waiting for more is refused."""

    def refuse() -> None:
        raise RuntimeError("on the I/O thread")

    stream = stream_of(streams, "*", may_wait=refuse)
    streams.offer("session.closed", SessionClosed())

    assert isinstance(next(stream), SessionClosed)
    with pytest.raises(RuntimeError, match="on the I/O thread"):
        next(stream)


def test_two_threads_share_a_stream(streams: EventStreams) -> None:
    """Each event goes to one of the threads that iterate."""
    stream = stream_of(streams, "*")
    asides = [Aside(lambda: list(stream)) for _ in range(2)]
    events = [SessionClosed(event_id=str(number)) for number in range(100)]
    for event in events:
        streams.offer("session.closed", event)
    streams.end(None)

    taken = [event for aside in asides for event in aside.result()]

    assert sorted(map(id, taken)) == sorted(map(id, events))


def test_a_refusal_is_an_event_in_a_stream_of_everything(streams: EventStreams) -> None:
    """The exception that stands for an error event is not a second one; that of a lost connection is."""
    stream = stream_of(streams, "*")
    lost = ConnectError("no")

    streams.offer("error", ServiceError("no"))
    streams.offer("error", lost)
    streams.end(None)

    assert list(stream) == [lost]


@pytest.mark.parametrize("says", ["its id", "its code"])
def test_a_refusal_of_no_interest(says: str) -> None:
    """A quiet waiter is told like others, but the refusal is marked as nobody's business."""
    waiters = Waiters()
    future: Future[Any] = Future()
    waiters.add(Waiter(key_is("x"), future, event_id="e", codes=frozenset({"gone"}), is_quiet=True))

    error = ServiceError("no", event_id="e") if says == "its id" else ServiceError("no", code="gone")

    assert waiters.fail(error) == Handled.SILENT
    assert waiters.fail(error) is None
    assert future.exception(0) is error
