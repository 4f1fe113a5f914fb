"""
Waiting for events: for the next one of a kind, and for all from now on.

**Threads.** Any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._pages import WAITING
from ..protocol.event_filter import EventFilter
from .event_stream import EventStream, EventStreams
from .sender import CommandSender
from .transcription import Transcription
from .waiter import Waiter
from .waiters import Waiters, as_listened

__all__ = ["EventWaits"]


class EventWaits:
    """
    The callers of a client that wait for events.

    Args:
        clock: Seconds that never run backwards, for the time-outs of streams.
    """

    def __init__(
        self,
        sender: CommandSender,
        transcription: Transcription,
        waiters: Waiters,
        streams: EventStreams,
        clock: Callable[[], float],
    ) -> None:
        self._sender = sender
        self._transcription = transcription
        self._waiters = waiters
        self._streams = streams
        self._clock = clock

    def wait_for(
        self,
        subject: EventFilter,
        predicate: Callable[[Any], bool] | None,
        owner: object,
        timeout: float | None,
    ) -> Any:
        """Wait for the next event that *subject* and *predicate* accept."""
        self._sender.check_may_wait()
        self._transcription.on_wait((subject,))
        future = self._sender.new_future(owner)

        def matches(key: Any, event: Any) -> bool:
            return subject.concerns(key, event) and (
                predicate is None or bool(predicate(as_listened(subject, event)))
            )

        waiter = Waiter(matches, future)
        self._waiters.add(waiter)
        try:
            return as_listened(subject, future.result(timeout))
        except TimeoutError:
            if future.done():
                raise
            raise TimeoutError(
                f"no {subject.key!r} came within {timeout} seconds; it may have come before the call: "
                f"open client.events(...) first. {WAITING}"
            ) from None
        finally:
            self._waiters.discard(waiter)

    def stream(
        self, subjects: tuple[EventFilter, ...], owner: object, timeout: float | None
    ) -> EventStream[Any]:
        """Return an iterator over the events of *subjects*, from now on."""
        self._transcription.on_wait(subjects)
        stream: EventStream[Any] = EventStream(
            subjects, timeout, self._sender.check_may_wait, owner, self._clock
        )
        self._streams.add(stream)
        return stream
