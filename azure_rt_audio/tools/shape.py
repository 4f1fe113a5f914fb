"""
From a type annotation to a JSON Schema, and from JSON to a value of that type.

Both come from one walk over the type, so that what the model is told is what is built.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import math
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Annotated, Any, ClassVar, Final, Literal, Union, get_args, get_origin, get_type_hints

import attrs

from .docstring import parameters_said
from .schema import equal, mismatches, shown

__all__ = ["Shape", "UnfitError", "described", "hints_of", "shape_of"]


class UnfitError(ValueError):
    """Arguments of a model that do not fit; the text says which and why, for the model to read."""


def _same(value: Any, path: str) -> Any:
    return value


@attrs.frozen
class Shape:
    """
    A type, as a model is told it and as a function wants it.

    Attributes:
        schema: JSON Schema.
        build: Makes the value of a JSON value that fits the schema, given its path for messages.
    """

    schema: dict[str, Any]
    build: Callable[[Any, str], Any] = _same


_SIMPLE: Final[Mapping[Any, Shape]] = {
    str: Shape({"type": "string"}),
    int: Shape({"type": "integer"}, lambda value, path: int(value)),
    float: Shape({"type": "number"}, lambda value, path: float(value)),
    bool: Shape({"type": "boolean"}),
    type(None): Shape({"type": "null"}),
    Any: Shape({}),
    object: Shape({}),
    datetime.datetime: Shape(
        {"type": "string", "format": "date-time"},
        lambda value, path: datetime.datetime.fromisoformat(value.replace("Z", "+00:00")),
    ),
    datetime.date: Shape(
        {"type": "string", "format": "date"}, lambda value, path: datetime.date.fromisoformat(value)
    ),
}

_LISTS: Final[Mapping[Any, Callable[[list[Any]], Any]]] = {
    list: list,
    Sequence: list,
    tuple: tuple,
    set: set,
    Set: set,
    frozenset: frozenset,
}

_CONSTRAINTS: Final = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}

_LENGTHS: Final = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}

_WRAPPERS: Final = ("Required", "NotRequired", "ReadOnly")


def hints_of(annotated: Any, where: str) -> dict[str, Any]:
    """
    Return the annotations of a function or class, with what is ``Annotated``.

    Raises:
        TypeError: If one of them cannot be read; says which.
    """
    try:
        return get_type_hints(annotated, include_extras=True)
    except Exception as exc:  # noqa: BLE001 - an annotation may be any text, which is evaluated
        is_unknown = isinstance(exc, NameError)
        why = str(exc) if is_unknown else f"{type(exc).__name__}: {exc}"
        remedy = "define the name at the top of the module" if is_unknown else "write a type"
        which = _unreadable(annotated) or "the annotations"
        raise TypeError(f"{which} of {where} cannot be read: {why}; {remedy}") from None


def _unreadable(annotated: Any) -> str | None:
    """Return in words which annotation cannot be read, if it is one by itself."""
    for owner in getattr(annotated, "__mro__", (annotated,)):
        if isinstance(owner, type):
            names = getattr(sys.modules.get(owner.__module__), "__dict__", {})
            inner = dict(vars(owner))
        else:
            names, inner = getattr(inspect.unwrap(owner), "__globals__", {}), {}
        for name, hint in inspect.get_annotations(owner).items():
            try:
                get_type_hints(types.SimpleNamespace(__annotations__={name: hint}), names, inner)
            except Exception:  # noqa: BLE001 - as above
                return f"{hint!r:.60}, the annotation of {name!r}"
    return None


def shape_of(hint: Any, where: str, within: tuple[Any, ...] = ()) -> Shape:
    """
    Return the shape of a type.

    Args:
        hint: The annotation.
        where: Names its place in errors.
        within: The classes whose fields are being read.

    Raises:
        TypeError: If JSON Schema cannot express it.
    """
    try:
        if hint in _SIMPLE:
            return _SIMPLE[hint]
    except TypeError:  # a Literal of something without a hash
        pass
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(arguments, where, within)
    if getattr(origin, "_name", None) in _WRAPPERS:
        return shape_of(arguments[0], where, within)
    if origin is Literal:
        return _choice((_plain(value, where), value) for value in arguments)
    if origin in (Union, types.UnionType):
        return _union([shape_of(argument, where, within) for argument in arguments])
    kind = origin or hint
    if kind in _LISTS:
        return _list(kind, arguments, where, within)
    if kind in (dict, Mapping):
        return _mapping(arguments, where, within)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _choice((_plain(member, where), member) for member in hint)
    if isinstance(hint, type) and hint in within:
        raise TypeError(f"{where} is of {hint.__name__}, which contains itself; a model cannot be told that")
    fields = _fields(hint) if isinstance(hint, type) else None
    if fields is not None:
        return _object(hint, fields, (*within, hint))
    raise TypeError(
        f"{where} is annotated {hint!r}, which has no JSON Schema; use str, int, float, bool, list, ..."
    )


def _annotated(arguments: tuple[Any, ...], where: str, within: tuple[Any, ...]) -> Shape:
    inner = shape_of(arguments[0], where, within)
    schema = dict(inner.schema)
    texts = [text for text in arguments[1:] if isinstance(text, str)]
    if texts:
        schema["description"] = texts[0]
    options = [schema, *schema.get("anyOf", ())]
    constraints = [one for one in arguments[1:] if not isinstance(one, str)]
    for constraint in constraints:
        for name, keyword in _CONSTRAINTS.items():
            bound = getattr(constraint, name, None)
            if bound is not None:
                if not isinstance(bound, int | float) or not math.isfinite(bound):
                    raise TypeError(f"{where} is limited by {bound!r}, which a model cannot be told")
                if name == "multiple_of" and bound <= 0:
                    raise TypeError(f"{where} must be a multiple of {bound!r}; only what is above 0 has any")
                schema[keyword] = bound
        for place, name in enumerate(("min_length", "max_length")):
            bound = getattr(constraint, name, None)
            if bound is None or (bound == 0 and place == 0):
                continue
            keywords = [
                _LENGTHS[option["type"]][place] for option in options if option.get("type") in _LENGTHS
            ]
            if not keywords:
                raise TypeError(f"{where} has no length, and {constraint!r} cannot hold")
            schema |= dict.fromkeys(keywords, bound)
    predicates = [one.func for one in constraints if not callable(one) and callable(_predicate_of(one))]
    return Shape(schema, _held(inner.build, predicates) if predicates else inner.build)


def _predicate_of(constraint: Any) -> Any:
    """Return the function of an ``annotated_types.Predicate``."""
    return getattr(constraint, "func", None)


def _held(build: Callable[[Any, str], Any], predicates: list[Callable[[Any], object]]) -> Any:
    """Return the same, and hold what is built against functions: the model is not told of them before."""

    def build_held(value: Any, path: str) -> Any:
        built = build(value, path)
        for predicate in predicates:
            if not predicate(built):
                name = getattr(predicate, "__name__", "<")
                condition = "" if name.startswith("<") else f": {name}() does not hold"
                raise UnfitError(f"{path} must not be {shown(value)}{condition}")
        return built

    return build_held


def _plain(value: Any, where: str) -> Any:
    """Return the JSON value of a choice."""
    plain = value.value if isinstance(value, enum.Enum) else value
    if plain is None or isinstance(plain, str | int) or (isinstance(plain, float) and math.isfinite(plain)):
        return plain
    raise TypeError(f"{where} may be {value!r}, which JSON cannot express; use texts or numbers as values")


def _choice(members: Iterable[tuple[Any, Any]]) -> Shape:
    known: list[tuple[Any, Any]] = []  # no dict, in which True is 1
    for plain, member in members:
        if not any(equal(plain, other) for other, _ in known):
            known.append((plain, member))

    def build(value: Any, path: str) -> Any:
        return next(member for plain, member in known if equal(value, plain))

    return Shape({"enum": [plain for plain, _ in known]}, build)


def _union(options: list[Shape]) -> Shape:
    def build(value: Any, path: str) -> Any:
        fitting = next(one for one in options if not any(mismatches(value, one.schema, path)))
        return fitting.build(value, path)

    return Shape({"anyOf": [one.schema for one in options]}, build)


def _list(kind: Any, arguments: tuple[Any, ...], where: str, within: tuple[Any, ...]) -> Shape:
    schema: dict[str, Any] = {"type": "array"}
    if kind is tuple and arguments[1:] != (...,) and arguments:
        if len({repr(argument) for argument in arguments}) > 1:
            raise TypeError(
                f"{where} is a tuple of different types; use a dataclass, whose fields have names"
            )
        schema |= {"minItems": len(arguments), "maxItems": len(arguments)}
    make = _LISTS[kind]
    if not arguments:
        return Shape(schema, lambda value, path: _collected(make, value, path))
    inner = shape_of(arguments[0], where, within)
    if make in (set, frozenset) and _has_no_hash(arguments[0]):
        raise TypeError(
            f"{where} is a set of what has no hash: use a list, or in it tuples or frozen dataclasses"
        )

    def build(value: list[Any], path: str) -> Any:
        items = [inner.build(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return _collected(make, items, path)

    return Shape({**schema, "items": inner.schema}, build)


def _collected(make: Callable[[list[Any]], Any], items: list[Any], path: str) -> Any:
    if make in (set, frozenset):
        for index, item in enumerate(items):
            try:
                hash(item)
            except TypeError:
                raise UnfitError(f"{path}[{index}] is a list or an object; a set takes neither") from None
    return make(items)


def _has_no_hash(hint: Any) -> bool:
    """Whether all that is built of a type has no hash."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _has_no_hash(get_args(hint)[0])
    kind = origin or hint
    if kind in (dict, Mapping) or _LISTS.get(kind) in (list, set):
        return True
    return isinstance(kind, type) and (issubclass(kind, dict) or kind.__hash__ is None)


def _mapping(arguments: tuple[Any, ...], where: str, within: tuple[Any, ...]) -> Shape:
    if not arguments:
        return Shape({"type": "object"})
    if arguments[0] is not str:
        raise TypeError(f"{where} is a dict with keys that are no texts; JSON has no others")
    inner = shape_of(arguments[1], where, within)

    def build(value: dict[str, Any], path: str) -> Any:
        return {name: inner.build(item, f"{path}.{name}") for name, item in value.items()}

    return Shape({"type": "object", "additionalProperties": inner.schema}, build)


@attrs.frozen
class _Field:
    """A field of a class: its name in JSON, its annotation, whether it must be given, and its attribute."""

    name: str
    hint: Any
    is_required: bool
    attribute: str


def _fields(cls: type[Any]) -> Iterator[_Field] | None:
    """Return the fields of a class of attrs, a dataclass or a TypedDict; ``None`` if it is neither."""
    where = cls.__name__
    if attrs.has(cls):
        hints = hints_of(cls, where)
        return (
            _Field(
                field.alias or field.name.lstrip("_"),
                hints.get(field.name, field.type),
                field.default is attrs.NOTHING,
                field.name,
            )
            for field in attrs.fields(cls)
            if field.init
        )
    if dataclasses.is_dataclass(cls):
        hints = hints_of(cls, where)
        missing = dataclasses.MISSING
        return (
            _Field(
                name,
                hint.type if isinstance(hint := hints[name], dataclasses.InitVar) else hint,
                field.default is missing and field.default_factory is missing,
                name,
            )
            for name, field in cls.__dataclass_fields__.items()
            if field.init and get_origin(hints[name]) is not ClassVar and hints[name] is not ClassVar
        )
    required_keys = getattr(cls, "__required_keys__", None)
    if required_keys is not None and issubclass(cls, dict):
        return (
            # What the annotation says comes first: where annotations are texts, the keys are not right.
            _Field(
                name,
                hint,
                {"Required": True, "NotRequired": False}.get(
                    getattr(get_origin(hint), "_name", ""), name in required_keys
                ),
                name,
            )
            for name, hint in hints_of(cls, where).items()
        )
    return None


def _object(cls: type[Any], fields: Iterator[_Field], within: tuple[Any, ...]) -> Shape:
    said = parameters_said(cls)
    shapes: dict[str, Shape] = {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    for field in fields:
        shape = shapes[field.name] = shape_of(field.hint, f"field {field.name!r} of {cls.__name__}", within)
        properties[field.name] = described(shape.schema, said.get(field.attribute))
        if field.is_required:
            required.append(field.name)
    _check_made_of(cls, shapes, required)

    def build(value: dict[str, Any], path: str) -> Any:
        made = {name: shapes[name].build(item, f"{path}.{name}") for name, item in value.items()}
        try:
            return cls(**made)
        except (ValueError, TypeError) as exc:  # a validator of the class
            raise UnfitError(f"{path}: {exc}") from exc

    schema = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return Shape(schema, build)


def _check_made_of(cls: type[Any], names: Iterable[str], required: Iterable[str]) -> None:
    """Refuse a class whose constructor does not take its fields."""
    if issubclass(cls, dict):
        return
    try:
        signature = inspect.signature(cls)
    except (TypeError, ValueError):  # it has none; a call will show
        return
    try:
        signature.bind_partial(**dict.fromkeys(names))
        signature.bind(**dict.fromkeys(required))
    except TypeError as exc:
        raise TypeError(
            f"{cls.__name__} cannot be made of its fields: {exc}; write its __init__ so"
        ) from None


def described(schema: dict[str, Any], text: str | None) -> dict[str, Any]:
    """Return a schema with a description, unless it has one or there is none."""
    return {**schema, "description": text} if text and "description" not in schema else schema
