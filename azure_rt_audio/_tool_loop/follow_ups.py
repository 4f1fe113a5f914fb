"""
The answers to the results of tools: asked for once, or found in another response that begins.

**Threads.** The I/O thread reports what begins and ends; any thread asks and cancels.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterable
from typing import Any, cast

import attrs

from .._concurrency.weak_call import weakly
from .._log import get_logger
from .._session.engine import Engine
from .._session.pending_response import PendingResponse
from .._session.response_request import ResponseRequest, cancelled_response
from ..errors import RealtimeError
from ..protocol.base import UNSET, Unset
from ..protocol.events import ResponseCreated
from ..protocol.responses import Response, ResponseConfig
from ..protocol.tools import ToolChoice
from ..protocol.turn import is_out_of_band
from .call import FollowUp, Round, Waiting
from .rounds import Rounds

__all__ = ["FollowUps"]

log: logging.Logger = get_logger(__name__)


class FollowUps:
    """
    Asks for the answers to rounds, one at a time.

    Args:
        abandon: Called with rounds whose results nobody waits for any more, from any thread.
        max_rounds: See ``ToolLoop``.
    """

    def __init__(
        self,
        engine: Engine,
        rounds: Rounds,
        abandon: Callable[[Iterable[Round]], object],
        *,
        max_rounds: int,
    ) -> None:
        self._rounds = rounds
        self._abandon = abandon
        self._max_rounds = max_rounds
        self._queue = engine.response_queue
        self._canceller = engine.response_queue.canceller
        self._configuration = engine.configuration
        self._clock = engine.sender.clock
        # Guarded by the lock of the rounds:
        self._asked: FollowUp | None = None  # asked for, and not yet begun
        self._begun: dict[str, FollowUp] = {}  # by response; kept until its end was passed on

    @property
    def begun(self) -> list[str]:
        """The responses that answer results, and have not ended."""
        return list(self._begun)

    def open_round_locked(self, response_id: str) -> Round:
        """Open the round of a response that calls: whoever waits for it waits for the answer, too."""
        before, request = self._begun.get(response_id), self._queue.begun.get(response_id)
        waiting = [] if before is None else list(before.waiting)
        if request is not None and request.stands_for is not None:
            request = request.stands_for  # it is accepted after all if it is completed
        if request is not None and not request.is_follow_up:  # the handle of its own asker
            handle = cast("weakref.ReferenceType[PendingResponse] | None", request.handle)
            waiting.append(Waiting(handle, request.config, self._configuration.assistant))
        level = 1 if before is None else before.level + 1
        current = Round(response_id, level, waiting or [Waiting()])
        self._rounds.open[response_id] = current
        return current

    def keep_open(self, response_id: str, waiting: Iterable[Waiting]) -> None:
        """Let handles stay open when the response ends."""
        for one in waiting:
            handle = one.held
            if handle is not None:
                handle._go_on(response_id, weakly(self.cancel, one))

    # ------------------------------------------------------------ asking

    def ask_if_due(self) -> None:
        """Ask for the answer to all that is due, unless it is asked for already; from any thread."""
        if not self._rounds.due:  # read bare: who adds to it asks again
            return
        with self._rounds.lock:
            if not self._rounds.due or self._asked is not None or self._rounds.has_ended:
                return
            self._asked = asked = FollowUp(self._rounds.due, weakly(self._on_begun), weakly(self._on_failed))
            config = self._config_locked(asked)
        try:
            asked.request = self._queue.follow_up(config, asked)
        except (RealtimeError, TimeoutError, ValueError) as exc:
            asked._finish(exc if isinstance(exc, RealtimeError) else RealtimeError(str(exc)))
            return
        if asked.is_withdrawn:
            self._canceller.cancel_request(asked.request)

    def _config_locked(self, asked: FollowUp) -> ResponseConfig | None:
        """Return what the follow-up is to have different: as the question, but free to answer."""
        waiting = [one for current in reversed(asked.rounds) for one in current.waiting]
        config = next((self._still_wanted(one) for one in waiting if one.config), None)
        session = self._configuration.session
        choice: Any = None if session is None else session.tool_choice
        if config is not None and not isinstance(config.tool_choice, Unset):
            choice = config.tool_choice
        wanted: str | Unset = UNSET
        if asked.level >= self._max_rounds:
            wanted = "none"
        elif isinstance(choice, ToolChoice) or choice == "required":
            wanted = "auto"  # it would have to call for ever
        if config is None:
            return None if wanted is UNSET else ResponseConfig(tool_choice=wanted)
        return attrs.evolve(
            config,
            conversation=UNSET,
            input=UNSET,
            input_items=UNSET,
            append_input_items=UNSET,
            tool_choice=config.tool_choice if wanted is UNSET else wanted,
        )

    def _still_wanted(self, one: Waiting) -> ResponseConfig | None:
        """Return what was asked to be different: not instructions and tools for another assistant."""
        if one.config is None or one.assistant == self._configuration.assistant:
            return one.config
        return attrs.evolve(one.config, instructions=UNSET, prompt=UNSET, tools=UNSET, tool_choice=UNSET)

    # ------------------------------------------------------------ what begins and ends: the I/O thread

    def _on_begun(self, asked: FollowUp, response: Response, *, is_late: bool = False) -> None:
        """The follow-up has begun; if that is heard at its end, it answers what it was asked for alone."""
        response_id = response.id or ""
        with self._rounds.lock:
            if self._asked is asked:
                self._asked = None
            self._begun = {key: one for key, one in self._begun.items() if one is not asked}
            early = self._rounds.open.get(response_id)
            if early in asked.rounds:  # a service that gives an id twice: it is no call of this response
                early = None
            if is_late:
                asked.take(self._rounds.take_locked(asked.rounds))
            else:
                asked.take(self._rounds.take_answered_locked(self._clock(), asked.rounds, but=early))
            self._begun[response_id] = asked
            if early is not None:
                early.level = asked.level + 1
        # It was to be cancelled, and came to its end all the same, or its beginning was lost.
        self._hand_on(early, response, asked.waiting)

    def begin_late(self, request: ResponseRequest, response: Response) -> None:
        """A response ends whose ``response.created`` was lost: who waits for it is known now."""
        asked = request.handle() if request.handle is not None else None
        if isinstance(asked, FollowUp):
            self._on_begun(asked, response, is_late=True)
        elif asked is not None and not request.is_out_of_band:
            handle = cast("weakref.ReferenceType[PendingResponse]", request.handle)
            waiting = Waiting(handle, request.config, self._configuration.assistant)
            self._hand_on(self._rounds.open.get(response.id or ""), response, [waiting])

    def _hand_on(self, early: Round | None, response: Response, waiting: list[Waiting]) -> None:
        """Have them wait for the answer to calls that were taken before it was known who waits."""
        if early is None:
            return
        with self._rounds.lock:
            early.waiting = [one for one in early.waiting if one.handle is not None] + waiting or [Waiting()]
            outputs = list(early.outputs)
            goes_on = early.is_over
            if goes_on:
                early.response = early.response or response  # it had counted as lost, without an end
                goes_on = early.goes_on
                if not goes_on:
                    early.waiting = [Waiting()]
        for one in waiting:
            one.note(*outputs)
        if goes_on:
            self.keep_open(response.id or "", waiting)

    def on_created(self, event: ResponseCreated) -> None:
        """Another response has begun: it may answer what is due."""
        if not self._rounds.due:
            return
        response_id = event.response.id or ""
        request = self._queue.begun.get(response_id)
        if is_out_of_band(event.response) or (
            request is not None
            and (
                request.is_out_of_band
                or request.is_follow_up
                or request.is_cancelled
                or request.is_recital
                or request.stands_for is not None
            )
        ):
            self.ask_if_due()
            return
        is_question = request is not None and request.ask_first is not None
        with self._rounds.lock:
            answered = self._rounds.take_answered_locked(self._clock(), (), for_nobody=is_question)
            if answered:
                other = FollowUp(
                    answered, lambda asked, response: None, weakly(self._on_failed), is_others=True
                )
                other.take(answered)
                self._begun[response_id] = other
        if not answered:
            return
        if other._is_held:
            self._queue.follow(response_id, other)
            other._feed(event)
        self.withdraw_if_answered()
        self.ask_if_due()

    def on_done(self, response_id: str) -> None:
        """A response has ended, and its handles have been told."""
        if response_id not in self._begun:  # read bare: it was put there on this thread
            return
        with self._rounds.lock:
            self._begun.pop(response_id, None)

    def on_lost(self, response_id: str) -> None:
        """A response is not there any more: it is over, unless it is asked for on another connection."""
        with self._rounds.lock:
            asked = self._begun.get(response_id)
            if asked is not None and (asked.done or asked.request is None):
                del self._begun[response_id]

    def _on_failed(self, asked: FollowUp, outcome: Response | RealtimeError) -> None:
        """What ended a follow-up was no event: it was refused, lost or cancelled, or the session is over."""
        with self._rounds.lock:
            if asked.is_withdrawn:
                return
            if self._asked is asked:
                self._asked = None
                asked.take(self._rounds.take_answered_locked(self._clock(), asked.rounds))
        for one in asked.waiting:
            handle = one.held
            if handle is not None:
                handle._finish(outcome)
        if not asked._is_held and isinstance(outcome, RealtimeError) and not self._rounds.has_ended:
            log.warning("! the results of tools stay without an answer: %s", outcome)

    # ------------------------------------------------------------ taking back: any thread

    def withdraw_if_answered(self) -> None:
        """Take the follow-up back if nothing is due any more that it was asked for."""
        with self._rounds.lock:
            asked = self._asked
            if asked is None or any(one in self._rounds.due for one in asked.rounds):
                return
            asked.is_withdrawn, self._asked = True, None
        if asked.request is not None:
            self._canceller.cancel_request(asked.request)

    def cancel(self, one: Waiting) -> None:
        """Somebody does not wait any more; from any thread."""
        with self._rounds.lock:
            one.is_cancelled = True
            unwanted = [r for r in self._rounds.open.values() if all(w.is_cancelled for w in r.waiting)]
            for current in unwanted:
                current.is_wanted = False
                self._rounds.drop_due_locked(current)
            begun = next((asked for asked in self._begun.values() if one in asked.waiting), None)
            is_alone = begun is not None and all(other.is_cancelled for other in begun.waiting)
        self._abandon(unwanted)
        self.withdraw_if_answered()
        if begun is not None and begun.request is not None and is_alone:
            self._canceller.cancel_request(begun.request)  # its end is passed on
            return
        handle = one.held
        if handle is not None:
            handle._finish(cancelled_response())
