"""
Which responses were asked for, which are in progress, and which are over.

The default conversation has one response at a time. A request id in the response's metadata tells which
response answers which request; where it cannot come back (the first preview has no metadata, a raw event is
sent as it is) the request is found by elimination. What leaves each state: see ``response_queue.py``.

**Threads and locks.** None of its own: the response queue's lock guards it, but for ``begun``.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Sequence
from typing import Final

from attrs import define

from ..errors import ServiceError
from ..protocol.responses import Response
from ..protocol.turn import is_out_of_band
from .response_request import REQUEST_ID, ResponseRequest
from .user_turn import UserTurn

__all__ = ["ACTIVE", "NOT_ACTIVE", "Beginning", "ResponseTable"]

ACTIVE: Final = "conversation_already_has_active_response"
NOT_ACTIVE: Final = "response_cancel_not_active"
_OTHER_COMMANDS: Final = (NOT_ACTIVE, "input_audio_buffer_", "item_", "session", "invalid_tool")
_NAMED: Final = re.compile(r"in progress: ([\w-]+)")
_MAX_TRIES: Final = 5
"""Times that a request is sent again because the service had begun a response of its own."""
_HELD_UP: Final = 5.0
"""Seconds that a response which the service calls active, and which was never seen, holds others up."""
_BEHIND: Final = 0.25
"""Seconds before the first further try if the service names a response that it has ended itself."""
_REMEMBERED: Final = 64


@define
class Beginning:
    """
    What a ``response.created`` means.

    Attributes:
        request: The one that it answers, if it does.
        must_cancel: It was cancelled before it began.
        is_unplayed: Nobody waits for it: its request was given up, or is sent again after the user's turn.
        superseded: Requests that are dropped, because the user's own turn is answered.
    """

    request: ResponseRequest | None = None
    must_cancel: bool = False
    is_unplayed: bool = False
    superseded: tuple[ResponseRequest, ...] = ()


class ResponseTable:
    """
    The requests and responses of one session.

    Args:
        turn: The user's turn, during which nothing is taken from the queue.
        carries_metadata: Whether the dialect has metadata to carry a request id.
    """

    def __init__(self, turn: UserTurn, *, carries_metadata: bool) -> None:
        self.turn = turn
        self._carries_metadata = carries_metadata
        self.waiting: collections.deque[ResponseRequest] = collections.deque()
        self.sent: ResponseRequest | None = None  # in the default conversation, asked for but not yet begun
        self._unbegun: dict[str, ResponseRequest] = {}  # sent but not yet begun, by request id
        self.begun: dict[str, ResponseRequest] = {}
        """Requests whose response has begun, by response id. Written under the lock, read bare."""
        self.active_id: str | None = None
        self.active_since = 0.0  # when an event of the active response was last seen
        self.held_until: float | None = None  # by a response in progress that was not heard of
        self.cancels_answer = False  # the service's own answer to the user is not wanted
        self.is_held = False  # there is no connection to send on
        self._beside: list[ResponseRequest] = []  # out of band, until there is one
        self.epoch = 0  # counts the connections; what was entered for another one is not sent
        self._over: collections.deque[str] = collections.deque(maxlen=_REMEMBERED)  # response ids
        self._given_up: collections.deque[str] = collections.deque(maxlen=_REMEMBERED)  # request ids
        self._do_ids_return = False

    # ------------------------------------------------------------ what is in progress

    @property
    def is_free(self) -> bool:
        """Whether the conversation has no response, and is about to get none that was asked for."""
        return self.active_id is None and self.sent is None and self.held_until is None

    @property
    def is_busy(self) -> bool:
        """Whether a request has to wait for others."""
        return not self.is_free or bool(self.waiting)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in progress that could have been lost."""
        in_progress = self.waiting or self._unbegun or self.begun or self.turn.is_on
        return self.is_held or (self.is_free and not in_progress)

    @property
    def may_fill(self) -> bool:
        """Whether nothing goes on, and a silence may be filled."""
        return not (self.is_held or self.is_busy or self.turn.is_on or self.filler is not None)

    @property
    def filler(self) -> ResponseRequest | None:
        """What fills a silence, until it has to give way; ``None`` if nothing does."""
        requests = (*self._unbegun.values(), *self.begun.values())
        return next((one for one in requests if one.gives_way and not one.is_unwanted), None)

    @property
    def unbegun(self) -> list[ResponseRequest]:
        """All that were sent and have not begun."""
        unique = {id(r): r for r in (*self._unbegun.values(), self.sent) if r is not None}
        return list(unique.values())

    def begin_turn(self, now: float, *, is_detected: bool) -> list[ResponseRequest]:
        """The user begins to speak; return requests for an answer to the turn before: this one covers it."""
        self.cancels_answer = False
        self.turn.begin(now, is_detected=is_detected)
        unanswered = [r for r in self.waiting if r.answers_turn]
        for request in unanswered:
            self.waiting.remove(request)
        return unanswered

    @property
    def obstacle(self) -> str:
        """Why a request in the default conversation has to wait, in words."""
        if self.active_id is not None or self.held_until is not None:
            return "a response is in progress in the default conversation"
        if self.sent is not None:
            return "a response was asked for in the default conversation, and is about to begin"
        if self.turn.is_speaking:
            return "it is the user's turn: the user speaks"
        if self.turn.is_on:
            return "it is the user's turn: the service is about to answer what was said"
        return "other requests wait for their turn"

    def may_send(self, request: ResponseRequest) -> bool:
        """Whether a new request may be sent at once."""
        if self.is_held:
            return False
        if request.is_out_of_band:
            return True
        return not self.is_busy and (request.answers_turn or not self.turn.is_on)

    def enter(self, request: ResponseRequest, now: float) -> None:
        """Note that a request is about to be sent."""
        request.tries += 1
        request.since = now
        if request.request_id is not None:
            self._unbegun[request.request_id] = request
        if not request.is_out_of_band:
            self.sent = request

    def is_entered(self, request: ResponseRequest) -> bool:
        """Whether a request is one that is about to be sent, or was, and has not begun."""
        return self.sent is request or self._unbegun.get(request.request_id or "") is request

    def put(self, request: ResponseRequest) -> None:
        """Let a request wait its turn; the one that answers the user comes first, then one for tools."""
        if request.is_out_of_band:
            self._beside.append(request)
        elif request.answers_turn:
            self.waiting.appendleft(request)
        elif request.is_follow_up:
            self.waiting.insert(sum(other.answers_turn for other in self.waiting), request)
        else:
            self.waiting.append(request)

    def _put_first(self, request: ResponseRequest) -> None:
        """Let a request wait again, as the first of its kind: answers to results come before questions."""
        rank = request.rank
        self.waiting.insert(sum(other.rank < rank for other in self.waiting), request)

    def take_next(self, now: float) -> ResponseRequest | None:
        """Return the request whose turn has come, entered as sent; ``None`` if there is none."""
        while self.waiting and self.waiting[0].is_finished:  # see ResponseCanceller.cancel_request
            self.waiting.popleft()
        if not self.waiting or self.is_held or not self.is_free:
            return None
        if self.turn.is_on and not self.waiting[0].answers_turn:
            return None
        request = self.waiting.popleft()
        self.enter(request, now)
        return request

    def forget(self, request: ResponseRequest) -> None:
        """Take a request out of those that were sent, or wait."""
        if request.request_id is not None:
            self._unbegun.pop(request.request_id, None)
        if self.sent is request:
            self.sent = None
        for queue in (self.waiting, self._beside):
            if request in queue:
                queue.remove(request)

    def give_up_unbegun(self, request: ResponseRequest) -> None:
        """Forget a request that the service does not begin; if it does so later, nobody wants it."""
        self.forget(request)
        if request.request_id is not None:
            self._given_up.append(request.request_id)

    def give_up(self, response_id: str) -> None:
        """Take a response as over."""
        self.begun.pop(response_id, None)
        self._over.append(response_id)
        if self.active_id == response_id:
            self.active_id = None

    # ------------------------------------------------------------ events

    def begin(self, response: Response, now: float) -> Beginning | None:
        """Take a ``response.created``; ``None`` if it came twice, or after its end."""
        response_id = response.id
        request_id = (response.metadata or {}).get(REQUEST_ID)
        is_over = response_id in self._over and request_id not in self._unbegun
        if not response_id or is_over or response_id in self.begun or response_id == self.active_id:
            return None
        request = self._match(response)
        is_late = request_id in self._given_up
        is_beside = is_out_of_band(response) if request is None else request.is_out_of_band
        beginning = Beginning(is_unplayed=is_late)
        if request is not None:
            self.forget(request)
            beginning.must_cancel = request.is_cancelled
            # Sent before the user began to speak, begun after: asked again when the turn is over.
            if self.turn.is_speaking and not (is_beside or request.is_cancelled or request.answers_turn):
                self._put_first(request)
                beginning.is_unplayed = True
                request = request.take_back(response_id, now)
            request.response_id, request.since = response_id, now
            self.begun[response_id] = beginning.request = request
        if not is_beside:
            before = self.begun.get(self.active_id or "")
            if before is not None:  # it must be over; its end may have been overtaken
                before.doubt(now)
            self.active_id, self.active_since = response_id, now
            self.held_until = None
            is_answer = not is_late if request is None else request.answers_turn
            if is_answer and self.turn.answer():
                beginning.superseded = tuple(r for r in self.waiting if r.superseded == "drop")
                for other in beginning.superseded:
                    self.waiting.remove(other)
            if request is None and not is_late:
                beginning.must_cancel, self.cancels_answer = self.cancels_answer, False
        return beginning

    def _match(self, response: Response) -> ResponseRequest | None:
        request_id = (response.metadata or {}).get(REQUEST_ID)
        if request_id is not None:
            self._do_ids_return = True
            return self._unbegun.get(request_id)
        if is_out_of_band(response):
            return None
        # Without an id it is ours if ours has none either, or if ids get lost and nothing else explains it.
        sent = self.sent
        has_id = self._carries_metadata and sent is not None and sent.request_id is not None
        return None if has_id and (self._do_ids_return or self.turn.expects_answer) else sent

    def find_unheard(self, response: Response) -> ResponseRequest | None:
        """Return the request that a response answers whose ``response.created`` was lost, or never sent."""
        is_known = response.id is not None and response.id in (self.active_id, *self._over)
        if is_known or (response.id or self.active_id or "") in self.begun:
            return None
        request = self._unbegun.get((response.metadata or {}).get(REQUEST_ID) or "")
        return self._match(response) if request is None and self._is_next(response) else request

    def _is_next(self, response: Response) -> bool:
        """Whether a response without a request id may be the one that is about to begin."""
        is_named = (response.metadata or {}).get(REQUEST_ID) is not None
        return not is_named and self.active_id is None and not is_out_of_band(response)

    def end(self, response: Response) -> ResponseRequest | None:
        """Take a ``response.done``; return the request that it answers."""
        request = self.begun.pop(response.id or self.active_id or "", None)
        asked = request.stands_for if request is not None else None
        if request is not None and asked in self.waiting and response.status == "completed":
            self.waiting = collections.deque(r for r in self.waiting if r is not asked)
            request.accept()  # the cancel came too late
        is_known = response.id is not None and response.id in (self.active_id, *self._over)
        if request is None and not is_known:  # its response.created was lost, or never sent
            request = self.find_unheard(response)
            if request is not None:
                self.forget(request)
                if request.answers_turn:
                    self.turn.answer()
            elif self._is_next(response) and self.turn.expects_answer:
                self.turn.answer()
        if response.id is None or response.id == self.active_id:
            self.active_id = None
        if response.id is not None:
            self._over.append(response.id)
        self.held_until = None
        return request

    # ------------------------------------------------------------ refusals

    def find_refused(self, error: ServiceError) -> ResponseRequest | None:
        """Return the request that an error refuses."""
        if error.event_id is not None:
            return next((r for r in self.unbegun if r.event_id == error.event_id), None)
        if error.code == ACTIVE:
            return self.sent
        # The error names no command. The field that it names, or the code of another command, can tell; any
        # other error is taken for a refusal of the request, which beats waiting for a response for ever.
        if error.param:
            if error.param != "response" and not error.param.startswith(("response.", "response[")):
                return None
        elif (error.code or "").startswith(_OTHER_COMMANDS):
            return None
        if self.sent is None and len(self._unbegun) == 1:
            return next(iter(self._unbegun.values()))
        return self.sent

    def retry(self, request: ResponseRequest, error: ServiceError, now: float) -> float | None:
        """
        Let a request wait again whose response collided with another one.

        Returns:
            Seconds until it is tried again at the latest; ``None`` if it is not.
        """
        if error.code != ACTIVE or request.is_cancelled or request.tries >= _MAX_TRIES:
            return None
        # It waits for the other response's end, which comes even if its response.created has not come yet.
        self._put_first(request)
        return self.hold(error, now, tries=request.tries)

    def hold(self, error: ServiceError, now: float, *, tries: int) -> float:
        """Wait for the response that an error calls active; return the seconds after which it is not."""
        named = _NAMED.search(error.message)
        is_behind = named is not None and named.group(1) in self._over
        seconds = _BEHIND * 2.0**tries if is_behind else _HELD_UP
        if self.active_id is None:
            self.held_until = now + seconds
        return seconds

    def doubt(self, response_id: str | None, now: float) -> None:
        """The service knows of no such response, so it is over, or was never seen."""
        request = self.begun.get(response_id or "")
        if request is not None:
            request.doubt(now)
        if response_id is None or response_id == self.active_id:
            self.active_id = self.held_until = None

    def cancel_beginning(self) -> bool:
        """Note that a response is not wanted that is about to begin; return whether there is one."""
        if self.active_id is not None or self.held_until is not None:
            return False
        if self.sent is not None:
            self.sent.is_cancelled = True
        elif self.turn.expects_answer:
            self.cancels_answer = True
        else:
            return False
        return True

    # ------------------------------------------------------------ the connection

    def release(self) -> list[ResponseRequest]:
        """There is a connection; return the requests that may be sent at once, out of band."""
        self.is_held = False
        beside, self._beside = self._beside, []
        return beside

    def put_back(self, requests: Sequence[ResponseRequest]) -> None:
        """Let requests wait again, before those of their kind that wait already, see :meth:`put`."""
        for request in reversed(requests):
            if request.is_out_of_band:
                self._beside.insert(0, request)
            else:
                self._put_first(request)

    def move(self) -> tuple[list[ResponseRequest], list[ResponseRequest]]:
        """The connection is over; return what had begun on it, and what was sent and had not begun."""
        begun, unbegun = list(self.begun.values()), [one for one in self.unbegun if not one.gives_way]
        if self.filler is not None:
            self.filler.is_cancelled = True  # it was for that moment
        self.epoch += 1
        self.begun.clear()
        self._unbegun.clear()
        self.sent = self.active_id = self.held_until = None
        self.cancels_answer = False
        self.turn.end()
        return begun, unbegun

    def clear(self) -> set[ResponseRequest]:
        """Return all requests, and forget them."""
        requests = {*self.waiting, *self._beside, *self.unbegun, *self.begun.values()}
        self.waiting.clear()
        self._beside.clear()
        self.move()
        return requests
