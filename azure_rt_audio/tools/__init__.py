"""
Tools: functions that the model calls, declared from their signatures.

:class:`Tools` is a set of them; a :class:`Tool` is a function with options.
"""

from .collection import Tools
from .context import ToolContext
from .output import ToolError
from .tool import Tool

__all__ = ["Tool", "ToolContext", "ToolError", "Tools"]
