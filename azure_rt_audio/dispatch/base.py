"""The interface of a dispatcher, and the simplest one."""

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

    ``submit`` is called on the I/O thread, and on threads that register listeners; it must not wait for a
    callback on another thread. The callback raises only ``KeyboardInterrupt`` and ``SystemExit``, and only
    on the main thread.
    """

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """Schedule ``callback(event)``, after everything submitted before."""
        ...


Call = Callable[..., object]
"""Calls its first argument with the others in a context, as ``contextvars.Context.run`` does."""


@runtime_checkable
class Placing(Protocol):
    """An optional method of a dispatcher whose listeners keep the context of their registration."""

    def place(self) -> Call:
        """Capture the current context, and return its ``run``; called on the registering thread."""
        ...


@runtime_checkable
class Hosting(Protocol):
    """An optional method of a dispatcher that closes its clients, for example with their window."""

    def host(self, client: Any) -> None:
        """Register *client*, which is about to connect; hold it weakly."""
        ...


class InlineDispatcher:
    """
    Runs listeners at once, on the I/O thread.

    While a listener runs, nothing is received or sent: it must return quickly. A client's blocking methods
    raise there, because they would wait for the I/O thread.
    """

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """Call *callback* now."""
        callback(event)


def call_guarded(function: Callable[[Any], object], argument: Any, what: object) -> None:
    """
    Call user code; an exception is logged, so that later listeners still run.

    Args:
        what: The subject of the log record, formatted by ``repr``.
    """
    try:
        function(argument)
    except Exception:
        log.exception("! %r failed", what)
    except BaseException:
        # In the program's own loop it belongs to the program. On our thread it would silently end the
        # thread, and with it all dispatching.
        if threading.current_thread() is threading.main_thread():
            raise
        log.exception("! %r raised an exit outside of the main thread; it is ignored", what)


def weight(event: Any) -> int:
    """
    Return the approximate size of a queued event in bytes.

    Deltas dominate; other events of the service count as small. Local events (the end of the connection, a
    status) weigh nothing: they must never be refused.
    """
    delta = getattr(event, "delta", None)
    if isinstance(delta, str):
        return 512 + len(delta)
    return 512 if hasattr(event, "raw") or isinstance(event, ServiceError | DecodeError) else 0
