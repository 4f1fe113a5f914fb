"""
Whatever the order in which a user, a program and the service act, with a network between them.

The client's engine and the emulator's session run in one thread on a simulated clock, 60 ± 30 ms apart. Of
500 runs, ``--effort`` 1 draws 25, and 20 all.
"""

from __future__ import annotations

import random

import pytest
from simulated_session import Message, SimulatedSession

from azure_rt_audio import ResponseSupersededError

SERVER = {"type": "server_vad", "silence_duration_ms": 500}
KINDS: dict[str, Message | None] = {
    "server": SERVER,
    "unanswered": {**SERVER, "create_response": False},
    "uninterrupted": {**SERVER, "interrupt_response": False},
    "semantic": {"type": "semantic_vad"},
    "press": None,
}
SECONDS_OF_A_RUN = 12


def act(session: SimulatedSession, kind: str) -> None:
    """Let the user and the program do things at any time."""
    chance = session.chance
    free_from = 1.0
    begins = []
    while free_from < SECONDS_OF_A_RUN:
        seconds = chance.choice((0.3, 0.6, 1.2))
        session.at(free_from, lambda seconds=seconds: talk(session, kind, seconds))
        begins.append(free_from)
        free_from += seconds + 1.0 + chance.random() * chance.choice((0.5, 5))
    for number in range(chance.randrange(2, 7)):
        at_any_time = 1.0 + chance.random() * SECONDS_OF_A_RUN
        at_a_first_word = chance.choice(begins) + 0.2 * chance.random()
        moment = chance.choice((at_any_time, at_any_time, at_a_first_word))
        text = f"written {number}"
        step = chance.choice(
            (
                session.request,
                lambda: session.request(superseded="drop"),
                lambda text=text: session.ask(text),
                lambda text=text: session.ask(text),
                lambda: session.request().cancel(),
            )
        )
        session.at(moment, step)


def talk(session: SimulatedSession, kind: str, seconds: float) -> None:
    """Let the user speak: into an open microphone, or with the button pressed."""
    if kind != "press":
        session.speak(seconds)
        return
    session.engine.turns.press()
    session.engine.interruption.stop_response()
    session.speak(seconds, tail=0)

    def release() -> None:
        session.commit()
        session.handles.append(session.engine.turns.answer_user(None))

    session.at(seconds, release)


def is_ours(response: Message) -> bool:
    """Whether the program asked for a response, of its own accord."""
    return "asked_by" in (response.get("metadata") or {})


def questions_unanswered(session: SimulatedSession) -> list[tuple[float, int]]:
    """The spoken questions with the number of their answers, where that is not one."""
    commits: list[float] = []
    answers: list[int] = []
    begins: list[float] = []
    for when, side, message in session.log:
        if side != "service >":
            continue
        if message["type"] == "input_audio_buffer.committed":
            commits.append(when)
            answers.append(0)
            begins.append(float("inf"))
        elif message["type"] == "input_audio_buffer.speech_started" and begins:
            begins[-1] = when
        elif message["type"] == "response.created" and commits and not is_ours(message["response"]):
            answers[-1] += 1
    wrong = []
    for commit, number, next_begin in zip(commits, answers, begins, strict=True):
        # Who speaks again at once has the answer to both.
        if number != 1 and not (number == 0 and next_begin - commit < 1.0):
            wrong.append((commit, number))
    return wrong


def sent_in_a_turn(session: SimulatedSession) -> list[float]:
    """When a request of the program's went out although the client knew that the user had the turn."""
    has_turn = False
    found: list[float] = []
    for when, side, message in session.log:
        kind = message["type"]
        if side == "<" and kind == "input_audio_buffer.speech_started":
            has_turn = True
        elif side == "<" and kind == "input_audio_buffer.committed":
            detection = session.engine.configuration.turn_detection
            has_turn = detection is not None and detection.create_response is not False
        elif side == "<" and kind == "response.created" and not is_ours(message["response"]):
            has_turn = False
        elif side == ">" and kind == "response.create" and has_turn and is_ours(message["response"]):
            found.append(when)
    return found


def talked_over(session: SimulatedSession) -> list[str]:
    """Responses of the program's that began while the user spoke, and went on."""
    is_speaking = False
    crossing: set[str] = set()
    went_on = []
    for _, side, message in session.log:
        if side != "service >":
            continue
        if message["type"] == "input_audio_buffer.speech_started":
            is_speaking = True
        elif message["type"] == "input_audio_buffer.committed":
            is_speaking = False
        elif message["type"] == "response.created" and is_speaking and is_ours(message["response"]):
            crossing.add(message["response"]["id"])
        elif message["type"] == "response.done" and message["response"]["status"] != "cancelled":
            went_on.append(message["response"]["id"])
    return [response_id for response_id in went_on if response_id in crossing]


def check(kind: str, seed: int) -> SimulatedSession:
    """Run one interleaving, and look at all that was said."""
    session = SimulatedSession(seed, vad=KINDS[kind])
    act(session, kind)
    session.run(SECONDS_OF_A_RUN + 3)
    ended = session.run_until(lambda: all(handle.done for handle in session.handles), 30)
    where = (kind, seed)

    assert ended, where
    for handle in session.handles:  # answered or told
        if isinstance(handle.error, ResponseSupersededError):
            continue
        response = handle.result(0)
        reasons = (None, "turn_detected", "client_cancelled")
        assert response.is_completed or response.reason in reasons, where
    assert session.errors == [], where  # no refusal of a crossing reaches anybody
    assert not session.engine.response_queue.is_busy, where
    active: set[str] = set()
    for _, side, message in session.log:  # never two responses at once
        if side == "service >" and message["type"] == "response.created":
            assert not active, where
            active.add(message["response"]["id"])
        elif side == "service >" and message["type"] == "response.done":
            active.discard(message["response"]["id"])
    assert sent_in_a_turn(session) == [], where
    assert talked_over(session) == [], where
    if kind in ("server", "uninterrupted", "semantic", "press"):
        assert questions_unanswered(session) == [], where
    return session


@pytest.mark.parametrize("kind", KINDS)
def test_interleavings(kind: str, effort: float, seed: int) -> None:
    """Each question of the user is answered once, each request answered or told, one response at a time."""
    for one in random.Random(seed).sample(range(100), min(100, max(1, round(5 * effort)))):
        check(kind, one)
