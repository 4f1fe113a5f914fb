"""
Validates commands before they are sent; errors name the field's path.

Open sets of names (voices, models, kinds of turn detection) are not checked. Limits are from the service's
reference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from .base import Unset
from .codec import typed
from .commands import (
    Command,
    ConversationItemCreate,
    ConversationItemTruncate,
    InputAudioBufferAppend,
    ResponseCreate,
    SessionUpdate,
    TranscriptionSessionUpdate,
)
from .dialects import Dialect
from .items import (
    ConversationItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    ItemReference,
    McpApprovalRequestItem,
    McpApprovalResponseItem,
    McpCallItem,
    McpListToolsItem,
    MessageItem,
)
from .responses import ResponseConfig
from .session import (
    ClientSecretExpiry,
    RetentionRatio,
    SessionConfig,
    TranscriptionSessionConfig,
    TurnDetection,
)
from .tools import FunctionTool, McpTool, ToolChoice
from .translation import TranslationSessionConfig

__all__ = ["MAX_APPEND_BYTES", "check_command", "check_returned"]

MAX_APPEND_BYTES: Final = 15 * 2**20
"""Most audio in one append, in bytes before base64."""

_ENVELOPE_BYTES: Final = 1024
"""What the service adds to what it sends back, at most."""

_FORMATS: Final = ("pcm16", "g711_ulaw", "g711_alaw")
_MODALITIES: Final = ({"text"}, {"audio"}, {"text", "audio"})
_CHOICES: Final = ("auto", "none", "required")
_ROLES: Final = ("system", "user", "assistant")
_MCP_ITEMS: Final = (McpListToolsItem, McpCallItem, McpApprovalRequestItem, McpApprovalResponseItem)


def check_command(command: Command, dialect: Dialect) -> None:
    """
    Refuse a command that the service would refuse, as far as this can be known.

    Raises:
        ValueError: Names the field's path, its value, and the accepted values.
    """
    if isinstance(command, InputAudioBufferAppend):  # fifty per second, and this is all that can be wrong
        if not isinstance(command.audio, str):
            raise ValueError(f"audio: expected base64 as a string, got {type(command.audio).__name__}")
    else:
        command = typed(command)
        _check_exists(command.type, command.type, dialect)
    if command.event_id is not None and not 0 < len(command.event_id) <= 512:
        raise ValueError("event_id must have 1 to 512 characters")
    if isinstance(command, SessionUpdate):
        if isinstance(command.session, TranslationSessionConfig):
            _check_exists("translation", "session", dialect)
        else:
            _check_session(command.session, dialect)
    elif isinstance(command, TranscriptionSessionUpdate):
        _check_input(command.session)
    elif isinstance(command, ResponseCreate) and command.response is not None:
        _check_response(command.response, dialect)
    elif isinstance(command, ConversationItemCreate):
        _check_item(command.item, "item", dialect)
    elif isinstance(command, ConversationItemTruncate):
        _check_range(command.audio_end_ms, 0, None, "audio_end_ms")
        _check_range(command.content_index, 0, None, "content_index")
    for name in ("item_id", "response_id", "previous_item_id"):
        if getattr(command, name, None) == "":
            raise ValueError(f"{name} is empty; give the id that the service reported")


def check_returned(command: Command, size: int, limit: int) -> None:
    """
    Refuse what the service would send back in an event that ends the connection, as it is too large.

    Args:
        size: Of the command, in bytes of JSON.
        limit: Of what is received, in bytes of JSON.

    Raises:
        ValueError: Names the largest part.
    """
    if size + _ENVELOPE_BYTES <= limit or not isinstance(command, ConversationItemCreate | SessionUpdate):
        return
    path = "session" if isinstance(command, SessionUpdate) else "item"
    item = command.item if isinstance(command, ConversationItemCreate) else None
    if isinstance(item, MessageItem):
        parts = item.content or ()
        size -= sum(len(part.audio) for part in parts if isinstance(part.audio, str))  # is not sent back
        images = [len(part.image_url or "") for part in parts]
        if max(images, default=0) > 0:
            path = f"item.content[{images.index(max(images))}].image_url"
    if size + _ENVELOPE_BYTES > limit:
        raise ValueError(
            f"{path} is too large: the command has {size:,} bytes of JSON. The service sends it back, and an "
            f"event of more than {limit:,} bytes would end the connection: make it smaller, or raise "
            "WebSocketOptions.max_message_bytes"
        )


def _check_session(session: SessionConfig, dialect: Dialect) -> None:
    _check_input(session)
    _check_common(session, "session", dialect)
    _check_range(session.speed, 0.25, 1.5, "session.speed")
    _check_tokens(session.max_response_output_tokens, "session.max_response_output_tokens")
    truncation = session.truncation
    if isinstance(truncation, RetentionRatio):
        path = "session.truncation"
        if truncation.type == "retention_ratio" and truncation.retention_ratio is None:
            raise ValueError(f"{path}.retention_ratio is missing; it is the share of the context to keep")
        _check_range(truncation.retention_ratio, 0.0, 1.0, f"{path}.retention_ratio")
        if truncation.token_limits is not None:
            limit = truncation.token_limits.post_instructions
            _check_range(limit, 0, None, f"{path}.token_limits.post_instructions")
    elif isinstance(truncation, str):
        _check_choice(truncation, ("auto", "disabled"), "session.truncation")
    if isinstance(session.tracing, str):
        _check_choice(session.tracing, ("auto",), "session.tracing")


def _check_input(session: SessionConfig | TranscriptionSessionConfig) -> None:
    _check_choice(session.input_audio_format, _FORMATS, "session.input_audio_format")
    detection = session.turn_detection
    if isinstance(detection, TurnDetection):
        path = "session.turn_detection"
        _check_range(detection.threshold, 0.0, 1.0, f"{path}.threshold")
        _check_range(detection.prefix_padding_ms, 0, None, f"{path}.prefix_padding_ms")
        _check_range(detection.silence_duration_ms, 0, None, f"{path}.silence_duration_ms")
        _check_range(detection.idle_timeout_ms, 5000, 30000, f"{path}.idle_timeout_ms")
    if not isinstance(session.client_secret, Unset):
        for name in ("expires_after", "expires_at"):
            expiry = getattr(session.client_secret, name)
            if isinstance(expiry, ClientSecretExpiry):
                _check_range(expiry.seconds, 10, 7200, f"session.client_secret.{name}.seconds")


def _check_response(response: ResponseConfig, dialect: Dialect) -> None:
    _check_common(response, "response", dialect)
    _check_tokens(response.max_output_tokens, "response.max_output_tokens")
    _check_choice(response.conversation, ("auto", "none"), "response.conversation")
    if response.conversation == "none":
        _check_exists("out_of_band", "response.conversation", dialect)
    if isinstance(response.metadata, Mapping):
        _check_metadata(response.metadata)
    for name in ("input", "input_items", "append_input_items"):
        items = getattr(response, name)
        if not isinstance(items, Unset):
            for index, item in enumerate(items):
                _check_item(item, f"response.{name}[{index}]", dialect, is_input=True)


def _check_common(config: SessionConfig | ResponseConfig, path: str, dialect: Dialect) -> None:
    _check_choice(config.output_audio_format, _FORMATS, f"{path}.output_audio_format")
    _check_range(config.temperature, 0.6, 1.2, f"{path}.temperature")
    if not isinstance(config.modalities, Unset) and set(config.modalities) not in _MODALITIES:
        raise ValueError(
            f'{path}.modalities must be ["text"] or ["text", "audio"], not {config.modalities!r}'
        )
    if not isinstance(config.tools, Unset):
        for index, tool in enumerate(config.tools):
            _check_tool(tool, f"{path}.tools[{index}]", dialect)
    choice = config.tool_choice
    if isinstance(choice, str):
        _check_choice(choice, _CHOICES, f"{path}.tool_choice")
    elif isinstance(choice, ToolChoice):
        if choice.type == "mcp":
            _check_exists("mcp", f"{path}.tool_choice", dialect)
        needed = "server_label" if choice.type == "mcp" else "name"
        if choice.type in ("function", "mcp") and not getattr(choice, needed):
            raise ValueError(f"{path}.tool_choice.{needed} is missing; say which tool")


def _check_tool(tool: FunctionTool | McpTool, path: str, dialect: Dialect) -> None:
    if isinstance(tool, McpTool):
        _check_exists("mcp", path, dialect)
        if not (tool.server_url or tool.connector_id or tool.tunnel_id):
            raise ValueError(f"{path}.server_url is missing; give it, connector_id or tunnel_id")
    elif tool.type == "function" and not tool.name:
        raise ValueError(f"{path}.name is missing; the model calls the function by it")
    elif tool.parameters is not None and not isinstance(tool.parameters, Mapping):
        raise ValueError(f"{path}.parameters must be a JSON Schema object, not {tool.parameters!r:.40}")


def _check_item(item: ConversationItem, path: str, dialect: Dialect, *, is_input: bool = False) -> None:
    if isinstance(item, ItemReference) and not is_input:
        raise ValueError(f"{path}: a reference can only be the input of a response")
    if isinstance(item, _MCP_ITEMS):
        _check_exists("mcp", path, dialect)
    if isinstance(item, FunctionCallItem) and not item.name:
        raise ValueError(f"{path}.name is missing; it is the name of the function")
    if isinstance(item, FunctionCallItem) and item.arguments is None:
        raise ValueError(f'{path}.arguments is missing; it is JSON text, "{{}}" for none')
    if isinstance(item, FunctionCallOutputItem) and not item.call_id:
        raise ValueError(f"{path}.call_id is empty; give the call_id of the function call")
    if isinstance(item, MessageItem):
        _check_message(item, path, dialect)


def _check_message(item: MessageItem, path: str, dialect: Dialect) -> None:
    _check_choice(item.role, _ROLES, f"{path}.role")
    if item.role is None:
        raise ValueError(f"{path}.role is missing; it is one of {', '.join(_ROLES)}")
    if not item.content:
        raise ValueError(f"{path}.content is empty; give at least one part")
    for index, part in enumerate(item.content):
        where = f"{path}.content[{index}]"
        if part.type is None:
            raise ValueError(f'{where}.type is missing; for a text of the user it is "input_text"')
        if item.role == "assistant" and part.type == "audio":
            raise ValueError(f"{where}: assistant audio cannot be created; send its transcript as text")
        if item.role != "user" and part.type in ("input_audio", "input_image"):
            raise ValueError(f"{where}: only a message of the user can have {part.type}")
        if part.type in ("text", "input_text") and part.text is None:
            raise ValueError(f"{where}.text is missing")
        if part.type == "input_audio" and part.audio is None:
            raise ValueError(f"{where}.audio is missing")
        if part.type == "input_image":
            _check_exists("images", where, dialect)
            if part.image_url is None or not part.image_url.startswith("data:image/"):
                raise ValueError(f"{where}.image_url must be a data: URI of a PNG or JPEG")


def _check_metadata(metadata: Mapping[str, str]) -> None:
    if len(metadata) > 16:
        raise ValueError(f"response.metadata has {len(metadata)} pairs; at most 16 are allowed")
    for key, value in metadata.items():
        if len(key) > 64 or len(value) > 512:
            raise ValueError(f"response.metadata[{key!r:.70}]: keys have at most 64 characters, values 512")


def _check_exists(kind: str, path: str, dialect: Dialect) -> None:
    why_not = dialect.why_not(kind)
    if why_not:
        raise ValueError(f"{path}: {why_not}")


def _check_tokens(value: Any, path: str) -> None:
    _check_range(value, 1, 4096, path, '; "inf" for as many as the model can give')


def _check_choice(value: Any, choices: tuple[str, ...], path: str) -> None:
    if isinstance(value, str) and value not in choices:
        raise ValueError(f"{path} must be {_listed(choices)}, not {value!r:.60}")


def _listed(choices: tuple[str, ...]) -> str:
    return repr(choices[0]) if len(choices) == 1 else f"one of {', '.join(choices)}"


def _check_range(value: Any, low: float, high: float | None, path: str, remedy: str = "") -> None:
    if not isinstance(value, int | float):
        return
    if not low <= value <= (math.inf if high is None else high):  # as it stands, it refuses NaN too
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{path} must be {bounds}, not {value!r}{remedy}")
