"""
What one service does that it should not: each is logged once, and characters cut in two are joined.

A program that cuts texts by UTF-16 units, as JavaScript does, sends half of an emoji at the end of one delta
(``"\\ud83d"``) and half at the beginning of the next (``"\\ude00"``). Neither is valid JSON text.
Nor are ``NaN`` and ``Infinity``, which Python's own ``json`` writes; they are read as ``null``.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

from ..._log import get_logger
from .tolerant import Problem

__all__ = ["Quirks", "loads_repaired", "problems_of"]

log: logging.Logger = get_logger(__name__)

_HIGH: Final = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW: Final = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE: Final = re.compile(rb"(?P<pair>" + _HIGH + _LOW + rb")|(?P<half>" + _HIGH + rb"|" + _LOW + rb")|\\.")
_NO_NUMBER: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|(?P<word>-?(?:NaN|Infinity)\b)')
_MARK: Final = "\ufdd0 is not a number"  # no character of any text
_REPLACEMENT: Final = "\ufffd"

_MAX_HALVES: Final = 16
_MAX_TOLD: Final = 1000
_LONGEST: Final = 200  # characters of a name or path that are compared and shown
_PART: Final = ("type", "response_id", "item_id", "output_index", "content_index")


class Quirks:
    """
    What is known of one service's deviations.

    **Threads.** Not shared: the I/O thread.
    """

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()
        self._halves: dict[tuple[Any, ...], str] = {}

    def note(self, name: str, problems: Iterable[Problem]) -> None:
        """Log what was wrong in an event, once for each kind of event and path."""
        for problem in problems:
            kind = (name[:_LONGEST], re.sub(r"\[\d+\]", "[]", problem.path)[:_LONGEST])
            if kind not in self._told and len(self._told) < _MAX_TOLD:
                self._told.add(kind)
                log.warning(
                    "! %s at %s: %s; read as far as it fits, and not mentioned again",
                    _shown(name),
                    _shown(problem.path),
                    problem.why,
                )

    def join(self, message: dict[str, Any], data: bytes) -> None:
        """Put the second half of a character to its first, which the delta before ended with."""
        if not isinstance(message.get("delta"), str):
            return
        try:
            delta = json.loads(data)["delta"]
        except RecursionError:  # orjson bears deeper nesting
            return
        part = tuple(str(message.get(name)) for name in _PART)
        before = self._halves.pop(part, "")
        if delta and "\ud800" <= delta[-1] <= "\udbff":
            if len(self._halves) >= _MAX_HALVES:
                del self._halves[next(iter(self._halves))]
            self._halves[part], delta = delta[-1], delta[:-1]
        if delta and "\udc00" <= delta[0] <= "\udfff":
            delta = before + delta
        message["delta"] = delta.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def loads_repaired(data: bytes) -> Any:
    """
    Decode JSON that has halves of characters, or ``NaN``; U+FFFD and a mark stand in their place.

    Raises:
        orjson.JSONDecodeError: If it has neither, or is not JSON for another reason.
    """
    repaired = _ESCAPE.sub(_without_half, data) if _SURROGATE.search(data) is not None else data
    if b"NaN" in repaired or b"Infinity" in repaired:
        repaired = _NO_NUMBER.sub(_marked, repaired)
    if repaired is data:
        raise orjson.JSONDecodeError("nothing to repair", "", 0)
    return orjson.loads(repaired)


def _shown(text: str) -> str:
    """Return the beginning of a text of the service's, without what would control a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text[:_LONGEST])


def _without_half(found: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if found["half"] else found[0]


def _marked(found: re.Match[bytes]) -> bytes:
    return f'"{_MARK}"'.encode() if found["word"] else found[0]


def problems_of(message: Any, data: bytes) -> list[Problem]:
    """Return where a message that was repaired is not as it should be; a mark in it becomes ``None``."""
    has_halves = _SURROGATE.search(data) is not None
    problems = []
    places: list[tuple[str, Any, Any, Any]] = [("$", message, {}, "")]
    while places:  # not by recursion: JSON may be nested deeper than Python's stack
        path, value, holder, key = places.pop()
        if value == _MARK:
            holder[key] = None
            problems.append(Problem(path, "not a number"))
        elif isinstance(value, str):
            if has_halves and _REPLACEMENT in value:
                problems.append(Problem(path, "half a character without the other half"))
        elif isinstance(value, dict):
            places += [(f"{path}.{name}", inner, value, name) for name, inner in value.items()]
        elif isinstance(value, list):
            places += [(f"{path}[{index}]", inner, value, index) for index, inner in enumerate(value)]
    return problems
