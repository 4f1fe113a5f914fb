"""``azure-rt-audio speak``: what is read is in the file, and what goes wrong is said."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path

import pytest
from cli_runner import SECONDS, Background, environment, from_emulator, run, without_notice

from azure_rt_audio.audio import duration_ms, read_audio, read_wav
from azure_rt_audio.emulator import (
    Delay,
    Drop,
    Emulator,
    Failure,
    Faults,
    Reply,
    Session,
    after,
    before,
    speak,
)

pytestmark = pytest.mark.thorough

TEXT = "Good morning. The train to Porto leaves at nine; isn't that early?"


@pytest.mark.parametrize("dialect", ["ga", "preview"])
def test_the_text_is_read_word_for_word(dialect: str, tmp_path: Path) -> None:
    """The file holds the sound of exactly the text, in the voice that was asked for."""
    done = run(
        "speak", TEXT, "-o", "said.wav", "--voice", "coral", "--dialect", dialect, "--emulator", cwd=tmp_path
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert f"model    {TEXT}" in done.stdout
    assert "saved as said.wav" in done.stdout
    assert "spoken words differ" not in done.stdout
    assert speak(TEXT, voice="coral") == read_audio(tmp_path / "said.wav")


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_the_suffix_says_what_kind_of_file(suffix: str, tmp_path: Path) -> None:
    """What the file ends in is what it is, and it lasts as long as the speech."""
    done = run("speak", TEXT, "--out", f"said.{suffix}", "--emulator", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    heard_ms = duration_ms(len(read_audio(tmp_path / f"said.{suffix}")))
    assert heard_ms == pytest.approx(duration_ms(len(speak(TEXT))), abs=100)  # MP3 pads


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
def test_a_device_and_a_pipe_are_given_wav(tmp_path: Path) -> None:
    """Whatever their names: one to try it out, one that is full, and one that a player reads."""
    os.mkfifo(tmp_path / "player")
    player = os.open(tmp_path / "player", os.O_RDONLY | os.O_NONBLOCK)
    done = [
        run("speak", "Hi.", "-o", name, "--emulator", cwd=tmp_path)
        for name in (os.devnull, "/dev/full", "player")
    ]
    with open(player, "rb") as pipe:
        content = pipe.read()  # which holds that much

    assert [one.returncode for one in done] == [0, 2, 0]
    assert [one.stderr for one in done] == [
        "",
        "azure-rt-audio speak: --out: cannot write /dev/full: No space left on device\n",
        "",
    ]
    assert read_wav(io.BytesIO(content)) == speak("Hi.")


@pytest.mark.skipif(os.name == "nt", reason="needs a name for standard output")
def test_sound_is_not_mixed_into_the_text(tmp_path: Path) -> None:
    """Standard output by another name is refused, too."""
    done = run("speak", TEXT, "-o", "/dev/stdout", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert "--out: standard output has the text" in done.stderr


def test_a_long_text_is_read_in_portions(tmp_path: Path) -> None:
    """Standard input is read to its end, sentence after sentence, in more than one answer."""
    text = " ".join(f"This is the sentence with the number {number}." for number in range(50))
    with Emulator(pace=0, responder=lambda conversation, session: conversation.last_user_text) as service:
        done = run("speak", "-", cwd=tmp_path, stdin=text, **from_emulator(service))
        answers = len(service.sent("response.done"))

    assert (done.returncode, done.stderr) == (0, "")
    assert answers == 3
    shown = " ".join(done.stdout.split())
    assert text in shown
    assert "spoken words differ" not in shown
    with wave.open(str(tmp_path / "speech.wav")) as file:
        assert file.getnframes() / 24_000 > 50 * 2


def test_other_words_than_the_text_are_pointed_out(tmp_path: Path) -> None:
    """A model that answers instead of reading does not do so unnoticed."""
    with Emulator(pace=0, responder=lambda conversation, session: "Good morning to you!") as service:
        done = run("speak", TEXT, cwd=tmp_path, **from_emulator(service))

    assert done.returncode == 0
    assert "the spoken words differ from the text" in done.stdout


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_lost_connection_leaves_what_had_come(suffix: str, tmp_path: Path) -> None:
    """The exit code is 1, the reason is on standard error, and the file can be played."""
    faults = Faults(after("response.audio.delta", Drop(), count=3))
    with Emulator(faults=faults, responder=lambda conversation, session: TEXT) as service:
        done = run("speak", TEXT, "-o", f"said.{suffix}", cwd=tmp_path, **from_emulator(service))

    assert done.returncode == 1
    assert done.stderr.startswith("azure-rt-audio speak: ")
    assert 100 <= duration_ms(len(read_audio(tmp_path / f"said.{suffix}"))) < duration_ms(len(speak(TEXT)))


@pytest.mark.skipif(os.name == "nt", reason="needs signals as POSIX has them")
def test_ctrl_c_leaves_what_had_come(tmp_path: Path) -> None:
    """It stops at once, with exit code 130, and the file can be played."""
    out = tmp_path / "said.wav"
    service = Emulator(pace=1, responder=lambda conversation, session: TEXT)
    with (
        service,
        Background("speak", TEXT, "-o", "said.wav", cwd=tmp_path, **from_emulator(service)) as speaking,
    ):
        speaking.wait_for("service")
        deadline = time.monotonic() + SECONDS
        while not (out.exists() and out.stat().st_size > 20_000):
            assert time.monotonic() < deadline
            threading.Event().wait(0.02)
        speaking.process.send_signal(signal.SIGINT)
        assert speaking.wait() == 130

    assert [line for line in speaking.err if line] == ["stopped"]
    assert 400 <= duration_ms(len(read_audio(out))) < duration_ms(len(speak(TEXT)))


def test_a_service_that_says_nothing_is_not_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """Time that ran out is told as what it is, and is exit code 1."""
    patient_for_less = (
        "import sys; from azure_rt_audio.__main__ import main; from azure_rt_audio._cli import speak; "
        "speak._TIMEOUT_SECONDS = 0.2; sys.exit(main())"
    )
    with Emulator(faults=Faults(before("response.created", Delay(SECONDS)))) as service:
        done = run("speak", TEXT, cwd=tmp_path, code=patient_for_less, **from_emulator(service))

    said = "azure-rt-audio speak: no event came for 0.2 seconds. See docs/how-to/waiting.md.\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.skipif(os.name == "nt", reason="needs pipes as POSIX has them")
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_reader_of_its_output_who_leaves_is_not_a_file_that_cannot_be_written(
    suffix: str, tmp_path: Path
) -> None:
    """It ends as every command does, without a word."""
    with subprocess.Popen(
        [sys.executable, "-m", "azure_rt_audio", "speak", TEXT * 5, "-o", f"said.{suffix}", "--emulator"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as speaking:
        assert speaking.stdout is not None
        assert speaking.stderr is not None
        assert speaking.stdout.readline().startswith(b"service")
        speaking.stdout.close()

        assert (speaking.wait(SECONDS), without_notice(speaking.stderr.read().decode())) == (1, "")


@pytest.mark.skipif(os.name == "nt", reason="needs arguments as POSIX has them: bytes")
@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_text_that_is_not_utf_8_is_refused(errors: str, tmp_path: Path) -> None:
    """On standard input, however the locale has it read, and as an argument."""
    refusal = b"azure-rt-audio speak: TEXT is not UTF-8: convert it, for example with iconv\n"
    for text in ("-", b"caf\xe9"):
        done = subprocess.run(
            [sys.executable, "-m", "azure_rt_audio", "speak", text, "--emulator"],
            cwd=tmp_path,
            env=environment(PYTHONIOENCODING=f"utf-8:{errors}"),
            input=b"caf\xe9",
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )

        assert (done.returncode, done.stderr) == (2, refusal)
        assert not (tmp_path / "speech.wav").exists()


def test_an_answer_that_fails_is_told(tmp_path: Path) -> None:
    """A response that the service could not finish is exit code 1, with its reason."""

    def fail(conversation: object, session: Session) -> Reply:
        return Reply("Good", failure=Failure("the model is tired"))

    with Emulator(responder=fail) as service:
        done = run("speak", TEXT, cwd=tmp_path, **from_emulator(service))

    assert done.returncode == 1
    assert "the model is tired" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["", "--emulator"], "TEXT is empty: pass the text to speak"),
        (["Hello", "-o", "said.txt"], "--out: said.txt must end in .wav, .flac, .ogg or .mp3"),
        (["Hello", "-o", "-"], "--out: standard output has the text; pass the path of a file"),
        (["Hello", "-o", "nowhere/said.wav"], "--out: there is no directory nowhere; create it first"),
    ],
    ids=["empty", "suffix", "standard output", "directory"],
)
def test_bad_input_is_refused_with_a_remedy(arguments: list[str], message: str, tmp_path: Path) -> None:
    """What cannot be done is said before anything is asked for, with exit code 2."""
    done = run("speak", *arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
