"""The tools of one session: those of its client, which are run, and those that the program answers."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import attrs

from ..protocol.base import Unset
from ..protocol.responses import ResponseConfig
from ..protocol.session import Session, SessionConfig
from ..protocol.tools import FunctionTool, McpTool, ToolChoice
from ..protocol.tools import Tool as DeclaredTool
from ..tools.collection import Tools
from ..tools.mcp_server import McpServer
from ..tools.output import ToolOutput
from ..tools.tool import Tool

__all__ = ["ByHand", "Catalogue"]


@attrs.define(eq=False)
class ByHand:
    """
    Tools that the program answers itself, as one change of the session names them.

    Attributes:
        is_repeated: Whether another change of the session has named them since, beside its own.
    """

    tools: list[DeclaredTool]
    is_repeated: bool = False


class Catalogue:
    """
    What a session declares.

    Args:
        by_hand: The ``tools`` of the session's configuration.

    **Threads and locks.** Any thread reads; who changes it takes care that changes come one after the other.
    The lock is a leaf; it guards the tools of sets that were replaced, which the I/O thread forgets, and
    those by hand, of which the I/O thread takes back what was refused.
    """

    def __init__(self, tools: Tools, by_hand: Iterable[DeclaredTool]) -> None:
        self._ours: set[str] = set()  # all names that there ever were; only grows
        self._lock = threading.Lock()  # leaf
        self._replaced: dict[str, Tool] = {}  # guarded by _lock: may still be called
        self._replaced_servers: dict[str, McpServer] = {}  # likewise, by label
        # Guarded by _lock for replacement, read bare: those in force, then those that are not answered yet.
        self._by_hand: tuple[ByHand, ...] = (ByHand(list(by_hand)),)
        self.tools = Tools()
        self.take(tools)

    def take(self, tools: Tools) -> None:
        """
        Declare a set in place of the one before.

        Raises:
            ValueError: If the program declares one of the names by hand.
        """
        self._check(tools)
        with self._lock:
            known = {**self._replaced, **{tool.name: tool for tool in self.tools}}
            self._replaced = {name: tool for name, tool in known.items() if name not in tools}
            servers = {**self._replaced_servers, **self.tools._servers}
            self._replaced_servers = {k: v for k, v in servers.items() if k not in tools._servers}
            self.tools = tools
        self._ours |= {tool.name for tool in tools}

    def forget(self, session: Session | None) -> None:
        """A response begins: forget what it cannot call, which the session does not declare any more."""
        if not (self._replaced or self._replaced_servers):
            return
        tools = (session and session.tools) or ()
        names, labels = _names(tools), _labels(tools)
        with self._lock:
            self._replaced = {name: tool for name, tool in self._replaced.items() if name in names}
            self._replaced_servers = {k: v for k, v in self._replaced_servers.items() if k in labels}

    @property
    def by_hand(self) -> list[DeclaredTool]:
        """What the program answers itself, by the latest change that was not refused."""
        return self._by_hand[-1].tools

    def change_by_hand(self, tools: Iterable[DeclaredTool]) -> ByHand:
        """Declare others by hand; the service has yet to answer."""
        made = ByHand(list(tools))
        with self._lock:
            self._by_hand = (*self._by_hand, made)
        return made

    def keep_by_hand(self, taken: ByHand) -> None:
        """A change was not refused: those before it are nothing to go back to."""
        with self._lock:
            if taken in self._by_hand:
                self._by_hand = self._by_hand[self._by_hand.index(taken) :]

    def take_back_by_hand(self, refused: ByHand) -> bool:
        """A change was refused; return whether a later one has to be made again, without what it named."""
        with self._lock:
            if refused not in self._by_hand[1:]:  # it counts as in force, or a later one does
                return False
            index = self._by_hand.index(refused)
            later = self._by_hand[index + 1 :]
            self._by_hand = (*self._by_hand[:index], *later)
            if later:
                later[0].is_repeated |= refused.is_repeated
        return refused.is_repeated and not later

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to declare beside what is by hand."""
        return not (len(self.tools) or self.tools.servers)

    def _check(self, tools: Tools) -> None:
        self.check([tool.name for tool in tools], [server.label for server in tools.servers])

    def check(self, names: Iterable[str], labels: Iterable[str] = ()) -> None:
        """Refuse names of tools, and labels of MCP servers, that the program declares by hand."""
        _check(self.by_hand, names, labels)

    def find(self, name: str | None) -> Tool | None:
        """Return the tool that is run for a name: of this set, or of one before that may still be called."""
        return self.tools._find(name) or self._replaced.get(name or "")

    def frees_choice(self, session: Session | None) -> bool:
        """Whether the session would have the model call a function that is not declared any more."""
        choice = None if session is None else session.tool_choice
        name = choice.name if isinstance(choice, ToolChoice) and choice.type == "function" else None
        return name is not None and name not in _names(self.declarations)

    def server(self, label: str) -> McpServer | None:
        """Return the MCP server whose calls are followed; those that the program declares by hand are not."""
        return self.tools._servers.get(label) or self._replaced_servers.get(label)

    def unknown(self, name: str | None) -> ToolOutput:
        """Return what a model is told that calls something unknown."""
        return self.tools._unknown(name)

    def is_by_hand(self, name: str, config: ResponseConfig | None, session: Session | None) -> bool:
        """Whether the program answers calls of a name itself: it has declared it by hand."""
        declared = _names(self.by_hand)
        if config is not None and not isinstance(config.tools, Unset):
            declared |= _names(config.tools)
        if session is not None and session.tools:
            declared |= _names(session.tools) - self._ours
        return name in declared

    @property
    def declarations(self) -> list[DeclaredTool]:
        """What the session is told."""
        self._ours |= {tool.name for tool in self.tools}
        by_hand = self._by_hand[-1]
        by_hand.is_repeated = True
        return _declared(by_hand.tools, self.tools)

    def declared_with(self, tools: Tools) -> list[DeclaredTool]:
        """What the session would be told of a set."""
        return _declared(self.by_hand, tools)

    def configured(self, config: SessionConfig) -> SessionConfig:
        """
        Return a configuration with the tools of the client beside its own; changes nothing.

        Raises:
            ValueError: If a name is in both.
        """
        if isinstance(config.tools, Unset):
            return config
        by_hand = list(config.tools or ())
        _check(by_hand, [tool.name for tool in self.tools], [server.label for server in self.tools.servers])
        return attrs.evolve(config, tools=_declared(by_hand, self.tools))


def _declared(by_hand: Iterable[DeclaredTool], tools: Tools) -> list[DeclaredTool]:
    return [*by_hand, *tools.declarations, *(server.declaration for server in tools.servers)]


def _check(by_hand: Iterable[DeclaredTool], names: Iterable[str], labels: Iterable[str]) -> None:
    if taken := _labels(by_hand).intersection(labels):
        raise ValueError(
            f"MCP server {min(taken)!r} is in the tools of the session's configuration, too; leave it out "
            "there"
        )
    if taken := _names(by_hand).intersection(names):
        raise ValueError(
            f"tool {min(taken)!r} is in the tools of the session's configuration, too; leave it out there"
        )


def _labels(tools: Iterable[DeclaredTool]) -> set[str]:
    return {tool.server_label for tool in tools if isinstance(tool, McpTool)}


def _names(tools: Iterable[DeclaredTool]) -> set[str]:
    return {tool.name for tool in tools if isinstance(tool, FunctionTool) and tool.name}
