"""What happened, as the timeline tells it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from made_recordings import Made, tone

from azure_rt_audio.recording import Recording
from azure_rt_audio.recording.analysis import analyse
from azure_rt_audio.recording.timeline import Timeline


def talk(*, dialect: str = "ga") -> Made:
    """A question, a call of a function, and an answer that the user cuts."""
    made = Made().add(0.0, "opened", connection=1)
    for tick in range(1, 21):
        made.said(0.1 * tick, tone(0.1))
    made.received(1.0, "input_audio_buffer.speech_started", item_id="item_q", audio_start_ms=500)
    made.received(2.0, "input_audio_buffer.speech_stopped", item_id="item_q", audio_end_ms=1_500)
    made.received(2.0, "input_audio_buffer.committed", item_id="item_q")
    name = "conversation.item.input_audio_transcription.completed"
    made.received(2.3, name, item_id="item_q", transcript="How is it in Lisbon?\n")
    made.received(2.1, "response.created", response={"id": "resp_0", "conversation_id": "conv"})
    call = {"type": "function_call", "id": "item_c", "call_id": "call_1", "name": "get_weather"}
    made.received(2.2, "response.output_item.added", response_id="resp_0", item=call)
    made.received(
        2.4, "response.function_call_arguments.done", call_id="call_1", arguments='{"city":"Lisbon"}'
    )
    made.received(2.4, "response.done", response={"id": "resp_0", "status": "completed"})
    output = {"type": "function_call_output", "call_id": "call_1", "output": '"sunny"'}
    made.sent(2.9, "conversation.item.create", item=output)
    made.sent(2.9, "response.create")
    made.words(3.0, "It is sunny ").words(3.1, "and warm there.")
    made.delta(3.2, tone(2)).delta(3.3, tone(2))
    made.received(3.4, "response.done", response={"id": "resp_1", "status": "completed"})
    made.add(3.75, "heard", item="item_a", ms=250, end=None)
    made.received(5.4, "input_audio_buffer.speech_started", item_id="item_s")
    made.add(5.5, "heard", item="item_a", ms=2_000, end="interrupted")
    made.add(6.0, "levels", microphone_db=-20.0, speaker_db=-100.0)
    made.add(7.0, "closed", connection=1, code=1006, error="ConnectionClosedError", message="it broke")
    if dialect == "preview":
        made.lines = [
            line.replace(b"response.output_audio", b"response.audio").replace(
                b"response.output_text", b"response.text"
            )
            for line in made.lines
        ]
    return made


@pytest.fixture(params=["ga", "preview"])
def timeline(request: pytest.FixtureRequest) -> Timeline:
    """The talk above, in either dialect."""
    return analyse(talk(dialect=request.param).recording)


def test_turns_are_where_they_were_said_and_heard(timeline: Timeline) -> None:
    """The user's by what the service took for speech; the answer's by the speaker."""
    question, answer, second = timeline.turns

    assert (question.role, question.text) == ("user", "How is it in Lisbon?")
    assert (question.start, question.end) == (pytest.approx(0.5), pytest.approx(1.5))
    assert (answer.role, answer.text) == ("assistant", "It is sunny and warm there.")
    assert (answer.start, answer.end) == (pytest.approx(3.5), pytest.approx(5.5))
    assert (second.role, second.text, second.is_spoken) == ("user", "", True)
    assert timeline.seconds == 7.0


def test_what_was_not_heard_is_told(timeline: Timeline) -> None:
    """Half of the sound is about half of the words, whole ones."""
    answer = timeline.turns[1]
    (cut,) = timeline.interruptions

    assert answer.is_interrupted
    assert answer.heard_text == "It is sunny "
    assert (answer.heard_seconds, answer.received_seconds) == (2.0, 4.0)
    assert (cut.at, cut.heard_seconds, cut.received_seconds, cut.by_user) == (5.5, 2.0, 4.0, True)


DETECTS: dict[str, Any] = {"turn_detection": {"type": "server_vad"}}
"""A session in preview's form."""
DETECTS_NOT: dict[str, Any] = {"audio": {"input": {"turn_detection": None}}}
"""A session in GA's form."""


@pytest.mark.parametrize(
    ("sessions", "began_at", "by_user"),
    [
        ([DETECTS], 3.0, True),
        ([DETECTS], 5.05, True),
        ([DETECTS], 2.9, False),
        ([DETECTS], None, False),
        ([DETECTS, DETECTS_NOT], None, None),
        ([DETECTS_NOT, DETECTS], None, False),
        ([{"turn_detection": {"type": "none"}}], None, None),
        ([{"voice": "alloy"}], None, None),
        ([None], None, None),
    ],
)
def test_who_interrupted(
    sessions: list[dict[str, Any] | None], began_at: float | None, by_user: bool | None
) -> None:
    """The user by speaking, or else the program; where the service detects no turns nobody knows."""
    made = Made()
    for at, session in enumerate(sessions):
        made.received(0.1 * at, "session.updated", session=session)
    made.delta(4.0, tone(2))
    if began_at is not None:
        made.received(began_at, "input_audio_buffer.speech_started", item_id="item_q")
    made.sent(5.0, "conversation.item.truncate", item_id="item_a", audio_end_ms=500)
    made.received(9.0, "session.updated", session=DETECTS)

    assert [cut.by_user for cut in analyse(made.recording).interruptions] == [by_user]


def test_what_was_before_the_file_is_not_known() -> None:
    """The user may have begun to speak in the part before."""
    configuration = {"session": DETECTS}
    made = Made(t=600.0, configuration=configuration).delta(600.1, tone(2)).delta(605.0, tone(2), "item_b")
    for at, item in ((601.0, "item_a"), (606.0, "item_b")):
        made.sent(at, "conversation.item.truncate", item_id=item, audio_end_ms=500)

    assert [cut.by_user for cut in analyse(made.recording).interruptions] == [None, False]


def test_the_latency_is_the_users_wait(timeline: Timeline) -> None:
    """From the end of the question to what was heard, the function's time included."""
    (wait,) = timeline.latencies

    assert (wait.response_id, wait.asked_at, wait.first_at) == ("resp_1", 2.0, 3.0)
    assert wait.heard_at == pytest.approx(3.5)
    assert timeline.median_latency == pytest.approx(1.5)


def test_calls_of_functions_have_arguments_output_and_duration(timeline: Timeline) -> None:
    """From when the model began to call until the output was sent."""
    (call,) = timeline.tool_calls

    assert (call.name, call.arguments, call.output) == ("get_weather", '{"city":"Lisbon"}', '"sunny"')
    assert call.seconds == pytest.approx(0.7)


def test_connections_and_failures(timeline: Timeline) -> None:
    """The end of a connection that nobody wanted is a failure."""
    (connection,) = timeline.connections

    assert (connection.start, connection.end, connection.code) == (0.0, 7.0, 1006)
    assert [(failure.at, failure.kind, failure.message) for failure in timeline.failures] == [
        (7.0, "connection", "it broke")
    ]
    assert timeline.levels == [(6.0, -20.0, -100.0)]


def test_dropped_sound_was_not_said() -> None:
    """A run is found by its time; positions in the service's buffer, which never had it, are without it."""
    made = Made()
    for tick in range(1, 31):
        made.said(tick / 10, tone(0.1), connection=1 + tick // 21)
    made.sent(2.05, "input_audio_buffer.clear", connection=2)
    made.add(2.2, "dropped", connection=1, since=0.5001, count=10, seconds=1.0)
    made.add(2.3, "dropped", connection=1, since=1.7, count=3, seconds=0.3)
    made.add(9.0, "dropped", connection=2, since=2.90001, count=5, seconds=0.2)
    made.add(9.0, "dropped", connection=3, since=1.0, count=5, seconds=0.5)
    made.add(9.1, "dropped", connection=1, since=-1.0, count=5, seconds=0.5)
    made.received(2.4, "input_audio_buffer.speech_started", item_id="item_q", audio_start_ms=500)
    timeline = analyse(made.recording)

    sent = [1, 2, 3, 4, 15, 16, *range(20, 29)]
    assert [clip.end for clip in timeline.said.clips] == [pytest.approx(tick / 10) for tick in sent]
    assert timeline.speech[0].start == pytest.approx(1.5)
    assert [(failure.at, failure.message.partition(" of")[0]) for failure in timeline.failures] == [
        (2.2, "1.3 s"),
        (9.0, "1.2 s"),
    ]


def test_written_turns() -> None:
    """Text without sound: the wait ends with the first word."""
    made = Made()
    item = {
        "type": "message",
        "role": "user",
        "id": "item_q",
        "content": [{"type": "input_text", "text": "Hi"}],
    }
    made.received(1.0, "conversation.item.added", item=item)
    for at, piece in ((1.5, "Hel"), (1.6, "lo")):
        made.received(at, "response.output_text.delta", item_id="item_a", response_id="resp_1", delta=piece)
    timeline = analyse(made.recording)

    assert [(turn.role, turn.text, turn.is_spoken) for turn in timeline.turns] == [
        ("user", "Hi", False),
        ("assistant", "Hello", False),
    ]
    assert [wait.seconds for wait in timeline.latencies] == [pytest.approx(0.5)]


def questions_in_a_row() -> Made:
    """Three typed questions, while the answer to the first would still be played."""
    made = Made()
    for number, at in enumerate((1.0, 2.0, 3.0)):
        item = {"type": "message", "role": "user", "id": f"item_q{number}"}
        content = [{"type": "input_text", "text": f"Question {number}?"}]
        made.received(at, "conversation.item.added", item={**item, "content": content})
        answer, response = f"item_a{number}", f"resp_{number}"
        made.words(at + 0.28, f"Answer {number}.", answer, response)
        made.delta(at + 0.3, tone(3), answer, response)
    return made


def test_without_account_the_wait_ends_when_the_answer_came() -> None:
    """However long the answer before it is; turns are in the order in which they came."""
    timeline = analyse(questions_in_a_row().recording)

    assert [wait.heard_at for wait in timeline.latencies] == [None] * 3
    assert [wait.seconds for wait in timeline.latencies] == [pytest.approx(0.28)] * 3
    words = [f"{side} {number}" for number in range(3) for side in ("Question", "Answer")]
    assert [turn.text[:-1] for turn in timeline.turns] == words
    assert [turn.came_at for turn in timeline.turns] == [1.0, 1.3, 2.0, 2.3, 3.0, 3.3]
    assert not any(turn.has_account for turn in timeline.turns)


def test_an_answer_with_account_waits_for_no_other() -> None:
    """The others were never played; it was heard when the speaker says so."""
    made = questions_in_a_row().add(2.9, "heard", item="item_a1", ms=500, end=None)
    waits = analyse(made.recording).latencies

    assert (waits[0].heard_at, waits[2].heard_at) == (None, None)
    assert waits[1].seconds == pytest.approx(0.4)


def test_what_stands_for_texts_stands_once() -> None:
    """However many pieces came; also of an answer that was cut."""
    made = Made(redact="texts")
    for piece in range(5):
        made.words(1.0 + 0.1 * piece, "[redacted]")
    made.delta(1.0, tone(2)).add(2.0, "heard", item="item_a", ms=1_000, end="interrupted")
    (turn,) = analyse(made.recording).turns

    assert turn.text == turn.heard_text == "[redacted]"


def test_an_answer_beside_the_conversation_is_not_heard() -> None:
    """Nobody plays it, so it is no latency either."""
    made = Made().received(1.0, "response.created", response={"id": "resp_1", "conversation_id": None})
    timeline = analyse(made.delta(1.1, tone(1)).recording)

    assert not timeline.heard.clips
    assert not timeline.latencies


def test_a_turn_without_voice_activity_is_what_was_committed() -> None:
    """As with push-to-talk."""
    made = Made().said(1.0, tone(0.5)).said(1.5, tone(0.5))
    made.received(1.6, "input_audio_buffer.committed", item_id="item_q")
    (turn,) = analyse(made.recording).turns

    assert (turn.start, turn.end, turn.is_spoken) == (pytest.approx(0.5), pytest.approx(1.5), True)


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, [1], {"id": 3}, {"error": None}, True])
@pytest.mark.parametrize(
    "event_type",
    [
        "error",
        "session.created",
        "conversation.item.added",
        "conversation.item.create",
        "conversation.item.truncate",
        "conversation.item.input_audio_transcription.failed",
        "response.created",
        "response.done",
        "response.output_item.done",
        "response.output_audio.delta",
        "input_audio_buffer.speech_started",
    ],
)
def test_strange_fields_are_passed_over(event_type: str, value: object) -> None:
    """A recording shows what went wrong, so nothing is certain to be as it should."""
    names = ("error", "session", "item", "response", "delta", "item_id", "audio_end_ms", "audio_start_ms")
    fields = dict.fromkeys(names, value)
    made = Made().received(1.0, event_type, **fields).sent(2.0, event_type, **fields)

    assert analyse(made.recording).seconds >= 2.0


def interruptions(count: int) -> Recording:
    """So many answers, each of which is heard, cut by the user, and complete."""
    made = Made()
    for number in range(count):
        at, item, response = 10.0 * number, f"item_{number}", f"resp_{number}"
        made.received(at, "response.created", response={"id": response, "conversation_id": "conv"})
        made.words(at + 1, "Hello.", item, response).delta(at + 1, bytes(96), item, response)
        made.received(at + 2, "input_audio_buffer.speech_started", item_id=f"item_q{number}")
        made.add(at + 3, "heard", item=item, ms=1, end="interrupted")
        made.received(at + 4, "response.done", response={"id": response, "status": "completed"})
        made.add(at + 5, "reconnected", connection=1, is_planned=True, responses={response: "lost"})
    return made.recording


def test_the_thousandth_turn_costs_what_the_first_did() -> None:
    """Neither an answer nor an interruption looks at all others."""
    seconds = []
    for count, times in ((50, 8), (1_600, 2)):
        recording, took = interruptions(count), []
        for _ in range(times):  # the quickest counts: a machine that is busy, and the collector, cost some
            began = time.process_time()
            timeline = analyse(recording)
            took.append(time.process_time() - began)
        seconds.append(min(took))
        assert [cut.by_user for cut in timeline.interruptions] == [True] * count
        assert {turn.status for turn in timeline.turns if turn.role == "assistant"} == {"lost"}
        assert len(timeline.latencies) == count

    assert seconds[1] < 90 * seconds[0]  # 32 times as much; if each looked at all, 200
