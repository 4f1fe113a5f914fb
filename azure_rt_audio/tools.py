"""
Function calling: tools declared from Python signatures, and called with the model's arguments.

::

    tools = Tools()

    @tools.add
    def get_weather(city: Annotated[str, "Name of a city"]) -> str:
        "Return the current weather."
        ...

    client.update_session({"tools": tools.declarations})
    response = client.ask("What is the weather in Lisbon?")
    for call in response.function_calls:
        client.create_conversation_item(tools.call(call))
    print(client.create_response().result().text)
"""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
import cattrs
import orjson

from .protocol.items import FunctionCallItem, FunctionCallOutputItem
from .protocol.tools import FunctionTool

__all__ = ["Tools"]

F = TypeVar("F", bound=Callable[..., Any])

_SIMPLE: Final[Mapping[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}


class Tools:
    """
    A set of functions for the model.

    Parameters are declared from their annotations: ``str``, ``int``, ``float``, ``bool``, ``list``, ``dict``,
    ``Literal``, enumerations, ``X | None``, attrs classes, and ``Annotated[X, "description"]``. The first
    paragraph of the docstring is the description for the model.

    **Threads.** :meth:`call` runs the function on the caller's thread. Add functions before that.
    """

    def __init__(self, *functions: Callable[..., Any]) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}
        self._declarations: list[FunctionTool] = []
        self._converter = cattrs.Converter(forbid_extra_keys=True)
        for function in functions:
            self.add(function)

    def add(self, function: F) -> F:
        """
        Add a function. Works as a decorator.

        Raises:
            TypeError: If a parameter has no annotation, or one that JSON Schema cannot express.
            ValueError: If there is already a function of that name.
        """
        name = function.__name__
        if name in self._functions:
            raise ValueError(f"there is already a tool named {name!r}; rename the function")
        description = inspect.cleandoc(function.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        self._declarations.append(
            FunctionTool(name=name, description=description or None, parameters=_parameters_of(function))
        )
        self._functions[name] = function
        return function

    @property
    def declarations(self) -> list[FunctionTool]:
        """The value for the ``tools`` of a session or a response."""
        return list(self._declarations)

    def call(self, call: FunctionCallItem) -> FunctionCallOutputItem:
        """
        Run the function that *call* names. Blocks as long as the function does.

        An exception of the function, invalid arguments and an unknown name do not raise: the output is
        ``{"error": ...}``, so that the model can correct itself.

        Returns:
            The item to send back. A ``str`` is the output unchanged, other results are encoded as JSON.
        """
        return FunctionCallOutputItem(call_id=call.call_id or "", output=self._answer(call))

    def _answer(self, call: FunctionCallItem) -> str:
        function = self._functions.get(call.name or "")
        if function is None:
            return _error(f"there is no function {call.name!r}; known are {', '.join(self._functions)}")
        try:
            arguments = self._arguments(function, call.arguments or "{}")
        except cattrs.BaseValidationError as exc:
            return _error(
                "; ".join(cattrs.transform_error(exc, path="arguments", format_exception=_describe))
            )
        except (ValueError, TypeError) as exc:
            return _error(str(exc))
        try:
            answer = function(**arguments)
            return (
                answer
                if isinstance(answer, str)
                else orjson.dumps(self._converter.unstructure(answer)).decode()
            )
        except Exception as exc:  # noqa: BLE001 - user code; the model can react
            return _error(f"{type(exc).__name__}: {exc}")

    def _arguments(self, function: Callable[..., Any], text: str) -> dict[str, Any]:
        given = orjson.loads(text)
        if not isinstance(given, dict):
            raise ValueError("the arguments must be a JSON object")
        hints = get_type_hints(function)
        parameters = inspect.signature(function).parameters
        unknown = [name for name in given if name not in parameters]
        missing = [
            name
            for name, p in parameters.items()
            if p.default is inspect.Parameter.empty and name not in given
        ]
        if unknown or missing:
            raise ValueError(
                "; ".join(
                    [f"no parameter {name!r}" for name in unknown]
                    + [f"{name!r} is missing" for name in missing]
                )
            )
        return {name: self._converter.structure(value, hints[name]) for name, value in given.items()}


def _describe(exc: BaseException, _: type | None) -> str:
    return f"{exc} is missing" if isinstance(exc, KeyError) else str(exc)


def _error(message: str) -> str:
    return orjson.dumps({"error": message}).decode()


def _parameters_of(function: Callable[..., Any]) -> dict[str, Any]:
    hints = get_type_hints(function, include_extras=True)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, parameter in inspect.signature(function).parameters.items():
        where = f"parameter {name!r} of {function.__name__}()"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{where} cannot be passed by keyword; a model passes all arguments by keyword")
        if name not in hints:
            raise TypeError(f"{where} has no annotation; add its type")
        properties[name] = _schema_of(hints[name], where)
        if parameter.default is parameter.empty:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _schema_of(hint: Any, where: str) -> dict[str, Any]:
    if hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        texts = [text for text in arguments[1:] if isinstance(text, str)]
        described = {"description": texts[0]} if texts else {}
        return {**_schema_of(arguments[0], where), **described}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema_of(argument, where) for argument in arguments]}
    if hint is list or origin in (list, Sequence):
        return {"type": "array"} | ({"items": _schema_of(arguments[0], where)} if arguments else {})
    if hint is dict or origin in (dict, Mapping):
        return {"type": "object"} | (
            {"additionalProperties": _schema_of(arguments[1], where)} if arguments else {}
        )
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}
    if isinstance(hint, type) and attrs.has(hint):
        fields = attrs.fields(attrs.resolve_types(hint))
        return {
            "type": "object",
            "properties": {
                a.name: _schema_of(a.type, f"field {a.name!r} of {hint.__name__}") for a in fields
            },
            "required": [a.name for a in fields if a.default is attrs.NOTHING],
            "additionalProperties": False,
        }
    raise TypeError(
        f"{where} is annotated {hint!r}, which has no JSON Schema; use str, int, float, bool, list, ..."
    )
