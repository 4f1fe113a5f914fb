"""Turns of a user among requests of a program, by name: on a simulated clock, 60 ± 30 ms apart."""

from __future__ import annotations

from typing import Any

import pytest
from simulated_session import QUIET, Message, SimulatedSession

from azure_rt_audio import ResponseSupersededError
from azure_rt_audio.protocol.event_filter import event_filter

ACTIVE = "conversation_already_has_active_response"
SERVER = {"type": "server_vad", "silence_duration_ms": 500}
SEEDS = range(3)


def session(seed: int, vad: dict[str, Any] | None, **facts: Any) -> SimulatedSession:
    """Return a session that is ready."""
    simulated = SimulatedSession(seed, vad=vad, **facts)
    assert simulated.run_until(lambda: simulated.engine.ready.is_initialized, 2)
    return simulated


def says(simulated: SimulatedSession) -> list[str]:
    """What the model has said in answers that it finished, in order."""
    done = [event["response"] for _, event in simulated.messages("<", "response.done")]
    completed = {response["id"] for response in done if response["status"] == "completed"}
    spoken = simulated.messages("<", "response.output_audio_transcript.done")
    return [event["transcript"] for _, event in spoken if event["response_id"] in completed]


def on(simulated: SimulatedSession, name: str, listener: Any) -> None:
    """Listen to an event."""
    inline = simulated.engine.dispatcher
    simulated.engine.listeners.add(event_filter(name), listener, inline, once=False)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ends_after", [0.15, 0.4, 0.9, 1.35])
def test_a_tool_that_ends_while_the_user_speaks(seed: int, ends_after: float) -> None:
    """The user is answered first, and nobody talks over the user; then the tool's result is."""
    simulated = session(seed, SERVER, tools=True)
    on(
        simulated,
        "response.function_call_arguments.done",
        lambda call: simulated.at(1.5, lambda: simulated.answer_call(call)),
    )
    simulated.ask("tool, please")
    assert simulated.run_until(
        lambda: bool(simulated.messages("<", "response.function_call_arguments.done")), 5
    )
    simulated.at(1.5 - ends_after, lambda: simulated.speak(0.8))
    simulated.run(10)

    assert says(simulated) == ["answer to spoken 1", "answer to spoken 1"]
    (_, answer), (_, result) = simulated.messages("<", "response.created")[-2:]
    assert (answer["response"]["metadata"], "asked_by" in result["response"]["metadata"]) == (None, True)
    assert [handle.status for handle in simulated.handles] == ["completed", "completed"]
    assert simulated.errors == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("superseded", ["wait", "drop"])
def test_a_queued_request_at_a_barge_in(seed: int, superseded: str) -> None:
    """The end of the answer that the user cuts off lets nothing out; the user is answered first."""
    simulated = session(seed, SERVER, answer_chunks=40)
    first = simulated.ask("a long story")
    simulated.run(1)
    queued = simulated.request(superseded=superseded)
    simulated.speak(0.8)
    simulated.run(15)

    assert (first.result(0).status, first.result(0).reason) == ("cancelled", "turn_detected")
    created = [event["response"]["metadata"] for _, event in simulated.messages("<", "response.created")]
    assert created[1] is None  # the answer to the user
    if superseded == "drop":
        assert isinstance(queued.error, ResponseSupersededError)
        assert len(created) == 2
    else:
        assert (queued.status, len(created)) == ("completed", 3)
    assert simulated.errors == []


@pytest.mark.parametrize("seed", SEEDS)
def test_the_button_is_pressed_while_a_request_waits(seed: int) -> None:
    """The press stops the answer, its release is answered before the request that waits."""
    simulated = session(seed, None, answer_chunks=40)
    first = simulated.ask("a long story")
    simulated.run(1)
    queued = simulated.ask("written")
    simulated.engine.turns.press()
    simulated.engine.interruption.stop_response()
    simulated.speak(0.8, tail=0)
    simulated.run(0.8)
    simulated.commit()
    answer = simulated.engine.turns.answer_user(None)
    simulated.run(15)

    assert first.result(0).reason == "client_cancelled"
    assert says(simulated) == ["answer to spoken 1", "answer to written"]
    assert (answer.status, queued.status, simulated.errors) == ("completed", "completed", [])


@pytest.mark.parametrize("seed", SEEDS)
def test_detection_without_an_answer(seed: int) -> None:
    """A request waits until the user has finished, and then goes at once."""
    simulated = session(seed, {**SERVER, "create_response": False})
    simulated.speak(0.8)
    simulated.run(0.5)
    pending = simulated.request()
    simulated.run(6)

    ((committed, _),) = simulated.messages("<", "input_audio_buffer.committed")
    ((sent, _),) = simulated.messages(">", "response.create")
    assert sent == committed
    assert (pending.status, says(simulated)) == ("completed", ["answer to spoken 1"])


@pytest.mark.parametrize("seed", SEEDS)
def test_semantic_detection(seed: int) -> None:
    """A pause in the user's speech, in which no sound is sent, is not its end for ten seconds."""
    simulated = session(seed, {"type": "semantic_vad", "eagerness": "low"})
    simulated.speak(0.8, tail=0)
    simulated.run(0.5)
    pending = simulated.request()
    simulated.run(8)
    before = len(simulated.messages(">", "response.create"))
    simulated.speak(0.5, tail=12)
    simulated.run(10)

    assert before == 0
    assert (says(simulated), pending.status) == (["answer to spoken 1"] * 2, "completed")


@pytest.mark.parametrize("seed", SEEDS)
def test_an_answer_that_a_request_of_ours_kept_away(seed: int) -> None:
    """If the service could not answer the user, because of a response of ours, it is asked to."""
    simulated = session(seed, {**SERVER, "interrupt_response": False}, answer_chunks=30)
    first = simulated.ask("a long story")
    simulated.run(1)
    simulated.speak(0.5)
    simulated.run(15)

    assert (first.status, simulated.errors) == ("completed", [])
    assert says(simulated) == ["answer to a long story", "answer to spoken 1"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_question_that_crosses_the_users_first_word(seed: int) -> None:
    """The user is answered; then the question is put again, after what the user said, and is answered."""
    simulated = session(seed, SERVER)
    simulated.speak(0.8)
    started = "input_audio_buffer.speech_started"
    while not simulated.messages("service >", started):
        simulated.run(0.001)
    crossing = simulated.ask("What is 2 + 2?")
    assert not simulated.messages("<", started)
    simulated.run(15)

    assert says(simulated) == ["answer to spoken 1", "answer to What is 2 + 2?"]
    assert (crossing.status, simulated.errors) == ("completed", [])
    texts = [item.text for item in simulated.service.conversation.items if item.role == "user"]
    assert texts == ["spoken 1", "What is 2 + 2?"]


@pytest.mark.parametrize("seed", SEEDS)
def test_an_answer_that_comes_late_and_is_kept_away(seed: int) -> None:
    """The service answers after the turn counts as over; if one of ours is in the way, it is asked to."""
    simulated = session(seed, SERVER, answer_chunks=30, turn_answer_timeout=0.5)
    expect = simulated.engine.response_queue.expect_turn
    expect()  # VAD has committed, and takes its time
    simulated.run(1.1)
    first = simulated.ask("a long story")
    simulated.run(1)
    before = says(simulated)
    for _ in range(2):  # the second one is no answer to a turn
        message = {"type": "invalid_request_error", "code": ACTIVE, "message": "no", "event_id": None}
        simulated._arrive({"type": "error", "event_id": "e", "error": message})
    simulated.run(15)

    assert (before, first.status, len(simulated.errors)) == ([], "completed", 1)
    assert says(simulated) == ["answer to a long story"] * 2


def test_a_commit_by_hand_is_not_waited_for() -> None:
    """With detection on, a commit of the program's own is no end of speech that the service will answer."""
    simulated = session(0, SERVER)
    for _ in range(3):
        simulated.append(QUIET)
    simulated.commit()
    assert simulated.run_until(lambda: bool(simulated.messages("<", "input_audio_buffer.committed")), 2)
    simulated.request()

    assert len(simulated.messages(">", "response.create")) == 1


@pytest.mark.parametrize("is_named", [True, False])
def test_a_commit_by_hand_that_is_refused(is_named: bool) -> None:
    """It is waited for no longer, whether or not the refusal names it: the user is answered first."""

    def fault(event: Message) -> tuple[tuple[float, Message]]:
        if event["type"] == "error" and not is_named:
            event = {**event, "error": {**event["error"], "event_id": None}}
        return ((0.0, event),)

    simulated = session(0, SERVER, fault=fault)
    simulated.commit()
    simulated.run(1)
    assert [error.code for error in simulated.errors] == ["input_audio_buffer_commit_empty"]
    assert not [waiter for waiter in simulated.engine.waiters.waiting if waiter.acknowledges == "commit"]

    simulated.speak(0.8)
    simulated.run(0.5)
    simulated.request()
    simulated.run(8)

    owners = [event["response"]["metadata"] for _, event in simulated.messages("<", "response.created")]
    assert [bool(metadata) for metadata in owners] == [False, True]
