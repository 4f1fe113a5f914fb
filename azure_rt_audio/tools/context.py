"""What a tool knows of its call, and can say while it runs."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any, Final

from .._printable import encodable, one_line
from .._repr import also_half_made
from .checks import check_text

__all__ = ["RUNNING", "ToolContext"]


class ToolContext:
    """
    The call that a tool runs for.

    A parameter that is annotated with this class is not told to the model; it is given the context::

        def count_stock(item: str, context: ToolContext) -> int:
            for number, shelf in enumerate(SHELVES):
                if context.cancelled.is_set():
                    raise ToolError("the count was stopped")
                context.progress(f"shelf {number}")
            ...

    In a test of a tool it can be made: ``ToolContext("call_1", "count_stock")``.

    Args:
        find_client: Returns the client, if there is one.
        tell: Takes what is said with :meth:`progress`.

    Attributes:
        call_id: The service's id of the call.
        name: Name of the tool.
        cancelled: Set when nobody waits for the result any more: the time is over, the answer was
            cancelled, or the client is closed. A tool that runs for long looks at it.

    **Threads.** Any thread may use it.
    """

    def __init__(
        self,
        call_id: str,
        name: str,
        *,
        find_client: Callable[[], Any] = lambda: None,
        tell: Callable[[str], object] = lambda text: None,
    ) -> None:
        self.call_id: str = call_id
        self.name: str = name
        self.cancelled: threading.Event = threading.Event()
        self._find_client = find_client
        self._tell = tell

    @also_half_made
    def __repr__(self) -> str:
        return f"<ToolContext {one_line(self.name)} {one_line(self.call_id)}>"

    @property
    def client(self) -> Any:
        """
        The client that the call came from.

        Raises:
            RuntimeError: If there is none any more, or the tool was called by hand.
        """
        client = self._find_client()
        if client is None:
            raise RuntimeError(f"the call of {self.name}() has no client: it is gone, or there never was one")
        return client

    def progress(self, text: str) -> None:
        """Tell whoever shows it how far the tool is, as *text*; the model is not told."""
        said = encodable(text) if isinstance(text, str) else text
        check_text("text", said)
        self._tell(said)


RUNNING: Final[contextvars.ContextVar[ToolContext | None]] = contextvars.ContextVar(
    "azure_rt_audio_tool", default=None
)
"""The call that the present thread runs a tool for."""
