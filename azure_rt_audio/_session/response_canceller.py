"""
Cancelling responses, and which of them are not to be heard any more.

What leaves "cancelled": the response's ``response.done``; a refusal, which says that it was over already; if
neither comes, the silence of the response itself (see ``response_watchdog.py``).

**Threads and locks.** Any thread. The response queue's lock guards the table and the replacement of the
tuples, which are read bare; what is sent is sent after its release.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import logging
import secrets
import threading
from collections.abc import Callable
from typing import Final

from attrs import frozen

from .._log import get_logger
from ..errors import RealtimeError, ServiceError
from ..protocol.commands import Command, ResponseCancel
from ..protocol.responses import Response
from .response_request import ResponseRequest, cancelled_response
from .response_table import ResponseTable

__all__ = ["ResponseCanceller"]

log: logging.Logger = get_logger(__name__)

_REMEMBERED: Final = 64


@frozen
class _Cancel:
    """
    One ``response.cancel``.

    Attributes:
        response_id: Of the response that it is to stop, even where the dialect cannot name it.
        is_quiet: Whether a refusal is reported to no one.
    """

    event_id: str
    response_id: str | None
    is_quiet: bool


class ResponseCanceller:
    """
    Cancels the responses of a table.

    Args:
        lock: The queue's.
        encode: Checks and encodes a command.
        send: Sends it, given its bytes and the seconds to wait for room.
        can_name: Whether the dialect can name the response to cancel.
        call_in: Has :meth:`send_late` called on the I/O thread in so many seconds.
    """

    def __init__(
        self,
        table: ResponseTable,
        lock: threading.Lock,
        encode: Callable[[Command], bytes],
        send: Callable[[bytes, float | None], object],
        *,
        can_name: bool,
        call_in: Callable[[float], object],
    ) -> None:
        self._table = table
        self._lock = lock
        self._encode = encode
        self._send = send
        self._can_name = can_name
        self._call_in = call_in
        self._late: collections.deque[bytes] = collections.deque()  # for which there was no room
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._cancels: tuple[_Cancel, ...] = ()
        self._effective: tuple[_Cancel, ...] = ()  # their responses were cancelled
        self._unplayed: tuple[str, ...] = ()
        self._unwanted: tuple[str | None, ...] = ()

    def cancel(self, response_id: str | None = None) -> None:
        """
        Stop a response: the one in the conversation, or the one named.

        If it has been asked for but not begun, it is cancelled as soon as it begins. If there is nothing to
        cancel, the service answers with a harmless error.
        """
        if response_id is None:
            self.give_way()
        with self._lock:
            target = response_id or self._table.active_id
            request = self._table.begun.get(target) if target is not None else self._table.sent
            if request is not None:
                request.is_unwanted = True
            self._unwanted = (*self._unwanted[1 - _REMEMBERED :], target)
            is_noted = response_id is None and self._table.cancel_beginning()
        if not is_noted:
            self.send(response_id)

    def interrupt(self) -> str | None:
        """
        Stop the response in the conversation, now or when it begins; without one, do nothing.

        Returns:
            The id of the response; ``""`` if it has yet to begin; ``None`` if there is none.
        """
        self.give_way()
        with self._lock:
            target = self._table.active_id
            if target is None:
                return "" if self._table.cancel_beginning() else None
        self.send(target, is_quiet=True)
        return target

    def give_way(self) -> None:
        """Cancel what fills a silence: something else begins. On a connection that is over, do nothing."""
        with self._lock:
            filler = self._table.filler
            if filler is None:
                return
            filler.is_unwanted = True
            filler.is_cancelled = filler.response_id is None  # as soon as it begins
        if filler.response_id is not None:
            self.cancel_quietly(filler.response_id)

    def cancel_request(self, request: ResponseRequest) -> None:
        """Stop what a request asks for: at once, when it begins, or before it was ever sent."""
        # Finished before it is forgotten: what Ctrl-C leaves between the two, the table forgets.
        with self._lock:
            is_waiting = request in self._table.waiting
        if is_waiting:
            request.finish(cancelled_response())
        with self._lock:
            if request in self._table.waiting:
                self._table.forget(request)
                return
            if request.response_id is None:
                request.is_cancelled = request.is_unwanted = True
                return
            if request.response_id not in self._table.begun:
                return  # over already
            request.is_unwanted = True
        self.send(request.response_id, is_quiet=True)

    def send(self, response_id: str | None, *, is_quiet: bool = False) -> None:
        """
        Send the command; without an id it is for the response in the conversation, if there is one.

        Args:
            is_quiet: Whether nobody is told if there is nothing to cancel.
        """
        event_id = f"evt_{self._prefix}-c{next(self._numbers)}"
        with self._lock:
            target = response_id or self._table.active_id
            self._cancels = (*self._cancels[1 - _REMEMBERED :], _Cancel(event_id, target, is_quiet))
        named = target if self._can_name else None
        payload = self._encode(ResponseCancel(event_id=event_id, response_id=named))
        try:
            self._send(payload, 0.0)
        except TimeoutError:  # whoever cancels does not wait; for the I/O thread there is always room
            self._late.append(payload)
            self._call_in(0.0)

    def send_late(self) -> None:
        """Send what there was no room for. Called by the I/O thread."""
        while self._late:
            with contextlib.suppress(RealtimeError):
                self._send(self._late.popleft(), 0.0)

    def forget_late(self) -> None:
        """The connection is over, and its responses with it. Called by the I/O thread."""
        self._late.clear()

    def cancel_quietly(self, response_id: str | None) -> None:
        """The same where nobody waits for it; on a connection that is over, do nothing."""
        try:
            self.send(response_id, is_quiet=True)
        except (RealtimeError, TimeoutError) as exc:
            log.debug("! the response cannot be cancelled any more: %s", exc)

    def leave_unanswered(self, response_id: str) -> None:
        """Have the results of what a response has called, or still calls, not be answered."""
        with self._lock:
            request = self._table.begun.get(response_id)
            if request is not None:
                request.is_unwanted = True
            self._unwanted = (*self._unwanted[1 - _REMEMBERED :], response_id)

    def stop_quietly(self, response_id: str) -> None:
        """Cancel a response if it is in progress, where nobody waits for that."""
        with self._lock:
            is_over = response_id not in (*self._table.begun, self._table.active_id)
        if not is_over:
            self.cancel_quietly(response_id)

    def end_locked(self, response_id: str | None, response: Response) -> None:
        """
        Take the end of a response: unless it ended of itself, no refusal of its cancels is due.

        Only one that names such a cancel can still mean it.
        """
        reason = response.status_details.reason if response.status_details is not None else None
        if response_id is None or response.status != "cancelled" or reason == "turn_detected":
            return
        ended = tuple(c for c in self._cancels if c.response_id == response_id)
        self._cancels = tuple(c for c in self._cancels if c not in ended)
        self._effective = (*self._effective, *ended)[-_REMEMBERED:]

    def take_locked(self, error: ServiceError) -> _Cancel | None:
        """Return the cancel that an error refuses, and forget it: the one it names, or the oldest."""
        sent = self._cancels if error.event_id is None else (*self._cancels, *self._effective)
        found = next((c for c in sent if error.event_id in (None, c.event_id)), None)
        self._cancels = tuple(c for c in self._cancels if c is not found)
        return found

    def is_unwanted(self, response_id: str) -> bool:
        """Whether the program has cancelled a response; that the user interrupts one is something else."""
        request = self._table.begun.get(response_id)
        return response_id in self._unwanted or (request is not None and request.is_unwanted)

    def is_cancelled(self, response_id: str) -> bool:
        """Whether a cancel of a response was sent."""
        return any(cancel.response_id == response_id for cancel in (*self._cancels, *self._effective))

    def leave_unplayed(self, response_id: str) -> None:
        """What still comes of a response is not to be played. Called by the I/O thread alone."""
        self._unplayed = (*self._unplayed[1 - _REMEMBERED :], response_id)

    def is_unplayed(self, response_id: str) -> bool:
        """Whether what still comes of a response is not to be played: it was given up, or is asked again."""
        return response_id in self._unplayed
