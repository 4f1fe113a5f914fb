"""Configurations as users write them: flat or nested, over the defaults, with fields of tomorrow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from azure_rt_audio.protocol.base import UNSET
from azure_rt_audio.protocol.codec import build, encode, to_json
from azure_rt_audio.protocol.commands import SessionUpdate
from azure_rt_audio.protocol.dialects import choose_dialect
from azure_rt_audio.protocol.responses import ResponseConfig
from azure_rt_audio.protocol.session import (
    InputAudioTranscription,
    NoiseReduction,
    SessionConfig,
    TurnDetection,
)
from azure_rt_audio.protocol.session_defaults import DEFAULTS, with_defaults, with_transcription
from azure_rt_audio.protocol.tools import FunctionTool

DIALECTS = pytest.mark.parametrize("version", ["v1", "2025-04-01-preview"])

PASTED = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "turn_detection": {"type": "semantic_vad", "eagerness": "low"},
            "transcription": {"model": "whisper"},
            "noise_reduction": {"type": "near_field"},
        },
        "output": {"voice": "marin", "format": {"type": "audio/pcmu"}, "speed": 1.5},
    },
    "max_output_tokens": 100,
}
FLAT = SessionConfig(
    modalities=["text", "audio"],
    input_audio_format="pcm16",
    turn_detection=TurnDetection(type="semantic_vad", eagerness="low"),
    input_audio_transcription=InputAudioTranscription(model="whisper"),
    input_audio_noise_reduction=NoiseReduction(type="near_field"),
    voice="marin",
    output_audio_format="g711_ulaw",
    speed=1.5,
    max_response_output_tokens=100,
)


def sent(config: SessionConfig, version: str) -> dict[str, Any]:
    """What the service would get."""
    message = json.loads(encode(SessionUpdate(session=config), choose_dialect(version)))
    session: dict[str, Any] = message["session"]
    return session


@DIALECTS
def test_the_nested_form_is_the_flat_one(version: str) -> None:
    """A configuration from the service's pages means, and sends, the same as a flat one."""
    built = build(SessionConfig, PASTED, "session_config")

    assert built == FLAT
    assert sent(built, version) == sent(FLAT, version)


def test_objects_and_camel_case_stand_in_the_nested_form() -> None:
    """Objects and names in camelCase may be mixed into it."""
    nested = {
        "audio": {"input": {"turnDetection": TurnDetection(threshold=0.7)}},
        "outputModalities": ["text"],
    }

    assert build(SessionConfig, nested, "x") == SessionConfig(
        turn_detection=TurnDetection(threshold=0.7), modalities=["text"]
    )


@pytest.mark.parametrize(
    ("cls", "written", "message"),
    [
        (
            SessionConfig,
            {"voice": "alloy", "audio": {"output": {"voice": "marin"}}},
            "c.voice: given twice, the other time as audio.output.voice",
        ),
        (
            SessionConfig,
            {"turnDetection": None, "audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
            "c.turn_detection: given twice, the other time as audio.input.turn_detection",
        ),
        (
            SessionConfig,
            {"modalities": ["text"], "output_modalities": ["text"]},
            "c.modalities: given twice, the other time as output_modalities",
        ),
        (
            ResponseConfig,
            {"voice": "alloy", "audio": {"output": {"voice": "marin"}}},
            "c.voice: given twice, the other time as audio.output.voice",
        ),
        (
            SessionConfig,
            {"audio": {"output": {"vocie": "x"}}},
            "c.audio.output.vocie: .*did you mean 'voice'",
        ),
        (SessionConfig, {"audio": {"middle": {}}}, 'c.audio.middle: not a field .* put it into "extra"'),
        (
            SessionConfig,
            {"audio": {"outptu": {"voice": "x"}}},
            "c.audio.outptu: .*; did you mean 'output'\\? to send .* put it into \"extra\"",
        ),
        (
            SessionConfig,
            {"type": "session.update", "session": {"voice": "x"}},
            'c.session: give the content of "session" alone',
        ),
        (SessionConfig, {"session": {"voice": "x"}}, 'c.session: give the content of "session" alone'),
        (
            ResponseConfig,
            {"type": "response.create", "response": {}},
            'c.response: give the content of "response" alone',
        ),
        (SessionConfig, {"type": "realtme"}, "c.type: must be 'realtime' in a SessionConfig, not 'realtme'"),
        (
            SessionConfig,
            {"audio": {"input": {"turn_detection": {"treshold": 1}}}},
            r"c\.audio\.input\.turn_detection\.treshold: .*did you mean 'threshold'",
        ),
        (SessionConfig, {"turn_detection": {"x": 1}}, 'turn_detection.x: .* put it into "extra"'),
        (
            SessionConfig,
            {"voice": "y", "extra": {"voice": "x"}},
            "c.extra.voice: given twice",
        ),
        (SessionConfig, {"extra": {1: "x"}}, "c.extra: names of fields are strings"),
        (SessionConfig, {"extra": 5}, "c.extra: expected a mapping"),
        (
            SessionConfig,
            {"audio": {"input": {"format": "pcm16", "extra": {"format": 1}}}},
            "c.audio.input.extra.format: given twice",
        ),
    ],
)
def test_what_is_refused(cls: Any, written: dict[str, Any], message: str) -> None:
    """Both forms of a field at once, and unknown names, are refused by the path that was written."""
    with pytest.raises(ValueError, match=message):
        build(cls, written, "c")


@DIALECTS
def test_new_fields_go_through_extra(version: str) -> None:
    """What a mapping has in ``extra`` is sent as it is, at any depth."""
    config = build(
        SessionConfig,
        {
            "extra": {"newField": {"myKey": 1}},
            "turn_detection": {"type": "server_vad", "extra": {"model_version": "2"}},
            "input_audio_transcription": {"model": "w", "extra": {"diarize": True}},
        },
        "session_config",
    )

    session = sent(config, version)
    source = session.get("audio", {}).get("input", session)
    assert session["newField"] == {"myKey": 1}
    assert source["turn_detection"]["model_version"] == "2"
    assert source.get("transcription", source.get("input_audio_transcription"))["diarize"] is True


def test_new_fields_of_the_nested_form() -> None:
    """Below ``audio`` ``extra`` adds to what stands there."""
    nested = {
        "audio": {"input": {"format": {"type": "audio/opus"}, "extra": {"echo": 1}}, "output": {"speed": 1.0}}
    }
    more = {"extra": {"audio": {"input": {"gain": 2}}}}

    assert sent(build(SessionConfig, {**nested, **more}, "x"), "v1")["audio"] == {
        "input": {"format": {"type": "audio/opus"}, "echo": 1, "gain": 2},
        "output": {"speed": 1.0},
    }


def test_constructors_take_mappings() -> None:
    """A mapping in a constructor becomes the object, at once."""
    config = SessionConfig(
        turn_detection={"type": "server_vad", "silenceDurationMs": 700},
        input_audio_transcription={"model": "w"},
        tools=[{"type": "function", "name": "f"}],
        voice="alloy",
    )

    assert config == SessionConfig(
        turn_detection=TurnDetection(type="server_vad", silence_duration_ms=700),
        input_audio_transcription=InputAudioTranscription(model="w"),
        tools=[FunctionTool(name="f")],
        voice="alloy",
    )
    assert ResponseConfig(input=[{"type": "message", "role": "user"}]) == build(
        ResponseConfig, {"input": [{"type": "message", "role": "user"}]}, "x"
    )
    with pytest.raises(ValueError, match=r"tools\[0\]\.nmae: .*did you mean 'name'"):
        SessionConfig(tools=[{"nmae": "f"}])


# ------------------------------------------------------------ defaults


@pytest.mark.parametrize(
    ("written", "field", "expected"),
    [
        ({"instructions": "Be brief."}, "turn_detection", DEFAULTS.turn_detection),
        ({"instructions": "Be brief."}, "instructions", "Be brief."),
        ({"instructions": "Be brief."}, "input_audio_transcription", UNSET),
        (
            {"turn_detection": {"type": "server_vad", "threshold": 0.6}},
            "turn_detection",
            TurnDetection(threshold=0.6, silence_duration_ms=600),
        ),
        ({"turn_detection": {"type": "semantic_vad"}}, "turn_detection", TurnDetection(type="semantic_vad")),
        ({"turn_detection": None}, "turn_detection", None),
        ({"audio": {"output": {"voice": "marin"}}}, "voice", "marin"),
        ({"audio": {"input": {"format": {"type": "audio/opus"}}}}, "input_audio_format", UNSET),
        ({"extra": {"voice": {"type": "azure-standard"}}}, "voice", UNSET),
        ({"prompt": {"id": "p"}}, "instructions", UNSET),
        ({"prompt": {"id": "p"}}, "voice", "alloy"),
    ],
)
def test_defaults_hold_field_by_field(written: dict[str, Any], field: str, expected: object) -> None:
    """What is not said keeps its default, and what is said wins, ``None`` included."""
    assert getattr(with_defaults(build(SessionConfig, written, "x")), field) == expected


def test_turn_detection_keeps_its_new_fields() -> None:
    """Defaults beside ``extra`` do not take it away."""
    given = SessionConfig(turn_detection={"type": "server_vad", "extra": {"x": 1}})

    assert to_json(with_defaults(given))["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.4,
        "silence_duration_ms": 600,
        "x": 1,
    }


@DIALECTS
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            {"type": "server_vad", "silence_duration_ms": None},
            {"type": "server_vad", "silence_duration_ms": None, "threshold": 0.4},
        ),
        ({"threshold": None}, {"type": "server_vad", "silence_duration_ms": 600, "threshold": None}),
        ({"eagerness": "low"}, {"type": "server_vad", "eagerness": "low"}),
        ({"extra": {"type": "azure_semantic_vad"}}, {"type": "azure_semantic_vad"}),
        (
            {"extra": {"type": "server_vad"}},
            {"type": "server_vad", "silence_duration_ms": 600, "threshold": 0.4},
        ),
    ],
)
def test_what_turn_detection_mentions_is_sent(
    written: dict[str, Any], expected: dict[str, Any], version: str
) -> None:
    """A null as a null, and no default of server_vad beside what belongs to another type."""
    session = sent(with_defaults(build(SessionConfig, {"turn_detection": written}, "x")), version)

    assert session.get("audio", {}).get("input", session)["turn_detection"] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (UNSET, InputAudioTranscription(model="mine")),
        (None, None),
        (InputAudioTranscription(language="en"), InputAudioTranscription(model="mine", language="en")),
        (InputAudioTranscription(model="other"), InputAudioTranscription(model="other")),
    ],
)
def test_a_deployment_for_transcription(given: Any, expected: object) -> None:
    """It serves where no model is named; ``None`` stays off."""
    config = SessionConfig(input_audio_transcription=given)

    assert with_transcription(config, "mine").input_audio_transcription == expected
