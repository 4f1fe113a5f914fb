"""Every command, with all that goes wrong for a beginner: it says so, and its exit code is not 0."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from cli_runner import NOTICE, VARIABLES, from_emulator

from azure_rt_audio import AzureRealTimeOptions
from azure_rt_audio.__main__ import main
from azure_rt_audio.emulator import (
    Close,
    Delay,
    Emulator,
    Failure,
    Faults,
    Refuse,
    Reply,
    Say,
    SendRaw,
    Swallow,
    after,
    at_handshake,
    before,
)

QUESTION = Path(__file__).parents[2] / "azure_rt_audio" / "data" / "question.wav"

EXPIRED = "Session hit the maximum duration of 60 minutes."
QUOTA = Failure("You exceeded your current quota", "insufficient_quota", "insufficient_quota")
COMMANDS = {
    "chat": ["chat"],
    "speak": ["speak", "Good morning."],
    "transcribe": ["transcribe", str(QUESTION)],
    "demo": ["demo"],
}
ERROR = {"type": "error", "error": {"type": "server_error", "message": "odd", "event_id": "evt_of_nobody"}}
TRANSCRIPTION = "AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT"


@pytest.fixture(autouse=True)
def _where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty directory, no Azure resource in the environment, and one line to read."""
    monkeypatch.chdir(tmp_path)
    for name in (*VARIABLES, TRANSCRIPTION):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello!\n"))
    return


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "trouble", ["quota", "filter", "key", "closed", "expired", "deployment", "no deployment"]
)
def test_trouble(
    command: str,
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The reason is told, and the exit code is not 0, unless the command can do without."""
    replies = {"quota": Reply(failure=QUOTA), "filter": Reply("Good", incomplete="content_filter")}
    reply, changes, faults = replies.get(trouble), {}, []
    deployments = ["gpt-realtime"] if trouble == "deployment" else None
    if trouble == "key":
        changes["AZURE_OPENAI_API_KEY"] = "wrong"
    elif trouble == "no deployment":
        faults = [at_handshake(Refuse(404), times=None)]
    elif trouble in ("closed", "expired"):
        end = Close(4000) if trouble == "closed" else Close(1001, EXPIRED)
        where = "input_audio_buffer.committed" if command == "transcribe" else "response.created"
        faults = [after(where, end)]
    says = {
        "quota": "quota",
        "filter": "content filter",
        "key": "401",
        "closed": "4000",
        "expired": "maximum duration",
        "deployment": "DeploymentNotFound",
        "no deployment": "404",
    }[trouble]
    with Emulator(
        pace=0,
        responder=None if reply is None else lambda *_: reply,
        faults=Faults(*faults),
        deployments=deployments,
    ) as service:
        for name, value in from_emulator(service, **changes).items():
            monkeypatch.setenv(name, value)
        code = main(COMMANDS[command])
    shown = capsys.readouterr()
    # Only what needs the answer fails with it, and only what needs the transcript with that.
    is_concerned = (trouble not in ("quota", "filter") or command != "transcribe") and (
        trouble != "deployment" or command == "transcribe"
    )
    is_concerned &= (command, trouble) != ("chat", "expired")  # a chat goes on over another connection
    if is_concerned:
        assert (code, says in shown.out + shown.err) == (1, True), shown
    if trouble == "deployment" and command == "demo":
        assert shown.out.count('no deployment "gpt-4o-transcribe"'.replace(" ", "")) <= 1
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("command", [*COMMANDS, "talk"])
@pytest.mark.parametrize("missing", [*VARIABLES, "all but transcription"])
def test_an_incomplete_environment_names_the_variable(
    command: str,
    missing: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is an error: an emulator's answer would pass for a model's."""
    given = (TRANSCRIPTION,) if missing not in VARIABLES else tuple(n for n in VARIABLES if n != missing)
    for name in given:
        monkeypatch.setenv(name, "https://r.openai.azure.com" if name.endswith("ENDPOINT") else "x")
    if command == "talk":
        for stream in ("stdin", "stdout", "stderr"):
            monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    code = main(COMMANDS.get(command, [command]))

    shown = capsys.readouterr()
    assert code == 2
    named = (missing,) if missing in VARIABLES else VARIABLES
    assert all(name in shown.err for name in named)
    assert "--emulator" in shown.err


def test_an_endpoint_that_names_the_deployment_is_complete(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is for ``from_env``."""
    with Emulator(pace=0) as service:
        url = f"{service.options()['host_name']}/openai/v1/realtime?model=gpt-realtime"
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", url)
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", service.options()["api_key"])
        assert main(["chat"]) == 0

    assert "I am the emulator" in capsys.readouterr().out


@pytest.mark.parametrize(("command", "is_chosen"), [("chat", True), ("speak", False), ("transcribe", False)])
def test_nothing_is_invented_silently(
    command: str, is_chosen: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An emulator's answers are told on standard error, once, whatever becomes of standard output."""
    monkeypatch.setenv("PATH", "")  # no synthesiser
    assert main([*COMMANDS[command], *(["--emulator"] if is_chosen else [])]) == 0

    lines = [line for line in capsys.readouterr().err.splitlines() if NOTICE in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"azure-rt-audio {command}: ")
    assert "it has no model" in lines[0]


def test_a_lost_answer_ends_a_chat(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service falls silent about it: nothing comes, and the chat does not wait for ever."""
    made = AzureRealTimeOptions.from_env

    def hasty(**options: Any) -> AzureRealTimeOptions:
        return attrs.evolve(made(**options), response_silence_timeout=0.3)

    monkeypatch.setattr(AzureRealTimeOptions, "from_env", hasty)
    lossy = Faults(before("response.done", Swallow()))
    with Emulator(pace=0, faults=lossy) as service:
        for name, value in from_emulator(service).items():
            monkeypatch.setenv(name, value)
        assert main(["chat"]) == 1

    assert "was given up" in capsys.readouterr().out


@pytest.mark.parametrize("trouble", [Say(ERROR), SendRaw("{")])
def test_an_error_that_is_none_of_the_answers(
    trouble: Say | SendRaw, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told, and each answer comes under its own question; the exit code is that of the answers."""
    monkeypatch.setattr("sys.stdin", io.StringIO("Please count to 3.\nHello!\n"))
    with Emulator(pace=0, faults=Faults(before("response.created", trouble, Delay(0.3)))) as service:
        for name, value in from_emulator(service).items():
            monkeypatch.setenv(name, value)
        assert main(["chat"]) == 0

    labels = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:1].strip()]
    assert labels == ["service", "you", "error", "model", "you", "model"]


def test_a_question_that_is_refused_ends_no_chat(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A response that is refused is told once, the next question is asked, and the exit code says so."""
    monkeypatch.setattr("sys.stdin", io.StringIO("Please count to 3.\nHello!\n"))
    replies = iter([Reply(failure=QUOTA), Reply("Good.")])
    with Emulator(pace=0, responder=lambda *_: next(replies)) as service:
        for name, value in from_emulator(service).items():
            monkeypatch.setenv(name, value)
        assert main(["chat"]) == 1

    labels = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:1].strip()]
    assert labels == ["service", "you", "error", "you", "model"]
