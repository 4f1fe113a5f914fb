"""
The service's mind for one connection: commands in, events out, time as an argument.

There are no threads, no sockets and no clock here. :meth:`SessionEngine.receive` takes a frame,
:meth:`SessionEngine.pull` hands out the next thing to send, one at a time, so that a cancel or a word
from the user can fall between any two audio deltas; :meth:`SessionEngine.next_due` says when to come
back. All three take ``now``: seconds on any clock that never runs backwards.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from ..dialects.base import session_on_wire
from ..dialects.schema import RefusalError
from ..dialects.tables import check_command
from ..speech.tones import synthesise
from ..speech.vad import Detector, EnergyDetector
from .commands import Commands
from .conversation import Conversation
from .events import EventMaker, RateLimits, input_tokens
from .input_audio import Listening
from .replies import Ears, ReplyFunction, Voice, default_ears, default_reply
from .response import Manner, ResponseRun, Step
from .state import Session, with_vad_defaults

__all__ = ["Behaviour", "Close", "SessionEngine"]

log: logging.Logger = logging.getLogger(__name__)

_LONGEST_QUOTE: Final = 80


@dataclass(frozen=True)
class Close:
    """Not an event: the service ends the connection."""

    code: int
    reason: str = ""


@dataclass(frozen=True)
class Behaviour:
    """
    What a brain is born with.

    Attributes:
        reply: What it says; see :mod:`.replies`.
        ears: What it hears in user audio.
        voice: How it sounds.
        detector: Makes what listens for speech; see :mod:`.vad`.
        pace: Seconds of audio sent per second; 0 sends as fast as it can be made.
        first_delay: Seconds before the first output of a response.
        session_seconds: Life of a session.
        seed: Makes ids repeat; ``None`` does not.
    """

    reply: ReplyFunction = default_reply
    ears: Ears = default_ears
    voice: Voice = synthesise
    detector: Callable[[], Detector] = EnergyDetector
    pace: float = 0.0
    first_delay: float = 0.0
    session_seconds: float = 3600.0
    seed: int | None = None


class SessionEngine:
    """
    One session of the service.

    Args:
        dialect: ``"ga"`` or ``"preview"``.
        kind: ``"realtime"`` or ``"transcription"``.
        deployment: As named in the URL.
        model: The model behind it, which is what ``session.model`` shows.
        now: The present, in the seconds that all later calls use.
        wall_time: The present in Unix seconds, for ``expires_at``.

    **Threads**: none; one thread at a time may use it.
    """

    def __init__(
        self,
        temper: Behaviour,
        *,
        dialect: str = "ga",
        kind: str = "realtime",
        deployment: str = "gpt-realtime",
        model: str = "gpt-realtime-2025-08-28",
        now: float = 0.0,
        wall_time: float = 0.0,
    ) -> None:
        self.dialect = dialect
        self.deployment = deployment
        self.temper = temper
        self.make: EventMaker = EventMaker(dialect, random.Random(temper.seed))
        self.session: Session = self._new_session(kind, model, wall_time)
        self.conversation: Conversation = Conversation(self.make.new_id("conv"))
        self.is_closed: bool = False
        self._commands = Commands(self)
        self._listening = Listening(self)
        self._out: deque[dict[str, Any] | Close] = deque()
        self._runs: list[ResponseRun] = []
        self._steps: dict[int, Generator[Step, None, None]] = {}
        self._errands: list[tuple[float, Generator[Step, None, None]]] = []  # transcriptions under way
        self._limits = RateLimits(dialect)
        self._cached = (0, 0)
        self._expires = now + temper.session_seconds
        self._now = now
        self._greet()

    def _new_session(self, kind: str, model: str, wall_time: float) -> Session:
        is_ga = self.dialect == "ga"
        return Session(
            kind=kind,
            id=self.make.new_id("sess"),
            model=model,
            expires_at=int(wall_time + self.temper.session_seconds),
            modalities=("audio",) if is_ga else (("text",) if kind == "transcription" else ("text", "audio")),
            turn_detection=with_vad_defaults({}, ga=is_ga),
        )

    def _greet(self) -> None:
        is_preview_transcription = self.dialect == "preview" and self.session.kind == "transcription"
        name = "transcription_session.created" if is_preview_transcription else "session.created"
        self.send(self.make.event(name, session=session_on_wire(self.session, self.dialect)))
        if self.dialect == "preview" and not is_preview_transcription:
            described = {"id": self.conversation.id, "object": "realtime.conversation"}
            self.send(self.make.event("conversation.created", conversation=described))

    # In -------------------------------------------------------------------------------------

    def receive(self, frame: str | bytes, now: float) -> dict[str, Any] | None:
        """
        Take one WebSocket message.

        Returns:
            The decoded command, or ``None`` when it was none. A refusal becomes an ``error`` event.
        """
        self._now = now
        command: Any = None
        try:
            if isinstance(frame, bytes):
                raise RefusalError(
                    "invalid_event", "Binary messages are not supported. Events must be JSON text."
                )
            try:
                command = orjson.loads(frame)
            except ValueError:
                raise RefusalError(
                    "invalid_json", f"Failed to parse the event as JSON: {frame[:_LONGEST_QUOTE]!r}."
                ) from None
            if not isinstance(command, dict):
                command = None
                raise RefusalError("invalid_event", "Events must be JSON objects with a 'type'.")
            self.obey(command)
        except RefusalError as refusal:
            given = command.get("event_id") if isinstance(command, dict) else None
            self.send(self.make.error(refusal, given if isinstance(given, str) else None))
        return command if isinstance(command, dict) else None

    def obey(self, command: dict[str, Any]) -> None:
        """
        Carry out one decoded command.

        Raises:
            RefusalError: Nothing was changed.
        """
        check_command(self.dialect, command)
        self._commands.obey(command)

    # Out ------------------------------------------------------------------------------------

    def pull(self, now: float) -> dict[str, Any] | Close | None:
        """The next event to send, or how to end, or ``None`` when there is nothing to say yet."""
        self._now = now
        while True:
            if self._out:
                return self._out.popleft()
            if self.is_closed:
                return None
            if now >= self._expires:
                self._expire()
                continue
            self._listening.wake_if_idle(now)
            if self._out:
                continue
            taken = self._step(now)
            if taken is None:
                return None
            if isinstance(taken, dict):
                return taken

    def next_due(self) -> float | None:
        """When :meth:`pull` should be called again; ``None`` once the session is over."""
        if self._out:
            return self._now
        if self.is_closed:
            return None
        waits = [self._expires, *(run.due for run in self._runs), *(due for due, _ in self._errands)]
        idle = self._listening.idle_due
        return min(waits if idle is None else [*waits, idle])

    def _step(self, now: float) -> Step | None:
        """Take the most urgent step of whatever is under way; a pause is a step too."""
        errand = min(self._errands, key=lambda entry: entry[0], default=None)
        run = min(self._runs, key=lambda entry: entry.due, default=None)
        if errand is not None and errand[0] <= now and (run is None or errand[0] <= run.due):
            self._errands.remove(errand)
            due, steps = errand
            step = next(steps, None)
            if step is not None:
                pause = step if isinstance(step, float) else 0.0
                self._errands.append((due + pause, steps))
            return step if step is not None else 0.0
        if run is None or run.due > now:
            return None
        step = next(self._steps[id(run)], None)
        if isinstance(step, (int, float)):
            run.due += step
        if run.is_over and step is None:
            self._forget(run)
        return step if step is not None else 0.0

    def send(self, *events: dict[str, Any] | Close) -> None:
        """Queue events ahead of any response's next delta."""
        self._out.extend(events)

    # Responses ------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The time of the call in progress."""
        return self._now

    @property
    def active(self) -> ResponseRun | None:
        """The response in the default conversation, if one is in progress."""
        return next((run for run in self._runs if run.home is not None and not run.is_over), None)

    @property
    def runs(self) -> tuple[ResponseRun, ...]:
        """All responses in progress, out-of-band ones included."""
        return tuple(run for run in self._runs if not run.is_over)

    def respond(
        self,
        session: Session,
        *,
        context: Conversation | None = None,
        is_out_of_band: bool = False,
        metadata: dict[str, str] | None = None,
    ) -> None:
        """
        Begin a response.

        Raises:
            RefusalError: Another one is active in the default conversation.
        """
        if not is_out_of_band and self.active is not None:
            raise RefusalError(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self.active.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        temper = self.temper
        run = ResponseRun(
            id=self.make.new_id("resp"),
            make=self.make,
            session=session,
            context=context if context is not None else self.conversation,
            home=None if is_out_of_band else self.conversation,
            manner=Manner(temper.reply, temper.voice, temper.pace, temper.first_delay),
            on_done=self._account,
            metadata=metadata,
            cached=self._cached,
            due=self._now,
        )
        if not is_out_of_band:
            self._listening.disarm()
            self._cached = input_tokens(self.conversation, session)
        self._runs.append(run)
        self._steps[id(run)] = run.steps()

    def cancel(self, run: ResponseRun, reason: str) -> None:
        """Break *run* off; its ending is queued at once."""
        self._forget(run)
        self.send(*run.cancel(reason))

    def _forget(self, run: ResponseRun) -> None:
        self._runs.remove(run)
        self._steps.pop(id(run)).close()
        self.conversation.trim_audio()
        if run.home is not None and run.audio_ms:
            started = run.due - run.audio_ms / 1000 / self.temper.pace if self.temper.pace else run.due
            self._listening.arm(max(self._now, started + run.audio_ms / 1000))

    def _account(self, tokens: int) -> dict[str, Any]:
        return self.make.event("rate_limits.updated", rate_limits=self._limits.spend(tokens, self._now))

    # Listening ------------------------------------------------------------------------------

    @property
    def listening(self) -> Listening:
        """The input buffer and what follows from it."""
        return self._listening

    def run_errand(self, steps: Generator[Step, None, None]) -> None:
        """Let *steps* go on beside everything else."""
        self._errands.append((self._now, steps))

    def change_session(self, **changes: Any) -> None:
        """Replace the session by one with *changes*."""
        before = self.session
        self.session = replace(before, **changes)
        if before.turn_detection != self.session.turn_detection:
            self._listening.on_detection_changed()

    # The end --------------------------------------------------------------------------------

    def _expire(self) -> None:
        minutes = self.temper.session_seconds / 60
        words = f"Your session hit the maximum duration of {minutes:g} minutes."
        self.send(self.make.error(RefusalError("session_expired", words), None))
        self.close(1001, words)

    def turn_away(self, refusal: RefusalError) -> None:
        """Instead of a session: say why not, and close with 4000."""
        self._out.clear()
        self.send(self.make.error(refusal, None))
        self.close(4000, f"{refusal.type}.{refusal.code}")

    def close(self, code: int, reason: str = "") -> None:
        """End the connection once everything queued has been sent."""
        self.is_closed = True
        self.abandon()
        self.send(Close(code, reason))

    def abandon(self) -> None:
        """Let go of whatever is under way, and of those who work for it; nobody listens any more."""
        under_way = [*self._steps.values(), *(steps for _, steps in self._errands)]
        self._runs.clear()
        self._steps.clear()
        self._errands.clear()
        for steps in under_way:
            steps.close()
