"""What was recorded of each connection, as a script: commands to expect, and events to answer. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from attrs import frozen

from ...recording import ConnectionEnded, Opened, Received, Recording, Sent

__all__ = ["Answer", "Ending", "Expected", "Heard", "Step", "scripts"]

APPEND: Final = "input_audio_buffer.append"


@frozen
class Expected:
    """
    A command that the client is to send.

    Attributes:
        t: When it was recorded, in seconds.
        line: Of the recording.
        number: Counts the commands of its connection, without those of sound, from 1.
        command: As recorded; empty if any of its type will do.
        type: Of the command.
    """

    t: float
    line: int
    number: int
    command: Mapping[str, Any]
    type: str


@frozen
class Heard:
    """
    Sound that the client is to send before what follows.

    Attributes:
        t: When it was recorded, in seconds.
        total_bytes: Bytes of sound since the connection began.
    """

    t: float
    total_bytes: int


@frozen
class Answer:
    """
    An event of the service.

    Attributes:
        t: When it was recorded, in seconds.
        event: As recorded, with silence for sound that was left out; empty if *raw* is to be sent.
        raw: A message that was no JSON object.
    """

    t: float
    event: Mapping[str, Any]
    raw: bytes | None = None


@frozen
class Ending:
    """
    The end of the connection, if it was the service or the network that ended it.

    Attributes:
        t: When it was recorded, in seconds.
        code: Close code; 1006 if the connection was lost.
        reason: Of the close frame.
    """

    t: float
    code: int
    reason: str


Step: TypeAlias = Expected | Heard | Answer | Ending


def scripts(recording: Recording) -> list[tuple[Step, ...]]:
    """Return the script of each connection that was open, in order."""
    made: dict[int, _Script] = {}
    for entry in recording.entries:
        if isinstance(entry, Opened):
            made.setdefault(entry.connection, _Script()).is_late = entry.is_late
        elif isinstance(entry, Sent):
            made.setdefault(entry.connection, _Script()).sent(entry)
        elif isinstance(entry, Received):
            made.setdefault(entry.connection, _Script()).received(entry)
        elif isinstance(entry, ConnectionEnded) and entry.connection in made:
            made[entry.connection].ended(entry)
    for script in made.values():
        if not script.has_beginning:
            script.introduce(recording.header.t)
    return [tuple(script.steps) for _, script in sorted(made.items())]


class _Script:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.is_late = False
        self._commands = 0
        self._sound_bytes = 0

    def introduce(self, t: float) -> None:
        """Begin as every connection does: its beginning was not recorded."""
        session = {"id": "sess_replay", "object": "realtime.session", "type": "realtime", "model": "replay"}

        def event(kind: str) -> dict[str, Any]:
            return {"type": kind, "event_id": f"event_replay_{kind}", "session": session}

        begun: list[Step] = [Answer(t, event("session.created"))]
        if self.is_late:
            begun += [Expected(t, 0, 0, {}, "session.update"), Answer(t, event("session.updated"))]
        self.steps[:0] = begun

    @property
    def has_beginning(self) -> bool:
        """Whether the service has introduced itself, which a client waits for."""
        return any(isinstance(s, Answer) and s.event.get("type") == "session.created" for s in self.steps)

    def sent(self, entry: Sent) -> None:
        if entry.type == APPEND:
            audio = entry.event.get("audio")
            self._sound_bytes += entry.sound_bytes + _decoded_bytes(audio if isinstance(audio, str) else "")
            if self.steps and isinstance(self.steps[-1], Heard):
                self.steps.pop()  # one step for what came in a row
            self.steps.append(Heard(entry.t, self._sound_bytes))
            return
        self._commands += 1
        self.steps.append(Expected(entry.t, entry.line, self._commands, entry.event, entry.type))

    def received(self, entry: Received) -> None:
        event = entry.event
        if entry.sound_bytes and event.get("delta") == "":
            event = {**event, "delta": base64.b64encode(bytes(entry.sound_bytes)).decode()}
        self.steps.append(Answer(entry.t, event, entry.raw))

    def ended(self, entry: ConnectionEnded) -> None:
        if not entry.is_asked_for and entry.code is not None:
            self.steps.append(Ending(entry.t, entry.code, entry.reason))


def _decoded_bytes(encoded: str) -> int:
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")
