"""Whose turn it is, from the events alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from azure_rt_audio.protocol.codec import decode_event
from azure_rt_audio.protocol.events import Event
from azure_rt_audio.protocol.turn import ModelStatusEnum, TurnState, is_out_of_band

IDLE, LISTENING, THINKING, SPEAKING = ModelStatusEnum


def heard(**fields: Any) -> Event:
    return decode_event(json.dumps(fields))


def started() -> Event:
    return heard(type="input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)


def stopped() -> Event:
    return heard(type="input_audio_buffer.speech_stopped", item_id="u", audio_end_ms=9)


def created(id_: str | None = "r1", **fields: Any) -> Event:
    return heard(type="response.created", response={"id": id_, "status": "in_progress", **fields})


def sound(id_: str = "r1", name: str = "response.output_audio.delta") -> Event:
    return heard(type=name, response_id=id_, item_id="i", output_index=0, content_index=0, delta="AAAA")


def text(id_: str = "r1") -> Event:
    return heard(
        type="response.text.delta", response_id=id_, item_id="i", output_index=0, content_index=0, delta="x"
    )


def done(id_: str | None = "r1", status: str = "completed", part: str | None = "output_audio") -> Event:
    output = [{"type": "message", "role": "assistant", "content": [{"type": part}] if part else []}]
    return heard(type="response.done", response={"id": id_, "status": status, "output": output})


def statuses(*events: Event) -> list[ModelStatusEnum]:
    turn = TurnState()
    return [turn.advance(event) for event in events]


def test_a_spoken_turn() -> None:
    """Listening, thinking, speaking; and speaking still when the service is done."""
    expected = [LISTENING, LISTENING, THINKING, SPEAKING, SPEAKING, SPEAKING]
    assert expected == statuses(started(), stopped(), created(), sound(), sound(), done())


def test_both_dialects_speak() -> None:
    """The name on the wire makes no difference."""
    assert statuses(created(), sound(name="response.audio.delta"))[-1] is SPEAKING
    assert statuses(created(), done(part="audio"))[-1] is SPEAKING


def test_a_written_turn() -> None:
    """Text is not speech; when it is done, so is the turn."""
    assert statuses(created(), text(), done(part="output_text")) == [THINKING, THINKING, IDLE]
    assert statuses(created(), done(part=None)) == [THINKING, IDLE]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("completed", SPEAKING), ("incomplete", SPEAKING), ("cancelled", IDLE), ("failed", IDLE)],
)
def test_how_a_spoken_response_may_end(status: str, expected: ModelStatusEnum) -> None:
    """What was said is played to its end, unless it was called off."""
    assert expected is statuses(created(), sound(), done(status=status))[-1]


def test_a_response_without_anything_ends_the_turn() -> None:
    """Services leave out the output now and then."""
    assert statuses(created(), heard(type="response.done", response={"id": "r1"}))[-1] is IDLE


def test_barge_in() -> None:
    """Late sound of the response that is being interrupted does not end listening, nor does its end."""
    events = (created(), sound(), started(), sound(), done(status="cancelled"), sound())
    assert statuses(*events) == [THINKING, SPEAKING, LISTENING, LISTENING, LISTENING, LISTENING]


def test_barge_in_before_the_first_sound() -> None:
    """The first delta of a response that was interrupted while thinking is speech all the same."""
    assert statuses(created(), started(), done(status="cancelled", part=None)) == [
        THINKING,
        LISTENING,
        LISTENING,
    ]


def test_the_next_response_speaks_again() -> None:
    """Each response has a first delta of its own."""
    events = (created(), sound(), done(), created("r2"), sound("r2"))
    assert statuses(*events)[-2:] == [THINKING, SPEAKING]


def test_the_player_may_say_that_it_has_finished() -> None:
    """A status set from outside stands until an event changes it; later deltas do not."""
    turn = TurnState()
    for event in (created(), sound(), done()):
        turn.advance(event)
    turn.status = IDLE
    assert turn.advance(heard(type="rate_limits.updated", rate_limits=[])) is IDLE
    assert turn.advance(sound()) is IDLE
    assert turn.advance(started()) is LISTENING


def test_out_of_band_responses_do_not_count() -> None:
    """They are not part of the conversation, whatever they do."""
    events = (
        created("side", conversation_id=None),
        sound("side"),
        done("side"),
        created("r1", conversation_id="conv"),
        sound("side"),
        done("side"),
    )
    assert statuses(*events) == [IDLE, IDLE, IDLE, THINKING, THINKING, THINKING]


def test_null_is_out_of_band_and_absent_is_not() -> None:
    """The first preview has no such field."""
    for fields, expected in (
        ({"conversation_id": None}, True),
        ({}, False),
        ({"conversation_id": "c"}, False),
    ):
        event = created(**fields)
        assert expected is is_out_of_band(event.response)  # type: ignore[attr-defined]


def test_strays_change_nothing() -> None:
    """Sound and ends of responses nobody announced, and events nobody knows."""
    assert statuses(sound("x"), done("x"), heard(type="response.smell.delta")) == [IDLE, IDLE, IDLE]
    assert statuses(created("r2"), done("r1")) == [THINKING, THINKING]


def test_a_status_is_its_word() -> None:
    """It prints, compares and formats as the TypeScript SDK's values do."""
    assert [str(status) for status in ModelStatusEnum] == ["idle", "listening", "thinking", "speaking"]
    assert f"{SPEAKING}" == SPEAKING == "speaking"
    assert ModelStatusEnum("idle") is IDLE


def followed(turn: TurnState, response: str, *heard: bool) -> list[ModelStatusEnum]:
    return [turn.follow_speaker(response, is_playing=is_playing) for is_playing in heard]


def advanced(*events: Event) -> TurnState:
    turn = TurnState()
    for event in events:
        turn.advance(event)
    return turn


def test_the_status_follows_the_speaker() -> None:
    """Speaking until the answer has been heard, however long ago the service was done with it."""
    turn = advanced(created(), sound(), done())

    assert followed(turn, "r1", True, True, False, False) == [SPEAKING, SPEAKING, IDLE, IDLE]


def test_a_speaker_that_runs_dry() -> None:
    """As long as more is to come it is speaking, even if nothing is heard for a moment."""
    turn = advanced(created(), sound())

    assert followed(turn, "r1", True, False) == [SPEAKING, SPEAKING]


def test_a_speaker_does_not_drown_the_user() -> None:
    """Who speaks is listened to, whatever can still be heard."""
    turn = advanced(created(), sound(), done(), started())

    assert followed(turn, "r1", True, False) == [LISTENING, LISTENING]


def test_the_next_answer_is_being_thought_of() -> None:
    """While the last one is heard it is speaking; then it is thinking, not idle."""
    turn = advanced(created(), sound(), done(), created("r2"))

    assert followed(turn, "r1", True, False) == [SPEAKING, THINKING]


def test_the_next_answer_has_begun() -> None:
    """That the last one has been played out says nothing about the next one."""
    turn = advanced(created(), sound(), done(), created("r2"), sound("r2"), done("r2"))

    assert followed(turn, "r1", False) == [SPEAKING]
    assert followed(turn, "r2", False) == [IDLE]


def test_an_answer_that_failed_is_heard_as_far_as_it_came() -> None:
    """The status is speaking while the rest of it is heard."""
    turn = advanced(created(), sound(), done(status="failed"))

    assert followed(turn, "r1", True, False) == [SPEAKING, IDLE]
