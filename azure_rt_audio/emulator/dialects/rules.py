"""
Rules for the fields of client events, and the refusal of a value that breaks one.

A :class:`Rule` checks one value at a path and raises :class:`RefusalError`; rules combine. They are data
too: a test compares them with the service's catalogues field by field.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Anything",
    "Array",
    "Boolean",
    "Choice",
    "Either",
    "Mapped",
    "Nullable",
    "Number",
    "Record",
    "RefusalError",
    "Rule",
    "Tagged",
    "Text",
    "Unsupported",
    "missing",
]


class RefusalError(Exception):
    """
    The service refuses a command; it becomes an ``error`` event.

    Attributes:
        code: Such as ``unknown_parameter``.
        message: In the service's words.
        param: Path of the offending field, if there is one.
        type: The service's class of error.
        names_command: Whether the ``error`` event repeats the command's ``event_id``.
    """

    def __init__(
        self,
        code: str | None,
        message: str,
        param: str | None = None,
        *,
        type: str = "invalid_request_error",
        names_command: bool = True,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.type = type
        self.names_command = names_command


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a decimal", str: "a string", list: "an array"}
    return "null" if value is None else names.get(type(value), "an object")


def missing(path: str) -> RefusalError:
    """The refusal of a command without a required field."""
    return RefusalError("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def _wrong_type(path: str, expected: str, value: Any) -> RefusalError:
    """The refusal of a value of the wrong type."""
    return RefusalError(
        "invalid_type",
        f"Invalid type for '{path}': expected {expected}, but got {_kind(value)} instead.",
        path,
    )


class Rule(ABC):
    """What a value may be."""

    @abstractmethod
    def __call__(self, value: Any, path: str) -> None:
        """
        Check *value*, which stands at *path*.

        Raises:
            RefusalError: It breaks the rule.
        """


@dataclass(frozen=True)
class Anything(Rule):
    """Any value."""

    def __call__(self, value: Any, path: str) -> None:
        """Accept it."""


@dataclass(frozen=True)
class Boolean(Rule):
    """``true`` or ``false``."""

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        if not isinstance(value, bool):
            raise _wrong_type(path, "a boolean", value)


@dataclass(frozen=True)
class Text(Rule):
    """A string of at most *max_length* characters, which matches *pattern* as a whole."""

    max_length: int | None = None
    pattern: str | None = None

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        if not isinstance(value, str):
            raise _wrong_type(path, "a string", value)
        if self.max_length is not None and len(value) > self.max_length:
            raise RefusalError(
                "string_above_max_length",
                f"Invalid '{path}': string too long. Expected a string with maximum length "
                f"{self.max_length}, but got a string with length {len(value)} instead.",
                path,
            )
        if self.pattern is not None and not re.match(self.pattern, value):
            raise RefusalError(
                "invalid_value",
                f"Invalid '{path}': string does not match pattern. Expected a string that matches the "
                f"pattern '{self.pattern}'.",
                path,
            )


@dataclass(frozen=True)
class Number(Rule):
    """A number within bounds, both included."""

    low: float | None = None
    high: float | None = None
    is_whole: bool = False

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        kind = "integer" if self.is_whole else "decimal"
        allowed = int if self.is_whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise _wrong_type(path, f"an {kind}" if self.is_whole else f"a {kind}", value)
        for bound, is_broken, side, extreme, sign in (
            (self.low, self.low is not None and value < self.low, "below", "min", ">="),
            (self.high, self.high is not None and value > self.high, "above", "max", "<="),
        ):
            if is_broken:
                raise RefusalError(
                    f"{kind}_{side}_{extreme}_value",
                    f"Invalid '{path}': {kind} {side} {extreme}imum value. Expected a value {sign} {bound}, "
                    f"but got {value} instead.",
                    path,
                )


class Choice(Rule):
    """One of *values*."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        if not isinstance(value, type(self.values[0])) or isinstance(value, bool):
            raise _wrong_type(
                path, f"one of {self._listing('or')}" if len(self.values) > 1 else self._listing(), value
            )
        if value not in self.values:
            quoted, listing = self.values, self._listing("and")
            supported = "Value must be" if len(quoted) == 1 else "Supported values are:"
            raise RefusalError("invalid_value", f"Invalid value: '{value}'. {supported} {listing}.", path)

    def _listing(self, conjunction: str = "") -> str:
        quoted = [f"'{one}'" for one in self.values]
        if len(quoted) < 3:
            return f" {conjunction} ".join(quoted)
        return f"{', '.join(quoted[:-1])}, {conjunction} {quoted[-1]}"


@dataclass(frozen=True)
class Nullable(Rule):
    """``null``, or what *inner* accepts."""

    inner: Rule

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        if value is not None:
            self.inner(value, path)


@dataclass(frozen=True)
class Array(Rule):
    """A list; *of* accepts each element."""

    of: Rule
    min_length: int = 0

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        if not isinstance(value, list):
            raise _wrong_type(path, "an array", value)
        if len(value) < self.min_length:
            raise RefusalError("invalid_value", f"Invalid '{path}': array too short.", path)
        for index, element in enumerate(value):
            self.of(element, f"{path}[{index}]")


@dataclass(frozen=True)
class Record(Rule):
    """
    An object.

    Attributes:
        fields: Rule by name.
        required: Names that must be present.
        is_open: Whether names outside *fields* are accepted.
    """

    fields: Mapping[str, Rule]
    required: tuple[str, ...] = ()
    is_open: bool = False

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        if not isinstance(value, dict):
            raise _wrong_type(path, "an object", value)
        prefix = f"{path}." if path else ""
        for name in self.required:
            if name not in value:
                raise missing(prefix + name)
        for name, held in value.items():
            inner = self.fields.get(name)
            if inner is not None:
                inner(held, prefix + name)
            elif not self.is_open:
                raise RefusalError(
                    "unknown_parameter", f"Unknown parameter: '{prefix}{name}'.", prefix + name
                )


@dataclass(frozen=True)
class Mapped(Rule):
    """An object whose fields have any names; *of* accepts each value."""

    of: Rule

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        if not isinstance(value, dict):
            raise _wrong_type(path, "an object", value)
        for name, held in value.items():
            self.of(held, f"{path}.{name}")


@dataclass(frozen=True)
class Tagged(Rule):
    """An object whose field *tag* names its rule in *kinds*; *default* if the tag may be left out."""

    tag: str
    kinds: Mapping[str, Rule]
    default: str | None = None

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        if not isinstance(value, dict):
            raise _wrong_type(path, "an object", value)
        where = f"{path}.{self.tag}" if path else self.tag
        kind = value.get(self.tag, self.default)
        if kind is None:
            raise missing(where)
        Choice(*self.kinds)(kind, where)
        self.kinds[kind](value, path)


class Either(Rule):
    """
    What any of *rules* accepts.

    The refusal is the one of a field inside the value if there is one, or else the last rule's.
    """

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        refusals = []
        for rule in self.rules:
            try:
                rule(value, path)
            except RefusalError as refusal:
                refusals.append(refusal)
            else:
                return
        raise next((one for one in refusals if one.param != path), refusals[-1])


@dataclass(frozen=True)
class Unsupported(Rule):
    """No value: the command is known, and refused with *message*."""

    message: str
    param: str

    def __call__(self, value: Any, path: str) -> None:
        """Refuse it."""
        raise RefusalError("invalid_value", self.message, self.param)
