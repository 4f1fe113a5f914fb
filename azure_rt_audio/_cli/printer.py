"""Paper for a transcript: who says what, piece by piece, on standard output."""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import Final

__all__ = ["Screen", "printable"]

_COLOURS: Final = {"you": "36", "model": "32", "tool": "33", "status": "2", "missing": "31", "error": "31"}
_DIM: Final = "2"
_BOLD: Final = "1"
_LABEL_WIDTH: Final = 9
_WIDEST: Final = 100
_PIECES: Final = re.compile(r"\n|[^\S\n]+|\S+")


class Screen:
    """
    Writes lines with a label in front, and lines that grow.

    Colours only on a terminal, and not where ``NO_COLOR`` is set.

    **Threads**: not shared; one thread at a time.
    """

    def __init__(self) -> None:
        self._has_colours = _wants_colours()
        self._width = min(shutil.get_terminal_size().columns, _WIDEST)
        self._open: str | None = None  # whose line is growing
        self._column = 0
        self._space = ""  # to be written if a word follows on the same line

    def heading(self, text: str) -> None:
        """Begin a chapter."""
        self.end_line()
        self._write(f"\n{self._painted(text, _BOLD)}\n")

    def line(self, label: str, text: str) -> None:
        """Write a whole line."""
        self.end_line()
        self.grow(label, text)
        self.end_line()

    def note(self, text: str) -> None:
        """Write a whole line that nobody says."""
        self.line("", text)

    def grow(self, label: str, piece: str) -> None:
        """Add to the line with this label, or begin one. Breaks at words, never in them."""
        if self._open != label:
            self.end_line()
            self._begin(label)
        for part in _PIECES.findall(printable(piece)):
            if part == "\n":
                self._break_line()
            elif part.isspace():
                self._space = part
            else:
                if self._column + len(self._space) + len(part) > self._width > _LABEL_WIDTH + len(part):
                    self._break_line()
                self._put(label, self._space + part)
                self._space = ""

    def _put(self, label: str, text: str) -> None:
        self._write(self._painted(text, _DIM) if label in ("", "status") else text)
        self._column += len(text)

    def _break_line(self) -> None:
        self._write("\n" + " " * _LABEL_WIDTH)
        self._column = _LABEL_WIDTH
        self._space = ""

    def is_growing(self, label: str) -> bool:
        """Whether a line with this label can be added to."""
        return self._open == label

    def end_line(self) -> None:
        """End the line that is growing, if one is."""
        if self._open is not None:
            self._write("\n")
            self._open = None

    def prompt(self, label: str) -> str:
        """Return a label to write in front of what somebody types."""
        self.end_line()
        return label.ljust(_LABEL_WIDTH)

    def _begin(self, label: str) -> None:
        self._write(self._painted(label.ljust(_LABEL_WIDTH), _COLOURS.get(label, _DIM)))
        self._open = label
        self._column = _LABEL_WIDTH
        self._space = ""

    def _painted(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._has_colours and text.strip() else text

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _wants_colours() -> bool:
    # The old Windows console shows escape codes as they are.
    knows_codes = os.name != "nt" or "WT_SESSION" in os.environ
    return (
        sys.stdout.isatty()
        and knows_codes
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def printable(text: str) -> str:
    """Return it without what could drive the terminal, which a model must not be able to."""
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
