"""
Judges answers while they come, and stops those that are not to go on: the ``guard`` of a client.

::

    COMING ──response.done──▶ OVER ──the function has let all of it go on──▶ gone
       │                        │
       └── a reason, an exception, no answer within 30 s, the end of the session ──▶ STOPPED ──▶ gone

The function is called with all of the answer's text that there is, again and again while there is more; with
both, if the end says something else than what streamed, as that may have been shown. It is never called twice
at a time for one answer: a slow one sees the newest text next, not each piece. The end of an answer is kept
from who waits for it until all of it was judged, so that ``ask`` returns nothing unjudged.

What fails is stopped: an answer that could not be judged is not let go on.

**Threads and locks.** The I/O thread reports words and ends, and looks at the clock; threads of the guard's
own call the function. ``Guard._lock`` is a leaf; it guards the answers, and is not held while anything is
called.
"""

from __future__ import annotations

import collections
import contextvars
import functools
import logging
import weakref
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final

from attrs import Factory, define

from ._arity import check_called_with
from ._concurrency import shutdown
from ._log import get_logger
from ._session.held_end import HeldEnd
from ._tool_loop.runner import Runner
from .errors import RealtimeError
from .protocol.events import (
    Event,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
)
from .protocol.events.local import GuardTripped
from .protocol.responses import Response
from .protocol.turn import is_out_of_band

if TYPE_CHECKING:
    from ._session.engine import Engine

__all__ = ["Guard", "GuardFunction"]

log: logging.Logger = get_logger(__name__)

GuardFunction = Callable[[str], str | None]
"""Takes what an answer has said until now; returns why it is to be stopped, or ``None``."""

LIMIT_S: Final = 30.0
"""Seconds after which a function that has not returned counts as failed."""

_FAILED: Final = "the guard failed"
_SLOW: Final = f"the guard did not answer within {LIMIT_S:g} seconds"
_ENDED: Final = "the session ended before the guard had judged it"
_REMEMBERED: Final = 16
"""Answers that are judged at a time, at most: of older ones the end was lost."""


@define(eq=False)
class _Answer:
    """
    One answer.

    Attributes:
        words: As they came.
        judged: The latest texts that the function has let go on.
        since: When the call began that runs; ``None`` if none does.
        reason: Why it is stopped.
        response: At its end.
        end: Kept from who waits for it.
    """

    response_id: str
    words: list[str] = Factory(list)
    judged: collections.deque[str] = Factory(lambda: collections.deque(maxlen=2))
    since: float | None = None
    reason: str | None = None
    response: Response | None = None
    end: HeldEnd = Factory(HeldEnd)

    @property
    def text(self) -> str:
        """All of it until now."""
        return "".join(self.words) if self.response is None else self.response.text

    @property
    def unjudged(self) -> str | None:
        """What is to be judged next: what streamed, and at the end what that says, too, if it differs."""
        streamed, text = "".join(self.words), self.text
        texts = (text,) if text.startswith(streamed) else (streamed, text)
        return next((one for one in texts if one and one not in self.judged), None)


class Guard:
    """
    Judges the answers of one session. Responses beside the conversation are not judged.

    Args:
        engine: Held weakly.
        function: Called in a copy of the context in which the guard is made.

    Raises:
        TypeError: If *function* cannot be called with one argument, or is async.
    """

    def __init__(self, engine: Engine, function: GuardFunction) -> None:
        check_guard(function)
        self._engine = weakref.ref(engine)
        self._function = function
        self._context = contextvars.copy_context()
        self._canceller = engine.response_queue.canceller
        self._clock = engine.sender.clock
        self._call_in = engine.attempts.call_in
        self._runner = Runner("azure-rt-guard", "the guard")
        self._beside: collections.deque[str] = collections.deque(maxlen=_REMEMBERED)  # the I/O thread's
        self._lock = Lock()  # leaf; guards what follows
        self._answers: dict[str, _Answer] = {}  # those that are not over, and judged; looked up bare
        shutdown.register(shutdown.Stage.WORKERS, self, Guard.stop, Guard.join)

    # ------------------------------------------------------------ events: the I/O thread

    def on_event(self, event: Event) -> None:
        """Take the beginning of an answer, or words of one."""
        if isinstance(event, ResponseOutputAudioTranscriptDelta | ResponseOutputTextDelta):
            answer = self._answers.get(event.response_id) or self._begin(event.response_id)
            if answer is not None and answer.reason is None:
                answer.words.append(event.delta)
                self._look(answer)
        elif isinstance(event, ResponseCreated) and event.response.id:
            if is_out_of_band(event.response):
                self._beside.append(event.response.id)
            else:
                self._begin(event.response.id)

    def _begin(self, response_id: str) -> _Answer | None:
        """Note an answer, even if its beginning was not heard of; ``None`` beside the conversation."""
        if response_id in self._beside:
            return None
        answer = _Answer(response_id)
        with self._lock:
            self._answers[response_id] = answer
            forgotten = list(self._answers)[:-_REMEMBERED]
        for other in forgotten:
            self._drop(other)
        return answer

    def on_ending(self, event: ResponseDone) -> None:
        """Take the end of an answer before anybody else does."""
        response = event.response
        answer = self._answers.get(response.id or "")
        if answer is None and response.text and not is_out_of_band(response):
            answer = self._begin(response.id or "")
        if answer is None or answer.response is not None:
            return
        with self._lock:
            answer.response, reason = response, answer.reason
            is_judged = answer.unjudged is None
            if reason is None and not is_judged:
                response._hold_end(answer.end)
        if reason is not None:
            response._stop(reason)
        if reason is not None or is_judged:
            self._forget(answer.response_id)
        else:
            self._look(answer)

    def on_moved(self) -> None:
        """Nothing to do: what becomes of an answer of the connection before is told."""

    def check(self) -> float | None:
        """Look at the clock; return the seconds until the next look, if there is to be one."""
        now = self._clock()
        with self._lock:
            running = [
                (one, one.since + LIMIT_S - now) for one in self._answers.values() if one.since is not None
            ]
        for answer, seconds in running:
            if seconds <= 0 and answer.reason is None:
                log.warning("! %s; the answer is stopped", _SLOW)
                self._stop_answer(answer, answer.text, _SLOW, TimeoutError(_SLOW))
        return min((seconds for answer, seconds in running if answer.reason is None), default=None)

    def end(self, outcome: RealtimeError) -> None:
        """The session is over: nothing is kept from anybody any more."""
        for response_id in list(self._answers):
            self._drop(response_id)

    def _drop(self, response_id: str) -> None:
        """Forget an answer; one that is all there and was not judged counts as stopped."""
        with self._lock:
            answer = self._answers.pop(response_id, None)
            if answer is None:
                return
            is_judged = answer.reason is not None or answer.unjudged is None
            answer.reason = answer.reason or _ENDED
        if answer.response is not None and not is_judged:
            answer.response._stop(_ENDED)
        answer.end.release()

    def _forget(self, response_id: str) -> None:
        with self._lock:
            answer = self._answers.pop(response_id, None)
        if answer is not None:
            answer.end.release()

    # ------------------------------------------------------------ judging: threads of the guard

    def _look(self, answer: _Answer) -> None:
        """Have what is new judged, unless the function runs: then that is done right after."""
        with self._lock:
            if answer.since is not None or answer.reason is not None:
                return
            answer.since = self._clock()
        judge = functools.partial(_judge, weakref.ref(self), self._function, self._context, answer)
        self._runner.submit(judge)  # if there is no room, nobody judges it in time
        self._call_in(LIMIT_S)

    def _next(self, answer: _Answer) -> str | None:
        """Return the newest text, if it was not judged yet and is to be."""
        with self._lock:
            text = answer.unjudged
            answer.since = None if text is None or answer.reason is not None else self._clock()
            is_open = answer.since is not None
            is_over = text is None and answer.response is not None
        if is_over:
            self._forget(answer.response_id)
        return text if is_open else None

    def _note(self, answer: _Answer, text: str) -> None:
        """The function lets an answer go on as far as it has come."""
        with self._lock:
            answer.judged.append(text)

    def _stop_answer(self, answer: _Answer, text: str, reason: str, error: BaseException | None) -> None:
        """Stop an answer; from the guard's threads and the I/O thread."""
        self._canceller.leave_unanswered(answer.response_id)
        with self._lock:
            if answer.reason is not None or answer.response_id not in self._answers:
                return  # it was stopped, or the session is over
            answer.reason, answer.since = reason, None
            response = answer.response
        if response is not None:
            response._stop(reason)
        engine = self._engine()
        try:
            if engine is not None:  # the speaker first: the command may have to wait for room
                tripped = GuardTripped(response_id=answer.response_id, reason=reason, text=text, error=error)
                engine.tell(tripped)
            self._canceller.stop_quietly(answer.response_id)
        finally:
            if response is not None:
                self._forget(answer.response_id)

    # ------------------------------------------------------------ the end

    def stop(self) -> None:
        """Judge nothing any more; from any thread."""
        self._runner.close()

    def join(self, timeout: float | None) -> bool:
        """Wait for the functions that run; return whether all have returned."""
        return self._runner.join(timeout)


def _judge(
    reference: weakref.ReferenceType[Guard],
    function: GuardFunction,
    context: contextvars.Context,
    answer: _Answer,
) -> None:
    """Call the function until it has seen all there is. As a job it does not hold the guard meanwhile."""
    while True:
        guard = reference()
        text = None if guard is None else guard._next(answer)
        del guard
        if text is None:
            return
        error: BaseException | None = None
        try:
            reason = context.copy().run(function, text)
            if reason is not None and not isinstance(reason, str):
                raise TypeError(f"a guard must return a reason (str) or None, not {type(reason).__name__}")
        except BaseException as exc:  # user code; what was not judged is not let go on
            log.exception("! the guard failed; the answer is stopped")
            reason, error = _FAILED, exc
        guard = reference()
        if guard is None:
            return
        if reason:
            guard._stop_answer(answer, text, reason, error)
            return
        guard._note(answer, text)
        del guard


def check_guard(function: object) -> None:
    """
    Refuse what cannot be a guard.

    Raises:
        TypeError: Says why.
    """
    check_called_with("guard", function, "the answer's text")
