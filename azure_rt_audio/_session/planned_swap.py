"""
Goes over to another connection before the present one ends: make before break.

::

    IDLE ──due──▶ PREPARING ──configured, restored──▶ STANDBY ──quiet──▶ HOLDING ──▶ DRAINING ──▶ IDLE
                     │  the other connection fails: again later              │ somebody speaks, or it takes
                     ▼                                                       ▼ too long: back to STANDBY
                   IDLE                                                    STANDBY

Its attempts keep the distance of all others, and the time that the service asks for. If there is no use in
another one, or the limits of the policy are reached, the futures of those who asked fail with the error: the
session goes on. One that reaches its age is tried again until its end.

While one session works, another connection is dialled, configured and given the conversation. At a quiet
moment what the program sends is held, an empty ``session.update`` shows that the old session has taken all
that came before, the rest of the conversation is created, and the held commands go to the new one. Of the
old session, what begins after that is cancelled and not told. A connection whose configuration the service
refuses never takes the place of the present one.

What is quiet: no response, no speech, no command without an answer, no transcript to come, and nothing being
played. A command whose answer counts as lost is no reason to wait: it is sent again. After half of the time
that is left the speaker may play. In the last 15 s the user may speak: the new session hears that from its
beginning; and commands and transcripts may be outstanding. In the last 5 s a response may run: it ends in the
old session, and what it brought is created in the new one.

**Threads.** The I/O thread, but for :meth:`PlannedSwap.ask` and :meth:`PlannedSwap.why_not_yet`.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from attrs import evolve

from .._concurrency.weak_call import weakly
from .._log import get_logger
from .._transport import Outcome
from ..errors import ConnectError, ConnectionClosedError, RealtimeError, ServiceError
from ..options import ReconnectPolicy
from ..protocol.events import (
    ConversationItemAdded,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionFailed,
    Error,
    Event,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    RateLimitsUpdated,
    ResponseCreated,
    ResponseDone,
    SessionUpdated,
)
from ..protocol.events.local import Reconnected
from ..protocol.items import MessageItem
from ..protocol.turn import ModelStatusEnum
from .attempt import Attempt
from .attempts import Attempts
from .backoff import Backoff, GiveUp
from .configuration import Configuration
from .dial_spacing import DialPlace
from .journal import Journal
from .losses import without_transcripts
from .older_turns import OlderTurns
from .response_queue import ResponseQueue
from .restoration_plans import RestorationPlans
from .restorer import Restorer
from .session_age import SessionAge
from .verdict import in_words
from .waiters import Waiters

__all__ = ["PlannedSwap"]

log: logging.Logger = get_logger(__name__)

_LOOK: Final = 0.1
"""Seconds between looks for a quiet moment."""
_BARRIER: Final = 2.0
"""Seconds that the old session has to show that it has taken all commands, and the new one the rest."""
_PREPARE: Final = 60.0
"""Seconds that another connection has to be made and configured."""
_RETRIEVE: Final = 2.0
"""Seconds that a configured connection waits for what the old session was asked for."""
_DRAIN: Final = 1.0
"""Seconds that the old connection has to close."""
_RETRY: Final = 10.0
"""Seconds until another connection is tried."""
_LEAST_INTERVAL: Final = 60.0
"""Seconds between two swaps that nobody has asked for."""
_SPEECH_MAY_BE_CUT: Final = 15.0
"""Seconds before the end in which the user's speech is no reason to wait."""
_RESPONSE_MAY_GO_ON: Final = 5.0
"""Seconds before the end in which a response is no reason to wait: it ends in the old session."""

_TRANSCRIPTS: Final = (
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionFailed,
    RateLimitsUpdated,
)


_UNQUIET: Final = (InputAudioBufferSpeechStarted, InputAudioBufferCommitted, ResponseCreated, Error)
"""What ends the hold: the user begins to speak, or has ended and is answered, or a command is refused."""


class _State(enum.Enum):
    IDLE = enum.auto()
    PREPARING = enum.auto()
    STANDBY = enum.auto()
    HOLDING = enum.auto()
    DRAINING = enum.auto()


class _Session(Protocol):
    """What is told of it."""

    def apply_event(self, event: Event) -> None:
        """Take an event into account, and tell those who want to know."""

    def lose_transcripts(self) -> list[str]:
        """Tell of the transcripts that a session has not sent, which is over; return the ids of the items."""

    def tell_error(self, event: Error) -> None:
        """Tell those who want to know of an error of a connection whose events are not applied."""


class PlannedSwap:
    """
    Replaces the connection of a session that lives.

    Args:
        older_turns: What the present session is asked for.
        plans: Of what another session is to be given.
        new_restorer: Makes what gives the conversation to the session of an attempt.
        replay: Sends what was held on a new connection, from an index of the sound on; with ``None``, what
            was held for items that it did not have yet.
        settle: Ends, or asks again, what was in progress; returns what became of each response.
        tell: Tells the program that it is done.
        place: Its own, among the attempts to reach the host.
        status: What the model is doing.
    """

    def __init__(
        self,
        session: _Session,
        policy: ReconnectPolicy,
        attempts: Attempts,
        configuration: Configuration,
        waiters: Waiters,
        journal: Journal,
        queue: ResponseQueue,
        older_turns: OlderTurns,
        plans: RestorationPlans,
        new_restorer: Callable[[Attempt, Callable[[], object]], Restorer],
        replay: Callable[[Attempt, int | None], None],
        settle: Callable[[RealtimeError], Mapping[str, str]],
        tell: Callable[[Reconnected], None],
        backoff: Backoff,
        place: DialPlace,
        status: Callable[[], ModelStatusEnum],
        clock: Callable[[], float],
    ) -> None:
        self._session = session
        self._policy = policy
        self._attempts = attempts
        self._configuration = configuration
        self._waiters = waiters
        self._journal = journal
        self._queue = queue
        self._older_turns = older_turns
        self._new_restorer = new_restorer
        self._plans = plans
        self._age = SessionAge(policy, attempts, configuration)
        self._replay = replay
        self._settle = settle
        self._tell = tell
        self._backoff = backoff
        self._place = place
        self._status = status
        self._clock = clock
        self._asked_for = ""  # why, if somebody has; written by any thread
        self._refusal = ""  # of the configuration, that was told
        self._state = _State.IDLE
        self._standby: Attempt | None = None
        self._old: Attempt | None = None
        self._restorer: Restorer | None = None
        self._swapped_at: float | None = None
        self._retry_at = 0.0
        self._refreshed = 0  # how often another one was made since, because something had changed
        self._quiet_at = 0.0  # before that no moment counts as quiet
        self._limit: float | None = None  # of HOLDING, or DRAINING
        self._retrieve_until: float | None = None  # the standby is configured, the old session asked
        self._is_passed = False  # the barrier
        self._running: tuple[str, ...] = ()  # responses that go on in the old session
        self._reason = ""
        self._done: Reconnected | None = None  # to be told when the old connection has ended
        # Why it has not come to it, for whoever waits; read bare.
        self._failure = ""  # of the latest connection
        self._noise = ""  # at the latest look for a quiet moment

    # ------------------------------------------------------------ any thread

    def ask(self, reason: str) -> None:
        """Go over to another connection as soon as there is a quiet moment."""
        self._asked_for = reason
        self._attempts.call_in(0.0)

    def why_not_yet(self) -> str:
        """Return what it waits for, in words."""
        state, failure = self._state, self._failure
        if state is _State.STANDBY:
            noise = self._noise
            what = f"waits for a quiet moment: {noise}" if noise else "is about to take over"
            return f"another connection is ready, and {what}"
        if state in (_State.HOLDING, _State.DRAINING):
            return "the client is about to go over to another connection"
        if state is _State.PREPARING:
            return f"another connection is being made{f' (the last try: {failure})' if failure else ''}"
        wait = max(self._retry_at - self._clock(), self._place.due_in or 0.0, 0.0)
        when = f"is made in {wait:.1f} s" if wait else "is about to be made"
        return f"another connection {when}{f' (the last try: {failure})' if failure else ''}"

    def _why(self) -> str:
        """Why the program wants it, if it does."""
        return self._asked_for or ("the voice changes" if self._configuration.changes.waiting else "")

    # ------------------------------------------------------------ the clock

    def check(self) -> float | None:
        """Look at the clock; return the seconds until the next look."""
        now = self._clock()
        if self._attempts.is_closing:
            return None
        if self._state is _State.IDLE:
            return self._begin_if_due(now)
        if self._state is _State.STANDBY and not self._is_fresh():
            self._refresh("the session was changed")
        elif self._state is _State.STANDBY and now >= self._quiet_at and self._is_quiet(now):
            self._hold(now)
        elif self._retrieve_until is not None and self._standby is not None:
            if now >= self._retrieve_until or not self._older_turns.is_waiting:
                self._give_conversation(self._standby)
        elif self._limit is not None and now >= self._limit:
            if self._state is _State.HOLDING:
                self._abandon("the service did not answer in time")
                self._quiet_at = now + _RETRY  # holding up the program again and again is no use
            elif self._state is _State.PREPARING and self._standby is not None:
                self._standby.connection.abort(
                    ConnectionClosedError("The service did not make the session ready in time.")
                )
                self._limit = None
            elif self._state is _State.DRAINING and self._old is not None:
                self._old.connection.abort(ConnectionClosedError("It was replaced by another connection."))
                self._limit = None
        elif self._restorer is not None and self._restorer.is_overdue and self._standby is not None:
            self._standby.connection.abort(
                ConnectionClosedError("The service did not take the conversation in time.")
            )
        return _LOOK

    def _begin_if_due(self, now: float) -> float | None:
        left = self._age.left(now)
        asked_for = self._why()
        if not asked_for:
            if left is None or self._policy.swap_before_s is None:
                return None
            after = self._swapped_at + _LEAST_INTERVAL if self._swapped_at is not None else now
            wait = max(left - self._age.window, after - now, self._retry_at - now)
            if wait > 0:
                return min(wait, 60.0)  # a machine that sleeps does not count
        elif now < self._retry_at:
            return self._retry_at - now
        if wait := self._place.left():
            return wait
        self._reason = asked_for or "the session is about to reach its maximum age"
        self._prepare()
        return _LOOK

    def _prepare(self) -> None:
        try:
            attempt = self._configuration.new_attempt()
            attempt.on_configured = weakly(self._restore)
            attempt.on_refused = weakly(self._refused)
            self._standby, self._state = attempt, _State.PREPARING
            self._limit = self._clock() + _PREPARE
            self._attempts.start(attempt)
        except (RealtimeError, RuntimeError) as exc:  # out of descriptors, or of threads
            self._fail(exc if isinstance(exc, RealtimeError) else ConnectError(str(exc)))
            return
        self._older_turns.forget()  # what was asked for when another connection failed
        self._older_turns.ask(self._attempts.current, self._plans.lacking_sound(self._queue.running()))

    def _fail(self, outcome: RealtimeError) -> None:
        """The other connection is gone: the session goes on with the one it has."""
        self._forget_standby()
        self._failure = in_words(outcome)
        now = self._clock()
        wait = max(_RETRY, outcome.retry_after or 0.0)
        self._retry_at = now + wait
        if outcome.status == 429:
            self._place.note_limited()
        decision = self._backoff.after(outcome, now, has_worked=True)
        log.info("= no other connection yet, again in %.0f s: %s", wait, outcome)
        if isinstance(decision, GiveUp):
            self._backoff.reset()
            is_asked, self._asked_for = bool(self._why()), ""
            changes = self._configuration.changes
            are_told = self._waiters.refuse_swaps(outcome), changes.fail(changes.waiting, outcome)
            if is_asked and not any(are_told):
                log.warning(
                    "! no other connection was made, and the session goes on with the one it has: %s", outcome
                )

    def _forget_standby(self) -> None:
        if self._state is _State.HOLDING:
            self._release()
        self._standby = self._restorer = self._limit = self._retrieve_until = None
        self._state = _State.IDLE

    def _refused(self, attempt: Attempt, error: ServiceError) -> None:
        """The service does not take the configuration: the session goes on with the connection it has."""
        if attempt is not self._standby:
            return
        log.info("= the service refuses the configuration of another connection: %s", error)
        self._failure = in_words(error)
        self._forget_standby()
        attempt.connection.begin_close(_DRAIN)
        has_changes, is_told = self._configuration.refuse_changes(attempt, error)
        if not has_changes:  # else the rest of what is asked for may be taken
            self._retry_at = self._clock() + _RETRY
            if self._asked_for:
                self._asked_for, is_told = "", self._waiters.refuse_swaps(error)
        if not is_told and error.event is not None and str(error) != self._refusal:
            self._refusal = str(error)  # it is asked for again and again
            self._session.tell_error(error.event)

    def on_ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt that is not the current one has ended."""
        if attempt is self._standby:
            self._fail(outcome)

    # ------------------------------------------------------------ the other connection

    def _restore(self, attempt: Attempt) -> None:
        if attempt is not self._standby:
            return
        self._limit = None
        if self._older_turns.is_waiting:
            self._retrieve_until = self._clock() + _RETRIEVE
        else:
            self._give_conversation(attempt)

    def _give_conversation(self, attempt: Attempt) -> None:
        self._retrieve_until = None
        self._older_turns.stop()
        self._restorer = self._new_restorer(attempt, weakly(self._restored, attempt))
        self._follow()

    def _follow(self) -> bool:
        """Give it what it does not have yet; return ``False`` if it cannot be given that."""
        assert self._restorer is not None
        try:
            return self._restorer.follow(self._plans.plan(self._queue.running(), self._restorer.planned))
        except ConnectionClosedError as exc:  # its end is about to be told
            log.debug("= %s", exc)
            return True

    def _restored(self, attempt: Attempt) -> None:
        if attempt is not self._standby:
            return
        if self._state is _State.PREPARING:
            self._state, self._failure, self._noise = _State.STANDBY, "", ""
            self._backoff.reset()
        elif self._state is _State.HOLDING and self._is_passed:
            self._switch(attempt)

    def _is_quiet(self, now: float) -> bool:
        self._noise = self._noise_now(now)
        return not self._noise

    def _noise_now(self, now: float) -> str:
        """Return what goes on that is waited for, in words; an empty text in a quiet moment."""
        is_answering = bool(self._queue.running())
        busy = "a response is in progress" if is_answering else "a response is asked for, or the user speaks"
        left = self._age.left(now)
        if (
            left is not None
            and left < min(_RESPONSE_MAY_GO_ON, self._age.window / 4)
            and self._queue.running()
        ):
            return "" if self._queue.is_only_running() else busy
        late = bool(self._why()) or (left is not None and left < self._age.window / 2)
        is_urgent = left is not None and left < min(_SPEECH_MAY_BE_CUT, self._age.window / 2)
        if not late and (status := self._status()) is not ModelStatusEnum.IDLE:
            return f"the status is {status}"
        if is_urgent:
            # Commands without a pause are never all answered, but those before the barrier are with that. The
            # sound of a turn without transcript is kept, and a late one is told.
            return "" if self._queue.is_silent() else busy
        if self._journal.awaits_answers():
            return "a command is not acknowledged"
        if self._configuration.does_transcribe and self._journal.sound.awaits_transcript(now):
            return "the user is being transcribed"
        return "" if self._queue.is_quiet() else busy

    # ------------------------------------------------------------ the moment itself

    def _hold(self, now: float) -> None:
        """Hold what the program sends, and see to it that the old session has taken all that came before."""
        old = self._attempts.current
        self._old, self._state, self._limit = old, _State.HOLDING, now + _BARRIER
        self._is_passed = False
        self._running = self._queue.running()
        self._journal.hold(is_brief=True)
        self._queue.hold()
        self._attempts.intercept(old)
        old.on_event = weakly(self._on_old_event)
        try:
            self._configuration.send_barrier(old)
        except ConnectionClosedError as exc:  # its end is about to be told
            log.debug("= %s", exc)

    def _on_old_event(self, event: Event) -> None:
        """Take an event of the old session while it is held, or drained."""
        old = self._old
        if self._state is _State.HOLDING:
            if isinstance(event, SessionUpdated | Error) and self._configuration.take_barrier(event):
                self._pass()
                return
            self._session.apply_event(event)
            if isinstance(event, _UNQUIET):
                self._abandon(f"{event.type} came")
        elif isinstance(event, _TRANSCRIPTS) or self._is_of_running(event):
            if (item := getattr(event, "item", None)) is not None:
                self._journal.expect(item.id, getattr(item, "call_id", None))
            self._session.apply_event(event)
            if isinstance(event, ResponseDone):
                self._running = tuple(r for r in self._running if r != event.response.id)
                if not self._running:
                    self._end_running()
        elif isinstance(event, ResponseCreated) and old is not None:
            self._configuration.cancel_on(old, event.response.id)

    def _is_of_running(self, event: Event) -> bool:
        """Whether an event belongs to a response that goes on in the old session."""
        if not self._running:
            return False
        if isinstance(event, ResponseDone):
            return event.response.id in self._running
        if isinstance(event, ConversationItemAdded | ConversationItemDone):
            return not isinstance(event.item, MessageItem) or event.item.role == "assistant"
        return getattr(event, "response_id", None) in self._running

    def _end_running(self) -> None:
        """The response that went on in the old session is over: give what it brought to the new one."""
        old = self._old
        if old is None:
            return
        self._add_rest()
        self._limit = self._clock() + _DRAIN
        old.connection.begin_close(_DRAIN)

    def _add_rest(self) -> None:
        """Give what came of the running responses to the new session, and what was sent about it."""
        restorer, self._restorer = self._restorer, None
        try:
            if restorer is not None:
                restorer.add(self._plans.plan((), restorer.planned))
            self._replay(self._attempts.current, None)
        except ConnectionClosedError as exc:  # its end is about to be told, and is a loss
            log.debug("= %s", exc)

    def _pass(self) -> None:
        """The old session has taken all: give the other one the rest."""
        self._is_passed = True
        if not self._is_fresh() or not self._follow():
            self._refresh("the conversation was changed")

    def _is_fresh(self) -> bool:
        return self._standby is not None and self._configuration.is_asked_of(self._standby)

    def _refresh(self, why: str) -> None:
        """Something that the other session has was changed meanwhile: make another one."""
        standby = self._standby
        log.info("= another connection is made once more: %s", why)
        self._forget_standby()
        self._refreshed += 1
        if self._refreshed > 2:  # it is changed again and again: not for each change
            now = self._clock()
            left = self._age.left(now)
            longest = _RETRY if left is None else min(_RETRY, max(left, 0.0) / 4)
            self._retry_at = now + min(longest, 0.5 * 2.0 ** min(self._refreshed - 3, 10))
        if standby is not None:
            standby.connection.begin_close(_DRAIN)

    def _abandon(self, why: str) -> None:
        """Not now: give what was held to the old session."""
        log.debug("= no swap now: %s", why)
        self._noise = why
        self._release()
        self._state = _State.STANDBY

    def _release(self) -> None:
        old, self._limit = self._old, None
        if old is None or old.outcome is not None:
            self._configuration.drop_barriers()
            return
        self._configuration.leave_barrier()
        old.on_event = None
        self._attempts.resume(old)
        try:
            self._journal.replay(old)
        except ConnectionClosedError as exc:  # its end is about to be told
            log.debug("= %s", exc)
            return
        self._queue.release()

    def _switch(self, attempt: Attempt) -> None:
        """All that the old session has is there: go over."""
        restorer, old = self._restorer, self._old
        assert restorer is not None
        assert old is not None
        now = self._clock()
        self._state = _State.DRAINING
        self._limit = now + (2 * _RESPONSE_MAY_GO_ON if self._running else _DRAIN)
        self._swapped_at, self._asked_for, self._refreshed = now, "", 0
        restored, shortened, lost = self._plans.hand_over(restorer)
        start = self._journal.sound.needed_from(is_planned=True, prefix_ms=self._configuration.prefix_ms)
        attempt.on_event = None
        self._attempts.go_over_to(attempt)
        self._standby = None
        attempt.ready.initialize()
        log.info("= went over to another connection: %s", self._reason)
        attempt.take_updates(old)
        self._journal.expect(*self._plans.names(self._running))
        try:
            self._replay(attempt, start)
        except ConnectionClosedError as exc:  # its end is about to be told, and is a loss
            log.debug("= %s", exc)
        if not self._running:
            self._queue.lose()  # nothing was in progress, but for the user's turn
            self._restorer = None
            old.connection.begin_close(_DRAIN)
        self._done = Reconnected(
            gap_s=0.0, reason=self._reason, is_planned=True, restored=restored, shortened=shortened, lost=lost
        )

    def on_moved(self) -> None:
        """The old connection has ended, and events of the new one are applied."""
        done, self._done = self._done, None
        if self._running and done is not None:  # the old session has ended in mid-response
            reason = ConnectionClosedError("The session ended during the response.")
            done = evolve(done, responses=self._settle(reason))
            self._add_rest()
        self._old = self._limit = self._restorer = None
        self._running = ()
        self._older_turns.forget()
        was_draining = self._state is _State.DRAINING
        if was_draining:
            self._state = _State.IDLE
        if was_draining and done is not None:
            done = without_transcripts(done, self._session.lose_transcripts())
            self._queue.release()
            self._tell(done)

    @property
    def is_draining(self) -> bool:
        """Whether the old session is heard to its end, although commands go to the new one."""
        return self._state is _State.DRAINING

    def _lose_new(self) -> None:
        """The new connection is lost while the old session is heard: that goes on, and so does its limit."""
        self._restorer = None
        self._asked_for = ""
        done, self._done = self._done, None
        if done is not None:
            self._tell(done)

    def on_drained(self) -> None:
        """The old connection has ended, too."""
        self._old = self._limit = None
        self._running = ()
        self._older_turns.forget()
        self._state = _State.IDLE

    def give(self) -> tuple[Attempt, Restorer] | None:
        """
        Give the other connection to the caller: the present one is lost.

        Returns:
            ``None`` if there is none whose session is configured, and had the conversation.
        """
        if self._state is _State.DRAINING:
            self._lose_new()
            return None
        attempt, restorer, state = self._standby, self._restorer, self._state
        self._standby = self._restorer = self._old = self._limit = self._retrieve_until = None
        self._older_turns.forget()
        self._state, self._refreshed = _State.IDLE, 0
        self._place.give_back()
        self._backoff.reset()
        self._configuration.drop_barriers()
        self._asked_for = ""  # there will be another connection
        if attempt is None or attempt.outcome is not None:
            return None
        if restorer is None or state not in (_State.STANDBY, _State.HOLDING):
            attempt.connection.begin_close(_DRAIN)
            return None
        return attempt, restorer
