"""``azure-rt-audio transcribe``: files in, words out, one failure at a time."""

from __future__ import annotations

import json
import os
import re
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
from cli_runner import Terminal, environment, from_emulator, run
from speech import HEARD

from azure_rt_audio.audio import read_wav, resample, write_audio, write_wav
from azure_rt_audio.emulator import (
    Delay,
    Drop,
    Emulator,
    Faults,
    Refuse,
    Session,
    after,
    at_handshake,
    before,
    speak,
)

pytestmark = pytest.mark.thorough

QUESTION = Path(str(files("azure_rt_audio") / "data" / "question.wav"))
DIALECTS = ("ga", "preview")

on_posix = pytest.mark.skipif(os.name == "nt", reason="needs a terminal as POSIX has them")


def seconds_heard(pcm: bytes, session: Session) -> str:
    """Ears that say how long it was."""
    return f"{len(pcm) / 48_000:.1f} seconds"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_file_is_its_text_and_nothing_else(dialect: str, tmp_path: Path) -> None:
    """What is said in a file is printed, fit for a pipe, in both dialects."""
    done = run("transcribe", str(QUESTION), "--dialect", dialect, cwd=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{HEARD}\n", "")


def test_files_of_every_kind_are_heard_at_their_length(tmp_path: Path) -> None:
    """WAV at an odd rate, FLAC, OGG and MP3 are each a line with their name."""
    pcm = read_wav(QUESTION)
    write_wav(tmp_path / "a.wav", resample(pcm, 24_000, 22_050), 22_050)
    for suffix in ("flac", "ogg", "mp3"):
        write_audio(tmp_path / f"a.{suffix}", pcm)
    names = ["a.wav", "a.flac", "a.ogg", "a.mp3"]
    with Emulator(pace=0, recogniser=seconds_heard) as service:
        done = run("transcribe", *names, cwd=tmp_path, **from_emulator(service))

        assert len(service.attempts) == 1  # one session serves them all
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{name}: 3.1 seconds" for name in names]


def test_one_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    """What is missing or damaged is named on standard error, the rest is transcribed, the exit code is 1."""
    (tmp_path / "bad.wav").write_text("not sound")
    (tmp_path / "good.wav").write_bytes(QUESTION.read_bytes())

    done = run("transcribe", "none.wav", "bad.wav", "good.wav", cwd=tmp_path)

    assert done.returncode == 1
    assert done.stdout == f"good.wav: {HEARD}\n"
    missing, damaged = done.stderr.splitlines()
    assert missing == "azure-rt-audio transcribe: none.wav: cannot be read: No such file or directory"
    assert damaged.startswith("azure-rt-audio transcribe: bad.wav: is damaged")


def test_json_is_an_object_for_each_file(tmp_path: Path) -> None:
    """With ``--json`` each file, a failed one too, is an object on a line of its own."""
    (tmp_path / "good.wav").write_bytes(QUESTION.read_bytes())

    done = run("transcribe", "--json", "good.wav", "none.wav", cwd=tmp_path)

    assert done.returncode == 1
    good, bad = map(json.loads, done.stdout.splitlines())
    assert good == {
        "file": "good.wav",
        "seconds": 3.094,
        "text": HEARD,
        "segments": [{"start_ms": 0, "end_ms": 3094, "text": HEARD}],
    }
    assert (bad["file"], bad["text"]) == ("none.wav", "")
    assert "No such file" in bad["error"]


@pytest.mark.skipif(os.name == "nt", reason="needs names of files as POSIX has them: bytes")
def test_json_of_a_file_whose_name_is_no_text(tmp_path: Path) -> None:
    """What cannot be written as JSON is replaced."""
    done = run("transcribe", "--json", "caf\udce9.wav", cwd=tmp_path)

    assert done.returncode == 1
    assert json.loads(done.stdout)["file"] == "caf?.wav"
    assert (
        done.stderr
        == "azure-rt-audio transcribe: caf\\udce9.wav: cannot be read: No such file or directory\n"
    )


def test_a_long_recording_is_cut_where_it_is_quiet(tmp_path: Path) -> None:
    """A minute and a half is heard in pieces that end in the pauses between sentences."""
    sentence = speak("One two three four five six seven eight nine ten eleven twelve")
    pause = bytes(48 * 600)
    period_ms = (len(sentence) + len(pause)) // 48
    write_wav(tmp_path / "long.wav", (sentence + pause) * (90_000 // period_ms))
    with Emulator(pace=0, recogniser=seconds_heard) as service:
        done = run("transcribe", "--json", "long.wav", cwd=tmp_path, **from_emulator(service))

    assert (done.returncode, done.stderr) == (0, "")
    pieces = json.loads(done.stdout)["segments"]
    assert len(pieces) >= 4
    assert [piece["end_ms"] for piece in pieces[:-1]] == [piece["start_ms"] for piece in pieces[1:]]
    assert [piece["text"] for piece in pieces] == [
        f"{(piece['end_ms'] - piece['start_ms']) / 1000:.1f} seconds" for piece in pieces
    ]
    for piece in pieces[:-1]:
        assert 18_000 <= piece["end_ms"] - piece["start_ms"] <= 28_100
        assert piece["end_ms"] % period_ms >= period_ms - 600


def test_silence_is_not_asked_about(tmp_path: Path) -> None:
    """A silent file is an empty text: a recogniser would invent one."""
    write_wav(tmp_path / "silent.wav", bytes(48_000))
    with Emulator(pace=0) as service:
        done = run("transcribe", "silent.wav", cwd=tmp_path, **from_emulator(service))
        committed = service.received("input_audio_buffer.commit")

    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
    assert committed == []


def test_a_lost_connection_costs_one_file(tmp_path: Path) -> None:
    """The file that was being heard fails by name; the next one is heard in a session of its own."""
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(QUESTION.read_bytes())
    faults = Faults(after("input_audio_buffer.committed", Drop()))
    with Emulator(pace=0, faults=faults, recogniser=[HEARD]) as service:
        done = run("transcribe", "a.wav", "b.wav", cwd=tmp_path, **from_emulator(service))

    assert done.returncode == 1
    assert done.stderr.startswith("azure-rt-audio transcribe: a.wav: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout.startswith("b.wav: ")


def test_a_service_that_says_nothing_is_not_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Time that ran out is told as what it is."""
    patient_for_less = (
        "import sys; from azure_rt_audio.__main__ import main; "
        "from azure_rt_audio._cli.transcribe import command as transcribe; "
        "transcribe._TIMEOUT_SECONDS = 0.2; sys.exit(main())"
    )
    (tmp_path / "a.wav").write_bytes(QUESTION.read_bytes())
    with Emulator(faults=Faults(before("input_audio_buffer.committed", Delay(60.0)))) as service:
        done = run("transcribe", "a.wav", cwd=tmp_path, code=patient_for_less, **from_emulator(service))

    said = "a.wav: the service did not acknowledge it within 0.2 seconds. See docs/how-to/waiting.md."
    assert (done.returncode, done.stderr) == (1, f"azure-rt-audio transcribe: {said}\n")


def test_a_service_that_lets_nobody_in_is_told_once(tmp_path: Path) -> None:
    """What is wrong with the connection is wrong for every file: one line, exit code 1."""
    with Emulator(faults=Faults(at_handshake(Refuse(401), times=None))) as service:
        done = run("transcribe", str(QUESTION), str(QUESTION), cwd=tmp_path, **from_emulator(service))

    assert (done.returncode, done.stdout) == (1, "")
    assert "401" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@on_posix
def test_a_terminal_shows_bars(tmp_path: Path) -> None:
    """With rich installed, progress is drawn while it goes, and the text stands above it."""
    shutil.copy(QUESTION, tmp_path / "a.wav")  # a long path would be broken into lines
    with Terminal("transcribe", "a.wav", "a.wav", cwd=tmp_path) as terminal:
        terminal.wait_for("files")
        terminal.wait_for(HEARD)
        terminal.wait_for(HEARD)
        assert terminal.wait() == 0

    assert "━" in terminal.shown
    assert terminal.shown.rindex("\x1b[?25h") > terminal.shown.rindex("\x1b[?25l")  # the cursor is back


@on_posix
def test_a_terminal_without_rich_shows_a_line(tmp_path: Path) -> None:
    """Without the extra, a line that changes says how far it is, and leaves nothing behind."""
    (tmp_path / "rich.py").write_text("raise ImportError")
    path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))

    with Terminal("transcribe", str(QUESTION), str(QUESTION), cwd=tmp_path, PYTHONPATH=path) as terminal:
        terminal.wait_for("1/2 question.wav 0%")
        terminal.wait_for("1/2 question.wav 100%")
        terminal.wait_for(HEARD)
        terminal.wait_for("2/2 question.wav 100%")
        assert terminal.wait() == 0

    lines = re.sub(r"[^\n]*\r\x1b\[K", "", terminal.shown).splitlines()
    assert [line.rstrip("\r") for line in lines if HEARD in line] == [f"{QUESTION}: {HEARD}"] * 2
