"""
Reads and writes WAV files as PCM16.

Reads 8, 16, 24 and 32-bit integers, 32 and 64-bit floats, A-law and µ-law, with any number of channels and
any sample rate. Only a rate other than 24 000 Hz needs the ``audio`` extra.
"""

from __future__ import annotations

import os
import struct
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final

from .._paths import checked_path
from .._printable import one_line
from .channels import Channel
from .pcm import SAMPLE_RATE_HZ, AudioLike, to_pcm16
from .resample import resample
from .riff import WavSource, refusal

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["WavWriter", "read_wav", "write_wav"]

_INTEGER: Final = 0x0001
_HEADER_BYTES: Final = 44
_MAX_DATA_BYTES: Final = 0xFFFFFFFF - _HEADER_BYTES
_BLOCK_FRAMES: Final = 1 << 16


def read_wav(path_or_file: str | os.PathLike[str] | IO[bytes], channel: Channel = "mix") -> bytes:
    """
    Return a WAV file as PCM16: int16, little-endian, mono; 2 bytes per frame; at 24 000 Hz.

    Channels are averaged, with a :class:`SoundWarning` if they cancel each other out. More than 16 bits are
    rounded. A file that is cut short, or whose header does not state its size, is read to its end.
    Blocking; holds the file in memory.

    Args:
        path_or_file: A path, or a binary file, which is read to its end and stays open.
        channel: ``"left"`` and ``"right"`` take the first and the second channel.

    Raises:
        ValueError: Not a WAV file, a format not listed in the module docstring, or a mono file of which a
            channel is wanted.
        OSError: The file cannot be read.
        MissingExtraError: The rate is not 24 000 Hz, and the ``audio`` extra is not installed.
    """
    if isinstance(path_or_file, str | os.PathLike):
        with open(checked_path(path_or_file), "rb") as file:
            return _read(file, os.fspath(path_or_file), channel)
    return _read(path_or_file, str(getattr(path_or_file, "name", "the file")), channel)


def _read(file: IO[bytes], name: str, channel: Channel) -> bytes:
    source = WavSource(file, name, channel)
    mono = b"".join(iter(lambda: source.read(_BLOCK_FRAMES), b""))
    try:
        return resample(mono, source.rate_hz, SAMPLE_RATE_HZ)
    except ValueError as error:
        raise refusal(name, f"has a sample rate of {source.rate_hz} Hz") from error


def write_wav(
    path_or_file: str | os.PathLike[str] | IO[bytes],
    pcm: AudioLike,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
) -> None:
    """
    Write a whole recording as a 16-bit mono WAV file. Blocking.

    Args:
        path_or_file: A path, or a binary file, which stays open and need not be seekable.
        pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; or an array, as
            :func:`~azure_rt_audio.audio.to_pcm16` takes it. G.711, as a session may have it, has to be
            decoded first: ``write_wav(path, ulaw_decode(response.audio), 8_000)``.
        sample_rate_hz: The rate of *pcm*, for the header.

    Raises:
        ValueError: An odd number of bytes, 4 GB and more, or the content of a sound file.
        TypeError: The path is no path, or *pcm* is no sound.
        OSError: The file cannot be written.
    """
    check_order(path_or_file, pcm)
    data = to_pcm16(pcm)
    content = _header(len(data), sample_rate_hz) + data
    if isinstance(path_or_file, str | os.PathLike):
        with open(checked_path(path_or_file), "wb") as file:
            file.write(content)
    else:
        path_or_file.write(content)


class WavWriter:
    """
    Writes a 16-bit mono WAV file incrementally.

    After every :meth:`write` the file is valid, also if the program crashes. Use it in a ``with``
    statement, or :meth:`close` it.

    **Threads**: not shared; one thread at a time.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """
        Create or truncate the file at *path*, for audio at *sample_rate_hz*.

        Raises:
            ValueError: A sample rate that is not positive.
            OSError: The file cannot be written.
        """
        header = _header(0, sample_rate_hz)
        self.path: Final = os.fspath(checked_path(path))
        self.sample_rate_hz: Final = sample_rate_hz
        self._data_bytes = 0
        self._file = open(self.path, "wb")  # noqa: SIM115 - close() and the with statement close it
        try:
            self._file.write(header)
            self._file.flush()
        except OSError:
            self._file.close()
            raise

    def write(self, pcm: AudioLike) -> None:
        """
        Append audio and update the header. Blocking.

        Args:
            pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; or an array, as
                :func:`~azure_rt_audio.audio.to_pcm16` takes it.

        Raises:
            ValueError: An odd number of bytes, a file of 4 GB, or a closed writer.
            OSError: The file cannot be written.
        """
        if self._file.closed:
            raise ValueError(one_line(f"{self.path} is closed: open another WavWriter"))
        data = to_pcm16(pcm)
        header = _header(self._data_bytes + len(data), self.sample_rate_hz)
        # The audio first: after a crash between the two, the header's size is too small, not too large.
        self._file.seek(_HEADER_BYTES + self._data_bytes)
        self._file.write(data)
        self._file.flush()
        self._file.seek(0)
        self._file.write(header)
        self._file.flush()
        self._data_bytes += len(data)

    def flush(self) -> None:
        """Flush the file to disk (``fsync``). Blocking."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def check_order(path: object, sound: object) -> None:
    """Raise a ``TypeError`` if the one stands in the place of the other."""
    paths = (str, os.PathLike)
    if isinstance(sound, paths) and not isinstance(path, paths):
        raise TypeError("the path comes first, and then the sound: they are swapped")


def _header(data_bytes: int, sample_rate_hz: int) -> bytes:
    try:
        is_rate = 0 < sample_rate_hz <= 0x7FFFFFFF and not sample_rate_hz % 1
    except TypeError as error:
        kind = type(sample_rate_hz).__name__
        raise TypeError(f"sample_rate_hz must be a whole number of Hz, not {kind}") from error
    if not is_rate:
        raise ValueError(f"sample_rate_hz is {sample_rate_hz}: pass the rate of the audio in whole Hz")
    sample_rate_hz = int(sample_rate_hz)
    if data_bytes > _MAX_DATA_BYTES:
        raise ValueError(f"a WAV file holds at most {_MAX_DATA_BYTES} bytes of audio: start a new file")
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        data_bytes + _HEADER_BYTES - 8,
        b"WAVE",
        b"fmt ",
        16,
        _INTEGER,
        1,
        sample_rate_hz,
        2 * sample_rate_hz,
        2,
        16,
        b"data",
        data_bytes,
    )
