"""
The loop of tools: calls are run, their outputs sent, and the answer to them is asked for.

A call starts when its item is complete; if that leaves open what is called, or by which response, when the
response ends. Its output goes out as soon as there is one, but never between a question and the request for
its answer (``ResponseQueue.send_result``). When those of a response are all out and the response is over,
**one** follow-up is asked for, right behind them on the wire, which waits for the user's turn as any request
does. What begins after the outputs were acknowledged answers them, too: the follow-up is withdrawn then. The
answer to a question of ``ask`` is its asker's: whoever waits for an answer to results gets another one; two
whose results are all out share it.

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

Calls of MCP servers, which the service runs, are part of it: ``mcp_calls.py``.

The parts: ``Rounds`` are the calls whose results are not answered yet, ``Calls`` runs them and sends their
outputs, ``FollowUps`` asks for the answers, ``Fillers`` has something said meanwhile.

**Threads and locks.** The I/O thread reports events; threads of tools report results; any thread cancels.
``Rounds.lock`` is a leaf. It guards calls, rounds and follow-ups; what is sent is decided under it and sent
after. The loop holds parts of the engine, neither the engine nor the client.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

import attrs

from .._concurrency.weak_call import weakly
from .._log import get_logger
from .._session.engine import Engine
from .._session.response_watchdog import LOOK
from ..errors import RealtimeError
from ..protocol.events import (
    ConversationItemDone,
    Event,
    ResponseCreated,
    ResponseDone,
    ResponseMcpCallArgumentsDone,
    ResponseOutputItemDone,
)
from ..protocol.items import FunctionCallItem, McpApprovalRequestItem, McpCallItem, MessageItem
from ..protocol.responses import Response
from ..protocol.turn import is_out_of_band
from ..tools.output import error_output
from .call import UNFINISHED, Call, Round, Waiting
from .calls import Calls
from .catalogue import Catalogue
from .fillers import Fillers
from .follow_ups import FollowUps
from .mcp_call import McpCall
from .mcp_calls import McpCalls
from .rounds import Rounds
from .runner import Job, Runner

__all__ = ["ToolLoop"]

log: logging.Logger = get_logger(__name__)

_REMEMBERED_CALLS: Final = 4000
_REMEMBERED_RESPONSES: Final = 64
"""What is known, if it is announced again."""

_CUT: Final = error_output("the call was cut off before it was complete, and was not run")
_NO_MORE: Final = error_output("no more functions can be called now; answer with what is known")


def _is_over(item: McpCallItem) -> bool:
    return item.output is not None or item.error is not None


class ToolLoop:
    """
    Runs the calls of one session.

    Args:
        catalogue: The tools.
        submit: Has a job run on a thread of the tools; returns whether there is room.
        runner: Whose threads those are.
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
        runner: Runner | None = None,
        find_client: Callable[[], Any] = lambda: None,
        follow_up: Literal["auto", "never"] = "auto",
        max_rounds: int = 8,
    ) -> None:
        self._catalogue = catalogue
        self._follow_up: Literal["auto", "never"] = follow_up
        self._max_rounds = max_rounds
        self._queue = engine.response_queue
        self._conversation = engine.conversation
        self._configuration = engine.configuration
        self._clock = engine.sender.clock
        self._call_in = engine.attempts.call_in
        self._rounds = Rounds()
        self._follow_ups = FollowUps(engine, self._rounds, weakly(self._abandon), max_rounds=max_rounds)
        self._calls = Calls(
            engine,
            self._rounds,
            self._follow_ups,
            submit,
            runner,
            find_client=find_client,
            answers_late=follow_up == "auto",
        )
        self._mcp_calls = McpCalls(engine, self._rounds, self._follow_ups, submit, runner)

        self._fillers = Fillers(engine, self._rounds)
        self._has_warned = False  # of calls that cannot be answered; I/O thread
        self._seen: dict[tuple[str, ...], None] = {}  # calls of this connection, the newest last; I/O thread
        self._ended: deque[str] = deque(maxlen=_REMEMBERED_RESPONSES)  # responses; I/O thread

    # ------------------------------------------------------------ events: the I/O thread

    def on_event(self, event: Event) -> None:
        """Take the beginning of a response, or a call that is complete."""
        if isinstance(event, ResponseOutputItemDone):
            if isinstance(event.item, FunctionCallItem):
                call = self._conversation._completed_call(event.item)
                if self._is_in_progress(event.response_id) and self._is_all(call):
                    self._take_call(event.response_id, call)
            elif isinstance(event.item, McpCallItem | McpApprovalRequestItem):
                self._take_mcp_call(event.response_id, event.item)
        elif isinstance(event, ResponseCreated):
            if not is_out_of_band(event.response):
                self._catalogue.forget(self._configuration.session)
            if event.response.id:  # otherwise it is known by its end
                if event.response.id in self._ended:
                    self._ended.remove(event.response.id)
                self._follow_ups.on_created(event)
        elif isinstance(event, ResponseDone):
            self._follow_ups.on_done(event.response.id or "")
            self._follow_ups.ask_if_due()
        elif isinstance(event, ResponseMcpCallArgumentsDone):
            item = self._mcp_calls.item_of(event.item_id)
            if item is not None:
                item = attrs.evolve(item, arguments=event.arguments)
                self._take_mcp_call(event.response_id, item, is_complete=True)
        elif isinstance(event, ConversationItemDone) and isinstance(event.item, McpApprovalRequestItem):
            self._take_mcp_call(self._queue.active_id, event.item)  # it need not be among the output
        else:
            self._mcp_calls.on_event(event)

    def on_moved(self) -> None:
        """Another connection has taken over, whose service may count anew."""
        self._seen.clear()
        self._ended.clear()
        self._mcp_calls.on_moved()

    def on_ending(self, event: ResponseDone) -> None:
        """Take the end of a response before its handle does, which may have to stay open."""
        response = event.response
        response_id = response.id or ""
        if response_id in self._ended:  # it comes twice: the calls have run
            return
        if response_id:
            self._ended.append(response_id)
        for item in response.function_calls:
            self._take_call(response_id, item, is_cut=response.status in UNFINISHED)
        self._take_mcp_calls(response_id, response)
        unheard = self._queue.unheard_request(response)
        if unheard is not None:
            self._follow_ups.begin_late(unheard, response)
        if response_id in self._rounds.open:  # read bare: it was put there on this thread
            self._end_response(response_id, response)
        self._follow_ups.ask_if_due()  # what asks now comes before all that waits for the end

    @property
    def is_at_work(self) -> bool:
        """Whether there are calls without a result, or results without an answer that is under way."""
        return bool(self._rounds.open) and not self._rounds.has_ended

    def _is_in_progress(self, response_id: str) -> bool:
        return response_id in self._queue.begun or response_id == self._queue.active_id

    def _is_all(self, call: FunctionCallItem) -> bool:
        """Whether a call can be run as it is: neither its name nor arguments that it takes are missing."""
        tool = self._catalogue.find(call.name)
        is_given = tool is None or call.arguments or not (tool.declaration.parameters or {}).get("properties")
        return bool(call.name and is_given)

    def runs_calls(self, response_id: str) -> bool:
        """Whether functions run that a response in progress has called."""
        with self._rounds.lock:
            current = self._rounds.open.get(response_id)
            return current is not None and not current.is_over and bool(current.calls)

    def _take_call(self, response_id: str, item: FunctionCallItem, *, is_cut: bool = False) -> None:
        request = self._queue.begun.get(response_id)
        call_id, name = item.call_id, item.name or ""
        if request is not None and request.is_out_of_band:
            return  # it is not in the conversation, nor could its output be
        if not call_id:
            self._warn_of_id(name, "has no call_id")
            return
        begun = self._rounds.open.get(response_id)  # read bare: it was put there on this thread
        known = None if begun is None else begun.calls.get(call_id)
        if known is not None and item.id and known.item.id and item.id != known.item.id:
            self._warn_of_id(name, "has the call_id of another one")
            return
        if not self._is_new(("response", response_id, call_id), ("item", item.id or "", call_id)):
            return
        config = None if request is None else request.config
        tool = self._catalogue.find(name)
        with self._rounds.lock:
            current = self._rounds.open.get(response_id)
            if self._rounds.has_ended:
                return
            if current is None:
                current = self._follow_ups.open_round_locked(response_id)
            if tool is None and self._catalogue.is_by_hand(name, config, self._configuration.session):
                current.is_by_hand = True
                return
            call = Call(item, call_id, self._calls.context(call_id, name), self._clock(), tool)
            current.calls[call_id] = call
        self._call_in(LOOK)
        if item.status == "incomplete" or (is_cut and item.status != "completed"):
            self._calls.answer(current, call, _CUT)
        elif current.level > self._max_rounds:
            self._calls.answer(current, call, _NO_MORE)
        elif tool is None:
            self._calls.answer(current, call, self._catalogue.unknown(name))
        else:
            self._calls.begin(current, call, tool)

    def _is_new(self, *names: tuple[str, ...]) -> bool:
        """Note a call by what tells it from others; return whether it was not there before."""
        given = [name for name in names if name[1]]
        is_new = not any(name in self._seen for name in given)
        for name in given:
            self._seen[name] = None
        while len(self._seen) > _REMEMBERED_CALLS:
            del self._seen[next(iter(self._seen))]
        return is_new

    def _warn_of_id(self, name: str, what: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning("! a call of tool %s was not run, as it %s: there can be no output of it", name, what)

    def _take_mcp_calls(self, response_id: str, response: Response) -> None:
        """Take the calls of MCP servers; those that are over before a message have their answer."""
        answered: list[str] = []
        open_calls: list[McpCallItem] = []
        for item in response.output or ():
            if isinstance(item, MessageItem):
                answered += [call.id for call in open_calls if _is_over(call)]
                open_calls = [call for call in open_calls if not _is_over(call)]
            elif isinstance(item, McpCallItem):
                open_calls.append(item)
            elif isinstance(item, McpApprovalRequestItem):
                self._take_mcp_call(response_id, item, is_end=True)
        for item in open_calls:
            self._take_mcp_call(response_id, item, is_end=True)
        with self._rounds.lock:
            current = self._rounds.open.get(response_id)
            if current is None:
                return
            for item_id in answered:
                current.mcp.pop(item_id, None)
            if response.status in UNFINISHED:
                self._mcp_calls.drop_cut_locked(current)

    def _take_mcp_call(
        self,
        response_id: str | None,
        item: McpCallItem | McpApprovalRequestItem,
        *,
        is_complete: bool = False,
        is_end: bool = False,
    ) -> None:
        """Take a call that the service runs, or asks to be approved; beside the responses, too."""
        request = self._queue.begun.get(response_id or "")
        server = self._catalogue.server(item.server_label)
        if server is None or (request is not None and request.is_out_of_band):
            return  # the program answers it by hand
        if self._mcp_calls.is_known(item):
            if isinstance(item, McpCallItem):
                self._mcp_calls.take(item)
            return
        if response_id == "" and not is_end:  # the end of the response tells whose it is
            return
        with self._rounds.lock:
            if self._rounds.has_ended:
                return
            joined = self._mcp_calls.join_locked(item)
            if joined is not None:
                current, call = joined
            else:
                is_request = isinstance(item, McpApprovalRequestItem)
                key = item.id if response_id is None else response_id  # none may be in progress
                current = self._rounds.open.get(key) or self._follow_ups.open_round_locked(key)
                call = current.mcp[item.id] = McpCall(
                    server,
                    item.id,
                    item.name,
                    item.arguments,
                    self._clock(),
                    needs_approval=is_request,
                    item_id=None if is_request else item.id,
                )
            call.is_complete |= is_complete
        self._mcp_calls.begin(current, call, item)

    def _end_response(self, response_id: str, response: Response | None) -> None:
        """Take the end of a response; ``None`` if it was lost."""
        is_unwanted = self._queue.canceller.is_unwanted(response_id)
        with self._rounds.lock:
            current = self._rounds.open.get(response_id)
            if current is None or current.is_over:
                return
            current.is_over, current.response = True, response
            status = None if response is None else response.status
            current.is_wanted = (
                self._follow_up == "auto"
                and bool(current.all_calls)
                and not (current.is_by_hand or is_unwanted)
                and not all(one.is_cancelled for one in current.waiting)
                and status != "failed"
                and current.level <= self._max_rounds
            )
            waiting, is_settled = current.waiting, self._rounds.settle_locked(current)
            goes_on = current.goes_on and not is_settled
            if not goes_on:
                current.waiting = [Waiting(config=waiting[-1].config, assistant=waiting[-1].assistant)]
        if goes_on:
            self._follow_ups.keep_open(response_id, waiting)
            self._call_in(0.0)  # who waits may keep those from deciding who were asked
        if is_unwanted:
            self._abandon([current])

    def _abandon(self, rounds: Iterable[Round]) -> None:
        rounds = list(rounds)
        self._calls.abandon(rounds)
        self._mcp_calls.abandon(rounds)

    # ------------------------------------------------------------ the clock, and the end

    def check(self) -> float | None:
        """Look at the clock; return the seconds until the next look, if there is to be one."""
        with self._rounds.lock:
            open_ids = [one.response_id for one in self._rounds.open.values() if not one.is_over]
            begun = self._follow_ups.begun
            is_idle = not (self._rounds.open or begun)
        looks = [LOOK, self._calls.check(), self._mcp_calls.check()]
        for response_id in filter(self._queue.has_lost, open_ids):
            self._end_response(response_id, None)
        for response_id in filter(self._queue.has_lost, begun):
            self._follow_ups.on_lost(response_id)
        self._follow_ups.ask_if_due()
        looks.append(self._fillers.check())
        return None if is_idle else min(look for look in looks if look is not None)

    def end(self, outcome: RealtimeError) -> None:
        """The session is over: nobody waits for results any more."""
        with self._rounds.lock:
            rounds = list(self._rounds.open.values())
        self.stop()
        for current in rounds:
            for one in current.waiting if current.is_over else ():
                handle = one.held
                if handle is not None:
                    handle._finish(outcome)

    def stop(self) -> None:
        """Tell all tools that run, and answer nothing any more; from any thread."""
        with self._rounds.lock:
            self._rounds.has_ended = True
        self._calls.stop()
