"""A function as a model is told of it: its name, its purpose, and what it takes."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

import attrs
import orjson

from ..protocol.codec import check_expressible
from ..protocol.tools import FunctionTool
from .context import ToolContext
from .layers import bound_names, hints_through, name_of, said_of
from .schema import faults, mismatches
from .shape import Shape, UnfitError, described, shape_of

__all__ = ["Declaration", "declare"]

_EMPTY: Final = inspect.Parameter.empty
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_DESCRIPTION: Final = 1024
_MISFITS: Final = 20
"""So many are told at most: a list may have any number of them."""


@attrs.frozen
class Declaration:
    """
    What a model is told of a function.

    Attributes:
        tool: For the ``tools`` of a session or a response.
        context_parameter: The parameter that takes a :class:`ToolContext`.
    """

    tool: FunctionTool
    context_parameter: str | None
    _taken: frozenset[str]  # parameters that the model has no say in, although a schema by hand allows them
    _shapes: Mapping[str, Shape] | None  # None: the schema was written by hand

    @property
    def name(self) -> str:
        """The function's name for the model."""
        return self.tool.name or ""

    def arguments(self, text: str) -> dict[str, Any]:
        """
        Return the arguments for the function of what a model wrote.

        Args:
            text: Empty is usual where there are no parameters. Where there are, it was not read, and defaults
                are not what the model wants.

        Raises:
            UnfitError: If they do not fit the declaration; says what does not, with paths.
        """
        try:
            given = orjson.loads(text or "{}")
        except orjson.JSONDecodeError as exc:
            raise UnfitError(f"the arguments are no JSON: {exc}") from None
        if not isinstance(given, dict):
            raise UnfitError("the arguments must be a JSON object")
        misfits = itertools.chain(
            (f"arguments.{name} does not exist" for name in given if name in self._taken),
            mismatches(given, self.tool.parameters, "arguments"),
        )
        wrong = list(itertools.islice(misfits, _MISFITS + 1))
        if wrong:
            more = ["and more"] if len(wrong) > _MISFITS else []
            raise UnfitError("; ".join(wrong[:_MISFITS] + more))
        if not text and self.tool.parameters.get("properties"):
            raise UnfitError("the arguments are missing: write a JSON object, {} if there are none")
        shapes = self._shapes
        if shapes is None:
            return given
        return {name: shapes[name].build(value, f"arguments.{name}") for name, value in given.items()}


def declare(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Declaration:
    """
    Return the declaration of a function.

    Args:
        name: In place of the function's.
        description: In place of the first paragraph of the docstring.
        parameters: A JSON Schema in place of the signature; the function is then given the arguments as
            they are in JSON.

    Raises:
        TypeError: If it is async, if a parameter has no annotation, or one that JSON Schema cannot express.
        ValueError: If the name or a description is not as the service takes it.
    """
    if isinstance(function, Mapping | FunctionTool):
        raise TypeError(
            "a declaration has no function to call: give Tool(function, parameters=...) for a schema of your "
            "own; one whose calls the program answers belongs into the tools of session_config"
        )
    if not callable(function):
        raise TypeError(f"a tool is a function, a method, a Tool or Tools, not {type(function).__name__}")
    chosen = name if name is not None else name_of(function)
    if chosen is None:
        raise TypeError(f"{type(function).__name__} has no name for the model; give one: Tool(..., name=...)")
    if not _NAME.fullmatch(chosen):
        raise ValueError(
            f"a model cannot call a tool {chosen!r}: 1 to 64 letters, digits, '_' and '-'; give name=..."
        )
    _refuse_async(function, chosen)
    if description is None:
        description = said_of(function)[0]
    if len(description) > _MAX_DESCRIPTION:
        raise ValueError(
            f"the description of {chosen}() has {len(description)} characters; {_MAX_DESCRIPTION} are "
            "allowed: shorten the first paragraph of its docstring, or give description=..."
        )
    bound = bound_names(function)
    shapes, context_parameter, schema = _parameters(function, chosen, parameters, bound)
    tool = FunctionTool(name=chosen, description=description or None, parameters=schema)
    check_expressible(tool, chosen)  # from a docstring, an enumeration or a default, too
    taken: frozenset[str] = frozenset()
    if parameters is not None:
        taken = bound if context_parameter is None else bound | {context_parameter}
        for mistaken in taken.intersection(schema.get("properties", ())):
            why = "takes the context" if mistaken == context_parameter else "is bound by a partial"
            raise ValueError(f"parameter {mistaken!r} of {chosen}() {why}; leave it out of parameters=...")
    return Declaration(tool, context_parameter, taken, shapes)


def _refuse_async(function: Callable[..., Any], name: str) -> None:
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    for code in (inner, getattr(inner, "__call__", None)):  # noqa: B004 - an object with async __call__
        if inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code):
            raise TypeError(
                f"{name}() is async, and tools run on threads, without an event loop; add a function that "
                f"hands it to your loop: asyncio.run_coroutine_threadsafe({name}(...), loop).result()"
            )


def _parameters(
    function: Callable[..., Any], name: str, by_hand: Mapping[str, Any] | None, bound: frozenset[str]
) -> tuple[dict[str, Shape] | None, str | None, dict[str, Any]]:
    """Return the shapes of the parameters, the one that takes a context, and the schema of all."""
    hints = hints_through(function, f"{name}()")
    said = said_of(function)[1]
    shapes: dict[str, Shape] = {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    context_parameter = None
    for parameter in _signature(function, name, by_hand is not None):
        if parameter.name in bound:
            continue
        where = f"parameter {parameter.name!r} of {name}()"
        hint = hints.get(parameter.name)
        is_context = _is_context(hint)
        is_positional = parameter.kind is parameter.POSITIONAL_ONLY
        if by_hand is not None and not is_context and not (is_positional and parameter.default is _EMPTY):
            continue  # a schema by hand says what it takes
        if is_positional or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{where} cannot be passed by keyword; all arguments of a tool are")
        if is_context:
            if context_parameter is not None:
                raise TypeError(f"{name}() takes two contexts; one says all")
            context_parameter = parameter.name
            continue
        if parameter.name not in hints:
            may_be_context = parameter.name in ("context", "ctx")
            added = "ToolContext, if it is the call's context" if may_be_context else "its type"
            raise TypeError(f"{where} has no annotation; add {added}")
        shape = shapes[parameter.name] = shape_of(hint, where)
        schema = described(shape.schema, said.get(parameter.name))
        if len(schema.get("description", "")) > _MAX_DESCRIPTION:
            raise ValueError(f"the description of {where} has more than {_MAX_DESCRIPTION} characters")
        if parameter.default is _EMPTY:
            required.append(parameter.name)
        else:
            schema = _with_default(schema, parameter.default)
        properties[parameter.name] = schema
    if by_hand is not None:
        return None, context_parameter, _checked(by_hand, name)
    return (
        shapes,
        context_parameter,
        {"type": "object", "properties": properties, "required": required, "additionalProperties": False},
    )


def _signature(function: Callable[..., Any], name: str, is_by_hand: bool) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except Exception as exc:  # noqa: BLE001 - such as a signature that the program has set
        if is_by_hand:
            return []
        raise TypeError(
            f"{name}() has no signature that a model could be told ({exc}); add a function with annotations "
            "that calls it, or give parameters=..."
        ) from None


def _is_context(hint: Any) -> bool:
    """Whether a parameter of a type takes the context: one that may be ``None``, too."""
    if get_origin(hint) in (Annotated, Union, types.UnionType):
        return any(map(_is_context, get_args(hint)))
    return hint is ToolContext


def _with_default(schema: dict[str, Any], default: Any) -> dict[str, Any]:
    """Return a schema that tells the default, if JSON has a value for it that fits; None says nothing."""
    if default is None:
        return schema
    try:
        plain = orjson.loads(orjson.dumps(default))
    except TypeError:
        return schema
    if plain is None or any(mismatches(plain, schema, "")):  # such as of a NaN
        return schema
    return {**schema, "default": plain}


def _checked(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        raise ValueError(f'the parameters of {name}() are a JSON Schema with "type": "object" at its top')
    check_expressible(schema, f"{name}.parameters")
    try:
        orjson.dumps(dict(schema))
    except TypeError as exc:
        raise ValueError(
            f"the parameters of {name}() hold something that JSON cannot express: {exc}"
        ) from None
    for fault in faults(schema, "parameters"):
        raise ValueError(f"the parameters of {name}() are no JSON Schema: {fault}")
    return dict(schema)
