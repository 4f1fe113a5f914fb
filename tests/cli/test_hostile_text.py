"""What others write reaches a terminal as text only, through every command."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hostile_service import HOSTILE, Act, hostile_service, http, reaches, refusing
from made_recordings import Made, tone
from websockets.sync.server import ServerConnection

from azure_rt_audio import _html
from azure_rt_audio.__main__ import main
from azure_rt_audio._cli.approvals import Approvals
from azure_rt_audio._cli.printer import Printer
from azure_rt_audio._cli.streams import printable_streams
from azure_rt_audio.events import ToolApprovalRequested

QUESTION = Path(str(resources.files("azure_rt_audio") / "data" / "question.wav"))

Send = Callable[..., None]


def _answers(send: Send, command: dict[str, Any], connection: ServerConnection) -> None:
    """Text, a call and an answer that is not complete, all of it hostile."""
    if command["type"] != "response.create":
        return _hears(send, command, connection)
    response = {"id": HOSTILE, "object": "realtime.response", "status": "in_progress", "output": []}
    part = {"response_id": HOSTILE, "item_id": HOSTILE, "output_index": 0, "content_index": 0}
    message = {"id": HOSTILE, "type": "message", "role": "assistant", "content": []}
    call = {"id": "c", "type": "function_call", "call_id": "c", "name": HOSTILE, "arguments": HOSTILE}
    send("response.created", response=response)
    send("response.output_item.added", response_id=HOSTILE, output_index=0, item=message)
    send("response.output_text.delta", **part, delta=HOSTILE)
    details = {"type": "incomplete", "reason": HOSTILE}
    done = {**response, "status": "incomplete", "status_details": details, "output": [message, call]}
    send("response.done", response=done)


def _refuses(send: Send, command: dict[str, Any], connection: ServerConnection) -> None:
    detail = {"type": HOSTILE, "code": HOSTILE, "message": HOSTILE, "param": HOSTILE}
    send("error", error={**detail, "event_id": command.get("event_id")})


def _fails(send: Send, command: dict[str, Any], connection: ServerConnection) -> None:
    if command["type"] != "response.create":
        return _fails_to_hear(send, command)
    error = {"type": HOSTILE, "code": HOSTILE, "message": HOSTILE}
    details = {"type": "failed", "error": error}
    send("response.created", response={"id": "r", "status": "in_progress", "output": []})
    send("response.done", response={"id": "r", "status": "failed", "status_details": details, "output": []})


def _hangs_up(send: Send, command: dict[str, Any], connection: ServerConnection) -> None:
    connection.close(4000, HOSTILE.encode("utf-8", "ignore").decode()[:60])


def _hears(send: Send, command: dict[str, Any], connection: ServerConnection) -> None:
    if command["type"] == "input_audio_buffer.commit":
        send("input_audio_buffer.committed", previous_item_id=None, item_id="u")
        name = "conversation.item.input_audio_transcription.completed"
        send(name, item_id="u", content_index=0, transcript=f"heard{HOSTILE}", usage={"type": "duration"})
    elif command["type"] == "conversation.item.delete":
        send("conversation.item.deleted", item_id=command["item_id"])


def _fails_to_hear(send: Send, command: dict[str, Any]) -> None:
    if command["type"] == "input_audio_buffer.commit":
        send("input_audio_buffer.committed", previous_item_id=None, item_id="u")
        error = {"type": HOSTILE, "code": HOSTILE, "message": HOSTILE}
        name = "conversation.item.input_audio_transcription.failed"
        send(name, item_id="u", content_index=0, error=error)


def _calling() -> Act:
    """Calls tools once: one that does not exist, and three that do, with what they should not be given."""
    asked: list[str] = []

    def act(send: Send, command: dict[str, Any], connection: ServerConnection) -> None:
        if command["type"] != "response.create":
            return
        asked.append(f"{HOSTILE}{len(asked)}")
        arguments = json.dumps({"text": HOSTILE.removesuffix("\ud83d")})
        calls = [
            {"id": name, "type": "function_call", "call_id": name, "name": name, "arguments": arguments}
            for name in ((HOSTILE, "repeat", "explode", "guarded") if len(asked) == 1 else ())
        ]
        response = {"id": asked[-1], "object": "realtime.response", "status": "in_progress", "output": []}
        if metadata := (command.get("response") or {}).get("metadata"):
            response["metadata"] = metadata
        send("response.created", response=response)
        for call in calls:
            send("response.output_item.done", response_id=asked[-1], output_index=0, item=call)
        send("response.done", response={**response, "status": "completed", "output": calls})

    return act


REDIRECT = {"Location": "https://ev\x1b[31mil\x9b.example/"}
SERVICES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "answers": lambda: hostile_service(_answers),
    "refuses": lambda: hostile_service(_refuses),
    "fails": lambda: hostile_service(_fails),
    "hangs up": lambda: hostile_service(_hangs_up),
    "401": lambda: refusing(http(401)),
    "302": lambda: refusing(http(302, headers=REDIRECT)),
}


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs a command in this process; returns its exit code and all that it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str, service: str | None = None) -> tuple[int, str]:
        with SERVICES[service]() if service is not None else nullcontext("127.0.0.1:1") as address:
            monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", address if "//" in address else f"ws://{address}")
            monkeypatch.setenv("AZURE_OPENAI_API_KEY", "0123456789-key")
            monkeypatch.setenv("AZURE_OPENAI_DEPLOYMENT", "model")
            monkeypatch.setenv("AZURE_OPENAI_TRANSCRIPTION_DEPLOYMENT", "scribe")
            monkeypatch.setattr(sys, "stdin", io.StringIO("hello\n"))
            code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "arguments",
    [
        ["chat"],
        ["transcribe", "question.wav"],
        ["transcribe", "--json", "question.wav"],
        ["speak", "hi"],
        ["demo"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_a_service_cannot_write_on_the_terminal(
    command: Callable[..., tuple[int, str]], arguments: list[str], service: str, tmp_path: Path
) -> None:
    """Answers, errors, close reasons, refusals with their headers and bodies, redirects."""
    shutil.copy(QUESTION, tmp_path / "question.wav")

    code, printed = command(*arguments, service=service)

    assert (code in (0, 1), printed != "") == (True, True)
    assert reaches(printed) == []
    assert "0123456789-key" not in printed
    has_text = "pwned" in printed or "il\\x9b.example" in printed
    assert has_text or service in ("answers", "fails")  # which have nothing to tell to each command


TOOLS = """
from azure_rt_audio import Tool

def repeat(text: str) -> str:
    return text

def explode(text: str) -> str:
    raise ValueError(text)

def guard(text: str) -> str:
    return text

everything = [repeat, explode, Tool(guard, name="guarded", needs_approval=True)]
"""


def test_calls_of_tools_cannot_write_on_the_terminal(
    command: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their names and arguments, results and failures, and what is asked of the user."""
    (tmp_path / "hostile_tools.py").write_text(TOOLS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(SERVICES, "calls", lambda: hostile_service(_calling()))

    _, printed = command("chat", "--tools", "hostile_tools:everything", service="calls")

    for shown in ("repeat(", "explode(", "guarded(", "pwned"):
        assert shown in printed
    assert reaches(printed) == []


def test_the_question_whether_a_tool_may_run_cannot_write_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the model has written."""
    told = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with printable_streams():
        approvals = Approvals(Printer(), read=lambda prompt: told.append(prompt) or "n")  # type: ignore[func-returns-value]
        request = ToolApprovalRequested(
            call_id=HOSTILE, name=HOSTILE, arguments=HOSTILE, decide=lambda *_: True
        )
        assert approvals.add(request)
        approvals.ask()
    printed = capsys.readouterr()

    assert "pwned" in printed.out
    assert reaches(printed.out + printed.err + "".join(told)) == []


@pytest.mark.skipif(os.name == "nt", reason="needs names of files as POSIX has them: bytes")
@pytest.mark.parametrize(
    "arguments",
    [
        ["transcribe", "{}"],
        ["transcribe", "--json", "{}"],
        ["speak", "hi", "--out", "{}"],
        ["speak", "hi", "--record", "{}/x"],
        ["demo", "--audio", "{}"],
        ["demo", "--out", "{}/x.wav"],
        ["replay", "{}"],
        ["replay", "talk.rta", "--to-srt", "{}/x"],
        ["emulator", "--hears", "{}=words"],
        ["devices", "--test", "--input", "{}"],
        ["chat", "--{}"],
        ["chat", "--emulator", "--tools", "{}:f"],
        ["chat", "--emulator", "--tools", "json:{}"],
        ["chat", "--emulator", "--history", "{}"],
        ["chat", "--emulator", "--history", "{}/x"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_a_name_cannot_write_on_the_terminal(
    command: Callable[..., tuple[int, str]], arguments: list[str], tmp_path: Path
) -> None:
    """Names of files, of devices and of options, with bytes that are no text too."""
    name = f"{HOSTILE.replace(chr(0), '')}\udcff".replace("\ud83d", "")
    (tmp_path / name).write_bytes(b"no sound")
    Made().add(0.0, "opened", connection=1).save(tmp_path / "talk.rta")
    given = [argument.replace("{}", name) for argument in arguments]

    try:
        code, printed = command(*given)
    except SystemExit as exc:
        code, printed = exc.code, ""

    assert code in (1, 2)
    assert reaches(printed) == []


HISTORIES: list[Any] = [
    [{"role": HOSTILE, "text": "x"}],
    [{"role": "user", "text": "x", HOSTILE: 1}],
    [[HOSTILE, "x"]],
    {"version": HOSTILE, "items": []},
    {"version": 1, HOSTILE: 1, "items": [{"type": HOSTILE, "id": HOSTILE}]},
    [["user", HOSTILE.removesuffix("\ud83d")]],
]


@pytest.mark.parametrize("history", HISTORIES)
def test_a_history_cannot_write_on_the_terminal(
    command: Callable[..., tuple[int, str]], history: Any, tmp_path: Path
) -> None:
    """What is wrong in it, and what is right."""
    (tmp_path / "talk.json").write_text(json.dumps(history))

    code, printed = command("chat", "--emulator", "--history", "talk.json")

    assert code in (0, 2)
    assert reaches(printed) == []
    assert printed


@pytest.mark.parametrize("options", [[], ["--to-srt", "-"], ["--to-json", "-"]], ids=" ".join)
def test_a_recording_cannot_write_on_the_terminal(
    command: Callable[..., tuple[int, str]], options: list[str], tmp_path: Path
) -> None:
    """Neither its texts nor its lines that cannot be read; subtitles and JSON are printable as well."""
    code, printed = command("replay", str(_hostile_talk(tmp_path)), "--speed", "0", "--no-sound", *options)

    assert code == 1  # for the line that cannot be read
    assert "pwned" in printed
    assert reaches(printed) == []


def test_files_made_of_a_recording_are_printable(
    command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """A page shows texts as text: no mark in it turns the order of letters; nor does one in subtitles."""
    talk = str(_hostile_talk(tmp_path))
    command(
        "replay",
        talk,
        "--no-sound",
        "--to-html",
        "page.html",
        "--to-srt",
        "talk.srt",
        "--to-json",
        "talk.json",
    )

    for name in ("page.html", "talk.srt", "talk.json"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert ("pwned" in text, reaches(text)) == (True, []), name
    assert "\\\\u202e" in (tmp_path / "page.html").read_text(encoding="utf-8")  # which a script would read


def _hostile_talk(folder: Path) -> Path:
    text = HOSTILE.removesuffix("\ud83d")
    session = {"voice": text, "input_audio_format": "pcm16", "output_audio_format": "pcm16"}
    configuration = {"deployment": text, "endpoint": text, "dialect": "ga", "session": session}
    made = Made(configuration=configuration, library=text).add(0.0, "opened", connection=1)
    made.said(1.0, tone(1)).received(1.0, "input_audio_buffer.committed", item_id=text)
    name = "conversation.item.input_audio_transcription.completed"
    made.received(1.1, name, item_id=text, transcript=text)
    call = {"type": "function_call", "call_id": "call_1", "name": text, "arguments": text}
    made.received(1.2, "response.output_item.done", response_id="resp_0", item=call)
    output = {"type": "function_call_output", "call_id": "call_1", "output": text}
    made.sent(1.3, "conversation.item.create", item=output)
    made.words(1.4, f"a {text} b", item=text).delta(1.5, tone(2), item=text)
    made.received(1.6, "error", error={"type": text, "code": text, "message": text})
    made.received(1.7, text, **{text: text})
    made.add(1.8, "heard", item=text, ms=1_000, end=text)
    made.add(1.9, "listener_failed", listener=text, error=text, message=text, where=[text])
    made.add(2.0, "note", text=text).add(2.1, text, **{text: text})
    made.add(2.2, "dropped", connection=1, since=1.0, count=1, seconds=0.5)
    made.add(2.3, "reconnecting", attempt=1, delay_s=0.1, reason=text)
    told = {"shortened": {text: text}, "lost": {text: text}, "responses": {text: text}}
    made.add(2.4, "reconnected", connection=2, gap_s=0.1, reason=text, restored=[text], **told)
    made.add(2.5, "reconnecting", attempt=1, delay_s=0.1, reason=text)
    made.add(3.1, "closed", connection=1, code=1000, reason=text, message=text, is_clean=True)
    made.lines.append(text.encode())
    return made.save(folder / "talk.rta")


def test_html_is_printable() -> None:
    """Cards, badges, facts and speech of notebooks; escaped as HTML as before."""
    shown = _html.card(
        HOSTILE, [_html.facts({HOSTILE: HOSTILE}), _html.speech([(HOSTILE, HOSTILE)])], status=HOSTILE
    )

    assert reaches(shown.replace("\n", "")) == []
    assert "&lt;b&gt;" in _html.text_of("<b>")
