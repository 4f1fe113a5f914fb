"""What a listener, a waiter or a stream is interested in, whichever way the user names it."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from ..errors import RealtimeError, ServiceError
from .dialects import ALIASES, canonical_name
from .events import EVENT_CLASSES, Error, Event, UnknownEvent
from .events.local import Closed, Init, StatusChanged

__all__ = ["EVERYTHING", "EventFilter", "subject"]

EVERYTHING: Final = "*"
_LOCAL: Final = (Init, StatusChanged, Closed)
_NAMES: Final = frozenset({*EVENT_CLASSES, *ALIASES, *(cls.TYPE for cls in _LOCAL), EVERYTHING})


@frozen
class EventFilter:
    """
    One kind of event.

    Attributes:
        key: What it is published under.
        of_class: Only payloads of this class, or ``None`` for all.
    """

    key: Any
    of_class: type[Any] | None = None

    def wants(self, payload: object) -> bool:
        """Whether a payload published under the key is meant."""
        return self.of_class is None or isinstance(payload, self.of_class)

    def concerns(self, key: Any, payload: object) -> bool:
        """Whether what is published under *key* is meant, or everything is."""
        if self.key == EVERYTHING:
            # What the service refuses is an event already; its exception would be the same thing twice.
            return not isinstance(payload, ServiceError) and self.wants(payload)
        return (self.key == key or self.key is type(payload)) and self.wants(payload)


def subject(event: str | type[Any]) -> EventFilter:
    """
    Understand a wire name of either dialect, a class, or ``"*"``.

    An event newer than this library can be named as well; a name that is nearly one of ours
    is taken for a slip.

    Raises:
        ValueError: For a name that is nearly right; names the right one.
        TypeError: For anything that is not an event.
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
