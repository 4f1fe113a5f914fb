"""What the engine tells whoever runs the function calls of responses, or judges what they say."""

from __future__ import annotations

from typing import Protocol

from ..errors import RealtimeError
from ..protocol.events import Event, ResponseDone

__all__ = ["CallFollower", "CallRunner"]


class CallFollower(Protocol):
    """Its methods are called on the I/O thread, and must not block."""

    def on_ending(self, event: ResponseDone) -> None:
        """Take the end of a response, before its handle and the requests that wait for it do."""

    def on_event(self, event: Event) -> None:
        """Take the beginning of a response, an item that is complete, and what else changes the session."""

    def on_moved(self) -> None:
        """Events of another connection will come from now on."""

    def check(self) -> float | None:
        """Look at the clock; return the seconds until the next look, if there is to be one."""

    def end(self, outcome: RealtimeError) -> None:
        """The session is over."""


class CallRunner(CallFollower, Protocol):
    """Who runs the function calls."""

    @property
    def is_at_work(self) -> bool:
        """Whether there are calls without a result, or results without an answer that is under way."""

    def runs_calls(self, response_id: str) -> bool:
        """Whether functions run that a response in progress has called."""
