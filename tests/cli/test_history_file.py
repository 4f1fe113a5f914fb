"""The file that keeps a conversation: replaced as a whole, and never damaged by what is wrong with it."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from azure_rt_audio.__main__ import main
from azure_rt_audio._cli import UsageError
from azure_rt_audio._cli.history_file import HistoryFile
from azure_rt_audio.protocol.conversation import Conversation
from azure_rt_audio.protocol.history import history_from, write_history

EMPTY = Conversation().to_json()


def test_it_is_made_and_replaced(tmp_path: Path) -> None:
    """There need not be one; afterwards there is one, for its owner, and nothing beside it."""
    path = tmp_path / "talk.json"
    file = HistoryFile(str(path))

    assert file.read() is None
    for _ in range(2):
        file.write(EMPTY)
        assert path.read_text(encoding="utf-8") == EMPTY
    assert (file.read(), file.count) == (EMPTY, 0)
    assert list(tmp_path.iterdir()) == [path]
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name == "nt", reason="has no such modes, and links need a privilege")
def test_a_link_and_its_modes_are_kept(tmp_path: Path) -> None:
    """What the user arranged stays so."""
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text(EMPTY, encoding="utf-8")
    target.chmod(0o640)
    link.symlink_to(target)
    HistoryFile(str(link)).write(EMPTY + "\n")

    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == EMPTY + "\n"
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "history is not JSON"),
        ('{"version": 1, "items": [', "history is not JSON"),
        ('{"version": 2, "items": []}', "history.version is 2, and this library reads 1"),
        (
            '{"version": 1, "items": [{"type": "function_call_output", "call_id": "k", "output": "x"}]}',
            "history.items[0].call_id: no function call before it has the id 'k'",
        ),
        ("\xff", "'utf-8' codec can't decode"),
        ("5", "history must be a mapping or a list"),
    ],
)
def test_a_broken_one_is_refused_and_kept(content: str, says: str, tmp_path: Path) -> None:
    """With its path, and it stays as it is."""
    path = tmp_path / "talk.json"
    path.write_bytes(content.encode("latin-1"))

    with pytest.raises(UsageError) as caught:
        HistoryFile(str(path)).read()

    assert f"--history {path}: {says}" in str(caught.value)
    assert "left as it is" in str(caught.value)
    assert path.read_bytes() == content.encode("latin-1")


def test_a_place_that_is_none(tmp_path: Path) -> None:
    """It is refused before there is anything to lose."""
    with pytest.raises(UsageError, match="there is no directory"):
        HistoryFile(str(tmp_path / "nowhere" / "talk.json")).read()
    with pytest.raises(UsageError, match="cannot be read"):
        HistoryFile(str(tmp_path)).read()


def test_what_cannot_be_written_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves the old conversation, and no remains of the new one."""
    path = tmp_path / "talk.json"
    path.write_text(EMPTY, encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        HistoryFile(str(path)).write("new")

    assert path.read_text(encoding="utf-8") == EMPTY
    assert list(tmp_path.iterdir()) == [path]


def test_a_long_one_does_not_shrink(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``chat`` gives the model the newest of it, says what it does not know, and keeps all."""
    path = tmp_path / "talk.json"
    texts = ["Hi", "x" * 60_000, "y" * 60_000]
    long = history_from([("user", text) for text in texts]).entries
    path.write_text(json.dumps(write_history(long, sound={}, input_audio_format="pcm16")), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello\n"))

    assert main(["chat", "--emulator", "--history", str(path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Going on with 3 items" in shown
    assert "The model does not know 2 of them" in shown
    assert "beyond max_items or max_characters." in shown
    kept = json.loads(path.read_text(encoding="utf-8"))["items"]
    assert [item["content"][0]["text"] for item in kept[:3]] == texts
    assert len(kept) == 5
