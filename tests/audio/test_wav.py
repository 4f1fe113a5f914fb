"""WAV files of every uncompressed kind, whole, streamed and cut short."""

from __future__ import annotations

import array
import io
import math
import struct
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azure_rt_audio.audio import (
    WavWriter,
    alaw_encode,
    duration_ms,
    read_wav,
    to_pcm16,
    ulaw_encode,
    write_wav,
)

RAMP = [-32768, -12345, -256, -1, 0, 1, 255, 12345, 32767]
RAMP_PCM = struct.pack("<9h", *RAMP)
INTEGER, FLOAT, ALAW, ULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
UNKNOWN = 0xFFFFFFFF
FFMPEG = r"convert it with: ffmpeg -i .* out\.wav"
SUBTYPE_TAIL = bytes.fromhex("0000 0000 1000 8000 00aa 0038 9b71")


def chunk(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    """Return a chunk, padded to an even size; *size* is what it claims to hold."""
    claimed = len(content) if size is None else size
    return kind + struct.pack("<I", claimed) + content + bytes(len(content) % 2)


def fmt(bits: int, *, tag: int = INTEGER, channels: int = 1, rate_hz: int = 24_000) -> bytes:
    """Return a format chunk."""
    block = channels * ((bits + 7) // 8)
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block, block, bits))


def riff(*chunks: bytes, size: int | None = None) -> io.BytesIO:
    """Return a file of *chunks*; *size* is what its header claims."""
    content = b"WAVE" + b"".join(chunks)
    claimed = len(content) if size is None else size
    return io.BytesIO(b"RIFF" + struct.pack("<I", claimed) + content)


def packed(values: list[int], width: int) -> bytes:
    """Return *values*, 16 bits each, as the upper bits of little-endian integers of *width* bytes."""
    return b"".join((value << 8 * (width - 2)).to_bytes(width, "little", signed=True) for value in values)


def test_pcm16_at_24_khz_is_returned_as_it_is() -> None:
    """What is already right is not touched."""
    assert read_wav(riff(fmt(16), chunk(b"data", RAMP_PCM))) == RAMP_PCM


@pytest.mark.parametrize("width", [3, 4])
def test_wider_integers_keep_their_upper_bits(width: int) -> None:
    """What 24 and 32-bit samples have of 16 bits stays as it is."""
    assert read_wav(riff(fmt(8 * width), chunk(b"data", packed(RAMP, width)))) == RAMP_PCM


@pytest.mark.parametrize("width", [3, 4])
def test_wider_integers_are_rounded(width: int) -> None:
    """As floats are, and so as the samples of other files: to the nearest, in the middle to an even one."""
    unit = 1 << 8 * (width - 2)
    halves = [number * unit // 2 for number in range(-9, 10)]
    values = [near for half in halves for near in (half - 1, half, half + 1)]
    values += [-32768 * unit, 32767 * unit + unit // 2, 32768 * unit - 1]
    content = b"".join(value.to_bytes(width, "little", signed=True) for value in values)

    got = read_wav(riff(fmt(8 * width), chunk(b"data", content)))

    assert got == bytes(to_pcm16(array.array("d", [value / unit / 32768 for value in values])))


def test_8_bit_samples_are_unsigned() -> None:
    """128 is silence, 0 and 255 are the ends."""
    expected = struct.pack("<3h", -32768, 0, 32512)

    assert read_wav(riff(fmt(8), chunk(b"data", bytes([0, 128, 255])))) == expected


@pytest.mark.filterwarnings("ignore::azure_rt_audio.audio.SoundWarning")
@pytest.mark.parametrize(("code", "bits"), [("f", 32), ("d", 64)])
def test_floats_are_scaled_and_clipped(code: str, bits: int) -> None:
    """Floats mean what they mean in an array."""
    values = [-1.5, -1.0, -0.25, 0.0, 0.5, 1.0, 2.0]
    content = struct.pack(f"<7{code}", *values)

    got = read_wav(riff(fmt(bits, tag=FLOAT), chunk(b"data", content)))

    assert got == bytes(to_pcm16(array.array("d", values)))


@pytest.mark.parametrize(("tag", "encode"), [(ALAW, alaw_encode), (ULAW, ulaw_encode)], ids=["alaw", "ulaw"])
def test_telephone_recordings_are_read(tag: int, encode: Any) -> None:
    """G.711 in a WAV file at 8 kHz comes out three times as long, at 24 kHz."""
    codes = encode(bytes(1600))

    got = np.frombuffer(read_wav(riff(fmt(8, tag=tag, rate_hz=8000), chunk(b"data", codes))), "<i2")

    assert len(got) == 2400
    assert np.max(np.abs(got.astype(int))) <= 16  # the codes next to zero are not zero in A-law


@pytest.mark.filterwarnings("ignore::azure_rt_audio.audio.SoundWarning")  # opposite samples cancel
@given(st.lists(st.tuples(st.integers(-32768, 32767), st.integers(-32768, 32767)), max_size=50))
def test_stereo_is_averaged(frames: list[tuple[int, int]]) -> None:
    """Each frame becomes the mean of its two samples, rounded down."""
    content = b"".join(struct.pack("<hh", *frame) for frame in frames)
    expected = b"".join(struct.pack("<h", sum(frame) // 2) for frame in frames)

    assert read_wav(riff(fmt(16, channels=2), chunk(b"data", content))) == expected


def test_six_channels_are_averaged() -> None:
    """Surround sound is no exception, at any width."""
    content = packed([600, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6], 3)

    assert read_wav(riff(fmt(24, channels=6), chunk(b"data", content))) == struct.pack("<2h", 100, 3)


@pytest.mark.parametrize(
    ("bits", "valid_bits", "tag", "content"),
    [
        pytest.param(16, 16, INTEGER, RAMP_PCM, id="16"),
        pytest.param(24, 20, INTEGER, packed(RAMP, 3), id="20-in-24"),
        pytest.param(32, 24, INTEGER, packed(RAMP, 4), id="24-in-32"),
        pytest.param(32, 32, FLOAT, struct.pack("<9f", *(x / 32768 for x in RAMP)), id="float"),
    ],
)
def test_the_extensible_format_is_read(bits: int, valid_bits: int, tag: int, content: bytes) -> None:
    """WAVE_FORMAT_EXTENSIBLE names its encoding by a GUID."""
    extension = struct.pack("<HHIH", 22, valid_bits, 4, tag) + SUBTYPE_TAIL
    header = chunk(b"fmt ", fmt(bits, tag=EXTENSIBLE)[8:] + extension)

    assert read_wav(riff(header, chunk(b"data", content))) == RAMP_PCM


@pytest.mark.parametrize("pad", [b"\0", b""], ids=["padded", "unpadded"])
def test_other_chunks_are_stepped_over(pad: bytes) -> None:
    """Chunks of odd size before the audio are skipped, and those after it are not audio."""
    note = b"LIST" + struct.pack("<I", 5) + b"hello" + pad

    assert read_wav(riff(note, fmt(16), note, chunk(b"data", RAMP_PCM), note)) == RAMP_PCM


@pytest.mark.parametrize(
    ("riff_size", "data_size"),
    [(UNKNOWN, UNKNOWN), (0, 0), (36, 0), (UNKNOWN, 0), (None, UNKNOWN), (0x7FFFF024, 0x7FFFF000)],
)
def test_a_streamed_file_is_read_to_its_end(riff_size: int | None, data_size: int) -> None:
    """A header written before the size was known does not hide the audio."""
    assert read_wav(riff(fmt(16), chunk(b"data", RAMP_PCM, data_size), size=riff_size)) == RAMP_PCM


def test_an_empty_recording_is_empty() -> None:
    """A header that knows its size may say that there is no audio, whatever follows."""
    assert read_wav(riff(fmt(16), chunk(b"data", b""))) == b""
    assert read_wav(riff(fmt(16), chunk(b"data", b""), chunk(b"LIST", b"hello!"))) == b""


def test_the_sizes_of_rf64_are_read() -> None:
    """A file of the 64-bit kind ends where its ds64 chunk says."""
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, len(RAMP_PCM), len(RAMP), 0))
    content = riff(sizes, fmt(16), chunk(b"data", RAMP_PCM, UNKNOWN), chunk(b"LIST", b"hello!"), size=UNKNOWN)

    assert read_wav(io.BytesIO(b"RF64" + content.getvalue()[4:])) == RAMP_PCM


@given(st.integers(0, 44 + 36))
def test_a_file_cut_anywhere_is_read_as_far_as_it_goes(length: int) -> None:
    """Cut in the header it is refused by a ValueError, later on its whole frames are returned."""
    stereo = riff(fmt(16, channels=2), chunk(b"data", bytes(range(36)))).getvalue()
    whole = read_wav(io.BytesIO(stereo))

    if length < 44:
        with pytest.raises(ValueError, match=r"the file (is empty|is not|has )"):
            read_wav(io.BytesIO(stereo[:length]))
    else:
        assert read_wav(io.BytesIO(stereo[:length])) == whole[: (length - 44) // 4 * 2]


@given(st.binary(max_size=120), st.integers(0, 60))
def test_garbage_never_escapes_as_another_error(garbage: bytes, position: int) -> None:
    """Whatever the bytes, the result is audio or a ValueError."""
    content = bytearray(riff(fmt(16), chunk(b"data", RAMP_PCM)).getvalue())
    content[position : position + len(garbage)] = garbage

    for candidate in (bytes(content), garbage, b"RIFF\0\0\0\0WAVE" + garbage):
        try:
            outcome = "audio" if len(read_wav(io.BytesIO(candidate))) % 2 == 0 else "half a frame"
        except ValueError as error:
            outcome = str(error)
        assert outcome == "audio" or outcome.startswith("the file ")


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_becomes_24_khz(rate_hz: int, channels: int) -> None:
    """A tone keeps its pitch and its length."""
    phase = 2 * np.pi * 440 * np.arange(rate_hz) / rate_hz
    samples = np.repeat(np.rint(16384 * np.sin(phase)).astype("<i2"), channels)

    pcm = read_wav(riff(fmt(16, channels=channels, rate_hz=rate_hz), chunk(b"data", samples.tobytes())))

    assert duration_ms(len(pcm)) == 1000
    spectrum = np.abs(np.fft.rfft(np.frombuffer(pcm, "<i2")))
    assert int(np.argmax(spectrum)) == 440


@pytest.mark.parametrize("rate_hz", [1, 1_000_000])
def test_an_impossible_rate_is_refused(rate_hz: int) -> None:
    """A rate that no resampler takes is named, with the remedy."""
    with pytest.raises(ValueError, match=rf"the file has a sample rate of {rate_hz} Hz: {FFMPEG}"):
        read_wav(riff(fmt(16, rate_hz=rate_hz), chunk(b"data", RAMP_PCM)))


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        pytest.param(io.BytesIO(b"ID3\x04" + bytes(40)), "is not a WAV file, it begins with b'ID3", id="mp3"),
        pytest.param(riff(fmt(4, tag=0x11), chunk(b"data", RAMP_PCM)), r"compressed .* 0x0011", id="adpcm"),
        pytest.param(riff(fmt(16, tag=FLOAT), chunk(b"data", RAMP_PCM)), "0x0003, 2 bytes", id="half"),
        pytest.param(riff(chunk(b"data", RAMP_PCM)), 'no "fmt " chunk before', id="no-fmt"),
        pytest.param(riff(chunk(b"fmt ", bytes(14))), "chunk of 14 bytes, too short", id="short-fmt"),
        pytest.param(riff(fmt(16)), "ends before its data chunk", id="no-data"),
        pytest.param(riff(fmt(16, channels=0), chunk(b"data", b"")), "0 channels at 24000", id="no-channel"),
        pytest.param(riff(fmt(16, rate_hz=0), chunk(b"data", b"")), "1 channels at 0 Hz", id="no-rate"),
        pytest.param(
            riff(fmt(32, tag=FLOAT), chunk(b"data", struct.pack("<f", math.nan))), "no numbers", id="nan"
        ),
    ],
)
def test_what_cannot_be_read_is_refused(file: io.BytesIO, fault: str) -> None:
    """The error says what is wrong and how to convert the file."""
    with pytest.raises(ValueError, match=rf"the file .*{fault}.*{FFMPEG}"):
        read_wav(file)


def test_the_error_names_the_path(tmp_path: Path) -> None:
    """The remedy can be pasted into a shell."""
    path = tmp_path / "song.mp3"
    path.write_bytes(b"\xff\xfb\x90\x00" + bytes(20))

    with pytest.raises(
        ValueError, match=r"song\.mp3 is not a WAV file.*ffmpeg -i .*song\.mp3 -ar 24000 -ac 1"
    ):
        read_wav(path)
    with path.open("rb") as file, pytest.raises(ValueError, match=r"song\.mp3 is not a WAV"):
        read_wav(file)


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    """Errors of the operating system stay what they are."""
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "none.wav")


def test_24_khz_stereo_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mixing is done without numpy; another rate names the extra."""
    for name in ("numpy", "soxr"):
        monkeypatch.setitem(sys.modules, name, None)
    stereo = chunk(b"data", struct.pack("<4h", 1, 3, -5, -7))

    assert read_wav(riff(fmt(16, channels=2), stereo)) == struct.pack("<2h", 2, -6)
    with pytest.raises(ImportError, match=r"azure-rt-audio\[audio\]"):
        read_wav(riff(fmt(16, channels=2, rate_hz=48_000), stereo))


@pytest.mark.parametrize("rate_hz", [8000, 24_000])
def test_what_is_written_is_what_others_read(tmp_path: Path, rate_hz: int) -> None:
    """The standard library's reader sees 16-bit mono at the rate given, and the same frames."""
    path = tmp_path / "a.wav"

    write_wav(path, np.array(RAMP, np.int16), rate_hz)

    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate_hz)
        assert file.readframes(100) == RAMP_PCM


def test_a_file_object_is_written_and_left_open(tmp_path: Path) -> None:
    """A path and an open file get the same bytes."""
    path, file = tmp_path / "a.wav", io.BytesIO()

    write_wav(str(path), RAMP_PCM)
    write_wav(file, RAMP_PCM)

    assert path.read_bytes() == file.getvalue()
    assert read_wav(path) == RAMP_PCM


@given(st.lists(st.binary(max_size=40).map(lambda octets: octets[: len(octets) & ~1]), max_size=6))
def test_the_writer_leaves_a_true_header_after_every_write(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    """At every moment the file on disk is a whole WAV file with all that was written."""
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    written = b""
    with WavWriter(path) as writer:
        for piece in (b"", *chunks):
            writer.write(piece)
            written += piece
            with wave.open(str(path), "rb") as file:
                assert file.readframes(1000) == written
            assert struct.unpack_from("<I", path.read_bytes(), 4) == (36 + len(written),)

    assert read_wav(path) == written


def test_a_crash_between_audio_and_header_loses_no_earlier_audio(tmp_path: Path) -> None:
    """Audio that the header does not count yet leaves the file valid."""
    path = tmp_path / "a.wav"
    with WavWriter(path) as writer:
        writer.write(RAMP_PCM)
    with path.open("ab") as file:
        file.write(RAMP_PCM)

    assert read_wav(path) == RAMP_PCM


def test_a_writer_is_playable_before_the_first_write(tmp_path: Path) -> None:
    """An opened writer has already made an empty recording; flush and a second close are harmless."""
    path = tmp_path / "a.wav"
    writer = WavWriter(path, 16_000)

    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnframes()) == (16_000, 0)
    writer.write(RAMP_PCM)
    writer.flush()
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match=r"a\.wav is closed: open another"):
        writer.write(RAMP_PCM)


def test_a_refused_write_changes_nothing(tmp_path: Path) -> None:
    """Half a frame is refused before anything is written."""
    path = tmp_path / "a.wav"
    with WavWriter(path) as writer:
        writer.write(RAMP_PCM)
        with pytest.raises(ValueError, match=r"audio has 3 bytes"):
            writer.write(b"123")
        writer.write(RAMP_PCM)

    assert read_wav(path) == 2 * RAMP_PCM


def test_a_rate_that_is_none_is_refused_before_the_file_is_touched(tmp_path: Path) -> None:
    """A wrong argument does not cost the old recording."""
    path = tmp_path / "a.wav"
    write_wav(path, RAMP_PCM)

    with pytest.raises(ValueError, match="sample_rate_hz is 0"):
        WavWriter(path, 0)
    with pytest.raises(ValueError, match=r"sample_rate_hz is 44100\.5: .* whole Hz"):
        write_wav(path, RAMP_PCM, 44100.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sample_rate_hz is -1"):
        write_wav(path, b"", -1)

    assert read_wav(path) == RAMP_PCM


@pytest.mark.parametrize("name", ["question.wav", "interruption.wav"])
def test_the_shipped_recordings_are_fit_for_a_demonstration(name: str) -> None:
    """Speech at a sane level, with enough silence after it to end the turn, in a small file."""
    import azure_rt_audio

    path = Path(azure_rt_audio.__file__).parent / "data" / name
    samples = np.frombuffer(read_wav(path), "<i2") / 32768

    assert path.stat().st_size < 250_000
    assert path.stat().st_size == 44 + 2 * len(samples)
    assert np.max(np.abs(samples)) < 10 ** (-3 / 20)
    assert -23 < 20 * math.log10(math.sqrt(float(np.mean(samples**2)))) < -17
    assert not samples[-int(0.65 * 24_000) :].any()
    assert not samples[: int(0.25 * 24_000)].any()
