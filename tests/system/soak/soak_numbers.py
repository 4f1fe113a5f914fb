"""
Sound that counts itself: every piece has a number and a checksum, so that none can be lost unnoticed.

Both sides of the soak use it, and nothing else of each other.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from typing import Final

import attrs

__all__ = ["Checker", "are_whole", "numbered", "words"]

_HEAD: Final = struct.Struct(">QI")
_NOISE: Final = random.Random(1).randbytes(1 << 18)
_STEP: Final = 7918
"""How far one piece begins after the one before; even, as PCM16 is."""


def numbered(number: int, size: int) -> bytes:
    """Return *size* bytes, an even number from 12 up, which look like noise and are told apart."""
    start = number * _STEP % (len(_NOISE) // 2)
    wanted = size - _HEAD.size
    body = _NOISE[start : start + wanted]
    if len(body) < wanted:
        body += _NOISE * (wanted // len(_NOISE) + 1)
        body = body[:wanted]
    return _HEAD.pack(number, zlib.crc32(body, number)) + body


def words(number: int, size: int) -> str:
    """Return a text of *size* characters that says its own checksum at the front, in eight digits."""
    start = number % (len(_NOISE) // 4)
    body = _NOISE[start : start + (size - 8) // 2 + 1].hex()
    body += body * (size // len(body))
    body = body[: size - 8]
    return f"{zlib.crc32(body.encode()):08x}{body}"


def are_whole(text: str) -> bool:
    """Tell whether it is what :func:`words` made."""
    return f"{zlib.crc32(text[8:].encode()):08x}" == text[:8]


@attrs.define
class Checker:
    """
    Looks at numbered pieces as they arrive.

    Args:
        on_lost: Told how many are missing, as soon as a later one is there.
        on_corrupted: Called for a piece that is damaged, or comes twice.
        expected: Number of the next one.

    **Threads.** One thread at a time.
    """

    on_lost: Callable[[int], None]
    on_corrupted: Callable[[], None]
    expected: int = 0

    def take(self, data: bytes) -> None:
        """Judge the next piece."""
        number, checksum = _HEAD.unpack_from(data) if len(data) >= _HEAD.size else (-1, 0)
        if number < self.expected or zlib.crc32(memoryview(data)[_HEAD.size :], number) != checksum:
            self.on_corrupted()
            number = self.expected  # whichever it was meant to be
        if number > self.expected:
            self.on_lost(number - self.expected)
        self.expected = number + 1

    def finish(self, total: int) -> None:
        """Take note of how many there have been in all."""
        if total > self.expected:
            self.on_lost(total - self.expected)
        elif total < self.expected:
            self.on_corrupted()
        self.expected = total
