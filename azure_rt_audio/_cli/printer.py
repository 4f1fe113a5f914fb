"""Prints labelled lines, also incrementally, on standard output."""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
from typing import Final

from .._printable import one_line, printable
from .streams import terminal

__all__ = ["Printer"]

_COLOURS: Final = {"you": "36", "model": "32", "tool": "33", "status": "2", "missing": "31", "error": "31"}
_DIM: Final = "2"
_BOLD: Final = "1"
_LABEL_WIDTH: Final = 9
_MAX_WIDTH: Final = 100
_TOKENS: Final = re.compile(r"\n|[^\S\n]+|\S+")


class Printer:
    """
    Prints labelled lines, wrapped at words, at once or piece by piece.

    Coloured only on a terminal, unless ``NO_COLOR`` is set.

    **Threads**: any; a line, and a piece of one, is printed as a whole.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._has_colours = _wants_colours()
        self._width = min(shutil.get_terminal_size().columns, _MAX_WIDTH)
        self._label: str | None = None  # of the unfinished line
        self._column = 0
        self._space = ""  # printed only before another word on the same line

    def heading(self, text: str) -> None:
        """Print a heading."""
        with self._lock:
            self.end_line()
            self._write(f"\n{self._coloured(one_line(text), _BOLD)}\n")

    def line(self, label: str, text: str) -> None:
        """Print a line."""
        with self._lock:
            self.end_line()
            self.grow(label, text)
            self.end_line()

    def note(self, text: str) -> None:
        """Print a line without a label."""
        self.line("", text)

    def grow(self, label: str, piece: str, *, is_whole: bool = False) -> None:
        """
        Append to the unfinished line with this label, or begin one. Wraps between words.

        Args:
            is_whole: Do not wrap inside *piece*, such as JSON, unless it is longer than a line.
        """
        text = printable(piece)
        with self._lock:
            if self._label != label:
                self.end_line()
                self._begin(label)
            self._grow(label, text, is_whole=is_whole)

    def _grow(self, label: str, text: str, *, is_whole: bool) -> None:
        fits = "\n" not in text and len(text) <= self._width - _LABEL_WIDTH
        for part in [text] if is_whole and fits else _TOKENS.findall(text):
            if part == "\n":
                self._break_line()
            elif part.isspace():
                self._space = part
            else:
                # Without a space in front it goes on with a word, such as the full stop behind it.
                may_break = self._space or not part.isascii()
                end = self._column + len(self._space) + len(part)
                if may_break and end > self._width > _LABEL_WIDTH + len(part):
                    self._break_line()
                self._print(label, self._space + part)
                self._space = ""

    def _print(self, label: str, text: str) -> None:
        self._write(self._coloured(text, _DIM) if label in ("", "status") else text)
        self._column += len(text)

    def _break_line(self) -> None:
        self._write("\n" + " " * _LABEL_WIDTH)
        self._column = _LABEL_WIDTH
        self._space = ""

    def is_growing(self, label: str) -> bool:
        """Whether the unfinished line has this label."""
        return self._label == label

    def end_line(self) -> None:
        """End the unfinished line, if there is one."""
        with self._lock:
            if self._label is not None:
                self._write("\n")
                self._label = None

    def prompt(self, label: str) -> str:
        """Return a label as a prompt for ``input``."""
        self.end_line()
        return label.ljust(_LABEL_WIDTH)

    def _begin(self, label: str) -> None:
        self._write(self._coloured(label.ljust(_LABEL_WIDTH), _COLOURS.get(label, _DIM)))
        self._label = label
        self._column = _LABEL_WIDTH
        self._space = ""

    def _coloured(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._has_colours and text.strip() else text

    @staticmethod
    def _write(text: str) -> None:
        screen = terminal(sys.stdout)  # the only escape sequences are the colours
        screen.write(text)
        screen.flush()


def _wants_colours() -> bool:
    # The legacy Windows console does not interpret escape codes.
    supports_escapes = os.name != "nt" or "WT_SESSION" in os.environ
    return (
        sys.stdout.isatty()
        and supports_escapes
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )
