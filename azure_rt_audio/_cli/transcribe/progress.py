"""How far a command is with its files: bars if ``rich`` is installed, a line that changes otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

__all__ = ["Progress", "open_progress"]

_CLEAR_LINE: Final = "\r\x1b[K"


class Progress(Protocol):
    """Shows it on standard error, on a terminal only. **Threads**: not shared."""

    def begin(self, path: str, seconds: float) -> None:
        """Another file, and how long it lasts."""

    def advance(self, seconds: float) -> None:
        """So much of the file is done."""

    def end(self) -> None:
        """The file is done, one way or the other."""


@contextmanager
def open_progress(files: int) -> Iterator[Progress]:
    """Yield something to tell the progress to; whatever it draws is gone at the end."""
    if not sys.stderr.isatty():
        yield _Nothing()
        return
    try:
        from rich import progress as rich
        from rich.console import Console
    except ImportError:
        yield _Line(files)
        return
    with rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # What is printed meanwhile goes above the bars; but never out of a pipe and onto the terminal.
        redirect_stdout=sys.stdout.isatty(),
    ) as bars:
        yield _Bars(bars, files)


class _Nothing:
    def begin(self, path: str, seconds: float) -> None: ...

    def advance(self, seconds: float) -> None: ...

    def end(self) -> None: ...


class _Line:
    def __init__(self, files: int) -> None:
        self._files = files
        self._done = 0
        self._name = ""
        self._seconds = 0.0

    def begin(self, path: str, seconds: float) -> None:
        self._name, self._seconds = Path(path).name, seconds
        self.advance(0.0)

    def advance(self, seconds: float) -> None:
        share = min(1.0, seconds / self._seconds)
        sys.stderr.write(f"{_CLEAR_LINE}{self._done + 1}/{self._files} {self._name} {share:.0%}")
        sys.stderr.flush()

    def end(self) -> None:
        self._done += 1
        sys.stderr.write(_CLEAR_LINE)
        sys.stderr.flush()


class _Bars:
    def __init__(self, bars: Any, files: int) -> None:
        self._bars = bars
        self._file: Any = None
        self._all = bars.add_task("files", total=files) if files > 1 else None

    def begin(self, path: str, seconds: float) -> None:
        from rich.markup import escape

        self._file = self._bars.add_task(escape(Path(path).name), total=seconds)

    def advance(self, seconds: float) -> None:
        self._bars.update(self._file, completed=seconds)

    def end(self) -> None:
        if self._file is not None:
            self._bars.remove_task(self._file)
            self._file = None
        if self._all is not None:
            self._bars.advance(self._all)
