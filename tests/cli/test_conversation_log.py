"""What the screen of a spoken conversation shows, from the events that make it up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from listeners import HANG, Connect

from azure_rt_audio._cli.talk.conversation_log import EVENTS, ConversationLog
from azure_rt_audio.devices import DeviceLost, DeviceOpened
from azure_rt_audio.dispatch import QueueDispatcher
from azure_rt_audio.emulator import Drop, Emulator, Faults, after
from azure_rt_audio.protocol.codec import decode_event
from azure_rt_audio.protocol.events.local import Reconnecting, SendLag
from azure_rt_audio.protocol.service_errors import transcription_error
from azure_rt_audio.voice import Cut, FirstSound, Interrupted, Levels, SelfInterruption


def heard(type: str, **fields: Any) -> object:
    """An event as it comes from the service."""
    return decode_event(json.dumps({"type": type, "event_id": "e", **fields}).encode())


def words(dialogue: ConversationLog, item_id: str, delta: str) -> None:
    place = {"response_id": "r", "output_index": 0, "content_index": 0}
    dialogue.update(heard("response.audio_transcript.delta", item_id=item_id, delta=delta, **place))


def shown(dialogue: ConversationLog) -> list[tuple[str, str, str]]:
    return [(line.role, line.text, line.remark) for line in dialogue.lines]


def test_a_conversation_with_a_service(connect: Connect) -> None:
    """Both sides stand in the order in which they spoke, in both dialects, and nothing is left open."""
    queue, dialogue = QueueDispatcher(), ConversationLog()
    client = connect(dispatcher=queue)
    for event in EVENTS:
        client.on(event, dialogue.update)
    assert dialogue.status == "connecting"
    for question in ("Hello!", "Please count to 3."):
        client.ask(question, timeout=HANG)
    client.close()
    while dialogue.end is None:
        assert queue.run_pending(HANG)

    assert shown(dialogue) == [
        ("you", "Hello!", ""),
        ("model", "Hello! I am the emulator. How can I help you today?", ""),
        ("you", "Please count to 3.", ""),
        ("model", "1, 2, 3.", ""),
    ]
    assert [line.is_open for line in dialogue.lines] == [False] * 4
    assert (dialogue.has_begun, dialogue.status) == (True, "over")


def test_how_far_the_line_is_behind() -> None:
    """Until it has caught up, or there is another connection; what was dropped is told."""
    dialogue = ConversationLog()
    seen = []
    for lag_s, dropped_s, is_behind in (
        (2.1, 0.0, True),
        (3.0, 1.5, True),
        (0.2, 0.0, False),
        (2.5, 0.0, True),
    ):
        dialogue.update(SendLag(lag_s=lag_s, unsent_bytes=1, dropped_s=dropped_s, is_behind=is_behind))
        seen.append(dialogue.lag_s)
    dialogue.update(Reconnecting(attempt=1, delay_s=0.0, reason="it broke"))

    assert [*seen, dialogue.lag_s] == [2.1, 3.0, 0.0, 2.5, 0.0]
    assert shown(dialogue)[0] == ("error", "The line is too slow: 1.5 s of what you said were dropped.", "")


def test_a_service_that_names_no_items() -> None:
    """Each turn of each side is a line of its own."""
    dialogue = ConversationLog()
    for question, answer in (("Hello?", "Good day."), ("And you?", "Fine.")):
        dialogue.update(heard("input_audio_buffer.speech_started"))
        words(dialogue, "", answer[:3])
        dialogue.update(heard("conversation.item.input_audio_transcription.completed", transcript=question))
        words(dialogue, "", answer[3:])
        dialogue.update(heard("response.done", response={}))

    assert shown(dialogue) == [
        ("you", "Hello?", ""),
        ("model", "Good day.", ""),
        ("you", "And you?", ""),
        ("model", "Fine.", ""),
    ]
    assert [line.is_open for line in dialogue.lines] == [False] * 4


def test_what_is_said_is_written_down_late() -> None:
    """A question has its place from the first sound on, though its words come after the answer's."""
    dialogue = ConversationLog()
    dialogue.update(heard("input_audio_buffer.speech_started", item_id="q", audio_start_ms=0))
    words(dialogue, "a", "Good ")
    words(dialogue, "a", "morning.")
    completed = "conversation.item.input_audio_transcription.completed"
    dialogue.update(heard(completed, item_id="q", content_index=0, transcript=" Hello. "))

    assert shown(dialogue) == [("you", "Hello.", ""), ("model", "Good morning.", "")]
    assert [line.is_open for line in dialogue.lines] == [False, True]


def test_an_interrupted_answer_ends_where_it_was_heard() -> None:
    """The words that nobody heard are gone, those that come late too, and it says why."""
    dialogue = ConversationLog()
    words(dialogue, "a", "one two three four five six seven eight nine ten")
    dialogue.update(Interrupted(cuts=(Cut("a", 1_000, 4_000),), by_user=True))
    words(dialogue, "a", " eleven")

    assert shown(dialogue) == [("model", "one two …", "interrupted")]


def test_an_answer_that_was_not_heard_at_all_is_not_shown() -> None:
    """What the service deletes because nobody heard it leaves the screen as well."""
    dialogue = ConversationLog()
    words(dialogue, "a", "one two")
    dialogue.update(heard("conversation.item.deleted", item_id="a"))

    assert shown(dialogue) == []


def test_speech_without_words_is_said_to_be_so() -> None:
    """An empty transcript, and one that failed, are a remark and not an empty line."""
    dialogue = ConversationLog()
    transcription = "conversation.item.input_audio_transcription"
    dialogue.update(heard(f"{transcription}.completed", item_id="a", content_index=0, transcript=" "))
    error = {"type": "transcription_error", "code": None, "message": "no such deployment", "param": None}
    dialogue.update(heard(f"{transcription}.failed", item_id="b", content_index=0, error=error))

    assert shown(dialogue) == [
        ("you", "", "no words"),
        ("you", "", "not transcribed: no such deployment"),
    ]


def test_speech_whose_transcript_is_lost() -> None:
    """The words that had come stay; the line of the turn says so, and no further line does."""
    dialogue = ConversationLog()
    transcription = "conversation.item.input_audio_transcription"
    error = {"code": "connection_lost", "message": "the connection ended"}
    dialogue.update(heard(f"{transcription}.delta", item_id="a", content_index=0, delta="please do not"))
    for item_id in "ab":
        event = heard(f"{transcription}.failed", item_id=item_id, content_index=0, error=error)
        dialogue.update(event)
        dialogue.update(transcription_error(event, None))

    assert shown(dialogue) == [
        ("you", "please do not", "the rest was not transcribed: the connection was lost"),
        ("you", "", "not transcribed: the connection was lost"),
    ]
    assert not any(line.is_open for line in dialogue.lines)


def test_figures_of_the_voice_session() -> None:
    """Levels and latencies are kept; an answer to something written has no latency."""
    dialogue = ConversationLog()
    dialogue.update(Levels(microphone_db=-20.0, speaker_db=-30.0))
    dialogue.update(FirstSound(response_id="r", latency_ms=420.0))
    dialogue.update(FirstSound(response_id="r", latency_ms=None))

    assert (dialogue.microphone_db, dialogue.speaker_db) == (-20.0, -30.0)
    assert dialogue.latencies_ms == [420.0]


def test_devices_come_and_go() -> None:
    """The first device is no news; one that is lost is an error with a remedy; the next one is named."""
    dialogue = ConversationLog()
    dialogue.update(DeviceOpened("input", "Headset", 48_000, 20))
    dialogue.update(DeviceOpened("output", "Headset", 48_000, 20))
    dialogue.update(DeviceLost("input", "Headset", "it disappeared"))
    dialogue.update(DeviceOpened("input", "Built-in", 48_000, 20))
    dialogue.update(SelfInterruption(interruptions=3, advice="use headphones"))

    lost, found, hint = dialogue.lines
    assert lost.role == "error"
    assert "microphone Headset is lost (it disappeared)" in lost.text
    assert "reconnect it" in lost.text
    assert (found.role, found.text) == ("note", "The microphone is now Built-in.")
    assert "use headphones" in hint.text
    assert (dialogue.microphone_name, dialogue.speaker_name) == ("Built-in", "Headset")


@pytest.mark.parametrize("dialect", ["ga"])
def test_a_lost_connection_is_an_error_once(connect: Connect, dialect: str) -> None:
    """It is told with its reason, and what is harmless is not told."""
    queue, dialogue = QueueDispatcher(), ConversationLog()
    with Emulator(pace=0, faults=Faults(after("response.created", Drop()))) as service:
        client = connect(service=service, dispatcher=queue, reconnect=None)
        for event in EVENTS:
            client.on(event, dialogue.update)
        client.on("error", dialogue.update)
        client.wait_until_ready(HANG)
        client.cancel_response()
        client.create_response()
        while dialogue.end is None:
            assert queue.run_pending(HANG)

    assert [line.role for line in dialogue.lines] == ["error"]
    assert dialogue.lines[0].text == dialogue.end.message
