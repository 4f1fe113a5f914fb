"""What limits reconnecting: the first connection, keys for one connection, deaths, ages, and how often."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from listeners import HANG, NO_VAD, TONE, Aside, Connect, Probe, message, ready
from manual_clock import ManualClock
from outages import DISTANT, come_back, lose

from azure_rt_audio import (
    AzureRealTimeAudio,
    ConnectError,
    ConnectionClosedError,
    Session,
    SessionConfig,
)
from azure_rt_audio._session import planned_swap, reconnector, waiters
from azure_rt_audio.audio import write_wav
from azure_rt_audio.emulator import (
    Close,
    Drop,
    Emulator,
    Faults,
    Refuse,
    Say,
    Swallow,
    at_handshake,
    before,
)
from azure_rt_audio.protocol.commands import SessionUpdate

QUICK = {"initial_delay": 0.02, "max_delay": 0.1}


def probe(client: Any, *names: str) -> Probe:
    """Return what hears of these events."""
    told = Probe()
    for name in names:
        client.on(name, told)
    return told


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline, pause = time.monotonic() + HANG, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.003)


def warned(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    """Return the warnings with these words."""
    records = [record for record in caplog.records if record.levelno == logging.WARNING]
    return [record.getMessage() for record in records if words in record.getMessage()]


# ---------------------------------------------------------------- the first connection


def test_the_first_connection_is_not_tried_again(connect: Connect, emulator: Emulator) -> None:
    """Unless the policy says so: a mistake in the address is to be seen at once."""
    emulator.faults.add(at_handshake(Refuse(503), times=None))
    client = connect(reconnect=QUICK)
    with pytest.raises(ConnectError):
        client.wait_until_ready(HANG)
    assert len(emulator.attempts) == 1


def test_retry_first(connect: Connect, emulator: Emulator) -> None:
    """Then what is sent waits for it, and ``init`` comes once."""
    emulator.faults.add(at_handshake(Refuse(503), times=2))
    client = connect(reconnect={**QUICK, "retry_first": True}, session_config=NO_VAD)
    told = probe(client, "init", "closed", "error")

    assert client.ask("hello", timeout=HANG).text
    assert [attempt.status for attempt in emulator.attempts] == [503, 503, 101]
    emulator.drop()
    assert client.ask("hello", timeout=HANG).text
    (session,) = told.told
    assert isinstance(session, Session)


def test_retry_first_with_a_history(connect: Connect, emulator: Emulator) -> None:
    """Whichever connection is the first one is given it, also if it was lost half way."""
    emulator.faults.add(
        at_handshake(Refuse(503)),
        before("conversation.item.added", Drop(), count=2),
        before("conversation.item.created", Drop(), count=2),
    )
    kept = [("user", "One"), ("assistant", "Two"), ("user", "Three")]
    client = connect(reconnect={**QUICK, "retry_first": True}, session_config=NO_VAD, history=kept)
    told = probe(client, "init", "closed", "error")

    assert client.ask("hello", timeout=HANG).text
    assert [attempt.status for attempt in emulator.attempts] == [503, 101, 101]
    texts = [item.text for item in emulator.connections[-1]._engine.conversation]
    assert texts[:4] == ["One", "Two", "Three", "hello"]
    (session,) = told.told
    assert isinstance(session, Session)


def test_retry_first_gives_up(connect: Connect, emulator: Emulator) -> None:
    """The limits of the policy hold for the first connection too; a refused key is fatal."""
    for status, policy, count in ((503, {"max_attempts": 2}, 3), (401, {}, 1)):
        before_it = len(emulator.attempts)
        emulator.faults.clear()
        emulator.faults.add(at_handshake(Refuse(status), times=None))
        client = connect(reconnect={**QUICK, "retry_first": True, **policy})
        with pytest.raises(ConnectError):
            client.wait_until_ready(HANG)
        with pytest.raises(ConnectError):
            client.append_audio(bytes(4800))
        assert len(emulator.attempts) - before_it == count, status


class Gate:
    """A credential that holds up the first attempt until it may fail."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self) -> str:
        assert self.opened.wait(HANG)
        return "token"


EARLY: dict[str, Callable[[AzureRealTimeAudio], Any]] = {
    "create_response": lambda client: client.create_response(),
    "append_audio": lambda client: client.append_audio(bytes(4800)),
    "update_session": lambda client: client.update_session({"instructions": "Be brief."}).result(HANG),
    "send": lambda client: client.send(SessionUpdate(session=SessionConfig(instructions="Be brief."))),
}
"""Calls that wait for the session."""


@pytest.fixture
def guarded() -> Iterator[Emulator]:
    """A service that refuses the first connection, and takes the token of a gate."""
    with Emulator(pace=0, tokens=["token"], faults=Faults(at_handshake(Refuse(503)))) as service:
        yield service


@pytest.mark.parametrize("call", EARLY)
def test_early_calls_outlast_an_attempt(call: str, connect: Connect, guarded: Emulator) -> None:
    """They go on to the next one, as the client does, and take effect there."""
    gate, policy = Gate(), {**QUICK, "retry_first": True}
    client = connect(service=guarded, reconnect=policy, session_config=NO_VAD, api_key=None, credential=gate)
    first = client._engine.ready._condition
    early = Aside(lambda: EARLY[call](client))
    until(lambda: first._waiters)
    gate.opened.set()

    early.result()
    assert [attempt.status for attempt in guarded.attempts] == [503, 101]
    if call in ("update_session", "send"):
        client.clear_audio_buffer().result(HANG)
        assert client.session is not None
        assert client.session.instructions == "Be brief."
    assert client.close()


@pytest.mark.parametrize("call", EARLY)
def test_early_calls_have_one_limit(
    call: str, connect: Connect, guarded: Emulator, clock: ManualClock
) -> None:
    """``connect_timeout`` is for all attempts together, and the error says why the latest failed."""
    gate, policy = Gate(), {**DISTANT, "max_seconds": None, "retry_first": True}
    client = connect(service=guarded, reconnect=policy, api_key=None, credential=gate)
    first = client._engine.ready
    early = Aside(lambda: EARLY[call](client))
    clock.advance(6.0, first._condition)
    gate.opened.set()
    until(lambda: client._engine.ready is not first)
    clock.advance(5.0, client._engine.ready._condition)

    with pytest.raises(TimeoutError, match=r"not ready after 10\.0 seconds.*HTTP 503"):
        early.result()
    assert client.close()


def test_who_waits_for_the_first_session_waits_as_long_as_it_is_tried(
    connect: Connect, guarded: Emulator, clock: ManualClock
) -> None:
    """``with`` and ``wait_until_ready()`` are called for that; a time-out of their own holds."""
    gate, policy = Gate(), {**DISTANT, "max_seconds": None, "retry_first": True}
    client = connect(service=guarded, reconnect=policy, api_key=None, credential=gate)
    first = client._engine.ready
    waiting = Aside(client.wait_until_ready)
    impatient = Aside(lambda: client.wait_until_ready(9.0))
    until(lambda: len(first._condition._waiters) == 2)
    gate.opened.set()
    until(lambda: client._engine.ready is not first)
    later = client._engine.ready._condition
    until(lambda: len(later._waiters) == 2)
    clock.advance(10.0, later)
    with pytest.raises(TimeoutError, match=r"not ready after 9\.0 seconds"):
        impatient.result()
    clock.advance(3700.0, later)
    client._engine.attempts.call_in(0.0)

    assert waiting.result() is None
    assert [attempt.status for attempt in guarded.attempts] == [503, 101]
    assert client.close()


def test_a_first_connection_on_which_nothing_is_said(
    connect: Connect, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``retry_first`` it is given up, and another one made, as later ones are."""
    monkeypatch.setattr(reconnector, "RESTORE_TIMEOUT", 0.3)
    silence = before("session.created", Swallow()), before("session.updated", Swallow())
    emulator.faults.add(*silence)
    client = connect(reconnect={**QUICK, "retry_first": True}, session_config=NO_VAD)

    assert client.ask("hello", timeout=HANG).text
    assert len(emulator.connections) == 2


def test_close_before_the_first_connection(connect: Connect, emulator: Emulator) -> None:
    """While the next attempt waits for its time: at once, with what was waiting told."""
    emulator.faults.add(at_handshake(Refuse(503), times=None))
    policy = {"initial_delay": 3600, "max_delay": 3600, "retry_first": True}
    client = connect(reconnect=policy)
    told = probe(client, "reconnecting", "closed")
    told.next()
    waiting = Aside(lambda: client.ask("hello", timeout=HANG))
    assert client.close(2.0)
    with pytest.raises(ConnectionClosedError):
        waiting.result()
    assert told.next().type == "closed"
    assert len(emulator.attempts) == 1


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_file_waits_for_the_next_connection(
    comes_back: bool, connect: Connect, emulator: Emulator, tmp_path: Path
) -> None:
    """As long as there may be one; then it is said why there is none."""
    write_wav(tmp_path / "question.wav", TONE)
    client = ready(connect, reconnect={**DISTANT, "max_attempts": 1}, session_config=NO_VAD)
    lose(client, emulator)
    sending = Aside(lambda: client.send_audio_file(tmp_path / "question.wav"))
    until(lambda: client._engine.ready._condition._waiters)
    if comes_back:
        come_back(client)
        sending.result()
        client.commit_audio().result(HANG)
    else:
        emulator.faults.add(at_handshake(Refuse(503)))
        come_back(client, "closed")
        with pytest.raises(ConnectError, match="503"):
            sending.result()


# ---------------------------------------------------------------- a key for one connection


def test_an_ephemeral_key(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """It opens one connection: said once at the start, and the session ends with that."""
    with Emulator(pace=0, api_key="ek_test") as service:
        client = connect(service=service, reconnect=QUICK, session_config=NO_VAD)
        assert client.ask("hello", timeout=HANG).text
        told = probe(client, "reconnecting", "closed")
        with pytest.raises(RuntimeError, match="ek_"):
            client.reconnect()
        service.drop()

        assert told.next().type == "closed"
        assert len(service.attempts) == 1
        assert len(warned(caplog, "ek_")) == 1
        assert "ek_test" not in caplog.text


# ---------------------------------------------------------------- the model goes on in writing


def test_an_answer_in_text_after_a_restore(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, with the remedy."""
    with Emulator(pace=0, faults=Faults(writes_on=True)) as service:
        client = connect(service=service, reconnect=QUICK, session_config=NO_VAD)
        assert client.ask("one", timeout=HANG).audio
        told = probe(client, "reconnected")
        for _ in range(2):
            assert not warned(caplog, "answers in text")
            service.drop()
            told.next()
            assert not client.ask("two", timeout=HANG).audio
            assert not client.ask("three", timeout=HANG).audio
            (remedy,) = warned(caplog, "answers in text")
            assert "max_items" in remedy
            caplog.clear()


# ---------------------------------------------------------------- deaths while restoring


@pytest.mark.parametrize(("deaths", "kept"), [(1, 8), (2, 4), (4, 0)])
def test_deaths_while_restoring(
    deaths: int, kept: int, connect: Connect, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Two halve what is restored, four leave nothing; told item by item. A response begins the count anew."""
    client = ready(connect, reconnect={**QUICK, "max_items": 8}, session_config=NO_VAD)
    for text in ("one", "two", "three", "four"):
        client.ask(text, timeout=HANG)
    items = [entry.item.id for entry in client.conversation.entries]
    told = probe(client, "reconnecting", "reconnected", "closed")
    is_ga = client.options.resolved_dialect.name == "ga"
    added = "conversation.item.added" if is_ga else "conversation.item.created"
    emulator.faults.add(before(added, Drop(), count=2, times=deaths))
    emulator.drop()
    *attempts, event = told.until(lambda event: event.type in ("reconnected", "closed"))

    assert event.type == "reconnected"
    assert [attempt.attempt for attempt in attempts] == list(range(1, deaths + 2))
    assert list(event.restored) == items[8 - kept :]
    assert list(event.lost) == items[: 8 - kept]
    assert bool(warned(caplog, "connections ended")) == (deaths >= 2)
    assert len(emulator.connections[-1]._engine.conversation) == kept
    assert client.ask("five", timeout=HANG).text
    emulator.drop()
    assert len(told.until(lambda event: event.type in ("reconnected", "closed"))[-1].restored) == 8


# ---------------------------------------------------------------- the age of a session


def refusal(code: str) -> Say:
    """Return an error that names no command."""
    error = {"type": "invalid_request_error", "code": code, "message": code}
    return Say({"type": "error", "event_id": "e", "error": error})


@pytest.mark.parametrize("when", ["live", "restoring"])
def test_expired_and_more_errors(when: str, connect: Connect, emulator: Emulator) -> None:
    """A session that has expired has, whatever else it refuses before it closes; another one follows."""
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    client.create_conversation_item(message("one")).result(HANG)
    told = probe(client, "reconnected", "closed")
    end = (refusal("session_expired"), refusal("input_audio_buffer_commit_empty"), Close(1000))
    if when == "restoring":
        is_ga = client.options.resolved_dialect.name == "ga"
        added = "conversation.item.added" if is_ga else "conversation.item.created"
        emulator.faults.add(before(added, *end))
        emulator.drop()
    else:
        for action in end:
            emulator.inject(action)

    assert told.next().type == "reconnected"
    assert client.ask("two", timeout=HANG).text
    emulator.close(1000)  # the next session has not expired
    assert told.next().type == "closed"


def test_what_is_no_age(connect: Connect, emulator: Emulator) -> None:
    """Neither zero, null nor text is one, nor a moment that is past or years away."""
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    swap, session = client._engine.reconnector.swap, dict(emulator.sent("session.updated")[-1]["session"])
    known = probe(client, "session.updated")

    def left(expires_at: object) -> float | None:
        emulator.say({"type": "session.updated", "session": {**session, "expires_at": expires_at}})
        known.next()
        return swap._age.left(swap._clock())

    now = time.time()
    for strange in (0, None, "soon", "", True, -1, now - 3600, now + 10 * 365 * 86400, 1e300, [], {}):
        assert left(strange) is None, strange
    found = left(int(now) + 1800)
    assert found is not None
    assert 1700 < found < 1802  # the `Date` of a handshake has whole seconds
    assert client.ask("hello", timeout=HANG).text


def test_swaps_by_age_are_a_minute_apart(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """However short sessions last; a program may ask for more."""
    monkeypatch.setattr("azure_rt_audio._session.planned_swap._LEAST_INTERVAL", 1.2)
    with Emulator(pace=0) as service:
        policy = {**QUICK, "max_age_s": 0.4, "swap_before_s": 0.2}
        client = ready(connect, service=service, reconnect=policy, session_config=NO_VAD)
        times: list[float] = []
        told = Probe()
        client.on("reconnected", lambda event: (times.append(time.monotonic()), told(event)))
        events = [told.next()]
        assert client.reconnect().result(HANG)
        events += [told.next(), told.next()]

        assert all(event.is_planned and not event.lost for event in events)
        assert times[1] - times[0] < 1.0
        assert times[2] - times[1] >= 1.1


@pytest.mark.parametrize("status", [500, 503])
def test_a_standby_that_cannot_be_had(
    status: int, connect: Connect, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session that lives goes on, and nobody is told; it is tried again later."""
    monkeypatch.setattr("azure_rt_audio._session.planned_swap._RETRY", 0.2)
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    told = probe(client, "reconnecting", "reconnected", "closed", "error")
    emulator.faults.add(at_handshake(Refuse(status), times=2))
    swapped = client.reconnect()

    assert client.ask("hello", timeout=HANG).text
    assert swapped.result(HANG).is_planned
    assert [attempt.status for attempt in emulator.attempts] == [101, status, status, 101]
    assert told.next().type == "reconnected"
    assert not told.told


@pytest.mark.parametrize(("status", "policy"), [(401, {}), (403, {}), (503, {"max_seconds": 1})])
def test_a_standby_that_never_can_be_had(
    status: int, policy: dict[str, Any], connect: Connect, emulator: Emulator
) -> None:
    """Who asked for it is told why, at once or by the limits of the policy, and the session goes on."""
    client = ready(connect, reconnect={**QUICK, **policy}, session_config=NO_VAD)
    told = probe(client, "reconnecting", "reconnected", "closed", "error")
    emulator.faults.add(at_handshake(Refuse(status, retry_after_ms=60_000)))

    with pytest.raises(ConnectError) as caught:
        client.reconnect().result(HANG)
    assert caught.value.status == status
    assert client.ask("hello", timeout=HANG).text
    assert [attempt.status for attempt in emulator.attempts] == [101, status]
    assert not told.told


def test_a_voice_that_never_can_be_had(connect: Connect, emulator: Emulator) -> None:
    """The same holds for an update that needs another session."""
    client = ready(connect, reconnect={**QUICK, "voice_change": "swap"}, session_config=NO_VAD)
    assert client.ask("hello", timeout=HANG).audio
    emulator.faults.add(at_handshake(Refuse(403)))

    with pytest.raises(ConnectError):
        client.update_session({"voice": "verse"}).result(HANG)
    assert client.ask("hello", timeout=HANG).text


def test_nobody_waits_for_a_standby_that_never_can_be_had(
    connect: Connect, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Then it is logged."""
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    emulator.faults.add(at_handshake(Refuse(403)))
    client.reconnect()
    until(lambda: warned(caplog, "no other connection was made"))


def test_a_standby_is_dialled_when_the_service_wants_it(
    connect: Connect, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that it asks for is kept."""
    monkeypatch.setattr(planned_swap, "_RETRY", 0.02)
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    emulator.faults.add(at_handshake(Refuse(503, retry_after_ms=600)))
    began = time.monotonic()

    assert client.reconnect().result(HANG).is_planned
    assert time.monotonic() - began >= 0.6


def test_swaps_in_a_row(connect: Connect, emulator: Emulator) -> None:
    """Their dials keep the distance of all others."""
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    assert client.reconnect().result(HANG).is_planned
    began = time.monotonic()
    for _ in range(3):
        assert client.reconnect().result(HANG).is_planned

    assert time.monotonic() - began >= 0.4
    assert len(emulator.attempts) == 5


def test_a_session_that_is_changed_all_the_time(
    connect: Connect, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other connection is made once more for a change, but at longer and longer intervals."""
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    monkeypatch.setattr(client._engine.reconnector.swap, "_is_quiet", lambda now: False)
    client.reconnect()
    began = time.monotonic()
    numbers = itertools.count()

    def change() -> bool:
        client.update_session({"instructions": f"change {next(numbers)}"}).result(HANG)
        return len(emulator.attempts) >= 5

    until(change)
    assert time.monotonic() - began >= 0.85


def test_an_acknowledgement_that_is_lost_does_not_keep_a_swap_away(
    connect: Connect, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is sent again to the new session, and acknowledged there."""
    monkeypatch.setattr(waiters, "LOST", 0.3)
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    emulator.faults.add(
        *(before(f"conversation.item.{name}", Swallow()) for name in ("added", "created", "done"))
    )
    lost = client.create_conversation_item(message("lost"))

    assert client.reconnect().result(HANG).is_planned
    assert lost.result(HANG).item.text == "lost"
    assert [item.text for item in emulator.connections[-1]._engine.conversation] == ["lost"]


# ---------------------------------------------------------------- a service that falls silent


def test_a_new_connection_on_which_nothing_is_said(
    connect: Connect, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up, and another one made: keepalive alone would hold it for ever."""
    monkeypatch.setattr(reconnector, "RESTORE_TIMEOUT", 0.7)
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    emulator.faults.add(before("session.created", Swallow()), before("session.updated", Swallow()))
    emulator.drop()

    assert client.ask("hello", timeout=HANG).text
    assert len(emulator.connections) == 3


def test_a_standby_on_which_nothing_is_said(
    connect: Connect, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up likewise, and the session goes over to another one."""
    monkeypatch.setattr(planned_swap, "_PREPARE", 0.7)
    monkeypatch.setattr(planned_swap, "_RETRY", 0.05)
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    emulator.faults.add(before("session.created", Swallow()), before("session.updated", Swallow()))

    assert client.reconnect().result(HANG).is_planned
    assert len(emulator.connections) == 3


def test_a_session_that_does_not_answer_is_not_held_up_again_and_again(
    connect: Connect, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a hold in vain the program's commands go on for a while."""
    monkeypatch.setattr(planned_swap, "_BARRIER", 0.1)
    emulator.faults.add(before("session.updated", Swallow(), count=2))  # the one after the configuration
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    swap = client._engine.reconnector.swap
    hold, holds, looks = swap._hold, Probe(), Probe()
    monkeypatch.setattr(swap, "_hold", lambda now: (holds(now), hold(now)))
    monkeypatch.setattr(swap, "_is_quiet", lambda now: False)
    client.reconnect()
    stand_by(client)
    monkeypatch.setattr(swap, "_is_fresh", lambda: (looks(True), True)[1])
    monkeypatch.setattr(swap, "_is_quiet", lambda now: True)
    holds.next()
    for _ in range(8):  # looks for a quiet moment
        looks.next()

    assert holds.told == []
    client.clear_audio_buffer().result(HANG)


def stand_by(client: AzureRealTimeAudio) -> None:
    """Wait until another connection is ready to take over."""
    while client._engine.reconnector.swap._state is not planned_swap._State.STANDBY:
        client.clear_audio_buffer().result(HANG)


def test_a_standby_that_is_behind_is_not_promoted(
    connect: Connect, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that was changed since has its loss mended by a connection that knows of it."""
    client = ready(connect, reconnect=QUICK, session_config=NO_VAD)
    swap = client._engine.reconnector.swap
    monkeypatch.setattr(swap, "_is_quiet", lambda now: False)
    monkeypatch.setattr(swap, "_is_fresh", lambda: True)
    client.reconnect()
    stand_by(client)
    client.update_session({"instructions": "Be brief."}).result(HANG)
    emulator.inject(Drop(), emulator.connections[0])

    assert client.ask("hello", timeout=HANG).text
    assert client.session is not None
    assert client.session.instructions == "Be brief."


@pytest.mark.parametrize("is_planned", [True, False])
def test_what_is_lost_is_told_once(is_planned: bool, connect: Connect, emulator: Emulator) -> None:
    """By the reconnection that has lost it; the next one names only what is lost since."""
    client = ready(connect, reconnect={**QUICK, "max_items": 2}, session_config=NO_VAD)
    told = probe(client, "reconnected")

    def reconnect() -> Any:
        if is_planned:
            client.reconnect()
        else:
            emulator.drop()
        return told.next()

    ids = [client.create_conversation_item(message(text)).result(HANG).item.id for text in "abc"]
    assert list(reconnect().lost) == ids[:1]
    ids.append(client.create_conversation_item(message("d")).result(HANG).item.id)
    event = reconnect()
    assert (list(event.lost), list(event.restored)) == (ids[1:2], ids[2:])
    assert not reconnect().lost
    client.delete_item(ids[3]).result(HANG)
    event = reconnect()  # there is room for one that was lost
    assert (list(event.lost), list(event.restored)) == ([], ids[1:3])
    ids.append(client.create_conversation_item(message("e")).result(HANG).item.id)
    assert list(reconnect().lost) == ids[1:2]
    assert [entry.text for entry in client.conversation.entries] == ["a", "b", "c", "e"]
