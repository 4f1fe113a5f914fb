"""Sound for a page: Opus in Ogg, which browsers play, through soundfile."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Final

from ..._extras import importing
from ...audio.pcm import SAMPLE_RATE_HZ

__all__ = ["opus"]

_COMPRESSION: Final = 0.93
"""Of libsndfile's scale; some 24 kbit/s of speech for each channel, and little of silence."""


def opus(blocks: Iterable[bytes], advance: Callable[[float], object] | None = None) -> bytes:
    """
    Return stereo sound as Opus in Ogg. Blocking; an hour takes a minute.

    Args:
        blocks: PCM16: int16, little-endian, stereo, 24 000 Hz.
        advance: Called with the seconds that were encoded, to show progress.

    Raises:
        MissingExtraError: The ``audio`` extra is not installed.
        ValueError: The libsndfile of this machine has no Opus.
    """
    with importing("soundfile", "audio", "Sound in a page"):
        import numpy
        import soundfile
    content = io.BytesIO()
    settings = {"samplerate": SAMPLE_RATE_HZ, "channels": 2, "format": "OGG", "subtype": "OPUS"}
    try:
        try:
            file = soundfile.SoundFile(content, "w", compression_level=_COMPRESSION, **settings)
        except TypeError:  # soundfile before 0.13 has one compression
            file = soundfile.SoundFile(content, "w", **settings)
        with file:
            seconds = 0.0
            for block in blocks:
                samples = numpy.frombuffer(block, "<i2").astype("i2").reshape(-1, 2)
                file.write(samples)
                seconds += len(samples) / SAMPLE_RATE_HZ
                if advance is not None:
                    advance(seconds)
    except (soundfile.SoundFileError, ValueError) as error:
        raise ValueError(f"this machine's libsndfile cannot write Opus ({error})") from error
    return content.getvalue()
