"""How a line of a recording becomes an entry. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

import orjson

from .format import (
    FORMAT,
    VERSION,
    ConnectionEnded,
    Dropped,
    End,
    Entry,
    Header,
    Heard,
    LevelsMeasured,
    ListenerFailed,
    Lost,
    Note,
    Opened,
    Received,
    Reconnected,
    Reconnecting,
    Sent,
    ToolEnded,
    ToolStarted,
    UnknownEntry,
)

__all__ = ["LineError", "read_entry", "read_header"]

_Common = dict[str, Any]


class LineError(ValueError):
    """A line is not what it should be; says in which way."""


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

    def texts_by_id(self, name: str) -> dict[str, str]:
        return {key: str(value) for key, value in self.mapping(name).items()}


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
    Dropped.KIND: lambda get, common: Dropped(
        connection=get.count("connection", 1),
        since=get.number("since"),
        count=get.count("count"),
        seconds=get.number("seconds"),
        **common,
    ),
    Reconnecting.KIND: lambda get, common: Reconnecting(
        attempt=get.count("attempt", 1), delay_s=get.number("delay_s"), reason=get.text("reason"), **common
    ),
    Reconnected.KIND: lambda get, common: Reconnected(
        connection=get.count("connection", 1),
        gap_s=get.number("gap_s"),
        reason=get.text("reason"),
        is_planned=get.flag("is_planned"),
        restored=get.texts("restored"),
        shortened=get.texts_by_id("shortened"),
        lost=get.texts_by_id("lost"),
        responses=get.texts_by_id("responses"),
        **common,
    ),
    ToolStarted.KIND: lambda get, common: ToolStarted(
        call_id=get.text("call_id"), name=get.text("name"), **common
    ),
    ToolEnded.KIND: lambda get, common: ToolEnded(
        call_id=get.text("call_id"), name=get.text("name"), has_failed=get.flag("has_failed"), **common
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
