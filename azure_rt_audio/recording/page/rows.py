"""
The list of events of a page: one row each, but sound that flows without a pause is one row a second.

Pure. What a row shows is text that others wrote; the page never takes it for HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from attrs import define

from ...protocol.dialects.names import canonical_name
from ...protocol.events import local
from ..analysis import text_in
from ..format import (
    ConnectionEnded,
    Entry,
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
from ..recording import Recording
from ..tracks import size_of

__all__ = ["rows"]

SENT, RECEIVED, LOCAL = 0, 1, 2

_COMMON: Final = ("t", "at", "line")

_SOUND_FIELDS: Final = {"input_audio_buffer.append": "audio", "response.output_audio.delta": "delta"}
"""Of messages with sound, the field that holds it."""

_GROUP_SECONDS: Final = 1.0
_MAX_CHARACTERS: Final = 200
_MAX_TEXT: Final = 4_000
_WORTH_TELLING: Final = ("delta", "transcript", "text", "arguments", "name", "output", "reason", "item_id")


@define
class _Group:
    """Messages with sound, shown as one row."""

    row: list[Any]
    started: float
    count: int = 0
    size: int = 0


def rows(recording: Recording) -> list[list[Any]]:
    """Return the rows in order of time: seconds, direction, connection, type, summary, and details."""
    found: list[list[Any]] = []
    groups: dict[tuple[str, int, str], _Group] = {}
    for entry in recording.entries:
        at = max(0.0, round(entry.t - recording.header.t, 3))
        if isinstance(entry, Sent | Received):
            field = _SOUND_FIELDS.get(canonical_name(entry.type))
            if field is None:
                found.append(_message_row(at, entry))
                continue
            key = (entry.type, entry.connection, text_in(entry.event, "item_id"))
            group = groups.get(key)
            if group is None or at - group.started >= _GROUP_SECONDS:
                group = groups[key] = _Group(_message_row(at, entry), at)
                found.append(group.row)
            group.count += 1
            group.size += entry.sound_bytes or size_of(text_in(entry.event, field))
            times = f"{group.count} × " if group.count > 1 else ""
            group.row[4] = f"{times}sound, {group.size} bytes"
        elif not isinstance(entry, LevelsMeasured):
            row = _local_row(at, entry)
            if row is not None:
                found.append(row)
    return found


def _message_row(at: float, entry: Sent | Received) -> list[Any]:
    direction = SENT if isinstance(entry, Sent) else RECEIVED
    if entry.raw is not None:
        text = entry.raw[:_MAX_TEXT].decode(errors="replace")
        return [at, direction, entry.connection, "no JSON", text[:_MAX_CHARACTERS], {"raw": text}]
    return [at, direction, entry.connection, entry.type or "?", _summary(entry.event), _shown(entry.event)]


def _local_row(at: float, entry: Entry) -> list[Any] | None:
    if isinstance(entry, Opened):
        return [at, LOCAL, entry.connection, "connection opened", f"connection {entry.connection}", None]
    if isinstance(entry, ConnectionEnded):
        why = " ".join(filter(None, (str(entry.code or ""), entry.reason, entry.message)))
        return [at, LOCAL, entry.connection, "connection closed", why[:_MAX_CHARACTERS], None]
    if isinstance(entry, Reconnecting):
        text = str(local.Reconnecting(attempt=entry.attempt, delay_s=entry.delay_s, reason=entry.reason))
        return [at, LOCAL, 0, "reconnecting", text[:_MAX_CHARACTERS], {"reason": entry.reason}]
    if isinstance(entry, Reconnected):
        fields = {name: value for name, value in attrs.asdict(entry).items() if name not in _COMMON}
        number = fields.pop("connection")
        text = str(local.Reconnected(**fields))
        return [at, LOCAL, number, "reconnected", text[:_MAX_CHARACTERS], fields]
    if isinstance(entry, ToolStarted):
        return [at, LOCAL, 0, "tool started", entry.name, None]
    if isinstance(entry, ToolEnded):
        how = ", failed" if entry.has_failed else ""
        return [at, LOCAL, 0, "tool ended", f"{entry.name}{how}", None]
    if isinstance(entry, Heard):
        if entry.end is None:
            return None
        return [at, LOCAL, 0, f"heard: {entry.end}", f"{entry.ms / 1000:.2f} s of {entry.item}", None]
    if isinstance(entry, ListenerFailed):
        text = f"{entry.listener}: {entry.error}: {entry.message}"
        return [at, LOCAL, 0, "listener failed", text[:_MAX_CHARACTERS], {"where": list(entry.where)}]
    if isinstance(entry, Note):
        return [at, LOCAL, 0, "note", entry.text[:_MAX_CHARACTERS], {"text": entry.text[:_MAX_TEXT]}]
    if isinstance(entry, Lost):
        return [at, LOCAL, 0, "lost", f"{entry.count} entries, {entry.bytes} bytes", None]
    if isinstance(entry, UnknownEntry):
        return [at, LOCAL, 0, entry.kind[:_MAX_CHARACTERS], "", _shown(entry.fields)]
    return None


def _summary(event: Mapping[str, Any]) -> str:
    """Return what is worth telling of an event, on one line."""
    error, response, item = event.get("error"), event.get("response"), event.get("item")
    if isinstance(error, Mapping):
        return f"{text_in(error, 'code')} {text_in(error, 'message')}".strip()[:_MAX_CHARACTERS]
    if isinstance(response, Mapping):
        reason = text_in(response, "status_details", "reason")
        return " ".join(filter(None, (text_in(response, "status"), reason, text_in(response, "id"))))[:80]
    if isinstance(item, Mapping):
        what = text_in(item, "name") or text_in(item, "role")
        return " ".join(filter(None, (text_in(item, "type"), what, text_in(item, "id"))))[:_MAX_CHARACTERS]
    for name in ("audio_start_ms", "audio_end_ms"):
        if isinstance(event.get(name), int | float):
            return f"at {event[name] / 1000:.2f} s of the sound"
    return next(filter(None, (text_in(event, name) for name in _WORTH_TELLING)), "")[:_MAX_CHARACTERS]


def _shown(value: Any, name: str = "", depth: int = 0) -> Any:
    """Return an event without its sound and without what is endless."""
    if isinstance(value, Mapping):
        if depth > 12:
            return "…"
        field = _SOUND_FIELDS.get(canonical_name(text_in(value, "type")))
        return {
            key: _sound(part) if key == field else _shown(part, key, depth + 1) for key, part in value.items()
        }
    if isinstance(value, list):
        return [_shown(part, name, depth + 1) for part in value[:200]]
    if isinstance(value, str):
        if name == "audio" and len(value) > _MAX_CHARACTERS:
            return _sound(value)
        return value if len(value) <= _MAX_TEXT else f"{value[:_MAX_TEXT]}… ({len(value)} characters)"
    return value


def _sound(text: Any) -> str:
    return f"({size_of(text) if isinstance(text, str) else 0} bytes of sound)"
