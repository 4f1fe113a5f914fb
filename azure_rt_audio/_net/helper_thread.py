"""
Blocking calls that know neither deadline nor interruption, made bearable: on a thread of their own.

The system's resolver is one, and so is the check of a certificate by the system, which may ask the
network. Such a thread is short-lived; if nobody waits for it any longer, it throws its result away.

Threads and locks: the I/O thread waits, the helper works. They share a future, whose lock is a leaf.
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
    patience: BoundedWait,
    name: str,
    *,
    stop: Callable[[], None] = lambda: None,
    discard: Callable[[T], object] = lambda result: None,
) -> T:
    """
    Do *work* on a thread called *name* and return or raise what comes of it. Blocks.

    Args:
        work: What may block.
        patience: For how long to wait.
        name: Of the thread.
        stop: Called when the wait is given up, to bring *work* to its end.
        discard: Called, on either thread, with a result that comes after that.

    Raises:
        DeadlinePassed: If the deadline passes first.
        Cancelled: If the connection is closed meanwhile.
    """
    future: Future[T] = Future()
    waker = patience.waker

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as exc:  # noqa: BLE001 - raised on the I/O thread instead
            future.set_exception(exc)
        waker.wake()

    def drop(late: Future[T]) -> None:
        if late.exception() is None:
            discard(late.result())

    threading.Thread(target=run, name=name, daemon=True).start()
    try:
        while not future.done():
            patience.wait(None)
    except BaseException:
        stop()
        future.add_done_callback(drop)  # at once, if it has come to its end just now
        raise
    return future.result()
