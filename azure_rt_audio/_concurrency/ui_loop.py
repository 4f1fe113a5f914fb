"""
What a wait does to the loop of a window, whose thread it takes.

The dispatchers of toolkits say here that the loop of their thread turns; waits say how long they have kept it
from turning. When that exceeds a tenth of a second, which people notice, the program is told: once per
line, as with any warning.

**Threads and locks.** Each thread has its own account; there is nothing to lock.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from typing import Final, Protocol

from .._stacklevel import stacklevel
from .deadline import Deadline

__all__ = ["Loop", "loop_ends", "loop_turns", "wait_with_ui_warning"]

LIMIT_S: Final = 0.1
"""Seconds that waits may take between two turns of a loop."""


class Loop(Protocol):
    """The loop of a toolkit, as seen from its own thread."""

    def is_running(self) -> bool:
        """Whether the caller was called by the loop, so that it waits for the caller."""

    def ask_for_turn(self) -> None:
        """Have :func:`loop_turns` called when the loop next turns; nothing, if that happens anyway."""


class _Account(threading.local):
    """This thread's loop, if it has one."""

    loop: Loop | None = None
    blocked = 0.0  # seconds of waiting since its last turn
    has_been_told = False  # since then


_account: Final = _Account()


def loop_turns(loop: Loop) -> None:
    """Note that this thread runs a loop, and that it turns."""
    _account.loop = loop
    _account.blocked = 0.0
    _account.has_been_told = False


def loop_ends() -> None:
    """Note that this thread's loop is none of ours any more; another window on it says so by turning."""
    _account.loop = None


def wait_with_ui_warning(wait: Callable[[Deadline], bool], deadline: Deadline) -> bool:
    """Wait, with *wait*, and warn as soon as that has kept a loop of this thread waiting too long."""
    loop, blocked = _account.loop, _account.blocked
    if loop is None or _account.has_been_told or not loop.is_running():
        return wait(deadline)
    if blocked == 0.0:
        loop.ask_for_turn()
    start = time.monotonic()
    remaining = deadline.remaining()
    limit = max(0.0, LIMIT_S - blocked)
    is_so = wait(Deadline(limit if remaining is None else min(limit, remaining)))
    _account.blocked = blocked + (time.monotonic() - start)
    if is_so or deadline.expired:
        return is_so
    _account.has_been_told = True
    warnings.warn(
        f"this call keeps the loop of the window waiting, by now for more than {LIMIT_S * 1000:.0f} ms: "
        "nothing is drawn and no click is noticed meanwhile. Listen with client.on(...), use "
        "add_done_callback() of the future, or make the call on a thread of its own",
        RuntimeWarning,
        stacklevel=stacklevel(),
    )
    return wait(deadline)
