"""Tools the model may call, as a session or a response declares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field

from .base import ProtocolObject, frozen_shape

__all__ = [
    "FunctionTool",
    "McpApprovalFilter",
    "McpTool",
    "McpToolFilter",
    "Tool",
    "ToolChoice",
]


@frozen_shape(kw_only=True)
class FunctionTool(ProtocolObject):
    """
    A function of the caller's own that the model may ask to have called.

    Attributes:
        type: Another one is a kind of tool newer than this library, with its fields in ``extra``.
        name: What the model calls it.
        description: When and how to use it; the model reads this.
        parameters: JSON Schema of the arguments, an ``object`` at the top.
    """

    type: str = "function"
    name: str | None = None
    description: str | None = None
    parameters: Any = None


@frozen_shape(kw_only=True)
class McpToolFilter(ProtocolObject):
    """Some tools of an MCP server, by name or by whether they only read."""

    tool_names: list[str] | None = None
    read_only: bool | None = None


@frozen_shape(kw_only=True)
class McpApprovalFilter(ProtocolObject):
    """Which tools of an MCP server need approval before each call, and which never do."""

    always: McpToolFilter | None = None
    never: McpToolFilter | None = None


@frozen_shape(kw_only=True)
class McpTool(ProtocolObject):
    """
    The tools of an MCP server, which the service itself calls (GA only).

    Attributes:
        server_label: Name under which its calls appear.
        authorization: Access token for the server; never shown in a ``repr``.
        headers: Sent to the server; may hold secrets, never shown in a ``repr``.
        allowed_tools: Names, or a filter; ``None`` allows all.
        require_approval: ``"always"``, ``"never"`` or a filter.
    """

    type: str = "mcp"
    server_label: str
    server_url: str | None = None
    server_description: str | None = None
    connector_id: str | None = None
    tunnel_id: str | None = None
    authorization: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    allowed_tools: list[str] | McpToolFilter | None = None
    allowed_callers: list[str] | None = None
    require_approval: str | McpApprovalFilter | None = None
    defer_loading: bool | None = None


Tool = FunctionTool | McpTool


@frozen_shape(kw_only=True)
class ToolChoice(ProtocolObject):
    """
    One particular tool that the model must use.

    Attributes:
        type: ``"function"``, or ``"mcp"`` (GA only).
        name: Of the function, or of the server's tool.
        server_label: Of the MCP server.
    """

    type: str = "function"
    name: str | None = None
    server_label: str | None = None
