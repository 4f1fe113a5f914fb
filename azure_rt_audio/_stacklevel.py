"""Whose line a warning is about."""

from __future__ import annotations

import sys

__all__ = ["stacklevel"]


def stacklevel() -> int:
    """Return the ``stacklevel`` with which whoever calls this warns about the user's own line."""
    ours = __name__.partition(".")[0]
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == ours:
        level, frame = level + 1, frame.f_back
    return level
