"""
Events one by one, as an iterator.

**Threads and locks.** The I/O thread feeds the streams, and so do threads of tools and of the guard, and
those that set the status; any thread iterates. ``EventStreams._lock`` guards the replacement of the tuple and
the outcome; it is not held while a stream is fed.
"""

from __future__ import annotations

import collections
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

from .._concurrency.condition import Condition
from .._concurrency.deadline import Deadline
from .._not_pickled import NotPickled
from .._pages import WAITING
from ..dispatch.base import weight
from ..dispatch.queued import DEFAULT_BACKLOG_BYTES
from ..errors import DispatchOverflowError, RealtimeError
from ..protocol.event_filter import EVERYTHING, EventFilter
from .waiters import as_listened

__all__ = ["EventStream", "EventStreams"]

_NOT_PICKLED: Final = NotPickled(
    "a stream of events can be neither pickled nor deep-copied: this process's connection feeds it. Pickle "
    "the events"
)

E_co = TypeVar("E_co", covariant=True)


class EventStream(Generic[E_co]):
    """
    Events one by one, as an iterator.

    Ends when the connection was closed by :meth:`AzureRealTimeAudio.close`; raises when it was lost, or when
    nothing came for *timeout* seconds. Takes events from its creation until it is no longer referenced;
    :meth:`close` it, or use it with ``with``, to stop earlier. At most 64 MiB of events may wait.

    **Threads.** Mostly the I/O thread feeds it; any thread may iterate, and each event goes to one of them.
    """

    def __init__(
        self,
        subjects: tuple[EventFilter, ...],
        timeout: float | None,
        check_may_wait: Callable[[], None],
        owner: object,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._not_pickled = _NOT_PICKLED
        self.subjects = subjects
        self._timeout = timeout
        self._check_may_wait = check_may_wait
        self._clock = clock
        self._owner = owner  # kept alive as long as the stream
        self._condition = Condition()  # leaf; guards the rest
        self._events: collections.deque[Any] = collections.deque()
        self._backlog_bytes = 0
        self._is_over = False
        self._outcome: RealtimeError | None = None

    @property
    def is_over(self) -> bool:
        """Whether it takes no more events; some may still wait."""
        return self._is_over

    def _feed(self, event: Any) -> None:
        """Append an event."""
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

    def _end(self, outcome: RealtimeError | None) -> bool:
        """Let the iteration end once it has caught up, by *outcome* if it is one; False if it was over."""
        with self._condition.lock:
            was_open = not self._is_over
            if was_open:
                self._is_over = True
                self._outcome = outcome
            self._condition.notify_all()
        return was_open

    def close(self) -> None:
        """Take no more events and forget those that wait. Idempotent."""
        with self._condition.lock:
            self._condition.notify_all()  # before the change, which Ctrl-C cannot divide then
            self._outcome = None
            self._events.clear()
            self._is_over = True

    def __iter__(self) -> Iterator[E_co]:
        return self

    def __next__(self) -> E_co:
        deadline = Deadline(self._timeout, self._clock)
        while True:  # another thread may take the event first
            with self._condition.lock:
                if self._events:
                    event: E_co = self._events.popleft()
                    self._backlog_bytes -= weight(event)
                    return event
                if self._is_over:
                    outcome = self._outcome
                    break
            self._check_may_wait()
            if not self._condition.wait_until(lambda: bool(self._events) or self._is_over, deadline):
                raise TimeoutError(f"no event came for {self._timeout} seconds. {WAITING}")
        if outcome is not None:
            raise outcome.again()
        raise StopIteration

    def __enter__(self) -> EventStream[E_co]:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class EventStreams:
    """All streams of one client, as long as they are referenced."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # leaf
        self.streams: tuple[
            weakref.ref[EventStream[Any]], ...
        ] = ()  # guarded by _lock for replacement, read bare
        self._has_ended = False  # guarded by _lock
        self._outcome: RealtimeError | None = None  # guarded by _lock; written once

    def add(self, stream: EventStream[Any]) -> None:
        """Feed *stream* from now on; once the session has ended, it ends at once."""
        with self._lock:
            has_ended = self._has_ended
            if not has_ended:
                self.streams = (*self.streams, weakref.ref(stream))
        if has_ended:
            stream._end(self._outcome)

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether a stream has asked for one of these events by name or class."""
        alive = [stream for stream in (reference() for reference in self.streams) if stream is not None]
        return any(subject.key in names for stream in alive for subject in stream.subjects)

    def offer(self, key: Any, payload: Any) -> bool:
        """Feed an event to the streams that want it; return whether one did."""
        is_taken = False
        stale: list[weakref.ref[EventStream[Any]]] = []
        for reference in self.streams:
            stream = reference()
            if stream is None or stream.is_over:
                stale.append(reference)
                continue
            for subject in stream.subjects:
                if subject.concerns(key, payload):
                    stream._feed(as_listened(subject, payload))
                    is_taken = True
                    break  # once, however often it was named
        if stale:
            with self._lock:
                self.streams = tuple(ref for ref in self.streams if not any(ref is old for old in stale))
        return is_taken

    def take(self, key: Any) -> bool:
        """Whether a stream takes events of a key."""
        streams = [stream for reference in self.streams if (stream := reference()) is not None]
        return any(
            s.key in (key, EVERYTHING) for stream in streams if not stream.is_over for s in stream.subjects
        )

    def end(self, outcome: RealtimeError | None) -> bool:
        """End all streams, with an error unless *outcome* is ``None``; return whether there was one."""
        with self._lock:
            self._has_ended, self._outcome = True, outcome
            streams, self.streams = self.streams, ()
        alive = [stream for stream in (reference() for reference in streams) if stream is not None]
        have_ended = [stream._end(outcome) for stream in alive]
        return any(have_ended)
