"""
What a dialect of the protocol must answer.

Reading needs no dialect: names and structures of all of them are recognised, because a service may mix
them (:mod:`~azure_rt_audio.protocol.dialects.nesting`). Writing does: a :class:`Dialect` translates the
library's vocabulary to what its service understands, and reports what it cannot carry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

from attrs import frozen

from .names import canonical_name
from .nesting import Json

__all__ = ["Dialect"]


@frozen
class Dialect(ABC):
    """
    How to speak to one kind of service. Immutable; equal if of the same kind and version.

    Attributes:
        name: As given in options and on the command line.
        label: As shown to people.
        names: Canonical name of an event to this dialect's, where they differ.
        default_version: The version where only the dialect was chosen.
        api_version: As it stands in the URL.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    names: ClassVar[Mapping[str, str]] = {}
    default_version: ClassVar[str]

    api_version: str

    @staticmethod
    @abstractmethod
    def has_version(api_version: str) -> bool:
        """Whether *api_version* is a version of this dialect."""

    @property
    def carries_metadata(self) -> bool:
        """Whether a response can carry metadata, by which its request is recognised."""
        return True

    @abstractmethod
    def path(self, deployment: str) -> str:
        """Return path and query of a session's URL, without a gateway's prefix."""

    def why_not(self, kind: str) -> str:
        """
        Return why something does not exist and the remedy, or ``""`` if it does.

        Args:
            kind: The type of a command, or ``"images"``, ``"mcp"``, ``"out_of_band"`` (responses outside
                of the conversation) or ``"translation"``.
        """
        if kind == "output_audio_buffer.clear":
            return "the service plays nothing over a WebSocket; stop your own playback and truncate the item"
        return self._lacks().get(kind, "")

    def wire_name(self, name: str) -> str:
        """Return this dialect's name of an event."""
        canonical = canonical_name(name)
        return self.names.get(canonical, canonical)

    def to_wire(self, message: Json, leave_out: Callable[[str], None]) -> Json:
        """
        Translate a message from the library's vocabulary.

        Args:
            message: With its ``type`` already as on the wire. It may be changed.
            leave_out: Called with the path of each field that this dialect cannot carry.
        """
        for path in self._not_carried(message["type"]):
            if _drop(message, path.split(".")):
                leave_out(path)
        return self._translate(message, leave_out)

    def _lacks(self) -> Mapping[str, str]:
        """Return the commands and features that do not exist, with reason and remedy."""
        return {}

    @abstractmethod
    def _not_carried(self, kind: str) -> tuple[str, ...]:
        """Return the fields of a command that do not exist, as paths in the library's vocabulary."""

    @abstractmethod
    def _translate(self, message: Json, leave_out: Callable[[str], None]) -> Json:
        """Rename and nest the fields that are carried."""


def _drop(part: Json, steps: list[str]) -> bool:
    """Remove the value at a path and return whether there was one; objects on the way are copied."""
    step, *rest = steps
    if step not in part:
        return False
    if not rest:
        del part[step]
        return True
    if not isinstance(part[step], dict):
        return False
    inner = dict(part[step])
    was_there = _drop(inner, rest)
    part[step] = inner
    return was_there
