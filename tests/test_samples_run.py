"""Every sample runs, in both dialects, as a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import wave
from importlib.resources import files
from pathlib import Path

import pytest
from cli_runner import SECONDS, environment

pytestmark = pytest.mark.thorough

SAMPLES = Path(__file__).parents[1] / "samples"
WINDOWED = {"tk_push_to_talk", "qt_assistant", "screenshots"}
"""Samples that need a display; tests/system/windows has one."""
STORIES = {
    "quickstart": ["Welcome! Ask me anything.\nHello! I am the emulator", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10."],
    "voice_assistant": [
        "ready, with the voice alloy",
        "listening...\nthinking...\nspeaking...\nsaid: It is sunny in Lisbon.\nidle...",
    ],
    "wav_in_wav_out": ["I am the emulator", "question.wav: completed, saved as answer.wav at 22050 Hz"],
    "phone_call": [
        "the caller speaks\nsaid: Yes, until six.",
        "hung up, the call is saved as call.wav",
    ],
    "plot_turn": ["It is sunny in Lisbon today.\nsaved as turn.png"],
    "function_calling": ["get_weather -> ", "sky sunny", "It is noon in Tokyo."],
    "approval": [
        'may it? send_mail({"to": "Ada"}) -> no',
        "did not run: the user has said no",
        'may it? send_mail({"to": "Bo"}) -> yes',
        "the mail to Bo was sent",
    ],
    "slow_tools": [
        "started; the result follows in a message",
        "I am the emulator",
        "(make_report has ended)\nI have news for you. The result of make_report",
    ],
    "handoff": [
        "from 9 to 18",
        "you are billing now: go on with what the customer wants.\n  (tools now: find_invoice, to_r",
        "number 1207, amount 48 euros",
        "you are the reception now: go on with what the customer wants.\n  (tools now: open_hours, ",
    ],
    "push_to_talk": ["pressed\nreleased\n4.0 s: Hello!", "discarded, no answer was requested"],
    "barge_in": [
        "the answer begins\ninterrupted: truncated where playback stopped\n",
        "truncation confirmed by the service: True",
    ],
    "long_running": [
        "HTTP 503 Service Unavailable: attempt 2 to connect again\n  connected: 3 items restored, 0 lost\n1",
        "the session has expired: attempt 1 to connect again\n  connected: 5 items restored, 0 lost\nHello!",
        "  connected beforehand: 6 items restored, 0 lost\nGoodbye",
        "8 items in all",
    ],
    "errors_and_retries": [
        "HTTP 429, retry in 0.2 s\nHTTP 429, retry in 0.2 s",
        "refused by the service: item_delete_invalid_item_id",
        "did you mean 'voice'?",
        "I am the emulator",
        "benign: response_cancel_not_active",
    ],
}

QUESTION = str(files("azure_rt_audio") / "data" / "question.wav")
ARGUMENTS = {"voice_assistant": [QUESTION]}
"""What keeps a sample from using the devices of whoever runs the tests."""


def run_sample(
    name: str, dialect: str, cwd: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a sample in *cwd*, where it may write."""
    path = str(SAMPLES / f"{name}.py")
    return subprocess.run(
        [sys.executable, "-W", "error", path, "--emulator", "--dialect", dialect, *arguments],
        cwd=cwd,
        env=environment(MPLBACKEND="agg", MPLCONFIGDIR=str(cwd), **variables),
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
    ga = run_sample(name, "ga", tmp_path, *ARGUMENTS.get(name, ()))
    preview = run_sample(name, "preview", tmp_path, *ARGUMENTS.get(name, ()))

    assert (ga.returncode, ga.stderr) == (0, "")
    assert (preview.returncode, preview.stderr) == (0, "")
    for part in STORIES[name]:
        assert part in ga.stdout
    assert ga.stdout == preview.stdout


def test_the_tests_of_the_kiosk_pass(tmp_path: Path) -> None:
    """The sample of a program with tests of its own; one of them replays a recording."""
    kiosk = str(SAMPLES / "weather_kiosk")
    done = subprocess.run(
        [
            sys.executable,
            *["-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir"],
            kiosk,
            "-c",
            os.devnull,
            kiosk,
        ],
        cwd=tmp_path,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert "9 passed" in done.stdout, done.stdout + done.stderr


def test_what_samples_save_can_be_played(tmp_path: Path) -> None:
    """The files hold the answer at the rate that was asked for, and the call at that of telephones."""
    run_sample("wav_in_wav_out", "ga", tmp_path, QUESTION, "said.wav", "--rate", "11025")
    run_sample("phone_call", "ga", tmp_path)

    for name, rate_hz, least_seconds in (("said.wav", 11_025, 1.5), ("call.wav", 8_000, 3.0)):
        with wave.open(str(tmp_path / name)) as file:
            assert file.getframerate() == rate_hz
            assert file.getnframes() / rate_hz > least_seconds
            assert any(file.readframes(file.getnframes()))


def test_the_line_never_waits_for_a_packet(tmp_path: Path) -> None:
    """Neither side of the call does, if the other has taken the last packet just before."""
    program = """
        import queue
        import phone_call

        class Raced(queue.SimpleQueue):
            def empty(self):
                return False  # as it was a moment ago

        class Client:
            def on(self, event, listener):
                pass

        call = phone_call.Call(Client())
        call.packets = Raced()
        call.packets.put(b"one")
        print(call.next_packet())
        print(call.next_packet() == phone_call.SILENCE)
        call.packets.put(b"two")
        call.discard(None)
        print(call.packets.qsize())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=tmp_path,
        env=environment(PYTHONPATH=os.pathsep.join((str(SAMPLES), environment()["PYTHONPATH"]))),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.stdout == "b'one'\nTrue\nthe caller speaks\n0\n", done.stderr


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    """What plot_turn saves is a PNG with both colours of its waveforms in it."""
    run_sample("plot_turn", "ga", tmp_path)

    from matplotlib import colors, image

    pixels = image.imread(tmp_path / "turn.png")[..., :3]
    for colour in ("tab:blue", "tab:green"):
        distance = abs(pixels - colors.to_rgb(colour)).max(axis=2)
        assert (distance < 0.02).sum() > 1_000


def test_the_assistant_without_devices_answers_a_recording(tmp_path: Path) -> None:
    """Where nothing can be recorded it says so, and goes on with a sound file."""
    (tmp_path / "sounddevice.py").write_text("raise ModuleNotFoundError(name=__name__)")
    path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))
    done = run_sample("voice_assistant", "ga", tmp_path, PYTHONPATH=path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "no microphone or speaker: Using a microphone or a speaker needs" in done.stdout
    assert "said: It is sunny in Lisbon." in done.stdout


def test_the_voice_assistant_with_a_recording_opens_no_device(tmp_path: Path) -> None:
    """``--recording`` is answered, whatever devices there are."""
    (tmp_path / "sounddevice.py").write_text("raise ModuleNotFoundError(name=__name__)")
    path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))
    done = run_sample("voice_assistant", "ga", tmp_path, "--recording", PYTHONPATH=path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "no microphone or speaker" not in done.stdout
    assert "said: It is sunny in Lisbon." in done.stdout
