"""Every door for sound takes the same arrays alike, or refuses them by name; what destroys sound is told."""

from __future__ import annotations

import array
import io
import math
import warnings
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from azure_rt_audio.audio import (
    AudioReader,
    Converter,
    Resampler,
    SoundWarning,
    WavWriter,
    alaw_decode,
    alaw_encode,
    read_audio,
    read_wav,
    resample,
    to_array,
    to_pcm16,
    ulaw_decode,
    ulaw_encode,
    write_audio,
    write_wav,
)
from azure_rt_audio.audio.level import level_db, peak_db
from azure_rt_audio.devices import SimulatedMicrophone, SimulatedSpeaker

FRAMES = 4_800
SINE = numpy.sin(2 * math.pi * 440 * numpy.arange(FRAMES) / 24_000) * 0.25
PCM = numpy.rint(SINE * 32_768).astype("<i2")
EXPECTED = PCM.tobytes()


def _file(write: Callable[[Path, Any], object]) -> Callable[[Any, Path], bytes]:
    def door(sound: Any, folder: Path) -> bytes:
        write(folder / "x.wav", sound)
        return read_wav(folder / "x.wav")

    return door


def _writer(path: Path, sound: Any) -> None:
    with WavWriter(path) as writer:
        writer.write(sound)


def _microphone(sound: Any, folder: Path) -> bytes:
    first, second = SimulatedMicrophone(sound), SimulatedMicrophone()
    second.say(sound)
    assert first._waiting == second._waiting
    return bytes(second._waiting)


def _speaker(sound: Any, folder: Path) -> bytes:
    speaker = SimulatedSpeaker()
    speaker.play(sound)
    return bytes(speaker._items[""].waiting)


DOORS: dict[str, Callable[[Any, Path], bytes]] = {
    "to_pcm16": lambda sound, folder: bytes(to_pcm16(sound)),
    "resample": lambda sound, folder: resample(sound, 24_000, 24_000),
    "Resampler": lambda sound, folder: Resampler(24_000, 24_000).feed(sound),
    "Converter": lambda sound, folder: Converter(channels=_channels(sound)).feed(sound),
    "to_array": lambda sound, folder: to_array(sound, "int16").astype("<i2").tobytes(),
    "write_wav": _file(write_wav),
    "write_audio": _file(write_audio),
    "WavWriter": _file(_writer),
    "microphone": _microphone,
    "speaker": _speaker,
    "levels": lambda sound, folder: EXPECTED if (level_db(sound), peak_db(sound)) == LEVELS else b"",
    "ulaw_encode": lambda sound, folder: EXPECTED if ulaw_encode(sound) == ULAW else b"",
    "alaw_encode": lambda sound, folder: EXPECTED if alaw_encode(sound) == ALAW else b"",
}
LEVELS = (level_db(EXPECTED), peak_db(EXPECTED))
ULAW, ALAW = ulaw_encode(EXPECTED), alaw_encode(EXPECTED)


def _channels(sound: Any) -> int:
    return int(sound.shape[1]) if getattr(sound, "ndim", 1) == 2 and sound.shape[1] <= 8 else 1


TAKEN: dict[str, Any] = {
    "bytes": EXPECTED,
    "bytearray": bytearray(EXPECTED),
    "memoryview": memoryview(EXPECTED),
    "int16": PCM,
    "float32": SINE.astype("f4"),
    "float64": SINE,
    "array.array h": array.array("h", PCM.tolist()),
    "array.array d": array.array("d", SINE.tolist()),
    "memoryview h": memoryview(array.array("h", PCM.tolist())),
    "every other": numpy.repeat(PCM, 2)[::2],
    "(frames, 1)": PCM.reshape(-1, 1),
    "stereo": numpy.column_stack((PCM, PCM)),
    "stereo floats": numpy.column_stack((SINE, SINE)),
    "stereo in columns": numpy.asfortranarray(numpy.column_stack((PCM, PCM))),
}
REFUSED: dict[str, tuple[Any, str]] = {
    "list": (PCM.tolist(), "numpy.asarray"),
    "None": (None, "not NoneType"),
    "text": ("AAAA", "base64"),
    "path": (Path("x.wav"), "send_audio_file"),
    "int32": ((SINE * 2**31).astype("i4"), "int16, float32 or float64"),
    "uint16": (PCM.astype("u2"), "int16, float32 or float64"),
    "int8": (numpy.zeros(100, "i1"), "bytes each"),
    "float16": (SINE.astype("f2"), "int16, float32 or float64"),
    "bool": (numpy.zeros(100, "?"), "bytes each"),
    "complex": (SINE.astype("c8"), "int16, float32 or float64"),
    "big-endian": (PCM.astype(">i2"), "big-endian"),
    "big-endian floats": (SINE.astype(">f4"), "big-endian"),
    "transposed": (numpy.zeros((2, 100), "i2"), r"audio\.T"),
    "three dimensions": (numpy.zeros((2, 2, 2), "i2"), "shape"),
    "scalar": (numpy.int16(1), "shape"),
    "NaN": (numpy.array([0.0, math.nan]), "NaN at frame 1"),
    "odd": (b"\0\0\0", "2 bytes"),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", TAKEN)
def test_what_is_taken(kind: str, door: str, tmp_path: Path) -> None:
    """Type, byte order, strides and channels do not matter; only a stream of mono refuses more channels."""
    if door == "Resampler" and _channels(TAKEN[kind]) > 1:
        with pytest.raises(ValueError, match=r"Converter\(from_hz=24000, to_hz=24000, channels=2\)"):
            DOORS[door](TAKEN[kind], tmp_path)
        return

    assert DOORS[door](TAKEN[kind], tmp_path) == EXPECTED


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind: str, door: str, tmp_path: Path) -> None:
    """By name and with a remedy; noise never comes out."""
    sound, remedy = REFUSED[kind]
    if kind == "odd" and door in ("Resampler", "Converter"):
        assert DOORS[door](sound, tmp_path) == b"\0\0"  # the rest may come with the next chunk
        return

    with pytest.raises((ValueError, TypeError), match=remedy):
        DOORS[door](sound, tmp_path)


@pytest.mark.parametrize(
    "decode", [ulaw_decode, alaw_decode, Converter(from_format="g711_ulaw", to_hz=8_000).feed]
)
def test_g711_is_bytes(decode: Callable[[Any], bytes]) -> None:
    """One per sample, in any buffer of bytes; not the memory of wider elements."""
    taken = [kind(ULAW) for kind in (bytes, bytearray, memoryview)]
    assert len({decode(sound) for sound in [*taken, numpy.frombuffer(ULAW, "u1")]}) == 1
    for sound in (PCM, SINE, memoryview(array.array("h", [1])), [1, 2]):
        with pytest.raises(TypeError):
            decode(sound)


LEFT, RIGHT = PCM, numpy.rint(SINE[::-1] * 16_384).astype("<i2")
STEREO = numpy.column_stack((LEFT, RIGHT))
MIXED = ((LEFT.astype("i4") + RIGHT) // 2).astype("<i2").tobytes()
CHOICES = {"left": LEFT.tobytes(), "right": RIGHT.tobytes(), "mix": MIXED}


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """A recorded call: one side left, the other right."""
    path = tmp_path / "call.wav"
    _write_stereo(path, STEREO)
    return path


def _write_stereo(path: Path, frames: Any) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(frames.astype("<i2").tobytes())


@pytest.mark.parametrize("channel", CHOICES)
def test_a_channel(channel: Any, call: Path) -> None:
    """Of files, bytes, arrays and streams in chunks of any size."""
    octets = STEREO.tobytes()
    with AudioReader(call, channel) as reader:
        blocks = b"".join(reader.blocks(0.01))
    stream = Converter(channels=2, channel=channel)
    chunks = [stream.feed(octets[start : start + 999]) for start in range(0, len(octets), 999)]

    assert [
        read_wav(call, channel),
        read_wav(io.BytesIO(call.read_bytes()), channel=channel),
        read_audio(call, channel=channel),
        blocks,
        bytes(to_pcm16(octets, channels=2, channel=channel)),
        bytes(to_pcm16(STEREO, channel=channel)),
        b"".join(chunks),
    ] == [CHOICES[channel]] * 7


def test_a_channel_of_another_format(tmp_path: Path) -> None:
    """FLAC is read by a library."""
    import soundfile

    soundfile.write(tmp_path / "call.flac", STEREO, 24_000)

    assert read_audio(tmp_path / "call.flac", channel="right") == CHOICES["right"]


def test_channels_that_there_are_not(tmp_path: Path) -> None:
    """A side of mono, which would be both sides, and a channel of another name are refused by name."""
    write_wav(tmp_path / "mono.wav", EXPECTED)
    bad: Any = "Left"
    for refused in (
        lambda: read_wav(tmp_path / "mono.wav", "left"),
        lambda: read_audio(tmp_path / "mono.wav", channel="right"),
        lambda: AudioReader(tmp_path / "mono.wav", "right"),
        lambda: to_pcm16(EXPECTED, channel="left"),
        lambda: Converter(channel="right"),
    ):
        with pytest.raises(ValueError, match="mono"):
            refused()
    for refused in (lambda: to_pcm16(STEREO, channel=bad), lambda: read_wav(tmp_path / "mono.wav", bad)):
        with pytest.raises(ValueError, match='pass "left", "right" or "mix"'):
            refused()


INVERTED = numpy.column_stack((PCM, -PCM))
TOLD: dict[str, tuple[Callable[[Path], object], str]] = {
    "to_pcm16": (lambda path: to_pcm16(INVERTED), "cancel"),
    "bytes": (lambda path: to_pcm16(INVERTED.tobytes(), channels=2), "cancel"),
    "nearly": (lambda path: to_pcm16(numpy.column_stack((PCM, -PCM // 10 * 9))), "cancel"),
    "short": (lambda path: to_pcm16(INVERTED[:500]), "cancel"),
    "resample": (lambda path: resample(INVERTED, 24_000, 24_000), "cancel"),
    "read_wav": (read_wav, "cancel"),
    "read_audio": (read_audio, "cancel"),
    "write_wav": (lambda path: write_wav(io.BytesIO(), INVERTED), "cancel"),
    "stream": (lambda path: list(map(Converter(channels=2).feed, [INVERTED] * 3)), "cancel"),
    "loud": (lambda path: to_pcm16(SINE * 8), "clipped"),
    "int16 in floats": (lambda path: to_pcm16(PCM.astype("f4")), "clipped"),
    "a peak": (lambda path: to_pcm16(numpy.array([0.0] * 999 + [3.0])), "clipped"),
    "infinite": (lambda path: to_pcm16(array.array("d", [0.0, math.inf])), "clipped"),
    "a chunk": (lambda path: Converter().feed(SINE * 8), "clipped"),
    "too quiet": (lambda path: to_pcm16(SINE / 2**18), "smallest step"),
    "too quiet, array": (lambda path: to_pcm16(array.array("f", [1e-6] * 10)), "smallest step"),
}


@pytest.mark.parametrize("case", TOLD)
def test_what_is_told(case: str, tmp_path: Path) -> None:
    """Once, about the line of the program, with the remedy."""
    _write_stereo(tmp_path / "x.wav", INVERTED)
    destroy, word = TOLD[case]

    with pytest.warns(SoundWarning, match=word) as told:
        destroy(tmp_path / "x.wav")

    assert [Path(warning.filename).name for warning in told] == [Path(__file__).name]


def test_what_is_not_told(tmp_path: Path) -> None:
    """Silence, one side only, sides that differ, eight of them, edges of decoders, and a chosen side."""
    noise = numpy.random.default_rng(1).integers(-9_000, 9_000, (FRAMES, 8))
    _write_stereo(tmp_path / "x.wav", INVERTED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_pcm16(numpy.zeros((FRAMES, 2)))
        to_pcm16(numpy.column_stack((PCM, PCM * 0)))
        to_pcm16(STEREO)
        to_pcm16(noise.astype("i2"))
        to_pcm16(numpy.column_stack((PCM // 1000, -(PCM // 1000))))  # below -60 dB
        to_pcm16(numpy.array([1.2] * 5 + [0.5] * 995))
        to_pcm16(numpy.zeros(10))
        Converter().feed(SINE / 2**18)  # a block of noise of a decoder
        assert to_pcm16(INVERTED, channel="right") == (-PCM).tobytes()
        assert read_audio(tmp_path / "x.wav", channel="left") == EXPECTED


def test_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same words and the same sound where numpy is not installed."""
    import sys

    octets = INVERTED.tobytes()
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.warns(SoundWarning, match="cancel"):
        assert not any(to_pcm16(octets, channels=2)[:100])
    with pytest.warns(SoundWarning, match="clipped"):
        to_pcm16(array.array("f", [8.0, 0.1]))
    assert to_pcm16(STEREO.tobytes(), channels=2) == MIXED
