"""Every sample runs, in both dialects, as a program of its own."""

from __future__ import annotations

import subprocess
import sys
import wave
from pathlib import Path

import pytest
from cli_runner import SECONDS, environment

SAMPLES = Path(__file__).parents[1] / "samples"
WINDOWED = {"tk_push_to_talk", "qt_assistant", "screenshots"}
"""Samples that need a display; tests/windows has one."""
STORIES = {
    "quickstart": ["I am the emulator", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10."],
    "voice_assistant": [
        "ready, with the voice alloy",
        'listening...\nthinking...\nspeaking...\nsaid: You said: "What is the weather like in Lisbon today?"',
        "idle...\n7.0 s of speech",
    ],
    "wav_in_wav_out": ["I am the emulator", "completed, saved as answer.wav"],
    "function_calling": ['get_weather({"city": "Lisbon"})', "sky sunny", "It is noon in Tokyo."],
    "push_to_talk": ["pressed\nreleased\n4.0 s: Hello!", "nothing was said, nothing is asked"],
    "barge_in": [
        "the answer begins\nspoken over: cut where it was heard\n",
        "and the service knows: True",
    ],
    "errors_and_retries": [
        "HTTP 429, again in 0.2 s\nHTTP 429, again in 0.2 s",
        "refused by the service: item_delete_invalid_item_id",
        "did you mean 'voice'?",
        "I am the emulator",
        "harmless: response_cancel_not_active",
    ],
}


def run_sample(name: str, dialect: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a sample in *cwd*, where it may write."""
    return subprocess.run(
        [sys.executable, "-W", "error", str(SAMPLES / f"{name}.py"), "--emulator", "--dialect", dialect],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )


def test_every_sample_has_its_story() -> None:
    """No sample is left out of these tests."""
    assert {path.stem for path in SAMPLES.glob("*.py")} - {"_service", "_devices"} - WINDOWED == set(STORIES)


@pytest.mark.parametrize("name", STORIES)
def test_a_sample_says_the_same_in_both_dialects(name: str, tmp_path: Path) -> None:
    """It ends well, tells its story, complains about nothing, and prints the same on GA and preview."""
    ga = run_sample(name, "ga", tmp_path)
    preview = run_sample(name, "preview", tmp_path)

    assert (ga.returncode, ga.stderr) == (0, "")
    assert (preview.returncode, preview.stderr) == (0, "")
    for part in STORIES[name]:
        assert part in ga.stdout
    assert ga.stdout == preview.stdout


def test_the_sample_saves_a_playable_answer(tmp_path: Path) -> None:
    """The file that wav_in_wav_out writes is a WAV file with the answer in it."""
    run_sample("wav_in_wav_out", "ga", tmp_path)

    with wave.open(str(tmp_path / "answer.wav")) as file:
        assert file.getframerate() == 24_000
        assert any(file.readframes(file.getnframes()))
