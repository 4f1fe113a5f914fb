"""A response: what may be asked of it, and how it ended."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, cast

from attrs import field

from ..errors import RealtimeError
from .base import UNSET, ProtocolObject, Unset, frozen_shape, read_mapping
from .items import ConversationItem, FunctionCallItem, FunctionCallOutputItem, MessageItem
from .response_errors import GUARD, response_error
from .session import (
    CustomVoice,
    Given,
    MaxTokens,
    Prompt,
    Reasoning,
    as_prompt,
    as_reasoning,
    as_tool_choice,
    as_tools,
    as_voice,
)
from .tools import Tool, ToolChoice

__all__ = [
    "CachedTokenDetails",
    "InputTokenDetails",
    "OutputTokenDetails",
    "Response",
    "ResponseConfig",
    "ResponseError",
    "ResponseStatusDetails",
    "Usage",
]


def _items(value: Sequence[ConversationItem | Given] | Unset) -> list[ConversationItem] | Unset:
    if not isinstance(value, list | tuple):
        return cast("Unset", value)
    return [
        cast(ConversationItem, read_mapping(ConversationItem, item, f"input[{i}]"))
        for i, item in enumerate(value)
    ]


@frozen_shape(kw_only=True)
class ResponseConfig(ProtocolObject):
    """
    What to change for one response; what is unset is as the session has it.

    Where an object stands, a mapping with its fields does as well.

    Attributes:
        conversation: ``"auto"``, or ``"none"`` for an out-of-band response that leaves no trace
            in the conversation and may run beside another one.
        input: Items to answer in place of the conversation; ``[]`` for none.
        modalities: ``["text", "audio"]`` or ``["text"]``.
        instructions: In place of the session's.
        voice: See :class:`~azure_rt_audio.protocol.session.SessionConfig`.
        output_audio_format: The same.
        tools: In place of the session's.
        tool_choice: ``"auto"``, ``"none"``, ``"required"`` or one tool.
        temperature: 0.6 to 1.2. Preview only.
        max_output_tokens: 1 to 4 096, or ``"inf"``.
        metadata: Comes back with the response; 16 pairs, 64 and 512 characters at most.
        prompt: A stored prompt.
        parallel_tool_calls: GA.
        reasoning: GA.
        commit: 2024-10-01-preview only, as are the next three.
        cancel_previous: Whether a response in progress is cancelled.
        append_input_items: Items to answer after those of the conversation.
        input_items: Items to answer in their place.
    """

    conversation: str | Unset = UNSET
    input: list[ConversationItem] | Unset = field(default=UNSET, converter=_items)
    modalities: list[str] | Unset = UNSET
    instructions: str | Unset = UNSET
    voice: str | CustomVoice | Unset = field(default=UNSET, converter=as_voice)
    output_audio_format: str | Unset = UNSET
    tools: list[Tool] | Unset = field(default=UNSET, converter=as_tools)
    tool_choice: str | ToolChoice | Unset = field(default=UNSET, converter=as_tool_choice)
    temperature: float | Unset = UNSET
    max_output_tokens: MaxTokens | Unset = UNSET
    metadata: Mapping[str, str] | Unset | None = UNSET
    prompt: Prompt | Unset | None = field(default=UNSET, converter=as_prompt)
    parallel_tool_calls: bool | Unset = UNSET
    reasoning: Reasoning | Unset = field(default=UNSET, converter=as_reasoning)
    commit: bool | Unset = UNSET
    cancel_previous: bool | Unset = UNSET
    append_input_items: list[ConversationItem] | Unset = UNSET
    input_items: list[ConversationItem] | Unset = UNSET


@frozen_shape(kw_only=True)
class ResponseError(ProtocolObject):
    """Why a response failed, in the service's words."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None


@frozen_shape(kw_only=True)
class ResponseStatusDetails(ProtocolObject):
    """
    More about how a response ended.

    Attributes:
        reason: ``"turn_detected"``, ``"client_cancelled"`` or ``"guard"`` (cancelled),
            ``"max_output_tokens"`` or ``"content_filter"`` (incomplete).
        error: Of a failed one.
    """

    type: str | None = None
    reason: str | None = None
    error: ResponseError | None = None


@frozen_shape(kw_only=True)
class CachedTokenDetails(ProtocolObject):
    """Tokens of the input that came from the cache, by modality (GA)."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


@frozen_shape(kw_only=True)
class InputTokenDetails(ProtocolObject):
    """Tokens of the input by modality; cached ones are a part of them, not an addition."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens: int | None = None
    cached_tokens_details: CachedTokenDetails | None = None


@frozen_shape(kw_only=True)
class OutputTokenDetails(ProtocolObject):
    """Tokens of the output by modality."""

    text_tokens: int | None = None
    audio_tokens: int | None = None


@frozen_shape(kw_only=True)
class Usage(ProtocolObject):
    """What a response cost, in tokens."""

    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: InputTokenDetails | None = None
    output_token_details: OutputTokenDetails | None = None


class Sounding(Protocol):
    """A piece of sound, as a delta is."""

    @property
    def audio(self) -> bytes:
        """Its bytes."""


@frozen_shape(kw_only=True)
class Response(ProtocolObject):
    """
    A response as the service reports it, at its beginning or at its end.

    Attributes:
        status: ``"in_progress"``, ``"completed"``, ``"cancelled"``, ``"incomplete"`` or ``"failed"``.
        status_details: The reason, if it did not complete.
        output: Its items: messages and function calls.
        conversation_id: ``None`` for an out-of-band response.
        usage: ``None`` where the service left it out.
        metadata: As given when it was asked for.
        output_audio_format: ``None`` where the service does not say it: that of the session, or as asked for.
    """

    id: str | None = None
    object: str | None = None
    status: str | None = None
    status_details: ResponseStatusDetails | None = None
    output: list[ConversationItem] | None = None
    conversation_id: str | None = None
    modalities: list[str] | None = None
    voice: str | CustomVoice | None = None
    output_audio_format: str | None = None
    temperature: float | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    usage: Usage | None = None
    metadata: Mapping[str, str] | None = None

    @property
    def is_completed(self) -> bool:
        """Whether it ran to its natural end."""
        return self.status == "completed"

    @property
    def reason(self) -> str | None:
        """Why it did not complete: the service's reason, or the code or message of its error."""
        details = self.status_details
        if details is None:
            return None
        if details.reason is not None:
            return details.reason
        return None if details.error is None else details.error.code or details.error.message

    @property
    def error(self) -> RealtimeError | None:
        """
        Why it did not complete; ``None`` if it did, or is in progress.

        A :class:`~azure_rt_audio.ServiceError` if it failed, a
        :class:`~azure_rt_audio.errors.ResponseIncompleteError` if it was cut short or cancelled.
        """
        return response_error(self)

    @property
    def text(self) -> str:
        """What the model said or wrote: texts and transcripts of all its messages."""
        return "".join(item.text for item in self.output or () if isinstance(item, MessageItem))

    @property
    def function_calls(self) -> list[FunctionCallItem]:
        """The calls it asks for, in order."""
        return [item for item in self.output or () if isinstance(item, FunctionCallItem)]

    @property
    def audio(self) -> bytes:
        """
        Its sound, in ``output_audio_format``; ``"pcm16"`` is int16, little-endian, mono, 24 000 Hz.

        G.711 is one byte per frame, 8 000 Hz: no PCM16, so ``write_wav(path, ulaw_decode(response.audio),
        8_000)`` writes a file of it.

        Only of a response that was waited for here, by ``ask`` or as the result of a ``PendingResponse``;
        otherwise empty, as the service does not send it twice.
        """
        return b"".join(piece.audio for piece in self.__dict__.get("_sound", ()))

    @property
    def steps(self) -> list[Response | FunctionCallOutputItem]:
        """
        The way to this answer: responses that called tools of the client, and the outputs that they returned.

        Only of one that was waited for here; empty if no tool was called.
        """
        return list(self.__dict__.get("_steps", ()))

    @property
    def _limit_resets_in(self) -> float | None:
        """Seconds until the rate limit was to be reset that was used up when it ended, if one was."""
        seconds: float | None = self.__dict__.get("_reset_seconds")
        return seconds

    def _note_limit(self, reset_seconds: float | None) -> None:
        """Remember when a limit is reset that the service has told of; called before anybody has it."""
        self.__dict__["_reset_seconds"] = reset_seconds

    @property
    def _held_end(self) -> Any:
        """What keeps its end from those who wait for it, if something does."""
        return self.__dict__.get("_end")

    def _hold_end(self, end: Any) -> None:
        """Keep its end from them; called before any of them has it."""
        self.__dict__["_end"] = end

    def _stop(self, reason: str) -> None:
        """The guard has stopped it, even if the service knows it as completed."""
        error = ResponseError(code=GUARD, message=reason)
        self.__dict__["status"] = "cancelled"
        self.__dict__["status_details"] = ResponseStatusDetails(type="cancelled", reason=GUARD, error=error)

    def _complete(self, output: list[ConversationItem]) -> None:
        """Take what streamed into its output; called before anybody else has it."""
        self.__dict__["output"] = output
        self.extra.pop("output", None)

    def _with_steps(self, steps: Sequence[Response | FunctionCallOutputItem]) -> Response:
        """Return it with the way to it; another object for each that waits for the same one."""
        response = copy.copy(self) if "_steps" in self.__dict__ else self
        response.__dict__["_steps"] = tuple(steps)
        return response

    def _keep_sound(self, deltas: Sequence[Sounding]) -> None:
        """Remember the audio deltas that belong to it; they are decoded when :attr:`audio` is asked for."""
        self.__dict__["_sound"] = deltas

    def _repr_html_(self) -> str:
        """Show it as the value of a notebook's cell."""
        from .._html import card, facts, player, speech

        calls = [(None, f"{call.name}({call.arguments})") for call in self.function_calls]
        usage = self.usage
        tokens = None if usage is None else f"{usage.input_tokens} in, {usage.output_tokens} out"
        rows = {"error": self.error, "tokens": tokens, "id": self.id}
        said = speech([("assistant", self.text), *calls])
        sound = player(self.audio, self.output_audio_format)
        return card("Response", [said, sound, facts(rows)], status=self.status)
