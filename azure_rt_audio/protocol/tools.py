"""Declarations of the tools that the model may call, for a session or a response."""

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
    A function of the program, for the model to call.

    Attributes:
        type: Any other is a kind of tool newer than this library, with its fields in ``extra``.
        name: Name of the function.
        description: Purpose and use, for the model to read.
        parameters: JSON Schema of the arguments, with ``object`` at the top level.
    """

    type: str = "function"
    name: str | None = None
    description: str | None = None
    parameters: Any = None


@frozen_shape(kw_only=True)
class McpToolFilter(ProtocolObject):
    """A selection of an MCP server's tools, by name or by read-only access."""

    tool_names: list[str] | None = None
    read_only: bool | None = None


@frozen_shape(kw_only=True)
class McpApprovalFilter(ProtocolObject):
    """Tools of an MCP server that always, and that never, need approval."""

    always: McpToolFilter | None = None
    never: McpToolFilter | None = None


@frozen_shape(kw_only=True)
class McpTool(ProtocolObject):
    """
    The tools of an MCP server, called by the service itself (GA only).

    Attributes:
        server_label: Name of the server in its calls.
        authorization: Access token for the server; never shown in a ``repr``.
        headers: HTTP headers for the server; may hold secrets, never shown in a ``repr``.
        allowed_tools: Names or a filter of the tools the model may call; ``None`` allows all.
        require_approval: Approval before each call: ``"always"``, ``"never"`` or a filter.
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
    A tool that the model must call.

    Attributes:
        type: ``"function"``, or ``"mcp"`` (GA only).
        name: Name of the function, or of the server's tool.
        server_label: Label of the MCP server, for ``"mcp"``.
    """

    type: str = "function"
    name: str | None = None
    server_label: str | None = None
