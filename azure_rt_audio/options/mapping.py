"""Names of options: in a mapping, and in a call of their class."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs

from ..protocol.base import snake_case

__all__ = ["make_options", "with_known_names"]

T = TypeVar("T", bound=attrs.AttrsInstance)
C = TypeVar("C", bound=type[Any])

_ELSEWHERE: Final = {
    "endpoint": "host_name",
    "azure_endpoint": "host_name",
    "base_url": "host_name",
    "url": "host_name",
    "azure_deployment": "deployment",
    "model": "deployment",
}
"""What other libraries call the options."""


def make_options(cls: type[T], value: T | Mapping[str, Any] | None, name: str = "options") -> T:
    """
    Make options from a mapping with the names in snake_case or camelCase.

    Args:
        name: Of the argument, for errors.

    Raises:
        ValueError: If a name is unknown, or a value is wrong.
        TypeError: If *value* is neither options nor a mapping.
    """
    if isinstance(value, cls):
        return value
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{name} must be {cls.__name__} or a mapping, not {type(value).__name__}")
    known = [a.name for a in attrs.fields(cls) if a.init]
    chosen: dict[str, Any] = {}
    for name, given in (value or {}).items():
        if not isinstance(name, str):
            raise ValueError(f"names of options are strings, not {name!r:.40}")
        snake = snake_case(name)
        if snake in chosen:
            raise ValueError(f"{snake!r} is given twice, in two spellings")
        if snake not in known:
            raise ValueError(_unknown(cls, name, snake, known))
        chosen[snake] = given
    missing = [
        a.name for a in attrs.fields(cls) if a.init and a.default is attrs.NOTHING and a.name not in chosen
    ]
    if missing:
        raise ValueError(f"{cls.__name__} needs {', '.join(missing)}")
    return cls(**chosen)


def with_known_names(cls: C) -> C:
    """Decorate a class of options: a ``TypeError`` for an unknown name says which was meant."""
    init = cls.__init__
    known = [a.name for a in attrs.fields(cls) if a.init]

    @functools.wraps(init)
    def made(self: Any, *args: Any, **options: Any) -> None:
        for name in options:
            if name not in known:
                raise TypeError(_unknown(cls, name, name, known))
        init(self, *args, **options)

    cls.__init__ = made
    return cls


def _unknown(cls: type[Any], name: str, snake: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches  # 7 ms that only a mistake should cost

    meant = _ELSEWHERE.get(snake)
    close = [meant] if meant in known else get_close_matches(snake, known, n=1)
    remedy = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
    if (other := _other_class(cls, snake)) is not None:
        remedy = f"it is one of {other}"
    return f"{name!r} is not an option of {cls.__name__}; {remedy}"


def _other_class(cls: type[Any], name: str) -> str | None:
    """Return the name of the other options of a client that have an option of this name."""
    from .azure import AzureRealTimeOptions
    from .reconnect import ReconnectPolicy
    from .websocket import WebSocketOptions

    for other in (WebSocketOptions, ReconnectPolicy, AzureRealTimeOptions):
        if other is not cls and name in attrs.fields_dict(other):
            return other.__name__
    return None
