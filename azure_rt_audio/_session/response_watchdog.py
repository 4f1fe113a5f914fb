"""
Bounded silence: what the service falls silent about is given up.

A request that is not begun ends after ``start_timeout``, after 5 s if it was cancelled; a response without an
event after ``silence_timeout``; one that the service has said to be over after a second. The clock of silence
stands still while a step of the service's own (a call of an MCP tool) runs, for 600 s at most. Listing the
tools of an MCP server belongs to no response, and stops no clock.

**Threads and locks.** None of its own: the response queue's lock guards it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import Factory, define

from ..protocol.events import (
    Event,
    ResponseMcpCallCompleted,
    ResponseMcpCallFailed,
    ResponseMcpCallInProgress,
)
from .response_request import ResponseRequest
from .response_table import ResponseTable

__all__ = ["LOOK", "MCP_STEPS", "ResponseWatchdog", "Silence"]

LOOK: Final = 1.0
"""Seconds between looks at the clock while something is in progress."""
_DOUBTED: Final = 1.0
"""Seconds that remain for the end of a response that the service has said to be over."""
_CANCELLED: Final = 5.0
"""Seconds in which a request begins that was cancelled before it began."""
_LONGEST_STEP: Final = 600.0
"""Seconds after which a step of the service's own counts as over: its end may have been lost."""
_SOONEST: Final = 0.01

MCP_STEPS: Final = frozenset((ResponseMcpCallInProgress, ResponseMcpCallCompleted, ResponseMcpCallFailed))
"""Events of the service's own steps, which do not name their response."""


@define
class Silence:
    """
    What was given up at one look at the clock.

    Attributes:
        requests: With the reason.
        cancelled: Ids of responses that may still be in progress for the service.
        unasked: Ids of those that nobody asked for, with the seconds of silence.
        turn: Why the user's turn counts as over, if it ended now.
    """

    requests: list[tuple[ResponseRequest, str]] = Factory(list)
    cancelled: list[str] = Factory(list)
    unasked: list[tuple[str, float]] = Factory(list)
    turn: str | None = None


class ResponseWatchdog:
    """
    Looks at the clock for a table of responses.

    Args:
        start_timeout: Seconds for ``response.created`` after the request.
        silence_timeout: Seconds for a next event of a response.

    Attributes:
        latest: The latest event that takes the short way. Written bare by the I/O thread.
        written_at: Tells when what was sent at a moment had left; ``None`` as long as it has not.
    """

    def __init__(self, table: ResponseTable, start_timeout: float, silence_timeout: float) -> None:
        self._table = table
        self._start_timeout = start_timeout
        self._silence_timeout = silence_timeout
        self._steps: dict[str | None, float] = {}  # when the steps that run began, by item
        self.latest: Event | None = None
        self.written_at: Callable[[float], float | None] = lambda sent: sent

    def on_step(self, event: Event, now: float) -> None:
        """Take the beginning or the end of a step of the service's own; silence counts from its end."""
        item_id = getattr(event, "item_id", None)
        if isinstance(event, ResponseMcpCallInProgress):
            self._steps[item_id] = now
        else:
            self._steps.pop(item_id, None)
        self._restart(now)

    def end_steps(self) -> None:
        """The response that they belong to is over; the end of one may have been lost."""
        self._steps.clear()

    def _restart(self, now: float) -> None:
        self._table.active_since = now
        for request in self._table.begun.values():
            request.since = now

    def check(self, now: float) -> Silence:
        """Give up what has been silent for too long."""
        silence = Silence()
        table = self._table
        latest, self.latest = self.latest, None
        if latest is not None and getattr(latest, "response_id", None) == table.active_id:
            table.active_since = now
        silence.turn = table.turn.check(now)
        if self._steps:
            self._steps = {item: since for item, since in self._steps.items() if now - since < _LONGEST_STEP}
            self._restart(now)
        self._check_unbegun(now, silence)
        self._check_begun(now, silence)
        self._check_unasked(now, silence)
        if table.held_until is not None and now >= table.held_until:
            table.held_until = None
        return silence

    def _check_unbegun(self, now: float, silence: Silence) -> None:
        for request in self._table.unbegun:
            limit = self._start_timeout
            if request.is_cancelled:  # it keeps others waiting, and nobody waits for it
                limit = min(_CANCELLED, limit)
            left = self.written_at(request.since)  # on a slow line there may be sound before it
            if left is not None and now - max(left, request.since) >= limit:
                self._table.give_up_unbegun(request)
                reason = f"the service did not begin it within {limit:g} s"
                silence.requests.append((request, reason))

    def _check_begun(self, now: float, silence: Silence) -> None:
        table = self._table
        for response_id, request in list(table.begun.items()):
            if request.latest is not request.seen:  # an event of it, which also dispels a doubt
                request.seen, request.since = request.latest, now
                if request.is_doubted:
                    request.is_doubted = False
                    if table.active_id is None and not request.is_out_of_band:
                        table.active_id, table.active_since = response_id, now
            limit = min(_DOUBTED, self._silence_timeout) if request.is_doubted else self._silence_timeout
            if now - request.since < limit:
                continue
            table.give_up(response_id)
            if request.is_doubted:
                reason = "it was over for the service, but its response.done did not come"
            else:
                reason = f"no event of it came for {limit:g} s"
                silence.cancelled.append(response_id)
            silence.requests.append((request, reason))

    def _check_unasked(self, now: float, silence: Silence) -> None:
        table, limit = self._table, self._silence_timeout
        active = table.active_id
        if active is not None and active not in table.begun and now - table.active_since >= limit:
            table.give_up(active)
            silence.cancelled.append(active)
            silence.unasked.append((active, limit))

    def next_look(self, now: float) -> float | None:
        """Return the seconds until the next look; ``None`` if nothing is in progress."""
        table = self._table
        if table.is_idle:
            return None
        if table.held_until is not None:
            return min(LOOK, max(_SOONEST, table.held_until - now))
        return LOOK
