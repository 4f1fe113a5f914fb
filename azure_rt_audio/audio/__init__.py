"""
PCM16 and G.711 conversion, resampling and audio files; pure, without threads and sockets.

numpy, soxr and soundfile are the ``audio`` extra, imported by the first function that needs them.
"""

from __future__ import annotations

from .channels import Channel
from .converter import Converter
from .files import AudioReader, read_audio, write_audio
from .g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from .pcm import (
    SAMPLE_RATE_HZ,
    AudioLike,
    bytes_per_ms,
    check_base64,
    decode_base64,
    duration_ms,
    to_array,
    to_pcm16,
)
from .resample import Resampler, resample
from .warning import SoundWarning
from .wav import WavWriter, read_wav, write_wav

__all__ = [
    "SAMPLE_RATE_HZ",
    "AudioLike",
    "AudioReader",
    "Channel",
    "Converter",
    "Resampler",
    "SoundWarning",
    "WavWriter",
    "alaw_decode",
    "alaw_encode",
    "bytes_per_ms",
    "check_base64",
    "decode_base64",
    "duration_ms",
    "read_audio",
    "read_wav",
    "resample",
    "to_array",
    "to_pcm16",
    "ulaw_decode",
    "ulaw_encode",
    "write_audio",
    "write_wav",
]
