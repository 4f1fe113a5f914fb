"""An MCP server whose tools the service calls, and who approves those calls."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from typing import Any

from .._arity import check_called_with
from .._repr import also_half_made
from .._secret import made_without_traces
from ..protocol.codec import build, check_expressible
from ..protocol.events.local import ToolApprovalRequested
from ..protocol.tools import McpTool
from .approver import ask_approver
from .checks import check_positive_seconds

__all__ = ["McpServer"]


@made_without_traces
class McpServer:
    """
    The tools of an MCP server, which the service itself calls (GA only).

    ::

        wiki = McpServer(
            {"server_label": "wiki", "server_url": "https://wiki.example/mcp", "require_approval": "always"},
            approval_timeout_s=20,
        )
        with AzureRealTimeAudio(options, tools=[get_weather, wiki]) as client: ...

    A bare ``McpTool`` among the tools of a client is one with the defaults. Calls that need
    approval, as ``require_approval`` says, are asked for as those of functions are.

    Args:
        declaration: What the service is told: an ``McpTool``, or the mapping of its fields.
        approve: A function of the request (:class:`~azure_rt_audio.events.ToolApprovalRequested`) to decide
            in place of listeners, called on a thread of the tools, which returns ``True`` or ``False``, or
            why not as text; with ``None`` it decides later. Anything else is a no.
        approval_timeout_s: Seconds after which a call that nobody has approved is denied.

    Raises:
        TypeError: If the declaration is none.
        ValueError: If a field of it is unknown, or the time cannot be.
    """

    def __init__(
        self,
        declaration: McpTool | Mapping[str, Any],
        *,
        approve: Callable[[ToolApprovalRequested], bool | str | None] | None = None,
        approval_timeout_s: float = 60.0,
    ) -> None:
        check_positive_seconds("approval_timeout_s", approval_timeout_s)
        if approve is not None:
            check_called_with("approve", approve, "the request")
        if isinstance(declaration, str):
            raise TypeError(
                "mcp_server must be a McpTool or a mapping, not str: "
                'give {"server_label": "wiki", "server_url": "https://..."}'
            )
        self.declaration: McpTool = build(McpTool, declaration, "mcp_server")
        check_expressible(self.declaration, "mcp_server")
        self.approve = approve
        self.approval_timeout_s: float = approval_timeout_s
        self._context = contextvars.copy_context()

    @also_half_made
    def __repr__(self) -> str:
        return f"<McpServer {self.label}>"

    @property
    def label(self) -> str:
        """The name that the server has in its calls."""
        return self.declaration.server_label

    def _ask_approver(self, request: ToolApprovalRequested) -> None:
        """Ask the function that approves. Blocks as long as it does."""
        assert self.approve is not None
        ask_approver(self.approve, self._context, request, f"a call of MCP server {self.label}")
