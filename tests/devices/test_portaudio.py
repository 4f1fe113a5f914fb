"""What is said when there is nothing to play sound with, and what is tried again."""

from __future__ import annotations

import importlib.util
import queue
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_runner import environment

from azure_rt_audio.devices import DeviceLost, DeviceOpened, Microphone, Speaker, list_devices, supervisor
from azure_rt_audio.errors import DeviceError

HANG = 20.0
SIMULATED = Path(__file__).parents[1] / "support" / "simulated_portaudio"


@pytest.fixture
def sounddevice(monkeypatch: pytest.MonkeyPatch) -> Any:
    """In place of the real one: a microphone and a loudspeaker, simulated."""
    spec = importlib.util.spec_from_file_location("sounddevice", SIMULATED / "sounddevice.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def fail_to_start(sounddevice: Any, monkeypatch: pytest.MonkeyPatch, *reasons: Exception) -> list[Exception]:
    """Let the next attempts to initialise PortAudio fail; return the reasons, which are taken from it."""
    left, initialise = list(reasons), sounddevice._initialize

    def attempt() -> None:
        if left:
            raise left.pop(0)
        initialise()

    monkeypatch.setattr(sounddevice, "_initialize", attempt)
    return left


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
    monkeypatch.setattr(supervisor, "load", lambda: None)  # the library need not be here

    with pytest.raises(TypeError, match=r"device is 1\.5: pass a number or part of a name"):
        device(1.5).start()  # type: ignore[arg-type]


def test_a_sound_server_that_is_gone_is_named(sounddevice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """If PortAudio does not start, that is a DeviceError, and the next attempt is one from the beginning."""
    fail_to_start(sounddevice, monkeypatch, sounddevice.PortAudioError("Error initializing PortAudio"))

    with pytest.raises(DeviceError, match="PortAudio cannot start: Error initializing PortAudio; check the"):
        list_devices()
    found = [device.name for device in list_devices()]

    assert found == ["USB Microphone", "USB Loudspeaker"]


def test_a_sound_server_that_is_gone_at_the_import_is_named(tmp_path: Path) -> None:
    """The same if PortAudio fails when sounddevice is imported, which initialises it."""
    (tmp_path / "sounddevice.py").write_text(
        "class PortAudioError(Exception):\n    pass\n\nraise PortAudioError('Error initializing PortAudio')"
    )
    answer = said(f"import sys; sys.path.insert(0, {str(tmp_path)!r})")

    assert answer.startswith("DeviceError PortAudio cannot start: Error initializing PortAudio")


@pytest.mark.parametrize("device", [Microphone, Speaker])
def test_a_lost_device_is_replaced_once_there_is_sound_again(
    device: type[Microphone] | type[Speaker], sounddevice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts that fail while the sound server starts, however they do, end nothing."""
    monkeypatch.setattr(supervisor, "_RETRY_TICKS", 1)
    reason = sounddevice.PortAudioError("Error initializing PortAudio")
    events: queue.Queue[Any] = queue.Queue()
    with device(on_event=events.put) as opened:
        first = events.get(timeout=HANG)
        left = fail_to_start(sounddevice, monkeypatch, reason, reason, OSError("whatever"), reason)
        assert opened._supervisor is not None
        stream: Any = opened._supervisor.stream
        stream._stream._ended.set()
        lost, again = events.get(timeout=HANG), events.get(timeout=HANG)

    assert [type(first), type(lost), type(again)] == [DeviceOpened, DeviceLost, DeviceOpened]
    assert not left


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
