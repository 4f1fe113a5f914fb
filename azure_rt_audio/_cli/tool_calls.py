"""What calls of tools come to, on one line each."""

from __future__ import annotations

import contextlib
import json
from typing import Final

from ..protocol.call_text import shortened
from ..protocol.events.local import ToolEnded

__all__ = ["result_text"]

_MAX_CHARACTERS: Final = 240


def result_text(ended: ToolEnded) -> str:
    """Return what the model was told, or what went wrong, fit to be printed."""
    if ended.error is not None:
        said = str(ended.error)
        kind = type(ended.error).__name__
        return shortened(f"{kind}: {said}" if said else kind, _MAX_CHARACTERS)
    return shortened(_told_error(ended.output) or ended.output, _MAX_CHARACTERS)


def _told_error(output: str) -> str | None:
    """Return the text of ``{"error": ...}``, as a model is told of a call that did not run."""
    with contextlib.suppress(ValueError, RecursionError):
        told = json.loads(output)
        if isinstance(told, dict) and [*told] == ["error"]:
            return f"error: {told['error']}"
    return None
