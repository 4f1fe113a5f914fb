"""
A client made at import, in programs with several processes; and a program that is frozen.

gunicorn and PyInstaller are real ones.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts.daemons import free_port

from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.parts

_APPLICATION = """
import json, os
from azure_rt_audio import AzureRealTimeAudio

options = json.loads(os.environ["OPTIONS"])
client = AzureRealTimeAudio(options)  # at import, as people do: with --preload in gunicorn's own process

def application(environ, start_response):
    try:
        text = client.ask("Hello", timeout=20).text
    except RuntimeError as error:
        text = str(error)
    with AzureRealTimeAudio(options) as own:
        text += "|" + own.ask("Hello", timeout=20).text
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()}|{text}".encode()]
"""


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service without sound."""
    with Emulator(pace=0) as service:
        yield service


def environment(service: Emulator) -> dict[str, str]:
    """Return what leads a program to the service."""
    options = service.options(session_config={"modalities": ["text"]})
    return {**os.environ, "OPTIONS": json.dumps(options), "PYTHONWARNINGS": "ignore::DeprecationWarning"}


def test_gunicorn_with_preload(service: Emulator, tmp_path: Path) -> None:
    """Each worker says of the shared client whose it is, and has one of its own that answers."""
    (tmp_path / "served.py").write_text(_APPLICATION)
    for _ in range(4):
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "3", "--bind"]
        with subprocess.Popen(
            [*command, f"127.0.0.1:{port}", "--worker-tmp-dir", str(tmp_path), "served:application"],
            cwd=tmp_path,
            env=environment(service),
            stderr=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stderr is not None
            try:
                booted = 0
                while booted < 3:
                    line = server.stderr.readline()
                    assert line, "gunicorn has ended"
                    booted += "Booting worker" in line
                answers = [
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).read().decode()
                    for _ in range(6)
                ]
            finally:
                server.send_signal(signal.SIGTERM)
                server.communicate(timeout=60)
        for answer in answers:
            _, shared, own = answer.split("|")
            assert "belongs to the parent process" in shared
            assert own


_POOL = """
import json, multiprocessing, os, socket
from azure_rt_audio import AzureRealTimeAudio

options = json.loads(os.environ["OPTIONS"])
client = AzureRealTimeAudio(options)

def work(number):
    socket.getaddrinfo("localhost", 80)
    with AzureRealTimeAudio(options) as own:
        return bool(own.ask("Hello", timeout=20).text)

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(4) as pool:
        print(pool.map_async(work, range(8)).get(60))
    print(bool(client.ask("Hello", timeout=20).text), client.close())
"""


def test_a_pool_of_processes(service: Emulator) -> None:
    """``multiprocessing.Pool`` beside a client that connects: its processes work, and so does the client."""
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", _POOL],
            env=environment(service),
            capture_output=True,
            text=True,
            timeout=120,
        )

        assert (done.stdout, done.stderr) == (f"{[True] * 8}\nTrue True\n", "")


_FROZEN = """
import sys
from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio._cli.recordings import question
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.recording.page.page import _file

with Emulator(pace=0) as service, AzureRealTimeAudio(service.options(), record="talk.rta") as client:
    text = client.ask("Hello").text
print(getattr(sys, "frozen", False), bool(text), len(question()) > 1000, "<html" in _file("page.html"))
"""


@pytest.mark.timeout(600)
def test_a_frozen_program(tmp_path: Path) -> None:
    """PyInstaller finds the hook of the installed package: a frozen program has its files."""
    (tmp_path / "assistant.py").write_text(textwrap.dedent(_FROZEN))
    left_out = ("matplotlib", "pytest", "hypothesis", "cryptography", "IPython", "PIL", "tkinter", "scipy")
    subprocess.run(
        [
            *(sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR"),
            *(f"--exclude-module={name}" for name in left_out),
            "assistant.py",
        ],
        cwd=tmp_path,
        check=True,
        timeout=500,
    )
    done = subprocess.run(
        [str(tmp_path / "dist" / "assistant" / "assistant")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.stdout, done.stderr) == ("True True True True\n", "")
