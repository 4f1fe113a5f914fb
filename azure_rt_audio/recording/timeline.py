"""
What happened in a recording: who said what and when, what was heard of it, and how long everything took.

Pure; shared by the terminal, subtitles, JSON and the page. All times are seconds since the file began, also
in a later part of a divided recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from attrs import define, field, frozen

from .tracks import Track

__all__ = [
    "Connection",
    "Failure",
    "Interruption",
    "Latency",
    "Reconnection",
    "Speech",
    "Timeline",
    "ToolCall",
    "Turn",
]


@define(kw_only=True)
class Turn:
    """
    What one side said or wrote.

    Attributes:
        role: ``"user"``, ``"assistant"`` or ``"system"``.
        start: When it began: of speech its first sound, as it was said or heard.
        end: When it ended, where it was cut if it was interrupted.
        came_at: When the last of an answer came, or the service told that the user's turn is complete.
        text: Transcript or text; of an interrupted answer also what nobody heard.
        heard: How much of *text* was heard, in characters.
        is_spoken: Whether it is speech.
        has_account: Of an answer, whether the speaker said when it played it; otherwise *start* and *end* are
            when it would have been played, one answer after the other.
        heard_seconds: Of an answer's sound, what was played.
        received_seconds: Of an answer's sound, what had come.
        is_interrupted: Whether it was cut.
        status: How its response ended, such as ``"completed"``; of one that was cut off with its connection,
            what became of it: ``"lost"``, ``"asked again"``.
    """

    role: str
    item_id: str
    start: float
    end: float
    came_at: float
    text: str = ""
    heard: int = 0
    response_id: str | None = None
    is_spoken: bool = False
    has_account: bool = False
    heard_seconds: float | None = None
    received_seconds: float | None = None
    is_interrupted: bool = False
    status: str | None = None

    @property
    def heard_text(self) -> str:
        """What was heard of the text."""
        return self.text[: self.heard]


@define(kw_only=True)
class ToolCall:
    """
    A call of a function.

    Attributes:
        start: When the model began to call it.
        end: When its output was sent; ``None`` if it was not.
        ran_from: When the client began to run it; ``None`` if the program ran it itself.
        ran_until: When it had its result, of a tool in the background after its output; ``None`` if it had
            none yet.
        has_failed: Whether it raised, or had no result in time.
    """

    call_id: str
    name: str
    start: float
    arguments: str = ""
    output: str | None = None
    end: float | None = None
    ran_from: float | None = None
    ran_until: float | None = None
    has_failed: bool = False

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return None if self.end is None else self.end - self.start


@define(kw_only=True)
class Speech:
    """What the service took for speech of the user; *end* is ``None`` if it did not end."""

    item_id: str
    start: float
    end: float | None = None


@frozen(kw_only=True)
class Interruption:
    """
    An answer was cut.

    Attributes:
        by_user: Whether the user did it, by speaking; false if the program did. ``None`` if nobody knows: the
            service did not detect turns, or nothing says that it did, and the user may have pressed a button.
    """

    at: float
    item_id: str
    heard_seconds: float
    received_seconds: float
    by_user: bool | None


@frozen(kw_only=True)
class Latency:
    """
    From the end of a question to its answer; calls of functions in between are part of the wait.

    Attributes:
        first_at: When the first word or sound of the answer came.
        heard_at: When its first sound was heard; ``None`` of a written answer, and where the speaker gave no
            account.
    """

    response_id: str
    asked_at: float
    first_at: float
    heard_at: float | None

    @property
    def seconds(self) -> float:
        """Until the answer was heard; until it came where that is not known."""
        return (self.first_at if self.heard_at is None else self.heard_at) - self.asked_at


@define(kw_only=True)
class Connection:
    """
    A connection, or an attempt to make one.

    Attributes:
        number: From 1; attempts count.
        start: When it was open, or the attempt failed.
        end: ``None`` if the recording ended first.
        code: Close code.
        reason: Why it ended, or could not be made.
        was_made: False for an attempt that failed.
        is_lost: Nobody wanted its end.
    """

    number: int
    start: float
    end: float | None = None
    code: int | None = None
    reason: str = ""
    was_made: bool = True
    is_lost: bool = False


@define(kw_only=True)
class Reconnection:
    """
    The session went over to another connection.

    Attributes:
        start: When the connection was lost; of a planned change, when it happened.
        end: When the session went on; ``None`` if it was given up, or the recording ended first.
        connection: The number of the new one.
        attempts: How many there were.
        restored: Ids of the items that the new session has.
        shortened: Those of them that it has with less, each with what is missing.
        lost: Ids of the items that it does not have, each with the reason.
        responses: Ids of the responses that were under way, each with what became of it.
    """

    start: float
    end: float | None = None
    connection: int | None = None
    attempts: int = 0
    reason: str = ""
    is_planned: bool = False
    restored: tuple[str, ...] = ()
    shortened: Mapping[str, str] = field(factory=dict)
    lost: Mapping[str, str] = field(factory=dict)
    responses: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Failure:
    """
    An error of the service, a failed listener, the loss of a connection, sound that was dropped, or entries
    that are missing.

    A loss after which another attempt was made is none: a :class:`Reconnection` tells of it.
    """

    at: float
    kind: str
    message: str


@define(kw_only=True)
class Timeline:
    """
    A recording, understood. Each list is in order of time; *seconds* is the end of the last of it all.

    Turns are in the order in which they came: answers without account may end later than the next question.
    """

    seconds: float = 0.0
    turns: list[Turn] = field(factory=list)
    tool_calls: list[ToolCall] = field(factory=list)
    speech: list[Speech] = field(factory=list)
    interruptions: list[Interruption] = field(factory=list)
    latencies: list[Latency] = field(factory=list)
    connections: list[Connection] = field(factory=list)
    reconnections: list[Reconnection] = field(factory=list)
    failures: list[Failure] = field(factory=list)
    levels: list[tuple[float, float, float]] = field(factory=list)
    """When, microphone and speaker in dBFS."""
    said: Track = field(factory=Track)
    heard: Track = field(factory=Track)

    @property
    def has_sound(self) -> bool:
        """Whether there is sound of either side, not its sizes only."""
        return self.said.has_sound or self.heard.has_sound

    @property
    def median_latency(self) -> float | None:
        """The median of the latencies, in seconds."""
        return median(latency.seconds for latency in self.latencies) if self.latencies else None
