"""
Tools, whatever the order in which a user, a program, the service and the tools act, with a network between.

The client's engine and the emulator's session run in one thread on a simulated clock, 60 ± 30 ms apart. Of
500 runs, ``--effort`` 1 draws 25, and 20 all.
"""

from __future__ import annotations

import random

import pytest
from simulated_session import Message
from simulated_tools import ToolSession

SERVER = {"type": "server_vad", "silence_duration_ms": 500}
KINDS: dict[str, Message | None] = {
    "server": SERVER,
    "unanswered": {**SERVER, "create_response": False},
    "uninterrupted": {**SERVER, "interrupt_response": False},
    "semantic": {"type": "semantic_vad"},
    "press": None,
}
SECONDS_OF_A_RUN = 15


def act(session: ToolSession, kind: str) -> None:
    """Let the user and the program do things at any time, with words that call tools or do not."""
    chance = session.chance

    def words() -> str:
        calls = f"call {chance.randrange(1, 4)} in {chance.randrange(1, 4)} rounds"
        return chance.choice((calls, calls, "no matter"))

    session.words = words  # type: ignore[method-assign]
    free_from = 1.0
    while free_from < SECONDS_OF_A_RUN:
        seconds = chance.choice((0.3, 0.6, 1.2))
        session.at(free_from, lambda seconds=seconds: talk(session, kind, seconds))
        free_from += seconds + 1.0 + chance.random() * chance.choice((0.5, 5))
    for _ in range(chance.randrange(1, 5)):
        moment = 1.0 + chance.random() * SECONDS_OF_A_RUN
        session.at(moment, chance.choice((session.request, *[lambda: session.ask(words())] * 3)))


def talk(session: ToolSession, kind: str, seconds: float) -> None:
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


def check(kind: str, seed: int) -> ToolSession:
    """Run one interleaving, and look at all that was said."""
    chance = random.Random(seed)
    session = ToolSession(
        seed,
        vad=KINDS[kind],
        seconds=lambda number: chance.choice((0.0, 0.05, 0.3, 1.0, 4.0)) * chance.random(),
    )
    act(session, kind)
    session.run(SECONDS_OF_A_RUN + 5)
    ended = session.run_until(session.is_quiet, 90)
    where = (kind, seed)

    assert ended, where
    for handle in session.handles:
        response = handle.result(0)  # not lost, nor refused
        assert response.is_completed or response.reason in ("turn_detected", "client_cancelled"), where
        assert not (response.is_completed and response.function_calls), where  # the final answer
    assert session.errors == [], where  # no refusal reaches anybody
    assert not session.engine.response_queue.is_busy, where
    assert set(session.outputs_of_calls().values()) <= {1}, where  # none unanswered, none answered twice
    untold, needless = session.tellings()
    assert (untold, needless) == ([], []), where
    assert not session.loop._follow_ups.begun, where
    assert session.engine.status.now is session.engine.status.turn.status, where  # nothing counts as work
    return session


@pytest.mark.parametrize("kind", KINDS)
def test_tools_interleave(kind: str, effort: float, seed: int) -> None:
    """Each call has one output, which is told, no follow-up has nothing to tell, nobody hears a refusal."""
    for one in random.Random(seed).sample(range(100), min(100, max(1, round(5 * effort)))):
        check(kind, one)
