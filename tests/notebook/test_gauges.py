"""What the live view measures."""

from __future__ import annotations

import array
import base64

import pytest

from azure_rt_audio._notebook.gauges import Levels
from azure_rt_audio.protocol.events import ResponseOutputAudioDelta


def delta(peak: int, blocks: int, response_id: str = "r1") -> ResponseOutputAudioDelta:
    """Return a delta of so many twentieths of a second at one loudness."""
    sound = array.array("h", [peak, -peak] * 600 * blocks).tobytes()
    return ResponseOutputAudioDelta(
        response_id=response_id,
        item_id="i",
        delta=base64.b64encode(sound).decode(),
        output_index=0,
        content_index=0,
    )


def test_levels_wait_for_their_time() -> None:
    """What comes at once is heard one after the other."""
    levels = Levels()
    levels.add(delta(32767, 2), "pcm16", 100.0)
    levels.add(delta(1036, 1), "pcm16", 100.0)

    assert [round(levels.at(now), 2) for now in (99.9, 100.01, 100.06, 100.11, 100.16)] == [
        0.0,
        1.0,
        1.0,
        0.4,
        0.0,
    ]
    assert levels.is_heard_at(100.14)
    assert not levels.is_heard_at(100.15)


def test_another_answer_takes_the_place_of_the_former() -> None:
    """Its own first delta is its beginning."""
    levels = Levels()
    levels.add(delta(32767, 20), "pcm16", 0.0)
    levels.add(delta(0, 1, "r2"), "pcm16", 0.5)

    assert levels.at(0.5) == 0.0
    assert not levels.is_heard_at(0.6)


def test_silence_and_a_stop_are_silent() -> None:
    """Neither moves the needle."""
    levels = Levels()
    levels.add(delta(32767, 20), "pcm16", 0.0)
    levels.stop()

    assert levels.at(0.1) == 0.0
    assert not levels.is_heard_at(0.1)


@pytest.mark.parametrize("audio_format", ["g711_ulaw", "g711_alaw"])
def test_telephone_sound_has_levels_too(audio_format: str) -> None:
    """400 bytes are a twentieth of a second."""
    levels = Levels()
    loud = base64.b64encode(bytes([0x80 if audio_format == "g711_ulaw" else 0xAA]) * 800).decode()
    levels.add(
        ResponseOutputAudioDelta(response_id="r", item_id="i", delta=loud, output_index=0, content_index=0),
        audio_format,
        0.0,
    )

    assert levels.at(0.06) > 0.9
    assert not levels.is_heard_at(0.1)
