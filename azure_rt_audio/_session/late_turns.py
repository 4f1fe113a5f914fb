"""
Sound that is sent late, faster than it was spoken: the turns in it are answered once, not one by one.

While it is sent, turn detection does not ask for responses. When the service has taken it all, and no turn
goes on, detection is as before, and one response is asked for if a turn ended meanwhile. Not sooner: a
service may begin anew to listen when its detection is changed, and a user who has just finished would never
be answered.

What leaves "late": the answer to a second update, which changes nothing, its refusal, ``TIMEOUT`` without
either; then the end of the turn, which has the limits of every turn; then the answer to an update of the
program's that says how turns are to be found, or ``TIMEOUT`` without it.

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
from ..protocol.base import UNSET
from ..protocol.session import SessionConfig, TurnDetection
from .attempt import Attempt
from .configuration import Configuration
from .response_queue import ResponseQueue

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
        queue: ResponseQueue,
        clock: Callable[[], float],
        call_in: Callable[[float], object],
    ) -> None:
        self._configuration = configuration
        self._queue = queue
        self._clock = clock
        self._call_in = call_in
        self._attempt: Attempt | None = None  # until detection is as before
        self._deadline: Deadline | None = None  # until the sound was taken
        self._update_deadline: Deadline | None = None  # until an update of the program is answered
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
        asked = self._configuration.asked_turn_detection(with_pending=False)
        asked = asked if isinstance(asked, TurnDetection) else detection
        first = self._update(attempt, SessionConfig(turn_detection=evolve(asked, create_response=False)))
        send_sound()
        self._attempt = attempt
        # It changes nothing: what the program has asked for meanwhile is to last.
        self._steps = (first, self._update(attempt, SessionConfig(), weakly(self._taken)))

    def _update(
        self, attempt: Attempt, config: SessionConfig, done: Callable[[], object] = lambda: None
    ) -> _Step:
        step = _Step(done)
        self._configuration.send_own(attempt, config, step)
        return step

    def _taken(self) -> None:
        """All of it was taken."""
        if self._deadline is not None:
            self._deadline = None
            self._call_in(0.0)

    def _settle(self, attempt: Attempt) -> None:
        """No turn goes on: detection is as before, or as the program has asked for meanwhile."""
        self._attempt = self._update_deadline = None
        detection = self._configuration.turn_detection
        asked = self._configuration.asked_turn_detection(with_pending=True)
        if asked is UNSET and detection is not None:
            asked = evolve(detection, create_response=True)
        elif isinstance(asked, TurnDetection) and asked.create_response is None:
            asked = evolve(asked, create_response=True)  # a service may leave what is not named as it is
        is_wanted = isinstance(asked, TurnDetection) and asked.create_response is not False
        if self._configuration.is_current(attempt) and (asked is not None or detection is not None):
            with contextlib.suppress(ConnectionClosedError):  # its end is about to be told
                self._steps = (self._update(attempt, SessionConfig(turn_detection=asked)),)
        if is_wanted and self._configuration.turns_ended > self._turns:
            self._queue.answer_user()
        self._queue.release()

    def cancel(self) -> None:
        """The connection is over."""
        self._attempt = self._deadline = self._update_deadline = None
        self._steps = ()

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
        if self._configuration.is_detection_changing:  # if it is refused, it is not what was asked for
            self._update_deadline = self._update_deadline or Deadline(_TIMEOUT, self._clock)
            if not self._update_deadline.expired:
                return _LOOK
        self._settle(self._attempt)
        return None
