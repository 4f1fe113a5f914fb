"""The synthesiser, as far as it needs no program of the machine; the rest is in tests/system/sound."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from speech import needs_speech

from azure_rt_audio.emulator import Synthesiser
from azure_rt_audio.emulator.speech.synthesiser import pieces_of

pytestmark = needs_speech

on_posix = pytest.mark.skipif(os.name == "nt", reason="needs programs as POSIX has them")


def test_text_is_spoken_sentence_by_sentence() -> None:
    """Sentences are pieces, long ones are cut at commas, numbers are not, and what has no words is none."""
    counting = ", ".join(map(str, range(1, 101))) + "."

    assert pieces_of("Hello! How are 1.5 of you?\nFine. ... ") == ["Hello!", "How are 1.5 of you?", "Fine."]
    assert pieces_of("") == []
    assert " ".join(pieces_of(counting)) == counting
    assert max(map(len, pieces_of(counting))) < 100


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a synthesiser the error says what to install; an engine that nobody knows is refused."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(RuntimeError, match="apt install flite"):
        Synthesiser()
    with pytest.raises(ValueError, match="use one of flite, say"):
        Synthesiser("festival")


@on_posix
@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("echo no such voice >&2; exit 3", "flite failed: no such voice"),
        ("exit 0", "flite failed: .*speech.wav"),
    ],
)
def test_a_program_that_fails_is_named(
    program: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the program complains about is in the error; one that makes no sound has failed as well."""
    flite = tmp_path / "flite"
    flite.write_text(f"#!/bin/sh\n{program}\n")
    flite.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=reason):
        Synthesiser().speak("Hello!")
