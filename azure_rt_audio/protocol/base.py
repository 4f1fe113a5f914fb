"""
The base class of all messages and objects of the protocol.

Two conventions:

* **Reading.** A missing field is ``None``. Unknown fields, and known ones with an explicit null,
  are kept in ``extra``, so that encoding restores the decoded message.
* **Writing.** In :class:`~azure_rt_audio.protocol.session.SessionConfig` and
  :class:`~azure_rt_audio.protocol.responses.ResponseConfig`, ``None`` is sent as null,
  which clears a setting (turn detection, transcription, noise reduction), and
  :data:`UNSET` is not sent, which leaves it as it is. Everywhere else ``None`` is not sent.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs
from attrs import field

if TYPE_CHECKING:
    from attrs import frozen as frozen_shape
else:
    # Comparison and repr come from ProtocolObject: 130 generated copies would be a quarter of the time that
    # importing this package takes. Without slots, cached properties need no help.
    frozen_shape = partial(attrs.frozen, slots=False, eq=False, repr=False)

from .._repr import also_half_made

__all__ = ["UNSET", "ProtocolObject", "Unset", "frozen_shape", "read_mapping", "snake_case"]


class Unset(enum.Enum):
    """The type of :data:`UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset.UNSET
"""Not sent, as opposed to ``None``, which is sent as null."""


_readers: dict[str, Callable[[Any, Mapping[str, Any], str], Any]] = {}  # filled by the codec


def read_mapping(kind: Any, value: Any, name: str) -> Any:
    """
    Make an object of the protocol from a mapping that was given to a constructor; leave all else as it is.

    Args:
        kind: A class of the protocol, or a union of some.
        name: Of the field, for errors.

    Raises:
        ValueError: If a field is unknown or has a wrong value; names its path.
    """
    return _readers["mapping"](kind, value, name) if isinstance(value, Mapping) else value


def snake_case(name: str) -> str:
    """Return a name in camelCase, which may be in snake_case already, in snake_case."""
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda found: "_" + found[0].lower(), name)


@frozen_shape(kw_only=True)
class ProtocolObject:
    """
    A message or object of the protocol: keyword arguments only, immutable, comparable.

    Its ``repr`` shows values that differ from the defaults, long texts by their length, and no secrets.

    Attributes:
        extra: Fields without an attribute. They are sent as well, which is how to use a field that is
            newer than this library.
    """

    extra: dict[str, Any] = field(factory=dict, repr=lambda extra: f"<{len(extra)}>")

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(
            getattr(self, a.name) == getattr(other, a.name) for a in attrs.fields(self.__class__) if a.eq
        )

    @also_half_made
    def __repr__(self) -> str:
        shown = [
            f"{a.name}={a.repr(value) if callable(a.repr) else repr(value)}"
            for a in attrs.fields(self.__class__)
            if a.repr and (value := getattr(self, a.name)) != ({} if a.name == "extra" else a.default)
        ]
        return f"{self.__class__.__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """Return HTML for a notebook's cell, with the values that differ from the defaults."""
        from .._html import card, facts

        shown = {
            a.name: a.repr(value) if callable(a.repr) else _in_words(value)
            for a in attrs.fields(self.__class__)
            if a.repr and a.name != "raw" and (value := getattr(self, a.name)) != a.default and value != {}
        }
        return card(self.__class__.__name__, [facts(shown)])


def _in_words(value: Any) -> str:
    """Return a nested value as one line, several values as one line each."""
    if isinstance(value, ProtocolObject):
        inner = ((a, getattr(value, a.name)) for a in attrs.fields(value.__class__) if a.repr)
        return ", ".join(
            f"{a.name} {a.repr(part) if callable(a.repr) else _in_words(part)}"
            for a, part in inner
            if part != a.default and part != {}
        )
    if isinstance(value, list | tuple):
        is_deep = any(isinstance(part, ProtocolObject) for part in value)
        return ("\n" if is_deep else ", ").join(map(_in_words, value))
    return "off" if value is None else str(value)
