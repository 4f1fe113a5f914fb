"""
The row of the live view that asks whether a tool may run.

**Threads.** Events are seen on the I/O thread, the row is rendered by the view's thread, the buttons are
pressed on the kernel's. Attributes shared by them are replaced atomically.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .._html import text_of
from ..protocol.events.local import ToolApprovalRequested, ToolEnded, ToolStarted

__all__ = ["ApprovalRow"]

_STYLE: Final = (
    "font-family:system-ui,sans-serif;font-size:13px;line-height:1.45;overflow-wrap:anywhere;"
    "border-left:3px solid #d97706;padding:1px 0 1px 9px"
)


class ApprovalRow:
    """
    The call that waits first for a yes or no, with a button for each; hidden while nothing waits.

    Attributes:
        box: The row.
        buttons: Those for yes and no.
        parts: All that is in the row.
    """

    def __init__(self, widgets: Any) -> None:
        self._waiting: tuple[ToolApprovalRequested, ...] = ()  # replaced by the I/O thread and the buttons'
        self._asked: ToolApprovalRequested | None = None  # what the page shows
        button = {"layout": widgets.Layout(width="84px", margin="0 0 0 6px")}
        self._question = widgets.HTML(layout=widgets.Layout(flex="1 1 auto", width="auto", margin="0"))
        allow = widgets.Button(description="Allow", icon="check", tooltip="Let the tool run", **button)
        deny = widgets.Button(description="Deny", icon="ban", tooltip="Do not let it run", **button)
        allow.on_click(self._deciding(ToolApprovalRequested.approve))
        deny.on_click(self._deciding(lambda request: request.deny("the user has said no")))
        self.buttons = (allow, deny)
        self.parts = (self._question, *self.buttons)
        self.box = widgets.HBox(
            list(self.parts),
            layout=widgets.Layout(align_items="center", width="100%", margin="6px 0 0", display="none"),
        )

    def see(self, event: object) -> None:
        """Take an event of the client: a request, or that one is decided."""
        if isinstance(event, ToolApprovalRequested):
            self._waiting = (*self._waiting, event)
        elif isinstance(event, ToolStarted | ToolEnded):
            self._waiting = tuple(one for one in self._waiting if one.call_id != event.call_id)

    def clear(self) -> None:
        """Nothing can be decided any more."""
        self._waiting = ()

    def render(self) -> None:
        """Show what waits first; by the view's thread."""
        waiting = self._waiting
        first = waiting[0] if waiting else None
        if first is not None:
            rest = f' <span style="opacity:.62">({len(waiting) - 1} more)</span>' if len(waiting) > 1 else ""
            question = f"May it run? <strong>{text_of(first)}</strong>{rest}"
            self._question.value = f'<div style="{_STYLE}">{question}</div>'
        for button in self.buttons:
            button.disabled = first is None
        self._asked = first
        self.box.layout.display = "none" if first is None else "flex"

    def _deciding(self, decide: Callable[[ToolApprovalRequested], object]) -> Callable[[object], None]:
        def press(_: object) -> None:
            """Decide what is shown, and nothing that came since; what follows is an event."""
            asked = self._asked
            if asked is not None:
                decide(asked)

        return press
