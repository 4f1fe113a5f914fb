"""
One response at a time in the default conversation.

Further requests wait in a queue, in the order of the calls; while the user has the turn, all of them wait.
Out-of-band responses run beside it.

What leaves each state, and what does if that never comes (see also ``user_turn.py``):

=================  =======================================  ==============================================
a request is       it goes on with                          else
=================  =======================================  ==============================================
waiting            its turn: no response in progress, none  the states that it waits for all have an end
                   asked for, not the user's turn
sent               ``created``, ``done``, a refusal         ``start_timeout``, if cancelled 5 s: given up;
                                                            a later ``created`` is cancelled by its id
begun              ``done``                                 ``silence_timeout`` without an event of it:
                                                            cancelled by its id and given up. After
                                                            ``response_cancel_not_active`` or another
                                                            response's ``created``: 1 s
begun, MCP call    the call's end                           600 s: silence counts from then
held up by a       its ``created`` or ``done``              5 s, or a moment if it is known to be over
response unknown
=================  =======================================  ==============================================

A request that is given up fails with :class:`ResponseLostError`, which has what came of it.

Crossings on the wire: a request that the service refuses because it had begun a response of its own waits
again. A response of ours that begins after the user has begun to speak is cancelled, and asked for again
after the turn, with its question; if it is completed all the same, it is the answer. If it kept the service
from answering the user, that answer is asked for first.

**Threads and locks.** Any thread asks and cancels; the I/O thread reports events. ``ResponseQueue._lock``
guards the table, the watchdog and the user's turn; what is sent is decided under it and sent after its
release. Each :class:`PendingResponse` has a lock of its own, never taken together with the queue's.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Sequence

from attrs import frozen

from .._concurrency.deadline import Deadline
from .._log import get_logger
from ..errors import (
    RealtimeError,
    ResponseActiveError,
    ResponseLostError,
    ResponseSupersededError,
    ServiceError,
)
from ..protocol.commands import Command
from ..protocol.events import (
    Event,
    InputAudioBufferCleared,
    InputAudioBufferSpeechStarted,
    ResponseCreated,
    ResponseDone,
)
from ..protocol.responses import Response, ResponseConfig
from .one_by_one import OneByOne, Step
from .pending_response import PendingResponse
from .response_canceller import ResponseCanceller
from .response_request import (
    RequestMaker,
    ResponseHandle,
    ResponseRequest,
    Superseded,
    cancelled_response,
)
from .response_table import ACTIVE, NOT_ACTIVE, ResponseTable
from .response_watchdog import LOOK, MCP_STEPS, ResponseWatchdog
from .user_turn import TurnLimits, UserTurn
from .waiter import Awaited
from .waiters import Handled

__all__ = ["LostResponses", "ResponseQueue"]

log: logging.Logger = get_logger(__name__)


@frozen
class LostResponses:
    """
    What was in progress when a connection was lost.

    Attributes:
        begun: Requests whose response had begun.
        unbegun: Requests that were sent, and whose response had not begun.
        unasked: Id of a response that the service had begun by itself.
        is_answer_owed: The service was about to answer the user by itself.
    """

    begun: list[ResponseRequest]
    unbegun: list[ResponseRequest]
    unasked: str | None
    is_answer_owed: bool


class ResponseQueue:
    """
    Lets one response at a time into the default conversation.

    Args:
        encode: Checks and encodes a command, on the calling thread.
        send: Sends it, given its bytes and the seconds to wait for room, ``None`` for as long as usual;
            and what is sent right before it, in the same step. Must not wait when called on the I/O thread.
        carries_metadata: Whether the dialect has metadata to carry a request id.
        check_may_wait: Raises if the calling thread must not wait for the service.
        audio_format: The format of answers, unless the request or the service says otherwise.
        clock: Seconds that never run backwards, for all time-outs.
        start_timeout: Seconds for ``response.created`` after the request.
        silence_timeout: Seconds for a next event of a response.
        limits: Of the user's turns.
        call_in: Has :meth:`check` called on the I/O thread in so many seconds, or before.

    Attributes:
        turn: The user's turn.
        canceller: Cancels responses.
        watchdog: Gives up what the service falls silent about.
        begun: Requests whose response has begun, by response id. Written under the lock, read bare.
    """

    def __init__(
        self,
        encode: Callable[[Command], bytes],
        send: Callable[..., object],
        *,
        carries_metadata: bool,
        check_may_wait: Callable[[], None] = lambda: None,
        audio_format: Callable[[], str | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        start_timeout: float = 20.0,
        silence_timeout: float = 60.0,
        limits: TurnLimits | None = None,
        call_in: Callable[[float], object] = lambda seconds: None,
    ) -> None:
        self._send = send
        self._check_may_wait = check_may_wait
        self._audio_format = audio_format
        self._clock = clock
        self._call_in = call_in
        self._units = OneByOne()  # questions with their requests, and results of tools
        self._results = 0  # of tools, that were sent; written by whoever is at work on the units
        self._make_request = RequestMaker(encode, carries_metadata=carries_metadata)
        self._lock = threading.Lock()  # leaf; guards everything below
        self.turn = UserTurn(limits or TurnLimits())
        self._table = ResponseTable(self.turn, carries_metadata=carries_metadata)
        self.watchdog = ResponseWatchdog(self._table, start_timeout, silence_timeout)
        self.begun = self._table.begun
        self.canceller = ResponseCanceller(
            self._table, self._lock, encode, send, can_name=carries_metadata, call_in=call_in
        )
        self._ended: RealtimeError | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a response is in progress in the default conversation, or about to be."""
        with self._lock:
            return self._table.is_busy

    # ------------------------------------------------------------ asking

    def request(
        self,
        config: ResponseConfig | None,
        *,
        may_wait: bool,
        owner: object,
        wait: Callable[[], None] = lambda: None,
        superseded: Superseded = "wait",
        ask_first: Callable[[ResponseRequest], tuple[Awaited, ...]] | None = None,
        answers_turn: bool = False,
        is_recital: bool = False,
        deadline: Deadline | None = None,
    ) -> PendingResponse:
        """
        Ask for a response; send the request now or when its turn comes. Does not block.

        Args:
            may_wait: Whether it may wait for a response in progress.
            owner: Kept alive by the handle, so that the connection lives as long as the handle.
            wait: Waits until commands can be sent; called once the request has been checked.
            superseded: What becomes of it if the user's own turn is answered while it waits.
            ask_first: Returns the commands that belong right before it. Called on the thread that sends it.
            answers_turn: Whether it asks for the answer to the user's turn, which comes before all others.
            is_recital: Whether it says a given text, and answers nothing.
            deadline: Of whoever waits for it.

        Raises:
            ValueError: If the service would refuse it.
            ResponseActiveError: If one is in progress and *may_wait* is false.
        """
        request = self._make_request(config)
        wait()

        def cancel(owner: object = owner) -> None:  # the default keeps the owner alive
            self.canceller.cancel_request(request)

        asked = config.output_audio_format if config is not None else None
        audio_format = asked if isinstance(asked, str) else self._audio_format() or "pcm16"
        handle = PendingResponse(cancel, self._check_may_wait, audio_format, clock=self._clock)
        request.handle = weakref.ref(handle)
        request.superseded = superseded
        request.answers_turn = answers_turn
        request.is_recital = is_recital
        request.deadline = deadline
        if ask_first is not None:
            request.ask_first = ask_first
        self._submit(request, may_wait=may_wait)
        return handle

    def follow_up(self, config: ResponseConfig | None, handle: ResponseHandle) -> ResponseRequest:
        """
        Ask for what the model makes of the outputs of tools, before all other requests that wait.

        Args:
            handle: Told of the response, and of what ends the request. Not kept alive.

        Raises:
            ValueError: If the service would refuse it.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the backlog stayed full.
        """
        request = self._make_request(config)
        request.handle = weakref.ref(handle)
        request.is_follow_up = True
        self._submit(request, may_wait=True)
        return request

    def fill(self, config: ResponseConfig) -> bool:
        """
        Have something said beside the conversation, if nothing goes on there, and until something does.

        Returns:
            Whether it was asked for.

        Raises:
            ValueError: If the service would refuse it: not every version has responses out of band.
        """
        request = self._make_request(config)
        request.gives_way = True
        now = self._clock()
        with self._lock:
            if self._ended is not None or not self._table.may_fill:
                return False
            epoch = self._table.epoch
            self._table.enter(request, now)
        return self._send_request(request, epoch)

    def may_fill(self) -> bool:
        """Whether nothing goes on in the conversation: no answer, no request, no turn of the user."""
        with self._lock:
            return self._table.may_fill

    def follow(self, response_id: str, follower: ResponseHandle) -> None:
        """Tell another one, too, of a response that has begun. Called by the I/O thread."""
        with self._lock:
            request = self.begun.get(response_id)
            if request is None:  # nobody has asked for it
                request = ResponseRequest(b"", None, None, response_id=response_id, since=self._clock())
                self.begun[response_id] = request
            request.follower = weakref.ref(follower)

    def request_raw(self, payload: bytes, event_id: str | None) -> None:
        """
        Send an encoded ``response.create`` of the default conversation now, or when its turn comes.

        It has neither a handle nor a request id: its response is the next one that no other request and no
        turn of the user explains.
        """
        self._submit(ResponseRequest(payload, event_id, None), may_wait=True)

    def _submit(self, request: ResponseRequest, *, may_wait: bool) -> None:
        table, now = self._table, self._clock()
        try:
            # Ctrl-C may strike anywhere: an entry that was never sent would block all later requests.
            with self._lock:
                if self._ended is not None:
                    raise self._ended.again()
                self.turn.check(now)
                if request.answers_turn:
                    self.turn.expect_answer(now)
                epoch = table.epoch
                if not table.may_send(request):
                    if not may_wait and not table.is_held:
                        remedy = "" if table.is_free else "wait for it, cancel it, "
                        raise ResponseActiveError(
                            f'{table.obstacle}; {remedy}ask with conversation="none", or let this one wait '
                            "its turn"
                        )
                    table.put(request)
                    following = table.take_next(now)
                else:
                    table.enter(request, now)
                    following = request
            if following is request:
                self._send_whole(request, epoch)
            else:
                self._send_next(following)
            self._call_in(LOOK)
        except BaseException:
            with self._lock:
                table.forget(request)
                following = table.take_next(now)
            self._send_next(following)
            raise

    # ------------------------------------------------------------ the user's turn

    def begin_turn(self, *, is_detected: bool = True) -> None:
        """The user begins to speak, or presses the button; from any thread."""
        with self._lock:
            unanswered = self._table.begin_turn(self._clock(), is_detected=is_detected)
        self.canceller.give_way()
        for request in unanswered:
            request.finish(cancelled_response())
        self._call_in(LOOK)

    def expect_turn(self) -> None:
        """The user has finished, and the service is about to answer by itself."""
        with self._lock:
            self.turn.expect_answer(self._clock())
        self._call_in(LOOK)

    def end_turn(self) -> None:
        """The user's turn is over, and the service will not answer it by itself."""
        with self._lock:
            self.turn.end()
            following = self._table.take_next(self._clock())
        self._send_next(following)

    def set_detection(self, *, is_on: bool, is_semantic: bool) -> None:
        """Take into account how the service finds the user's turns now."""
        self.turn.is_semantic = is_semantic
        if not is_on and self.turn.is_on and self.turn.is_detected:
            self.end_turn()

    # ------------------------------------------------------------ events: the I/O thread

    def on_event(self, event: Event) -> bool:
        """
        Take an event of the service into account. Called by the I/O thread; does not block.

        Returns:
            Whether it reached a handle that somebody holds.
        """
        if isinstance(event, ResponseCreated):
            return self._on_created(event)
        if isinstance(event, ResponseDone):
            return self._on_done(event)
        if isinstance(event, InputAudioBufferSpeechStarted):
            self.begin_turn()
        elif isinstance(event, InputAudioBufferCleared):
            self.end_turn()
        elif event.__class__ in MCP_STEPS:
            with self._lock:
                self.watchdog.on_step(event, self._clock())
        return self.feed(event)

    def feed(self, event: Event) -> bool:
        """The same for an event within a response, the deltas above all."""
        request = self.begun.get(getattr(event, "response_id", None) or "")
        return request is not None and request.feed(event)

    def _on_created(self, event: ResponseCreated) -> bool:
        with self._lock:
            beginning = self._table.begin(event.response, self._clock())
        if beginning is None:
            return False
        for other in beginning.superseded:
            other.finish(ResponseSupersededError("the user's own turn was answered in place of this request"))
        self._call_in(LOOK)
        response_id = event.response.id
        assert response_id is not None
        request = beginning.request
        is_too_late = request is not None and request.gives_way and request.is_cancelled
        if beginning.is_unplayed or is_too_late:
            self.canceller.leave_unplayed(response_id)
        if response_id == self._table.active_id:
            self.canceller.give_way()
        is_told = beginning.request is not None and beginning.request.feed(event)
        if beginning.must_cancel or beginning.is_unplayed:
            self.canceller.cancel_quietly(response_id)
        return is_told

    def _on_done(self, event: ResponseDone) -> bool:
        with self._lock:
            self.canceller.end_locked(event.response.id or self._table.active_id, event.response)
            request = self._table.end(event.response)
            self.watchdog.end_steps()
            following = self._table.take_next(self._clock())
        is_told = request is not None and (request.feed(event) or request.gives_way)  # nobody has asked
        self._send_next(following)
        return is_told

    # ------------------------------------------------------------ refusals: the I/O thread

    def on_error(self, error: ServiceError) -> Handled | None:
        """
        Take a refusal into account. Called by the I/O thread; does not block.

        Returns:
            How it was handled, or ``None`` if it refuses none of the requests.
        """
        if error.code == NOT_ACTIVE:
            return self._on_not_active(error)
        table, now = self._table, self._clock()
        unnamed = self._make_request(None) if error.code == ACTIVE and error.event_id is None else None
        with self._lock:
            request = table.find_refused(error)
            is_users = request is None and error.code == ACTIVE and self.turn.may_be_answered
            if is_users and unnamed is not None:  # a response of ours kept the service from answering
                request = unnamed
                request.answers_turn = True
                self.turn.claim_answer()
                request.is_cancelled, table.cancels_answer = table.cancels_answer, False
            if request is None:
                return None
            table.forget(request)
            wait = table.retry(request, error, now)
            if wait is None:
                table.give_up_unbegun(request)  # an error without a name may have meant something else
                if request.answers_turn:
                    self.turn.end()
            following = table.take_next(now)
        is_told = False
        is_over = wait is None and error.code == ACTIVE and request.is_cancelled
        if wait is not None:
            self._call_in(min(wait, LOOK))
        else:
            is_told = request.finish(cancelled_response() if is_over else error)
        self._send_next(following)
        if wait is not None or is_users:
            return Handled.RETRIED
        if is_over:  # it was taken back, and another response had begun
            return Handled.SILENT
        if request.gives_way and error.event_id is not None:
            log.warning("! the service refused to say something meanwhile: %s", error)
            return Handled.SILENT
        return Handled.TOLD if is_told else Handled.UNHEARD

    def _on_not_active(self, error: ServiceError) -> Handled | None:
        """The service knows of no response to cancel, so the one that was meant is over."""
        with self._lock:
            now = self._clock()
            cancel = self.canceller.take_locked(error)
            self._table.doubt(cancel.response_id if cancel is not None else None, now)
            following = self._table.take_next(now)
        self._call_in(LOOK)
        self._send_next(following)
        return Handled.SILENT if cancel is not None and cancel.is_quiet else None

    # ------------------------------------------------------------ the clock: the I/O thread

    def check(self) -> float | None:
        """
        Give up what has been silent for too long. Called by the I/O thread; does not block.

        Returns:
            Seconds until it is to be called again; ``None`` if nothing is in progress.
        """
        self._units.run_rest()
        self.canceller.send_late()
        now = self._clock()
        with self._lock:
            silence = self.watchdog.check(now)
            following = self._table.take_next(now)
            seconds = self.watchdog.next_look(now)
        if silence.turn is not None:
            log.debug("= the user's turn counts as over: %s", silence.turn)
        for response_id, limit in silence.unasked:
            log.warning("! response %s was given up: no event of it came for %g s", response_id, limit)
        for request, reason in silence.requests:
            what = f"response {request.response_id}" if request.response_id else "a response asked for"
            log.warning("! %s was given up: %s", what, reason)
            request.finish(ResponseLostError(f"{what} was given up: {reason}; ask again"))
        for response_id in silence.cancelled:
            self.canceller.leave_unplayed(response_id)
            self.canceller.cancel_quietly(response_id)
        self._send_next(following)
        return seconds

    @property
    def active_id(self) -> str | None:
        """The response of the conversation that is in progress. Read bare: the I/O thread writes it."""
        return self._table.active_id

    def unheard_request(self, response: Response) -> ResponseRequest | None:
        """Return the request that a response answers which ends, if its ``response.created`` was lost."""
        with self._lock:
            return self._table.find_unheard(response)

    def has_lost(self, response_id: str) -> bool:
        """Whether a response is over although its end was not heard of."""
        with self._lock:
            return response_id != self._table.active_id and response_id not in self.begun

    # ------------------------------------------------------------ the connection: the I/O thread

    def end(self, outcome: RealtimeError) -> bool:
        """End all requests with *outcome*: the session is over; return whether a handle is told so."""
        with self._lock:
            self._ended = outcome
            requests = self._table.clear()
        are_held = [request.finish(outcome) for request in requests]
        return any(are_held)

    def hold(self) -> None:
        """Send no requests until :meth:`release`: there is no connection, or there will be another one."""
        with self._lock:
            self._table.is_held = True

    def is_quiet(self) -> bool:
        """Whether no response is in progress or asked for, not even out of band, nor the user speaks."""
        with self._lock:
            table = self._table
            return table.is_free and not (table.unbegun or table.begun or self.turn.is_on)

    def unasked(self) -> tuple[str, ...]:
        """Return the id of the response in progress that nobody asked for, if there is one."""
        active = self._table.active_id
        return () if active is None or active in self.begun else (active,)

    def running(self) -> tuple[str, ...]:
        """Return the ids of the responses in progress."""
        return (*self.begun, *self.unasked())

    def is_only_running(self) -> bool:
        """Whether nothing was asked for that has not begun, and the user does not speak."""
        with self._lock:
            return self._table.sent is None and not (self._table.unbegun or self.turn.is_on)

    def is_silent(self) -> bool:
        """The same, but for the user, who may be speaking."""
        with self._lock:
            table = self._table
            is_answering = self.turn.is_on and self.turn.expects_answer
            return table.is_free and not (table.unbegun or table.begun or is_answering)

    def lose(self) -> LostResponses:
        """The connection is over: return what was in progress, and forget it."""
        with self._lock:
            active_id, turn = self._table.active_id, self.turn
            unasked = active_id if active_id not in self._table.begun else None
            is_owed = turn.is_on and turn.expects_answer
            begun, unbegun = self._table.move()
            self.watchdog.end_steps()
        self.canceller.forget_late()
        is_owed = is_owed and not any(request.answers_turn for request in unbegun)
        for request in begun:
            if not request.payload:  # it stands for one that nobody asked for, see follow()
                unasked = request.response_id
                request.finish(ResponseLostError("the connection was lost during the response"))
        begun = [request for request in begun if request.payload]
        return LostResponses(begun, unbegun, unasked, is_owed)

    def put_back(self, requests: Sequence[ResponseRequest]) -> None:
        """Let requests wait again, in this order, before those that wait already."""
        with self._lock:
            for request in requests:
                request.response_id = request.latest = request.seen = None
                request.is_doubted = False
            self._table.put_back(requests)

    def answer_user(self) -> None:
        """Ask for the answer that the service owed to the user's turn when the connection was lost."""
        request = self._make_request(None)
        request.answers_turn = True
        with self._lock:
            self._table.put_back([request])

    def release(self) -> None:
        """Send requests again: there is a connection."""
        with self._lock:
            now = self._clock()
            beside, epoch = self._table.release(), self._table.epoch
            for request in beside:
                self._table.enter(request, now)
            following = self._table.take_next(now)
        for request in beside:
            self._send_request(request, epoch)
        self._send_next(following)
        self._call_in(LOOK)

    # ------------------------------------------------------------ sending

    def _send_next(self, request: ResponseRequest | None) -> None:
        """Send a request whose turn has come; if that fails, try the next one."""
        while request is not None and not self._send_request(request, self._table.epoch):
            with self._lock:
                request = self._table.take_next(self._clock())

    def _send_whole(self, request: ResponseRequest, epoch: int) -> None:
        """
        Send a request, and its question right before it, as one unit; before or after those of others.

        One that was entered for another connection is not sent: it has been put back, and comes again.
        """

        if not request.is_out_of_band:
            self.canceller.give_way()

        def send() -> None:
            with self._lock:  # Ctrl-C may have left it to others, and it was forgotten
                is_there = not self._table.is_held and self._table.is_entered(request)
                is_due = is_there and epoch == self._table.epoch
            if is_due:
                self._send(request.payload, request.seconds_left, *request.put_question(self._results))

        if request.is_out_of_band and request.ask_first is None:
            send()
        else:
            self._units.run(Step(send, lambda exc: self._not_sent(request, exc)))

    def send_result(self, send: Callable[[], None], fail: Callable[[Exception], None]) -> None:
        """
        Send a result of a tool: not between a question and its request, and before all requests that follow.

        A question whose request has to be sent again after it is put again, so that it is the newest.

        Args:
            fail: Called with what *send* raised, if another thread has called it.
        """

        def count_and_send() -> None:
            self._results += 1
            send()

        self._units.run(Step(count_and_send, fail))

    def _send_request(self, request: ResponseRequest, epoch: int) -> bool:
        """Send a request that has been entered; if that fails, finish its handle and return ``False``."""
        try:
            self._send_whole(request, epoch)
            self._call_in(LOOK)
        except (RealtimeError, TimeoutError) as exc:
            self._not_sent(request, exc)
            return False
        return True

    def _not_sent(self, request: ResponseRequest, exc: Exception) -> None:
        with self._lock:
            self._table.forget(request)
        request.finish(exc if isinstance(exc, RealtimeError) else RealtimeError(str(exc)))
        self._call_in(LOOK)  # another thread may have tried for it; the next one is due all the same
