"""Asking the user of a terminal whether tools may run."""

from __future__ import annotations

import collections
import sys
from collections.abc import Callable
from typing import Final

from ..protocol.events.local import ToolApprovalRequested
from .printer import Printer

__all__ = ["NO", "YES", "Approvals"]

YES: Final = ("y", "yes")
NO: Final = ("", "n", "no")

_NOBODY: Final = "nobody can be asked: standard input is no terminal"
_DENIED: Final = "the user has said no"
_LEFT: Final = "the user has interrupted"


class Approvals:
    """
    Calls that wait for the user's yes or no.

    **Threads.** :meth:`add` is called by listeners, all else by the main thread.
    """

    def __init__(self, screen: Printer, read: Callable[[str], str] = input) -> None:
        self._screen = screen
        self._read = read
        self._waiting: collections.deque[ToolApprovalRequested] = collections.deque()

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to ask."""
        return bool(self._waiting)

    def add(self, request: ToolApprovalRequested) -> bool:
        """Have a call asked for; where nobody can be asked it is denied. Return whether it is to be asked."""
        if sys.stdin.isatty():
            self._waiting.append(request)
            return True
        request.deny(_NOBODY)
        return False

    def ask(self) -> None:
        """
        Ask for all that wait, one after the other. Blocks until the user has answered.

        Raises:
            KeyboardInterrupt: The user has pressed Ctrl-C; all were denied.
        """
        try:
            while self._waiting:
                self._ask(self._waiting[0])
                self._waiting.popleft()
        except KeyboardInterrupt:
            self._deny_rest(_LEFT)
            raise

    def decide(self, line: str) -> bool:
        """Take a line for the answer to what waits first, if it can be one; return whether it was."""
        word = line.strip().lower()
        if not self._waiting or word not in (*YES, *filter(None, NO)):
            return False
        self._finish(self._waiting.popleft(), is_allowed=word in YES)
        return True

    def _ask(self, request: ToolApprovalRequested) -> None:
        self._screen.line("tool", f"{request} needs your approval")
        while True:
            try:
                word = self._read(self._screen.prompt("allow?") + "[y/N] ").strip().lower()
            except EOFError:
                print()  # ends the line of the prompt
                word = ""
            if word in (*YES, *NO):
                self._finish(request, is_allowed=word in YES)
                return
            self._screen.note("Please answer y, for yes, or n, for no.")

    def _finish(self, request: ToolApprovalRequested, *, is_allowed: bool) -> None:
        is_in_time = request.approve() if is_allowed else request.deny(_DENIED)
        if is_allowed and not is_in_time:
            self._screen.note("[too late: the call was denied already]")

    def _deny_rest(self, reason: str) -> None:
        while self._waiting:
            self._waiting.popleft().deny(reason)
