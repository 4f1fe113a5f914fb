"""The command line: real commands in processes of their own, on pipes and on a terminal."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import ssl
from importlib.resources import files
from pathlib import Path

import pytest
import trustme
from cli_runner import Background, Terminal, from_emulator, run
from speech import write_stereo

from azure_rt_audio import AzureRealTimeAudio, AzureRealTimeOptions, WebSocketOptions, __version__
from azure_rt_audio._cli.emulator import _welcome
from azure_rt_audio.emulator import Close, Drop, Emulator, Faults, after
from azure_rt_audio.protocol.history import history_from

pytestmark = pytest.mark.thorough

DIALECTS = ("ga", "preview")
QUESTION = Path(str(files("azure_rt_audio") / "data" / "question.wav"))

on_posix = pytest.mark.skipif(os.name == "nt", reason="needs signals or a terminal as POSIX has them")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--audio", "none.wav"], "--audio: cannot read none.wav: No such file or directory"),
        (["demo", "--audio", "text.wav"], "--audio: text.wav is not a WAV file"),
        (["demo", "--out", "nowhere/answer.wav"], "--out: there is no directory nowhere; create it first"),
        (["demo", "--out", "."], "--out: . is a directory; pass the path of a file"),
        (["demo", "--says", "Hello"], "pass both"),
        (["demo", "--dialect", "beta"], "invalid choice: 'beta'"),
        (["demo", "--emulator", "--azure"], "not allowed with argument"),
        (["chat", "--azure"], "set AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY, AZURE_OPENAI_DEPLOYMENT"),
        (["emulator", "--port", "99999"], "--port is 99999; pass 0 to 65535"),
        (["emulator", "--pace", "-1"], "--pace is -1.0; pass 0 or more"),
        (["emulator", "--pace", "nan"], "--pace is nan; pass 0 or more"),
        (["emulator", "--tls-cert", "c.pem"], "--tls-cert and --tls-key belong together"),
        (["emulator", "--tls-cert", "text.wav", "--tls-key", "text.wav"], "cannot be used"),
        (["emulator", "--hears", "hello"], "pass FILE=TEXT"),
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
        "service  the emulator in this process, as the environment configures no Azure resource",
        "you      Hello!",
        "model    Hello! I am the emulator. How can I help you today?",
        "you      Please count to 3.",
        "model    1, 2, 3.",
    ]


def test_chat_keeps_its_history_over_another_connection(tmp_path: Path) -> None:
    """A lost connection costs the rest of the answer, and the conversation is kept for the next start."""
    with Emulator(faults=Faults(after("response.text.delta", Drop(), count=2))) as service:
        done = run(
            *("chat", "--history", "talk.json"),
            cwd=tmp_path,
            stdin="Please count to 30.\nHello?\n",
            **from_emulator(service),
        )
    again = run("chat", "--history", "talk.json", cwd=tmp_path, stdin="Please count to 3.\n")

    assert (done.returncode, done.stderr) == (1, "")
    for words in (
        "reconnecting in ",
        "connected again after ",
        "1 answer cut off",
        "Hello! I am the emulator",
    ):
        assert words in done.stdout
    assert (again.returncode, again.stderr) == (0, "")
    assert "Going on with 4 items of talk.json." in again.stdout
    assert len(history_from((tmp_path / "talk.json").read_bytes()).entries) == 6


def test_chat_refuses_a_broken_history(tmp_path: Path) -> None:
    """It names the file and the place, exits with 2, and leaves the file as it is."""
    path = tmp_path / "talk.json"
    path.write_text('{"version": 7, "items": []}')
    done = run("chat", "--history", "talk.json", cwd=tmp_path)

    assert done.returncode == 2
    assert "--history talk.json: history.version is 7" in done.stderr
    assert path.read_text() == '{"version": 7, "items": []}'


def test_chat_says_that_the_connection_was_lost(tmp_path: Path) -> None:
    """An end for good ends the chat with a line that says why, and exit code 1."""
    fatal = Close(4004, "invalid_request_error.model_not_found")
    with Emulator(faults=Faults(after("response.text.delta", fatal, count=2))) as service:
        done = run("chat", cwd=tmp_path, stdin="Please count to 30.\nHello?\n", **from_emulator(service))

    assert done.returncode == 1
    assert "error    " in done.stdout
    assert "Hello?" not in done.stdout


def test_chat_goes_on_over_another_connection(tmp_path: Path) -> None:
    """A connection that is lost is told, as is the answer that was cut off; the next question is answered."""
    with Emulator(faults=Faults(after("response.text.delta", Drop(), count=2))) as service:
        done = run("chat", cwd=tmp_path, stdin="Please count to 30.\nHello!\n", **from_emulator(service))

    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (1, "")
    assert any("1 answer cut off" in line for line in lines)
    assert "reconnecting in " in done.stdout
    assert "connected again after " in done.stdout
    assert lines[-1] == "model    Hello! I am the emulator. How can I help you today?"


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
        terminal.press_until("\n", "\x03")

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
def test_the_emulator_serves_whoever_follows_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines it prints are an environment with which a client connects; the log shows what passed."""
    names = ("--deployment", "my $model", "--deployment", "my-whisper")
    command = ("emulator", "--port", "0", "--key", "my-key", *names)
    with Background(*command, cwd=tmp_path) as emulator:
        emulator.wait_for("AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT")
        for line in emulator.out:
            if "export" in line:
                _, assignment = shlex.split(line)  # as a shell does
                monkeypatch.setenv(*assignment.split("=", 1))
        options = AzureRealTimeOptions.from_env()
        with AzureRealTimeAudio(options) as client:
            answer = client.ask("Hello!", response={"modalities": ["text"]})
        emulator.wait_for("= closed 1000")
        emulator.process.send_signal(signal.SIGINT)

        assert emulator.wait() == 0
    assert options.deployment == "my $model"
    asked = options.session_config.input_audio_transcription
    assert getattr(asked, "model", None) == "my-whisper"
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


@pytest.mark.parametrize(
    ("host", "reached"), [("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]"), ("127.0.0.2", "127.0.0.2")]
)
def test_an_emulator_that_listens_everywhere_is_reached_here(host: str, reached: str) -> None:
    """The line for a client names an address that one can connect to on every system."""
    lines = _welcome(f"ws://{host}:8765", "my-key", "my-model", "my-scribe", None).splitlines()

    assert lines[0].startswith(f"The emulator listens on ws://{host}:8765 ")
    assert f"ws://{reached}:8765" in next(line for line in lines if "AZURE_OPENAI_ENDPOINT" in line)


def test_the_emulator_says_that_its_port_is_taken(tmp_path: Path) -> None:
    """A port that somebody else has is told, with the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("emulator", "--port", str(port), cwd=tmp_path)

    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
