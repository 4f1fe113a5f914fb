"""Reads values of union types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ..base import ProtocolObject
from ..items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    ItemReference,
    McpApprovalRequestItem,
    McpApprovalResponseItem,
    McpCallItem,
    McpListToolsItem,
    MessageItem,
    UnknownItem,
)
from ..session import PromptFile, PromptImage, PromptText, Session, SessionConfig, TranscriptionSession
from ..tools import FunctionTool, McpTool
from ..translation import TranslationSession, TranslationSessionConfig
from .problems import mistyped

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["Hook", "class_for", "union_hook"]

Hook = Callable[[Any, Any], Any]

_ITEMS: Final[Mapping[str, type[ProtocolObject]]] = {
    "message": MessageItem,
    "function_call": FunctionCallItem,
    "function_call_output": FunctionCallOutputItem,
    "item_reference": ItemReference,
    "mcp_list_tools": McpListToolsItem,
    "mcp_call": McpCallItem,
    "mcp_approval_request": McpApprovalRequestItem,
    "mcp_approval_response": McpApprovalResponseItem,
}
_TOOLS: Final[Mapping[str, type[ProtocolObject]]] = {"function": FunctionTool, "mcp": McpTool}
_PROMPT_VARIABLES: Final[Mapping[str, type[ProtocolObject]]] = {
    "input_text": PromptText,
    "input_image": PromptImage,
    "input_file": PromptFile,
}


def union_hook(cls: Any, converter: Converter, from_user: bool) -> Hook:
    """Read a union of shapes and the like; null has been dealt with by the shape around it."""
    kinds = set(get_args(cls))
    if UnknownItem in kinds:
        if from_user:
            return _tagged(_ITEMS, converter, absent="message")
        return _tagged(_ITEMS, converter, absent=_kind_of_item, unknown=UnknownItem)
    if McpTool in kinds:
        return _tagged(_TOOLS, converter, absent="function", unknown=None if from_user else FunctionTool)
    if PromptText in kinds:
        return _string_or(_tagged(_PROMPT_VARIABLES, converter, unknown=None if from_user else Any))
    if Session in kinds:
        return _session_hook({cls: converter.get_structure_hook(cls) for cls in kinds})
    if SessionConfig in kinds:
        return _session_config_hook(converter)
    if kinds == {int, Literal["inf"]}:
        return _read_max_tokens
    if str in kinds:
        (other,) = kinds - {str}
        return _string_or(converter.get_structure_hook(other))
    (names,) = kinds & {list[str]}
    (shape,) = kinds - {names}
    read_shape, read_names = converter.get_structure_hook(shape), converter.get_structure_hook(names)
    return lambda source, _: (read_names if isinstance(source, list | tuple) else read_shape)(source, None)


def _tagged(
    classes: Mapping[str, type[ProtocolObject]],
    converter: Converter,
    absent: str | Callable[[Any], str] | None = None,
    unknown: Any = None,
) -> Hook:
    """
    Read an object whose class its ``type`` decides.

    Args:
        absent: What a missing type stands for, or a function that tells it from the object.
        unknown: For types that are not among *classes*; without it they are refused.
    """
    hooks = {name: converter.get_structure_hook(cls) for name, cls in classes.items()}
    read_unknown = None if unknown is None else converter.get_structure_hook(unknown)
    objects = {UnknownItem, *classes.values()}

    def hook(source: Any, _: Any) -> Any:
        if not isinstance(source, Mapping):
            if source.__class__ in objects:
                return source
            raise mistyped("an object", source)
        name = source.get("type", absent)
        if callable(absent) and not isinstance(name, str):
            name = absent(source)
        if isinstance(name, str) and name in hooks:
            return hooks[name](source, None)
        if read_unknown is not None:
            return read_unknown(source, None)
        raise mistyped(f"one of {', '.join(classes)}", name).at(".type")

    return hook


def _string_or(read: Hook) -> Hook:
    def hook(source: Any, _: Any) -> Any:
        if isinstance(source, str):
            return str.__str__(source)
        if not isinstance(source, Mapping | ProtocolObject | list | tuple):
            raise mistyped("a string or an object", source)
        return read(source, None)

    return hook


def _read_max_tokens(source: Any, _: Any) -> Any:
    if source == "inf":
        return "inf"
    if isinstance(source, int) and not isinstance(source, bool):
        return source
    raise mistyped('a whole number or "inf"', source)


def _session_hook(hooks: Mapping[type[ProtocolObject], Hook]) -> Hook:
    return lambda source, _: hooks.get(_class_of_session(source), hooks[Session])(source, None)


def _class_of_session(source: Any) -> type[ProtocolObject]:
    if isinstance(source, Mapping):
        if source.get("type") == "translation":
            return TranslationSession
        if source.get("type") == "transcription" or source.get("object") == "realtime.transcription_session":
            return TranscriptionSession
    return Session


def _kind_of_item(source: Mapping[str, Any]) -> str:
    """Tell from its other fields what an item is that has no type."""
    if "call_id" in source:
        return "function_call_output" if "output" in source else "function_call"
    return "message"


def class_for(cls: Any, source: Any) -> type[ProtocolObject] | None:
    """Return the class of a union that an object is to be read as, whatever is wrong inside of it."""
    kinds = set(get_args(cls))
    name = source.get("type") if isinstance(source, Mapping) else None
    if UnknownItem in kinds:
        if isinstance(source, Mapping) and not isinstance(name, str):
            name = _kind_of_item(source)
        return _ITEMS.get(name, UnknownItem) if isinstance(name, str) else UnknownItem
    if McpTool in kinds:
        return McpTool if name == "mcp" else FunctionTool
    if PromptText in kinds:
        return _PROMPT_VARIABLES.get(name) if isinstance(name, str) else None
    if Session in kinds:
        return _class_of_session(source)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, ProtocolObject)), None)


def _session_config_hook(converter: Converter) -> Hook:
    read = converter.get_structure_hook(SessionConfig)
    read_translation = converter.get_structure_hook(TranslationSessionConfig)

    def hook(source: Any, _: Any) -> Any:
        if isinstance(source, TranslationSessionConfig):
            return source
        if isinstance(source, Mapping):
            if "type" not in source and "audio" in source:
                return read_translation(source, None)
            if source.get("type") == "realtime":
                source = {name: value for name, value in source.items() if name != "type"}
        return read(source, None)

    return hook
