"""The full-screen display of ``azure-rt-audio talk``, with its keys. Needs ``textual``."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from statistics import median
from typing import ClassVar, Final, Protocol

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Footer, Static

from ..._printable import one_line, printable
from ...protocol.events.local import ToolApprovalRequested
from .conversation_log import SILENCE_DB, ConversationLog, Line

__all__ = ["Controls", "TalkView"]

_FRAMES_PER_SECOND: Final = 20
_DIM: Final = "grey58"
_LABELS: Final = {"you": "you", "model": "model", "tool": "tool", "note": "·", "error": "!"}
_COLOURS: Final = {"you": "cyan", "model": "green", "tool": "yellow", "note": _DIM, "error": "red"}
_STATUS_COLOURS: Final = {
    "listening": "cyan",
    "thinking": "yellow",
    "speaking": "green",
    "reconnecting": "yellow",
    "over": "red",
    "muted": "red",
    "recording": "red",
}
_MAX_DB: Final = -3.0
_MIN_DB: Final = -60.0
_DECAY_DB: Final = 3.0
"""Decay per frame: a peak meter rises at once and falls slowly."""

_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_MAX_LINES: Final = 300


class Controls(Protocol):
    """The part of a voice session that the keys use."""

    is_muted: bool
    is_push_to_talk: bool

    def interrupt(self) -> None:
        """Stop the answer."""

    def press(self) -> None:
        """Begin a turn."""

    def release(self) -> None:
        """End the turn."""


class Meter(Widget):
    """A level meter."""

    def __init__(self, label: str, *, id: str) -> None:
        super().__init__(id=id)
        self._label = label
        self._db = SILENCE_DB

    def show(self, db: float) -> None:
        """Show a new level."""
        db = max(db, self._db - _DECAY_DB, SILENCE_DB)
        if db != self._db:
            self._db = db
            self.refresh()

    def render(self) -> RenderableType:
        """Draw the bar."""
        width = max(4, self.size.width - len(self._label) - 9)
        share = min(1.0, max(0.0, (self._db - _MIN_DB) / (_MAX_DB - _MIN_DB)))
        whole, rest = divmod(round(share * width * 8), 8)
        bar = "█" * whole + (_EIGHTHS[rest] if rest else "")
        colour = "red" if share > 0.96 else "yellow" if share > 0.88 else "green"
        level = f"{self._db:4.0f} dB" if self._db > _MIN_DB else "   – dB"
        return Text.assemble(
            (f"{self._label} ", "bold"),
            (bar, colour),
            ("─" * (width - len(bar)), _DIM),
            (f" {level}", _DIM),
            no_wrap=True,
        )


class TalkView(App[None]):
    """
    The conversation in a full-screen terminal, which is restored at the end.

    Args:
        conversation: The state to show; changed by *drain* only.
        drain: Called for every frame: runs the pending listeners, which update the conversation.
        controls: The voice session.
        title: The service, for the first line.
        details: The settings, for the second line.

    **Threads.** Main thread only.
    """

    TITLE = "azure-rt-audio talk"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "talk", "Talk / send"),
        Binding("m", "mute", "Mute"),
        Binding("i,escape", "interrupt", "Interrupt"),
        Binding("y", "allow", "Yes"),
        Binding("n", "deny", "No"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
    ]
    CSS = """
    Screen { background: $background; }
    #title { height: 1; padding: 0 1; text-style: bold; background: $primary 30%; }
    #details { height: auto; max-height: 2; padding: 0 1; color: $text-muted; }
    #lines { padding: 1 1 0 1; scrollbar-size-vertical: 1; }
    #lines Static { margin-bottom: 1; }
    #approval { height: auto; max-height: 4; padding: 0 1; background: $warning 30%; }
    #status { height: 1; padding: 0 1; }
    #meters { height: auto; padding: 0 1; }
    Meter { width: 1fr; height: 1; margin-right: 2; }
    .narrow #meters { layout: vertical; }
    .narrow #details { display: none; }
    """

    def __init__(
        self,
        conversation: ConversationLog,
        drain: Callable[[], object],
        controls: Controls,
        title: str,
        details: str,
    ) -> None:
        super().__init__()
        self._conversation = conversation
        self._drain = drain
        self._controls = controls
        self._heading = title
        self._details = details
        self._is_pressed = False
        self._shown: dict[Line, tuple[Static, int]] = {}
        self._device_names = Static(id="details")
        self._lines = VerticalScroll(id="lines")
        self._approval = Static(id="approval")
        self._asked: ToolApprovalRequested | None = None  # what is shown there
        self._status_line = Static(id="status")
        self._microphone = Meter("you", id="microphone")
        self._speaker = Meter("model", id="speaker")

    def compose(self) -> ComposeResult:
        """Create the widgets."""
        yield Static(Text(one_line(self._heading), no_wrap=True, overflow="ellipsis"), id="title")
        yield self._device_names
        yield self._lines
        yield self._approval
        yield self._status_line
        yield Horizontal(self._microphone, self._speaker, id="meters")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to draw, and handle signals, so that the terminal is restored."""
        self._approval.display = False
        if sys.platform != "win32":  # which has no such signals
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self.exit, None, 128 + number)
        self.set_interval(1 / _FRAMES_PER_SECOND, self._draw)

    def on_resize(self, event: events.Resize) -> None:
        """Stack the meters in a narrow terminal."""
        self.set_class(event.size.width < 64, "narrow")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer push-to-talk only in a push-to-talk session, and an answer only to a question."""
        if action in ("allow", "deny"):
            return bool(self._conversation.approvals)
        return self._controls.is_push_to_talk if action == "talk" else True

    # Keys -----------------------------------------------------------------------------------

    def action_talk(self) -> None:
        """Begin or end a turn: a terminal does not report key releases."""
        self._is_pressed = not self._is_pressed
        if self._is_pressed:
            self._controls.press()
        else:
            self._controls.release()

    def action_mute(self) -> None:
        """Mute or unmute the microphone."""
        self._controls.is_muted = not self._controls.is_muted

    def action_interrupt(self) -> None:
        """Stop the answer."""
        self._controls.interrupt()

    def action_allow(self) -> None:
        """Let the tool run that is asked for."""
        self._decide(ToolApprovalRequested.approve)

    def action_deny(self) -> None:
        """Do not let it run."""
        self._decide(lambda request: request.deny("the user has said no"))

    def _decide(self, decide: Callable[[ToolApprovalRequested], object]) -> None:
        """Decide what is on the screen, and nothing that came since."""
        if self._asked is not None and self._asked in self._conversation.approvals:
            decide(self._asked)
            self._conversation.settle(self._asked.call_id)
            self._draw_approval()

    async def action_quit(self) -> None:
        """Quit."""
        self.exit()

    # Drawing --------------------------------------------------------------------------------

    def _draw(self) -> None:
        self._drain()
        conversation = self._conversation
        if conversation.end is not None and not conversation.has_begun:
            self.exit()  # nothing to show; the command prints the error
            return
        if not self._lines.is_attached:
            return  # during shutdown
        self._draw_lines()
        self._draw_approval()
        self._status_line.update(self._status())
        self._device_names.update(self._devices())
        self._microphone.show(conversation.microphone_db)
        self._speaker.show(conversation.speaker_db)

    def _draw_lines(self) -> None:
        area = self._lines
        is_at_end = area.max_scroll_y - area.scroll_y <= 1
        lines = self._conversation.lines[-_MAX_LINES:]
        has_changed = False
        for line in [line for line in self._shown if line not in lines]:
            self._shown.pop(line)[0].remove()
        for line in lines:
            widget, revision = self._shown.get(line, (None, -1))
            if revision == line.revision:
                continue
            has_changed = True
            if widget is None:
                widget = Static(_drawn(line))
                area.mount(widget)
            else:
                widget.update(_drawn(line))
            self._shown[line] = (widget, line.revision)
        if has_changed and is_at_end:
            area.scroll_end(animate=False)

    def _draw_approval(self) -> None:
        """Show which call waits for a yes or no, if one does."""
        waiting = self._conversation.approvals
        first = waiting[0] if waiting else None
        if first is None:
            self._approval.display = False
        else:
            rest = f"   ({len(waiting) - 1} more)" if len(waiting) > 1 else ""
            question = (str(first), "bold"), ("   y yes · n no", ""), (rest, _DIM)
            self._approval.update(Text.assemble(("May it run? ", ""), *question))
            self._approval.display = True
        if first is not self._asked:
            self._asked = first
            self.refresh_bindings()

    def _status(self) -> Text:
        status = self._conversation.status
        hint = ""
        if self._conversation.end is not None:
            hint = "the connection has ended; q quits"
        elif self._conversation.outage is not None:
            status, hint = "reconnecting", "what you say is kept for some seconds"
        elif self._conversation.approvals:
            hint = "a tool waits for your y or n"
        elif self._controls.is_muted:
            status, hint = "muted", "m unmutes"
        elif self._is_pressed:
            status, hint = "recording", "space sends"
        elif self._controls.is_push_to_talk and status == "idle":
            hint = "space records"
        elif status == "idle":
            hint = "say something"
        elif status == "speaking":
            hint = "speak, or press i, to interrupt"
        parts = [(f"● {status}", f"bold {_STATUS_COLOURS.get(status, 'white')}")]
        if self._conversation.lag_s:
            parts.append((f"   lag {self._conversation.lag_s:.1f} s", "yellow"))
        latencies = self._conversation.latencies_ms
        if latencies:
            parts.append((f"   answered after {latencies[-1]:.0f} ms", "white"))
        if len(latencies) > 2:
            parts.append((f" (median {median(latencies):.0f})", _DIM))
        if hint:
            parts.append((f"   {hint}", _DIM))
        return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")

    def _devices(self) -> Text:
        names = (
            ("microphone", self._conversation.microphone_name),
            ("speaker", self._conversation.speaker_name),
        )
        parts = [f"{what}: {name}" for what, name in names if name is not None]
        return Text(one_line(" · ".join((*parts, self._details))), overflow="ellipsis")


def _drawn(line: Line) -> RenderableType:
    words = printable(line.text).rstrip()
    text = Text(words, style="" if line.role in ("you", "model") else _COLOURS[line.role])
    if line.is_open:
        text.append(" …" if words else "…", _DIM)
    if line.remark:
        text.append(f" [{one_line(line.remark)}]" if words else f"[{one_line(line.remark)}]", "yellow")
    row = Table.grid(padding=(0, 1))
    row.add_column(width=5, justify="right")
    row.add_column(ratio=1)
    row.add_row(Text(_LABELS[line.role], style=f"bold {_COLOURS[line.role]}"), text)
    return row
