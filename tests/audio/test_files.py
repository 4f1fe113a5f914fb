"""Audio files of every kind: read, written, sent, and refused by name when they are damaged."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from listeners import HANG, NO_VAD, Connect, ready, received

from azure_rt_audio import AzureRealTimeAudio, ConnectionClosedError
from azure_rt_audio.audio import (
    AudioReader,
    read_audio,
    read_wav,
    resample,
    to_pcm16,
    ulaw_encode,
    write_audio,
    write_wav,
)
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.errors import MissingExtraError

FFMPEG = r"convert it with: ffmpeg -i .*"
KINDS = ["wav", "flac", "ogg", "mp3"]


def tone(rate_hz: int, seconds: float, channels: int = 1) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return 440 Hz at a quarter of full scale, with the shape (frames, channels)."""
    phase = 2 * np.pi * 440 * np.arange(int(rate_hz * seconds)) / rate_hz
    return np.repeat(np.rint(8192 * np.sin(phase)).astype(np.int16)[:, None], channels, axis=1)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read(tmp_path: Path, kind: str) -> None:
    """WAV and FLAC come back byte for byte; OGG and MP3 as long as they were, and as loud."""
    path, pcm = tmp_path / f"a.{kind}", tone(24_000, 2).tobytes()

    write_audio(path, pcm)
    got = read_audio(path)

    if kind in ("wav", "flac"):
        assert got == pcm
    assert len(got) == len(pcm)
    error = np.frombuffer(got, "<i2").astype(int) - np.frombuffer(pcm, "<i2")
    assert np.sqrt(np.mean(error[2400:-2400] ** 2)) < 8192 / 50
    with AudioReader(path) as reader:
        assert (reader.sample_rate_hz, reader.seconds) == (24_000, 2.0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.aiff", {}),
        ("a.au", {"subtype": "ULAW"}),
        ("a.flac", {"subtype": "PCM_24"}),
        ("a.ogg", {"subtype": "OPUS"}),
        ("a.mp3", {}),
        ("a.w64", {"subtype": "FLOAT"}),
        ("a.wav", {"subtype": "IMA_ADPCM"}),
        ("a.wav", {"subtype": "DOUBLE"}),
        ("misnamed.txt", {"format": "FLAC"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value.values()),
)
def test_files_of_others_are_read(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    """Whatever the container, the encoding and the name: 48 kHz stereo becomes 24 kHz mono."""
    path = tmp_path / name
    soundfile.write(path, tone(48_000, 1, channels=2) / 32768, 48_000, **options)

    got = np.frombuffer(read_audio(path), "<i2").astype(int)

    assert abs(len(got) - 24_000) <= 512  # ADPCM comes in blocks
    error = got[2400:21_600] - tone(24_000, 1)[2400:21_600, 0]
    assert np.sqrt(np.mean(error**2)) < 8192 / 20


def test_a_file_at_the_rate_that_is_asked_for(tmp_path: Path) -> None:
    """The rate is a parameter, and the file's own needs no resampling."""
    sound = tone(16_000, 1)
    write_audio(tmp_path / "a.flac", sound, 16_000)

    assert read_audio(tmp_path / "a.flac", 16_000) == sound.tobytes()
    assert read_audio(tmp_path / "a.flac", 8_000) == resample(sound.tobytes(), 16_000, 8_000)
    with pytest.raises(ValueError, match="sample_rate_hz is 0: pass a rate"):
        read_audio(tmp_path / "none", 0)


def test_both_readers_of_wav_agree(tmp_path: Path) -> None:
    """Block by block or at once, any rate: the same bytes."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(44_100, 2.5, channels=2), 44_100)

    assert read_audio(path) == read_wav(path)


@pytest.mark.parametrize(("kind", "bits"), [("flac", 24), ("aiff", 24), ("aiff", 32)])
def test_wider_samples_are_the_same_in_every_file(tmp_path: Path, kind: str, bits: int) -> None:
    """Rounded to 16 bits, whoever decodes them."""
    samples = np.random.default_rng(0).integers(-(1 << 23), 1 << 23, 20_000, "i4") << 8
    for suffix in ("wav", kind):
        soundfile.write(tmp_path / f"a.{suffix}", samples, 24_000, subtype=f"PCM_{bits}")

    assert read_audio(tmp_path / "a.wav") == read_audio(tmp_path / f"a.{kind}")


def test_wav_needs_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without soundfile WAV is read and written, and what else there is names the extra."""
    write_audio(tmp_path / "a.flac", tone(24_000, 0.1))
    pcm = tone(24_000, 0.5).tobytes()
    for name in ("numpy", "soxr", "soundfile"):
        monkeypatch.setitem(sys.modules, name, None)

    write_audio(tmp_path / "a.wav", pcm)

    assert read_audio(tmp_path / "a.wav") == pcm
    with pytest.raises(MissingExtraError, match=r"Reading .*a\.flac.* needs .*azure-rt-audio\[audio\]"):
        read_audio(tmp_path / "a.flac")
    with pytest.raises(MissingExtraError, match=r"Writing .*b\.mp3 needs .*azure-rt-audio\[audio\]"):
        write_audio(tmp_path / "b.mp3", pcm)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.wav", b"", "is empty: was it still being written"),
        ("a.mp3", b"", "is empty: was it still being written"),
        ("a.txt", b"no audio at all " * 20, f"is damaged, or no audio file .*{FFMPEG}"),
        ("a.raw", bytes(2000), f"is damaged, or no audio file .*{FFMPEG}"),
        ("a.flac", b"fLaC\0\0\0\x22" + bytes(100), f"is damaged, or no audio file .*{FFMPEG}"),
        ("a.wav", b"RIFF\x24\0\0\0WAVEfmt ", f"a.wav .*{FFMPEG}"),
        ("a.mp3", b"\xff\xfb\x90\x00" + bytes(40), f"is damaged, or no audio file .*{FFMPEG}"),
    ],
)
def test_what_is_no_audio_is_refused(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    """The error names the file, what is wrong with it, and what to do."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(ValueError, match=rf"{name} .*|{fault}") as caught:
        read_audio(path)

    assert str(caught.value).startswith(str(path))
    assert caught.match(fault)


def test_a_recording_of_nothing_is_refused(tmp_path: Path) -> None:
    """A file without a single frame is no question."""
    for kind in ("wav", "aiff"):
        soundfile.write(tmp_path / f"a.{kind}", np.zeros(0, "i2"), 24_000)
        with pytest.raises(ValueError, match=rf"a\.{kind} holds no sound"):
            read_audio(tmp_path / f"a.{kind}")


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    """The error says how far it goes; of WAV, all that is there is read."""
    pcm = np.random.default_rng(0).integers(-9000, 9000, 72_000).astype("<i2").tobytes()
    for kind in ("flac", "mp3", "wav"):
        path = tmp_path / f"a.{kind}"
        write_audio(path, pcm)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

        if kind == "wav":
            assert read_audio(path) == pcm[: len(pcm) // 2 - 22]
        else:
            with pytest.raises(ValueError, match=rf"a\.{kind} is .* after 1\.\d of 3\.0 seconds.*{FFMPEG}"):
                read_audio(path)


def test_a_stream_that_does_not_say_its_length(tmp_path: Path) -> None:
    """Such FLAC is what programs write to a pipe."""
    path = tmp_path / "a.flac"
    write_audio(path, tone(24_000, 1))
    content = bytearray(path.read_bytes())
    whole = read_audio(path)
    content[21] &= 0xF0  # the total of samples: 36 bits
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with AudioReader(path) as reader:
        assert reader.seconds == 1

    assert read_audio(path) == whole


def mp3_without_index(path: Path, sound: np.ndarray[Any, Any]) -> bytes:
    """Write an MP3 file of variable bit rate, and return it without its first frame, which is the index."""
    with soundfile.SoundFile(path, "w", 24_000, 1) as file:
        mode = soundfile._ffi.new("int *", 2)  # soundfile before 0.13 has no bitrate_mode="VARIABLE"
        soundfile._snd.sf_command(file._file, 0x1305, mode, 4)  # SFC_SET_BITRATE_MODE
        file.write(sound)
    content = path.read_bytes()
    assert b"Xing" in content  # of a constant bit rate it is "Info"
    content = content[content.index(b"\xff\xf3", 10) :]
    assert b"Xing" not in content
    return content


@pytest.mark.parametrize("is_loud_first", [False, True])
@pytest.mark.parametrize("tag", [b"", b"TXXX Info " + bytes(246)], ids=["bare", "tagged"])
def test_mp3_without_an_index_is_read_to_its_end(tmp_path: Path, is_loud_first: bool, tag: bytes) -> None:
    """A length that is only guessed, and wrong, is no reason to refuse a file, nor to leave out the rest."""
    parts = [np.zeros(120_000), np.random.default_rng(0).normal(0, 0.2, 120_000)]
    path = tmp_path / "a.mp3"
    content = mp3_without_index(path, np.concatenate(parts[:: -1 if is_loud_first else 1]).clip(-1, 1))
    path.write_bytes((b"ID3\x04\0\0\0\0\x02\0" + tag if tag else b"") + content)
    with AudioReader(path) as reader:
        guess = reader.seconds

    assert guess < 7 if is_loud_first else guess > 14
    assert abs(len(read_audio(path)) / 48_000 - 10) < 0.1


def test_mp3_with_pictures_has_its_index(tmp_path: Path) -> None:
    """However far from the beginning, it says that the file is cut short."""
    path = tmp_path / "a.mp3"
    write_audio(path, np.random.default_rng(0).integers(-9000, 9000, 72_000).astype("<i2").tobytes())
    content = path.read_bytes()
    tag = b"ID3\x04\0\0\0\x06\0\0" + bytes(6 << 14)

    path.write_bytes(tag + content)
    assert len(read_audio(path)) == 144_000
    path.write_bytes(tag + content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"is cut short or damaged after 1\.\d of 3\.0 seconds"):
        read_audio(path)


@pytest.mark.parametrize("kind", ["mp3", "ogg"])
def test_several_recordings_in_one_file_are_refused(tmp_path: Path, kind: str) -> None:
    """Only the first could be read, and the others would be missing in silence; a tag is no recording."""
    path = tmp_path / f"a.{kind}"
    write_audio(path, tone(24_000, 1))
    content = path.read_bytes()

    path.write_bytes(content + b"TAG" + bytes(125))
    assert len(read_audio(path)) == 48_000
    path.write_bytes(content + content)
    fault = rf"a\.{kind} is several recordings in one, of which only the first, of 1\.0 seconds"
    with pytest.raises(ValueError, match=rf"{fault}, can be read: {FFMPEG}"):
        read_audio(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    kind=st.sampled_from(["wav", "flac", "ogg"]),
    garbage=st.binary(min_size=1, max_size=60),
    share=st.floats(0, 1),
    cut=st.floats(0.1, 1),
)
def test_damage_never_escapes_as_another_error(
    tmp_path: Path, kind: str, garbage: bytes, share: float, cut: float
) -> None:
    """Whatever happened to the file, the result is audio or a ValueError that names it."""
    path = tmp_path / f"a.{kind}"
    if not (tmp_path / f"good.{kind}").exists():
        write_audio(tmp_path / f"good.{kind}", tone(24_000, 0.5))
    content = bytearray((tmp_path / f"good.{kind}").read_bytes())
    place = int(share * len(content))
    content[place : place + len(garbage)] = garbage
    path.write_bytes(content[: int(cut * len(content))])

    try:
        outcome = "audio" if len(read_audio(path)) % 2 == 0 else "half a frame"
    except ValueError as error:
        outcome = str(error)

    assert outcome == "audio" or outcome.startswith(str(path))


def test_a_file_that_is_not_there_is_not_there(tmp_path: Path) -> None:
    """Errors of the operating system stay what they are."""
    with pytest.raises(FileNotFoundError):
        read_audio(tmp_path / "none.mp3")
    with pytest.raises(IsADirectoryError if os.name == "posix" else PermissionError):
        read_audio(tmp_path)


def test_what_cannot_be_written_does_not_cost_the_old_file(tmp_path: Path) -> None:
    """A suffix or a rate that there is not is refused before the file is touched."""
    path = tmp_path / "a.mp3"
    write_audio(path, tone(24_000, 0.2))
    before = path.read_bytes()

    with pytest.raises(ValueError, match=r"a\.mp3 cannot be written as MP3 at 23000 Hz .*: resample it"):
        write_audio(path, tone(24_000, 0.2), 23_000)
    with pytest.raises(ValueError, match=r"a\.opus ends in '\.opus': pass a path that ends in \.wav"):
        write_audio(tmp_path / "a.opus", b"")

    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp3"]


# ------------------------------------------------------------ sending


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_sent(connect: Connect, keeping: Emulator, tmp_path: Path, kind: str) -> None:
    """All of it arrives, converted, and progress is told from the first block to the last."""
    path = tmp_path / f"question.{kind}"
    write_audio(path, tone(16_000, 1.23), 16_000)
    client = ready(connect, service=keeping, session_config=NO_VAD)
    told: list[tuple[float, float]] = []

    client.send_audio_file(path, progress=lambda sent, total: told.append((round(sent, 3), round(total, 3))))
    client.clear_audio_buffer().result(HANG)

    assert received(keeping) == read_audio(path)
    assert told == [(min(round(0.1 * n, 3), 1.23), 1.23) for n in range(1, 14)]


def test_a_file_into_a_telephone_session(connect: Connect, keeping: Emulator, tmp_path: Path) -> None:
    """44.1 kHz stereo becomes G.711."""
    soundfile.write(tmp_path / "a.flac", tone(44_100, 1, channels=2), 44_100)
    client = ready(connect, service=keeping, session_config={**NO_VAD, "input_audio_format": "g711_ulaw"})

    client.send_audio_file(tmp_path / "a.flac")
    client.clear_audio_buffer().result(HANG)

    assert received(keeping) == ulaw_encode(read_audio(tmp_path / "a.flac", 8_000))


def test_a_file_after_a_stream(connect: Connect, keeping: Emulator, tmp_path: Path) -> None:
    """What a stream held back goes out before the file."""
    write_wav(tmp_path / "a.wav", tone(24_000, 0.3))
    client = ready(connect, service=keeping, session_config=NO_VAD)

    client.append_audio(tone(48_000, 0.2), 48_000)
    client.send_audio_file(tmp_path / "a.wav")
    client.clear_audio_buffer().result(HANG)

    first = bytes(to_pcm16(tone(48_000, 0.2), 48_000))
    assert received(keeping) == first + tone(24_000, 0.3).tobytes()


def test_realtime_takes_its_time(client: AzureRealTimeAudio, tmp_path: Path) -> None:
    """A file of 0.4 s takes at least so long, and no block goes out before it would have been spoken."""
    write_wav(tmp_path / "a.wav", tone(24_000, 0.4))
    moments: list[float] = []

    from time import monotonic

    began = monotonic()
    client.send_audio_file(tmp_path / "a.wav", True, lambda sent, _: moments.append(monotonic() - sent))
    ended = monotonic()

    assert ended - began >= 0.4
    assert all(moment - began >= -0.11 for moment in moments)  # 100 ms ahead: a block is sent at its start


def test_a_damaged_file_says_so_and_leaves_the_client_as_it_was(
    connect: Connect, keeping: Emulator, tmp_path: Path
) -> None:
    """What is refused at the start sends nothing; after any refusal the client goes on."""
    (tmp_path / "a.mp3").write_bytes(b"no audio")
    client = ready(connect, service=keeping, session_config=NO_VAD)

    with pytest.raises(ValueError, match=r"a\.mp3 is damaged, or no audio file"):
        client.send_audio_file(tmp_path / "a.mp3")
    with pytest.raises(FileNotFoundError):
        client.send_audio_file(tmp_path / "none.mp3")
    client.append_audio(b"\x01\x02")
    client.clear_audio_buffer().result(HANG)

    assert received(keeping) == b"\x01\x02"


def test_a_file_stops_with_the_connection(connect: Connect, tmp_path: Path) -> None:
    """When the client is closed in the middle, the sender learns it at the next block."""
    write_wav(tmp_path / "a.wav", tone(24_000, 60))
    client = ready(connect, session_config=NO_VAD)

    with pytest.raises(ConnectionClosedError):
        client.send_audio_file(tmp_path / "a.wav", True, lambda sent, total: client.close())


def test_an_interrupt_stops_between_two_blocks(connect: Connect, keeping: Emulator, tmp_path: Path) -> None:
    """Ctrl-C ends a file in real time at once, and damages nothing."""
    write_wav(tmp_path / "a.wav", tone(48_000, 60), 48_000)
    client = ready(connect, service=keeping, session_config=NO_VAD)

    def press(sent: float, total: float) -> None:
        if sent > 0.15:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        client.send_audio_file(tmp_path / "a.wav", True, press)
    client.clear_audio_buffer().result(HANG)
    at_interrupt = len(received(keeping))
    client.append_audio(b"\x01\x02")
    client.clear_audio_buffer().result(HANG)

    assert received(keeping)[at_interrupt:] == b"\x01\x02"


def test_a_long_file_is_not_held_in_memory(tmp_path: Path) -> None:
    """Ten minutes take no more than one: blocks are converted and sent one at a time."""
    import tracemalloc

    peaks = []
    with Emulator(pace=0) as service, AzureRealTimeAudio(service.options()) as client:
        for seconds in (60, 600):
            write_wav(tmp_path / "a.wav", np.zeros(seconds * 24_000, "i2"))
            client._engine.sender.send_sound = lambda *_, **kind: None  # type: ignore[method-assign]
            tracemalloc.start()
            client.send_audio_file(tmp_path / "a.wav")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    assert peaks[1] < 2_000_000
    assert peaks[1] < 2 * peaks[0]


# ------------------------------------------------------------ saving

_SAVES_FOR_EVER = """
import sys
from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.audio import WavWriter
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.protocol.events import ResponseOutputAudioDelta

with Emulator(pace=4, responder=lambda conversation, session: "la " * 2000) as service:
    with AzureRealTimeAudio(service.options()) as client, WavWriter(sys.argv[1]) as answer:
        client.on(
            ResponseOutputAudioDelta,
            lambda event: (answer.write(event.audio), print("saved", flush=True)),
        )
        client.ask("Sing.", timeout=None)
"""


def test_an_answer_that_is_killed_is_playable(tmp_path: Path) -> None:
    """After kill -9 in mid-answer the file holds all that was saved, and its header is true."""
    path = tmp_path / "answer.wav"
    with subprocess.Popen(
        [sys.executable, "-c", _SAVES_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True
    ) as program:
        watchdog = threading.Timer(60, program.kill)
        watchdog.start()
        assert program.stdout is not None
        lines = [program.stdout.readline() for _ in range(8)]
        program.kill()
        program.wait(HANG)
        watchdog.cancel()
        watchdog.join()
    assert lines == ["saved\n"] * 8

    content = path.read_bytes()
    with wave.open(str(path), "rb") as file:
        frames = file.getnframes()
        assert len(file.readframes(frames)) == 2 * frames
    assert struct.unpack_from("<I", content, 40)[0] == 2 * frames
    assert 2 * frames <= len(content) - 44
    assert len(soundfile.read(path)[0]) == frames
    assert np.frombuffer(read_wav(path), "<i2").any()
