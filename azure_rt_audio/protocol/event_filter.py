"""Which events a listener, a waiter or a stream receives, as the user named them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from .._log import get_logger
from .._pages import EVENTS
from ..errors import RealtimeError, ServiceError
from . import commands
from .dialects import ALIASES, canonical_name
from .events import EVENT_CLASSES, Error, Event, UnknownEvent
from .events.local import LOCAL_EVENTS

__all__ = ["EVERYTHING", "EventFilter", "event_filter"]

log: logging.Logger = get_logger(__name__)

EVERYTHING: Final = "*"
_NAMES: Final = frozenset({*EVENT_CLASSES, *ALIASES, *(cls.TYPE for cls in LOCAL_EVENTS), EVERYTHING})
_ANSWERS: Final[Mapping[str, str]] = {
    commands.SessionUpdate.TYPE: "session.updated",
    commands.TranscriptionSessionUpdate.TYPE: "transcription_session.updated",
    commands.InputAudioBufferAppend.TYPE: "",
    commands.SessionInputAudioBufferAppend.TYPE: "",
    commands.InputAudioBufferCommit.TYPE: "input_audio_buffer.committed",
    commands.InputAudioBufferClear.TYPE: "input_audio_buffer.cleared",
    commands.OutputAudioBufferClear.TYPE: "output_audio_buffer.cleared",
    commands.ConversationItemCreate.TYPE: "conversation.item.added",
    commands.ConversationItemRetrieve.TYPE: "conversation.item.retrieved",
    commands.ConversationItemTruncate.TYPE: "conversation.item.truncated",
    commands.ConversationItemDelete.TYPE: "conversation.item.deleted",
    commands.ResponseCreate.TYPE: "response.created",
    commands.ResponseCancel.TYPE: "response.done",
    commands.SessionClose.TYPE: "session.closed",
}
"""Each command to the event that answers it; ``""`` if none does."""

_told: set[str] = set()
"""Names of events to come that the log has told of."""


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

    Names of events newer than this library are accepted: they have a dot and resemble no known one. The log
    tells of each once.

    Raises:
        ValueError: For a typo, the beginning of names, a command or a pattern; names the event that was
            meant.
        TypeError: For other types.
    """
    if isinstance(event, str):
        name = canonical_name(event)
        if name not in _NAMES:
            _check_new_name(name)
        return EventFilter(name)
    if isinstance(event, type):
        if event in LOCAL_EVENTS or event in (Error, UnknownEvent):
            return EventFilter(event)
        if issubclass(event, RealtimeError):
            return EventFilter("error", None if event is RealtimeError else event)
        if issubclass(event, Event):
            return EventFilter(event.TYPE) if hasattr(event, "TYPE") else EventFilter(EVERYTHING, event)
    raise TypeError(f"expected the name of an event, its class, or '*', not {event!r}")


def _check_new_name(name: str) -> None:
    """Refuse a name that cannot be one of an event newer than this library."""
    if name in _ANSWERS:
        answer = _ANSWERS[name]
        remedy = f"did you mean {answer!r}?" if answer else "the service does not acknowledge it"
        raise ValueError(f"{name!r} is a command, which a client sends, and not an event; {remedy}")
    if "*" in name:
        raise ValueError(
            f"{name!r}: patterns are not understood; listen to '*' and look at event.type. {EVENTS}"
        )
    longer = sorted({canonical_name(known) for known in _NAMES if known.startswith(f"{name}.")})
    if longer:
        raise ValueError(f"there is no event {name!r}; did you mean {_one_of(longer)}? {EVENTS}")
    close = _resembled(name)
    if close:
        raise ValueError(f"there is no event {name!r}; did you mean {close!r}? {EVENTS}")
    if "." not in name:  # the service's have one, but for "error"
        local = ", ".join(repr(cls.TYPE) for cls in LOCAL_EVENTS if not cls.TYPE.startswith("tool"))
        raise ValueError(
            f"there is no event {name!r}; names are such as 'response.done', or {local}, 'error', '*'. "
            f"{EVENTS}"
        )
    if name not in _told:
        _told.add(name)
        log.warning(
            "! no event %r is known to this version: it is waited for in case the service has it. %s",
            name,
            EVENTS,
        )


def _one_of(names: list[str]) -> str:
    shown = [repr(name) for name in names[:4]]
    return f"{', '.join(shown)} or another" if len(names) > 4 else " or ".join(shown)


def _resembled(name: str) -> str | None:
    """Return the known name that *name* is a slip of; GA's rather than preview's."""
    from difflib import SequenceMatcher, get_close_matches  # 7 ms that only a new name should cost

    squeezed = {_squeezed(known): known for known in (*ALIASES, *(_NAMES - ALIASES.keys() - {EVERYTHING}))}
    if _squeezed(name) in squeezed:  # response_done, ResponseDone
        return squeezed[_squeezed(name)]
    if "." not in name:
        near = get_close_matches(_squeezed(name), squeezed, n=1, cutoff=0.7)
        return squeezed[near[0]] if near else None
    # A difference of two letters is a slip, "video" for "audio" may be an event to come.
    close = [
        known
        for known in get_close_matches(name, _NAMES, n=8, cutoff=0.8)
        if _distance(name, known) <= 2 or SequenceMatcher(None, known, name).ratio() >= 0.95
    ]
    if not close:
        return None
    nearest = min(close, key=lambda known: _distance(name, known))
    return canonical_name(nearest) if canonical_name(nearest) in close else nearest


def _squeezed(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _distance(one: str, other: str) -> int:
    """Count the letters to insert, delete, replace, or swap with the next one."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (a != b)))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                row[j] = min(row[j], before[j - 2] + 1)
        before, last = last, row
    return last[-1]
