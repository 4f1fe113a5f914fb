"""The bytes that were read from a socket and not yet taken."""

from __future__ import annotations

from typing import Final

__all__ = ["ReceiveBuffer"]

_SMALL: Final = 16 * 1024
_LARGE: Final = 2048 * 1024
"""It begins small, for a thousand idle connections; under a flood one read may grow to this."""
_CALM: Final = 64
"""Reads of less than an eighth of it, after which it is small again."""


class ReceiveBuffer:
    """
    One piece of memory into which the socket reads and out of which frames are taken.

    Frames lie in ``data[begin:end]``. Taking moves ``begin``; views of what was taken are valid
    until the next :meth:`make_room`.

    **Threads.** One thread only.
    """

    __slots__ = ("_calm", "_was_filled", "begin", "data", "end", "view")

    def __init__(self) -> None:
        self.data = bytearray(_SMALL)
        self.view = memoryview(self.data)
        self.begin = 0
        self.end = 0
        self._was_filled = False  # the last read took all the room there was
        self._calm = 0  # small reads in a row

    def __len__(self) -> int:
        return self.end - self.begin

    def take(self, size: int) -> bytes:
        """Return exactly *size* of the bytes that are there."""
        begin = self.begin
        self.begin = begin + size
        return bytes(self.view[begin : begin + size])

    def room(self) -> memoryview:
        """Return where the next bytes go."""
        return self.view[self.end :]

    def grow(self, count: int) -> None:
        """Note that *count* bytes were read into :meth:`room`."""
        self.end += count
        size = len(self.data)
        self._was_filled = self.end == size
        self._calm = 0 if 8 * count > size else self._calm + 1

    def make_room(self) -> None:
        """Let at least half of it be free, and its size follow what arrives."""
        size, kept = len(self.data), len(self)
        wanted = size
        if kept > size // 2:
            wanted = 2 * size  # a message that is larger than the buffer
        elif self._was_filled and size < _LARGE:
            wanted = 2 * size
        elif self._calm > _CALM and not kept:
            wanted = _SMALL
        if wanted != size or self.end > size // 2 or not kept:
            rest = self.data[self.begin : self.end]
            if wanted != size:
                self.data = bytearray(wanted)
                self.view = memoryview(self.data)
            self.view[:kept] = rest
            self.begin, self.end = 0, kept
