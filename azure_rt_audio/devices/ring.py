"""
A lock-free ring buffer, from PortAudio's thread to a reader; memory is allocated once.

**Threads and locks.** No lock: one producer, one consumer. Each counter is stored by one side only, as its
last step; storing an attribute is atomic in CPython, with or without the GIL. So the consumer sees a count
only after the bytes it covers, and the producer reuses memory only after it was copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Ring"]


class Ring:
    """
    A byte ring buffer for one producer and one consumer.

    **Threads.** One thread writes, one reads.
    """

    def __init__(self, capacity: int) -> None:
        self._memory = memoryview(bytearray(capacity))
        self._capacity = capacity
        self._written = 0  # in total; stored by the producer only
        self._read = 0  # in total; stored by the consumer only

    @property
    def written(self) -> int:
        """Total number of bytes written."""
        return self._written

    @property
    def consumed(self) -> int:
        """Total number of bytes read."""
        return self._read

    def __len__(self) -> int:
        """Number of unread bytes."""
        return self._written - self._read

    def write(self, data: Buffer) -> bool:
        """Append *data* if all of it fits, and return whether it did."""
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
        """Remove and return *size* bytes, or none if fewer are unread."""
        if size > len(self):
            return b""
        taken = self._copy(self._read, size)
        self._read += size
        return taken

    def latest(self, size: int) -> bytes:
        """Return the last *size* bytes written, read or not, without removing them."""
        written = self._written
        size = min(size, written, self._capacity)
        return self._copy(written - size, size)

    def _copy(self, position: int, size: int) -> bytes:
        start = position % self._capacity
        first = min(size, self._capacity - start)
        return bytes(self._memory[start : start + first]) + bytes(self._memory[: size - first])
