"""What commands read and write: files that are not confused, and standard streams that do not work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli_runner import VARIABLES
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
