"""
What is said while tools run: beside the conversation, so that it is neither heard nor answered by the model.

What leaves "to be said": n seconds of silence, in which the user does not speak, nothing is asked for, and
no answer is given or played; the output of the call. What leaves "said": its end; the user's turn, another
answer, or a request for one (``ResponseQueue.fill``).

**Threads.** The I/O thread.
"""

from __future__ import annotations

import logging
import weakref
from typing import Final

import attrs

from .._log import get_logger
from .._session.engine import Engine
from .._session.recital import recital
from ..protocol.base import UNSET
from ..protocol.turn import FILLER, ModelStatusEnum
from .call import Round
from .rounds import Rounds

__all__ = ["Fillers"]

log: logging.Logger = get_logger(__name__)

_LOOK: Final = 0.25
"""Seconds between two looks whether it is silent."""


class Fillers:
    """Has the model say something while tools run for long."""

    def __init__(self, engine: Engine, rounds: Rounds) -> None:
        self._rounds = rounds
        self._queue = engine.response_queue
        self._clock = engine.sender.clock
        self._status = weakref.WeakMethod(engine._status_now)
        self._heard_at = float("-inf")  # when something was said last
        self._can_fill = True

    def check(self) -> float | None:
        """Look at the clock; return the seconds until the next look, if there is to be one."""
        if not self._can_fill:
            return None
        with self._rounds.lock:
            waiting = [
                (call.started_at, tool.say_meanwhile_after_s, one, tool.say_meanwhile)
                for one in self._rounds.open.values()
                for call in one.calls.values()
                if not (one.is_filled or call.is_answered or call.started_at is None)
                and (tool := call.tool) is not None
                and tool.say_meanwhile is not None
            ]
        if not waiting:
            return None
        now, status = self._clock(), self._status()
        if not self._queue.may_fill() or status is None or status() is ModelStatusEnum.SPEAKING:
            self._heard_at = now
            return _LOOK
        due = [
            (max(started or 0.0, self._heard_at) + after, one, text) for started, after, one, text in waiting
        ]
        when, current, text = min(due, key=lambda one: one[0])
        if now < when:
            return min(_LOOK, when - now)
        self._say(current, text)
        return _LOOK

    def _say(self, current: Round, text: str) -> None:
        config = attrs.evolve(
            recital(text),
            conversation="none",
            input=[],
            tools=[],
            tool_choice=UNSET,
            metadata={FILLER: "1"},
        )
        try:
            current.is_filled = self._queue.fill(config)
        except ValueError:
            self._can_fill = False
            log.info(
                "= nothing is said while tools run: the protocol has no responses beside the conversation"
            )
