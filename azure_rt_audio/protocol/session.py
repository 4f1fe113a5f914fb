"""
Session configuration, and the session as the service reports it.

The library uses the flat form. GA nests most of it below ``audio``;
:mod:`azure_rt_audio.protocol.dialects` translates both ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from attrs import field

from .base import UNSET, ProtocolObject, Unset, frozen_shape, read_mapping
from .tools import Tool, ToolChoice

__all__ = [
    "CacheBreakpoint",
    "ClientSecret",
    "ClientSecretConfig",
    "ClientSecretExpiry",
    "CreatedClientSecret",
    "CustomVoice",
    "Given",
    "InputAudioTranscription",
    "MaxTokens",
    "NoiseReduction",
    "Prompt",
    "PromptFile",
    "PromptImage",
    "PromptText",
    "Reasoning",
    "RetentionRatio",
    "Session",
    "SessionConfig",
    "TokenLimits",
    "TracingConfig",
    "TranscriptionSession",
    "TranscriptionSessionConfig",
    "TurnDetection",
    "as_prompt",
    "as_reasoning",
    "as_tool_choice",
    "as_tools",
    "as_voice",
]

MaxTokens = int | Literal["inf"]
"""A number of tokens from 1 to 4 096, or ``"inf"`` for the model's maximum."""

Given = Mapping[str, Any]
"""A mapping in place of an object, for a constructor: fields by name, in snake_case or camelCase."""


@frozen_shape(kw_only=True)
class TurnDetection(ProtocolObject):
    """
    Turn detection: the start and end of the user's speech (VAD).

    Attributes:
        type: ``"server_vad"`` (by level) or ``"semantic_vad"`` (by meaning).
        threshold: 0.0 to 1.0; higher needs louder speech. ``server_vad`` only; the service's default is 0.5.
        prefix_padding_ms: Audio kept from before the detected start; the service's default is 300 ms.
        silence_duration_ms: Silence that ends the turn. The service's default is 200 ms; GA documents 500.
        create_response: Start a response at the end of a turn; the service's default is ``True``.
        interrupt_response: Cancel the response in progress when speech starts; the service's default is
            ``True``.
        eagerness: ``"low"``, ``"medium"``, ``"high"`` or ``"auto"``. ``semantic_vad`` only.
        idle_timeout_ms: Silence before the model speaks unprompted, 5 000 to 30 000 ms. GA.
    """

    type: str = "server_vad"
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None
    eagerness: str | None = None
    idle_timeout_ms: int | None = None


@frozen_shape(kw_only=True)
class InputAudioTranscription(ProtocolObject):
    """
    Transcription of the user's speech, by a model beside the conversation.

    Attributes:
        model: The transcription model; on Azure a deployment of the same resource.
        language: Language of the speech, an ISO 639-1 code such as ``"en"``.
        prompt: Expected vocabulary or style.
        keywords: Expected words. GA.
        languages: Expected languages.
        delay: Latency allowed for context, ``"minimal"`` to ``"xhigh"``. GA.
    """

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    keywords: list[str] | None = None
    languages: list[str] | None = None
    delay: str | None = None


@frozen_shape(kw_only=True)
class NoiseReduction(ProtocolObject):
    """
    Noise reduction on the input, before turn detection and the model.

    Attributes:
        type: ``"near_field"`` (headset) or ``"far_field"`` (laptop, room).
        strength: Strength of the reduction. GA.
    """

    type: str | None = None
    strength: float | None = None


@frozen_shape(kw_only=True)
class CustomVoice(ProtocolObject):
    """A custom voice, by id (GA). Related services describe theirs by other fields, in ``extra``."""

    id: str | None = None


@frozen_shape(kw_only=True)
class TracingConfig(ProtocolObject):
    """Labels of the session's traces at the service."""

    group_id: str | None = None
    workflow_name: str | None = None
    metadata: Any = None


@frozen_shape(kw_only=True)
class CacheBreakpoint(ProtocolObject):
    """A breakpoint of the prompt cache (GA)."""

    mode: str = "explicit"
    ttl: str | None = None


@frozen_shape(kw_only=True)
class PromptText(ProtocolObject):
    """Text for a variable of a stored prompt (GA)."""

    type: str = "input_text"
    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None


@frozen_shape(kw_only=True)
class PromptImage(ProtocolObject):
    """Image for a variable of a stored prompt (GA)."""

    type: str = "input_image"
    detail: str
    file_id: str | None = None
    image_url: str | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


@frozen_shape(kw_only=True)
class PromptFile(ProtocolObject):
    """File for a variable of a stored prompt (GA)."""

    type: str = "input_file"
    detail: str | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


@frozen_shape(kw_only=True)
class Prompt(ProtocolObject):
    """
    A stored prompt of the service (GA).

    Attributes:
        variables: Values of its variables, by name; a ``dict`` is a kind newer than this library.
    """

    id: str
    version: str | None = None
    variables: Mapping[str, str | PromptText | PromptImage | PromptFile | dict[str, Any]] | None = None


@frozen_shape(kw_only=True)
class Reasoning(ProtocolObject):
    """Reasoning effort of the model: ``"minimal"``, ``"low"``, ``"medium"`` or ``"high"`` (GA)."""

    effort: str | None = None


@frozen_shape(kw_only=True)
class TokenLimits(ProtocolObject):
    """Token limits for :class:`RetentionRatio`."""

    post_instructions: int | None = None


@frozen_shape(kw_only=True)
class RetentionRatio(ProtocolObject):
    """
    Truncation of a full context: the oldest turns are dropped (GA).

    Attributes:
        type: Any other is a strategy newer than this library, with its fields in ``extra``.
        retention_ratio: Fraction of the context to keep, 0.0 to 1.0.
    """

    type: str = "retention_ratio"
    retention_ratio: float | None = None
    token_limits: TokenLimits | None = None


@frozen_shape(kw_only=True)
class ClientSecretExpiry(ProtocolObject):
    """
    Expiry of an ephemeral key.

    Attributes:
        anchor: Start of the period, such as ``"created_at"``.
        seconds: Length of the period, 10 to 7 200.
    """

    anchor: str | None = None
    seconds: int | None = None


@frozen_shape(kw_only=True)
class ClientSecretConfig(ProtocolObject):
    """Configuration of a session's ephemeral key (preview)."""

    expires_after: ClientSecretExpiry | None = None
    expires_at: ClientSecretExpiry | None = None


@frozen_shape(kw_only=True)
class ClientSecret(ProtocolObject):
    """
    An ephemeral key.

    Attributes:
        value: The secret itself; never shown in a ``repr``.
        expires_at: Expiry, as Unix time in seconds.
    """

    value: str = field(repr=False)
    expires_at: int


def _turn_detection(value: TurnDetection | Given | Unset | None) -> TurnDetection | Unset | None:
    return cast("TurnDetection | Unset | None", read_mapping(TurnDetection, value, "turn_detection"))


def _transcription(
    value: InputAudioTranscription | Given | Unset | None,
) -> InputAudioTranscription | Unset | None:
    made = read_mapping(InputAudioTranscription, value, "input_audio_transcription")
    return cast("InputAudioTranscription | Unset | None", made)


def _noise_reduction(value: NoiseReduction | Given | Unset | None) -> NoiseReduction | Unset | None:
    made = read_mapping(NoiseReduction, value, "input_audio_noise_reduction")
    return cast("NoiseReduction | Unset | None", made)


def as_voice(value: str | CustomVoice | Given | Unset) -> str | CustomVoice | Unset:
    """Convert a mapping to a custom voice."""
    return cast("str | CustomVoice | Unset", read_mapping(CustomVoice, value, "voice"))


def as_tools(value: Sequence[Tool | Given] | Unset) -> list[Tool] | Unset:
    """Convert mappings to tools."""
    if not isinstance(value, list | tuple):
        return cast("Unset", value)
    return [cast(Tool, read_mapping(Tool, tool, f"tools[{i}]")) for i, tool in enumerate(value)]


def as_tool_choice(value: str | ToolChoice | Given | Unset) -> str | ToolChoice | Unset:
    """Convert a mapping to a tool choice."""
    return cast("str | ToolChoice | Unset", read_mapping(ToolChoice, value, "tool_choice"))


def _tracing(value: str | TracingConfig | Given | Unset | None) -> str | TracingConfig | Unset | None:
    return cast("str | TracingConfig | Unset | None", read_mapping(TracingConfig, value, "tracing"))


def as_reasoning(value: Reasoning | Given | Unset) -> Reasoning | Unset:
    """Convert a mapping to a reasoning effort."""
    return cast("Reasoning | Unset", read_mapping(Reasoning, value, "reasoning"))


def _truncation(value: str | RetentionRatio | Given | Unset) -> str | RetentionRatio | Unset:
    return cast("str | RetentionRatio | Unset", read_mapping(RetentionRatio, value, "truncation"))


def as_prompt(value: Prompt | Given | Unset | None) -> Prompt | Unset | None:
    """Convert a mapping to a stored prompt."""
    return cast("Prompt | Unset | None", read_mapping(Prompt, value, "prompt"))


def _client_secret(value: ClientSecretConfig | Given | Unset) -> ClientSecretConfig | Unset:
    return cast("ClientSecretConfig | Unset", read_mapping(ClientSecretConfig, value, "client_secret"))


@frozen_shape(kw_only=True)
class SessionConfig(ProtocolObject):
    """
    Configuration of a session. Only fields that are set are sent; ``None`` clears a field.

    A field that takes an object also takes a mapping of its fields:
    ``turn_detection={"type": "semantic_vad"}``.

    Attributes:
        model: Model or deployment; usually part of the URL, and unset here.
        modalities: ``["text", "audio"]`` or ``["text"]``.
        instructions: System prompt.
        voice: ``"alloy"``, ``"ash"``, ``"ballad"``, ``"coral"``, ``"echo"``, ``"sage"``,
            ``"shimmer"``, ``"verse"``; GA adds ``"marin"`` and ``"cedar"``. Fixed after the
            first audio of the session.
        input_audio_format: ``"pcm16"`` (int16, little-endian, mono, 24 000 Hz), ``"g711_ulaw"``
            or ``"g711_alaw"`` (8 000 Hz, one byte per frame).
        output_audio_format: Format of the answers; the same values.
        input_audio_transcription: Transcription of the user's speech; ``None`` turns it off.
        input_audio_noise_reduction: Noise reduction on the input; ``None`` turns it off.
        turn_detection: Turn detection; ``None`` turns it off, and the program commits audio and requests
            responses itself.
        speed: Speech rate, 0.25 to 1.5; 1.0 is normal.
        tools: Tools the model may call; ``[]`` removes all.
        tool_choice: ``"auto"``, ``"none"``, ``"required"`` or a :class:`ToolChoice`.
        temperature: Sampling temperature, 0.6 to 1.2. Preview only.
        max_response_output_tokens: Limit of a response in tokens, 1 to 4 096, or ``"inf"``.
        tracing: ``"auto"`` or labels; ``None`` turns it off.
        include: Additional output, such as ``"item.input_audio_transcription.logprobs"``. GA.
        parallel_tool_calls: Allow several tool calls in one response. GA.
        reasoning: Reasoning effort of the model. GA.
        truncation: Truncation of a full context: ``"auto"``, ``"disabled"`` or a :class:`RetentionRatio`.
        prompt: A stored prompt.
        client_secret: The session's ephemeral key. Preview only.
    """

    model: str | Unset = UNSET
    modalities: list[str] | Unset = UNSET
    instructions: str | Unset = UNSET
    voice: str | CustomVoice | Unset = field(default=UNSET, converter=as_voice)
    input_audio_format: str | Unset = UNSET
    output_audio_format: str | Unset = UNSET
    input_audio_transcription: InputAudioTranscription | Unset | None = field(
        default=UNSET, converter=_transcription
    )
    input_audio_noise_reduction: NoiseReduction | Unset | None = field(
        default=UNSET, converter=_noise_reduction
    )
    turn_detection: TurnDetection | Unset | None = field(default=UNSET, converter=_turn_detection)
    speed: float | Unset = UNSET
    tools: list[Tool] | Unset = field(default=UNSET, converter=as_tools)
    tool_choice: str | ToolChoice | Unset = field(default=UNSET, converter=as_tool_choice)
    temperature: float | Unset = UNSET
    max_response_output_tokens: MaxTokens | Unset | None = UNSET
    tracing: str | TracingConfig | Unset | None = field(default=UNSET, converter=_tracing)
    include: list[str] | Unset | None = UNSET
    parallel_tool_calls: bool | Unset = UNSET
    reasoning: Reasoning | Unset = field(default=UNSET, converter=as_reasoning)
    truncation: str | RetentionRatio | Unset = field(default=UNSET, converter=_truncation)
    prompt: Prompt | Unset | None = field(default=UNSET, converter=as_prompt)
    client_secret: ClientSecretConfig | Unset = field(default=UNSET, converter=_client_secret)


@frozen_shape(kw_only=True)
class TranscriptionSessionConfig(ProtocolObject):
    """Configuration of a transcription session; fields as in :class:`SessionConfig`."""

    input_audio_format: str | Unset = UNSET
    input_audio_transcription: InputAudioTranscription | Unset | None = field(
        default=UNSET, converter=_transcription
    )
    input_audio_noise_reduction: NoiseReduction | Unset | None = field(
        default=UNSET, converter=_noise_reduction
    )
    turn_detection: TurnDetection | Unset | None = field(default=UNSET, converter=_turn_detection)
    include: list[str] | Unset | None = UNSET
    modalities: list[str] | Unset = UNSET
    client_secret: ClientSecretConfig | Unset = field(default=UNSET, converter=_client_secret)


@frozen_shape(kw_only=True)
class Session(ProtocolObject):
    """
    The session in force, as the service reports it. Fields as in :class:`SessionConfig`.

    Attributes:
        id: Id of the session.
        expires_at: End of the session, as Unix time in seconds.
        model: The model behind the deployment.
        type: ``"realtime"`` on GA.
    """

    id: str | None = None
    object: str | None = None
    type: str | None = None
    model: str | None = None
    expires_at: int | None = None
    modalities: list[str] | None = None
    instructions: str | None = None
    voice: str | CustomVoice | None = None
    input_audio_format: str | None = None
    output_audio_format: str | None = None
    input_audio_transcription: InputAudioTranscription | None = None
    input_audio_noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = None
    speed: float | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ToolChoice | None = None
    temperature: float | None = None
    max_response_output_tokens: MaxTokens | None = None
    tracing: str | TracingConfig | None = None
    include: list[str] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    truncation: str | RetentionRatio | None = None
    prompt: Prompt | None = None
    client_secret: ClientSecret | None = None


@frozen_shape(kw_only=True)
class TranscriptionSession(ProtocolObject):
    """The transcription session in force, as the service reports it."""

    id: str | None = None
    object: str | None = None
    type: str | None = None
    expires_at: int | None = None
    input_audio_format: str | None = None
    input_audio_transcription: InputAudioTranscription | None = None
    input_audio_noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = None
    include: list[str] | None = None
    modalities: list[str] | None = None
    client_secret: ClientSecret | None = None


@frozen_shape(kw_only=True)
class CreatedClientSecret(ProtocolObject):
    """
    Response of the REST call that creates an ephemeral key (GA).

    Attributes:
        value: The secret itself; never shown in a ``repr``.
        expires_at: Expiry, as Unix time in seconds.
        session: Session that the key is for.
    """

    value: str = field(repr=False)
    expires_at: int
    session: Session | TranscriptionSession
