"""The preview protocol, dated versions; the first one, 2024-10-01, knows less than the later ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, Final
from urllib.parse import quote, urlencode

from attrs import frozen

from .base import Dialect
from .names import PREVIEW_NAMES
from .nesting import Json, flat_format

__all__ = ["PreviewDialect"]

_FIRST: Final = "2024-10-01"

_ONLY_GA: Final = "exist on GA only; use api_version='v1'"
_LACKS: Final[Mapping[str, str]] = {
    "images": f"images {_ONLY_GA}",
    "mcp": f"MCP tools and items {_ONLY_GA}",
    "session.close": f"translation sessions {_ONLY_GA}",
    "session.input_audio_buffer.append": f"translation sessions {_ONLY_GA}",
    "translation": f"translation sessions {_ONLY_GA}",
}
_FIRST_LACKS: Final[Mapping[str, str]] = {
    "conversation.item.retrieve": "{} does not have it; use a later api_version",
    "out_of_band": "{} has no responses outside of the conversation; use a later api_version",
    "transcription_session.update": "{} does not have it; use a later api_version",
}

_NOT_CARRIED: Final[Mapping[str, tuple[str, ...]]] = {
    "session.update": (
        "session.parallel_tool_calls",
        "session.reasoning",
        "session.include",
        "session.input_audio_transcription.keywords",
        "session.input_audio_transcription.languages",
        "session.input_audio_transcription.delay",
        "session.input_audio_noise_reduction.strength",
        "session.turn_detection.idle_timeout_ms",
    ),
    "transcription_session.update": (
        "session.input_audio_noise_reduction.strength",
        "session.turn_detection.idle_timeout_ms",
    ),
    "response.create": ("response.parallel_tool_calls", "response.reasoning"),
}
_NOT_CARRIED_BY_FIRST: Final[Mapping[str, tuple[str, ...]]] = {
    "session.update": (
        "session.client_secret",
        "session.input_audio_noise_reduction",
        "session.speed",
        "session.tracing",
        "session.truncation",
        "session.prompt",
        "session.input_audio_transcription.language",
        "session.input_audio_transcription.prompt",
        "session.turn_detection.create_response",
        "session.turn_detection.eagerness",
        "session.turn_detection.interrupt_response",
    ),
    "response.create": ("response.conversation", "response.input", "response.metadata", "response.prompt"),
    "response.cancel": ("response_id",),
}
_ONLY_CARRIED_BY_FIRST: Final[Mapping[str, tuple[str, ...]]] = {
    "response.create": (
        "response.commit",
        "response.cancel_previous",
        "response.append_input_items",
        "response.input_items",
    ),
}


@frozen
class PreviewDialect(Dialect):
    """Preview: version and deployment are in the query, and settings are flat."""

    name: ClassVar[str] = "preview"
    label: ClassVar[str] = "preview"
    names: ClassVar[Mapping[str, str]] = PREVIEW_NAMES
    default_version: ClassVar[str] = "2025-04-01-preview"

    @staticmethod
    def has_version(api_version: str) -> bool:
        """Whether it is a date."""
        return re.fullmatch(r"\d{4}-\d{2}-\d{2}(-preview)?", api_version) is not None

    @property
    def carries_metadata(self) -> bool:
        """Whether it is later than the first version."""
        return not self._is_first

    @property
    def _is_first(self) -> bool:
        return self.api_version.startswith(_FIRST)

    def path(self, deployment: str) -> str:
        """Return path and query of a session's URL."""
        query = {"api-version": self.api_version, "deployment": deployment}
        return f"/openai/realtime?{urlencode(query, quote_via=quote, safe='')}"

    def _lacks(self) -> Mapping[str, str]:
        later = {kind: why.format(self.api_version) for kind, why in _FIRST_LACKS.items()}
        return {**_LACKS, **later} if self._is_first else _LACKS

    def _not_carried(self, kind: str) -> tuple[str, ...]:
        version = _NOT_CARRIED_BY_FIRST if self._is_first else _ONLY_CARRIED_BY_FIRST
        return (*version.get(kind, ()), *_NOT_CARRIED.get(kind, ()))  # objects before their own fields

    def _translate(self, message: Json, leave_out: Callable[[str], None]) -> Json:
        is_command = message["type"] in _NOT_CARRIED
        for name in ("session", "response"):
            part = message.get(name)
            if not isinstance(part, dict):
                continue
            if is_command:
                _fit_request(part, name, leave_out)
            choice = part.get("tool_choice")
            if isinstance(choice, dict) and "name" in choice and self._is_first:
                function = {"name": choice["name"]}
                rest = {key: value for key, value in choice.items() if key != "name"}
                part["tool_choice"] = {**rest, "function": function}
        return message


def _fit_request(part: Json, path: str, leave_out: Callable[[str], None]) -> None:
    part.pop("type", None)  # there is but one type of session at this URL
    if part.get("modalities") == ["audio"]:
        part["modalities"] = ["text", "audio"]
    if isinstance(part.get("voice"), dict) and part["voice"].keys() == {"id"}:
        del part["voice"]
        leave_out(f"{path}.voice")
    audio = part.pop("audio", None)
    for side, inner in audio.items() if isinstance(audio, dict) else ():
        for key, value in inner.items() if isinstance(inner, dict) else ():
            if key != "format" or flat_format(value) is None:  # others are sent as the flat field
                leave_out(f"{path}.audio.{side}.{key}")
