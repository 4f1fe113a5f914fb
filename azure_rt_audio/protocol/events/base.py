"""What all events have in common, and the event that nobody knows yet."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import field

from ..base import ProtocolObject, frozen_shape

__all__ = [
    "Event",
    "UnknownEvent",
]


def show_length(value: str) -> str:
    """Show a long text by its length."""
    return f"<{len(value)} characters>"


@frozen_shape(kw_only=True)
class Event(ProtocolObject):
    """
    Something the service told us.

    Attributes:
        event_id: The service's id of the event; it may leave it out.
        raw: The whole frame as decoded from JSON, in the service's own dialect. Shared by all
            listeners and with ``extra`` and free-form fields: look, do not change.
    """

    TYPE: ClassVar[str]
    event_id: str | None = None
    raw: dict[str, Any] = field(factory=dict, eq=False, repr=False)

    @property
    def type(self) -> str:
        """Canonical name, the same in both dialects."""
        return self.TYPE

    @property
    def wire_type(self) -> str:
        """Name in the dialect that was spoken."""
        name: str = self.raw.get("type", self.TYPE)
        return name


@frozen_shape(kw_only=True)
class UnknownEvent(Event):
    """An event newer than this library; its fields are in ``raw``."""

    TYPE: ClassVar[str] = ""

    @property
    def type(self) -> str:
        """Name on the wire."""
        return self.wire_type
