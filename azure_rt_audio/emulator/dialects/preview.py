"""The dialect of the dated previews."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import quote

from ..model.session import Session
from . import fields as f
from .base import Dialect, Event, SecretWish, without
from .names import PREVIEW_NAMES
from .profile import profile_named
from .rules import Anything, Array, Boolean, Choice, Either, Nullable, Record, RefusalError, Rule, Tagged

__all__ = ["Preview"]

_API_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
_MODEL: Final = "gpt-4o-realtime-preview-2025-06-03"

_TOOLS: Final = Array(Tagged("type", {"function": f.FUNCTION_TOOL}))
_TOOL_CHOICE: Final = Either(
    Record(
        {"type": Choice("function"), "function": Record({"name": f.TEXT}, ("name",))}, ("type", "function")
    ),
    Record({"type": Choice("function"), "name": f.TEXT}, ("type", "name")),
    Choice("none", "auto", "required"),
)
# "none" is how the earliest Azure preview spelled null, and its documentation still does.
_VAD: Final = Nullable(
    Tagged(
        "type",
        {
            "server_vad": Record({**f.SERVER_VAD_FIELDS, "eagerness": Anything()}),
            "semantic_vad": f.SEMANTIC_VAD,
            "none": Record({"type": Anything()}),
        },
        default="server_vad",
    )
)
_INPUT: Final[dict[str, Rule]] = {
    "input_audio_format": f.FORMAT,
    "input_audio_noise_reduction": f.NOISE,
    "input_audio_transcription": f.TRANSCRIPTION,
    "turn_detection": _VAD,
    "modalities": f.MODALITIES,
    "include": f.LOGPROBS,
    "client_secret": Anything(),
}
_SETTINGS: Final[dict[str, Rule]] = {
    **_INPUT,
    "model": f.TEXT,
    "instructions": f.TEXT,
    "voice": f.VOICE,
    "output_audio_format": f.FORMAT,
    "speed": f.SPEED,
    "tools": _TOOLS,
    "tool_choice": _TOOL_CHOICE,
    "temperature": f.TEMPERATURE,
    "max_response_output_tokens": f.MAX_TOKENS,
    "tracing": f.TRACING,
    "truncation": f.TRUNCATION,
    "prompt": f.PROMPT,
}
_SESSION: Final = Record(_SETTINGS)
# By path. A transcription's field for the expiry has another name, in the specification too.
_SECRETS: Final[dict[str, tuple[str, str, Rule]]] = {
    "/openai/realtimeapi/sessions": (
        "realtime",
        "expires_after",
        Record({**_SETTINGS, "client_secret": Record({"expires_after": f.EXPIRY})}),
    ),
    "/openai/realtime/transcription_sessions": (
        "transcription",
        "expires_at",
        Record({**_INPUT, "client_secret": Record({"expires_at": f.EXPIRY})}),
    ),
}
_SECRET_SECONDS: Final = 60

_KINDS: Final[dict[str, Rule]] = {"message": f.message("text", images=False), **f.CALLS}
_ITEM: Final = Tagged("type", _KINDS)
_INPUT_ITEM: Final = Tagged("type", {**_KINDS, "item_reference": f.REFERENCE})
_RESPONSE: Final = f.overrides(
    {
        "conversation": Choice("auto", "none"),
        "input": Array(_INPUT_ITEM),
        "instructions": f.TEXT,
        "max_output_tokens": f.MAX_TOKENS,
        # The beta Python types of the foreign package spell it so.
        "max_response_output_tokens": f.MAX_TOKENS,
        "metadata": f.Metadata(),
        "modalities": f.MODALITIES,
        "output_audio_format": f.FORMAT,
        "prompt": f.PROMPT,
        "temperature": f.TEMPERATURE,
        "tool_choice": _TOOL_CHOICE,
        "tools": _TOOLS,
        "voice": f.VOICE,
        # Only 2024-10-01-preview had these four.
        "commit": Boolean(),
        "cancel_previous": Boolean(),
        "append_input_items": Array(_ITEM),
        "input_items": Array(_INPUT_ITEM),
    }
)

_FIELDS: Final = {
    "input_audio_format": "input_format",
    "output_audio_format": "output_format",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "max_response_output_tokens": "max_output_tokens",
}


class Preview(Dialect):
    """``/openai/realtime?api-version=…``."""

    name = "preview"
    path = "/openai/realtime"
    api_version = "2025-04-01-preview"
    deployment_parameter = "deployment"
    voice_path = "voice"
    secret_paths: ClassVar[tuple[str, ...]] = tuple(_SECRETS)
    rate_limits: ClassVar[tuple[str, ...]] = ("requests", "tokens")
    requests: ClassVar[Mapping[str, Rule]] = {
        **f.commands(_SESSION, _RESPONSE, _ITEM),
        "transcription_session.update": f.event({"session": Record(_INPUT)}, ("session",)),
    }

    def __init__(self) -> None:
        super().__init__(profile_named("documented"))

    # Requests to connect --------------------------------------------------------------------

    def url(self, host_name: str, deployment: str) -> str:
        """The address of a session."""
        return f"{host_name}{self.path}?api-version={self.api_version}&deployment={quote(deployment)}"

    def serves(self, query: Mapping[str, str]) -> bool:
        """The version must be one."""
        return _API_VERSION.fullmatch(query.get("api-version", "")) is not None

    def deployment_of(self, query: Mapping[str, str]) -> str | None:
        """``deployment``."""
        return query.get("deployment")

    def model_of(self, deployment: str) -> str:
        """The model behind a deployment."""
        return _MODEL

    # Client secrets -------------------------------------------------------------------------

    def secret_wish(self, path: str, body: Any) -> SecretWish:
        """The body is the session."""
        kind, expiry, rule = _SECRETS[path]
        rule(body, "")
        seconds = body.get("client_secret", {}).get(expiry, {}).get("seconds", _SECRET_SECONDS)
        return SecretWish(kind, body, seconds)

    def secret_on_wire(self, value: str, expires_at: int, session: dict[str, Any]) -> dict[str, Any]:
        """The secret is a field of the session."""
        return {**session, "client_secret": {"value": value, "expires_at": expires_at}}

    # Events -----------------------------------------------------------------------------------

    def wire_name(self, name: str) -> str:
        """The preview's name of an event; ``""`` if it has none."""
        return PREVIEW_NAMES.get(name, name)

    def opening(self, wire: dict[str, Any], kind: str, conversation_id: str | None) -> list[Event]:
        """The first events of a session."""
        if kind == "transcription":
            return [("transcription_session.created", {"session": wire})]
        conversation = {"id": conversation_id, "object": "realtime.conversation"}
        return [
            ("session.created", {"session": wire}),
            ("conversation.created", {"conversation": conversation}),
        ]

    # Sessions ---------------------------------------------------------------------------------

    def modalities(self, kind: str) -> tuple[str, ...]:
        """What a new session answers in."""
        return ("text",) if kind == "transcription" else ("text", "audio")

    def flat(self, session: Mapping[str, Any]) -> dict[str, Any]:
        """The preview's fields under the neutral names."""
        return {_FIELDS.get(name, name): value for name, value in session.items()}

    def wrong_kind(self, asked: str, kind: str) -> RefusalError:
        """The refusal of an update for another kind of session."""
        return RefusalError(
            "invalid_value",
            f"Passing a {asked} session update event to a {kind} session is not allowed.",
            "type",
        )

    def session_on_wire(self, session: Session) -> dict[str, Any]:
        """The effective session, as ``session.created`` and ``session.updated`` carry it."""
        if session.kind == "transcription":
            return {
                "client_secret": {"value": "ek_emulator", "expires_at": session.expires_at},
                "modalities": list(session.modalities),
                "input_audio_format": session.input_format,
                "input_audio_transcription": without(session.transcription),
                "turn_detection": without(session.turn_detection, "create_response", "interrupt_response"),
            }
        return {
            "id": session.id,
            "object": "realtime.session",
            "model": session.model,
            "expires_at": session.expires_at,
            "modalities": list(session.modalities),
            "instructions": session.instructions,
            "voice": session.voice,
            "input_audio_format": session.input_format,
            "output_audio_format": session.output_format,
            "input_audio_transcription": without(session.transcription),
            "input_audio_noise_reduction": without(session.noise_reduction),
            "turn_detection": without(session.turn_detection),
            "speed": session.speed,
            "tools": [dict(tool) for tool in session.tools],
            "tool_choice": session.tool_choice if isinstance(session.tool_choice, str) else "auto",
            "temperature": session.temperature,
            "max_response_output_tokens": session.max_output_tokens,
            "tracing": session.tracing,
            "prompt": session.prompt,
            "include": list(session.include) if session.include is not None else None,
        }

    # Responses and items --------------------------------------------------------------------

    def response_fields(self, session: Session) -> dict[str, Any]:
        """The settings that a response object reports."""
        return {
            "modalities": list(session.modalities),
            "voice": session.voice,
            "output_audio_format": session.output_format,
            "temperature": session.temperature,
        }
