"""
Work that takes long, beside a connection that goes on.

Replies, ears and voices may return a :class:`~concurrent.futures.Future` of what they have to say.
The brain looks at it every few milliseconds of its own time, and cancels it when nobody wants the
result any more; it never blocks. :func:`in_background` makes such a future.

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

_LOOK_SECONDS: Final = 0.01


def in_background(name: str, work: Callable[[], T]) -> Future[T]:
    """
    Do *work* on a thread of that name; returns at once.

    The future can be cancelled as long as it has no result; the work is then done for nobody. So it
    has to end by itself, in bounded time.
    """
    future: Future[T] = Future()
    threading.Thread(target=lambda: settle(future, work), name=name, daemon=True).start()
    return future


def settle(future: Future[T], work: Callable[[], T]) -> None:
    """Do *work* here and now, and give *future* its outcome, unless it is cancelled by then."""
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

    Given up half-way, they cancel it.
    """
    try:
        while not future.done():
            yield _LOOK_SECONDS
        return future.result()
    finally:
        future.cancel()
