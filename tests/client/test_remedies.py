"""Slips of those who begin, and the remedies that the errors name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from azure_rt_audio import AzureRealTimeAudio, McpServer, Tool, Tools
from azure_rt_audio._cli import UsageError
from azure_rt_audio._cli.tools_option import load_tools
from azure_rt_audio.devices import SimulatedMicrophone, SimulatedSpeaker
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.options import AzureRealTimeOptions, make_options
from azure_rt_audio.protocol.history import history_from


def look_up(city: str) -> str:
    """Look up a city."""
    return city


def hand_over(context) -> None:  # type: ignore[no-untyped-def]
    """Hand over."""


OPTIONS = {"host_name": "test.openai.azure.com", "deployment": "d", "api_key": "k"}
GIVEN: Any = None

SLIPS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: history_from("talk.json"), TypeError, "is a path, not its content: give Path(...).read_text()"),
    (lambda: history_from(Path("talk.json")), TypeError, "give Path(...).read_text()"),
    (lambda: history_from("talk"), ValueError, "Conversation.to_dict() or to_json()"),
    (lambda: SimulatedMicrophone("question.wav"), TypeError, "read a file with read_audio(path)"),
    (lambda: McpServer("https://x.test/mcp"), TypeError, 'give {"server_label": "wiki", "server_url":'),  # type: ignore[arg-type]
    (
        lambda: make_options(AzureRealTimeOptions, {**OPTIONS, "lag": "keep"}),
        ValueError,
        "one of WebSocketOptions",
    ),
    (lambda: AzureRealTimeAudio(OPTIONS, reconnect=False), TypeError, "None for no reconnection"),  # type: ignore[arg-type]
    (lambda: Tool(hand_over), TypeError, "add ToolContext, if it is the call's context"),
    (lambda: Tool(look_up, needs_approval="always"), TypeError, "True, False or a function"),  # type: ignore[arg-type]
    (lambda: Tools(look_up).remove("lok_up"), KeyError, "known are: look_up"),
    (lambda: Tools().remove("look_up"), KeyError, "known are: none"),
    (lambda: Emulator(mcp_tools={"tide": look_up}), TypeError, "the label of the server is missing"),  # type: ignore[dict-item]
]


@pytest.mark.parametrize(
    ("slip", "kind", "remedy"), SLIPS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_slip_is_told_with_its_remedy(slip: Callable[[], Any], kind: type[Exception], remedy: str) -> None:
    """An error names the remedy, not only the fault."""
    with pytest.raises(kind, match=re.escape(remedy)):
        slip()


def test_slips_with_a_client() -> None:
    """Of a prompt that is none, and of devices that are exchanged, before anything starts."""
    with Emulator(pace=0) as service, AzureRealTimeAudio(service.options()) as client:
        with pytest.raises(TypeError, match="prompt must be text, or sound"):
            client.ask(None)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="microphone and speaker are exchanged"):
            client.talk(SimulatedSpeaker(), SimulatedMicrophone())  # type: ignore[arg-type]


def test_lists_of_tools_may_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest name may be that of a list; a module is no path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "remedied_tools.py").write_text("def f(a: str): 'F'\ndef g(a: str): 'G'\ntools = [f, g]\n")
    with pytest.raises(UsageError, match=r"did you mean tools\?"):
        load_tools(["remedied_tools:tool"])
    with pytest.raises(UsageError, match=r"leave \./ out"):
        load_tools(["./remedied_tools:tools"])
