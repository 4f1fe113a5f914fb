"""
Sample-rate conversion of PCM16, for recordings and streams.

Needs the ``audio`` extra (numpy, soxr), imported on first use, unless the rates are equal. The
filter is soxr's "HQ": flat to 0.91 of the lower Nyquist frequency, aliases below 16-bit noise.
"""

from __future__ import annotations

import contextlib
from typing import Any, Final

from azure_rt_audio._extras import importing
from azure_rt_audio.errors import RealtimeError

from .samples import AudioLike, interleaved, mono

__all__ = ["Resampler", "check_rate", "import_now", "resample"]

_LOWEST_HZ: Final = 1_000
_HIGHEST_HZ: Final = 768_000


def resample(pcm: AudioLike, from_hz: int, to_hz: int) -> bytes:
    """
    Convert a whole recording to another sample rate.

    Args:
        pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; or an array, as
            :func:`~azure_rt_audio.audio.to_pcm16` takes it: floats are converted, channels averaged.
        from_hz: The rate of *pcm*, from 1 000 to 768 000 Hz.
        to_hz: The rate wanted, in the same range.

    Returns:
        PCM16 of the same duration, to the nearest frame, without delay.

    Raises:
        ValueError: An odd number of bytes, or a rate out of range; and as for ``to_pcm16``.
        TypeError: As for ``to_pcm16``.
        MissingExtraError: The ``audio`` extra is not installed.
    """
    octets, channels = interleaved(pcm)
    if channels > 1:
        octets = mono(pcm)
    if len(octets) % 2:
        raise ValueError(
            f"pcm has {len(octets)} bytes, but PCM16 has 2 bytes per frame: "
            "the recording is cut in mid-frame, or not PCM16"
        )
    resampler = Resampler(from_hz, to_hz)
    return resampler.feed(octets) + resampler.finish()


def check_rate(name: str, rate_hz: int) -> None:
    """Raise an error that names the argument *name* if its value is not a supported rate."""
    try:
        is_rate = _LOWEST_HZ <= rate_hz <= _HIGHEST_HZ
    except TypeError as error:
        raise TypeError(f"{name} must be a number of Hz, not {type(rate_hz).__name__}") from error
    if not is_rate:
        raise ValueError(f"{name} is {rate_hz}: pass a rate from {_LOWEST_HZ} to {_HIGHEST_HZ} Hz")


def import_now() -> None:
    """
    Import what another rate needs, if it is installed.

    To be called before a thread starts that may convert: a fork while it imports would leave the modules
    locked in the child for ever.
    """
    with contextlib.suppress(RealtimeError):
        _import("Resampling")


def _import(what: str) -> tuple[Any, Any]:
    with importing("numpy", "audio", what):
        import numpy
    with importing("soxr", "audio", what):
        import soxr
    return numpy, soxr


class Resampler:
    """
    Converts the sample rate of a stream, chunk by chunk.

    The result is that of :func:`resample`, however the stream is split into chunks. The output lags the
    input by up to 80 ms at rates of speech, until :meth:`finish`.

    **Threads**: not shared; one thread at a time.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """
        Begin a stream from *from_hz* to *to_hz*, each from 1 000 to 768 000 Hz.

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

    def feed(self, pcm: AudioLike) -> bytes:
        """
        Convert the next chunk, and return the output so far, possibly nothing.

        Args:
            pcm: PCM16: int16, little-endian, mono, at ``from_hz``; or an array of int16 or floats, mono. An
                odd byte at the end is kept for the next chunk.

        Returns:
            PCM16 at ``to_hz``, whole frames.

        Raises:
            ValueError: More than one channel; a :class:`~azure_rt_audio.audio.Converter` mixes them.
            ValueError, TypeError: As for :func:`~azure_rt_audio.audio.to_pcm16`.
        """
        samples, channels = interleaved(pcm)
        if channels > 1:
            raise ValueError(
                f"the sound has {channels} channels, and a Resampler takes mono: use "
                f"Converter(from_hz={self.from_hz}, to_hz={self.to_hz}, channels={channels})"
            )
        octets = self._odd_byte + bytes(samples)
        whole = len(octets) & ~1
        self._odd_byte = octets[whole:]
        return self._advance(octets[:whole])

    def finish(self) -> bytes:
        """
        End the stream and return the rest of the output; a new stream may follow.

        An odd byte is dropped.
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
    A stream of soxr.

    In float32, because soxr dithers int16: silence would become noise.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        numpy, soxr = _import(f"Resampling from {from_hz} to {to_hz} Hz")
        self._numpy: Any = numpy
        self._soxr: Any = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")

    def advance(self, pcm: bytes, *, is_last: bool) -> bytes:
        samples = self._numpy.frombuffer(pcm, "<i2").astype("f4")
        rounded = self._numpy.rint(self._soxr.resample_chunk(samples, last=is_last))
        # The filter overshoots at loud edges, which would wrap around.
        result: bytes = rounded.clip(-32768, 32767).astype("<i2").tobytes()
        return result
