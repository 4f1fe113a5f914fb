"""Listening: how a program says which events it wants, and what it wants to have done with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, overload

from ._session.engine import Engine
from ._session.listeners import Subscription
from ._session.pending_response import DEFAULT_TIMEOUT
from ._session.event_stream import EventStream
from .dispatch import Dispatcher
from .errors import RealtimeError
from .protocol.event_filter import subject
from .protocol.session import Session

__all__ = ["FROM_OPTIONS", "Listening"]

E = TypeVar("E")
Listener = Callable[[Any], object]
F = TypeVar("F", bound=Listener)

FROM_OPTIONS: Final = -1.0
"""Stands for "as long as the options say" where ``None`` means no limit."""


class Listening:
    """The part of a client that events come out of."""

    _engine: Engine

    @overload
    def on(
        self, event: type[E], listener: Callable[[E], object], *, dispatcher: Dispatcher | None = None
    ) -> Subscription: ...
    @overload
    def on(
        self,
        event: Literal["init"],
        listener: Callable[[Session], object],
        *,
        dispatcher: Dispatcher | None = None,
    ) -> Subscription: ...
    @overload
    def on(
        self,
        event: Literal["error"],
        listener: Callable[[RealtimeError], object],
        *,
        dispatcher: Dispatcher | None = None,
    ) -> Subscription: ...
    @overload
    def on(self, event: str, listener: Listener, *, dispatcher: Dispatcher | None = None) -> Subscription: ...
    @overload
    def on(
        self, event: type[E], *, dispatcher: Dispatcher | None = None
    ) -> Callable[[Callable[[E], object]], Callable[[E], object]]: ...
    @overload
    def on(self, event: str, *, dispatcher: Dispatcher | None = None) -> Callable[[F], F]: ...

    def on(
        self,
        event: str | type[Any],
        listener: Listener | None = None,
        *,
        dispatcher: Dispatcher | None = None,
    ) -> Any:
        """
        Have *listener* called with each event of a kind.

        Args:
            event: A wire name of either dialect, an event class, or ``"*"``. ``"init"`` brings the
                :class:`Session`, ``"error"`` an exception of this library's tree, an exception class
                those of that class, everything else the event. ``"*"`` brings all events, and the
                exceptions that stand for none: a malformed frame, a lost connection. ``"init"``,
                ``"closed"`` and an error that ended the connection are brought to listeners that
                come later as well, except those of ``"*"``.
            listener: Called with one argument. Left out, ``on`` is a decorator, which returns the
                function as it was.
            dispatcher: Where this listener runs, if not where the others do.

        Returns:
            A subscription, to ``cancel()``.

        Raises:
            ValueError: If there is no such event, but one with nearly that name.
            TypeError: If the listener does not take one argument, or is async.
        """
        return self._listen(event, listener, dispatcher, once=False)

    @overload
    def once(
        self, event: type[E], listener: Callable[[E], object], *, dispatcher: Dispatcher | None = None
    ) -> Subscription: ...
    @overload
    def once(
        self,
        event: Literal["init"],
        listener: Callable[[Session], object],
        *,
        dispatcher: Dispatcher | None = None,
    ) -> Subscription: ...
    @overload
    def once(
        self,
        event: Literal["error"],
        listener: Callable[[RealtimeError], object],
        *,
        dispatcher: Dispatcher | None = None,
    ) -> Subscription: ...
    @overload
    def once(
        self, event: str, listener: Listener, *, dispatcher: Dispatcher | None = None
    ) -> Subscription: ...
    @overload
    def once(
        self, event: type[E], *, dispatcher: Dispatcher | None = None
    ) -> Callable[[Callable[[E], object]], Callable[[E], object]]: ...
    @overload
    def once(self, event: str, *, dispatcher: Dispatcher | None = None) -> Callable[[F], F]: ...

    def once(
        self,
        event: str | type[Any],
        listener: Listener | None = None,
        *,
        dispatcher: Dispatcher | None = None,
    ) -> Any:
        """Have *listener* called with the next event of a kind only; see :meth:`on`."""
        return self._listen(event, listener, dispatcher, once=True)

    def _listen(
        self, event: str | type[Any], listener: Listener | None, dispatcher: Dispatcher | None, once: bool
    ) -> Any:
        chosen = subject(event)
        if dispatcher is not None and not isinstance(dispatcher, Dispatcher):
            raise TypeError(f"dispatcher must have submit(callback, event), not {type(dispatcher).__name__}")
        where = self._engine.dispatcher if dispatcher is None else dispatcher

        def add(function: F) -> F:
            self._engine.listeners.add(chosen, function, where, once)
            return function

        return add if listener is None else self._engine.listeners.add(chosen, listener, where, once)

    def off(self, event: str | type[Any], listener: Listener | None = None) -> None:
        """
        Remove a listener of an event, or all of them. What is not there is no error.

        Name the event as :meth:`on` was told: an exception's class is not ``"error"``.
        """
        self._engine.listeners.remove(subject(event), listener)

    def off_all(self) -> None:
        """Remove every listener."""
        self._engine.listeners.clear()

    # ------------------------------------------------------------ waiting

    def wait_until_ready(self, timeout: float | None = FROM_OPTIONS) -> None:
        """
        Wait until the session has been configured. Blocks.

        Args:
            timeout: Seconds; left out, the options' ``connect_timeout``; ``None`` has no limit.

        Raises:
            ConnectError: If the connection could not be made; says why and what to do.
            ConnectionClosedError: If it is over.
            ServiceError: If the service refused the configuration.
            TimeoutError: If it took longer.
        """
        if timeout == FROM_OPTIONS:
            self._engine.ready.wait_as_configured()
        else:
            self._engine.ready.wait(timeout)

    @overload
    def wait_for(
        self,
        event: type[E],
        predicate: Callable[[E], bool] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> E: ...
    @overload
    def wait_for(
        self,
        event: str,
        predicate: Callable[[Any], bool] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> Any: ...

    def wait_for(
        self,
        event: str | type[Any],
        predicate: Callable[[Any], bool] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> Any:
        """
        Wait for the next event of a kind. Blocks.

        Only events from now on count; to wait for the answer to a command, take the future or the handle
        that the command returns.

        Args:
            event: As for :meth:`on`.
            predicate: Accepts the event. Runs on the reader thread: it must be quick.
            timeout: Seconds; ``None`` waits as long as the connection lives.

        Raises:
            ConnectionClosedError: If the connection ended first.
            TimeoutError: If it took longer.
        """
        return self._engine.wait_for(subject(event), predicate, self, timeout)

    def events(self, *events: str | type[Any], timeout: float | None = None) -> EventStream:
        """
        Iterate over events, from now on, until the connection is closed. Each step blocks.

        Args:
            events: As for :meth:`on`; none means all.
            timeout: Seconds to wait for each; ``None`` has no limit.

        Returns:
            An iterator; leave the loop and it is forgotten, or ``close()`` it.

        Raises:
            ConnectionClosedError: While iterating, if the connection was lost.
            TimeoutError: While iterating, if nothing came.
        """
        return self._engine.stream(tuple(map(subject, events or ("*",))), self, timeout)
