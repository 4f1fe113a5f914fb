"""Slips of those who begin, and the remedies that the errors name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from azure_rt_audio import AzureRealTimeAudio, McpServer, QueueDispatcher, Response, Tool, Tools
from azure_rt_audio._cli import UsageError
from azure_rt_audio._cli.tools_option import load_tools
from azure_rt_audio.audio import WavWriter, to_pcm16, write_audio, write_wav
from azure_rt_audio.devices import SimulatedMicrophone, SimulatedSpeaker
from azure_rt_audio.emulator import Close, Emulator, Refuse, after
from azure_rt_audio.options import AzureRealTimeOptions, WebSocketOptions, make_options
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
    (lambda: Tools({"type": "function", "name": "f"}), TypeError, "belongs into the tools of session_config"),  # type: ignore[arg-type]
    (lambda: AzureRealTimeOptions(**{**OPTIONS, "api_key": 3}), ValueError, "api_key must be text, not int"),
    (
        lambda: AzureRealTimeAudio(OPTIONS, dispatcher=QueueDispatcher),
        TypeError,
        "make one of it, QueueDispatcher(",
    ),  # type: ignore[arg-type]
    (lambda: AzureRealTimeOptions(endpoint="x"), TypeError, "did you mean 'host_name'?"),  # type: ignore[call-arg]
    (lambda: AzureRealTimeAudio({"endpoint": "x"}), ValueError, "did you mean 'host_name'?"),
    (lambda: WebSocketOptions(open_timout=3), TypeError, "not an option of WebSocketOptions; did you mean"),  # type: ignore[call-arg]
    (lambda: AzureRealTimeOptions(**OPTIONS, lag="keep"), TypeError, "it is one of WebSocketOptions"),  # type: ignore[call-arg]
    (lambda: Emulator(port="8765"), TypeError, "port is '8765': give a whole number"),  # type: ignore[arg-type]
    (lambda: Emulator(port=70_000), ValueError, "port is 70000: give one from 0 to 65535"),
    (lambda: Refuse(200), ValueError, "status is 200: give one from 300 to 599"),
    (lambda: Close("x"), TypeError, "code is 'x': give a whole number"),  # type: ignore[arg-type]
    (lambda: after("response.done", Close(7)), ValueError, "code is 7: give one from 1000 to 4999"),
    (lambda: write_wav(b"ab", "x.wav"), TypeError, "the path comes first"),  # type: ignore[arg-type]
    (lambda: write_audio(b"ab", "x.wav"), TypeError, "the path comes first"),  # type: ignore[arg-type]
    (lambda: WavWriter("x.wav", "16000"), TypeError, "sample_rate_hz must be a whole number of Hz, not str"),  # type: ignore[arg-type]
    (lambda: to_pcm16(Response()), TypeError, "not Response: pass its .audio"),  # type: ignore[arg-type]
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
        for prompt in (None, ["Hello"], 42):
            with pytest.raises(TypeError, match="prompt must be text, or sound"):
                client.ask(prompt)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="timeout is -3"):
            client.ask("Hello", timeout=-3)
        with pytest.raises(TypeError, match=r"not PendingResponse: pass its \.result\(\)\.audio"):
            client.append_audio(client.create_response())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="make one of it"):
            client.on("response.done", print, dispatcher=QueueDispatcher)  # type: ignore[arg-type]
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
