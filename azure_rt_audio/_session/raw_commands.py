"""Events that the user wrote: sent as they are but for an id, and yet in their turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ..protocol.commands import Command, SessionUpdate
from ..protocol.dialects.nesting import SESSION
from .attempts import Attempts
from .response_queue import ResponseQueue
from .sender import CommandSender
from .waiters import ANSWERED_IN_ORDER, placeholder

__all__ = ["RawCommands"]


class RawCommands:
    """
    Sends events of the user's own making.

    **Threads.** Any thread.
    """

    def __init__(self, attempts: Attempts, sender: CommandSender, response_queue: ResponseQueue) -> None:
        self._attempts = attempts
        self._sender = sender
        self._response_queue = response_queue

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
            ready = self._attempts.current.ready
            ready.wait_to_send_configuration()
            ready.try_again_with(event_id)
        if kind == "response.create" and not _is_out_of_band(message):
            self._response_queue.request_raw(payload, event_id)
        elif kind in ANSWERED_IN_ORDER:
            self._send_in_order(kind, message, event_id, payload)
        else:
            self._sender.send_bytes(payload)

    def _send_in_order(self, kind: str, message: Any, event_id: str | None, payload: bytes) -> None:
        """Send a command with a placeholder waiter, so that a later one is not given its answer."""
        attempt = self._attempts.current
        waiter = placeholder(kind, event_id)
        is_update = kind == SessionUpdate.TYPE
        try:
            if is_update:
                attempt.expect(event_id, _input_format(message))
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
