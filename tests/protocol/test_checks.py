"""What the service would refuse is refused here, with the field's path; what it accepts is not."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from catalogues import DIALECTS, samples
from reading import COMMAND_CLASSES, read_command

from azure_rt_audio.protocol.checks import check_command
from azure_rt_audio.protocol.codec import build, encode
from azure_rt_audio.protocol.commands import (
    Command,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    OutputAudioBufferClear,
    ResponseCancel,
    ResponseCreate,
    SessionClose,
    SessionInputAudioBufferAppend,
    SessionUpdate,
    TranscriptionSessionUpdate,
)
from azure_rt_audio.protocol.dialects import Dialect, GaDialect, PreviewDialect
from azure_rt_audio.protocol.items import (
    ContentPart,
    FunctionCallItem,
    FunctionCallOutputItem,
    ItemReference,
    McpApprovalResponseItem,
    MessageItem,
    UnknownItem,
)
from azure_rt_audio.protocol.responses import ResponseConfig
from azure_rt_audio.protocol.session import (
    CustomVoice,
    RetentionRatio,
    SessionConfig,
    TranscriptionSessionConfig,
    TurnDetection,
)
from azure_rt_audio.protocol.session_defaults import DEFAULTS
from azure_rt_audio.protocol.tools import FunctionTool, McpTool, ToolChoice
from azure_rt_audio.protocol.translation import (
    TranslationAudio,
    TranslationOutput,
    TranslationSessionConfig,
)

GA = GaDialect("v1")
PREVIEW = PreviewDialect("2025-04-01-preview")
FIRST = PreviewDialect("2024-10-01-preview")


def session(**fields: Any) -> SessionUpdate:
    return SessionUpdate(session=SessionConfig(**fields))


def detection(**fields: Any) -> SessionUpdate:
    return session(turn_detection=TurnDetection(**fields))


def response(**fields: Any) -> ResponseCreate:
    return ResponseCreate(response=ResponseConfig(**fields))


def message(role: str | None, *parts: ContentPart) -> ConversationItemCreate:
    return ConversationItemCreate(item=MessageItem(role=role, content=list(parts)))


def secret(seconds: int) -> SessionUpdate:
    written = {"client_secret": {"expires_after": {"anchor": "created_at", "seconds": seconds}}}
    return SessionUpdate(session=build(SessionConfig, written, "x"))


TEXT = ContentPart(type="input_text", text="x")
SOUND = ContentPart(type="input_audio", audio="AAAA")
IMAGE = ContentPart(type="input_image", image_url="data:image/png;base64,AAAA")


@pytest.mark.parametrize("dialect", [GA, PREVIEW, FIRST], ids=["ga", "preview", "first"])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (InputAudioBufferCommit(event_id=""), "event_id must have 1 to 512 characters"),
        (InputAudioBufferCommit(event_id="x" * 513), "event_id must have 1 to 512 characters"),
        (InputAudioBufferAppend(audio="AAAA", event_id="x" * 513), "event_id must have 1 to 512 characters"),
        (InputAudioBufferCommit(event_id=7), "event_id: expected a string, got int 7"),  # type: ignore[arg-type]
        (InputAudioBufferAppend(audio=b"AAAA"), "audio: expected base64 as a string"),  # type: ignore[arg-type]
        (session(temperature=0.59), "session.temperature must be between 0.6 and 1.2, not 0.59"),
        (session(temperature=1.21), "session.temperature must be between 0.6 and 1.2"),
        (session(temperature=math.nan), "session.temperature must be between 0.6 and 1.2, not nan"),
        (session(temperature="0.8"), "session.temperature: expected a number, got str '0.8'"),
        (session(speed=0.2), "session.speed must be between 0.25 and 1.5, not 0.2"),
        (session(speed=math.inf), "session.speed must be between 0.25 and 1.5, not inf"),
        (
            session(max_response_output_tokens=0),
            "session.max_response_output_tokens must be between 1 and 4096",
        ),
        (session(max_response_output_tokens=4097), 'not 4097; "inf" for as many as'),
        (session(max_response_output_tokens="all"), "session.max_response_output_tokens: expected a whole"),
        (session(modalities=[]), 'session.modalities must be ["text"] or ["text", "audio"], not []'),
        (session(modalities=["text", "smell"]), "session.modalities must be"),
        (session(modalities="text"), "session.modalities: expected a list, got str 'text'"),
        (session(input_audio_format="mp3"), "session.input_audio_format must be one of pcm16, g711_ulaw"),
        (session(output_audio_format="pcm"), "session.output_audio_format must be one of pcm16"),
        (session(tool_choice="f"), "session.tool_choice must be one of auto, none, required, not 'f'"),
        (session(tool_choice=ToolChoice()), "session.tool_choice.name is missing"),
        (session(tools=[FunctionTool()]), "session.tools[0].name is missing"),
        (session(tools=[FunctionTool(name="a"), FunctionTool(name="")]), "session.tools[1].name is missing"),
        (
            session(tools=[FunctionTool(name="a", parameters="{}")]),
            "session.tools[0].parameters must be a JSON Schema object, not '{}'",
        ),
        (session(voice=7), "session.voice: expected a string or an object, got int 7"),
        (session(truncation="some"), "session.truncation must be one of auto, disabled, not 'some'"),
        (session(truncation=RetentionRatio()), "session.truncation.retention_ratio is missing"),
        (
            session(truncation=RetentionRatio(retention_ratio=1.1)),
            "session.truncation.retention_ratio must be",
        ),
        (
            session(truncation={"retention_ratio": 1, "token_limits": {"post_instructions": -1}}),
            "session.truncation.token_limits.post_instructions must be at least 0, not -1",
        ),
        (session(tracing="on"), "session.tracing must be 'auto', not 'on'"),
        (detection(threshold=-0.1), "session.turn_detection.threshold must be between 0.0 and 1.0"),
        (detection(threshold=1.1), "session.turn_detection.threshold must be between 0.0 and 1.0"),
        (detection(threshold="x"), "session.turn_detection.threshold: expected a number, got str 'x'"),
        (detection(prefix_padding_ms=-1), "session.turn_detection.prefix_padding_ms must be at least 0"),
        (detection(silence_duration_ms=-1), "session.turn_detection.silence_duration_ms must be at least 0"),
        (detection(silence_duration_ms=0.5), "session.turn_detection.silence_duration_ms: expected a whole"),
        (detection(idle_timeout_ms=4999), "session.turn_detection.idle_timeout_ms must be between 5000 and"),
        (detection(idle_timeout_ms=30001), "session.turn_detection.idle_timeout_ms must be between 5000 and"),
        (session(turn_detection={"threshold": 2}), "session.turn_detection.threshold must be between"),
        (secret(9), "session.client_secret.expires_after.seconds must be between 10 and 7200, not 9"),
        (secret(7201), "session.client_secret.expires_after.seconds must be between 10 and 7200"),
        (response(temperature=2), "response.temperature must be between 0.6 and 1.2, not 2"),
        (response(max_output_tokens=0), "response.max_output_tokens must be between 1 and 4096, not 0"),
        (response(conversation="other"), "response.conversation must be one of auto, none, not 'other'"),
        (response(output_audio_format="wav"), "response.output_audio_format must be one of pcm16"),
        (response(modalities=["video"]), "response.modalities must be"),
        (response(metadata={str(n): "x" for n in range(17)}), "response.metadata has 17 pairs; at most 16"),
        (response(metadata={"k" * 65: "x"}), "keys have at most 64 characters, values 512"),
        (response(metadata={"k": "v" * 513}), "response.metadata['k']: keys have at most 64"),
        (response(metadata={"k": 7}), "response.metadata.k: expected a string, got int 7"),
        (response(input=[MessageItem(role="user")]), "response.input[0].content is empty"),
        (
            response(append_input_items=[MessageItem(role="user")]),
            "response.append_input_items[0].content is",
        ),
        (
            response(input_items=[{"role": "user", "content": [{"text": "x"}]}]),
            "input_items[0].content[0].type",
        ),
        (response(input="all"), "response.input: expected a list, got str 'all'"),
        (message("user"), "item.content is empty; give at least one part"),
        (message(None, TEXT), "item.role is missing; it is one of system, user, assistant"),
        (message("tool", TEXT), "item.role must be one of system, user, assistant, not 'tool'"),
        (message("user", ContentPart(text="x")), "item.content[0].type is missing"),
        (message("user", TEXT, ContentPart(type="input_text")), "item.content[1].text is missing"),
        (message("assistant", ContentPart(type="text")), "item.content[0].text is missing"),
        (message("user", ContentPart(type="input_audio")), "item.content[0].audio is missing"),
        (message("system", SOUND), "item.content[0]: only a message of the user can have input_audio"),
        (message("assistant", IMAGE), "item.content[0]: only a message of the user can have input_image"),
        (
            message("assistant", ContentPart(type="audio", transcript="x")),
            "item.content[0]: assistant audio cannot be created; send its transcript as text",
        ),
        (ConversationItemCreate(item=ItemReference(id="i")), "item: a reference can only be the input of a"),
        (ConversationItemCreate(item=FunctionCallItem(arguments="{}")), "item.name is missing"),
        (ConversationItemCreate(item=FunctionCallItem(name="f")), "item.arguments is missing"),
        (
            ConversationItemCreate(item=FunctionCallOutputItem(call_id="", output="x")),
            "item.call_id is empty",
        ),
        (
            ConversationItemCreate(item=FunctionCallOutputItem(call_id="c", output={"a": 1})),  # type: ignore[arg-type]
            "item.output: expected a string, got dict",
        ),
        (ConversationItemCreate(item=7), "item: expected an object, got int 7"),  # type: ignore[arg-type]
        (ConversationItemCreate(item={"type": "mesage"}), "item.type: expected one of message"),  # type: ignore[arg-type]
        (
            ConversationItemCreate(item=MessageItem(role="user", content=[TEXT]), previous_item_id=""),
            "previous_item_id is empty",
        ),
        (ConversationItemDelete(item_id=""), "item_id is empty; give the id that the service reported"),
        (ConversationItemDelete(item_id=None), "item_id: expected a string, got null"),  # type: ignore[arg-type]
        (ConversationItemTruncate(item_id="i", content_index=0, audio_end_ms=-1), "audio_end_ms must be at"),
        (ConversationItemTruncate(item_id="i", content_index=-1, audio_end_ms=0), "content_index must be at"),
        (ResponseCancel(response_id=""), "response_id is empty"),
        (OutputAudioBufferClear(), "output_audio_buffer.clear: the service plays nothing over a WebSocket"),
    ],
)
def test_a_refusal_names_the_field(command: Command, said: str, dialect: Dialect) -> None:
    """In every dialect: the path, the value, and what it may be."""
    with pytest.raises(ValueError, match=r".+") as caught:
        check_command(command, dialect)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("command", "dialects", "said"),
    [
        (
            session(tools=[McpTool(server_label="s", server_url="u")]),
            {"preview", "first"},
            "session.tools[0]: MCP",
        ),
        (
            response(tools=[McpTool(server_label="s", server_url="u")]),
            {"preview", "first"},
            "response.tools[0]: ",
        ),
        (session(tools=[McpTool(server_label="s")]), {"ga"}, "session.tools[0].server_url is missing"),
        (
            session(tool_choice=ToolChoice(type="mcp", server_label="s")),
            {"preview", "first"},
            "session.tool_choice: MCP tools and items exist on GA only; use api_version='v1'",
        ),
        (session(tool_choice=ToolChoice(type="mcp")), {"ga"}, "session.tool_choice.server_label is missing"),
        (
            ConversationItemCreate(
                item=McpApprovalResponseItem(id="i", approval_request_id="a", approve=True)
            ),
            {"preview", "first"},
            "item: MCP tools and items exist on GA only",
        ),
        (message("user", IMAGE), {"preview", "first"}, "item.content[0]: images exist on GA only"),
        (
            message("user", ContentPart(type="input_image", image_url="https://example.com/a.png")),
            {"ga"},
            "item.content[0].image_url must be a data: URI of a PNG or JPEG",
        ),
        (
            message("user", ContentPart(type="input_image")),
            {"ga"},
            "item.content[0].image_url must be a data: URI of a PNG or JPEG",
        ),
        (
            response(conversation="none"),
            {"first"},
            "response.conversation: 2024-10-01-preview has no responses outside of the conversation",
        ),
        (
            ConversationItemRetrieve(item_id="i"),
            {"first"},
            "conversation.item.retrieve: 2024-10-01-preview does",
        ),
        (
            TranscriptionSessionUpdate(session=TranscriptionSessionConfig()),
            {"first"},
            "transcription_session.update: 2024-10-01-preview does not have it",
        ),
        (SessionClose(), {"preview", "first"}, "session.close: translation sessions exist on GA only"),
        (
            SessionInputAudioBufferAppend(audio="AAAA"),
            {"preview", "first"},
            "session.input_audio_buffer.append: translation sessions exist on GA only",
        ),
        (
            SessionUpdate(
                session=TranslationSessionConfig(
                    audio=TranslationAudio(output=TranslationOutput(language="es"))
                )
            ),
            {"preview", "first"},
            "session: translation sessions exist on GA only",
        ),
    ],
)
def test_some_things_are_refused_in_some_dialects(command: Command, dialects: set[str], said: str) -> None:
    """Where the service has it, nothing is refused."""
    for name, dialect in {"ga": GA, "preview": PREVIEW, "first": FIRST}.items():
        if name in dialects:
            with pytest.raises(ValueError, match=r".+") as caught:
                check_command(command, dialect)
            assert said in str(caught.value)
        elif name == "ga" or "ga" not in dialects:
            check_command(command, dialect)


@pytest.mark.parametrize(
    "command",
    [
        InputAudioBufferAppend(audio=""),
        InputAudioBufferAppend(audio="AAAA", event_id="x" * 512),
        InputAudioBufferCommit(event_id="x"),
        InputAudioBufferClear(),
        SessionUpdate(session=SessionConfig()),
        SessionUpdate(session=DEFAULTS),
        session(temperature=0.6),
        session(temperature=1.2),
        session(temperature=1),
        session(speed=0.25),
        session(speed=1.5),
        session(max_response_output_tokens=1),
        session(max_response_output_tokens=4096),
        session(max_response_output_tokens="inf"),
        session(max_response_output_tokens=None),
        session(modalities=["text"]),
        session(modalities=["audio"]),
        session(modalities=("audio", "text")),
        session(voice="a voice of next year", model="a model of next year"),
        session(voice=CustomVoice(id="v")),
        session(voice=CustomVoice(extra={"type": "azure-standard", "name": "Ava"})),
        session(tools=[]),
        session(tools=[FunctionTool(name="f", parameters={})]),
        session(tools=[FunctionTool(type="clairvoyance", extra={"range": 7})]),
        session(tool_choice="none"),
        session(tool_choice=ToolChoice(name="f")),
        session(tool_choice=ToolChoice(type="clairvoyance")),
        session(instructions=""),
        session(turn_detection=None, input_audio_transcription=None, input_audio_noise_reduction=None),
        session(tracing=None),
        session(tracing="auto"),
        session(truncation=RetentionRatio(retention_ratio=0)),
        session(truncation=RetentionRatio(type="forget_me_not", extra={"flowers": 3})),
        session(extra={"temperature": "hot"}),
        detection(type="azure_semantic_vad", extra={"remove_filler_words": True}),
        detection(threshold=0, prefix_padding_ms=0, silence_duration_ms=0),
        detection(threshold=1.0),
        detection(idle_timeout_ms=5000),
        detection(idle_timeout_ms=30000),
        secret(10),
        secret(7200),
        ResponseCreate(),
        response(),
        response(conversation="auto"),
        response(metadata=None),
        response(metadata={}),
        response(metadata={f"{n:064}": "v" * 512 for n in range(16)}),
        response(input=[]),
        response(input=[ItemReference(id="i"), MessageItem(role="user", content=[TEXT])]),
        message("user", TEXT, SOUND),
        message("system", TEXT),
        message("assistant", ContentPart(type="text", text="")),
        message("user", ContentPart(type="of_the_future")),
        ConversationItemCreate(item=FunctionCallItem(name="f", arguments="")),
        ConversationItemCreate(item=FunctionCallOutputItem(call_id="c", output="")),
        ConversationItemCreate(item=UnknownItem(type="hologram", extra={"depth": 3})),
        ConversationItemCreate(item=MessageItem(role="user", content=[TEXT]), previous_item_id="root"),
        ConversationItemTruncate(item_id="i", content_index=0, audio_end_ms=0),
        ConversationItemDelete(item_id="i"),
        ResponseCancel(),
        ResponseCancel(response_id="r"),
    ],
)
def test_every_edge_is_accepted(command: Command) -> None:
    """The last value that the service takes, and what may come in the future."""
    for dialect in (GA, PREVIEW, FIRST):
        check_command(command, dialect)
        json.loads(encode(command, dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_samples_are_accepted(dialect: str) -> None:
    """What the service documents is not refused, but for what a WebSocket cannot."""
    for sample in samples(dialect):
        if sample["type"] not in COMMAND_CLASSES:
            continue  # a server event
        command = read_command(json.dumps(sample))
        if command.type != "output_audio_buffer.clear":
            check_command(command, DIALECTS[dialect])
