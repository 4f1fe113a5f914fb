"""The dialect of the generally available API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import quote

from ..model.session import Session
from . import fields as f
from .base import Dialect, Event, SecretWish, without
from .rules import (
    Anything,
    Array,
    Boolean,
    Choice,
    Either,
    Nullable,
    Number,
    Record,
    RefusalError,
    Rule,
    Tagged,
    Unsupported,
)

__all__ = ["Ga"]


class _OneModality(Array):
    def __call__(self, value: Any, path: str) -> None:
        super().__call__(value, path)
        if len(value) != 1:
            raise RefusalError(
                "invalid_value",
                f"Invalid modalities: {value}. Supported combinations are: ['text'] and ['audio'].",
                path,
            )


_MODALITIES: Final = _OneModality(Choice("text", "audio"), min_length=1)
_TOOLS: Final = Array(Tagged("type", {"function": f.FUNCTION_TOOL, "mcp": f.MCP_TOOL}))
_TOOL_CHOICE: Final = Either(
    Tagged(
        "type",
        {
            "function": Record({"type": Anything(), "name": f.TEXT}, ("name",)),
            "mcp": Record(
                {"type": Anything(), "server_label": f.TEXT, "name": Nullable(f.TEXT)}, ("server_label",)
            ),
        },
    ),
    Choice("none", "auto", "required"),
)
_VAD: Final = Nullable(
    Tagged(
        "type",
        {
            "server_vad": Record(
                {**f.SERVER_VAD_FIELDS, "idle_timeout_ms": Nullable(Number(5000, 30000, is_whole=True))}
            ),
            "semantic_vad": f.SEMANTIC_VAD,
        },
    )
)
_FORMAT: Final = Tagged(
    "type",
    {
        "audio/pcm": Record({"type": Anything(), "rate": Choice(24000)}),
        "audio/pcmu": Record({"type": Anything()}),
        "audio/pcma": Record({"type": Anything()}),
    },
)
_INPUT: Final = Record(
    {
        "format": _FORMAT,
        "noise_reduction": f.NOISE,
        "transcription": f.TRANSCRIPTION,
        "turn_detection": _VAD,
    }
)
_SESSIONS: Final[dict[str, Rule]] = {
    "realtime": Record(
        {
            "type": Anything(),
            "model": f.TEXT,
            "instructions": f.TEXT,
            "output_modalities": _MODALITIES,
            "audio": Record(
                {
                    "input": _INPUT,
                    "output": Record({"format": _FORMAT, "speed": f.SPEED, "voice": f.VOICE}),
                }
            ),
            "include": f.LOGPROBS,
            "tools": _TOOLS,
            "tool_choice": _TOOL_CHOICE,
            "max_output_tokens": f.MAX_TOKENS,
            "parallel_tool_calls": Boolean(),
            "prompt": f.PROMPT,
            "reasoning": f.REASONING,
            "tracing": f.TRACING,
            "truncation": f.TRUNCATION,
        }
    ),
    "transcription": Record({"type": Anything(), "audio": Record({"input": _INPUT}), "include": f.LOGPROBS}),
}
_SECRET: Final = Record({"session": Anything(), "expires_after": f.EXPIRY})
_SECRET_SECONDS: Final = 600
_KINDS: Final[dict[str, Rule]] = {"message": f.message("output_text", images=True), **f.CALLS, **f.MCP_ITEMS}
_INPUT_ITEM: Final = Tagged("type", {**_KINDS, "item_reference": f.REFERENCE})
_RESPONSE: Final = f.overrides(
    {
        "audio": Record({"output": Record({"format": _FORMAT, "voice": f.VOICE, "speed": f.SPEED})}),
        "conversation": Choice("auto", "none"),
        "input": Array(_INPUT_ITEM),
        "instructions": f.TEXT,
        "max_output_tokens": f.MAX_TOKENS,
        "metadata": f.Metadata(),
        "output_modalities": _MODALITIES,
        "parallel_tool_calls": Boolean(),
        "prompt": f.PROMPT,
        "reasoning": f.REASONING,
        "tool_choice": _TOOL_CHOICE,
        "tools": _TOOLS,
    }
)

_FORMATS: Final[dict[str, dict[str, Any]]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_FORMAT_NAMES: Final = {shape["type"]: name for name, shape in _FORMATS.items()}
_MODELS: Final = (
    "gpt-realtime",
    "gpt-realtime-mini",
    "gpt-realtime-1.5",
    "gpt-realtime-2",
    "gpt-realtime-2.1",
    "gpt-realtime-2.1-mini",
)


class Ga(Dialect):
    """``/openai/v1/realtime``."""

    name = "ga"
    path = "/openai/v1/realtime"
    api_version = "v1"
    deployment_parameter = "model"
    voice_path = "audio.output.voice"
    secret_paths: ClassVar[tuple[str, ...]] = ("/openai/v1/realtime/client_secrets",)
    rate_limits: ClassVar[tuple[str, ...]] = ("tokens",)
    requests: ClassVar[Mapping[str, Rule]] = {
        **f.commands(Tagged("type", _SESSIONS), _RESPONSE, Tagged("type", _KINDS)),
        "transcription_session.update": Unsupported(
            "transcription_session.update is not supported by this API version. Use session.update with "
            "session.type 'transcription' instead.",
            "type",
        ),
        "session.close": f.event({}, ()),
    }

    # Requests to connect --------------------------------------------------------------------

    def url(self, host_name: str, deployment: str) -> str:
        """The address of a session."""
        return f"{host_name}{self.path}?model={quote(deployment)}"

    def denies(self, query: Mapping[str, str]) -> bool:
        """A dated ``api-version`` on this path is documented to end in a 401, whatever the key."""
        return "api-version" in query

    def serves(self, query: Mapping[str, str]) -> bool:
        """Calls by id are not served here."""
        return "call_id" not in query

    def deployment_of(self, query: Mapping[str, str]) -> str | None:
        """``model``, or its alias ``deployment``."""
        return query.get("model") or query.get("deployment")

    def model_of(self, deployment: str) -> str:
        """The model behind a deployment: the one that it is named after, or ``gpt-realtime``."""
        return deployment if deployment in _MODELS else _MODELS[0]

    def fatal(self, headers: Mapping[str, str]) -> RefusalError | None:
        """A client that asks for the beta's shapes is told so and closed."""
        if "realtime=v1" not in headers.get("openai-beta", ""):
            return None
        return RefusalError(
            "beta_api_shape_disabled",
            "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
        )

    # Client secrets -------------------------------------------------------------------------

    def secret_wish(self, path: str, body: Any) -> SecretWish:
        """The session is a field of the body."""
        _SECRET(body, "")
        session = body.get("session", {"type": "realtime"})
        self.check_command({"type": "session.update", "session": session})
        seconds = body.get("expires_after", {}).get("seconds", _SECRET_SECONDS)
        return SecretWish(session["type"], session, seconds)

    def secret_on_wire(self, value: str, expires_at: int, session: dict[str, Any]) -> dict[str, Any]:
        """The session beside the secret."""
        return {"value": value, "expires_at": expires_at, "session": session}

    # Events -----------------------------------------------------------------------------------

    def wire_name(self, name: str) -> str:
        """GA's names are the canonical ones."""
        return name

    def opening(self, wire: dict[str, Any], kind: str, conversation_id: str | None) -> list[Event]:
        """The first events of a session."""
        return [("session.created", {"session": wire})]

    # Sessions ---------------------------------------------------------------------------------

    def modalities(self, kind: str) -> tuple[str, ...]:
        """What a new session answers in."""
        return ("audio",)

    def vad_defaults(self) -> dict[str, Any]:
        """Server VAD as the session reports it."""
        return {**super().vad_defaults(), "idle_timeout_ms": None}

    def flat(self, session: Mapping[str, Any]) -> dict[str, Any]:
        """GA's nesting undone."""
        flat = {name: value for name, value in session.items() if name not in ("type", "audio")}
        audio = session.get("audio", {})
        for name, value in audio.get("input", {}).items():
            flat[_INPUT_NAMES[name]] = value
        for name, value in audio.get("output", {}).items():
            flat["output_format" if name == "format" else name] = value
        for name in ("input_format", "output_format"):
            if name in flat:
                flat[name] = _FORMAT_NAMES[flat[name]["type"]]
        return {_RENAMED.get(name, name): value for name, value in flat.items()}

    def wrong_kind(self, asked: str, kind: str) -> RefusalError:
        """The refusal of an update for another kind of session."""
        return RefusalError(
            "invalid_value",
            f"Passing a {asked} session update event to a {kind} session is not allowed.",
            "session.type",
        )

    def session_on_wire(self, session: Session) -> dict[str, Any]:
        """The effective session, as ``session.created`` and ``session.updated`` carry it."""
        audio_in = {
            "format": dict(_FORMATS[session.input_format]),
            "transcription": self._transcription(session.transcription),
            "noise_reduction": without(session.noise_reduction),
            "turn_detection": without(session.turn_detection),
        }
        common: dict[str, Any] = {
            "type": session.kind,
            "id": session.id,
            "expires_at": session.expires_at,
            "include": list(session.include) if session.include is not None else None,
        }
        if session.kind == "transcription":
            audio_in["turn_detection"] = without(
                session.turn_detection, "create_response", "interrupt_response", "idle_timeout_ms"
            )
            return {**common, "object": "realtime.transcription_session", "audio": {"input": audio_in}}
        wire = {
            **common,
            "object": "realtime.session",
            "model": session.model,
            "output_modalities": list(session.modalities),
            "instructions": session.instructions,
            "tools": [{k: v for k, v in tool.items() if v is not None} for tool in session.tools],
            "tool_choice": session.tool_choice,
            "max_output_tokens": session.max_output_tokens,
            "tracing": session.tracing,
            "truncation": session.truncation,
            "prompt": session.prompt,
            "audio": {
                "input": audio_in,
                "output": {
                    "format": dict(_FORMATS[session.output_format]),
                    "voice": session.voice,
                    "speed": session.speed,
                },
            },
        }
        if session.reasoning is not None:
            wire["reasoning"] = session.reasoning
        return wire

    def _transcription(self, asked: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if asked is None or not self.profile.completes_transcription:
            return without(asked)
        return {"model": asked.get("model"), "language": None, "prompt": None, **asked}

    # Responses and items --------------------------------------------------------------------

    def response_fields(self, session: Session) -> dict[str, Any]:
        """The settings that a response object reports."""
        fields: dict[str, Any] = {"output_modalities": list(session.modalities)}
        if session.speaks or self.profile.describes_silent_audio:
            voice = session.voice if isinstance(session.voice, str) else session.voice["id"]
            fields["audio"] = {"output": {"format": dict(_FORMATS[session.output_format]), "voice": voice}}
        return fields

    def part_type(self, kind: str, role: str | None) -> str:
        """The assistant's parts are ``output_text`` and ``output_audio``."""
        return f"output_{kind}" if role == "assistant" else kind

    def input_token_details(self, image_tokens: int, cached: Mapping[str, int]) -> dict[str, Any]:
        """Images, and which of the tokens were cached, by kind."""
        return {"image_tokens": image_tokens, "cached_tokens_details": dict(cached)}


_INPUT_NAMES: Final = {
    "format": "input_format",
    "transcription": "transcription",
    "noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}
_RENAMED: Final = {"output_modalities": "modalities"}
