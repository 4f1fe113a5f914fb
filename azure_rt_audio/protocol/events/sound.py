"""Base64 sound of a delta."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import pybase64

__all__ = ["SoundDelta"]

_URL_SAFE: Final = str.maketrans("-_", "+/")


class SoundDelta:
    """What all deltas of sound have in common. ``_report`` is called with one that is not base64."""

    delta: str

    # No functools.cached_property: before Python 3.12 it has a lock, one for all events, which the I/O thread
    # would wait for, and which a fork while another thread decodes would leave taken in the child.
    @property
    def audio(self) -> bytes:
        """
        The audio, decoded on first use, in the format of its response.

        That is the session's output format, unless the request asked for another one. ``"pcm16"`` is int16,
        little-endian, mono, 24 000 Hz: 48 bytes per millisecond. Empty if ``delta`` is not base64, which is
        reported as an ``error`` event.
        """
        decoded: bytes | None = self.__dict__.get("_audio")
        if decoded is None:
            decoded = self.__dict__["_audio"] = self._decode()
        return decoded

    def _decode(self) -> bytes:
        try:
            return pybase64.b64decode(self.delta, validate=True)
        except ValueError:
            sound = _decode_leniently(self.delta)
        if sound is None:
            report: Callable[[Any], None] | None = self.__dict__.get("_report")
            if report is not None:
                report(self)
        return sound or b""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_report"}


def _decode_leniently(text: str) -> bytes | None:
    """Decode base64 that is url-safe, not padded or has white space in it; ``None`` if it is none."""
    plain = re.sub(r"\s+", "", text).translate(_URL_SAFE).rstrip("=")
    try:
        return pybase64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return None
