"""
Interleaved channels, and their mix to mono.

**Threads**: all functions are thread-safe; none keeps state.
"""

from __future__ import annotations

import array
import sys
from typing import Any, Final

__all__ = ["MAX_CHANNELS", "check_channels", "mix"]

MAX_CHANNELS: Final = 8
"""7.1; more is taken for a mistake, such as a transposed array."""


def check_channels(channels: int) -> None:
    """Raise a ``ValueError`` if the number of channels is unsupported."""
    if not (isinstance(channels, int) and 1 <= channels <= MAX_CHANNELS):
        raise ValueError(f"channels is {channels!r}: pass 1 for mono, 2 for stereo, {MAX_CHANNELS} at most")


def mix(pcm: bytes | memoryview, channels: int) -> bytes | memoryview:
    """
    Mix interleaved channels to mono by averaging.

    Args:
        pcm: PCM16: int16, little-endian; 2 bytes times *channels* per frame, whole frames.

    Returns:
        PCM16, mono: the mean of each frame, rounded down. With one channel, *pcm* itself.
    """
    if channels == 1:
        return pcm
    numpy: Any = sys.modules.get("numpy")  # much faster, but not worth importing for this
    if numpy is not None and getattr(numpy, "frombuffer", None) is not None:
        samples = numpy.frombuffer(pcm, "<i2").reshape(-1, channels)
        total = samples[:, 0].astype("i4")
        for channel in range(1, channels):
            total += samples[:, channel]
        total //= channels
        mixed: bytes = total.astype("<i2").tobytes()
        return mixed
    values = array.array("h", bytes(pcm))
    if sys.byteorder == "big":
        values.byteswap()
    frames = zip(*(values[channel::channels] for channel in range(channels)), strict=True)
    mono = array.array("h", [sum(frame) // channels for frame in frames])
    if sys.byteorder == "big":
        mono.byteswap()
    return mono.tobytes()
