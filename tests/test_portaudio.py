"""What is said when there is nothing to play sound with."""

from __future__ import annotations

import subprocess
import sys

from cli_runner import environment


def said(preparation: str) -> str:
    """Return what a program is told that opens a speaker, after some preparation."""
    script = (
        f"{preparation}\n"
        "from azure_rt_audio.devices import Speaker\n"
        "try:\n"
        "    Speaker().start()\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_without_the_extra_it_is_named() -> None:
    """Without sounddevice the error names the extra."""
    answer = said("import sys; sys.modules['sounddevice'] = None")

    assert answer.startswith("MissingExtraError")
    assert 'pip install "azure-rt-audio[audio]"' in answer


def test_without_the_library_its_package_is_named() -> None:
    """Without the PortAudio library the error names the package that brings it."""
    # What sounddevice asks for the library.
    answer = said("import ctypes.util; ctypes.util.find_library = lambda name: None")

    assert answer.startswith("DeviceError")
    assert "apt install libportaudio2" in answer


def test_importing_loads_nothing() -> None:
    """Importing the microphone and the speaker loads neither sounddevice nor numpy."""
    script = (
        "import sys, azure_rt_audio.devices; print([m for m in ('sounddevice', 'numpy') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert answer.stdout == "[]\n"
