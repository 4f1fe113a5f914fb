"""
The calls of a session: approved, run, given up when their time is over, and answered.

**Threads.** The I/O thread begins calls and looks at the clock; threads of tools report results; any thread
decides.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs

from .._concurrency.weak_call import weakly
from .._log import get_logger
from .._session.asked import UNREACHABLE
from .._session.engine import Engine
from .._session.response_watchdog import LOOK
from ..errors import RealtimeError, ServiceError
from ..protocol.events.local import ToolApprovalRequested, ToolEnded, ToolProgress, ToolStarted
from ..protocol.items import FunctionCallOutputItem, MessageItem
from ..tools.context import ToolContext
from ..tools.output import ToolOutput, error_output
from ..tools.tool import Tool
from .call import Call, Round
from .follow_ups import FollowUps
from .job import run_tool
from .outputs import OutputSender, Sent
from .reporter import Reporter
from .rounds import Rounds
from .runner import Job, Runner, Task

__all__ = ["Calls"]

log: logging.Logger = get_logger(__name__)

_BUSY: Final = error_output("too many calls wait already; try again later")
_STARTED: Final = ToolOutput('{"status":"started; the result follows in a message, when it is there"}')
_LONG_WAIT: Final = 2.0
"""Seconds for which calls may wait for a thread before the log says so."""

_UNSENT: Final = "there is a result, but it could not be sent"
_REMEDY: Final = "pass a function as needs_approval= of the tool"
_RUNNING: Final = error_output("this runs already, with the same arguments; wait for its result")


class Calls:
    """
    Runs calls, and sends what they come to.

    Args:
        submit: Has a job run on a thread of the tools; returns whether there is room.
        runner: Whose threads those are.
        find_client: Returns the client, if it is still there.
        answers_late: Whether the model is asked to answer results that come late.
    """

    def __init__(
        self,
        engine: Engine,
        rounds: Rounds,
        follow_ups: FollowUps,
        submit: Callable[[Job], bool],
        runner: Runner | None,
        *,
        find_client: Callable[[], Any],
        answers_late: bool,
    ) -> None:
        self._rounds = rounds
        self._follow_ups = follow_ups
        self._submit = submit
        self._runner = runner
        self._find_client = find_client
        self._answers_late = answers_late
        self._outputs = OutputSender(engine.sender, engine.response_queue, engine.conversation._note_sent)
        self._ask = engine.questions.ask
        self._clock = engine.sender.clock
        self._call_in = engine.attempts.call_in
        self._reporter = Reporter(engine)
        # Guarded by the lock of the rounds:
        self._running: set[Call] = set()  # whose functions have not returned
        self._has_warned = False  # of calls that wait for a thread; I/O thread

    def context(self, call_id: str, name: str) -> ToolContext:
        """Return what a tool is to know of a call."""
        reporter = self._reporter

        def tell(text: str) -> None:
            reporter.tell(ToolProgress(call_id=call_id, name=name, text=text))

        return ToolContext(call_id, name, find_client=self._find_client, tell=tell)

    def begin(self, current: Round, call: Call, tool: Tool) -> None:
        """Run a call, once that is approved if it has to be."""
        if tool.on_duplicate == "refuse" and self._runs_already(call):
            self.answer(current, call, _RUNNING)
        elif tool.needs_approval is not False:  # an object that decides may be empty, and false
            self._ask_approval(current, call, tool)
        else:
            self._start(current, call, tool)

    def _start(self, current: Round, call: Call, tool: Tool) -> None:
        begin = weakly(self._begun, current, call, tool)
        answer = weakly(self._returned, current, call, tool)
        run = functools.partial(
            run_tool, tool, call.item.arguments or "", call.context, begin, answer, self._submit
        )
        with self._rounds.lock:
            call.job = job = Task(tool.name, run)
            self._running.add(call)
            call.started_at = self._clock()
        if tool.timeout_s is not None:
            self._call_in(min(tool.timeout_s, LOOK))
        if tool.say_meanwhile is not None:
            self._call_in(0.0)
        if not self._submit(job):
            self._returned(current, call, tool, _BUSY)
        elif tool.background:
            self.answer(current, call, _STARTED)

    def _begun(self, current: Round, call: Call, tool: Tool) -> bool:
        """There is a thread for a call; return whether it is still to run. Called by that thread."""
        with self._rounds.lock:
            is_unwanted = call.is_answered and not (tool.background or tool.late == "tell")
            if is_unwanted or self._rounds.has_ended:
                self._running.discard(call)
                return False
            call.has_begun = True
        self._reporter.tell(
            ToolStarted(
                call_id=call.call_id,
                name=tool.name,
                arguments=call.item.arguments or "",
                response_id=current.response_id,
            )
        )
        return True

    def _runs_already(self, call: Call) -> bool:
        with self._rounds.lock:
            return any(
                other is not call and other.tool is call.tool and other.arguments == call.arguments
                for other in self._running
            )

    # ------------------------------------------------------------ approval

    def _ask_approval(self, current: Round, call: Call, tool: Tool) -> None:
        request = ToolApprovalRequested(
            call_id=call.call_id,
            name=tool.name,
            arguments=call.item.arguments or "",
            decide=weakly(self._decide, current, call, tool),
        )
        with self._rounds.lock:
            call.asked_at = self._clock()
        self._call_in(min(tool.approval_timeout_s, LOOK))
        if not callable(tool.needs_approval):
            call.asked = self._reporter.ask(request, f"tool {tool.name}", _REMEDY)
            return
        call.job = Task(f"the approval of {tool.name}", functools.partial(tool._ask_approver, request))
        if not self._submit(call.job):
            self.answer(current, call, _BUSY)

    def _decide(self, current: Round, call: Call, tool: Tool, is_approved: bool, reason: str | None) -> bool:
        """Take a decision; from any thread. Return whether it was the first."""
        with self._rounds.lock:
            if call.is_decided or call.is_answered or self._rounds.has_ended:
                return False
            call.is_decided = True
        if is_approved:
            self._start(current, call, tool)
        else:
            why = f": {reason}" if reason else ""
            self.answer(current, call, error_output(f"this call was not allowed, and did not run{why}"))
        return True

    # ------------------------------------------------------------ what calls come to

    def _returned(self, current: Round, call: Call, tool: Tool, output: ToolOutput) -> None:
        """Take what a function has come to, in time or late; called by the thread that ran it."""
        with self._rounds.lock:
            self._running.discard(call)
            call.job = None
            is_late, has_ended = call.is_answered, self._rounds.has_ended
        if has_ended:
            return
        if not is_late:
            self.answer(current, call, output)
        elif tool.background or tool.late == "tell":
            self._tell_late(call, output)
        else:
            log.info("= the late result of tool %s was dropped", tool.name)

    def _tell_late(self, call: Call, output: ToolOutput) -> None:
        """Tell the model of a result whose call was answered before, in its turn, and have it answered."""
        try:
            try:
                self._send_late(call, output)
            except (RealtimeError, TimeoutError):
                raise
            except Exception as exc:
                log.exception("! the late result of tool %s cannot be sent", call.context.name)
                output = error_output(_UNSENT, exc)
                self._send_late(call, output)
        except (RealtimeError, TimeoutError) as exc:
            log.warning("! the late result of tool %s was not sent: %s", call.context.name, exc)
            return
        self._tell_end(call, output)

    def _send_late(self, call: Call, output: ToolOutput) -> None:
        output, _ = self._with_images(call, output)
        item = self._outputs.late_item(call.item, output)
        if self._answers_late:
            self._ask(item, None, None)  # as a question: sent right before the request for its answer
        else:
            self._outputs.send(item, Sent(lambda problem: None))

    def answer(self, current: Round, call: Call, output: ToolOutput) -> None:
        """Send what a call has come to, and ask for the answer if it was the last; from any thread."""
        with self._rounds.lock:
            if call.is_answered or self._rounds.has_ended:
                return
            call.is_answered = True
            call.sent_at = self._clock()
            call.future = future = Sent(weakly(self._settle, current, call))
        problem: Exception | None = None
        try:
            output, item = self._send(call, output, future)
        except RealtimeError as exc:
            log.warning("! the output of tool %s was not sent: %s", call.context.name, exc)
            return  # the session is over, and whoever waits is about to be told
        except Exception as exc:  # noqa: BLE001 - whatever it is, the answer must not wait for it
            problem = exc
            log.warning("! the output of tool %s was not sent: %s", call.context.name, exc)
            output = attrs.evolve(output, error=output.error or exc)
            item = self._outputs.item(call.call_id, output)
        with self._rounds.lock:
            current.outputs.append(item)
            waiting = list(current.waiting)
        for one in waiting:
            one.note(item)
        with self._rounds.lock:
            call.is_out = True
            call.is_refused |= problem is not None
            is_settled = self._rounds.settle_locked(current)
        if output is not _STARTED:
            self._tell_end(call, output)
        if is_settled:
            current.finish_in_vain()
        self._follow_ups.ask_if_due()

    def _send(
        self, call: Call, output: ToolOutput, future: Sent
    ) -> tuple[ToolOutput, FunctionCallOutputItem]:
        """Send an output, or in its place what the model can be told; return what was sent."""
        output, images = self._with_images(call, output)
        item = self._outputs.item(call.call_id, output)
        try:
            self._outputs.send(item, future, images)
        except (RealtimeError, TimeoutError):
            raise
        except Exception as exc:
            log.exception("! the output of tool %s cannot be sent", call.context.name)
            output = error_output(_UNSENT, exc)
            item = self._outputs.item(call.call_id, output)
            self._outputs.send(item, future)
        return output, item

    def _with_images(self, call: Call, output: ToolOutput) -> tuple[ToolOutput, MessageItem | None]:
        """Return an output with the message of its images; if there can be none, the model is told why."""
        try:
            return output, self._outputs.images(output)
        except ValueError as exc:
            log.warning("! images of tool %s were not sent: %s", call.context.name, exc)
            text = f"{output.text}\n[no image follows: {exc}]"
            return attrs.evolve(output, text=text, images=(), error=output.error or exc), None

    def _settle(self, current: Round, call: Call, problem: BaseException | None) -> None:
        """Take the acknowledgement of an output, or its refusal. Called by the I/O thread."""
        with self._rounds.lock:
            call.future = None
            call.is_acknowledged = problem is None
            call.is_refused = problem is not None
            is_in_vain = not self._rounds.has_ended and current.is_in_vain
            is_in_vain = is_in_vain and self._rounds.drop_due_locked(current)
        if isinstance(problem, ServiceError):
            log.warning("! the service refused the output of tool %s: %s", call.context.name, problem)
        if is_in_vain:
            self._follow_ups.withdraw_if_answered()
            current.finish_in_vain()

    def _tell_end(self, call: Call, output: ToolOutput) -> None:
        self._reporter.tell(
            ToolEnded(
                call_id=call.call_id,
                name=call.context.name,
                output=output.text,
                error=output.error,
                seconds=self._clock() - call.since,
            )
        )

    # ------------------------------------------------------------ the end of waiting

    def abandon(self, rounds: Iterable[Round]) -> None:
        """Nobody waits for the results of these calls: tell those that run, deny what needs approval."""
        with self._rounds.lock:
            calls = [(one, call) for one in rounds for call in one.calls.values() if not call.is_answered]
        for current, call in calls:
            call.context.cancelled.set()
            if call.tool is not None and call.asked_at is not None:
                if self._runner is not None and call.job is not None and not call.is_decided:
                    self._runner.give_up(call.job)
                self._decide(current, call, call.tool, False, "nobody waits for it any more")

    def check(self) -> float | None:
        """Give up what has no time left; return the seconds until the next has none, if any has a limit."""
        with self._rounds.lock:
            now = self._clock()
            waiting = [
                call.context.name
                for call in self._running
                if not call.has_begun and now - (call.started_at or now) >= _LONG_WAIT
            ]
            left = [
                (call, one, seconds)
                for one in self._rounds.open.values()
                for call in one.calls.values()
                if (seconds := call.seconds_left(now)) is not None
            ]
        for call, current, seconds in left:
            if seconds <= 0:
                self._give_up(current, call)
            elif current.is_over and call.asked.waits_for(current.threads_waiting(seconds)):
                assert call.tool is not None
                if self._decide(current, call, call.tool, False, UNREACHABLE):
                    call.asked.tell_stuck(f"a call of tool {call.tool.name}")
        self._warn_of_waiting(waiting)
        return min((seconds for *_, seconds in left if seconds > 0), default=None)

    def _warn_of_waiting(self, waiting: list[str]) -> None:
        taken = self._runner.taken() if waiting and self._runner is not None else []
        if taken and not self._has_warned:
            log.warning(
                "! tool %s waits for a thread: all %d threads are taken by: %s; give those a timeout_s",
                waiting[0],
                len(taken),
                ", ".join(sorted(taken)),
            )
        self._has_warned = bool(taken)

    def _give_up(self, current: Round, call: Call) -> None:
        """The time of a tool is over."""
        assert call.tool is not None
        if self._runner is not None and call.job is not None:
            self._runner.give_up(call.job)
        if call.started_at is None:
            limit = call.tool.approval_timeout_s
            if self._decide(current, call, call.tool, False, f"nobody has decided within {limit:g} seconds"):
                call.asked.tell_silence(f"a call of tool {call.tool.name}", limit)
            return
        seconds, is_told = call.tool.timeout_s, call.tool.late == "tell"
        log.warning("! tool %s has not returned within %g s", call.tool.name, seconds)
        what = "it follows in a message, if there is one" if is_told else "do without it"
        error = TimeoutError(f"{call.tool.name}() has not returned within {seconds:g} s")
        if not is_told:
            call.context.cancelled.set()
        self.answer(current, call, error_output(f"no result within {seconds:g} seconds; {what}", error))

    def stop(self) -> None:
        """Tell all tools that run; from any thread."""
        with self._rounds.lock:
            contexts = [call.context for call in self._running]
        for context in contexts:
            context.cancelled.set()
