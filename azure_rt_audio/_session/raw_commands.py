"""Events that the user wrote: sent as they are but for ids, and yet in their turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

import orjson
from attrs import evolve, fields_dict

from ..audio.pcm import decode_base64
from ..protocol.checks import check_command
from ..protocol.codec import build, encode
from ..protocol.commands import Command, ConversationItemCreate, InputAudioBufferAppend, SessionUpdate
from ..protocol.dialects import Dialect
from ..protocol.dialects.nesting import SESSION
from ..protocol.events import (
    ConversationItemDeleted,
    ConversationItemRetrieved,
    ConversationItemTruncated,
)
from ..protocol.session import SessionConfig
from .attempts import Attempts
from .readiness import Readiness
from .response_queue import ResponseQueue
from .sender import CommandSender
from .waiter import ANSWERED_IN_ORDER, Answers, Waiter, about, item_added, placeholder

__all__ = ["RawCommands"]

_ABOUT_ITEMS: Final[Mapping[str, type[Any]]] = {
    "conversation.item.delete": ConversationItemDeleted,
    "conversation.item.truncate": ConversationItemTruncated,
    "conversation.item.retrieve": ConversationItemRetrieved,
}
"""Commands that name an item, and the events that answer them."""


class RawCommands:
    """
    Sends events of the user's own making.

    **Threads.** Any thread.
    """

    def __init__(
        self,
        attempts: Attempts,
        sender: CommandSender,
        response_queue: ResponseQueue,
        input_audio_format: Callable[[], str],
    ) -> None:
        self._attempts = attempts
        self._sender = sender
        self._response_queue = response_queue
        self._input_audio_format = input_audio_format

    def send(self, event: Mapping[str, Any] | Command) -> None:
        """Send an event; see :meth:`azure_rt_audio.client.AzureRealTimeAudio.send`."""
        payload = self._sender.encode_raw(event)
        message = orjson.loads(payload)
        if message.get("event_id") is None:  # so that an error that names it is nobody else's
            message["event_id"] = self._sender.new_event_id()
            payload = orjson.dumps(message)
        kind, event_id = message["type"], message["event_id"]
        event_id = event_id if isinstance(event_id, str) else None
        if kind != SessionUpdate.TYPE:
            self._sender.wait_to_send()
        elif not self._attempts.has_been_ready:
            attempt = self._attempts.follow(Readiness.wait_to_send_configuration)
            attempt.ready.try_again_with(event_id)
        if kind == "response.create" and not _is_out_of_band(message):
            self._response_queue.request_raw(payload, event_id)
        elif kind in ANSWERED_IN_ORDER:
            self._send_in_order(kind, message, event_id, payload)
        elif (answers := self._answers(kind, message)) is not None:
            # Its waiter has it sent again on another connection, if it was not answered on this one.
            self._sender.send_awaited(Waiter(answers, Future(), event_id=event_id), orjson.dumps(message))
        elif kind == InputAudioBufferAppend.TYPE and (sound := self._sound(message.get("audio"))):
            # The service counts it, too, when it says where the user speaks.
            self._response_queue.turn.has_sound = True
            self._sender.send_append(sound, payload)
        else:
            self._sender.send_bytes(payload)

    def _sound(self, audio: Any) -> bytes:
        """Return the sound in an append; none, if it is not as the service takes it."""
        try:
            sound = decode_base64(audio)
        except (TypeError, ValueError):
            return b""
        return b"" if len(sound) % 2 and self._input_audio_format() == "pcm16" else sound

    def _answers(self, kind: str, message: Any) -> Answers | None:
        """Return what answers a command about an item; an item without an id is given one."""
        if kind == ConversationItemCreate.TYPE and isinstance(item := message.get("item"), dict):
            is_id_new = item.get("id") is None
            item_id = self._sender.new_item_id() if is_id_new else item["id"]
            item["id"] = item_id
            return item_added(item_id, is_id_new=is_id_new) if isinstance(item_id, str) else None
        item_id, answer = message.get("item_id"), _ABOUT_ITEMS.get(kind)
        if answer is None or not isinstance(item_id, str):
            return None
        return about(answer, item_id)

    def _send_in_order(self, kind: str, message: Any, event_id: str | None, payload: bytes) -> None:
        """Send a command with a placeholder waiter, so that a later one is not given its answer."""
        attempt = self._attempts.current
        waiter = placeholder(kind, event_id)
        is_update = kind == SessionUpdate.TYPE
        try:
            if is_update:
                config = _configuration(message.get("session"), self._sender.dialect)
                attempt.expect(event_id, _input_format(message), config)
            self._sender.send_awaited(waiter, payload)
        except BaseException:
            if is_update:
                attempt.settle(event_id)
            raise


def _is_out_of_band(message: Any) -> bool:
    response = message.get("response")
    return isinstance(response, dict) and response.get("conversation") == "none"


def _input_format(message: Any) -> object:
    """Return the input format that a ``session.update`` asks for, in either dialect's shape."""
    session = message.get("session")
    return SESSION.flatten(session).get("input_audio_format") if isinstance(session, dict) else None


def _configuration(session: Any, dialect: Dialect) -> SessionConfig | None:
    """Return what a ``session.update`` of either dialect asks for; ``extra`` has what is not as usual."""
    if not isinstance(session, dict) or session.get("type", "realtime") != "realtime":
        return None
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in SESSION.flatten(session).items():
        if name != "type":
            (fields if _is_usual(name, value, dialect) else extra)[name] = value
    return evolve(build(SessionConfig, fields, "session"), extra=extra)


def _is_usual(name: str, value: Any, dialect: Dialect) -> bool:
    """Whether a field can be sent as one of a configuration of this library."""
    left_out: list[str] = []
    if name not in fields_dict(SessionConfig) or name == "extra":
        return False
    try:
        command = SessionUpdate(session=build(SessionConfig, {name: value}, "session"))
        check_command(command, dialect)
        encode(command, dialect, left_out.append)
    except (TypeError, ValueError):
        return False
    return not left_out
