"""
Listeners on the thread of a Tk window.

How the window's thread is reached. Nothing of Tk is called by any other thread, because nothing may be:
"The Tcl interpreter is only valid in the thread that created it, and all Tk activity must happen in this
thread" (``Modules/_tkinter.c``; also "Threading model" in the documentation of ``tkinter``). What tkinter
offers other threads, ``after`` and ``event_generate`` included, is to have the call made by the window's
thread and to wait for it: it fails while no main loop runs, and does not return while that thread waits for
something, such as the thread that calls. If Tcl was built without threads, it runs in the foreign thread,
which no window system likes.

So the window's thread looks by itself, by a timer of its own, often while something happens and less often
while nothing does. That works with every build of Tcl, on every system; a file handler on a socket would
spare the timer, but does not exist on Windows, and a socket that is always readable keeps Tk from drawing,
which it does when idle only.
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
Milliseconds between looks: the latency, at most, of the next event; and of the first after a while. Idle it
costs about half a percent of a core, nearly all of it Tk's own.
"""

_LOOKS_UNTIL_IDLE: Final = 60
"""Looks in vain after which nothing seems to happen: half a second of them."""

_numbers = itertools.count(1)

# A Tcl interpreter that is freed by another thread than its own aborts the process ("Tcl_AsyncDelete: async
# handler deleted by the wrong thread"), and whichever thread happens to collect garbage frees it: with a
# client, that is mostly its reader. So those that we know are kept. Needed until Python 3.14 is out of use,
# see https://github.com/python/cpython/pull/152323.
_interpreters: list[object] = []


class TkDispatcher:
    """
    Runs listeners on the thread of a Tk window, one at a time, in order, in its main loop.

    They may touch widgets. Between their calls the loop goes on: a turn of it gives them some milliseconds
    at most, so that masses of events do not freeze the window; one listener that takes long does. While one
    shows a modal dialogue, the others wait. What a listener raises is logged.

    When the window is destroyed, what waits is forgotten, and the clients made with this dispatcher are
    closed in the background.

    Args:
        root: The window, or any widget whose end is to be the end: mostly ``tkinter.Tk()``.
        max_backlog_bytes: See :class:`~azure_rt_audio.dispatch.QueueDispatcher`.

    Raises:
        TypeError: If *root* is no widget.
        RuntimeError: If it has been destroyed already, or belongs to another thread.
        ImportError: If this Python has no tkinter; says how it is installed.

    **Threads.** Make it on the window's thread. Any thread may submit; none waits for the window. As in any
    program with threads, keep variables and images of Tk (``StringVar``, ``PhotoImage``) as long as their
    window: when Python's garbage collector frees one on another thread, that waits for the window's.
    """

    def __init__(self, root: tkinter.Misc, max_backlog_bytes: int = DEFAULT_BACKLOG_BYTES) -> None:
        try:
            import tkinter
        except ImportError as exc:
            raise ImportError(
                "TkDispatcher needs tkinter, which this Python came without; on Debian or Ubuntu: "
                "sudo apt install python3-tk; on macOS with Homebrew: brew install python-tk"
            ) from exc
        if not isinstance(root, tkinter.Misc):
            raise TypeError(f"root must be a Tk window or widget, not {type(root).__name__}")
        self._mailbox = Mailbox(max_backlog_bytes, _TkLoop())
        self._root = root
        self._looks_in_vain = 0
        try:
            self._look_command = root.register(self._look)
            self._timer = root.tk.call("after", 0, self._look_command)
            # A tag of our own, because widgets inherit the bindings of their window, and bind() without "+"
            # replaces what was bound before.
            tag = f"azure-rt-dispatcher-{next(_numbers)}"
            root.bindtags((*root.bindtags(), tag))
            root.bind_class(tag, "<Destroy>", self._destroyed)
        except tkinter.TclError as exc:
            raise RuntimeError(f"the window has been destroyed: {exc}") from exc
        if all(kept is not root.tk for kept in _interpreters):
            _interpreters.append(root.tk)

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """
        Keep it for the window's loop; forget it if the window is gone. Never blocks.

        Raises:
            DispatchOverflowError: If listeners are too far behind; nothing is dropped silently.
        """
        self._mailbox.put(callback, event)

    def host(self, client: Any) -> None:
        """
        Close *client* when the window is destroyed. Clients made with this dispatcher do it themselves.

        Raises:
            RuntimeError: If the window is gone already.
        """
        self._mailbox.host(client)

    def _look(self) -> None:
        """Run what waits, and look again later. On the window's thread, as are all below."""
        has_run = is_more = False
        try:
            has_run, is_more = self._mailbox.run()
        finally:
            self._looks_in_vain = 0 if has_run else self._looks_in_vain + 1
            if not self._mailbox.is_over:
                is_idle = self._looks_in_vain > _LOOKS_UNTIL_IDLE
                pause = PAUSE_MS if is_more else _IDLE_MS if is_idle else _BUSY_MS
                self._timer = self._root.tk.call("after", pause, self._look_command)

    def _destroyed(self, _: object) -> None:
        import tkinter

        # A timer left behind would complain, in the loop of another window, that its command is gone.
        with contextlib.suppress(tkinter.TclError):
            self._root.tk.call("after", "cancel", self._timer)
        self._mailbox.end()


class _TkLoop:
    """The main loop; it turns anyway."""

    def is_running(self) -> bool:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_globals.get("__name__") == "tkinter":  # which all calls of the loop go through
                return True
            frame = frame.f_back
        return False

    def ask_for_turn(self) -> None:
        pass
