"""Samples with real devices: somebody speaks to them, and hears what they say."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runner import HEED_CTRL_C, environment
from sound.room import Room
from speech import read_question

pytestmark = pytest.mark.sound

SAMPLES = Path(__file__).parents[3] / "samples"


def test_the_voice_assistant_talks_until_ctrl_c(room: Room, tmp_path: Path) -> None:
    """What is said into the microphone is answered on the loudspeaker; Ctrl-C ends it cleanly."""
    command = [sys.executable, *HEED_CTRL_C, "-W", "error", str(SAMPLES / "voice_assistant.py"), "--emulator"]
    with (
        room.listen() as heard,
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as sample,
    ):
        assert sample.stdout is not None
        said = [sample.stdout.readline()]  # ready
        room.say(bytes(48_000) + read_question() + bytes(96_000))
        while said[-1] not in ("idle...\n", ""):
            said.append(sample.stdout.readline())
        sample.send_signal(signal.SIGINT)
        _, complaints = sample.communicate(timeout=20)

    assert (sample.returncode, complaints) == (0, "")
    assert [line.rstrip("\n") for line in said] == [
        "ready, with the voice alloy",
        "listening...",
        "thinking...",
        "speaking...",
        "said: It is sunny in Lisbon.",
        "idle...",
    ]
    assert len(heard.sound) / 48_000 > 1.0
