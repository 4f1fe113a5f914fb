"""
Leaves out of a message what must not be recorded: secrets always, texts and sound if asked to. Pure.

A message of sound is not parsed: its base64 is cut out, and only the rest is looked at.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, NamedTuple

import orjson

from .._secret import Secret, origin_of

__all__ = ["REDACTED", "SECRET", "Message", "Redaction"]

SECRET: Final = "[secret]"
REDACTED: Final = "[redacted]"

_SECRET_KEYS: Final = frozenset({"authorization", "headers", "client_secret", "api_key", "api-key"})
_TEXT_KEYS: Final = frozenset(
    {
        "text",
        "transcript",
        "instructions",
        "output",
        "prompt",
        "delta",
        "arguments",
        "description",
        "server_description",
    }
)
_URL_KEY: Final = "server_url"
"""Of a server of tools; it may hold a password or a key."""

_SUSPICIOUS: Final = (*(f'{key}"'.encode() for key in sorted({*_SECRET_KEYS, _URL_KEY})), b"\\/", b"\\u00")
"""Names of secrets, and escapes that may hide one."""

_HEAD_BYTES: Final = 512
_WORTH_CUTTING: Final = 512


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


class _Frame(NamedTuple):
    """
    A message of sound without the sound and without its id.

    Attributes:
        head: What comes before the id; all before the sound if there is none.
        id_end: Where the id ends.
        middle: From there to the sound.
        tail: What comes after the sound.
        is_command: Whether this side sends it.
    """

    head: bytes
    id_end: int
    middle: bytes
    tail: bytes
    is_command: bool

    @property
    def rest(self) -> bytes:
        """All of it."""
        return self.head + self.middle + self.tail

    def find(self, payload: bytes, secrets: Iterable[bytes]) -> tuple[int, int] | None:
        """Return where the sound of a message in this frame begins and ends; ``None`` if it is in another."""
        head, id_end, middle, tail, _ = self
        begin, end = id_end + len(middle), len(payload) - len(tail)
        if (
            payload[id_end:begin] != middle
            or not payload.startswith(head)
            or payload.find(b'"', begin) != end
            or payload[end:] != tail
            or payload.find(b"\n", begin) >= 0
        ):
            return None
        name = payload[len(head) : id_end]
        if name:
            if not name.replace(b"_", b"").isalnum():
                return None
            for secret in secrets:
                if secret in name:
                    return None
        return begin, end


def _frame_of(payload: bytes) -> _Frame | None:
    """Return what a message that may be one of sound has around it."""
    begin = payload.find(b'"delta":"', 0, _HEAD_BYTES)
    is_command = begin < 0
    if is_command:
        begin = payload.find(b'"audio":"', 0, _HEAD_BYTES)
    begin += 9
    end = payload.find(b'"', begin)
    if begin < 9 or end < begin + _WORTH_CUTTING:
        return None
    id_at = payload.find(b'"event_id":"', 0, begin) + 12
    if id_at < 12:
        return _Frame(payload[:begin], begin, b"", payload[end:], is_command)
    id_end = payload.find(b'"', id_at)
    return _Frame(payload[:id_at], id_end, payload[id_end:begin], payload[end:], is_command)


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
        self._frames: dict[bool, _Frame] = {}  # of the sound received, and sent
        self._frames_for: Secret[Iterable[bytes]] = Secret(())

    def message(self, payload: bytes) -> Message:
        """
        Return what is recorded of a message.

        Raises:
            Exception: Whatever a function of the user's raises.
        """
        sound = self._find_sound(payload)
        if sound is None:
            return self._event(payload)
        if self._has_sound:
            return Message(payload)
        begin, end = sound
        return Message(payload[:begin] + payload[end:], sound_bytes=_decoded_bytes(payload[begin:end]))

    def _find_sound(self, payload: bytes) -> tuple[int, int] | None:
        """
        Return where the base64 of a message is; ``None`` if it is none, or something of it is left out.

        Most of what is recorded is sound. Such messages come in rows that differ in their ids and the sound
        itself, so that the rest is looked at only once.
        """
        secrets = self._secrets()
        if secrets is not self._frames_for.reveal():
            self._frames, self._frames_for = {}, Secret(secrets)
        for frame in self._frames.values():
            if (found := frame.find(payload, secrets)) is not None:
                return found
        made = _frame_of(payload)
        if made is None or not self._is_nothing_left_out(made.rest):
            return None
        found = made.find(payload, secrets)
        if found is not None:
            self._frames[made.is_command] = made
        return found

    def _is_nothing_left_out(self, rest: bytes) -> bool:
        """Whether this is a message of sound, without its sound, that is recorded as it is."""
        if b"\n" in rest or self._event(rest).event != rest:
            return False
        event = orjson.loads(rest)
        return event.get("delta" if _is_sound(event) else "audio") == "" and (
            _is_sound(event) or event.get("type") == "input_audio_buffer.append"
        )

    def _event(self, payload: bytes) -> Message:
        try:
            event = orjson.loads(payload)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            # What it says cannot be told from a text.
            raw = b"" if self._replace is not None else self.without_secrets(payload)
            return Message(None, base64.b64encode(raw).decode())
        if self._replace is None and self._has_sound and not _is_suspicious(payload):
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
            if name.lower() == _URL_KEY:
                return origin_of(value)
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


def _is_suspicious(payload: bytes) -> bool:
    low = payload.lower()
    return any(name in low for name in _SUSPICIOUS)


def _decoded_bytes(encoded: bytes) -> int:
    return len(encoded) * 3 // 4 - encoded[-2:].count(b"=")
