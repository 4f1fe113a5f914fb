"""Validators of numbers, flags and choices that more than one class of options has."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["choice", "count", "flag", "seconds"]

WEEK = 604800  # beyond a week there is no use in a limit, and far beyond it the system's clock has none


def seconds(low: float, high: float = WEEK, *, or_none: bool = False) -> Any:
    """Return a validator of a number of seconds, from *low* to *high*."""
    otherwise = " or None" if or_none else ""

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None and or_none:
            return
        name = attribute.name
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name} must be a number of seconds{otherwise}, not {type(value).__name__}")
        if not low <= value <= high:  # not a number is neither
            raise ValueError(f"{name} must be from {low:g} to {high:.12g} seconds{otherwise}, not {value!r}")

    return check


def count(low: int, unit: str, *, or_none: bool = False) -> Any:
    """Return a validator of a whole number of *unit*, at least *low*."""
    otherwise = " or None" if or_none else ""

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None and or_none:
            return
        name = attribute.name
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number of {unit}{otherwise}, not {type(value).__name__}")
        if value < low:
            raise ValueError(f"{name} must be at least {low} {unit}{otherwise}, not {value!r}")

    return check


def flag(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Refuse what is neither ``True`` nor ``False``."""
    if not isinstance(value, bool):
        raise TypeError(f"{attribute.name} must be True or False, not {type(value).__name__}")


def choice(*accepted: str) -> Any:
    """Return a validator of a text that is one of *accepted*."""
    listed = ", ".join(f'"{name}"' for name in accepted[:-1]) + f' or "{accepted[-1]}"'

    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, str):
            raise TypeError(f"{attribute.name} must be {listed}, not {type(value).__name__}")
        if value not in accepted:
            raise ValueError(f"{attribute.name} must be {listed}, not {value!r:.60}")

    return check
