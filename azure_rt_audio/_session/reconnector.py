"""
Goes on over another connection when one is lost.

::

    LIVE ──loss──▶ WAITING ──delay──▶ CONNECTING ──open, configured──▶ RESTORING ──▶ LIVE
                      ▲                    └──────── failed ────────────────┘
                      └── again, unless that is pointless or has gone on for too long: the session ends

Meanwhile commands and sound are held (``journal.py``), requests wait (``response_queue.py``), and callers
wait by their own time-outs. Each state has an end: a delay, ``connect_timeout``, the time limit of the
restorer, and those of the policy.

**Threads.** The I/O thread, but for :meth:`Reconnector.is_reconnecting` and :meth:`Reconnector.why_not_yet`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import attrs
import orjson
import pybase64

from .._concurrency.weak_call import weakly
from .._log import get_logger
from .._transport import Outcome
from ..errors import ConnectError, ConnectionClosedError, RealtimeError, ServiceError
from ..options import ReconnectPolicy
from ..protocol.conversation import Conversation
from ..protocol.events import (
    ConversationItemAdded,
    ConversationItemDone,
    ConversationItemTruncated,
    Error,
    Event,
)
from ..protocol.events.local import Reconnected, Reconnecting
from ..protocol.history import History
from ..protocol.items import ContentPart, ConversationItem, MessageItem
from ..protocol.responses import Response
from ..protocol.restored_texts import in_seconds
from ..protocol.turn import ModelStatusEnum
from .attempt import Attempt
from .attempts import Attempts
from .backoff import STEADY_S, Backoff, GiveUp, Retry
from .configuration import Configuration
from .dial_spacing import DialPlace
from .interrupted_responses import InterruptedResponses
from .journal import Journal
from .late_turns import LateTurns
from .losses import CONFIGURATION, SOUND, Losses, without_transcripts
from .older_turns import OlderTurns
from .planned_swap import PlannedSwap
from .response_queue import ResponseQueue
from .restoration_plans import RestorationPlans
from .restored_items import RestoredItems
from .restorer import RESTORE_TIMEOUT, Restorer
from .sender import CommandSender
from .verdict import in_words
from .waiter import Waiter
from .waiters import Waiters

__all__ = ["Reconnector"]

log: logging.Logger = get_logger(__name__)

_LATE_MS: Final = 1000.0
"""Sound that was not sent in time and may hold more than one turn of the user, in milliseconds."""


class _Session(Protocol):
    """What is told of it."""

    def apply_event(self, event: Event) -> None:
        """Take an event into account, and tell those who want to know."""

    def tell_error(self, event: Error) -> None:
        """Tell those who want to know of an error of a connection whose events are not applied."""

    def tell(self, event: Reconnecting | Reconnected) -> None:
        """Tell listeners of an event of the client's own."""

    def lose_transcripts(self) -> list[str]:
        """Tell of the transcripts that a session has not sent, which is over; return the ids of the items."""

    def runs_calls(self, response_id: str) -> bool:
        """Whether functions run that a response in progress has called."""

    def has_listener(self, kind: type[Event]) -> bool:
        """Whether anybody is handed events of a kind."""

    def rest(self) -> None:
        """No response is in progress any more."""


@attrs.define
class Outage:
    """
    One time without a connection.

    Attributes:
        reason: Why the connection ended.
        responses: What became of the responses that were in progress, by their ids.
        refused: What the service did not take of the configuration, and why.
        untranscribed: Ids of the items whose transcripts had not come.
    """

    since: float
    reason: RealtimeError
    responses: dict[str, str] = attrs.Factory(dict)
    refused: dict[str, str] = attrs.Factory(dict)
    untranscribed: list[str] = attrs.Factory(list)


class Reconnector:
    """
    Keeps one session alive.

    Args:
        session: Told of all; held weakly by its caller.
        has_fresh_token: Whether each attempt asks for a credential anew.
    """

    def __init__(
        self,
        session: _Session,
        policy: ReconnectPolicy,
        attempts: Attempts,
        configuration: Configuration,
        sender: CommandSender,
        waiters: Waiters,
        journal: Journal,
        queue: ResponseQueue,
        conversation: Conversation,
        restored_items: RestoredItems,
        status: Callable[[], ModelStatusEnum],
        clock: Callable[[], float],
        *,
        host: str,
        has_fresh_token: bool,
    ) -> None:
        self._session = session
        self.policy = policy
        self._attempts = attempts
        self._configuration = configuration
        self._sender = sender
        self._waiters = waiters
        self._journal = journal
        self._queue = queue
        self._conversation = conversation
        self._restored_items = restored_items
        self._clock = clock
        self._backoff = Backoff(policy, random.random, has_fresh_token=has_fresh_token)
        self._outage: Outage | None = None  # written by the I/O thread, read bare
        self._place = DialPlace(host, clock)  # of the next attempt
        self._retry: Retry | None = None  # that attempt; written by the I/O thread, read bare
        self._restorer: Restorer | None = None
        self._interrupted = InterruptedResponses(session, policy, queue, conversation)
        self._losses = Losses()
        older_turns = OlderTurns(sender, waiters)
        self._plans = RestorationPlans(policy, sender.dialect, conversation, journal.sound, older_turns)
        self.swap = PlannedSwap(
            session,
            policy,
            attempts,
            configuration,
            waiters,
            journal,
            queue,
            older_turns,
            self._plans,
            weakly(self.new_restorer),
            weakly(self.replay),
            self._interrupted.settle,
            weakly(self._tell),
            Backoff(policy, random.random, has_fresh_token=has_fresh_token),
            DialPlace(host, clock),
            status,
            clock,
        )
        self._late_turns = LateTurns(configuration, queue, clock, attempts.call_in)
        self._live_since: float | None = None
        self._expects_speech = False  # it was restored, and the model has not spoken since
        self._history: History | None = None  # what the first session has yet to be given
        self._first_events: list[Event] = []  # of it, until then

    def is_reconnecting(self) -> bool:
        """Whether there is no connection, and will be one. Any thread."""
        return self._outage is not None

    def why_not_yet(self) -> str:
        """Return what another connection waits for, in words. Any thread."""
        outage, retry = self._outage, self._retry
        if outage is None or self.swap.is_draining:
            return self.swap.why_not_yet()
        if self._restorer is not None or retry is None:
            return "another connection is given the conversation"
        wait = self._place.due_in
        when = "is under way" if wait is None else f"is made in {wait:.1f} s"
        return f"there is no connection, and attempt {retry.attempt} {when} ({retry.reason})"

    # ------------------------------------------------------------ a loss

    def on_ended(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Take the end of an attempt; return whether the session goes on."""
        if attempt is not self._attempts.current:
            self.swap.on_ended(attempt, outcome)
            return True
        has_been_ready = self._attempts.has_been_ready
        if not has_been_ready and not self.policy.retry_first:
            return False
        now = self._clock()
        if self._outage is None and has_been_ready:
            live_since = self._live_since or attempt.opened_at
            if live_since is not None and now - live_since > STEADY_S:
                self.prove()
        if self._restorer is not None:
            self._plans.deaths += 1
        self._restorer = None
        other = self.swap.give() if self._outage is None else None
        decision = self._backoff.after(
            outcome, now, has_worked=has_been_ready, has_expired=attempt.has_expired
        )
        if isinstance(decision, GiveUp):
            # The end of the session follows, which is raised, or told to listeners, or logged.
            log.log(
                logging.INFO if has_been_ready else logging.DEBUG,
                "! no further attempt: %s",
                decision.reason,
            )
            self._outage = None
            return False
        if self._outage is None and has_been_ready:
            self._lose(outcome, now)
        if other is not None and self._promote(attempt, *other):
            return True
        delay = self._place.take(decision.delay_s, is_limited=outcome.status == 429)
        self._schedule(attempt, delay, decision)
        return True

    def on_done(self, response: Response) -> None:
        """Take a response that was completed."""
        self.prove()
        if not self._expects_speech:
            return
        kinds = {p.type for i in response.output or () if isinstance(i, MessageItem) for p in i.content or ()}
        modalities = response.modalities or self._configuration.modalities
        if "audio" in kinds:
            self._expects_speech = False
        elif "text" in kinds and "audio" in (modalities or ()):
            self._expects_speech = False
            log.warning(
                "! the model answers in text, although audio was asked for: it goes on in the form of the "
                "answers that were restored. Say in the instructions that it is to speak, or reconnect with "
                "fewer items (max_items)"
            )

    def prove(self) -> None:
        """The connection works: a response was completed on it, or it has lasted."""
        self._backoff.reset()
        self._plans.deaths = 0

    def _lose(self, outcome: Outcome, now: float) -> None:
        """The connection that there was is over: nothing is sent until there is another one."""
        self._retry = None
        self._outage = Outage(now, outcome)
        self._late_turns.cancel()
        self._journal.hold()
        self._queue.hold()
        self._waiters.hold()
        if not self.swap.is_draining:
            self._settle(self._outage)

    def _settle(self, outage: Outage) -> None:
        """Nothing more comes of what was in progress."""
        self._place_turns()
        outage.untranscribed = self._session.lose_transcripts()
        outage.responses = self._interrupted.settle(outage.reason)
        self._session.rest()

    def on_drained(self) -> None:
        """The old session has been heard to its end, after the new connection of a swap was lost."""
        self.swap.on_drained()
        attempt, outage = self._attempts.current, self._outage
        if outage is None:  # no further attempt
            return
        self._journal.hold()  # what was to come of the old session has come
        self._settle(outage)
        if attempt.is_configured and attempt.outcome is None:
            self._restore(attempt)

    def _place_turns(self) -> None:
        """Announce what the user said last, if the service has committed it and said no more of it."""
        for item_id in self._journal.sound.turns():
            if self._conversation._is_awaited(item_id):
                content = [ContentPart(type="input_audio")]
                item = MessageItem(id=item_id, role="user", status="completed", content=content)
                self._session.apply_event(ConversationItemAdded(item=item))
                if ConversationItemAdded.TYPE not in self._sender.dialect.names:  # preview has but one event
                    self._session.apply_event(ConversationItemDone(item=item))

    def _promote(self, previous: Attempt, attempt: Attempt, restorer: Restorer) -> bool:
        """Go on over the connection that was prepared for a planned swap, unless it is of no use."""
        if not self._configuration.is_asked_of(attempt):  # the session was changed since
            attempt.connection.begin_close(1.0)
            return False
        attempt.take_updates(previous)
        self._attempts.replace(attempt)
        self._restorer = restorer
        restorer.on_done = weakly(self._go_live, attempt)
        self._settle_truncations()
        try:
            is_usable = restorer.follow(self._plans.plan(previous=restorer.planned), self.policy.note)
        except ConnectionClosedError:
            is_usable = True  # its end is about to be told, and is another loss
        if not is_usable:
            self._restorer = None
            attempt.connection.begin_close(1.0)
        return is_usable

    def _schedule(self, previous: Attempt, delay: float, decision: Retry) -> None:
        """Make another attempt, to be started when its time has come."""
        self._retry = decision
        attempt = self._configuration.new_attempt()
        attempt.take_updates(previous)
        self._attempts.replace(attempt)
        if self._attempts.has_been_ready:
            attempt.on_configured = weakly(self._restore)
            attempt.on_refused = weakly(self._refused)
            attempt.on_event = weakly(self._on_early_event)
        elif self._history is not None:
            self.begin_with(self._history, attempt)
        else:
            self._waiters.forget_own()
            self._attempts.resume(attempt)  # a first connection, as the one before was to be
        self._attempts.call_in(delay)
        log.info("= attempt %d to connect again in %.1f s: %s", decision.attempt, delay, decision.reason)
        self._session.tell(Reconnecting(attempt=decision.attempt, delay_s=delay, reason=decision.reason))

    def _on_early_event(self, event: Event) -> None:
        """Take an event of a connection whose session is not configured yet."""
        if isinstance(event, Error):
            self._session.apply_event(event)

    def _refused(self, attempt: Attempt, error: ServiceError) -> None:
        """The service does not take the configuration any more: go on with what it takes of it."""
        if error.event is not None:
            self._session.tell_error(error.event)
        if self._outage is None or attempt is not self._attempts.current:
            return
        name = self._configuration.leave_out(attempt, error)
        if name != "":
            key = CONFIGURATION if name is None else f"{CONFIGURATION}.{name}"
            self._outage.refused[key] = error.message
        if name is None:
            log.warning(
                "! the session goes on without its configuration, which the service refuses: %s", error
            )
            attempt.configured()

    # ------------------------------------------------------------ a history to begin with

    def begin_with(self, history: History, attempt: Attempt) -> None:
        """Give a conversation that was kept to the first session, before that is told. Any thread."""
        self._history, self._first_events = history, []
        self._attempts.intercept(attempt)
        attempt.on_configured = weakly(self._restore_history)
        attempt.on_event = weakly(self._on_first_event)

    def _on_first_event(self, event: Event) -> None:
        if self._restorer is not None and self._restorer.on_event(event):
            return
        if isinstance(event, Error):
            self._session.apply_event(event)
        else:
            self._first_events.append(event)

    def _restore_history(self, attempt: Attempt) -> None:
        assert self._history is not None
        restorer = self._restorer = self.new_restorer(attempt, weakly(self._restored_history, attempt))
        attempt.on_event = weakly(self._on_first_event)
        self._attempts.call_in(1.0)
        try:
            restorer.follow(self._plans.plan_history(self._history, self._configuration.input_audio_format()))
        except ConnectionClosedError as exc:  # its end is about to be told
            log.debug("= %s", exc)

    def _restored_history(self, attempt: Attempt) -> None:
        restorer, self._restorer = self._restorer, None
        history, self._history = self._history, None
        if restorer is None or history is None:
            return
        attempt.on_event = None
        restored, shortened, lost = self._plans.hand_over(restorer)
        # What the session was not given stays, and is kept again: it was said.
        self._conversation._begin_with(history.entries)
        self._losses.remember(shortened, lost)
        for item in restorer.plan.items:
            if item.id not in lost:
                self._keep_sound(item)
        if lost:
            log.warning(
                "! %d of %d items of the history were not restored: %s. They stay in client.conversation",
                len(lost),
                len(lost) + len(restored),
                "; ".join(sorted(set(lost.values()))),
            )
        self._attempts.resume(attempt)
        events, self._first_events = self._first_events, []
        for event in events:
            self._session.apply_event(event)

    def _keep_sound(self, item: ConversationItem) -> None:
        """Keep the sound of a turn that was restored as such: the session after this one needs it, too."""
        parts = (item.content or ()) if isinstance(item, MessageItem) else ()
        sound = next((part.audio for part in parts if part.audio), None)
        if sound is not None and item.id:
            self._journal.sound.keep_turn(item.id, pybase64.b64decode(sound))

    # ------------------------------------------------------------ the clock

    def check(self) -> float | None:
        """Look at the clock; return the seconds until the next look."""
        attempt = self._attempts.current
        looks: list[float | None] = []
        if self._outage is not None and self.swap.is_draining:
            looks.append(self.swap.check())
        if self._place.is_taken:
            looks.append(self._dial_if_due(attempt))
        elif self._history is not None or self._outage is not None or self._is_first_tried():
            looks.append(self._watch(attempt))
        else:
            looks += [self.swap.check(), self._late_turns.check()]
        return min((seconds for seconds in looks if seconds is not None), default=None)

    def check_history(self) -> float | None:
        """The same without a policy, which takes no other connection: until the history is restored."""
        return None if self._history is None else self._watch(self._attempts.current)

    def _is_first_tried(self) -> bool:
        """Whether the session has yet to begin, and is tried again if that fails."""
        return self.policy.retry_first and not self._attempts.has_been_ready

    def _dial_if_due(self, attempt: Attempt) -> float | None:
        """Begin an attempt when its time has come; return the seconds until then."""
        if self._attempts.is_closing:
            self._place.give_back()
            attempt.connection.abort(
                ConnectionClosedError("The connection was closed by this side before it was open.")
            )
            return None
        if wait := self._place.left():
            return wait
        try:
            self._attempts.start(attempt)
        except (RealtimeError, RuntimeError) as exc:  # out of descriptors, or of threads
            if not isinstance(exc, ConnectError | ConnectionClosedError):
                exc = ConnectError(str(exc))
            self._attempts.fail(attempt, exc)
        return 1.0

    def _watch(self, attempt: Attempt) -> float | None:
        """Give up an attempt whose service has fallen silent; until it is open, it has limits of its own."""
        restorer, opened_at = self._restorer, attempt.opened_at
        if self.swap.is_draining:  # it waits for the end of the old session
            return 1.0
        if restorer is None:
            # A first session whose configuration was refused waits for another one, of the program.
            is_awaited = self._outage is not None or not attempt.ready.was_refused
            is_silent = opened_at is not None and self._clock() - opened_at >= RESTORE_TIMEOUT
            is_overdue = is_silent and is_awaited
        else:
            is_overdue = restorer.is_overdue
        if is_overdue:
            what = "make the session ready" if restorer is None else "take back the conversation"
            attempt.connection.abort(ConnectionClosedError(f"The service did not {what} in time."))
        return 1.0

    # ------------------------------------------------------------ another connection

    def _restore(self, attempt: Attempt) -> None:
        """The session of a new connection is configured: give it the conversation."""
        outage = self._outage
        if outage is None or attempt is not self._attempts.current:
            return
        if self.swap.is_draining:  # it waits for the end of the old session, and holds what is sent
            attempt.ready.initialize()
            return
        self._settle_truncations()
        restorer = self._restorer = self.new_restorer(attempt, weakly(self._go_live, attempt))
        self._attempts.call_in(1.0)
        try:
            restorer.follow(self._plans.plan(), self.policy.note)
        except ConnectionClosedError as exc:  # its end is about to be told
            log.debug("= %s", exc)

    def new_restorer(self, attempt: Attempt, on_done: Callable[[], object]) -> Restorer:
        """Return what gives the conversation to the session of an attempt."""
        encode, new_event_id = self._sender.encode_as_is, self._sender.new_event_id
        restorer = Restorer(attempt, encode, new_event_id, on_done, self._clock)
        attempt.on_event = weakly(restorer.on_event)
        return restorer

    def _settle_truncations(self) -> None:
        """Carry out, in the mirror, the truncations that the service has not acknowledged."""
        for waiter in self._journal.unacknowledged():
            cut = self._truncation(waiter)
            if cut is not None:
                self._session.apply_event(cut)

    def _go_live(self, attempt: Attempt) -> None:
        """All items are there: send what was held, and go on."""
        outage, restorer = self._outage, self._restorer
        if outage is None or restorer is None or attempt is not self._attempts.current:
            return
        attempt.on_event = None
        restored, shortened, lost = self._plans.hand_over(restorer)
        lost.update(outage.refused)
        self._attempts.go_over()
        start = self._journal.sound.needed_from(is_planned=False, prefix_ms=0.0)
        detection = self._configuration.turn_detection
        is_late = (
            detection is not None
            and detection.create_response is not False
            and self._journal.sound.ms_from(start) >= _LATE_MS
        )
        try:
            if is_late:
                self._late_turns.send(attempt, lambda: self.replay(attempt, start))
            else:
                self.replay(attempt, start)
        except ConnectionClosedError as exc:  # its end is about to be told, and is another loss
            log.debug("= %s", exc)
            return
        self._outage = self._restorer = None
        self._expects_speech = bool(restored)
        self._live_since = self._clock()
        gap = self._live_since - outage.since
        attempt.ready.initialize()
        if not is_late:
            self._queue.release()
        log.info("= connected again after %.1f s; %d items restored, %d lost", gap, len(restored), len(lost))
        event = Reconnected(
            gap_s=gap,
            reason=in_words(outage.reason),
            restored=restored,
            shortened=shortened,
            lost=lost,
            responses=outage.responses,
        )
        self._tell(without_transcripts(event, outage.untranscribed))

    def _tell(self, event: Reconnected) -> None:
        seconds = self._journal.sound.take_missing_s()
        if seconds > 0:
            what = f"{in_seconds(seconds)} of sound were more than is kept"
            log.warning("! %s", what)
            event = attrs.evolve(event, lost={**event.lost, SOUND: what})
        self._session.tell(self._losses.told_once(event))

    def replay(self, attempt: Attempt, start: int | None) -> None:
        """
        Send on a new connection what was held.

        Args:
            start: Index of the first byte of sound; ``None`` for commands about items that it has only now.

        Raises:
            ConnectionClosedError: If the connection is over.
        """
        cuts: dict[str, ConversationItemTruncated] = {}
        deleted: set[str] = set()

        def is_kept(waiter: Waiter) -> bool:
            if (item_id := self._deletion(waiter)) is not None:
                deleted.add(item_id)
                if (cut := cuts.pop(item_id, None)) is not None:
                    self._session.apply_event(cut)
                return True
            cut = self._truncation(waiter)
            if cut is None or cut.item_id not in attempt.ids.restored or cut.item_id in deleted:
                return True
            cuts[cut.item_id] = cut
            return False

        if start is None:
            self._journal.release_expected(attempt, is_kept)
        else:
            self._journal.replay(attempt, start, is_kept)
        for cut in cuts.values():
            self._restored_items.truncate(cut.item_id, cut.audio_end_ms)

    def _deletion(self, waiter: Waiter) -> str | None:
        """Return the program's id of the item that is to be deleted, if that is what a waiter waits for."""
        fields = _fields(waiter, "conversation.item.delete")
        return None if fields is None else self._attempts.ids.known(fields["item_id"])

    def _truncation(self, waiter: Waiter) -> ConversationItemTruncated | None:
        """Return the event that would acknowledge a truncation, if that is what a waiter waits for."""
        fields = _fields(waiter, "conversation.item.truncate")
        if fields is None:
            return None
        return ConversationItemTruncated(
            item_id=self._attempts.ids.known(fields["item_id"]),
            content_index=fields["content_index"],
            audio_end_ms=fields["audio_end_ms"],
        )


def _fields(waiter: Waiter, kind: str) -> Mapping[str, Any] | None:
    """Return the fields of the command that a waiter waits for, if it is of that kind."""
    if kind.encode() not in waiter.payload:
        return None
    fields: Mapping[str, Any] = orjson.loads(waiter.payload)
    return fields if fields.get("type") == kind else None
