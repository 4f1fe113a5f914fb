"""A set of tools, declared and called."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar, overload

from .._repr import also_half_made
from .._secret import forgets_locals, made_without_traces
from ..protocol.items import FunctionCallItem, FunctionCallOutputItem
from ..protocol.tools import FunctionTool, McpTool
from .checks import check_text
from .context import ToolContext
from .mcp_server import McpServer
from .output import ToolOutput, error_output
from .tool import Tool

__all__ = ["Tools"]

F = TypeVar("F", bound=Callable[..., Any] | McpServer | McpTool)


class _Observer(Protocol):
    """A client that has the set."""

    def check(self, names: Iterable[str], labels: Iterable[str] = ()) -> None:
        """Refuse names of functions, and labels of MCP servers, that it cannot have."""

    def on_change(self) -> None:
        """The set has changed."""


@made_without_traces
class Tools:
    """
    A set of tools for the model; see :class:`Tool` for what a function may be.

    ::

        tools = Tools()

        @tools.add
        def get_weather(city: Annotated[str, "Name of a city"]) -> str:
            "Return the current weather."
            ...

        with AzureRealTimeAudio(options, tools=tools) as client:
            print(client.ask("What is the weather in Lisbon?").text)

    Without a client that has it, a set is declared and called by hand: :attr:`declarations`, :meth:`call`.

    Its length and its iterator are those of the functions; :attr:`servers` has the MCP servers.

    Args:
        tools: Functions, :class:`Tool` objects, MCP servers (:class:`McpServer`, ``McpTool``), or other sets.

    **Threads.** Any thread may add and remove; the sessions of the clients that have the set follow, those
    that are not ready yet once they are. Nobody waits for them, but for room while the send backlog of one is
    full, at most its ``send_timeout``.
    :meth:`call` runs the function on the caller's thread.
    """

    def __init__(self, *tools: Callable[..., Any] | Tools | McpServer | McpTool) -> None:
        self._lock = threading.Lock()  # leaf; guards replacing what follows
        self._by_name: dict[str, Tool] = {}  # replaced, never changed; read bare
        self._servers: dict[str, McpServer] = {}  # by label; likewise
        self._observers: tuple[weakref.ReferenceType[_Observer], ...] = ()
        for tool in tools:
            self.update([tool])

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._by_name.values())

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @also_half_made
    def __repr__(self) -> str:
        return f"<Tools {', '.join(self._by_name) or 'none'}>"

    @overload
    def add(self, function: F, /, **options: Any) -> F: ...

    @overload
    def add(self, /, **options: Any) -> Callable[[F], F]: ...

    @forgets_locals
    def add(self, function: Any = None, /, **options: Any) -> Any:
        """
        Add a function, a :class:`Tool` or an MCP server. Works as a decorator, with options or without.

        ::

            @tools.add(errors="tell")
            def read_file(path: str) -> str: ...

        Args:
            options: As of :class:`Tool`.

        Returns:
            What was added.

        Raises:
            TypeError: If a parameter has no annotation, or one that JSON Schema cannot express; if it is
                async.
            ValueError: If there is already a tool of that name, or it cannot be one.
        """
        if function is None:
            return lambda decorated: self.add(decorated, **options)
        if isinstance(function, Tool | McpServer) and options:
            kind = type(function).__name__
            raise TypeError(f"{function!r} has its options already; give them to {kind}(...)")
        if isinstance(function, McpTool):
            self.update([McpServer(function, **options)])
        else:
            self.update([function if isinstance(function, Tool | McpServer) else Tool(function, **options)])
        return function

    @forgets_locals
    def update(self, tools: Iterable[Callable[..., Any] | Tools | McpServer | McpTool]) -> None:
        """
        Add several at once, or none of them if one is refused.

        Args:
            tools: Functions, :class:`Tool` objects, MCP servers, or other sets.

        Raises:
            TypeError: As :meth:`add`.
            ValueError: As :meth:`add`.
        """
        if not isinstance(tools, Iterable):
            raise TypeError(f"tools must be functions in a list, or Tools, not {type(tools).__name__}")
        new: list[Tool] = []
        new_servers: list[McpServer] = []
        for tool in tools:
            if isinstance(tool, Tools):
                new += tool
                new_servers += tool.servers
            elif isinstance(tool, McpServer | McpTool):
                new_servers.append(tool if isinstance(tool, McpServer) else McpServer(tool))
            else:
                new.append(tool if isinstance(tool, Tool) else Tool(tool))
        for observer in self._alive():
            observer.check([tool.name for tool in new], [server.label for server in new_servers])
        with self._lock:
            by_name, servers = dict(self._by_name), dict(self._servers)
            for tool in new:
                if tool.name in by_name:
                    raise ValueError(f"there is already a tool named {tool.name!r}; rename one of them")
                by_name[tool.name] = tool
            for server in new_servers:
                if server.label in servers:
                    raise ValueError(f"there is already an MCP server {server.label!r}; rename one of them")
                servers[server.label] = server
            self._by_name, self._servers = by_name, servers
        self._tell()

    def remove(self, name: str) -> None:
        """
        Remove a tool, or an MCP server by its label; calls of it that run go on.

        Raises:
            KeyError: If there is none of that name.
        """
        check_text("name", name)
        with self._lock:
            by_name, servers = dict(self._by_name), dict(self._servers)
            if name not in by_name and name not in servers:
                known = ", ".join((*by_name, *servers)) or "none"
                raise KeyError(f"there is no tool {name!r:.60}; known are: {known}")
            del (by_name if name in by_name else servers)[name]
            self._by_name, self._servers = by_name, servers
        self._tell()

    @property
    def declarations(self) -> list[FunctionTool]:
        """The functions, as the value for the ``tools`` of a session or a response."""
        return [tool.declaration for tool in self]

    @property
    def servers(self) -> list[McpServer]:
        """The MCP servers."""
        return list(self._servers.values())

    def call(self, call: FunctionCallItem) -> FunctionCallOutputItem:
        """
        Run the function that *call* names, on this thread. Blocks as long as the function does.

        An exception of the function, invalid arguments and an unknown name do not raise: the output is
        ``{"error": ...}``, so that the model can correct itself. Of an exception it is told no more than that
        there was one, which is logged; see ``errors`` of :class:`Tool`. Images are left out.

        Returns:
            The item to send back. A ``str`` is the output unchanged, other results are encoded as JSON.
        """
        if not isinstance(call, FunctionCallItem):
            raise TypeError(f"call must be a FunctionCallItem, not {type(call).__name__}")
        tool = self._by_name.get(call.name or "")
        if tool is None:
            output = self._unknown(call.name)
        else:
            arguments = tool._arguments(call.arguments or "")
            output = (
                arguments
                if isinstance(arguments, ToolOutput)
                else tool._run(arguments, ToolContext(call.call_id or "", tool.name))
            )
        if isinstance(output.error, KeyboardInterrupt | SystemExit):
            raise output.error
        return FunctionCallOutputItem(call_id=call.call_id or "", output=output.text)

    def _find(self, name: str | None) -> Tool | None:
        return self._by_name.get(name or "")

    def _unknown(self, name: str | None) -> ToolOutput:
        known = ", ".join(self._by_name) or "none"
        return error_output(f"there is no function {name!r}; known are {known}")

    # ------------------------------------------------------------ the clients that have it

    def _watch(self, observer: _Observer) -> None:
        """Tell *observer*, which is not kept alive, of changes."""
        with self._lock:
            alive = (one for one in self._observers if one() is not None)
            self._observers = (*alive, weakref.ref(observer))

    def _unwatch(self, observer: _Observer) -> None:
        """Tell it no more."""
        with self._lock:
            self._observers = tuple(one for one in self._observers if one() not in (observer, None))

    def _alive(self) -> list[_Observer]:
        return [alive for one in self._observers if (alive := one()) is not None]

    def _tell(self) -> None:
        failure: Exception | None = None
        for observer in self._alive():  # each is told, whatever another one raises
            try:
                observer.on_change()
            except Exception as exc:  # noqa: BLE001 - raised again
                failure = failure or exc
        try:
            if failure is not None:
                raise failure
        finally:
            del failure  # its traceback holds this frame
