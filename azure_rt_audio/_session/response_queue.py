"""
One response at a time in the default conversation.

Further requests wait in a queue, in the order of the calls. Out-of-band responses run beside it. A request id
in the response's metadata tells which response answers which request; where it cannot come back (the first
preview has no metadata, a raw event is sent as it is) the request is found by elimination.

What leaves each state, and what does if that never comes (see also ``user_turn.py``):

=================  =======================================  ==============================================
a request is       it goes on with                          else
=================  =======================================  ==============================================
waiting            its turn: no response in progress, none  the states that it waits for all have an end
                   asked for, not the user's turn
sent               ``created``, ``done``, a refusal         ``start_timeout``: given up; a later
                                                            ``created`` is cancelled by its id
begun              ``done``                                 ``silence_timeout`` without an event of it, ten
                                                            times as long in an MCP step: cancelled by its
                                                            id and given up. After ``response_cancel_not_
                                                            active`` or another response's ``created``: 1 s
held up by a       its ``created`` or ``done``              5 s, or a moment if it is known to be over
response unknown
=================  =======================================  ==============================================

A request that is given up fails with :class:`ResponseLostError`, which has what came of it.

**Threads and locks.** Any thread asks and cancels; the I/O thread reports events. ``ResponseQueue._lock``
guards the tables; what is sent is decided under it and sent after its release. Each
:class:`PendingResponse` has a lock of its own, never taken together with the queue's.
"""

from __future__ import annotations

import collections
import functools
import itertools
import logging
import re
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve

from ..errors import (
    RealtimeError,
    ResponseActiveError,
    ResponseLostError,
    ResponseSupersededError,
    ServiceError,
)
from ..protocol.commands import Command, ResponseCancel, ResponseCreate
from ..protocol.events import (
    Event,
    InputAudioBufferCleared,
    InputAudioBufferSpeechStarted,
    McpListToolsInProgress,
    ResponseCreated,
    ResponseDone,
    ResponseMcpCallInProgress,
)
from ..protocol.responses import Response, ResponseConfig, ResponseStatusDetails
from ..protocol.turn import is_out_of_band
from .pending_response import PendingResponse
from .response_request import ResponseRequest, Superseded
from .user_turn import TurnLimits, UserTurn
from .waiters import Handled

__all__ = ["REQUEST_ID", "ResponseQueue"]

log: logging.Logger = logging.getLogger(__name__)

REQUEST_ID: Final = "azure_rt_request"
"""Key in a response's metadata that holds the request id."""

_ACTIVE: Final = "conversation_already_has_active_response"
_OTHER_COMMANDS: Final = (
    "response_cancel_not_active",
    "input_audio_buffer_",
    "item_",
    "session",
    "invalid_tool",
)
_MAX_TRIES: Final = 5
"""Times that a request is sent again because the service had begun a response of its own."""
_MAX_PAIRS: Final = 16
"""Pairs of metadata that the service takes."""
_NOT_ACTIVE: Final = "response_cancel_not_active"
_NAMED: Final = re.compile(r"in progress: ([\w-]+)")
_HELD_UP: Final = 5.0
"""Seconds that a response which the service calls active, and which was never seen, holds others up."""
_BEHIND: Final = 0.25
"""Seconds before the first further try if the service names a response that it has ended itself."""
_DOUBTED: Final = 1.0
"""Seconds that remain for the end of a response that the service has said to be over."""
_MCP_FACTOR: Final = 10
_MCP_STEPS: Final = (McpListToolsInProgress, ResponseMcpCallInProgress)
_LOOK: Final = 1.0
"""Seconds between looks at the clock while something is in progress."""
_REMEMBERED: Final = 64


class ResponseQueue:
    """
    Lets one response at a time into the default conversation.

    Args:
        encode: Checks and encodes a command, on the calling thread.
        send: Sends it. Must not wait when called on the I/O thread.
        carries_metadata: Whether the dialect has metadata to carry a request id.
        check_may_wait: Raises if the calling thread must not wait for the service.
        audio_format: The format of answers, unless the request or the service says otherwise.
        clock: Seconds that never run backwards, for all time-outs.
        start_timeout: Seconds for ``response.created`` after the request.
        silence_timeout: Seconds for a next event of a response.
        limits: Of the user's turns.
        call_in: Has :meth:`check` called on the I/O thread in so many seconds, or before.
    """

    def __init__(
        self,
        encode: Callable[[Command], bytes],
        send: Callable[[bytes], object],
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
        self._start_timeout = start_timeout
        self._silence_timeout = silence_timeout
        self._call_in = call_in
        self.latest: Event | None = None
        """The latest event that takes the short way. Written bare by the I/O thread."""
        self._encode = encode
        self._send = send
        self._carries_metadata = carries_metadata
        self._check_may_wait = check_may_wait
        self._audio_format = audio_format
        self._clock = clock
        self._numbers = itertools.count(1)
        self._prefix = secrets.token_hex(4)
        self._lock = threading.Lock()  # leaf; guards everything below
        self._waiting: collections.deque[ResponseRequest] = collections.deque()
        self._sent: ResponseRequest | None = None  # in the default conversation, asked for but not yet begun
        self._active_id: str | None = None
        self._active_since = 0.0  # when an event of the active response was last seen
        self._held_until = 0.0
        self._is_in_mcp_step = False  # these events do not name their response
        self.turn = UserTurn(limits or TurnLimits())
        self._over: collections.deque[str] = collections.deque(maxlen=_REMEMBERED)  # response ids
        self._unplayed: collections.deque[str] = collections.deque(maxlen=_REMEMBERED)  # response ids
        self._given_up: collections.deque[str] = collections.deque(maxlen=_REMEMBERED)  # request ids
        self._cancels: collections.deque[tuple[str, str | None, bool]] = collections.deque(maxlen=_REMEMBERED)
        self._unbegun: dict[str, ResponseRequest] = {}  # sent but not yet begun, by request id
        self.begun: dict[str, ResponseRequest] = {}
        """Requests whose response has begun, by response id. Written under the lock, read bare."""
        self._is_held_up = False  # by a response in progress whose response.created is still to come
        self._cancels_turn = False
        self._late_cancel: Callable[[str | None], None] | None = None  # for a response that has not begun
        self._do_ids_return = False
        self._ended: RealtimeError | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a response is in progress in the default conversation, or about to be."""
        with self._lock:
            return self._is_busy_locked()

    # ------------------------------------------------------------ asking

    def request(
        self,
        config: ResponseConfig | None,
        *,
        may_wait: bool,
        owner: object,
        wait: Callable[[], None] = lambda: None,
        superseded: Superseded = "wait",
        ask_first: Callable[[ResponseRequest], None] | None = None,
    ) -> PendingResponse:
        """
        Ask for a response; send the request now or when its turn comes. Does not block.

        Args:
            may_wait: Whether it may wait for a response in progress.
            owner: Kept alive by the handle, so that the connection lives as long as the handle.
            wait: Waits until commands can be sent; called once the request has been checked.
            superseded: What becomes of it if the user's own turn is answered while it waits.
            ask_first: Sends what belongs right before it, on the thread that sends it.

        Raises:
            ValueError: If the service would refuse it.
            ResponseActiveError: If one is in progress and *may_wait* is false.
        """
        request_id = f"{self._prefix}-{next(self._numbers)}"
        is_out_of_band = config is not None and config.conversation == "none"
        command = self._command(config, request_id, is_out_of_band)
        request = ResponseRequest(self._encode(command), command.event_id, request_id, is_out_of_band)
        wait()

        def cancel(owner: object = owner) -> None:  # the default keeps the owner alive
            self._cancel_request(request)

        asked = config.output_audio_format if config is not None else None
        audio_format = asked if isinstance(asked, str) else self._audio_format() or "pcm16"
        handle = PendingResponse(cancel, self._check_may_wait, audio_format, clock=self._clock)
        request.handle = weakref.ref(handle)
        request.superseded = superseded
        if ask_first is not None:
            request.ask_first = functools.partial(ask_first, request)
        self._submit(request, may_wait=may_wait)
        return handle

    def request_raw(self, payload: bytes, event_id: str | None) -> None:
        """
        Send an encoded ``response.create`` of the default conversation now, or when its turn comes.

        It has neither a handle nor a request id: its response is the next one that no other request and no
        turn of the user explains.
        """
        self._submit(ResponseRequest(payload, event_id, None), may_wait=True)

    def _submit(self, request: ResponseRequest, *, may_wait: bool) -> None:
        try:
            # Ctrl-C may strike anywhere: an entry that was never sent would block all later requests.
            with self._lock:
                if self._ended is not None:
                    raise self._ended.again()
                self.turn.check(self._clock())
                if not request.is_out_of_band and (self._is_busy_locked() or self.turn.is_on):
                    if not may_wait:
                        raise ResponseActiveError(
                            "a response is in progress in the default conversation; wait for it, cancel it, "
                            'ask with conversation="none", or let this one wait its turn'
                        )
                    self._waiting.append(request)
                    return
                self._enter_locked(request)
            self._send_whole(request)
            self._call_in(_LOOK)
        except BaseException:
            with self._lock:
                if request in self._waiting:
                    self._waiting.remove(request)
                self._forget_locked(request)
                following = self._next_locked()
            self._send_next(following)
            raise

    def _command(
        self, config: ResponseConfig | None, request_id: str, is_out_of_band: bool
    ) -> ResponseCreate:
        event_id = f"evt_{request_id}"
        if not self._carries_metadata and not is_out_of_band:
            return ResponseCreate(event_id=event_id, response=config)
        config = config or ResponseConfig()
        given: Mapping[str, str] = config.metadata if isinstance(config.metadata, Mapping) else {}
        if len(given) >= _MAX_PAIRS:
            raise ValueError(
                f"response.metadata has {len(given)} pairs; at most {_MAX_PAIRS - 1} are allowed, because "
                "one more holds the request id"
            )
        metadata = {**given, REQUEST_ID: request_id}
        return ResponseCreate(event_id=event_id, response=evolve(config, metadata=metadata))

    def _enter_locked(self, request: ResponseRequest) -> None:
        request.tries += 1
        request.since = self._clock()
        if request.request_id is not None:
            self._unbegun[request.request_id] = request
        if not request.is_out_of_band:
            self._sent = request

    # ------------------------------------------------------------ cancelling

    def cancel(self, response_id: str | None = None) -> None:
        """
        Stop a response: the one in the conversation, or the one named.

        If it has been asked for but not begun, it is cancelled as soon as it begins. If there is nothing to
        cancel, the service answers with a harmless error.
        """
        with self._lock:
            if response_id is None and self._active_id is None and not self._is_held_up:
                if self._sent is not None:
                    self._sent.is_cancelled = True
                    return
                if self.turn.expects_answer:
                    self._cancels_turn = True
                    return
            target = response_id or self._active_id
        self._send_cancel(target)

    def interrupt(self, cancel: Callable[[str | None], None]) -> str | None:
        """
        Stop the response in the conversation, now or when it begins; without one, do nothing.

        Args:
            cancel: Sends the command, given the id of the response if the dialect can name it.

        Returns:
            The id of the response; ``""`` if it has yet to begin; ``None`` if there is none.
        """
        with self._lock:
            self._late_cancel = cancel
            target = self._active_id
            if target is None:
                if self._sent is not None:
                    self._sent.is_cancelled = True
                elif self.turn.expects_answer:
                    self._cancels_turn = True
                else:
                    return None
                return ""
        cancel(target if self._carries_metadata else None)
        return target

    def _cancel_request(self, request: ResponseRequest) -> None:
        with self._lock:
            if request in self._waiting:
                self._waiting.remove(request)
                was_waiting = True
            elif request.response_id is None:
                request.is_cancelled = True
                return
            elif request.response_id in self.begun:
                was_waiting = False
            else:
                return  # over already
        if was_waiting:
            request.finish(_cancelled())
        else:
            self._send_cancel(request.response_id, is_quiet=True)

    def refuse_question(self, request: ResponseRequest, error: ServiceError) -> None:
        """The item that a request asks about was refused, and so is the request."""
        self._cancel_request(request)
        request.finish(error)

    def _send_cancel(self, response_id: str | None, *, is_quiet: bool = False) -> None:
        event_id = f"evt_{self._prefix}-c{next(self._numbers)}"
        named = response_id if self._carries_metadata else None
        with self._lock:
            self._cancels.append((event_id, response_id, is_quiet))
        self._send(self._encode(ResponseCancel(event_id=event_id, response_id=named)))

    def _cancel_quietly(self, response_id: str) -> None:
        """Cancel on the I/O thread what nobody waits for any more, if the connection still lets us."""
        try:
            self._send_cancel(response_id, is_quiet=True)
        except (RealtimeError, TimeoutError) as exc:
            log.debug("! the response cannot be cancelled any more: %s", exc)

    # ------------------------------------------------------------ on the I/O thread

    def expect_turn(self) -> None:
        """Expect a server-VAD response."""
        with self._lock:
            self.turn.expect_answer(self._clock())
        self._call_in(_LOOK)

    def begin_turn(self, *, is_detected: bool = True) -> None:
        """The user begins to speak, or presses the button; from any thread."""
        with self._lock:  # the turn before stays unanswered, and with it the wish to cancel its answer
            self._cancels_turn = False
            self.turn.begin(self._clock(), is_detected=is_detected)
        self._call_in(_LOOK)

    def set_detection(self, *, is_on: bool, is_semantic: bool) -> None:
        """Take into account how the service finds the user's turns now."""
        with self._lock:
            self.turn.is_semantic = is_semantic
            following = None
            if not is_on and self.turn.is_detected:
                self.turn.end()
                following = self._next_locked()
        self._send_next(following)

    def has_lost(self, response_id: str) -> bool:
        """Whether a response is over although its end was not heard of."""
        with self._lock:
            return response_id != self._active_id and response_id not in self.begun

    def end_turn(self) -> None:
        """The user's turn is over, and the service will not answer it by itself."""
        with self._lock:
            self.turn.end()
            following = self._next_locked()
        self._send_next(following)

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
            return False
        if isinstance(event, InputAudioBufferCleared):
            self.end_turn()
            return False
        return self.feed(event)

    def feed(self, event: Event) -> bool:
        """The same for an event within a response, the deltas above all."""
        request = self.begun.get(getattr(event, "response_id", None) or "")
        return request is not None and request.feed(event)

    def _on_created(self, event: ResponseCreated) -> bool:
        response_id = event.response.id
        if not response_id:
            return False
        dropped: list[ResponseRequest] = []
        with self._lock:
            is_asked_for = (event.response.metadata or {}).get(REQUEST_ID, "") in self._unbegun
            is_over = response_id in self._over and not is_asked_for
            if is_over or response_id in self.begun or response_id == self._active_id:
                return False  # it came twice, or after its end
            request = self._match_locked(event.response)
            is_beside = is_out_of_band(event.response) if request is None else request.is_out_of_band
            is_late = (event.response.metadata or {}).get(REQUEST_ID) in self._given_up
            is_unwanted, is_crossing = is_late, False
            if request is not None:
                self._forget_locked(request)
                is_unwanted = request.is_cancelled
                # Sent before the user began to speak, begun after: asked again when the turn is over.
                is_crossing = not is_beside and not is_unwanted and self.turn.is_speaking
                if is_crossing:
                    self._waiting.appendleft(request)
                else:
                    request.response_id = response_id
                    request.since = self._clock()
                    self.begun[response_id] = request
            if not is_beside:
                before = self.begun.get(self._active_id or "")
                if before is not None:  # it must be over; its end may have been overtaken
                    before.is_doubted, before.since = True, self._clock()
                self._active_id, self._active_since = response_id, self._clock()
                self._is_held_up = False
                if request is None and not is_late:
                    is_unwanted = self._cancels_turn
                    self._cancels_turn = False
                    self.turn.end()
                    dropped = [r for r in self._waiting if r.superseded == "drop"]
                    for other in dropped:
                        self._waiting.remove(other)
        for other in dropped:
            other.finish(ResponseSupersededError("the user's own turn was answered in place of this request"))
        self._call_in(_LOOK)
        if is_crossing or is_late:
            self._unplayed.append(response_id)
            self._cancel_quietly(response_id)
            return False
        is_told = request is not None and request.feed(event)
        if is_unwanted and self._late_cancel is None:
            self._cancel_quietly(response_id)
        elif is_unwanted and self._late_cancel is not None:
            try:
                self._late_cancel(response_id if self._carries_metadata else None)
            except RealtimeError as exc:
                log.debug("! the response cannot be cancelled any more: %s", exc)
        return is_told

    def _match_locked(self, response: Response) -> ResponseRequest | None:
        request_id = (response.metadata or {}).get(REQUEST_ID)
        if request_id is not None:
            self._do_ids_return = True
            return self._unbegun.get(request_id)
        if is_out_of_band(response):
            return None
        # Without an id it is ours if ours has none either, or if ids get lost and nothing else explains it.
        sent = self._sent
        has_id = self._carries_metadata and sent is not None and sent.request_id is not None
        return None if has_id and (self._do_ids_return or self.turn.expects_answer) else sent

    def _on_done(self, event: ResponseDone) -> bool:
        response = event.response
        with self._lock:
            request = self.begun.pop(response.id or self._active_id or "", None)
            if request is None and response.id is not None and response.id in (self._active_id, *self._over):
                pass  # of a turn of the user, or given up
            elif request is None:  # it failed before it began
                request = self._unbegun.get((response.metadata or {}).get(REQUEST_ID, ""))
                if request is None and self._active_id is None and not is_out_of_band(response):
                    is_named = (response.metadata or {}).get(REQUEST_ID) is not None
                    request = None if is_named else self._match_locked(response)
                    if request is None and not is_named and self.turn.expects_answer:
                        self.turn.end()  # the user was answered, and only response.created was lost
                if request is not None:
                    self._forget_locked(request)
            if response.id is None or response.id == self._active_id:
                self._active_id = None
            if response.id is not None:
                self._over.append(response.id)
            self._is_held_up = False
            following = self._next_locked()
        is_told = request is not None and request.feed(event)
        self._send_next(following)
        return is_told

    def on_error(self, error: ServiceError) -> Handled | None:
        """
        Take a refusal into account. Called by the I/O thread; does not block.

        Returns:
            How it was handled, or ``None`` if it refuses none of the requests.
        """
        if error.code == _NOT_ACTIVE:
            return self._on_not_active(error)
        with self._lock:
            request = self._refused_locked(error)
            if request is None:
                return None
            self._forget_locked(request)
            is_collision = error.code == _ACTIVE
            is_retried = is_collision and not request.is_cancelled and request.tries < _MAX_TRIES
            if is_retried:
                # The service began a response of its own at the same moment; the request waits for its end,
                # which comes even if its response.created has not come yet.
                self._waiting.appendleft(request)
                self._is_held_up = self._active_id is None
                named = _NAMED.search(error.message)
                is_behind = named is not None and named.group(1) in self._over
                wait = _BEHIND * 2**request.tries if is_behind else _HELD_UP
                self._held_until = self._clock() + wait
            following = self._next_locked()
        is_told = False
        if is_retried:
            self._call_in(min(wait, _LOOK))
        else:
            is_told = request.finish(_cancelled() if is_collision and request.is_cancelled else error)
        self._send_next(following)
        return Handled.RETRIED if is_retried else Handled.TOLD if is_told else Handled.UNHEARD

    def _on_not_active(self, error: ServiceError) -> Handled | None:
        """The service knows of no response to cancel, so the one we have in mind is over."""
        with self._lock:
            cancel = next((c for c in self._cancels if error.event_id in (None, c[0])), None)
            is_ours = cancel is not None
            if cancel is not None:
                self._cancels.remove(cancel)
            target = (cancel[1] if cancel is not None else None) or self._active_id
            request = self.begun.get(target or "")
            if request is not None:
                request.is_doubted, request.since = True, self._clock()
            if target is not None and target == self._active_id:
                self._active_id = None
            self._is_held_up = False
            following = self._next_locked()
        if request is not None:
            self._call_in(_LOOK)
        self._send_next(following)
        return Handled.SILENT if is_ours and cancel is not None and cancel[2] else None

    def check(self) -> float | None:
        """
        Give up what has been silent for too long. Called by the I/O thread; does not block.

        Returns:
            Seconds until it is to be called again; ``None`` if nothing is in progress.
        """
        now = self._clock()
        lost: list[tuple[ResponseRequest, str]] = []
        cancelled: list[str] = []
        with self._lock:
            latest, self.latest = self.latest, None
            if latest is not None:
                self._is_in_mcp_step = isinstance(latest, _MCP_STEPS)
            if latest is not None and getattr(latest, "response_id", None) == self._active_id:
                self._active_since = now
            turn = self.turn.check(now)
            for request in {r for r in (*self._unbegun.values(), self._sent) if r is not None}:
                if now - request.since >= self._start_timeout:
                    self._forget_locked(request)
                    if request.request_id is not None:
                        self._given_up.append(request.request_id)
                    lost.append((request, f"the service did not begin it within {self._start_timeout:g} s"))
            for response_id, request in list(self.begun.items()):
                if request.latest is not request.seen and not request.is_doubted:
                    request.seen, request.since = request.latest, now
                limit = self._silence_timeout
                if request.is_doubted:
                    limit = min(_DOUBTED, limit)
                elif self._is_in_mcp_step:
                    limit *= _MCP_FACTOR
                if now - request.since >= limit:
                    del self.begun[response_id]
                    self._over.append(response_id)
                    if request.is_doubted:
                        reason = "it was over for the service, but its response.done did not come"
                    else:
                        reason = f"no event of it came for {limit:g} s"
                        cancelled.append(response_id)
                    if response_id == self._active_id:
                        self._active_id = None
                    lost.append((request, reason))
            active = self._active_id
            if active is not None and active not in self.begun:
                limit = self._silence_timeout * (_MCP_FACTOR if self._is_in_mcp_step else 1)
                if now - self._active_since >= limit:
                    log.warning("! response %s was given up: no event of it came for %g s", active, limit)
                    cancelled.append(active)
                    self._over.append(active)
                    self._active_id = None
            if self._is_held_up and now >= self._held_until:
                self._is_held_up = False
            following = self._next_locked()
            is_busy = self._is_busy_locked() or bool(self._unbegun or self.begun) or self.turn.is_on
            seconds = _LOOK
            if self._is_held_up:
                seconds = min(seconds, max(0.01, self._held_until - now))
        if turn is not None:
            log.debug("= the user's turn counts as over: %s", turn)
        for request, reason in lost:
            what = f"response {request.response_id}" if request.response_id else "a response asked for"
            log.warning("! %s was given up: %s", what, reason)
            request.finish(ResponseLostError(f"{what} was given up: {reason}; ask again"))
        for response_id in cancelled:
            self._unplayed.append(response_id)
            self._cancel_quietly(response_id)
        self._send_next(following)
        return seconds if is_busy or following is not None else None

    def is_unwanted(self, response_id: str) -> bool:
        """Whether late events of a response are not to be played: it was given up, or is asked again."""
        return response_id in self._unplayed

    def _refused_locked(self, error: ServiceError) -> ResponseRequest | None:
        if error.event_id is not None:
            unbegun = (self._sent, *self._unbegun.values())
            return next((r for r in unbegun if r is not None and r.event_id == error.event_id), None)
        if error.code == _ACTIVE:
            return self._sent
        # The error names no command. The field that it names, or the code of another command, can tell; any
        # other error is taken for a refusal of the request, which beats waiting for a response forever.
        if error.param:
            if error.param != "response" and not error.param.startswith(("response.", "response[")):
                return None
        elif (error.code or "").startswith(_OTHER_COMMANDS):
            return None
        if self._sent is None and len(self._unbegun) == 1:
            return next(iter(self._unbegun.values()))
        return self._sent

    def end(self, outcome: RealtimeError) -> None:
        """End all requests with *outcome*: the session is over."""
        with self._lock:
            self._ended = outcome
            requests = {*self._waiting, *self._unbegun.values(), *self.begun.values()}
            self._waiting.clear()
            self._unbegun.clear()
            self.begun.clear()
            self._sent = self._active_id = None
            self._is_held_up = False
        for request in requests:
            request.finish(outcome)

    def move(self, outcome: RealtimeError) -> None:
        """
        Take into account that the connection was replaced; called by the I/O thread.

        What had begun there fails with *outcome*; what was sent without having begun is sent again first.
        """
        with self._lock:
            begun = list(self.begun.values())
            self.begun.clear()
            unbegun = {id(r): r for r in (*self._unbegun.values(), self._sent) if r is not None}
            self._unbegun.clear()
            self._sent = self._active_id = None
            self._is_held_up = self._cancels_turn = False
            self.turn.end()
            beside = [r for r in unbegun.values() if r.is_out_of_band]
            for request in beside:
                self._enter_locked(request)
            self._waiting.extendleft(r for r in unbegun.values() if not r.is_out_of_band)
            following = self._next_locked()
        for request in begun:
            request.finish(outcome)
        for request in beside:
            self._send_request(request)
        self._send_next(following)

    def _is_busy_locked(self) -> bool:
        is_free = self._active_id is None and self._sent is None and not self._is_held_up
        return not is_free or bool(self._waiting)

    def _forget_locked(self, request: ResponseRequest) -> None:
        if request.request_id is not None:
            self._unbegun.pop(request.request_id, None)
        if self._sent is request:
            self._sent = None

    def _next_locked(self) -> ResponseRequest | None:
        is_free = self._active_id is None and self._sent is None and not self._is_held_up
        if self._waiting and is_free and not self.turn.is_on:
            request = self._waiting.popleft()
            self._enter_locked(request)
            return request
        return None

    def _send_next(self, request: ResponseRequest | None) -> None:
        """Send a request whose turn has come; if that fails, try the next one."""
        while request is not None and not self._send_request(request):
            with self._lock:
                request = self._next_locked()

    def _send_whole(self, request: ResponseRequest) -> None:
        if request.ask_first is not None:
            request.ask_first()
            request.ask_first = None  # the item stays, however often the answer is asked for
        self._send(request.payload)

    def _send_request(self, request: ResponseRequest) -> bool:
        """Send a request that has been entered; if that fails, finish its handle and return ``False``."""
        try:
            self._send_whole(request)
            self._call_in(_LOOK)
        except (RealtimeError, TimeoutError) as exc:
            with self._lock:
                self._forget_locked(request)
            request.finish(exc if isinstance(exc, RealtimeError) else RealtimeError(str(exc)))
            return False
        return True


def _cancelled() -> Response:
    """Return the response of a request that was cancelled before it began."""
    details = ResponseStatusDetails(type="cancelled", reason="client_cancelled")
    return Response(status="cancelled", status_details=details, output=[])
