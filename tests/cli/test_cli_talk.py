"""``azure-rt-audio talk`` where there is no device; with sound: ``tests/system/sound``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli_runner import Terminal, environment, run

pytestmark = pytest.mark.thorough

on_posix = pytest.mark.skipif(os.name == "nt", reason="needs a terminal as POSIX has them")


def test_talk_needs_a_terminal(tmp_path: Path) -> None:
    """In a pipe it says what to use instead, with exit code 2."""
    done = run("talk", "--emulator", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert "talk needs an interactive terminal; in a program, use client.talk()" in done.stderr


def test_without_its_extra_it_is_named(tmp_path: Path) -> None:
    """Without textual it says what to install."""
    code = (
        "import sys\nsys.modules['textual'] = None\n"
        "from azure_rt_audio.__main__ import main\nsys.exit(main())"
    )

    done = run("talk", "--emulator", cwd=tmp_path, code=code)

    assert done.returncode == 2
    assert 'pip install "azure-rt-audio[cli]"' in done.stderr


@on_posix
def test_without_sounddevice_its_extra_is_named(tmp_path: Path) -> None:
    """What is missing for the devices is said before the screen is taken."""
    (tmp_path / "sounddevice.py").write_text("raise ModuleNotFoundError(name=__name__)")
    path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))

    with Terminal("talk", "--emulator", cwd=tmp_path, PYTHONPATH=path) as terminal:
        assert terminal.wait() == 2

    assert 'pip install "azure-rt-audio[audio]"' in terminal.shown
    assert "\x1b[?1049h" not in terminal.shown


@on_posix
def test_without_a_device_the_screen_is_not_taken(tmp_path: Path) -> None:
    """A device that is not there is one message with a remedy and exit code 1, on the terminal as it was."""
    with Terminal("talk", "--emulator", "--output", "no such device", cwd=tmp_path) as terminal:
        assert terminal.wait() == 1

    assert "azure-rt-audio talk: " in terminal.shown
    assert "Traceback" not in terminal.shown
    assert "\x1b[?1049h" not in terminal.shown
