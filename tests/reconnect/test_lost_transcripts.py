"""Transcripts that had not come when their session ended: that is told, and no part passes for a whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from listeners import HANG, NO_VAD, TONE, Connect, Probe, message, ready
from outages import DISTANT, come_back, lose

from azure_rt_audio import AzureRealTimeAudio, TranscriptionFailedError
from azure_rt_audio.emulator import Connection, Emulator, Session

TRANSCRIBED = {**NO_VAD, "input_audio_transcription": {"model": "gpt-4o-transcribe"}}
COMPLETED = "conversation.item.input_audio_transcription.completed"
DELTA = "conversation.item.input_audio_transcription.delta"
FAILED = "conversation.item.input_audio_transcription.failed"
WITHOUT = "without its transcript, which had not come"
CUT = "without the end of its transcript"

pytestmark = pytest.mark.parametrize("dialect", ["ga"])  # transcripts are the same in both


@pytest.fixture
def service() -> Iterator[Emulator]:
    """A service that has transcribed the first turn, and is at work on the rest for ever."""
    turns: list[Future[str]] = []

    def recogniser(pcm: bytes, session: Session) -> str | Future[str]:
        turns.append(Future())
        return "the first turn" if len(turns) == 1 else turns[-1]

    with Emulator(pace=0, recogniser=recogniser) as service:
        yield service


def speak(client: AzureRealTimeAudio) -> str:
    """Say something; return the id of its item, once that has its place."""
    with client.events("conversation.item.done", timeout=HANG) as items:
        client.append_audio(TONE)
        client.commit_audio()
        item_id: str = next(items).item.id
        return item_id


def speak_twice(client: AzureRealTimeAudio, service: Emulator, begun: str = "") -> tuple[str, str]:
    """Say something that is transcribed, and something of which only so much is; return the ids."""
    with client.events(COMPLETED, DELTA, timeout=HANG) as events:
        first = speak(client)
        while next(events).type != COMPLETED:
            pass
        second = speak(client)
        if begun:
            said = {"item_id": second, "content_index": 0, "delta": begun}
            service.say({"type": DELTA, "event_id": "d", **said})
            assert next(events).delta == begun
    return first, second


def given(connection: Connection) -> dict[str, tuple[str, bool]]:
    """Return the words that a session has of each item, and whether it has the sound."""
    items = connection._engine.conversation
    return {item.id: (item.parts[0].text, bool(item.parts[0].audio)) for item in items}


@pytest.mark.parametrize("begun", ["", "please do not"])
@pytest.mark.parametrize("keep_turns_s", [120, 0])
def test_after_a_loss(begun: str, keep_turns_s: int, connect: Connect, service: Emulator) -> None:
    """Listeners are told that it has failed, and the reconnection names it; the model has the sound."""
    policy = {**DISTANT, "keep_turns_s": keep_turns_s}
    client = ready(connect, service=service, session_config=TRANSCRIBED, reconnect=policy)
    errors, failed = Probe(), Probe()
    client.on("error", errors)
    client.on(FAILED, failed)
    first, second = speak_twice(client, service, begun)
    lose(client, service)
    event = failed.next()
    error = errors.next()
    entry = client.conversation.get(second)

    assert (event.item_id, event.error.code) == (second, "connection_lost")
    assert type(error) is TranscriptionFailedError
    assert (error.item_id, error.code, error.event) == (second, "connection_lost", event)
    assert (entry.text, entry.is_being_heard, entry.is_fragment) == (begun, False, bool(begun))
    back = come_back(client)
    assert (back.restored, back.lost) == ((first, second), {})
    assert back.shortened == {second: WITHOUT}
    assert given(service.connections[-1]) == {first: ("the first turn", False), second: ("", True)}
    lose(client, service)
    assert not come_back(client).shortened
    assert errors.told == failed.told == []


def test_without_the_sound(connect: Connect, service: Emulator) -> None:
    """A session that can only be given the words sees that they break off."""
    policy = {**DISTANT, "keep_turns_s": 0}
    client = ready(connect, service=service, session_config=TRANSCRIBED, reconnect=policy)
    _, second = speak_twice(client, service, "please do not")
    speak(client)  # of two turns only the last is kept
    lose(client, service)
    event = come_back(client)

    assert event.shortened[second] == CUT
    assert given(service.connections[-1])[second] == ("please do not […]", False)


def test_a_planned_swap(connect: Connect, service: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that is replaced takes a transcript with it that was waited for in vain."""
    monkeypatch.setattr("azure_rt_audio._session.input_sound._TRANSCRIPT_TIMEOUT", 0.1)
    client = ready(connect, service=service, session_config=TRANSCRIBED)
    failed = Probe()
    client.on(FAILED, failed)
    _, second = speak_twice(client, service)
    event = client.reconnect().result(2 * HANG)

    assert event.is_planned
    assert event.shortened == {second: WITHOUT}
    assert failed.next().item_id == second
    assert not failed.told


def test_sound_that_only_the_old_session_has(connect: Connect, service: Emulator) -> None:
    """It is asked for the sound of a turn whose transcription has failed midway, and is not kept."""
    policy = {**DISTANT, "keep_turns_s": 0}
    client = ready(connect, service=service, session_config=TRANSCRIBED, reconnect=policy)
    _, second = speak_twice(client, service, "please do not")
    said = {"item_id": second, "content_index": 0, "error": {"code": "broken"}}
    with client.events(FAILED, timeout=HANG) as events:
        service.say({"type": FAILED, "event_id": "f", **said})
        next(events)
    client.create_conversation_item(message("and now")).result(HANG)
    client._engine.journal.sound.note_transcript(second, is_known=True)  # its sound is not kept any more
    event = client.reconnect().result(2 * HANG)

    assert event.shortened == {}
    assert given(service.connections[-1])[second] == ("", True)


def test_each_is_logged(connect: Connect, service: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody listens; one that was deleted is not missed."""
    client = ready(connect, service=service, session_config=TRANSCRIBED, reconnect=DISTANT)
    speak_twice(client, service)
    deleted = speak(client)
    client.delete_item(deleted).result(HANG)
    with caplog.at_level(logging.WARNING):
        lose(client, service)
        come_back(client)
        speak(client)
        lose(client, service)

    untold = [text for text in caplog.messages if "the user was not transcribed" in text]
    assert len(untold) == 2
    assert all("the connection ended before the transcript had come" in text for text in untold)


@pytest.mark.parametrize("is_over", [False, True])
@pytest.mark.parametrize("sound", [False, True])
def test_the_history_of_another_client(
    is_over: bool, sound: bool, connect: Connect, service: Emulator
) -> None:
    """A part of a transcript is kept as what it is, whether the rest may still come or not."""
    client = ready(connect, service=service, session_config=TRANSCRIBED)
    first, second = speak_twice(client, service, "please do not")
    if is_over:
        client.close()
        assert not client.conversation.get(second).is_being_heard
    kept = client.conversation.to_json(sound=sound)
    other = ready(connect, service=service, history=kept)

    wanted = ("", True) if sound else ("please do not […]", False)
    assert given(service.connections[-1]) == {first: ("the first turn", False), second: wanted}
    assert other.conversation.shortened == ({} if sound else {second: CUT})
    assert other.conversation.get(second).text == "please do not"
    assert other.conversation.get(second).is_fragment
    assert other.conversation.to_json(sound=sound) == kept
