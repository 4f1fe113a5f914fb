"""``azure-rt-audio devices``, where there are some."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cli_runner import Background, run
from sound.room import Room
from sound.signals import likeness, noise

pytestmark = pytest.mark.sound


def test_the_devices_are_listed(room: Room, tmp_path: Path) -> None:
    """Each device has a row, and the default ones are marked."""
    done = run("devices", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    header, *rows, empty, legend = done.stdout.splitlines()
    assert header.split() == ["name", "host", "API", "in", "out", "rate"]
    assert [row.split()[2] for row in rows if row.startswith("<>")] == ["default"]
    assert ["narrow", "ALSA", "2", "2", "48000", "Hz"] in [row.split()[1:] for row in rows]
    assert (empty, legend) == ("", "< default input, > default output")


def test_a_test_records_and_plays_it_back(room: Room, tmp_path: Path) -> None:
    """What is said during the test is heard again on the other device."""
    said = noise(0.5)
    with room.listen() as heard, Background("devices", "--test", "--input", "mic", cwd=tmp_path) as command:
        command.wait_for("recording with mic")
        room.say(said)
        command.wait_for("playing on default")
        assert command.wait() == 0
        heard.wait_for_silence()

    assert likeness(said, heard.pcm) > 0.999
    assert any("#" in line for line in command.out)


def test_a_test_with_silence_fails(room: Room, tmp_path: Path) -> None:
    """When nothing but silence is recorded, the test says so, and its exit code is 1."""
    begin = time.monotonic()
    done = run("devices", "--test", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("only silence was recorded")
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--input", "mic"), 2, "--input and --output are for --test; add it"),
        (("--test", "--input", "kitchen"), 1, "no input device matches 'kitchen'"),
        (("--test", "--output", "77"), 1, "no output device matches 77"),
    ],
)
def test_mistakes_are_named(
    room: Room, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """A wrong option and a device that is not there are named."""
    done = run("devices", *arguments, cwd=tmp_path)

    assert done.returncode == code
    assert said in done.stderr
