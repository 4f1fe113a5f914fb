"""Tools in a recording: when each of them ran, in the background too."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from listeners import HANG

from azure_rt_audio import AzureRealTimeAudio, Tool
from azure_rt_audio.emulator import Conversation, Emulator, FunctionCall, Reply, Session
from azure_rt_audio.events import ResponseDone
from azure_rt_audio.recording import Recording, ToolEnded, ToolStarted
from azure_rt_audio.recording.analysis import analyse
from azure_rt_audio.recording.document import document
from azure_rt_audio.recording.page.rows import rows


def reply(conversation: Conversation, session: Session) -> Reply | str:
    """Call what is asked for, or say that it is done."""
    last = conversation.items[-1]
    return Reply(calls=[FunctionCall(last.text, {})]) if last.role == "user" else "done"


def test_when_tools_ran(tmp_path: Path, dialect: str, caplog: pytest.LogCaptureFixture) -> None:
    """One in the background until its result is there; one that failed; with nothing that they were told."""
    go_on = threading.Event()

    def report() -> str:
        """Report, which takes long."""
        go_on.wait(HANG)
        return "twelve pages"

    def fail() -> str:
        """Fail."""
        raise LookupError("a secret")

    tools = [Tool(report, background=True), fail]
    config = {"modalities": ["text"]}
    with (
        Emulator(responder=reply, pace=0) as service,
        AzureRealTimeAudio(
            {**service.options(dialect), "session_config": config},
            tools=tools,
            record={"path": tmp_path / "tools.rta", "redact": "texts"},
        ) as client,
    ):
        client.ask("report", timeout=HANG)
        client.ask("fail", timeout=HANG)
        with client.events(ResponseDone, timeout=HANG) as done:
            go_on.set()
            next(done)
    caplog.clear()  # of the failure
    recording = Recording.load(tmp_path / "tools.rta")
    entries = [entry for entry in recording.entries if isinstance(entry, ToolStarted | ToolEnded)]
    timeline = analyse(recording)
    slow, failed = timeline.tool_calls
    text = (tmp_path / "tools.rta").read_text()

    assert [(entry.KIND, entry.name) for entry in entries] == [
        ("tool_started", "report"),
        ("tool_started", "fail"),
        ("tool_ended", "fail"),
        ("tool_ended", "report"),
    ]
    assert slow.end is not None
    assert slow.ran_until is not None
    assert failed.ran_until is not None
    assert slow.start <= (slow.ran_from or 0.0) <= slow.end < failed.ran_until < slow.ran_until
    assert (slow.has_failed, failed.has_failed) == (False, True)
    assert "twelve pages" not in text
    assert "a secret" not in text
    shown = json.loads(json.dumps(document(recording, timeline)))["tool_calls"]
    assert [call["has_failed"] for call in shown] == [False, True]
    assert [row[4] for row in rows(recording) if row[3] == "tool ended"] == ["fail, failed", "report"]


def test_calls_that_the_program_runs_itself(tmp_path: Path) -> None:
    """Nobody knows when they ran."""
    declared = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    with (
        Emulator(responder=reply, pace=0) as service,
        AzureRealTimeAudio(
            {**service.options(), "session_config": {"modalities": ["text"], "tools": [declared]}},
            record=tmp_path / "by_hand.rta",
        ) as client,
    ):
        client.ask("look", timeout=HANG)
    (call,) = analyse(Recording.load(tmp_path / "by_hand.rta")).tool_calls

    assert (call.ran_from, call.ran_until) == (None, None)
