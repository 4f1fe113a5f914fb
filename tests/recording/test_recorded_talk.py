"""A talk that was recorded from a real client: its timeline is what its speaker played."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from listeners import HANG

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio._cli import recordings
from azure_rt_audio.devices import SimulatedMicrophone, SimulatedSpeaker
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.recording import Recording
from azure_rt_audio.recording.analysis import analyse
from azure_rt_audio.voice import FirstSound, Interrupted

HEARD = ["How is it?", "Stop."]
ANSWER = "It is sunny in Lisbon. " * 3
INTERRUPTED_AFTER = bytes(24_000)  # half a second of silence, and then the user speaks


@pytest.mark.thorough
def test_what_was_heard_is_what_the_speaker_played(tmp_path: Path) -> None:
    """The very samples, when they were played, nothing of what was cut; the latency is the voice's own."""
    first, cut = threading.Event(), threading.Event()
    seen: list[Any] = []

    def on_event(event: Any) -> None:
        seen.append(event)
        if isinstance(event, FirstSound):
            first.set()
        elif isinstance(event, Interrupted):
            cut.set()

    microphone, speaker = SimulatedMicrophone(recordings.question()), SimulatedSpeaker()
    with (
        Emulator(recogniser=HEARD, responder=lambda *_: ANSWER) as service,
        AzureRealTimeAudio(service.options(), record=tmp_path / "talk.rta") as client,
        client.talk(microphone, speaker, echo="headphones", on_event=on_event),
    ):
        assert first.wait(HANG)
        microphone.say(INTERRUPTED_AFTER + recordings.interruption())
        assert cut.wait(HANG)
    timeline = analyse(Recording.load(tmp_path / "talk.rta"))
    (sound,) = [event for event in seen if isinstance(event, FirstSound)]
    (interruption,) = [event for event in seen if isinstance(event, Interrupted)]
    answer = next(turn for turn in timeline.turns if turn.role == "assistant")
    played = speaker.heard(interruption.cuts[0].item_id)
    track = b"".join(timeline.heard.blocks(answer.end, answer.start))

    assert answer.is_interrupted
    assert answer.item_id == interruption.cuts[0].item_id
    assert len(track) == pytest.approx(len(played), abs=48 * 20)
    assert track[: len(played) - 960] == played[: len(track)][: len(played) - 960]
    assert [cut.by_user for cut in timeline.interruptions] == [True]
    assert sound.latency_ms is not None
    assert timeline.latencies[0].seconds * 1000 == pytest.approx(sound.latency_ms, abs=120)
    assert timeline.said.has_sound
