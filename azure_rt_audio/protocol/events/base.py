"""The base class of all events, and the class of unknown ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from attrs import field

from ..._repr import also_half_made
from ..base import ProtocolObject, frozen_shape

__all__ = [
    "Event",
    "UnknownEvent",
]


def show_length(value: str) -> str:
    """Show a long text as its length."""
    return f"<{len(value)} characters>"


@frozen_shape(kw_only=True)
class Event(ProtocolObject):
    """
    An event of the service.

    Attributes:
        event_id: Assigned by the service; may be missing.
        raw: The whole message as decoded from JSON, in the service's dialect. Read-only: it is shared
            by all listeners and with ``extra`` and free-form fields.
    """

    TYPE: ClassVar[str]
    event_id: str | None = None
    raw: dict[str, Any] = field(factory=dict, eq=False, repr=False)

    @property
    def type(self) -> str:
        """GA's name of the event, in all dialects."""
        return self.TYPE

    @property
    def wire_type(self) -> str:
        """Name as received."""
        name: str = self.raw.get("type", self.TYPE)
        return name

    @property
    def problems(self) -> tuple[str, ...]:
        """
        Paths in ``raw`` of what did not fit or was missing, such as ``"$.response.usage.total_tokens"``.

        There the attribute has what fits (7 for ``"7"``), its default, or an empty text, an empty list or 0.
        """
        problems: tuple[str, ...] = self.__dict__.get("_problems", ())
        return problems

    def _add_problems(self, paths: Iterable[str]) -> None:
        self.__dict__["_problems"] = tuple(dict.fromkeys((*self.problems, *paths)))


@frozen_shape(kw_only=True)
class UnknownEvent(Event):
    """An event newer than this library; its fields are in ``raw``."""

    TYPE: ClassVar[str] = ""

    @property
    def type(self) -> str:
        """Name as received."""
        return self.wire_type

    @also_half_made
    def __repr__(self) -> str:
        shown = super().__repr__().removeprefix("UnknownEvent(")
        return f"UnknownEvent(type={self.type!r}{')' if shown == ')' else ', ' + shown}"
