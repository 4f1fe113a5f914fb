"""
Changing the sample rate of PCM16, for a whole recording or chunk by chunk.

Needs the ``audio`` extra (numpy, soxr), imported on first use; equal rates need nothing. The
filter is soxr's "HQ": flat to 0.91 of the lower Nyquist frequency, aliases below 16-bit noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from azure_rt_audio._extras import importing

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Resampler", "check_rate", "resample"]

_LOWEST_HZ: Final = 1_000
_HIGHEST_HZ: Final = 768_000


def resample(pcm: Buffer, from_hz: int, to_hz: int) -> bytes:
    """
    Return a whole recording at another sample rate.

    Args:
        pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; shape (frames,).
        from_hz: The rate of *pcm*, from 1 000 to 768 000 Hz.
        to_hz: The rate wanted, in the same range.

    Returns:
        PCM16 that lasts as long as *pcm*, to the nearest frame, and is not delayed against it.

    Raises:
        ValueError: An odd number of bytes, or a rate out of range.
        MissingExtraError: The ``audio`` extra is not installed.
    """
    octets = bytes(pcm)
    if len(octets) % 2:
        raise ValueError(
            f"pcm has {len(octets)} bytes, but PCM16 has 2 bytes per frame: "
            "the recording is cut in mid-frame, or not PCM16"
        )
    resampler = Resampler(from_hz, to_hz)
    return resampler.feed(octets) + resampler.finish()


def check_rate(name: str, rate_hz: int) -> None:
    """Raise an error about the argument *name* if its value is not a rate."""
    try:
        is_rate = _LOWEST_HZ <= rate_hz <= _HIGHEST_HZ
    except TypeError as error:
        raise TypeError(f"{name} must be a number of Hz, not {type(rate_hz).__name__}") from error
    if not is_rate:
        raise ValueError(f"{name} is {rate_hz}: pass a rate from {_LOWEST_HZ} to {_HIGHEST_HZ} Hz")


class Resampler:
    """
    Condition the sample rate of a stream whose chunks arrive one by one.

    The chunks put together are what :func:`resample` makes of the whole, wherever they were cut.
    What comes out lags what went in, at the rates of speech by up to 80 ms, until :meth:`finish`.

    **Threads**: not shared; one thread at a time.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """
        Prepare to go from *from_hz* to *to_hz*, each from 1 000 to 768 000 Hz.

        Raises:
            ValueError: A rate out of range.
            MissingExtraError: The ``audio`` extra is not installed.
        """
        check_rate("from_hz", from_hz)
        check_rate("to_hz", to_hz)
        self.from_hz: Final = from_hz
        self.to_hz: Final = to_hz
        self._odd_byte = b""
        self._stream = None if from_hz == to_hz else _Stream(from_hz, to_hz)

    def feed(self, pcm: Buffer) -> bytes:
        """
        Take the next chunk and return what is ready, possibly nothing.

        Args:
            pcm: PCM16: int16, little-endian, mono, at ``from_hz``. It may end in mid-frame; the
                odd byte is kept for the next chunk.

        Returns:
            PCM16 at ``to_hz``, whole frames.
        """
        octets = self._odd_byte + bytes(pcm)
        whole = len(octets) & ~1
        self._odd_byte = octets[whole:]
        return self._advance(octets[:whole])

    def finish(self) -> bytes:
        """
        End the stream and return its tail; after it the next stream may begin.

        Half a frame that is left over is dropped.
        """
        self._odd_byte = b""
        if self._stream is None:
            return b""
        tail = self._stream.advance(b"", is_last=True)
        self._stream = _Stream(self.from_hz, self.to_hz)
        return tail

    def _advance(self, pcm: bytes) -> bytes:
        if self._stream is None or not pcm:
            return pcm
        return self._stream.advance(pcm, is_last=False)


class _Stream:
    """
    One pass through soxr.

    In float32, because with int16 soxr adds dither: silence would not stay silent.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        what = f"Resampling from {from_hz} to {to_hz} Hz"
        with importing("numpy", "audio", what):
            import numpy
        with importing("soxr", "audio", what):
            import soxr
        self._numpy: Any = numpy
        self._soxr: Any = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")

    def advance(self, pcm: bytes, *, is_last: bool) -> bytes:
        samples = self._numpy.frombuffer(pcm, "<i2").astype("f4")
        rounded = self._numpy.rint(self._soxr.resample_chunk(samples, last=is_last))
        # A loud square wave overshoots when filtered; unclipped it would wrap around.
        result: bytes = rounded.clip(-32768, 32767).astype("<i2").tobytes()
        return result
