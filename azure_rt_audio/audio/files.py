"""
Audio files: WAV without dependencies; FLAC, OGG, MP3 and more with the ``audio`` extra (soundfile).

An uncompressed WAV file needs the extra only for another rate. Reading detects the format from the content,
writing takes it from the suffix.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from azure_rt_audio._extras import importing
from azure_rt_audio.errors import MissingExtraError

from .._paths import checked_path
from .._printable import one_line
from .channels import Channel
from .pcm import SAMPLE_RATE_HZ, AudioLike, to_pcm16
from .resample import Resampler, check_rate
from .riff import WavSource, file_mixer, refusal
from .wav import check_order, write_wav

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AudioReader", "read_audio", "write_audio"]

_SUBTYPES: Final = {".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS"), ".mp3": ("MP3", "MPEG_LAYER_III")}
_MP3_INDEXES: Final = (b"Xing", b"Info", b"VBRI")
_MP3_HEAD_BYTES: Final = 4096
"""An index is in the first frame, which is smaller."""
_MP3_REST_BYTES: Final = 1 << 16
_MP3_REST_SECONDS: Final = 0.2
_MP3_STRETCH: Final = 100
"""More than the highest bit rate of a frame is of the lowest."""
_MOST_FRAMES: Final = 1 << 48
"""Beyond every file: what libsndfile says of a stream whose length it does not know is more."""
_COUNTED_FRAMES: Final = 1 << 16
_OGG_PAGE: Final = re.compile(rb"OggS\0(.)", re.DOTALL)
_OGG_BEGINNING: Final = 2
_OGG_BLOCK_BYTES: Final = 1 << 20
_BLOCK_SECONDS: Final = 1.0


def read_audio(
    path: str | os.PathLike[str], sample_rate_hz: int = SAMPLE_RATE_HZ, channel: Channel = "mix"
) -> bytes:
    """
    Return an audio file as PCM16: int16, little-endian, mono; 2 bytes per frame; at *sample_rate_hz*.

    Channels are averaged, with a :class:`SoundWarning` if they cancel each other out; ``channel="left"`` and
    ``"right"`` take the first and the second, as of a telephone call. More than 16 bits are rounded.
    Blocking; for a recording too large for memory, use an :class:`AudioReader`.

    Raises:
        ValueError: The file is empty, damaged, cut short, several recordings in one, or not audio, or is mono
            and has no such channel; names it and a remedy.
        OSError: The file cannot be read.
        MissingExtraError: The file is not WAV, or has another rate, and the ``audio`` extra is not
            installed.
    """
    check_rate("sample_rate_hz", sample_rate_hz)
    with AudioReader(path, channel) as reader:
        resampler = reader.resampler(sample_rate_hz)
        pieces = [resampler.feed(block) for block in reader.blocks(_BLOCK_SECONDS)]
    return b"".join((*pieces, resampler.finish()))


def write_audio(path: str | os.PathLike[str], audio: AudioLike, sample_rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """
    Write a whole recording in the format of the suffix: ``.wav``, ``.flac``, ``.ogg``, ``.mp3``. Blocking.

    Args:
        audio: PCM16: int16, little-endian, mono; 2 bytes per frame; or an array, as
            :func:`~azure_rt_audio.audio.to_pcm16` takes it.
        sample_rate_hz: The rate of *audio*, for the header.

    Raises:
        ValueError: An unknown suffix, a rate that the format does not support, an odd number of bytes.
        OSError: The file cannot be written.
        MissingExtraError: The suffix is not ``.wav``, and the ``audio`` extra is not installed.
    """
    check_order(path, audio)
    name = one_line(os.fspath(checked_path(path)))
    suffix = Path(path).suffix.lower()
    if suffix == ".wav":
        write_wav(path, audio, sample_rate_hz)
        return
    if suffix not in _SUBTYPES:
        raise ValueError(f"{name} ends in {suffix!r}: pass a path that ends in .wav, .flac, .ogg or .mp3")
    pcm = to_pcm16(audio)
    soundfile = _soundfile(f"Writing {name}")
    import numpy

    samples = numpy.frombuffer(pcm, "<i2").astype("i2")
    kind, subtype = _SUBTYPES[suffix]
    content = io.BytesIO()  # a refused write keeps the old file
    try:
        with soundfile.SoundFile(content, "w", sample_rate_hz, 1, subtype, format=kind) as file:
            # In seconds: the OGG encoder overflows the stack with large blocks.
            for start in range(0, len(samples), SAMPLE_RATE_HZ):
                file.write(samples[start : start + SAMPLE_RATE_HZ])
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be written as {kind} at {sample_rate_hz} Hz ({_reason(error)}): "
            "resample it to 24000 Hz, or write .wav"
        ) from error
    Path(path).write_bytes(content.getvalue())


class AudioReader:
    """
    Reads an audio file in blocks, in a ``with`` statement; formats and *channel* as for :func:`read_audio`.

    Attributes:
        name: The path, for error messages.
        sample_rate_hz: The file's rate.
        seconds: Duration according to the header; of an MP3 file without an index an estimate, which may be
            far too short or too long.

    Raises:
        As :func:`read_audio`.

    **Threads**: not shared; one thread at a time.
    """

    def __init__(self, path: str | os.PathLike[str], channel: Channel = "mix") -> None:
        self._channel: Channel = channel
        self.name: Final = os.fspath(checked_path(path))
        self._file = open(path, "rb")  # noqa: SIM115 - close() and the with statement close it
        try:
            self._source = self._opened()
            self.sample_rate_hz: Final = self._source.rate_hz
            try:
                check_rate("sample_rate_hz", self.sample_rate_hz)
            except ValueError as error:
                raise refusal(self.name, f"has a sample rate of {self.sample_rate_hz} Hz") from error
            if not self._source.frames:
                raise refusal(self.name, "holds no sound, or is cut short before it begins")
        except BaseException:
            self._file.close()
            raise
        self.seconds: Final = self._source.frames / self.sample_rate_hz

    def _opened(self) -> WavSource | _LibrarySource:
        start = self._file.read(12)
        self._file.seek(0)
        is_wav = start[:4] in (b"RIFF", b"RF64") and start[8:] == b"WAVE"
        if is_wav or not start:
            try:
                return WavSource(self._file, self.name, self._channel)
            except ValueError as refused:
                # soundfile supports compressed WAV.
                self._file.seek(0)
                try:
                    return _LibrarySource(self._file, self.name, self._channel)
                except (ValueError, MissingExtraError):
                    raise refused from None
        return _LibrarySource(self._file, self.name, self._channel)

    def blocks(self, seconds: float) -> Iterator[bytes]:
        """
        Iterate over the rest of the file in blocks.

        Args:
            seconds: Length of a block; the last one may be shorter.

        Yields:
            PCM16: int16, little-endian, mono, at ``sample_rate_hz``.

        Raises:
            ValueError: The file is damaged, cut short, or several recordings in one.
            OSError: The file cannot be read.
        """
        frames = max(1, round(seconds * self.sample_rate_hz))
        while block := self._source.read(frames):
            yield block

    def resampler(self, sample_rate_hz: int) -> Resampler:
        """Return a resampler of the blocks to *sample_rate_hz*; may raise a ``MissingExtraError``."""
        return Resampler(self.sample_rate_hz, sample_rate_hz)

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._source.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _LibrarySource:
    """The audio of a file that soundfile decodes; the counterpart of :class:`~.riff.WavSource`."""

    def __init__(self, file: IO[bytes], name: str, channel: Channel) -> None:
        soundfile = _soundfile(f"Reading {name}, which is not an uncompressed WAV file,")
        self._name = name
        self._soundfile = soundfile
        self._file = file
        self._sound = self._opened(file)
        self.rate_hz: Final[int] = self._sound.samplerate
        self.frames: Final[int] = self._counted() if self._sound.frames > _MOST_FRAMES else self._sound.frames
        self._mixer = file_mixer(self._sound.channels, channel, name)
        self._left = self.frames
        # Without an index the length of an MP3 file is an estimate: the file may be longer, or shorter.
        self._is_length_known = self._sound.format != "MP3" or _has_mp3_index(file)
        if not self._is_length_known:
            self._sound.close()
            file.seek(0)
            self._sound = self._opened(_Stretched(file))
        self._is_over = False

    def _opened(self, file: IO[bytes] | _Stretched) -> Any:
        try:
            sound = self._soundfile.SoundFile(file)
        except (self._soundfile.SoundFileError, TypeError) as error:
            raise refusal(self._name, f"is damaged, or no audio file ({_reason(error)})") from error
        # Otherwise it seeks after each read, which resets the MP3 decoder: a click per block.
        sound.seekable = lambda: False
        return sound

    def _counted(self) -> int:
        """Decode all of it, and begin anew: a stream need not say how long it is."""
        count = 0
        with contextlib.suppress(self._soundfile.SoundFileError):  # which is told where it is read
            while found := len(self._sound.read(_COUNTED_FRAMES)):
                count += found
        self._sound.close()
        self._file.seek(0)
        self._sound = self._opened(self._file)
        return count

    def read(self, frames: int) -> bytes:
        """Return the next *frames* at most as PCM16, mono; empty at the end."""
        if self._is_over:
            return b""
        wanted = min(frames, self._left) if self._is_length_known else frames
        try:
            samples = self._sound.read(wanted, "float32", always_2d=True)
        except self._soundfile.SoundFileError as error:
            raise refusal(self._name, f"is damaged {self._place()} ({_reason(error)})") from error
        if not len(samples) and self._is_length_known:
            if self._left:
                raise refusal(self._name, f"is cut short or damaged {self._place()}")
            if self._goes_on():
                first = f"the first, of {self.frames / self.rate_hz:.1f} seconds"
                raise refusal(self._name, f"is several recordings in one, of which only {first}, can be read")
        self._left -= len(samples)
        try:
            pcm = to_pcm16(samples.reshape(-1))
        except ValueError as error:
            raise refusal(self._name, "holds samples that are no numbers (NaN)") from error
        if not pcm:
            self._is_over = True
            self._mixer.finish()
        return bytes(self._mixer.feed(pcm))

    def close(self) -> None:
        """Close the library's handle."""
        self._sound.close()

    def _place(self) -> str:
        read = (self.frames - self._left) / self.rate_hz
        if not self._is_length_known:
            return f"after {read:.1f} seconds"
        return f"after {read:.1f} of {self.frames / self.rate_hz:.1f} seconds"

    def _goes_on(self) -> bool:
        """Whether another recording follows, which the library does not read; moves the file's position."""
        if self._sound.format == "OGG":
            return _is_ogg_chain(self._file)
        if self._sound.format != "MP3":
            return False
        rest = io.BytesIO(self._file.read(_MP3_REST_BYTES))  # tags, as a rule, or nothing
        try:
            with self._soundfile.SoundFile(rest) as sound:
                return bool(sound.frames > _MP3_REST_SECONDS * sound.samplerate)
        except (self._soundfile.SoundFileError, TypeError):
            return False


class _Stretched:
    """
    A file that seems longer than it is.

    libsndfile reads an MP3 file without an index no further than it takes it to last, by the size of the file
    and the bit rate of its first frame. So it is told a size that is too large, and finds the end.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._is_at_end = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._is_at_end = whence == os.SEEK_END and not offset
        self._file.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        return self._file.tell() * (_MP3_STRETCH if self._is_at_end else 1)

    def read(self, size: int = -1) -> bytes:
        self._is_at_end = False
        return self._file.read(size)


def _has_mp3_index(file: IO[bytes]) -> bool:
    """Whether an MP3 file says how long it is."""
    position = file.tell()  # of the library
    file.seek(0)
    head = file.read(10)
    tag_bytes = 0
    if head.startswith(b"ID3") and len(head) == 10:  # a tag, which may hold pictures
        for octet in head[6:]:
            tag_bytes = tag_bytes << 7 | octet & 0x7F
        tag_bytes += 10
    file.seek(tag_bytes)
    start = file.read(_MP3_HEAD_BYTES)
    file.seek(position)
    return any(mark in start for mark in _MP3_INDEXES)


def _is_ogg_chain(file: IO[bytes]) -> bool:
    """Whether another stream begins after the first one has; moves the position."""
    file.seek(0)
    has_begun, before = False, b""
    while block := file.read(_OGG_BLOCK_BYTES):
        for page in _OGG_PAGE.finditer(before + block):
            if not page[1][0] & _OGG_BEGINNING:
                has_begun = True
            elif has_begun:
                return True
        before = block[-5:]
    return False


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).rstrip(".")  # without the repr of the file


def _soundfile(what: str) -> Any:
    with importing("soundfile", "audio", what):
        import soundfile
    return soundfile
