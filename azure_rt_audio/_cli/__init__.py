"""The commands of ``azure-rt-audio``, one file each, and what they share."""

from __future__ import annotations

from pathlib import Path

__all__ = ["UsageError", "writable"]


class UsageError(Exception):
    """The command cannot run as it was given; says what to change."""


def writable(path: str, option: str) -> Path:
    """
    Return the path of a file to write.

    Args:
        option: Which option named it, for the error.

    Raises:
        UsageError: It is a directory, or in none.
    """
    out = Path(path)
    if out.is_dir():
        raise UsageError(f"{option}: {out} is a directory; name a file in it")
    if not out.parent.is_dir():
        raise UsageError(f"{option}: there is no directory {out.parent}; make it first")
    return out
