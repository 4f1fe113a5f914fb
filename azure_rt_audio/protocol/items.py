"""Conversation items, and the content parts of messages."""

from __future__ import annotations

from typing import Any

from attrs import field

from .base import ProtocolObject, frozen_shape

__all__ = [
    "ContentPart",
    "ConversationItem",
    "FunctionCallItem",
    "FunctionCallOutputItem",
    "ItemReference",
    "McpApprovalRequestItem",
    "McpApprovalResponseItem",
    "McpCallItem",
    "McpError",
    "McpListToolsItem",
    "McpListedTool",
    "MessageItem",
    "UnknownItem",
]


def _show_length(value: str | None) -> str:
    return "None" if value is None else f"<{len(value)} characters>"


@frozen_shape(kw_only=True)
class ContentPart(ProtocolObject):
    """
    A content part of a message.

    Attributes:
        type: ``"input_text"``, ``"input_audio"`` and ``"input_image"`` from the user;
            ``"text"`` and ``"audio"`` from the assistant, in both dialects.
        text: Text of a text part.
        audio: Audio of an audio part, as base64 in the session's format.
        transcript: Transcript of an audio part; ``None`` until the service sends it.
        image_url: Image of an image part, as a ``data:`` URI of a PNG or JPEG. GA.
        detail: Detail of an image: ``"auto"``, ``"low"`` or ``"high"``.
        id: Id of the item that an ``item_reference`` part refers to.
    """

    type: str | None = None
    text: str | None = None
    audio: str | None = field(default=None, repr=_show_length)
    transcript: str | None = None
    image_url: str | None = field(default=None, repr=_show_length)
    detail: str | None = None
    id: str | None = None


@frozen_shape(kw_only=True)
class MessageItem(ProtocolObject):
    """
    A message: speech, text or images.

    Attributes:
        role: Author of the message: ``"system"``, ``"user"`` or ``"assistant"``.
        content: Content parts: text, audio or images.
        status: ``"in_progress"``, ``"completed"`` or ``"incomplete"``.
    """

    type: str = "message"
    role: str | None = None
    content: list[ContentPart] | None = None
    id: str | None = None
    object: str | None = None
    status: str | None = None

    @property
    def text(self) -> str:
        """Texts and transcripts of all parts, joined."""
        return "".join(part.text or part.transcript or "" for part in self.content or ())


@frozen_shape(kw_only=True)
class FunctionCallItem(ProtocolObject):
    """
    A function call by the model.

    Attributes:
        name: Name of the function, as declared by the tool.
        arguments: Arguments as JSON text. Validate them: the model may not follow the schema.
        call_id: Id of the call, for :class:`FunctionCallOutputItem`.
    """

    type: str = "function_call"
    name: str | None = None
    arguments: str | None = None
    call_id: str | None = None
    id: str | None = None
    object: str | None = None
    status: str | None = None


@frozen_shape(kw_only=True)
class FunctionCallOutputItem(ProtocolObject):
    """
    The result of a function call.

    Attributes:
        call_id: Id of the call.
        output: Result as text, usually JSON.
    """

    type: str = "function_call_output"
    call_id: str
    output: str
    id: str | None = None
    object: str | None = None
    status: str | None = None


@frozen_shape(kw_only=True)
class ItemReference(ProtocolObject):
    """A reference to an item by id, in the input of an out-of-band response."""

    type: str = "item_reference"
    id: str


@frozen_shape(kw_only=True)
class McpListedTool(ProtocolObject):
    """A tool of an MCP server."""

    name: str
    input_schema: Any
    description: str | None = None
    annotations: Any = None


@frozen_shape(kw_only=True)
class McpListToolsItem(ProtocolObject):
    """The list of an MCP server's tools (GA)."""

    type: str = "mcp_list_tools"
    server_label: str
    tools: list[McpListedTool]
    id: str | None = None


@frozen_shape(kw_only=True)
class McpError(ProtocolObject):
    """
    The failure of an MCP call.

    Attributes:
        type: ``"protocol_error"``, ``"tool_execution_error"`` or ``"http_error"``.
        code: Error code of the protocol, or HTTP status.
    """

    type: str
    message: str
    code: int | None = None


@frozen_shape(kw_only=True)
class McpCallItem(ProtocolObject):
    """A tool call by the service to an MCP server, with its output or error (GA)."""

    type: str = "mcp_call"
    id: str
    server_label: str
    name: str
    arguments: str
    approval_request_id: str | None = None
    output: str | None = None
    error: McpError | None = None


@frozen_shape(kw_only=True)
class McpApprovalRequestItem(ProtocolObject):
    """A request to approve a call of an MCP tool (GA)."""

    type: str = "mcp_approval_request"
    id: str
    server_label: str
    name: str
    arguments: str


@frozen_shape(kw_only=True)
class McpApprovalResponseItem(ProtocolObject):
    """Approval or refusal of an :class:`McpApprovalRequestItem` (GA)."""

    type: str = "mcp_approval_response"
    id: str
    approval_request_id: str
    approve: bool
    reason: str | None = None


@frozen_shape(kw_only=True)
class UnknownItem(ProtocolObject):
    """An item of a kind newer than this library; its other fields are in ``extra``."""

    type: str | None = None
    id: str | None = None


ConversationItem = (
    MessageItem
    | FunctionCallItem
    | FunctionCallOutputItem
    | ItemReference
    | McpListToolsItem
    | McpCallItem
    | McpApprovalRequestItem
    | McpApprovalResponseItem
    | UnknownItem
)
