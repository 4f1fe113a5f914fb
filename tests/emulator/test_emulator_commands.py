"""What the emulator's mind accepts and refuses: sessions, items, truncation, transcription."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from emulator_session import DIALECTS, Bench, kinds, only, sound

from azure_rt_audio.emulator import Reply, speak
from azure_rt_audio.emulator.model import conversation
from azure_rt_audio.emulator.model.session import Session

both = pytest.mark.parametrize("dialect", DIALECTS)
QUIET = bytes(48 * 700)
TOOL = {"type": "function", "name": "look", "description": "Looks.", "parameters": {"type": "object"}}


def turn_detection(session: dict[str, Any]) -> Any:
    """Of a session in either shape."""
    return session["audio"]["input"]["turn_detection"] if "audio" in session else session["turn_detection"]


# Sessions --------------------------------------------------------------------------------------


@both
def test_only_present_fields_change(dialect: str) -> None:
    """An update changes what it names; the whole effective session comes back."""
    bench = Bench(dialect)
    before = bench.greeting[0]["session"]
    after = bench.configure(instructions="Be kind.", tools=[TOOL])

    assert (after["instructions"], after["tools"]) == ("Be kind.", [TOOL])
    for name in ("instructions", "tools"):
        before.pop(name), after.pop(name)
    assert after == before


@both
def test_null_clears(dialect: str) -> None:
    """null turns detection, transcription and noise reduction off; absence leaves them."""
    bench = Bench(dialect)
    names = ("turn_detection", "input_audio_transcription", "input_audio_noise_reduction")
    bench.configure(
        turn_detection={"type": "server_vad", "threshold": 0.3},
        input_audio_transcription={"model": "gpt-4o-transcribe"},
        input_audio_noise_reduction={"type": "near_field"},
    )
    bench.configure(instructions="")
    kept = bench.engine.session
    bench.configure(**dict.fromkeys(names))
    cleared = bench.engine.session

    assert None not in (kept.turn_detection, kept.transcription, kept.noise_reduction)
    assert (cleared.turn_detection, cleared.transcription, cleared.noise_reduction) == (None, None, None)


@both
def test_turn_detection_is_completed(dialect: str) -> None:
    """What an update leaves out of turn detection is filled in with the defaults."""
    bench = Bench(dialect)
    server = turn_detection(bench.configure(turn_detection={"type": "server_vad", "threshold": 0.4}))
    semantic = turn_detection(bench.configure(turn_detection={"type": "semantic_vad", "eagerness": "low"}))

    assert (server["threshold"], server["prefix_padding_ms"], server["silence_duration_ms"]) == (
        0.4,
        300,
        200,
    )
    assert semantic == {
        "type": "semantic_vad",
        "eagerness": "low",
        "create_response": True,
        "interrupt_response": True,
    }


def test_none_is_an_old_spelling_of_null() -> None:
    """Early Azure preview turned detection off with a type "none"."""
    bench = Bench("preview")

    assert bench.configure(turn_detection={"type": "none"})["turn_detection"] is None


@both
def test_semantic_detection_hears(dialect: str) -> None:
    """Semantic detection commits too, after a fixed wait."""
    bench = Bench(dialect)
    bench.configure(turn_detection={"type": "semantic_vad", "eagerness": "high"})
    bench.append(speak("hello hello") + QUIET)

    assert "input_audio_buffer.committed" in kinds(bench.drain())


REFUSED_SESSIONS: list[tuple[str, dict[str, Any], str, str]] = [
    ("ga", {"type": "realtime", "colour": 1}, "unknown_parameter", "session.colour"),
    ("ga", {"type": "realtime", "temperature": 0.8}, "unknown_parameter", "session.temperature"),
    ("ga", {"type": "realtime", "voice": "alloy"}, "unknown_parameter", "session.voice"),
    ("ga", {"instructions": "x"}, "missing_required_parameter", "session.type"),
    ("ga", {"type": "surreal"}, "invalid_value", "session.type"),
    ("ga", {"type": "transcription", "audio": {}}, "invalid_value", "session.type"),
    (
        "ga",
        {"type": "realtime", "output_modalities": ["text", "audio"]},
        "invalid_value",
        "session.output_modalities",
    ),
    (
        "ga",
        {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}},
        "decimal_above_max_value",
        "session.audio.input.turn_detection.threshold",
    ),
    (
        "ga",
        {"type": "realtime", "audio": {"output": {"format": {"type": "audio/mp3"}}}},
        "invalid_value",
        "session.audio.output.format.type",
    ),
    (
        "ga",
        {"type": "realtime", "tools": [{"type": "function"}]},
        "missing_required_parameter",
        "session.tools[0].name",
    ),
    ("preview", {"type": "realtime"}, "unknown_parameter", "session.type"),
    ("preview", {"colour": 1}, "unknown_parameter", "session.colour"),
    ("preview", {"temperature": 2}, "decimal_above_max_value", "session.temperature"),
    ("preview", {"modalities": ["smell"]}, "invalid_value", "session.modalities[0]"),
    ("preview", {"modalities": ["text", "text"]}, "invalid_value", "session.modalities"),
    ("preview", {"output_audio_format": "mp3"}, "invalid_value", "session.output_audio_format"),
    ("preview", {"instructions": None}, "invalid_type", "session.instructions"),
    ("preview", {"speed": 3}, "decimal_above_max_value", "session.speed"),
    (
        "preview",
        {"turn_detection": {"idle_timeout_ms": 6000}},
        "unknown_parameter",
        "session.turn_detection.idle_timeout_ms",
    ),
]


@pytest.mark.parametrize(("dialect", "session", "code", "param"), REFUSED_SESSIONS)
def test_refused_sessions(dialect: str, session: dict[str, Any], code: str, param: str) -> None:
    """A bad update is refused as a whole, with the service's code and the path of the field."""
    bench = Bench(dialect)
    before = bench.engine.session
    error = bench.error("session.update", session={**session}, event_id="evt_1")

    assert (error["code"], error["param"], error["event_id"]) == (code, param, "evt_1")
    assert error["type"] == "invalid_request_error"
    assert bench.engine.session == before


@pytest.mark.parametrize(
    ("dialect", "modalities"),
    [("ga", ["text", "audio"]), ("ga", ["text", "text"]), ("ga", []), ("preview", ["audio", "audio"])],
)
def test_a_response_takes_the_modalities_of_a_session(dialect: str, modalities: list[str]) -> None:
    """GA answers in one of the two; on neither dialect is one named twice. No response begins."""
    bench = Bench(dialect)
    name = "output_modalities" if dialect == "ga" else "modalities"
    error = bench.error("response.create", response={name: modalities})

    assert (error["code"], error["param"]) == ("invalid_value", f"response.{name}")
    assert bench.engine.active is None


@both
def test_voice_is_fixed_once_heard(dialect: str) -> None:
    """The voice may change until the assistant has been heard, and not after."""
    bench = Bench(dialect)
    bench.configure(voice="echo")
    bench.tell("response.create")
    refused = bench.error("session.update", session=bench.session(voice="sage"))
    bench.configure(voice="echo", instructions="The same voice may be repeated.")

    assert refused["code"] == "cannot_update_voice"
    assert bench.engine.session.voice == "echo"


@both
@pytest.mark.parametrize("command", ["conversation.item.truncate", "conversation.item.delete"])
def test_a_voice_that_was_taken_back_is_fixed_all_the_same(dialect: str, command: str) -> None:
    """The user has heard it, though nothing of it is left in the conversation."""
    bench = Bench(dialect)
    bench.tell("response.create")
    (item,) = bench.engine.conversation.items
    cut = {"content_index": 0, "audio_end_ms": 0} if command.endswith("truncate") else {}
    bench.tell(command, item_id=item.id, **cut)

    refused = bench.error("session.update", session=bench.session(voice="sage"))
    assert refused["code"] == "cannot_update_voice"


@both
def test_a_model_in_an_update_changes_nothing(dialect: str) -> None:
    """The URL has chosen the model; clients send the one that they have by default."""
    bench = Bench(dialect, model="gpt-realtime")

    assert bench.configure(model="another", instructions="Be brief.")["model"] == "gpt-realtime"


# Envelopes -------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ("not json", "invalid_json", None),
        ("[1, 2]", "invalid_event", None),
        (b"\x00\x01", "invalid_event", None),
        ("{}", "missing_required_parameter", "type"),
        ('{"type": "party.start"}', "invalid_value", "type"),
        ('{"type": "output_audio_buffer.clear"}', "invalid_value", "type"),
        ('{"type": "input_audio_buffer.append"}', "missing_required_parameter", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "???"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "AAAA", "x": 1}', "unknown_parameter", "x"),
        ('{"type": "response.create", "response": {"x": 1}}', "unknown_parameter", "response.x"),
    ],
)
def test_bad_frames(dialect: str, frame: str | bytes, code: str, param: str | None) -> None:
    """A frame that is no proper event is an error event, and the session goes on."""
    bench = Bench(dialect)
    bench.engine.receive(frame, bench.now)
    events = bench.drain()

    assert kinds(events) == ["error"]
    assert (events[0]["error"]["code"], events[0]["error"]["param"]) == (code, param)
    assert bench.user("still here")["status"] == "completed"


@both
def test_too_much_at_once(dialect: str) -> None:
    """More than 15 MiB of audio in one append is refused."""
    bench = Bench(dialect)
    audio = base64.b64encode(bytes(15 * 1024 * 1024 + 48)).decode()

    assert bench.error("input_audio_buffer.append", audio=audio)["param"] == "audio"


# Items -----------------------------------------------------------------------------------------


@both
def test_items_keep_their_order(dialect: str) -> None:
    """An item goes to the end, to the start or behind another, and says what is in front of it."""
    bench = Bench(dialect)
    first = bench.user("first")
    third = bench.user("third")
    content = [{"type": "input_text", "text": "second"}]
    second = {"id": "item_second", "type": "message", "role": "user", "content": content}
    events = bench.tell("conversation.item.create", item=second, previous_item_id=first["id"])
    zeroth = bench.user("zeroth", previous_item_id="root")

    assert events[0]["item"]["id"] == "item_second"
    assert [e["previous_item_id"] for e in events] == [first["id"]] * len(events)
    assert [item.id for item in bench.engine.conversation] == [
        zeroth["id"],
        first["id"],
        "item_second",
        third["id"],
    ]


@both
def test_items_come_and_go(dialect: str) -> None:
    """Items can be retrieved with their sound, and deleted once."""
    bench = Bench(dialect)
    pcm = speak("a sound")
    content = [{"type": "input_audio", "audio": base64.b64encode(pcm).decode()}]
    item = {"type": "message", "role": "user", "content": content}
    created = bench.tell("conversation.item.create", item=item)[0]["item"]
    got = bench.tell("conversation.item.retrieve", item_id=created["id"])
    gone = bench.tell("conversation.item.delete", item_id=created["id"])

    assert "audio" not in created["content"][0]
    assert kinds(got) == ["conversation.item.retrieved"]
    assert base64.b64decode(got[0]["item"]["content"][0]["audio"]) == pcm
    assert kinds(gone) == ["conversation.item.deleted"]
    assert (
        bench.error("conversation.item.delete", item_id=created["id"])["code"]
        == "item_delete_invalid_item_id"
    )


ASSISTANT_TEXT = {"ga": "output_text", "preview": "text"}
ASSISTANT_AUDIO = {"ga": "output_audio", "preview": "audio"}


@both
def test_history_can_be_replayed(dialect: str) -> None:
    """System, assistant and function items can be put in by a client that resumes."""
    bench = Bench(dialect)
    items: list[dict[str, Any]] = [
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": ASSISTANT_TEXT[dialect], "text": "Hi."}],
        },
        {"type": "function_call", "call_id": "call_9", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_9", "output": "seen"},
    ]
    for item in items:
        assert kinds(bench.tell("conversation.item.create", item=item)) == bench.item_events()

    assert [item.type for item in bench.engine.conversation] == [item["type"] for item in items]


@both
def test_refused_items(dialect: str) -> None:
    """Items that refer to nothing, exist already or hold assistant audio are refused."""
    bench = Bench(dialect)
    known = bench.user("hello")
    content = [{"type": "input_text", "text": "x"}]
    message = {"type": "message", "role": "user", "content": content}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"item": {**message, "id": known["id"]}}, "item_create_duplicate_item_id"),
        ({"item": message, "previous_item_id": "item_x"}, "item_create_invalid_previous_item_id"),
        (
            {"item": {"type": "function_call_output", "call_id": "call_x", "output": ""}},
            "invalid_tool_call_id",
        ),
        ({"item": {"type": "message", "content": content}}, "missing_required_parameter"),
        ({"item": {**message, "content": [{"type": "input_smell"}]}}, "invalid_value"),
        (
            {
                "item": {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": ASSISTANT_AUDIO[dialect]}],
                }
            },
            "invalid_value",
        ),
    ]
    for fields, code in cases:
        assert bench.error("conversation.item.create", **fields)["code"] == code
    assert [item.id for item in bench.engine.conversation] == [known["id"]]


def test_images_are_for_ga() -> None:
    """GA takes an image from the user, as a data URI of a PNG or JPEG; preview does not know the type."""
    content = [{"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}]
    item = {"type": "message", "role": "user", "content": content}
    created = Bench("ga").tell("conversation.item.create", item=item)[0]["item"]

    assert created["content"] == content
    for url in ("https://images.test/a.png", "data:text/plain;base64,AAAA", ""):
        elsewhere = {**item, "content": [{"type": "input_image", "image_url": url}]}
        error = Bench("ga").error("conversation.item.create", item=elsewhere)
        assert (error["code"], error["param"]) == ("invalid_value", "item.content[0].image_url")
    assert Bench("preview").error("conversation.item.create", item=item)["param"] == "item.content[0].type"


@both
def test_truncation(dialect: str) -> None:
    """Truncation cuts the sound, removes the transcript, and refuses what makes no sense."""
    bench = Bench(dialect)
    user = bench.user("hello")
    bench.send("response.create")
    item = bench.until("response.done")["response"]["output"][0]
    length_ms = len(sound(bench.heard)) // 48
    bench.drain()

    def refuse(item_id: str, end_ms: int) -> tuple[str, str]:
        where = {"item_id": item_id, "content_index": 0, "audio_end_ms": end_ms}
        error = bench.error("conversation.item.truncate", **where)
        return error["code"], error["message"]

    assert refuse("item_x", 10)[0] == "item_truncate_invalid_item_id"
    assert refuse(user["id"], 10) == (
        "unsupported_content_type",
        "Only model output audio messages can be truncated",
    )
    assert refuse(item["id"], length_ms + 1) == (
        "invalid_value",
        f"Audio content of {length_ms}ms is already shorter than {length_ms + 1}ms",
    )
    cut = bench.tell("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=300)
    assert kinds(cut) == ["conversation.item.truncated"]
    got = bench.tell("conversation.item.retrieve", item_id=item["id"])[0]["item"]["content"][0]
    assert len(base64.b64decode(got["audio"])) == 300 * 48
    assert got["transcript"] is None


@both
@pytest.mark.parametrize("is_kept", [True, False])
def test_what_was_cut_is_audio_still(dialect: str, is_kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut to nothing, it is shorter than any further cut; what is too much to be kept has its length."""
    if not is_kept:
        monkeypatch.setattr(conversation, "_AUDIO_BUDGET_BYTES", 0)
    bench = Bench(dialect)
    bench.send("response.create")
    item = bench.until("response.done")["response"]["output"][0]
    length_ms = len(sound(bench.heard)) // 48
    bench.drain()
    (part,) = bench.engine.conversation.items[0].parts
    assert bool(part.audio) is is_kept
    where = {"item_id": item["id"], "content_index": 0}
    long = bench.error("conversation.item.truncate", **where, audio_end_ms=length_ms + 1)
    for _ in range(2):
        cut = bench.tell("conversation.item.truncate", **where, audio_end_ms=0)
        assert kinds(cut) == ["conversation.item.truncated"]
    short = bench.error("conversation.item.truncate", **where, audio_end_ms=10)

    assert long["message"] == f"Audio content of {length_ms}ms is already shorter than {length_ms + 1}ms"
    assert (short["code"], short["param"]) == ("invalid_value", "audio_end_ms")
    assert short["message"] == "Audio content of 0ms is already shorter than 10ms"


@both
def test_truncation_before_any_sound(dialect: str) -> None:
    """An answer of which nothing was heard cannot be truncated."""
    bench = Bench(dialect, responder=lambda conversation, session: "Hello", first_delay=1.0)
    bench.configure(modalities=["text"])
    bench.tell("response.create")
    bench.drain(2)
    item = only(bench.heard, "response.output_item.added")["item"]
    where = {"item_id": item["id"], "content_index": 0, "audio_end_ms": 0}

    assert bench.error("conversation.item.truncate", **where)["code"] == "unsupported_content_type"


# Transcription ---------------------------------------------------------------------------------

PREFIX = "conversation.item.input_audio_transcription"


@both
def test_transcription_of_user_speech(dialect: str) -> None:
    """With transcription on, words follow the commit, in deltas and whole, for the same item."""
    bench = Bench(dialect, recogniser=lambda pcm, session: "turn the lights on")
    bench.configure(input_audio_transcription={"model": "gpt-4o-transcribe"}, turn_detection=None)
    bench.append(speak("turn the lights on"))
    events = bench.tell("input_audio_buffer.commit")
    item_id = only(events, "input_audio_buffer.committed")["item_id"]
    completed = only(events, f"{PREFIX}.completed")

    assert "".join(e["delta"] for e in events if e["type"] == f"{PREFIX}.delta") == "turn the lights on"
    assert (completed["item_id"], completed["transcript"]) == (item_id, "turn the lights on")
    assert completed["usage"]["type"] == "tokens"
    got = bench.tell("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert got["content"][0]["transcript"] == "turn the lights on"


@both
def test_transcription_that_fails(dialect: str, caplog: pytest.LogCaptureFixture) -> None:
    """Ears that raise are a failed transcription, not an error of the session."""

    def ears(pcm: bytes, session: Session) -> str:
        raise LookupError("deaf")

    bench = Bench(dialect, recogniser=ears)
    bench.configure(input_audio_transcription={"model": "gpt-4o-transcribe"}, turn_detection=None)
    bench.append(speak("hello"))
    events = bench.tell("input_audio_buffer.commit")

    assert only(events, f"{PREFIX}.failed")["error"]["type"] == "server_error"
    assert "deaf" in caplog.text


@both
def test_ears_work_without_transcription(dialect: str) -> None:
    """The reply knows what was said even when the client did not ask for transcripts."""
    bench = Bench(
        dialect,
        recogniser=lambda pcm, session: "the secret word",
        responder=lambda conversation, session: Reply(conversation.last_user_text),
    )
    bench.append(speak("mumble mumble") + QUIET)
    events = bench.drain()

    assert only(events, "response.audio_transcript.done")["transcript"] == "the secret word"
    assert not any(event["type"].startswith(PREFIX) for event in events)


@both
def test_spoken_items_are_heard(dialect: str) -> None:
    """Audio in an item, or in the input of a response, is recognised like that of the buffer."""
    bench = Bench(
        dialect,
        recogniser=lambda pcm, session: f"{len(pcm) // 48} ms",
        responder=lambda conversation, session: f"You spoke for {conversation.last_user_text}.",
    )
    bench.configure(modalities=["text"], input_audio_transcription={"model": "gpt-4o-transcribe"})
    content = [{"type": "input_audio", "audio": base64.b64encode(bytes(48 * 300)).decode()}]
    item = {"type": "message", "role": "user", "content": content}
    created = bench.tell("conversation.item.create", item=item)
    said = only(bench.tell("response.create"), "response.text.done")["text"]
    aside = bench.tell("response.create", response={"conversation": "none", "input": [item]})

    assert kinds(created) == bench.item_events()
    assert (said, only(aside, "response.text.done")["text"]) == ("You spoke for 300 ms.",) * 2
    assert not any(event["type"].startswith(PREFIX) for event in bench.heard)


def test_ga_transcription_session() -> None:
    """A GA transcription session is configured by session.update and never answers."""
    bench = Bench("ga", "transcription", recogniser=lambda pcm, session: "word for word")
    assert bench.greeting[0]["session"]["object"] == "realtime.transcription_session"
    session = {
        "type": "transcription",
        "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe", "language": "en"}}},
        "include": ["item.input_audio_transcription.logprobs"],
    }
    assert kinds(bench.tell("session.update", session=session)) == ["session.updated"]
    bench.append(speak("word for word") + QUIET)
    events = bench.drain()

    assert only(events, f"{PREFIX}.completed")["transcript"] == "word for word"
    assert len(only(events, f"{PREFIX}.completed")["logprobs"]) == 3
    assert not any(event["type"].startswith("response.") for event in events)
    assert bench.error("response.create")["code"] == "invalid_value"
    assert bench.error("session.update", session={"type": "realtime"})["param"] == "session.type"


def test_preview_transcription_session() -> None:
    """A preview transcription session has events of its own."""
    bench = Bench("preview", "transcription", recogniser=lambda pcm, session: "word for word")
    assert kinds(bench.greeting) == ["transcription_session.created"]
    session = {"input_audio_transcription": {"model": "whisper-1"}, "turn_detection": None}
    updated = bench.tell("transcription_session.update", session=session)
    assert kinds(updated) == ["transcription_session.updated"]
    bench.append(speak("word for word"))
    events = bench.tell("input_audio_buffer.commit")

    assert only(events, f"{PREFIX}.completed")["usage"]["type"] == "duration"
    assert bench.error("session.update", session={})["code"] == "invalid_value"


@both
def test_transcription_update_of_a_conversation(dialect: str) -> None:
    """A conversation cannot be turned into a transcription session."""
    bench = Bench(dialect)

    assert bench.error("transcription_session.update", session={})["code"] == "invalid_value"


# The first preview -----------------------------------------------------------------------------


def test_fields_of_the_first_preview() -> None:
    """response.create of 2024-10-01 may commit, cancel the previous answer, and bring items along."""
    bench = Bench(
        "preview", responder=lambda conversation, session: conversation.last_user_text * 20, pace=1.0
    )
    bench.configure(turn_detection=None)
    bench.user("first")
    bench.send("response.create")
    bench.until("response.audio.delta")
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "second"}]}
    bench.send("response.create", response={"cancel_previous": True, "append_input_items": [item]})

    assert bench.until("response.done")["response"]["status"] == "cancelled"
    assert bench.until("response.done")["response"]["output"][0]["content"][0]["transcript"] == "second" * 20

    bench.append(speak("a third thing"))
    bench.drain()
    events = bench.tell("response.create", response={"commit": True})
    assert kinds(events)[0] == "input_audio_buffer.committed"


@both
def test_metadata_has_limits(dialect: str) -> None:
    """Metadata is at most 16 pairs of at most 64 and 512 characters."""
    bench = Bench(dialect)
    for metadata, code in (
        ({str(n): "x" for n in range(17)}, "invalid_value"),
        ({"k" * 65: "x"}, "invalid_value"),
        ({"k": "x" * 513}, "string_above_max_length"),
        ({"k": 1}, "invalid_type"),
    ):
        error = bench.error("response.create", response={"metadata": metadata})
        assert (error["code"], error["param"].split(".")[:2]) == (code, ["response", "metadata"])


@both
def test_event_ids_have_a_limit(dialect: str) -> None:
    """An event_id has at most 512 characters."""
    bench = Bench(dialect)
    events = bench.tell("input_audio_buffer.clear", event_id="x" * 513)

    assert events[0]["error"]["param"] == "event_id"


@both
def test_samples_are_accepted(dialect: str) -> None:
    """The catalogue's sample commands pass the rules, apart from what refers to unknown things."""
    from catalogue_types import DATA

    from azure_rt_audio.emulator.dialects.choose import dialect_named
    from azure_rt_audio.emulator.dialects.rules import RefusalError

    spoken = dialect_named(dialect)

    refused: list[str] = []
    for line in (DATA / f"samples_{dialect}.jsonl").read_text("utf-8").splitlines():
        sample = json.loads(line)
        if sample["type"] not in spoken.requests:
            continue
        try:
            spoken.check_command(sample)
        except RefusalError as refusal:
            refused.append(f"{sample['type']}: {refusal.code} {refusal.param}")

    assert refused == []
