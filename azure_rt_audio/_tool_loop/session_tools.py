"""The tools of one client: declared to its session, and run."""

from __future__ import annotations

import contextlib
import functools
import logging
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from .._concurrency import shutdown
from .._concurrency.deadline import Deadline
from .._concurrency.weak_call import weakly
from .._log import get_logger
from .._session.acknowledgement import Acknowledgement
from .._session.engine import Engine
from .._session.one_by_one import OneByOne, Step
from ..errors import ConnectionClosedError, RealtimeError, ServiceError
from ..options import AzureRealTimeOptions
from ..protocol.base import UNSET, Unset
from ..protocol.commands import SessionUpdate
from ..protocol.events import ConversationItemDone, McpListToolsFailed, SessionUpdated
from ..protocol.responses import ResponseConfig
from ..protocol.session import SessionConfig
from ..protocol.tools import McpTool
from ..tools.checks import check_choice, check_count
from ..tools.collection import Tools
from ..tools.context import RUNNING
from ..tools.mcp_server import McpServer
from .catalogue import ByHand, Catalogue

if TYPE_CHECKING:
    from .loop import ToolLoop
    from .runner import Runner

__all__ = ["GivenTools", "SessionTools"]

log: logging.Logger = get_logger(__name__)

_BY_HAND: Final = (
    "session.tools are those that the program answers itself: change them with update_session(); "
    "the functions of the new assistant are the argument tools"
)
_VOICE: Final = (
    "session.voice cannot change after the model has spoken; leave it out, or make the client with "
    'reconnect=ReconnectPolicy(voice_change="swap"), which makes another session for it'
)

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
        check_count("max_tool_rounds", max_rounds)
        self._client = weakref.ref(client)
        self._follow_up: Literal["auto", "never"] = follow_up
        self._max_rounds = max_rounds
        self._engine: weakref.ReferenceType[Engine] | None = None
        self._loop: ToolLoop | None = None
        self._runner: Runner | None = None
        self._changes = OneByOne()  # so that what the session is told is what the client has
        # A change of the set and the I/O thread each write their own of these, and then look at the other's.
        self._is_open = False  # commands go out; written once, by the I/O thread
        self._is_due = False  # a change waits for that
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
        engine.on_ready = weakly(self._on_ready)
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
            runner=self._runner,
            find_client=self._client,
            follow_up=self._follow_up,
            max_rounds=self._max_rounds,
        )
        shutdown.register(shutdown.Stage.WORKERS, self, SessionTools.stop, SessionTools.join)

    # ------------------------------------------------------------ changes

    def replace(self, tools: GivenTools) -> None:
        """Have other tools from now on; the session follows. Raises, and waits, as :meth:`on_change`."""
        self._take(_made(tools))
        self.on_change()

    def _take(self, tools: Tools) -> None:
        before = self.tools
        self._catalogue.take(tools)
        before._unwatch(self)
        tools._watch(self)

    def check(self, names: Iterable[str], labels: Iterable[str] = ()) -> None:
        """Refuse names that the program declares by hand."""
        self._catalogue.check(names, labels)

    def on_change(self) -> None:
        """
        Tell the session of a change of the set: now, or before other commands when it is ready.

        Does not wait for that, but for room while the send backlog is full, as all commands do. On a
        connection that is over, do nothing.

        Raises:
            ValueError: If the service would refuse it.
        """
        self._changes.run(Step(self._declare, lambda exc: None))

    def _on_ready(self) -> None:
        """The first session is about to be ready. The I/O thread."""
        self._is_open = True
        if self._is_due:
            self._tell_again()

    def _tell_again(self) -> None:
        """Tell the session of what it was not told, or not with success. There is no caller to raise to."""
        try:
            self.on_change()
        except Exception:
            log.exception("! the session was not told of its tools")

    def _declare(self) -> None:
        client = self._client()
        engine = self._engine() if self._engine is not None else None
        if engine is None or client is None:
            return
        self._make_loop()
        command = _update(engine, SessionConfig(tools=self._catalogue.declarations))
        if not self._is_open:
            engine.sender.encode(command)  # a mistake is raised here
        self._is_due = True
        if not self._is_open and not engine.ready.is_refused:  # to a refused one, this may be the remedy
            return
        try:
            engine.configuration.update(command, client)
        except TimeoutError as exc:
            log.warning("! the session was not told of its tools: %s", exc)
        except RealtimeError as exc:
            log.debug("= the session was not told of its tools: %s", exc)

    def complete(self, config: SessionConfig) -> SessionConfig:
        """Return a change of the session, with the tools of the client beside those that it names."""
        made = self._catalogue.configured(config)
        engine = self._engine() if self._engine is not None else None
        if engine is not None:
            engine.sender.encode(SessionUpdate(session=made))  # a mistake is raised here: nothing has changed
        return made

    @contextlib.contextmanager
    def changing(self, config: SessionConfig) -> Iterator[Callable[[BaseException | None], object] | None]:
        """
        Have the tools that a change of the session names, beside those of the client, while it is sent.

        They are taken back if that fails.

        Returns:
            What is to be called with its outcome: they are taken back, too, if it is refused.
        """
        if isinstance(config.tools, Unset):
            yield None
            return
        by_hand = self._catalogue.change_by_hand(config.tools or ())
        try:
            yield weakly(self._settle, by_hand)
        except BaseException:
            self._take_back(by_hand)
            raise

    def _settle(self, by_hand: ByHand, outcome: BaseException | None) -> None:
        if isinstance(outcome, ServiceError):
            self._take_back(by_hand)
        else:
            self._catalogue.keep_by_hand(by_hand)

    def _take_back(self, by_hand: ByHand) -> None:
        if self._catalogue.take_back_by_hand(by_hand):
            self._tell_again()

    # ------------------------------------------------------------ another assistant

    def become(self, config: SessionConfig, tools: GivenTools | None) -> Future[SessionUpdated]:
        """
        Change what the assistant is, by one update of the session.

        Args:
            config: Its instructions, and what else changes.
            tools: ``None`` leaves those that it has.
        """
        client, engine = self._client(), self._engine() if self._engine is not None else None
        assert client is not None
        assert engine is not None
        made = None if tools is None else _made(tools)
        if not isinstance(config.tools, Unset):
            raise ValueError(_BY_HAND)
        checked = config
        if made is not None:
            self._catalogue.check([tool.name for tool in made], [server.label for server in made.servers])
            checked = attrs.evolve(config, tools=self._catalogue.declared_with(made))
        if engine.has_spoken_unlike(config) and not engine.swaps_for_voice:
            raise ValueError(_VOICE)
        engine.sender.encode(SessionUpdate(session=checked))  # a mistake is raised here
        future = engine.sender.new_future(client)
        change = functools.partial(self._become, engine, client, config, made, future)
        self._changes.run(Step(change, future.set_exception))
        return future

    def _become(
        self,
        engine: Engine,
        client: object,
        config: SessionConfig,
        tools: Tools | None,
        future: Acknowledgement[SessionUpdated],
    ) -> None:
        before = self.tools
        if tools is not None:
            self._take(tools)
            self._make_loop()
            config = attrs.evolve(config, tools=self._catalogue.declarations)
            if isinstance(config.tool_choice, Unset) and self._catalogue.frees_choice(engine.session):
                config = attrs.evolve(config, tool_choice="auto")
        engine.configuration.assistant += 1
        must_swap = engine.has_spoken_unlike(config)
        at_once = attrs.evolve(config, voice=UNSET) if must_swap else config
        try:
            engine.configuration.update(_update(engine, at_once), client, future)
            if must_swap:
                engine.update_session(_update(engine, SessionConfig(voice=config.voice)), client)
        except BaseException:
            self._go_back(before, tools)
            raise
        # A callback keeps the future alive: a refusal counts as told then, and this tells it.
        future.add_done_callback(functools.partial(self._on_answered, before, tools))

    def _on_answered(self, before: Tools, tools: Tools | None, future: Future[SessionUpdated]) -> None:
        error = None if future.cancelled() else future.exception(0)
        if isinstance(error, ServiceError):
            log.warning("! the assistant stays what it was: %s", error)
            self._go_back(before, tools)

    def _go_back(self, before: Tools, tools: Tools | None) -> None:
        """The session has not changed: have the tools that it knows, unless others were set since."""
        if tools is not None and self.tools is tools:
            self._take(before)

    def wait_for_lists(self, timeout: float | None) -> None:
        """Wait until the MCP servers have listed their tools, or could not; see the client."""
        client = self._client()
        assert client is not None
        deadline = Deadline(timeout)
        while True:
            kinds = (ConversationItemDone, McpListToolsFailed)
            with client.events(
                *kinds, timeout=deadline.remaining()
            ) as events:  # before the look at the lists
                labels = {server.label for server in self.tools.servers}
                missing = labels - client.conversation._mcp_settled()
                if not missing:
                    return
                try:
                    if next(events, None) is None:
                        raise ConnectionClosedError("the client was closed")
                except TimeoutError:
                    names = ", ".join(map(repr, sorted(missing)))
                    raise TimeoutError(
                        f"the tools of {names} were not listed within {timeout} seconds"
                    ) from None

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


def _update(engine: Engine, config: SessionConfig) -> SessionUpdate:
    return SessionUpdate(event_id=engine.sender.new_event_id(), session=config)


def _made(tools: GivenTools | None) -> Tools:
    if isinstance(tools, Tools):
        return tools
    if tools is None or isinstance(tools, Iterable):
        return Tools(*(tools or ()))
    raise TypeError(f"tools must be functions in a list, or Tools, not {type(tools).__name__}")
