"""How soon an answer comes, by the events that say so."""

from __future__ import annotations

import json

from azure_rt_audio.protocol.codec import decode_event
from azure_rt_audio.protocol.latency import Latency

STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "i", "audio_end_ms": 1}
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "i"}
CREATED = {"type": "response.created", "response": {"id": "r"}}
DONE = {"type": "response.done", "response": {"id": "r"}}
PLACE = {"response_id": "r", "item_id": "a", "output_index": 0, "content_index": 0}
SOUND = {"type": "response.audio.delta", "delta": "AAA=", **PLACE}
WORDS = {"type": "response.audio_transcript.delta", "delta": "It is", **PLACE}


def item(**fields: object) -> dict[str, object]:
    return {"type": "conversation.item.created", "item": {"id": "i", **fields}}


def measured(*events: tuple[float, dict[str, object]]) -> Latency:
    """Return what has been measured of events at their times."""
    latency = Latency()
    for now, fields in events:
        latency.see(decode_event(json.dumps({"event_id": "e", **fields}).encode()), now)
    return latency


def test_it_is_from_the_end_of_the_users_turn_to_the_first_of_the_answer() -> None:
    """The latest that asks counts, and of the answer the first word or sound only."""
    asked = (1.0, STOPPED), (1.5, COMMITTED), (1.6, CREATED)
    assert measured(*asked).seconds is None

    latency = measured(*asked, (1.75, SOUND), (2.0, WORDS), (9.0, SOUND), (9.5, DONE))

    assert latency.seconds == 0.25
    assert (latency.first_text_at, latency.first_audio_at, latency.done_at) == (2.0, 1.75, 9.5)


def test_an_answer_that_nobody_asked_for_is_measured_from_its_own_beginning() -> None:
    """As when create_response is called, the first time or again."""
    once = (1.0, CREATED), (1.5, SOUND)

    assert measured(*once).seconds == 0.5
    assert measured(*once, (5.0, CREATED), (5.25, WORDS)).seconds == 0.25


def test_a_call_of_a_function_is_part_of_the_wait() -> None:
    """Neither the call nor its output is a question or an answer."""
    call = item(type="function_call", name="f", call_id="c", arguments="{}")
    output = item(type="function_call_output", call_id="c", output="{}")
    latency = measured(
        (1.0, STOPPED), (1.1, CREATED), (1.2, call), (1.3, DONE), (1.4, output), (1.5, CREATED), (2.0, SOUND)
    )

    assert latency.seconds == 1.0


def test_what_is_written_asks_too() -> None:
    """Of the messages those of the user, not those of the assistant."""
    question = item(type="message", role="user", content=[])
    answer = item(type="message", role="assistant", content=[])

    assert measured((1.0, question), (1.1, CREATED), (1.4, answer), (1.5, WORDS)).seconds == 0.5


def test_the_former_latency_stays_until_there_is_another() -> None:
    """What belongs to the former turn is forgotten."""
    latency = measured((1.0, STOPPED), (1.5, SOUND), (7.0, STOPPED))

    assert latency.seconds == 0.5
    assert latency.first_audio_at is None
    assert latency.since_asked(7.25) == 0.25


def test_time_since_a_question_is_never_negative() -> None:
    """And without a question, or without a moment, there is none."""
    latency = Latency()
    assert latency.since_asked(1.0) is None
    latency.ask(2.0)

    assert latency.since_asked(1.0) == 0.0
    assert latency.since_asked(None) is None
