"""Bytes in, event out; command in, bytes out; and what users write."""

from __future__ import annotations

import base64
import copy
import enum
import json
import pickle
import re
import subprocess
import sys
import threading
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from reading import structure

from azure_rt_audio.errors import DecodeError
from azure_rt_audio.protocol.base import UNSET, ProtocolObject
from azure_rt_audio.protocol.codec import (
    Quirks,
    build,
    build_item,
    decode_event,
    encode,
    encode_append,
    to_json,
    typed,
)
from azure_rt_audio.protocol.commands import (
    ConversationItemCreate,
    ConversationItemTruncate,
    InputAudioBufferAppend,
    ResponseCreate,
    SessionUpdate,
)
from azure_rt_audio.protocol.dialects import GaDialect, PreviewDialect, choose_dialect
from azure_rt_audio.protocol.events import (
    Error,
    ResponseContentPartAdded,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    SessionCreated,
    UnknownEvent,
)
from azure_rt_audio.protocol.items import (
    ContentPart,
    FunctionCallItem,
    ItemReference,
    MessageItem,
    UnknownItem,
)
from azure_rt_audio.protocol.responses import Response, ResponseConfig
from azure_rt_audio.protocol.session import (
    ClientSecret,
    CustomVoice,
    InputAudioTranscription,
    Prompt,
    PromptText,
    RetentionRatio,
    Session,
    SessionConfig,
    TranscriptionSession,
    TranscriptionSessionConfig,
    TurnDetection,
)
from azure_rt_audio.protocol.session_defaults import DEFAULTS
from azure_rt_audio.protocol.tools import FunctionTool, McpTool, ToolChoice
from azure_rt_audio.protocol.translation import TranslationSession, TranslationSessionConfig

GA = GaDialect("v1")
PREVIEW = PreviewDialect("2025-04-01-preview")

DELTA = {
    "type": "response.output_audio.delta",
    "event_id": "event_1",
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "AAEC",
}


def event(**fields: Any) -> Any:
    return decode_event(json.dumps(fields))


# ---------------------------------------------------------------- decoding


@pytest.mark.parametrize("form", [str, bytes, bytearray, memoryview])
def test_a_frame_may_come_in_any_form(form: Any) -> None:
    """Text or bytes, copied or not."""
    text = json.dumps(DELTA)
    assert isinstance(decode_event(text if form is str else form(text.encode())), ResponseOutputAudioDelta)


def test_sound_is_decoded_on_first_use() -> None:
    """``delta`` is base64, ``audio`` the bytes; they are decoded once."""
    delta = decode_event(json.dumps(DELTA))

    assert isinstance(delta, ResponseOutputAudioDelta)
    assert "_audio" not in vars(delta)
    assert delta.audio == b"\x00\x01\x02"
    assert delta.audio is delta.audio
    assert delta == decode_event(json.dumps(DELTA)), "having looked makes no difference"
    assert attrs.evolve(delta, delta="AA==").audio == b"\x00"
    assert pickle.loads(pickle.dumps(delta)).audio == copy.deepcopy(delta).audio == b"\x00\x01\x02"


@pytest.mark.parametrize("name", ["response.output_audio.delta", "session.output_audio.delta"])
@pytest.mark.parametrize(
    ("delta", "sound"),
    [("+/8", b"\xfb\xff"), ("-_8=", b"\xfb\xff"), ("AA\n==", b"\x00"), ("****", b""), ("A", b"")],
)
def test_sound_that_is_not_clean_base64(name: str, delta: str, sound: bytes) -> None:
    """Not padded and url-safe are read; garbage is silence, told to whoever the session says."""
    told: list[Any] = []
    decoded = event(**{**DELTA, "type": name, "delta": delta})
    decoded.__dict__["_report"] = told.append

    assert decoded.audio == sound
    assert told == ([] if sound else [decoded])
    pickle.loads(pickle.dumps(decoded))


def test_decoding_waits_for_no_other_thread() -> None:
    """A thread that has not finished decoding one event keeps nobody from decoding another."""
    decoding, go_on = threading.Event(), threading.Event()
    slow, other = event(**{**DELTA, "delta": "****"}), event(**DELTA)
    slow.__dict__["_report"] = lambda _: (decoding.set(), go_on.wait(5))
    first = threading.Thread(target=lambda: slow.audio)
    first.start()
    decoding.wait(5)
    second = threading.Thread(target=lambda: other.audio)
    second.start()
    second.join(5)
    is_stuck = second.is_alive()
    go_on.set()
    first.join(5)
    second.join(5)

    assert not is_stuck


def test_an_unknown_event_keeps_everything() -> None:
    """What is newer than this library still reaches those who know it."""
    fields = {
        "type": "response.smell.delta",
        "event_id": "e",
        "scent": {"a": [1, None]},
        "session": {"voice": "flat", "tool_choice": {"type": "function", "name": "f"}},
        "response": {"temperature": 1},
    }

    unknown = event(**fields)

    assert type(unknown) is UnknownEvent
    assert repr(unknown).startswith(f"UnknownEvent(type={unknown.type!r}")
    assert (unknown.type, unknown.wire_type, unknown.event_id) == ("response.smell.delta",) * 2 + ("e",)
    assert fields == unknown.raw
    for dialect in (GA, PREVIEW):
        assert fields == json.loads(encode(unknown, dialect))
    assert event(type="response.smell.delta", event_id=7).event_id == "7"


def test_an_event_of_our_own_making_is_written_in_the_dialect() -> None:
    """Without a frame, the dialect names it."""
    delta = ResponseOutputAudioDelta(
        response_id="r", item_id="i", output_index=0, content_index=0, delta="AA=="
    )

    assert delta.type == delta.wire_type == "response.output_audio.delta"
    assert json.loads(encode(delta, GA))["type"] == "response.output_audio.delta"
    assert json.loads(encode(delta, PREVIEW))["type"] == "response.audio.delta"


MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}


@pytest.mark.parametrize(
    ("frame", "path", "said"),
    [
        ("", "$", "not JSON"),
        ("{", "$", "not JSON"),
        ("nan", "$", "not JSON"),
        ('{"type": NaN}', "$.type", "no type"),
        ('{"type": "error", "x": NaN', "$", "not JSON"),
        ('{"type": "error", "x": -NaN0}', "$", "not JSON"),
        ('"\\ud800"', "$", "not a JSON object"),
        (b"\xff\xfe", "$", "not JSON"),
        ("[" * 5000, "$", "not JSON"),
        ("[]", "$", "not a JSON object"),
        ("7", "$", "not a JSON object"),
        ("null", "$", "not a JSON object"),
        ("{}", "$.type", "no type"),
        ('{"type": null}', "$.type", "no type"),
        ('{"type": ["error"]}', "$.type", "no type"),
        ({**DELTA, "delta": 7}, "$.delta", "expected a string, got int 7"),
        ({**DELTA, "delta": None}, "$.delta", "expected a string, got null"),
        ({**DELTA, "output_index": "0"}, "$.output_index", "expected a whole number, got str '0'"),
        ({**DELTA, "output_index": True}, "$.output_index", "expected a whole number, got bool True"),
        ({**DELTA, "output_index": 0.0}, "$.output_index", "expected a whole number, got float 0.0"),
        ({**DELTA, "output_index": 10**30}, "$.output_index", "expected a whole number, got float"),
        ({**DELTA, "event_id": 1}, "$.event_id", "expected a string, got int 1"),
        ({key: DELTA[key] for key in DELTA if key != "item_id"}, "$.item_id", "required field missing"),
        ({"type": "error", "error": "boom"}, "$.error", "expected an object, got str 'boom'"),
        ({"type": "error", "error": {"message": "m"}}, "$.error.type", "required field missing"),
        ({"type": "error"}, "$.error", "required field missing"),
        ({"type": "rate_limits.updated", "rate_limits": {}}, "$.rate_limits", "expected a list, got dict"),
        (
            {"type": "rate_limits.updated", "rate_limits": [{}, {"limit": "9"}]},
            "$.rate_limits[1].limit",
            "expected a whole number, got str '9'",
        ),
        (
            {"type": "rate_limits.updated", "rate_limits": [{"reset_seconds": "1"}]},
            "$.rate_limits[0].reset_seconds",
            "expected a number, got str '1'",
        ),
        (
            {"type": "response.done", "response": {"output": [MESSAGE, {**MESSAGE, "content": [7]}]}},
            "$.response.output[1].content[0]",
            "expected an object, got int 7",
        ),
        (
            {"type": "response.done", "response": {"output": [{"type": "function_call_output"}]}},
            "$.response.output[0].call_id",
            "required field missing",
        ),
        (
            {"type": "response.done", "response": {"metadata": {"a": 1}}},
            "$.response.metadata.a",
            "expected a string, got int 1",
        ),
        (
            {"type": "response.done", "response": {"max_output_tokens": "many"}},
            "$.response.max_output_tokens",
            "expected a whole number or \"inf\", got str 'many'",
        ),
        (
            {"type": "response.done", "response": {"max_output_tokens": True}},
            "$.response.max_output_tokens",
            'expected a whole number or "inf", got bool True',
        ),
        (
            {
                "type": "session.created",
                "session": {"audio": {"input": {"turn_detection": {"threshold": "x"}}}},
            },
            "$.session.audio.input.turn_detection.threshold",
            "expected a number, got str 'x'",
        ),
        (
            {"type": "session.created", "session": {"turn_detection": {"threshold": "x"}}},
            "$.session.turn_detection.threshold",
            "expected a number, got str 'x'",
        ),
        (
            {"type": "session.created", "session": {"audio": {"output": {"voice": 7}}}},
            "$.session.audio.output.voice",
            "expected a string or an object, got int 7",
        ),
        (
            {"type": "session.created", "session": {"output_modalities": "audio"}},
            "$.session.output_modalities",
            "expected a list, got str 'audio'",
        ),
        (
            {"type": "session.created", "session": {"max_output_tokens": [1]}},
            "$.session.max_output_tokens",
            'expected a whole number or "inf", got list',
        ),
        (
            {"type": "session.created", "session": {"tool_choice": {"function": {"name": 7}}}},
            "$.session.tool_choice.name",
            "expected a string, got int 7",
        ),
        (
            {"type": "session.created", "session": {"tools": [{"type": "mcp"}]}},
            "$.session.tools[0].server_label",
            "required field missing",
        ),
        ({"type": "session.created", "session": []}, "$.session", "expected an object, got list"),
        (
            {"type": "session.created", "session": {"parallel_tool_calls": 1}},
            "$.session.parallel_tool_calls",
            "expected true or false, got int 1",
        ),
        (
            {"type": "session.created", "session": {"prompt": {"id": "p", "variables": {"v": 1}}}},
            "$.session.prompt.variables.v",
            "expected a string or an object, got int 1",
        ),
    ],
)
def test_a_malformed_frame_is_a_decode_error_with_its_path(frame: Any, path: str, said: str) -> None:
    """The path is that of the payload; a field that does not fit is a problem of the event, and no error."""
    if isinstance(frame, dict):
        assert path in decode_event(json.dumps(frame)).problems
        return
    with pytest.raises(DecodeError) as caught:
        decode_event(frame)

    assert path == caught.value.path
    assert said in str(caught.value)
    assert caught.value.event_type == (frame["type"] if isinstance(frame, dict) else None)
    assert isinstance(decode_event(json.dumps(DELTA)), ResponseOutputAudioDelta)


def test_a_decode_error_quotes_the_beginning_of_the_frame() -> None:
    """Enough to recognise it; a long one is cut."""
    with pytest.raises(DecodeError) as caught:
        decode_event(json.dumps({**DELTA, "type": 7, "pad": "x" * 1000}).encode())

    assert caught.value.payload.startswith('{"type": 7')
    assert len(caught.value.payload) == 200


@pytest.mark.parametrize(
    ("fields", "cls"),
    [
        ({"type": "realtime"}, Session),
        ({}, Session),
        ({"type": "of the future"}, Session),
        ({"type": "transcription"}, TranscriptionSession),
        ({"object": "realtime.transcription_session"}, TranscriptionSession),
        (
            {"type": "translation", "id": "s", "audio": {}, "expires_at": 1, "model": "m"},
            TranslationSession,
        ),
    ],
)
def test_three_kinds_of_session_are_told_apart(fields: dict[str, Any], cls: type[ProtocolObject]) -> None:
    """By type, or by object where there is no type."""
    created = event(type="session.created", session=fields)

    assert isinstance(created, SessionCreated)
    assert type(created.session) is cls


def test_kinds_newer_than_this_library_do_not_break_what_they_are_in() -> None:
    """An unknown item, tool, voice, truncation or prompt variable is kept."""
    session = {
        "type": "realtime",
        "tools": [{"type": "clairvoyance", "range": 7}],
        "truncation": {"type": "forget_me_not", "flowers": 3},
        "prompt": {"id": "p", "variables": {"v": {"type": "input_scent", "n": 1}}},
        "audio": {"output": {"voice": {"type": "azure-standard", "name": "en-US-Ava"}}},
    }
    created = event(type="session.created", session=session)
    assert created.session.tools == [FunctionTool(type="clairvoyance", extra={"range": 7})]
    assert created.session.truncation == RetentionRatio(type="forget_me_not", extra={"flowers": 3})
    assert created.session.prompt.variables == {"v": {"type": "input_scent", "n": 1}}
    assert isinstance(created.session.voice, CustomVoice)
    assert json.loads(encode(created, GA))["session"] == session

    item = {"type": "hologram", "id": "i", "depth": 3}
    added = event(type="conversation.item.added", item=item)
    assert added.item == UnknownItem(type="hologram", id="i", extra={"depth": 3})
    assert json.loads(encode(added, GA))["item"] == item


def test_both_places_of_a_setting_are_kept_apart() -> None:
    """A frame that says a thing flat and nested loses neither."""
    session = {"voice": "flat", "audio": {"output": {"voice": "nested"}}}

    created = event(type="session.created", session=session)

    assert created.session.voice == "flat"
    assert created.session.extra == {"audio": {"output": {"voice": "nested"}}}
    assert created.raw["session"] == session


def test_a_field_called_like_ours_is_not_mixed_up() -> None:
    """``extra`` and ``raw`` may be names on the wire as well."""
    done = event(type="response.done", response={"raw": 1, "extra": {"a": 2}}, raw=3, extra=4)

    assert done.extra == {"raw": 3, "extra": 4}
    assert done.response.extra == {"raw": 1, "extra": {"a": 2}}
    back = json.loads(encode(done, GA))
    assert (back["raw"], back["extra"], back["response"]) == (3, 4, {"raw": 1, "extra": {"a": 2}})


def test_the_last_of_duplicate_keys_counts() -> None:
    """As everywhere in JSON."""
    text = json.dumps(DELTA)[:-1] + ', "delta": "AQ=="}'
    assert decode_event(text).audio == b"\x01"  # type: ignore[attr-defined]


def test_nothing_happens_on_construction() -> None:
    """Reading goes past ``__init__``, so no class may want to do something there."""
    for cls in all_shapes():
        assert not hasattr(cls, "__attrs_post_init__")
        for a in attrs.fields(cls):
            assert a.validator is None  # a converter lets mappings stand for objects, and no more
            assert a.name in ("extra", "raw") or not isinstance(a.default, attrs.Factory)  # type: ignore[arg-type]


def all_shapes() -> list[type[ProtocolObject]]:
    found: list[type[ProtocolObject]] = []
    waiting: list[type[ProtocolObject]] = [ProtocolObject]
    while waiting:
        cls = waiting.pop()
        waiting += [sub for sub in cls.__subclasses__() if sub.__module__.startswith("azure_rt_audio.")]
        found.append(cls)
    return found


def test_what_is_read_is_what_is_constructed() -> None:
    """An event from the wire and one made by hand are equal and equally guarded."""
    read = decode_event(json.dumps(DELTA))
    made = ResponseOutputAudioDelta(**{key: value for key, value in DELTA.items() if key != "type"})  # type: ignore[arg-type]

    assert made == read
    assert vars(made).keys() == vars(read).keys()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        read.delta = "x"  # type: ignore[attr-defined]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del read.extra
    assert made != 7
    assert attrs.evolve(made, delta="BB==") != made


# ---------------------------------------------------------------- unset and null


def test_unset_is_not_null() -> None:
    """``None`` clears a setting and is sent; what is unset is not."""
    config = SessionConfig(turn_detection=None, input_audio_transcription=None)

    assert to_json(config) == {"turn_detection": None, "input_audio_transcription": None}
    assert to_json(SessionConfig()) == {}
    assert to_json(ResponseConfig(metadata=None)) == {"metadata": None}
    assert config.voice is UNSET
    assert not UNSET
    assert repr(UNSET) == "UNSET"


def test_outside_of_configurations_none_means_not_sent() -> None:
    """A command without an id has none on the wire; an explicit null is put into ``extra``."""
    assert json.loads(encode(ResponseCreate(), GA)) == {"type": "response.create"}
    assert to_json(TurnDetection(idle_timeout_ms=None)) == {"type": "server_vad"}
    cleared = TurnDetection(extra={"idle_timeout_ms": None})
    assert to_json(cleared) == {"type": "server_vad", "idle_timeout_ms": None}
    assert to_json(attrs.evolve(cleared, idle_timeout_ms=6000)) == {
        "type": "server_vad",
        "idle_timeout_ms": 6000,
    }


def test_a_null_that_was_read_is_told_from_nothing() -> None:
    """The attribute is ``None`` both times; ``extra`` knows the difference."""
    given = event(type="response.created", response={"conversation_id": None})
    absent = event(type="response.created", response={})

    assert isinstance(given, ResponseCreated)
    assert given.response.conversation_id is absent.response.conversation_id is None
    assert given.response.extra == {"conversation_id": None}
    assert absent.response.extra == {}


def test_the_default_configuration_is_the_one_of_the_original() -> None:
    """What a client asks for that was told nothing."""
    assert to_json(DEFAULTS) == {
        "instructions": "Call provided tools if appropriate for the user's input.",
        "voice": "alloy",
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "turn_detection": {"type": "server_vad", "threshold": 0.4, "silence_duration_ms": 600},
    }


# ---------------------------------------------------------------- what users write


class Voice(str, enum.Enum):
    """An enumeration of a user's own."""

    ALLOY = "alloy"


EXPECTED = SessionConfig(
    voice="alloy",
    turn_detection=TurnDetection(type="server_vad", threshold=0.5, silence_duration_ms=800),
    max_response_output_tokens=100,
    input_audio_format="pcm16",
    tool_choice=ToolChoice(name="f"),
    tools=[FunctionTool(name="f", parameters={"type": "object", "additionalProperties": False})],
)


@pytest.mark.parametrize(
    "written",
    [
        {
            "voice": "alloy",
            "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 800},
            "max_response_output_tokens": 100,
            "input_audio_format": "pcm16",
            "tool_choice": {"type": "function", "name": "f"},
            "tools": [
                {
                    "type": "function",
                    "name": "f",
                    "parameters": {"type": "object", "additionalProperties": False},
                }
            ],
        },
        {
            "voice": Voice.ALLOY,
            "turnDetection": {"type": "server_vad", "threshold": 0.5, "silenceDurationMs": 800},
            "maxResponseOutputTokens": 100,
            "inputAudioFormat": "pcm16",
            "toolChoice": {"type": "function", "function": {"name": "f"}},
            "tools": ({"name": "f", "parameters": {"type": "object", "additionalProperties": False}},),
        },
        {
            "type": "realtime",
            "max_output_tokens": 100,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 800},
                },
                "output": {"voice": "alloy"},
            },
            "tool_choice": {"type": "function", "name": "f"},
            "tools": [{"name": "f", "parameters": {"type": "object", "additionalProperties": False}}],
        },
        {
            "voice": "alloy",
            "turn_detection": TurnDetection(threshold=0.5, silence_duration_ms=800),
            "max_response_output_tokens": 100,
            "input_audio_format": "pcm16",
            "tool_choice": ToolChoice(name="f"),
            "tools": [FunctionTool(name="f", parameters={"type": "object", "additionalProperties": False})],
        },
        MappingProxyType(to_json(EXPECTED)),
        EXPECTED,
    ],
    ids=["flat", "camelCase", "nested", "objects", "read-only", "object"],
)
def test_a_configuration_can_be_written_in_many_ways(written: Any) -> None:
    """Flat, in camelCase, nested as on GA, with objects in it, or as an object."""
    assert build(SessionConfig, written, "session_config") == EXPECTED


def test_nothing_written_is_nothing_asked() -> None:
    """``None`` and an empty mapping leave everything as it is."""
    assert build(SessionConfig, None, "session_config") == SessionConfig()
    assert build(ResponseConfig, {}, "response_config") == ResponseConfig()


def test_a_null_from_the_user_is_sent() -> None:
    """It clears, also inside of an object."""
    config = build(SessionConfig, {"turn_detection": None}, "session_config")
    assert config == SessionConfig(turn_detection=None)
    config = build(SessionConfig, {"turn_detection": {"idle_timeout_ms": None}}, "session_config")
    assert to_json(config) == {"turn_detection": {"type": "server_vad", "idle_timeout_ms": None}}


def test_what_is_the_users_own_is_left_as_it_is() -> None:
    """Names in schemas, metadata and headers are nobody's business."""
    schema = {"type": "object", "properties": {"someName": {"type": "string"}}}
    tools = [
        {"name": "f", "parameters": schema},
        {"type": "mcp", "serverLabel": "s", "headers": {"someHeader": "x"}},
    ]
    config = build(SessionConfig, {"tools": tools}, "session_config")
    assert config.tools == [
        FunctionTool(name="f", parameters=schema),
        McpTool(server_label="s", headers={"someHeader": "x"}),
    ]
    response = build(ResponseConfig, {"metadata": {"myKey": "x"}}, "response_config")
    assert response.metadata == {"myKey": "x"}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            {"tempature": 1},
            "session_config.tempature: not a field of SessionConfig; did you mean 'temperature'?",
        ),
        (
            {"zzz": 1},
            "session_config.zzz: not a field of SessionConfig; to send a field that this version does not "
            'know, put it into "extra"',
        ),
        ({"extra": 7}, "session_config.extra: expected a mapping, got int 7"),
        ({"turn_detection": {"treshold": 1}}, "session_config.turn_detection.treshold: not a field of "),
        ({"turnDetection": {"silenceMs": 1}}, "did you mean 'silence_duration_ms'?"),
        ({"voice": "a", "Voice": "b"}, "session_config.Voice: not a field"),
        (
            {"input_audio_format": "pcm16", "inputAudioFormat": "pcm16"},
            "session_config.input_audio_format: given twice",
        ),
        ({"voice": 7}, "session_config.voice: expected a string or an object, got int 7"),
        ({"voice": None}, "session_config.voice: expected a string or an object, got null"),
        ({"temperature": "hot"}, "session_config.temperature: expected a number, got str 'hot'"),
        ({"temperature": 10**400}, "session_config.temperature: expected a number, got int 1000"),
        ({"temperature": True}, "session_config.temperature: expected a number, got bool True"),
        ({"tools": {"name": "f"}}, "session_config.tools: expected a list, got dict"),
        ({"tools": [7]}, "session_config.tools[0]: expected an object, got int 7"),
        ({"tools": [{"type": "fnction"}]}, "session_config.tools[0].type: expected one of function, mcp"),
        ({"tools": [{"type": "mcp"}]}, "session_config.tools[0].server_label: required field missing"),
        (
            {"turn_detection": "server_vad"},
            "session_config.turn_detection: expected a mapping or a TurnDetection",
        ),
        ({"turn_detection": FunctionTool(name="f")}, "session_config.turn_detection: expected a mapping"),
        ({"type": "transcription"}, "session_config.type: must be 'realtime' in a SessionConfig"),
        ({"id": "sess_1"}, "session_config.id: not a field of SessionConfig"),
        ({"audio": 7}, "session_config.audio: expected a mapping, got int 7"),
        ({"audio": {"inputt": {}}}, "session_config.audio.inputt: not a field of SessionConfig"),
        ({"audio": {"input": 7}}, "session_config.audio.input: expected a mapping, got int 7"),
        ({"audio": {"input": {"fromat": "x"}}}, "session_config.audio.input.fromat: not a field of "),
        ({"audio": {"input": {"fromat": "x"}}}, "did you mean 'format'?"),
        (
            {"audio": {"input": {"turn_detection": {"threshold": "x"}}}},
            "session_config.audio.input.turn_detection.threshold: expected a number",
        ),
        ({7: 1}, "session_config: names of fields are strings, not 7"),
    ],
)
def test_a_mistake_is_named_with_its_path_and_a_remedy(written: Any, said: str) -> None:
    """Before anything is sent, and in the place where it was written."""
    with pytest.raises(ValueError, match=r"^session_config") as caught:
        build(SessionConfig, written, "session_config")

    assert said in str(caught.value)


@pytest.mark.parametrize("written", [7, "alloy", ["voice"], Session()])
def test_what_is_neither_object_nor_mapping_is_a_type_error(written: Any) -> None:
    """The error says what it should be."""
    with pytest.raises(TypeError, match="session_config must be a SessionConfig or a mapping"):
        build(SessionConfig, written, "session_config")
    with pytest.raises(TypeError, match="item must be a conversation item or a mapping"):
        build_item(written, "item")


def test_an_object_with_something_new_may_stand_in_a_mapping() -> None:
    """The remedy that the error names works at every level."""
    written = {"turn_detection": TurnDetection(extra={"brand_new": 1})}

    config = build(SessionConfig, written, "session_config")

    assert to_json(config) == {"turn_detection": {"type": "server_vad", "brand_new": 1}}


def test_items_are_built_by_type() -> None:
    """A mapping without a type is a message; an unknown one is refused with the known ones."""
    content = [{"type": "input_text", "text": "hello"}]
    message = MessageItem(role="user", content=[ContentPart(type="input_text", text="hello")])

    assert message == build_item({"type": "message", "role": "user", "content": content}, "item")
    assert message == build_item({"role": "user", "content": content}, "item")
    assert message == build_item(message, "item")
    assert build_item({"type": "function_call", "callId": "c"}, "item") == FunctionCallItem(call_id="c")
    new = UnknownItem(type="hologram", extra={"depth": 3})
    assert new == build_item(new, "item")
    with pytest.raises(ValueError, match=r"item\.type: expected one of message, function_call, .*'mesage'"):
        build_item({"type": "mesage", "role": "user"}, "item")
    with pytest.raises(
        ValueError, match=r"content\[0\]\.txt: not a field of ContentPart; did you mean 'text'"
    ):
        build_item({"role": "user", "content": [{"type": "input_text", "txt": "x"}]}, "item")
    with pytest.raises(ValueError, match=r"item\.call_id: required field missing"):
        build_item({"type": "function_call_output", "output": "x"}, "item")


def test_commands_can_be_built() -> None:
    """From mappings too, with objects in them."""
    update = {"session": SessionConfig(voice="alloy"), "eventId": "e"}
    assert build(SessionUpdate, update, "command") == SessionUpdate(
        session=SessionConfig(voice="alloy"), event_id="e"
    )
    translation = TranslationSessionConfig()
    assert build(SessionUpdate, {"session": translation}, "command").session is translation
    with pytest.raises(ValueError, match=r"^command\.session: required field missing$"):
        build(SessionUpdate, {"type": "session.update"}, "command")


def test_other_things_can_be_built() -> None:
    """Responses with items, transcription sessions, prompts."""
    response = build(
        ResponseConfig,
        {"input": [{"type": "item_reference", "id": "i"}], "maxOutputTokens": "inf"},
        "response",
    )
    assert response == ResponseConfig(input=[ItemReference(id="i")], max_output_tokens="inf")
    transcription = build(
        TranscriptionSessionConfig,
        {"type": "transcription", "audio": {"input": {"transcription": {"model": "w"}}}},
        "session_config",
    )
    assert transcription == TranscriptionSessionConfig(
        input_audio_transcription=InputAudioTranscription(model="w")
    )
    prompt = build(
        Prompt, {"id": "p", "variables": {"a": "x", "b": {"type": "input_text", "text": "y"}}}, "prompt"
    )
    assert prompt.variables == {"a": "x", "b": PromptText(text="y")}


# ---------------------------------------------------------------- objects with the wrong things in them


def test_a_mapping_given_to_a_constructor_becomes_an_object() -> None:
    """Nobody stops a user from it, and it means the same."""
    loose = SessionConfig(turn_detection={"threshold": 0.5}, tools=({"name": "f"},))

    expected = SessionConfig(turn_detection=TurnDetection(threshold=0.5), tools=[FunctionTool(name="f")])
    assert typed(loose) == expected
    message = json.loads(encode(SessionUpdate(session=loose), GA))
    assert message["session"]["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
    }
    assert message["session"]["tools"] == [{"type": "function", "name": "f"}]


def test_a_wrong_value_given_to_a_constructor_is_found() -> None:
    """With its path, before it is sent."""
    loose = ResponseCreate(response=ResponseConfig(input=[MessageItem(content=[ContentPart(text=7)])]))  # type: ignore[arg-type]

    with pytest.raises(
        ValueError, match=r"^response\.input\[0\]\.content\[0\]\.text: expected a string, got int 7$"
    ):
        typed(loose)
    with pytest.raises(ValueError, match=r"^audio_end_ms: expected a whole number, got float 0\.5$"):
        typed(ConversationItemTruncate(item_id="i", content_index=0, audio_end_ms=0.5))  # type: ignore[arg-type]


def test_extra_is_beyond_doubt() -> None:
    """Whoever uses it knows better; it may even stand for a field that exists."""
    loose = SessionConfig(extra={"voice": {"type": "azure-standard", "name": "Ava"}, "temperature": "hot"})

    assert typed(loose) == SessionConfig()
    assert json.loads(encode(SessionUpdate(session=loose), PREVIEW))["session"]["voice"]["name"] == "Ava"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"a": object()}, "object"),
        ({"a": {1, 2}}, "set"),
        ({"a": b"bytes"}, "bytes"),
        ({1: "a"}, "str"),
    ],
)
def test_what_json_cannot_express_is_a_type_error(parameters: Any, said: str) -> None:
    """It names the command; no exception of a dependency comes through."""
    update = SessionUpdate(session=SessionConfig(tools=[FunctionTool(name="f", parameters=parameters)]))

    with pytest.raises(
        TypeError, match=r"^session\.update holds something that JSON cannot express"
    ) as caught:
        encode(update, GA)
    assert said in str(caught.value)
    assert type(caught.value) is TypeError


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (
            {"a": ["", "b\ud800"]},
            "session.tools[0].parameters.a[1] has half a character (a surrogate, U+D800)",
        ),
        ({"a": {"\udfff": 1}}, "a name in session.tools[0].parameters.a has half a character"),
        ({"a": 2**64}, "session.tools[0].parameters.a is a whole number beyond 64 bits"),
        ({"a": -(2**63) - 1}, "session.tools[0].parameters.a is a whole number beyond 64 bits"),
    ],
)
def test_texts_and_numbers_that_json_cannot_express_are_named(parameters: Any, said: str) -> None:
    """By their path, as any value that cannot be right."""
    update = SessionUpdate(session=SessionConfig(tools=[FunctionTool(name="f", parameters=parameters)]))

    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        encode(update, GA)


def test_what_is_nested_too_deeply_is_a_type_error() -> None:
    """Rather than the end of the stack."""
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}

    update = SessionUpdate(session=SessionConfig(tools=[FunctionTool(name="f", parameters=deep)]))
    with pytest.raises(TypeError, match="JSON cannot express"):
        encode(update, GA)


def test_any_mapping_may_stand_for_an_object() -> None:
    """Read-only ones too, in free-form fields as well."""
    schema = MappingProxyType({"type": "object", "properties": MappingProxyType({})})
    config = SessionConfig(tools=[FunctionTool(name="f", parameters=schema)])

    message = json.loads(encode(SessionUpdate(session=config), GA))

    assert message["session"]["tools"][0]["parameters"] == {"type": "object", "properties": {}}
    metadata = ResponseCreate(response=ResponseConfig(metadata=MappingProxyType({"a": "b"})))
    assert json.loads(encode(metadata, GA))["response"] == {"metadata": {"a": "b"}}
    assert json.loads(encode(ResponseCreate(extra={"x": ToolChoice(name="f")}), GA))["x"]["name"] == "f"


# ---------------------------------------------------------------- secrets and length

SECRET = "S3CRET"


@pytest.mark.parametrize(
    "shape",
    [
        ClientSecret(value=SECRET, expires_at=1),
        McpTool(server_label="s", authorization=SECRET, headers={"x": SECRET}),
        SessionConfig(tools=[McpTool(server_label="s", authorization=f"Bearer {SECRET}")]),
        Session(client_secret=ClientSecret(value=SECRET, expires_at=1)),
        SessionConfig(extra={"api_key": SECRET}),
        ResponseOutputAudioDelta(
            response_id="r", item_id="i", output_index=0, content_index=0, delta=SECRET, raw={"x": SECRET}
        ),
        InputAudioBufferAppend(audio=SECRET),
        ContentPart(type="input_audio", audio=SECRET),
    ],
)
def test_a_repr_shows_no_secret_and_no_sound(shape: ProtocolObject) -> None:
    """Whatever may be logged by accident is safe and short."""
    assert SECRET not in repr(shape)


def test_a_repr_shows_what_is_set() -> None:
    """And nothing else; a session has thirty fields."""
    assert repr(SessionConfig(voice="alloy", turn_detection=None)) == (
        "SessionConfig(voice='alloy', turn_detection=None)"
    )
    assert repr(ContentPart(type="audio", audio="AAAA")) == "ContentPart(type='audio', audio=<4 characters>)"
    assert repr(TurnDetection(extra={"a": 1})) == "TurnDetection(extra=<1>)"
    assert repr(ResponseCreate(event_id="e")) == "ResponseCreate(event_id='e')"


@pytest.mark.parametrize(
    "frame",
    [
        {
            "type": "session.created",
            "session": {"client_secret": {"value": {"value": SECRET}, "expires_at": 1}},
        },
        {"type": "session.created", "session": {"client_secret": {"value": SECRET, "expires_at": "x"}}},
        {"type": "session.created", "session": {"client_secret": {"value": SECRET}}},
        {"type": "session.created", "session": {"tools": [{"type": "mcp", "authorization": SECRET}]}},
        {
            "type": "session.created",
            "session": {"tools": [{"type": "mcp", "headers": {"a": SECRET, "b": 7}}]},
        },
        {"type": "session.created", "session": {"tools": [{"type": "mcp", "headers": f"Bearer {SECRET}"}]}},
    ],
)
def test_a_problem_shows_no_secret(frame: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """What does not fit is logged without its value where that may be a secret."""
    assert decode_event(json.dumps(frame), Quirks()).problems
    assert caplog.text
    assert SECRET not in caplog.text


def test_an_error_about_what_a_user_wrote_shows_no_secret() -> None:
    """A header where a mapping belongs is not repeated."""
    tools = [{"type": "mcp", "server_label": "s", "headers": f"Authorization: Bearer {SECRET}"}]
    with pytest.raises(
        ValueError, match=r"session_config\.tools\[0\]\.headers: expected an object"
    ) as caught:
        build(SessionConfig, {"tools": tools}, "session_config")

    assert SECRET not in str(caught.value)


# ---------------------------------------------------------------- small things on objects


def test_a_response_tells_what_was_said_and_asked_for() -> None:
    """Texts and transcripts of all messages, and the calls, in order."""
    done = event(
        type="response.done",
        response={
            "status": "completed",
            "output": [
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "One. "}],
                },
                {"type": "function_call", "name": "f", "call_id": "c1", "arguments": "{}"},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_audio", "transcript": "Two."}, {"type": "audio"}],
                },
                {"type": "function_call", "name": "g", "call_id": "c2", "arguments": "{}"},
                {"type": "hologram"},
            ],
        },
    )

    assert isinstance(done, ResponseDone)
    assert done.response.is_completed
    assert done.response.text == "One. Two."
    assert [call.name for call in done.response.function_calls] == ["f", "g"]
    assert Response().text == ""
    assert Response().function_calls == []
    assert not Response().is_completed


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (None, None),
        ({}, None),
        ({"type": "cancelled", "reason": "turn_detected"}, "turn_detected"),
        ({"type": "failed", "error": {"code": "rate_limit_exceeded", "message": "m"}}, "rate_limit_exceeded"),
        ({"type": "failed", "error": {"type": "server_error", "message": "m"}}, "m"),
        ({"type": "failed", "error": {}}, None),
        ({"type": "failed", "reason": "r", "error": {"code": "c"}}, "r"),
    ],
)
def test_a_response_tells_why_it_did_not_complete(details: Any, expected: str | None) -> None:
    """The service's reason, or its error's code, or at least its words."""
    assert structure({"status_details": details}, Response).reason == expected


def test_the_first_previews_content_event_is_read() -> None:
    """It says ``content`` for ``part``; it is kept, and the event is not lost."""
    added = event(
        type="response.content_part.added",
        response_id="r",
        item_id="i",
        output_index=0,
        content_index=0,
        content={"type": "text"},
    )
    assert isinstance(added, ResponseContentPartAdded)
    assert added.part is None
    assert added.extra == {"content": {"type": "text"}}


def test_errors_of_the_service_are_events() -> None:
    """Only type and message are sure to be there."""
    error = event(type="error", event_id=None, error={"type": "server_error", "message": "m"})
    assert isinstance(error, Error)
    assert (error.event_id, error.error.code, error.error.event_id) == (None, None, None)


def test_an_append_is_encoded_without_much_ado() -> None:
    """Half a minute of sound in, the same out."""
    audio = base64.b64encode(bytes(48 * 30_000)).decode()
    assert json.loads(encode(InputAudioBufferAppend(audio=audio, event_id="e"), PREVIEW)) == {
        "type": "input_audio_buffer.append",
        "event_id": "e",
        "audio": audio,
    }
    create = ConversationItemCreate(item=MessageItem(role="user"), previous_item_id="p")
    assert json.loads(encode(create, GA))["previous_item_id"] == "p"


def test_importing_builds_nothing_and_the_first_client_what_events_need() -> None:
    """The first event is as fast as the next, and what a client never needs costs it nothing."""
    code = (
        "import sys, azure_rt_audio\n"
        "from azure_rt_audio.protocol import events; from azure_rt_audio.protocol.codec import codec\n"
        "assert not codec._event_hooks and 'cattrs' not in sys.modules\n"
        "options = {'host_name': 'ws://127.0.0.1:1', 'deployment': 'm', 'api_key': 'k'}\n"
        "azure_rt_audio.AzureRealTimeAudio(options).close()\n"
        "assert set(codec._event_hooks) >= set(events.EVENT_CLASSES)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_an_event_can_be_decoded_without_a_client() -> None:
    """The first one builds the hooks, which both names of an event share."""
    code = (
        "from azure_rt_audio.protocol.codec import codec\n"
        'event = codec.decode_event(b\'{"type":"input_audio_buffer.cleared","event_id":"e"}\')\n'
        "assert type(event).__name__ == 'InputAudioBufferCleared'\n"
        "hooks = codec._event_hooks\n"
        "assert hooks['response.audio.delta'] is hooks['response.output_audio.delta']\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("version", ["v1", "2025-04-01-preview"])
@pytest.mark.parametrize("size", [0, 1, 960, 4800, 100_000])
def test_the_short_way_of_an_append_says_the_same(version: str, size: int) -> None:
    """What is written for audio without a detour is what the codec writes, byte for byte."""
    text = base64.b64encode(bytes(index % 251 for index in range(size)))
    dialect = choose_dialect(version, None)

    assert encode_append(text) == encode(InputAudioBufferAppend(audio=text.decode()), dialect)
