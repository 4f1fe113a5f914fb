"""
Who listens to what.

**Threads and locks.** Any thread may add and remove, from inside a listener too. Publishing takes
no lock on the common path: it reads tuples that are replaced, never changed. ``Listeners._lock`` guards
their replacement and the sticky payloads; it is never held while a dispatcher or a listener runs.
"""

from __future__ import annotations

import inspect
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

from ..dispatch import Dispatcher
from ..dispatch.base import Placing, call_guarded
from ..errors import DispatchOverflowError
from ..protocol.event_filter import EVERYTHING, EventFilter

__all__ = ["Listeners", "Subscription"]

log: logging.Logger = logging.getLogger(__name__)


class Subscription:
    """
    One listener's interest in one kind of event.

    After :meth:`cancel` has returned, no call of the listener begins on its own thread, not even for
    events that were waiting already.
    """

    __slots__ = ("_is_spent", "_place", "_registry", "dispatcher", "is_active", "listener", "once", "subject")

    def __init__(
        self,
        registry: Listeners,
        subject: EventFilter,
        listener: Callable[[Any], object],
        dispatcher: Dispatcher,
        once: bool,
    ) -> None:
        self._registry = weakref.ref(registry)  # so that a dropped client is gone without a round of gc
        self.subject: EventFilter = subject
        self.listener: Callable[[Any], object] = listener
        self.dispatcher: Dispatcher = dispatcher
        self._place = dispatcher.place() if isinstance(dispatcher, Placing) else None
        self.once: bool = once
        self.is_active: bool = True
        self._is_spent = False  # guarded by the registry's lock; only for once

    def __repr__(self) -> str:
        state = "active" if self.is_active else "over"
        return f"<Subscription of {_name_of(self.listener)} to {self.subject.key!r}, {state}>"

    def cancel(self) -> None:
        """Stop listening. Idempotent, from any thread."""
        registry = self._registry()
        if registry is not None:
            registry.discard(self)
        self.is_active = False

    def deliver(self, payload: Any) -> bool:
        """Have the listener called with *payload* where it wants to run; return whether it will be."""
        if not self.is_active or not self.subject.wants(payload):
            return False
        registry = self._registry() if self.once else None
        if registry is not None and not registry.claim(self):
            return False
        self.dispatcher.submit(self._run, payload)
        return True

    def _run(self, payload: Any) -> None:
        if not self.is_active:
            return
        if self.once:
            self.cancel()
        if self._place is None:
            call_guarded(self.listener, payload, self)
        else:
            self._place(call_guarded, self.listener, payload, self)


class Listeners:
    """All listeners of one client. A subscription does not keep it alive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # leaf; guards replacing the two below
        self._by_key: dict[Any, tuple[Subscription, ...]] = {}
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
            self._by_key = {**self._by_key, subject.key: (*self._by_key.get(subject.key, ()), subscription)}
            has_happened = subject.key in self._sticky
            payload = self._sticky.get(subject.key)
        if has_happened and subscription.deliver(payload):
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

    def discard(self, subscription: Subscription) -> None:
        """Remove one subscription."""
        with self._lock:
            self._replace_locked(subscription.subject.key, [subscription])

    def claim(self, subscription: Subscription) -> bool:
        """
        Let a once-only subscription be used, the first time it is asked for.

        It leaves when it runs, not before: until then it can be taken back like any other.
        """
        with self._lock:
            if subscription._is_spent:
                return False
            subscription._is_spent = True
            return True

    def publish(self, key: Any, payload: Any, *, sticky: bool = False) -> bool:
        """
        Hand a payload to the listeners of *key*, in the order of their registration.

        Args:
            sticky: Also hand it to listeners that are added later.

        Returns:
            Whether anyone wanted it.

        Raises:
            DispatchOverflowError: If some listener is too far behind; the others have been served.
        """
        if sticky:
            with self._lock:
                self._sticky[key] = payload
                entries = self._by_key.get(key, ())
        else:
            entries = self._by_key.get(key, ())
        return bool(entries) and _deliver_all(entries, payload)

    def was_late(self, key: Any) -> bool:
        """Whether a listener that came too late was handed the sticky payload of *key*."""
        return key in self._late

    def publish_to_all(self, payload: Any) -> None:
        """Hand a payload to those who listen to everything; raises as :meth:`publish`."""
        entries = self._by_key.get(EVERYTHING)
        if entries:
            _deliver_all(entries, payload)

    def _replace_locked(self, key: Any, leaving: list[Subscription]) -> None:
        assert self._lock.locked()
        for entry in leaving:
            entry.is_active = False
        self._put_locked(key, [e for e in self._by_key.get(key, ()) if e not in leaving])

    def _put_locked(self, key: Any, entries: list[Subscription]) -> None:
        assert self._lock.locked()
        rest = {other: kept for other, kept in self._by_key.items() if other != key}
        self._by_key = {**rest, key: tuple(entries)} if entries else rest


def _deliver_all(entries: tuple[Subscription, ...], payload: Any) -> bool:
    is_wanted = False
    overflow: DispatchOverflowError | None = None
    for entry in entries:
        try:
            is_wanted |= entry.deliver(payload)
        except DispatchOverflowError as exc:
            overflow, is_wanted = exc, True
        except Exception:
            # A user's dispatcher, such as one for a window that is gone. Its listeners lose the event, as
            # they must; the others need not.
            log.exception("! the dispatcher of %r failed", entry)
    if overflow is not None:
        raise overflow
    return is_wanted


def _name_of(listener: object) -> str:
    """Its name only: the repr of a partial function shows its arguments, which may be secrets."""
    return str(getattr(listener, "__qualname__", type(listener).__name__))


def _check_listener(listener: Callable[[Any], object]) -> None:
    if not callable(listener):
        raise TypeError(f"a listener must be callable, not {type(listener).__name__}")
    if inspect.iscoroutinefunction(listener):
        raise TypeError(
            f"listener {_name_of(listener)} is async, and there is no event loop here; "
            "hand the event to yours with asyncio.run_coroutine_threadsafe"
        )
    try:
        signature = inspect.signature(listener)
    except Exception:  # noqa: BLE001 - the user's annotations are evaluated on the way, in Python 3.14
        return  # so do some built-ins fail; they are called, and may fail then
    try:
        signature.bind(None)
    except TypeError:
        raise TypeError(
            f"listener {_name_of(listener)} must accept one argument, the event; "
            "write `lambda _: ...` where it is not needed"
        ) from None
