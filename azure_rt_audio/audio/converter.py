"""
A stream of audio brought to the format that the other side takes: decoded, mixed, resampled, encoded.

Formats are those of the service: ``"pcm16"`` (int16, little-endian; 24 000 Hz unless another rate is
given), ``"g711_ulaw"`` and ``"g711_alaw"`` (one byte per sample; 8 000 Hz). Only another rate needs the
``audio`` extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .channels import check_channels, mix
from .g711 import DECODERS, ENCODERS
from .pcm import SAMPLE_RATE_HZ, AudioLike, bytes_per_ms, interleaved
from .resample import Resampler

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Converter"]

_G711_HZ: Final = 8_000


class Converter:
    """
    Bring a stream to another format, rate and to one channel, chunk by chunk.

    The chunks put together are what the whole stream would have become, wherever they were cut. What
    comes out lags what went in, at another rate by up to 80 ms, until :meth:`finish`. A microphone's
    48 000 Hz for a session in PCM16, and an answer in µ-law for a loudspeaker of 44 100 Hz::

        up = Converter(from_hz=48_000, channels=2)
        down = Converter(from_format="g711_ulaw", to_hz=44_100)

    Args:
        from_format: What goes in: ``"pcm16"``, ``"g711_ulaw"`` or ``"g711_alaw"``.
        from_hz: Its rate, from 1 000 to 768 000 Hz; left out, the format's own.
        channels: How many channels it has, interleaved; 1 to 8. They are averaged.
        to_format: What comes out.
        to_hz: Its rate; left out, the format's own.

    Raises:
        ValueError: A format, a rate or a number of channels that does not exist.
        MissingExtraError: The rates differ, and the ``audio`` extra is not installed.

    **Threads**: not shared; one thread at a time.
    """

    def __init__(
        self,
        *,
        from_format: str = "pcm16",
        from_hz: int | None = None,
        channels: int = 1,
        to_format: str = "pcm16",
        to_hz: int | None = None,
    ) -> None:
        for name in (from_format, to_format):
            bytes_per_ms(name)  # knows the formats
        check_channels(channels)
        self.channels: Final = channels
        self._decode = DECODERS.get(from_format)
        self._encode = ENCODERS.get(to_format)
        self._resampler = Resampler(
            from_hz if from_hz is not None else _own_hz(from_format),
            to_hz if to_hz is not None else _own_hz(to_format),
        )
        self._rest = b""  # of a frame that was cut; less than one

    def feed(self, audio: AudioLike) -> bytes:
        """
        Take the next chunk and return what is ready, possibly nothing.

        Args:
            audio: Bytes in ``from_format``, channels interleaved; a frame that is cut at the end of the
                chunk is kept for the next one. Or, where that is PCM16, an array of int16 or of floats
                in [-1, 1], with the shape (frames,) or (frames, channels).

        Returns:
            Audio in ``to_format``, mono, whole frames.

        Raises:
            ValueError, TypeError: It is not audio of this stream; as for :func:`~.pcm.to_pcm16`.
        """
        if self._decode is not None:
            pcm: bytes | memoryview = self._decode(_octets(audio))
        else:
            pcm, _ = interleaved(audio, self.channels)
        if self._rest or len(pcm) % (2 * self.channels):
            joined = self._rest + pcm
            whole = len(joined) - len(joined) % (2 * self.channels)
            pcm, self._rest = joined[:whole], joined[whole:]
        return self._coded(self._resampler.feed(mix(pcm, self.channels)))

    def finish(self) -> bytes:
        """
        End the stream and return its tail; after it the next stream may begin.

        A frame of which only a part has come is dropped.
        """
        self._rest = b""
        return self._coded(self._resampler.finish())

    def _coded(self, pcm: bytes) -> bytes:
        return pcm if self._encode is None else self._encode(pcm)


def _own_hz(audio_format: str) -> int:
    return SAMPLE_RATE_HZ if audio_format == "pcm16" else _G711_HZ


def _octets(audio: AudioLike) -> Buffer:
    if not isinstance(audio, bytes | bytearray | memoryview):
        raise TypeError(f"G.711 is bytes, one per sample, not {type(audio).__name__}")
    return audio
