"""What is said when there is nothing to play sound with."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cli_runner import environment

from azure_rt_audio.devices import Microphone, Speaker
from azure_rt_audio.devices import supervisor as attendant


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


@pytest.mark.parametrize("device", [Microphone, Speaker])
@pytest.mark.parametrize("rate", [0, -1, 500, 1_000_000])
def test_a_rate_that_nothing_has_is_refused(device: type[Microphone] | type[Speaker], rate: int) -> None:
    """It is refused when it is said, not on a thread of the device."""
    with pytest.raises(ValueError, match=f"sample_rate_hz is {rate}: pass a rate from 1000 to 768000 Hz"):
        device(sample_rate_hz=rate)


@pytest.mark.parametrize("device", [Microphone, Speaker])
def test_what_goes_wrong_on_the_device_s_thread_is_raised_by_start(
    device: type[Microphone] | type[Speaker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is neither a number nor a name leaves nobody waiting for a device that is not open."""
    monkeypatch.setattr(attendant, "load", lambda: None)  # the library need not be here

    with pytest.raises(TypeError, match=r"device is 1\.5: pass a number or part of a name"):
        device(1.5).start()  # type: ignore[arg-type]


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
