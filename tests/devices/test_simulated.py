"""A microphone and a speaker without a device keep to the clock, and to what they were given."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest
from fake_devices import BLOCK

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.devices import MicrophoneLike, SimulatedMicrophone, SimulatedSpeaker, SpeakerLike
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.errors import DeviceError

FAST = 1_000.0
"""A second of sound per millisecond."""


def bring(microphone: SimulatedMicrophone, blocks: int) -> list[bytes | None]:
    return [microphone.read(5) for _ in range(blocks)]


def test_a_recording_is_heard_in_blocks_and_silence_after_it() -> None:
    """The last block is filled up with silence."""
    microphone = SimulatedMicrophone(BLOCK + BLOCK[:480], tempo=FAST)
    microphone.start()

    assert bring(microphone, 3) == [BLOCK, BLOCK[:480] + bytes(480), bytes(960)]
    assert microphone.silent_s > 0

    microphone.say(BLOCK)
    assert microphone.silent_s == 0
    assert bring(microphone, 1) == [BLOCK]


def test_a_recording_may_be_repeated() -> None:
    """Without a gap, if it is of whole blocks."""
    microphone = SimulatedMicrophone(BLOCK + bytes(960), repeat=True, tempo=FAST)
    microphone.start()

    assert bring(microphone, 4) == [BLOCK, bytes(960), BLOCK, bytes(960)]


def test_a_muted_microphone_brings_silence() -> None:
    """The recording goes on meanwhile."""
    microphone = SimulatedMicrophone(BLOCK * 2, tempo=FAST)
    microphone.start()
    microphone.is_muted = True
    assert bring(microphone, 1) == [bytes(960)]
    microphone.is_muted = False

    assert bring(microphone, 2) == [BLOCK, bytes(960)]


def test_a_block_takes_its_time() -> None:
    """It can be read when it is over, and says when it began."""
    microphone = SimulatedMicrophone(block_ms=40)
    began = time.monotonic()
    microphone.start()

    assert microphone.read(0.0) is None
    assert microphone.read(5) == bytes(1920)
    assert time.monotonic() - began >= 0.04
    assert 0 <= microphone.captured_at - began < 5
    first = microphone.captured_at
    microphone.read(5)
    assert microphone.captured_at - first == pytest.approx(0.04)


def test_a_microphone_that_is_closed_or_was_not_started_brings_nothing() -> None:
    """As the real one says it."""
    microphone = SimulatedMicrophone(BLOCK)
    with pytest.raises(DeviceError, match="was not started"):
        microphone.read(0)
    microphone.start()
    microphone.close()
    with pytest.raises(DeviceError, match="is closed"):
        microphone.read()


def test_a_speaker_keeps_what_it_played() -> None:
    """All of an item, when there was time for it."""
    speaker = SimulatedSpeaker(tempo=1_000_000)
    speaker.play(BLOCK, item_id="a")
    speaker.play(BLOCK, item_id="a")
    speaker.finish("a")
    wait_for(lambda: not speaker.is_playing)

    assert speaker.heard("a") == BLOCK * 2
    assert speaker.played_ms("a") == 40
    assert speaker.stop() == ()
    assert speaker.level_db == -100


def test_a_stopped_speaker_says_how_much_it_played_of_what() -> None:
    """What waits is never heard."""
    speaker = SimulatedSpeaker()
    speaker.play(BLOCK * 500, item_id="a")
    speaker.play(BLOCK, item_id="b")
    wait_for(lambda: speaker.played_ms("a") > 0)
    assert speaker.is_playing
    assert speaker.level_db > -40
    first, second = speaker.stop()

    assert (first.item_id, second.item_id, second.ms) == ("a", "b", 0)
    assert 0 < first.ms < 10_000
    assert first.frames == len(speaker.heard("a")) // 2
    assert BLOCK.startswith(speaker.heard("a")[:960])
    assert not speaker.is_playing


def test_an_item_that_ran_dry_is_not_played_out_before_it_is_finished() -> None:
    """More of it may come."""
    speaker = SimulatedSpeaker(tempo=1_000_000)
    speaker.play(BLOCK, item_id="a")
    wait_for(lambda: not speaker.is_playing)

    assert [(played.item_id, played.ms) for played in speaker.stop()] == [("a", 20)]


@pytest.mark.parametrize("end", ["finish", "stop"])
def test_an_id_begins_a_new_item_after_its_end(end: str) -> None:
    """As on a real one: what comes with it after it was finished, or stopped, counts from 0."""
    speaker = SimulatedSpeaker(tempo=1_000_000)
    speaker.finish("a")  # which is unknown yet, and so no end of anything
    speaker.play(BLOCK * 3, item_id="a")
    wait_for(lambda: speaker.played_ms("a") == 60)
    speaker.finish("a") if end == "finish" else speaker.stop()
    first = speaker.heard("a")
    speaker.play(BLOCK, item_id="a")
    wait_for(lambda: not speaker.is_playing)

    assert first == BLOCK * 3
    assert speaker.heard("a") == BLOCK
    assert speaker.played_ms("a") == 20
    assert [(played.item_id, played.ms) for played in speaker.stop()] == [("a", 20)]


def test_an_id_may_begin_again_while_its_item_is_played() -> None:
    """Both are played, and told when they are stopped."""
    speaker = SimulatedSpeaker(tempo=0.001)
    for _ in range(2):
        speaker.play(BLOCK, item_id="a")
        speaker.finish("a")

    assert speaker.played_ms("a") == 0
    assert [played.item_id for played in speaker.stop()] == ["a", "a"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"block_ms": 20.5}, r"block_ms must be a whole number of milliseconds, not 20\.5"),
        ({"block_ms": True}, "block_ms must be a whole number of milliseconds, not True"),
        ({"block_ms": "20"}, "block_ms must be a whole number of milliseconds, not '20'"),
        ({"tempo": "2"}, "tempo must be a number of seconds of sound per second, not '2'"),
        ({"tempo": True}, "tempo must be a number of seconds of sound per second, not True"),
        ({"tempo": None}, "tempo must be a number of seconds of sound per second, not None"),
    ],
)
def test_what_is_no_number_is_refused_by_name(given: dict[str, Any], words: str) -> None:
    """As by a real one, and at once."""
    with pytest.raises(TypeError, match=words):
        SimulatedMicrophone(**given)
    if "tempo" in given:
        with pytest.raises(TypeError, match=words):
            SimulatedSpeaker(**given)


@pytest.mark.parametrize("tempo", [0, -1, float("inf"), float("nan")])
def test_time_passes_forward(tempo: float) -> None:
    """And not at once."""
    for device in (SimulatedMicrophone, SimulatedSpeaker):
        with pytest.raises(ValueError, match="tempo is"):
            device(tempo=tempo)


def test_a_conversation_needs_no_other_devices() -> None:
    """The question is heard, and its answer is played as it was said."""
    microphone: MicrophoneLike = SimulatedMicrophone(BLOCK * 20, tempo=10)
    speaker = SimulatedSpeaker(tempo=10)
    like: SpeakerLike = speaker
    with (
        Emulator(responder=lambda *_: "Yes.", keep_audio=True) as service,
        AzureRealTimeAudio(service.options()) as client,
        client.talk(microphone, like, echo="headphones"),
    ):
        done = client.wait_for("response.done", timeout=10)
        (item,) = done.response.output
        said = b"".join(base64.b64decode(each["delta"]) for each in service.sent("response.audio.delta"))
        wait_for(lambda: speaker.heard(item.id) == said)


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Look until it is so, for that is all that can be done with a clock."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
