"""Futures of commands that the service acknowledges."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from ..dispatch.base import call_guarded
from ..errors import RealtimeError

__all__ = ["Acknowledgement"]

T = TypeVar("T")


class Acknowledgement(Future[T], Generic[T]):
    """
    A :class:`concurrent.futures.Future` that minds on which thread it is used.

    It is resolved by the reader thread, so waiting for it there would wait for ever, and callbacks
    run there would be user code on the reader: they go to the client's dispatcher instead. Cancelling
    it takes nothing back: the command is on its way.

    Args:
        owner: Kept alive as long as someone holds the future.
        may_wait: Raises if the calling thread must not wait.
        dispatch: Has a function called with one argument where listeners run.
    """

    def __init__(
        self,
        owner: object,
        may_wait: Callable[[], None],
        dispatch: Callable[[Callable[[Any], object], Any], None],
    ) -> None:
        super().__init__()
        self._owner = owner
        self._may_wait = may_wait
        self._dispatch = dispatch
        self._settlement = (
            Condition()
        )  # leaf; the wait of futures themselves does not survive Ctrl-C at any moment
        self._is_settled = False  # guarded by _settlement
        self.on_callback: Callable[[], None] | None = None
        """Called when someone wants to be called back, and so need not hold the future any more."""

    def result(self, timeout: float | None = None) -> T:
        """
        Wait for the acknowledging event.

        Raises:
            ServiceError: If the command was refused.
            ConnectionClosedError: If the connection ended first.
            TimeoutError: If it took longer than *timeout* seconds; ``None`` has no limit.
            concurrent.futures.CancelledError: If the future was cancelled.
            RuntimeError: On the reader thread, unless it is done.
        """
        error = self.exception(timeout)
        if isinstance(error, RealtimeError):
            raise error.again()
        if error is not None:
            raise error
        return super().result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the outcome and return what :meth:`result` would raise, or ``None``."""
        if not self.done():
            self._may_wait()
            if not self._settlement.wait_until(lambda: self._is_settled, Deadline(timeout)):
                # Not the one of futures, which in Python 3.10 is another class.
                raise TimeoutError(f"the service did not acknowledge it within {timeout} seconds")
        return super().exception()

    def set_result(self, result: T) -> None:
        """Tell those who wait what came. Called by the reader."""
        super().set_result(result)
        self._settle()

    def set_exception(self, exception: BaseException | None) -> None:
        """Tell those who wait that it will not come. Called by the reader."""
        super().set_exception(exception)
        self._settle()

    def cancel(self) -> bool:
        """Stop waiting for it; return whether it was not too late."""
        is_cancelled = super().cancel()
        self._settle()
        return is_cancelled

    def _settle(self) -> None:
        with self._settlement.lock:
            self._is_settled = True
            self._settlement.notify_all()

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """Have *fn* called with the future where listeners run."""
        if self.on_callback is not None:
            self.on_callback()
        super().add_done_callback(lambda future: self._dispatch(_guarded(fn), future))


def _guarded(function: Callable[[Any], object]) -> Callable[[Any], None]:
    return lambda future: call_guarded(function, future, function)
