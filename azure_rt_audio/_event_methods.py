"""
The methods of the client that take the name of an event.

They are a base class of the client because their types are generated, an overload for each of some sixty
names: ``tools/stubs.py`` writes the stub file beside this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ._concurrency.deadline import check_timeout
from ._session.engine import Engine
from ._session.event_stream import EventStream
from ._session.pending_response import DEFAULT_TIMEOUT
from .dispatch import Dispatcher
from .dispatch.base import check_dispatcher
from .protocol.event_filter import event_filter

__all__ = ["EventMethods"]

Listener = Callable[[Any], object]
F = TypeVar("F", bound=Listener)


class EventMethods:
    """``on``, ``once``, ``wait_for`` and ``events``; see :class:`~azure_rt_audio.AzureRealTimeAudio`."""

    _engine: Engine

    def on(
        self,
        event: str | type[Any],
        listener: Listener | None = None,
        *,
        dispatcher: Dispatcher | None = None,
    ) -> Any:
        """
        Call *listener* with each event of a kind.

        ::

            client.on("response.done", lambda event: print(event.response.status))

        Args:
            event: A wire name of either dialect, an event class, or ``"*"``. ``"init"`` brings the
                :class:`Session`, ``"error"`` an exception of this library's tree, an exception class
                those of that class, everything else the event. ``"*"`` brings all events, and the
                exceptions that stand for none: a malformed frame, a lost connection. ``"init"``,
                ``"closed"`` and an error that ended the connection are brought to listeners that
                come later as well, except those of ``"*"``.
            listener: Called with one argument. Left out, ``on`` is a decorator, which returns the
                function as it was.
            dispatcher: Where this listener runs; ``None`` for the client's own dispatcher.

        Returns:
            A subscription, to ``cancel()``.

        Raises:
            ValueError: If there can be no such event: nearly the name of one, a command, a pattern.
            TypeError: If the listener does not take one argument, or is async.
        """
        return self._listen(event, listener, dispatcher, once=False)

    def once(
        self,
        event: str | type[Any],
        listener: Listener | None = None,
        *,
        dispatcher: Dispatcher | None = None,
    ) -> Any:
        """Call *listener* with the next event of a kind only; see :meth:`on`."""
        return self._listen(event, listener, dispatcher, once=True)

    def _listen(
        self, event: str | type[Any], listener: Listener | None, dispatcher: Dispatcher | None, once: bool
    ) -> Any:
        chosen = event_filter(event)
        if dispatcher is not None:
            check_dispatcher(dispatcher)
        where = self._engine.dispatcher if dispatcher is None else dispatcher

        def add(function: F) -> F:
            self._engine.listeners.add(chosen, function, where, once)
            return function

        return add if listener is None else self._engine.listeners.add(chosen, listener, where, once)

    def wait_for(
        self,
        event: str | type[Any],
        predicate: Callable[[Any], bool] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> Any:
        """
        Wait for the next event of a kind. Blocks.

        ::

            client.create_response()
            print(client.wait_for("response.done", timeout=20).response.status)

        Only events from now on count; to wait for the answer to a command, take the future or the handle
        that the command returns, or open :meth:`events` before sending.

        Args:
            event: As for :meth:`on`.
            predicate: Accepts the event. Runs on the thread that the event comes from, mostly the I/O thread:
                it must be quick.
            timeout: Seconds; ``None`` waits as long as the connection lives.

        Raises:
            ConnectionClosedError: If the connection ended first.
            TimeoutError: If it took longer.
            TypeError: If *predicate* cannot be called.
        """
        check_timeout(timeout)
        if predicate is not None and not callable(predicate):
            meant = (
                f"; for a time-out write timeout={predicate!r}" if isinstance(predicate, int | float) else ""
            )
            raise TypeError(
                f"predicate must be a function of the event, or None, not {type(predicate).__name__}{meant}"
            )
        return self._engine.waits.wait_for(event_filter(event), predicate, self, timeout)

    def events(self, *events: str | type[Any], timeout: float | None = None) -> EventStream[Any]:
        """
        Iterate over events, from now on, until the connection is closed. Each step blocks.

        ::

            with client.events("response.done", timeout=20) as done:
                client.create_response()
                print(next(done).response.status)

        Args:
            events: As for :meth:`on`; none means all.
            timeout: Seconds to wait for each; ``None`` has no limit.

        Returns:
            An iterator; leave the loop and it is forgotten, or ``close()`` it.

        Raises:
            ConnectionClosedError: While iterating, if the connection was lost.
            TimeoutError: While iterating, if nothing came.
        """
        check_timeout(timeout)
        return self._engine.waits.stream(tuple(map(event_filter, events or ("*",))), self, timeout)
