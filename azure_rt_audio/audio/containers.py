"""
Tells the content of a sound file from sound: as PCM16, its header and what is compressed would be noise.

A sign is so long that sound begins with it by chance no more than once in years. The two bytes with which a
frame of MP3 or AAC begins are none: of those, several headers must stand where the ones before say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .samples import FILE_REMEDY

__all__ = ["check_is_no_file"]

_HEAD_BYTES: Final = 1 << 14
"""In which a file of frames has several, some 400 bytes each."""

_LEAST_BYTES: Final = 64

_LEAST_FRAMES: Final = 3

_BEGINNINGS: Final = frozenset(
    (
        *(b"RIFF", b"RIFX", b"RF64", b"BW64", b"fLaC", b"OggS", b"FORM", b".snd", b"riff", b"caff", b"#!AM"),
        *(b"ID3" + bytes([version]) for version in (2, 3, 4)),
        *(b"\0\0\0" + bytes([size]) for size in range(8, 256)),  # of the first box of MP4
        b"\x1a\x45\xdf\xa3",
    )
)
"""What a look at four bytes cannot rule out: sound is checked piece by piece."""

_SYNCS: Final = frozenset(
    b"\xff" + bytes([second]) for second in range(256) if second & 0xE6 == 0xE2 or second & 0xF6 == 0xF0
)
"""The same of frames of MP3 and AAC."""


def check_is_no_file(audio: object) -> None:
    """Refuse the content of a sound file, with a remedy. What is not bytes passes."""
    if not isinstance(audio, bytes | bytearray | memoryview):
        return
    if len(audio) < _LEAST_BYTES or (isinstance(audio, memoryview) and audio.ndim != 1):
        return
    start = bytes(audio[:4])
    if start not in _BEGINNINGS and start[:2] not in _SYNCS:
        return
    start = bytes(audio[:_LEAST_BYTES])
    kind = _framed_kind(bytes(audio[:_HEAD_BYTES])) if start[0] == 0xFF else _file_kind(start)
    if kind is not None:
        in_memory = ", or azure_rt_audio.audio.read_wav(io.BytesIO(content))" if kind == "WAV" else ""
        raise ValueError(f"the audio is a whole {kind} file, header included: {FILE_REMEDY}{in_memory}")


def _file_kind(start: bytes) -> str | None:
    if start[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and start[8:12] == b"WAVE":
        return "WAV"
    if start[:4] == b"fLaC" and start[4:8] in (b"\0\0\0\x22", b"\x80\0\0\x22"):
        return "FLAC"
    if start.startswith(b"OggS\0\x02"):
        return "Ogg"
    if start[:3] == b"ID3" and 2 <= start[3] <= 4 and not start[5] & 0x0F and max(start[6:10]) < 0x80:
        return "MP3"
    if start[:4] == b"FORM" and start[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    if start[:6] == b".snd\0\0" and start[12:15] == b"\0\0\0":
        return "AU"
    if start.startswith(b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"):
        return "W64"
    if start.startswith(b"caff\0\x01\0\0"):
        return "Core Audio"
    if start[:3] == b"\0\0\0" and start[4:8] == b"ftyp":
        return "MP4"
    if start.startswith(b"#!AMR"):
        return "AMR"
    return "WebM" if start.startswith(b"\x1a\x45\xdf\xa3") else None


def _framed_kind(start: bytes) -> str | None:
    if _are_frames(start, _mp3_frame_bytes):
        return "MP3"
    return "AAC" if _are_frames(start, _aac_frame_bytes) else None


def _are_frames(start: bytes, frame_bytes: Callable[[bytes], int]) -> bool:
    """Whether frames of one kind follow each other from the first byte on. A pure tone has equal ones."""
    place, frames = 0, []
    while len(header := start[place : place + 6]) == 6 and header[1] == start[1]:
        size = frame_bytes(header)
        if not size:
            break
        frames.append(start[place : place + size])
        place += size
    return len(frames) >= _LEAST_FRAMES and len(set(frames[:-1])) > 1  # the last may be cut


_MP3_KBITS: Final = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG 2 and 2.5
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG 1
)
_MP3_RATES: Final = ((11_025, 12_000, 8_000), (), (22_050, 24_000, 16_000), (44_100, 48_000, 32_000))


def _mp3_frame_bytes(header: bytes) -> int:
    """Return the size of a frame of Layer III; 0 if that is none."""
    version, bits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    is_mpeg1 = version == 3
    if header[0] != 0xFF or header[1] & 0xE6 != 0xE2 or version == 1 or bits in (0, 15) or rate == 3:
        return 0
    samples_8 = 144 if is_mpeg1 else 72
    return samples_8 * 1000 * _MP3_KBITS[is_mpeg1][bits] // _MP3_RATES[version][rate] + (header[2] >> 1 & 1)


def _aac_frame_bytes(header: bytes) -> int:
    """Return the size of a frame of ADTS; 0 if that is none."""
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    is_frame = header[0] == 0xFF and header[1] & 0xF6 == 0xF0 and header[2] >> 2 & 0xF < 13
    return size if is_frame and size > 7 else 0
