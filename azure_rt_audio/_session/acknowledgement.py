"""Futures of commands that the service acknowledges."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from threading import get_ident
from typing import Any, Final, Generic, TypeVar, cast

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline, check_timeout
from .._log import get_logger
from .._not_pickled import NotPickled
from .._pages import WAITING
from .._repr import also_half_made
from ..dispatch.base import call_guarded
from ..errors import RealtimeError
from .group_waits import GroupWaiters, View, tell

__all__ = ["Acknowledgement"]

T = TypeVar("T")

log: logging.Logger = get_logger(__name__)

_NOT_PICKLED: Final = NotPickled(
    "a future of the client can be neither pickled nor deep-copied: it waits for this process's connection. "
    "Pickle what its result() returns"
)
_PENDING: Final = "PENDING"
_CANCELLED: Final = "CANCELLED_AND_NOTIFIED"
_FINISHED: Final = "FINISHED"
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
        why_late: Returns what it waits for, unless that is the service's word about a command that was sent.

    Attributes:
        _settled: A leaf; guards the rest.
        state: One of the names of :mod:`concurrent.futures`. Written once, read bare.
        error: What :meth:`result` raises.
        views: By thread, the state that it sees, see ``group_waits.py``.
        group_waiters: Of ``concurrent.futures.wait`` and ``as_completed``.

    **Threads and locks.** Any thread waits; the I/O thread resolves. The locks of :mod:`concurrent.futures`
    are not used: Ctrl-C inside that module can leave them taken, and the I/O thread would wait for them. What
    is public there, and the attributes that ``wait`` and ``as_completed`` use, is made anew here.
    """

    def __init__(
        self,
        owner: object,
        check_may_wait: Callable[[], None],
        dispatch: Callable[[Callable[[Any], object], Any], None],
        clock: Callable[[], float] = time.monotonic,
        why_late: Callable[[], str] = lambda: "",
    ) -> None:  # not that of Future, whose attributes are replaced
        self._not_pickled = _NOT_PICKLED
        self._owner = owner
        self._check_may_wait = check_may_wait
        self._dispatch = dispatch
        self._clock = clock
        self._why_late = why_late
        self._settled = Condition()
        self.state = _PENDING
        self.error: BaseException | None = None
        self.views: dict[int, str] = {}
        self.group_waiters: list[Any] = []
        self._value: T | None = None
        self._callbacks: list[Callable[[Any], object]] = []
        self.on_callback: Callable[[], None] | None = None
        """Called when a callback is added: from then on the future must stay alive without a holder."""

    @also_half_made
    def __repr__(self) -> str:
        return f"<Acknowledgement, {'cancelled' if self.cancelled() else self.state.lower()}>"

    # ------------------------------------------------------------ for wait() and as_completed()

    @property
    def _state(self) -> str:  # type: ignore[override]  # an attribute there
        views = self.views
        return views.get(get_ident(), self.state) if views else self.state

    @property
    def _condition(self) -> View:  # type: ignore[override]
        return View(self)

    @property
    def _waiters(self) -> GroupWaiters:  # type: ignore[override]
        return GroupWaiters(self)

    # ------------------------------------------------------------ any thread

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.state == _CANCELLED

    def running(self) -> bool:
        """``False``: it can be cancelled until it is resolved."""
        return False

    def done(self) -> bool:
        """Whether it was resolved or cancelled."""
        return self.state != _PENDING

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
        return cast(T, self._value)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the outcome and return what :meth:`result` would raise, or ``None``."""
        check_timeout(timeout)
        if not self.done():
            self._check_may_wait()
            if not self._settled.wait_until(self.done, Deadline(timeout, self._clock)):
                why = self._why_late()
                held = f"it was not done within {timeout} seconds: {why}"
                silent = f"the service did not acknowledge it within {timeout} seconds"
                # The built-in class: in Python 3.10 that of concurrent.futures is another one.
                raise TimeoutError(f"{held if why else silent}. {WAITING}")
        if self.cancelled():
            raise CancelledError
        return self.error

    def cancel(self) -> bool:
        """Stop waiting; return whether it was still pending."""
        self._settle(_CANCELLED)
        return self.cancelled()

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """Call *fn* with the future, where listeners run, once it is done."""
        if self.on_callback is not None:
            self.on_callback()
        callback = _guarded(fn)
        with self._settled.lock:
            is_done = self.done()
            if not is_done:
                self._callbacks.append(callback)
        if is_done:
            self._dispatch(callback, self)

    # ------------------------------------------------------------ the I/O thread

    def set_running_or_notify_cancel(self) -> bool:
        """Return whether it was not cancelled; it stays as it is."""
        return not self.cancelled()

    def set_result(self, result: T) -> None:
        """Resolve it; an ``InvalidStateError`` if it is done."""
        if not self._settle(_FINISHED, result):
            raise InvalidStateError("it is done already")

    def set_exception(self, exception: BaseException | None) -> None:
        """Fail it; an ``InvalidStateError`` if it is done."""
        if not self._settle(_FINISHED, error=exception):
            raise InvalidStateError("it is done already")

    def _settle(self, state: str, value: T | None = None, error: BaseException | None = None) -> bool:
        """Give it its outcome, unless it has one, and tell everybody; return whether it was this one."""
        with self._settled.lock:
            is_new = not self.done()
            if is_new:
                self._value, self.error = value, error
                self._settled.notify_all()
                self.state = state  # last: Ctrl-C before this has changed nothing, and after it all
            waiters = tuple(self.group_waiters) if is_new else ()
        for waiter in waiters:
            tell(waiter, self)
        while self._callbacks:  # also of a cancel() that Ctrl-C ended here
            self._call_next()
        return is_new

    def _call_next(self) -> None:
        try:
            callback = self._callbacks.pop(0)
        except IndexError:  # another thread is quicker
            return
        try:
            self._dispatch(callback, self)
        except Exception:
            log.exception("! a callback of an acknowledgement was not called")


def _guarded(function: Callable[[Any], object]) -> Callable[[Any], None]:
    return lambda future: call_guarded(function, future, function)
