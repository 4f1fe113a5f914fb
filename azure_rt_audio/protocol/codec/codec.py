"""
Decodes events and encodes commands.

A frame is decoded by one ``orjson.loads`` and one hook, chosen by ``type``. The hooks of all events are built
by :func:`prepare` when the first client is made, so that importing is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import orjson

from ..._secret import Secret
from ...errors import DecodeError
from ..base import ProtocolObject, _readers
from ..commands import Command
from ..dialects import ALIASES, Dialect, canonical_name
from ..events import EVENT_CLASSES, Event, UnknownEvent
from ..items import ConversationItem
from ..translation import TranslationSessionConfig
from .expressible import flaw_of
from .fast_path import specialising
from .problems import FieldError, masked
from .quirks import Quirks, loads_repaired, problems_of
from .structure import Hook, make_converter
from .tolerant import Problem, TolerantReader

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = [
    "build",
    "build_item",
    "decode_event",
    "decode_message",
    "dumps",
    "encode",
    "encode_append",
    "prepare",
    "to_json",
    "typed",
    "write_other",
]

S = TypeVar("S", bound=ProtocolObject)


@cache
def _converter() -> Converter:
    return make_converter()


@cache
def _from_user() -> Converter:
    """Built on first use: a process that never writes a mapping does without."""
    return make_converter(from_user=True)


_event_hooks: Final[dict[str, Hook]] = {}  # filled in one step, by prepare()


def prepare() -> None:
    """Build the hooks of all events, which takes some 20 ms; otherwise the first event does."""
    if not _event_hooks:
        hooks = {name: _event_hook(name, cls) for name, cls in EVENT_CLASSES.items()}
        _event_hooks.update(hooks | {alias: hooks[name] for alias, name in ALIASES.items() if name in hooks})


def _event_hook(name: str, cls: type[Event]) -> Hook:
    names = [name, *(alias for alias, canonical in ALIASES.items() if canonical == name)]

    def replace(hook: Hook) -> None:
        _event_hooks.update(dict.fromkeys(names, hook))

    return specialising(cls, _converter().get_structure_hook(cls), replace)


def decode_event(data: bytes | bytearray | memoryview | str, quirks: Quirks | None = None) -> Event:
    """
    Decode one frame from the service, in either dialect.

    Fields that are missing or of the wrong type do not matter: see ``problems`` of the event.

    Args:
        quirks: What is known of the service that sends; logs problems, and joins half characters.

    Returns:
        An object of the event's own class, or an :class:`UnknownEvent`.

    Raises:
        DecodeError: If it is not JSON, not an object, or has no ``type``.
    """
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        return _decode_repaired(data, quirks, exc)
    if message.__class__ is dict and message.get("type").__class__ is str:
        hook = _event_hooks.get(message["type"])
        if hook is not None:
            try:
                event: Event = hook(message, None)
            except FieldError:
                pass
            else:
                return event
    return _decode_other(message, data, quirks)


def decode_message(message: dict[str, Any]) -> Event:
    """Decode a frame that was parsed already, such as the ``raw`` of an event; see :func:`decode_event`."""
    return _decode_other(message, b"", None)


def _decode_other(message: Any, data: bytes | bytearray | memoryview | str, quirks: Quirks | None) -> Event:
    """Decode what is not an event as described, or the first one of all."""
    if message.__class__ is not dict:
        raise DecodeError("a frame is not a JSON object", payload=_excerpt(data))
    name = message.get("type")
    if name.__class__ is not str:
        raise DecodeError("a frame has no type", path="$.type", payload=_excerpt(data))
    if not _event_hooks:
        prepare()
    hook = _event_hooks.get(name)
    if hook is None:
        event_id = message.get("event_id")
        if event_id is None or isinstance(event_id, str):
            return UnknownEvent(event_id=event_id, raw=message)
        return _decode_tolerantly(UnknownEvent, message, quirks)
    try:
        event: Event = hook(message, None)
    except FieldError:
        return _decode_tolerantly(EVENT_CLASSES[canonical_name(name)], message, quirks)
    return event


def _decode_tolerantly(cls: type[Event], message: dict[str, Any], quirks: Quirks | None) -> Event:
    reader = TolerantReader(_converter())
    event = reader.read(cls, message)
    _note(event, reader.problems, quirks)
    return event


def _decode_repaired(
    data: bytes | bytearray | memoryview | str, quirks: Quirks | None, reason: orjson.JSONDecodeError
) -> Event:
    """Decode a frame that is not JSON, unless it is so for half a character, or for a number that is none."""
    frame = data.encode("utf-8", "replace") if isinstance(data, str) else bytes(data)
    try:
        message = loads_repaired(frame)
    except orjson.JSONDecodeError:
        raise DecodeError(f"a frame is not JSON: {reason}", payload=_excerpt(data)) from None
    if quirks is not None and isinstance(message, dict):
        quirks.join(message, frame)
    problems = problems_of(message, frame)
    event = _decode_other(message, data, quirks)
    _note(event, problems, quirks)
    return event


def _note(event: Event, problems: list[Problem], quirks: Quirks | None) -> None:
    if problems:
        event._add_problems(problem.path for problem in problems)
        if quirks is not None:
            quirks.note(event.wire_type, problems)


def _excerpt(data: bytes | bytearray | memoryview | str) -> str:
    start = data[:200] if isinstance(data, str) else bytes(data[:200]).decode("utf-8", "replace")
    return masked(start)


def build(cls: type[S], source: S | Mapping[str, Any] | None, path: str) -> S:
    """
    Make an object of the protocol from what a user wrote.

    Args:
        source: An object of *cls*, which is returned as it is, or a mapping in the library's
            vocabulary, in GA's nested form, or with the names in camelCase. Objects of the
            protocol may stand in the mapping. ``None`` is an empty mapping.
        path: What to call it in an error, such as ``"session_config"``.

    Raises:
        ValueError: If a field is unknown, missing or has a wrong value; names it and the remedy.
        TypeError: If *source* is neither.
    """
    if isinstance(source, cls):
        return source
    if source is not None and not isinstance(source, Mapping):
        raise TypeError(f"{path} must be a {cls.__name__} or a mapping, not {type(source).__name__}")
    result: S = _build(cls, source or {}, path)
    return result


def build_item(source: ConversationItem | Mapping[str, Any], path: str) -> ConversationItem:
    """
    Make a conversation item from what a user wrote; see :func:`build`.

    Raises:
        ValueError: If its ``type`` is unknown, or a field is unknown or has a wrong value.
        TypeError: If *source* is neither an item nor a mapping.
    """
    if not isinstance(source, (Mapping, *get_args(ConversationItem))):
        raise TypeError(f"{path} must be a conversation item or a mapping, not {type(source).__name__}")
    item: ConversationItem = _build(ConversationItem, source, path)
    return item


def _build(kind: Any, source: Any, path: str) -> Any:
    try:
        return _from_user().get_structure_hook(kind)(source, kind)
    except FieldError as error:
        raise ValueError(f"{path}{error.path}: {error.why}") from None


_readers["mapping"] = _build  # so that constructors take mappings, too


def typed(shape: S) -> S:
    """
    Return *shape* with its annotations made true, without ``extra``.

    Nothing stops a user from giving the constructors of this package a mapping for an object,
    which is fine and becomes one, or a text for a number, which is not.

    Raises:
        ValueError: Names the field that has a wrong value, and the value.
    """
    converter = _from_user()
    try:
        result: S = converter.get_structure_hook(shape.__class__)(converter.unstructure(shape), None)
    except FieldError as error:
        raise ValueError(f"{error.path[1:]}: {error.why}") from None
    return result


# ---------------------------------------------------------------- writing


def to_json(shape: ProtocolObject) -> dict[str, Any]:
    """
    Return an object of the protocol as JSON values, in the vocabulary of the library.

    Secrets stay what they are; :func:`encode` reveals them when it writes the bytes.
    """
    fields: dict[str, Any] = _converter().unstructure(shape)
    return fields


def _ignore(path: str) -> None:
    """Leave a field out silently."""


def encode(message: Command | Event, dialect: Dialect, leave_out: Callable[[str], None] = _ignore) -> bytes:
    """
    Encode a command, or an event as the service would send it.

    Args:
        leave_out: Called with the path of each field that *dialect* cannot carry.

    Raises:
        ValueError: If a text or a whole number cannot be expressed in JSON; names its path.
        TypeError: If another value cannot.
    """
    name = message.type
    if isinstance(message, UnknownEvent):
        fields = {**message.raw, "type": name}
    else:
        if isinstance(message, Event):
            name = message.wire_type if message.raw else dialect.wire_name(name)
        fields = {**to_json(message), "type": name}
        if not isinstance(getattr(message, "session", None), TranslationSessionConfig):  # nested as it is
            fields = dialect.to_wire(fields, leave_out)
    return dumps(fields, name, message)


def dumps(fields: Mapping[str, Any], name: str, source: Any = None) -> bytes:
    """
    Return the JSON of a message.

    Args:
        name: What to call it in an error.
        source: What the paths of an error are those of, if not of *fields*.

    Raises:
        ValueError: If a text or a whole number cannot be expressed in JSON; names its path.
        TypeError: If another value cannot.
    """
    try:
        return orjson.dumps(fields, default=write_other)
    except TypeError as exc:
        flaw = flaw_of(fields if source is None else source)
        if flaw is not None:
            raise ValueError(flaw) from None
        raise TypeError(f"{name} holds something that JSON cannot express: {exc}") from None


def encode_append(audio: bytes) -> bytes:
    """
    Encode an :class:`InputAudioBufferAppend` without an id, as :func:`encode` does, in a tenth of the time.

    Args:
        audio: Base64, which needs no escapes. These are most of a client's messages, fifty per second.
    """
    return b'{"audio":"%b","type":"input_audio_buffer.append"}' % audio


def write_other(value: Any) -> Any:
    """Convert a user's value in a field of any JSON, and a secret, which must reach the service."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, ProtocolObject):
        return to_json(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
