"""The file that keeps a conversation across starts of a command."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from ..protocol.history import history_from
from . import UsageError

__all__ = ["HistoryFile"]


class HistoryFile:
    """
    A conversation in a file, which is replaced as a whole: a crash leaves the old one or the new one.

    It can be read by its owner only, unless an existing file says otherwise.

    Args:
        name: The path that the user gave.
        option: The option that it was given with, for errors.

    Attributes:
        path: It, without links.
        count: Items that were read.
    """

    def __init__(self, name: str, option: str = "--history") -> None:
        self.path = Path(name).expanduser().resolve()  # a link is followed, and stays
        self._what = f"{option} {name}"
        self.count = 0

    def read(self) -> str | None:
        """
        Return what is kept; ``None``, if there is no file yet.

        Raises:
            UsageError: If it cannot be read, is not a history, or of another version, or could not be
                replaced. The file is left as it is.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            self._check_folder()
            return None
        except OSError as exc:
            raise UsageError(f"{self._what}: cannot be read: {exc.strerror or exc}") from exc
        self._check_folder()
        try:
            text = data.decode()
            self.count = len(history_from(text).entries)
        except (ValueError, TypeError) as exc:
            raise UsageError(f"{self._what}: {exc}. The file is left as it is; name another one") from exc
        return text

    def _check_folder(self) -> None:
        """Refuse a place where nothing can be written, before there is anything to lose."""
        folder = self.path.parent
        if not folder.is_dir():
            raise UsageError(f"{self._what}: there is no directory {folder}; create it first")
        if not os.access(folder, os.W_OK):
            raise UsageError(f"{self._what}: nothing can be written to {folder}")

    def write(self, text: str) -> None:
        """
        Replace what is kept.

        Raises:
            OSError: If it cannot be written; the old file is still there.
        """
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(OSError):  # there is none yet
                os.chmod(name, self.path.stat().st_mode & 0o777)
            os.replace(name, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
