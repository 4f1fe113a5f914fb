"""Ten moments at which a connection ends or is replaced while something else happens; each is built here."""

from __future__ import annotations

import base64
import gc
import json
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from listeners import HANG, NO_VAD, Connect, Probe, message, ready
from scripted_conversation import SESSION, describe, recognise, respond, speech, synthesise

from azure_rt_audio import AzureRealTimeAudio, RealtimeError, ResponseLostError
from azure_rt_audio.emulator import (
    Connection,
    Delay,
    Drop,
    Emulator,
    FunctionCall,
    Say,
    Session,
    Swallow,
    after,
    at_handshake,
    before,
    on_command,
)

QUICK = {"initial_delay": 0.02, "max_delay": 0.1}
ARGUMENTS = {"words": "one two three four five six"}
TOOLS = {**NO_VAD, "tools": SESSION["tools"]}
SPOKEN = speech(1) + bytes(2 * 12_000)
"""A turn, and the silence that ends it."""

BARRIER = 2
"""The update that shows a swap that the old session has taken all commands: the second of its connection."""

OLD_SPEECH = {
    "type": "input_audio_buffer.speech_started",
    "event_id": "event_1",
    "audio_start_ms": 0,
    "item_id": "item_old",
}
OLD_RESPONSE = {
    "type": "response.created",
    "event_id": "event_2",
    "response": {
        "id": "resp_old",
        "object": "realtime.response",
        "status": "in_progress",
        "status_details": None,
        "output": [],
        "usage": None,
    },
}


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service at some distance, which says of each spoken turn whether it is whole."""
    with Emulator(
        pace=0,
        keep_audio=True,
        latency_ms=(60, 30),
        responder=respond,
        recogniser=recognise,
        synthesiser=synthesise,
    ) as service:
        yield service


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline, pause = time.monotonic() + HANG, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.003)


def begin_hold(client: AzureRealTimeAudio) -> Future[Any]:
    """Ask for a swap, and wait until it holds what the program sends."""
    swapped = client.reconnect()
    until(lambda: client._engine.journal.is_holding)
    return swapped


def probe(client: AzureRealTimeAudio, *names: str) -> Probe:
    """Return what hears of these events."""
    told = Probe()
    for name in names:
        client.on(name, told)
    return told


def words(connection: Connection) -> list[str]:
    """Return what a session's conversation holds."""
    return [describe(item)[1] for item in connection._engine.conversation]


def sound(connection: Connection) -> bytes:
    """Return what was appended on a connection."""
    appended = [c["audio"] for c in connection.received if c["type"] == "input_audio_buffer.append"]
    return b"".join(map(base64.b64decode, appended))


def kinds(connection: Connection, *wanted: str) -> list[str]:
    """Return the commands of some kinds that a connection took."""
    return [command["type"] for command in connection.received if command["type"] in wanted]


# ---------------------------------------------------------------- 1: speech on the old one while it is held


def test_the_user_begins_to_speak_in_the_hold(connect: Connect, service: Emulator) -> None:
    """The swap waits; what was held goes to the old session, in order; later there is a swap all the same."""
    service.faults.add(on_command("input_audio_buffer.append", Delay(0.5)))
    client = ready(connect, service=service, session_config=SESSION, reconnect=QUICK)
    done = probe(client, "response.done")
    client.append_audio(SPOKEN[:9600])  # on its way when the swap is asked for
    swapped = begin_hold(client)
    created = client.create_conversation_item(message("meanwhile"))
    client.append_audio(SPOKEN[9600:])

    assert done.next().response.text == "answer to spoken 1"
    assert created.done()
    assert swapped.result(2 * HANG).is_planned
    old, new = service.connections
    assert sound(old) == SPOKEN
    assert words(old) == words(new) == ["meanwhile", "spoken 1", "answer to spoken 1"]
    assert not done.told


# ---------------------------------------------------------------- 2: the same after the switch


def test_the_old_session_notices_speech_after_the_switch(connect: Connect, service: Emulator) -> None:
    """The new session hears it from the beginning and answers; what the old one makes of it is not told."""
    service.faults.add(
        on_command("session.update", Delay(0.4), count=BARRIER),
        after("session.updated", Say(OLD_SPEECH), Say(OLD_RESPONSE), count=BARRIER),
    )
    client = ready(connect, service=service, session_config=SESSION, reconnect=QUICK)
    told = probe(client, "input_audio_buffer.speech_started", "response.created", "response.done")
    client.append_audio(SPOKEN[:1920])  # too short to be noticed by the old session
    swapped = begin_hold(client)
    client.append_audio(SPOKEN[1920:])
    events = told.until(lambda event: event.type == "response.done")

    assert swapped.result(HANG).is_planned
    assert [event.type for event in events] == [
        "input_audio_buffer.speech_started",
        "response.created",
        "response.done",
    ]
    assert events[0].item_id != "item_old"
    assert events[-1].response.text == "answer to spoken 1"
    old, new = service.connections
    assert old.wait_closed(HANG)
    assert words(old) == []
    assert words(new) == ["spoken 1", "answer to spoken 1"]
    assert client.ask("go on", timeout=HANG).text == "answer to go on"
    assert not [event for event in told.told if getattr(event, "response", None) is None]


# ---------------------------------------------------------------- 3: a response of the old one's own


def test_the_old_session_answers_in_the_hold(connect: Connect, service: Emulator) -> None:
    """A response that nobody has announced ends the hold, and is heard to its end before there is a swap."""
    service.faults.add(
        on_command("input_audio_buffer.append", Delay(0.5)),
        before("input_audio_buffer.speech_started", Swallow()),
        before("input_audio_buffer.speech_stopped", Swallow()),
    )
    client = ready(connect, service=service, session_config=SESSION, reconnect=QUICK)
    done = probe(client, "response.created", "response.done")
    client.append_audio(SPOKEN)
    swapped = begin_hold(client)
    created = client.create_conversation_item(message("meanwhile"))
    (_, ended) = done.until(lambda event: event.type == "response.done")

    assert ended.response.text == "answer to spoken 1"
    assert swapped.result(2 * HANG).is_planned
    assert created.done()
    old, new = service.connections
    assert sorted(words(old)) == sorted(words(new)) == ["answer to spoken 1", "meanwhile", "spoken 1"]
    assert not done.told


# ---------------------------------------------------------------- 4: a late transcript


def test_a_transcript_comes_from_the_old_session(
    connect: Connect, service: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told once and is in the client's conversation; the new session keeps what it was given."""
    monkeypatch.setattr("azure_rt_audio._session.input_sound._TRANSCRIPT_TIMEOUT", 0.1)
    late: list[Future[str]] = []

    def recogniser(pcm: bytes, session: Session) -> str | Future[str]:
        late.append(Future())
        return late[0] if len(late) == 1 else recognise(pcm, session)

    with Emulator(pace=0, recogniser=recogniser, responder=respond, synthesiser=synthesise) as late_service:
        late_service.faults.add(before("session.updated", Swallow(), count=3))  # the answer to the barrier
        quiet = {**SESSION, "turn_detection": None}
        client = ready(connect, service=late_service, session_config=quiet, reconnect=QUICK)
        told = probe(client, "conversation.item.input_audio_transcription.completed")
        client.update_session({"instructions": "Be brief."}).result(HANG)
        client.append_audio(SPOKEN)
        item_id = client.commit_audio().result(HANG).item_id
        swapped = begin_hold(client)
        old = late_service.connections[0]
        until(lambda: 3 in old._fault_counts.values())
        late[0].set_result("spoken 1")
        assert told.next().transcript == "spoken 1"
        updated = [said for said in old.sent if said["type"] == "session.updated"][-1]
        late_service.inject(Say({**updated, "event_id": "event_barrier"}), old)
        event = swapped.result(2 * HANG)

        assert event.is_planned
        assert not event.lost
        assert old.wait_closed(HANG)
        assert client.conversation.get(item_id).text == "spoken 1"
        new = next(link for link in late_service.connections if link.is_open)
        (held,) = new._engine.conversation
        assert held.id == item_id
        assert [part.kind for part in held.parts] in (["input_audio"], ["input_text"])
        assert client.ask("go on", timeout=HANG).text == "answer to go on"
        assert not told.told


# ---------------------------------------------------------------- 5: a tool that ends meanwhile


@pytest.mark.parametrize("when", ["hold", "lost"])
def test_a_tool_ends_without_a_connection(when: str, connect: Connect, service: Emulator) -> None:
    """Its call is there before its output, and one answer follows."""
    if when == "hold":
        service.faults.add(on_command("session.update", Delay(0.3), count=BARRIER))
    client = ready(connect, service=service, session_config=TOOLS, reconnect=QUICK)
    told = probe(client, "reconnected")
    (call,) = client.ask("use the tool", timeout=HANG).function_calls
    if when == "hold":
        begin_hold(client)
    else:
        service.faults.add(at_handshake(Delay(0.3)))
        lost = probe(client, "reconnecting")
        service.drop()
        lost.next()
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "42"}
    created = client.create_conversation_item(output)
    answer = client.create_response()

    assert answer.result(2 * HANG).text == "the tool says 42"
    assert created.done()
    assert told.next().is_planned == (when == "hold")
    new = service.connections[-1]
    assert words(new) == ["use the tool", "lookup call_5", "42", "the tool says 42"]
    assert kinds(new, "response.create") == ["response.create"]


@pytest.mark.parametrize("reask", ["unheard", "never"])
def test_half_a_call(reask: str, connect: Connect) -> None:
    """A call with half its arguments is never run: it is asked for again, or is told to be lost."""

    def call(conversation: Any, session: Session) -> FunctionCall:
        return FunctionCall("lookup", ARGUMENTS, call_id="call_5")

    with Emulator(pace=0, responder=call) as service:
        service.faults.add(after("response.function_call_arguments.delta", Drop(), count=2))
        client = ready(connect, service=service, session_config=TOOLS, reconnect={**QUICK, "reask": reask})
        told = probe(client, "reconnected")
        calls = probe(client, "response.function_call_arguments.done")
        pending = client.create_response()
        if reask == "never":
            with pytest.raises(ResponseLostError):
                pending.result(HANG)
        else:
            (found,) = pending.result(HANG).function_calls
            assert json.loads(found.arguments) == ARGUMENTS
            assert calls.next().call_id == "call_5"
        event = told.next()
        assert list(event.responses.values()) == ["lost" if reask == "never" else "asked again"]
        assert not calls.told
        assert len(words(service.connections[-1])) == (0 if reask == "never" else 1)


# ---------------------------------------------------------------- 6: one of the two dies in the hold


def test_the_old_connection_dies_in_the_hold(connect: Connect, service: Emulator) -> None:
    """The prepared one takes its place, as after a loss; what was held goes there."""
    service.faults.add(on_command("session.update", Delay(0.3), Drop(), count=BARRIER))
    client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
    told = probe(client, "reconnecting", "reconnected")
    client.ask("one", timeout=HANG)
    swapped = begin_hold(client)
    created = client.create_conversation_item(message("meanwhile"))
    client.append_audio(SPOKEN)
    committed = client.commit_audio()
    event = told.next()

    assert event.type == "reconnected"
    assert not event.is_planned
    assert not event.lost
    assert created.result(HANG).item.text == "meanwhile"
    assert committed.result(HANG)
    assert swapped.result(HANG) is event
    new = service.connections[-1]
    assert len(service.connections) == 2
    assert sound(new) == SPOKEN
    assert words(new)[:3] == ["one", "answer to one", "meanwhile"]
    assert client.ask("two", timeout=HANG).text == "answer to two"
    assert not told.told


def test_the_prepared_connection_dies_in_the_hold(connect: Connect, service: Emulator) -> None:
    """What was held goes to the old one, and nobody is told."""
    service.faults.add(on_command("session.update", Delay(0.4), count=BARRIER))
    client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
    told = probe(client, "reconnecting", "reconnected", "closed")
    client.ask("one", timeout=HANG)
    swapped = begin_hold(client)
    created = client.create_conversation_item(message("meanwhile"))
    client.append_audio(SPOKEN)
    committed = client.commit_audio()
    old, new = service.connections
    service.inject(Drop(), new)

    assert created.result(HANG)
    assert committed.result(HANG)
    assert client.ask("two", timeout=HANG).text == "answer to two"
    assert old.is_open
    assert sound(old) == SPOKEN
    assert not told.told
    assert not swapped.done()


# ---------------------------------------------------------------- 7: a second loss while restoring


def test_a_second_loss_while_restoring(connect: Connect, service: Emulator) -> None:
    """One event for each attempt and one in the end; nothing is sent twice on one connection."""
    client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
    for text in ("one", "two"):
        client.ask(text, timeout=HANG)
    told = probe(client, "reconnecting", "reconnected")
    service.faults.add(
        before("conversation.item.added", Drop(), count=2)
        if client.options.resolved_dialect.name == "ga"
        else before("conversation.item.created", Drop(), count=2)
    )
    service.drop()
    lost = told.next()
    created = client.create_conversation_item(message("three"))
    client.append_audio(SPOKEN)
    committed = client.commit_audio()
    events = [lost, *told.until(lambda event: event.type == "reconnected")]

    assert [event.type for event in events] == ["reconnecting", "reconnecting", "reconnected"]
    assert [event.attempt for event in events[:-1]] == [1, 2]
    assert created.result(HANG)
    assert committed.result(HANG)
    assert client.ask("four", timeout=HANG).text == "answer to four"
    _, second, third = service.connections
    wanted = ["one", "answer to one", "two", "answer to two", "three"]
    assert words(third)[:5] == wanted
    assert sound(third) == SPOKEN
    assert sound(second) == b""
    for link in (second, third):
        ids = [c["item"]["id"] for c in link.received if c["type"] == "conversation.item.create"]
        assert len(ids) == len(set(ids))
    assert not told.told


# ---------------------------------------------------------------- 8: barge-in over an answer of the old one


@pytest.mark.parametrize("when", ["after", "meanwhile"])
def test_an_answer_of_the_old_connection_is_cut(when: str, connect: Connect, service: Emulator) -> None:
    """Its heard part replaces it, and nothing of it is cancelled on the new connection."""
    client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
    answer = client.ask("one two three four", timeout=HANG)
    item_id = answer.output[0].id
    told = probe(client, "reconnecting", "reconnected")
    service.drop()
    told.until(lambda event: event.type == ("reconnected" if when == "after" else "reconnecting"))
    event = client.truncate_item(item_id, 0, 300).result(HANG)
    client._engine.interruption.cancel(answer.id)
    assert client.ask("next", timeout=HANG).text == "answer to next"

    assert (event.item_id, event.audio_end_ms) == (item_id, 300)
    new = service.connections[-1]
    question, heard, *rest = words(new)
    assert (question, rest) == ("one two three four", ["next", "answer to next"])
    assert answer.text.startswith(heard)
    assert 0 < len(heard) < len(answer.text)
    assert client.conversation.get(item_id) is not None
    assert client.ask("last", timeout=HANG).text == "answer to last"


# ---------------------------------------------------------------- 9: the first or last event is lost


def test_created_is_lost(connect: Connect, service: Emulator) -> None:
    """The response is asked for again, under the same handle."""
    service.faults.add(before("response.created", Drop()))
    client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
    told = probe(client, "response.created", "response.done")

    assert client.ask("one", timeout=HANG).text == "answer to one"
    events = told.until(lambda event: event.type == "response.done")
    assert [event.type for event in events] == ["response.created", "response.done"]
    assert not told.told
    assert words(service.connections[-1]) == ["one", "answer to one"]


def test_done_is_lost(connect: Connect, service: Emulator) -> None:
    """With all of its items the response is whole; nobody asks again."""
    service.faults.add(before("response.done", Drop()))
    client = ready(connect, service=service, session_config=NO_VAD, reconnect=QUICK)
    told, reconnected = probe(client, "response.created", "response.done"), probe(client, "reconnected")
    response = client.ask("one", timeout=HANG)

    assert (response.status, response.text) == ("completed", "answer to one")
    assert list(reconnected.next().responses.values()) == ["completed"]
    events = told.until(lambda event: event.type == "response.done")
    assert [event.type for event in events] == ["response.created", "response.done"]
    assert not kinds(service.connections[-1], "response.create")
    assert client.ask("two", timeout=HANG).text == "answer to two"
    assert words(service.connections[-1]) == ["one", "answer to one", "two", "answer to two"]


# ---------------------------------------------------------------- 10: the end in any state


def arm(state: str, service: Emulator) -> None:
    """Put in force what a state needs that is counted from the beginning of a client's first connection."""
    if state == "holding":
        service.faults.add(on_command("session.update", Delay(1.0), count=BARRIER))
    elif state == "draining":
        service.faults.add(after("session.updated", Delay(1.0), count=BARRIER))


def enter(state: str, service: Emulator, client: AzureRealTimeAudio) -> None:
    """Bring a client that is ready to a state, for which its service was armed."""
    told = probe(client, "reconnecting")
    if state == "holding":
        begin_hold(client)
    elif state == "draining":
        client.reconnect()
        until(lambda: client._engine.attempts.current.number == 2)
    else:
        if state == "connecting":
            service.faults.add(at_handshake(Delay(1.0)))
        elif state == "restoring":
            service.faults.add(on_command("conversation.item.create", Delay(1.0), times=1))
        service.drop()
        told.next()
        if state == "restoring":
            service.wait_for_connection(HANG, count=2)


STATES = ("waiting", "connecting", "restoring", "holding", "draining")


@pytest.mark.parametrize("state", STATES)
def test_close(state: str, emulator: Emulator, dialect: str) -> None:
    """It is quick; each future ends once; nothing dials afterwards."""
    policy = {"initial_delay": 3600, "max_delay": 3600} if state == "waiting" else QUICK
    arm(state, emulator)
    client = AzureRealTimeAudio(emulator.options(dialect, session_config=NO_VAD), reconnect=policy)
    client.wait_until_ready(HANG)
    client.ask("one", timeout=HANG)
    closed = probe(client, "closed")
    enter(state, emulator, client)
    ends: list[Future[Any]] = []
    futures: list[Future[Any]] = [
        client.create_conversation_item(message("two")),
        client.clear_audio_buffer(),
        client.update_session({"instructions": "Be brief."}),
    ]
    for future in futures:
        future.add_done_callback(ends.append)
    handle = client.create_response()
    client.append_audio(SPOKEN)
    began = time.monotonic()

    assert client.close(2.0)
    assert time.monotonic() - began < 3.0
    assert len(ends) == 3
    for future in futures:
        assert isinstance(future.exception(0), RealtimeError | None)
    with pytest.raises(RealtimeError):
        handle.result(0.1)
    closed.next()
    assert not closed.told
    dials = len(emulator.attempts)
    with pytest.raises(RealtimeError):
        client.append_audio(SPOKEN)
    assert len(emulator.attempts) == dials


@pytest.mark.parametrize("state", STATES)
def test_ctrl_c(state: str, emulator: Emulator) -> None:
    """It interrupts who waits, and nothing else; the client can be closed, or go on."""
    arm(state, emulator)
    client = AzureRealTimeAudio(emulator.options("ga", session_config=NO_VAD), reconnect=QUICK)
    client.wait_until_ready(HANG)
    client.ask("one", timeout=HANG)
    enter(state, emulator, client)
    interrupter = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        client.wait_for("test.marker", timeout=HANG)
    interrupter.join()

    assert client.ask("two", timeout=2 * HANG).text
    assert client.close(2.0)


@pytest.mark.parametrize("state", STATES)
def test_a_client_that_nobody_holds(state: str, emulator: Emulator, dialect: str) -> None:
    """It is collected in any state, its threads end, and nothing dials afterwards."""
    arm(state, emulator)
    client = AzureRealTimeAudio(emulator.options(dialect, session_config=NO_VAD), reconnect=QUICK)
    client.wait_until_ready(HANG)
    client.ask("one", timeout=HANG)
    enter(state, emulator, client)
    engine = weakref.ref(client._engine)
    client.off_all()
    del client
    gc.collect()
    until(lambda: engine() is None)
    dials = len(emulator.attempts)
    assert dials <= 2


@pytest.mark.parametrize("state", STATES)
def test_a_forked_child_only_raises(state: str, emulator: Emulator) -> None:
    """The child can do nothing; the parent goes on."""
    arm(state, emulator)
    client = AzureRealTimeAudio(emulator.options("ga", session_config=NO_VAD), reconnect=QUICK)
    client.wait_until_ready(HANG)
    client.ask("one", timeout=HANG)
    enter(state, emulator, client)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            try:
                client.append_audio(SPOKEN)
            except RuntimeError:
                code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert client.ask("two", timeout=2 * HANG).text
    assert client.close()
