"""The classes, held against what the service's two catalogues say, field by field."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs
import pytest
from catalogues import (
    CLIENT_SECTIONS,
    DATA,
    DIALECTS,
    SERVER_SECTIONS,
    catalogue,
    events,
    messages,
    mistyped,
    nulled,
    objects,
    shapes,
)
from reading import COMMAND_CLASSES, read_command, structure

from azure_rt_audio.errors import DecodeError
from azure_rt_audio.protocol import events as hearing
from azure_rt_audio.protocol import items, responses, session, tools, translation
from azure_rt_audio.protocol.base import ProtocolObject
from azure_rt_audio.protocol.codec import (
    decode_event,
    encode,
    to_json,
)
from azure_rt_audio.protocol.commands import Command, TranscriptionSessionUpdate
from azure_rt_audio.protocol.dialects import canonical_name
from azure_rt_audio.protocol.events import EVENT_CLASSES, Event

ALL_EVENTS = events(*SERVER_SECTIONS, *CLIENT_SECTIONS)

# ---------------------------------------------------------------- events


def read(section: str, message: dict[str, Any]) -> Event | Command:
    data = json.dumps(message).encode()
    return decode_event(data) if section in SERVER_SECTIONS else read_command(data)


def written_as(dialect: str, name: str) -> Any:
    # Of this one the preview catalogue says that its session has GA's shape.
    return DIALECTS["ga" if name == "transcription_session.created" else dialect]


def class_name(wire_name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[._]", wire_name))


@pytest.mark.parametrize(("dialect", "section", "name"), ALL_EVENTS)
def test_every_message_is_read_whole_and_written_back(dialect: str, section: str, name: str) -> None:
    """Each variant of an event has a class of its own, a typed attribute for each field, and survives."""
    for message in messages(dialect, section, name):
        decoded = read(section, message)

        expected = class_name(canonical_name(name))
        if message.get("session", {}).get("type") == "transcription" and isinstance(decoded, Command):
            expected = TranscriptionSessionUpdate.__name__
        assert expected == type(decoded).__name__
        assert mistyped(decoded) == []
        for path, shape in shapes(decoded):
            assert unexpected(shape) == {}, f"{path} has no attribute for it"
        if name == "session.update" and message["session"] == {}:
            continue  # whose session an empty one is, nothing tells
        left_out: list[str] = []
        assert message == json.loads(encode(decoded, written_as(dialect, name), left_out.append))
        assert left_out == []


def unexpected(shape: ProtocolObject) -> dict[str, Any]:
    """Return what stands in ``extra`` though the catalogue knows it."""
    extra = dict(shape.extra)
    for side in (extra.pop("audio", None) or {}).values():
        # Kept beside the flat attribute, because it is not how we would write the same format.
        if side:
            assert side == {"format": {"type": "audio/pcm"}}
    return extra


def test_the_number_of_variants_is_what_it_should_be() -> None:
    """The generator above has not quietly stopped to generate."""
    count = sum(1 for event in ALL_EVENTS for _ in messages(*event))
    assert count > 2000


@pytest.mark.parametrize(("dialect", "section", "name"), ALL_EVENTS)
def test_a_null_is_read_as_none_and_given_back(dialect: str, section: str, name: str) -> None:
    """Where the catalogue allows null, null survives."""
    for path, message in nulled(dialect, section, name):
        decoded = read(section, message)

        assert mistyped(decoded) == [], path
        assert message == json.loads(encode(decoded, written_as(dialect, name))), path


NOT_REQUIRED_IN_EVENTS = {
    "event_id": "the service leaves it out of some errors, and nothing depends on it",
    "usage": "some services report none, and the transcript matters more",
    "part": "the first preview called it content",
    "name": "GA only; the item has it too",
    "output_audio_buffer.cleared response_id": "Azure Voice Live leaves it out",
}


@pytest.mark.parametrize(("dialect", "section", "name"), ALL_EVENTS)
def test_what_is_required_is_missed(dialect: str, section: str, name: str) -> None:
    """
    An event without a required field lists it among its problems, a command is refused with the field's
    path, or the leniency has a reason.
    """
    full = next(messages(dialect, section, name))
    for field, facts in catalogue(dialect)[section][name].items():
        without = {key: value for key, value in full.items() if key != field}
        is_missed = facts["required"] and not {field, f"{name} {field}"} & NOT_REQUIRED_IN_EVENTS.keys()
        if field == "type":
            with pytest.raises(DecodeError, match="no type"):
                read(section, without)
        elif is_missed and section in CLIENT_SECTIONS:
            with pytest.raises(DecodeError) as caught:
                read(section, without)
            assert f"$.{field}" == caught.value.path
        else:
            decoded = read(section, without)
            if isinstance(decoded, Event):
                assert is_missed == (f"$.{field}" in decoded.problems)
                assert mistyped(decoded) == []


def test_no_event_class_is_unknown_to_the_catalogues() -> None:
    """There is a class for each event, and no class for what does not exist."""
    heard = {canonical_name(name) for _, _, name in events(*SERVER_SECTIONS)}
    said = {name for _, _, name in events(*CLIENT_SECTIONS)}

    assert heard == set(EVENT_CLASSES)
    assert said == set(COMMAND_CLASSES)


# ---------------------------------------------------------------- objects

FLATTENED = "nested on GA only; its fields are flat in the vocabulary of the library"
CLASSES: dict[str, type[ProtocolObject] | str] = {
    # what GA nests
    "RealtimeAudioConfig": FLATTENED,
    "RealtimeAudioConfigInput": FLATTENED,
    "RealtimeAudioConfigOutput": FLATTENED,
    "RealtimeAudioFormats.AudioPCM": FLATTENED,
    "RealtimeAudioFormats.AudioPCMA": FLATTENED,
    "RealtimeAudioFormats.AudioPCMU": FLATTENED,
    "RealtimeResponse.Audio": FLATTENED,
    "RealtimeResponse.AudioOutput": FLATTENED,
    "RealtimeResponseCreateAudioOutput": FLATTENED,
    "RealtimeResponseCreateAudioOutput.Output": FLATTENED,
    "RealtimeSessionCreateResponse.Audio": FLATTENED,
    "RealtimeSessionCreateResponse.AudioInput": FLATTENED,
    "RealtimeSessionCreateResponse.AudioOutput": FLATTENED,
    "RealtimeTranscriptionSessionAudio": FLATTENED,
    "RealtimeTranscriptionSessionAudioInput": FLATTENED,
    "RealtimeTranscriptionSessionCreateResponse.Audio": FLATTENED,
    "RealtimeTranscriptionSessionCreateResponse.AudioInput": FLATTENED,
    # sessions
    "RealtimeSessionCreateRequest": session.SessionConfig,
    "RealtimeSessionCreateResponse": session.Session,
    "RealtimeTranscriptionSessionCreateRequest": session.TranscriptionSessionConfig,
    "RealtimeTranscriptionSessionCreateResponse": session.TranscriptionSession,
    "Session": session.Session,
    "SessionCreateResponse": session.Session,
    "SessionUpdateEvent.Session": session.SessionConfig,
    "TranscriptionSession": session.TranscriptionSession,
    "TranscriptionSessionUpdate.Session": session.TranscriptionSessionConfig,
    "RealtimeResponseSession": session.Session,
    "ClientSecretCreateResponse": session.CreatedClientSecret,
    "RealtimeAudioConfigOutput.VoiceID": session.CustomVoice,
    "RealtimeResponseCreateAudioOutput.OutputVoiceID": session.CustomVoice,
    "RealtimeReasoning": session.Reasoning,
    "RealtimeTruncationRetentionRatio": session.RetentionRatio,
    "RealtimeTruncationRetentionRatio.TokenLimits": session.TokenLimits,
    "SessionUpdateEvent.SessionClientSecret": session.ClientSecretConfig,
    "SessionUpdateEvent.SessionClientSecretExpiresAfter": session.ClientSecretExpiry,
    "TranscriptionSessionUpdate.SessionClientSecret": session.ClientSecretConfig,
    "TranscriptionSessionUpdate.SessionClientSecretExpiresAt": session.ClientSecretExpiry,
    "SessionCreateResponse.ClientSecret": session.ClientSecret,
    "TranscriptionSession.ClientSecret": session.ClientSecret,
    "AudioTranscription": session.InputAudioTranscription,
    "RealtimeAudioInputTranscriptionSettings": session.InputAudioTranscription,
    "RealtimeTranslationSession.AudioInputTranscription": session.InputAudioTranscription,
    "RealtimeTranslationSessionUpdateRequest.AudioInputTranscription": session.InputAudioTranscription,
    "RealtimeTranscriptionSessionTurnDetection": session.TurnDetection,
    "RealtimeTurnDetection": session.TurnDetection,
    "RealtimeServerVadTurnDetection": session.TurnDetection,
    "shared.ResponsePrompt": session.Prompt,
    "shared.ResponseInputText": session.PromptText,
    "shared.ResponseInputImage": session.PromptImage,
    "shared.ResponseInputFile": session.PromptFile,
    # translation
    "RealtimeTranslationSession": translation.TranslationSession,
    "RealtimeTranslationSession.Audio": translation.TranslationAudio,
    "RealtimeTranslationSession.AudioInput": translation.TranslationInput,
    "RealtimeTranslationSession.AudioOutput": translation.TranslationOutput,
    "RealtimeTranslationSessionUpdateRequest": translation.TranslationSessionConfig,
    "RealtimeTranslationSessionUpdateRequest.Audio": translation.TranslationAudio,
    "RealtimeTranslationSessionUpdateRequest.AudioInput": translation.TranslationInput,
    "RealtimeTranslationSessionUpdateRequest.AudioOutput": translation.TranslationOutput,
    # items
    "RealtimeConversationItemAssistantMessage": items.MessageItem,
    "RealtimeConversationItemSystemMessage": items.MessageItem,
    "RealtimeConversationItemUserMessage": items.MessageItem,
    "RealtimeConversationItemFunctionCall": items.FunctionCallItem,
    "RealtimeConversationItemFunctionCallOutput": items.FunctionCallOutputItem,
    "RealtimeMcpApprovalRequest": items.McpApprovalRequestItem,
    "RealtimeMcpApprovalResponse": items.McpApprovalResponseItem,
    "RealtimeMcpListTools": items.McpListToolsItem,
    "RealtimeMcpListTools.Tool": items.McpListedTool,
    "RealtimeMcpToolCall": items.McpCallItem,
    "RealtimeMcpProtocolError": items.McpError,
    "RealtimeMcpToolExecutionError": items.McpError,
    "RealtimeMcphttpError": items.McpError,
    "ResponseItemReference": items.ItemReference,
    "ConversationItem": "one description for all kinds of items; each kind is tested above",
    "ConversationItemWithReference": "one description for all kinds of items; each kind is tested above",
    "ConversationItemContent": items.ContentPart,
    # tools
    "RealtimeFunctionTool": tools.FunctionTool,
    "RealtimeTool": tools.FunctionTool,
    "Session.Tool": tools.FunctionTool,
    "SessionCreateResponse.Tool": tools.FunctionTool,
    "SessionUpdateEvent.SessionTool": tools.FunctionTool,
    "ResponseCreateEvent.ResponseTool": tools.FunctionTool,
    "RealtimeResponseCreateMcpTool": tools.McpTool,
    "RealtimeSessionCreateResponse.ToolMcpTool": tools.McpTool,
    "RealtimeToolsConfigUnion.Mcp": tools.McpTool,
    "shared.ToolChoiceFunction": tools.ToolChoice,
    "shared.ToolChoiceMcp": tools.ToolChoice,
    "RealtimeToolChoiceObject": tools.ToolChoice,
    # responses
    "RealtimeResponse": responses.Response,
    "RealtimeResponseCreateParams": responses.ResponseConfig,
    "ResponseCreateEvent.Response": responses.ResponseConfig,
    "RealtimeResponseStatus": responses.ResponseStatusDetails,
    "RealtimeResponseStatusDetails": responses.ResponseStatusDetails,
    "RealtimeResponseCancelledStatusDetails": responses.ResponseStatusDetails,
    "RealtimeResponseIncompleteStatusDetails": responses.ResponseStatusDetails,
    "RealtimeResponseFailedStatusDetails": responses.ResponseStatusDetails,
    "RealtimeResponseStatus.Error": responses.ResponseError,
    "RealtimeResponseApiError": responses.ResponseError,
    "RealtimeResponseUsage": responses.Usage,
    "RealtimeResponseUsageInputTokenDetails": responses.InputTokenDetails,
    "RealtimeResponseUsage.InputTokenDetails": responses.InputTokenDetails,
    "RealtimeResponseUsageInputTokenDetails.CachedTokensDetails": responses.CachedTokenDetails,
    "RealtimeResponseUsageOutputTokenDetails": responses.OutputTokenDetails,
    "RealtimeResponseUsage.OutputTokenDetails": responses.OutputTokenDetails,
    # parts of events
    "ConversationCreatedEvent.Conversation": hearing.ConversationInfo,
    "RateLimitsUpdatedEvent.RateLimit": hearing.RateLimit,
    "RealtimeResponseRateLimitDetailsItem": hearing.RateLimit,
    "RealtimeError": hearing.ErrorDetails,
    "ErrorEvent.Error": hearing.ErrorDetails,
    "RealtimeResponseError": hearing.ErrorDetails,
    "LogProbProperties": hearing.LogProbability,
    "shared.TranscriptionLanguage": hearing.TranscriptionLanguage,
    "ConversationItemInputAudioTranscriptionFailedEvent.Error": hearing.TranscriptionError,
    # 2024-10-01, which describes an item and its parts once as sent and once as received
    "RealtimeContentPart": items.ContentPart,
    "RealtimeRequestItem": "what all kinds of items have in common; each kind is below",
    "RealtimeResponseItem": "what all kinds of items have in common; each kind is below",
    "RealtimeRequestMessageReferenceItem": items.MessageItem,
    "RealtimeToolChoiceFunctionObject": tools.ToolChoice,
}
BY_PATTERN: list[tuple[str, type[ProtocolObject]]] = [
    (r"Realtime(Request|Response)FunctionCallItem", items.FunctionCallItem),
    (r"Realtime(Request|Response)FunctionCallOutputItem", items.FunctionCallOutputItem),
    (r"Realtime(Request|Response)(System|User|Assistant)?MessageItem", items.MessageItem),
    (r"Realtime(Request|Response)(Text|Audio)ContentPart", items.ContentPart),
    (r".*[a-z]Content|ResponseContentPart\w+Event\.Part|.*\.Content", items.ContentPart),
    (r".*NoiseReduction", session.NoiseReduction),
    (r".*InputAudioTranscription", session.InputAudioTranscription),
    (r".*(TurnDetection|\.ServerVad|\.SemanticVad)(ServerVad|SemanticVad)?", session.TurnDetection),
    (r".*Tracing(Tracing)?Configuration", session.TracingConfig),
    (r".*McpToolFilter|.*ApprovalFilter(Always|Never)", tools.McpToolFilter),
    (r".*McpToolApprovalFilter", tools.McpApprovalFilter),
    (r".*PromptCacheBreakpoint", session.CacheBreakpoint),
    (r".*\.Logprob", hearing.LogProbability),
    (r".*TokensInputTokenDetails", hearing.TranscriptionInputTokens),
    (r".*UsageTranscriptTextUsage(Tokens|Duration)", hearing.TranscriptionUsage),
]
ALL_OBJECTS = [
    (dialect, section, name)
    for dialect, section in (("ga", "objects"), ("preview", "objects"), ("preview", "objects_2024_10_01"))
    for name in json.loads((DATA / f"{dialect}.json").read_text("utf-8"))[section]
]

NO_ATTRIBUTE = {
    (
        "ResponseCreateEvent.Response",
        "max_response_output_tokens",
    ): "a slip, read as max_output_tokens",
    ("RealtimeToolChoiceFunctionObject", "function"): "the first preview's way to say name, read as name",
}
NO_CATALOGUE = {
    "ContentPart.id": "of item_reference parts, in preview's description of content",
}
SHARED = "the same class as where it is optional"
REQUEST = "session.created may carry the request's shape, which has none"
NOT_REQUIRED = {
    "InputAudioTranscription.model": SHARED,
    "NoiseReduction.type": SHARED,
    "TranscriptionUsage.seconds": "one class for both kinds of usage",
    "TranscriptionUsage.total_tokens": "one class for both kinds of usage",
    "TranscriptionUsage.input_tokens": "one class for both kinds of usage",
    "TranscriptionUsage.output_tokens": "one class for both kinds of usage",
    "McpError.code": "one class for all kinds of errors, and one kind has no code",
    "ToolChoice.name": "one class for both choices; checks.py knows what each needs",
    "ToolChoice.server_label": "one class for both choices; checks.py knows what each needs",
    "CustomVoice.id": "other services of the family describe voices by other fields",
    "RetentionRatio.retention_ratio": "another strategy must not make a whole session unreadable",
    "Session.id": REQUEST,
    "Session.object": REQUEST,
    "TranscriptionSession.id": REQUEST,
    "TranscriptionSession.object": REQUEST,
    "Session.client_secret": "part of the REST answer; the events have none",
    "TranscriptionSession.client_secret": "part of the REST answer; the events have none",
    "ClientSecretExpiry.anchor": "there is but one",
    "CacheBreakpoint.mode": "there is but one",
    "LogProbability.bytes": "a token need not be whole characters, and then some give none",
    "MessageItem.role": "preview requires nothing of an item; checks.py requires it of users",
    "MessageItem.content": "preview requires nothing of an item; checks.py requires it of users",
    "FunctionCallItem.name": "preview requires nothing of an item; checks.py requires it of users",
    "FunctionCallItem.arguments": "preview requires nothing of an item; checks.py requires it of users",
}
"""What a catalogue requires and we do not, and why."""


def class_of(name: str) -> type[ProtocolObject] | str:
    found = CLASSES.get(name)
    if found is not None:
        return found
    matching = [cls for pattern, cls in BY_PATTERN if re.fullmatch(pattern, name)]
    assert matching, f"the catalogue has an object {name} that nothing here stands for"
    return matching[0]


@pytest.mark.parametrize(("dialect", "section", "name"), ALL_OBJECTS)
def test_every_object_has_a_class_with_its_fields(dialect: str, section: str, name: str) -> None:
    """Each field of each object in the catalogues has an attribute."""
    cls = class_of(name)
    if isinstance(cls, str):
        return
    described = {
        {"output_modalities": "modalities"}.get(field, field)
        for field in catalogue(dialect)[section][name]
        if (name, field) not in NO_ATTRIBUTE
    }
    if issubclass(cls, session.SessionConfig | session.Session | session.TranscriptionSession):
        described -= {"audio", "max_output_tokens", *({"type"} if cls is session.SessionConfig else ())}
    if issubclass(cls, responses.ResponseConfig | responses.Response):
        described -= {"audio"}
    if cls is session.TranscriptionSessionConfig:
        described -= {"audio", "type"}

    assert described <= {a.name for a in attrs.fields(cls)}


def test_no_attribute_is_made_up() -> None:
    """What our classes of objects have beyond ``extra``, some catalogue describes."""
    named: dict[type[ProtocolObject], set[str]] = {}
    for dialect, section, name in ALL_OBJECTS:
        cls = class_of(name)
        if not isinstance(cls, str):
            named.setdefault(cls, {"extra"}).update(catalogue(dialect)[section][name])
    flat = {
        session.TranscriptionSession: {"input_audio_noise_reduction"},  # GA nests it
        session.Session: {"parallel_tool_calls"},  # session.created may carry the request's shape
    }

    made_up = {
        f"{cls.__name__}.{a.name}"
        for cls, fields in named.items()
        for a in attrs.fields(cls)
        if a.name not in fields | flat.get(cls, set())
    }

    assert set() == made_up - set(NO_CATALOGUE)


@pytest.mark.parametrize(
    ("dialect", "name"), [(dialect, name) for dialect, section, name in ALL_OBJECTS if section == "objects"]
)
def test_every_object_stands_alone(dialect: str, name: str) -> None:
    """Each object decodes by itself, also those that no event refers to; what is required is missed."""
    cls = class_of(name)
    if isinstance(cls, str):
        return
    facts = catalogue(dialect)["objects"][name]
    for variant in objects(dialect, name):
        shape = structure(variant, cls)

        assert isinstance(shape, cls)
        assert mistyped(shape) == []
    full = next(objects(dialect, name))
    for field in full:
        without = {key: value for key, value in full.items() if key != field}
        needs = facts[field].get("required") and f"{cls.__name__}.{field}" not in NOT_REQUIRED
        if needs and (field != "type" or "type" in required_of(cls)):
            with pytest.raises(DecodeError) as caught:
                structure(without, cls)
            assert f"$.{field}" == caught.value.path
        else:
            structure(without, cls)


@pytest.mark.parametrize("name", catalogue("preview")["objects_2024_10_01"])
def test_what_the_first_preview_sends_is_read(name: str) -> None:
    """Objects as the first preview described them decode, and are written back in the library's words."""
    cls = class_of(name)
    if isinstance(cls, str):
        return
    for variant in objects("preview", name, "objects_2024_10_01"):
        shape = structure(variant, cls)

        assert mistyped(shape) == []
        expected = dict(variant)
        if cls is tools.ToolChoice and "function" in expected:
            expected["name"] = expected.pop("function")["name"]
        assert expected == to_json(shape)


def required_of(cls: type[ProtocolObject]) -> set[str]:
    return {a.name for a in attrs.fields(cls) if a.default is attrs.NOTHING}


def test_every_leniency_is_one() -> None:
    """The list of what we do not require is not longer than the truth."""
    classes = {cls.__name__: cls for _, _, name in ALL_OBJECTS if not isinstance(cls := class_of(name), str)}

    for leniency in NOT_REQUIRED:
        cls, field = leniency.split(".")
        assert field not in required_of(classes[cls])
