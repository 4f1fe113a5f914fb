"""
PCM16, the default audio format of the service: conversion, base64 and durations.

PCM16 is int16, little-endian, mono; 2 bytes per frame; shape (frames,); at 24 000 Hz.

**Threads**: all functions are thread-safe; none keeps state.
"""

from __future__ import annotations

import array
import math
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import pybase64

from .._extras import importing
from .._pages import ARRAYS
from .channels import MAX_CHANNELS, check_channels, mix
from .resample import check_rate, resample

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

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


class _NumpyArray(Protocol):
    """A numpy array for type checkers: numpy for Python 3.10 does not declare the buffer protocol."""

    @property
    def __array_interface__(self) -> Any: ...


AudioLike: TypeAlias = "Buffer | _NumpyArray"
"""The audio that :func:`to_pcm16` takes, for annotations."""

FILE_REMEDY: Final = (
    "client.send_audio_file(path) sends a sound file; "
    "azure_rt_audio.audio.read_audio(path) returns its sound, for client.ask() too"
)

_BYTES_PER_MS: Final = {"pcm16": 48, "g711_ulaw": 8, "g711_alaw": 8}
_FLOAT_CODES: Final = ("f", "d")  # struct codes of float32 and float64


def to_pcm16(
    audio: AudioLike, sample_rate_hz: int = SAMPLE_RATE_HZ, channels: int | None = None
) -> bytes | memoryview:
    """
    Convert a whole recording to PCM16: int16, little-endian, mono, 24 000 Hz; 2 bytes per frame.

    Mono bytes and contiguous int16 at 24 000 Hz are not copied: the result shares memory with *audio*. For a
    stream, use a :class:`~azure_rt_audio.audio.Converter`.

    Args:
        audio: Raw PCM16 as bytes, bytearray or memoryview; or an array of int16, or of float32 or
            float64 in [-1, 1], with the shape (frames,) or (frames, channels); any object with the
            buffer protocol, such as ``numpy.ndarray`` and ``array.array``. Floats outside [-1, 1] are
            clipped; 1.0 becomes 32767.
        sample_rate_hz: The rate of *audio*, from 1 000 to 768 000 Hz.
        channels: Number of interleaved channels, 1 to 8; they are averaged. By default that of the shape,
            and 1 for bytes.

    Raises:
        ValueError: An odd number of bytes, a foreign byte order, a NaN, channels that contradict the
            shape, a rate out of range.
        TypeError: Not a buffer, or one with other elements.
        MissingExtraError: The rate is not 24 000 Hz, and the ``audio`` extra is not installed.
    """
    if isinstance(audio, bytes) and channels is None and sample_rate_hz == SAMPLE_RATE_HZ:
        if len(audio) % 2:
            check_whole(len(audio), 1)
        return audio
    pcm, channels = interleaved(audio, channels)
    check_whole(len(pcm), channels)
    mono = mix(pcm, channels)
    if sample_rate_hz == SAMPLE_RATE_HZ:
        return mono
    check_rate("sample_rate_hz", sample_rate_hz)
    return resample(mono, sample_rate_hz, SAMPLE_RATE_HZ)


def interleaved(audio: AudioLike, channels: int | None = None) -> tuple[bytes | memoryview, int]:
    """
    Return *audio* as PCM16 with interleaved channels, and the number of channels.

    Arguments and errors are those of :func:`to_pcm16`, but bytes may end with an incomplete frame.
    """
    if channels is not None:
        check_channels(channels)
    if isinstance(audio, bytes):
        return audio, channels or 1
    view = _view_of(audio)
    byte_order, code = _element_of(view.format)
    if code == "B" and isinstance(audio, bytearray | memoryview):
        return _flat(view), channels or 1
    if code != "h" and code not in _FLOAT_CODES:
        raise TypeError(_wrong_element(view))
    if byte_order != sys.byteorder:
        raise ValueError(
            f"audio is {byte_order}-endian (buffer format {view.format!r}), this machine is not: "
            f'convert it first, with numpy: audio.astype("{"i2" if code == "h" else code}")'
        )
    channels = _channels_of(view, channels)
    if code != "h":
        return _pcm16_of_floats(view, code), channels
    return _flat(view) if sys.byteorder == "little" else _swapped(view.tobytes()), channels


def check_whole(byte_count: int, channels: int) -> None:
    """Raise a ``ValueError`` if PCM16 of that many bytes ends with an incomplete frame."""
    if byte_count % (2 * channels) == 0:
        return
    said = f"audio has {byte_count} bytes, but PCM16 has 2 bytes"
    if channels == 1:
        raise ValueError(f"{said} per frame: keep the odd byte and send it with the next chunk")
    raise ValueError(f"{said} times {channels} channels per frame: it is cut in mid-frame")


def to_array(pcm: Buffer, dtype: Literal["float32", "int16"] = "float32") -> NDArray[Any]:
    """
    Return PCM16 as a numpy array: the inverse of :func:`to_pcm16`.

    Args:
        pcm: PCM16: int16, little-endian, mono; 2 bytes per frame.
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
    octets = bytes(pcm)
    check_whole(len(octets), 1)
    samples = numpy.frombuffer(octets, "<i2")
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


def _view_of(audio: Any) -> memoryview:
    if isinstance(audio, str):
        raise TypeError("audio is a str: decode base64 text with decode_base64() first")
    if isinstance(audio, os.PathLike):
        raise TypeError(f"audio is a path, not sound: {FILE_REMEDY}")
    try:
        return memoryview(audio)
    except (TypeError, ValueError, BufferError) as error:
        raise TypeError(
            "audio must be bytes of PCM16 or a buffer of int16, float32 or float64, "
            f"not {type(audio).__name__}: convert it first, with numpy: numpy.asarray(audio). {ARRAYS}"
        ) from error


def _element_of(buffer_format: str) -> tuple[str, str]:
    """Split a struct format into byte order, ``"little"`` or ``"big"``, and type code."""
    if buffer_format[:1] in ("<", ">", "!"):
        return "little" if buffer_format[0] == "<" else "big", buffer_format[1:]
    return sys.byteorder, buffer_format.lstrip("@=")


def _wrong_element(view: memoryview) -> str:
    said = f"audio has elements of buffer format {view.format!r} ({view.itemsize} bytes each)"
    if view.itemsize == 1:
        return f"{said}: if they are the bytes of PCM16, pass bytes(audio); 8-bit samples need converting"
    return f'{said}, not int16, float32 or float64: convert and scale it, with numpy to astype("i2")'


def _channels_of(view: memoryview, said: int | None) -> int:
    shape = view.shape or ()
    if len(shape) == 1:
        return said or 1  # interleaved, as in bytes
    if len(shape) == 2 and shape[1] and shape[1] <= MAX_CHANNELS and (shape[0] != 1 or shape[1] <= 2):
        if said is not None and said != shape[1]:
            raise ValueError(f"audio has the shape {shape}, but channels is {said}: leave channels out")
        return shape[1]
    remedy = "pass shape (frames,) or (frames, channels)"
    if len(shape) == 2 and shape[0] <= MAX_CHANNELS:
        remedy = "it looks transposed, pass " + ("audio[0]" if shape[0] == 1 else "audio.T")
    raise ValueError(f"audio has the shape {shape}: {remedy}. {ARRAYS}")


def _flat(view: memoryview) -> memoryview:
    """Return the bytes of *view*, copied only if it is not contiguous."""
    if not view.nbytes:
        return memoryview(b"")  # a view with a zero in its shape cannot be cast
    return view.cast("B") if view.c_contiguous else memoryview(view.tobytes())


def _pcm16_of_floats(view: memoryview, code: str) -> bytes:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(view.obj, getattr(numpy, "ndarray", ())):
        return _pcm16_of_numpy(numpy, view)
    # tobytes(), because a view with an explicit byte order has no tolist().
    values = array.array(code, view.tobytes()).tolist()
    if True in map(math.isnan, values):
        raise ValueError(_nan_fault(view, next(place for place, x in enumerate(values) if math.isnan(x))))
    # Clipped before the multiplication, because an infinity cannot be rounded.
    samples = array.array(
        "h",
        [-32768 if x <= -1.0 else 32767 if x >= 1.0 else min(round(x * 32768.0), 32767) for x in values],
    )
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _pcm16_of_numpy(numpy: Any, view: memoryview) -> bytes:
    values = numpy.asarray(view).reshape(-1)
    is_nan = numpy.isnan(values)
    if is_nan.any():
        raise ValueError(_nan_fault(view, int(is_nan.argmax())))
    scaled = numpy.rint(numpy.clip(values, -1.0, 1.0) * 32768.0)
    pcm: bytes = numpy.minimum(scaled, 32767.0).astype("<i2").tobytes()
    return pcm


def _nan_fault(view: memoryview, place: int) -> str:
    frame = place // (view.shape or (1, 1))[1] if view.ndim == 2 else place
    return f"audio has a NaN at frame {frame}: replace it, with numpy: numpy.nan_to_num(audio)"


def _swapped(pcm: bytes) -> bytes:
    swapped = bytearray(len(pcm))
    swapped[0::2], swapped[1::2] = pcm[1::2], pcm[0::2]
    return bytes(swapped)


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
