"""
The listeners of a client, by event.

**Threads and locks.** Any thread may add and remove, from inside a listener too. Publishing takes
no lock on the common path: it reads tuples that are replaced, never changed. ``Listeners._lock`` guards
their replacement and the sticky payloads; it is never held while a dispatcher or a listener runs.
"""

from __future__ import annotations

import inspect
import logging
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from .._arity import takes_one
from .._concurrency.program_end import ends_the_program
from .._log import get_logger
from .._repr import also_half_made
from ..dispatch import Dispatcher
from ..dispatch.base import Placing, call_guarded, report_failure
from ..errors import DispatchOverflowError
from ..protocol.event_filter import EVERYTHING, EventFilter

__all__ = ["Listeners", "Subscription"]

log: logging.Logger = get_logger(__name__)


class Subscription:
    """
    One listener's interest in one kind of event.

    After :meth:`cancel` has returned, no call of the listener begins on its own thread, not even for
    events that were waiting already.
    """

    __slots__ = (
        "_is_plain",
        "_is_spent",
        "_listeners",
        "_place",
        "_submit",
        "dispatcher",
        "is_active",
        "listener",
        "once",
        "subject",
    )

    def __init__(
        self,
        listeners: Listeners,
        subject: EventFilter,
        listener: Callable[[Any], object],
        dispatcher: Dispatcher,
        once: bool,
    ) -> None:
        self._listeners = weakref.ref(listeners)  # so that a dropped client is gone without a round of gc
        self.subject: EventFilter = subject
        self.listener: Callable[[Any], object] = listener
        self.dispatcher: Dispatcher = dispatcher
        self._submit = dispatcher.submit
        self._place = dispatcher.place() if isinstance(dispatcher, Placing) else None
        self.once: bool = once
        self._is_plain = not once and subject.of_class is None  # wants every payload
        self.is_active: bool = True
        self._is_spent = False  # guarded by the lock of the listeners; only for once

    @also_half_made
    def __repr__(self) -> str:
        state = "active" if self.is_active else "over"
        return f"<Subscription of {_name_of(self.listener)} to {self.subject.key!r}, {state}>"

    def cancel(self) -> None:
        """Stop listening. Idempotent, from any thread."""
        listeners = self._listeners()
        if listeners is not None:
            listeners.discard(self)
        self.is_active = False

    def _note_failure(self, exc: BaseException) -> None:
        """Note that the listener raised."""
        listeners = self._listeners()
        if listeners is not None and listeners.on_failed is not None:
            key = self.subject.key
            listeners.on_failed(_name_of(self.listener), getattr(key, "TYPE", None) or str(key), exc)

    def _deliver(self, payload: Any) -> bool:
        """Submit a call of the listener to its dispatcher; return whether it wants *payload*."""
        if not self.is_active or not self.subject.wants(payload):
            return False
        listeners = self._listeners() if self.once else None
        if listeners is not None and not listeners.claim(self):
            return False
        self._submit(self, payload)
        return True

    def __call__(self, payload: Any) -> None:
        """Call the listener, as its dispatcher does."""
        if not self.is_active:
            return
        if self.once:
            self.cancel()
        try:
            if self._place is None:
                self.listener(payload)
            else:
                self._place(call_guarded, self.listener, payload, self)
        except BaseException as exc:  # noqa: BLE001 - the user's code; it is logged, or raised again
            report_failure(exc, self)


class Listeners:
    """
    All listeners of one client. A subscription does not keep it alive.

    Args:
        on_failed: Called with the name of a listener that raised, what it listens to, and the exception.
    """

    def __init__(self, on_failed: Callable[[str, str, BaseException], object] | None = None) -> None:
        self.on_failed = on_failed
        self._lock = threading.Lock()  # leaf; guards replacing what follows
        self._by_key: dict[Any, tuple[Subscription, ...]] = {}
        self._to_everything: tuple[Subscription, ...] = ()
        self._sticky: dict[Any, Any] = {}
        self._late: set[Any] = set()  # keys of sticky payloads that late listeners were handed; only grows

    def add(
        self, subject: EventFilter, listener: Callable[[Any], object], dispatcher: Dispatcher, once: bool
    ) -> Subscription:
        """
        Add a listener; if its event is sticky and has happened, it is called with it at once.

        Raises:
            TypeError: If *listener* cannot be called with one argument.
        """
        _check_listener(listener)
        subscription = Subscription(self, subject, listener, dispatcher, once)
        with self._lock:
            self._put_locked(subject.key, [*self._by_key.get(subject.key, ()), subscription])
            has_happened = subject.key in self._sticky
            payload = self._sticky.get(subject.key)
        if has_happened and subscription._deliver(payload):
            self._late.add(subject.key)
        return subscription

    def remove(self, subject: EventFilter, listener: Callable[[Any], object] | None) -> None:
        """Remove a listener, or all of an event. Removing what is not there does nothing."""
        with self._lock:
            entries = self._by_key.get(subject.key, ())
            leaving = [
                entry
                for entry in entries
                if entry.subject == subject and (listener is None or entry.listener == listener)
            ]
            self._replace_locked(subject.key, leaving)

    def clear(self) -> None:
        """Remove every listener."""
        with self._lock:
            for entries in self._by_key.values():
                for entry in entries:
                    entry.is_active = False
            self._by_key = {}
            self._to_everything = ()

    def discard(self, subscription: Subscription) -> None:
        """Remove one subscription."""
        with self._lock:
            self._replace_locked(subscription.subject.key, [subscription])

    def claim(self, subscription: Subscription) -> bool:
        """
        Let a once-only subscription be used, the first time it is asked for.

        It is removed when it runs, not before: until then it can be cancelled like any other.
        """
        with self._lock:
            if subscription._is_spent:
                return False
            subscription._is_spent = True
            return True

    def publish(self, key: Any, payload: Any, *, sticky: bool = False, to_all: bool = False) -> bool:
        """
        Hand a payload to the listeners of *key*, in the order of their registration.

        Args:
            sticky: Also hand it to listeners that are added later.
            to_all: Also hand it to the listeners of everything, after these.

        Returns:
            Whether a listener wanted it.

        Raises:
            DispatchOverflowError: If some listener is too far behind; the others have been served.
        """
        if sticky:
            with self._lock:
                self._sticky[key] = payload
                entries = self._by_key.get(key, ())
        else:
            entries = self._by_key.get(key, ())
        if to_all and self._to_everything:
            entries = (*entries, *self._to_everything)
        is_wanted = False
        overflow: DispatchOverflowError | None = None
        for entry in entries:
            try:
                if not entry._is_plain:
                    is_wanted |= entry._deliver(payload)
                elif entry.is_active:
                    entry._submit(entry, payload)
                    is_wanted = True
            except DispatchOverflowError as exc:
                overflow, is_wanted = exc, True
            except BaseException as exc:
                if ends_the_program(exc):
                    raise
                # A user's dispatcher, such as one for a window that is gone: only its listeners lose it.
                log.exception("! the dispatcher of %r failed", entry)
        if overflow is not None:
            raise overflow
        return is_wanted

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether there is a listener of one of these events, asked for by name or class."""
        return not names.isdisjoint(self._by_key)

    def has(self, key: Any) -> bool:
        """Whether anybody listens to a key, or to everything."""
        return bool(self._to_everything or self._by_key.get(key))

    def dispatchers(self, keys: Iterable[Any]) -> list[Dispatcher]:
        """Return where those listen who listen to one of these keys, or to everything, each once."""
        entries = [*self._to_everything, *(entry for key in keys for entry in self._by_key.get(key, ()))]
        return list({id(entry.dispatcher): entry.dispatcher for entry in entries}.values())

    def was_late(self, key: Any) -> bool:
        """Whether a listener that was added late was handed the sticky payload of *key*."""
        return key in self._late

    def _replace_locked(self, key: Any, leaving: list[Subscription]) -> None:
        assert self._lock.locked()
        for entry in leaving:
            entry.is_active = False
        self._put_locked(key, [e for e in self._by_key.get(key, ()) if e not in leaving])

    def _put_locked(self, key: Any, entries: list[Subscription]) -> None:
        rest = {other: kept for other, kept in self._by_key.items() if other != key}
        self._by_key = {**rest, key: tuple(entries)} if entries else rest
        self._to_everything = self._by_key.get(EVERYTHING, ())


def _name_of(listener: object) -> str:
    """Return the name only: the repr of a partial function shows its arguments, which may be secrets."""
    return str(getattr(listener, "__qualname__", type(listener).__name__))


def _check_listener(listener: Callable[[Any], object]) -> None:
    if not callable(listener):
        raise TypeError(f"a listener must be callable, not {type(listener).__name__}")
    if inspect.iscoroutinefunction(listener):
        raise TypeError(
            f"listener {_name_of(listener)} is async, and there is no event loop here; "
            "hand the event to yours with asyncio.run_coroutine_threadsafe"
        )
    if not takes_one(listener):
        raise TypeError(
            f"listener {_name_of(listener)} must accept one argument, the event; "
            "write `lambda _: ...` where it is not needed"
        )
