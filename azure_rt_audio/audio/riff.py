"""
Parses WAV files: RIFF chunks, formats, and conversion to PCM16 in blocks.

Reads forward only, so pipes work, and never more than asked for.
"""

from __future__ import annotations

import array
import os
import struct
import sys
from typing import IO, Final, NamedTuple

from .._printable import one_line
from ._audioop import audioop
from .channels import Channel, Mixer
from .g711 import alaw_decode, ulaw_decode
from .pcm import to_pcm16

__all__ = ["WavSource", "refusal"]

_INTEGER: Final = 0x0001
_FLOAT: Final = 0x0003
_ALAW: Final = 0x0006
_ULAW: Final = 0x0007
_EXTENSIBLE: Final = 0xFFFE

_SIZE_UNKNOWN: Final = 0xFFFFFFFF  # written by programs that cannot seek back, as on a pipe
_BLOCK_BYTES: Final = 1 << 16


class _Format(NamedTuple):
    """The ``fmt`` chunk; *sample_bytes* is the width of a sample, padding included."""

    tag: int
    channels: int
    rate_hz: int
    sample_bytes: int


def refusal(name: str, fault: str) -> ValueError:
    """Return the error for a *fault* of the file *name*, with a command that repairs it."""
    source = name if os.path.exists(name) else "INPUT"
    remedy = f"convert it with: ffmpeg -i {source} -ar 24000 -ac 1 -c:a pcm_s16le out.wav"
    return ValueError(one_line(f"{name} {fault}: {remedy}"))


def file_mixer(channels: int, channel: Channel, name: str) -> Mixer:
    """Return the mixer of a file; a ``ValueError`` names it."""
    if channels == 1 and channel in ("left", "right"):
        raise ValueError(one_line(f"{name} is mono, it has no {channel} channel: leave channel out"))
    return Mixer(channels, channel)


class WavSource:
    """
    The audio of a WAV file, read sequentially.

    Args:
        file: A binary file, at its beginning; it stays open.
        name: Its name in errors.
        channel: What becomes of several channels.

    Raises:
        ValueError: Not a WAV file, or an unsupported format.

    **Threads**: not shared; one thread at a time.
    """

    def __init__(self, file: IO[bytes], name: str, channel: Channel = "mix") -> None:
        self._file = file
        self._name = name
        self._format, self._left = _header_of(file, name)
        self._frame_bytes: Final = self._format.channels * self._format.sample_bytes
        self.rate_hz: Final = self._format.rate_hz
        _pcm16_of(self._format, b"", name)  # raises for an unsupported format
        self._mixer = file_mixer(self._format.channels, channel, name)

    @property
    def frames(self) -> int:
        """Number of frames left, from the header and the size on disk."""
        left = self._left
        try:
            on_disk = os.fstat(self._file.fileno()).st_size - self._file.tell()
        except OSError:
            on_disk = None
        sizes = [size for size in (left, on_disk) if size is not None]
        return max(min(sizes, default=0), 0) // self._frame_bytes

    def read(self, frames: int) -> bytes:
        """
        Return the next *frames* at most; empty at the end.

        Returns:
            PCM16: int16, little-endian, mono, at ``rate_hz``. An incomplete last frame is dropped.
        """
        wanted = frames * self._frame_bytes
        if self._left is not None:
            wanted = min(wanted, self._left)
            self._left -= wanted
        octets = _take(self._file, wanted)
        whole = len(octets) - len(octets) % self._frame_bytes
        if not whole:
            self._mixer.finish()
        return bytes(self._mixer.feed(_pcm16_of(self._format, octets[:whole], self._name)))

    def close(self) -> None:
        """Do nothing: the file belongs to the caller."""


def _take(file: IO[bytes], size: int) -> bytes:
    """Return *size* bytes, fewer at the end of the file; a false size allocates nothing."""
    blocks = []
    while size > 0 and (block := file.read(min(size, _BLOCK_BYTES))):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def _skip(file: IO[bytes], size: int) -> None:
    while size > 0 and (block := file.read(min(size, _BLOCK_BYTES))):
        size -= len(block)


def _header_of(file: IO[bytes], name: str) -> tuple[_Format, int | None]:
    """Read up to the audio; return its format, and its size in bytes if known."""
    start = _take(file, 12)
    if not start:
        raise ValueError(one_line(f"{name} is empty: was it still being written?"))
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
            # 0 at the end of the file by its header: the size was never filled in.
            is_unknown = size == 0 and (riff_bytes == _SIZE_UNKNOWN or riff_bytes + 8 <= position)
            return wav_format, None if is_unknown else size
        body = _take(file, min(size, 64))
        _skip(file, size - len(body))
        if kind == b"fmt ":
            wav_format = _format_of(body, name)
        elif kind == b"ds64" and len(body) >= 16:
            # RF64: the sizes that do not fit into 32 bits.
            size_of_large_data = struct.unpack_from("<8xQ", body)[0]
        # Chunks are padded to even sizes; some writers omit the padding.
        pad = _take(file, size % 2)
        ahead = pad if pad != b"\0" else b""
        position += size + len(pad) - len(ahead)
    raise refusal(name, "has no audio, it ends before its data chunk")


def _format_of(chunk: bytes, name: str) -> _Format:
    if len(chunk) < 16:
        raise refusal(name, f'has a "fmt " chunk of {len(chunk)} bytes, too short')
    tag, channels, rate_hz, _, block_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 40:
        tag = struct.unpack_from("<24xH", chunk)[0]  # the start of the encoding's GUID
    if not channels or not rate_hz:
        raise refusal(name, f"claims {channels} channels at {rate_hz} Hz")
    sample_bytes = (bits + 7) // 8
    if block_bytes and block_bytes % channels == 0:
        sample_bytes = block_bytes // channels  # 20 bits in 3 bytes, 24 in 4: left-justified
    return _Format(tag, channels, rate_hz, sample_bytes)


def _pcm16_of(wav_format: _Format, octets: bytes, name: str) -> bytes:
    """Return whole frames as int16, little-endian, channels interleaved."""
    kind = wav_format.tag, wav_format.sample_bytes
    if kind == (_INTEGER, 2):
        return octets
    if kind in ((_INTEGER, 3), (_INTEGER, 4)):
        step = wav_format.sample_bytes
        rounded = _rounded(octets, step)
        return _interleaved(rounded[step - 2 :: step], rounded[step - 1 :: step])
    if kind == (_INTEGER, 1):
        unsigned_to_signed = bytes(code ^ 0x80 for code in range(256))
        return _interleaved(bytes(len(octets)), octets.translate(unsigned_to_signed))
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


def _rounded(octets: bytes, sample_bytes: int) -> bytes:
    """Return integers of 24 or 32 bits of which the upper 16 are rounded as those of floats: ties to even."""
    upper = octets[sample_bytes - 2 :: sample_bytes]  # the lower byte of what is left
    added = bytearray(len(octets))  # to an even one a little less than a half, to an odd one a half
    added[sample_bytes - 3 :: sample_bytes] = upper.translate(bytes([0x7F, 0x80] * 128))
    if sample_bytes == 4:
        added[0::4] = upper.translate(bytes([0xFF, 0x00] * 128))
    if sys.byteorder == "little":
        return audioop.add(octets, added, sample_bytes)
    octets, swapped = (audioop.byteswap(part, sample_bytes) for part in (octets, added))
    return audioop.byteswap(audioop.add(octets, swapped, sample_bytes), sample_bytes)


def _interleaved(low: bytes, high: bytes) -> bytes:
    pcm = bytearray(2 * len(low))
    pcm[0::2], pcm[1::2] = low, high
    return bytes(pcm)
