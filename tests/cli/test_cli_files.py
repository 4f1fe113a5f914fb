"""What commands read and write: files that are not confused, and standard streams that do not work."""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cli_runner import SECONDS, VARIABLES, environment
from made_recordings import Made

from azure_rt_audio.__main__ import main
from azure_rt_audio.audio import write_wav


@pytest.fixture(autouse=True)
def _where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory, and no Azure resource in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


on_posix = pytest.mark.skipif(os.name == "nt", reason="links need a privilege, and devices have other names")

# Files ------------------------------------------------------------------------------------------


@on_posix
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay", "talk.rta", "--to-html", "talk.rta"], "--to-html: talk.rta is the file of FILE, too"),
        (["replay", "talk.rta", "--to-srt", "link.rta"], "--to-srt: link.rta is the file of FILE"),
        (["replay", "talk.rta", "--to-json", "sub/../talk.rta"], "--to-json: sub/../talk.rta is the file of"),
        (["replay", "link.wav", "--to-wav", "link.wav"], "--to-wav: link.wav is the file of FILE"),
        (
            ["replay", "talk.rta", "--to-html", "x", "--to-srt", "sub/../x"],
            "/x is the file of --to-html, too",
        ),
        (["replay", "talk.rta", "--to-wav", "void.wav", "--to-json", "none"], "none is the file of --to-wav"),
        (["demo", "--audio", "talk.wav", "--out", "talk.wav"], "--out: talk.wav is the file of --audio"),
        (["demo", "--record", "x.wav", "--out", "x.wav"], "--record: x.wav is the file of --out"),
        (["speak", "Hello", "--record", "x.wav", "--out", "./x.wav"], "--record: x.wav is the file of --out"),
        (["chat", "--record", "x", "--history", "x"], "--record: x is the file of --history"),
        (["transcribe", "talk.wav", "--record", "talk.wav"], "--record: talk.wav is the file of FILE"),
        (["replay", "talk.rta", "--to-wav", "talk.mp3"], "--to-wav: talk.mp3 must end in .wav"),
        (["demo", "--out", "talk.mp3"], "--out: talk.mp3 must end in .wav"),
        (["speak", "Hello", "--out", "talk.aac"], "--out: talk.aac must end in .wav, .flac, .ogg or .mp3"),
        (["transcribe", "talk.wav", "-"], "FILE: standard input is not read"),
        (["replay", "-"], "FILE: standard input is not read"),
        (["demo", "--audio", "-"], "--audio: standard input is not read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_no_output_replaces_a_file_in_use(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By whatever name, also one that only will be one file: refused before anything is written."""
    Made().add(0.0, "opened", connection=1).save(tmp_path / "talk.rta")
    write_wav(tmp_path / "talk.wav", bytes(4800))
    (tmp_path / "sub").mkdir()
    for link, target in (("link.rta", "talk.rta"), ("void.wav", "none")):
        (tmp_path / link).symlink_to(target)
    (tmp_path / "link.wav").hardlink_to(tmp_path / "talk.rta")
    before = {path.name: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()}

    assert main(arguments) == 2
    assert says in capsys.readouterr().err
    assert {path.name: path.is_file() and path.read_bytes() for path in tmp_path.iterdir()} == before


@on_posix
def test_devices_are_no_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any number of outputs may go to one, under any name."""
    Made().add(0.0, "opened", connection=1).save(tmp_path / "talk.rta")

    assert main(["replay", "talk.rta", "--to-wav", "/dev/null", "--to-srt", "/dev/null"]) == 0


# Standard streams -------------------------------------------------------------------------------

SPEAK = ["speak", "Hello", "--emulator"]


class FullDisk(io.StringIO):
    """A stream that takes nothing."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("arguments", [SPEAK, ["--help"], ["replay", "talk.rta", "--speed", "0"]])
@pytest.mark.parametrize("stream", [FullDisk, lambda: None])
def test_standard_output_that_cannot_be_written(
    arguments: list[str],
    stream: Callable[[], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A full disk or a closed output is told in words, once, by any command; the exit code is 1."""
    Made().add(0.0, "opened", connection=1).save(tmp_path / "talk.rta")
    monkeypatch.setattr("sys.stdout", stream())

    with contextlib.suppress(SystemExit):
        assert main(arguments) == 1
    *_, told = capsys.readouterr().err.splitlines()
    name = arguments[0].replace("--help", "")
    assert told.startswith(f"azure-rt-audio {name}".strip() + ": standard output ")
    assert told.endswith((": No space left on device", " is closed"))


def test_standard_error_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can be told, and nothing else is lost."""
    monkeypatch.setattr("sys.stderr", FullDisk())

    assert main(SPEAK) == 0
    assert Path("speech.wav").exists()
    monkeypatch.setattr("sys.stderr", None)
    assert main(["speak", ""]) == 2


@on_posix
@pytest.mark.thorough
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_nothing_is_left_for_python_to_complain_of(redirection: str, tmp_path: Path) -> None:
    """Not at its end either, when it writes what it still has."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m azure_rt_audio --version {redirection}', sys.executable],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("azure-rt-audio: standard output ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [["chat", "--emulator"], ["speak", "-", "--emulator"]], ids=" ".join)
def test_input_that_is_not_utf_8(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused in the same words by all that read it; what a chat was asked before is answered."""
    asked = io.TextIOWrapper(io.BytesIO(b"Hello\nGr\xfc\xdfe\n"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", asked)

    assert main(command) == 2
    printed = capsys.readouterr()
    assert " is not UTF-8: convert it, for example with iconv\n" in printed.err
    assert ("I am the emulator" in printed.out) is (command[0] == "chat")


@pytest.mark.parametrize(
    "arguments",
    [
        ["chat", "--instructions"],
        ["talk", "--voice"],
        ["speak", "Hello", "--voice"],
        ["demo", "--says"],
        ["transcribe", "x.wav", "--language"],
        ["chat", "--transcription-deployment"],
        ["emulator", "--key"],
    ],
    ids=" ".join,
)
def test_an_option_that_is_not_utf_8(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused by its name."""
    with pytest.raises(SystemExit):
        main([*arguments, "Gr\udcfc\udcdfe"])
    assert f"argument {arguments[-1]}: the text is not UTF-8: convert it" in capsys.readouterr().err


def test_what_a_chat_asks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The model is given the line without its end, as if it were typed; a closed input has no line."""
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello \r\nHello", newline=""))
    talk = Path("talk.json")

    assert main(["chat", "--emulator", "--history", str(talk)]) == 0
    asked = [item for item in json.loads(talk.read_text())["items"] if item["role"] == "user"]
    assert [item["content"][0]["text"] for item in asked] == ["Hello ", "Hello"]
    monkeypatch.setattr("sys.stdin", None)
    assert main(["chat", "--emulator"]) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["speak", "Hello", "world"], 'put a text of several words in quotes: "Hello world"'),
        (
            ["emulator", "--tls-cert", "none.pem", "--tls-key", "x"],
            "--tls-cert: cannot read none.pem: No such",
        ),
        (["emulator", "--tls-cert", "cert.pem", "--tls-key", "x"], "--tls-key: cannot read x: No such"),
    ],
)
def test_a_remedy_names_what_is_wrong(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file, and what to do with a text without quotes."""
    (tmp_path / "cert.pem").write_text("")
    try:
        code = main(arguments)
    except SystemExit as exc:
        code = exc.code

    assert code == 2
    assert says in capsys.readouterr().err


def test_ctrl_c_while_the_commands_are_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends the program without a traceback."""

    imported = builtins.__import__

    def interrupted(name: str, *more: Any, **rest: Any) -> ModuleType:
        if name == "_cli.program":
            raise KeyboardInterrupt
        return imported(name, *more, **rest)

    monkeypatch.setattr("builtins.__import__", interrupted)
    code = main(["--version"])
    monkeypatch.undo()

    assert code == 130
    assert capsys.readouterr().err == "\nstopped\n"
