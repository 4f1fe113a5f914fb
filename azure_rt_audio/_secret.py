"""
Keeps keys, tokens and passwords out of sight: in values, and in the frames of tracebacks.

Error reporters, debuggers and ``pytest --showlocals`` print the locals of every frame of a traceback,
and walk through objects by their attributes.
"""

from __future__ import annotations

import contextlib
import functools
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Generic, NoReturn, ParamSpec, TypeVar
from urllib.parse import urlsplit

__all__ = [
    "Secret",
    "credentials_of",
    "forget_locals",
    "forgets_locals",
    "made_without_traces",
    "origin_of",
    "without",
]

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

_PACKAGE: Final = str(Path(__file__).parent)
_GENERATED: Final = re.compile(rf"<attrs generated \w+ {__package__}\.")  # methods, or init in older versions
_LIBRARIES: Final = ("websocket", "python_socks")
"""Packages whose functions are given headers and passwords."""

_CREDENTIAL: Final = re.compile("key|auth|token|secret|cookie|sig", re.IGNORECASE)
"""Headers that hold one, by their names."""


class Secret(Generic[T]):
    """
    A key, token or password, which nothing shows but :meth:`reveal`.

    It equals its value, and another secret with the same one. It cannot be pickled.
    """

    __slots__ = ("_reveal",)

    def __init__(self, value: T) -> None:
        self._reveal: Callable[[], T] = lambda: value  # a closure: what lists attributes finds none

    def reveal(self) -> T:
        """Return the value."""
        return self._reveal()

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        mine = self._reveal()
        theirs = other._reveal() if isinstance(other, Secret) else other
        if isinstance(mine, str) and isinstance(theirs, str):
            one, other = (text.encode("utf-8", "surrogatepass") for text in (mine, theirs))
            return hmac.compare_digest(one, other)  # takes as long wherever they differ
        return bool(mine == theirs)

    def __hash__(self) -> int:
        return hash(self._reveal())

    def __copy__(self) -> Secret[T]:
        return self

    def __deepcopy__(self, memo: object) -> Secret[T]:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "keys, tokens and passwords are not pickled: make the options where they are used, for example "
            "with AzureRealTimeOptions.from_env()"
        )


def credentials_of(headers: Mapping[str, str], shortest: int = 4) -> list[str]:
    """Return what nothing that a service says may repeat: credentials, with and without their scheme."""
    return [
        word
        for name, value in headers.items()
        if _CREDENTIAL.search(name)
        for word in (value, value.rpartition(" ")[2])
        if len(word) >= shortest
    ]


def without(text: str, credentials: Iterable[str]) -> str:
    """Return what a service said without the credentials that it repeats."""
    for credential in credentials:
        if credential:
            text = text.replace(credential, "[redacted]")
    return text


def origin_of(url: str) -> str:
    """Return what may be shown of a URL: user and password, path and query may hold a credential."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "..."
    if not host or "@" in url.partition(parts.netloc)[2]:  # a password may look like a path
        return "..."
    origin = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{'' if port is None else f':{port}'}"
    return origin if url.lower() in (origin, f"{origin}/") else f"{origin}/..."


def forget_locals(error: BaseException) -> None:
    """
    Clear the local variables of the frames of an exception, its causes and contexts.

    Frames of the program stay as they are, and so do lines and names of functions. A frame that still runs is
    left.
    """
    for frame in _frames(error, set()):
        if _is_ours(frame):
            with contextlib.suppress(RuntimeError):  # it runs, or is a generator that is suspended
                frame.clear()


def forgets_locals(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that is given secrets: an exception that leaves it holds none in its frames."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except BaseException as exc:
            del args, kwargs
            forget_locals(exc)
            raise

    return call


def made_without_traces(cls: C) -> C:
    """Decorate a class whose constructor is given secrets; see :func:`forgets_locals`."""
    cls.__init__ = forgets_locals(cls.__init__)  # type: ignore[misc]
    return cls


def _frames(error: BaseException | None, seen: set[int]) -> Iterator[FrameType]:
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            yield trace.tb_frame
            trace = trace.tb_next
        yield from _frames(error.__cause__, seen)
        error = error.__context__


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    if name.startswith(_PACKAGE) or _GENERATED.match(name):
        return True
    module: Any = frame.f_globals.get("__name__")
    return isinstance(module, str) and module.partition(".")[0] in _LIBRARIES
