"""
The session: what the user configures and what the service says is in force.

The flat form is the vocabulary of the library. GA nests most of it below ``audio``;
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
"""A number of tokens from 1 to 4 096, or ``"inf"`` for as many as the model can give."""

Given = Mapping[str, Any]
"""What may stand for an object in a constructor: its fields by name, in snake_case or camelCase."""


@frozen_shape(kw_only=True)
class TurnDetection(ProtocolObject):
    """
    How the service notices that the user has begun and ended a turn.

    Attributes:
        type: ``"server_vad"`` (loudness) or ``"semantic_vad"`` (meaning).
        threshold: 0.0 to 1.0; higher needs louder speech. ``server_vad``; the service's default is 0.5.
        prefix_padding_ms: Audio kept from before speech was noticed; the service's default is 300 ms.
        silence_duration_ms: Silence that ends the turn; the service's default: 200 ms; GA documents 500.
        create_response: Whether the end of a turn starts a response; the service's default is ``True``.
        interrupt_response: Whether speech cancels the response in progress; the service's default: ``True``.
        eagerness: ``"low"``, ``"medium"``, ``"high"`` or ``"auto"``. ``semantic_vad``.
        idle_timeout_ms: 5 000 to 30 000 ms of silence after which the model speaks by itself. GA.
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
    How the user's speech is written down beside the conversation.

    Attributes:
        model: On Azure the name of a deployment in the same resource.
        language: ISO 639-1 code of the speech, such as ``"en"``.
        prompt: Words or style to expect.
        keywords: Words to listen for. GA.
        languages: Languages to expect.
        delay: How long to wait for context, ``"minimal"`` to ``"xhigh"``. GA.
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
    Cleaning of the input before turn detection and model.

    Attributes:
        type: ``"near_field"`` (headset) or ``"far_field"`` (laptop, room).
        strength: GA.
    """

    type: str | None = None
    strength: float | None = None


@frozen_shape(kw_only=True)
class CustomVoice(ProtocolObject):
    """A voice of one's own, by id (GA). Services of the same family describe theirs in other fields."""

    id: str | None = None


@frozen_shape(kw_only=True)
class TracingConfig(ProtocolObject):
    """How the service labels the traces it keeps of the session."""

    group_id: str | None = None
    workflow_name: str | None = None
    metadata: Any = None


@frozen_shape(kw_only=True)
class CacheBreakpoint(ProtocolObject):
    """Where the prompt's cache may end (GA)."""

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
    A prompt stored at the service (GA).

    Attributes:
        variables: What to put in place of its variables; a ``dict`` is a kind newer than this library.
    """

    id: str
    version: str | None = None
    variables: Mapping[str, str | PromptText | PromptImage | PromptFile | dict[str, Any]] | None = None


@frozen_shape(kw_only=True)
class Reasoning(ProtocolObject):
    """How hard the model thinks: ``"minimal"``, ``"low"``, ``"medium"``, ``"high"`` (GA)."""

    effort: str | None = None


@frozen_shape(kw_only=True)
class TokenLimits(ProtocolObject):
    """Bounds in tokens for :class:`RetentionRatio`."""

    post_instructions: int | None = None


@frozen_shape(kw_only=True)
class RetentionRatio(ProtocolObject):
    """
    Forget the oldest turns when the context is full (GA).

    Attributes:
        type: Another one is a strategy newer than this library, with its fields in ``extra``.
        retention_ratio: Share of the context to keep, 0.0 to 1.0.
    """

    type: str = "retention_ratio"
    retention_ratio: float | None = None
    token_limits: TokenLimits | None = None


@frozen_shape(kw_only=True)
class ClientSecretExpiry(ProtocolObject):
    """
    When an ephemeral key ends.

    Attributes:
        seconds: After the anchor; 10 to 7 200.
    """

    anchor: str | None = None
    seconds: int | None = None


@frozen_shape(kw_only=True)
class ClientSecretConfig(ProtocolObject):
    """What to ask of the ephemeral key that comes with a session (preview)."""

    expires_after: ClientSecretExpiry | None = None
    expires_at: ClientSecretExpiry | None = None


@frozen_shape(kw_only=True)
class ClientSecret(ProtocolObject):
    """
    An ephemeral key.

    Attributes:
        value: The secret itself; never shown in a ``repr``.
        expires_at: Unix time in seconds.
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
    """Let a mapping stand for a voice of one's own."""
    return cast("str | CustomVoice | Unset", read_mapping(CustomVoice, value, "voice"))


def as_tools(value: Sequence[Tool | Given] | Unset) -> list[Tool] | Unset:
    """Let mappings stand for tools."""
    if not isinstance(value, list | tuple):
        return cast("Unset", value)
    return [cast(Tool, read_mapping(Tool, tool, f"tools[{i}]")) for i, tool in enumerate(value)]


def as_tool_choice(value: str | ToolChoice | Given | Unset) -> str | ToolChoice | Unset:
    """Let a mapping stand for the tool that must be used."""
    return cast("str | ToolChoice | Unset", read_mapping(ToolChoice, value, "tool_choice"))


def _tracing(value: str | TracingConfig | Given | Unset | None) -> str | TracingConfig | Unset | None:
    return cast("str | TracingConfig | Unset | None", read_mapping(TracingConfig, value, "tracing"))


def as_reasoning(value: Reasoning | Given | Unset) -> Reasoning | Unset:
    """Let a mapping stand for the effort."""
    return cast("Reasoning | Unset", read_mapping(Reasoning, value, "reasoning"))


def _truncation(value: str | RetentionRatio | Given | Unset) -> str | RetentionRatio | Unset:
    return cast("str | RetentionRatio | Unset", read_mapping(RetentionRatio, value, "truncation"))


def as_prompt(value: Prompt | Given | Unset | None) -> Prompt | Unset | None:
    """Let a mapping stand for a stored prompt."""
    return cast("Prompt | Unset | None", read_mapping(Prompt, value, "prompt"))


def _client_secret(value: ClientSecretConfig | Given | Unset) -> ClientSecretConfig | Unset:
    return cast("ClientSecretConfig | Unset", read_mapping(ClientSecretConfig, value, "client_secret"))


@frozen_shape(kw_only=True)
class SessionConfig(ProtocolObject):
    """
    What the user asks of a session. Only what is set is sent; ``None`` clears.

    Where an object stands, a mapping with its fields does as well:
    ``turn_detection={"type": "semantic_vad"}``.

    Attributes:
        model: Model or deployment; usually given by the URL and left unset.
        modalities: ``["text", "audio"]`` or ``["text"]``.
        instructions: System prompt.
        voice: ``"alloy"``, ``"ash"``, ``"ballad"``, ``"coral"``, ``"echo"``, ``"sage"``,
            ``"shimmer"``, ``"verse"``; GA adds ``"marin"`` and ``"cedar"``. Fixed after the
            first audio of the session.
        input_audio_format: ``"pcm16"`` (int16, little-endian, mono, 24 000 Hz), ``"g711_ulaw"``
            or ``"g711_alaw"`` (8 000 Hz, one byte per frame).
        output_audio_format: The same, for answers.
        input_audio_transcription: ``None`` turns transcription of the user off.
        input_audio_noise_reduction: ``None`` turns it off.
        turn_detection: ``None`` turns it off: the caller commits and asks for responses.
        speed: Of speech, 0.25 to 1.5; 1.0 is normal.
        tools: What the model may call; ``[]`` clears.
        tool_choice: ``"auto"``, ``"none"``, ``"required"`` or one tool.
        temperature: 0.6 to 1.2. Preview only; GA has no such setting.
        max_response_output_tokens: 1 to 4 096, or ``"inf"``.
        tracing: ``"auto"``, labels, or ``None`` for none.
        include: Additional output, such as ``"item.input_audio_transcription.logprobs"``. GA.
        parallel_tool_calls: Whether one response may hold several calls. GA.
        reasoning: GA.
        truncation: ``"auto"``, ``"disabled"`` or a ratio.
        prompt: A stored prompt.
        client_secret: Preview only.
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
    """What the user asks of a session that only transcribes; see :class:`SessionConfig`."""

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
    The session in force, as the service describes it. Fields as in :class:`SessionConfig`.

    Attributes:
        id: Of the session.
        expires_at: Unix time in seconds at which the service will end it.
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
    """The transcription session in force, as the service describes it."""

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
    Answer of the REST call that makes an ephemeral key (GA).

    Attributes:
        value: The secret itself; never shown in a ``repr``.
        expires_at: Unix time in seconds.
        session: What the key is for.
    """

    value: str = field(repr=False)
    expires_at: int
    session: Session | TranscriptionSession
