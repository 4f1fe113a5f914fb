"""
PCM16, the default audio format of the service: conversion, base64 and durations.

PCM16 is int16, little-endian, mono; 2 bytes per frame; shape (frames,); at 24 000 Hz.

**Threads**: all functions are thread-safe; none keeps state.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import pybase64

from .._extras import importing
from .channels import Channel
from .containers import check_is_no_file
from .resample import check_rate, resample
from .samples import FILE_REMEDY, AudioLike, check_whole, interleaved, mono

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "FILE_REMEDY",
    "SAMPLE_RATE_HZ",
    "AudioLike",
    "bytes_per_ms",
    "check_base64",
    "check_whole",
    "decode_base64",
    "duration_ms",
    "interleaved",
    "names_sound_file",
    "to_array",
    "to_pcm16",
]

SAMPLE_RATE_HZ: Final = 24_000
"""Of PCM16, the default format of a session in either direction."""


_BYTES_PER_MS: Final = {"pcm16": 48, "g711_ulaw": 8, "g711_alaw": 8}


def to_pcm16(
    audio: AudioLike,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    channels: int | None = None,
    channel: Channel = "mix",
) -> bytes | memoryview:
    """
    Convert a whole recording to PCM16: int16, little-endian, mono, 24 000 Hz; 2 bytes per frame.

    Mono bytes and contiguous int16 at 24 000 Hz are not copied: the result shares memory with *audio*. For a
    stream, use a :class:`~azure_rt_audio.audio.Converter`.

    Args:
        audio: Raw PCM16 as bytes, bytearray or memoryview; or an array of int16, or of float32 or
            float64 in [-1, 1], with the shape (frames,) or (frames, channels); any object with the
            buffer protocol, such as ``numpy.ndarray`` and ``array.array``. Floats outside [-1, 1] are
            clipped, with a :class:`~azure_rt_audio.audio.SoundWarning` if it is heard; 1.0 becomes 32767.
        sample_rate_hz: The rate of *audio*, from 1 000 to 768 000 Hz.
        channels: Number of interleaved channels, 1 to 8. By default that of the shape, and 1 for bytes.
        channel: ``"mix"`` averages the channels, with a :class:`~azure_rt_audio.audio.SoundWarning` if they
            cancel each other out; ``"left"`` and ``"right"`` take the first and the second.

    Raises:
        ValueError: An odd number of bytes, a foreign byte order, a NaN, channels that contradict the
            shape, the channel of a mono recording, a rate out of range; the content of a sound file.
        TypeError: Not a buffer, or one with other elements.
        MissingExtraError: The rate is not 24 000 Hz, and the ``audio`` extra is not installed.
    """
    check_is_no_file(audio)
    pcm = mono(audio, channels, channel)
    if sample_rate_hz == SAMPLE_RATE_HZ:
        return pcm
    check_rate("sample_rate_hz", sample_rate_hz)
    return resample(pcm, sample_rate_hz, SAMPLE_RATE_HZ)


def to_array(pcm: AudioLike, dtype: Literal["float32", "int16"] = "float32") -> NDArray[Any]:
    """
    Return PCM16 as a numpy array: the inverse of :func:`to_pcm16`.

    Args:
        pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; or what :func:`to_pcm16` takes.
        dtype: ``"float32"``, in [-1, 1); or ``"int16"``.

    Returns:
        Shape (frames,), in the machine's byte order, writable.

    Raises:
        ValueError: An odd number of bytes, or another *dtype*.
        MissingExtraError: The ``audio`` extra is not installed.
    """
    with importing("numpy", "audio", "An array of samples"):
        import numpy
    if dtype not in ("float32", "int16"):
        raise ValueError(f'dtype is {dtype!r}: pass "float32" or "int16"')
    samples = numpy.frombuffer(bytes(mono(pcm)), "<i2")
    return samples.astype(numpy.int16) if dtype == "int16" else samples.astype(numpy.float32) / 32768


def check_base64(text: str) -> str:
    """
    Return *text* if it is standard, padded base64 on a single line, possibly empty.

    Takes about 0.1 ns per character; the decoded bytes are not checked.

    Raises:
        ValueError: *text* is not base64; names the fault and the remedy.
        TypeError: *text* is not a str.
    """
    decode_base64(text)
    return text


def decode_base64(text: str) -> bytes:
    """
    Decode base64 *text*.

    Raises:
        ValueError: As for :func:`check_base64`.
        TypeError: *text* is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"base64 text must be a str, not {type(text).__name__}")
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError as error:
        # The decoder has one message for all faults.
        raise ValueError(_base64_fault(text)) from error


def names_sound_file(text: str) -> bool:
    """Whether *text* ends as the name of a sound file does."""
    return text.lower().endswith((".wav", ".flac", ".ogg", ".mp3"))


def bytes_per_ms(audio_format: str) -> int:
    """
    Return the bytes per millisecond of ``"pcm16"``, ``"g711_ulaw"`` or ``"g711_alaw"``.

    Raises:
        ValueError: An unknown format.
    """
    try:
        return _BYTES_PER_MS[audio_format]
    except KeyError as error:
        known = ", ".join(map(repr, _BYTES_PER_MS))
        raise ValueError(f"audio_format is {audio_format!r}: pass one of {known}") from error


def readable_format(audio_format: str | None) -> str:
    """Return the format that a service names; ``"pcm16"`` if it names none that this library knows."""
    return audio_format if audio_format in _BYTES_PER_MS else "pcm16"


def duration_ms(byte_count: int, audio_format: str = "pcm16") -> int:
    """
    Return the duration of *byte_count* bytes in whole milliseconds.

    Rounded down, because the service refuses a position past the end of the audio. Sum bytes, not
    durations.

    Raises:
        ValueError: An unknown format.
    """
    return byte_count // bytes_per_ms(audio_format)


def _base64_fault(text: str) -> str:
    """Return what is wrong with base64 *text*, and the remedy."""
    if text[:5].lower() == "data:":
        return "the audio is a data URL, not base64: pass only what follows the comma"
    if names_sound_file(text):
        return f"the audio is a path, not base64: {FILE_REMEDY}"
    foreign = re.search(r"[^A-Za-z0-9+/]", text.rstrip("="))
    if foreign is None:
        return (
            f"the base64 text has {len(text)} characters, and its padding is wrong: "
            "encode each chunk on its own, and pass the padding ('=' up to a multiple of 4) with it"
        )
    odd = foreign.group()
    said = f"the base64 text has {odd!r} at character {foreign.start()}"
    if odd.isspace():
        return f"{said}: remove line breaks and spaces"
    if odd in "-_":
        return f"{said}, so it is of the URL-safe kind: use base64.b64encode, not urlsafe_b64encode"
    if odd == "=":
        return f"{said}, before its end: decode joined chunks one by one, or encode them together"
    return f"{said}: pass audio as base64, or raw PCM16 as bytes instead of str"
