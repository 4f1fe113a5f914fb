"""
One event of the service lost, doubled, swapped with its neighbour or delayed, and events that nobody knows.

The matrix: a session with a question, a round with a tool and a spoken turn is run once for each event of it
and each fault, on a simulated clock. Nothing may hang: each part ends in good time, with what came of it or
with the true reason, and a question after it all is answered.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

import pytest
from sampling import sample
from simulated_session import LOUD, QUIET, Message, SimulatedSession

from azure_rt_audio import RealtimeError, ResponseIncompleteError, ResponseLostError, ServiceError
from azure_rt_audio._session.pending_response import PendingResponse
from azure_rt_audio.protocol.commands import InputAudioBufferCommit, SessionUpdate
from azure_rt_audio.protocol.events import InputAudioBufferCommitted, SessionUpdated
from azure_rt_audio.protocol.session import SessionConfig

VAD = {"type": "server_vad", "silence_duration_ms": 500}
FAULTS = ("lost", "doubled", "swapped", "delayed")
ERRORS: list[Message] = [
    {"type": "error", "error": {"type": "server_error", "code": None, "message": "odd", "event_id": None}},
    {"type": "error", "error": {"type": "server_error", "message": "odd", "event_id": "evt_of_nobody"}},
    {"type": "error", "error": "odd"},
    {"type": "error", "message": "odd"},
]
UNKNOWN: Message = {"type": "response.thought.delta", "event_id": "e", "response_id": "resp_x", "delta": "hm"}
IN_GOOD_TIME = 95.0
"""Seconds: the longest that a part may take is a silent response before it, and one of its own."""

Fault = Callable[[Message], Iterable[tuple[float, Message]]]


def faulty(kind: str, at: int) -> Fault:
    """Return what happens to the service's events: a fault at the one with that number."""
    count = -1
    held: list[Message] = []

    def fault(event: Message) -> Iterable[tuple[float, Message]]:
        nonlocal count
        count += 1
        if count == at and kind == "swapped":
            held.append(event)
            return ()
        if held:
            return ((0.0, event), (0.0, held.pop()))
        if count != at:
            return ((0.0, event),)
        both = ((0.0, event), (0.0, event))
        return {"lost": (), "doubled": both, "delayed": ((2.0, event),)}[kind]

    return fault


def beside(other: Message, at: int | None = None) -> Fault:
    """Return the service's events with another one before each, or before the one with that number."""
    count = -1

    def fault(event: Message) -> Iterable[tuple[float, Message]]:
        nonlocal count
        count += 1
        own = (0.0, event)
        return ((0.0, other), own) if at in (None, count) else (own,)

    return fault


def ends(session: SimulatedSession, pending: PendingResponse, reasons: tuple[type, ...]) -> None:
    """Wait for a response in good time; if it failed, it says why."""
    assert session.run_until(lambda: pending.done, IN_GOOD_TIME), "it hangs"
    assert pending.error is None or isinstance(pending.error, (*reasons, ResponseIncompleteError))


def converse(fault: Fault, *, reasons: tuple[type, ...] = (ResponseLostError,)) -> SimulatedSession:
    """Run the session; see the module."""
    session = SimulatedSession(7, vad=VAD, answer_chunks=2, tools=True, fault=fault)
    assert session.run_until(lambda: session.engine.ready.is_initialized, 5), "it is not ready"
    ends(session, session.ask("hello"), reasons)

    call = session.ask("tool, please")
    ends(session, call, reasons)
    if call.error is None:
        for wanted in call.result(0).function_calls:
            ends(session, session.answer_call(wanted), reasons)

    session.speak(0.5)
    session.run(4)
    following = session.ask("and now?")
    ends(session, following, reasons)
    last = session.ask("and at last?")
    ends(session, last, ())

    assert last.result(0).text == "answer to and at last?"
    assert session.run_until(lambda: not session.engine.response_queue.is_busy, IN_GOOD_TIME)
    return session


@functools.cache
def length() -> int:
    """How many events the service sends in it, up to the spoken turn's last."""
    session = converse(lambda event: ((0.0, event),))
    assert session.errors == []
    assert [handle.status for handle in session.handles] == ["completed"] * 5
    sent = [event["type"] for _, side, event in session.log if side == "service >"]
    dones = [index for index, kind in enumerate(sent) if kind == "response.done"]
    return dones[3] + 1


@pytest.mark.parametrize("kind", FAULTS)
def test_an_event_that_does_not_come_as_it_should(kind: str, effort: float, seed: int) -> None:
    """Each event of the session, or a seeded share of them."""
    for at in sample(range(length()), effort / 20, seed):
        converse(faulty(kind, at))


def test_unknown_events_between() -> None:
    """They change nothing."""
    session = converse(beside(UNKNOWN))

    assert [handle.status for handle in session.handles] == ["completed"] * 5


def test_an_error_of_any_shape_anywhere(effort: float, seed: int) -> None:
    """What it cannot be told to refuse goes on, or fails with it."""
    for error, at in sample(itertools.product(ERRORS, range(length())), effort / 20, seed):
        converse(beside(error, at), reasons=(ServiceError, ResponseLostError))


def lost_once(kind: str, number: int) -> Fault:
    """Return the service's events without one: that of a kind with that number."""
    count = itertools.count()
    return lambda event: () if event["type"] == kind and next(count) == number else ((0.0, event),)


def commit(session: SimulatedSession) -> Future[Any]:
    """Commit 300 ms."""
    for _ in range(3):
        session.append(QUIET)
    sender = session.engine.sender
    return sender.acknowledged(
        InputAudioBufferCommit(event_id=sender.new_event_id()),
        None,
        ((InputAudioBufferCommitted, None),),
        wait=lambda: None,
        kind="commit",
    )


@pytest.mark.parametrize("how", ["raw", "by a method"])
def test_a_commit_whose_answer_is_lost(how: str) -> None:
    """It fails when the next is sent long after, and the next ones get their own answers."""
    session = SimulatedSession(fault=lost_once("input_audio_buffer.committed", 0))
    assert session.run_until(lambda: session.engine.ready.is_initialized, 5)
    if how == "raw":
        session.append(LOUD)
        session.commit()
    lost = commit(session) if how == "by a method" else None
    session.run(6)
    later = []
    for _ in range(3):
        later.append(commit(session))
        session.run(1)

    sent = [event["item_id"] for _, event in session.messages("<", "input_audio_buffer.committed")]
    assert [future.result(0).item_id for future in later] == sent
    if lost is not None:
        with pytest.raises(RealtimeError, match="did not acknowledge the command within 6 s"):
            lost.result(0)


def test_an_update_whose_answer_is_lost() -> None:
    """The next ones get their own answers, and it is asked for no longer."""
    session = SimulatedSession(fault=lost_once("session.updated", 1))
    assert session.run_until(lambda: session.engine.ready.is_initialized, 5)

    def update(**facts: Any) -> Future[SessionUpdated]:
        command = SessionUpdate(event_id=session.engine.sender.new_event_id(), session=SessionConfig(**facts))
        return session.engine.configuration.update(command, None)

    lost = update(input_audio_format="g711_ulaw")
    session.run(6)
    later = update(instructions="Be brief.", input_audio_format="g711_alaw")
    session.run(1)

    assert isinstance(lost.exception(0), RealtimeError)
    assert getattr(later.result(0).session, "instructions", None) == "Be brief."
    assert session.engine.attempts.current.asked_input_format is None


def test_a_commit_whose_answer_is_lost_before_the_user_speaks() -> None:
    """The user's own turn is answered before what waits, and the late answer is not the commit's."""
    session = SimulatedSession(vad=VAD, fault=lost_once("input_audio_buffer.committed", 0))
    assert session.run_until(lambda: session.engine.ready.is_initialized, 5)
    lost = commit(session)
    session.run(12)
    session.speak(0.8)
    session.run(0.5)
    session.request()
    session.run(8)

    owners = [event["response"]["metadata"] for _, event in session.messages("<", "response.created")]
    assert [bool(metadata) for metadata in owners] == [False, True]
    assert isinstance(lost.exception(0), RealtimeError)


def late(kind: str, number: int = 0) -> Fault:
    """Return the service's events, those of a kind from that number on 13 s later."""
    count = itertools.count()
    return lambda event: ((13.0 if event["type"] == kind and next(count) >= number else 0.0, event),)


@pytest.mark.parametrize("vad", [None, VAD])
def test_the_answer_to_a_commit_comes_late(vad: Any) -> None:
    """However late: it is the only one that waits, and nothing else can have caused the event."""
    session = SimulatedSession(vad=vad, fault=late("input_audio_buffer.committed"))
    assert session.run_until(lambda: session.engine.ready.is_initialized, 5)
    first = commit(session)
    session.run(12)
    assert not first.done()
    session.run(2)

    assert isinstance(first.result(0), InputAudioBufferCommitted)


def test_two_late_answers() -> None:
    """Each command of a service that is slow gets its own, in order."""
    session = SimulatedSession(fault=late("input_audio_buffer.committed"))
    assert session.run_until(lambda: session.engine.ready.is_initialized, 5)
    first = commit(session)
    session.run(4)
    second = commit(session)
    session.run(14)

    sent = [event["item_id"] for _, event in session.messages("<", "input_audio_buffer.committed")]
    assert [future.result(0).item_id for future in (first, second)] == sent


def test_the_answer_to_an_update_comes_late() -> None:
    """An update, too, is answered when its answer comes."""
    session = SimulatedSession(fault=late("session.updated", 1))
    assert session.run_until(lambda: session.engine.ready.is_initialized, 5)
    command = SessionUpdate(
        event_id=session.engine.sender.new_event_id(), session=SessionConfig(instructions="Be brief.")
    )
    update = session.engine.configuration.update(command, None)
    session.run(14)

    assert getattr(update.result(0).session, "instructions", None) == "Be brief."
