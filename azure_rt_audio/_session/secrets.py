"""The values that a client proves itself with, which must not appear in anything it writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from .._repr import also_half_made
from .._secret import Secret
from ..options import AzureRealTimeOptions, WebSocketOptions
from ..options.proxy_url import parse_proxy
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

    __slots__ = ("_values",)

    def __init__(self, options: AzureRealTimeOptions, websocket_options: WebSocketOptions) -> None:
        self._values: Secret[tuple[bytes, ...]] = Secret(())
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

    def add(self, headers: Mapping[str, str]) -> None:
        """Add the values of headers."""
        found = {*self.reveal()}
        for value in headers.values():
            for part in (value, value.removeprefix("Bearer ")):
                if len(part) >= _SHORTEST:
                    found.add(orjson.dumps(part)[1:-1])
        self._values = Secret(tuple(sorted(found, key=len, reverse=True)))  # a whole before its parts
