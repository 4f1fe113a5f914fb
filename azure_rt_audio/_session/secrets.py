"""The values that a client proves itself with, which must not appear in anything it writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from .._repr import also_half_made
from .._secret import Secret, credentials_of, without
from ..options import AzureRealTimeOptions, WebSocketOptions
from ..options.proxy_url import parse_proxy
from ..protocol.codec import decode_message
from ..protocol.events import (
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionFailed,
    Error,
    Event,
    McpListToolsFailed,
    ResponseDone,
    ResponseOutputItemDone,
)
from ..protocol.items import McpCallItem
from ..protocol.tools import McpTool

__all__ = ["Secrets"]

_SHORTEST: Final = 6
"""Characters of a value that is looked for: shorter ones are in every text."""


class Secrets:
    """
    Keys, tokens, values of headers, the password of a proxy; those for MCP servers of the session, too.

    **Threads.** :meth:`reveal` from any thread. Dial threads add; what two add at the same moment may be
    lost until the next handshake.
    """

    __slots__ = ("_credentials", "_values")

    def __init__(self, options: AzureRealTimeOptions, websocket_options: WebSocketOptions) -> None:
        self._values: Secret[tuple[bytes, ...]] = Secret(())
        self._credentials: Secret[tuple[str, ...]] = Secret(())
        self.add({name: value.reveal() for name, value in websocket_options.headers.items()})
        if options.api_key is not None:
            self.add({"api-key": options.api_key.reveal()})
        tools = options.session_config.tools
        for tool in tools if isinstance(tools, list) else ():
            if isinstance(tool, McpTool):
                self.add({name: value.reveal() for name, value in (tool.headers or {}).items()})
                if tool.authorization is not None:
                    self.add({"authorization": tool.authorization.reveal()})
        if websocket_options.http_proxy is not None:
            proxy = parse_proxy(websocket_options.http_proxy.reveal())
            self.add({"proxy": proxy.auth[1] if proxy.auth is not None else ""})

    @also_half_made
    def __repr__(self) -> str:
        return f"<Secrets: {len(self.reveal())}>"

    def reveal(self) -> tuple[bytes, ...]:
        """Return the values as they would stand in JSON; another object when there are others."""
        return self._values.reveal()

    @property
    def credentials(self) -> Secret[tuple[str, ...]]:
        """Those of the values that are credentials by the names of their headers, as texts."""
        return self._credentials

    def masked(self, event: Event) -> Event:
        """
        Return an event without the credentials that the service repeats, if it is one of an error.

        Its words come to exceptions, logs and listeners. Others are what they are, and cost nothing.
        """
        if not _is_of_an_error(event):
            return event
        return decode_message(event.raw) if _mask(event.raw, self._credentials.reveal()) else event

    def add(self, headers: Mapping[str, str]) -> None:
        """Add the values of headers."""
        found = {*self.reveal()}
        for value in headers.values():
            for part in (value, value.removeprefix("Bearer ")):
                if len(part) >= _SHORTEST:
                    found.add(orjson.dumps(part)[1:-1])
        credentials = {*self._credentials.reveal(), *credentials_of(headers, _SHORTEST)}
        self._credentials = Secret(tuple(sorted(credentials, key=len, reverse=True)))
        self._values = Secret(tuple(sorted(found, key=len, reverse=True)))  # a whole before its parts


def _is_of_an_error(event: Event) -> bool:
    if isinstance(event, ResponseDone):
        return event.response.status == "failed"
    if isinstance(event, ResponseOutputItemDone | ConversationItemDone):
        return isinstance(event.item, McpCallItem) and event.item.error is not None
    return isinstance(event, Error | ConversationItemInputAudioTranscriptionFailed | McpListToolsFailed)


def _mask(message: dict[str, Any], credentials: tuple[str, ...]) -> bool:
    """Blank out credentials in the texts of a message; return whether there were any."""
    has_changed = False
    places: list[Any] = [message]
    while places:  # not by recursion: JSON may be nested deeper than Python's stack
        holder = places.pop()
        for key, inner in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            if isinstance(inner, dict | list):
                places.append(inner)
            elif isinstance(inner, str) and (kept := without(inner, credentials)) != inner:
                holder[key], has_changed = kept, True
            if isinstance(key, str) and (name := without(key, credentials)) != key:
                holder[name], has_changed = holder.pop(key), True
    return has_changed
