"""The end of a response that is kept from those who wait for it, until somebody lets it go."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable

__all__ = ["HeldEnd"]


class HeldEnd:
    """
    Who is told when an end is let go.

    **Threads.** Any thread. It has no lock: each entry is taken out by one of those who look after
    ``is_released`` was set, and told by that one.
    """

    def __init__(self) -> None:
        self.is_released = False
        self._waiting: list[weakref.WeakMethod[Callable[[], object]]] = []

    def add(self, tell: Callable[[], object]) -> None:
        """Have a bound method, whose object is not kept alive, called once it is let go: now, if it was."""
        self._waiting.append(weakref.WeakMethod(tell))
        if self.is_released:
            self.release()

    def release(self) -> None:
        """Let the end go."""
        self.is_released = True
        with contextlib.suppress(IndexError):
            while True:
                tell = self._waiting.pop()()
                if tell is not None:
                    tell()
