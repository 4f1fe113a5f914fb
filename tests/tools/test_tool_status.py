"""The status while tools are at work: the model is not idle, whatever it has said before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from simulated_tools import ToolSession, lookup

from azure_rt_audio import ModelStatusEnum, Tool, Tools
from azure_rt_audio.errors import ConnectionClosedError
from azure_rt_audio.events import StatusChanged
from azure_rt_audio.protocol.event_filter import event_filter


def watched(**facts: object) -> tuple[ToolSession, list[str]]:
    """Return a session, and the list of its status changes."""
    session = ToolSession(3, seconds=lambda number: 5.0, **facts)  # type: ignore[arg-type]
    engine = session.engine
    changes: list[str] = []
    engine.listeners.add(
        event_filter(StatusChanged),
        lambda event: changes.append(f"{event.previous} {event.status}"),
        engine.dispatcher,
        once=False,
    )
    session.run(1)
    return session, changes


def test_it_thinks_until_the_answer_is_heard() -> None:
    """Through both rounds of calls; that the response which called is over is no change."""
    session, changes = watched()
    pending = session.ask("call 2 in 2 rounds")
    session.run(8)
    engine = session.engine
    assert (changes, engine.status.now) == (["idle thinking"], ModelStatusEnum.THINKING)
    session.run(30)
    engine.follow_speaker(pending.result(0).id or "", is_playing=False)

    assert changes == ["idle thinking", "thinking speaking", "speaking idle"]


def test_the_results_that_nobody_asks_to_have_answered() -> None:
    """The program does; it is idle when they are there."""
    session, changes = watched(loop={"follow_up": "never"})
    session.ask("call 1")
    session.run(3)
    assert changes == ["idle thinking"]
    session.run(20)

    assert changes == ["idle thinking", "thinking idle"]


def test_a_background_tool_keeps_nobody_thinking() -> None:
    """The model has told that it has started."""
    session, changes = watched(tools=Tools(Tool(lookup, background=True)))
    pending = session.ask("call 1")
    session.run(4)
    session.engine.follow_speaker(pending.result(0).id or "", is_playing=False)

    assert changes == ["idle thinking", "thinking speaking", "speaking idle"]


def cancelled(session: ToolSession) -> None:
    session.handles[0].cancel()


def hung(session: ToolSession) -> None:
    session.at(3, lambda: None)


def closed(session: ToolSession) -> None:
    session.engine.end(ConnectionClosedError("over", code=1000))


@pytest.mark.parametrize("act", [cancelled, hung, closed])
def test_what_ends_it(act: Callable[[ToolSession], None]) -> None:
    """The call is cancelled, given up, or the session is over."""
    session, changes = watched(tools=Tools(Tool(lookup, timeout_s=4.0 if act is hung else None)))
    session.ask("call 1")
    session.run(3)
    act(session)
    session.run(0.5 if act is closed else 12)
    if act is hung:
        session.engine.follow_speaker(session.handles[0].result(0).id or "", is_playing=False)

    assert changes[0] == "idle thinking"
    assert session.engine.status.now is ModelStatusEnum.IDLE
    assert changes[-1].endswith(" idle")
