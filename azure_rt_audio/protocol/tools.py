"""Declarations of the tools that the model may call, for a session or a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field

from .._secret import Secret, origin_of
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


def _secret(value: str | Secret[str] | None) -> Secret[str] | None:
    return value if value is None or isinstance(value, Secret) else Secret(value)


def _secrets(value: Mapping[str, str | Secret[str]] | None) -> Mapping[str, Secret[str]] | None:
    if not isinstance(value, Mapping):  # None, or what the codec refuses
        return value
    return {name: part if isinstance(part, Secret) else Secret(part) for name, part in value.items()}


def _show_url(url: str) -> str:
    return repr(origin_of(url)) if isinstance(url, str) else f"<{type(url).__name__}>"


@frozen_shape(kw_only=True)
class McpTool(ProtocolObject):
    """
    The tools of an MCP server, called by the service itself (GA only).

    Attributes:
        server_label: Name of the server in its calls.
        server_url: Its address, of which a ``repr`` shows no more than the host: the rest may hold a key.
        authorization: Access token for the server; a text is kept as a :class:`~azure_rt_audio.Secret`,
            which only the service is told.
        headers: HTTP headers for the server; each value is kept as a secret likewise.
        allowed_tools: Names or a filter of the tools the model may call; ``None`` allows all.
        require_approval: Approval before each call: ``"always"``, ``"never"`` or a filter.
    """

    type: str = "mcp"
    server_label: str
    server_url: str | None = field(default=None, repr=_show_url)
    server_description: str | None = None
    connector_id: str | None = None
    tunnel_id: str | None = None
    authorization: Secret[str] | None = field(default=None, repr=False, converter=_secret)
    headers: Mapping[str, Secret[str]] | None = field(default=None, repr=False, converter=_secrets)
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
