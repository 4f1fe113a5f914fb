"""
Listeners on the thread of a Tk window.

No other thread calls Tk: "The Tcl interpreter is only valid in the thread that created it, and all Tk
activity must happen in this thread" (``Modules/_tkinter.c``; see also "Threading model" in the documentation
of ``tkinter``). A call of tkinter on another thread, also of ``after`` and ``event_generate``, is forwarded
to the window's thread and blocks: it fails while no main loop runs, and deadlocks if that thread waits for
the caller. If Tcl was built without threads, it runs on the calling thread.

So the window's thread polls by a timer, often while events arrive and less often otherwise. That works with
every build of Tcl and every system. A file handler on a socket would save the timer, but does not exist on
Windows, and a socket that is always readable starves Tk's idle tasks, such as drawing.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from .mailbox import PAUSE_MS, Mailbox
from .queued import DEFAULT_BACKLOG_BYTES

if TYPE_CHECKING:
    import tkinter

__all__ = ["TkDispatcher"]

_BUSY_MS: Final = 8
_IDLE_MS: Final = 40
"""
Milliseconds between polls: the longest latency of an event while busy, and of the first one when idle. An
idle dispatcher takes about half a percent of a core, mostly in Tk.
"""

_POLLS_UNTIL_IDLE: Final = 60  # in a row without a call: half a second

_numbers = itertools.count(1)

# A Tcl interpreter that is freed on another thread than its own aborts the process ("Tcl_AsyncDelete: async
# handler deleted by the wrong thread"). The garbage collector runs on any thread, with a client mostly on its
# I/O thread. So these references are kept. Needed up to Python 3.14, see
# https://github.com/python/cpython/pull/152323.
_interpreters: list[object] = []


class TkDispatcher:
    """
    Runs listeners on the thread of a Tk window, one at a time, in order, in its main loop.

    They may touch widgets. Each iteration of the loop runs listeners for some milliseconds at most, so that
    bursts of events do not freeze the window; a slow listener does. While a listener shows a modal dialogue,
    the others wait. An exception in a listener is logged.

    When the window is destroyed, queued events are dropped, and the clients made with this dispatcher are
    closed in the background.

    Args:
        root: The window, or any widget whose destruction ends the dispatcher: mostly ``tkinter.Tk()``.
        max_backlog_bytes: See :class:`~azure_rt_audio.dispatch.QueueDispatcher`.

    Raises:
        TypeError: If *root* is not a widget.
        RuntimeError: If it was destroyed, or belongs to another thread.
        ImportError: If this Python has no tkinter; says how to install it.

    **Threads.** Create it on the window's thread. Any thread may submit, without blocking. As in any threaded
    program, keep references to Tk variables and images (``StringVar``, ``PhotoImage``) as long as their
    window: if the garbage collector frees one on another thread, that blocks until the window's thread
    handles it.
    """

    def __init__(self, root: tkinter.Misc, max_backlog_bytes: int = DEFAULT_BACKLOG_BYTES) -> None:
        try:
            import tkinter
        except ImportError as exc:
            raise ImportError(
                "TkDispatcher needs tkinter, which this Python lacks; on Debian or Ubuntu: "
                "sudo apt install python3-tk; on macOS with Homebrew: brew install python-tk"
            ) from exc
        if not isinstance(root, tkinter.Misc):
            raise TypeError(f"root must be a Tk window or widget, not {type(root).__name__}")
        self._mailbox = Mailbox(max_backlog_bytes, _TkLoop())
        self._root = root
        self._idle_polls = 0
        try:
            self._poll_command = root.register(self._poll)
            self._timer = root.tk.call("after", 0, self._poll_command)
            # Its own tag, because widgets inherit the bindings of their window, and bind() without "+"
            # replaces earlier bindings.
            tag = f"azure-rt-dispatcher-{next(_numbers)}"
            root.bindtags((*root.bindtags(), tag))
            root.bind_class(tag, "<Destroy>", self._on_destroy)
        except tkinter.TclError as exc:
            raise RuntimeError(f"the window has been destroyed: {exc}") from exc
        if all(kept is not root.tk for kept in _interpreters):
            _interpreters.append(root.tk)

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Queue a call for the window's loop; drop it if the window is gone. Does not block.

        Raises:
            DispatchOverflowError: If the queue is full; no event is dropped silently.
        """
        self._mailbox.put(callback, event)

    def host(self, client: Any) -> None:
        """
        Close *client* when the window is destroyed. Clients made with this dispatcher call this themselves.

        Raises:
            RuntimeError: If the window is gone.
        """
        self._mailbox.host(client)

    def serves(self, thread_id: int) -> bool:
        """Whether the window's thread is *thread_id*, its ``threading.get_ident()``."""
        return self._mailbox.serves(thread_id)

    def _poll(self) -> None:
        """Run queued calls, and poll again later. On the window's thread, as all below."""
        has_run = is_more = False
        try:
            has_run, is_more = self._mailbox.run()
        finally:
            self._idle_polls = 0 if has_run else self._idle_polls + 1
            if not self._mailbox.is_over:
                is_idle = self._idle_polls > _POLLS_UNTIL_IDLE
                pause = PAUSE_MS if is_more else _IDLE_MS if is_idle else _BUSY_MS
                self._timer = self._root.tk.call("after", pause, self._poll_command)

    def _on_destroy(self, _: object) -> None:
        import tkinter

        # A timer left behind would fail, in the loop of another window: its command is gone.
        with contextlib.suppress(tkinter.TclError):
            self._root.tk.call("after", "cancel", self._timer)
        self._mailbox.end()


class _TkLoop:
    """The main loop; its timer polls anyway."""

    def is_running(self) -> bool:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_globals.get("__name__") == "tkinter":  # the module through which the loop calls
                return True
            frame = frame.f_back
        return False

    def ask_for_turn(self) -> None:
        pass
