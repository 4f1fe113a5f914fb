"""
WAV files: read any uncompressed one as PCM16 for the service, write what it says.

Reading takes 8, 16, 24 and 32-bit integers, 32 and 64-bit floats, A-law and µ-law, any number of
channels and any sample rate. Only a rate other than 24 000 Hz needs the ``audio`` extra.
"""

from __future__ import annotations

import os
import struct
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final

from .pcm import SAMPLE_RATE_HZ, AudioLike, to_pcm16
from .resample import resample
from .riff import WavSource, refusal

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["WavWriter", "read_wav", "write_wav"]

_INTEGER: Final = 0x0001
_HEADER_BYTES: Final = 44
_MOST_DATA_BYTES: Final = 0xFFFFFFFF - _HEADER_BYTES
_PIECE_FRAMES: Final = 1 << 16


def read_wav(path_or_file: str | os.PathLike[str] | IO[bytes]) -> bytes:
    """
    Return a WAV file as PCM16: int16, little-endian, mono; 2 bytes per frame; at 24 000 Hz.

    Channels are averaged. More than 16 bits are cut to 16. A file that ends early, or whose
    header does not know its size, is read as far as it goes. Blocking; holds the file in memory.

    Args:
        path_or_file: A path, or a file open for reading bytes, which is read to its end and
            stays open.

    Raises:
        ValueError: Not a WAV file, or one of a kind not listed in this module's docstring.
        OSError: The file cannot be read.
        MissingExtraError: It is not at 24 000 Hz, and the ``audio`` extra is not installed.
    """
    if isinstance(path_or_file, str | os.PathLike):
        with open(path_or_file, "rb") as file:
            return _read(file, os.fspath(path_or_file))
    return _read(path_or_file, str(getattr(path_or_file, "name", "the file")))


def _read(file: IO[bytes], name: str) -> bytes:
    source = WavSource(file, name)
    mono = b"".join(iter(lambda: source.read(_PIECE_FRAMES), b""))
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
        path_or_file: A path, or a file open for writing bytes, which stays open and need not seek.
        pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; or an array, as
            :func:`~azure_rt_audio.audio.to_pcm16` takes it.
        sample_rate_hz: The rate of *pcm*, which is written down, not changed.

    Raises:
        ValueError: An odd number of bytes, or 4 GB and more.
        OSError: The file cannot be written.
    """
    data = to_pcm16(pcm)
    content = _header(len(data), sample_rate_hz) + data
    if isinstance(path_or_file, str | os.PathLike):
        with open(path_or_file, "wb") as file:
            file.write(content)
    else:
        path_or_file.write(content)


class WavWriter:
    """
    Write a 16-bit mono WAV file while the audio arrives.

    After every :meth:`write` the file on disk is complete and its header true, so it can be
    played whatever becomes of the program. Use it in a ``with`` statement, or :meth:`close` it.

    **Threads**: not shared; one thread at a time.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        """
        Create the file at *path*, or empty it, for audio at *sample_rate_hz*.

        Raises:
            ValueError: A sample rate that is not positive.
            OSError: The file cannot be written.
        """
        header = _header(0, sample_rate_hz)
        self.path: Final = os.fspath(path)
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
        Append audio and bring the header up to date. Blocking.

        Args:
            pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; shape (frames,).

        Raises:
            ValueError: An odd number of bytes, a file of 4 GB, or a writer that is closed.
            OSError: The file cannot be written.
        """
        if self._file.closed:
            raise ValueError(f"{self.path} is closed: open another WavWriter")
        data = to_pcm16(pcm)
        header = _header(self._data_bytes + len(data), self.sample_rate_hz)
        # The audio first: a crash between the two leaves a header that promises too little.
        self._file.seek(_HEADER_BYTES + self._data_bytes)
        self._file.write(data)
        self._file.flush()
        self._file.seek(0)
        self._file.write(header)
        self._file.flush()
        self._data_bytes += len(data)

    def flush(self) -> None:
        """Wait until the operating system has the file on disk, against a loss of power. Blocking."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; a second time does nothing."""
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


def _header(data_bytes: int, sample_rate_hz: int) -> bytes:
    if not 0 < sample_rate_hz <= 0x7FFFFFFF or sample_rate_hz % 1:
        raise ValueError(f"sample_rate_hz is {sample_rate_hz}: pass the rate of the audio in whole Hz")
    sample_rate_hz = int(sample_rate_hz)
    if data_bytes > _MOST_DATA_BYTES:
        raise ValueError(f"a WAV file holds at most {_MOST_DATA_BYTES} bytes of audio: begin another file")
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
