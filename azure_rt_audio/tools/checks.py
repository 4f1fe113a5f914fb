"""Refuses options of tools that cannot be right, by their names. Pure."""

from __future__ import annotations

from ..protocol.codec import check_expressible

__all__ = ["check_choice", "check_count", "check_flag", "check_positive_seconds", "check_text"]


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Refuse a value that is none of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}, not {value!r:.60}")


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither ``True`` nor ``False``."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {type(value).__name__}")


def check_text(name: str, value: object, *, or_none: bool = False) -> None:
    """Refuse what is no text."""
    if not isinstance(value, str) and not (value is None and or_none):
        raise TypeError(f"{name} must be text{' or None' if or_none else ''}, not {type(value).__name__}")
    check_expressible(value, name)


def check_count(name: str, value: object, unit: str = "") -> None:
    """Refuse what is no whole number from 1 on."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(
            f"{name} must be a whole number{f' of {unit}' if unit else ''}, not {type(value).__name__}"
        )
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")


def check_positive_seconds(name: str, value: object, *, or_none: bool = False) -> None:
    """Refuse what is no time to wait; infinity has no limit."""
    otherwise = " or None" if or_none else ""
    if value is None and or_none:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds{otherwise}, not {type(value).__name__}")
    if not value > 0:  # not a number is neither
        raise ValueError(f"{name} must be more than 0 seconds{otherwise}, not {value!r}")
