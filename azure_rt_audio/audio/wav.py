"""
WAV files: read any uncompressed one as PCM16 for the service, write what it says.

Reading takes 8, 16, 24 and 32-bit integers, 32 and 64-bit floats, A-law and µ-law, any number of
channels and any sample rate. Only a rate other than 24 000 Hz needs the ``audio`` extra.
"""

from __future__ import annotations

import array
import os
import struct
import sys
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from .g711 import alaw_decode, ulaw_decode
from .pcm import SAMPLE_RATE_HZ, AudioLike, to_pcm16
from .resample import resample

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["WavWriter", "read_wav", "write_wav"]

_INTEGER: Final = 0x0001
_FLOAT: Final = 0x0003
_ALAW: Final = 0x0006
_ULAW: Final = 0x0007
_EXTENSIBLE: Final = 0xFFFE

# A program that writes to a pipe cannot come back to fill in the size; it leaves one of these.
_SIZE_UNKNOWN: Final = 0xFFFFFFFF
_HEADER_BYTES: Final = 44
_MOST_DATA_BYTES: Final = 0xFFFFFFFF - _HEADER_BYTES


class _Format(NamedTuple):
    """What the ``fmt`` chunk says; *sample_bytes* is the container's width, padding included."""

    tag: int
    channels: int
    rate_hz: int
    sample_bytes: int


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
        name = os.fspath(path_or_file)
        with open(name, "rb") as file:
            content = file.read()
    else:
        name = str(getattr(path_or_file, "name", "the file"))
        content = path_or_file.read()
    wav_format, data = _chunks_of(content, name)
    mono = _mixed(_pcm16_of(wav_format, data, name), wav_format.channels)
    if wav_format.rate_hz == SAMPLE_RATE_HZ:
        return mono
    try:
        return resample(mono, wav_format.rate_hz, SAMPLE_RATE_HZ)
    except ValueError as error:
        raise _refusal(name, f"has a sample rate of {wav_format.rate_hz} Hz") from error


def write_wav(
    path_or_file: str | os.PathLike[str] | IO[bytes],
    pcm: AudioLike,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
) -> None:
    """
    Write a whole recording as a 16-bit mono WAV file. Blocking.

    Args:
        path_or_file: A path, or a file open for writing bytes, which stays open and need not seek.
        pcm: PCM16: int16, little-endian, mono; 2 bytes per frame; shape (frames,).
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
    if not 0 < sample_rate_hz <= 0x7FFFFFFF:
        raise ValueError(f"sample_rate_hz is {sample_rate_hz}: pass the rate of the audio in Hz")
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


def _refusal(name: str, fault: str) -> ValueError:
    source = name if os.path.exists(name) else "INPUT"
    return ValueError(
        f"{name} {fault}: convert it with: ffmpeg -i {source} -ar 24000 -ac 1 -c:a pcm_s16le out.wav"
    )


def _chunks_of(content: bytes, name: str) -> tuple[_Format, memoryview]:
    """Return what the ``fmt`` chunk says and the ``data`` chunk, as much of it as there is."""
    if not content:
        raise ValueError(f"{name} is empty: was it still being written?")
    if content[:4] not in (b"RIFF", b"RF64") or content[8:12] != b"WAVE":
        raise _refusal(name, f"is not a WAV file, it begins with {content[:12]!r}")
    wav_format = None
    size_of_large_data = _SIZE_UNKNOWN
    position = 12
    while position + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, position)
        position += 8
        if kind == b"fmt ":
            wav_format = _format_of(content[position : position + size], name)
        elif kind == b"ds64" and position + 16 <= len(content):
            # RF64: the sizes that do not fit into 32 bits.
            size_of_large_data = struct.unpack_from("<8xQ", content, position)[0]
        elif kind == b"data":
            if wav_format is None:
                raise _refusal(name, 'has no "fmt " chunk before its audio')
            if size == _SIZE_UNKNOWN:
                size = size_of_large_data
            elif size == 0 and not _is_sized(content):
                size = len(content)
            return wav_format, memoryview(content)[position : position + size]
        position += size
        # Chunks begin at even places; some writers forget the zero that pads them.
        position += size % 2 and content[position : position + 1] == b"\0"
    raise _refusal(name, "has no audio, it ends before its data chunk")


def _is_sized(content: bytes) -> bool:
    """Tell whether the header knows the file's size, so that an empty data chunk is meant."""
    (riff_bytes,) = struct.unpack_from("<I", content, 4)
    return bool(riff_bytes + 8 >= len(content) and riff_bytes != _SIZE_UNKNOWN)


def _format_of(chunk: bytes, name: str) -> _Format:
    if len(chunk) < 16:
        raise _refusal(name, f'has a "fmt " chunk of {len(chunk)} bytes, too short')
    tag, channels, rate_hz, _, block_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 40:
        tag = struct.unpack_from("<24xH", chunk)[0]  # the start of a GUID that names the encoding
    if not channels or not rate_hz:
        raise _refusal(name, f"claims {channels} channels at {rate_hz} Hz")
    sample_bytes = (bits + 7) // 8
    if block_bytes and block_bytes % channels == 0:
        sample_bytes = block_bytes // channels  # 20 bits in 3 bytes, 24 in 4: the upper ones count
    return _Format(tag, channels, rate_hz, sample_bytes)


def _pcm16_of(wav_format: _Format, data: memoryview, name: str) -> bytes:
    """Return *data* as int16, little-endian, channels interleaved; a last half frame is dropped."""
    block_bytes = wav_format.channels * wav_format.sample_bytes
    octets = bytes(data[: len(data) - len(data) % block_bytes]) if block_bytes else b""
    kind = wav_format.tag, wav_format.sample_bytes
    if kind == (_INTEGER, 2):
        return octets
    if kind in ((_INTEGER, 3), (_INTEGER, 4)):
        step = wav_format.sample_bytes
        return _joined(octets[step - 2 :: step], octets[step - 1 :: step])
    if kind == (_INTEGER, 1):
        unsigned_to_signed = bytes(code ^ 0x80 for code in range(256))
        return _joined(bytes(len(octets)), octets.translate(unsigned_to_signed))
    if kind in ((_FLOAT, 4), (_FLOAT, 8)):
        return _pcm16_of_floats(octets, "f" if wav_format.sample_bytes == 4 else "d", name)
    if kind == (_ALAW, 1):
        return alaw_decode(octets)
    if kind == (_ULAW, 1):
        return ulaw_decode(octets)
    raise _refusal(
        name,
        f"is compressed or of an unknown kind (format {wav_format.tag:#06x}, "
        f"{wav_format.sample_bytes} bytes per sample)",
    )


def _pcm16_of_floats(octets: bytes, code: str, name: str) -> bytes:
    values = array.array(code, octets)
    if sys.byteorder == "big":
        values.byteswap()
    try:
        return bytes(to_pcm16(values))
    except ValueError as error:
        raise _refusal(name, "holds samples that are no numbers (NaN)") from error


def _joined(low: bytes, high: bytes) -> bytes:
    pcm = bytearray(2 * len(low))
    pcm[0::2], pcm[1::2] = low, high
    return bytes(pcm)


def _mixed(pcm: bytes, channels: int) -> bytes:
    """Average interleaved *channels* into one."""
    if channels == 1:
        return pcm
    samples = array.array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    frames = zip(*(samples[channel::channels] for channel in range(channels)), strict=True)
    mono = array.array("h", [sum(frame) // channels for frame in frames])
    if sys.byteorder == "big":
        mono.byteswap()
    return mono.tobytes()
