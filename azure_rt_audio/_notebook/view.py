"""
The widgets that show a conversation in a notebook's cell.

**Threads and locks.** Listeners on the I/O thread only store what came. The thread ``azure-rt-view-N``
renders, ten times a second at most, and is the only one to change widgets after they are displayed. It waits
without limit while nothing happens, and ends when the client is closed or collected: the view holds the
client weakly. The buttons' callbacks run on the kernel's main thread, or, with JupyterLab 4.4 and
ipykernel 7, on a subshell's thread that is free while a cell waits. There is no lock; attributes shared by
threads are replaced atomically.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import itertools
import logging
import queue
import threading
import time
import weakref
from typing import Any, Final, Protocol

from .._extras import importing
from .._html import LINE, speech, text_of
from .._log import get_logger
from ..dispatch import InlineDispatcher
from ..dispatch.notebook import kernel_shell
from ..errors import RealtimeError
from ..protocol.conversation import Conversation
from ..protocol.events import Event, ResponseCreated, ResponseDone, ResponseOutputAudioDelta
from ..protocol.events.local import Reconnected, Reconnecting
from ..protocol.latency import Latency
from ..protocol.session import Session
from ..protocol.turn import ModelStatusEnum
from .approval import ApprovalRow
from .gauges import Levels

__all__ = ["show"]

log: logging.Logger = get_logger(__name__)

_INTERVAL: Final = 0.1
"""Seconds between two renderings."""

_MOST_TURNS: Final = 30
"""The last turns of a long conversation are shown."""

_MOST_DELTAS: Final = 500
"""Of more deltas between two renderings, the levels of the oldest are skipped."""

_COLOURS: Final = {
    "connecting": "#d97706",
    "reconnecting": "#d97706",
    "idle": "#6b7280",
    "listening": "#2563c9",
    "thinking": "#8b5cf6",
    "speaking": "#1a9f5b",
    "closed": "#9ca3af",
    "failed": "#c0362c",
}

_numbers = itertools.count(1)


class ViewedClient(Protocol):
    """The part of a client that the view uses."""

    @property
    def is_initialized(self) -> bool: ...
    @property
    def status(self) -> ModelStatusEnum: ...
    @property
    def session(self) -> Session | None: ...
    @property
    def conversation(self) -> Conversation: ...
    def on(self, event: Any, listener: Any, *, dispatcher: Any = None) -> Any: ...
    def cancel_response(self) -> None: ...
    def set_model_speak_done(self) -> None: ...
    def close(self) -> bool: ...


_views: weakref.WeakKeyDictionary[Any, _View] = weakref.WeakKeyDictionary()


def show(client: ViewedClient) -> None:
    """
    Show *client* in the current cell; an earlier view of it ends.

    Raises:
        MissingExtraError: The ``jupyter`` extra is not installed.
        RuntimeError: This is not a Jupyter kernel.
    """
    with importing("IPython.display", "jupyter", "A live view"):
        output = importlib.import_module("IPython.display")
    with importing("ipywidgets", "jupyter", "A live view"):
        widgets = importlib.import_module("ipywidgets")
    if kernel_shell() is None:
        raise RuntimeError("display() needs a Jupyter kernel; run it in a notebook")
    previous = _views.pop(client, None)
    if previous is not None:
        previous.end()
    view = _View(client, widgets)
    view.start(output.display(view.box, display_id=True), output.HTML)
    _views[client] = view


class _View:
    """The view of one client."""

    def __init__(self, client: ViewedClient, widgets: Any) -> None:
        # SimpleQueue.put is reentrant: a finalizer may call it in the middle of get().
        self._wakeup: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_stale = False
        self._client = weakref.ref(client, lambda _: self._wakeup.put(None))
        self._deltas: collections.deque[tuple[float, str | None, ResponseOutputAudioDelta]] = (
            collections.deque(maxlen=_MOST_DELTAS)
        )
        self._formats: dict[str | None, str | None] = {}  # of responses in progress
        self._latency = Latency()
        self._levels = Levels()
        self._error = ""
        self._note = ""  # about the connection
        self._has_connection = True
        self._transcript = ""
        self._is_done = True  # the latest response
        self._is_stopped = False  # in the middle
        self._is_closed = False
        self._is_over = threading.Event()

        wide = widgets.Layout(flex="1 1 auto", width="auto", margin="0")
        button = {"layout": widgets.Layout(width="84px", margin="0 0 0 6px")}
        self._head = widgets.HTML(layout=wide)
        self._body = widgets.HTML(layout=widgets.Layout(width="100%", margin="0"))
        self._stop_button = widgets.Button(
            description="Stop", icon="stop", tooltip="Stop the answer", **button
        )
        self._close_button = widgets.Button(
            description="Close", icon="times", tooltip="End the conversation", **button
        )
        self._stop_button.on_click(self._stop_answer)
        self._close_button.on_click(self._close_client)
        top = widgets.HBox(
            [self._head, self._stop_button, self._close_button],
            layout=widgets.Layout(align_items="center", width="100%"),
        )
        self._approval = ApprovalRow(widgets)
        self.box = widgets.VBox([top, self._body, self._approval.box], layout=_frame(widgets))
        self.box.add_class("azure-rt-view")
        self._render(client)
        inline = InlineDispatcher()
        self._subscriptions = [
            client.on("*", self._on_event, dispatcher=inline),
            client.on("error", self._on_error, dispatcher=inline),
            client.on("closed", self._on_closed, dispatcher=inline),
        ]

    def start(self, handle: Any, html: Any) -> None:
        """Begin to render; at the end, replace the widgets by *html* through *handle*."""
        threading.Thread(
            target=self._run, args=(handle, html), name=f"azure-rt-view-{next(_numbers)}", daemon=True
        ).start()

    def end(self) -> None:
        """Render once more, and stop."""
        self._is_over.set()
        self._wakeup.put(None)

    # ------------------------------------------------------------ listeners, on the I/O thread

    def _on_event(self, event: object) -> None:
        now = time.monotonic()
        if isinstance(event, ResponseOutputAudioDelta):
            self._deltas.append((now, self._formats.get(event.response_id), event))
        if isinstance(event, Event):
            self._latency.see(event, now)
            if isinstance(event, ResponseCreated):
                self._note = ""
                self._formats[event.response.id] = event.response.output_audio_format
            if isinstance(event, ResponseDone):
                self._formats.pop(event.response.id, None)
            if isinstance(event, ResponseCreated | ResponseDone):
                self._is_done = isinstance(event, ResponseDone)
                self._is_stopped = event.response.status == "cancelled"
        elif isinstance(event, Reconnecting):
            self._note, self._has_connection = str(event), False
        elif isinstance(event, Reconnected):
            self._has_connection = True
            if not event.is_planned:
                self._note = str(event)
        else:
            self._approval.see(event)
        if not self._is_stale:
            self._is_stale = True
            self._wakeup.put(None)

    def _on_error(self, error: RealtimeError) -> None:
        if not getattr(error, "is_benign", False):
            self._error = str(error)
        self._on_event(error)

    def _on_closed(self, _: object) -> None:
        self._is_closed = True
        self._approval.clear()
        self.end()

    # ------------------------------------------------------------ rendering

    def _run(self, handle: Any, html: Any) -> None:
        try:
            while not self._is_over.is_set() and self._render(self._client()):
                if not self._levels.is_heard_at(time.monotonic()):
                    self._wakeup.get()
                self._is_over.wait(_INTERVAL)
                while not self._wakeup.empty():
                    self._wakeup.get()
            self._render(self._client())
            self._freeze(handle, html)
        except Exception:
            # The kernel may be shutting down, or its front end incompatible; the conversation goes on.
            log.warning("! the live view ended with an error", exc_info=True)
        finally:
            for subscription in self._subscriptions:
                subscription.cancel()

    def _render(self, client: ViewedClient | None) -> bool:
        """Update the widgets; return whether the client still exists."""
        self._is_stale = False
        now = time.monotonic()
        if client is not None:
            in_force = client.session.output_audio_format if client.session is not None else None
            while self._deltas:
                came, audio_format, delta = self._deltas.popleft()
                self._levels.add(delta, audio_format or in_force, came)
            if self._is_stopped:
                self._levels.stop()
            entries = client.conversation.entries[-_MOST_TURNS:]
            self._transcript = speech((entry.role, entry.words) for entry in entries)
        state = self._state(client, now)
        self._head.value = _head(state, self._latency.seconds, self._levels.at(now))
        self._body.value = _body(self._transcript, self._note, self._error)
        self._stop_button.disabled = state not in ("thinking", "speaking")
        self._close_button.disabled = state in ("closed", "failed")
        self._approval.render()
        for button in (self._stop_button, self._close_button, *self._approval.buttons):
            _allow_subshell(button)
        return client is not None

    def _state(self, client: ViewedClient | None, now: float) -> str:
        if client is None or self._is_closed:
            return "failed" if self._error and client is not None and not client.is_initialized else "closed"
        if not client.is_initialized:
            return "connecting"
        if not self._has_connection:
            return "reconnecting"
        is_heard = not self._is_done or self._levels.is_heard_at(now)
        return client.status.value if client.status is not ModelStatusEnum.SPEAKING or is_heard else "idle"

    def _freeze(self, handle: Any, html: Any) -> None:
        """Replace the widgets by plain HTML, because a saved notebook does not contain them."""
        style = f"border:{LINE};border-radius:8px;padding:8px 12px;max-width:46em"
        handle.update(html(f'<div style="{style}">{self._head.value}{self._body.value}</div>'))
        shown = (self._head, self._stop_button, self._close_button, *self._approval.parts)
        for widget in (*shown, *self.box.children, self.box):
            for part in (getattr(widget, "style", None), widget.layout, widget):
                if part is not None:
                    part.close()  # otherwise ipywidgets keeps it as long as the kernel

    # ------------------------------------------------------------ buttons

    def _stop_answer(self, _: object) -> None:
        client = self._client()
        if client is None:
            return
        if not self._is_done:
            with contextlib.suppress(RealtimeError, TimeoutError):
                client.cancel_response()
        self._is_stopped = True
        client.set_model_speak_done()

    def _close_client(self, _: object) -> None:
        client = self._client()
        if client is not None:
            client.close()


def _allow_subshell(button: Any) -> None:
    """
    Let a button's callback run in the front end's subshell, while a cell blocks the main thread.

    ipykernel 7.4 routes a widget's messages to the shell of the thread that last changed it, and takes ours
    for the main shell's. Without that record it uses the subshell that the front end asked for. To be removed
    once ipykernel prefers the front end's.
    """
    vars(button.comm or button).pop("_reply_subshell_id", None)


def _frame(widgets: Any) -> Any:
    return widgets.Layout(border=LINE, padding="8px 12px", margin="2px 0", max_width="46em", width="100%")


def _head(state: str, latency: float | None, level: float) -> str:
    """Return the HTML of status, level meter and latency."""
    colour = _COLOURS[state]
    light = (
        f'<span style="display:inline-block;width:11px;height:11px;border-radius:50%;background:{colour};'
        f'box-shadow:0 0 0 3px color-mix(in srgb, {colour} 25%, transparent);vertical-align:-1px"></span>'
        f'<strong style="display:inline-block;width:6.5em;margin-left:10px">{state}</strong>'
    )
    meter = (
        '<span title="level of the answer" style="display:inline-block;width:130px;height:8px;'
        "border-radius:4px;background:color-mix(in srgb, currentColor 14%, transparent);overflow:hidden;"
        'vertical-align:1px">'
        f'<span style="display:block;width:{level:.0%};height:100%;border-radius:4px;'
        'background:linear-gradient(90deg,#1a9f5b 0 91px,#d97706 117px,#c0362c 130px)"></span></span>'
    )
    wait = "" if latency is None else f"first words after {latency * 1000:,.0f} ms"
    return (
        "<style>.azure-rt-view{border-radius:8px}</style>"
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:28px;white-space:nowrap;'
        f'overflow:hidden;padding-left:4px">{light}{meter}'
        f'<span style="opacity:.62;margin-left:12px">{wait}</span></div>'
    )


def _body(transcript: str, note: str, error: str) -> str:
    """Return the HTML of the transcript, scrolled to its end, of a note, and of the latest error."""
    note_line = f'<div style="opacity:.62;margin:6px 0 0">{text_of(note)}</div>' if note else ""
    style = "border-left:3px solid #c0362c;padding:1px 0 1px 9px;margin:6px 0 0"
    error_line = f'<div style="{style}">{text_of(error)}</div>' if error else ""
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:1.45;max-height:22em;'
        f'overflow-y:auto;display:flex;flex-direction:column-reverse"><div>{transcript}{note_line}{error_line}</div></div>'
    )
