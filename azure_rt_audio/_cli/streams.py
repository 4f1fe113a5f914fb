"""
The standard streams while a command runs.

What is printed is made fit for a terminal: nothing that a command prints, now or later, argparse and
tracebacks included, has to think of it. What draws (colours, progress bars) writes to :func:`terminal`, after
making the texts of others printable itself.

A standard output that cannot be written (a full disk, a closed one) is an :class:`OutputError`, which ends a
command; what cannot be told on standard error is left untold. A reader who has left is a ``BrokenPipeError``.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO, cast

from .._printable import printable

__all__ = ["OutputError", "printable_streams", "standard_streams", "terminal"]


class OutputError(Exception):
    """Standard output cannot be written; the message says why."""


class _WritableStream:
    """
    A standard stream that fails in the same way each time, once it could not be written; else that stream.

    Args:
        stream: ``None`` if the program was started without it.
        is_needed: Otherwise it does not matter that it cannot be written.
    """

    def __init__(self, stream: TextIO | None, *, is_needed: bool) -> None:
        self._stream: TextIO = io.StringIO() if stream is None else stream
        self._is_needed = is_needed
        self._failure: Exception | None = None
        if stream is None:
            self._failure = OutputError("standard output is closed")

    def write(self, text: str) -> int:
        self._do(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._do(self._stream.flush)

    def _do(self, act: Callable[..., object], *arguments: str) -> None:
        if self._failure is None:
            try:
                act(*arguments)
            except BrokenPipeError as exc:
                self._failure = exc
                self._discard()
            except OSError as exc:
                self._failure = OutputError(f"standard output cannot be written: {exc.strerror or exc}")
                self._discard()
        if self._failure is not None and self._is_needed:
            raise self._failure.with_traceback(None)  # each time: threads that print may have met it first

    def _discard(self) -> None:
        """Python would complain once more at its end, when it writes what is left."""
        with contextlib.suppress(OSError):  # it has no descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _PrintableStream:
    """A text stream that writes printable text to another one, and is that one in all else."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def terminal(stream: TextIO) -> TextIO:
    """Return the stream to which escape sequences can be written."""
    return stream.stream if isinstance(stream, _PrintableStream) else stream


def _shown(stream: TextIO) -> TextIO:
    return cast(TextIO, _PrintableStream(terminal(stream)))


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Replace the standard streams until the end of the block."""
    before = sys.stdin, sys.stdout, sys.stderr
    # Not every terminal can show what a model may say. Bytes that are no text are refused by who reads them.
    for stream, errors in zip(before, ("surrogateescape", "replace", "replace"), strict=True):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
    sys.stdin = before[0] or io.StringIO()
    sys.stdout = cast(TextIO, _WritableStream(before[1], is_needed=True))
    sys.stderr = cast(TextIO, _WritableStream(before[2], is_needed=False))
    try:
        with printable_streams():
            yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


@contextlib.contextmanager
def printable_streams() -> Iterator[None]:
    """Make what is written to the standard streams printable until the end of the block."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_shown(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
