"""
Sound that is sent late, faster than it was spoken: the turns in it are answered once, not one by one.

While it is sent, turn detection does not ask for responses. When the service has taken it all, and no turn
goes on, detection is as before, and one response is asked for if a turn ended meanwhile. Not sooner: a
service may begin anew to listen when its detection is changed, and a user who has just finished would never
be answered.

What leaves "late": the answer to the second update of the session, its refusal, ``TIMEOUT`` without either;
then the end of the turn, which has the limits of every turn.

**Threads.** The I/O thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from attrs import evolve

from .._concurrency.deadline import Deadline
from .._concurrency.weak_call import weakly
from ..errors import ConnectionClosedError
from ..protocol.commands import SessionUpdate
from ..protocol.session import SessionConfig
from .attempt import Attempt
from .configuration import Configuration
from .response_queue import ResponseQueue
from .sender import CommandSender
from .waiters import Waiters, placeholder

__all__ = ["LateTurns"]

_TIMEOUT: Final = 3.0
"""Seconds after which requests wait no longer."""

_LOOK: Final = 0.05
"""Seconds between two looks whether the turn is over."""


class _Step(Future[Any]):
    """Calls a function when an update was answered, or refused."""

    def __init__(self, done: Callable[[], object]) -> None:
        super().__init__()
        self._done = done

    def set_result(self, result: Any) -> None:
        super().set_result(result)
        self._done()

    def set_exception(self, exception: BaseException | None) -> None:
        super().set_exception(exception)
        self._done()


class LateTurns:
    """
    Sends late sound on a new connection.

    Args:
        queue: Held until the sound was taken; released then.
        call_in: Has :meth:`check` called in that many seconds.
    """

    def __init__(
        self,
        configuration: Configuration,
        sender: CommandSender,
        waiters: Waiters,
        queue: ResponseQueue,
        clock: Callable[[], float],
        call_in: Callable[[float], object],
    ) -> None:
        self._configuration = configuration
        self._sender = sender
        self._waiters = waiters
        self._queue = queue
        self._clock = clock
        self._call_in = call_in
        self._attempt: Attempt | None = None  # until detection is as before
        self._deadline: Deadline | None = None  # until the sound was taken
        self._steps: tuple[_Step, ...] = ()
        self._turns = 0  # that had ended when it began

    def send(self, attempt: Attempt, send_sound: Callable[[], None]) -> None:
        """
        Have the sound sent, and the queue released when it was taken.

        Raises:
            ConnectionClosedError: If the connection is over.
        """
        detection = self._configuration.turn_detection
        assert detection is not None
        self._deadline = Deadline(_TIMEOUT, self._clock)
        self._turns = self._configuration.turns_ended
        asked = self._configuration.asked_turn_detection or detection
        quiet = evolve(asked, create_response=False)
        first = self._update(attempt, quiet, lambda: None)
        send_sound()
        self._attempt = attempt
        self._steps = (first, self._update(attempt, quiet, weakly(self._taken)))

    def _update(self, attempt: Attempt, detection: Any, done: Callable[[], object]) -> _Step:
        command = SessionUpdate(
            event_id=self._sender.new_event_id(), session=SessionConfig(turn_detection=detection)
        )
        step = _Step(done)
        waiter = placeholder(SessionUpdate.TYPE, command.event_id, step)
        self._waiters.add(waiter)
        self._waiters.note_sent(waiter)
        attempt.expect(command.event_id, None, is_internal=True)
        attempt.send(self._sender.encode_as_is(command), 0.0)
        return step

    def _taken(self) -> None:
        """All of it was taken."""
        if self._deadline is not None:
            self._deadline = None
            self._call_in(0.0)

    def _settle(self, attempt: Attempt) -> None:
        """No turn goes on: detection is as before."""
        self._attempt = None
        detection = self._configuration.turn_detection
        if detection is not None:
            asked = self._configuration.asked_turn_detection or evolve(detection, create_response=True)
            with contextlib.suppress(ConnectionClosedError):  # its end is about to be told
                self._steps = (self._update(attempt, asked, lambda: None),)
        if self._configuration.turns_ended > self._turns:
            self._queue.answer_user()
        self._queue.release()

    def cancel(self) -> None:
        """The connection is over."""
        self._attempt, self._deadline, self._steps = None, None, ()

    def check(self) -> float | None:
        """Look at the clock; return the seconds until the next look."""
        if self._attempt is None:
            return None
        if self._deadline is not None:
            if not self._deadline.expired:
                return 0.5
            self._deadline = None
        if self._queue.turn.is_on:
            return _LOOK
        self._settle(self._attempt)
        return None
