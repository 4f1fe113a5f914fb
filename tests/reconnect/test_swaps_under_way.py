"""Planned swaps while the user never stops speaking, and while the conversation is being changed."""

from __future__ import annotations

import array
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from listeners import HANG, NO_VAD, Aside, Connect, Probe, message, ready
from scripted_conversation import SESSION, describe, respond, speech, synthesise

from azure_rt_audio import AzureRealTimeAudio, ResponseLostError
from azure_rt_audio._session import planned_swap
from azure_rt_audio.emulator import (
    Connection,
    Delay,
    Drop,
    Emulator,
    Refuse,
    Say,
    Session,
    Swallow,
    after,
    at_handshake,
    before,
    on_command,
)

QUICK = {"initial_delay": 0.02, "max_delay": 0.1}

SHORT_LIVED = {"max_age_s": 2.0, "swap_before_s": 1.0}
"""Speech and commands are no reason to wait in the last half second."""

WORDS = 50
ANSWER = " ".join(f"w{number}" for number in range(WORDS))
"""Five seconds: on a slow machine, too, the client goes over while it is spoken."""

_SECOND = 24_000
_QUIETEST = 8_000

BARRIER = 2
"""The update that shows a swap that the old session has taken all commands: the second of its connection."""


def probe(client: AzureRealTimeAudio, *names: str) -> Probe:
    """Return what hears of these events."""
    told = Probe()
    for name in names:
        client.on(name, told)
    return told


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline, pause = time.monotonic() + 4 * HANG, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.003)


def words(connection: Connection) -> list[str]:
    """Return what a session's conversation holds."""
    return [describe(item)[1] for item in connection._engine.conversation]


def loud(first: int, count: int) -> bytes:
    """PCM16, 24 000 Hz: so many samples that count up, second by second, with the sign of a 500 Hz tone."""
    samples = (
        (_QUIETEST + index % _SECOND) * (1 if index // 24 % 2 else -1)
        for index in range(first, first + count)
    )
    return array.array("h", samples).tobytes()


# ---------------------------------------------------------------- a user who does not stop


class Monologue:
    """Speech without a pause, four times as fast as it would be spoken, until it is to end."""

    def __init__(self, client: AzureRealTimeAudio) -> None:
        self._client = client
        self._is_over = threading.Event()
        self.samples = 0
        self._thread = threading.Thread(target=self._run, name="speaker")
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over.wait(0.005):
            self._client.append_audio(loud(self.samples, 480))
            self.samples += 480

    def end(self) -> None:
        """Fall silent."""
        self._is_over.set()
        self._thread.join(HANG)
        self._client.append_audio(bytes(2 * 24_000))


def speak_through(client: AzureRealTimeAudio) -> tuple[Any, Monologue]:
    """Speak until the session was replaced, and then fall silent."""
    with client.events("reconnecting", "reconnected", timeout=4 * HANG) as events:
        monologue = Monologue(client)
        try:
            return next(events), monologue
        finally:
            monologue.end()


@pytest.fixture
def heard() -> list[bytes]:
    """What the service was given to recognise."""
    return []


@pytest.fixture
def service(heard: list[bytes]) -> Iterator[Emulator]:
    """A service that keeps what it hears."""

    def recogniser(pcm: bytes, session: Session) -> str:
        heard.append(pcm)
        return "all of it"

    with Emulator(
        pace=0, recogniser=recogniser, responder=respond, synthesiser=synthesise, latency_ms=(10, 5)
    ) as emulator:
        yield emulator


def count(pcm: bytes) -> int:
    """Return how many samples of speech there are in a sound, which must not jump."""
    found = [abs(sample) - _QUIETEST for sample in array.array("h", pcm) if sample]
    assert found == [(found[0] + index) % _SECOND for index in range(len(found))]
    return len(found)


def test_a_user_who_never_stops(connect: Connect, service: Emulator, heard: list[bytes]) -> None:
    """Shortly before the end of its age a session is replaced in the midst of a word, and none is lost."""
    policy = {**QUICK, **SHORT_LIVED}
    client = ready(connect, service=service, session_config=SESSION, reconnect=policy)
    done = probe(client, "response.done")
    event, monologue = speak_through(client)

    assert event.is_planned
    assert not event.lost
    assert done.next().response.text == "answer to all of it"
    assert list(map(count, heard)) == [monologue.samples]
    assert words(service.connections[1]) == ["all of it", "answer to all of it"]
    assert not done.told
    assert client.ask("go on", timeout=HANG).text == "answer to go on"


def test_speech_that_is_longer_than_what_is_kept(
    connect: Connect, service: Emulator, heard: list[bytes]
) -> None:
    """The new session hears the end of it, and the program is told how much is missing."""
    policy = {**QUICK, **SHORT_LIVED, "keep_turns_s": 1.0, "keep_audio_s": 1.0}
    client = ready(connect, service=service, session_config=SESSION, reconnect=policy)
    done = probe(client, "response.done")
    event, monologue = speak_through(client)

    assert event.is_planned
    assert list(event.lost) == ["sound"]
    assert done.next().response.text == "answer to all of it"
    (found,) = map(count, heard)
    missing = (monologue.samples - found) / _SECOND
    assert event.lost["sound"] == f"{missing:.1f} s of sound were more than is kept"


def test_commands_without_a_pause(connect: Connect, service: Emulator) -> None:
    """There is never a moment without one on its way; each is carried out once, in order, and so is sound."""
    client = ready(connect, service=service, session_config=NO_VAD, reconnect={**QUICK, **SHORT_LIVED})
    pause, futures = threading.Event(), []
    with client.events("reconnecting", "reconnected", timeout=4 * HANG) as events:
        swapped = Aside(lambda: next(events))
        while swapped.is_running:
            client.append_audio(loud(480 * len(futures), 480))
            futures.append(client.create_conversation_item(message(str(len(futures)))))
            pause.wait(0.002)
        event = swapped.result()
    for future in futures:
        future.result(HANG)
    committed = client.commit_audio().result(HANG).item_id

    assert event.is_planned
    assert not event.lost
    *created, spoken = service.connections[1]._engine.conversation
    assert [item.text for item in created] == [str(number) for number in range(len(futures))]
    assert spoken.id == committed
    assert bytes(spoken.parts[0].audio) == loud(0, 480 * len(futures))
    assert [entry.text for entry in client.conversation.entries][:-1] == [item.text for item in created]


def test_a_transcript_that_never_comes(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps no session from being replaced before its end: the new one has the sound."""
    monkeypatch.setattr("azure_rt_audio._session.input_sound._TRANSCRIPT_TIMEOUT", 3600.0)
    with Emulator(pace=0, recogniser=lambda pcm, session: Future()) as service:
        quiet = {**SESSION, "turn_detection": None}
        client = ready(connect, service=service, session_config=quiet, reconnect={**QUICK, **SHORT_LIVED})
        with client.events("reconnecting", "reconnected", timeout=4 * HANG) as events:
            client.append_audio(speech(1))
            committed = client.commit_audio().result(HANG).item_id
            event = next(events)

        assert event.is_planned
        assert event.restored == (committed,)
        assert bytes(next(iter(service.connections[1]._engine.conversation)).parts[0].audio) == speech(1)


def test_a_turn_ends_in_the_hold(connect: Connect) -> None:
    """Its answer is awaited, whenever it begins: the session that has taken the turn gives it."""
    committed = {
        "type": "input_audio_buffer.committed",
        "event_id": "event_1",
        "previous_item_id": None,
        "item_id": "item_old",
    }
    response = {"id": "resp_old", "object": "realtime.response", "output": [], "usage": None}
    created = {
        "type": "response.created",
        "event_id": "event_2",
        "response": {**response, "status": "in_progress"},
    }
    done = {"type": "response.done", "event_id": "event_3", "response": {**response, "status": "completed"}}
    with Emulator(pace=0, responder=respond) as service:
        service.faults.add(
            on_command("session.update", Say(committed), count=BARRIER),
            after("session.updated", Delay(0.3), Say(created), Delay(0.1), Say(done), count=BARRIER),
        )
        client = ready(connect, service=service, session_config=SESSION, reconnect=QUICK)
        told = probe(client, "response.created", "response.done", "reconnected")
        swapped = client.reconnect()

        assert swapped.result(HANG).is_planned
        assert [told.next().type for _ in range(3)] == ["response.created", "response.done", "reconnected"]
        assert client.ask("go on", timeout=HANG).text == "answer to go on"


def test_an_answer_that_runs_through_the_end_of_its_session(connect: Connect) -> None:
    """It ends where it began, with its usage, while the program is on the new session already."""
    with Emulator(pace=1, responder=lambda *_: ANSWER, synthesiser=synthesise) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect={**QUICK, **SHORT_LIVED})
        done, deltas = probe(client, "response.done"), probe(client, "response.output_audio.delta")
        with client.events("reconnecting", "reconnected", timeout=4 * HANG) as events:
            asked = Aside(lambda: client.ask("one", timeout=4 * HANG))
            until(lambda: client._engine.attempts.current.number == 2)
            assert not done.told
            response = asked.result()
            event = next(events)

        assert event.is_planned
        assert (response.status, response.text) == ("completed", ANSWER)
        assert response.usage is not None
        assert response.usage.output_tokens
        assert sum(len(delta.audio) for delta in deltas.told) == WORDS * 4_800
        assert response.output[0].id not in event.lost
        client.create_conversation_item(message("last")).result(HANG)
        assert words(service.connections[-1]) == ["one", ANSWER, "last"]


def test_the_new_connection_is_lost_during_such_an_answer(connect: Connect) -> None:
    """The answer is heard to its end; another connection is made meanwhile, and has all of it."""
    with Emulator(pace=1, responder=lambda *_: ANSWER, synthesiser=synthesise) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect={**QUICK, **SHORT_LIVED})
        done, told = probe(client, "response.done"), probe(client, "reconnecting", "reconnected", "error")
        asked = Aside(lambda: client.ask("one", timeout=4 * HANG))
        until(lambda: client._engine.attempts.current.number == 2)
        on_new = client.create_conversation_item(message("on the new one"))
        service.inject(Drop(), service.connections[1])
        went_over, lost = told.next(), told.next()
        assert (went_over.type, went_over.is_planned, lost.type) == ("reconnected", True, "reconnecting")
        meanwhile = client.create_conversation_item(message("meanwhile"))
        client.wait_until_ready(4 * HANG)
        assert len(service.connections) == 3
        assert not done.told

        again = told.next()
        assert (again.type, again.is_planned, dict(again.responses)) == ("reconnected", False, {})
        response = asked.result()
        assert (response.status, response.text) == ("completed", ANSWER)
        assert on_new.result(HANG)
        assert meanwhile.result(HANG)
        assert words(service.connections[-1]) == ["one", ANSWER, "on the new one", "meanwhile"]
        assert not told.told


@pytest.mark.parametrize("is_final", [True, False])
def test_both_connections_are_lost_during_such_an_answer(is_final: bool, connect: Connect) -> None:
    """Then the answer is lost, or the session with both, as it would be with one."""
    with Emulator(pace=1, responder=lambda *_: ANSWER, synthesiser=synthesise) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect={**QUICK, **SHORT_LIVED})
        heard = probe(client, "response.output_audio.delta")
        told = probe(client, "reconnecting", "reconnected", "closed")
        asked = Aside(lambda: client.ask("one", timeout=4 * HANG))
        until(lambda: client._engine.attempts.current.number == 2)
        heard.next()
        if is_final:
            service.faults.add(at_handshake(Refuse(403)))
        service.inject(Drop(), service.connections[1])
        assert told.next().type == "reconnected"
        assert told.next().type == "reconnecting"
        if is_final:
            until(lambda: len(service.attempts) == 3)
            assert asked.result().text == ANSWER  # the old session speaks to its end
            assert told.next().type == "closed"
        else:
            until(lambda: len(service.connections) == 3)
            service.inject(Drop(), service.connections[0])
            with pytest.raises(ResponseLostError):
                asked.result()
            assert list(told.next().responses.values()) == ["lost"]
            assert client.create_conversation_item(message("last")).result(HANG)
            assert words(service.connections[-1])[-1] == "last"


def test_what_is_sent_about_such_an_answer_waits_for_it(connect: Connect) -> None:
    """The new session has it only when it is over, and would refuse what names it."""
    with Emulator(pace=1, responder=lambda *_: ANSWER, synthesiser=synthesise) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect={**QUICK, **SHORT_LIVED})
        heard_of = probe(client, "response.output_audio.delta")
        asked = Aside(lambda: client.ask("one", timeout=4 * HANG))
        heard_of.next()  # the answer's item is there, and is the last
        until(lambda: client._engine.attempts.current.number == 2)
        item_id = client.conversation.entries[-1].item.id
        after = client.create_conversation_item(message("after"), previous_item_id=item_id)
        cut = client.truncate_item(item_id, 0, 1000)
        at_once = client.create_conversation_item(message("at once"))
        assert at_once.result(HANG)
        assert not after.done()
        assert asked.result().text == ANSWER
        assert after.result(HANG).item.text == "after"
        assert cut.result(HANG).item_id == item_id

        client.create_conversation_item(message("last")).result(HANG)
        first, heard, *others = words(service.connections[-1])
        assert (first, sorted(others)) == ("one", ["after", "at once", "last"])
        assert ANSWER.startswith(heard)
        assert 5 < len(heard.split()) < 15  # a fifth
        assert service.sent("error") == []


# ---------------------------------------------------------------- changes to what the other session has


CHANGES: dict[str, Callable[[AzureRealTimeAudio, list[str]], object]] = {
    "delete a question": lambda client, ids: client.delete_item(ids[0]).result(HANG),
    "delete an answer": lambda client, ids: client.delete_item(ids[1]).result(HANG),
    "delete the last": lambda client, ids: client.delete_item(ids[-1]).result(HANG),
    "truncate": lambda client, ids: client.truncate_item(ids[1], 0, 150).result(HANG),
    "truncate the last": lambda client, ids: client.truncate_item(ids[-1], 0, 150).result(HANG),
    "create at the end": lambda client, ids: client.create_conversation_item(message("new")).result(HANG),
    "create in between": lambda client, ids: client.create_conversation_item(
        message("new"), previous_item_id=ids[1]
    ).result(HANG),
    "create at the top": lambda client, ids: client.create_conversation_item(
        message("new"), previous_item_id="root"
    ).result(HANG),
    "replace": lambda client, ids: (
        client.delete_item(ids[0]).result(HANG),
        client.create_conversation_item(message("new"), previous_item_id="root").result(HANG),
    ),
    "ask": lambda client, ids: client.ask("three", timeout=HANG),
}
"""What a program does to four items, by their ids."""


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_while_the_other_session_stands_by(
    change: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new session has the conversation as it is now, however it was when it was given to it."""
    with Emulator(pace=0, responder=respond, synthesiser=synthesise) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
        for text in ("one", "two"):
            client.ask(text, timeout=HANG)
        ids = [entry.item.id or "" for entry in client.conversation.entries]
        swap = client._engine.reconnector.swap
        is_quiet = swap._is_quiet
        monkeypatch.setattr(swap, "_is_quiet", lambda now: False)
        swapped = client.reconnect()
        while swap._state is not planned_swap._State.STANDBY:
            client.clear_audio_buffer().result(HANG)
        CHANGES[change](client, ids)
        monkeypatch.setattr(swap, "_is_quiet", is_quiet)

        event = swapped.result(2 * HANG)
        assert event.is_planned
        assert not event.lost
        _check(client, service, change)


@pytest.mark.parametrize(
    "change", ["delete a question", "truncate", "truncate the last", "create at the end"]
)
def test_a_change_in_the_hold(change: str, connect: Connect) -> None:
    """It is carried out in the new session, once."""
    with Emulator(pace=0, responder=respond, synthesiser=synthesise) as service:
        service.faults.add(on_command("session.update", Delay(0.3), count=BARRIER))
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
        for text in ("one", "two"):
            client.ask(text, timeout=HANG)
        ids = [entry.item.id or "" for entry in client.conversation.entries]
        swapped = client.reconnect()
        pause = threading.Event()
        while not client._engine.journal.is_holding:
            assert not swapped.done()
            pause.wait(0.003)
        CHANGES[change](client, ids)

        assert swapped.result(HANG).is_planned
        _check(client, service, change)


def _check(client: AzureRealTimeAudio, service: Emulator, change: str) -> None:
    """Check that the service's conversation is the client's, and what the change made of it."""
    assert client.ask("last", timeout=HANG).text == "answer to last"
    new = service.connections[-1]
    assert new.is_open
    found = words(new)
    told = [entry.text for entry in client.conversation.entries if entry.text]
    wanted = {
        "delete a question": ["answer to one", "two", "answer to two"],
        "delete an answer": ["one", "two", "answer to two"],
        "delete the last": ["one", "answer to one", "two"],
        "create at the end": ["one", "answer to one", "two", "answer to two", "new"],
        "create in between": ["one", "answer to one", "new", "two", "answer to two"],
        "create at the top": ["new", "one", "answer to one", "two", "answer to two"],
        "replace": ["new", "answer to one", "two", "answer to two"],
        "ask": ["one", "answer to one", "two", "answer to two", "three", "answer to three"],
    }.get(change)
    if wanted is None:
        cut = 1 if change == "truncate" else 3
        assert 0 < len(found[cut]) < len(told[cut])
        assert told[cut].startswith(found[cut])
        found[cut], wanted = told[cut], ["one", "answer to one", "two", "answer to two"]
    assert found == told
    assert found[:-2] == wanted


# ---------------------------------------------------------------- turns that only the old session still has


@pytest.mark.parametrize("answer", ["retrieved", "refused", "never"])
def test_turns_without_transcript(answer: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older than what is kept comes from the old session, if that gives it in time."""
    if answer == "never":
        monkeypatch.setattr("azure_rt_audio._session.planned_swap._RETRIEVE", 0.2)
    with Emulator(pace=0, responder=respond, synthesiser=synthesise) as service:
        if answer == "never":
            service.faults.add(before("conversation.item.retrieved", Swallow(), count=None, times=2))
        policy = {**QUICK, "keep_turns_s": 0.1}
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=policy)
        told = probe(client, "conversation.item.retrieved", "error")
        items = []
        for turn in range(3):
            client.append_audio(speech(turn))
            items.append(client.commit_audio().result(HANG).item_id)
        if answer == "refused":
            held = service.connections[0]._engine.conversation
            for item in list(held)[:2]:
                held.remove(item)
        event = client.reconnect().result(HANG)

        is_given = answer == "retrieved"
        assert list(event.lost) == ([] if is_given else items[:2])
        old, new = service.connections
        assert [command["type"] for command in old.received].count("conversation.item.retrieve") == 2
        found = {item.id: bytes(item.parts[0].audio) for item in new._engine.conversation}
        assert found == {items[turn]: speech(turn) for turn in (range(3) if is_given else [2])}
        assert not told.told
        assert client.retrieve_item(items[2]).result(HANG).item.id == items[2]
        assert told.next().item.id == items[2]


def test_turns_are_asked_for_again(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the connection for which they were asked fails, the one after it needs them, too."""
    monkeypatch.setattr("azure_rt_audio._session.planned_swap._RETRY", 0.02)
    with Emulator(pace=0, responder=respond, synthesiser=synthesise) as service:
        policy = {**QUICK, "keep_turns_s": 0.1}
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=policy)
        items = []
        for turn in range(2):
            client.append_audio(speech(turn))
            items.append(client.commit_audio().result(HANG).item_id)
        service.faults.add(
            before("conversation.item.added", Drop(), count=2),
            before("conversation.item.created", Drop(), count=2),
        )
        event = client.reconnect().result(HANG)

        assert (event.restored, event.lost) == (tuple(items), {})
        assert len(service.connections) == 3
        found = [bytes(item.parts[0].audio) for item in service.connections[-1]._engine.conversation]
        assert found == [speech(0), speech(1)]
