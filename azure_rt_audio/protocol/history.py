"""
A conversation as JSON values, to be kept and restored in another session.

The document is ``{"version": 1, "items": [...]}``, with items in the vocabulary of the library. A message of
the model has the milliseconds of its sound, and those that were heard, where it was truncated. Sound of the
user stands in ``audio`` of its part, and its format in ``input_audio_format``; a transcript that breaks off
is an ``is_fragment`` of its message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final, get_args

import attrs
import orjson
from attrs import evolve, field, frozen

from .codec import build_item, check_expressible
from .conversation_entry import ConversationEntry
from .items import (
    ContentPart,
    ConversationItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    ItemReference,
    McpListToolsItem,
    MessageItem,
    UnknownItem,
)
from .restored_texts import short_id

__all__ = ["History", "history_from", "write_history"]

VERSION: Final = 1

_ROLES: Final = ("system", "user", "assistant")
_TEXT_PARTS: Final = {"system": "input_text", "user": "input_text", "assistant": "text"}
_LEFT_OUT: Final = (McpListToolsItem, ItemReference, UnknownItem)
"""They mean nothing in another session."""

_REMEDY: Final = "give what Conversation.to_dict() or to_json() returned, or a list of (role, text) pairs"


@frozen(kw_only=True)
class History:
    """
    A conversation that was kept.

    Attributes:
        entries: Its items, in order; each has an id of its own, which a service accepts.
        sound: Base64 of the user's speech, by id of the item.
        input_audio_format: The format of the sound; that of another format is of no use to a session.
    """

    entries: tuple[ConversationEntry, ...] = ()
    sound: Mapping[str, str] = field(factory=dict, repr=False)
    input_audio_format: str = "pcm16"


# ---------------------------------------------------------------- writing


def write_history(
    entries: Iterable[ConversationEntry], *, sound: Mapping[str, str], input_audio_format: str
) -> dict[str, Any]:
    """
    Return the document of a conversation.

    Args:
        entries: As the mirror has them.
        sound: Base64 of the user's speech, by id of the item.
        input_audio_format: The format of the sound.
    """
    items = [_write(entry, sound) for entry in entries if not isinstance(entry.item, _LEFT_OUT)]
    formats = {"input_audio_format": input_audio_format} if sound else {}
    return {"version": VERSION, **formats, "items": items}


def _write(entry: ConversationEntry, sound: Mapping[str, str]) -> dict[str, Any]:
    item = entry.item
    written = _fields(item)
    if isinstance(item, MessageItem):
        written["content"] = [_fields(part) for part in _spoken_parts(item, entry, sound.get(item.id or ""))]
        if entry.audio_ms:
            written["audio_ms"] = entry.audio_ms
        if entry.truncated_at_ms is not None:
            written["truncated_at_ms"] = entry.truncated_at_ms
        if entry._has_part:
            written["is_fragment"] = True
    return written


def _spoken_parts(item: MessageItem, entry: ConversationEntry, sound: str | None) -> Iterator[ContentPart]:
    """Yield the parts of a message with their texts and transcripts."""
    parts = item.content or []
    for index in range(max([len(parts), *(index + 1 for index in entry.texts)])):
        streamed = ContentPart(type="audio" if entry.audio_ms else "text")  # and was not described yet
        part = parts[index] if index < len(parts) else streamed
        words = entry.texts.get(index) or part.text or part.transcript
        if part.type in ("audio", "input_audio"):
            is_said = part.type == "input_audio"
            yield evolve(part, transcript=words, audio=sound if is_said else None)
        elif part.type == "input_image":
            yield part
        else:
            yield evolve(part, text=words)


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields of an item or part that have a value."""
    return {
        a.name: _fields(inner) if attrs.has(inner.__class__) else inner
        for a in attrs.fields(value.__class__)
        if a.name not in ("extra", "object") and (inner := getattr(value, a.name)) is not None
    }


# ---------------------------------------------------------------- reading


def history_from(value: Any, path: str = "history") -> History:
    """
    Read a history.

    Args:
        value: What :func:`write_history` returned, also as JSON text; or a list, of ``(role, text)`` pairs,
            of mappings ``{"role": ..., "text": ...}``, or of items.
        path: What to call it in errors.

    Raises:
        ValueError: If it is of another version, or a part of it cannot be right; names the path.
        TypeError: If it is something else, such as the path of a file.
    """
    if isinstance(value, PurePath) or (isinstance(value, str) and _names_file(value)):
        raise TypeError(f"{path} is a path, not its content: give Path(...).read_text()")
    if isinstance(value, str | bytes | bytearray):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as exc:
            raise ValueError(f"{path} is not JSON: {exc}; {_REMEDY}") from None
    if isinstance(value, Mapping):
        _check_version(value, path)
        return _read(value["items"], f"{path}.items", value.get("input_audio_format"))
    if isinstance(value, Sequence):
        return _read(value, path, None)
    raise TypeError(f"{path} must be a mapping or a list, not {type(value).__name__}; {_REMEDY}")


def _names_file(text: str) -> bool:
    """Whether a text can only be the name of a file with a history."""
    return text.endswith((".json", ".txt")) and not any(mark in text for mark in '{["\n')


def _check_version(value: Mapping[str, Any], path: str) -> None:
    version = value.get("version")
    if version is None:
        raise ValueError(f"{path}.version is missing; {_REMEDY}")
    if isinstance(version, bool) or version != VERSION:
        raise ValueError(
            f"{path}.version is {version!r:.40}, and this library reads {VERSION}; it was written by another "
            "version of the library"
        )
    unknown = sorted(str(name) for name in value.keys() - {"version", "items", "input_audio_format"})
    if unknown:
        raise ValueError(f"{path}.{unknown[0]} is unknown; {_REMEDY}")
    if not isinstance(value.get("items"), Sequence) or isinstance(value["items"], str):
        raise ValueError(f"{path}.items must be a list of items")


def _read(values: Sequence[Any], path: str, audio_format: Any) -> History:
    entries: list[ConversationEntry] = []
    sound: dict[str, str] = {}
    ids: set[str] = set()
    is_answered: dict[str, bool] = {}
    for number, value in enumerate(values):
        where = f"{path}[{number}]"
        entry, audio = _entry(value, where, f"history_{number + 1}")
        item_id = entry.item.id or ""
        if item_id in ids:
            raise ValueError(f"{where}.id: {item_id!r} is the id of an earlier item, too")
        ids.add(item_id)
        _check_pair(entry.item, where, is_answered)
        entries.append(entry)
        if audio is not None:
            sound[item_id] = audio
    if audio_format is None and not sound:
        audio_format = "pcm16"
    if not isinstance(audio_format, str):
        raise ValueError(f"{path}: there is sound, so input_audio_format must say in which format")
    return History(entries=tuple(entries), sound=sound, input_audio_format=audio_format)


def _check_pair(item: ConversationItem, where: str, is_answered: dict[str, bool]) -> None:
    """Refuse an output without its call, which the service would refuse, and a second one."""
    if isinstance(item, FunctionCallItem) and item.call_id is not None:
        if item.call_id in is_answered:
            raise ValueError(f"{where}.call_id: {item.call_id!r} is the id of an earlier call, too")
        is_answered[item.call_id] = False
    elif isinstance(item, FunctionCallOutputItem):
        if item.call_id not in is_answered:
            raise ValueError(f"{where}.call_id: no function call before it has the id {item.call_id!r}")
        if is_answered[item.call_id]:
            raise ValueError(f"{where}.call_id: the call {item.call_id!r} has an output already")
        is_answered[item.call_id] = True


def _entry(value: Any, where: str, new_id: str) -> tuple[ConversationEntry, str | None]:
    """Return one item, and the sound of it."""
    facts: dict[str, Any] = {}
    if isinstance(value, get_args(ConversationItem)):
        item = value
    elif isinstance(value, Mapping) and "type" in value:
        rest = dict(value)
        for name in ("audio_ms", "truncated_at_ms"):
            if name in rest:
                facts[name] = _whole(rest.pop(name), f"{where}.{name}")
        if "is_fragment" in rest:
            facts["is_fragment"] = _claim(rest.pop("is_fragment"), f"{where}.is_fragment")
        item = build_item(rest, where)
    else:
        item = _message(value, where)
    check_expressible(item, where)
    if isinstance(item, _LEFT_OUT):
        raise ValueError(f"{where}.type: an item of type {item.type!r} is not part of a history")
    changes = {"id": short_id(item.id) if item.id else new_id}
    if isinstance(item, FunctionCallItem | FunctionCallOutputItem):
        if not item.call_id:
            raise ValueError(f"{where}.call_id is missing")
        changes["call_id"] = short_id(item.call_id)
    sound = None
    if isinstance(item, MessageItem):
        item, sound = _without_sound(item, where)
    item = evolve(item, **changes)
    text = item.text if isinstance(item, MessageItem) else ""
    return ConversationEntry(item=item, text=text, **facts), sound


def _message(value: Any, where: str) -> MessageItem:
    """Return a message from a pair of role and text."""
    if isinstance(value, Mapping):
        if value.keys() != {"role", "text"}:
            names = ", ".join(sorted(map(str, value)))
            raise ValueError(f'{where} must have "role" and "text", or the "type" of an item, not {names}')
        role, text = value["role"], value["text"]
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) == 2:
        role, text = value
    else:
        raise ValueError(f'{where} must be a pair (role, text), or a mapping {{"role": ..., "text": ...}}')
    if not isinstance(text, str) or not text:
        raise ValueError(f"{where}.text must be a text that is not empty")
    if role not in _ROLES:
        raise ValueError(f"{where}.role must be one of {', '.join(_ROLES)}, not {role!r:.40}")
    return MessageItem(role=role, content=[ContentPart(type=_TEXT_PARTS[role], text=text)])


def _without_sound(item: MessageItem, where: str) -> tuple[MessageItem, str | None]:
    if item.role not in _ROLES:
        raise ValueError(f"{where}.role must be one of {', '.join(_ROLES)}, not {item.role!r:.40}")
    import base64  # a millisecond that only a history should cost

    found: str | None = None
    for index, part in enumerate(item.content or ()):
        if part.audio is not None:
            found = part.audio
            try:
                base64.b64decode(found, validate=True)
            except ValueError:
                raise ValueError(f"{where}.content[{index}].audio is not base64") from None
    if found is None:
        return item, None
    return evolve(item, content=[evolve(part, audio=None) for part in item.content or ()]), found


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{where} must be a whole number of milliseconds, not {value!r:.40}")
    return value


def _claim(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{where} must be true or false, not {value!r:.40}")
    return value
