"""
One session: commands in, events out, time as an argument.

There are no threads, no sockets and no clock here. :meth:`SessionEngine.receive` takes a frame.
:meth:`SessionEngine.pull` returns the next event to send, one at a time, so that a cancel or the user's
speech can fall between any two audio deltas. :meth:`SessionEngine.next_due` returns when to pull again.
``now`` is in seconds of any clock that never runs backwards.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Final

import orjson

from ..dialects.base import Dialect
from ..dialects.choose import dialect_named
from ..dialects.rules import RefusalError
from ..model.conversation import Conversation
from ..model.session import Session
from .behaviour import Behaviour
from .commands import Commands
from .events import EventMaker, RateLimits
from .input_audio import InputAudio
from .mcp import McpCalls
from .response import UNTIL_AN_EVENT, ResponseRun, Step
from .usage import Prompt, prompt_of, shared_tokens, total

__all__ = ["Close", "SessionEngine"]

_LONGEST_QUOTE: Final = 80
_DEEPEST_COMMAND: Final = 100  # levels of nesting
_CODES_OF_FRAMES: Final = frozenset({*range(1000, 1004), *range(1007, 1015)})


@dataclass(frozen=True)
class Close:
    """
    The service closes the connection with a close frame.

    Attributes:
        code: Such as 1000 or 1011; the service's own are from 3000 to 4999.
        reason: Text, 123 bytes at most.
    """

    LONGEST_REASON: ClassVar[int] = 123

    code: int
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no code; one that no frame can have may have been recorded."""
        code: object = self.code
        if isinstance(code, bool) or not isinstance(code, int):
            raise TypeError(f"code is {code!r}: give a whole number, such as 1011")
        reason: object = self.reason
        if not isinstance(reason, str):
            raise TypeError(f"reason is {reason!r}: give a string")

    @property
    def has_code_of_a_frame(self) -> bool:
        """Whether a close frame may have this code: others only tell a program how it ended."""
        return self.code in _CODES_OF_FRAMES or 3000 <= self.code < 5000


class SessionEngine:
    """
    One session of the service.

    Args:
        dialect: ``"ga"`` or ``"preview"``.
        profile: ``"azure"``, ``"openai"`` or ``"documented"``.
        kind: ``"realtime"`` or ``"transcription"``.
        model: The model behind the deployment, which is what ``session.model`` shows.
        now: The present, in the seconds that all later calls use.
        wall_time: The present in Unix seconds, for ``expires_at``.
        settings: Of the session, in place of the defaults.

    **Threads**: none; one thread at a time may use it.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        dialect: str = "ga",
        profile: str = "azure",
        kind: str = "realtime",
        model: str = "gpt-realtime",
        now: float = 0.0,
        wall_time: float = 0.0,
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.dialect: Dialect = dialect_named(dialect, profile)
        self.behaviour = behaviour
        self.make: EventMaker = EventMaker(self.dialect, random.Random(behaviour.seed))
        self.session: Session = replace(self._new_session(kind, model, wall_time), **settings)
        self.conversation: Conversation = Conversation(self.make.new_id("conv"))
        self.is_closed: bool = False
        self.mcp_calls: McpCalls = McpCalls(self.make, self.run_in_background)
        self._commands = Commands(self)
        self._input_audio = InputAudio(self)
        self._out: deque[dict[str, Any] | Close] = deque()
        self._runs: list[ResponseRun] = []
        self._steps: dict[int, Generator[Step, None, None]] = {}
        self._background: list[tuple[float, Generator[Step, None, None]]] = []  # with due times
        self._limits = RateLimits(self.dialect.rate_limits)
        self._prompt: Prompt = ()  # of the last response in the conversation
        self._expires = now + behaviour.session_seconds
        self._now = now
        self._send_opening()

    def _new_session(self, kind: str, model: str, wall_time: float) -> Session:
        return Session(
            kind=kind,
            id=self.make.new_id("sess"),
            model=model,
            expires_at=int(wall_time + self.behaviour.session_seconds),
            modalities=self.dialect.modalities(kind),
            turn_detection=self.dialect.vad_defaults(),
        )

    def _send_opening(self) -> None:
        wire = self.dialect.session_on_wire(self.session)
        for name, fields in self.dialect.opening(wire, self.session.kind, self.conversation.id):
            self.send(self.make.event(name, **fields))

    # In -------------------------------------------------------------------------------------

    def receive(self, frame: str | bytes, now: float) -> dict[str, Any] | None:
        """
        Take one WebSocket message.

        Returns:
            The decoded command; ``None`` if it is no JSON object, or the session is over. A refusal becomes
            an ``error`` event.
        """
        self._now = now
        command: Any = None
        if self.is_closed:
            return None
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
            if _is_deeper(command, _DEEPEST_COMMAND):
                command = None
                raise RefusalError(
                    "invalid_json", f"The event is nested deeper than {_DEEPEST_COMMAND} levels."
                )
            self.handle(command)
        except RefusalError as refusal:
            given = command.get("event_id") if isinstance(command, dict) else None
            self.send(self.make.error(refusal, given if isinstance(given, str) else None))
        return command if isinstance(command, dict) else None

    def fail(self) -> None:
        """Send the error of a command that the service could not carry out."""
        message = "The server had an error while processing your request. Sorry about that!"
        self.send(self.make.error(RefusalError(None, message, type="server_error"), None))

    def handle(self, command: dict[str, Any]) -> None:
        """
        Check and carry out one decoded command.

        Raises:
            RefusalError: Nothing was changed.
        """
        self.dialect.check_command(command)
        self._commands.handle(command)

    # Out ------------------------------------------------------------------------------------

    def pull(self, now: float) -> dict[str, Any] | Close | None:
        """Return the next event to send, the close, or ``None`` if nothing is due."""
        self._now = now
        while True:
            if self._out:
                return self._out.popleft()
            if self.is_closed:
                return None
            if now >= self._expires:
                self._expire()
                continue
            self._input_audio.respond_if_idle(now)
            if self._out:
                continue
            taken = self._step(now)
            if taken is None:
                return None
            if isinstance(taken, dict):
                return taken

    def next_due(self) -> float | None:
        """When to call :meth:`pull` again; ``None`` once the session is over."""
        if self._out:
            return self._now
        if self.is_closed:
            return None
        tasks = (self._due(due) for due, _ in self._background)
        waits = [self._expires, *(run.due for run in self._runs), *tasks]
        idle = self._input_audio.idle_due
        return min(waits if idle is None else [*waits, idle])

    def _step(self, now: float) -> Step | None:
        """Take the earliest step due of all responses and background tasks; a pause is a step too."""
        task = min(self._background, key=lambda entry: entry[0], default=None)
        run = min(self._runs, key=lambda entry: entry.due, default=None)
        if task is not None and (due := self._due(task[0])) <= now and (run is None or due <= run.due):
            self._background.remove(task)
            step = next(task[1], None)
            if step is not None:
                pause = step if isinstance(step, float) else 0.0
                self._background.append((due + pause, task[1]))
            return step if step is not None else 0.0
        if run is None or run.due > now:
            return None
        step = next(self._steps[id(run)], None)
        if isinstance(step, (int, float)):
            run.due += step
        elif step is not None:
            self._background = [(min(due, run.due), steps) for due, steps in self._background]
        if run.is_over and step is None:
            self._forget(run)
        return step if step is not None else 0.0

    def _due(self, due: float) -> float:
        """When a task goes on: one that lets the responses go first does so at once if there are none."""
        return due if due != UNTIL_AN_EVENT or self._runs else self._now

    def send(self, *events: dict[str, Any] | Close) -> None:
        """Queue events ahead of the next delta of any response."""
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
        if context is None:  # as it is now: what is added while the response is made is not for it
            context = Conversation(self.conversation.id, self.conversation.items)
        prompt = prompt_of(context, session)
        run = ResponseRun(
            id=self.make.new_id("resp"),
            make=self.make,
            session=session,
            context=context,
            home=None if is_out_of_band else self.conversation,
            behaviour=self.behaviour,
            on_done=self._account,
            mcp_calls=self.mcp_calls,
            metadata=metadata,
            read=total(prompt),
            cached=shared_tokens(self._prompt, prompt),
            due=self._now,
        )
        if not is_out_of_band:
            self._input_audio.disarm()
            self._prompt = prompt
        self._runs.append(run)
        self._steps[id(run)] = run.steps()

    def cancel(self, run: ResponseRun, reason: str) -> None:
        """Cancel *run* and queue its last events at once."""
        self._forget(run)
        self.send(*run.cancel(reason))

    def _forget(self, run: ResponseRun) -> None:
        self._runs.remove(run)
        self._steps.pop(id(run)).close()
        self.conversation.trim_audio()
        if run.home is not None and run.audio_ms:
            started = run.due - run.audio_ms / 1000 / self.behaviour.pace if self.behaviour.pace else run.due
            self._input_audio.arm(max(self._now, started + run.audio_ms / 1000))

    def _account(self, tokens: int) -> list[dict[str, Any]]:
        limits = self._limits.spend(tokens, self._now)
        is_reported = self.dialect.profile.reports_rate_limits
        return [self.make.event("rate_limits.updated", rate_limits=limits)] if is_reported else []

    # Session and background ---------------------------------------------------------------------

    @property
    def input_audio(self) -> InputAudio:
        """The input buffer and its turns."""
        return self._input_audio

    def run_in_background(self, steps: Generator[Step, None, None]) -> None:
        """Run *steps* beside the responses."""
        self._background.append((self._now, steps))

    def change_session(self, **changes: Any) -> None:
        """Replace the session by one with *changes*."""
        before = self.session
        self.session = replace(before, **changes)
        if before.turn_detection != self.session.turn_detection:
            self._input_audio.on_detection_changed()

    # The end --------------------------------------------------------------------------------

    def _expire(self) -> None:
        minutes = self.behaviour.session_seconds / 60
        message = f"Your session hit the maximum duration of {minutes:g} minutes."
        self.send(self.make.error(RefusalError("session_expired", message), None))
        self.close(1001, message)

    def refuse(self, refusal: RefusalError) -> None:
        """Send an error in place of the session, and close with 4000."""
        self._out.clear()
        self.send(self.make.error(refusal, None))
        self.close(4000, f"{refusal.type}.{refusal.code}")

    def close(self, code: int, reason: str = "") -> None:
        """End the connection once everything queued has been sent."""
        self.is_closed = True
        self.abandon()
        self.send(Close(code, reason))

    def abandon(self) -> None:
        """Cancel all responses and background work."""
        under_way = [*self._steps.values(), *(steps for _, steps in self._background)]
        self._runs.clear()
        self._steps.clear()
        self._background.clear()
        for steps in under_way:
            steps.close()

    def drop_audio(self) -> None:
        """Let go of all sound, once the session is over; texts and lengths stay."""
        self.conversation.drop_audio()
        self._input_audio.drop_audio()
        self._out.clear()


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether a decoded value is nested deeper than that."""
    if not isinstance(value, (dict, list)):
        return False
    held = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(inner, levels - 1) for inner in held)
