"""
What a field of a client event may hold, and the refusal when it holds something else.

A :data:`Rule` looks at one value and its path and raises :class:`RefusalError`; rules combine. The
tables that use them are in :mod:`.tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

__all__ = [
    "RefusalError",
    "Rule",
    "anything",
    "array",
    "boolean",
    "choice",
    "either",
    "integer",
    "nullable",
    "number",
    "record",
    "string",
    "tagged",
]

Rule: TypeAlias = Callable[[Any, str], None]


class RefusalError(Exception):
    """
    The service says no; it becomes an ``error`` event.

    Attributes:
        code: Such as ``unknown_parameter``.
        message: In the service's manner.
        param: Path of the offending field, if there is one.
        type: The service's class of error.
    """

    def __init__(
        self,
        code: str,
        message: str,
        param: str | None = None,
        *,
        type: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.type = type


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a decimal", str: "a string", list: "an array"}
    return "null" if value is None else names.get(type(value), "an object")


def wrong(path: str, expected: str, value: Any) -> RefusalError:
    """The refusal of a value of the wrong type."""
    return RefusalError(
        "invalid_value",
        f"Invalid type for '{path}': expected {expected}, but got {_kind(value)} instead.",
        path,
    )


def anything(value: Any, path: str) -> None:
    """Accept what comes."""


def boolean(value: Any, path: str) -> None:
    """``true`` or ``false``."""
    if not isinstance(value, bool):
        raise wrong(path, "a boolean", value)


def string(max_length: int | None = None) -> Rule:
    """Text of at most *max_length* characters."""

    def rule(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise wrong(path, "a string", value)
        if max_length is not None and len(value) > max_length:
            raise RefusalError(
                "invalid_value",
                f"Invalid '{path}': string too long. Expected a string with maximum length {max_length}, "
                f"but got a string with length {len(value)} instead.",
                path,
            )

    return rule


def number(low: float | None = None, high: float | None = None, *, whole: bool = False) -> Rule:
    """A number within bounds, both included."""
    expected = "an integer" if whole else "a decimal"

    def rule(value: Any, path: str) -> None:
        allowed = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise wrong(path, expected, value)
        if low is not None and value < low:
            raise RefusalError(
                "invalid_value",
                f"Invalid '{path}': {expected[3:].strip()} below minimum value. Expected a value >= {low}, "
                f"but got {value} instead.",
                path,
            )
        if high is not None and value > high:
            raise RefusalError(
                "invalid_value",
                f"Invalid '{path}': {expected[3:].strip()} above maximum value. Expected a value <= {high}, "
                f"but got {value} instead.",
                path,
            )

    return rule


def integer(low: int | None = None, high: int | None = None) -> Rule:
    """A whole number within bounds, both included."""
    return number(low, high, whole=True)


def choice(*values: Any) -> Rule:
    """One of *values*."""
    quoted = [f"'{value}'" for value in values]
    listing = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
    supported = "Value must be" if len(values) == 1 else "Supported values are:"

    def rule(value: Any, path: str) -> None:
        if isinstance(value, (dict, list)) or value not in values:
            raise RefusalError("invalid_value", f"Invalid value: '{value}'. {supported} {listing}.", path)

    return rule


def nullable(inner: Rule) -> Rule:
    """``null``, or what *inner* accepts."""

    def rule(value: Any, path: str) -> None:
        if value is not None:
            inner(value, path)

    return rule


def array(of: Rule, *, min_length: int = 0) -> Rule:
    """A list whose every element *of* accepts."""

    def rule(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise wrong(path, "an array", value)
        if len(value) < min_length:
            raise RefusalError("invalid_value", f"Invalid '{path}': array too short.", path)
        for index, element in enumerate(value):
            of(element, f"{path}[{index}]")

    return rule


def record(fields: Mapping[str, Rule], required: Iterable[str] = (), *, is_open: bool = False) -> Rule:
    """
    An object.

    Args:
        fields: Rule by name.
        required: Names that must be present.
        is_open: Whether names outside *fields* are let through.
    """
    needed = tuple(required)

    def rule(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong(path, "an object", value)
        prefix = f"{path}." if path else ""
        for name in needed:
            if name not in value:
                raise RefusalError(
                    "missing_required_parameter",
                    f"Missing required parameter: '{prefix}{name}'.",
                    prefix + name,
                )
        for name, held in value.items():
            inner = fields.get(name)
            if inner is not None:
                inner(held, prefix + name)
            elif not is_open:
                raise RefusalError(
                    "unknown_parameter", f"Unknown parameter: '{prefix}{name}'.", prefix + name
                )

    return rule


def tagged(tag: str, kinds: Mapping[str, Rule], default: str | None = None) -> Rule:
    """An object whose field *tag* says which rule is its own; *default* if it may be left out."""
    names = choice(*kinds)

    def rule(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong(path, "an object", value)
        where = f"{path}.{tag}" if path else tag
        kind = value.get(tag, default)
        if kind is None:
            raise RefusalError("missing_required_parameter", f"Missing required parameter: '{where}'.", where)
        names(kind, where)
        kinds[kind](value, path)

    return rule


def either(*rules: Rule) -> Rule:
    """What any of *rules* accepts; the refusal is the last one's."""

    def rule(value: Any, path: str) -> None:
        for attempt in rules[:-1]:
            try:
                attempt(value, path)
            except RefusalError:
                continue
            return
        rules[-1](value, path)

    return rule
