"""
Runs calls that have neither deadline nor interruption on a helper thread.

The system's resolver is one, and so is the check of a certificate by the system, which may ask the
network. The thread is short-lived; a result that comes after the wait was given up is discarded.

Threads and locks: the dial thread waits, the helper works. They share a future, whose lock is a leaf.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from .waiting import BoundedWait

__all__ = ["run_in_thread"]

T = TypeVar("T")


def run_in_thread(
    work: Callable[[], T],
    bounds: BoundedWait,
    name: str,
    *,
    stop: Callable[[], None] = lambda: None,
    discard: Callable[[T], object] = lambda result: None,
) -> T:
    """
    Do *work* on a thread called *name* and return its result or raise its exception. Blocks.

    Args:
        work: What may block.
        bounds: Of the wait.
        name: Of the thread.
        stop: Called when the wait is given up, to bring *work* to its end.
        discard: Called, on either thread, with a result that comes after that.

    Raises:
        DeadlinePassed: If the deadline passes first.
        Cancelled: If the connection is closed meanwhile.
    """
    future: Future[T] = Future()
    waker = bounds.waker

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as exc:  # noqa: BLE001 - raised on the dial thread instead
            future.set_exception(exc)
        waker.wake()

    def drop(late: Future[T]) -> None:
        if late.exception() is None:
            discard(late.result())

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        while not future.done():
            bounds.wait(None)
    except BaseException:
        stop()
        future.add_done_callback(drop)  # at once, if it has just ended
        raise
    return future.result()
