"""Exceptions that end a program, such as Ctrl-C, on threads where there is no program to end."""

from __future__ import annotations

import threading

__all__ = ["ends_the_program"]


def ends_the_program(exc: BaseException) -> bool:
    """
    Whether *exc*, just caught from the user's code, is to be raised again.

    On the main thread ``KeyboardInterrupt`` and ``SystemExit`` are for the program. On a thread of ours they
    would end only that thread, and with it all that it does for others, without a word.
    """
    return not isinstance(exc, Exception) and threading.current_thread() is threading.main_thread()
