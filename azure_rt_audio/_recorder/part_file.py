"""One file of a recording: made once, only appended to."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

__all__ = ["PartFile", "numbered"]

_HAS_WRITEV: Final = hasattr(os, "writev")
_MAX_PIECES: Final = 1023
"""A call of the system takes so many at least, and a line is of three."""


class PartFile:
    """
    A file that is open for writing.

    It is made for its owner only, because it holds a conversation. What was written is in the hands of the
    system: it survives the end of the process in whatever way.

    Args:
        path: A file that does not exist, or a pipe or device that does.

    Raises:
        FileExistsError: There is a file already.
        IsADirectoryError: It is a folder.
        OSError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        try:
            self._fd = os.open(path, flags | os.O_EXCL, 0o600)
        except FileExistsError:
            if path.is_dir():
                raise IsADirectoryError(
                    errno.EISDIR, "it is a folder; give the name of a file", str(path)
                ) from None
            if stat.S_ISREG(path.stat().st_mode):
                raise FileExistsError(
                    errno.EEXIST,
                    "the file exists already, and a recording replaces none; give another name",
                    str(path),
                ) from None
            self._fd = os.open(path, os.O_RDWR)  # so that a pipe opens without its reader
        self.path = path
        self.bytes = 0
        self._has_name = os.fstat(self._fd).st_nlink > 0  # not every file system counts names

    def write(self, pieces: list[bytes]) -> None:
        """
        Append pieces, one after the other.

        Blocks; raises :class:`OSError`, and then a part of it may have been written. If the file was deleted
        it is a :class:`FileNotFoundError`: what is written into it, nobody will find.
        """
        if self._has_name and not os.fstat(self._fd).st_nlink:
            raise FileNotFoundError(errno.ENOENT, "the file was deleted", str(self.path))
        try:
            self._write(pieces)
        except OSError as exc:
            exc.filename = str(self.path)  # the system only knows a number
            raise

    def _write(self, pieces: list[bytes]) -> None:
        for begin in range(0, len(pieces), _MAX_PIECES):
            some = pieces[begin : begin + _MAX_PIECES]
            size = sum(map(len, some))
            written = os.writev(self._fd, some) if _HAS_WRITEV else 0
            self.bytes += written
            if written < size:
                view = memoryview(b"".join(some))[written:]
                while view:
                    written = os.write(self._fd, view)
                    self.bytes += written
                    view = view[written:]

    def close(self) -> None:
        """Close it. May raise :class:`OSError`."""
        os.close(self._fd)


def numbered(path: Path, part: int) -> Path:
    """Return the path of a part: ``session.rta``, ``session-2.rta``, ``session-3.rta``, …"""
    return path if part == 1 else path.with_name(f"{path.stem}-{part}{path.suffix}")
