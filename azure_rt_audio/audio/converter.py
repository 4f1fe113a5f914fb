"""
Converts an audio stream to another format, rate and to mono.

Formats are those of the service: ``"pcm16"`` (int16, little-endian; 24 000 Hz by default),
``"g711_ulaw"`` and ``"g711_alaw"`` (one byte per sample; 8 000 Hz by default). Only another rate needs the
``audio`` extra.
"""

from __future__ import annotations

from typing import Final

from .channels import Channel, Mixer, check_channels
from .g711 import DECODERS, ENCODERS
from .pcm import SAMPLE_RATE_HZ, bytes_per_ms
from .resample import Resampler
from .samples import AudioLike, interleaved, octets

__all__ = ["Converter"]

_G711_HZ: Final = 8_000


class Converter:
    """
    Decodes, mixes, resamples and encodes a stream, chunk by chunk.

    The result does not depend on how the stream is split into chunks. With another rate, the output lags the
    input by up to 80 ms, until :meth:`finish`. From a microphone at 48 000 Hz to a PCM16 session, and from an
    answer in µ-law to a speaker at 44 100 Hz::

        up = Converter(from_hz=48_000, channels=2)
        down = Converter(from_format="g711_ulaw", to_hz=44_100)

    Args:
        from_format: Input format: ``"pcm16"``, ``"g711_ulaw"`` or ``"g711_alaw"``.
        from_hz: Input rate, from 1 000 to 768 000 Hz; by default the format's.
        channels: Number of interleaved input channels, 1 to 8.
        channel: ``"mix"`` averages them, with a :class:`~azure_rt_audio.audio.SoundWarning` if they cancel
            each other out; ``"left"`` and ``"right"`` take the first and the second.
        to_format: Output format.
        to_hz: Output rate; by default the format's.

    Raises:
        ValueError: An unknown format or channel, an unsupported rate or number of channels.
        MissingExtraError: The rates differ, and the ``audio`` extra is not installed.

    **Threads**: not shared; one thread at a time.
    """

    def __init__(
        self,
        *,
        from_format: str = "pcm16",
        from_hz: int | None = None,
        channels: int = 1,
        channel: Channel = "mix",
        to_format: str = "pcm16",
        to_hz: int | None = None,
    ) -> None:
        for name in (from_format, to_format):
            bytes_per_ms(name)  # raises for an unknown format
        check_channels(channels)
        self.channels: Final = channels
        self._mixer = Mixer(channels, channel)
        self._decode = DECODERS.get(from_format)
        self._encode = ENCODERS.get(to_format)
        self._resampler = Resampler(
            from_hz if from_hz is not None else _default_hz(from_format),
            to_hz if to_hz is not None else _default_hz(to_format),
        )
        self._rest = b""  # an incomplete frame

    def feed(self, audio: AudioLike) -> bytes:
        """
        Convert the next chunk, and return the output so far, possibly nothing.

        Args:
            audio: Bytes in ``from_format``, channels interleaved; an incomplete frame at the end is kept for
                the next chunk. For PCM16 also an array of int16, or of floats in [-1, 1], with the shape
                (frames,) or (frames, channels).

        Returns:
            Audio in ``to_format``, mono, whole frames.

        Raises:
            ValueError, TypeError: *audio* does not fit; as for :func:`~.pcm.to_pcm16`.
        """
        if self._decode is not None:
            pcm: bytes | memoryview = self._decode(octets(audio, "G.711"))
        else:
            pcm, _ = interleaved(audio, self.channels)
        if self._rest or len(pcm) % (2 * self.channels):
            joined = self._rest + pcm
            whole = len(joined) - len(joined) % (2 * self.channels)
            pcm, self._rest = joined[:whole], joined[whole:]
        return self._encoded(self._resampler.feed(self._mixer.feed(pcm)))

    def finish(self) -> bytes:
        """
        End the stream and return the rest of the output; a new stream may follow.

        An incomplete frame is dropped.
        """
        self._rest = b""
        self._mixer.finish()
        return self._encoded(self._resampler.finish())

    def _encoded(self, pcm: bytes) -> bytes:
        return pcm if self._encode is None else self._encode(pcm)


def _default_hz(audio_format: str) -> int:
    return SAMPLE_RATE_HZ if audio_format == "pcm16" else _G711_HZ
