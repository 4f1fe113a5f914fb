"""A side of a stereo recording, at every door of the client and of the command line."""

from __future__ import annotations

import array
import base64
import warnings
import wave
from pathlib import Path
from typing import Any

import pytest
from cli_runner import from_emulator
from listeners import HANG, NO_VAD, Connect, audio_received, ready, received

from azure_rt_audio.__main__ import main
from azure_rt_audio.audio import SoundWarning
from azure_rt_audio.emulator import Emulator, Session

LEFT, RIGHT = [8_000, -8_000] * 3_000, [500, 300] * 3_000
FRAMES = array.array("h", [sample for frame in zip(LEFT, RIGHT, strict=True) for sample in frame])
SIDES = {"left": LEFT, "right": RIGHT, "mix": [(a + b) // 2 for a, b in zip(LEFT, RIGHT, strict=True)]}


def _write(path: Path, frames: array.array[int]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(frames.tobytes())
    return path


@pytest.mark.parametrize("channel", SIDES)
def test_a_side_is_sent(connect: Connect, keeping: Emulator, channel: Any, tmp_path: Path) -> None:
    """In bytes, in a stream of bytes in odd pieces, and of a file."""
    client = ready(connect, service=keeping, session_config=NO_VAD)
    octets = FRAMES.tobytes()

    client.append_audio(octets, 24_000, channels=2, channel=channel)
    for start in range(0, len(octets), 999):
        client.append_audio(octets[start : start + 999], 24_000, 2, channel)
    client.send_audio_file(_write(tmp_path / "call.wav", FRAMES), channel=channel)
    client.clear_audio_buffer().result(HANG)

    sent = array.array("h", received(keeping))
    assert sent.tolist() == SIDES[channel] * 3


def test_a_side_is_asked(connect: Connect, keeping: Emulator) -> None:
    """A recording in one piece."""
    client = ready(connect, service=keeping, session_config=NO_VAD)

    client.ask(FRAMES.tobytes(), sample_rate_hz=24_000, channels=2, channel="right", timeout=HANG)

    item = keeping.received("conversation.item.create")[0]["item"]
    assert array.array("h", base64.b64decode(item["content"][0]["audio"])).tolist() == RIGHT


def test_what_is_refused(connect: Connect, keeping: Emulator, tmp_path: Path) -> None:
    """A side of mono, a channel without a rate or of another name; before anything is sent."""
    client = ready(connect, service=keeping, session_config=NO_VAD)
    bad: Any = "both"
    for refused, word in (
        (lambda: client.append_audio(b"\0\0", 24_000, channel="left"), "mono"),
        (lambda: client.append_audio(b"\0\0", channel="left"), "sample_rate_hz"),
        (lambda: client.ask(b"\0\0", channel="left"), "sample_rate_hz"),
        (lambda: client.append_audio(b"\0" * 4, 24_000, 2, bad), "pass"),
        (lambda: client.send_audio_file(_write(tmp_path / "x.wav", FRAMES), channel=bad), "pass"),
    ):
        with pytest.raises(ValueError, match=word):
            refused()
    assert audio_received(keeping) == []


def test_a_g711_session_refuses_wider_elements(connect: Connect, keeping: Emulator) -> None:
    """The memory of int16 would be noise as G.711."""
    config = {**NO_VAD, "input_audio_format": "g711_ulaw"}
    client = ready(connect, service=keeping, session_config=config)

    with pytest.raises(TypeError, match="sample_rate_hz"):
        client.append_audio(memoryview(FRAMES))


def test_a_destroyed_mix_is_told(connect: Connect, keeping: Emulator) -> None:
    """By the stream of append_audio, about the line that appends; once."""
    client = ready(connect, service=keeping, session_config=NO_VAD)
    inverted = array.array("h", [sign * x for x in LEFT for sign in (1, -1)])

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(3):
            client.append_audio(inverted, 24_000, channels=2)

    assert [warning.category for warning in told] == [SoundWarning]
    assert [Path(warning.filename).name for warning in told] == [Path(__file__).name]


@pytest.mark.parametrize(("channel", "heard"), [("left", "8000"), ("right", "500"), ("mix", "4250")])
def test_transcribe_takes_a_side(
    channel: str,
    heard: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And tells of one that destroys the sound, in a line of its own."""

    def loudest(pcm: bytes, session: Session) -> str:
        return str(max(array.array("h", pcm), default=0))

    call = str(_write(tmp_path / "call.wav", FRAMES))
    inverted = _write(tmp_path / "inverted.wav", array.array("h", [x for a in LEFT for x in (a, -a)]))
    with Emulator(recogniser=loudest, pace=0) as service:
        for name, value in from_emulator(service).items():
            monkeypatch.setenv(name, value)
        assert main(["transcribe", "--channel", channel, call]) == 0
        assert capsys.readouterr() == (f"{heard}\n", "")
        main(["transcribe", "--channel", channel, str(inverted)])
    told = capsys.readouterr().err
    assert (told.startswith("azure-rt-audio: the channels cancel"), told.count("\n")) == (
        (True, 1) if channel == "mix" else (False, 0)
    )
