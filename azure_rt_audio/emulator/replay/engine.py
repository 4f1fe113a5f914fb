"""Plays the script of a connection, in place of a session. Without sockets, threads or a clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from ..session.engine import Close
from .comparison import ABSENT, Difference, Ids, compare
from .script import APPEND, Answer, Ending, Expected, Heard, Step

__all__ = ["ReplayEngine"]


class ReplayEngine:
    """
    What answers one connection as it was recorded.

    An event is sent when the client has sent every command that comes before it in the recording. Of commands
    between two events the order does not matter. Sound counts by its length: what follows it is sent when as
    much has come, or a later command.

    Args:
        number: Of the connection, from 1.
        script: What was recorded of it.
        speed: Seconds of the recording per second; ``None`` does not wait.
        without_texts: Whether texts were left out of the recording.
        tell: Called with each difference.

    **Threads.** Not shared: the connection's thread.
    """

    def __init__(
        self,
        number: int,
        script: tuple[Step, ...],
        *,
        speed: float | None,
        without_texts: bool,
        tell: Callable[[Difference], object],
        now: float,
    ) -> None:
        self._number = number
        self._script = script
        self._speed = speed
        self._without_texts = without_texts
        self._tell = tell
        self._ids = Ids()
        self._position = 0  # of the next step that has not been done
        self._done: set[int] = set()  # later steps that have: commands that came early
        self._open_from = 0  # no command before it is open
        self._open_by_type: dict[str, deque[int]] = {}  # a command that has come stays until it is the first
        for index, step in enumerate(script):
            if isinstance(step, Expected):
                self._open_by_type.setdefault(step.type, deque()).append(index)
        self._sound_bytes = 0
        self._stepped_at = now  # when the last step was done, and when it was recorded
        self._recorded_at = script[0].t if script else 0.0
        self._is_over = False

    @property
    def missing(self) -> Difference | None:
        """The first command that has not come."""
        first = self._first_open()
        if first is None:
            return None
        step = self._expected(first)
        return Difference(self._number, step.number, step.line, "$.type", step.type, ABSENT)

    # ------------------------------------------------------------ as a session has them

    def receive(self, frame: str | bytes, now: float) -> dict[str, Any] | None:
        """Take a message of the client; return the command that it is."""
        try:
            command = orjson.loads(frame)
        except ValueError:
            command = None
        if not isinstance(command, dict):
            self._tell(Difference(self._number, 0, 0, "$", "a command", "a message that is no JSON object"))
            return None
        if command.get("type") == APPEND:
            audio = command.get("audio")
            if isinstance(audio, str):
                self._sound_bytes += len(audio) * 3 // 4 - audio[-2:].count("=")
        else:
            self._match(command)
        self._advance(now)
        return command

    def pull(self, now: float) -> dict[str, Any] | Close | str | bytes | None:
        """Return what is to be sent next, if its time has come."""
        self._advance(now)
        if self._is_over or self._position >= len(self._script):
            return None
        step = self._script[self._position]
        if not isinstance(step, Answer | Ending) or now < self._due(step):
            return None
        self._step(step, now)
        if isinstance(step, Ending):
            self._is_over = True
            return Close(step.code, step.reason)
        if step.raw is not None:
            try:
                return step.raw.decode()
            except UnicodeDecodeError:
                return step.raw
        self._ids.learn(step.event)
        return self._ids.translated(step.event)

    def next_due(self) -> float | None:
        """When to call :meth:`pull` again; ``None`` if the client comes first."""
        if self._is_over or self._position >= len(self._script):
            return None
        step = self._script[self._position]
        return self._due(step) if isinstance(step, Answer | Ending) else None

    def fail(self) -> None:
        """A command was not understood, by a mistake of ours."""
        self._tell(Difference(self._number, 0, 0, "$", "a command", "what the replay did not understand"))

    def abandon(self) -> None:
        """The connection has ended."""
        self._is_over = True

    def drop_audio(self) -> None:
        """There is none but that of the recording, which other connections may need."""

    # ------------------------------------------------------------ the script

    def _due(self, step: Step) -> float:
        if self._speed is None:
            return self._stepped_at
        return self._stepped_at + max(0.0, step.t - self._recorded_at) / self._speed

    def _step(self, step: Step, now: float) -> None:
        self._position += 1
        self._stepped_at, self._recorded_at = now, step.t

    def _advance(self, now: float) -> None:
        """Go past the commands that have come, and the sound."""
        while self._position < len(self._script):
            step = self._script[self._position]
            if isinstance(step, Expected):
                if self._position not in self._done:
                    return
            elif not isinstance(step, Heard) or not (
                self._sound_bytes >= step.total_bytes or any(done > self._position for done in self._done)
            ):
                return
            self._done.discard(self._position)
            self._step(step, now)

    def _match(self, command: Mapping[str, Any]) -> None:
        """Find the command of the recording that this one is, and compare them."""
        kind, first = command.get("type"), self._first_open()
        if first is None:
            self._tell(Difference(self._number, 0, 0, "$.type", ABSENT, kind))
            return
        if self._compare(self._together(first, kind), command):
            return
        expected = self._expected(first)
        self._tell(Difference(self._number, expected.number, expected.line, "$.type", expected.type, kind))
        # Go on where the client is, so that one command that is missing does not make all others differ.
        later = self._first_open_of(kind)
        if later is not None:
            self._done.update(index for index in range(first, later) if self._is_open(index))
            self._compare(iter((later,)), command)

    def _compare(self, candidates: Iterator[int], command: Mapping[str, Any]) -> bool:
        """Compare with the candidate that says the same, or with the first; return whether there is any."""
        best: tuple[int, tuple[str, Any, Any]] | None = None
        for index in candidates:
            expected, mark = self._expected(index), self._ids.mark()
            difference = (
                compare(expected.command, command, self._ids, without_texts=self._without_texts)
                if expected.command
                else None
            )
            if difference is None:
                self._done.add(index)
                return True
            self._ids.undo(mark)
            best = best or (index, difference)
        if best is None:
            return False
        index, (path, was, now) = best
        expected = self._expected(index)
        self._done.add(index)
        self._tell(Difference(self._number, expected.number, expected.line, path, was, now))
        self._ids.force(expected.command, command)
        return True

    # ------------------------------------------------------------ commands that have not come

    def _is_open(self, index: int) -> bool:
        return (
            index >= self._position and index not in self._done and isinstance(self._script[index], Expected)
        )

    def _first_open(self) -> int | None:
        while self._open_from < len(self._script):
            if self._is_open(self._open_from):
                return self._open_from
            self._open_from += 1
        return None

    def _first_open_of(self, kind: object) -> int | None:
        indices = self._open_by_type.get(kind) if isinstance(kind, str) else None
        while indices:
            if self._is_open(indices[0]):
                return indices[0]
            indices.popleft()
        return None

    def _together(self, first: int, kind: object) -> Iterator[int]:
        """Yield those of that type which may come in place of the first one: up to the next event."""
        for index in range(first, len(self._script)):
            step = self._script[index]
            if isinstance(step, Answer):
                return
            if isinstance(step, Expected) and step.type == kind and self._is_open(index):
                yield index

    def _expected(self, index: int) -> Expected:
        step = self._script[index]
        assert isinstance(step, Expected)
        return step
