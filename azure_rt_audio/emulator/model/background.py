"""
Long work, beside a connection that goes on.

Responders, recognisers and synthesisers may return a :class:`~concurrent.futures.Future`. The session polls
it every few milliseconds of its own time, without blocking, and cancels it when the result is not wanted
any more. :func:`in_background` makes such a future.

Threads and locks: each piece of work has a daemon thread of its own, which ends with the work. There
are no locks but the future's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Final, TypeVar

__all__ = ["in_background", "settle", "when_done"]

T = TypeVar("T")

_POLL_SECONDS: Final = 0.01


def in_background(name: str, work: Callable[[], T]) -> Future[T]:
    """
    Do *work* on a thread of that name; returns at once.

    The future can be cancelled as long as it has no result; its work goes on without an effect. So it
    has to end by itself, in bounded time.
    """
    future: Future[T] = Future()
    threading.Thread(target=lambda: settle(future, work), name=name, daemon=True).start()
    return future


def settle(future: Future[T], work: Callable[[], T]) -> None:
    """Do *work* on this thread and give *future* its outcome, unless it is cancelled by then."""
    try:
        result = work()
    except Exception as exc:  # noqa: BLE001  # handed to whoever waits for it
        if future.set_running_or_notify_cancel():
            future.set_exception(exc)
    else:
        if future.set_running_or_notify_cancel():
            future.set_result(result)


def when_done(future: Future[T]) -> Generator[float, None, T]:
    """
    Steps that wait for *future*; the generator's value is the result.

    Closed before the end, they cancel it.
    """
    try:
        while not future.done():
            yield _POLL_SECONDS
        return future.result()
    finally:
        future.cancel()
