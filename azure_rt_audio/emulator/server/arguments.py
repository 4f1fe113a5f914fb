"""Checks of an emulator's arguments, which name the argument and the remedy."""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

__all__ = [
    "check_bytes",
    "check_callable",
    "check_clock",
    "check_count",
    "check_finite",
    "check_flag",
    "check_header",
    "check_json",
    "check_key",
    "check_latency",
    "check_mcp_tools",
    "check_names",
    "check_number",
    "check_seconds",
    "check_text",
    "check_tls",
    "check_tokens",
    "check_whole",
]


def check_callable(name: str, value: Any, arguments: tuple[str, ...]) -> None:
    """
    Check that *value* is ``None`` or can be called with so many arguments.

    Raises:
        TypeError: It cannot.
    """
    if value is None:
        return
    listing = f"({', '.join(arguments)})"
    if not callable(value):
        raise TypeError(f"{name} is {value!r}: give a function of {listing}")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # some that are not written in Python have none
        return
    try:
        signature.bind(*arguments)
    except TypeError as exc:
        raise TypeError(f"{name} is called with {listing}, but takes {signature}") from exc


def check_names(name: str, value: Iterable[str]) -> tuple[str, ...]:
    """
    Check names and return them.

    Raises:
        TypeError: They are a single string, or not all strings.
        ValueError: There is none.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is {value!r}: give a list of names")
    names = tuple(value)
    for one in names:
        if not isinstance(one, str):
            raise TypeError(f"{name}: {one!r} is no string")
    if not names:
        raise ValueError(f"{name} is empty: name at least one")
    return names


def check_tokens(value: Any) -> dict[str, float]:
    """
    Check tokens and return them with the Unix seconds at which they expire.

    Raises:
        TypeError: They are no list of strings, and no mapping of them to numbers.
        ValueError: Such a number is negative, or NaN.
    """
    if not value:
        return {}
    if isinstance(value, (str, bytes)):  # which a message must not show
        raise TypeError("tokens is a single string: give a list of tokens")
    names = check_names("tokens", value)
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, math.inf)
    for end in value.values():  # not the token, which is a secret
        check_number("tokens: the end of one", end)
    return dict(value)


def check_latency(value: Any) -> tuple[float, float]:
    """
    Check milliseconds of delay and jitter, and return them in seconds.

    Raises:
        TypeError: They are no pair of numbers.
        ValueError: One is negative, or NaN.
    """
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"latency_ms is {value!r}: give delay and jitter, such as (60, 30)")
    for name, one in zip(("delay", "jitter"), value, strict=True):
        check_number(f"latency_ms: {name}", one)
    return value[0] / 1000, value[1] / 1000


def check_mcp_tools(value: Any) -> None:
    """
    Check functions by server and name.

    Raises:
        TypeError: They are none.
    """
    servers = value.items() if isinstance(value, Mapping) else None
    if servers is None or not all(
        isinstance(tools, Mapping) and all(map(callable, tools.values())) for _, tools in servers
    ):
        if servers is not None and all(callable(tools) for _, tools in servers):
            raise TypeError(
                f"mcp_tools is {value!r}: the label of the server is missing, "
                'such as {"port": {"tide": tide}}'
            )
        raise TypeError(f'mcp_tools is {value!r}: give functions, such as {{"port": {{"look_up": look_up}}}}')


def check_whole(name: str, value: Any, low: int, high: int) -> None:
    """
    Check that a number is whole, and from *low* to *high*.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is another one.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}: give a whole number")
    if not low <= value <= high:
        raise ValueError(f"{name} is {value!r}: give one from {low} to {high}")


def check_count(name: str, value: Any) -> None:
    """
    Check that a number is whole, and above zero.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is too low.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}: give a whole number")
    if value < 1:
        raise ValueError(f"{name} is {value!r}: give a number above 0")


def check_number(name: str, value: Any, *, above: bool = False) -> None:
    """
    Check that a number is not negative, or *above* zero.

    Raises:
        TypeError: It is no number.
        ValueError: It is too low, or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is {value!r}: give a number")
    if not (value > 0 if above else value >= 0):
        raise ValueError(f"{name} is {value!r}: give {'a number above 0' if above else '0 or more'}")


def check_seconds(name: str, value: Any, *, above: bool = False) -> None:
    """
    Check that so many seconds can be waited: :func:`check_number`, and not for ever.

    Raises:
        TypeError: It is no number.
        ValueError: It is too low, too high, or NaN.
    """
    check_number(name, value, above=above)
    if value > threading.TIMEOUT_MAX:
        raise ValueError(f"{name} is {value!r}: give {threading.TIMEOUT_MAX:.0f} seconds at most")


def check_finite(name: str, value: Any) -> None:
    """
    Check that a number is one, of either sign.

    Raises:
        TypeError: It is no number.
        ValueError: It is infinite, or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is {value!r}: give a number")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}: give a finite number")


def check_flag(name: str, value: Any) -> None:
    """
    Check a truth value: ``"no"`` would be a true one.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}: give True or False")


def check_text(name: str, value: Any) -> None:
    """
    Check a text.

    Raises:
        TypeError: It is no string.
        ValueError: It has half a character, which cannot be sent.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}: give a string")
    if not _is_whole(value):
        raise ValueError(f"{name} is {value!r}: it has half a character")


def check_key(name: str, value: Any) -> None:
    """
    Check a text as :func:`check_text` does, without showing it.

    Raises:
        TypeError: It is no string.
        ValueError: It has half a character.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} is of type {type(value).__name__}: give a string")
    if not _is_whole(value):
        raise ValueError(f"{name} has half a character")


def _is_whole(text: str) -> bool:
    """Whether it can be encoded: half a character of UTF-16 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_header(name: str, value: Any) -> None:
    """
    Check the text of an HTTP header.

    Raises:
        TypeError: It is no string.
        ValueError: It cannot be sent, or would be more than one header.
    """
    check_text(name, value)
    if any(one in value for one in "\r\n\0"):
        raise ValueError(f"{name} is {value!r}: a header is one line")


def check_bytes(name: str, value: Any, *, or_text: bool = False) -> None:
    """
    Check bytes, or a text if that may be one too.

    Raises:
        TypeError: They are none.
        ValueError: The text has half a character.
    """
    if or_text and isinstance(value, str):
        check_text(name, value)
    elif not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"{name} is {value!r}: give {'a string or ' if or_text else ''}bytes")


def check_json(name: str, value: Any) -> None:
    """
    Check a JSON object.

    Raises:
        TypeError: It is no mapping, or has what JSON cannot have.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is {value!r}: give a mapping, such as a dict")
    try:
        orjson.dumps(dict(value))
    except orjson.JSONEncodeError as exc:
        raise TypeError(f"{name} cannot be written as JSON: {exc}") from exc


def check_clock(value: Any) -> None:
    """
    Check that *value* can be asked for the time.

    Raises:
        TypeError: It cannot.
    """
    if not all(callable(getattr(value, name, None)) for name in ("monotonic", "time", "limit")):
        raise TypeError(f"clock is {value!r}: give SystemClock(), ManualClock() or one with their methods")


def check_tls(value: Any) -> None:
    """
    Check that *value* is a context of TLS.

    Raises:
        TypeError: It is none.
    """
    import ssl  # late: most emulators have no TLS

    if not isinstance(value, ssl.SSLContext):
        raise TypeError(f"ssl_context is {value!r}: give an ssl.SSLContext of the server's side")
