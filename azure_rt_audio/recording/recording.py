"""A recording as it was read from its file: whatever is readable, and what is not."""

from __future__ import annotations

import os
from collections.abc import Iterable

import attrs
from attrs import frozen

from ..errors import RecordingError
from .format import End, Entry, Header
from .lines import LineError, read_entry, read_header

__all__ = ["Problem", "Recording"]


@frozen
class Problem:
    """
    A line that could not be read.

    Attributes:
        line: Its number, from 1.
        message: What is wrong with it.
    """

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


@frozen
class Recording:
    """
    A conversation that was recorded.

    ::

        recording = Recording.load("session.rta")
        for entry in recording.entries:
            if isinstance(entry, Received):
                print(entry.t, entry.type)

    Attributes:
        header: Of the file, the configuration among it.
        entries: What happened, in the order of time.
        problems: The lines that could not be read; the others have been.
    """

    header: Header
    entries: tuple[Entry, ...] = ()
    problems: tuple[Problem, ...] = ()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """
        Read a file.

        What cannot be read, such as a line that was being written when the program was killed, is in
        ``problems``.

        Raises:
            RecordingError: It is no recording, or one of another version of the format.
            OSError: It cannot be opened.
        """
        with open(path, "rb") as file:
            try:
                return cls.read(file)
            except RecordingError as exc:
                raise RecordingError(f"{os.fspath(path)}: {exc.message}") from None

    @classmethod
    def read(cls, lines: Iterable[bytes]) -> Recording:
        """
        Read the lines of a file, which end with ``b"\\n"``.

        Raises:
            RecordingError: It is no recording, or one of another version of the format.
        """
        header: Header | None = None
        entries: list[Entry] = []
        problems: list[Problem] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                if header is None and (header := read_header(line)) is not None:
                    continue
            except LineError as exc:
                raise RecordingError(f"line {number}: {exc}") from None
            try:
                entries.append(read_entry(line, number))
            except LineError as exc:
                is_cut = not line.endswith(b"\n")
                problems.append(
                    Problem(number, "it is cut: the program was stopped while it was written")
                    if is_cut
                    else Problem(number, str(exc))
                )
        if header is None:
            if not entries:
                raise RecordingError(
                    "this is no recording: its first line is not a header; give a file that was made "
                    "with record="
                )
            problems.insert(0, Problem(1, "the header is missing"))
            header = Header(t=entries[0].t, started=entries[0].at - entries[0].t)
        entries.sort(key=lambda entry: entry.t)  # stable: equal times stay in the order of their lines
        return cls(header, tuple(entries), tuple(problems))

    @property
    def is_complete(self) -> bool:
        """Whether the file was closed; if not, the program was stopped, or goes on."""
        return any(isinstance(entry, End) for entry in self.entries[-8:])

    @property
    def seconds(self) -> float:
        """From the beginning of this file to its last entry."""
        return max(0.0, self.entries[-1].t - self.header.t) if self.entries else 0.0

    def without(self, *kinds: type[Entry]) -> Recording:
        """Return it without the entries of the classes *kinds*."""
        return attrs.evolve(self, entries=tuple(e for e in self.entries if not isinstance(e, kinds)))
