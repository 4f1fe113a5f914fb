"""
The entries of a recording. Pure: no file, no clock.

The format is described in docs/reference/recording.md; ``lines.py`` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from attrs import Factory, frozen

__all__ = [
    "FORMAT",
    "VERSION",
    "ConnectionEnded",
    "Dropped",
    "End",
    "Entry",
    "Header",
    "Heard",
    "LevelsMeasured",
    "ListenerFailed",
    "Lost",
    "Note",
    "Opened",
    "Received",
    "Reconnected",
    "Reconnecting",
    "Sent",
    "ToolEnded",
    "ToolStarted",
    "UnknownEntry",
]

FORMAT: Final = "azure-rt-audio recording"
VERSION: Final = 1


@frozen(kw_only=True)
class Header:
    """
    The first line of a recording.

    Attributes:
        version: Of the format.
        library: Version of the library that wrote the file; ``""`` if it does not say.
        started: Wall clock at ``t`` = 0, in seconds since 1970-01-01 UTC.
        t: When this file began, in seconds; above 0 in a later part of a divided recording.
        part: Counts the files of a divided recording, from 1.
        sound: ``"wire"`` if events hold their audio, ``"none"`` if it was left out.
        redact: ``"texts"`` or ``"function"`` if texts were replaced, else ``None``.
        configuration: What the client was configured with, without secrets.
    """

    version: int = VERSION
    library: str = ""
    started: float = 0.0
    t: float = 0.0
    part: int = 1
    sound: Literal["wire", "none"] = "wire"
    redact: Literal["texts", "function"] | None = None
    configuration: Mapping[str, Any] = Factory(dict)


@frozen(kw_only=True)
class Entry:
    """
    What happened at a moment.

    Attributes:
        t: Monotonic clock, in seconds since the recording began.
        at: Wall clock, in seconds since 1970-01-01 UTC.
        line: Number of its line in the file, from 1.
    """

    KIND: ClassVar[str] = ""

    t: float
    at: float
    line: int = 0


@frozen(kw_only=True)
class Opened(Entry):
    """
    A connection is open.

    Attributes:
        connection: Counts the connections of the client, from 1.
        is_late: Whether it was open already when the recording began.
    """

    KIND: ClassVar[str] = "opened"

    connection: int = 1
    is_late: bool = False


@frozen(kw_only=True)
class _Message(Entry):
    """
    A message of the connection.

    Attributes:
        connection: Which one, from 1.
        event: The event or command as it was on the connection; empty if it was no JSON object.
        raw: The bytes of a message that was no JSON object; else ``None``.
        sound_bytes: Bytes of audio that were left out of the event.
    """

    connection: int = 1
    event: Mapping[str, Any] = Factory(dict)
    raw: bytes | None = None
    sound_bytes: int = 0

    @property
    def type(self) -> str:
        """The ``type`` of the event; ``""`` if it has none."""
        name = self.event.get("type")
        return name if isinstance(name, str) else ""


@frozen(kw_only=True)
class Sent(_Message):
    """A command, at the time at which it was handed to the connection. See also :class:`Dropped`."""

    KIND: ClassVar[str] = "sent"


@frozen(kw_only=True)
class Received(_Message):
    """An event of the service."""

    KIND: ClassVar[str] = "received"


@frozen(kw_only=True)
class Dropped(Entry):
    """
    Sound among the commands that was dropped instead of sent, because the line was too slow.

    Attributes:
        connection: Whose commands, from 1.
        since: When the first of them was handed to the connection, as *t*; it is recorded just before that.
        count: How many commands with sound, that one and those that follow.
        seconds: Of sound in them.
    """

    KIND: ClassVar[str] = "dropped"

    connection: int = 1
    since: float = 0.0
    count: int = 0
    seconds: float = 0.0


@frozen(kw_only=True)
class ConnectionEnded(Entry):
    """
    A connection has ended, or could not be made.

    Attributes:
        connection: Which one, from 1.
        code: WebSocket close code; ``None`` if it was never open.
        reason: Of the close frame.
        is_clean: Whether the closing handshake was completed.
        is_asked_for: Whether the program closed the client.
        error: Class of the exception, such as ``"ConnectionClosedError"``.
        message: Its text.
    """

    KIND: ClassVar[str] = "closed"

    connection: int = 1
    code: int | None = None
    reason: str = ""
    is_clean: bool = False
    is_asked_for: bool = False
    error: str = ""
    message: str = ""


@frozen(kw_only=True)
class Reconnecting(Entry):
    """
    A connection was lost, and another attempt will be made.

    Attributes:
        attempt: Number of the attempt since the loss, from 1.
        delay_s: Seconds until it is made.
        reason: Why the connection, or the attempt before, ended.
    """

    KIND: ClassVar[str] = "reconnecting"

    attempt: int = 1
    delay_s: float = 0.0
    reason: str = ""


@frozen(kw_only=True)
class Reconnected(Entry):
    """
    The conversation goes on over another connection.

    Attributes:
        connection: Which one, from 1.
        gap_s: Seconds without a connection.
        reason: Why the old connection ended or was replaced.
        is_planned: Whether the new connection took over before the old one ended.
        restored: Ids of the items that the new session has.
        shortened: Those of them that it has with less than they had, each with what is missing.
        lost: Ids of the items that it does not have, each with the reason.
        responses: Ids of the responses that were under way, each with what became of it.
    """

    KIND: ClassVar[str] = "reconnected"

    connection: int = 1
    gap_s: float = 0.0
    reason: str = ""
    is_planned: bool = False
    restored: tuple[str, ...] = ()
    shortened: Mapping[str, str] = Factory(dict)
    lost: Mapping[str, str] = Factory(dict)
    responses: Mapping[str, str] = Factory(dict)


@frozen(kw_only=True)
class ToolStarted(Entry):
    """
    A tool of the client begins to run.

    Attributes:
        call_id: Of the call.
        name: Of the tool.
    """

    KIND: ClassVar[str] = "tool_started"

    call_id: str = ""
    name: str = ""


@frozen(kw_only=True)
class ToolEnded(Entry):
    """
    A tool of the client has a result, which the model is told; or its time is over.

    Attributes:
        call_id: Of the call.
        name: Of the tool.
        has_failed: Whether it raised, or its time is over.
    """

    KIND: ClassVar[str] = "tool_ended"

    call_id: str = ""
    name: str = ""
    has_failed: bool = False


@frozen(kw_only=True)
class Heard(Entry):
    """
    How much of an item the speaker had played, by its own account.

    Attributes:
        item: Id of the item.
        ms: Milliseconds that had been played.
        end: ``None`` while it plays, ``"played"`` at its end, ``"interrupted"`` where it was cut.
    """

    KIND: ClassVar[str] = "heard"

    item: str = ""
    ms: float = 0.0
    end: Literal["played", "interrupted"] | None = None


@frozen(kw_only=True)
class LevelsMeasured(Entry):
    """
    Levels of a spoken conversation, in dBFS; -100 for silence.

    Attributes:
        microphone_db: Of the sound that is sent.
        speaker_db: Of the sound that is played.
    """

    KIND: ClassVar[str] = "levels"

    microphone_db: float = -100.0
    speaker_db: float = -100.0


@frozen(kw_only=True)
class ListenerFailed(Entry):
    """
    A listener raised an exception.

    Attributes:
        listener: Its name.
        event: Type of the event it was called with.
        error: Class of the exception.
        message: Its text.
        where: File, line and function, the innermost last.
    """

    KIND: ClassVar[str] = "failed"

    listener: str = ""
    event: str = ""
    error: str = ""
    message: str = ""
    where: tuple[str, ...] = ()


@frozen(kw_only=True)
class Note(Entry):
    """
    A remark of the program.

    Attributes:
        text: What it says.
    """

    KIND: ClassVar[str] = "note"

    text: str = ""


@frozen(kw_only=True)
class Lost(Entry):
    """
    Entries that could not be written, because the disk was too slow.

    Attributes:
        count: How many.
        bytes: Their size.
    """

    KIND: ClassVar[str] = "lost"

    count: int = 0
    bytes: int = 0


@frozen(kw_only=True)
class End(Entry):
    """
    The file was closed.

    Attributes:
        next: Name of the file that follows; ``None`` if there is none.
    """

    KIND: ClassVar[str] = "end"

    next: str | None = None


@frozen(kw_only=True)
class UnknownEntry(Entry):
    """
    An entry of a kind that this version of the library does not know.

    Attributes:
        kind: What it calls itself.
        fields: All that stands on the line.
    """

    kind: str = ""
    fields: Mapping[str, Any] = Factory(dict)
