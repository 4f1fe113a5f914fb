"""
The sound that was sent last, as far as another connection may need it.

Pure: no clock, no lock, no thread.
"""

from __future__ import annotations

import collections

__all__ = ["SoundRing"]


class SoundRing:
    """
    The newest bytes of a stream of sound. Each has an index, counted from the stream's first byte.

    Attributes:
        start: Index of the oldest byte that is kept.
        end: Index after the newest.
        step: How far the indices of two bytes are apart, by which sound of few bytes lasts as long as any.
    """

    def __init__(self) -> None:
        self._chunks: collections.deque[tuple[int, bytes]] = collections.deque()
        self.start = 0
        self.end = 0
        self.step = 1

    def restart(self, step: int) -> None:
        """Forget all; what comes from now on has another step."""
        self.forget_before(self.end)
        self.step = step

    def append(self, sound: bytes) -> None:
        """Add sound."""
        self._chunks.append((self.end, sound))
        self.end += len(sound) * self.step

    def retract(self, sound: bytes) -> None:
        """Take the newest chunk back, if it is this one: it was not sent after all."""
        if self._chunks and self._chunks[-1][1] is sound:
            self.end = self._chunks.pop()[0]
            self.start = min(self.start, self.end)

    def limit(self, size: int) -> None:
        """Drop the oldest chunks until no more than *size* is left, by the indices, or one chunk."""
        chunks, last = self._chunks, self.end - size
        while len(chunks) > 1 and chunks[1][0] <= last:
            chunks.popleft()
            self.start = max(self.start, chunks[0][0])

    def forget_before(self, index: int) -> None:
        """Let go of the sound before an index: nobody needs it any more."""
        while self._chunks and self._chunks[0][0] + len(self._chunks[0][1]) * self.step <= index:
            self._chunks.popleft()
        self.start = max(self.start, min(index, self.end))

    def read(self, start: int, stop: int) -> list[bytes]:
        """Return the sound between two indices, as far as it is kept, in pieces."""
        pieces = []
        for begin, sound in self._chunks:
            first = (max(start, self.start, begin) - begin) // self.step
            last = min((stop - begin) // self.step, len(sound))
            if first < last:
                pieces.append(sound if last - first == len(sound) else sound[first:last])
        return pieces
