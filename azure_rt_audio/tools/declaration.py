"""A function as a model is told of it: its name, its purpose, and what it takes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

import attrs
import orjson

from ..protocol.codec import check_expressible
from ..protocol.tools import FunctionTool
from .context import ToolContext
from .docstring import parameters_said, summary
from .schema import mismatches
from .shape import Shape, UnfitError, described, hints_of, shape_of

__all__ = ["Declaration", "declare"]

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MAX_DESCRIPTION: Final = 1024


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
    _shapes: Mapping[str, Shape] | None  # None: the schema was written by hand

    @property
    def name(self) -> str:
        """The function's name for the model."""
        return self.tool.name or ""

    def arguments(self, text: str) -> dict[str, Any]:
        """
        Return the arguments for the function of what a model wrote.

        Raises:
            UnfitError: If they do not fit the declaration; says all that does not, with paths.
        """
        try:
            given = orjson.loads(text or "{}")
        except orjson.JSONDecodeError as exc:
            raise UnfitError(f"the arguments are no JSON: {exc}") from None
        if not isinstance(given, dict):
            raise UnfitError("the arguments must be a JSON object")
        wrong = list(mismatches(given, self.tool.parameters, "arguments"))
        if wrong:
            raise UnfitError("; ".join(wrong))
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
    chosen = name if name is not None else getattr(function, "__name__", None)
    if chosen is None:
        raise TypeError(f"{type(function).__name__} has no name for the model; give one: Tool(..., name=...)")
    if not _NAME.fullmatch(chosen):
        raise ValueError(
            f"a model cannot call a tool {chosen!r}: 1 to 64 letters, digits, '_' and '-'; give name=..."
        )
    _refuse_async(function, chosen)
    if description is None:
        description = summary(function)
    if len(description) > _MAX_DESCRIPTION:
        raise ValueError(
            f"the description of {chosen}() has {len(description)} characters; {_MAX_DESCRIPTION} are "
            "allowed: shorten the first paragraph of its docstring, or give description=..."
        )
    shapes, context_parameter, schema = _parameters(function, chosen, parameters)
    tool = FunctionTool(name=chosen, description=description or None, parameters=schema)
    check_expressible(tool, chosen)  # from a docstring, an enumeration or a default, too
    return Declaration(tool, context_parameter, shapes)


def _refuse_async(function: Callable[..., Any], name: str) -> None:
    inner: Any = function
    while hasattr(inner, "func"):  # functools.partial
        inner = inner.func
    for code in (inner, getattr(inner, "__call__", None)):  # noqa: B004 - an object with async __call__
        if inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code):
            raise TypeError(
                f"{name}() is async, and tools run on threads, without an event loop; add a function that "
                f"hands it to your loop: asyncio.run_coroutine_threadsafe({name}(...), loop).result()"
            )


def _parameters(
    function: Callable[..., Any], name: str, by_hand: Mapping[str, Any] | None
) -> tuple[dict[str, Shape] | None, str | None, dict[str, Any]]:
    """Return the shapes of the parameters, the one that takes a context, and the schema of all."""
    hints = hints_of(function if inspect.isroutine(function) else _call_of(function), f"{name}()")
    said = parameters_said(function)
    shapes: dict[str, Shape] = {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    context_parameter = None
    for parameter in inspect.signature(function).parameters.values():
        where = f"parameter {parameter.name!r} of {name}()"
        hint = hints.get(parameter.name)
        if hint is ToolContext or ToolContext in get_args(hint):
            if context_parameter is not None:
                raise TypeError(f"{name}() takes two contexts; one says all")
            context_parameter = parameter.name
            continue
        if by_hand is not None:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{where} cannot be passed by keyword; a model passes all arguments by keyword")
        if parameter.name not in hints:
            is_context = parameter.name in ("context", "ctx")
            added = "ToolContext, if it is the call's context" if is_context else "its type"
            raise TypeError(f"{where} has no annotation; add {added}")
        shape = shapes[parameter.name] = shape_of(hint, where)
        schema = described(shape.schema, said.get(parameter.name))
        if len(schema.get("description", "")) > _MAX_DESCRIPTION:
            raise ValueError(f"the description of {where} has more than {_MAX_DESCRIPTION} characters")
        if parameter.default is parameter.empty:
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


def _call_of(function: Any) -> Any:
    """Return what has the annotations of an object that is called."""
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _with_default(schema: dict[str, Any], default: Any) -> dict[str, Any]:
    """Return a schema that tells the default, if JSON can express it; that of None says nothing."""
    if default is None:
        return schema
    try:
        plain = orjson.loads(orjson.dumps(default))
    except TypeError:
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
    return dict(schema)
