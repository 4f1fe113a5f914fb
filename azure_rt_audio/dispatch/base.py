"""The contract of a dispatcher, and the simplest one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from ..errors import DecodeError, ServiceError

__all__ = ["Call", "Dispatcher", "Hosting", "InlineDispatcher", "Placing", "call_guarded", "weight"]

log: logging.Logger = logging.getLogger(__name__)


@runtime_checkable
class Dispatcher(Protocol):
    """
    Decides where listeners run.

    ``submit`` is called from the reader thread, and from threads that register listeners; it must
    not wait for the callback of another thread. The callback raises nothing but what ends a
    program, ``KeyboardInterrupt`` and ``SystemExit``, and that only on the main thread.
    """

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """Have ``callback(event)`` called, after everything submitted before."""
        ...


Call = Callable[..., object]
"""Calls its first argument with the others, in some surroundings, as ``contextvars.Context.run`` does."""


@runtime_checkable
class Placing(Protocol):
    """What a dispatcher may have besides, if where a listener was registered makes a difference."""

    def place(self) -> Call:
        """Return what calls a listener as if from here; asked on the thread that registers it."""
        ...


@runtime_checkable
class Hosting(Protocol):
    """What a dispatcher may have besides, if a client must not outlive the place it lives in."""

    def host(self, client: Any) -> None:
        """Know *client*, which has this dispatcher and is about to connect; not to be kept alive."""
        ...


class InlineDispatcher:
    """
    Runs listeners at once, on the thread that found the event, which is the reader.

    While a listener runs, nothing is received or sent: it must return quickly, and a client's
    blocking methods called from it would wait for the reader, which is why they raise there.
    """

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """Call it now."""
        callback(event)


def call_guarded(function: Callable[[Any], object], argument: Any, what: object) -> None:
    """
    Call what a user wrote; if it fails, that is logged and those behind it still have their turn.

    Args:
        what: What to call it in the log; its ``repr`` is taken only then.
    """
    try:
        function(argument)
    except Exception:
        log.exception("! %r failed", what)
    except BaseException:
        # In a program's own loop it is for the program. On a thread of ours it would end that thread,
        # and with it all listening, without a word.
        if threading.current_thread() is threading.main_thread():
            raise
        log.exception("! %r wanted to end the program, which only the main thread can", what)


def weight(event: Any) -> int:
    """
    Return roughly how many bytes an event holds while it waits.

    Deltas are what comes in masses; other events of the service count as if they were small. What this
    side makes itself (how the connection ended, a status) weighs nothing: it must always get through.
    """
    delta = getattr(event, "delta", None)
    if isinstance(delta, str):
        return 512 + len(delta)
    return 512 if hasattr(event, "raw") or isinstance(event, ServiceError | DecodeError) else 0
