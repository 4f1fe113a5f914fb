"""What counts as PCM16, what counts as base64, and how long audio lasts."""

from __future__ import annotations

import array
import base64
import ctypes
import math
import struct
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from azure_rt_audio.audio import (
    SAMPLE_RATE_HZ,
    bytes_per_ms,
    check_base64,
    decode_base64,
    duration_ms,
    resample,
    to_array,
    to_pcm16,
)

RAMP = [-32768, -1, 0, 1, 258, 32767]
RAMP_PCM = struct.pack("<6h", *RAMP)


def test_importing_the_package_loads_neither_numpy_nor_soxr() -> None:
    """The extra is not touched by the import, nor by anything that can do without it."""
    program = (
        "import sys, io\n"
        "from azure_rt_audio import audio\n"
        "import array\n"
        "audio.to_pcm16(array.array('f', [0.5])); audio.decode_base64('AAAA')\n"
        "file = io.BytesIO(); audio.write_wav(file, bytes(4)); file.seek(0); audio.read_wav(file)\n"
        "sys.exit(', '.join({'numpy', 'soxr'} & set(sys.modules)) or None)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert (done.returncode, done.stderr) == (0, "")


def test_bytes_are_returned_as_they_are() -> None:
    """Bytes come back as the same object."""
    assert to_pcm16(RAMP_PCM) is RAMP_PCM


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(bytearray(RAMP_PCM), id="bytearray"),
        pytest.param(memoryview(bytearray(RAMP_PCM)), id="memoryview"),
        pytest.param(array.array("h", RAMP), id="array"),
        pytest.param(np.array(RAMP, "<i2"), id="numpy"),
        pytest.param(np.array(RAMP, "<i2").reshape(-1, 1), id="numpy-column"),
        pytest.param((ctypes.c_short * 6)(*RAMP), id="ctypes"),
    ],
)
@pytest.mark.skipif(sys.byteorder == "big", reason="a big-endian machine has to swap the bytes")
def test_contiguous_samples_are_not_copied(audio: Any) -> None:
    """The result is a flat view of the caller's own memory."""
    pcm = to_pcm16(audio)

    assert isinstance(pcm, memoryview)
    assert (pcm.format, pcm.ndim, pcm.tobytes()) == ("B", 1, RAMP_PCM)
    memoryview(audio).cast("B")[0:2] = b"\x34\x12"
    assert pcm[0:2].tobytes() == b"\x34\x12"


def test_one_channel_of_an_interleaved_array_is_gathered() -> None:
    """Samples that are not next to each other are copied together."""
    stereo = np.array([RAMP, RAMP[::-1]], np.int16).T

    assert bytes(to_pcm16(stereo[:, 0])) == RAMP_PCM
    assert bytes(to_pcm16(stereo[:, :1])) == RAMP_PCM
    assert bytes(to_pcm16(memoryview(RAMP_PCM + bytes(12))[::1][:12])) == RAMP_PCM


@pytest.mark.parametrize(
    "audio",
    [b"", bytearray(), array.array("h"), array.array("f"), np.zeros(0, "i2"), np.zeros((0, 1), "f4")],
    ids=["bytes", "bytearray", "array-h", "array-f", "numpy-i2", "numpy-f4"],
)
def test_no_audio_is_audio(audio: Any) -> None:
    """An empty buffer of any accepted kind gives no bytes."""
    assert bytes(to_pcm16(audio)) == b""


FLOATS = [-math.inf, -2.0, -1.0, -0.5, 0.0, 0.4 / 32768, 0.6 / 32768, 0.5, 32767 / 32768, 1.0, 2.0, math.inf]
FLOATS_PCM = struct.pack("<12h", -32768, -32768, -32768, -16384, 0, 0, 1, 16384, 32767, 32767, 32767, 32767)


@pytest.mark.filterwarnings("ignore::azure_rt_audio.audio.SoundWarning")
@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(array.array("f", FLOATS), id="array-f"),
        pytest.param(array.array("d", FLOATS), id="array-d"),
        pytest.param((ctypes.c_float * 12)(*FLOATS), id="ctypes"),
        pytest.param(np.array(FLOATS, "f4"), id="numpy-f4"),
        pytest.param(np.array(FLOATS, "f8"), id="numpy-f8"),
        pytest.param(np.array([FLOATS, FLOATS], "f4").T[:, :1], id="numpy-column"),
        pytest.param(np.array(FLOATS, "f4").data, id="view"),
    ],
)
def test_floats_are_scaled_rounded_and_clipped(audio: Any) -> None:
    """-1.0 is -32768, 1.0 is 32767, and what lies beyond is clipped to them."""
    assert bytes(to_pcm16(audio)) == FLOATS_PCM


@pytest.mark.filterwarnings("ignore::azure_rt_audio.audio.SoundWarning")
@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_numpy_and_the_standard_library_agree(values: list[float]) -> None:
    """The same floats give the same bytes from either kind of array."""
    assert to_pcm16(np.array(values, "f4")) == to_pcm16(array.array("f", values))
    assert to_pcm16(np.array(values, "f8")) == to_pcm16(array.array("d", values))


STEREO = np.random.default_rng(0).integers(-32768, 32768, (480, 2)).astype("<i2")


@pytest.mark.parametrize("without_numpy", [False, True])
@pytest.mark.parametrize(
    ("audio", "channels"),
    [
        pytest.param(STEREO, None, id="int16"),
        pytest.param(STEREO / 32768, None, id="float64"),
        pytest.param((STEREO / 32768).astype("f4"), 2, id="float32"),
        pytest.param(np.asfortranarray(STEREO), None, id="planar-in-memory"),
        pytest.param(array.array("h", STEREO.reshape(-1).tolist()), 2, id="array"),
        pytest.param(STEREO.tobytes(), 2, id="bytes"),
        pytest.param(memoryview(STEREO.tobytes()), 2, id="memoryview"),
    ],
)
def test_stereo_is_averaged(
    audio: Any, channels: int | None, without_numpy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each frame becomes the mean of its two samples, rounded down; numpy makes no difference."""
    expected = (STEREO.astype(int).sum(axis=1) // 2).astype("<i2").tobytes()
    if without_numpy and not isinstance(audio, np.ndarray):
        monkeypatch.delitem(sys.modules, "numpy")

    assert to_pcm16(audio, channels=channels) == expected


def test_one_frame_of_stereo_is_not_a_row() -> None:
    """The shape (1, 2) is a frame with two channels."""
    assert to_pcm16(np.array([[100, 300]], "i2")) == struct.pack("<h", 200)
    assert to_pcm16(np.zeros((0, 2), "i2")) == b""


@pytest.mark.parametrize("rate_hz", [8000, 44_100, 48_000])
def test_a_recording_at_another_rate_is_resampled(rate_hz: int) -> None:
    """The result is that of resample, at 24 000 Hz, after mixing."""
    mono = (STEREO.astype(int).sum(axis=1) // 2).astype("<i2").tobytes()

    assert to_pcm16(STEREO, rate_hz) == resample(mono, rate_hz, 24_000)
    assert to_pcm16(mono, rate_hz) == resample(mono, rate_hz, 24_000)
    with pytest.raises(ValueError, match="sample_rate_hz is 0: pass a rate"):
        to_pcm16(mono, 0)


def test_stereo_that_is_cut_or_contradicts_itself_is_refused() -> None:
    """The error counts the bytes, or names the channels."""
    with pytest.raises(ValueError, match=r"audio has 6 bytes, .* times 2 channels per frame: it is cut"):
        to_pcm16(b"123456", channels=2)
    with pytest.raises(ValueError, match=r"shape \(480, 2\), but channels is 3: leave channels out"):
        to_pcm16(STEREO, channels=3)
    with pytest.raises(ValueError, match="channels is 0: pass 1 for mono"):
        to_pcm16(STEREO, channels=0)
    with pytest.raises(ValueError, match="NaN at frame 1: replace it"):
        to_pcm16(np.array([[0.0, 0.0], [0.0, math.nan]], "f4"))


def test_an_array_of_samples_and_back() -> None:
    """All 65,536 samples survive as int16 and as float32, which may be written to."""
    pcm = np.arange(-32768, 32768).astype("<i2").tobytes()

    for dtype in ("int16", "float32"):
        samples = to_array(pcm, dtype)  # type: ignore[arg-type]
        assert (samples.dtype, samples.shape) == (np.dtype(dtype), (65_536,))
        assert to_pcm16(samples) == pcm
        samples[0] = 0
    assert to_array(pcm)[0] == -1.0
    with pytest.raises(ValueError, match="dtype is 'int8': pass"):
        to_array(pcm, "int8")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="audio has 3 bytes"):
        to_array(b"123")


def test_int16_survives_a_trip_through_floats() -> None:
    """Each of the 65,536 samples divided by 32768 comes back as itself."""
    samples = np.arange(-32768, 32768).astype("<i2")

    assert to_pcm16(samples.astype("f4") / 32768) == samples.tobytes()


@pytest.mark.parametrize("kind", [array.array, lambda code, x: np.array(x, code)], ids=["array", "numpy"])
def test_not_a_number_is_refused(kind: Any) -> None:
    """A NaN is reported with its place."""
    with pytest.raises(ValueError, match=r"NaN at frame 2: replace it"):
        to_pcm16(kind("f", [0.0, 0.5, math.nan, math.nan]))


@pytest.mark.parametrize("kind", [bytes, bytearray, lambda x: memoryview(x)], ids=["bytes", "array", "view"])
def test_half_a_frame_is_refused(kind: Any) -> None:
    """An odd number of bytes is counted in the error, with the remedy."""
    with pytest.raises(ValueError, match=r"audio has 5 bytes, but PCM16 has 2 .* next chunk"):
        to_pcm16(kind(b"12345"))


@pytest.mark.parametrize(
    ("audio", "remedy"),
    [
        pytest.param(np.zeros((2, 480), "f4"), r"\(2, 480\).*transposed, pass audio\.T", id="planar"),
        pytest.param(np.zeros((480, 9), "i2"), r"\(480, 9\).*or \(frames, channels\)", id="nine"),
        pytest.param(np.zeros((1, 480), "i2"), r"transposed, pass audio\[0\]", id="row"),
        pytest.param(np.zeros((4, 4, 4), "i2"), r"pass shape \(frames,\)", id="cube"),
        pytest.param(np.array(1, "i2"), r"shape \(\).*pass shape \(frames,\)", id="scalar"),
    ],
)
def test_a_shape_that_is_none_of_audio_is_refused(audio: Any, remedy: str) -> None:
    """The error names the shape and says which ones are taken."""
    with pytest.raises(ValueError, match=remedy):
        to_pcm16(audio)


@pytest.mark.parametrize(
    ("dtype", "remedy"), [("i2", r'astype\("i2"\)'), ("f4", r'astype\("f"\)'), ("f8", r'astype\("d"\)')]
)
def test_the_other_byte_order_is_refused(dtype: str, remedy: str) -> None:
    """Samples in the byte order that the machine does not have are named, not guessed at."""
    foreign = np.zeros(4, dtype).astype(np.dtype(dtype).newbyteorder("S"))

    with pytest.raises(ValueError, match=rf"endian.*{remedy}"):
        to_pcm16(foreign)


@pytest.mark.parametrize("dtype", ["i4", "u2", "i8", "f2", "c8", "?", "u1", "i1"])
def test_other_elements_are_refused(dtype: str) -> None:
    """Integers of another width, half floats and 8-bit samples are not reinterpreted."""
    with pytest.raises(TypeError, match=r"audio has elements of buffer format"):
        to_pcm16(np.zeros(4, dtype))


@pytest.mark.parametrize("audio", [[0, 1], None, 7, object()])
def test_what_is_no_buffer_is_refused(audio: Any) -> None:
    """Objects without memory to look at are named by their type."""
    with pytest.raises(TypeError, match=rf"not {type(audio).__name__}: convert it first"):
        to_pcm16(audio)


def test_text_is_pointed_to_its_decoder() -> None:
    """A str is not mistaken for bytes."""
    text: Any = "AAAA"

    with pytest.raises(TypeError, match=r"decode_base64\(\)"):
        to_pcm16(text)


@given(st.binary())
def test_base64_of_anything_is_accepted(octets: bytes) -> None:
    """What the standard library encodes is accepted, returned as it is, and decoded."""
    text = base64.b64encode(octets).decode()

    assert check_base64(text) is text
    assert decode_base64(text) == octets


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data:audio/wav;base64,AAAA", r"data URL.*pass only what follows the comma"),
        ("AAAA\nAAAA", r"'\\n' at character 4: remove line breaks"),
        (" AAAA", r"' ' at character 0: remove line breaks and spaces"),
        ("AA-_", r"'-' at character 2.*use base64\.b64encode"),
        ("AAA", r"3 characters, and its padding is wrong"),
        ("AA==AAAA", r"'=' at character 2, before its end"),
        ("AB===", r"5 characters, and its padding is wrong"),
        ("====", r"4 characters, and its padding is wrong"),
        ("RIFF\x00\x00", r"'\\x00' at character 4: pass audio as base64, or raw"),
        ("AAAé", r"'é' at character 3"),
        ("AAA\ud800", r"'\\ud800' at character 3"),
    ],
)
def test_what_is_wrong_with_base64_is_said(text: str, message: str) -> None:
    """Each kind of fault has a message of its own, with the remedy."""
    with pytest.raises(ValueError, match=message):
        check_base64(text)


@given(st.text(alphabet="Aa+/-_= \n.", max_size=12))
def test_base64_is_judged_as_the_standard_library_does(text: str) -> None:
    """Text is accepted exactly if a strict decoder takes it and encoding gives it back in length."""
    try:
        expected = base64.b64decode(text, validate=True)
        is_base64 = len(base64.b64encode(expected)) == len(text)
    except ValueError:
        is_base64 = False

    if is_base64:
        assert decode_base64(text) == expected
    else:
        with pytest.raises(ValueError, match=r"the base64 text has"):
            decode_base64(text)


def test_base64_in_bytes_is_refused() -> None:
    """Bytes are raw audio everywhere, so they are not taken for base64."""
    octets: Any = b"AAAA"

    with pytest.raises(TypeError, match=r"must be a str, not bytes"):
        check_base64(octets)


@pytest.mark.parametrize(
    ("audio_format", "rate_hz", "sample_bytes"),
    [("pcm16", SAMPLE_RATE_HZ, 2), ("g711_ulaw", 8000, 1), ("g711_alaw", 8000, 1)],
)
def test_a_second_lasts_a_second(audio_format: str, rate_hz: int, sample_bytes: int) -> None:
    """The bytes of one second are a thousand milliseconds, and one byte less is 999."""
    second = rate_hz * sample_bytes

    assert bytes_per_ms(audio_format) * 1000 == second
    assert duration_ms(second, audio_format) == 1000
    assert duration_ms(second - 1, audio_format) == 999
    assert duration_ms(0, audio_format) == 0


def test_an_unknown_format_is_named() -> None:
    """The error shows the format and the ones there are."""
    with pytest.raises(ValueError, match=r"'mp3': pass one of 'pcm16', 'g711_ulaw', 'g711_alaw'"):
        duration_ms(48, "mp3")
