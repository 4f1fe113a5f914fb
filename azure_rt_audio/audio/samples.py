"""
Sound in memory as this package takes it: bytes of PCM16, or arrays of int16, float32 or float64.

Everything that takes sound reads it here, so what one takes the others take, and what one refuses is refused
by all with the same words.

**Threads**: all functions are thread-safe; none keeps state.
"""

from __future__ import annotations

import array
import math
import os
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from .._pages import ARRAYS
from ._audioop import audioop, swapped
from .channels import MAX_CHANNELS, Channel, Mixer, check_channels
from .warning import tell

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["FILE_REMEDY", "AudioLike", "check_whole", "interleaved", "mono", "octets"]

_FLOAT_CODES: Final = ("f", "d")  # struct codes of float32 and float64

_CLIPPED_SHARE: Final = 0.01
"""Of the samples; fewer beyond full scale are what filters and decoders add at loud edges."""

_CLIPPED_PEAK: Final = 1.5


class _NumpyArray(Protocol):
    """A numpy array for type checkers: numpy for Python 3.10 does not declare the buffer protocol."""

    @property
    def __array_interface__(self) -> Any: ...


AudioLike: TypeAlias = "Buffer | _NumpyArray"
"""The audio that :func:`to_pcm16` takes, for annotations."""

FILE_REMEDY: Final = (
    "client.send_audio_file(path) sends a sound file; "
    "azure_rt_audio.audio.read_audio(path) returns its sound, for client.ask(sound, sample_rate_hz=24000) too"
)


def mono(audio: AudioLike, channels: int | None = None, channel: Channel = "mix") -> bytes | memoryview:
    """
    Return a whole recording as PCM16, mono. Mono bytes and contiguous int16 are not copied.

    Arguments and errors are those of :func:`~.pcm.to_pcm16`.
    """
    if isinstance(audio, bytes) and channels is None and channel == "mix":
        if len(audio) % 2:
            check_whole(len(audio), 1)
        return audio
    pcm, channels = interleaved(audio, channels)
    check_whole(len(pcm), channels)
    mixer = Mixer(channels, channel)
    mixed = mixer.feed(pcm)
    mixer.finish()
    if not isinstance(audio, bytes) and len(pcm) and not audioop.max(swapped(pcm), 2):
        _tell_of_silence(audio)
    return mixed


def octets(audio: AudioLike, what: str) -> Buffer:
    """
    Return sound of one byte per sample, such as G.711.

    Raises:
        TypeError: It has other elements; names *what* was expected.
    """
    if isinstance(audio, bytes):
        return audio
    view = _view_of(audio)
    if view.itemsize != 1 or _element_of(view.format)[1] not in ("B", "c"):
        raise TypeError(f"{what} is bytes, one per sample, not {_said(audio, view)}")
    return _flat(view)


def _said(audio: object, view: memoryview) -> str:
    return f"{type(audio).__name__} of buffer format {view.format!r}"


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


def _view_of(audio: Any) -> memoryview:
    if isinstance(audio, str):
        raise TypeError(
            "audio is a str: read a file with read_audio(path), decode base64 text with decode_base64() first"
        )
    if isinstance(audio, os.PathLike):
        raise TypeError(f"audio is a path, not sound: {FILE_REMEDY}")
    if hasattr(type(audio), "audio"):  # an answer of the service, or its handle
        place = ".audio" if isinstance(type(audio).audio, property) else ".result().audio"
        raise TypeError(f"audio must be sound, not {type(audio).__name__}: pass its {place}")
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
    peak = max(max(values, default=0.0), -min(values, default=0.0))
    if peak > 1.0:
        _tell_of_clipping(sum(abs(x) > 1.0 for x in values) / len(values), peak)
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
    beyond = numpy.abs(values) > 1.0
    if beyond.any():
        _tell_of_clipping(beyond.mean(), numpy.abs(values).max())
    pcm: bytes = numpy.minimum(scaled, 32767.0).astype("<i2").tobytes()
    return pcm


def _tell_of_clipping(share: float, peak: float) -> None:
    if share > _CLIPPED_SHARE or peak > _CLIPPED_PEAK:
        tell(
            "the sound is clipped: it has floats beyond [-1, 1]; divide it by its peak, or by 32768 if they "
            "are int16 in floats"
        )


def _tell_of_silence(audio: AudioLike) -> None:
    view = _view_of(audio)
    code = _element_of(view.format)[1]
    if code in _FLOAT_CODES and any(array.array(code, view.tobytes())):
        tell(
            "the sound is silence as PCM16: its floats are all below the smallest step, 1/32768; scale them, "
            "so that full scale is 1.0"
        )


def _nan_fault(view: memoryview, place: int) -> str:
    frame = place // (view.shape or (1, 1))[1] if view.ndim == 2 else place
    return f"audio has a NaN at frame {frame}: replace it, with numpy: numpy.nan_to_num(audio)"


def _swapped(pcm: bytes) -> bytes:
    swapped = bytearray(len(pcm))
    swapped[0::2], swapped[1::2] = pcm[1::2], pcm[0::2]
    return bytes(swapped)
