"""
Blocked callers: those who wait for an event, for an acknowledgement, or take events one by one.

They are served before the listeners and never depend on them.

**Threads and locks.** The reader offers events, and so does who sets the status; any thread waits.
``Waiters._lock`` and ``Streams._lock`` guard the replacement of their tuples and how it ended; neither is
held while a future is resolved, a stream is fed or a predicate of the user runs.
"""

from __future__ import annotations

import collections
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from types import TracebackType
from typing import Any, Literal

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from ..dispatch.base import weight
from ..dispatch.queued import DEFAULT_BACKLOG_BYTES
from ..errors import DispatchOverflowError, RealtimeError, ServiceError
from ..protocol.event_filter import EventFilter
from ..protocol.events.local import Init
from .acknowledgement import Acknowledgement

__all__ = ["EventStream", "Streams", "Waiter", "Waiters", "as_listened"]

log: logging.Logger = logging.getLogger(__name__)


def as_listened(subject: EventFilter, payload: Any) -> Any:
    """Return what a listener of *subject* receives: by its name, ``init`` is the session itself."""
    return payload.session if isinstance(payload, Init) and subject.key == Init.TYPE else payload


class Waiter:
    """
    One caller's interest in one event to come.

    The future is held weakly, unless someone wants to be called back: who threw it away does not wait. The
    waiter stays in its place all the same, so that the next one is not given its acknowledgement.

    Args:
        matches: Whether this is it, given the key it is published under and what it is. Runs on
            the reader thread.
        future: Resolved with the event, or with the error.
        event_id: Of the command it acknowledges; an error that names it fails the future.
        acknowledges: Kind of acknowledgement. One event answers one command only: the oldest.
        codes: Codes by which an error that names no command can be told to mean this one.
        params: Fields by which it can be told, with all that is below them.
        is_quiet: Whether a refusal is of no interest to anybody.
    """

    __slots__ = ("_future", "_kept", "acknowledges", "codes", "event_id", "is_quiet", "matches", "params")

    def __init__(
        self,
        matches: Callable[[Any, Any], bool],
        future: Future[Any],
        *,
        event_id: str | None = None,
        acknowledges: str | None = None,
        codes: frozenset[str] = frozenset(),
        params: tuple[str, ...] = (),
        is_quiet: bool = False,
    ) -> None:
        self.matches = matches
        self._future = weakref.ref(future)
        self._kept: Future[Any] | None = None
        self.event_id = event_id
        self.acknowledges = acknowledges
        self.codes = codes
        self.params = params
        self.is_quiet = is_quiet
        if isinstance(future, Acknowledgement):
            future.on_callback = self._keep

    def _keep(self) -> None:
        self._kept = self._future()

    def resolve(self, value: Any) -> None:
        """Tell the caller what came."""
        future, self._kept = self._future(), None
        try:
            if future is not None:
                future.set_result(value)
        except InvalidStateError:
            log.debug("= a waiter had given up")

    def fail(self, error: BaseException) -> bool:
        """Tell the caller that it will not come; return whether the caller still cared."""
        future, self._kept = self._future(), None
        try:
            if future is not None:
                future.set_exception(error)
        except InvalidStateError:
            log.debug("= a waiter had given up")
            return False
        return future is not None

    def is_meant_by(self, error: ServiceError) -> bool:
        """Whether the service refused the command that this waits for."""
        if error.event_id is not None:
            return self.event_id == error.event_id
        param = error.param or ""
        return error.code in self.codes or any(
            param == name or param.startswith((f"{name}.", f"{name}[")) for name in self.params
        )


class Waiters:
    """All blocked callers of one client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # leaf
        self._waiting: tuple[Waiter, ...] = ()  # guarded by _lock for replacement
        self._ended: RealtimeError | None = None  # guarded by _lock; written once

    def add(self, waiter: Waiter) -> None:
        """Let *waiter* wait; if everything has ended already, it is told so at once."""
        with self._lock:
            ended = self._ended
            if ended is None:
                self._waiting = (*self._waiting, waiter)
        if ended is not None:
            waiter.fail(ended)

    def discard(self, waiter: Waiter) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._waiting = tuple(w for w in self._waiting if w is not waiter)

    def offer(self, key: Any, event: Any) -> None:
        """Show an event to all who wait."""
        waiting = self._waiting
        if not waiting:
            return
        answered: set[str] = set()
        for waiter in waiting:
            if waiter.acknowledges is not None and waiter.acknowledges in answered:
                continue
            try:
                is_it = waiter.matches(key, event)
            except Exception as exc:  # noqa: BLE001 - the user's predicate; its caller gets to know
                self.discard(waiter)
                waiter.fail(exc)
                continue
            if is_it:
                if waiter.acknowledges is not None:
                    answered.add(waiter.acknowledges)
                self.discard(waiter)
                waiter.resolve(event)

    def fail(self, error: ServiceError) -> Literal["told", "dropped", "quiet"] | None:
        """
        Tell the caller whose command was refused; of those it may mean, the oldest.

        Returns:
            ``"told"``; ``"dropped"`` if the caller does not wait for it; ``"quiet"`` if nobody is to
            hear of it at all; ``None`` if it means none of these.
        """
        for waiter in self._waiting:
            if waiter.is_meant_by(error):
                self.discard(waiter)
                is_told = waiter.fail(error)
                return "quiet" if waiter.is_quiet else "told" if is_told else "dropped"
        return None

    def end(self, outcome: RealtimeError) -> None:
        """Wake everybody: nothing will come any more."""
        with self._lock:
            if self._ended is None:
                self._ended = outcome
            waiting, self._waiting = self._waiting, ()
        for waiter in waiting:
            waiter.fail(outcome)


class EventStream:
    """
    Events one by one, as an iterator.

    Ends when the connection was closed by :meth:`AzureRealTimeAudio.close`, raises when it was lost or
    nothing came for *timeout* seconds. Takes events from the moment it was made until nobody holds it any
    more; :meth:`close` it, or use it with ``with``, to stop before. At most 64 MiB of events may wait.

    **Threads.** The reader feeds it; any thread may iterate, and each event goes to one of them.
    """

    def __init__(
        self,
        subjects: tuple[EventFilter, ...],
        timeout: float | None,
        may_wait: Callable[[], None],
        owner: object,
    ) -> None:
        self.subjects = subjects
        self._timeout = timeout
        self._may_wait = may_wait
        self._owner = owner  # kept alive as long as someone iterates
        self._condition = Condition()  # leaf; guards the rest
        self._events: collections.deque[Any] = collections.deque()
        self._backlog_bytes = 0
        self._is_over = False
        self._outcome: RealtimeError | None = None

    @property
    def is_over(self) -> bool:
        """Whether it takes no more events; some may still wait."""
        return self._is_over

    def feed(self, event: Any) -> None:
        """Append an event. Called by the reader."""
        with self._condition.lock:
            if self._is_over:
                return
            self._events.append(event)
            self._backlog_bytes += weight(event)
            if self._backlog_bytes > DEFAULT_BACKLOG_BYTES:
                self._is_over = True
                self._outcome = DispatchOverflowError(
                    f"the loop over events() fell more than {DEFAULT_BACKLOG_BYTES} bytes behind; "
                    "take events faster or name fewer of them"
                )
            self._condition.notify_all()

    def end(self, outcome: RealtimeError | None) -> None:
        """Let the iteration end once it has caught up, with an error if *outcome* is one."""
        with self._condition.lock:
            if not self._is_over:
                self._is_over = True
                self._outcome = outcome
            self._condition.notify_all()

    def close(self) -> None:
        """Take no more events and forget those that wait. Idempotent."""
        with self._condition.lock:
            self._is_over = True
            self._outcome = None
            self._events.clear()
            self._condition.notify_all()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        deadline = Deadline(self._timeout)
        while True:  # another thread may be quicker
            with self._condition.lock:
                if self._events:
                    event = self._events.popleft()
                    self._backlog_bytes -= weight(event)
                    return event
                if self._is_over:
                    outcome = self._outcome
                    break
            self._may_wait()
            if not self._condition.wait_until(lambda: bool(self._events) or self._is_over, deadline):
                raise TimeoutError(f"no event came for {self._timeout} seconds")
        if outcome is not None:
            raise outcome.again()
        raise StopIteration

    def __enter__(self) -> EventStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Streams:
    """All streams of one client, as long as someone holds them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # leaf
        self._streams: tuple[weakref.ref[EventStream], ...] = ()  # guarded by _lock for replacement
        self._has_ended = False  # guarded by _lock
        self._outcome: RealtimeError | None = None  # guarded by _lock; written once

    def add(self, stream: EventStream) -> None:
        """Feed *stream* from now on; if everything has ended already, it ends too."""
        with self._lock:
            has_ended = self._has_ended
            if not has_ended:
                self._streams = (*self._streams, weakref.ref(stream))
        if has_ended:
            stream.end(self._outcome)

    def offer(self, key: Any, payload: Any) -> None:
        """Give an event to all who want it."""
        stale: list[weakref.ref[EventStream]] = []
        for reference in self._streams:
            stream = reference()
            if stream is None or stream.is_over:
                stale.append(reference)
                continue
            for subject in stream.subjects:
                if subject.concerns(key, payload):
                    stream.feed(as_listened(subject, payload))
                    break  # once, however often it was named
        if stale:
            with self._lock:
                self._streams = tuple(ref for ref in self._streams if not any(ref is old for old in stale))

    def end(self, outcome: RealtimeError | None) -> None:
        """Let all of them end, with an error if *outcome* is one."""
        with self._lock:
            self._has_ended, self._outcome = True, outcome
            streams, self._streams = self._streams, ()
        for reference in streams:
            stream = reference()
            if stream is not None:
                stream.end(outcome)
