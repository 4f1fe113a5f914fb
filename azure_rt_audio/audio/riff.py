"""
The inside of WAV files: where the audio begins, what it is made of, and PCM16 of it piece by piece.

Reads forward only, so that a pipe will do, and never more than it was asked for.
"""

from __future__ import annotations

import array
import os
import struct
import sys
from typing import IO, Final, NamedTuple

from .channels import mix
from .g711 import alaw_decode, ulaw_decode
from .pcm import to_pcm16

__all__ = ["WavSource", "refusal"]

_INTEGER: Final = 0x0001
_FLOAT: Final = 0x0003
_ALAW: Final = 0x0006
_ULAW: Final = 0x0007
_EXTENSIBLE: Final = 0xFFFE

# A program that writes to a pipe cannot come back to fill in the size; it leaves one of these.
_SIZE_UNKNOWN: Final = 0xFFFFFFFF
_PIECE_BYTES: Final = 1 << 16


class _Format(NamedTuple):
    """What the ``fmt`` chunk says; *sample_bytes* is the container's width, padding included."""

    tag: int
    channels: int
    rate_hz: int
    sample_bytes: int


def refusal(name: str, fault: str) -> ValueError:
    """Return the error that the file *name* has a *fault*, with the command that mends it."""
    source = name if os.path.exists(name) else "INPUT"
    return ValueError(
        f"{name} {fault}: convert it with: ffmpeg -i {source} -ar 24000 -ac 1 -c:a pcm_s16le out.wav"
    )


class WavSource:
    """
    The audio of a WAV file, read from its beginning to its end.

    Args:
        file: Open for reading bytes, at its beginning; stays open.
        name: What errors call it.

    Raises:
        ValueError: Not a WAV file, or one of a kind that is not read.

    **Threads**: not shared; one thread at a time.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._format, self._left = _header_of(file, name)
        self._frame_bytes: Final = self._format.channels * self._format.sample_bytes
        self.rate_hz: Final = self._format.rate_hz
        _pcm16_of(self._format, b"", name)  # refuses what it cannot read

    @property
    def frames(self) -> int:
        """How many frames are still to come, going by the header and the size of a file on disk."""
        left = self._left
        try:
            on_disk = os.fstat(self._file.fileno()).st_size - self._file.tell()
        except OSError:
            on_disk = None
        sizes = [size for size in (left, on_disk) if size is not None]
        return max(min(sizes, default=0), 0) // self._frame_bytes

    def read(self, frames: int) -> bytes:
        """
        Return the next frames, at most so many, nothing at the end.

        Returns:
            PCM16: int16, little-endian, mono, at ``rate_hz``. A last frame that is cut is dropped.
        """
        wanted = frames * self._frame_bytes
        if self._left is not None:
            wanted = min(wanted, self._left)
            self._left -= wanted
        octets = _take(self._file, wanted)
        whole = len(octets) - len(octets) % self._frame_bytes
        return bytes(mix(_pcm16_of(self._format, octets[:whole], self._name), self._format.channels))

    def close(self) -> None:
        """Nothing is held but the file, which is its owner's."""


def _take(file: IO[bytes], size: int) -> bytes:
    """Return *size* bytes, fewer only where the file ends; what a false header claims is not allocated."""
    pieces = []
    while size > 0 and (piece := file.read(min(size, _PIECE_BYTES))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _skip(file: IO[bytes], size: int) -> None:
    while size > 0 and (piece := file.read(min(size, _PIECE_BYTES))):
        size -= len(piece)


def _header_of(file: IO[bytes], name: str) -> tuple[_Format, int | None]:
    """Read up to the audio; return its format, and how many bytes follow, if that is known."""
    start = _take(file, 12)
    if not start:
        raise ValueError(f"{name} is empty: was it still being written?")
    if start[:4] not in (b"RIFF", b"RF64") or start[8:12] != b"WAVE":
        raise refusal(name, f"is not a WAV file, it begins with {start!r}")
    (riff_bytes,) = struct.unpack_from("<I", start, 4)
    wav_format = None
    size_of_large_data: int | None = None
    position, ahead = len(start), b""
    while len(head := ahead + _take(file, 8 - len(ahead))) == 8:
        kind, size = struct.unpack("<4sI", head)
        position += 8
        if kind == b"data":
            if wav_format is None:
                raise refusal(name, 'has no "fmt " chunk before its audio')
            if size == _SIZE_UNKNOWN:
                return wav_format, size_of_large_data
            # Nothing, and the file ends here by its own account: the writer did not come back.
            is_unknown = size == 0 and (riff_bytes == _SIZE_UNKNOWN or riff_bytes + 8 <= position)
            return wav_format, None if is_unknown else size
        body = _take(file, min(size, 64))
        _skip(file, size - len(body))
        if kind == b"fmt ":
            wav_format = _format_of(body, name)
        elif kind == b"ds64" and len(body) >= 16:
            # RF64: the sizes that do not fit into 32 bits.
            size_of_large_data = struct.unpack_from("<8xQ", body)[0]
        # Chunks begin at even places; some writers forget the zero that pads them.
        pad = _take(file, size % 2)
        ahead = pad if pad != b"\0" else b""
        position += size + len(pad) - len(ahead)
    raise refusal(name, "has no audio, it ends before its data chunk")


def _format_of(chunk: bytes, name: str) -> _Format:
    if len(chunk) < 16:
        raise refusal(name, f'has a "fmt " chunk of {len(chunk)} bytes, too short')
    tag, channels, rate_hz, _, block_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 40:
        tag = struct.unpack_from("<24xH", chunk)[0]  # the start of a GUID that names the encoding
    if not channels or not rate_hz:
        raise refusal(name, f"claims {channels} channels at {rate_hz} Hz")
    sample_bytes = (bits + 7) // 8
    if block_bytes and block_bytes % channels == 0:
        sample_bytes = block_bytes // channels  # 20 bits in 3 bytes, 24 in 4: the upper ones count
    return _Format(tag, channels, rate_hz, sample_bytes)


def _pcm16_of(wav_format: _Format, octets: bytes, name: str) -> bytes:
    """Return whole frames as int16, little-endian, channels interleaved."""
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
    raise refusal(
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
        raise refusal(name, "holds samples that are no numbers (NaN)") from error


def _joined(low: bytes, high: bytes) -> bytes:
    pcm = bytearray(2 * len(low))
    pcm[0::2], pcm[1::2] = low, high
    return bytes(pcm)
