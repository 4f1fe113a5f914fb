"""Disks that are full or slow, programs that are killed: the conversation goes on, the file is read."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from cli_runner import environment
from listeners import HANG, MARKER, Connect, Probe, ready

from azure_rt_audio import RecordingError
from azure_rt_audio._recorder import writer
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.recording import ConnectionEnded, End, Lost, Note, Received, Recording

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such files there")


@pytest.fixture
def dialect() -> str:
    """What is recorded is the same in both."""
    return "ga"


@pytest.fixture
def pipe(tmp_path: Path) -> Any:
    """A pipe that nobody reads: a disk that hangs."""
    path = tmp_path / "pipe.rta"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def test_a_full_disk(connect: Connect, emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """The client is told where it was made, if nothing can be written at all."""
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        connect(record="/dev/full")


def test_a_disk_that_becomes_full(
    connect: Connect,
    emulator: Emulator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The recording ends, which is said once; the conversation goes on."""
    client = ready(connect, record=tmp_path / "a.rta")
    recorder = client.recorder
    assert recorder is not None
    assert recorder.flush()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, recorder._writer._file._fd)
    os.close(full)
    with caplog.at_level(logging.WARNING):
        client.ask("Hello!", timeout=HANG)
        assert not recorder.flush(HANG)
        client.ask("Hello!", timeout=HANG)
        assert client.close() is False
        assert not recorder.flush()

    assert [record.getMessage() for record in caplog.records] == [f"! {recorder.error}"]
    assert isinstance(recorder.error, RecordingError)
    assert "No space left on device; make room and begin another" in recorder.error.message
    assert not recorder.is_open
    assert [
        entry.type for entry in Recording.load(tmp_path / "a.rta").entries if isinstance(entry, Received)
    ] == [
        "session.created",
        "session.updated",
    ]


def test_a_file_that_is_deleted(connect: Connect, tmp_path: Path) -> None:
    """With its folder, say: nobody will find what is written after that, and the program is told."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    client = ready(connect, record=folder / "a.rta")
    recorder = client.recorder
    assert recorder is not None
    assert recorder.flush(HANG)
    shutil.rmtree(folder)
    assert client.ask("Hello!", timeout=HANG).is_completed

    assert client.close() is False
    assert recorder.close() is False
    assert isinstance(recorder.error, RecordingError)
    assert recorder.error.message == (
        f"the recording {folder / 'a.rta'} has ended: the file was deleted; begin another"
    )


def test_a_file_that_is_moved(connect: Connect, tmp_path: Path) -> None:
    """It is written to its end."""
    client = ready(connect, record=tmp_path / "a.rta")
    (tmp_path / "a.rta").rename(tmp_path / "b.rta")

    assert client.close() is True
    assert Recording.load(tmp_path / "b.rta").is_complete


def test_a_disk_that_hangs(
    connect: Connect,
    emulator: Emulator,
    pipe: tuple[Path, int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What does not fit is lost, which is said once and stands in the file; ``close`` is not held up."""
    path, reader = pipe
    monkeypatch.setattr(writer, "_MAX_WAITING_BYTES", 200_000)
    client, told = ready(connect, record=path), Probe()
    client.on("test.marker", told)
    recorder = client.recorder
    assert recorder is not None
    with caplog.at_level(logging.WARNING):
        for _ in range(40):
            client.append_audio(bytes(48_000))
        emulator.say(MARKER)
        told.next()
        assert [record.getMessage() for record in caplog.records] == [
            f"! the disk is too slow for the recording {path}: entries are missing"
        ]
        assert recorder.close(0.05) is False

    assert not recorder.flush(0)
    os.set_blocking(reader, True)
    content: list[bytes] = []

    def read() -> None:
        while not content or b'"kind":"end"' not in content[-1][-200:]:
            content.append(os.read(reader, 65536))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(HANG)
    assert recorder._writer.join(HANG)
    recording = Recording.read(b"".join(content).splitlines(keepends=True))
    assert recording.problems == ()
    lost = [entry for entry in recording.entries if isinstance(entry, Lost)]  # one, but on a busy machine
    assert sum(entry.count for entry in lost) >= 30
    assert sum(entry.bytes for entry in lost) > 30 * 64_000
    assert isinstance(recorder.error, RecordingError)
    assert not recorder.flush(HANG)  # what was lost is not in the file, nor will it be


_PROGRAM = """
import os, random, signal, sys, threading
from pathlib import Path
from azure_rt_audio._recorder.redaction import Redaction
from azure_rt_audio._recorder.writer import RecordingWriter

def write(path, told):
    header = {"format": "azure-rt-audio recording", "version": 1}
    writer = RecordingWriter(Path(path), header, Redaction("wire", None, tuple))
    sound = b'{"type":"response.output_audio.delta","delta":"%s"}' % (b"QUJD" * 16000)
    for number in range(1000):
        for _ in range(number % 4):
            writer.put("received", sound, 1)
        writer.put("note", {"text": str(number)})
        if writer.wait_written(5):
            os.write(told, b"%d\\n" % number)

chance = random.Random(int(sys.argv[2]))
for moment in range(int(sys.argv[3])):
    path = f"{sys.argv[1]}/{moment}.rta"
    reader, told = os.pipe()
    child = os.fork()
    if not child:
        write(path, told)
        os._exit(1)
    os.close(told)
    lines = b""
    while lines.count(b"\\n") < 1:
        lines += os.read(reader, 100)
    threading.Event().wait(chance.uniform(0, 0.05))  # a random moment is what is tested
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while rest := os.read(reader, 65536):
        lines += rest
    print(path, lines.split()[-1].decode(), flush=True)
"""
"""Kills processes that write, each at a random moment; says which entry was the last that is written."""


def _check_killed(folder: Path, seed: int, moments: int) -> None:
    arguments = [sys.executable, "-c", _PROGRAM, str(folder), str(seed), str(moments)]
    told = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, env=environment(), check=True).stdout
    assert len(told.splitlines()) == moments
    for path, _, number in (line.rpartition(" ") for line in told.splitlines()):
        written, recording = int(number), Recording.load(path)
        notes = [int(entry.text) for entry in recording.entries if isinstance(entry, Note)]
        assert notes[: written + 1] == list(range(written + 1))
        assert [problem for problem in recording.problems if "it is cut" not in problem.message] == []
        assert len(recording.problems) <= 1
        assert not recording.is_complete


def test_programs_that_are_killed(seed: int, tmp_path: Path) -> None:
    """All that was written is read, and at most the last line is cut."""
    _check_killed(tmp_path, seed, 5)


@pytest.mark.thorough
def test_programs_that_are_killed_often(seed: int, effort: float, tmp_path: Path) -> None:
    """The same, a hundred times."""
    _check_killed(tmp_path, seed + 1, max(1, round(100 * effort)))


def test_a_client_that_is_killed(tmp_path: Path) -> None:
    """What a conversation had is in its file by itself, soon after."""
    program = """
        import os, signal, sys, threading
        from pathlib import Path
        from azure_rt_audio import AzureRealTimeAudio
        from azure_rt_audio.emulator import Emulator
        with Emulator(pace=0) as emulator:
            client = AzureRealTimeAudio(emulator.options(), record=sys.argv[1])
            client.ask("Hello!")
            for _ in range(500):
                if b'"response.done"' in Path(sys.argv[1]).read_bytes():
                    break
                threading.Event().wait(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    script = textwrap.dedent(program)
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.rta")], env=environment(), check=False)

    recording = Recording.load(tmp_path / "a.rta")
    assert recording.problems == ()
    assert [entry.type for entry in recording.entries if isinstance(entry, Received)][-1] == "response.done"


def test_a_program_that_ends(tmp_path: Path) -> None:
    """A client that nobody closed is closed at exit, and its recording has that, too."""
    program = """
        import sys
        from azure_rt_audio import AzureRealTimeAudio
        from azure_rt_audio.emulator import Emulator
        emulator = Emulator(pace=0).start()
        client = AzureRealTimeAudio(emulator.options(), record=sys.argv[1])
        client.wait_until_ready()
    """
    script = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "a.rta")]
    done = subprocess.run(script, env=environment(), check=True, stderr=subprocess.PIPE, text=True)

    assert done.stderr == ""
    assert [type(entry) for entry in Recording.load(tmp_path / "a.rta").entries][-2:] == [
        ConnectionEnded,
        End,
    ]
