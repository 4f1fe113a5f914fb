"""
The two dialects of the wire, ``ga`` and ``preview``.

Reading needs no dialect: names and shapes of both are recognised, because a service may mix them
(:mod:`~azure_rt_audio.protocol.dialects.nesting`). Writing does: :class:`Dialect` turns the vocabulary of the
library into what its service understands, and reports what it cannot carry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from attrs import field, frozen

from .nesting import RESPONSE, SESSION, Json, flat_format

__all__ = [
    "PREVIEW_NAMES",
    "Dialect",
    "DialectName",
    "canonical_name",
    "choose_dialect",
]

DialectName = Literal["ga", "preview"]

PREVIEW_NAMES: Final[Mapping[str, str]] = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "conversation.item.added": "conversation.item.created",
}
"""Canonical name of an event, which is GA's, to its name in the preview protocol, where they differ."""

_CANONICAL: Final = {preview: canonical for canonical, preview in PREVIEW_NAMES.items()}

_GA_PARTS: Final = {"text": "output_text", "audio": "output_audio"}

_FIRST_PREVIEW: Final = "2024-10-01"
_LAST_PREVIEW: Final = "2025-04-01-preview"

# What a dialect cannot carry, as paths in the library's vocabulary.
_NOT_ON_GA: Final[Mapping[str, tuple[str, ...]]] = {
    "session.update": ("session.temperature", "session.client_secret"),
    "transcription_session.update": ("session.modalities", "session.client_secret"),
    "response.create": (
        "response.temperature",
        "response.commit",
        "response.cancel_previous",
        "response.append_input_items",
        "response.input_items",
    ),
}
_NOT_ON_PREVIEW: Final[Mapping[str, tuple[str, ...]]] = {
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
_NOT_ON_FIRST_PREVIEW: Final[Mapping[str, tuple[str, ...]]] = {
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
_ONLY_ON_FIRST_PREVIEW: Final[Mapping[str, tuple[str, ...]]] = {
    "response.create": (
        "response.commit",
        "response.cancel_previous",
        "response.append_input_items",
        "response.input_items",
    ),
}
_TRANSLATION: Final = frozenset({"session.input_audio_buffer.append", "session.close"})
_LATER_COMMANDS: Final = frozenset({"conversation.item.retrieve", "transcription_session.update"})


def canonical_name(name: str) -> str:
    """Return the canonical name, GA's, of an event that *name* means in either dialect."""
    return _CANONICAL.get(name, name)


@frozen
class Dialect:
    """
    How to speak to one kind of service.

    Attributes:
        name: ``"ga"`` or ``"preview"``.
        api_version: As it stands in the URL; ``"v1"`` on GA, where it is a part of the path.
    """

    name: DialectName
    api_version: str = field(default="v1")

    @property
    def carries_metadata(self) -> bool:
        """Whether a response can be marked and recognised by the mark."""
        return not self._is_first_preview

    @property
    def carries_out_of_band(self) -> bool:
        """Whether a response can stand beside the conversation."""
        return not self._is_first_preview

    @property
    def _is_first_preview(self) -> bool:
        return self.api_version.startswith(_FIRST_PREVIEW)

    def why_not(self, kind: str) -> str:
        """Return why this dialect has no such command, or ``""``."""
        if kind == "output_audio_buffer.clear":
            return "the service plays nothing over a WebSocket; stop your own playback and truncate the item"
        if self.name == "preview" and kind in _TRANSLATION:
            return "translation sessions exist on GA only; use api_version='v1'"
        if self._is_first_preview and kind in _LATER_COMMANDS:
            return f"{self.api_version} does not know it; use a later api_version"
        return ""

    def wire_name(self, name: str) -> str:
        """Return this dialect's name of an event."""
        canonical = canonical_name(name)
        return canonical if self.name == "ga" else PREVIEW_NAMES.get(canonical, canonical)

    def to_wire(self, message: Json, leave_out: Callable[[str], None]) -> Json:
        """
        Translate a message from the vocabulary of the library.

        Args:
            message: With its ``type`` already as on the wire. It may be changed.
            leave_out: Called with the path of each field that this dialect cannot carry.
        """
        for path in self._cannot_carry(message["type"]):
            if _drop(message, path.split(".")):
                leave_out(path)
        return self._to_ga(message) if self.name == "ga" else self._to_preview(message, leave_out)

    def _cannot_carry(self, kind: str) -> tuple[str, ...]:
        if self.name == "ga":
            return _NOT_ON_GA.get(kind, ())
        version = _NOT_ON_FIRST_PREVIEW if self._is_first_preview else _ONLY_ON_FIRST_PREVIEW
        return (*version.get(kind, ()), *_NOT_ON_PREVIEW.get(kind, ()))  # the whole before its parts

    def _to_ga(self, message: Json) -> Json:
        session = message.get("session")
        if isinstance(session, dict) and not _is_translation(session):
            nested = SESSION.nest(session)
            if message["type"] == "transcription_session.update":
                message["type"] = "session.update"
                nested = {**nested, "type": "transcription"}
            elif message["type"] == "session.update":
                nested = {"type": "realtime", **nested}
            message["session"] = nested
        response = message.get("response")
        if isinstance(response, dict):
            for name in ("output", "input"):
                if isinstance(response.get(name), list):
                    response[name] = [_ga_item(item) for item in response[name]]
            message["response"] = RESPONSE.nest(response)
        if isinstance(message.get("item"), dict):
            message["item"] = _ga_item(message["item"])
        return message

    def _to_preview(self, message: Json, leave_out: Callable[[str], None]) -> Json:
        is_command = message["type"] in _NOT_ON_PREVIEW
        for name in ("session", "response"):
            part = message.get(name)
            if not isinstance(part, dict):
                continue
            if is_command:
                self._fit_request(part, name, leave_out)
            choice = part.get("tool_choice")
            if isinstance(choice, dict) and "name" in choice and self._is_first_preview:
                function = {"name": choice["name"]}
                rest = {key: value for key, value in choice.items() if key != "name"}
                part["tool_choice"] = {**rest, "function": function}
        return message

    def _fit_request(self, part: Json, path: str, leave_out: Callable[[str], None]) -> None:
        part.pop("type", None)  # there is but one type of session at this URL
        if part.get("modalities") == ["audio"]:
            part["modalities"] = ["text", "audio"]
        if isinstance(part.get("voice"), dict) and part["voice"].keys() == {"id"}:
            del part["voice"]
            leave_out(f"{path}.voice")
        audio = part.pop("audio", None)
        for side, inner in audio.items() if isinstance(audio, dict) else ():
            for key, value in inner.items() if isinstance(inner, dict) else ():
                if key != "format" or flat_format(value) is None:  # else it has been said in the flat form
                    leave_out(f"{path}.audio.{side}.{key}")


def choose_dialect(api_version: str, name: str | None = None) -> Dialect:
    """
    Pick the dialect from the version, or the version from the dialect.

    Args:
        api_version: ``"v1"`` for GA, or a date such as ``"2025-04-01-preview"`` for preview.
        name: ``"ga"`` or ``"preview"`` overrides what the version says.

    Raises:
        ValueError: If neither is known.
    """
    is_dated = re.fullmatch(r"\d{4}-\d{2}-\d{2}(-preview)?", api_version) is not None
    if name is None:
        if not is_dated and api_version != "v1":
            raise ValueError(
                f'api_version must be "v1" (GA) or a date such as "{_LAST_PREVIEW}", not {api_version!r}'
            )
        name = "preview" if is_dated else "ga"
    if name == "ga":
        return Dialect("ga", "v1")
    if name == "preview":
        return Dialect("preview", api_version if is_dated else _LAST_PREVIEW)
    raise ValueError(f'dialect must be "ga" or "preview", not {name!r}')


def _drop(part: Json, steps: list[str]) -> bool:
    """Remove what a path leads to, and return whether there was anything; what is below is copied."""
    step, *rest = steps
    if step not in part:
        return False
    if not rest:
        del part[step]
        return True
    if not isinstance(part[step], dict):
        return False
    inner = dict(part[step])
    was_there = _drop(inner, rest)
    part[step] = inner
    return was_there


def _ga_item(item: Any) -> Any:
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(content, list) or item.get("role") != "assistant":
        return item
    return {**item, "content": [_ga_part(part) for part in content]}


def _ga_part(part: Any) -> Any:
    if isinstance(part, dict) and part.get("type") in ("text", "audio"):
        return {**part, "type": _GA_PARTS[part["type"]]}
    return part


def _is_translation(session: Json) -> bool:
    if session.get("type") == "translation":
        return True
    audio = session.get("audio")
    output = audio.get("output") if isinstance(audio, dict) else None
    return isinstance(output, dict) and "language" in output
