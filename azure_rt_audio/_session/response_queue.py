"""
One response at a time in the default conversation.

Further requests wait in a queue, in the order of the calls. Out-of-band responses run beside it. A request id
in the response's metadata tells which response answers which request; where it cannot come back (the first
preview has no metadata, a raw event is sent as it is) the request is found by elimination.

**Threads and locks.** Any thread asks and cancels; the I/O thread reports events. ``ResponseQueue._lock``
guards the tables; what is sent is decided under it and sent after its release. Each
:class:`PendingResponse` has a lock of its own, never taken together with the queue's.
"""

from __future__ import annotations

import collections
import itertools
import logging
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Final

from attrs import define, evolve

from ..errors import RealtimeError, ResponseActiveError, ServiceError
from ..protocol.commands import Command, ResponseCancel, ResponseCreate
from ..protocol.events import Event, InputAudioBufferSpeechStarted, ResponseCreated, ResponseDone
from ..protocol.responses import Response, ResponseConfig, ResponseStatusDetails
from ..protocol.turn import is_out_of_band
from .pending_response import PendingResponse
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


@define(eq=False)
class _Request:
    """One request and its progress. Guarded by the queue's lock."""

    payload: bytes
    event_id: str | None
    request_id: str | None  # None if the service cannot send it back
    is_out_of_band: bool = False
    handle: weakref.ReferenceType[PendingResponse] | None = None
    response_id: str | None = None
    is_cancelled: bool = False
    tries: int = 0

    def finish(self, outcome: Response | RealtimeError) -> bool:
        """Finish the handle; return whether somebody holds it."""
        handle = self.handle() if self.handle is not None else None
        if handle is not None:
            handle._finish(outcome)
        return handle is not None

    def feed(self, event: Event) -> bool:
        """Pass an event to the handle; return whether somebody holds it."""
        handle = self.handle() if self.handle is not None else None
        if handle is not None:
            handle._feed(event)
        return handle is not None


class ResponseQueue:
    """
    Lets one response at a time into the default conversation.

    Args:
        encode: Checks and encodes a command, on the calling thread.
        send: Sends it. Must not wait when called on the I/O thread.
        carries_metadata: Whether the dialect has metadata to carry a request id.
        check_may_wait: Raises if the calling thread must not wait for the service.
        audio_format: The format of answers, unless the request or the service says otherwise.
        clock: Seconds that never run backwards, for the time-outs of handles.
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
    ) -> None:
        self._encode = encode
        self._send = send
        self._carries_metadata = carries_metadata
        self._check_may_wait = check_may_wait
        self._audio_format = audio_format
        self._clock = clock
        self._numbers = itertools.count(1)
        self._prefix = secrets.token_hex(4)
        self._lock = threading.Lock()  # leaf; guards everything below
        self._waiting: collections.deque[_Request] = collections.deque()
        self._sent: _Request | None = None  # in the default conversation, asked for but not yet begun
        self._active_id: str | None = None
        self._unbegun: dict[str, _Request] = {}  # sent but not yet begun, by request id
        self.begun: dict[str, _Request] = {}
        """Requests whose response has begun, by response id. Written under the lock, read bare."""
        self._is_held_up = False  # by a response in progress whose response.created is still to come
        self._expects_turn = False  # a server-VAD response is about to start
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
    ) -> PendingResponse:
        """
        Ask for a response; send the request now or when its turn comes. Does not block.

        Args:
            may_wait: Whether it may wait for a response in progress.
            owner: Kept alive by the handle, so that the connection lives as long as the handle.
            wait: Waits until commands can be sent; called once the request has been checked.

        Raises:
            ValueError: If the service would refuse it.
            ResponseActiveError: If one is in progress and *may_wait* is false.
        """
        request_id = f"{self._prefix}-{next(self._numbers)}"
        is_out_of_band = config is not None and config.conversation == "none"
        command = self._command(config, request_id, is_out_of_band)
        request = _Request(self._encode(command), command.event_id, request_id, is_out_of_band)
        wait()

        def cancel(owner: object = owner) -> None:  # the default keeps the owner alive
            self._cancel_request(request)

        asked = config.output_audio_format if config is not None else None
        audio_format = asked if isinstance(asked, str) else self._audio_format() or "pcm16"
        handle = PendingResponse(cancel, self._check_may_wait, audio_format, clock=self._clock)
        request.handle = weakref.ref(handle)
        self._submit(request, may_wait=may_wait)
        return handle

    def request_raw(self, payload: bytes, event_id: str | None) -> None:
        """
        Send an encoded ``response.create`` of the default conversation now, or when its turn comes.

        It has neither a handle nor a request id: its response is the next one that no other request and no
        turn of the user explains.
        """
        self._submit(_Request(payload, event_id, None), may_wait=True)

    def _submit(self, request: _Request, *, may_wait: bool) -> None:
        try:
            # Ctrl-C may strike anywhere: an entry that was never sent would block all later requests.
            with self._lock:
                if self._ended is not None:
                    raise self._ended.again()
                if not request.is_out_of_band and self._is_busy_locked():
                    if not may_wait:
                        raise ResponseActiveError(
                            "a response is in progress in the default conversation; wait for it, cancel it, "
                            'ask with conversation="none", or let this one wait its turn'
                        )
                    self._waiting.append(request)
                    return
                self._enter_locked(request)
            self._send(request.payload)
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

    def _enter_locked(self, request: _Request) -> None:
        request.tries += 1
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
                if self._expects_turn:
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
                elif self._expects_turn:
                    self._cancels_turn = True
                else:
                    return None
                return ""
        cancel(target if self._carries_metadata else None)
        return target

    def _cancel_request(self, request: _Request) -> None:
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
            self._send_cancel(request.response_id)

    def _send_cancel(self, response_id: str | None) -> None:
        self._send(self._encode(ResponseCancel(response_id=response_id if self._carries_metadata else None)))

    # ------------------------------------------------------------ on the I/O thread

    def expect_turn(self) -> None:
        """Expect a server-VAD response."""
        with self._lock:
            self._expects_turn = True

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
            with self._lock:  # the turn before stays unanswered, and with it the wish to cancel its answer
                self._expects_turn = self._cancels_turn = False
            return False
        return self.feed(event)

    def feed(self, event: Event) -> bool:
        """The same for an event within a response, the deltas above all."""
        request = self.begun.get(getattr(event, "response_id", None) or "")
        return request is not None and request.feed(event)

    def _on_created(self, event: ResponseCreated) -> bool:
        response_id = event.response.id
        if response_id is None:
            return False
        with self._lock:
            request = self._match_locked(event.response)
            is_unwanted = False
            if request is not None:
                self._forget_locked(request)
                request.response_id = response_id
                self.begun[response_id] = request
                is_unwanted = request.is_cancelled
            is_beside = is_out_of_band(event.response) if request is None else request.is_out_of_band
            if not is_beside:
                self._active_id = response_id
                if request is None:
                    is_unwanted = self._cancels_turn
                    self._expects_turn = self._cancels_turn = False
        is_told = request is not None and request.feed(event)
        if is_unwanted:
            try:
                if self._late_cancel is None:
                    self._send_cancel(response_id)
                else:
                    self._late_cancel(response_id if self._carries_metadata else None)
            except RealtimeError as exc:
                log.debug("! the response cannot be cancelled any more: %s", exc)
        return is_told

    def _match_locked(self, response: Response) -> _Request | None:
        request_id = (response.metadata or {}).get(REQUEST_ID)
        if request_id is not None:
            self._do_ids_return = True
            return self._unbegun.get(request_id)
        if is_out_of_band(response):
            return None
        # Without an id it is ours if ours has none either, or if ids get lost and nothing else explains it.
        sent = self._sent
        has_id = self._carries_metadata and sent is not None and sent.request_id is not None
        return None if has_id and (self._do_ids_return or self._expects_turn) else sent

    def _on_done(self, event: ResponseDone) -> bool:
        response = event.response
        with self._lock:
            request = self.begun.pop(response.id or self._active_id or "", None)
            if request is None:  # it failed before it began
                request = self._unbegun.get((response.metadata or {}).get(REQUEST_ID, ""))
                if request is None and self._active_id is None and not is_out_of_band(response):
                    request = self._sent if self._sent and self._sent.request_id is None else None
                if request is not None:
                    self._forget_locked(request)
            if response.id is None or response.id == self._active_id:
                self._active_id = None
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
            following = self._next_locked()
        is_told = False
        if not is_retried:
            is_told = request.finish(_cancelled() if is_collision and request.is_cancelled else error)
        self._send_next(following)
        return Handled.RETRIED if is_retried else Handled.TOLD if is_told else Handled.UNHEARD

    def _refused_locked(self, error: ServiceError) -> _Request | None:
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
            self._is_held_up = self._expects_turn = self._cancels_turn = False
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

    def _forget_locked(self, request: _Request) -> None:
        if request.request_id is not None:
            self._unbegun.pop(request.request_id, None)
        if self._sent is request:
            self._sent = None

    def _next_locked(self) -> _Request | None:
        if self._waiting and self._active_id is None and self._sent is None and not self._is_held_up:
            request = self._waiting.popleft()
            self._enter_locked(request)
            return request
        return None

    def _send_next(self, request: _Request | None) -> None:
        """Send a request whose turn has come; if that fails, try the next one."""
        while request is not None and not self._send_request(request):
            with self._lock:
                request = self._next_locked()

    def _send_request(self, request: _Request) -> bool:
        """Send a request that has been entered; if that fails, finish its handle and return ``False``."""
        try:
            self._send(request.payload)
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
