"""Texts of objects that are only half made, as a traceback shows them that ends in their constructor."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

__all__ = ["also_half_made"]

S = TypeVar("S")


def also_half_made(show: Callable[[S], str]) -> Callable[[S], str]:
    """Decorate a ``__repr__``: of an object that lacks an attribute it says so, and does not raise."""

    @functools.wraps(show)
    def represent(self: S) -> str:
        try:
            return show(self)
        except AttributeError:
            return f"<{type(self).__name__}, half made>"

    return represent
