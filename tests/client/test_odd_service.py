"""A service that does not say all that it should, or not as it should, as the client's user sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from listeners import HANG, MARKER, Connect, Probe, message, ready

from azure_rt_audio import AzureRealTimeAudio, DecodeError, PendingResponse, ServiceError, WebSocketState
from azure_rt_audio.emulator import Emulator, Faults, Swallow, before

PLACE = {"response_id": "r", "item_id": "m", "output_index": 0, "content_index": 0}
SOUND = {"type": "response.output_audio.delta", **PLACE}
WORDS = {"type": "response.output_text.delta", **PLACE}


def created(**fields: Any) -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": "r", "status": "in_progress", **fields}}


def done(**fields: Any) -> dict[str, Any]:
    return {"type": "response.done", "response": {"id": "r", "status": "completed", **fields}}


@pytest.fixture
def silent() -> Any:
    """An emulator that answers no question, so that a test can."""
    names = ("response.created", "response.done", "response.output_item.added", "response.output_item.done")
    names += ("response.content_part.added", "response.content_part.done", "conversation.item.added")
    names += ("response.output_text.delta", "response.output_text.done", "conversation.item.done")
    rules = [before(name, Swallow(), times=100) for name in names]
    with Emulator(pace=0, faults=Faults(*rules)) as service:
        yield service


@pytest.fixture
def asking(connect: Connect, silent: Emulator) -> tuple[AzureRealTimeAudio, PendingResponse]:
    """A client with a question that is still open."""
    client = ready(connect, service=silent, session_config={"modalities": ["text"], "turn_detection": None})
    return client, client.create_response()


# ------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"error": {"type": "server_error", "message": "Out of order.", "code": "x"}}, "x", "Out of order."),
        ({"error": "Out of order."}, None, "Out of order."),
        ({"message": "Out of order.", "code": "x"}, "x", "Out of order."),
        ({"error": {"code": 500, "message": "Out of order."}}, "500", "Out of order."),
        ({"error": {"code": "x", "detail": "Out of order."}}, "x", "Out of order."),
        ({"error": None, "message": "Out of order."}, None, "Out of order."),
        ({"error": {"message": ["Out of order."]}}, None, "Out of order."),
        ({}, None, "it gave no reason"),
    ],
)
@pytest.mark.parametrize("event_id", [{}, {"event_id": "e"}, {"event_id": 7}])
def test_an_error_keeps_its_words(
    client: AzureRealTimeAudio,
    emulator: Emulator,
    fields: dict[str, Any],
    code: Any,
    words: str,
    event_id: Any,
) -> None:
    """In whatever shape it comes, with an id or without."""
    errors = Probe()
    client.on("error", errors)

    emulator.say({"type": "error", **event_id, **fields})

    error = errors.next()
    assert (type(error), error.code) == (ServiceError, code)
    assert words in str(error)


def test_an_error_without_words_shows_no_secret(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """What stands in their place is the rest of it, as far as that may be shown."""
    errors = Probe()
    client.on("error", errors)

    emulator.say({"type": "error", "error": {"code": "x", "headers": {"authorization": "Bearer sesame"}}})

    assert "sesame" not in f"{errors.next()} {errors!r}"


@pytest.mark.parametrize("id_", ["known", "unknown"])
def test_a_refusal_that_names_its_item_in_words_only(client: AzureRealTimeAudio, id_: str) -> None:
    """The caller is told at once, by the id that the text quotes; another caller is not."""
    item = {**message("Hello"), "id": "known"}
    client.create_conversation_item(item).result(HANG)

    twice = client.create_conversation_item(item)
    other = client.create_conversation_item({**item, "id": "other"})

    with pytest.raises(ServiceError) as caught:
        twice.result(HANG)
    assert caught.value.code == "item_create_duplicate_item_id"
    assert other.result(HANG).item.id == "other"


# ------------------------------------------------------------ answers


@pytest.mark.parametrize("end", [{}, {"output": None}, {"output": []}, {"output": 7, "usage": "none"}])
def test_what_streamed_is_the_answer(
    asking: tuple[AzureRealTimeAudio, PendingResponse], silent: Emulator, end: dict[str, Any]
) -> None:
    """For whoever waits and whoever listens, and in the conversation."""
    client, pending = asking
    heard = Probe()
    client.on("response.done", heard)
    call = {"type": "function_call", "id": "f", "name": "add", "call_id": "c", "arguments": "{}"}

    for event in (
        created(),
        {**WORDS, "delta": "Good "},
        {**WORDS, "delta": "day", "item_id": None, "content_index": None},
        {"type": "response.output_item.done", "response_id": "r", "output_index": 1, "item": call},
        done(**end),
    ):
        silent.say(event)
    response = pending.result(HANG)

    assert response.text == heard.next().response.text == "Good day"
    assert [(one.name, one.call_id, one.arguments) for one in response.function_calls] == [("add", "c", "{}")]
    assert [entry.words for entry in client.conversation.entries] == ["Good day", "add({})"]


def test_half_a_character(asking: tuple[AzureRealTimeAudio, PendingResponse], silent: Emulator) -> None:
    """Its other half comes with the next piece; one that never comes is a problem of the event."""
    client, pending = asking
    whole = Probe()
    client.on("response.output_text.done", whole)

    silent.say(created())
    for half in ("Hi \\ud83d", "\\ude00!", " \\ude00"):
        silent.send_raw(json.dumps({**WORDS, "delta": "#"}).replace("#", half.replace("\\\\", "\\")))
    silent.send_raw(
        json.dumps({"type": "response.output_text.done", **PLACE, "text": "#"}).replace("#", "\\ud83d")
    )
    silent.say(done())

    assert pending.result(HANG).text == "\ufffd"
    assert "".join(pending.text(HANG)) == "Hi \U0001f600! \ufffd"
    assert whole.next().problems == ("$.text",)


# ------------------------------------------------------------ sound


def test_sound_that_is_none(asking: tuple[AzureRealTimeAudio, PendingResponse], silent: Emulator) -> None:
    """It is an error with its path, once; the rest is heard, whoever asks for it."""
    client, pending = asking
    errors = Probe()
    client.on(DecodeError, errors)

    for delta in ("AAAB", "****", "AAA", "__8", None):
        silent.say({**SOUND, "delta": delta} if delta != "AAAB" else created())
        if delta == "AAAB":
            silent.say({**SOUND, "delta": delta})
    silent.say(done())
    sound = b"".join(pending.audio(HANG))

    assert sound == pending.result(HANG).audio == b"\0\0\1" + b"\0\0" + b"\xff\xff"
    assert pending._repr_html_()
    error = errors.next()
    assert (error.path, error.event_type, error.payload) == ("$.delta", "response.output_audio.delta", "****")
    silent.say(MARKER)
    assert errors.told == []
    assert client.state is WebSocketState.OPEN


def test_sound_of_a_translation_that_is_none(client: AzureRealTimeAudio, emulator: Emulator) -> None:
    """The same for its kind of delta."""
    errors, deltas = Probe(), Probe()
    client.on(DecodeError, errors)
    client.on("session.output_audio.delta", deltas)

    emulator.say({"type": "session.output_audio.delta", "delta": "!"})

    assert deltas.next().audio == b""
    assert errors.next().path == "$.delta"


# ------------------------------------------------------------ problems


def test_a_problem_is_logged_once(
    client: AzureRealTimeAudio, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """For each kind of event and place in it; every event lists its own."""
    heard = Probe()
    client.on("response.done", heard)
    for number in range(3):
        usage = {"total_tokens": 3.0, "input_tokens": number}
        emulator.say({"type": "response.done", "response": {"id": f"r{number}", "usage": usage}})

    events = [heard.next() for _ in range(3)]
    assert [event.problems for event in events] == [("$.response.usage.total_tokens",)] * 3
    assert [event.response.usage.total_tokens for event in events] == [3] * 3
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "! response.done at $.response.usage.total_tokens: expected a whole number, got float 3.0; "
        "read as far as it fits, and not mentioned again"
    ]
