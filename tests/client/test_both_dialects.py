"""One program, unchanged, says the same on GA and on preview, byte for byte."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any

import pytest

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.audio import read_wav
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.protocol.events import ResponseDone

DIALECTS = ("ga", "preview")
EVENTS = (
    "init",
    "status_changed",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.created",
    "conversation.item.input_audio_transcription.completed",
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.text.delta",
    "response.text.done",
    "response.audio_transcript.delta",
    "response.audio_transcript.done",
    "response.audio.delta",
    "response.audio.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.done",
    "error",
    "closed",
)
"""By the names of the TypeScript SDK, which are preview's."""

TELLING = ("status", "previous", "delta", "text", "transcript", "arguments", "audio_start_ms", "audio_end_ms")
TOOLS = [
    {
        "type": "function",
        "name": "get_weather",
        "description": "Tell the present weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city"}},
            "required": ["city"],
        },
    }
]
SESSION = {
    "voice": "shimmer",
    "instructions": "Be brief.",
    "modalities": ["text", "audio"],
    "input_audio_format": "pcm16",
    "output_audio_format": "pcm16",
    "input_audio_transcription": {"model": "gpt-4o-transcribe"},
    "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500},
    "tools": TOOLS,
    "tool_choice": "auto",
    "max_response_output_tokens": 4096,
}


def tell(name: str, event: Any) -> None:
    """Print an event: its name, and what in it is meant for people."""
    facts = {field: getattr(event, field) for field in TELLING if getattr(event, field, None) is not None}
    if name == "response.audio.delta":
        facts["delta"] = hashlib.sha256(event.audio).hexdigest()[:12]
    if name == "response.done":
        facts["answer"] = (event.response.status, event.response.text, len(event.response.function_calls))
    print(name, {field: str(value) for field, value in facts.items()})  # noqa: T201 - what is printed is what is compared


def program(options: dict[str, Any], speech: bytes) -> None:
    """A text turn, a tool turn and a voice turn; everything is printed by listeners, on their one thread."""
    with AzureRealTimeAudio({**options, "session_config": SESSION}) as client:
        for name in EVENTS:
            client.on(name, lambda event, name=name: tell(name, event))

        client.ask("Hello, who are you?", response={"modalities": ["text"]}, timeout=20)

        (call,) = client.ask("What is the weather in Lisbon?", timeout=20).function_calls
        city = json.loads(call.arguments or "{}")["city"]
        client.create_conversation_item(
            {"type": "function_call_output", "call_id": call.call_id, "output": f"sunny in {city}"}
        )
        client.create_response().result(20)

        with client.events(ResponseDone, timeout=20) as answers:
            for start in range(0, len(speech), 4_800):
                client.append_audio(speech[start : start + 4_800])
            next(answers)
    for entry in client.conversation.entries:
        print(entry.role, repr(entry.text), entry.audio_base64_length)  # noqa: T201 - the same


def printed_by_the_program(dialect: str, capsys: pytest.CaptureFixture[str]) -> str:
    with (files("azure_rt_audio") / "data" / "question.wav").open("rb") as file:
        speech = read_wav(file) + bytes(48_000)
    service = Emulator(recogniser=["Thank you very much."], pace=0, seed=7, profile="documented")
    with service:
        program(service.options(dialect), speech)
    return capsys.readouterr().out


def test_the_program_prints_the_same_in_both_dialects(capsys: pytest.CaptureFixture[str]) -> None:
    """The same lines in the same order, to the last byte, whichever protocol is spoken."""
    ga, preview = (printed_by_the_program(dialect, capsys) for dialect in DIALECTS)

    assert ga == preview


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_program_tells_a_whole_story(dialect: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is compared is a conversation with text, a tool call and speech, not two empty pages."""
    story = printed_by_the_program(dialect, capsys)

    for name in set(EVENTS) - {"error"}:
        assert f"\n{name} " in f"\n{story}"
    assert "\nerror" not in story
    assert "I am the emulator" in story
    assert "{'arguments': '{\"city\": \"Lisbon\"}'}" in story
    assert "sunny in Lisbon" in story
    assert "Thank you very much." in story
    assert "You are welcome." in story
