"""What the live view measures."""

from __future__ import annotations

import array
import base64
import json

import pytest

from azure_rt_audio._notebook.gauges import Latency, Levels
from azure_rt_audio.protocol.codec import decode_event
from azure_rt_audio.protocol.events import Event, ResponseOutputAudioDelta


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


def event(**fields: object) -> Event:
    """Return an event as it comes."""
    return decode_event(json.dumps(fields).encode())


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


def test_latency_is_from_the_end_of_the_users_turn_to_the_first_of_the_answer() -> None:
    """The latest that asks counts, and of the answer the first word or sound only."""
    latency = Latency()
    latency.see(
        event(type="input_audio_buffer.speech_stopped", event_id="e", item_id="i", audio_end_ms=1), 1.0
    )
    latency.see(event(type="input_audio_buffer.committed", event_id="e", item_id="i"), 1.5)
    latency.see(event(type="response.created", event_id="e", response={"id": "r"}), 1.6)
    assert latency.seconds is None
    latency.see(delta(0, 1), 1.75)
    latency.see(delta(0, 1), 9.0)

    assert latency.seconds == 0.25


def test_latency_of_an_answer_that_nobody_asked_for_is_from_its_own_beginning() -> None:
    """As when create_response is called."""
    latency = Latency()
    latency.see(event(type="response.created", event_id="e", response={"id": "r"}), 1.0)
    latency.see(delta(0, 1), 1.5)

    assert latency.seconds == 0.5
