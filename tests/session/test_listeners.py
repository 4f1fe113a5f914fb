"""Who listens to what, and what becomes of it when everybody changes their mind at once."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from listeners import HANG, Aside, Probe

from azure_rt_audio import (
    ConnectError,
    ConnectionClosedError,
    DispatchOverflowError,
    InlineDispatcher,
    QueueDispatcher,
    RealtimeError,
    ServiceError,
    Subscription,
)
from azure_rt_audio._session.listeners import Listeners
from azure_rt_audio.protocol.event_filter import EVERYTHING, event_filter
from azure_rt_audio.protocol.events import Event, SessionClosed, UnknownEvent

NAME = "response.done"
INLINE = InlineDispatcher()


@pytest.fixture
def registry() -> Listeners:
    """An empty registry."""
    return Listeners()


def listen(
    registry: Listeners,
    event: str | type[Any],
    listener: Callable[[Any], object],
    *,
    dispatcher: Any = INLINE,
    once: bool = False,
) -> Subscription:
    """Add a listener that is called at once, unless a dispatcher says otherwise."""
    return registry.add(event_filter(event), listener, dispatcher, once)


# ------------------------------------------------------------ listening


def test_listeners_are_called_in_order(registry: Listeners) -> None:
    """Listeners of an event are called in the order in which they were registered."""
    calls: list[int] = []
    for number in range(3):
        listen(registry, NAME, lambda _, number=number: calls.append(number))

    assert registry.publish(NAME, "payload")
    assert calls == [0, 1, 2]


def test_nobody_listens(registry: Listeners) -> None:
    """Publishing says whether anybody wanted it."""
    listen(registry, "init", Probe())

    assert not registry.publish(NAME, "payload")


def test_both_dialects_name_the_same_event(registry: Listeners) -> None:
    """A listener by GA's name hears what is published under the canonical one."""
    probe = Probe()
    listen(registry, "response.output_audio.delta", probe)

    registry.publish("response.output_audio.delta", 1)

    assert probe.told == [1]


def test_everything(registry: Listeners) -> None:
    """Listeners of "*" are told what is published to all; listeners of Event only events of the service."""
    all_of_it, events = Probe(), Probe()
    listen(registry, "*", all_of_it)
    listen(registry, Event, events)
    error, event = ConnectError("no"), SessionClosed()

    registry.publish(EVERYTHING, error)
    registry.publish(EVERYTHING, event)

    assert (all_of_it.told, events.told) == ([error, event], [event])


def test_an_exception_class_is_a_filter(registry: Listeners) -> None:
    """A listener of an exception's class gets those errors, and others count as unwanted."""
    probe = Probe()
    listen(registry, ConnectError, probe)
    refused, lost = ConnectError("refused"), ConnectionClosedError("lost")

    wanted = [registry.publish("error", refused), registry.publish("error", lost)]

    assert (wanted, probe.told) == ([True, False], [refused])


def test_a_failing_listener_spares_the_others(registry: Listeners, caplog: pytest.LogCaptureFixture) -> None:
    """A listener that raises is logged by its name, and those behind it are called."""
    probe = Probe()

    def clumsy(_: object) -> None:
        raise LookupError("oh")

    listen(registry, NAME, clumsy)
    listen(registry, NAME, probe)

    registry.publish(NAME, 1)

    assert probe.told == [1]
    (record,) = caplog.records
    assert (record.levelno, "clumsy" in record.getMessage()) == (logging.ERROR, True)


def test_a_listener_is_shown_by_its_name_only(registry: Listeners) -> None:
    """What a partial function was given may be a secret, so it is in no repr."""
    subscription = listen(registry, NAME, functools.partial(print, "the-secret"))

    assert repr(subscription) == "<Subscription of partial to 'response.done', active>"


@pytest.mark.parametrize(
    ("listener", "complaint"),
    [
        (None, "must be callable"),
        ("print", "must be callable"),
        (lambda: None, "one argument"),
        (lambda a, b: None, "one argument"),
        (lambda *, event: None, "one argument"),
    ],
)
def test_what_cannot_be_called_with_an_event(registry: Listeners, listener: Any, complaint: str) -> None:
    """A listener that could not be called is refused at once, not when the event comes."""
    with pytest.raises(TypeError, match=complaint):
        listen(registry, NAME, listener)
    assert not registry.publish(NAME, 1)


def test_a_refused_listener_is_named_without_its_arguments(registry: Listeners) -> None:
    """The refusal of a partial function does not tell what it was given."""
    with pytest.raises(TypeError, match="one argument") as refused:
        listen(registry, NAME, functools.partial(divmod, "the-secret", 1))

    assert "the-secret" not in str(refused.value)


def test_an_async_listener_is_refused(registry: Listeners) -> None:
    """A coroutine function would never run, so it is refused with the way out."""

    async def listener(event: object) -> None:
        raise AssertionError(event)

    with pytest.raises(TypeError, match="run_coroutine_threadsafe"):
        listen(registry, NAME, listener)


def test_a_listener_that_does_not_tell_its_signature(registry: Listeners) -> None:
    """If the signature cannot be had, for whatever reason, the listener is taken as it is."""

    class Odd:
        def __call__(self, event: object) -> None:
            pass

        @property
        def __signature__(self) -> object:
            raise NameError("an annotation that cannot be evaluated")

    listen(registry, NAME, Odd())

    assert registry.publish(NAME, 1)


# ------------------------------------------------------------ leaving


def test_cancel_is_idempotent(registry: Listeners) -> None:
    """A subscription can be cancelled again and again; nothing comes after the first time."""
    probe = Probe()
    subscription = listen(registry, NAME, probe)

    subscription.cancel()
    subscription.cancel()

    assert not registry.publish(NAME, 1)
    assert (probe.told, subscription.is_active) == ([], False)


def test_remove_one(registry: Listeners) -> None:
    """Removing a listener leaves the others; a bound method is recognised although it is never the same."""
    probe, other = Probe(), Probe()
    listen(registry, NAME, probe.__call__)
    listen(registry, NAME, other)

    registry.remove(event_filter(NAME), probe.__call__)
    registry.publish(NAME, 1)

    assert (probe.told, other.told) == ([], [1])


def test_remove_all_of_an_event(registry: Listeners) -> None:
    """Without a listener named, all of that event leave, and no others."""
    probe, other = Probe(), Probe()
    listen(registry, NAME, probe)
    listen(registry, NAME, probe, once=True)
    listen(registry, "init", other)

    registry.remove(event_filter("response.done"), None)
    registry.publish(NAME, 1)
    registry.publish("init", 2)

    assert (probe.told, other.told) == ([], [2])


def test_remove_what_is_not_there(registry: Listeners) -> None:
    """Removing a stranger is no error."""
    registry.remove(event_filter(NAME), print)
    registry.remove(event_filter(NAME), None)

    assert not registry.publish(NAME, 1)


def test_removing_a_class_leaves_the_name(registry: Listeners) -> None:
    """A listener of all errors stays when those of one class leave."""
    every, some = Probe(), Probe()
    listen(registry, RealtimeError, every)
    listen(registry, ServiceError, some)

    registry.remove(event_filter(ServiceError), None)
    registry.publish("error", error := ServiceError("no"))

    assert (every.told, some.told) == ([error], [])


def test_clear(registry: Listeners) -> None:
    """Nobody is told anything any more."""
    probe = Probe()
    subscriptions = [listen(registry, event, probe) for event in (NAME, "*", "init", UnknownEvent)]

    registry.clear()
    registry.publish(NAME, 1)
    registry.publish(EVERYTHING, 1)

    assert probe.told == []
    assert not any(subscription.is_active for subscription in subscriptions)


@pytest.mark.parametrize("how", ["cancel", "remove", "remove all", "clear"])
@pytest.mark.parametrize("once", [False, True])
def test_leaving_while_a_call_waits(registry: Listeners, how: str, once: bool) -> None:
    """After leaving, not even a call that waited already begins, once-only listeners included."""
    queue, probe = QueueDispatcher(), Probe()
    subscription = listen(registry, NAME, probe, dispatcher=queue, once=once)
    registry.publish(NAME, 1)

    {
        "cancel": subscription.cancel,
        "remove": lambda: registry.remove(event_filter(NAME), probe),
        "remove all": lambda: registry.remove(event_filter(NAME), None),
        "clear": registry.clear,
    }[how]()

    assert (queue.run_pending(), probe.told) == (1, [])


def test_leaving_from_inside(registry: Listeners) -> None:
    """A listener may remove itself and others while it runs; who left is not called any more."""
    probe = Probe()

    def leave(_: object) -> None:
        registry.remove(event_filter(NAME), leave)
        registry.remove(event_filter(NAME), probe)

    listen(registry, NAME, leave)
    listen(registry, NAME, probe)

    registry.publish(NAME, 1)

    assert probe.told == []
    assert not registry.publish(NAME, 2)


def test_joining_from_inside(registry: Listeners) -> None:
    """A listener may register another one, which hears from the next event on."""
    probe = Probe()
    first = listen(registry, NAME, lambda _: listen(registry, NAME, probe))

    registry.publish(NAME, 1)
    first.cancel()
    registry.publish(NAME, 2)

    assert probe.told == [2]


# ------------------------------------------------------------ once


def test_once(registry: Listeners) -> None:
    """A once-only listener is called once, and then has left."""
    probe = Probe()
    subscription = listen(registry, NAME, probe, once=True)

    wanted = [registry.publish(NAME, number) for number in range(3)]

    assert (wanted, probe.told, subscription.is_active) == ([True, False, False], [0], False)


def test_once_with_several_events_waiting(registry: Listeners) -> None:
    """Events that come before the listener has run do not call it a second time."""
    queue, probe = QueueDispatcher(), Probe()
    listen(registry, NAME, probe, dispatcher=queue, once=True)

    wanted = [registry.publish(NAME, number) for number in range(3)]

    assert (wanted, queue.run_pending(), probe.told) == ([True, False, False], 1, [0])


def test_once_from_two_threads(registry: Listeners) -> None:
    """If two threads publish at the same moment, one of them calls the listener."""
    probe, barrier = Probe(), threading.Barrier(2, timeout=HANG)

    class Meeting:
        """Brings both threads to the listener, before either has claimed it."""

        def __init__(self, key: Any) -> None:
            self.key = key

        def wants(self, payload: object) -> bool:
            barrier.wait()
            return True

    subscription = registry.add(Meeting(NAME), probe, INLINE, True)  # type: ignore[arg-type]

    asides = [Aside(lambda: registry.publish(NAME, 1)) for _ in range(2)]

    assert sorted(aside.result() for aside in asides) == [False, True]
    assert (probe.told, subscription.is_active) == ([1], False)


def test_once_calls_itself(registry: Listeners) -> None:
    """A once-only listener that causes its own event is not called for it."""
    calls: list[int] = []

    def listener(number: int) -> None:
        calls.append(number)
        registry.publish(NAME, number + 1)

    listen(registry, NAME, listener, once=True)

    registry.publish(NAME, 1)

    assert calls == [1]


# ------------------------------------------------------------ what stays


def test_sticky_is_told_to_those_who_come_later(registry: Listeners) -> None:
    """A listener that is registered after a sticky event is told it, exactly once."""
    early, late = Probe(), Probe()
    listen(registry, "init", early)

    registry.publish("init", 1, sticky=True)
    listen(registry, "init", late)

    assert (early.told, late.told) == ([1], [1])


def test_sticky_and_once(registry: Listeners) -> None:
    """A once-only listener that comes later is told, and has left with that."""
    probe = Probe()
    registry.publish("init", 1, sticky=True)

    subscription = listen(registry, "init", probe, once=True)
    registry.publish("init", 2)

    assert (probe.told, subscription.is_active) == ([1], False)


def test_sticky_respects_the_class(registry: Listeners) -> None:
    """A terminal error is not told to a latecomer who asked for another class of errors."""
    probe, other = Probe(), Probe()
    registry.publish("error", error := ConnectError("no"), sticky=True)

    listen(registry, ConnectError, probe)
    listen(registry, ServiceError, other)

    assert (probe.told, other.told) == ([error], [])


def test_clearing_does_not_forget_what_happened(registry: Listeners) -> None:
    """After everybody has left, a newcomer is still told what stays."""
    registry.publish("init", 1, sticky=True)
    registry.clear()

    listen(registry, "init", probe := Probe())

    assert probe.told == [1]


@pytest.mark.parametrize("added_first", [True, False])
def test_the_race_of_joining_and_a_sticky_event(registry: Listeners, added_first: bool) -> None:
    """Whoever of the two is first to the lock, the listener is told exactly once."""
    probe, lock = Probe(), registry._lock
    arrived = threading.Semaphore(0)

    class Announced:
        """The registry's lock, telling when somebody is about to wait for it."""

        def __enter__(self) -> None:
            arrived.release()
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lock.release()

    actions: list[Callable[[], object]] = [
        lambda: listen(registry, "init", probe),
        lambda: registry.publish("init", 1, sticky=True),
    ]
    registry._lock = Announced()  # type: ignore[assignment]
    lock.acquire()
    asides = []
    for action in actions if added_first else reversed(actions):
        asides.append(Aside(action))
        assert arrived.acquire(timeout=HANG)
    lock.release()
    for aside in asides:
        aside.result()

    assert probe.told == [1]


# ------------------------------------------------------------ dispatchers that cannot


def test_an_overflow_spares_the_others(registry: Listeners) -> None:
    """If one listener is too far behind, the others are served before that is said."""
    full, probe = QueueDispatcher(max_backlog_bytes=0), Probe()
    event = SessionClosed()
    listen(registry, NAME, Probe(), dispatcher=full)
    listen(registry, NAME, probe)
    registry.publish(NAME, event)

    with pytest.raises(DispatchOverflowError):
        registry.publish(NAME, event)

    assert probe.told == [event, event]


def test_a_dispatcher_that_is_gone(registry: Listeners, caplog: pytest.LogCaptureFixture) -> None:
    """A dispatcher of the user's that raises is logged, and the listeners elsewhere are told."""
    probe = Probe()

    class Destroyed:
        def submit(self, callback: Callable[[Any], object], event: Any) -> None:
            raise RuntimeError("main thread is not in main loop")

    listen(registry, NAME, Probe(), dispatcher=Destroyed())
    listen(registry, NAME, probe)

    assert registry.publish(NAME, 1)
    assert probe.told == [1]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
