"""
The loop of tools: calls are run, their outputs sent, and the answer to them is asked for.

A call starts when its item is complete. Its output goes out as soon as there is one. When those of a response
are all out and the response is over, **one** follow-up is asked for, right behind them on the wire, which
waits for the user's turn as any request does. What begins after the outputs were acknowledged answers them,
too: the follow-up is withdrawn then. The answer to a question of ``ask`` is its asker's: whoever waits for an
answer to results gets one of his own.

What leaves each state, and what does if that never comes:

===================  ==========================================  ==========================================
a call is            it goes on with                             else
===================  ==========================================  ==========================================
to be approved       a decision                                  ``approval_timeout_s`` of the tool: denied
running              the function's end; the session's end       ``timeout_s`` of the tool; without it, it
                                                                 keeps neither the user nor the next
                                                                 response waiting
out                  the acknowledgement or a refusal            5 s: it counts as acknowledged
out, response open   ``response.done``                           the response is given up as lost
due                  a follow-up, or another answer, begins      what ends a request: ``response_queue.py``
===================  ==========================================  ==========================================

**Threads and locks.** The I/O thread reports events; threads of tools report results; any thread cancels.
``ToolLoop._lock`` is a leaf. It guards calls, rounds and follow-ups; what is sent is decided under it and
sent after. The loop holds parts of the engine, neither the engine nor the client.
"""

from __future__ import annotations

import functools
import logging
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, cast

import attrs

from .._log import get_logger
from .._session.engine import Engine
from .._session.pending_response import PendingResponse
from .._session.response_request import cancelled_response
from .._session.response_watchdog import LOOK
from ..errors import RealtimeError, ServiceError
from ..protocol.base import UNSET, Unset
from ..protocol.events import Event, ResponseCreated, ResponseDone, ResponseOutputItemDone
from ..protocol.events.local import LocalEvent, ToolApprovalRequested, ToolEnded, ToolProgress, ToolStarted
from ..protocol.items import FunctionCallItem
from ..protocol.responses import Response, ResponseConfig
from ..protocol.tools import ToolChoice
from ..protocol.turn import is_out_of_band
from ..tools.context import ToolContext
from ..tools.output import ToolOutput, error_output
from ..tools.tool import Tool
from .call import Call, FollowUp, Round, Waiting
from .catalogue import Catalogue
from .job import run_tool
from .outputs import OutputSender, Sent
from .runner import Job

__all__ = ["ToolLoop"]

log: logging.Logger = get_logger(__name__)

_ACKNOWLEDGED: Final = 5.0
"""Seconds after which an output counts as acknowledged: that may have been lost."""

_ANSWERED: Final = ("completed", "incomplete", "cancelled", None)
"""How a response may have ended whose results are answered."""

_CUT: Final = error_output("the call was cut off before it was complete, and was not run")
_BUSY: Final = error_output("too many calls wait already; try again later")
_STARTED: Final = ToolOutput('{"status":"started; the result follows in a message, when it is there"}')
_RUNNING: Final = error_output("this runs already, with the same arguments; wait for its result")
_NO_MORE: Final = error_output("no more functions can be called now; answer with what is known")


class ToolLoop:
    """
    Runs the calls of one session.

    Args:
        catalogue: The tools.
        submit: Has a job run on a thread of the tools; returns whether there is room.
        find_client: Returns the client, if it is still there.
        follow_up: ``"never"`` leaves it to the program to ask for the answer to results.
        max_rounds: How often tools are called, at most, before an answer without.
    """

    def __init__(
        self,
        engine: Engine,
        catalogue: Catalogue,
        submit: Callable[[Job], bool],
        *,
        find_client: Callable[[], Any] = lambda: None,
        follow_up: Literal["auto", "never"] = "auto",
        max_rounds: int = 8,
    ) -> None:
        self._catalogue = catalogue
        self._submit = submit
        self._find_client = find_client
        self._follow_up: Literal["auto", "never"] = follow_up
        self._max_rounds = max_rounds
        self._queue = engine.response_queue
        self._canceller = engine.response_queue.canceller
        self._configuration = engine.configuration
        self._outputs = OutputSender(engine.sender, engine.conversation._note_sent)
        self._ask = engine.questions.ask
        self._clock = engine.sender.clock
        self._call_in = engine.attempts.call_in
        self._engine = weakref.ref(engine)
        self._lock = threading.Lock()  # leaf; guards all that follows
        self._rounds: dict[str, Round] = {}  # until their results are answered, by response
        self._due: list[Round] = []  # all outputs are out, and nothing that has begun answers them
        self._asked: FollowUp | None = None  # asked for, and not yet begun
        self._begun: dict[str, FollowUp] = {}  # by response; kept until its end was passed on
        self._running: set[Call] = set()  # whose functions have not returned
        self._has_ended = False

    # ------------------------------------------------------------ events: the I/O thread

    def on_event(self, event: Event) -> None:
        """Take the beginning of a response, or a call that is complete."""
        if isinstance(event, ResponseOutputItemDone):
            if isinstance(event.item, FunctionCallItem):
                self._take_call(event.response_id, event.item)
        elif isinstance(event, ResponseCreated):
            if not is_out_of_band(event.response):
                self._catalogue.forget(self._configuration.session)
            self._on_created(event)
        elif isinstance(event, ResponseDone):
            with self._lock:
                self._begun.pop(event.response.id or "", None)
            self._ask_if_due()

    def on_ending(self, event: ResponseDone) -> None:
        """Take the end of a response before its handle does, which may have to stay open."""
        response = event.response
        response_id = response.id or ""
        for item in response.function_calls:
            self._take_call(response_id, item, is_cut=response.status not in ("completed", None))
        self._end_response(response_id, response)
        self._ask_if_due()  # what asks now comes before all that waits for the end of this response

    def _take_call(self, response_id: str, item: FunctionCallItem, *, is_cut: bool = False) -> None:
        request = self._queue.begun.get(response_id)
        call_id, name = item.call_id, item.name or ""
        if not call_id or (request is not None and request.is_out_of_band):
            return  # it is not in the conversation, nor could its output be
        config = None if request is None else request.config
        tool = self._catalogue.find(name)
        with self._lock:
            current = self._rounds.get(response_id)
            if self._has_ended or (current is not None and call_id in current.calls):
                return
            if current is None:
                current = self._new_round_locked(response_id)
            if tool is None and self._catalogue.is_by_hand(name, config, self._configuration.session):
                current.is_by_hand = True
                return
            call = Call(item, call_id, self._context(call_id, name), self._clock(), tool)
            current.calls[call_id] = call
        self._call_in(LOOK)
        if item.status == "incomplete" or (is_cut and item.status != "completed"):
            self._answer(current, call, _CUT)
        elif current.level > self._max_rounds:
            self._answer(current, call, _NO_MORE)
        elif tool is None:
            self._answer(current, call, self._catalogue.unknown(name))
        elif tool.on_duplicate == "refuse" and self._runs_already(call):
            self._answer(current, call, _RUNNING)
        elif tool.needs_approval:
            self._ask_approval(current, call, tool)
        else:
            self._start(current, call, tool)

    def _new_round_locked(self, response_id: str) -> Round:
        before, request = self._begun.get(response_id), self._queue.begun.get(response_id)
        waiting = [] if before is None else list(before.waiting)
        if request is not None and request.stands_for is not None:
            request = request.stands_for  # it is accepted after all if it is completed
        if request is not None and not request.is_follow_up:  # the handle of its own asker
            handle = cast("weakref.ReferenceType[PendingResponse] | None", request.handle)
            waiting.append(Waiting(handle, request.config))
        level = 1 if before is None else before.level + 1
        current = Round(response_id, level, waiting or [Waiting()])
        self._rounds[response_id] = current
        return current

    def _end_response(self, response_id: str, response: Response | None) -> None:
        """Take the end of a response; ``None`` if it was lost."""
        is_unwanted = self._canceller.is_unwanted(response_id)
        with self._lock:
            current = self._rounds.get(response_id)
            if current is None or current.is_over:
                return
            current.is_over, current.response = True, response
            status = None if response is None else response.status
            current.is_wanted = (
                self._follow_up == "auto"
                and bool(current.calls)
                and not (current.is_by_hand or is_unwanted)
                and not all(one.is_cancelled for one in current.waiting)
                and status in _ANSWERED
                and current.level <= self._max_rounds
            )
            waiting, is_settled = current.waiting, self._settle_locked(current)
            goes_on = current.is_wanted and not is_settled and status == "completed"
            if not goes_on:
                current.waiting = [Waiting(config=waiting[-1].config)]
        if goes_on:
            self._keep_open(response_id, waiting)
        if is_unwanted:
            self._abandon([current])

    def _keep_open(self, response_id: str, waiting: Iterable[Waiting]) -> None:
        """Let handles stay open when the response ends."""
        for one in waiting:
            handle = one.held
            if handle is not None:
                handle._go_on(response_id, _weakly(self._cancel, one))

    # ------------------------------------------------------------ running

    def _context(self, call_id: str, name: str) -> ToolContext:
        engine = self._engine

        def tell(text: str) -> None:
            alive = engine()
            if alive is not None:
                alive.tell(ToolProgress(call_id=call_id, name=name, text=text))

        return ToolContext(call_id, name, find_client=self._find_client, tell=tell)

    def _tell(self, event: LocalEvent) -> None:
        engine = self._engine()
        if engine is not None:
            engine.tell(event)

    def _start(self, current: Round, call: Call, tool: Tool) -> None:
        arguments = call.item.arguments or ""
        self._tell(
            ToolStarted(
                call_id=call.call_id, name=tool.name, arguments=arguments, response_id=current.response_id
            )
        )
        with self._lock:
            self._running.add(call)
            call.started_at = self._clock()
        if tool.timeout_s is not None:
            self._call_in(min(tool.timeout_s, LOOK))
        answer = _weakly(self._returned, current, call, tool)
        if not self._submit(functools.partial(run_tool, tool, arguments, call.context, answer, self._submit)):
            self._returned(current, call, tool, _BUSY)
        elif tool.background:
            self._answer(current, call, _STARTED)

    def _ask_approval(self, current: Round, call: Call, tool: Tool) -> None:
        request = ToolApprovalRequested(
            call_id=call.call_id,
            name=tool.name,
            arguments=call.item.arguments or "",
            decide=_weakly(self._decide, current, call, tool),
        )
        with self._lock:
            call.asked_at = self._clock()
        self._call_in(min(tool.approval_timeout_s, LOOK))
        if not callable(tool.needs_approval):
            engine = self._engine()
            if engine is not None and not engine.has_listener(ToolApprovalRequested):
                log.warning("! tool %s needs approval, and nobody listens to %r", tool.name, request.type)
            self._tell(request)
        elif not self._submit(functools.partial(tool._ask_approver, request)):
            self._answer(current, call, _BUSY)

    def _decide(self, current: Round, call: Call, tool: Tool, is_approved: bool, reason: str | None) -> bool:
        """Take a decision; from any thread. Return whether it was the first."""
        with self._lock:
            if call.is_decided or call.is_answered or self._has_ended:
                return False
            call.is_decided = True
        if is_approved:
            self._start(current, call, tool)
        else:
            why = f": {reason}" if reason else ""
            self._answer(current, call, error_output(f"this call was not allowed, and did not run{why}"))
        return True

    def _runs_already(self, call: Call) -> bool:
        with self._lock:
            return any(
                other is not call and other.tool is call.tool and other.arguments == call.arguments
                for other in self._running
            )

    def _returned(self, current: Round, call: Call, tool: Tool, output: ToolOutput) -> None:
        """Take what a function has come to, in time or late; called by the thread that ran it."""
        with self._lock:
            self._running.discard(call)
            is_late, has_ended = call.is_answered, self._has_ended
        if has_ended:
            return
        if not is_late:
            self._answer(current, call, output)
        elif tool.background or tool.late == "tell":
            self._tell_late(call, output)
        else:
            log.info("= the late result of tool %s was dropped", tool.name)

    def _tell_late(self, call: Call, output: ToolOutput) -> None:
        """Tell the model of a result whose call was answered before, in its turn, and have it answered."""
        item = self._outputs.late_item(call.item, output)
        try:
            if self._follow_up == "auto":
                self._ask(item, None, None)  # as a question: sent right before the request for its answer
            else:
                self._outputs.send(item, Sent(lambda problem: None), output.images)
        except (RealtimeError, TimeoutError) as exc:
            log.warning("! the late result of tool %s was not sent: %s", call.context.name, exc)
            return
        self._tell_end(call, output)

    def _tell_end(self, call: Call, output: ToolOutput) -> None:
        self._tell(
            ToolEnded(
                call_id=call.call_id,
                name=call.context.name,
                output=output.text,
                error=output.error,
                seconds=self._clock() - call.since,
            )
        )

    def _answer(self, current: Round, call: Call, output: ToolOutput) -> None:
        """Send what a call has come to, and ask for the answer if it was the last; from any thread."""
        with self._lock:
            if call.is_answered or self._has_ended:
                return
            call.is_answered = True
            call.sent_at = self._clock()
            call.future = future = Sent(_weakly(self._settle, current, call))
        item = self._outputs.item(call.call_id, output)
        problem: TimeoutError | None = None
        try:
            self._outputs.send(item, future, output.images)
        except ValueError as exc:
            log.warning("! images of tool %s were not sent: %s", call.context.name, exc)
        except RealtimeError as exc:
            log.warning("! the output of tool %s was not sent: %s", call.context.name, exc)
            return  # the session is over, and whoever waits is about to be told
        except TimeoutError as exc:
            problem = exc
            log.warning("! the output of tool %s was not sent: %s", call.context.name, exc)
        current.note(item)
        with self._lock:
            call.is_out = True
            call.is_refused |= problem is not None
            is_settled = self._settle_locked(current)
        if output is not _STARTED:
            self._tell_end(call, output)
        if is_settled:
            self._finish_in_vain(current)
        self._ask_if_due()

    def _settle(self, current: Round, call: Call, problem: BaseException | None) -> None:
        """Take the acknowledgement of an output, or its refusal. Called by the I/O thread."""
        with self._lock:
            call.future = None
            call.is_acknowledged = problem is None
            call.is_refused = problem is not None
            is_in_vain = not self._has_ended and current in self._due and current.is_in_vain
            if is_in_vain:
                self._due.remove(current)
                self._rounds.pop(current.response_id, None)
        if isinstance(problem, ServiceError):
            log.warning("! the service refused the output of tool %s: %s", call.context.name, problem)
        if is_in_vain:
            self._withdraw_if_answered()
            self._finish_in_vain(current)

    def _settle_locked(self, current: Round) -> bool:
        """Move a round on whose outputs are out; return whether nothing follows for who still waits."""
        if not (current.is_over and current.is_out) or current in self._due:
            return False
        if current.is_wanted and not current.is_in_vain:
            self._due.append(current)
            return False
        self._rounds.pop(current.response_id, None)
        return current.is_wanted

    def _finish_in_vain(self, current: Round) -> None:
        """No output came into the conversation: the response that called is all there is."""
        for one in current.waiting:
            handle = one.held
            if handle is not None:
                handle._finish(current.response or cancelled_response())

    # ------------------------------------------------------------ the answer

    def _ask_if_due(self) -> None:
        """Ask for the answer to all that is due, unless it is asked for already; from any thread."""
        with self._lock:
            if not self._due or self._asked is not None or self._has_ended:
                return
            self._asked = asked = FollowUp(self._due, _weakly(self._on_begun), _weakly(self._on_failed))
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
        config = next((one.config for r in reversed(asked.rounds) for one in r.waiting if one.config), None)
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

    def _on_begun(self, asked: FollowUp, event: ResponseCreated) -> None:
        """The follow-up has begun. Called by the I/O thread."""
        response_id = event.response.id or ""
        with self._lock:
            if self._asked is asked:
                self._asked = None
            self._begun = {key: one for key, one in self._begun.items() if one is not asked}
            asked.take(self._take_answered_locked(asked.rounds))
            self._begun[response_id] = asked
            early = self._rounds.get(response_id)
            if early is not None:
                early.level = asked.level + 1
                early.waiting += asked.waiting
        if early is not None:  # it was to be cancelled, and came to its end all the same
            self._keep_open(response_id, asked.waiting)

    def _on_created(self, event: ResponseCreated) -> None:
        """Another response has begun: it may answer what is due."""
        response_id = event.response.id or ""
        request = self._queue.begun.get(response_id)
        if is_out_of_band(event.response) or (
            request is not None
            and (
                request.is_out_of_band
                or request.is_follow_up
                or request.is_cancelled
                or request.stands_for is not None
            )
        ):
            self._ask_if_due()
            return
        is_question = request is not None and request.ask_first is not None
        with self._lock:
            answered = self._take_answered_locked((), for_nobody=is_question)
            if answered:
                other = FollowUp(
                    answered, lambda asked, event: None, _weakly(self._on_failed), is_others=True
                )
                other.take(answered)
                self._begun[response_id] = other
        if not answered:
            return
        if other._is_held:
            self._queue.follow(response_id, other)
            other._feed(event)
        self._withdraw_if_answered()
        self._ask_if_due()

    def _take_answered_locked(self, rounds: Iterable[Round], *, for_nobody: bool = False) -> list[Round]:
        """
        Take out of what is due what a response answers that begins now, besides these rounds.

        Args:
            for_nobody: Leave what somebody waits for.
        """
        latest = self._clock() - _ACKNOWLEDGED
        answered = [
            one
            for one in self._due
            if one in rounds or (one.is_known(latest) and not (for_nobody and one.is_awaited))
        ]
        for one in answered:
            self._due.remove(one)
            self._rounds.pop(one.response_id, None)
        return answered

    def _withdraw_if_answered(self) -> None:
        """Take the follow-up back if nothing is due any more that it was asked for."""
        with self._lock:
            asked = self._asked
            if asked is None or any(one in self._due for one in asked.rounds):
                return
            asked.is_withdrawn, self._asked = True, None
        if asked.request is not None:
            self._canceller.cancel_request(asked.request)

    def _on_failed(self, asked: FollowUp, outcome: Response | RealtimeError) -> None:
        """What ended a follow-up was no event: it was refused, lost or cancelled, or the session is over."""
        with self._lock:
            if asked.is_withdrawn:
                return
            if self._asked is asked:
                self._asked = None
                asked.take(self._take_answered_locked(asked.rounds))
        for one in asked.waiting:
            handle = one.held
            if handle is not None:
                handle._finish(outcome)
        if not asked._is_held and isinstance(outcome, RealtimeError) and not self._has_ended:
            log.warning("! the results of tools stay without an answer: %s", outcome)

    # ------------------------------------------------------------ the end

    def _cancel(self, one: Waiting) -> None:
        """Somebody does not wait any more; from any thread."""
        with self._lock:
            one.is_cancelled = True
            unwanted = [r for r in self._rounds.values() if all(w.is_cancelled for w in r.waiting)]
            for current in unwanted:
                current.is_wanted = False
                if current in self._due:
                    self._due.remove(current)
                    self._rounds.pop(current.response_id, None)
            begun = next((asked for asked in self._begun.values() if one in asked.waiting), None)
            is_alone = begun is not None and all(other.is_cancelled for other in begun.waiting)
        self._abandon(unwanted)
        self._withdraw_if_answered()
        if begun is not None and begun.request is not None and is_alone:
            self._canceller.cancel_request(begun.request)  # its end is passed on
            return
        handle = one.held
        if handle is not None:
            handle._finish(cancelled_response())

    def _abandon(self, rounds: Iterable[Round]) -> None:
        """Nobody waits for the results of these calls: tell those that run, deny what needs approval."""
        with self._lock:
            calls = [(one, call) for one in rounds for call in one.calls.values() if not call.is_answered]
        for current, call in calls:
            call.context.cancelled.set()
            if call.tool is not None and call.asked_at is not None:
                self._decide(current, call, call.tool, False, "nobody waits for it any more")

    def check(self) -> float | None:
        """Look at the clock; return the seconds until the next look, if there is to be one."""
        with self._lock:
            open_ids = [one.response_id for one in self._rounds.values() if not one.is_over]
            open_ids += self._begun
            is_idle = not self._rounds
            now = self._clock()
            left = [
                (call, one, seconds)
                for one in self._rounds.values()
                for call in one.calls.values()
                if (seconds := call.seconds_left(now)) is not None
            ]
        for call, current, seconds in left:
            if seconds <= 0:
                self._give_up(current, call)
        for response_id in filter(self._queue.has_lost, open_ids):
            self._end_response(response_id, None)
            with self._lock:
                self._begun.pop(response_id, None)
        self._ask_if_due()
        return None if is_idle else min([LOOK, *(seconds for *_, seconds in left if seconds > 0)])

    def _give_up(self, current: Round, call: Call) -> None:
        """The time of a tool is over."""
        assert call.tool is not None
        if call.started_at is None:
            limit = call.tool.approval_timeout_s
            self._decide(current, call, call.tool, False, f"nobody has decided within {limit:g} seconds")
            return
        seconds, is_told = call.tool.timeout_s, call.tool.late == "tell"
        log.warning("! tool %s has not returned within %g s", call.tool.name, seconds)
        what = "it follows in a message, if there is one" if is_told else "do without it"
        error = TimeoutError(f"{call.tool.name}() has not returned within {seconds:g} s")
        if not is_told:
            call.context.cancelled.set()
        self._answer(current, call, error_output(f"no result within {seconds:g} seconds; {what}", error))

    def end(self, outcome: RealtimeError) -> None:
        """The session is over: nobody waits for results any more."""
        with self._lock:
            rounds = list(self._rounds.values())
        self.stop()
        for current in rounds:
            for one in current.waiting if current.is_over else ():
                handle = one.held
                if handle is not None:
                    handle._finish(outcome)

    def stop(self) -> None:
        """Tell all tools that run, and answer nothing any more; from any thread."""
        with self._lock:
            self._has_ended = True
            contexts = [call.context for call in self._running]
        for context in contexts:
            context.cancelled.set()


def _weakly(method: Any, *first: Any) -> Callable[..., Any]:
    """Return a function that calls a bound method as long as its object lives, and then does nothing."""
    reference, function = weakref.ref(method.__self__), method.__func__

    def call(*rest: Any) -> Any:
        alive = reference()
        return None if alive is None else function(alive, *first, *rest)

    return call
