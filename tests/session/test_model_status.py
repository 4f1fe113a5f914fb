"""The status has a way out where an event that ends it does not come."""

from __future__ import annotations

from simulated_session import SimulatedSession

from azure_rt_audio import ModelStatusEnum

IDLE, LISTENING, THINKING = ModelStatusEnum.IDLE, ModelStatusEnum.LISTENING, ModelStatusEnum.THINKING


def test_listening_ends_with_the_users_turn() -> None:
    """The end of speech was lost: after two seconds without sound nobody is listened to."""
    session = SimulatedSession(vad={"type": "server_vad"})
    session.run(1)
    session.speak(0.5, tail=0)
    session.run(1)
    during = session.engine.status.now
    session.run(4)

    assert (during, session.engine.status.now) == (LISTENING, IDLE)


def test_a_commit_that_is_not_answered_ends_it() -> None:
    """Where the service does not answer by itself."""
    session = SimulatedSession(vad={"type": "server_vad", "create_response": False})
    session.run(1)
    session.speak(0.5)
    session.run(3)

    assert session.engine.status.now is IDLE


def test_a_lost_response_ends_it() -> None:
    """Of which the service says nothing more."""

    def fault(event: dict[str, object]) -> tuple[tuple[float, dict[str, object]], ...]:
        kind = str(event["type"])
        is_lost = kind.startswith("response.") and kind != "response.created"
        return () if is_lost else ((0.0, event),)

    session = SimulatedSession(fault=fault, response_silence_timeout=5.0)
    session.run(1)
    session.ask("hello")
    session.run(3)
    during = session.engine.status.now
    session.run(5)

    assert (during, session.engine.status.now) == (THINKING, IDLE)
