"""Calls of tools, on one line each."""

from __future__ import annotations

import contextlib
import json
from typing import Final

from .._printable import one_line
from ..protocol.events.local import ToolApprovalRequested, ToolEnded, ToolStarted

__all__ = ["call_text", "result_text"]

_MAX_ARGUMENTS: Final = 160
_MAX_RESULT: Final = 240


def call_text(call: ToolStarted | ToolApprovalRequested) -> str:
    """Return the name and the arguments of a call, fit to be printed."""
    return f"{_short(call.name, _MAX_ARGUMENTS)}({_short(_compact(call.arguments), _MAX_ARGUMENTS)})"


def result_text(ended: ToolEnded) -> str:
    """Return what the model was told, or what went wrong, fit to be printed."""
    if ended.error is not None:
        said = str(ended.error)
        kind = type(ended.error).__name__
        return _short(f"{kind}: {said}" if said else kind, _MAX_RESULT)
    return _short(_told_error(ended.output) or ended.output, _MAX_RESULT)


def _told_error(output: str) -> str | None:
    """Return the text of ``{"error": ...}``, as a model is told of a call that did not run."""
    with contextlib.suppress(ValueError):
        told = json.loads(output)
        if isinstance(told, dict) and [*told] == ["error"]:
            return f"error: {told['error']}"
    return None


def _compact(arguments: str) -> str:
    """Return JSON without the line breaks that models write; what is none, as it is."""
    try:
        return json.dumps(json.loads(arguments or "{}"), ensure_ascii=False)
    except ValueError:
        return arguments


def _short(text: str, limit: int) -> str:
    shown = one_line(text[: 2 * limit])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"
