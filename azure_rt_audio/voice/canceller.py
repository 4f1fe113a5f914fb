"""
Acoustic echo cancellation: WebRTC's AEC3, from the ``livekit`` package.

Needs the ``echo`` extra, imported on first use.
"""

from __future__ import annotations

from typing import Any, Final

from .._extras import importing

__all__ = ["Canceller"]

_FRAMES: Final = 240  # 10 ms at 24 000 Hz, the block size of AEC3
_FRAME_BYTES: Final = 2 * _FRAMES
_RATE_HZ: Final = 24_000


class Canceller:
    """
    Removes the speaker's output from the microphone's input, also during double talk.

    It estimates the delay of the echo itself, up to half a second, if the reference is not late.

    Args:
        delay_ms: Initial estimate of the echo's delay, both devices' latencies included.

    Raises:
        MissingExtraError: The ``echo`` extra is not installed.
    """

    def __init__(self, delay_ms: int = 100) -> None:
        with importing("livekit.rtc", "echo", 'echo="cancel"'):
            import livekit.rtc as rtc
        self._frame: Any = rtc.AudioFrame
        self._module: Any = rtc.AudioProcessingModule(echo_cancellation=True, high_pass_filter=True)
        self._delay_ms = delay_ms
        self._microphone = b""
        self._reference = b""

    def process(self, microphone: bytes, reference: bytes, is_playing: bool) -> bytes:
        """Return the input without echo, in whole blocks of 10 ms; the remainder is kept."""
        self._microphone += microphone
        self._reference += reference
        whole = min(len(self._microphone), len(self._reference)) // _FRAME_BYTES * _FRAME_BYTES
        cleaned = b"".join(self._clean(start) for start in range(0, whole, _FRAME_BYTES))
        self._microphone, self._reference = self._microphone[whole:], self._reference[whole:]
        return cleaned

    def _clean(self, start: int) -> bytes:
        end = start + _FRAME_BYTES
        played = self._frame(bytearray(self._reference[start:end]), _RATE_HZ, 1, _FRAMES)
        self._module.process_reverse_stream(played)
        self._module.set_stream_delay_ms(self._delay_ms)
        heard = self._frame(bytearray(self._microphone[start:end]), _RATE_HZ, 1, _FRAMES)
        self._module.process_stream(heard)
        return bytes(heard.data)
