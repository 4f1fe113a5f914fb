"""
Bytes on their way from PortAudio's thread to a reader's, in memory that is there beforehand.

**Threads and locks.** No lock: one thread writes and one reads. Each of the two counters is stored by
one side only, as the last thing it does; storing an attribute is one step in CPython, with or without
the GIL. So the reader sees a count only after the bytes it counts, and the writer reuses memory only
after the reader has copied it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Ring"]


class Ring:
    """
    The last so many bytes that nobody has read yet.

    **Threads.** One writes, one reads.
    """

    def __init__(self, capacity: int) -> None:
        self._memory = memoryview(bytearray(capacity))
        self._capacity = capacity
        self._written = 0  # in all; stored by the writer only
        self._read = 0  # in all; stored by the reader only

    @property
    def written(self) -> int:
        """How many bytes were ever written."""
        return self._written

    @property
    def consumed(self) -> int:
        """How many bytes were ever read."""
        return self._read

    def __len__(self) -> int:
        """How many bytes wait to be read."""
        return self._written - self._read

    def write(self, data: Buffer) -> bool:
        """Add *data* if all of it fits, and return whether it did."""
        view = memoryview(data)
        size = view.nbytes
        written = self._written
        if size > self._capacity - (written - self._read):
            return False
        start = written % self._capacity
        first = min(size, self._capacity - start)
        self._memory[start : start + first] = view[:first]
        self._memory[: size - first] = view[first:]
        self._written = written + size
        return True

    def read(self, size: int) -> bytes:
        """Take *size* bytes, or none if there are fewer."""
        if size > len(self):
            return b""
        taken = self._copy(self._read, size)
        self._read += size
        return taken

    def latest(self, size: int) -> bytes:
        """Look at the last *size* bytes that were written, read or not."""
        written = self._written
        size = min(size, written, self._capacity)
        return self._copy(written - size, size)

    def _copy(self, position: int, size: int) -> bytes:
        start = position % self._capacity
        first = min(size, self._capacity - start)
        return bytes(self._memory[start : start + first]) + bytes(self._memory[: size - first])
