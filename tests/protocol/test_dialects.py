"""GA and preview: names, shapes both ways, and what neither can carry."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import pytest
from catalogues import catalogue
from hypothesis import given
from hypothesis import strategies as st
from reading import read_command, structure

from azure_rt_audio.protocol.base import UNSET, ProtocolObject
from azure_rt_audio.protocol.checks import check_command
from azure_rt_audio.protocol.codec import build, encode, to_json
from azure_rt_audio.protocol.commands import (
    Command,
    ConversationItemCreate,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
    TranscriptionSessionUpdate,
)
from azure_rt_audio.protocol.dialects import (
    PREVIEW_NAMES,
    Dialect,
    GaDialect,
    PreviewDialect,
    canonical_name,
    choose_dialect,
)
from azure_rt_audio.protocol.dialects.nesting import (
    RESPONSE,
    SESSION,
    flat_choice,
    flat_part,
)
from azure_rt_audio.protocol.endpoint import parse_endpoint
from azure_rt_audio.protocol.items import ContentPart, MessageItem
from azure_rt_audio.protocol.responses import ResponseConfig
from azure_rt_audio.protocol.session import (
    ClientSecretConfig,
    ClientSecretExpiry,
    CustomVoice,
    InputAudioTranscription,
    NoiseReduction,
    Reasoning,
    Session,
    SessionConfig,
    TracingConfig,
    TranscriptionSessionConfig,
    TurnDetection,
)
from azure_rt_audio.protocol.tools import FunctionTool, ToolChoice

GA = GaDialect("v1")
PREVIEW = PreviewDialect("2025-04-01-preview")
FIRST = PreviewDialect("2024-10-01-preview")


def said(command: Command, dialect: Dialect) -> tuple[dict[str, Any], list[str]]:
    """Return a command as on the wire, and what was left out."""
    left_out: list[str] = []
    message = json.loads(encode(command, dialect, left_out.append))
    return message, left_out


# ---------------------------------------------------------------- choosing


@pytest.mark.parametrize(
    ("api_version", "name", "expected"),
    [
        ("v1", None, GA),
        ("2024-10-01-preview", None, FIRST),
        ("2025-04-01-preview", None, PREVIEW),
        ("2025-08-28", None, PreviewDialect("2025-08-28")),
        ("v1", "preview", PREVIEW),
        ("2024-10-01-preview", "ga", GA),
        ("2024-10-01-preview", "preview", FIRST),
        ("latest", "ga", GA),
        ("latest", "preview", PREVIEW),
    ],
)
def test_the_version_chooses_the_dialect(api_version: str, name: str | None, expected: Dialect) -> None:
    """A date is preview and "v1" GA, unless the dialect says otherwise."""
    assert expected == choose_dialect(api_version, name)


@pytest.mark.parametrize(
    ("api_version", "name", "match"),
    [
        ("latest", None, "api_version"),
        ("", None, "api_version"),
        ("V1", None, "api_version"),
        ("2024-10-01-preview ", None, "api_version"),
        ("v1", "GA", "dialect must be"),
        ("v1", "", "dialect must be"),
    ],
)
def test_what_is_no_version_is_refused(api_version: str, name: str | None, match: str) -> None:
    """The error says what a version or a dialect looks like."""
    with pytest.raises(ValueError, match=match):
        choose_dialect(api_version, name)


@pytest.mark.parametrize(("ours", "preview"), PREVIEW_NAMES.items())
def test_names_go_both_ways(ours: str, preview: str) -> None:
    """Each dialect has its name, and both lead back to the library's."""
    assert ours == GA.wire_name(preview)
    assert preview == PREVIEW.wire_name(ours)
    assert ours == canonical_name(preview)
    assert ours == canonical_name(ours)
    assert GA.wire_name("response.done") == PREVIEW.wire_name("response.done") == "response.done"


def test_only_the_first_preview_cannot_mark_responses() -> None:
    """Metadata and responses beside the conversation came later."""
    assert (GA.carries_metadata, PREVIEW.carries_metadata, FIRST.carries_metadata) == (True, True, False)
    assert not GA.why_not("out_of_band")
    assert not PREVIEW.why_not("out_of_band")
    assert "use a later api_version" in PreviewDialect("2024-10-01").why_not("out_of_band")


# ---------------------------------------------------------------- flat and nested, both ways

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
unknown = st.dictionaries(st.sampled_from(["x_one", "x_two", "temperature"]), json_values, max_size=2)
formats = st.sampled_from(
    [
        {"type": "audio/pcm", "rate": 24000},
        {"type": "audio/pcm"},
        {"type": "audio/pcm", "rate": 16000},
        {"type": "audio/pcmu"},
        {"type": "audio/pcmu", "rate": 8000},
        {"type": "audio/pcma"},
        {"type": "audio/opus", "bitrate": 3},
        {},
        None,
    ]
)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of these fields, and perhaps some nobody knows."""
    return st.tuples(st.fixed_dictionaries({}, optional=fields), unknown).map(lambda both: both[0] | both[1])


ga_sessions = some(
    type=st.just("realtime"),
    id=st.text(max_size=3),
    model=st.text(max_size=3),
    output_modalities=st.sampled_from([["audio"], ["text"], None]),
    max_output_tokens=st.sampled_from([1, "inf", None]),
    instructions=st.text(max_size=3),
    audio=some(
        input=some(
            format=formats,
            transcription=json_values,
            noise_reduction=json_values,
            turn_detection=json_values,
        ),
        output=some(format=formats, voice=st.text(max_size=3), speed=st.floats(0.25, 1.5)),
    ),
)
ga_responses = some(
    id=st.text(max_size=3),
    output_modalities=st.sampled_from([["audio"], ["text"]]),
    max_output_tokens=st.sampled_from([1, "inf"]),
    audio=some(output=some(format=formats, voice=st.text(max_size=3))),
)
flat_formats = st.sampled_from(["pcm16", "g711_ulaw", "g711_alaw"])
flat_sessions = some(
    modalities=st.sampled_from([["text", "audio"], ["text"]]),
    instructions=st.text(max_size=3),
    voice=st.text(max_size=3),
    input_audio_format=flat_formats,
    output_audio_format=flat_formats,
    input_audio_transcription=json_values,
    input_audio_noise_reduction=json_values,
    turn_detection=json_values,
    speed=st.floats(0.25, 1.5),
    max_response_output_tokens=st.sampled_from([1, "inf", None]),
)
flat_responses = some(
    modalities=st.sampled_from([["text", "audio"], ["text"]]),
    voice=st.text(max_size=3),
    output_audio_format=flat_formats,
    max_output_tokens=st.sampled_from([1, "inf"]),
)


@given(ga_sessions)
def test_a_ga_session_comes_back_from_the_flat_form(nested: dict[str, Any]) -> None:
    """Whatever GA sends, nothing is lost on the way through the library's vocabulary."""
    before = copy.deepcopy(nested)

    assert nested == SESSION.nest(SESSION.flatten(nested))
    assert before == nested, "and the frame itself is left as it is"


@given(flat_sessions)
def test_a_flat_session_comes_back_from_ga(flat: dict[str, Any]) -> None:
    """Whatever the library's vocabulary can say of a session, GA can."""
    assert flat == SESSION.flatten(SESSION.nest(flat))


@given(flat_sessions | ga_sessions)
def test_flattening_twice_is_flattening_once(session: dict[str, Any]) -> None:
    """The flat form is recognised as such."""
    assert SESSION.flatten(session) == SESSION.flatten(SESSION.flatten(session))


@given(ga_responses)
def test_a_ga_response_comes_back_from_the_flat_form(nested: dict[str, Any]) -> None:
    """The same for responses."""
    assert nested == RESPONSE.nest(RESPONSE.flatten(nested))


@given(flat_responses)
def test_a_flat_response_comes_back_from_ga(flat: dict[str, Any]) -> None:
    """The same for requests for a response."""
    assert flat == RESPONSE.flatten(RESPONSE.nest(flat))


@given(ga_sessions)
def test_every_flat_name_knows_where_it_came_from(nested: dict[str, Any]) -> None:
    """An error about a field of the flat form can point into the frame."""
    flat = SESSION.flatten(nested)
    for name in flat:
        found: Any = nested
        for step in SESSION.origin(nested, name).split("."):
            found = found[step]


@pytest.mark.parametrize(
    ("ga", "flat"),
    [
        ({"type": "audio/pcm", "rate": 24000}, "pcm16"),
        ({"type": "audio/pcm"}, "pcm16"),
        ({"type": "audio/pcmu"}, "g711_ulaw"),
        ({"type": "audio/pcmu", "rate": 8000}, "g711_ulaw"),
        ({"type": "audio/pcma"}, "g711_alaw"),
        ("pcm16", "pcm16"),
        ({"type": "audio/pcm", "rate": 16000}, None),
        ({"type": "audio/pcm", "channels": 2}, None),
        ({"type": "audio/opus"}, None),
    ],
)
def test_formats_have_names(ga: Any, flat: str | None) -> None:
    """GA's formats are understood in each of their spellings; others stay what they are."""
    session = structure({"audio": {"output": {"format": ga}}}, Session)

    assert flat == session.output_audio_format
    assert {"audio": {"output": {"format": ga}}} == SESSION.nest(to_json(session))


@pytest.mark.parametrize(
    ("flat", "ga"),
    [
        ("pcm16", {"type": "audio/pcm", "rate": 24000}),
        ("g711_ulaw", {"type": "audio/pcmu"}),
        ("g711_alaw", {"type": "audio/pcma"}),
        ("newer", {"type": "newer"}),
    ],
)
def test_formats_are_written_as_ga_wants_them(flat: str, ga: Any) -> None:
    """A name becomes an object, with the rate where it is asked for."""
    message, _ = said(SessionUpdate(session=SessionConfig(input_audio_format=flat)), GA)

    assert ga == message["session"]["audio"]["input"]["format"]


def test_a_changed_format_is_not_undone_by_what_was_read() -> None:
    """What the service wrote in another spelling is kept only while it is true."""
    session = structure({"audio": {"output": {"format": {"type": "audio/pcm"}}}}, Session)

    changed = attrs.evolve(session, output_audio_format="g711_alaw")

    assert SESSION.nest(to_json(changed)) == {"audio": {"output": {"format": {"type": "audio/pcma"}}}}


@pytest.mark.parametrize(
    ("modalities", "ga", "preview"),
    [
        (["text", "audio"], ["audio"], ["text", "audio"]),
        (["audio", "text"], ["audio"], ["audio", "text"]),
        (["audio"], ["audio"], ["text", "audio"]),
        (["text"], ["text"], ["text"]),
    ],
)
def test_modalities_are_said_as_each_service_wants_them(
    modalities: list[str], ga: list[str], preview: list[str]
) -> None:
    """GA never wants both, preview never wants sound alone."""
    for command in (
        SessionUpdate(session=SessionConfig(modalities=modalities)),
        ResponseCreate(response=ResponseConfig(modalities=modalities)),
    ):
        part = "session" if isinstance(command, SessionUpdate) else "response"
        assert ga == said(command, GA)[0][part]["output_modalities"]
        assert preview == said(command, PREVIEW)[0][part]["modalities"]


def test_a_session_says_its_type_on_ga_only() -> None:
    """GA requires it, preview refuses it."""
    speaking = SessionUpdate(session=SessionConfig(instructions="x"))
    writing = TranscriptionSessionUpdate(session=TranscriptionSessionConfig(include=["y"]))

    assert said(speaking, GA)[0] == {
        "type": "session.update",
        "session": {"type": "realtime", "instructions": "x"},
    }
    assert said(speaking, PREVIEW)[0] == {"type": "session.update", "session": {"instructions": "x"}}
    assert said(writing, GA)[0] == {
        "type": "session.update",
        "session": {"type": "transcription", "include": ["y"]},
    }
    assert said(writing, PREVIEW)[0] == {
        "type": "transcription_session.update",
        "session": {"include": ["y"]},
    }


@pytest.mark.parametrize("kind", ["text", "audio"])
def test_parts_of_the_assistant_have_two_names(kind: str) -> None:
    """``output_text`` is ``text``; the user's parts are called the same everywhere."""
    assert flat_part({"type": f"output_{kind}", "x": 1}) == {"type": kind, "x": 1}
    assert flat_part({"type": f"input_{kind}"}) == {"type": f"input_{kind}"}
    item = MessageItem(role="assistant", content=[ContentPart(type=kind, text="t")])
    create = ConversationItemCreate(item=item)

    assert said(create, GA)[0]["item"]["content"][0]["type"] == f"output_{kind}"
    assert kind == said(create, PREVIEW)[0]["item"]["content"][0]["type"]
    response = ResponseCreate(response=ResponseConfig(input=[item]))
    assert said(response, GA)[0]["response"]["input"][0]["content"][0]["type"] == f"output_{kind}"


def test_the_choice_of_a_function_is_said_as_the_first_preview_wants_it() -> None:
    """It nests the name; everyone else does not."""
    choice = ToolChoice(name="f")
    update = SessionUpdate(session=SessionConfig(tool_choice=choice))
    create = ResponseCreate(response=ResponseConfig(tool_choice=choice))
    nested = {"type": "function", "function": {"name": "f"}}

    for command, part in ((update, "session"), (create, "response")):
        assert nested == said(command, FIRST)[0][part]["tool_choice"]
        assert said(command, PREVIEW)[0][part]["tool_choice"] == {"type": "function", "name": "f"}
        assert said(command, GA)[0][part]["tool_choice"] == {"type": "function", "name": "f"}
    assert structure({"tool_choice": nested}, Session).tool_choice == choice
    assert flat_choice({"type": "function", "function": {"name": "f", "x": 1}}) == {
        "type": "function",
        "function": {"name": "f", "x": 1},
    }


def test_the_first_previews_spelling_of_null_is_understood() -> None:
    """Turn detection of type "none" is none."""
    assert structure({"turn_detection": {"type": "none"}}, Session).turn_detection is None
    config = build(SessionConfig, {"turn_detection": {"type": "none"}}, "session_config")
    assert said(SessionUpdate(session=config), FIRST)[0]["session"] == {"turn_detection": None}


# ---------------------------------------------------------------- what cannot be carried

EVERYTHING: dict[str, ProtocolObject] = {
    "session": SessionConfig(
        model="m",
        modalities=["text"],
        instructions="i",
        voice="alloy",
        input_audio_format="pcm16",
        output_audio_format="pcm16",
        input_audio_transcription=InputAudioTranscription(
            model="m", language="en", prompt="p", keywords=["k"], languages=["en"], delay="low"
        ),
        input_audio_noise_reduction=NoiseReduction(type="near_field", strength=0.5),
        turn_detection=TurnDetection(
            threshold=0.5,
            prefix_padding_ms=1,
            silence_duration_ms=1,
            create_response=True,
            interrupt_response=True,
            eagerness="low",
            idle_timeout_ms=6000,
        ),
        speed=1.0,
        tools=[FunctionTool(name="f")],
        tool_choice="auto",
        temperature=0.8,
        max_response_output_tokens=1,
        tracing=TracingConfig(group_id="g"),
        include=["x"],
        parallel_tool_calls=True,
        reasoning=Reasoning(effort="low"),
        truncation="auto",
        prompt=None,
        client_secret=ClientSecretConfig(expires_after=ClientSecretExpiry(anchor="created_at", seconds=60)),
    ),
    "response": ResponseConfig(
        conversation="auto",
        input=[],
        modalities=["text"],
        instructions="i",
        voice="alloy",
        output_audio_format="pcm16",
        tools=[],
        tool_choice="auto",
        temperature=0.8,
        max_output_tokens=1,
        metadata={"a": "b"},
        prompt=None,
        parallel_tool_calls=True,
        reasoning=Reasoning(effort="low"),
        commit=True,
        cancel_previous=True,
        append_input_items=[],
        input_items=[],
    ),
}


def everything(kind: str) -> Command:
    config = EVERYTHING[kind]
    assert UNSET not in [getattr(config, a.name) for a in attrs.fields(type(config))]
    if isinstance(config, SessionConfig):
        return SessionUpdate(session=config)
    assert isinstance(config, ResponseConfig)
    return ResponseCreate(response=config)


def described(dialect: Dialect, name: str, path: str) -> set[str]:
    """Return the paths that a catalogue has for an object of preview, at a version."""
    paths = set()
    for field, facts in catalogue("preview")["objects"][name].items():
        first = dialect.api_version.startswith("2024-10-01")
        if first and not facts["since"].startswith("2024-10-01") if "since" in facts else False:
            continue
        if "until" in facts and not first:
            continue
        paths.add(f"{path}.{field}")
        kind = facts["type"].removeprefix("ref:")
        if kind in catalogue("preview")["objects"]:
            paths |= described(dialect, kind, f"{path}.{field}")
    return paths


def paths_in(value: Any, path: str) -> set[str]:
    found = {path}
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths_in(inner, f"{path}.{key}")
    return found


@pytest.mark.parametrize("dialect", [PREVIEW, FIRST], ids=["last preview", "first preview"])
@pytest.mark.parametrize(
    ("kind", "name"),
    [("session", "SessionUpdateEvent.Session"), ("response", "ResponseCreateEvent.Response")],
)
def test_preview_gets_what_it_knows_and_no_more(dialect: Dialect, kind: str, name: str) -> None:
    """Of everything one can ask for, what this version's catalogue lacks is left out by name."""
    message, left_out = said(everything(kind), dialect)

    known = described(dialect, name, kind)
    sent = paths_in(message[kind], kind) - {kind}
    inside_values = {path for path in sent if path.startswith(("response.metadata.", "session.tracing."))}
    assert sent - inside_values <= known
    asked = paths_in(to_json(EVERYTHING[kind]), kind) - {kind} - inside_values
    missing = {path for path in asked - sent if not any(path.startswith(f"{gone}.") for gone in left_out)}
    assert missing == set(left_out)
    assert len(left_out) == len(set(left_out))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("session", "RealtimeSessionCreateRequest"), ("response", "RealtimeResponseCreateParams")],
)
def test_ga_gets_what_it_knows_and_no_more(kind: str, name: str) -> None:
    """The same for GA; one call names each field that was left out."""
    message, left_out = said(everything(kind), GA)

    assert set(message[kind]) <= set(catalogue("ga")["objects"][name])
    expected = {
        "session": ["session.temperature", "session.client_secret"],
        "response": [
            "response.temperature",
            "response.commit",
            "response.cancel_previous",
            "response.append_input_items",
            "response.input_items",
        ],
    }
    assert expected[kind] == left_out


def test_a_transcription_session_on_ga_has_no_modalities() -> None:
    """It is named in the library's words."""
    config = TranscriptionSessionConfig(modalities=["text"], input_audio_format="pcm16")

    message, left_out = said(TranscriptionSessionUpdate(session=config), GA)

    assert left_out == ["session.modalities"]
    assert set(message["session"]) == {"type", "audio"}


@pytest.mark.parametrize(
    ("command", "dialect", "expected"),
    [
        (SessionUpdate(session=SessionConfig(voice=CustomVoice(id="v"))), PREVIEW, ["session.voice"]),
        (ResponseCreate(response=ResponseConfig(voice=CustomVoice(id="v"))), PREVIEW, ["response.voice"]),
        (ResponseCancel(response_id="r"), FIRST, ["response_id"]),
        (ResponseCancel(response_id="r"), PREVIEW, []),
    ],
)
def test_other_things_preview_cannot_carry(command: Command, dialect: Dialect, expected: list[str]) -> None:
    """Voices by id are GA's; the first preview cancels whatever runs."""
    message, left_out = said(command, dialect)

    assert expected == left_out
    for path in expected:
        assert path.rpartition(".")[2] not in json.dumps(message)


def test_ga_written_by_hand_can_be_said_on_preview() -> None:
    """A mapping in GA's nested form is translated, and a format of its own is left out by its path."""
    nested = {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {"format": {"type": "audio/pcm"}, "turn_detection": None},
            "output": {"format": {"type": "audio/opus"}, "voice": "marin"},
        },
    }
    config = build(SessionConfig, nested, "session_config")

    message, left_out = said(SessionUpdate(session=config), PREVIEW)

    assert message["session"] == {
        "modalities": ["text", "audio"],
        "input_audio_format": "pcm16",
        "turn_detection": None,
        "voice": "marin",
    }
    assert left_out == ["session.audio.output.format"]
    again, left_out = said(SessionUpdate(session=config), GA)
    assert nested == again["session"]
    assert left_out == []


def test_extra_goes_where_it_is_put() -> None:
    """A field newer than the library is sent in any dialect, also below ``audio``."""
    config = SessionConfig(voice="x", extra={"brand_new": 1, "audio": {"output": {"newer": 2}}})

    message, _ = said(SessionUpdate(session=config), GA)

    assert message["session"] == {
        "type": "realtime",
        "audio": {"output": {"newer": 2, "voice": "x"}},
        "brand_new": 1,
    }


def test_encoding_changes_nothing() -> None:
    """What was encoded can be encoded again, in either dialect."""
    command = everything("session")
    before = copy.deepcopy(command)

    first = [encode(command, dialect) for dialect in (GA, PREVIEW, FIRST)]

    assert before == command
    assert first == [encode(command, dialect) for dialect in (GA, PREVIEW, FIRST)]


def test_what_is_left_out_is_still_the_users() -> None:
    """A dictionary of the user's own is not changed, wherever it was put."""
    mine = {"type": "server_vad", "idle_timeout_ms": 6000}
    config = SessionConfig(extra={"turn_detection": mine})

    message, left_out = said(SessionUpdate(session=config), PREVIEW)

    assert message["session"] == {"turn_detection": {"type": "server_vad"}}
    assert left_out == ["session.turn_detection.idle_timeout_ms"]
    assert mine == {"type": "server_vad", "idle_timeout_ms": 6000}


def test_a_translation_update_stays_one() -> None:
    """GA's translation sessions have no type and are nested already."""
    text = {"type": "session.update", "session": {"audio": {"output": {"language": "es"}}}}

    assert text == json.loads(encode(read_command(json.dumps(text)), GA))


# ---------------------------------------------------------------- a further dialect


class NextDialect(GaDialect):
    """Another URL, one renamed event, one command and one field less."""

    names: ClassVar[Mapping[str, str]] = {"response.output_audio.delta": "response.sound.delta"}

    def path(self, deployment: str) -> str:
        return f"/next/realtime?agent={deployment}"

    def _lacks(self) -> Mapping[str, str]:
        return {"response.cancel": "answers here cannot be stopped"}

    def _not_carried(self, kind: str) -> tuple[str, ...]:
        return (*super()._not_carried(kind), "session.speed")


def test_a_further_dialect_is_one_class() -> None:
    """Whatever depends on the dialect asks it."""
    dialect = NextDialect("v1")

    assert parse_endpoint("res.example").url(dialect, "d") == "wss://res.example/next/realtime?agent=d"
    assert dialect.wire_name("response.audio.delta") == "response.sound.delta"
    with pytest.raises(ValueError, match="answers here cannot be stopped"):
        check_command(ResponseCancel(), dialect)
    message, left_out = said(SessionUpdate(session=SessionConfig(speed=1.2, voice="v")), dialect)
    assert message["session"] == {"type": "realtime", "audio": {"output": {"voice": "v"}}}
    assert left_out == ["session.speed"]
    assert dialect != GA
