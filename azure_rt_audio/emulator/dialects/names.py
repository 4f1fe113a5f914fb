"""
Names of events and commands: GA's are canonical, and the preview's mean the same.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

__all__ = ["COMMANDS", "EVENTS", "PREVIEW_NAMES", "canonical", "check_name"]

PREVIEW_NAMES: Final = {
    f"response.output_{part}.{moment}": f"response.{part}.{moment}"
    for part in ("text", "audio", "audio_transcript")
    for moment in ("delta", "done")
} | {"conversation.item.added": "conversation.item.created", "conversation.item.done": ""}
"""The preview's name of each event that it spells differently; ``""`` if it has none."""

_CANONICAL: Final = {preview: ga for ga, preview in PREVIEW_NAMES.items() if preview}

EVENTS: Final = frozenset(PREVIEW_NAMES) | {
    "conversation.created",
    "conversation.item.deleted",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.failed",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "error",
    "input_audio_buffer.cleared",
    "input_audio_buffer.committed",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.timeout_triggered",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
    "mcp_list_tools.in_progress",
    "rate_limits.updated",
    "response.content_part.added",
    "response.content_part.done",
    "response.created",
    "response.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.mcp_call.in_progress",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.output_item.added",
    "response.output_item.done",
    "session.created",
    "session.updated",
    "transcription_session.created",
    "transcription_session.updated",
}
"""All events that the emulator sends, by their canonical names."""

COMMANDS: Final = frozenset(
    {
        "conversation.item.create",
        "conversation.item.delete",
        "conversation.item.retrieve",
        "conversation.item.truncate",
        "input_audio_buffer.append",
        "input_audio_buffer.clear",
        "input_audio_buffer.commit",
        "response.cancel",
        "response.create",
        "session.close",
        "session.update",
        "transcription_session.update",
    }
)
"""All commands that the emulator knows, in any dialect."""


def canonical(name: str) -> str:
    """The GA name of an event, from its name in either dialect."""
    return _CANONICAL.get(name, name)


def check_name(name: str, *, is_command: bool) -> None:
    """
    Check the name of an event or a command, in either dialect, or ``"*"``.

    Raises:
        TypeError: It is no string.
        ValueError: There is none of that name.
    """
    kind = "command" if is_command else "event"
    if not isinstance(name, str):
        raise TypeError(f"{kind} is {name!r}: give its name, a string")
    known = COMMANDS if is_command else EVENTS | _CANONICAL.keys()
    if name == "*" or name in known:
        return
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    verb = "knows" if is_command else "sends"
    raise ValueError(f"the emulator {verb} no {kind} {name!r}{hint}")
