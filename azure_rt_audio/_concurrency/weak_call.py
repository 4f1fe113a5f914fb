"""Callbacks that do not keep an object alive."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["weakly"]


def weakly(method: Any, *first: Any) -> Callable[..., Any]:
    """Return a function that calls a bound method as long as its object lives, and then does nothing."""
    reference, function = weakref.ref(method.__self__), method.__func__

    def call(*args: Any) -> Any:
        alive = reference()
        return None if alive is None else function(alive, *first, *args)

    return call
