"""The generally available protocol, ``v1``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from urllib.parse import quote

from attrs import frozen

from .base import Dialect
from .nesting import RESPONSE, SESSION, Json

__all__ = ["GaDialect"]

_PARTS: Final = {"text": "output_text", "audio": "output_audio"}

_NOT_CARRIED: Final[Mapping[str, tuple[str, ...]]] = {
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


@frozen
class GaDialect(Dialect):
    """GA: the model is named in the URL, the version in its path, and audio settings are nested."""

    name: ClassVar[str] = "ga"
    label: ClassVar[str] = "GA"
    default_version: ClassVar[str] = "v1"

    @staticmethod
    def has_version(api_version: str) -> bool:
        """Whether it is the one version there is."""
        return api_version == GaDialect.default_version

    def path(self, deployment: str) -> str:
        """Return path and query of a session's URL."""
        return f"/openai/{self.api_version}/realtime?model={quote(deployment, safe='')}"

    def _not_carried(self, kind: str) -> tuple[str, ...]:
        return _NOT_CARRIED.get(kind, ())

    def _translate(self, message: Json, leave_out: Callable[[str], None]) -> Json:
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
                    response[name] = [_item(item) for item in response[name]]
            message["response"] = RESPONSE.nest(response)
        if isinstance(message.get("item"), dict):
            message["item"] = _item(message["item"])
        return message


def _item(item: Any) -> Any:
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(content, list) or item.get("role") != "assistant":
        return item
    return {**item, "content": [_part(part) for part in content]}


def _part(part: Any) -> Any:
    if isinstance(part, dict) and part.get("type") in _PARTS:
        return {**part, "type": _PARTS[part["type"]]}
    return part


def _is_translation(session: Json) -> bool:
    if session.get("type") == "translation":
        return True
    audio = session.get("audio")
    output = audio.get("output") if isinstance(audio, dict) else None
    return isinstance(output, dict) and "language" in output
