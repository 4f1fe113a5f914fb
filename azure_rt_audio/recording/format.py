"""
The entries of a recording, and how a line becomes one. Pure: no file, no clock.

The format is described in docs/reference/recording.md.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Literal

import orjson
from attrs import Factory, frozen

__all__ = [
    "FORMAT",
    "VERSION",
    "ConnectionEnded",
    "End",
    "Entry",
    "Header",
    "Heard",
    "LevelsMeasured",
    "LineError",
    "ListenerFailed",
    "Lost",
    "Note",
    "Opened",
    "Received",
    "Sent",
    "UnknownEntry",
    "read_entry",
    "read_header",
]

FORMAT: Final = "azure-rt-audio recording"
VERSION: Final = 1


_Common = dict[str, Any]


class LineError(ValueError):
    """A line is not what it should be; says in which way."""


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
    """A command, at the time at which it was handed to the connection."""

    KIND: ClassVar[str] = "sent"


@frozen(kw_only=True)
class Received(_Message):
    """An event of the service."""

    KIND: ClassVar[str] = "received"


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


def read_header(line: bytes) -> Header | None:
    """
    Return the header that *line* is; ``None`` if it is no header at all.

    Raises:
        LineError: It is the header of a version, or with a field, that cannot be read.
    """
    try:
        fields = orjson.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        return None
    version = fields.get("version")
    if version != VERSION:
        raise LineError(
            f"the recording is of version {version!r} of the format, and this library reads version "
            f"{VERSION}; use the library that wrote it"
            + (f", azure-rt-audio {fields['library']}" if isinstance(fields.get("library"), str) else "")
        )
    get = _Fields(fields)
    return Header(
        library=get.text("library"),
        started=get.number("started"),
        t=get.number("t"),
        part=get.count("part", 1),
        sound=get.one_of("sound", ("wire", "none")) or "wire",
        redact=get.one_of("redact", ("texts", "function")),
        configuration=get.mapping("configuration"),
    )


def read_entry(line: bytes, number: int = 0) -> Entry:
    """
    Return the entry that a line is.

    Args:
        number: Of the line, from 1.

    Raises:
        LineError: It is none; says in which way.
    """
    try:
        fields = orjson.loads(line)
    except ValueError as exc:
        raise LineError(f"it is no JSON: {exc}") from None
    if not isinstance(fields, dict):
        raise LineError("it is no JSON object")
    get = _Fields(fields)
    kind = get.text("kind")
    if not kind:
        raise LineError("it has no kind")
    if "t" not in fields:
        raise LineError("it has no t, the time")
    common: _Common = {"t": get.number("t"), "at": get.number("at"), "line": number}
    read = _READERS.get(kind)
    if read is None:
        return UnknownEntry(kind=kind, fields=fields, **common)
    return read(get, common)


class _Fields:
    """The fields of a line, by the type they should have. Each raises :class:`LineError`."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def _get(self, name: str, types: tuple[type, ...], what: str, default: Any) -> Any:
        value = self.fields.get(name)
        if value is None:
            return default
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise LineError(f"{name} must be {what}, not {type(value).__name__}")
        return value

    def text(self, name: str) -> str:
        value: str = self._get(name, (str,), "a text", "")
        return value

    def number(self, name: str) -> float:
        return float(self._get(name, (int, float), "a number", 0.0))

    def count(self, name: str, default: int = 0) -> int:
        value: int = self._get(name, (int,), "a whole number", default)
        return value

    def flag(self, name: str) -> bool:
        value: bool = self._get(name, (bool,), "true or false", False)
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = self._get(name, (dict,), "an object", {})
        return value

    def one_of(self, name: str, values: tuple[str, ...]) -> Any:
        value = self._get(name, (str,), "a text", None)
        if value is not None and value not in values:
            raise LineError(f"{name} must be one of {', '.join(values)}, not {value!r}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(str(value) for value in self._get(name, (list,), "a list", []))


def _message(cls: type[Sent | Received]) -> Callable[[_Fields, _Common], Entry]:
    def read(get: _Fields, common: _Common) -> Entry:
        raw: bytes | None = None
        if "raw" in get.fields:
            try:
                raw = base64.b64decode(get.text("raw"), validate=True)
            except binascii.Error as exc:
                raise LineError(f"raw is no base64: {exc}") from None
        elif "event" not in get.fields:
            raise LineError("it has no event")
        return cls(
            connection=get.count("connection", 1),
            event=get.mapping("event"),
            raw=raw,
            sound_bytes=get.count("sound_bytes"),
            **common,
        )

    return read


_READERS: Final[dict[str, Callable[[_Fields, _Common], Entry]]] = {
    Opened.KIND: lambda get, common: Opened(
        connection=get.count("connection", 1), is_late=get.flag("is_late"), **common
    ),
    Sent.KIND: _message(Sent),
    Received.KIND: _message(Received),
    ConnectionEnded.KIND: lambda get, common: ConnectionEnded(
        connection=get.count("connection", 1),
        code=None if get.fields.get("code") is None else get.count("code"),
        reason=get.text("reason"),
        is_clean=get.flag("is_clean"),
        is_asked_for=get.flag("is_asked_for"),
        error=get.text("error"),
        message=get.text("message"),
        **common,
    ),
    Heard.KIND: lambda get, common: Heard(
        item=get.text("item"),
        ms=get.number("ms"),
        end=get.one_of("end", ("played", "interrupted")),
        **common,
    ),
    LevelsMeasured.KIND: lambda get, common: LevelsMeasured(
        microphone_db=get.number("microphone_db"), speaker_db=get.number("speaker_db"), **common
    ),
    ListenerFailed.KIND: lambda get, common: ListenerFailed(
        listener=get.text("listener"),
        event=get.text("event"),
        error=get.text("error"),
        message=get.text("message"),
        where=get.texts("where"),
        **common,
    ),
    Note.KIND: lambda get, common: Note(text=get.text("text"), **common),
    Lost.KIND: lambda get, common: Lost(count=get.count("count"), bytes=get.count("bytes"), **common),
    End.KIND: lambda get, common: End(next=get.text("next") or None, **common),
}
