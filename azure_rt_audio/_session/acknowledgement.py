"""Futures of commands that the service acknowledges."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, Final, Generic, TypeVar, cast

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from .._pages import WAITING
from ..dispatch.base import call_guarded
from ..errors import RealtimeError

__all__ = ["Acknowledgement"]

T = TypeVar("T")

_CANCELLED: Final = ("CANCELLED", "CANCELLED_AND_NOTIFIED")
_DONE: Final = (*_CANCELLED, "FINISHED")
"""States of a future, as :mod:`concurrent.futures` names them."""


class Acknowledgement(Future[T], Generic[T]):
    """
    A :class:`concurrent.futures.Future` that checks on which thread it is used.

    The I/O thread resolves it, so waiting there would never end, and callbacks would be user code on the
    I/O thread: they run on the client's dispatcher instead. Cancelling withdraws nothing: the command has
    been sent.

    Args:
        owner: Kept alive as long as the future is referenced.
        check_may_wait: Raises if the calling thread must not wait.
        dispatch: Calls a function with one argument where listeners run.
        clock: Seconds that never run backwards.

    **Threads and locks.** Any thread waits; the I/O thread resolves. ``_settled`` is a leaf. Looking at the
    outcome does not take the lock of :mod:`concurrent.futures`: Ctrl-C inside that module can leave its
    lock taken, and the I/O thread would wait for it.
    """

    def __init__(
        self,
        owner: object,
        check_may_wait: Callable[[], None],
        dispatch: Callable[[Callable[[Any], object], Any], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._owner = owner
        self._check_may_wait = check_may_wait
        self._dispatch = dispatch
        self._clock = clock
        self._settled = Condition()  # leaf; in place of the futures' own wait, which Ctrl-C can break
        self._is_settled = False  # guarded by _settled
        self.on_callback: Callable[[], None] | None = None
        """Called when a callback is added: from then on the future must stay alive without a holder."""

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._state in _CANCELLED

    def done(self) -> bool:
        """Whether it was resolved or cancelled."""
        return self._state in _DONE

    def result(self, timeout: float | None = None) -> T:
        """
        Wait for the acknowledging event.

        Raises:
            ServiceError: If the command was refused.
            RealtimeError: If its answer counts as lost, see ``waiters.py``.
            ConnectionClosedError: If the connection ended first.
            TimeoutError: If it took longer than *timeout* seconds; ``None`` has no limit.
            concurrent.futures.CancelledError: If the future was cancelled.
            RuntimeError: On the I/O thread, unless it is done.
        """
        error = self.exception(timeout)
        if isinstance(error, RealtimeError):
            raise error.again()
        if error is not None:
            raise error
        return cast(T, self._result)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the outcome and return what :meth:`result` would raise, or ``None``."""
        if not self.done():
            self._check_may_wait()
            if not self._settled.wait_until(lambda: self._is_settled, Deadline(timeout, self._clock)):
                # The built-in class: in Python 3.10 that of concurrent.futures is another one.
                raise TimeoutError(f"the service did not acknowledge it within {timeout} seconds. {WAITING}")
        if self._state in _CANCELLED:
            raise CancelledError
        return self._exception

    def set_result(self, result: T) -> None:
        """Resolve it. Called by the I/O thread."""
        super().set_result(result)
        self._settle()

    def set_exception(self, exception: BaseException | None) -> None:
        """Fail it. Called by the I/O thread."""
        super().set_exception(exception)
        self._settle()

    def cancel(self) -> bool:
        """Stop waiting; return whether it was still pending."""
        is_cancelled = super().cancel()
        self._settle()
        return is_cancelled

    def _settle(self) -> None:
        with self._settled.lock:
            self._is_settled = True
            self._settled.notify_all()

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """Call *fn* with the future, where listeners run, once it is done."""
        if self.on_callback is not None:
            self.on_callback()
        super().add_done_callback(lambda future: self._dispatch(_guarded(fn), future))


def _guarded(function: Callable[[Any], object]) -> Callable[[Any], None]:
    return lambda future: call_guarded(function, future, function)
