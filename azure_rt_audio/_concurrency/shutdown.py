"""
What happens when the interpreter exits, and in which order.

:class:`Stage` is that order, from top to bottom, whatever was imported or made first:

1. ``VOICE``: voice sessions end and close their devices. They need everything below.
2. ``DEVICES``: microphones and speakers outside of voice sessions. A driver's callback must not find the
   interpreter gone.
3. ``WINDOWS``: no thread calls a Qt object any more.
4. ``SESSIONS``: sessions note that this side wants the end. So an end by exit is not reported as a loss.
5. ``WORKERS``: listeners' threads run what waits, and take nothing more. A daemon thread that is stopped
   in the middle of printing can bring the interpreter down.
6. ``TRANSPORTS``: connections are closed, all at the same time.
7. ``RECORDINGS``: recordings are written to their end, the end of the connections included.

Workers end before transports, so listeners of ``closed`` are not called at exit, except those of an inline
dispatcher: closing would wait for user code, and user code would run while the program is taken down.

The first three stages use libraries with exit hooks of their own: PortAudio ends its streams, which would
look like a lost device, and Qt destroys its objects. Python runs hooks in reverse order. So these stages
run before the hooks of everything that was loaded when their latest member was registered. All stages run,
these again, where this module was imported: after the hooks that the program registered.

**Threads and locks.** Any thread registers and forgets, also a finalizer; no lock. Exit hooks run on the
main thread. A forked child starts with an empty list: what the parent made is not its own to close.
"""

from __future__ import annotations

import atexit
import contextlib
import enum
import logging
import os
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from .._log import get_logger
from .deadline import Deadline

__all__ = ["Stage", "forget", "register"]

log: logging.Logger = get_logger(__name__)

_T = TypeVar("_T")


class Stage(enum.Enum):
    """The stages of the exit. Their order here is the order in which they run."""

    VOICE = "voice sessions"
    DEVICES = "devices"
    WINDOWS = "windows"
    SESSIONS = "sessions"
    WORKERS = "workers"
    TRANSPORTS = "transports"
    RECORDINGS = "recordings"


SECONDS: Final = {Stage.DEVICES: 2.0, Stage.WORKERS: 1.0, Stage.TRANSPORTS: 1.0, Stage.RECORDINGS: 1.0}
"""How long the members of a stage, all together, may delay the exit after they were told to end."""

_BEFORE_OTHER_LIBRARIES: Final = (Stage.VOICE, Stage.DEVICES, Stage.WINDOWS)


class _Member(weakref.ref[Any]):
    """A weak reference to what has to end, and how it does."""

    __slots__ = ("end", "join")

    end: Callable[[Any], object]
    join: Callable[[Any, float], object] | None


# Adding to a set of weak references, taking from it and copying it are single steps of the interpreter, so a
# finalizer or another thread may do it in the middle of anything: a WeakSet, iterated in Python, allows less.
_members: Final[dict[Stage, set[_Member]]] = {stage: set() for stage in Stage}


def register(
    stage: Stage,
    member: _T,
    end: Callable[[_T], object],
    join: Callable[[_T, float], object] | None = None,
) -> None:
    """
    Have *member* ended at exit, unless it has been collected or forgotten by then. Cheap; does not wait.

    Args:
        member: Held weakly; hashable by identity. Register it once.
        end: Called with the member. Must not hold it: pass a function of its class, no bound method.
        join: Called with the member and the seconds left, once all members of the stage were told to end.
    """
    reference = _Member(member, _members[stage].discard)
    reference.end, reference.join = end, join
    _members[stage].add(reference)
    if stage in _BEFORE_OTHER_LIBRARIES:
        atexit.unregister(_run_before_other_libraries)
        atexit.register(_run_before_other_libraries)


def forget(stage: Stage, member: object) -> None:
    """Leave *member* alone at exit: it has ended. Does nothing if it was not registered."""
    _members[stage].discard(_Member(member))


def _run_before_other_libraries() -> None:
    _run(_BEFORE_OTHER_LIBRARIES)


def _run_all() -> None:
    _run(Stage)


def _run(stages: Iterable[Stage]) -> None:
    with contextlib.ExitStack() as stack:  # Ctrl-C ends the waiting of one stage, and skips no other
        for stage in reversed(list(stages)):
            stack.callback(_end, stage)


def _end(stage: Stage) -> None:
    references = _members[stage].copy()
    _members[stage].difference_update(references)
    alive = [(reference, member) for reference in references if (member := reference()) is not None]
    for reference, member in alive:
        _call(reference.end, member)
    deadline = Deadline(SECONDS.get(stage, 0.0))
    for reference, member in alive:
        if reference.join is not None:
            _call(reference.join, member, deadline.remaining())


def _call(function: Callable[..., object], member: object, *arguments: object) -> None:
    try:
        function(member, *arguments)
    except Exception:  # the others are to end all the same
        log.exception("! %s did not end as it should at exit", type(member).__name__)


def _forget_all() -> None:
    for members in _members.values():
        members.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
atexit.register(_run_all)
