"""
Keeps forks out of calls of libraries that have locks of their own.

OpenSSL and the system's resolver take locks that Python does not know of. A fork at that moment leaves them
taken in the child for good, which then hangs in its first TLS context, or in its first look-up of a name.

Threads and locks: ``_entry`` guards how many threads are in such a call. A thread that forks waits until none
is, a limited time, and holds ``_entry`` over the fork, so that none enters meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Final

__all__ = ["kept_from_forks"]

_FORK_WAIT: Final = 2.0
"""
Seconds that a fork waits, at most. A step of a handshake takes a few milliseconds, loading certificates some
20, a look-up as long as the network takes: by then it is probably out of what takes locks.
"""

_LOOK_SECONDS: Final = 0.001

_entry = threading.Lock()
_inside = 0  # guarded by _entry
_forking = threading.local()


@contextlib.contextmanager
def kept_from_forks() -> Iterator[None]:
    """Have forks of other threads wait for the end of the block. Not on a thread that Ctrl-C can strike."""
    global _inside
    with _entry:
        _inside += 1
    try:
        yield
    finally:
        with _entry:
            _inside -= 1


def _before_fork() -> None:
    _forking.has_entry = False  # Ctrl-C may end what follows
    end, pause = time.monotonic() + _FORK_WAIT, threading.Event()
    while _entry.acquire(timeout=_FORK_WAIT):
        if not _inside or time.monotonic() >= end:
            _forking.has_entry = True
            return
        _entry.release()
        pause.wait(_LOOK_SECONDS)


def _after_fork() -> None:
    if _forking.has_entry:
        _entry.release()


def _start_anew() -> None:
    global _entry, _inside
    _entry, _inside = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_start_anew)
