"""One request for a response, with the question that goes before it."""

from __future__ import annotations

import itertools
import secrets
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from attrs import Factory, define, evolve

from .._concurrency.deadline import Deadline
from ..errors import RealtimeError
from ..protocol.commands import Command, ResponseCreate
from ..protocol.events import Event
from ..protocol.responses import Response, ResponseConfig, ResponseStatusDetails

if TYPE_CHECKING:
    from .waiter import Awaited

__all__ = [
    "REQUEST_ID",
    "RequestMaker",
    "ResponseHandle",
    "ResponseRequest",
    "Superseded",
    "cancelled_response",
]

REQUEST_ID: Final = "azure_rt_request"
"""Key in a response's metadata that holds the request id."""

_MAX_PAIRS: Final = 16
"""Pairs of metadata that the service takes."""

Superseded = Literal["wait", "drop"]


class ResponseHandle(Protocol):
    """Who is told of a response."""

    @property
    def done(self) -> bool:
        """Whether it has its outcome."""

    @property
    def _is_held(self) -> bool:
        """Whether somebody waits for it, or may still do so."""

    def _kinds(self) -> set[type[Event]]:
        """Return the classes of the events that came."""

    def _restart(self) -> bool:
        """Forget what came, because it is asked for again; return ``False`` if somebody has read it."""

    def _feed(self, event: Event) -> None:
        """Take an event of the response. Called by the I/O thread."""

    def _finish(self, outcome: Response | RealtimeError) -> None:
        """Take its end, if that is no event."""


@define(eq=False)
class ResponseRequest:
    """One request and its progress. Guarded by the queue's lock."""

    payload: bytes
    event_id: str | None
    request_id: str | None  # None if the service cannot send it back
    is_out_of_band: bool = False
    superseded: Superseded = "wait"
    answers_turn: bool = False  # it asks for the answer to the user's turn, which others wait for
    handle: weakref.ReferenceType[ResponseHandle] | None = None
    response_id: str | None = None
    is_cancelled: bool = False
    is_unwanted: bool = False  # by the program; the user who interrupts a response cancels it, too
    tries: int = 0
    ask_first: Callable[[ResponseRequest], tuple[Awaited, ...]] | None = None  # makes the question
    is_asked: bool = False  # the question was sent, and the user has not spoken since
    is_newest: Callable[[], bool] = lambda: True  # nothing that others have sent stands behind the question
    asked_at: int = 0  # how many results of tools were sent before the question
    stands_for: ResponseRequest | None = None  # waits to be sent again, unless this response is completed
    held: list[Event] = Factory(list)  # what has come of a response that stands for a request
    question: Future[Any] | None = None  # kept alive until it is answered
    since: float = 0.0  # when it was sent, or an event of it was last seen
    latest: Event | None = None  # of its response; written by the I/O thread alone
    seen: Event | None = None  # what latest was when time was last taken
    is_doubted: bool = False  # the service has said that its response is over
    config: ResponseConfig | None = None  # what was asked to be different, without the request id
    is_follow_up: bool = False  # it asks about the outputs of tools
    gives_way: bool = False  # it fills a silence beside the conversation, and ends with that
    is_recital: bool = False  # it says a given text, and answers nothing
    follower: weakref.ReferenceType[ResponseHandle] | None = None  # is told of its response, too
    deadline: Deadline | None = None  # of whoever waits; room for it is waited for no longer

    @property
    def rank(self) -> int:
        """Which kinds come first, among those that wait."""
        return 0 if self.answers_turn else 1 if self.is_follow_up else 2

    @property
    def is_finished(self) -> bool:
        """Whether the handle, if somebody holds it, has its outcome."""
        handle = self.handle() if self.handle is not None else None
        return handle is not None and handle.done

    @property
    def seconds_left(self) -> float | None:
        """Of whoever waits for it; ``None`` if that has no limit."""
        return None if self.deadline is None else self.deadline.remaining()

    def doubt(self, now: float) -> None:
        """The service has said that its response is over; what is left of it comes soon, or never."""
        self.is_doubted, self.since, self.seen = True, now, self.latest

    def put_question(self, results: int) -> tuple[Awaited, ...]:
        """
        Return the commands that put the question, to be sent right before the request.

        There are none if it is there already, and the newest: the item stays after a refusal, and where the
        connection is lost that had it.

        Args:
            results: How many results of tools were sent by now.
        """
        if self.ask_first is None:
            return ()
        if self.is_asked and self.asked_at == results and self.is_newest():
            return ()
        question = self.ask_first(self)
        self.is_asked, self.asked_at = True, results
        return question

    def take_back(self, response_id: str, now: float) -> ResponseRequest:
        """Return what stands for it while the response goes on that is not wanted; it is to be sent again."""
        self.is_asked = False  # what the user says comes after the question
        return ResponseRequest(self.payload, None, None, response_id=response_id, since=now, stands_for=self)

    def accept(self) -> None:
        """Deliver the response after all to the request that this one stands for."""
        if self.stands_for is not None:
            self.handle, self.stands_for = self.stands_for.handle, None

    def finish(self, outcome: Response | RealtimeError) -> bool:
        """Finish the handle; return whether somebody holds it."""
        handle = self.handle() if self.handle is not None else None
        follower = self.follower() if self.follower is not None else None
        for one in (handle, follower):
            if one is not None:
                one._finish(outcome)
        return handle is not None and handle._is_held

    def feed(self, event: Event) -> bool:
        """Pass an event to the handle; return whether somebody holds it."""
        self.latest = event
        if self.stands_for is not None:
            self.held.append(event)
            return False
        handle = self.handle() if self.handle is not None else None
        if handle is not None:
            while self.held:
                handle._feed(self.held.pop(0))
            handle._feed(event)
        follower = self.follower() if self.follower is not None else None
        if follower is not None:
            follower._feed(event)
        return handle is not None and handle._is_held


class RequestMaker:
    """
    Makes requests, each with an id of its own.

    Args:
        encode: Checks and encodes a command, on the calling thread.
        carries_metadata: Whether the dialect has metadata to carry a request id.
    """

    def __init__(self, encode: Callable[[Command], bytes], *, carries_metadata: bool) -> None:
        self._encode = encode
        self._carries_metadata = carries_metadata
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    def __call__(self, config: ResponseConfig | None) -> ResponseRequest:
        """
        Make one.

        Raises:
            ValueError: If the service would refuse it.
        """
        request_id = f"{self._prefix}-{next(self._numbers)}"
        asked = config
        is_out_of_band = config is not None and config.conversation == "none"
        if self._carries_metadata or is_out_of_band:
            config = _with_id(config or ResponseConfig(), request_id)
        command = ResponseCreate(event_id=f"evt_{request_id}", response=config)
        payload = self._encode(command)
        return ResponseRequest(payload, command.event_id, request_id, is_out_of_band, config=asked)


def _with_id(config: ResponseConfig, request_id: str) -> ResponseConfig:
    given: Mapping[str, str] = config.metadata if isinstance(config.metadata, Mapping) else {}
    if len(given) >= _MAX_PAIRS:
        raise ValueError(
            f"response.metadata has {len(given)} pairs; at most {_MAX_PAIRS - 1} are allowed, because "
            "one more holds the request id"
        )
    return evolve(config, metadata={**given, REQUEST_ID: request_id})


def cancelled_response() -> Response:
    """Return the response of a request that was cancelled before it began."""
    details = ResponseStatusDetails(type="cancelled", reason="client_cancelled")
    return Response(status="cancelled", status_details=details, output=[])
