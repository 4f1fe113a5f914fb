"""What the transcript of the command line does at once."""

from __future__ import annotations

import pytest
from fake_devices import BLOCK

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio._cli.demo.transcript import Transcript, _on_one_line
from azure_rt_audio._cli.printer import Printer
from azure_rt_audio._cli.replay.script import _compact
from azure_rt_audio._cli.tool_calls import _told_error
from azure_rt_audio.devices import SimulatedSpeaker
from azure_rt_audio.emulator import Emulator


def test_an_answer_that_comes_slowly_is_cut_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Who speaks when all that has come was heard, but not all has come, interrupts as well."""
    with Emulator(pace=1) as service, AzureRealTimeAudio(service.options()) as client:
        speaker = SimulatedSpeaker(tempo=1_000_000)  # has always played what it was given
        transcript = Transcript(client, Printer(), speaker, lambda _: "")
        client.create_conversation_item(
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Say: " + "so on " * 500}],
            }
        )
        client.create_response()
        transcript.follow(lambda: transcript.turn.latency.first_audio_at is not None, lambda: "no sound")
        client.append_audio(BLOCK * 50)
        transcript.follow(lambda: transcript.turn.stopped is not None, lambda: "not stopped")
        transcript.follow(lambda: transcript.turn.cut_at_ms is not None, lambda: "not cut")

    assert transcript.turn.cut_at_ms
    assert "[begin to speak, " in capsys.readouterr().out


def test_json_that_is_nested_without_end_is_shown_as_it_is() -> None:
    """A model's arguments, and what a tool returns, may be anything."""
    nested = "[" * 100_000

    assert _on_one_line(nested) == nested
    assert _compact(nested) == nested
    assert _told_error(nested) is None
