"""Events of a response, from start to end."""

from __future__ import annotations

from typing import ClassVar

from attrs import field

from ..base import frozen_shape
from ..items import ContentPart, ConversationItem
from ..responses import Response
from .base import Event, show_length
from .sound import SoundDelta

__all__ = [
    "McpListToolsCompleted",
    "McpListToolsFailed",
    "McpListToolsInProgress",
    "PartEvent",
    "ResponseContentPartAdded",
    "ResponseContentPartDone",
    "ResponseCreated",
    "ResponseDone",
    "ResponseFunctionCallArgumentsDelta",
    "ResponseFunctionCallArgumentsDone",
    "ResponseMcpCallArgumentsDelta",
    "ResponseMcpCallArgumentsDone",
    "ResponseMcpCallCompleted",
    "ResponseMcpCallFailed",
    "ResponseMcpCallInProgress",
    "ResponseOutputAudioDelta",
    "ResponseOutputAudioDone",
    "ResponseOutputAudioTranscriptDelta",
    "ResponseOutputAudioTranscriptDone",
    "ResponseOutputItemAdded",
    "ResponseOutputItemDone",
    "ResponseOutputTextDelta",
    "ResponseOutputTextDone",
]


@frozen_shape(kw_only=True)
class PartEvent(Event):
    """
    Base class of events about one content part; a listener on it receives them all.

    Attributes:
        response_id: Of the response.
        item_id: Of the message with the part.
        output_index: Index of the message in the response's items.
        content_index: Index of the part in the message.
    """

    response_id: str
    item_id: str
    output_index: int
    content_index: int


@frozen_shape(kw_only=True)
class ResponseCreated(Event):
    """A response was created."""

    TYPE: ClassVar[str] = "response.created"
    response: Response


@frozen_shape(kw_only=True)
class ResponseDone(Event):
    """A response has ended, whatever its status."""

    TYPE: ClassVar[str] = "response.done"
    response: Response


@frozen_shape(kw_only=True)
class ResponseOutputItemAdded(Event):
    """An item of a response was created."""

    TYPE: ClassVar[str] = "response.output_item.added"
    response_id: str
    output_index: int
    item: ConversationItem


@frozen_shape(kw_only=True)
class ResponseOutputItemDone(Event):
    """An item of a response is complete."""

    TYPE: ClassVar[str] = "response.output_item.done"
    response_id: str
    output_index: int
    item: ConversationItem


@frozen_shape(kw_only=True)
class ResponseContentPartAdded(PartEvent):
    """A content part was created."""

    TYPE: ClassVar[str] = "response.content_part.added"
    part: ContentPart | None = None


@frozen_shape(kw_only=True)
class ResponseContentPartDone(PartEvent):
    """A content part is complete."""

    TYPE: ClassVar[str] = "response.content_part.done"
    part: ContentPart | None = None


@frozen_shape(kw_only=True)
class ResponseOutputTextDelta(PartEvent):
    """A piece of a text answer."""

    TYPE: ClassVar[str] = "response.output_text.delta"
    delta: str


@frozen_shape(kw_only=True)
class ResponseOutputTextDone(PartEvent):
    """The complete text of a text answer."""

    TYPE: ClassVar[str] = "response.output_text.done"
    text: str


@frozen_shape(kw_only=True)
class ResponseOutputAudioTranscriptDelta(PartEvent):
    """A piece of the transcript of a spoken answer."""

    TYPE: ClassVar[str] = "response.output_audio_transcript.delta"
    delta: str


@frozen_shape(kw_only=True)
class ResponseOutputAudioTranscriptDone(PartEvent):
    """The complete transcript of a spoken answer."""

    TYPE: ClassVar[str] = "response.output_audio_transcript.done"
    transcript: str


@frozen_shape(kw_only=True)
class ResponseOutputAudioDelta(SoundDelta, PartEvent):
    """
    A piece of the audio of a spoken answer.

    Attributes:
        delta: Base64.
    """

    TYPE: ClassVar[str] = "response.output_audio.delta"
    delta: str = field(repr=show_length)


@frozen_shape(kw_only=True)
class ResponseOutputAudioDone(PartEvent):
    """All audio of a spoken answer was sent."""

    TYPE: ClassVar[str] = "response.output_audio.done"


@frozen_shape(kw_only=True)
class ResponseFunctionCallArgumentsDelta(Event):
    """A piece of a function call's arguments, which are JSON text."""

    TYPE: ClassVar[str] = "response.function_call_arguments.delta"
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    delta: str


@frozen_shape(kw_only=True)
class ResponseFunctionCallArgumentsDone(Event):
    """
    The complete arguments of a function call, as JSON text.

    Attributes:
        name: Of the function; missing in preview, where the item has it.
    """

    TYPE: ClassVar[str] = "response.function_call_arguments.done"
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    arguments: str
    name: str | None = None


@frozen_shape(kw_only=True)
class ResponseMcpCallArgumentsDelta(Event):
    """A piece of an MCP call's arguments, which are JSON text (GA)."""

    TYPE: ClassVar[str] = "response.mcp_call_arguments.delta"
    response_id: str
    item_id: str
    output_index: int
    delta: str
    obfuscation: str | None = None


@frozen_shape(kw_only=True)
class ResponseMcpCallArgumentsDone(Event):
    """The complete arguments of an MCP call, as JSON text (GA)."""

    TYPE: ClassVar[str] = "response.mcp_call_arguments.done"
    response_id: str
    item_id: str
    output_index: int
    arguments: str


@frozen_shape(kw_only=True)
class ResponseMcpCallInProgress(Event):
    """An MCP call was started (GA)."""

    TYPE: ClassVar[str] = "response.mcp_call.in_progress"
    item_id: str
    output_index: int


@frozen_shape(kw_only=True)
class ResponseMcpCallCompleted(Event):
    """An MCP call has succeeded (GA)."""

    TYPE: ClassVar[str] = "response.mcp_call.completed"
    item_id: str
    output_index: int


@frozen_shape(kw_only=True)
class ResponseMcpCallFailed(Event):
    """An MCP call has failed (GA)."""

    TYPE: ClassVar[str] = "response.mcp_call.failed"
    item_id: str
    output_index: int


@frozen_shape(kw_only=True)
class McpListToolsInProgress(Event):
    """The list of an MCP server's tools is being fetched (GA)."""

    TYPE: ClassVar[str] = "mcp_list_tools.in_progress"
    item_id: str


@frozen_shape(kw_only=True)
class McpListToolsCompleted(Event):
    """The list of an MCP server's tools was fetched (GA)."""

    TYPE: ClassVar[str] = "mcp_list_tools.completed"
    item_id: str


@frozen_shape(kw_only=True)
class McpListToolsFailed(Event):
    """The list of an MCP server's tools could not be fetched (GA)."""

    TYPE: ClassVar[str] = "mcp_list_tools.failed"
    item_id: str
