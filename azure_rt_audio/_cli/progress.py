"""Progress of a command with several files: bars with ``rich``, else a single line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from .._printable import one_line
from .streams import printable_streams, terminal

__all__ = ["Progress", "open_progress"]

_CLEAR_LINE: Final = "\r\x1b[K"


class Progress:
    """Shows nothing, which is right unless standard error is a terminal. **Threads**: not shared."""

    def begin(self, path: str, seconds: float) -> None:
        """Begin a file of that duration."""

    def advance(self, seconds: float) -> None:
        """Show the position in the file."""

    def end(self) -> None:
        """End the file."""


@contextmanager
def open_progress(files: int) -> Iterator[Progress]:
    """Yield a progress display, which is removed at the end of the block."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    try:
        from rich import progress as rich
        from rich.console import Console
    except ImportError:
        yield _Line(files)
        return
    with (
        rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.TaskProgressColumn(),
            rich.TimeRemainingColumn(),
            console=Console(file=terminal(sys.stderr)),
            transient=True,
            # Prints above the bars, but only if standard output is the terminal, too.
            redirect_stdout=sys.stdout.isatty(),
        ) as bars,
        printable_streams(),
    ):  # again: rich has put its own in their place
        yield _Bars(bars, files)


class _Line(Progress):
    def __init__(self, files: int) -> None:
        self._files = files
        self._done = 0
        self._name = ""
        self._seconds = 0.0

    def begin(self, path: str, seconds: float) -> None:
        self._name, self._seconds = one_line(Path(path).name), seconds
        self.advance(0.0)

    def advance(self, seconds: float) -> None:
        share = min(1.0, seconds / self._seconds)
        self._write(f"{_CLEAR_LINE}{self._done + 1}/{self._files} {self._name} {share:.0%}")

    def end(self) -> None:
        self._done += 1
        self._write(_CLEAR_LINE)

    @staticmethod
    def _write(text: str) -> None:
        screen = terminal(sys.stderr)
        screen.write(text)
        screen.flush()


class _Bars(Progress):
    def __init__(self, bars: Any, files: int) -> None:
        self._bars = bars
        self._file: Any = None
        self._all = bars.add_task("files", total=files) if files > 1 else None

    def begin(self, path: str, seconds: float) -> None:
        from rich.markup import escape

        self._file = self._bars.add_task(escape(one_line(Path(path).name)), total=seconds)

    def advance(self, seconds: float) -> None:
        self._bars.update(self._file, completed=seconds)

    def end(self) -> None:
        if self._file is not None:
            self._bars.remove_task(self._file)
            self._file = None
        if self._all is not None:
            self._bars.advance(self._all)
