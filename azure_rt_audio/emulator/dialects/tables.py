"""
Which fields a client event may carry, in each dialect.

A field that is not listed here is refused with ``unknown_parameter``, as the service does; so
these tables are what makes the emulator as unforgiving as the real thing.
"""

from __future__ import annotations

from typing import Any, Final

from ..speech.pcm import FORMATS
from .schema import (
    RefusalError,
    Rule,
    anything,
    array,
    boolean,
    choice,
    either,
    integer,
    nullable,
    number,
    record,
    string,
    tagged,
)

__all__ = ["COMMANDS", "GA_SESSIONS", "ITEM", "check_command"]

_TEXT: Final = string()
_MAX_TOKENS: Final = either(choice("inf"), integer(1, 4096))
_LOGPROBS: Final = nullable(array(choice("item.input_audio_transcription.logprobs")))
_SPEED: Final = number(0.25, 1.5)
_TEMPERATURE: Final = number(0.6, 1.2)
_VOICE: Final = either(record({"id": _TEXT}, ["id"]), string())
_NOISE: Final = nullable(
    record({"type": choice("near_field", "far_field"), "strength": number(0, 1)}, ["type"])
)
_TRANSCRIPTION: Final = nullable(
    record(
        {
            "model": _TEXT,
            "language": _TEXT,
            "prompt": _TEXT,
            "languages": array(_TEXT),
            "keywords": array(_TEXT),
            "delay": choice("minimal", "low", "medium", "high", "xhigh"),
        }
    )
)
_PROMPT: Final = nullable(
    record({"id": _TEXT, "version": nullable(_TEXT), "variables": nullable(anything)}, ["id"])
)
_TRACING: Final = nullable(
    either(choice("auto"), record({"group_id": _TEXT, "metadata": anything, "workflow_name": _TEXT}))
)
_TRUNCATION: Final = either(
    choice("auto", "disabled"),
    record(
        {"type": choice("retention_ratio"), "retention_ratio": number(0, 1), "token_limits": anything},
        ["type", "retention_ratio"],
    ),
)
_REASONING: Final = record({"effort": choice("minimal", "low", "medium", "high", "xhigh")})
_FUNCTION_TOOL: Final = record(
    {"type": choice("function"), "name": _TEXT, "description": _TEXT, "parameters": anything}, ["name"]
)
_MCP_TOOL: Final = record(
    {
        "type": choice("mcp"),
        "server_label": _TEXT,
        "server_url": _TEXT,
        "connector_id": _TEXT,
        "server_description": _TEXT,
        "authorization": _TEXT,
        "allowed_tools": anything,
        "allowed_callers": anything,
        "headers": anything,
        "defer_loading": boolean,
        "require_approval": anything,
    },
    ["server_label"],
)
_GA_TOOLS: Final = array(tagged("type", {"function": _FUNCTION_TOOL, "mcp": _MCP_TOOL}))
_PREVIEW_TOOLS: Final = array(tagged("type", {"function": _FUNCTION_TOOL}))
_GA_TOOL_CHOICE: Final = either(
    tagged(
        "type",
        {
            "function": record({"type": anything, "name": _TEXT}, ["name"]),
            "mcp": record(
                {"type": anything, "server_label": _TEXT, "name": nullable(_TEXT)}, ["server_label"]
            ),
        },
    ),
    choice("none", "auto", "required"),
)
_PREVIEW_TOOL_CHOICE: Final = either(
    record({"type": choice("function"), "function": record({"name": _TEXT}, ["name"])}, ["type", "function"]),
    record({"type": choice("function"), "name": _TEXT}, ["type", "name"]),
    choice("none", "auto", "required"),
)
_SERVER_VAD_FIELDS: Final[dict[str, Rule]] = {
    "type": anything,
    "threshold": number(0, 1),
    "prefix_padding_ms": integer(0),
    "silence_duration_ms": integer(0),
    "create_response": boolean,
    "interrupt_response": boolean,
}
_SEMANTIC_VAD: Final = record(
    {
        "type": anything,
        "eagerness": choice("low", "medium", "high", "auto"),
        "create_response": boolean,
        "interrupt_response": boolean,
    }
)
_GA_VAD: Final = nullable(
    tagged(
        "type",
        {
            "server_vad": record({**_SERVER_VAD_FIELDS, "idle_timeout_ms": nullable(integer(5000, 30000))}),
            "semantic_vad": _SEMANTIC_VAD,
        },
    )
)
# "none" is how the earliest Azure preview spelled null, and its documentation still does.
_PREVIEW_VAD: Final = nullable(
    tagged(
        "type",
        {
            "server_vad": record({**_SERVER_VAD_FIELDS, "eagerness": anything}),
            "semantic_vad": _SEMANTIC_VAD,
            "none": record({"type": anything}),
        },
        default="server_vad",
    )
)
_GA_FORMAT: Final = tagged(
    "type",
    {
        "audio/pcm": record({"type": anything, "rate": choice(24000)}),
        "audio/pcmu": record({"type": anything}),
        "audio/pcma": record({"type": anything}),
    },
)
_GA_INPUT: Final = record(
    {
        "format": _GA_FORMAT,
        "noise_reduction": _NOISE,
        "transcription": _TRANSCRIPTION,
        "turn_detection": _GA_VAD,
    }
)
_GA_OUTPUT_MODALITIES: Final = array(choice("text", "audio"), min_length=1)
_PREVIEW_MODALITIES: Final = array(choice("text", "audio"), min_length=1)

GA_SESSIONS: Final[dict[str, Rule]] = {
    "realtime": record(
        {
            "type": anything,
            "model": _TEXT,
            "instructions": _TEXT,
            "output_modalities": _GA_OUTPUT_MODALITIES,
            "audio": record(
                {
                    "input": _GA_INPUT,
                    "output": record({"format": _GA_FORMAT, "speed": _SPEED, "voice": _VOICE}),
                }
            ),
            "include": _LOGPROBS,
            "tools": _GA_TOOLS,
            "tool_choice": _GA_TOOL_CHOICE,
            "max_output_tokens": _MAX_TOKENS,
            "parallel_tool_calls": boolean,
            "prompt": _PROMPT,
            "reasoning": _REASONING,
            "tracing": _TRACING,
            "truncation": _TRUNCATION,
        }
    ),
    "transcription": record({"type": anything, "audio": record({"input": _GA_INPUT}), "include": _LOGPROBS}),
}
_PREVIEW_INPUT: Final[dict[str, Rule]] = {
    "input_audio_format": choice(*FORMATS),
    "input_audio_noise_reduction": _NOISE,
    "input_audio_transcription": _TRANSCRIPTION,
    "turn_detection": _PREVIEW_VAD,
    "modalities": _PREVIEW_MODALITIES,
    "include": _LOGPROBS,
    "client_secret": anything,
}
_PREVIEW_SESSION: Final = record(
    {
        **_PREVIEW_INPUT,
        "model": _TEXT,
        "instructions": _TEXT,
        "voice": _VOICE,
        "output_audio_format": choice(*FORMATS),
        "speed": _SPEED,
        "tools": _PREVIEW_TOOLS,
        "tool_choice": _PREVIEW_TOOL_CHOICE,
        "temperature": _TEMPERATURE,
        "max_response_output_tokens": _MAX_TOKENS,
        "tracing": _TRACING,
        "truncation": _TRUNCATION,
        "prompt": _PROMPT,
    }
)

_STATUS: Final = choice("completed", "incomplete", "in_progress")
_ITEM_FIELDS: Final[dict[str, Rule]] = {
    "id": string(),
    "object": choice("realtime.item"),
    "type": anything,
    "status": _STATUS,
    "phase": _TEXT,
}
_INPUT_TEXT: Final = record({"type": anything, "text": _TEXT}, ["text"])
_INPUT_AUDIO: Final = record({"type": anything, "audio": _TEXT, "transcript": nullable(_TEXT)})
_INPUT_IMAGE: Final = record(
    {"type": anything, "image_url": _TEXT, "detail": choice("auto", "low", "high")}, ["image_url"]
)


def _message(assistant_text: str, *, images: bool) -> Rule:
    def of(parts: dict[str, Rule]) -> Rule:
        return record(
            {**_ITEM_FIELDS, "role": anything, "content": array(tagged("type", parts))}, ["content"]
        )

    user = {"input_text": _INPUT_TEXT, "input_audio": _INPUT_AUDIO}
    if images:
        user["input_image"] = _INPUT_IMAGE
    return tagged(
        "role",
        {
            "user": of(user),
            "system": of({"input_text": _INPUT_TEXT}),
            # Assistant audio cannot be created: its transcript must be sent as text.
            "assistant": of({assistant_text: _INPUT_TEXT}),
        },
    )


_CALLS: Final[dict[str, Rule]] = {
    "function_call": record(
        {**_ITEM_FIELDS, "call_id": _TEXT, "name": _TEXT, "arguments": _TEXT}, ["name", "arguments"]
    ),
    "function_call_output": record(
        {**_ITEM_FIELDS, "call_id": _TEXT, "output": _TEXT}, ["call_id", "output"]
    ),
}
_MCP_ITEMS: Final[dict[str, Rule]] = {
    name: record(_ITEM_FIELDS, is_open=True)
    for name in ("mcp_approval_response", "mcp_list_tools", "mcp_call", "mcp_approval_request")
}
_REFERENCE: Final = record({"type": anything, "id": _TEXT}, ["id"])
_ITEM_KINDS: Final[dict[str, dict[str, Rule]]] = {
    "ga": {"message": _message("output_text", images=True), **_CALLS, **_MCP_ITEMS},
    "preview": {"message": _message("text", images=False), **_CALLS},
}
ITEM: Final[dict[str, Rule]] = {name: tagged("type", kinds) for name, kinds in _ITEM_KINDS.items()}
_INPUT_ITEM: Final[dict[str, Rule]] = {
    name: tagged("type", {**kinds, "item_reference": _REFERENCE}) for name, kinds in _ITEM_KINDS.items()
}


def _metadata(value: Any, path: str) -> None:
    if not isinstance(value, dict) or len(value) > 16:
        raise RefusalError(
            "invalid_value", f"Invalid '{path}': expected an object of at most 16 pairs.", path
        )
    for key, held in value.items():
        if len(key) > 64:
            raise RefusalError("invalid_value", f"Invalid '{path}': keys have at most 64 characters.", path)
        string(512)(held, f"{path}.{key}")


def _overrides(fields: dict[str, Rule]) -> Rule:
    """
    What ``response.create`` may set, null meaning "not set".

    The service must take null there, unlike in a session: clients in wide use send it for
    instructions they do not have.
    """
    return record({name: nullable(rule) for name, rule in fields.items()})


_GA_RESPONSE: Final = _overrides(
    {
        "audio": record({"output": record({"format": _GA_FORMAT, "voice": _VOICE, "speed": _SPEED})}),
        "conversation": choice("auto", "none"),
        "input": array(_INPUT_ITEM["ga"]),
        "instructions": _TEXT,
        "max_output_tokens": _MAX_TOKENS,
        "metadata": _metadata,
        "output_modalities": _GA_OUTPUT_MODALITIES,
        "parallel_tool_calls": boolean,
        "prompt": _PROMPT,
        "reasoning": _REASONING,
        "tool_choice": _GA_TOOL_CHOICE,
        "tools": _GA_TOOLS,
    }
)
_PREVIEW_RESPONSE: Final = _overrides(
    {
        "conversation": choice("auto", "none"),
        "input": array(_INPUT_ITEM["preview"]),
        "instructions": _TEXT,
        "max_output_tokens": _MAX_TOKENS,
        # The beta Python types of the foreign package spell it so.
        "max_response_output_tokens": _MAX_TOKENS,
        "metadata": _metadata,
        "modalities": _PREVIEW_MODALITIES,
        "output_audio_format": choice(*FORMATS),
        "prompt": _PROMPT,
        "temperature": _TEMPERATURE,
        "tool_choice": _PREVIEW_TOOL_CHOICE,
        "tools": _PREVIEW_TOOLS,
        "voice": _VOICE,
        # Only 2024-10-01-preview had these four.
        "commit": boolean,
        "cancel_previous": boolean,
        "append_input_items": array(ITEM["preview"]),
        "input_items": array(_INPUT_ITEM["preview"]),
    }
)


def _event(fields: dict[str, Rule], required: tuple[str, ...]) -> Rule:
    return record({"type": anything, "event_id": nullable(string(512)), **fields}, required)


def _commands(session: Rule, response: Rule) -> dict[str, Rule]:
    return {
        "session.update": _event({"session": session}, ("session",)),
        "input_audio_buffer.append": _event({"audio": _TEXT}, ("audio",)),
        "input_audio_buffer.commit": _event({}, ()),
        "input_audio_buffer.clear": _event({}, ()),
        # The item itself is checked apart, after its type.
        "conversation.item.create": _event(
            {"item": anything, "previous_item_id": nullable(_TEXT)}, ("item",)
        ),
        "conversation.item.retrieve": _event({"item_id": _TEXT}, ("item_id",)),
        "conversation.item.delete": _event({"item_id": _TEXT}, ("item_id",)),
        "conversation.item.truncate": _event(
            {"item_id": _TEXT, "content_index": integer(0), "audio_end_ms": integer(0)},
            ("item_id", "content_index", "audio_end_ms"),
        ),
        "response.create": _event({"response": nullable(response)}, ()),
        "response.cancel": _event({"response_id": nullable(_TEXT)}, ()),
    }


COMMANDS: Final[dict[str, dict[str, Rule]]] = {
    "ga": {
        # Which session fields are allowed depends on session.type, so that is checked apart.
        **_commands(record({}, is_open=True), _GA_RESPONSE),
        "transcription_session.update": _event({"session": anything}, ("session",)),
        "session.close": _event({}, ()),
    },
    "preview": {
        **_commands(_PREVIEW_SESSION, _PREVIEW_RESPONSE),
        "transcription_session.update": _event({"session": record(_PREVIEW_INPUT)}, ("session",)),
    },
}


def check_command(dialect: str, command: dict[str, Any]) -> None:
    """
    Hold a decoded client event against the tables.

    Raises:
        RefusalError: With the code and the path the service would give.
    """
    known = COMMANDS[dialect]
    if "type" not in command:
        raise RefusalError("missing_required_parameter", "Missing required parameter: 'type'.", "type")
    choice(*known)(command["type"], "type")
    known[command["type"]](command, "")
    if command["type"] == "session.update" and dialect == "ga":
        session = command["session"]
        if "type" not in session:
            raise RefusalError(
                "missing_required_parameter", "Missing required parameter: 'session.type'.", "session.type"
            )
        choice(*GA_SESSIONS)(session["type"], "session.type")
        GA_SESSIONS[session["type"]](session, "session")
        modalities = session.get("output_modalities")
        if modalities is not None and len(modalities) != 1:
            raise RefusalError(
                "invalid_value",
                f"Invalid modalities: {modalities}. Supported combinations are: ['text'] and ['audio'].",
                "session.output_modalities",
            )
    if command["type"] == "conversation.item.create":
        ITEM[dialect](command["item"], "item")
