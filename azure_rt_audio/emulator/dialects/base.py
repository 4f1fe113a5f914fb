"""
The two dialects: names and shapes on the wire, and back.

Everything else in the emulator speaks of a neutral :class:`~.session.Session` and neutral items;
``preview`` and ``ga`` differ here and in :mod:`.tables` only.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from ..session.conversation import Item, Part
from ..session.state import Session, with_vad_defaults

__all__ = [
    "canonical",
    "event_name",
    "item_on_wire",
    "response_changes",
    "response_on_wire",
    "session_changes",
    "session_on_wire",
]

_GA_NAMES: Final = {
    f"response.{old}.{moment}": f"response.{new}.{moment}"
    for old, new in {
        "text": "output_text",
        "audio": "output_audio",
        "audio_transcript": "output_audio_transcript",
    }.items()
    for moment in ("delta", "done")
}
_CANONICAL: Final = {new: old for old, new in _GA_NAMES.items()} | {
    "conversation.item.added": "conversation.item.created"
}
_GA_FORMATS: Final[dict[str, dict[str, Any]]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_FORMAT_OF_GA: Final = {shape["type"]: name for name, shape in _GA_FORMATS.items()}


def event_name(name: str, dialect: str) -> str:
    """The wire name of a server event, from its preview name."""
    return _GA_NAMES.get(name, name) if dialect == "ga" else name


def canonical(name: str) -> str:
    """One name for what the dialects spell differently: the preview one."""
    return _CANONICAL.get(name, name)


# Sessions ------------------------------------------------------------------------------------


def session_changes(session: Mapping[str, Any], dialect: str) -> dict[str, Any]:
    """
    What an update asks for, as fields of :class:`~.session.Session`.

    Only fields that are present appear; ``null`` arrives as ``None``. Names outside the neutral
    session (``model``, ``client_secret``) are left out.
    """
    flat = _flat_from_ga(session) if dialect == "ga" else dict(session)
    renamed = {_PREVIEW_FIELDS[name]: value for name, value in flat.items() if name in _PREVIEW_FIELDS}
    for name in ("modalities", "tools", "include"):
        if renamed.get(name) is not None:
            renamed[name] = tuple(renamed[name])
    if "turn_detection" in renamed:
        renamed["turn_detection"] = with_vad_defaults(renamed["turn_detection"], ga=dialect == "ga")
    return renamed


_PREVIEW_FIELDS: Final = {
    "instructions": "instructions",
    "modalities": "modalities",
    "voice": "voice",
    "speed": "speed",
    "input_audio_format": "input_format",
    "output_audio_format": "output_format",
    "turn_detection": "turn_detection",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "temperature": "temperature",
    "max_response_output_tokens": "max_output_tokens",
    "tracing": "tracing",
    "truncation": "truncation",
    "prompt": "prompt",
    "include": "include",
    "reasoning": "reasoning",
    "parallel_tool_calls": "parallel_tool_calls",
}


def _flat_from_ga(session: Mapping[str, Any]) -> dict[str, Any]:
    """GA's nesting undone, under the preview names."""
    flat = {name: value for name, value in session.items() if name not in ("type", "audio")}
    if "output_modalities" in flat:
        flat["modalities"] = flat.pop("output_modalities")
    if "max_output_tokens" in flat:
        flat["max_response_output_tokens"] = flat.pop("max_output_tokens")
    audio = session.get("audio", {})
    heard, said = audio.get("input", {}), audio.get("output", {})
    for name, value in heard.items():
        flat["turn_detection" if name == "turn_detection" else f"input_audio_{name}"] = value
    for name, value in said.items():
        flat["output_audio_format" if name == "format" else name] = value
    for name in ("input_audio_format", "output_audio_format"):
        if name in flat:
            flat[name] = _FORMAT_OF_GA[flat[name]["type"]]
    return flat


def session_on_wire(session: Session, dialect: str) -> dict[str, Any]:
    """The whole effective session, as ``session.created`` and ``session.updated`` carry it."""
    if dialect == "ga":
        return _ga_session(session)
    if session.kind == "transcription":
        return {
            "client_secret": {"value": "ek_emulator", "expires_at": session.expires_at},
            "modalities": list(session.modalities),
            "input_audio_format": session.input_format,
            "input_audio_transcription": _plain(session.transcription),
            "turn_detection": _plain(
                session.turn_detection, without=("create_response", "interrupt_response")
            ),
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
        "input_audio_transcription": _plain(session.transcription),
        "input_audio_noise_reduction": _plain(session.noise_reduction),
        "turn_detection": _plain(session.turn_detection),
        "speed": session.speed,
        "tools": [dict(tool) for tool in session.tools],
        "tool_choice": session.tool_choice if isinstance(session.tool_choice, str) else "auto",
        "temperature": session.temperature,
        "max_response_output_tokens": session.max_output_tokens,
        "tracing": session.tracing,
        "prompt": session.prompt,
        "include": list(session.include) if session.include is not None else None,
    }


def _ga_session(session: Session) -> dict[str, Any]:
    heard = {
        "format": dict(_GA_FORMATS[session.input_format]),
        "transcription": _plain(session.transcription),
        "noise_reduction": _plain(session.noise_reduction),
        "turn_detection": _plain(session.turn_detection),
    }
    common: dict[str, Any] = {
        "type": session.kind,
        "id": session.id,
        "expires_at": session.expires_at,
        "include": list(session.include) if session.include is not None else None,
    }
    if session.kind == "transcription":
        heard["turn_detection"] = _plain(
            session.turn_detection, without=("create_response", "interrupt_response", "idle_timeout_ms")
        )
        return {**common, "object": "realtime.transcription_session", "audio": {"input": heard}}
    wire = {
        **common,
        "object": "realtime.session",
        "model": session.model,
        "output_modalities": list(session.modalities),
        "instructions": session.instructions,
        "tools": [dict(tool) for tool in session.tools],
        "tool_choice": session.tool_choice,
        "max_output_tokens": session.max_output_tokens,
        "tracing": session.tracing,
        "truncation": session.truncation,
        "prompt": session.prompt,
        "audio": {
            "input": heard,
            "output": {
                "format": dict(_GA_FORMATS[session.output_format]),
                "voice": session.voice,
                "speed": session.speed,
            },
        },
    }
    if session.reasoning is not None:
        wire["reasoning"] = session.reasoning
    return wire


def _plain(value: Mapping[str, Any] | None, without: tuple[str, ...] = ()) -> dict[str, Any] | None:
    return None if value is None else {k: v for k, v in value.items() if k not in without}


# Responses -----------------------------------------------------------------------------------


def response_changes(response: Mapping[str, Any], dialect: str) -> dict[str, Any]:
    """What ``response.create`` overrides for one response, as fields of the session."""
    flat = dict(response)
    if dialect == "preview":
        for name in ("max_output_tokens", "max_response_output_tokens"):
            if name in flat:
                flat["max_response_output_tokens"] = flat[name]
    return session_changes(flat, dialect)


def response_on_wire(
    *,
    response_id: str,
    status: str,
    status_details: Mapping[str, Any] | None,
    output: list[dict[str, Any]],
    conversation_id: str | None,
    session: Session,
    usage: Mapping[str, Any] | None,
    metadata: Mapping[str, str] | None,
    dialect: str,
) -> dict[str, Any]:
    """A response object, as ``response.created`` and ``response.done`` carry it."""
    wire: dict[str, Any] = {
        "object": "realtime.response",
        "id": response_id,
        "status": status,
        "status_details": None if status_details is None else dict(status_details),
        "output": output,
        "conversation_id": conversation_id,
        "max_output_tokens": session.max_output_tokens,
        "usage": None if usage is None else dict(usage),
        "metadata": None if metadata is None else dict(metadata),
    }
    if dialect == "ga":
        wire["output_modalities"] = list(session.modalities)
        if session.speaks:
            wire["audio"] = {
                "output": {
                    "format": dict(_GA_FORMATS[session.output_format]),
                    "voice": session.voice if isinstance(session.voice, str) else session.voice["id"],
                }
            }
    else:
        wire["modalities"] = list(session.modalities)
        wire["voice"] = session.voice
        wire["output_audio_format"] = session.output_format
        wire["temperature"] = session.temperature
    return wire


# Items ---------------------------------------------------------------------------------------


def item_on_wire(item: Item, dialect: str, *, with_audio: bool = False) -> dict[str, Any]:
    """
    A conversation item.

    Args:
        with_audio: Whether sound comes along, base64; only ``conversation.item.retrieved`` has it.
    """
    wire: dict[str, Any] = {"id": item.id, "object": "realtime.item", "type": item.type}
    if item.type in ("message", "function_call", "function_call_output"):
        wire["status"] = item.status
    if item.type == "message":
        wire["role"] = item.role
        wire["content"] = [_part_on_wire(part, item.role, dialect, with_audio) for part in item.parts]
    elif item.type == "function_call":
        wire |= {"name": item.name, "call_id": item.call_id, "arguments": item.arguments}
    elif item.type == "function_call_output":
        wire |= {"call_id": item.call_id, "output": item.output}
    return {**wire, **item.extra}


def _part_on_wire(part: Part, role: str | None, dialect: str, with_audio: bool) -> dict[str, Any]:
    kind = part.kind
    if role == "assistant" and dialect == "ga":
        kind = f"output_{kind}"
    wire: dict[str, Any] = {"type": kind}
    if part.kind in ("text", "input_text"):
        wire["text"] = part.text
    elif part.kind == "input_image":
        wire["image_url"] = part.image_url
        if part.detail is not None:
            wire["detail"] = part.detail
    else:
        wire["transcript"] = part.transcript
        if with_audio:
            wire["audio"] = base64.b64encode(part.audio).decode()
    return wire
