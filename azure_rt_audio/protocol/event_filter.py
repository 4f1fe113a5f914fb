"""Which events a listener, a waiter or a stream receives, as the user named them."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from ..errors import RealtimeError, ServiceError
from .dialects import ALIASES, canonical_name
from .events import EVENT_CLASSES, Error, Event, UnknownEvent
from .events.local import Closed, Init, StatusChanged

__all__ = ["EVERYTHING", "EventFilter", "event_filter"]

EVERYTHING: Final = "*"
_LOCAL: Final = (Init, StatusChanged, Closed)
_NAMES: Final = frozenset({*EVENT_CLASSES, *ALIASES, *(cls.TYPE for cls in _LOCAL), EVERYTHING})


@frozen
class EventFilter:
    """
    One kind of event.

    Attributes:
        key: Under which events are published.
        of_class: Class of the payloads, or ``None`` for all.
    """

    key: Any
    of_class: type[Any] | None = None

    def wants(self, payload: object) -> bool:
        """Whether it accepts a payload that was published under its key."""
        return self.of_class is None or isinstance(payload, self.of_class)

    def concerns(self, key: Any, payload: object) -> bool:
        """Whether it accepts a payload published under *key*."""
        if self.key == EVERYTHING:
            # The exception of an ``error`` event repeats the event.
            return not isinstance(payload, ServiceError) and self.wants(payload)
        return (self.key == key or self.key is type(payload)) and self.wants(payload)


def event_filter(event: str | type[Any]) -> EventFilter:
    """
    Return the filter for a name in any dialect, a class, or ``"*"``.

    Names of events newer than this library are accepted; a name close to a known one is refused as a typo.

    Raises:
        ValueError: For a typo; names the event that was meant.
        TypeError: For other types.
    """
    if isinstance(event, str):
        name = canonical_name(event)
        if name not in _NAMES:
            from difflib import get_close_matches  # 7 ms that only a new name should cost

            close = get_close_matches(name, _NAMES, n=1, cutoff=0.93)
            if close:
                raise ValueError(f"there is no event {event!r}; did you mean {close[0]!r}?")
        return EventFilter(name)
    if isinstance(event, type):
        if event in _LOCAL or event in (Error, UnknownEvent):
            return EventFilter(event)
        if issubclass(event, RealtimeError):
            return EventFilter("error", None if event is RealtimeError else event)
        if issubclass(event, Event):
            return EventFilter(event.TYPE) if hasattr(event, "TYPE") else EventFilter(EVERYTHING, event)
    raise TypeError(f"expected the name of an event, its class, or '*', not {event!r}")
