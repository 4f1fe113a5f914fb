"""Whether a function of the program can be called as it will be; asked when it is given. Pure."""

from __future__ import annotations

import inspect

__all__ = ["check_called_with", "takes_one"]


def takes_one(function: object) -> bool:
    """Whether it can be called with one argument; ``True`` if that is not known before the call."""
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]  # it can be called
    except Exception:  # noqa: BLE001 - Python 3.14 evaluates the user's annotations here
        return True  # some built-ins have no signature, too; a call will show
    try:
        signature.bind(None)
    except TypeError:
        return False
    return True


def check_called_with(name: str, function: object, argument: str) -> None:
    """
    Refuse what cannot be called with one argument, and what is async.

    Args:
        name: Of the parameter that it was given as.
        argument: What it is called with, in words.

    Raises:
        TypeError: Says why.
    """
    if not callable(function):
        raise TypeError(f"{name} must be a function of {argument}, not {type(function).__name__}")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  # of an object that can be called
    ):
        raise TypeError(f"{name} must not be async: it is called on a thread of the client")
    if not takes_one(function):
        raise TypeError(f"{name} must accept one argument, {argument}")
