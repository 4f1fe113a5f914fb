"""The emulator's mind, without sockets: turns, items and answers in both dialects."""

from __future__ import annotations

import base64
import json
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from emulator_session import DIALECTS, Bench, joined, kinds, only, problems, sound

from azure_rt_audio.emulator import Failure, FunctionCall, Reply, speak
from azure_rt_audio.emulator.model.conversation import Conversation
from azure_rt_audio.emulator.model.pcm import to_wire
from azure_rt_audio.emulator.model.session import Session

both = pytest.mark.parametrize("dialect", DIALECTS)
LONG = "One two three four five six seven eight nine ten eleven twelve. " * 4
MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
QUIET = bytes(48 * 700)


def saying(text: str | FunctionCall) -> Any:
    """A reply function that always says the same."""
    return lambda conversation, session: text


@both
def test_the_catalogue_is_strict(dialect: str) -> None:
    """The bench's checker notices what is missing, unknown, of the wrong type, and none of the choices."""
    bench = Bench(dialect)
    event = bench.tell("conversation.item.create", item=MESSAGE)[0]
    item = event["item"]
    check = partial(problems, dialect)

    assert check(event) == []
    assert check({**event, "item": {**item, "colour": 1}}) == [f"{event['type']}.item.colour is unknown"]
    assert check({name: held for name, held in event.items() if name != "item"}) == [
        f"{event['type']}.item is missing"
    ]
    assert len(check({**event, "event_id": 5})) == 1
    assert len(check({**event, "item": {**item, "status": "asleep"}})) == 1
    assert len(check({**event, "type": "party.started"})) == 1


@both
def test_greeting(dialect: str) -> None:
    """The session introduces itself; only preview names the conversation too."""
    bench = Bench(dialect)
    expected = ["session.created"] if dialect == "ga" else ["session.created", "conversation.created"]

    assert kinds(bench.greeting) == expected
    session = bench.greeting[0]["session"]
    assert session["model"] == "gpt-4o-realtime-preview"
    assert session["expires_at"] == 1_700_003_600


@both
def test_text_turn(dialect: str) -> None:
    """A text turn has the documented order, and its ids agree with each other."""
    bench = Bench(dialect, responder=saying("Hello over there."))
    bench.configure(modalities=["text"])
    asked = bench.user("hello")
    events = bench.tell("response.create")
    ended = ["conversation.item.done"] if dialect == "ga" else []

    assert kinds(events) == [
        "response.created",
        "response.output_item.added",
        bench.wire("conversation.item.created"),
        "response.content_part.added",
        bench.wire("response.text.delta"),
        bench.wire("response.text.done"),
        "response.content_part.done",
        *ended,
        "response.output_item.done",
        *bench.tail(),
    ]
    created, done = events[0]["response"], only(events, "response.done")["response"]
    item = only(events, "response.output_item.done")["item"]
    assert joined(events, "response.text.delta") == "Hello over there."
    assert {e["response_id"] for e in events if "response_id" in e} == {created["id"]} == {done["id"]}
    assert {e["item_id"] for e in events if "item_id" in e} == {item["id"]}
    assert done["output"] == [item]
    assert only(events, "conversation.item.created")["previous_item_id"] == asked["id"]
    assert len({e["event_id"] for e in bench.heard}) == len(bench.heard)


@both
def test_audio_turn(dialect: str) -> None:
    """Sound and transcript come in deltas, mixed, and last about as long as speech."""
    bench = Bench(dialect, responder=saying(LONG))
    bench.user("go")
    events = bench.tell("response.create")
    streams = [e["type"] for e in events if e["type"].endswith(".delta")]
    switches = sum(a != b for a, b in pairwise(streams))

    assert joined(events, "response.audio_transcript.delta") == LONG
    assert switches > 10
    assert 30 < len(sound(events)) / 48 / len(LONG) < 90
    tail = [bench.wire(f"response.{kind}.done") for kind in ("audio", "audio_transcript")]
    assert [e["type"] for e in events if e["type"] in tail] == tail
    assert only(events, "response.content_part.done")["part"] == {"type": "audio", "transcript": LONG}
    usage = only(events, "response.done")["response"]["usage"]
    assert usage["output_token_details"]["audio_tokens"] > 0


@both
def test_voice_turn(dialect: str) -> None:
    """Speech starts and stops at its true place, becomes an item, and is answered."""
    bench = Bench(dialect, responder=saying("I heard you."))
    speech = speak("is anybody there")
    bench.append(bytes(48 * 1000) + speech + QUIET)
    events = bench.drain()

    assert kinds(events)[:4] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        bench.wire("conversation.item.created"),
    ]
    started, stopped = events[0], events[1]
    speech_end_ms = 1000 + len(speech) // 48
    assert 700 <= started["audio_start_ms"] <= 760
    assert speech_end_ms - 100 <= stopped["audio_end_ms"] - 200 <= speech_end_ms + 40
    assert started["item_id"] == stopped["item_id"] == events[2]["item_id"] == events[3]["item"]["id"]
    assert events[3]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert only(events, "response.done")["response"]["status"] == "completed"


@both
def test_push_to_talk(dialect: str) -> None:
    """Without turn detection a commit makes an item, and only response.create an answer."""
    bench = Bench(dialect)
    bench.configure(turn_detection=None)
    bench.append(speak("hello hello"))
    assert bench.drain() == []

    events = bench.tell("input_audio_buffer.commit")

    assert kinds(events) == ["input_audio_buffer.committed", *bench.item_events()]
    assert "response.done" in kinds(bench.tell("response.create"))


@both
@pytest.mark.parametrize("milliseconds", [0, 90])
def test_commit_of_too_little(dialect: str, milliseconds: int) -> None:
    """A commit under 100 ms is refused in the service's words."""
    bench = Bench(dialect)
    bench.configure(turn_detection=None)
    bench.append(bytes(48 * milliseconds))
    error = bench.error("input_audio_buffer.commit", event_id="mine")

    assert error["code"] == "input_audio_buffer_commit_empty"
    assert f"buffer only has {milliseconds}.00ms of audio" in error["message"]
    assert error["event_id"] == "mine"


@both
def test_clear(dialect: str) -> None:
    """A cleared buffer is acknowledged and empty."""
    bench = Bench(dialect)
    bench.configure(turn_detection=None)
    bench.append(speak("never mind"))

    assert kinds(bench.tell("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert bench.error("input_audio_buffer.commit")["code"] == "input_audio_buffer_commit_empty"


@both
def test_no_answer_by_itself(dialect: str) -> None:
    """create_response false keeps the detector and its commits, and nothing else."""
    bench = Bench(dialect)
    bench.configure(turn_detection={"type": "server_vad", "create_response": False})
    bench.append(QUIET + speak("hello there") + QUIET)
    events = bench.drain()

    assert "input_audio_buffer.committed" in kinds(events)
    assert "response.created" not in kinds(events)


@both
def test_function_call(dialect: str) -> None:
    """A function call streams its arguments, and its output is accepted under its call id."""
    call = FunctionCall("look_up", {"word": "harbour", "limit": 3}, call_id="call_1")
    bench = Bench(dialect, responder=lambda conversation, session: call)
    bench.user("look up harbour")
    events = bench.tell("response.create")
    item = only(events, "response.output_item.done")["item"]
    ended = ["conversation.item.done"] if dialect == "ga" else []

    assert kinds(events) == [
        "response.created",
        "response.output_item.added",
        bench.wire("conversation.item.created"),
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        *ended,
        "response.output_item.done",
        *bench.tail(),
    ]
    assert json.loads(joined(events, "response.function_call_arguments.delta")) == call.arguments
    assert (item["name"], item["call_id"], json.loads(item["arguments"])) == (
        "look_up",
        "call_1",
        call.arguments,
    )
    output = {"type": "function_call_output", "call_id": "call_1", "output": "a port"}
    assert kinds(bench.tell("conversation.item.create", item=output)) == bench.item_events()


@both
def test_text_and_several_calls(dialect: str) -> None:
    """Speech and several calls share one response, each at its own output index."""
    calls = tuple(FunctionCall("look_up", {"word": word}) for word in ("port", "quay"))
    bench = Bench(dialect, responder=lambda conversation, session: Reply("Let me see.", calls))
    bench.user("look up port and quay")
    events = bench.tell("response.create")
    indexes = [e["output_index"] for e in events if e["type"] == "response.output_item.done"]
    output = only(events, "response.done")["response"]["output"]

    assert indexes == [0, 1, 2]
    assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
    assert len({item["call_id"] for item in output[1:]}) == 2


@both
def test_cancel_in_the_middle(dialect: str) -> None:
    """A cancelled answer closes what is open, is incomplete, and says who cancelled."""
    bench = Bench(dialect, responder=saying(LONG), pace=1.0)
    bench.user("go")
    bench.send("response.create")
    for _ in range(5):
        bench.until("response.audio.delta")
    before = sound(bench.heard)
    events = bench.tell("response.cancel")
    ended = ["conversation.item.done"] if dialect == "ga" else []

    assert kinds(events) == [
        bench.wire("response.audio.done"),
        bench.wire("response.audio_transcript.done"),
        "response.content_part.done",
        *ended,
        "response.output_item.done",
        *bench.tail(),
    ]
    response = only(events, "response.done")["response"]
    assert (response["status"], response["status_details"]) == (
        "cancelled",
        {"type": "cancelled", "reason": "client_cancelled"},
    )
    assert response["output"][0]["status"] == "incomplete"
    assert LONG.startswith(only(events, "response.audio_transcript.done")["transcript"])
    bench.now += 60
    assert bench.drain() == []
    assert sound(bench.heard) == before


@both
def test_cancel_before_anything(dialect: str) -> None:
    """A response cancelled before its first event is still created and done."""
    bench = Bench(dialect)
    bench.user("go")
    bench.send("response.create")
    bench.send("response.cancel")
    events = bench.drain()

    assert kinds(events) == ["response.created", *bench.tail()]
    assert events[1]["response"]["output"] == []


@both
def test_nothing_to_cancel(dialect: str) -> None:
    """A cancel with nothing to cancel is an error that harms nothing."""
    bench = Bench(dialect)

    assert bench.error("response.cancel")["code"] == "response_cancel_not_active"
    assert bench.error("response.cancel", response_id="resp_x")["code"] == "response_cancel_not_active"


@both
def test_interruption(dialect: str) -> None:
    """Speech during an answer cancels it with the reason turn_detected."""
    bench = Bench(dialect, responder=saying(LONG), pace=1.0)
    bench.user("go")
    bench.send("response.create")
    bench.until("response.audio.delta")
    bench.append(speak("stop"))
    events = bench.drain()

    assert kinds(events)[0] == "input_audio_buffer.speech_started"
    response = only(events, "response.done")["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}


@both
def test_no_interruption_if_unwanted(dialect: str) -> None:
    """interrupt_response false lets the answer go on, and refuses a second one meanwhile."""
    bench = Bench(dialect, responder=saying(LONG), pace=1.0)
    bench.configure(turn_detection={"type": "server_vad", "interrupt_response": False})
    bench.user("go")
    bench.send("response.create")
    bench.until("response.audio.delta")
    bench.append(speak("stop") + QUIET)
    events = bench.drain()

    assert "response.done" not in kinds(events)
    assert only(events, "error")["error"]["code"] == "conversation_already_has_active_response"


@both
def test_second_response(dialect: str) -> None:
    """A second response.create is refused while one is active, and nothing else follows from it."""
    bench = Bench(dialect, responder=saying(LONG), pace=1.0)
    bench.user("go")
    bench.send("response.create")
    created = bench.until("response.created")["response"]
    bench.send("response.create", event_id="second")
    error = bench.until("error")["error"]

    assert error["code"] == "conversation_already_has_active_response"
    assert created["id"] in error["message"]
    assert error["event_id"] == "second"
    bench.until("response.done")
    assert "response.created" not in kinds(bench.drain(5))


@both
def test_out_of_band(dialect: str) -> None:
    """An out-of-band response runs beside the active one and leaves no trace in the conversation."""
    seen: list[list[str]] = []

    def reply(conversation: Conversation, session: Session) -> str:
        seen.append([item.text for item in conversation])
        return LONG

    bench = Bench(dialect, responder=reply, pace=1.0)
    first = bench.user("the first thing")
    bench.send("response.create")
    bench.until("response.audio.delta")
    modalities = "output_modalities" if dialect == "ga" else "modalities"
    context = [
        {"type": "item_reference", "id": first["id"]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "in addition"}]},
    ]
    asked = {"conversation": "none", "metadata": {"purpose": "aside"}, "input": context, modalities: ["text"]}
    bench.send("response.create", response=asked)
    aside = bench.until("response.created")["response"]
    done = bench.until("response.done")["response"]

    assert done["id"] == aside["id"]
    assert aside["conversation_id"] is None
    assert aside["metadata"] == done["metadata"] == {"purpose": "aside"}
    assert seen[1] == ["the first thing", "in addition"]
    bench.send("conversation.item.retrieve", item_id=done["output"][0]["id"])
    assert bench.until("error")["error"]["code"] == "item_retrieve_invalid_item_id"
    main = bench.until("response.done")["response"]
    assert main["id"] != aside["id"]
    assert main["conversation_id"] is not None


@both
def test_cancel_out_of_band(dialect: str) -> None:
    """A cancel without an id is for the default conversation; an id reaches any response."""
    bench = Bench(dialect, responder=saying(LONG), pace=1.0)
    bench.send("response.create", response={"conversation": "none"})
    aside = bench.until("response.created")["response"]
    bench.send("response.cancel")
    assert bench.until("error")["error"]["code"] == "response_cancel_not_active"

    bench.send("response.cancel", response_id=aside["id"])

    assert bench.until("response.done")["response"]["status"] == "cancelled"


@both
def test_response_overrides(dialect: str) -> None:
    """What response.create sets holds for that response alone."""
    seen: list[Session] = []

    def reply(conversation: Conversation, session: Session) -> str:
        seen.append(session)
        return "Done."

    bench = Bench(dialect, responder=reply)
    before = bench.engine.session
    modalities = "output_modalities" if dialect == "ga" else "modalities"
    asked = {"instructions": "Be brief.", modalities: ["text"], "tools": None, "metadata": None}
    bench.tell("response.create", response=asked)

    assert (seen[0].instructions, seen[0].modalities) == ("Be brief.", ("text",))
    assert bench.engine.session == before


@both
def test_a_reply_that_fails(dialect: str) -> None:
    """An answer may fail or stop short, and the response says which."""
    replies = iter(
        [
            Reply(failure=Failure("too much", "inference_rate_limit_exceeded", "invalid_request_error")),
            Reply("Half an answer", incomplete="content_filter"),
        ]
    )
    bench = Bench(dialect, responder=lambda conversation, session: next(replies))
    bench.send("response.create")
    failed = bench.until("response.done")["response"]
    bench.send("response.create")
    filtered = bench.until("response.done")["response"]

    assert failed["status_details"]["error"]["code"] == "inference_rate_limit_exceeded"
    assert filtered["status_details"] == {"type": "incomplete", "reason": "content_filter"}
    assert filtered["output"][0]["status"] == "incomplete"


@both
def test_a_reply_function_that_raises(dialect: str, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a reply function or a voice is a failed response, and the session goes on."""

    def reply(conversation: Conversation, session: Session) -> str:
        raise LookupError("no such thing")

    bench = Bench(dialect, responder=reply)
    bench.send("response.create")
    response = bench.until("response.done")["response"]

    assert response["status"] == "failed"
    assert "no such thing" in caplog.text
    assert bench.user("still there?")["status"] == "completed"

    def voice(text: str, session: Session) -> list[bytes]:
        raise LookupError("hoarse")

    hoarse = Bench(dialect, responder=saying("Hello"), synthesiser=voice)
    hoarse.send("response.create")
    assert hoarse.until("response.done")["response"]["status"] == "failed"


@both
def test_token_limit(dialect: str) -> None:
    """max_output_tokens ends an answer early, with that reason."""
    bench = Bench(dialect, responder=saying(LONG))
    bench.configure(max_response_output_tokens=20)
    bench.send("response.create")
    response = bench.until("response.done")["response"]

    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert response["usage"]["output_tokens"] == 20


@both
@pytest.mark.parametrize("modality", ["text", "audio"])
def test_no_answer_exceeds_its_token_limit(dialect: str, modality: str) -> None:
    """Neither words nor sound nor the arguments of a call; what is cut short is incomplete."""
    call = FunctionCall("look_up", {"where": "in the long list of all harbours of the coast"})
    for reply in (LONG, call):
        for limit in (1, 2, 3, 7, 10):
            bench = Bench(dialect, responder=saying(reply))
            bench.configure(
                max_response_output_tokens=limit,
                modalities=[modality] if dialect == "ga" or modality == "text" else ["text", "audio"],
            )
            bench.send("response.create")
            response = bench.until("response.done")["response"]
            assert response["status"] == "incomplete"
            assert response["usage"]["output_tokens"] == limit
            assert [item["status"] for item in response["output"]] == ["incomplete"]


@both
def test_usage_adds_up(dialect: str) -> None:
    """Totals are sums, and what the last response read is cached for the next, on Azure in blocks of 64."""
    bench = Bench(dialect, responder=saying("Fine."))
    bench.user("how are you?")
    bench.send("response.create")
    first = bench.until("response.done")["response"]["usage"]
    bench.send("response.create")
    second = bench.until("response.done")["response"]["usage"]

    for usage in (first, second):
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert first["input_token_details"]["cached_tokens"] == 0
    block = 64 if dialect == "ga" else 1
    assert second["input_token_details"]["cached_tokens"] == first["input_tokens"] // block * block > 0


def cached_tokens(bench: Bench, **response: Any) -> int:
    """How many tokens of another response were cached."""
    bench.send("response.create", response=response)
    details = bench.until("response.done")["response"]["usage"]["input_token_details"]
    cached: int = details["cached_tokens"]
    bench.drain()
    return cached


def test_only_a_beginning_is_cached() -> None:
    """As far as a response reads what the last one has read, from the first word on."""
    bench = Bench(profile="documented", responder=saying("Fine."))
    bench.configure(instructions="Be kind. " * 20, modalities=["text"])
    bench.user("how are you? " * 20)
    cached_tokens(bench)
    known = cached_tokens(bench)
    other = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "No? " * 500}]}]
    elsewhere = cached_tokens(bench, conversation="none", input=other)
    again = cached_tokens(bench)
    bench.user("first of all " * 20, previous_item_id="root")
    inserted = cached_tokens(bench)
    bench.configure(instructions="Be brief. " * 20)
    instructed = cached_tokens(bench)
    settled = cached_tokens(bench)

    assert elsewhere == inserted == 45  # of the instructions
    assert inserted < known < again < settled
    assert instructed == 0


def test_images_and_answers_have_tokens() -> None:
    """An image has some of its own, less of them in low detail; an answer is read at 50 ms a token."""
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    bench = Bench(responder=saying(LONG))
    bench.send("response.create")
    said = bench.until("response.done")["response"]["usage"]["output_token_details"]["audio_tokens"]
    for part in (image, {**image, "detail": "low"}):
        item = {"type": "message", "role": "user", "content": [part]}
        bench.tell("conversation.item.create", item=item)
    bench.send("response.create", response={"output_modalities": ["text"]})
    usage = bench.until("response.done")["response"]["usage"]
    details = usage["input_token_details"]

    assert (details["image_tokens"], details["audio_tokens"]) == (765 + 85, said)
    assert usage["input_tokens"] == sum(details[f"{kind}_tokens"] for kind in ("text", "audio", "image"))


@both
@pytest.mark.parametrize("wire_format", ["g711_ulaw", "g711_alaw"])
def test_telephone_formats(dialect: str, wire_format: str) -> None:
    """G.711 is heard and spoken at 8 kHz, one byte a sample."""
    bench = Bench(dialect, responder=saying(LONG))
    wide = Bench(dialect, responder=saying(LONG))
    bench.configure(input_audio_format=wire_format, output_audio_format=wire_format)
    narrow, broad = bench.tell("response.create"), wide.tell("response.create")

    assert abs(len(sound(narrow)) - len(sound(broad)) / 6) < 10
    turn = to_wire(QUIET + speak("hello there") + QUIET, wire_format)
    bench.send("input_audio_buffer.append", audio=base64.b64encode(turn).decode())
    heard = bench.drain()
    assert 300 <= only(heard, "input_audio_buffer.speech_started")["audio_start_ms"] <= 460


@both
def test_speed_and_voice(dialect: str) -> None:
    """The session's speed shortens the sound, and its voice changes it."""
    lengths: dict[float, int] = {}
    for speed in (0.5, 1.0):
        bench = Bench(dialect, responder=saying("The same words."))
        bench.configure(speed=speed)
        lengths[speed] = len(sound(bench.tell("response.create")))
    other = Bench(dialect, responder=saying("The same words."))
    other.configure(voice="echo")
    plain = Bench(dialect, responder=saying("The same words."))

    assert lengths[0.5] == pytest.approx(2 * lengths[1.0], rel=0.05)
    assert sound(other.tell("response.create")) != sound(plain.tell("response.create"))


@both
def test_pace(dialect: str) -> None:
    """Audio is sent as much faster than real time as the pace says."""
    bench = Bench(dialect, responder=saying(LONG), pace=4.0, first_delay=0.5)
    began = bench.now
    bench.send("response.create")
    assert kinds(bench.drain(0.4)) == ["response.created"]
    bench.until("response.done")

    assert bench.now - began == pytest.approx(0.5 + len(sound(bench.heard)) / 48_000 / 4, abs=0.01)


@both
def test_expiry(dialect: str) -> None:
    """At the end of its life a session says so and closes with 1001."""
    bench = Bench(dialect, session_seconds=120)
    events = bench.drain(121)

    assert [event["error"]["code"] for event in events] == ["session_expired"]
    assert bench.closed is not None
    assert (bench.closed.code, bench.closed.reason) == (
        1001,
        "Your session hit the maximum duration of 2 minutes.",
    )
    assert bench.engine.next_due() is None


def test_idle_timeout() -> None:
    """GA prompts a user who stays silent after an answer has been played out."""
    bench = Bench("ga", responder=saying("Are you there?"), pace=0)
    bench.configure(turn_detection={"type": "server_vad", "idle_timeout_ms": 5000})
    bench.send("response.create")
    bench.until("response.done")
    played_ms = len(sound(bench.heard)) / 48
    bench.drain()
    assert bench.drain(4.9) == []

    events = bench.drain(played_ms / 1000 + 0.2)

    assert kinds(events)[:4] == [
        "input_audio_buffer.timeout_triggered",
        "conversation.item.added",
        "conversation.item.done",
        "input_audio_buffer.committed",
    ]
    assert events[1]["item"]["role"] == "system"
    assert events[0]["item_id"] == events[3]["item_id"]
    assert "response.created" in kinds(events)


def test_idle_timeout_commits_what_it_announces() -> None:
    """The audio since the answer has been heard to its end; none of what came before, and all of it."""
    bench = Bench("ga", responder=saying("Are you there?"), pace=0)
    bench.configure(turn_detection={"type": "server_vad", "idle_timeout_ms": 5000})
    bench.send("response.create")
    bench.until("response.done")
    played_ms = len(sound(bench.heard)) / 48
    bench.append(bytes(48 * 700))
    bench.drain(played_ms / 1000)
    for _ in range(51):
        bench.append(bytes(48 * 100))
        bench.drain(0.1)

    told = only(bench.heard, "input_audio_buffer.timeout_triggered")
    item = bench.tell("conversation.item.retrieve", item_id=told["item_id"])[0]["item"]
    (part,) = item["content"]
    usage = bench.until("response.done")["response"]["usage"]

    assert told["audio_start_ms"] == 700
    assert told["audio_end_ms"] in (5700, 5800)
    assert len(base64.b64decode(part["audio"])) == (told["audio_end_ms"] - 700) * 48
    assert usage["input_token_details"]["audio_tokens"] >= 50


def test_idle_timeout_after_the_buffer_was_cleared() -> None:
    """What the client took back is neither announced nor committed."""
    bench = Bench("ga", responder=saying("Are you there?"), pace=1)
    bench.configure(turn_detection={"type": "server_vad", "idle_timeout_ms": 5000})
    bench.send("response.create")
    bench.until("response.done")
    bench.append(bytes(48 * 1000))
    bench.tell("input_audio_buffer.clear")
    bench.append(bytes(48 * 400))
    told = bench.until("input_audio_buffer.timeout_triggered")
    bench.until("response.done")
    item = bench.tell("conversation.item.retrieve", item_id=told["item_id"])[0]["item"]

    assert (told["audio_start_ms"], told["audio_end_ms"]) == (1000, 1400)
    assert len(base64.b64decode(item["content"][0]["audio"])) == 400 * 48


@pytest.mark.parametrize("profile", ["azure", "openai"])
def test_a_silent_turn_has_an_empty_transcript(profile: str) -> None:
    """It comes among the deltas of the answer, although no transcripts are asked for."""
    bench = Bench("ga", profile=profile, responder=saying("Are you there?"), pace=0)
    bench.configure(turn_detection={"type": "server_vad", "idle_timeout_ms": 5000})
    bench.send("response.create")
    bench.until("response.done")
    told = bench.until("input_audio_buffer.timeout_triggered")
    bench.until("response.done")
    heard = only(bench.heard, "conversation.item.input_audio_transcription.completed")
    begun = [event["type"] for event in bench.heard].index("response.created", bench.heard.index(told))

    assert (heard["item_id"], heard["transcript"]) == (told["item_id"], "")
    assert heard["usage"] == {"type": "duration", "seconds": 0}
    assert begun < bench.heard.index(heard) < len(bench.heard) - 1


def test_idle_timeout_is_for_the_idle() -> None:
    """A user who interrupted an answer is not prompted for being silent."""
    bench = Bench("ga", responder=saying(LONG), pace=1.0)
    detection = {"type": "server_vad", "idle_timeout_ms": 5000, "create_response": False}
    bench.configure(turn_detection=detection)
    bench.send("response.create")
    bench.until("response.audio.delta")
    bench.append(speak("stop") + QUIET)
    events = bench.drain(60)

    assert "input_audio_buffer.committed" in kinds(events)
    assert "input_audio_buffer.timeout_triggered" not in kinds(events)


def test_close_by_command() -> None:
    """GA knows a command that ends the session."""
    bench = Bench("ga")
    bench.tell("session.close")

    assert bench.closed is not None
    assert bench.closed.code == 1000


def test_a_cancel_amid_the_end_of_an_item(dialect: str) -> None:
    """The last events of an item come once, wherever among them a cancel falls."""
    for position in range(30):
        bench = Bench(dialect, responder=lambda *_: "Yes.")
        bench.tell("session.update", session=bench.session(modalities=["text"]))
        bench.user("Well?")
        bench.send("response.create")
        events = [event for event in (bench.hear() for _ in range(position)) if event]
        if kinds(events)[-1:] == ["response.done"]:
            return
        bench.send("response.cancel")
        heard = [event["type"] for event in [*events, *bench.drain()] if not event["type"].endswith("delta")]

        assert [kind for kind in set(heard) if heard.count(kind) > 1 and kind != "error"] == []
    raise AssertionError("the answer never ended")
