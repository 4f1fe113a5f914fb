"""The calls of one response, who waits for the answer to their results, and the request for that answer."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import Factory, define

from .._session.asked import Asked
from .._session.response_request import cancelled_response
from ..errors import RealtimeError
from ..protocol.events import Event, ResponseCreated, ResponseDone
from ..protocol.items import FunctionCallItem, FunctionCallOutputItem
from ..protocol.response_errors import CONNECTION_LOST
from ..protocol.responses import Response, ResponseConfig
from ..tools.context import ToolContext
from ..tools.tool import Tool
from .mcp_call import McpCall
from .runner import Task

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .._session.pending_response import PendingResponse
    from .._session.response_request import ResponseRequest

__all__ = ["UNFINISHED", "Call", "FollowUp", "Round", "Waiting"]

UNFINISHED: Final = ("failed", "incomplete", "cancelled")
"""How a response ends that has not come to its end; any other word of a service means that it has."""


@define(eq=False)
class Waiting:
    """
    Who waits for an answer that tools are needed for: the holder of a handle, or nobody in particular.

    Attributes:
        handle: Told of the responses on the way and of the answer.
        config: What was asked to be different; the answers to results are asked for in the same way.
        assistant: Which was asked, see ``Configuration.assistant``.
    """

    handle: weakref.ReferenceType[PendingResponse] | None = None
    config: ResponseConfig | None = None
    assistant: int = 0
    is_cancelled: bool = False

    @property
    def held(self) -> PendingResponse | None:
        """The handle, if it is held."""
        return None if self.handle is None else self.handle()

    def note(self, *outputs: FunctionCallOutputItem) -> None:
        """Note outputs as steps of the handle."""
        handle = self.held
        if handle is not None:
            for output in outputs:
                handle._note_output(output)


@define(eq=False)
class Call:
    """
    One call of the model. Guarded by the loop's lock.

    Attributes:
        tool: ``None`` if there is none of that name.
        is_answered: Its output is decided on.
        is_out: Its output was sent, or cannot be.
        is_acknowledged: The service has it in the conversation.
        is_refused: It could not be sent, or was refused.
        sent_at: When it was sent.
        started_at: When the function was to be called: its time runs, also while it waits for a thread.
        has_begun: It was called.
        job: That calls it, or asks for approval, on a thread of the tools.
        asked_at: When its approval was asked for.
        asked: Which listeners were.
        is_decided: That is decided.
        future: Of the acknowledgement; kept alive until it came.
    """

    item: FunctionCallItem
    call_id: str
    context: ToolContext
    since: float
    tool: Tool | None = None
    is_answered: bool = False
    is_out: bool = False
    is_acknowledged: bool = False
    is_refused: bool = False
    sent_at: float = 0.0
    started_at: float | None = None
    has_begun: bool = False
    job: Task | None = None
    asked_at: float | None = None
    asked: Asked = Factory(Asked)
    is_decided: bool = False
    future: Future[object] | None = None

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds until it is given up; ``None`` if nothing limits it now."""
        tool = self.tool
        if tool is None or self.is_answered:
            return None
        if self.asked_at is not None and not self.is_decided:
            return self.asked_at + tool.approval_timeout_s - now
        if self.started_at is not None and tool.timeout_s is not None:
            return self.started_at + tool.timeout_s - now
        return None

    @property
    def arguments(self) -> str:
        """What the model wrote, to be compared: 1 is 1.0, and is not ``true``."""
        text = self.item.arguments or "{}"
        try:
            return json.dumps(json.loads(text, parse_float=_number), sort_keys=True)
        except (ValueError, RecursionError):
            return text


def _number(text: str) -> float | int:
    number = float(text)
    return int(number) if number.is_integer() else number


@define(eq=False)
class Round:
    """
    The calls of one response, until their results are answered. Guarded by the loop's lock.

    Attributes:
        level: How many rounds led to it, itself included.
        waiting: Who waits for the answer.
        is_over: The response has ended.
        mcp: The calls of MCP servers, which the service runs, by the item of the call or of the request.
        is_by_hand: It called something else, too, which the program answers.
        is_wanted: Whether the results are to be answered.
        is_abandoned: Nobody waits for its calls: what needs approval is denied.
        is_filled: Something was said while its tools ran.
        response: As it ended.
        outputs: Those of functions, as they were sent.
    """

    response_id: str
    level: int
    waiting: list[Waiting]
    calls: dict[str, Call] = Factory(dict)
    mcp: dict[str, McpCall] = Factory(dict)
    is_over: bool = False
    is_by_hand: bool = False
    is_wanted: bool = False
    is_abandoned: bool = False
    is_filled: bool = False
    response: Response | None = None
    outputs: list[FunctionCallOutputItem] = Factory(list)

    @property
    def all_calls(self) -> list[Call | McpCall]:
        """The calls of functions, and those of MCP servers."""
        return [*self.calls.values(), *self.mcp.values()]

    @property
    def is_out(self) -> bool:
        """Whether all outputs are out."""
        return all(call.is_out for call in self.all_calls)

    @property
    def is_in_vain(self) -> bool:
        """Whether the conversation has none of the outputs."""
        return all(call.is_refused for call in self.all_calls)

    @property
    def goes_on(self) -> bool:
        """Whether who waits for the response is given the answer to the results in place of it."""
        response = self.response
        return (
            self.is_wanted
            and response is not None
            and (
                response.status not in UNFINISHED
                or (response.status == "incomplete" and response.reason == CONNECTION_LOST)
            )
        )

    def threads_waiting(self, seconds: float) -> set[int]:
        """Return the threads that do nothing but wait for the answer, for so many seconds."""
        handles = [handle for one in self.waiting if (handle := one.held) is not None]
        return set().union(*(handle._threads_waiting(seconds) for handle in handles))

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the answer."""
        return any(one.held is not None for one in self.waiting)

    def is_known(self, latest: float) -> bool:
        """Whether the service has all outputs, as it said, or as follows from a silence since *latest*."""
        return all(
            call.is_acknowledged or call.is_refused or call.sent_at <= latest for call in self.all_calls
        )

    def finish_in_vain(self) -> None:
        """No output came into the conversation: the response that called is all there is."""
        for one in self.waiting:
            handle = one.held
            if handle is not None:
                handle._finish(self.response or cancelled_response())


class FollowUp:
    """
    The response that answers the results of rounds: one that was asked for, or another one that does.

    It stands where the handle of a request does, and passes everything on to those who wait.

    Args:
        on_begun: Called with itself and the response, before ``response.created`` is passed on.
        on_failed: Called with itself and what ended it, if that was no event.
        is_others: Whether the loop did not ask for it.
    """

    def __init__(
        self,
        rounds: Sequence[Round],
        on_begun: Callable[[FollowUp, Response], object],
        on_failed: Callable[[FollowUp, Response | RealtimeError], object],
        *,
        is_others: bool = False,
    ) -> None:
        self.rounds = list(rounds)
        self.request: ResponseRequest | None = None
        self.is_withdrawn = False
        self.has_begun = False
        self.done = False
        self.waiting: list[Waiting] = []
        self._is_others = is_others
        self._on_begun = on_begun
        self._on_failed = on_failed

    @property
    def level(self) -> int:
        """How many rounds led to it; none if it was not asked for: it answers the user, too."""
        return 0 if self._is_others else max((one.level for one in self.rounds), default=0)

    @property
    def _is_held(self) -> bool:
        return any(one.held is not None for one in self.waiting)

    def take(self, rounds: Sequence[Round]) -> None:
        """It has begun, and answers these rounds."""
        if self.has_begun:  # and was lost with its connection, and asked for again
            rounds = [*self.rounds, *rounds]
        self.rounds, self.has_begun = list(rounds), True
        unique = {id(one): one for covered in rounds for one in covered.waiting}
        self.waiting = list(unique.values())

    def _kinds(self) -> set[type[Event]]:
        return set().union(*(handle._kinds() for handle in self._handles()))

    def _restart(self) -> bool:
        return all(handle._restart() for handle in self._handles())

    def _handles(self) -> list[PendingResponse]:
        return [handle for one in self.waiting if (handle := one.held) is not None]

    def _feed(self, event: Event) -> None:
        if isinstance(event, ResponseCreated):
            self._on_begun(self, event.response)
        self.done = isinstance(event, ResponseDone)
        for handle in self._handles():
            handle._feed(event)

    def _finish(self, outcome: Response | RealtimeError) -> None:
        self.done = True
        self._on_failed(self, outcome)
