"""The screen of ``azure-rt-audio talk``: a :class:`ConversationLog` and keys. Needs ``textual``."""

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

from ..printer import printable
from .conversation_log import SILENCE_DB, ConversationLog, Line

__all__ = ["Controls", "TalkView"]

_FRAMES_PER_SECOND: Final = 20
_FAINT: Final = "grey58"
_LABELS: Final = {"you": "you", "model": "model", "note": "·", "error": "!"}
_COLOURS: Final = {"you": "cyan", "model": "green", "note": _FAINT, "error": "red"}
_STATUS_COLOURS: Final = {
    "listening": "cyan",
    "thinking": "yellow",
    "speaking": "green",
    "over": "red",
    "muted": "red",
    "recording": "red",
}
_LOUDEST_DB: Final = -3.0
_QUIETEST_DB: Final = -60.0
_FALL_DB: Final = 3.0
"""A meter rises at once, and falls by so much a frame, as the needles of meters do."""

_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_MOST_LINES: Final = 300


class Controls(Protocol):
    """What the keys do; a voice session."""

    is_muted: bool
    is_push_to_talk: bool

    def interrupt(self) -> None:
        """Stop the answer."""

    def press(self) -> None:
        """Begin to speak."""

    def release(self) -> None:
        """Have spoken."""


class Meter(Widget):
    """How loud something is, as a bar."""

    def __init__(self, label: str, *, id: str) -> None:
        super().__init__(id=id)
        self._label = label
        self._db = SILENCE_DB

    def show(self, db: float) -> None:
        """Take another level."""
        db = max(db, self._db - _FALL_DB, SILENCE_DB)
        if db != self._db:
            self._db = db
            self.refresh()

    def render(self) -> RenderableType:
        """Draw it."""
        width = max(4, self.size.width - len(self._label) - 9)
        share = min(1.0, max(0.0, (self._db - _QUIETEST_DB) / (_LOUDEST_DB - _QUIETEST_DB)))
        whole, rest = divmod(round(share * width * 8), 8)
        bar = "█" * whole + (_EIGHTHS[rest] if rest else "")
        colour = "red" if share > 0.96 else "yellow" if share > 0.88 else "green"
        level = f"{self._db:4.0f} dB" if self._db > _QUIETEST_DB else "   – dB"
        return Text.assemble(
            (f"{self._label} ", "bold"),
            (bar, colour),
            ("─" * (width - len(bar)), _FAINT),
            (f" {level}", _FAINT),
            no_wrap=True,
        )


class TalkView(App[None]):
    """
    The conversation on the whole terminal; leaves it as it was, however it ends.

    Args:
        dialogue: What to show; changed by *drain* only.
        drain: Called for every frame: brings the dialogue up to date.
        controls: What the keys do.
        title: Who is talked with.
        details: How, for the second line.

    **Threads.** All of it runs on the main thread.
    """

    TITLE = "azure-rt-audio talk"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "talk", "Talk / send"),
        Binding("m", "mute", "Mute"),
        Binding("i,escape", "interrupt", "Interrupt"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
    ]
    CSS = """
    Screen { background: $background; }
    #title { height: 1; padding: 0 1; text-style: bold; background: $primary 30%; }
    #details { height: auto; max-height: 2; padding: 0 1; color: $text-muted; }
    #lines { padding: 1 1 0 1; scrollbar-size-vertical: 1; }
    #lines Static { margin-bottom: 1; }
    #status { height: 1; padding: 0 1; }
    #meters { height: auto; padding: 0 1; }
    Meter { width: 1fr; height: 1; margin-right: 2; }
    .narrow #meters { layout: vertical; }
    .narrow #details { display: none; }
    """

    def __init__(
        self,
        dialogue: ConversationLog,
        drain: Callable[[], object],
        controls: Controls,
        title: str,
        details: str,
    ) -> None:
        super().__init__()
        self._dialogue = dialogue
        self._drain = drain
        self._controls = controls
        self._heading = title
        self._details = details
        self._is_pressed = False
        self._shown: dict[Line, tuple[Static, int]] = {}
        self._device_names = Static(id="details")
        self._lines = VerticalScroll(id="lines")
        self._status_line = Static(id="status")
        self._microphone = Meter("you", id="microphone")
        self._speaker = Meter("model", id="speaker")

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(Text(printable(self._heading), no_wrap=True, overflow="ellipsis"), id="title")
        yield self._device_names
        yield self._lines
        yield self._status_line
        yield Horizontal(self._microphone, self._speaker, id="meters")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to draw, and to heed the signals that would leave the terminal in disorder."""
        if sys.platform != "win32":  # where no program is ended so
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self.exit, None, 128 + number)
        self.set_interval(1 / _FRAMES_PER_SECOND, self._draw)

    def on_resize(self, event: events.Resize) -> None:
        """Stack the meters if there is no room beside each other."""
        self.set_class(event.size.width < 64, "narrow")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the button only where there is one."""
        return self._controls.is_push_to_talk if action == "talk" else True

    # Keys -----------------------------------------------------------------------------------

    def action_talk(self) -> None:
        """Begin to speak, or have spoken: a terminal does not tell when a key is let go."""
        self._is_pressed = not self._is_pressed
        if self._is_pressed:
            self._controls.press()
        else:
            self._controls.release()

    def action_mute(self) -> None:
        """Let nothing through, or everything again."""
        self._controls.is_muted = not self._controls.is_muted

    def action_interrupt(self) -> None:
        """Stop the answer."""
        self._controls.interrupt()

    async def action_quit(self) -> None:
        """Leave."""
        self.exit()

    # Drawing --------------------------------------------------------------------------------

    def _draw(self) -> None:
        self._drain()
        dialogue = self._dialogue
        if dialogue.end is not None and not dialogue.has_begun:
            self.exit()  # there is nothing to look at; the reason is for the command line
            return
        if not self._lines.is_attached:
            return  # the screen is being taken down
        self._draw_lines()
        self._status_line.update(self._status())
        self._device_names.update(self._devices())
        self._microphone.show(dialogue.microphone_db)
        self._speaker.show(dialogue.speaker_db)

    def _draw_lines(self) -> None:
        area = self._lines
        is_at_end = area.max_scroll_y - area.scroll_y <= 1
        lines = self._dialogue.lines[-_MOST_LINES:]
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

    def _status(self) -> Text:
        status = self._dialogue.status
        hint = ""
        if self._dialogue.end is not None:
            hint = "the connection has ended; q leaves"
        elif self._controls.is_muted:
            status, hint = "muted", "m lets you be heard again"
        elif self._is_pressed:
            status, hint = "recording", "space sends it"
        elif self._controls.is_push_to_talk and status == "idle":
            hint = "space begins to record"
        elif status == "idle":
            hint = "say something"
        elif status == "speaking":
            hint = "speak, or press i, to interrupt"
        parts = [(f"● {status}", f"bold {_STATUS_COLOURS.get(status, 'white')}")]
        latencies = self._dialogue.latencies_ms
        if latencies:
            parts.append((f"   answered after {latencies[-1]:.0f} ms", "white"))
        if len(latencies) > 2:
            parts.append((f" (median {median(latencies):.0f})", _FAINT))
        if hint:
            parts.append((f"   {hint}", _FAINT))
        return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")

    def _devices(self) -> Text:
        names = (
            ("microphone", self._dialogue.microphone_name),
            ("speaker", self._dialogue.speaker_name),
        )
        parts = [f"{what}: {name}" for what, name in names if name is not None]
        return Text(printable(" · ".join((*parts, self._details))), overflow="ellipsis")


def _drawn(line: Line) -> RenderableType:
    words = printable(line.text).rstrip()
    text = Text(words, style="" if line.who in ("you", "model") else _COLOURS[line.who])
    if line.is_open:
        text.append(" …" if words else "…", _FAINT)
    if line.remark:
        text.append(f" [{printable(line.remark)}]" if words else f"[{printable(line.remark)}]", "yellow")
    row = Table.grid(padding=(0, 1))
    row.add_column(width=5, justify="right")
    row.add_column(ratio=1)
    row.add_row(Text(_LABELS[line.who], style=f"bold {_COLOURS[line.who]}"), text)
    return row
