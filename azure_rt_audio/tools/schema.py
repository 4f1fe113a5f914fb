"""
JSON values held against a JSON Schema, as far as tools need it.

Keywords that are not known here, such as ``$ref``, allow everything.
"""

from __future__ import annotations

import datetime
import fractions
import math
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Any, Final

import orjson

__all__ = ["equal", "faults", "mismatches", "shown"]

_SHOWN_CHARACTERS: Final = 60

_FORMATS: Final[Mapping[str, Callable[[str], object]]] = {
    "date": datetime.date.fromisoformat,
    "date-time": lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00")),
}

_BOUNDS: Final[tuple[tuple[str, str, Callable[[Any, Any], bool]], ...]] = (
    ("minimum", "at least", lambda value, bound: value >= bound),
    ("maximum", "at most", lambda value, bound: value <= bound),
    ("exclusiveMinimum", "more than", lambda value, bound: value > bound),
    ("exclusiveMaximum", "less than", lambda value, bound: value < bound),
    ("multipleOf", "a multiple of", lambda value, bound: _is_multiple(value, bound)),
)

_FORMS: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "type": ("a name or a list of names", lambda value: isinstance(value, str) or _are_texts(value)),
    "properties": ("an object", lambda value: isinstance(value, Mapping)),
    "required": ("a list of names", lambda value: _are_texts(value)),
    **dict.fromkeys(("enum", "anyOf", "oneOf"), ("a list", lambda value: isinstance(value, list | tuple))),
    "format": ("a name", lambda value: isinstance(value, str)),
    "multipleOf": ("a number above 0", lambda value: _is_number(value) and value > 0),
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        ("a number", lambda value: _is_number(value)),
    ),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
        ("a whole number", lambda value: _is_number(value) and value == int(value)),
    ),
}

_KINDS: Final[Mapping[type, str]] = {str: "string", list: "array", dict: "object", type(None): "null"}

_SIZES: Final[tuple[tuple[type[Sized], str, str, str], ...]] = (
    (str, "minLength", "maxLength", "characters"),
    (list, "minItems", "maxItems", "items"),
    (dict, "minProperties", "maxProperties", "entries"),
)


def mismatches(value: Any, schema: Any, path: str) -> Iterator[str]:
    """Yield in words what of a JSON value does not fit a schema, each with its path."""
    if not isinstance(schema, Mapping):
        if schema is False:
            yield f"{path} is not allowed"
        return
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        yield from _none_fits(value, options, path)
    kinds = schema.get("type")
    wanted = [kinds] if isinstance(kinds, str) else list(kinds or ())
    if wanted and not _is_any(value, wanted):
        yield f"{path} must be {' or '.join(map(_article, wanted))}, not {shown(value)}"
        return
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if allowed is not None and not any(equal(value, one) for one in allowed):
        yield f"{path} must be one of {', '.join(map(shown, allowed))}, not {shown(value)}"
        return
    yield from _out_of_bounds(value, schema, path)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from mismatches(item, schema.get("items", True), f"{path}[{index}]")
    elif isinstance(value, dict):
        yield from _misfitting_entries(value, schema, path)


def faults(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield in words what of a schema is none, as far as it is read here."""
    for name, (form, has_it) in _FORMS.items():
        if name in schema and not has_it(schema[name]):
            yield f"{path}.{name} must be {form}, not {schema[name]!r:.{_SHOWN_CHARACTERS}}"
            return
    parts = {f"properties.{name}": part for name, part in schema.get("properties", {}).items()}
    parts |= {name: schema.get(name) for name in ("items", "additionalProperties")}
    for name in ("anyOf", "oneOf"):
        parts |= {f"{name}[{index}]": part for index, part in enumerate(schema.get(name, ()))}
    for name, part in parts.items():
        if isinstance(part, Mapping):
            yield from faults(part, f"{path}.{name}")


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def shown(value: Any) -> str:
    """Return a JSON value as text for a message, cut if it is long."""
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # nested deeper than orjson writes
        return "..."
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _none_fits(value: Any, options: list[Any], path: str) -> Iterator[str]:
    found = [list(mismatches(value, option, path)) for option in options]
    if not all(found):
        return
    # What is said of a value that is of the right type, such as a wrong field, helps more than its type.
    near = [
        said
        for said, option in zip(found, options, strict=True)
        if not isinstance(option, Mapping) or _is_any(value, [option.get("type", "object")])
    ]
    if len(near) == 1:
        yield from near[0]
    else:
        yield f"{path} fits none of the types that it may have: {shown(value)}"


def _misfitting_entries(value: dict[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name} is missing"
    for name, item in value.items():
        if name in properties:
            yield from mismatches(item, properties[name], f"{path}.{name}")
        elif others is False:
            yield f"{path}.{name} does not exist; known are {', '.join(properties) or 'none'}"
        else:
            yield from mismatches(item, others, f"{path}.{name}")


def _out_of_bounds(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        for name, words, holds in _BOUNDS:
            if name in schema and not holds(value, schema[name]):
                yield f"{path} must be {words} {schema[name]}, not {shown(value)}"
    for kind, least, most, unit in _SIZES:
        if isinstance(value, kind):
            if len(value) < schema.get(least, 0):
                yield f"{path} must have at least {schema[least]} {unit}, not {len(value)}"
            if most in schema and len(value) > schema[most]:
                yield f"{path} must have at most {schema[most]} {unit}, not {len(value)}"
    read = _FORMATS.get(schema.get("format", "")) if isinstance(value, str) else None
    if read is not None:
        try:
            read(value)
        except ValueError:
            yield f"{path} must be a {schema['format']} as ISO 8601 has it, not {shown(value)}"


def _is_any(value: Any, kinds: list[Any]) -> bool:
    return any(_is(value, kind) for kind in kinds)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int):
        return kind in ("integer", "number")
    if isinstance(value, float):
        return kind == "number" or (kind == "integer" and value.is_integer())
    return _KINDS.get(type(value)) == kind


def _article(kind: str) -> str:
    return kind if kind == "null" else f"{'an' if kind[0] in 'aio' else 'a'} {kind}"


def _is_multiple(value: float, bound: float) -> bool:
    """As the decimals say that were written: 1.1 is a multiple of 0.1."""
    return fractions.Fraction(_decimal(value)) % fractions.Fraction(_decimal(bound)) == 0


def _decimal(number: float) -> str | int:
    return number if isinstance(number, int) else repr(float(number))


def equal(value: Any, other: Any) -> bool:
    """Whether two JSON values are the same: ``true`` is not 1, while 1.0 is."""
    if isinstance(value, list | tuple) and isinstance(other, list | tuple):
        return len(value) == len(other) and all(map(equal, value, other))
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(equal(value[name], other[name]) for name in value)
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
