"""
Reads objects of the protocol from JSON values and writes them back.

Reading is strict: a string is not a number, ``1`` is not ``true``. Nothing is lost: unknown fields, and
nulls where ``None`` means "missing", are kept in ``extra``.

Hooks are tables and one loop rather than the code that cattrs generates: building them takes a tenth of the
time, reading is faster, and an error knows its path without a second reading.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache, reduce
from inspect import get_annotations
from operator import or_
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Union, get_args, get_origin

import attrs

from ..._secret import Secret
from ..base import UNSET, ProtocolObject, Unset, snake_case
from ..dialects.nesting import RESPONSE, SESSION, Nesting, flat_choice, flat_part
from ..events import Event
from ..items import ContentPart, UnknownItem
from ..responses import Response, ResponseConfig
from ..session import Session, SessionConfig, TranscriptionSession, TranscriptionSessionConfig
from ..tools import FunctionTool, ToolChoice
from .problems import FieldError, mistyped
from .unions import Hook, union_hook

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = [
    "FLATTEN",
    "NESTED",
    "Hook",
    "is_list",
    "is_mapping",
    "is_shape",
    "is_union",
    "make_converter",
    "plain_kind",
    "types_of",
]

NESTED: Final[Mapping[type[ProtocolObject], Nesting]] = {
    Session: SESSION,
    SessionConfig: SESSION,
    TranscriptionSession: SESSION,
    TranscriptionSessionConfig: SESSION,
    Response: RESPONSE,
    ResponseConfig: RESPONSE,
}
FLATTEN: Final[Mapping[type[ProtocolObject], Callable[[dict[str, Any]], dict[str, Any]]]] = {
    **{cls: nesting.flatten for cls, nesting in NESTED.items()},
    ContentPart: flat_part,
    ToolChoice: flat_choice,
}
_SESSION_TYPES: Final[Mapping[type[ProtocolObject], str]] = {
    SessionConfig: "realtime",
    TranscriptionSessionConfig: "transcription",
}
_CONTENTS: Final[Mapping[type[ProtocolObject], str]] = {
    **dict.fromkeys(_SESSION_TYPES, "session"),
    ResponseConfig: "response",
}
"""Under which name a command has a configuration: whole commands are pasted."""


# ---------------------------------------------------------------- reading


def _read_str(value: Any, _: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)  # a string enum becomes its value
    raise mistyped("a string", value)


def _read_int(value: Any, _: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise mistyped("a whole number", value)


def _read_float(value: Any, _: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise mistyped("a number", value)


def _read_bool(value: Any, _: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise mistyped("true or false", value)


def _read_secret(value: Any, _: Any) -> Secret[str]:
    text = value.reveal() if isinstance(value, Secret) else value
    if isinstance(text, str):
        return value if isinstance(value, Secret) else Secret(text)
    raise mistyped("a string", text)


def _read_any(value: Any, _: Any) -> Any:
    return value


def is_shape(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, ProtocolObject)


def is_union(cls: Any) -> bool:
    return get_origin(cls) in (Union, UnionType)


def is_list(cls: Any) -> bool:
    return get_origin(cls) is list


def is_secret(cls: Any) -> bool:
    return get_origin(cls) is Secret


def is_mapping(cls: Any) -> bool:
    return get_origin(cls) is Mapping


def make_converter(*, from_user: bool = False) -> Converter:
    """
    Return a converter for all objects of the protocol. Its hooks raise only :class:`FieldError`.

    Args:
        from_user: Read what a user wrote: names in camelCase are understood, unknown ones refused
            with the nearest known one; and write without ``extra``.
    """
    from cattrs import Converter  # 6 ms that importing this package need not cost

    converter = Converter()
    for kind, hook in ((str, _read_str), (int, _read_int), (float, _read_float), (bool, _read_bool)):
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_func(lambda cls: cls is Any, _read_any)
    converter.register_structure_hook_func(is_secret, _read_secret)
    converter.register_structure_hook_factory(is_list, lambda cls: _list_hook(cls, converter))
    converter.register_structure_hook_factory(is_mapping, lambda cls: _mapping_hook(cls, converter))
    converter.register_structure_hook_factory(is_union, lambda cls: union_hook(cls, converter, from_user))
    converter.register_structure_hook_factory(
        is_shape, lambda cls: (_user_hook if from_user else _shape_hook)(cls, converter)
    )
    converter.register_unstructure_hook_factory(
        is_shape, lambda cls: _shape_writer(cls, converter, with_extra=not from_user)
    )
    if from_user:  # a mapping of a kind that nobody knows is a mistake, an object of one is meant
        write_tool = converter.get_unstructure_hook(FunctionTool)
        converter.register_unstructure_hook(UnknownItem, lambda item: item)
        converter.register_unstructure_hook(
            FunctionTool, lambda tool: write_tool(tool) if tool.type == "function" else tool
        )
    return converter


@cache
def _evaluated(annotation: str, module: str) -> Any:
    return eval(annotation, vars(sys.modules[module]))


def types_of(cls: type[ProtocolObject]) -> dict[str, Any]:
    """What ``typing.get_type_hints`` says, without evaluating for each class what it inherits."""
    return {
        name: _evaluated(annotation, base.__module__)
        for base in reversed(cls.__mro__)
        for name, annotation in get_annotations(base).items()
    }


def plain_kind(annotation: Any) -> type | None:
    """Return the class of a field's values if it is the only one besides null and needs no reading."""
    kinds = set(get_args(annotation)) if is_union(annotation) else {annotation}
    wanted = kinds - {NoneType, Unset}
    return wanted.pop() if len(wanted) == 1 and wanted <= {str, int, float, bool} else None


def _shape_hook(cls: type[ProtocolObject], converter: Converter) -> Hook:
    types = types_of(cls)
    assert not hasattr(cls, "__attrs_post_init__"), f"{cls} does something on construction; see below"
    readers: dict[str, Hook] = {}
    exact: dict[str, type] = {}  # a value of just this class needs no reading
    nullable: set[str] = set()
    defaults: dict[str, Any] = {}
    secret: set[str] = set()
    for a in attrs.fields(cls):
        if a.name in ("extra", "raw"):
            continue
        kinds = set(get_args(types[a.name])) if is_union(types[a.name]) else {types[a.name]}
        wanted = kinds - {NoneType, Unset}
        kind = reduce(or_, wanted)
        readers[a.name] = converter.get_structure_hook(kind)
        plain = plain_kind(types[a.name])
        if plain is not None:
            exact[a.name] = plain
        if NoneType in kinds or kind is Any:
            nullable.add(a.name)
        if a.default is not attrs.NOTHING:
            defaults[a.name] = a.default
        if a.repr is False:
            secret.add(a.name)
    count = len(readers) + 1
    # Where None is a message of its own, the attribute says so; elsewhere extra remembers the null.
    remembered = {name for name in nullable if defaults.get(name, attrs.NOTHING) is None}
    implied = {"type"} if hasattr(cls, "TYPE") else set()
    flatten, nesting = FLATTEN.get(cls), NESTED.get(cls)
    is_event = issubclass(cls, Event)

    def hook(source: Any, _: Any) -> Any:
        if source.__class__ is not dict:
            raise mistyped("an object", source)
        fields = source if flatten is None else flatten(source)
        # Without __init__, which does nothing else, and without the guard of a frozen class: the object
        # is not shared yet.
        shape: ProtocolObject = object.__new__(cls)
        values = shape.__dict__
        values.update(defaults)
        values["extra"] = extra = {}
        name = ""
        try:
            for name, value in fields.items():
                if value.__class__ is exact.get(name):
                    values[name] = value
                elif name not in readers:
                    if name not in implied:
                        extra[name] = value
                elif value is None and name in nullable:
                    values[name] = None
                    if name in remembered:
                        extra[name] = None
                else:
                    values[name] = readers[name](value, None)
        except FieldError as error:
            raise error.at(
                f".{name if nesting is None else nesting.origin(source, name)}", is_secret=name in secret
            ) from None
        if len(values) != count:
            missing = next(name for name in readers if name not in values)
            raise FieldError("required field missing").at(f".{missing}")
        if is_event:
            values["raw"] = source
        return shape

    return hook


def _user_hook(cls: type[ProtocolObject], converter: Converter) -> Hook:
    read = _shape_hook(cls, converter)
    known = [a.name for a in attrs.fields(cls) if a.name not in ("extra", "raw")]
    implied = {"type"} if hasattr(cls, "TYPE") else set()
    flatten, nesting = FLATTEN.get(cls), NESTED.get(cls)
    session_type = _SESSION_TYPES.get(cls)
    content = _CONTENTS.get(cls)

    def hook(source: Any, _: Any) -> Any:
        if isinstance(source, cls):
            return source
        if not isinstance(source, Mapping):
            raise mistyped(f"a mapping or a {cls.__name__}", source)
        fields = _in_snake_case(source)
        extra = _pop_extra(fields)
        if content is not None and content in fields:
            raise FieldError(f'give the content of "{content}" alone, without the command around it').at(
                f".{content}"
            )
        if nesting is not None:
            if "audio" in fields:
                fields["audio"] = _known_audio(fields["audio"], nesting, cls)
            for name, other in nesting.given_twice(fields):
                raise FieldError(f"given twice, the other time as {other}; leave one of them out").at(
                    f".{name}"
                )
        if session_type is not None and "type" in fields:
            if fields["type"] != session_type:
                wrong = fields["type"]
                raise FieldError(f"must be {session_type!r} in a {cls.__name__}, not {wrong!r:.60}").at(
                    ".type"
                )
            del fields["type"]  # the dialect knows whether to send it
        for name in fields if flatten is None else flatten(fields):
            if name not in known and name not in implied and (nesting is None or name != "audio"):
                _refuse_name(name, known, cls, ".")
        shape = read(fields, None)
        audio = shape.extra.get("audio") if "audio" in extra else None
        shape.extra.update(extra)
        if isinstance(audio, dict):  # formats that have no flat name
            shape.extra["audio"] = _merged(audio, extra["audio"])
        return shape

    return hook


def _pop_extra(fields: dict[str, Any]) -> dict[str, Any]:
    """Take the fields to be sent as they are out of a mapping."""
    extra = fields.pop("extra", None)
    if extra is None:
        return {}
    if not isinstance(extra, Mapping):
        raise mistyped("a mapping", extra).at(".extra")
    for name in extra:
        if not isinstance(name, str):
            raise FieldError(f"names of fields are strings, not {name!r:.40}").at(".extra")
        if name in fields and name != "audio":
            raise FieldError("given twice, outside of extra as well").at(f".extra.{name}")
    return dict(extra)


def _merged(one: Any, other: Any) -> Any:
    """Merge two JSON objects, level by level; elsewhere *other* wins."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return other
    return {**one, **{name: _merged(one.get(name), value) for name, value in other.items()}}


def _known_audio(source: Any, nesting: Nesting, cls: type[ProtocolObject]) -> dict[str, Any]:
    if not isinstance(source, Mapping):
        raise mistyped("a mapping", source).at(".audio")
    audio = {}
    for side, part in source.items():
        keys = nesting.keys(side)
        if not keys:
            _refuse_name(str(side), nesting.sides, cls, ".audio.")
        if not isinstance(part, Mapping):
            raise mistyped("a mapping", part).at(f".audio.{side}")
        try:
            fields = _in_snake_case(part)
            extra = _pop_extra(fields)
        except FieldError as fault:
            raise fault.at(f".audio.{side}") from None
        for key in fields:
            if key not in keys:
                _refuse_name(key, keys, cls, f".audio.{side}.")
        audio[side] = {**fields, **extra}
    return audio


def _in_snake_case(source: Mapping[Any, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in source.items():
        if not isinstance(name, str):
            raise FieldError(f"names of fields are strings, not {name!r:.40}")
        snake = snake_case(name)
        if snake in fields:
            raise FieldError("given twice, in two spellings").at(f".{snake}")
        fields[snake] = value
    return fields


def _refuse_name(name: str, known: Any, cls: type[ProtocolObject], path: str) -> NoReturn:
    from difflib import get_close_matches  # 7 ms that only a mistake should cost

    close = get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    remedy = 'to send a field that this version does not know, put it into "extra"'
    raise FieldError(f"not a field of {cls.__name__}; {meant}{remedy}").at(path + name)


def _list_hook(cls: Any, converter: Converter) -> Hook:
    read = converter.get_structure_hook(get_args(cls)[0])

    def hook(source: Any, _: Any) -> Any:
        if not isinstance(source, list | tuple):
            raise mistyped("a list", source)
        values = []
        try:
            for value in source:
                values.append(read(value, None))
        except FieldError as error:
            raise error.at(f"[{len(values)}]") from None
        return values

    return hook


def _mapping_hook(cls: Any, converter: Converter) -> Hook:
    read = converter.get_structure_hook(get_args(cls)[1])

    def hook(source: Any, _: Any) -> Any:
        if not isinstance(source, Mapping):
            raise mistyped("an object", source)
        values = {}
        for name, value in source.items():
            try:
                values[_read_str(name, None)] = read(value, None)
            except FieldError as error:
                raise error.at(f".{name}") from None
        return values

    return hook


# ---------------------------------------------------------------- writing


def _shape_writer(
    cls: type[ProtocolObject], converter: Converter, *, with_extra: bool
) -> Callable[[Any], dict[str, Any]]:
    types = types_of(cls)
    # The default that means "not sent"; a name as default, such as a type, is sent like a value.
    fields = [
        (a.name, a.default if a.default in (None, UNSET) else attrs.NOTHING, types[a.name] is Any)
        for a in attrs.fields(cls)
        if a.name not in ("extra", "raw")
    ]
    implied = {name: field.default for name, field in attrs.fields_dict(cls).items()}

    def write(value: Any) -> Any:
        if isinstance(value, ProtocolObject):
            return converter.get_unstructure_hook(value.__class__)(value)
        if isinstance(value, list | tuple):
            return [write(inner) for inner in value]
        if isinstance(value, Mapping):
            return {name: write(inner) for name, inner in value.items()}
        return value

    def hook(shape: Any) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for name, silent, is_json in fields:
            value = getattr(shape, name)
            if value is not silent:
                written[name] = value if is_json else write(value)
        if with_extra:
            for name, value in shape.extra.items():
                # A type that nobody gave is sent as well, unless extra has another.
                if name not in written or written[name] == implied.get(name, attrs.NOTHING):
                    written[name] = value
        return written

    return hook
