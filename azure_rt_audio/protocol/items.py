"""Items of a conversation and the parts of a message."""

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
    One part of a message.

    Attributes:
        type: ``"input_text"``, ``"input_audio"`` and ``"input_image"`` from the user;
            ``"text"`` and ``"audio"`` from the assistant, whatever the dialect calls them.
        text: Of a text part.
        audio: Base64, in the session's format.
        transcript: What was said in an audio part; ``None`` until it is known.
        image_url: ``data:`` URI of a PNG or JPEG. GA.
        detail: ``"auto"``, ``"low"`` or ``"high"``.
        id: Of the item that an ``item_reference`` part points to.
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
    Something said or written.

    Attributes:
        role: ``"system"``, ``"user"`` or ``"assistant"``.
        content: Its parts: text, audio or images.
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
        """Everything in it that can be read: texts and transcripts, joined."""
        return "".join(part.text or part.transcript or "" for part in self.content or ())


@frozen_shape(kw_only=True)
class FunctionCallItem(ProtocolObject):
    """
    The model asks to have a function called.

    Attributes:
        name: Of the function, as the tool declared it.
        arguments: JSON text, by the schema the tool declared; check it, the model wrote it.
        call_id: To be given back with the output.
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
    What a function answered.

    Attributes:
        call_id: Of the call.
        output: Free text, usually JSON.
    """

    type: str = "function_call_output"
    call_id: str
    output: str
    id: str | None = None
    object: str | None = None
    status: str | None = None


@frozen_shape(kw_only=True)
class ItemReference(ProtocolObject):
    """An item of the conversation, by id, as input of an out-of-band response."""

    type: str = "item_reference"
    id: str


@frozen_shape(kw_only=True)
class McpListedTool(ProtocolObject):
    """A tool that an MCP server offers."""

    name: str
    input_schema: Any
    description: str | None = None
    annotations: Any = None


@frozen_shape(kw_only=True)
class McpListToolsItem(ProtocolObject):
    """The tools that an MCP server offers (GA)."""

    type: str = "mcp_list_tools"
    server_label: str
    tools: list[McpListedTool]
    id: str | None = None


@frozen_shape(kw_only=True)
class McpError(ProtocolObject):
    """
    Why an MCP call failed.

    Attributes:
        type: ``"protocol_error"``, ``"tool_execution_error"`` or ``"http_error"``.
        code: Of the protocol or of HTTP.
    """

    type: str
    message: str
    code: int | None = None


@frozen_shape(kw_only=True)
class McpCallItem(ProtocolObject):
    """A call that the service made to an MCP server (GA)."""

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
    """The model wants to call an MCP tool and asks whether it may (GA)."""

    type: str = "mcp_approval_request"
    id: str
    server_label: str
    name: str
    arguments: str


@frozen_shape(kw_only=True)
class McpApprovalResponseItem(ProtocolObject):
    """The user's answer to :class:`McpApprovalRequestItem` (GA)."""

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
