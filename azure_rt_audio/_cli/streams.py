"""
Standard output and standard error while a command runs: what is printed there is made fit for a terminal.

Nothing that a command prints, now or later, argparse and tracebacks included, has to think of it. What draws
(colours, progress bars) writes to :func:`terminal`, after making the texts of others printable itself.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast

from .._printable import printable

__all__ = ["printable_streams", "terminal"]


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
def printable_streams() -> Iterator[None]:
    """Replace the standard streams until the end of the block."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_shown(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
