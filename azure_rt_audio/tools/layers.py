"""
What a callable calls in the end: through partials, methods, decorators, and objects that can be called.

What a ``functools.partial`` has bound is the program's, such as a password: no parameter of a tool, although
``inspect.signature`` shows it as a default. Pure.
"""

from __future__ import annotations

import functools
import inspect
import types
from typing import Any, Final

from .docstring import parameters_said, summary
from .shape import hints_of

__all__ = ["bound_names", "hints_through", "layers_of", "name_of", "said_of"]

_DEEPEST: Final = 100
_PARTIALS: Final = (functools.partial, functools.partialmethod)


def layers_of(function: Any) -> list[Any]:
    """Return a callable and what it calls, from the outside in, as far as its signature is looked for."""
    layers: list[Any] = []
    layer = function
    while layer is not None and len(layers) < _DEEPEST:
        layers.append(layer)
        layer = _inner(layer)
    return layers


def _inner(layer: Any) -> Any:
    if isinstance(layer, _PARTIALS):
        return layer.func
    if isinstance(layer, types.MethodType):
        return layer.__func__
    method = getattr(layer, "__partialmethod__", None) or getattr(layer, "_partialmethod", None)
    if isinstance(method, functools.partialmethod):  # from Python 3.13 on, and before
        return method
    if hasattr(layer, "__wrapped__") and not hasattr(layer, "__signature__"):
        return layer.__wrapped__
    if isinstance(layer, type):
        makers = (layer.__init__, layer.__new__)  # type: ignore[misc]  # the class's own
        return next((maker for maker in makers if inspect.isfunction(maker)), None)
    # Of the class, as a call looks it up.
    return None if inspect.isroutine(layer) else getattr(type(layer), "__call__", None)  # noqa: B004


def bound_names(function: Any) -> frozenset[str]:
    """Return the names of the parameters that partials have bound, by position or by keyword."""
    names: set[str] = set()
    for layer in layers_of(function):
        if isinstance(layer, _PARTIALS):
            names.update(layer.keywords)
            first = (None,) if isinstance(layer, functools.partialmethod) else ()  # self, which is not bound
            names.update(_names_of(layer.func, (*first, *layer.args))[len(first) :])
    return frozenset(names)


def _names_of(function: Any, arguments: tuple[Any, ...]) -> list[str]:
    """Return the names of the parameters that positional arguments are for."""
    bound = bound_names(function)
    try:
        signature = inspect.signature(function)
        free = [one for one in signature.parameters.values() if one.name not in bound]
        return list(signature.replace(parameters=free).bind_partial(*arguments).arguments)
    except (TypeError, ValueError):  # a built-in has no signature; a call will show what does not fit
        return []


def name_of(function: Any) -> str | None:
    """Return the name of a function, that of the one that is bound by a partial; an object has none."""
    for layer in layers_of(function):
        name = getattr(layer, "__name__", None)
        if isinstance(name, str):
            return name
        if not isinstance(layer, (functools.partial, types.MethodType)):
            break
    return None


def said_of(function: Any) -> tuple[str, dict[str, str]]:
    """Return the first paragraph of the docstring, and what it says of each parameter."""
    for layer in layers_of(function):
        if getattr(layer, "__doc__", None) not in (None, "", functools.partial.__doc__):
            return summary(layer), parameters_said(layer)
    return "", {}


def hints_through(function: Any, where: str) -> dict[str, Any]:
    """Return the annotations of the parameters, with what is ``Annotated``."""
    for layer in reversed(layers_of(function)):  # the innermost has the signature, and should have these
        if inspect.isroutine(layer) and getattr(layer, "__annotations__", None):
            return hints_of(layer, where)
    return {}
