"""Threads and the end of a program: exceptions that end it, such as Ctrl-C, and waits for threads."""

from __future__ import annotations

import contextlib
import threading

__all__ = ["ends_the_program", "join_thread"]


def ends_the_program(exc: BaseException) -> bool:
    """
    Whether *exc*, just caught from the user's code, is to be raised again.

    On the main thread ``KeyboardInterrupt`` and ``SystemExit`` are for the program. On a thread of ours they
    would end only that thread, and with it all that it does for others, without a word.
    """
    return not isinstance(exc, Exception) and threading.current_thread() is threading.main_thread()


def join_thread(thread: threading.Thread, seconds: float | None) -> bool:
    """Wait for a thread that was started, unless it is the caller's own; return whether it has ended."""
    if thread is not threading.current_thread():
        with contextlib.suppress(RuntimeError):  # Python 3.14 joins no daemon thread while it exits
            thread.join(seconds)
    return not thread.is_alive()
