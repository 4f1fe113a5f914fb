"""
Rules that the requests of both dialects share.

A field that no rule names is refused with ``unknown_parameter``, as the service does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..model.pcm import FORMATS
from .rules import (
    Anything,
    Array,
    Boolean,
    Choice,
    Either,
    Mapped,
    Nullable,
    Number,
    Record,
    RefusalError,
    Rule,
    Tagged,
    Text,
    missing,
)


class _Distinct(Array):
    """A list without repetitions."""

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        super().__call__(value, path)
        if len(set(value)) != len(value):
            raise RefusalError("invalid_value", f"Invalid '{path}': {value} repeats a value.", path)


FORMAT: Final = Choice(*FORMATS)
MODALITIES: Final = _Distinct(Choice("text", "audio"), min_length=1)
TEXT: Final = Text()
ID: Final = Text(32)
TOOL_NAME: Final = Text(64, r"^[a-zA-Z0-9_-]+$")
MAX_TOKENS: Final = Either(Choice("inf"), Number(1, 4096, is_whole=True))
LOGPROBS: Final = Nullable(Array(Choice("item.input_audio_transcription.logprobs")))
SPEED: Final = Number(0.25, 1.5)
TEMPERATURE: Final = Number(0.6, 1.2)
VOICE: Final = Either(
    Record({"id": TEXT}, ("id",)),
    Choice("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"),
)
NOISE: Final = Nullable(
    Record({"type": Choice("near_field", "far_field"), "strength": Number(0, 1)}, ("type",))
)
TRANSCRIPTION: Final = Nullable(
    Record(
        {
            "model": TEXT,
            "language": TEXT,
            "prompt": TEXT,
            "languages": Array(TEXT),
            "keywords": Array(TEXT),
            "delay": Choice("minimal", "low", "medium", "high", "xhigh"),
        }
    )
)
PROMPT: Final = Nullable(
    Record({"id": TEXT, "version": Nullable(TEXT), "variables": Nullable(Anything())}, ("id",))
)
TRACING: Final = Nullable(
    Either(Choice("auto"), Record({"group_id": TEXT, "metadata": Anything(), "workflow_name": TEXT}))
)
TRUNCATION: Final = Either(
    Choice("auto", "disabled"),
    Record(
        {
            "type": Choice("retention_ratio"),
            "retention_ratio": Number(0, 1),
            "token_limits": Record({"post_instructions": Number(0, is_whole=True)}),
        },
        ("type", "retention_ratio"),
    ),
)
REASONING: Final = Record({"effort": Choice("minimal", "low", "medium", "high", "xhigh")})
FUNCTION_TOOL: Final = Record(
    {
        "type": Choice("function"),
        "name": TOOL_NAME,
        "description": Text(1024),
        "parameters": Anything(),
    },
    ("name",),
)
_FILTER: Final = Record({"tool_names": Array(TEXT), "read_only": Boolean()})
_SERVERS: Final = ("server_url", "connector_id", "tunnel_id")


class _McpTool(Record):
    """A tool of type ``mcp``, which names its server in one of three ways."""

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        super().__call__(value, path)
        given = [name for name in _SERVERS if name in value]
        if not given:
            raise missing(f"{path}.server_url")
        if len(given) > 1:
            raise RefusalError(
                "invalid_value",
                f"Invalid '{path}': only one of {', '.join(map(repr, _SERVERS))} can be given.",
                f"{path}.{given[1]}",
            )


MCP_TOOL: Final = _McpTool(
    {
        "type": Choice("mcp"),
        "server_label": TEXT,
        "server_url": TEXT,
        "connector_id": TEXT,
        "tunnel_id": TEXT,
        "server_description": TEXT,
        "authorization": TEXT,
        "allowed_tools": Nullable(Either(_FILTER, Array(TEXT))),
        "allowed_callers": Nullable(Array(Choice("direct", "programmatic"))),
        "headers": Nullable(Mapped(TEXT)),
        "defer_loading": Boolean(),
        "require_approval": Nullable(
            Either(Record({"always": _FILTER, "never": _FILTER}), Choice("always", "never"))
        ),
    },
    ("server_label",),
)
SERVER_VAD_FIELDS: Final[dict[str, Rule]] = {
    "type": Anything(),
    "threshold": Number(0, 1),
    "prefix_padding_ms": Number(0, is_whole=True),
    "silence_duration_ms": Number(0, is_whole=True),
    "create_response": Boolean(),
    "interrupt_response": Boolean(),
}
SEMANTIC_VAD: Final = Record(
    {
        "type": Anything(),
        "eagerness": Choice("low", "medium", "high", "auto"),
        "create_response": Boolean(),
        "interrupt_response": Boolean(),
    }
)

EXPIRY: Final = Record({"anchor": Choice("created_at"), "seconds": Number(10, 7200, is_whole=True)})
STATUS: Final = Choice("completed", "incomplete", "in_progress")
ITEM_FIELDS: Final[dict[str, Rule]] = {
    "id": ID,
    "object": Choice("realtime.item"),
    "type": Anything(),
    "status": STATUS,
    "phase": TEXT,
}
INPUT_TEXT: Final = Record({"type": Anything(), "text": TEXT}, ("text",))
INPUT_AUDIO: Final = Record({"type": Anything(), "audio": TEXT, "transcript": Nullable(TEXT)})
_IMAGE: Final = Text(pattern="^data:image/(png|jpe?g);base64,")  # the service fetches none by itself
INPUT_IMAGE: Final = Record(
    {"type": Anything(), "image_url": _IMAGE, "detail": Choice("auto", "low", "high")}, ("image_url",)
)


def message(assistant_text: str, *, images: bool) -> Rule:
    """A message item; *assistant_text* is the type of the assistant's parts."""

    def of(parts: Mapping[str, Rule]) -> Rule:
        return Record(
            {**ITEM_FIELDS, "role": Anything(), "content": Array(Tagged("type", parts))}, ("content",)
        )

    user: dict[str, Rule] = {"input_text": INPUT_TEXT, "input_audio": INPUT_AUDIO}
    if images:
        user["input_image"] = INPUT_IMAGE
    return Tagged(
        "role",
        {
            "user": of(user),
            "system": of({"input_text": INPUT_TEXT}),
            # Assistant audio cannot be created: its transcript must be sent as text.
            "assistant": of({assistant_text: INPUT_TEXT}),
        },
    )


CALLS: Final[dict[str, Rule]] = {
    "function_call": Record(
        {**ITEM_FIELDS, "call_id": ID, "name": TEXT, "arguments": TEXT}, ("name", "arguments")
    ),
    "function_call_output": Record({**ITEM_FIELDS, "call_id": ID, "output": TEXT}, ("call_id", "output")),
}
_MCP: Final[dict[str, Rule]] = {"id": ID, "type": Anything()}
_MCP_REQUEST: Final[dict[str, Rule]] = {**_MCP, "server_label": TEXT, "name": TEXT, "arguments": TEXT}
_LISTED_TOOL: Final = Record(
    {
        "name": TEXT,
        "input_schema": Anything(),
        "description": Nullable(TEXT),
        "annotations": Anything(),
    },
    ("name", "input_schema"),
)
_PEER_ERROR: Final = Record(
    {"type": Anything(), "code": Number(is_whole=True), "message": TEXT}, ("code", "message")
)
_MCP_ERROR: Final = Tagged(
    "type",
    {
        "protocol_error": _PEER_ERROR,
        "http_error": _PEER_ERROR,
        "tool_execution_error": Record({"type": Anything(), "message": TEXT}, ("message",)),
    },
)
MCP_ITEMS: Final[dict[str, Rule]] = {
    "mcp_approval_response": Record(
        {**_MCP, "approval_request_id": TEXT, "approve": Boolean(), "reason": Nullable(TEXT)},
        ("approval_request_id", "approve"),
    ),
    "mcp_list_tools": Record(
        {**_MCP, "server_label": TEXT, "tools": Array(_LISTED_TOOL)}, ("server_label", "tools")
    ),
    "mcp_call": Record(
        {
            **_MCP_REQUEST,
            "approval_request_id": Nullable(TEXT),
            "error": Nullable(_MCP_ERROR),
            "output": Nullable(TEXT),
        },
        ("server_label", "name", "arguments"),
    ),
    "mcp_approval_request": Record(_MCP_REQUEST, ("server_label", "name", "arguments")),
}
REFERENCE: Final = Record({"type": Anything(), "id": TEXT}, ("id",))


class Metadata(Rule):
    """At most 16 pairs; keys of 64 characters, values of 512."""

    def __call__(self, value: Any, path: str) -> None:
        """Check it."""
        if not isinstance(value, dict) or len(value) > 16:
            raise RefusalError(
                "invalid_value", f"Invalid '{path}': expected an object of at most 16 pairs.", path
            )
        for key, held in value.items():
            if len(key) > 64:
                raise RefusalError(
                    "invalid_value", f"Invalid '{path}': keys have at most 64 characters.", path
                )
            Text(512)(held, f"{path}.{key}")


def overrides(fields: Mapping[str, Rule]) -> Rule:
    """
    The settings of ``response.create``; null means "not set".

    The service must accept null there, unlike in a session: clients in wide use send it for instructions
    they do not have.
    """
    return Record({name: Nullable(rule) for name, rule in fields.items()})


def event(fields: Mapping[str, Rule], required: tuple[str, ...]) -> Rule:
    """A client event."""
    return Record({"type": Anything(), "event_id": Nullable(Text(512)), **fields}, required)


def commands(session: Rule, response: Rule, item: Rule) -> dict[str, Rule]:
    """The client events of both dialects, given what differs."""
    return {
        "session.update": event({"session": session}, ("session",)),
        "input_audio_buffer.append": event({"audio": TEXT}, ("audio",)),
        "input_audio_buffer.commit": event({}, ()),
        "input_audio_buffer.clear": event({}, ()),
        "conversation.item.create": event({"item": item, "previous_item_id": Nullable(TEXT)}, ("item",)),
        "conversation.item.retrieve": event({"item_id": TEXT}, ("item_id",)),
        "conversation.item.delete": event({"item_id": TEXT}, ("item_id",)),
        "conversation.item.truncate": event(
            {
                "item_id": TEXT,
                "content_index": Number(0, is_whole=True),
                "audio_end_ms": Number(0, is_whole=True),
            },
            ("item_id", "content_index", "audio_end_ms"),
        ),
        "response.create": event({"response": Nullable(response)}, ()),
        "response.cancel": event({"response_id": Nullable(TEXT)}, ()),
    }
