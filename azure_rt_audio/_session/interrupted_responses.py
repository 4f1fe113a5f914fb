"""
What becomes of responses whose connection is lost: they end, or are asked for again.

**Threads.** The I/O thread.
"""

from __future__ import annotations

from typing import Final, Protocol

from ..errors import RealtimeError, ResponseLostError
from ..options import ReconnectPolicy
from ..protocol.conversation import Conversation
from ..protocol.events import (
    Event,
    ResponseCreated,
    ResponseDone,
    ResponseFunctionCallArgumentsDelta,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
)
from ..protocol.response_errors import CONNECTION_LOST
from ..protocol.responses import Response, ResponseStatusDetails
from .response_queue import ResponseQueue
from .response_request import ResponseRequest
from .verdict import in_words

__all__ = ["InterruptedResponses"]

_DELTAS: Final = (
    ResponseOutputTextDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioDelta,
    ResponseFunctionCallArgumentsDelta,
)


class _Session(Protocol):
    """What is told of it."""

    def apply_event(self, event: Event) -> None:
        """Take an event into account, and tell those who want to know."""

    def runs_calls(self, response_id: str) -> bool:
        """Whether functions run that a response in progress has called."""

    def has_listener(self, kind: type[Event]) -> bool:
        """Whether anybody is handed events of a kind."""


class InterruptedResponses:
    """
    The responses of a session that were in progress when its connection ended.

    Args:
        policy: Says which are asked for again.
    """

    def __init__(
        self, session: _Session, policy: ReconnectPolicy, queue: ResponseQueue, conversation: Conversation
    ) -> None:
        self._session = session
        self._policy = policy
        self._queue = queue
        self._conversation = conversation

    def settle(self, reason: RealtimeError) -> dict[str, str]:
        """End them, or have them asked for again; return what became of each, by its id."""
        queue, conversation = self._queue, self._conversation
        became: dict[str, str] = {}
        for response_id in queue.running():
            if conversation._is_whole(response_id):  # only its end was not heard
                became[response_id] = "completed"
                self._end_response(response_id, "completed")
            elif self._session.runs_calls(response_id) and not queue.canceller.is_cancelled(response_id):
                became[response_id] = "calls answered"  # asked again, they would run twice
                self._end_response(response_id, "incomplete")
        lost = queue.lose()
        may_ask = self._policy.reask != "never"
        again: list[ResponseRequest] = []
        for request in lost.begun:
            response_id = request.response_id or ""
            if request.stands_for is not None:  # it is asked again already
                conversation._forget_response(response_id)
            elif request.is_cancelled or queue.canceller.is_cancelled(response_id):
                became[response_id] = "cancelled"
                self._end_response(response_id, "cancelled", request)
            elif self._may_ask_again(request):
                became[response_id] = "asked again"
                conversation._forget_response(response_id)
                again.append(request)
            else:
                became[response_id] = "lost"
                request.finish(ResponseLostError(f"{in_words(reason)} during the response; ask again"))
                self._end_response(response_id, "incomplete")
        if lost.unasked is not None:
            is_heard = any(map(self._session.has_listener, _DELTAS)) and self._has_output(lost.unasked)
            if may_ask and self._policy.reask == "unheard" and not is_heard:
                became[lost.unasked] = "asked again"
                conversation._forget_response(lost.unasked)
                queue.answer_user()
            else:
                became[lost.unasked] = "lost"
                self._end_response(lost.unasked, "incomplete")
        elif lost.is_answer_owed and may_ask:
            queue.answer_user()
        if may_ask:
            queue.put_back([*again, *lost.unbegun])
        else:
            for request in lost.unbegun:
                request.finish(ResponseLostError(f"{in_words(reason)} before the response; ask again"))
        return became

    def _may_ask_again(self, request: ResponseRequest) -> bool:
        if self._policy.reask != "unheard":
            return False
        handle = request.handle() if request.handle is not None else None
        if request.latest is not None and not isinstance(request.latest, ResponseCreated):
            kinds = _DELTAS if handle is None else handle._kinds()
            if any(self._session.has_listener(kind) for kind in kinds if kind in _DELTAS):
                return False
        return handle is None or handle._restart()

    def _has_output(self, response_id: str) -> bool:
        return bool(self._conversation._outputs.keys(response_id))

    def _end_response(self, response_id: str, status: str, request: ResponseRequest | None = None) -> None:
        """Report the end of a response that was not heard of."""
        details = None
        if status != "completed":
            details = ResponseStatusDetails(type=status, reason=CONNECTION_LOST)
        response = Response(id=response_id, status=status, status_details=details, output=[])
        event = ResponseDone(response=response)
        self._session.apply_event(event)
        if request is not None:
            request.feed(event)
