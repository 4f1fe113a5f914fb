"""The contract of a dispatcher, and the simplest one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import attrs

from .._concurrency.program_end import ends_the_program
from .._log import get_logger
from ..errors import DecodeError, ServiceError

__all__ = [
    "Call",
    "Dispatcher",
    "Failing",
    "Hosting",
    "InlineDispatcher",
    "Placing",
    "Serving",
    "call_guarded",
    "check_dispatcher",
    "report_failure",
    "weight",
]

log: logging.Logger = get_logger(__name__)


@runtime_checkable
class Dispatcher(Protocol):
    """
    Decides where listeners run.

    ``submit`` is called from the I/O thread, and from every thread that an event or a callback comes from:
    that registers a listener, sets the status, cancels a future, runs a tool or the guard, or captures for a
    voice session; several at once. It must not wait for the callback of another thread. The callback raises
    nothing but what ends a program, ``KeyboardInterrupt`` and ``SystemExit``, and that only on the main
    thread.
    """

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """Have ``callback(event)`` called, after everything submitted before."""


Call = Callable[..., object]
"""Calls its first argument with the others, in some surroundings, as ``contextvars.Context.run`` does."""


@runtime_checkable
class Placing(Protocol):
    """What a dispatcher may have besides, if where a listener was registered makes a difference."""

    def place(self) -> Call:
        """Return what calls a listener as if from here; asked on the thread that registers it."""


@runtime_checkable
class Hosting(Protocol):
    """What a dispatcher may have besides, if a client must not outlive the place it lives in."""

    def host(self, client: Any) -> None:
        """Know *client*, which has this dispatcher and is about to connect; not to be kept alive."""


@runtime_checkable
class Serving(Protocol):
    """What a dispatcher may have besides, if it knows its thread: while that waits, no listener runs."""

    def serves(self, thread_id: int) -> bool:
        """Whether listeners run on the thread *thread_id*, its ``threading.get_ident()``, and on no other."""


@runtime_checkable
class Failing(Protocol):
    """What user code is called for, if it wants to know of an exception."""

    def _note_failure(self, exc: BaseException) -> None:
        """The code raised *exc*. Must be quick, and raise nothing."""


class InlineDispatcher:
    """
    Runs listeners at once, on the thread that the event comes from: the I/O thread, as a rule.

    Events of tools and of the guard come from their threads, a status that the program sets from the thread
    that sets it, and the callback of a future from the thread that cancels it.

    While a listener runs on the I/O thread, nothing is received, no ping is answered, and what is queued is
    not sent; only a single message of another thread, before which nothing waits, still goes out. It must
    return quickly, and a client's blocking methods called from it would wait for the I/O thread, which is why
    they raise there.
    """

    def submit(self, callback: Callable[[Any], object], event: Any) -> None:
        """Call it now."""
        callback(event)


def check_dispatcher(dispatcher: Dispatcher) -> None:
    """
    Refuse what is no dispatcher.

    Raises:
        TypeError: Says what is missing.
    """
    given: object = dispatcher
    if isinstance(given, type):
        raise TypeError(f"dispatcher is the class {given.__name__}: make one of it, {given.__name__}(...)")
    if not isinstance(given, Dispatcher):
        raise TypeError(f"dispatcher must have submit(callback, event), not {type(given).__name__}")


def call_guarded(function: Callable[[Any], object], argument: Any, what: object) -> None:
    """
    Call user code; log its exception, so that later calls still run.

    Args:
        what: Names it in the log; its ``repr`` is taken only then.
    """
    try:
        function(argument)
    except BaseException as exc:  # noqa: BLE001 - logged, or raised again
        report_failure(exc, what)


def report_failure(exc: BaseException, what: object) -> None:
    """Log an exception of user code; on the main thread, raise one that ends a program again."""
    if isinstance(what, Failing):
        what._note_failure(exc)
    if isinstance(exc, Exception):
        log.error("! %r failed", what, exc_info=exc)
        return
    if ends_the_program(exc):
        raise exc
    log.error("! %r wanted to end the program, which only the main thread can", what, exc_info=exc)


_is_delta: dict[type, bool] = {}
"""By class of a message, whether it has a text ``delta``. Filled as classes are met."""


def weight(event: Any) -> int:
    """
    Return roughly how many bytes an event holds while it waits.

    Deltas by their length; other events of the service count as small. What this side makes itself (how
    the connection ended, a status) weighs nothing: it must always get through; but for the events of tools
    and of the guard, which weigh their texts.
    """
    is_delta = _is_delta.get(event.__class__)
    if is_delta:
        return 512 + len(event.delta)
    if is_delta is None:
        return _weight_by_looking(event)
    return 512


def _weight_by_looking(event: Any) -> int:
    cls = event.__class__
    delta = getattr(event, "delta", None)
    is_text = isinstance(delta, str)
    has_raw = hasattr(event, "raw")
    if has_raw and attrs.has(cls):
        field = attrs.fields_dict(cls).get("delta")
        if field is None or (is_text and field.type in (str, "str")):
            _is_delta[cls] = is_text
    if isinstance(delta, str):
        return 512 + len(delta)
    texts: tuple[str, ...] = getattr(cls, "_TEXTS", ())  # see protocol/events/local.py
    if texts:
        return 512 + sum(len(getattr(event, name)) for name in texts)
    return 512 if has_raw or isinstance(event, ServiceError | DecodeError) else 0
