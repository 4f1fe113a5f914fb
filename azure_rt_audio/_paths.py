"""Refuses paths that no file can have, by name: the system's own words name neither."""

from __future__ import annotations

import os
from typing import TypeVar

from ._printable import one_line

__all__ = ["checked_path"]

P = TypeVar("P", bound="str | os.PathLike[str]")


def checked_path(path: P, name: str = "path") -> P:
    """
    Return a path.

    Args:
        name: Of the argument, for the error.

    Raises:
        ValueError: It holds a NUL, or half a character.
        TypeError: It is no path.
    """
    try:
        is_possible = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        shown = one_line(str(path))
        raise ValueError(
            f"{name} is {shown!r:.200}, which no file is named: it holds a NUL or half a character"
        )
    return path
