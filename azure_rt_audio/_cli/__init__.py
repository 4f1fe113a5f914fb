"""The commands of ``azure-rt-audio``, one module or package each, and their shared parts."""

from __future__ import annotations

from pathlib import Path

__all__ = ["UsageError", "writable"]


class UsageError(Exception):
    """Invalid options or arguments; the message names the remedy."""


def writable(path: str, option: str) -> Path:
    """
    Check the path of an output file, and return it.

    Args:
        option: The option's name, for the error.

    Raises:
        UsageError: It is a directory, or its directory does not exist.
    """
    out = Path(path)
    if out.is_dir():
        raise UsageError(f"{option}: {out} is a directory; pass the path of a file")
    if not out.parent.is_dir():
        raise UsageError(f"{option}: there is no directory {out.parent}; create it first")
    return out
