"""One request for a response, with the question that goes before it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal

from attrs import define

from ..errors import RealtimeError, ServiceError
from ..protocol.events import Event
from ..protocol.responses import Response
from .pending_response import PendingResponse

__all__ = ["Question", "ResponseRequest", "Superseded"]

Superseded = Literal["wait", "drop"]


@define(eq=False)
class ResponseRequest:
    """One request and its progress. Guarded by the queue's lock."""

    payload: bytes
    event_id: str | None
    request_id: str | None  # None if the service cannot send it back
    is_out_of_band: bool = False
    superseded: Superseded = "wait"
    handle: weakref.ReferenceType[PendingResponse] | None = None
    response_id: str | None = None
    is_cancelled: bool = False
    tries: int = 0
    ask_first: Callable[[], None] | None = None  # sends the question; None once it has been sent
    question: Question | None = None  # kept alive until it is answered
    since: float = 0.0  # when it was sent, or an event of it was last seen
    latest: Event | None = None  # of its response; written by the I/O thread alone
    seen: Event | None = None  # what latest was when time was last taken
    is_doubted: bool = False  # the service has said that its response is over

    def finish(self, outcome: Response | RealtimeError) -> bool:
        """Finish the handle; return whether somebody holds it."""
        handle = self.handle() if self.handle is not None else None
        if handle is not None:
            handle._finish(outcome)
        return handle is not None

    def feed(self, event: Event) -> bool:
        """Pass an event to the handle; return whether somebody holds it."""
        self.latest = event
        handle = self.handle() if self.handle is not None else None
        if handle is not None:
            handle._feed(event)
        return handle is not None


class Question(Future[Any]):
    """
    The outcome of the item that a request asks about.

    Its acknowledgement is not waited for: the answer proves it as well. A refusal fails the request.
    """

    def __init__(self, refuse: Callable[[ServiceError], None]) -> None:
        super().__init__()
        self._refuse = refuse

    def set_exception(self, exception: BaseException | None) -> None:
        """Take a refusal. Called by the I/O thread."""
        super().set_exception(exception)
        if isinstance(exception, ServiceError):
            self._refuse(exception)
