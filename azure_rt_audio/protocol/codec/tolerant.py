"""
Reads events that do not say all that they should, or not as they should.

The strict hooks of :mod:`.structure` come first; only what they refuse is read here. A value that does not
fit its field becomes what fits (``3.0`` is 3, ``7`` is ``"7"``) or is taken for missing; a required
field that is missing gets a neutral value: an empty text or list, 0, an object of such values.
Each is a problem with a path.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, get_args

import attrs
import orjson

from ..base import ProtocolObject, Unset
from ..events import Error, Event, UnknownEvent
from ..events.conversation import TranscriptionError
from ..events.session import ErrorDetails
from ..items import McpError, UnknownItem
from ..responses import ResponseError
from ..session import Session
from .problems import FieldError, masked, mistyped
from .structure import FLATTEN, NESTED, is_list, is_mapping, is_shape, is_union, types_of
from .unions import class_for

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["Problem", "TolerantReader"]

_UNFIT: Final = object()
"""In place of a value that nothing can be made of."""

_FROM_TEXT: Final[Mapping[type[ProtocolObject], str]] = {
    ErrorDetails: "message",
    McpError: "message",
    ResponseError: "message",
    TranscriptionError: "message",
}
"""Objects that some services send as a text, and the field that it belongs to."""

_NUMBER: Final = re.compile(r"\s*[+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,3})?\s*", re.ASCII)
_LARGEST: Final = 2**63
_LONGEST_MESSAGE: Final = 500


@attrs.frozen
class Problem:
    """
    Something in an event that is not as it should be.

    Attributes:
        path: In the payload, such as ``"$.response.usage.total_tokens"``.
        why: What was expected, and what was found unless it may be a secret.
    """

    path: str
    why: str


class TolerantReader:
    """
    Reads one event, whatever is in it.

    Args:
        converter: The strict one.

    Attributes:
        problems: What was wrong, in the order of the fields.
    """

    def __init__(self, converter: Converter) -> None:
        self._converter = converter
        self.problems: list[Problem] = []

    def read(self, cls: type[Event], message: dict[str, Any]) -> Event:
        """Return the event; ``raw`` is *message*."""
        if cls is UnknownEvent:
            event_id = self._value(str, message.get("event_id"), "$.event_id", False)
            return UnknownEvent(event_id=None if event_id is _UNFIT else event_id, raw=message)
        fields = message
        if cls is Error:
            fields = {**message, "error": self._error_fields(message)}
        event: Event = self._shape(cls, fields, "$", False)
        event.__dict__["raw"] = message
        return event

    def _problem(self, path: str, fault: FieldError, is_secret: bool) -> None:
        self.problems.append(Problem(path, fault.at("", is_secret=is_secret).why))

    def _error_fields(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return the details of an error in whatever form it came, with something for a message."""
        error = message.get("error")
        if isinstance(error, dict):
            fields = dict(error)
        else:  # its fields may stand beside it
            self._problem("$.error", mistyped("an object", error), False)
            fields = {name: message[name] for name in ("code", "message", "param") if name in message}
            if isinstance(error, str):
                fields.setdefault("code" if "message" in fields else "message", error)
        said = fields.get("message")
        if said is None or said == "" or isinstance(said, dict | list):
            rest = {name: value for name, value in message.items() if name not in ("type", "event_id")}
            shown = said or error or rest
            fields["message"] = _shown(shown) if shown else ""
            self._problem("$.error.message", mistyped("a string", said), False)
        return fields

    # ------------------------------------------------------------ values

    def _value(self, kind: Any, value: Any, path: str, is_secret: bool) -> Any:
        """Return a value of *kind*, or ``_UNFIT``."""
        try:
            return self._converter.get_structure_hook(kind)(value, None)
        except FieldError as error:
            fault = error
        if is_shape(kind):
            return self._object(kind, value, path, fault, is_secret)
        if is_list(kind) and isinstance(value, list):
            read = [
                self._value(get_args(kind)[0], inner, f"{path}[{i}]", is_secret)
                for i, inner in enumerate(value)
            ]
            return [inner for inner in read if inner is not _UNFIT]
        if is_mapping(kind) and isinstance(value, dict):
            read_values = {
                name: self._value(get_args(kind)[1], inner, f"{path}.{name}", is_secret)
                for name, inner in value.items()
            }
            return {name: inner for name, inner in read_values.items() if inner is not _UNFIT}
        if is_union(kind):
            return self._alternative(kind, value, path, fault, is_secret)
        self._problem(path, fault, is_secret)
        return _FITTING[kind](value) if kind in _FITTING else _UNFIT

    def _alternative(self, kind: Any, value: Any, path: str, fault: FieldError, is_secret: bool) -> Any:
        cls = class_for(kind, value)
        if isinstance(value, dict) and cls is not None:
            return self._shape(cls, value, path, is_secret)
        kinds = get_args(kind)
        lists = [one for one in kinds if is_list(one)]
        if isinstance(value, list) and lists:
            return self._value(lists[0], value, path, is_secret)
        self._problem(path, fault, is_secret)
        fitted = (_FITTING[one](value) for one in kinds if one in _FITTING)
        return next((one for one in fitted if one is not _UNFIT), _UNFIT)

    def _object(self, cls: Any, value: Any, path: str, fault: FieldError, is_secret: bool) -> Any:
        if isinstance(value, dict):
            return self._shape(cls, value, path, is_secret)
        self._problem(path, fault, is_secret)
        if isinstance(value, str) and cls in _FROM_TEXT:
            return self._without_problems(cls, {_FROM_TEXT[cls]: value})
        return _UNFIT

    def _without_problems(self, cls: type[ProtocolObject], source: dict[str, Any]) -> Any:
        return TolerantReader(self._converter)._shape(cls, source, "", False)

    def _shape(self, cls: type[ProtocolObject], source: dict[str, Any], path: str, is_secret: bool) -> Any:
        flatten, nesting = FLATTEN.get(cls), NESTED.get(cls)
        fields = dict(source if flatten is None else flatten(source))
        types = types_of(cls)
        shape: ProtocolObject = object.__new__(cls)
        values = shape.__dict__
        extra: dict[str, Any] = {}
        values["extra"] = extra
        for a in attrs.fields(cls):
            name = a.name
            if name in ("extra", "raw"):
                continue
            place = f"{path}.{name if nesting is None else nesting.origin(source, name)}"
            kind, is_nullable = _without_null(types[name])
            value: Any = _UNFIT
            if name not in fields:
                if a.default is attrs.NOTHING:
                    self.problems.append(Problem(place, "required field missing"))
            else:
                given = fields.pop(name)
                if given is None and (is_nullable or kind is Any):
                    value = None
                    if a.default is None or a.default is attrs.NOTHING:
                        extra[name] = None
                else:
                    value = self._value(kind, given, place, is_secret or a.repr is False)
            if value is _UNFIT:
                value = self._neutral(kind) if a.default is attrs.NOTHING else a.default
            values[name] = value
        if hasattr(cls, "TYPE"):
            fields.pop("type", None)
        extra.update(fields)
        if issubclass(cls, Event):
            values["raw"] = source
        return shape

    def _neutral(self, kind: Any) -> Any:
        """Return the value of a required field that is missing."""
        if is_shape(kind):
            return self._without_problems(kind, {})
        if is_list(kind):
            return []
        if is_mapping(kind):
            return {}
        if is_union(kind):
            kinds = get_args(kind)
            first = next((one for one in (UnknownItem, Session, str) if one in kinds), kinds[0])
            return self._neutral(first)
        return kind() if kind in (str, int, float, bool) else None


def _shown(value: Any) -> str:
    try:
        return masked(orjson.dumps(value).decode())[:_LONGEST_MESSAGE]
    except orjson.JSONEncodeError:  # nested deeper than orjson writes
        return ""


def _without_null(annotation: Any) -> tuple[Any, bool]:
    """Return the type of a field's values, and whether null may stand there."""
    if not is_union(annotation):
        return annotation, False
    kinds = [kind for kind in get_args(annotation) if kind not in (NoneType, Unset)]
    kind = kinds[0]
    for other in kinds[1:]:
        kind |= other
    return kind, NoneType in get_args(annotation)


# ---------------------------------------------------------------- what fits


def _number(value: Any) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value) if set(value) & set(".eE") else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return _UNFIT
    return value


def _fitting_str(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST:
        return str(int(value))
    return str(value) if isinstance(value, int | float) else _UNFIT


def _fitting_int(value: Any) -> Any:
    number = _number(value)
    return int(number) if number is not _UNFIT and abs(number) < _LARGEST else _UNFIT


def _fitting_float(value: Any) -> Any:
    number = _number(value)
    return float(number) if number is not _UNFIT else _UNFIT


def _fitting_bool(value: Any) -> Any:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), _UNFIT)
    return bool(value) if value in (0, 1) and isinstance(value, int | float) else _UNFIT


_FITTING: Final[Mapping[Any, Callable[[Any], Any]]] = {
    str: _fitting_str,
    int: _fitting_int,
    float: _fitting_float,
    bool: _fitting_bool,
}
