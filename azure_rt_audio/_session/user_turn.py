"""
The user's turn: while it lasts, nothing is asked for in the default conversation.

It begins with ``speech_started`` or a press. What ends it, and what does if that never comes:

==============================  =========================================================
it is on since                  it ends with
==============================  =========================================================
``speech_started``, a press     ``committed`` where VAD does not answer; ``cleared``; turn
                                detection switched off; no sound appended for 2 s (semantic
                                VAD 10 s)
``committed`` where VAD         the ``response.created`` of that answer, or its ``done``; 5 s
answers, a release
either                          30 s in all; another connection
==============================  =========================================================

A turn that ended unanswered is still owed its answer, until the next turn or response of the service's own.

**Threads and locks.** None of its own: the response queue's lock guards it, but for ``has_sound``, which who
appends writes, and ``is_semantic``, the I/O thread's; both are written in one step. The properties are read
bare.
"""

from __future__ import annotations

from typing import Final

from attrs import define

__all__ = ["TurnLimits", "UserTurn"]

_SEMANTIC_FACTOR: Final = 5


@define
class TurnLimits:
    """Seconds after which a turn of the user is taken to be over."""

    unanswered: float = 5.0
    without_sound: float = 2.0
    in_all: float = 30.0


class UserTurn:
    """
    One turn after the other, by the clock of its caller.

    Attributes:
        expects_answer: The service is about to answer by itself.
        has_sound: Sound was appended since the last look. Written without the lock.
        is_semantic: Semantic VAD waits longer in silence. Written without the lock.
        is_detected: The turn was found by the service, not begun by a press.
    """

    def __init__(self, limits: TurnLimits) -> None:
        self._limits = limits
        self.is_semantic = False
        self.is_detected = False
        self.expects_answer = False
        self.has_sound = False
        self._began: float | None = None
        self._heard = 0.0
        self._committed = 0.0
        self._is_late = False  # the last turn ended unanswered
        self._is_owed = False  # the answer to the turn before may still come

    @property
    def is_speaking(self) -> bool:
        """Whether the user speaks, and has not been understood to have finished."""
        return self._began is not None and not self.expects_answer

    @property
    def is_on(self) -> bool:
        """Whether it is the user's turn."""
        return self._began is not None

    @property
    def may_be_answered(self) -> bool:
        """Whether the service may be about to answer: the turn, or the last one, which waited in vain."""
        return self.expects_answer or self._is_late

    def begin(self, now: float, *, is_detected: bool = True) -> None:
        """The user begins to speak; the turn before may stay unanswered."""
        self._is_owed = self.expects_answer
        self._began = self._heard = now
        self.expects_answer = self._is_late = False
        self.is_detected = is_detected

    def expect_answer(self, now: float) -> None:
        """The service has taken the turn and will answer it."""
        if self._began is None:
            self._began = now
        self._committed = now
        self.expects_answer = True

    def answer(self) -> bool:
        """The answer to the user begins; return whether it is the one to this turn, which ends it."""
        if self._is_owed and self.is_speaking:
            self._is_owed = False
            return False
        self.end()
        return True

    def claim_answer(self) -> None:
        """The late answer is asked for now."""
        self._is_late = False

    def end(self) -> None:
        """It is over."""
        self._began = None
        self.expects_answer = self._is_owed = self._is_late = False

    def check(self, now: float) -> str | None:
        """End a turn whose end did not come in time; return which time was over."""
        if self._began is None:
            return None
        if self.has_sound:
            self._heard, self.has_sound = now, False
        limits = self._limits
        reason = None
        if self.expects_answer:
            if now - self._committed >= limits.unanswered:
                reason = f"it was not answered for {limits.unanswered:g} s"
        else:
            silence = limits.without_sound * (_SEMANTIC_FACTOR if self.is_semantic else 1)
            if now - self._heard >= silence:
                reason = f"no sound was sent for {silence:g} s"
        if reason is None and now - self._began >= limits.in_all:
            reason = f"it lasted {limits.in_all:g} s"
        if reason is not None:
            is_late = self.expects_answer
            self.end()
            self._is_late = is_late
        return reason
