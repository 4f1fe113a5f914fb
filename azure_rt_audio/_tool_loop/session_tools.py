"""The tools of one client: declared to its session, and run."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

import attrs

from .._concurrency import shutdown
from .._session.engine import Engine
from ..errors import RealtimeError
from ..options import AzureRealTimeOptions
from ..protocol.base import Unset
from ..protocol.commands import SessionUpdate
from ..protocol.responses import ResponseConfig
from ..protocol.session import SessionConfig
from ..protocol.tools import McpTool
from ..tools.collection import Tools
from ..tools.context import RUNNING
from ..tools.mcp_server import McpServer
from ..tools.tool import check_choice
from .catalogue import Catalogue

if TYPE_CHECKING:
    from .loop import ToolLoop
    from .runner import Runner

__all__ = ["GivenTools", "SessionTools"]

GivenTools = Tools | Iterable[Callable[..., Any] | Tools | McpServer | McpTool]
"""What a client takes as ``tools``: functions, ``Tool`` objects, MCP servers, sets of them."""


class SessionTools:
    """
    The tools of one client. There are no threads, and no loop, before there is a tool.

    Args:
        client: Known weakly.
        options: Of the client.
        follow_up: See ``ToolLoop``.
        max_rounds: The same.

    Raises:
        ValueError: If a name is among the tools of the session's configuration as well.
    """

    def __init__(
        self,
        client: Any,
        options: AzureRealTimeOptions,
        tools: GivenTools | None,
        follow_up: Literal["auto", "never"],
        max_rounds: int,
    ) -> None:
        check_choice("follow_up", follow_up, ("auto", "never"))
        if max_rounds < 1:
            raise ValueError(f"max_tool_rounds must be at least 1, not {max_rounds!r}")
        self._client = weakref.ref(client)
        self._follow_up: Literal["auto", "never"] = follow_up
        self._max_rounds = max_rounds
        self._engine: weakref.ReferenceType[Engine] | None = None
        self._loop: ToolLoop | None = None
        self._runner: Runner | None = None
        config = options.session_config
        by_hand = config.tools if isinstance(config, SessionConfig) else None
        self._catalogue = Catalogue(_made(tools), [] if isinstance(by_hand, Unset) else by_hand or [])
        self.tools._watch(self)

    @property
    def tools(self) -> Tools:
        """The set that the client has."""
        return self._catalogue.tools

    def configured(self, options: AzureRealTimeOptions) -> AzureRealTimeOptions:
        """Return the options with what the session is told at first."""
        if self._catalogue.is_empty:
            return options
        config = attrs.evolve(options.session_config, tools=self._catalogue.declarations)
        return attrs.evolve(options, session_config=config)

    def attach(self, engine: Engine) -> None:
        """Run the calls of an engine's responses."""
        self._engine = weakref.ref(engine)
        self._make_loop()

    def _make_loop(self) -> None:
        engine = self._engine() if self._engine is not None else None
        if engine is None or self._loop is not None or self._catalogue.is_empty:
            return
        from .loop import ToolLoop
        from .runner import Runner

        self._runner = Runner()
        self._loop = engine.calls = ToolLoop(
            engine,
            self._catalogue,
            self._runner.submit,
            find_client=self._client,
            follow_up=self._follow_up,
            max_rounds=self._max_rounds,
        )
        shutdown.register(shutdown.Stage.WORKERS, self, SessionTools.stop, SessionTools.join)

    # ------------------------------------------------------------ changes

    def replace(self, tools: GivenTools) -> None:
        """Have other tools from now on; the session follows. Does not wait."""
        before, made = self.tools, _made(tools)
        self._catalogue.take(made)
        before._unwatch(self)
        made._watch(self)
        self.on_change()

    def check(self, names: Iterable[str], labels: Iterable[str] = ()) -> None:
        """Refuse names that the program declares by hand."""
        self._catalogue.check(names, labels)

    def on_change(self) -> None:
        """Tell the session of a change of the set. On a connection that is over, do nothing."""
        client = self._client()
        engine = self._engine() if self._engine is not None else None
        if engine is None or client is None:
            return
        self._make_loop()
        command = SessionUpdate(
            event_id=engine.sender.new_event_id(),
            session=SessionConfig(tools=self._catalogue.declarations),
        )
        with contextlib.suppress(RealtimeError):
            engine.configuration.update(command, client)

    def complete(self, config: SessionConfig) -> SessionConfig:
        """Return a change of the session, with the tools of the client beside those that it names."""
        return self._catalogue.configured(config) if isinstance(config, SessionConfig) else config

    # ------------------------------------------------------------ asking, and the end

    def check_may_ask(self, config: ResponseConfig | None) -> None:
        """Refuse a question in a tool of this client's."""
        running = RUNNING.get()
        is_beside = config is not None and config.conversation == "none"
        if running is not None and not is_beside and running._find_client() is self._client():
            raise RuntimeError(
                f"ask() in tool {running.name}() would come before the answer that the tool was called for; "
                "return what the model is to know, or ask beside the conversation: "
                'response={"conversation": "none"}'
            )

    def stop(self) -> None:
        """Tell the tools that run, and run no others."""
        if self._loop is not None:
            self._loop.stop()
        if self._runner is not None:
            self._runner.close()

    def join(self, timeout: float | None) -> bool:
        """Wait for the tools that run; return whether all have ended."""
        return self._runner is None or self._runner.join(timeout)


def _made(tools: GivenTools | None) -> Tools:
    if isinstance(tools, Tools):
        return tools
    if tools is None or isinstance(tools, Iterable):
        return Tools(*(tools or ()))
    raise TypeError(f"tools must be functions in a list, or Tools, not {type(tools).__name__}")
