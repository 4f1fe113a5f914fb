"""
Leaves out of a message what must not be recorded: secrets always, texts and sound if asked to. Pure.

A message of sound is not parsed: its base64 is cut out, and only the rest is looked at.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, NamedTuple

import orjson

__all__ = ["REDACTED", "SECRET", "Message", "Redaction"]

SECRET: Final = "[secret]"
REDACTED: Final = "[redacted]"

_SECRET_KEYS: Final = frozenset({"authorization", "headers", "client_secret", "api_key", "api-key"})
_TEXT_KEYS: Final = frozenset(
    {"text", "transcript", "instructions", "output", "prompt", "delta", "arguments"}
)

# A name of a secret, or an escape that may hide one.
_SUSPICIOUS: Final = re.compile(
    rb'"(?:authorization|headers|client_secret|api[_-]key)"|\\/|\\u00', re.IGNORECASE
)
_SOUND: Final = re.compile(rb'"(?:delta|audio)"\s*:\s*"')
_SOUND_EVENTS: Final = (b"audio.delta", b"input_audio_buffer.append")
_HEAD_BYTES: Final = 256
_WORTH_CUTTING: Final = 1024


class Message(NamedTuple):
    """
    What is recorded of a message.

    Attributes:
        event: JSON on one line; ``None`` if it was none.
        raw: What it was instead, in base64.
        sound_bytes: Bytes of audio that were left out.
    """

    event: bytes | None
    raw: str = ""
    sound_bytes: int = 0


class Redaction:
    """
    What is left out of a recording.

    Args:
        sound: ``"none"`` leaves sound out.
        redact: ``"texts"`` replaces texts; a function is called with each, and returns what to record.
        secrets: Returns the values that must not appear anywhere.

    **Threads.** Not shared: the thread that writes.
    """

    def __init__(
        self,
        sound: Literal["wire", "none"],
        redact: Callable[[str], str] | Literal["texts"] | None,
        secrets: Callable[[], Iterable[bytes]],
    ) -> None:
        self._has_sound = sound == "wire"
        self._replace: Callable[[str], str] | None = _redacted if redact == "texts" else redact
        self._is_function = self._replace is not None and redact != "texts"
        self._secrets = secrets

    def message(self, payload: bytes) -> Message:
        """
        Return what is recorded of a message.

        Raises:
            Exception: Whatever a function of the user's raises.
        """
        if len(payload) > _WORTH_CUTTING and (cut := _cut(payload)) is not None:
            begin, end = cut
            rest = self._event(payload[:begin] + payload[end:])
            if rest.event is not None and not self._has_sound:
                return Message(rest.event, sound_bytes=_decoded_bytes(payload[begin:end]))
            hole = _SOUND.search(rest.event) if rest.event is not None else None
            if rest.event is not None and hole is not None:
                return Message(rest.event[: hole.end()] + payload[begin:end] + rest.event[hole.end() :])
        return self._event(payload)

    def _event(self, payload: bytes) -> Message:
        try:
            event = orjson.loads(payload)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            # What it says cannot be told from a text.
            raw = b"" if self._replace is not None else self.without_secrets(payload)
            return Message(None, base64.b64encode(raw).decode())
        if self._replace is None and self._has_sound and not _SUSPICIOUS.search(payload):
            line = payload.replace(b"\n", b" ") if b"\n" in payload else payload
            return Message(self.without_secrets(line))
        left_out = [0]
        return Message(
            self.without_secrets(orjson.dumps(self._object(event, _is_sound(event), left_out))),
            sound_bytes=left_out[0],
        )

    def fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return fields of an entry, or a configuration, without secrets and texts."""
        changed: dict[str, Any] = self._object(fields, False, [0])
        return changed

    def text(self, text: str) -> str:
        """Return a text of a user, a model or a program, as it is recorded."""
        return text if self._replace is None else self._replaced(text)

    def without_secrets(self, line: bytes) -> bytes:
        """Return a line in which the values that must not appear anywhere are replaced."""
        for secret in self._secrets():
            if secret in line:
                line = line.replace(secret, SECRET.encode())
        return line

    def _object(self, value: Any, is_sound: bool, left_out: list[int]) -> Any:
        if isinstance(value, dict):
            return {name: self._field(name, inner, is_sound, left_out) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._object(inner, is_sound, left_out) for inner in value]
        return value

    def _field(self, name: str, value: Any, is_sound: bool, left_out: list[int]) -> Any:
        if name.lower() in _SECRET_KEYS and value is not None:
            return SECRET
        if isinstance(value, str):
            if name == "audio" or (name == "delta" and is_sound):
                if self._has_sound:
                    return value
                left_out[0] += _decoded_bytes(value.encode())
                return ""
            if self._replace is not None and value and name in _TEXT_KEYS:
                if name == "arguments" and not self._is_function:
                    return "{}"  # a program reads it as JSON
                return self._replaced(value)
            return value
        if name == "logprobs" and self._replace is not None:
            return None
        return self._object(value, is_sound, left_out)

    def _replaced(self, text: str) -> str:
        assert self._replace is not None
        replaced = self._replace(text)
        if not isinstance(replaced, str):
            raise TypeError(f"redact must return a text, not {type(replaced).__name__}")
        return replaced


def _redacted(text: str) -> str:
    return REDACTED if text else ""


def _is_sound(event: dict[str, Any]) -> bool:
    return str(event.get("type")).endswith("audio.delta")


def _cut(payload: bytes) -> tuple[int, int] | None:
    """Return where the base64 of a message of sound begins and ends, if it can be cut out of it."""
    head = payload[:_HEAD_BYTES]
    if not any(name in head for name in _SOUND_EVENTS):
        return None
    found = _SOUND.search(payload, 0, _WORTH_CUTTING)
    if found is None:
        return None
    begin = found.end()
    end = payload.find(b'"', begin)
    if end < 0 or payload.find(b"\\", begin, end) >= 0 or payload.find(b"\n", begin, end) >= 0:
        return None
    return begin, end


def _decoded_bytes(encoded: bytes) -> int:
    return len(encoded) * 3 // 4 - encoded[-2:].count(b"=")
