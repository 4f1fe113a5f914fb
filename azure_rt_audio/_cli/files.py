"""The files that a command reads and writes, checked before anything is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from . import UsageError

__all__ = ["check_distinct", "readable", "writable"]


def readable(path: str, option: str) -> str:
    """
    Check the path of an input file, and return it.

    Args:
        option: The option's name, for the error.

    Raises:
        UsageError: It is ``-``, which elsewhere stands for standard input.
    """
    if path == "-":
        raise UsageError(f"{option}: standard input is not read; pass the path of a file (./- if that is it)")
    return path


def writable(path: str, option: str, suffixes: Sequence[str] = ()) -> Path:
    """
    Check the path of an output file, and return it.

    Args:
        option: The option's name, for the error.
        suffixes: How it may end, as that says what it holds; a device or a pipe has any name.

    Raises:
        UsageError: It is a directory, its directory does not exist, or it ends otherwise.
    """
    out = Path(path)
    if out.is_dir():
        raise UsageError(f"{option}: {out} is a directory; pass the path of a file")
    if not out.parent.is_dir():
        raise UsageError(f"{option}: there is no directory {out.parent}; create it first")
    if suffixes and out.suffix.lower() not in suffixes and (out.is_file() or not out.exists()):
        *others, last = suffixes
        names = f"{', '.join(others)} or {last}" if others else last
        raise UsageError(f"{option}: {out} must end in {names}")
    return out


def check_distinct(
    outputs: Sequence[tuple[str, str | None]], inputs: Sequence[tuple[str, str | None]] = ()
) -> None:
    """
    Refuse an output that would replace an input or another output, by whatever name.

    Args:
        outputs: Options and their paths; ``None`` where the option was not given.
        inputs: The same of what is read.

    Raises:
        UsageError: Names both options.
    """
    others = [(option, path) for option, path in inputs if path is not None]
    for option, path in outputs:
        if path is None:
            continue
        for other, there in others:
            if _is_same(path, there):
                raise UsageError(f"{option}: {path} is the file of {other}, too; pass another path")
        others.append((option, path))


def _is_same(path: str, other: str) -> bool:
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            return False  # a device or a pipe, which nothing replaces
        return os.path.samefile(path, other)
    except OSError:  # one of them does not exist
        return os.path.normcase(os.path.realpath(path)) == os.path.normcase(os.path.realpath(other))
