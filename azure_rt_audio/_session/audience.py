"""
Who is told of events: callers that wait, streams, and listeners; of an error that none of these hears, the
log.

Callers come first: listeners of an inline dispatcher may take their time.

**Threads.** The I/O thread, mostly; threads of tools and of the guard tell of these, who sets the status of
that, and whichever thread decodes sound of errors in it. None holds a lock.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from .._log import get_logger
from ..dispatch import Dispatcher
from ..errors import RealtimeError, ServiceError
from ..protocol.event_filter import EVERYTHING
from ..protocol.events import Event, UnknownEvent
from ..protocol.events.local import LOCAL_EVENTS, Closed, Init, LocalEvent
from ..protocol.response_errors import CONNECTION_LOST
from ..protocol.responses import Response
from .event_stream import EventStreams
from .listeners import Listeners
from .waiters import Waiters

__all__ = ["Audience"]

log: logging.Logger = get_logger(__name__)

_LOCAL_NAMES: Final = frozenset({*(cls.TYPE for cls in LOCAL_EVENTS), EVERYTHING})


class Audience:
    """
    All who listen to one client.

    What it calls raises :class:`DispatchOverflowError` if a listener is too far behind.
    """

    def __init__(self, waiters: Waiters, streams: EventStreams, listeners: Listeners) -> None:
        self._waiters = waiters
        self._streams = streams
        self._listeners = listeners

    def offer(self, key: Any, payload: Any) -> bool:
        """Tell callers and streams; return whether any of them took it."""
        is_taken = self._waiters.offer(key, payload)
        return self._streams.offer(key, payload) or is_taken

    def publish(self, key: str, event: Event) -> None:
        """Tell listeners of an event of the service."""
        if event.__class__ is UnknownEvent:
            if key not in _LOCAL_NAMES:  # listeners of those expect another payload
                self._listeners.publish(key, event)
            self._listeners.publish(UnknownEvent, event, to_all=True)
        else:
            self._listeners.publish(key, event, to_all=True)

    def publish_local(self, event: LocalEvent) -> None:
        """Tell listeners of an event of the client's own."""
        is_sticky = isinstance(event, Init | Closed)
        payload = event.session if isinstance(event, Init) else event
        self._listeners.publish(event.type, payload, sticky=is_sticky)
        self._listeners.publish(type(event), event, sticky=is_sticky, to_all=True)

    def tell(self, event: LocalEvent) -> bool:
        """Tell all of an event of the client's own; return whether a caller or a stream took it."""
        is_taken = self.offer(event.type, event)
        self.publish_local(event)
        return is_taken

    def report(self, error: RealtimeError, *, is_told: bool = False) -> None:
        """
        Tell all of an error.

        Args:
            is_told: Whether a caller knows of it already.
        """
        self.offer("error", error)
        if not self.publish_error(error):  # no listener: at least a caller or the log is told
            log.log(logging.DEBUG if is_told else logging.WARNING, "! %s", error)

    def publish_error(self, error: RealtimeError, *, sticky: bool = False) -> bool:
        """Tell listeners of an error; return whether it reached one."""
        is_heard = self._listeners.publish("error", error, sticky=sticky)
        if not isinstance(error, ServiceError):  # a refusal by the service is published as an event already
            self._listeners.publish(EVERYTHING, error)
        return is_heard

    def report_response(self, response: Response, *, is_told: bool) -> None:
        """Report a response that failed; one that was cut short has the reason, and the log."""
        error = response.error
        if isinstance(error, ServiceError):
            self.report(error, is_told=is_told)
        elif error is not None and response.status != "cancelled" and response.reason != CONNECTION_LOST:
            log.warning("! %s", error)

    def has_listener(self, kind: type[Event | LocalEvent]) -> bool:
        """Whether anybody is handed events of a kind."""
        return any(self._listeners.has(key) or self._streams.take(key) for key in _keys(kind))

    def dispatchers(self, kind: type[Event | LocalEvent]) -> list[Dispatcher]:
        """Return where the listeners run that are handed events of a kind, each once."""
        return self._listeners.dispatchers(_keys(kind))


def _keys(kind: type[Event | LocalEvent]) -> tuple[Any, ...]:
    return kind.TYPE, kind  # events of the client itself are known by their class, too
