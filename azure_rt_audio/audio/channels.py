"""
Interleaved channels: their mix to mono, or one of them.

**Threads**: a :class:`Mixer` is not shared; functions are thread-safe.
"""

from __future__ import annotations

import array
import sys
from typing import Any, Final, Literal, TypeAlias

from ._audioop import audioop, swapped
from .warning import tell

__all__ = ["MAX_CHANNELS", "Channel", "Mixer", "check_channel", "check_channels"]

Channel: TypeAlias = Literal["mix", "left", "right"]
"""What becomes of several channels: their mean, the first, or the second."""

MAX_CHANNELS: Final = 8
"""7.1; more is taken for a mistake, such as a transposed array."""

_PLACES: Final = {"left": 0, "right": 1}

_WINDOW_FRAMES: Final = 4_800
"""After which it is decided whether channels cancel each other out; half a second of a telephone call."""

_AUDIBLE: Final = 33
"""RMS: -60 dBFS."""

_CANCELLED: Final = 0.01
"""Share of the energy that is left, -20 dB; the mean of eight channels that are not alike has -9 dB."""


def check_channels(channels: int) -> None:
    """Raise a ``ValueError`` if the number of channels is unsupported."""
    if not (isinstance(channels, int) and 1 <= channels <= MAX_CHANNELS):
        raise ValueError(f"channels is {channels!r}: pass 1 for mono, 2 for stereo, {MAX_CHANNELS} at most")


def check_channel(channel: str) -> None:
    """Raise a ``ValueError`` if there is no such choice."""
    if not isinstance(channel, str) or channel not in ("mix", *_PLACES):
        raise ValueError(f'channel is {channel!r}: pass "left", "right" or "mix"')


class Mixer:
    """
    Makes mono of a stream of interleaved channels.

    Tells once, by a :class:`~.warning.SoundWarning`, if the channels cancel each other out.

    Args:
        channels: Number of channels.
        channel: What becomes of them.

    Raises:
        ValueError: An unknown *channel*, or one of mono.
    """

    def __init__(self, channels: int, channel: Channel = "mix") -> None:
        check_channel(channel)
        if channels == 1 and channel != "mix":
            raise ValueError(
                f"channel is {channel!r}, but the sound is mono: leave channel out, or pass channels=2 with "
                "bytes"
            )
        self._channels = channels
        self._place = _PLACES.get(channel)
        self._frames = 0
        self._before = self._after = 0.0  # energies of what was mixed
        self._has_told = False

    def feed(self, pcm: bytes | memoryview) -> bytes | memoryview:
        """
        Return the next piece as PCM16, mono. With one channel it is *pcm* itself.

        Args:
            pcm: PCM16: int16, little-endian; 2 bytes times the channels per frame, whole frames.
        """
        if self._channels == 1:
            return pcm
        if self._place is not None:
            return _one(pcm, self._channels, self._place)
        mixed = _mean(pcm, self._channels)
        if not self._has_told:
            self._frames += len(mixed) // 2
            self._before += audioop.rms(swapped(pcm), 2) ** 2 * len(mixed)
            self._after += audioop.rms(swapped(mixed), 2) ** 2 * len(mixed)
            if self._frames >= _WINDOW_FRAMES:
                self.finish()
        return mixed

    def finish(self) -> None:
        """Tell, if it is so; another stream may follow."""
        is_audible = self._before > _AUDIBLE**2 * 2 * self._frames
        if is_audible and self._after < _CANCELLED * self._before:
            self._has_told = True
            tell(
                "the channels cancel each other out in the mix, as if one were inverted, and little or "
                'nothing is left of them: pass channel="left" or "right"'
            )
        self._frames, self._before, self._after = 0, 0.0, 0.0


def _one(pcm: bytes | memoryview, channels: int, place: int) -> bytes:
    values = array.array("h", bytes(pcm))[place::channels]  # bytes are moved, not read
    return values.tobytes()


def _mean(pcm: bytes | memoryview, channels: int) -> bytes:
    """Return the mean of each frame, rounded down."""
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
    result = array.array("h", [sum(frame) // channels for frame in frames])
    if sys.byteorder == "big":
        result.byteswap()
    return result.tobytes()
