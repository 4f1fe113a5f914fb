"""
The calls of MCP servers: approved, followed while the service runs them, and answered.

The service ends a response with the call, runs it, during the response or after it, and leaves it to the
client to ask for the answer. Where approval is needed, some services announce the call, and request approval
beside the responses; others have the request among the output, and make the call's item when it is approved.
Either way it is one call here. What leaves each state, and what does if that never comes:

=================  ==============================================  =====================================
a call is          it goes on with                                 else
=================  ==============================================  =====================================
to be approved     a decision, which is sent as an item            ``approval_timeout_s``: denied
approved           its beginning or end                            5 s: a response is asked for, in which
                                                                   the service may begin it
in progress        its completion or failure                       600 s: it counts as over
=================  ==============================================  =====================================

A connection that is lost ends them all: the service of the next one knows none of them, and is asked for an
answer, in which the model may call again.

**Threads.** The I/O thread reports events and looks at the clock; any thread decides.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Final

from .._concurrency.weak_call import weakly
from .._log import get_logger
from .._session.asked import UNREACHABLE
from .._session.engine import Engine
from .._session.response_watchdog import LOOK
from ..errors import ServiceError
from ..protocol.events import (
    ConversationItemDone,
    Event,
    ResponseMcpCallCompleted,
    ResponseMcpCallFailed,
    ResponseMcpCallInProgress,
)
from ..protocol.events.local import ToolApprovalRequested, ToolEnded, ToolStarted
from ..protocol.items import McpApprovalRequestItem, McpApprovalResponseItem, McpCallItem
from .call import Round
from .follow_ups import FollowUps
from .mcp_call import McpCall
from .outputs import OutputSender, Sent
from .reporter import Reporter
from .rounds import Rounds
from .runner import Job, Runner, Task

__all__ = ["McpCalls"]

log: logging.Logger = get_logger(__name__)

_NOT_ALLOWED: Final = "this call was not allowed, and did not run"
_UNWANTED: Final = "nobody waits for it any more"
_REMEDY: Final = "pass a function as approve= of the server"
_LOST: Final = "it was lost with its connection"
_MAX_TAKEN: Final = 256
"""Items that are remembered, at most: their last events may come after the answer has begun."""


class McpCalls:
    """
    Follows the calls that the service runs.

    Args:
        submit: Has a job run on a thread of the tools; returns whether there is room.
        runner: Whose threads those are.
        outputs: Sends what was decided.
    """

    def __init__(
        self,
        engine: Engine,
        rounds: Rounds,
        follow_ups: FollowUps,
        submit: Callable[[Job], bool],
        runner: Runner | None,
    ) -> None:
        self._rounds = rounds
        self._follow_ups = follow_ups
        self._submit = submit
        self._runner = runner
        self._outputs = OutputSender(engine.sender, engine.response_queue, engine.conversation._note_sent)
        self._conversation = engine.conversation
        self._new_item_id = engine.sender.new_item_id
        self._clock = engine.sender.clock
        self._call_in = engine.attempts.call_in
        self._reporter = Reporter(engine)
        self._taken: dict[str, None] = {}  # items of calls and requests; I/O thread

    # ------------------------------------------------------------ events: the I/O thread

    def begin(self, current: Round, call: McpCall, item: McpCallItem | McpApprovalRequestItem) -> None:
        """Follow a call that is new, or for which approval is requested."""
        self._taken[item.id] = None
        if len(self._taken) > _MAX_TAKEN:
            self._taken.pop(next(iter(self._taken)))
        self._call_in(LOOK)
        if isinstance(item, McpCallItem):
            self.take(item)
        elif current.is_abandoned:
            self._decide(current, call, False, _UNWANTED)
        else:
            self._ask_approval(current, call)

    def on_event(self, event: Event) -> None:
        """Take a step of a call, or its item, which is of a response or beside them."""
        if isinstance(event, ConversationItemDone):
            if isinstance(event.item, McpCallItem):
                self.take(event.item)
        elif isinstance(event, ResponseMcpCallInProgress | ResponseMcpCallCompleted | ResponseMcpCallFailed):
            item = self.item_of(event.item_id)
            if item is not None:
                self.take(item, has_begun=isinstance(event, ResponseMcpCallInProgress))

    def item_of(self, item_id: str) -> McpCallItem | None:
        """Return what the conversation has of a call."""
        entry = self._conversation.get(item_id)
        return entry.item if entry is not None and isinstance(entry.item, McpCallItem) else None

    def take(self, item: McpCallItem, *, has_begun: bool = False) -> None:
        """Take what is known of a call by now. It is over when it has an output or an error."""
        with self._rounds.lock:
            found = self._find_locked(item)
            if found is None:
                return
            current, call = found
            call.item_id = item.id
            call.arguments = item.arguments or call.arguments
        if has_begun or item.error is not None or item.output is not None:
            self._start(current, call)
        if item.error is not None:
            error = ServiceError(item.error.message, type="server_error", service_type=item.error.type)
            self._finish(current, call, item.error.message, error)
        elif item.output is not None:
            self._finish(current, call, item.output)

    def _find_locked(self, item: McpCallItem) -> tuple[Round, McpCall] | None:
        """Return the call that an item is of: by the id of the request that was approved, or by its own."""
        found = [
            (current, call)
            for current, call in self._pending_locked()
            if item.id == call.item_id or item.approval_request_id == call.call_id
        ]
        return min(found, key=lambda one: one[1].call_id != item.approval_request_id, default=None)

    def join_locked(self, item: McpCallItem | McpApprovalRequestItem) -> tuple[Round, McpCall] | None:
        """
        Join a request and the call that was announced, which do not name each other yet.

        Returns:
            The call, which goes by the id of the request from now on; ``None`` if only one of them is known.
        """
        is_request = isinstance(item, McpApprovalRequestItem)
        fitting = [
            (current, call)
            for current, call in self._pending_locked()
            if (call.server.label, call.name) == (item.server_label, item.name)
            and (not (call.needs_approval or call.has_started) if is_request else call.item_id is None)
        ]
        found = min(fitting, key=lambda one: one[1].arguments != item.arguments, default=None)
        if found is None:
            return None
        current, call = found
        call.arguments = item.arguments or call.arguments
        if is_request:
            del current.mcp[call.call_id]
            current.mcp[item.id] = call
            call.call_id, call.needs_approval, call.since = item.id, True, self._clock()
        else:
            call.item_id = item.id
        return found

    def is_known(self, item: McpCallItem | McpApprovalRequestItem) -> bool:
        """Whether an item was taken, or is of a call that was approved: it is of the response that asked."""
        if item.id in self._taken:
            return True
        if isinstance(item, McpApprovalRequestItem) or item.approval_request_id is None:
            return False
        with self._rounds.lock:
            return self._find_locked(item) is not None

    # ------------------------------------------------------------ approval

    def _ask_approval(self, current: Round, call: McpCall) -> None:
        request = ToolApprovalRequested(
            call_id=call.call_id,
            name=call.name,
            arguments=call.arguments,
            server_label=call.server.label,
            decide=weakly(self._decide, current, call),
        )
        self._call_in(min(call.server.approval_timeout_s, LOOK))
        if call.server.approve is None:
            call.asked = self._reporter.ask(request, f"MCP server {call.server.label}", _REMEDY)
            return
        asks = functools.partial(call.server._ask_approver, request)
        call.job = Task(f"the approval of {call.name}", asks)
        if not self._submit(call.job):
            self._decide(current, call, False, "too many calls wait already")

    def _decide(self, current: Round, call: McpCall, is_approved: bool, reason: str | None) -> bool:
        """Take a decision, and tell the service; from any thread. Return whether it was the first."""
        with self._rounds.lock:
            if not call.is_undecided or self._rounds.has_ended:
                return False
            call.decided_at, call.is_approved = self._clock(), is_approved
        item = McpApprovalResponseItem(
            id=self._new_item_id(), approval_request_id=call.call_id, approve=is_approved, reason=reason
        )
        try:
            self._outputs.send_approval(item, Sent(weakly(self._settle, current, call)))
        except Exception as exc:  # noqa: BLE001 - whatever it is, the answer must not wait for it
            log.warning("! what was decided on %s was not sent: %s", call.name, exc)
            self._settle(current, call, exc)
            return True
        self._call_in(LOOK)
        if not is_approved:
            self._finish(current, call, f"{_NOT_ALLOWED}{f': {reason}' if reason else ''}", is_sent=True)
        return True

    def _settle(self, current: Round, call: McpCall, problem: BaseException | None) -> None:
        """Take the acknowledgement of a decision, or its refusal. Called by the I/O thread."""
        if problem is None:
            with self._rounds.lock:
                call.is_acknowledged = not call.is_approved or call.is_acknowledged
            return
        log.warning("! the service refused what was decided on %s: %s", call.name, problem)
        self._finish(current, call, "what was decided did not reach the service", problem)

    # ------------------------------------------------------------ the course of a call

    def _start(self, current: Round, call: McpCall) -> None:
        with self._rounds.lock:
            if call.has_started:
                return
            call.has_started = True
        self._reporter.tell(
            ToolStarted(
                call_id=call.call_id,
                name=call.name,
                arguments=call.arguments,
                response_id=current.response_id,
                server_label=call.server.label,
            )
        )

    def _finish(
        self,
        current: Round,
        call: McpCall,
        output: str,
        error: BaseException | None = None,
        *,
        is_sent: bool = False,
    ) -> None:
        """Take what a call has come to, which the conversation has; from any thread."""
        with self._rounds.lock:
            if call.is_out or self._rounds.has_ended:
                return
            call.is_out, call.sent_at = True, self._clock()
            call.is_acknowledged = not is_sent or call.is_acknowledged
            self._rounds.settle_locked(current)
        self._reporter.tell(
            ToolEnded(
                call_id=call.call_id,
                name=call.name,
                output=output,
                error=error,
                seconds=self._clock() - call.since,
                server_label=call.server.label,
            )
        )
        self._follow_ups.ask_if_due()

    # ------------------------------------------------------------ the end of waiting

    def abandon(self, rounds: Iterable[Round]) -> None:
        """Nobody waits for these calls: deny what needs approval, and what will."""
        with self._rounds.lock:
            rounds = list(rounds)
            for current in rounds:
                current.is_abandoned = True
            calls = [(one, call) for one in rounds for call in one.mcp.values() if call.is_undecided]
        for current, call in calls:
            self._decide(current, call, False, _UNWANTED)

    def drop_cut_locked(self, current: Round) -> None:
        """The response has ended too early: forget calls that were cut off, which do not run."""
        for call in list(current.mcp.values()):
            if not (call.is_complete or call.has_started or call.needs_approval or call.is_out):
                del current.mcp[call.call_id]
        if not current.all_calls:
            self._rounds.open.pop(current.response_id, None)

    def on_moved(self) -> None:
        """Another connection has taken over: its service knows none of the calls. On the I/O thread."""
        self._taken.clear()
        with self._rounds.lock:
            calls = self._pending_locked()
            for current, call in calls:
                call.decided_at = call.decided_at or self._clock()  # nothing can be decided any more
                if not current.is_over:  # the response itself is lost, and asked for again if need be
                    del current.mcp[call.call_id]
                    if not current.all_calls:
                        self._rounds.open.pop(current.response_id, None)
        for current, call in calls:
            log.warning("! a call of MCP server %s was lost with its connection", call.server.label)
            self._finish(current, call, _LOST)

    def check(self) -> float | None:
        """Give up what has no time left; return the seconds until the next has none, if any is open."""
        with self._rounds.lock:
            now = self._clock()
            left = [
                (one, call, seconds)
                for one, call in self._pending_locked()
                if (seconds := call.seconds_left(now)) is not None
            ]
        for current, call, seconds in left:
            what = f"a call of {call.name} of MCP server {call.server.label}"
            if seconds > 0:
                is_stuck = current.is_over and call.asked.waits_for(current.threads_waiting(seconds))
                if is_stuck and self._decide(current, call, False, UNREACHABLE):
                    call.asked.tell_stuck(what)
            elif call.is_undecided:
                limit = call.server.approval_timeout_s
                if self._runner is not None and call.job is not None:
                    self._runner.give_up(call.job)
                if self._decide(current, call, False, f"nobody has decided within {limit:g} seconds"):
                    call.asked.tell_silence(what, limit)
            elif not call.has_started and call.decided_at is not None:
                self._taken.pop(call.item_id or "", None)  # it may be begun in the response that is asked for
                self._finish(current, call, "approved; no more is known")
            else:
                with self._rounds.lock:  # what a response cut short had announced may not have been begun
                    current.is_wanted &= call.has_started or current.goes_on
                log.warning("! a call of MCP server %s has not ended", call.server.label)
                self._finish(current, call, "it has not ended", TimeoutError("no end of the call came"))
        return min((seconds for *_, seconds in left if seconds > 0), default=None)

    def _pending_locked(self) -> list[tuple[Round, McpCall]]:
        return [
            (one, call) for one in self._rounds.open.values() for call in one.mcp.values() if not call.is_out
        ]
