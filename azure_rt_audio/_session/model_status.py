"""
What the model is doing, for user interfaces, and how it is reported.

What leaves each state (see also ``protocol/turn.py``), and what does if that never comes:

=============  ==========================================  ================================================
status         it goes on with                             else
=============  ==========================================  ================================================
listening      the answer's ``response.created``           the end of the user's turn, which is bounded
                                                           (``user_turn.py``): back to what is in progress
thinking       the first sound; ``response.done``;         the response is given up
               ``speech_started``                          (``response_watchdog.py``): idle
speaking       ``response.done``, then the speaker's end   the same; without a speaker, the next turn
any            the end of the session: idle
=============  ==========================================  ================================================

In place of idle it is thinking while calls of tools wait for their results, or results for their answer
(``_tool_loop/loop.py`` has what ends that). The rest of the client goes by ``turn.status``, without that.

**Threads and locks.** The I/O thread follows the events; any thread sets the status. ``ModelStatus._lock`` is
a leaf.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..protocol.events import Event
from ..protocol.events.local import StatusChanged
from ..protocol.turn import ModelStatusEnum, TurnState

__all__ = ["ModelStatus"]


class ModelStatus:
    """
    The status of one session. Methods that change it return the change, which is the caller's to report.

    Attributes:
        turn: What it is derived from; the I/O thread looks at it for every piece of sound.
    """

    def __init__(self) -> None:
        self.turn = TurnState()
        self._lock = threading.Lock()  # leaf; guards the status
        self._is_at_work = False  # guarded by _lock

    @property
    def now(self) -> ModelStatusEnum:
        """What the model is doing."""
        status = self.turn.status
        is_busy = self._is_at_work and status is ModelStatusEnum.IDLE
        return ModelStatusEnum.THINKING if is_busy else status

    def set(self, status: ModelStatusEnum) -> StatusChanged | None:
        """Set it; idle is thinking all the same while calls are at work."""
        with self._lock:
            previous = self.now
            self.turn.status = status
            return _change(previous, self.now)

    def end(self) -> StatusChanged | None:
        """The session is over."""
        with self._lock:
            previous, self._is_at_work, self.turn.status = self.now, False, ModelStatusEnum.IDLE
            return _change(previous, self.now)

    def follow_calls(self, is_at_work: bool, change: StatusChanged | None) -> StatusChanged | None:
        """Take into account whether calls are at work; return that and a change before it as one."""
        with self._lock:
            previous = self.now if change is None else change.previous
            self._is_at_work = is_at_work
            return _change(previous, self.now)

    def follow_speaker(self, response_id: str, *, is_playing: bool) -> StatusChanged | None:
        """Let it follow the playback of a response."""
        with self._lock:
            previous = self.now
            self.turn.follow_speaker(response_id, is_playing=is_playing)
            return _change(previous, self.now)

    def advance(self, event: Event) -> StatusChanged | None:
        """Take an event into account."""
        with self._lock:
            previous = self.now
            self.turn.advance(event)
            return _change(previous, self.now)

    def rest(self) -> StatusChanged | None:
        """Nothing is in progress any more: the connection is over."""
        with self._lock:
            previous = self.now
            self.turn.rest()
            return _change(previous, self.now)

    def settle(self, *, has_turn_ended: bool, has_lost: Callable[[str], bool]) -> StatusChanged | None:
        """Leave a status whose end was not heard of: the user's turn is over, or the response was lost."""
        lost = self.turn.current
        is_lost = lost is not None and has_lost(lost)
        with self._lock:
            previous = self.now
            if is_lost and self.turn.current == lost:
                self.turn.lose()
            if has_turn_ended:
                self.turn.stop_listening()
            return _change(previous, self.now)


def _change(previous: ModelStatusEnum, status: ModelStatusEnum) -> StatusChanged | None:
    return None if status is previous else StatusChanged(status=status, previous=previous)
