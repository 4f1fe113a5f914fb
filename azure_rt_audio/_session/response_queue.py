"""
One response at a time in the default conversation.

A second request waits its turn here, in the order of asking. Out-of-band responses run beside it.
Which response answers which request is told by a mark in its metadata; only where a mark cannot come
back (the first preview has no metadata) by elimination.

**Threads and locks.** Any thread asks and cancels; the reader reports events. ``ResponseQueue._lock`` guards
the tables; what is to be sent is decided under it and sent after it is released. Each
:class:`PendingResponse` has a lock of its own, never taken together with the gate's.
"""

from __future__ import annotations

import collections
import itertools
import logging
import secrets
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Final, Literal

from attrs import define, evolve

from ..errors import RealtimeError, ResponseActiveError, ServiceError
from ..protocol.commands import Command, ResponseCancel, ResponseCreate
from ..protocol.events import Event, InputAudioBufferSpeechStarted, ResponseCreated, ResponseDone
from ..protocol.responses import Response, ResponseConfig, ResponseStatusDetails
from ..protocol.turn import is_out_of_band
from .pending_response import PendingResponse

__all__ = ["MARK", "ResponseQueue"]

log: logging.Logger = logging.getLogger(__name__)

MARK: Final = "azure_rt_request"
"""Key in a response's metadata by which it is recognised."""

_ACTIVE: Final = "conversation_already_has_active_response"
_OTHER_COMMANDS: Final = (
    "response_cancel_not_active",
    "input_audio_buffer_",
    "item_",
    "session",
    "invalid_tool",
)
_MAX_TRIES: Final = 5
_MAX_PAIRS: Final = 16


@define(eq=False)
class _Request:
    """One request and how far it is. Guarded by the gate's lock."""

    command: ResponseCreate
    payload: bytes
    mark: str
    is_beside: bool
    handle: weakref.ReferenceType[PendingResponse] | None = None
    response_id: str | None = None
    is_cancelled: bool = False
    tries: int = 0

    def tell(self, outcome: Response | RealtimeError) -> bool:
        """Say how it ended; return whether anybody wanted to know."""
        handle = self.handle() if self.handle is not None else None
        if handle is not None:
            handle.finish(outcome)
        return handle is not None

    def feed(self, event: Event) -> bool:
        """Pass an event on; return whether anybody wanted to know."""
        handle = self.handle() if self.handle is not None else None
        if handle is not None:
            handle.feed(event)
        return handle is not None


class ResponseQueue:
    """
    Lets one response at a time into the default conversation.

    Args:
        encode: Checks and encodes a command, on the thread of who asks.
        send: Queues it. Must not wait when called on the reader thread.
        marks: Whether the dialect has metadata to mark requests with.
        may_wait: Raises if the calling thread must not wait for the service.
        audio_format: What answers are spoken in, unless a request or the service says otherwise.
    """

    def __init__(
        self,
        encode: Callable[[Command], bytes],
        send: Callable[[bytes], None],
        *,
        marks: bool,
        may_wait: Callable[[], None] = lambda: None,
        audio_format: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._encode = encode
        self._audio_format = audio_format
        self._send_bytes = send
        self._may_wait = may_wait
        self._marks = marks
        self._numbers = itertools.count(1)
        self._prefix = secrets.token_hex(4)
        self._lock = threading.Lock()  # leaf; guards everything below
        self._queue: collections.deque[_Request] = collections.deque()
        self._sent: _Request | None = None  # in the default conversation, asked for but not yet begun
        self._active_id: str | None = None
        self._by_mark: dict[str, _Request] = {}  # asked for but not yet begun
        self._by_id: dict[str, _Request] = {}  # begun
        self._is_held_up = False  # by a response in progress of which we have not heard yet
        self._expects_turn = False  # the service is about to answer a turn of the user
        self._cancels_turn = False
        self._late_cancel: Callable[[str | None], None] | None = (
            None  # for what had not begun when interrupted
        )
        self._do_marks_return = False
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
            may_wait: Whether it may queue behind a response in progress.
            owner: Kept alive by the handle, so that the connection lives as long as someone waits.
            wait: Waits until it can be sent; called when the request is known to be right.

        Raises:
            ValueError: If the service would refuse it.
            ResponseActiveError: If one is in progress and *may_wait* is false.
        """
        mark = f"{self._prefix}-{next(self._numbers)}"
        is_beside = config is not None and config.conversation == "none"
        command = self._command(config, mark, is_beside)
        request = _Request(command, self._encode(command), mark, is_beside)
        wait()

        def cancel(owner: object = owner) -> None:  # the default keeps the owner alive
            self._cancel_request(request)

        asked = config.output_audio_format if config is not None else None
        audio_format = asked if isinstance(asked, str) else self._audio_format() or "pcm16"
        handle = PendingResponse(cancel, self._may_wait, audio_format)
        request.handle = weakref.ref(handle)
        try:
            # Ctrl-C may come anywhere: what was entered and never sent would be waited for by all others.
            with self._lock:
                if self._ended is not None:
                    raise self._ended.again()
                if not is_beside and self._is_busy_locked():
                    if not may_wait:
                        raise ResponseActiveError(
                            "a response is in progress in the default conversation; wait for it, cancel it, "
                            'ask with conversation="none", or let this one wait its turn'
                        )
                    self._queue.append(request)
                    return handle
                self._enter_locked(request)
            self._send(request.command, request.payload)
        except BaseException:
            with self._lock:
                if request in self._queue:
                    self._queue.remove(request)
                self._forget_locked(request)
                following = self._next_locked()
            self._send_next(following)
            raise
        return handle

    def _command(self, config: ResponseConfig | None, mark: str, is_beside: bool) -> ResponseCreate:
        event_id = f"evt_{mark}"
        if not self._marks and not is_beside:
            return ResponseCreate(event_id=event_id, response=config)
        config = config or ResponseConfig()
        given: Mapping[str, str] = config.metadata if isinstance(config.metadata, Mapping) else {}
        if len(given) >= _MAX_PAIRS:
            raise ValueError(
                f"response.metadata has {len(given)} pairs; at most {_MAX_PAIRS - 1} are allowed, because "
                "the response is recognised by one more"
            )
        return ResponseCreate(event_id=event_id, response=evolve(config, metadata={**given, MARK: mark}))

    def _enter_locked(self, request: _Request) -> None:
        request.tries += 1
        self._by_mark[request.mark] = request
        if not request.is_beside:
            self._sent = request

    def _send(self, command: Command, payload: bytes) -> None:
        self._send_bytes(payload)
        log.debug("> %s", command.type)

    # ------------------------------------------------------------ cancelling

    def cancel(self, response_id: str | None = None) -> None:
        """
        Stop a response: the one in the conversation, or the one named.

        If it has been asked for but not begun, the wish is remembered and takes effect when it begins. If
        there is nothing to cancel, the service says so in an error that harms nothing.
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
        cancel(target if self._marks else None)
        return target

    def _cancel_request(self, request: _Request) -> None:
        with self._lock:
            if request in self._queue:
                self._queue.remove(request)
                is_queued = True
            elif request.response_id is None:
                request.is_cancelled = True
                return
            elif request.response_id in self._by_id:
                is_queued = False
            else:
                return  # over already
        if is_queued:
            request.tell(_cancelled())
        else:
            self._send_cancel(request.response_id)

    def _send_cancel(self, response_id: str | None) -> None:
        command = ResponseCancel(response_id=response_id if self._marks else None)
        self._send(command, self._encode(command))

    # ------------------------------------------------------------ the reader's side

    def expect_turn(self) -> None:
        """Take into account that the service is about to answer the user without being asked."""
        with self._lock:
            self._expects_turn = True

    def on_event(self, event: Event) -> bool:
        """
        Take an event of the service into account. Called by the reader; does not block.

        Returns:
            Whether somebody who holds a handle has learned of it.
        """
        if isinstance(event, ResponseCreated):
            return self._on_created(event)
        if isinstance(event, ResponseDone):
            return self._on_done(event)
        if isinstance(event, InputAudioBufferSpeechStarted):
            with self._lock:  # the turn before was never answered, so a wish to cancel its answer is void
                self._expects_turn = self._cancels_turn = False
            return False
        request = self._by_id.get(getattr(event, "response_id", None) or "")
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
                self._by_id[response_id] = request
                is_unwanted = request.is_cancelled
            is_beside = is_out_of_band(event.response) if request is None else request.is_beside
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
                    self._late_cancel(response_id if self._marks else None)
            except RealtimeError as exc:
                log.debug("! the response cannot be cancelled any more: %s", exc)
        return is_told

    def _match_locked(self, response: Response) -> _Request | None:
        mark = (response.metadata or {}).get(MARK)
        if mark is not None:
            self._do_marks_return = True
            return self._by_mark.get(mark)
        if is_out_of_band(response):
            return None
        # Without a mark it is ours only if marks get lost on the way and nobody else can have caused it.
        if self._marks and (self._do_marks_return or self._expects_turn):
            return None
        return self._sent

    def _on_done(self, event: ResponseDone) -> bool:
        response = event.response
        with self._lock:
            request = self._by_id.pop(response.id or self._active_id or "", None)
            if request is None:  # it failed before it began
                request = self._by_mark.get((response.metadata or {}).get(MARK, ""))
                if request is not None:
                    self._forget_locked(request)
            if response.id is None or response.id == self._active_id:
                self._active_id = None
            self._is_held_up = False
            following = self._next_locked()
        is_told = request is not None and request.feed(event)
        self._send_next(following)
        return is_told

    def on_error(self, error: ServiceError) -> Literal["told", "dropped", "retried"] | None:
        """
        Take a refusal into account. Called by the reader; does not block.

        Returns:
            ``"told"``: it was about a request of ours, and who holds its handle has learned of it;
            ``"dropped"``: nobody holds it; ``"retried"``: it will be sent again when it is its turn;
            ``None``: it was about something else.
        """
        with self._lock:
            request = self._refused_locked(error)
            if request is None:
                return None
            self._forget_locked(request)
            is_collision = error.code == _ACTIVE
            is_retried = is_collision and not request.is_cancelled and request.tries < _MAX_TRIES
            if is_retried:
                # The service began a response of its own in the same moment; ours waits for its end, which
                # comes even if we have not heard of its beginning yet.
                self._queue.appendleft(request)
                self._is_held_up = self._active_id is None
            following = self._next_locked()
        is_told = False
        if not is_retried:
            is_told = request.tell(_cancelled() if is_collision and request.is_cancelled else error)
        self._send_next(following)
        return "retried" if is_retried else "told" if is_told else "dropped"

    def _refused_locked(self, error: ServiceError) -> _Request | None:
        if error.event_id is not None:
            for request in self._by_mark.values():
                if request.command.event_id == error.event_id:
                    return request
            return None
        if error.code == _ACTIVE:
            return self._sent
        # The error does not say which command it means. One that says which field can be told by that, and
        # those of other commands by their code; what is left may as well be a request that was refused,
        # and to take it for that is better than to wait for a response that never comes.
        if error.param:
            if error.param != "response" and not error.param.startswith(("response.", "response[")):
                return None
        elif (error.code or "").startswith(_OTHER_COMMANDS):
            return None
        if self._sent is None and len(self._by_mark) == 1:
            return next(iter(self._by_mark.values()))
        return self._sent

    def end(self, outcome: RealtimeError) -> None:
        """Tell everyone that nothing will come any more."""
        with self._lock:
            self._ended = outcome
            requests = {*self._queue, *self._by_mark.values(), *self._by_id.values()}
            self._queue.clear()
            self._by_mark.clear()
            self._by_id.clear()
            self._sent = self._active_id = None
            self._is_held_up = False
        for request in requests:
            request.tell(outcome)

    def _is_busy_locked(self) -> bool:
        is_free = self._active_id is None and self._sent is None and not self._is_held_up
        return not is_free or bool(self._queue)

    def _forget_locked(self, request: _Request) -> None:
        self._by_mark.pop(request.mark, None)
        if self._sent is request:
            self._sent = None

    def _next_locked(self) -> _Request | None:
        if self._queue and self._active_id is None and self._sent is None and not self._is_held_up:
            request = self._queue.popleft()
            self._enter_locked(request)
            return request
        return None

    def _send_next(self, request: _Request | None) -> None:
        """Send a request whose turn has come; if that fails, its handle is told and the next one tried."""
        while request is not None:
            try:
                self._send(request.command, request.payload)
                return
            except (RealtimeError, TimeoutError) as exc:
                with self._lock:
                    self._forget_locked(request)
                    following = self._next_locked()
                request.tell(exc if isinstance(exc, RealtimeError) else RealtimeError(str(exc)))
                request = following


def _cancelled() -> Response:
    """What a response is that was cancelled before it began."""
    details = ResponseStatusDetails(type="cancelled", reason="client_cancelled")
    return Response(status="cancelled", status_details=details, output=[])
