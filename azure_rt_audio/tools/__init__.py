"""
Tools: functions that the model calls, declared from their signatures.

:class:`Tools` is a set of them; a :class:`Tool` is a function with options. An :class:`McpServer` has tools
that the service calls.
"""

from .collection import Tools
from .context import ToolContext
from .mcp_server import McpServer
from .output import ToolError
from .tool import Tool

__all__ = ["McpServer", "Tool", "ToolContext", "ToolError", "Tools"]
