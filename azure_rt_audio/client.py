"""The client: a conversation with the service, as a program uses it."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from ._concurrency.deadline import Deadline, check_timeout
from ._event_methods import EventMethods
from ._guard import Guard, GuardFunction, check_guard
from ._log import get_logger
from ._not_pickled import NotPickled
from ._recorder import Record, Recorder, make_recorder
from ._repr import also_half_made
from ._secret import forgets_locals
from ._session.engine import Engine
from ._session.pending_response import DEFAULT_TIMEOUT, PendingResponse
from ._session.recital import recital
from ._session.waiter import Answers, about, item_added
from ._tool_loop.session_tools import GivenTools, SessionTools
from ._transport import WebSocketImpl, WebSocketState
from ._typescript import TypeScriptNames
from .audio.channels import Channel
from .audio.pcm import FILE_REMEDY, AudioLike, names_sound_file
from .dispatch import Dispatcher, QueueDispatcher, default_dispatcher
from .dispatch.base import Hosting, check_dispatcher
from .errors import RealtimeError
from .options import AzureRealTimeOptions, ReconnectPolicy, WebSocketOptions, make_options
from .protocol.base import UNSET
from .protocol.codec import build, build_item
from .protocol.commands import (
    Command,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    SessionUpdate,
)
from .protocol.conversation import Conversation
from .protocol.event_filter import event_filter
from .protocol.events import (
    ConversationItemAdded,
    ConversationItemDeleted,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    SessionUpdated,
)
from .protocol.events.local import Reconnected
from .protocol.history import history_from
from .protocol.items import ContentPart, ConversationItem, McpListedTool, MessageItem
from .protocol.responses import Response, ResponseConfig
from .protocol.session import Session, SessionConfig
from .protocol.turn import ModelStatusEnum
from .tools import Tools

if TYPE_CHECKING:
    from .voice import EchoPolicy, MicrophoneLike, SpeakerLike, VoiceSession

__all__ = ["AzureRealTimeAudio"]

_RECORDER_SECONDS: Final = 0.5
"""How long the end of a recording may take, at least, after everything else has ended."""

log: logging.Logger = get_logger(__name__)

_DEFAULT_POLICY: Final = ReconnectPolicy()
_NOT_PICKLED: Final = NotPickled(
    "a client can be neither pickled nor deep-copied: its connection is this process's. Make one where it is "
    "used, with history=client.conversation.to_dict() if it is to go on with what was said"
)

FROM_OPTIONS: Final = -1.0
"""Stands for the time-out of the options where ``None`` means no limit."""


class AzureRealTimeAudio(EventMethods, TypeScriptNames):
    """
    A conversation with the Azure OpenAI Realtime API.

    Constructing it connects, in the background. ``with AzureRealTimeAudio(...) as client:`` waits until
    the session is ready, and closes it at the end::

        with AzureRealTimeAudio(AzureRealTimeOptions.from_env()) as client:
            print(client.ask("What is the tallest tree?").text)

    Args:
        options: :class:`AzureRealTimeOptions`, or a mapping with its names in snake_case or camelCase.
        websocket_options: :class:`WebSocketOptions`, or a mapping.
        websocket_impl: A ``websocket.WebSocket`` class, or a function that returns such an object.
        dispatcher: Where listeners run; ``None`` for a worker thread of this client's own, which in a
            notebook is a :class:`~azure_rt_audio.dispatch.NotebookDispatcher`.
        record: A file to record everything into, such as ``"session.rta"``; or the arguments of a
            :class:`Recorder` as a mapping, such as ``{"path": "session.rta", "redact": "texts"}``.
        tools: Functions for the model to call, in a list, or :class:`Tools`. They are declared to the
            session, beside the ``tools`` of its configuration, which the program answers itself; run, on
            up to eight threads ``azure-rt-tool-N``; and their results are sent.
        follow_up: ``"never"`` leaves it to the program to ask for the answer to results.
        max_tool_rounds: How often tools are called for one answer; then it is given without.
        guard: Called with the text of each answer as it grows, what is spoken by its transcript, on a
            thread ``azure-rt-guard-N.M``. It returns why the answer is to be stopped, or ``None``. One that
            raises, or has not returned after 30 seconds, stops it as well. See ``docs/how-to/guard.md``.
        reconnect: What to do when the connection is lost or about to end: a :class:`ReconnectPolicy` or a
            mapping. ``None`` ends the session with its connection.
        history: A conversation to begin with: what ``client.conversation.to_dict()`` or ``to_json()`` of
            another client returned, or a list of ``(role, text)`` pairs. It is restored as after a loss: the
            newest; ``client.conversation`` has all of it, and says in ``lost`` what the model does not know.

    Raises:
        ValueError: If the configuration cannot be right; names the field.
        OSError: If the file of *record* cannot be made, or exists already.
        ConnectError: If the process is out of file descriptors.

    **Threads.** Any method may be called from any thread, listeners included, several at once; what one
    thread sends goes out in the order of its calls. A wait is bounded, and ends at once when the
    connection ends, with the recorded reason, or on Ctrl-C, with ``KeyboardInterrupt``, which damages
    nothing. The I/O thread ``azure-rt-reader-N`` receives, answers pings and writes what is queued; a
    single message, before which nothing waits, is written by the thread that sends it. No two are ever inside
    the socket, or OpenSSL, at once. Listeners run one at a time, in order, on ``azure-rt-events-N`` unless a
    dispatcher says otherwise. Methods called before the session is ready wait for it, at most
    ``connect_timeout`` seconds, however many attempts that takes (``retry_first``).

    **The end.** :meth:`close` returns within its timeout and a second, whatever the service, the network
    or a listener does, from any thread. An object that is dropped without it is collected and its
    connection ended, even if its own listeners refer to it; so are all when the interpreter exits. After
    a fork the child can neither use nor harm the parent's connection.

    **Liveness.** After ``ping_interval`` seconds without a byte from the service the client sends a
    ping, and after ``ping_timeout`` more the connection counts as lost: whatever listeners do
    meanwhile (except those of an inline dispatcher, which block the I/O thread), and even if sending has
    stalled.
    """

    @forgets_locals
    def __init__(
        self,
        options: AzureRealTimeOptions | Mapping[str, Any],
        websocket_options: WebSocketOptions | Mapping[str, Any] | None = None,
        websocket_impl: WebSocketImpl | None = None,
        *,
        dispatcher: Dispatcher | None = None,
        record: Record | None = None,
        tools: GivenTools | None = None,
        follow_up: Literal["auto", "never"] = "auto",
        max_tool_rounds: int = 8,
        guard: GuardFunction | None = None,
        reconnect: ReconnectPolicy | Mapping[str, Any] | None = _DEFAULT_POLICY,
        history: Mapping[str, Any] | Sequence[Any] | str | None = None,
    ) -> None:
        self._not_pickled = _NOT_PICKLED
        self._options = make_options(AzureRealTimeOptions, options, "options")
        ws_options = make_options(WebSocketOptions, websocket_options, "websocket_options")
        ours = "api-key" if self._options.api_key is not None else "authorization"
        for name in ws_options.headers:
            if name.lower() == ours:
                raise ValueError(
                    f"headers[{name!r}] is sent already, with what the options hold; leave it out"
                )
        if dispatcher is not None:
            check_dispatcher(dispatcher)
        self._worker = default_dispatcher() if dispatcher is None else None  # ours to close
        where = dispatcher if self._worker is None else self._worker
        assert where is not None
        if guard is not None:
            check_guard(guard)
        self._tools = SessionTools(self, self._options, tools, follow_up, max_tool_rounds)
        wanted: object = reconnect
        if wanted is False:
            raise TypeError(
                "reconnect must be ReconnectPolicy or a mapping, not bool; None for no reconnection"
            )
        policy = None if reconnect is None else make_options(ReconnectPolicy, reconnect, "reconnect")
        if policy is not None and _is_ephemeral(self._options, ws_options):
            log.warning("! an ephemeral key (ek_) opens one connection: the session ends with it")
            policy = None
        kept = None if history is None else history_from(history)
        configured = self._tools.configured(self._options)
        self._engine = Engine(configured, ws_options, websocket_impl, where, policy=policy, history=kept)
        self._tools.attach(self._engine)
        self._guard = None if guard is None else Guard(self._engine, guard)
        self._engine.guard = self._guard
        self._recorder: Recorder | None = None
        try:
            if record is not None:
                self._recorder = make_recorder(self, record)
            if isinstance(where, Hosting):
                where.host(self)
            self._engine.start()
        except BaseException:  # with Ctrl-C nobody ever gets this object to close it
            self._engine.attempts.note_closing()
            if self._worker is not None:
                self._worker.close()
            if self._recorder is not None:
                self._recorder.close()
            raise

    def __dir__(self) -> list[str]:
        """Leave out the names of the TypeScript SDK, which work but are not offered."""
        return [name for name in super().__dir__() if name not in vars(TypeScriptNames) or name[0] == "_"]

    @also_half_made
    def __repr__(self) -> str:
        state = self.state.name.lower()
        dialect = self._options.resolved_dialect.name
        return f"<AzureRealTimeAudio {self._options.endpoint.authority} {dialect}, {state}>"

    # ------------------------------------------------------------ properties

    @property
    def status(self) -> ModelStatusEnum:
        """
        What the model is doing. Setting it tells the listeners of ``status_changed``.

        It is thinking, not idle, while tools of the client work, and until the answer to their results
        begins.
        """
        return self._engine.status.now

    @status.setter
    def status(self, status: ModelStatusEnum | str) -> None:
        self._engine.set_status(ModelStatusEnum(status))

    @property
    def is_initialized(self) -> bool:
        """Whether the session has been configured: ``init`` has happened."""
        return self._engine.attempts.has_been_ready

    @property
    def state(self) -> WebSocketState:
        """Where the connection is in its life; ``CONNECTING`` again while it is made anew."""
        return self._engine.connection.state

    @property
    def session(self) -> Session | None:
        """The session in force, as the service last described it."""
        return self._engine.session

    @property
    def conversation(self) -> Conversation:
        """The mirror of the conversation: its items in order, with their texts."""
        return self._engine.conversation

    @property
    def options(self) -> AzureRealTimeOptions:
        """What this client was made with."""
        return self._options

    @property
    def tools(self) -> Tools:
        """
        The functions that the model may call. Add and remove, or set others: the session follows.

        A session that is not ready yet is told once it is; nobody waits for that.
        """
        return self._tools.tools

    @tools.setter
    @forgets_locals
    def tools(self, tools: GivenTools) -> None:
        self._tools.replace(tools)

    @property
    def send_lag_s(self) -> float:
        """
        Seconds that the oldest sound or command has waited that the far end does not have; 0 if it has all.

        An age, not a length: a minute of sound that was appended at once is 0.1 s old after 0.1 s.
        ``unsent_bytes`` of a :class:`~azure_rt_audio.SendLag` says how much waits.

        For speech that is sent as it is spoken: how far the service's ear is behind; on a good line a few
        hundredths. The far end may be a proxy. Outside of Linux, what the system has taken counts as there.
        See :class:`~azure_rt_audio.SendLag`, and ``lag`` of the WebSocket's options.
        """
        return self._engine.connection.send_lag_s

    @property
    def recorder(self) -> Recorder | None:
        """What *record* made; ``None`` without it."""
        return self._recorder

    # ------------------------------------------------------------ listening

    def off(self, event: str | type[Any], listener: Callable[[Any], object] | None = None) -> None:
        """
        Remove a listener of an event, or all of them. What is not there is no error.

        Name the event as :meth:`on` was told: an exception's class is not ``"error"``.
        """
        self._engine.listeners.remove(event_filter(event), listener)

    def off_all(self) -> None:
        """Remove every listener."""
        self._engine.listeners.clear()

    # ------------------------------------------------------------ waiting

    def wait_until_ready(self, timeout: float | None = FROM_OPTIONS) -> None:
        """
        Wait until the session has been configured. Blocks.

        Args:
            timeout: Seconds; left out, the options' ``connect_timeout``, or, with ``retry_first``, until the
                client gives up; ``None`` has no limit.

        Raises:
            ConnectError: If the connection could not be made; says why and what to do.
            ConnectionClosedError: If it is over.
            ServiceError: If the service refused the configuration.
            TimeoutError: If it took longer.
        """
        check_timeout(timeout)
        is_given = timeout != FROM_OPTIONS
        self._engine.wait_until_ready(Deadline(timeout, self._engine.sender.clock) if is_given else None)

    def wait_for_mcp_tools(self, timeout: float | None = 30.0) -> dict[str, list[McpListedTool]]:
        """
        Wait until the MCP servers among :attr:`tools` have listed their tools, or could not. Blocks.

        An answer that is asked for before is given without them.

        Args:
            timeout: Seconds; ``None`` has no limit.

        Returns:
            The tools by the label of the server, as ``conversation.mcp_tools``. A server that could not list
            them has no entry (use ``.get(label, [])``), and listeners of ``"error"`` are told.

        Raises:
            ConnectionClosedError: If the connection is over.
            TimeoutError: If it took longer.
        """
        check_timeout(timeout)
        self._engine.connection.check_ours()
        self._tools.wait_for_lists(timeout)
        return self.conversation.mcp_tools

    def reconnect(self) -> Future[Reconnected]:
        """
        Go over to another connection at the next quiet moment, while the present one works. Does not wait.

        The conversation goes on, see ``docs/how-to/reconnecting.md``. Without a connection it changes
        nothing: one is being made already, and the future is that of it.

        Returns:
            A future of the event that says what was restored. It fails with the error if the other connection
            is refused for good, or until the limits of the policy; the session goes on then as it is. A
            time-out of ``result`` says what is waited for.

        Raises:
            RuntimeError: The client was made with ``reconnect=None``.
            ConnectionClosedError: If the session is over.
        """
        return self._engine.reconnect(self)

    # ------------------------------------------------------------ the session

    @forgets_locals  # tools of a server hold tokens
    def update_session(self, config: SessionConfig | Mapping[str, Any]) -> Future[SessionUpdated]:
        """
        Condition the session. Does not wait.

        Args:
            config: What to change. What is not in it stays; ``None`` clears (turn detection,
                transcription, noise reduction). Its ``tools`` stand beside those of the client; if they are
                refused, those before them do.

        Returns:
            A future of the acknowledging event.

        Raises:
            ValueError: If a field cannot be right; names its path.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        change = build(SessionConfig, config, "session")
        made = self._tools.complete(change)
        command = SessionUpdate(event_id=self._engine.sender.new_event_id(), session=made)
        if getattr(command.session, "input_audio_format", UNSET) is not UNSET:
            self._engine.audio_input.finish()  # the rest of a stream is in the format that ends here
        with self._tools.changing(change) as on_settled:
            return self._engine.update_session(command, self, on_settled)

    @forgets_locals
    def become(
        self,
        instructions: str | None = None,
        *,
        tools: GivenTools | None = None,
        session: SessionConfig | Mapping[str, Any] | None = None,
    ) -> Future[SessionUpdated]:
        """
        Go on as another assistant: a handoff. Does not wait.

        The conversation is kept. From a tool the answer to its result is the new assistant's already; so is
        every response that is asked for later. One in progress goes on as it began, and what it calls is
        still run, by the tools that it knows. Tools that run go on, and their results are told to the
        new assistant. A new connection begins as the new assistant. ::

            def to_billing() -> str:
                "Hand the customer over to billing."
                client.become("You answer questions about bills.", tools=[find_bill])
                return "You are billing now. Greet the customer."

        Args:
            instructions: Of the new assistant; ``None`` leaves those of the one before.
            tools: The functions that it has in place of those of the client; ``[]`` for none, ``None``
                leaves them. The ``tools`` of the session's configuration stay.
            session: What else changes, as :meth:`update_session` takes it. A voice cannot change after the
                model has spoken, unless the :class:`ReconnectPolicy` has ``voice_change="swap"``: then it
                does at the next quiet moment, and all else at once.

        Returns:
            A future of the acknowledging event. If it fails with a :class:`ServiceError`, which is logged as
            well, the assistant is the one before.

        Raises:
            ValueError: If a field cannot be right, a name is among the tools of the session's
                configuration, or the voice cannot change.
            TypeError: If a tool cannot be declared.
            ConnectionClosedError: If the session is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        made = build(SessionConfig, {} if session is None else session, "session")
        if instructions is not None:
            said = build(SessionConfig, {"instructions": instructions}, "session")
            made = attrs.evolve(made, instructions=said.instructions)
        if getattr(made, "input_audio_format", UNSET) is not UNSET:
            self._engine.audio_input.finish()  # as in update_session
        return self._tools.become(made, tools)

    # ------------------------------------------------------------ audio

    def append_audio(
        self,
        audio: str | AudioLike,
        sample_rate_hz: int | None = None,
        channels: int | None = None,
        channel: Channel = "mix",
    ) -> None:
        """
        Add audio to the service's input buffer. Blocks only while the send backlog is full.

        ::

            client.append_audio(bytes(9600))  # 200 ms of silence, PCM16

        Left alone, *audio* is in the session's input format. With *sample_rate_hz* it is the next chunk
        of a stream, as from a microphone, which is converted: channels are averaged, the rate changed
        without a click between chunks, G.711 encoded if the session has it. The filter lags by up to 80 ms.
        What it holds back is sent by :meth:`commit_audio`, or before audio of another rate or of none:
        ``append_audio(b"")`` ends a stream and does nothing else. It is forgotten by
        :meth:`clear_audio_buffer` and by ``close``. If the service commits by itself, the stream goes on.

        Args:
            audio: Base64 text; or bytes; or an array of int16 or of float32 in [-1, 1] with the shape
                (frames,) or (frames, channels). Bytes are ``"pcm16"``: int16, little-endian, mono,
                24 000 Hz, where 100 ms are 2 400 frames, 4 800 bytes; in a G.711 session without a
                *sample_rate_hz* they are G.711, and there is no array. More than the service takes at
                a time (15 MiB) is sent in several pieces.
            sample_rate_hz: The rate of *audio*, from 1 000 to 768 000 Hz, always in PCM16. Bytes may then
                end in mid-frame; the rest is expected at the beginning of the next chunk.
            channels: How many are interleaved in bytes, 1 to 8; an array says so itself.
            channel: ``"mix"`` averages them; ``"left"`` and ``"right"`` take the first and the second.
                Channels that cancel each other out in the mix are told by a
                :class:`~azure_rt_audio.audio.SoundWarning`.

        Raises:
            ValueError: If it is not audio: bad base64, an odd number of bytes, a shape that no audio has.
            TypeError: If it is no audio at all.
            MissingExtraError: If the rate is not the session's, and the ``audio`` extra is not installed.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        self._engine.audio_input.append(audio, sample_rate_hz, channels, channel)

    def commit_audio(self) -> Future[InputAudioBufferCommitted]:
        """
        Make a user message of the input buffer, which needs 100 ms of audio. Does not wait.

        With server VAD the service commits by itself. A commit does not ask for a response.

        Returns:
            A future of the acknowledging event; fails with a :class:`ServiceError` if it is refused.

        Raises:
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """

        def wait() -> None:
            self._engine.sender.wait_to_send()
            self._engine.audio_input.finish()

        return self._engine.sender.acknowledged(
            InputAudioBufferCommit(event_id=self._engine.sender.new_event_id()),
            self,
            ((InputAudioBufferCommitted, None),),
            wait=wait,
            kind="commit",
            codes=frozenset(("input_audio_buffer_commit_empty",)),
        )

    def clear_audio_buffer(self) -> Future[InputAudioBufferCleared]:
        """
        Empty the input buffer. Does not wait.

        Returns:
            A future of the acknowledging event.

        Raises:
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """

        def wait() -> None:
            self._engine.sender.wait_to_send()
            self._engine.audio_input.drop()

        return self._engine.sender.acknowledged(
            InputAudioBufferClear(event_id=self._engine.sender.new_event_id()),
            self,
            ((InputAudioBufferCleared, None),),
            wait=wait,
            kind="clear",
        )

    def send_audio_file(
        self,
        path: str | os.PathLike[str],
        realtime: bool = False,
        progress: Callable[[float, float], object] | None = None,
        channel: Channel = "mix",
    ) -> None:
        """
        Add an audio file to the service's input buffer, block by block. Blocks until all of it is sent.

        While a lost connection is made anew it waits for the next one, until the client gives up
        (``max_seconds`` of the policy).

        Any kind that :func:`~azure_rt_audio.audio.read_audio` reads, at any rate, of any length: it is
        never in memory as a whole. Neither a commit nor silence follows. With Ctrl-C, or a *progress* that
        raises, it stops between two blocks, and the client is as good as before.

        Args:
            realtime: Send as fast as it is spoken, as a microphone would; otherwise as fast as the
                connection takes it.
            progress: Called on this thread after each block of 100 ms, with the seconds sent and the
                seconds in all. The latter is the file's own account; of MP3 it may be an estimate.
            channel: Of a file with several: their mean, ``"left"`` or ``"right"``.

        Raises:
            ValueError: If the file is empty, damaged, cut short, several recordings in one, or no audio;
                names it and a remedy. What came before the damage has been sent.
            OSError: If the file cannot be read.
            MissingExtraError: If the ``audio`` extra is needed and not installed.
            ConnectionClosedError: If the connection is over.
            ConnectError: If it was lost, and no other one could be made.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
            RuntimeError: On the I/O thread, where nothing may block.
        """
        self._engine.audio_input.send_file(path, realtime, progress, channel)

    # ------------------------------------------------------------ items

    def create_conversation_item(
        self, item: ConversationItem | Mapping[str, Any], previous_item_id: str | None = None
    ) -> Future[ConversationItemAdded]:
        """
        Add an item to the conversation. Does not wait.

        Args:
            item: A message, a function call or its output; an object or a mapping. It is given an
                ``id`` if it has none, by which the acknowledgement is recognised.
            previous_item_id: Put it after this one; ``None`` at the end.

        Returns:
            A future of the acknowledging event.

        Raises:
            ValueError: If a field cannot be right; names its path.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        made = build_item(item, "item")
        is_id_new = made.id is None
        if is_id_new:
            made = attrs.evolve(made, id=self._engine.sender.new_item_id())
        command = ConversationItemCreate(
            event_id=self._engine.sender.new_event_id(), item=made, previous_item_id=previous_item_id
        )
        self._engine.conversation._note_sent(made)
        return self._acknowledged(
            command,
            item_added(made.id, is_id_new=is_id_new),
            codes=(
                "invalid_tool_call_id",
                "item_create_duplicate_item_id",
                "item_create_invalid_previous_item_id",
            ),
            params=("item", "previous_item_id"),
            ids=(made.id, getattr(made, "call_id", None), previous_item_id),
        )

    def delete_item(self, item_id: str) -> Future[ConversationItemDeleted]:
        """
        Remove an item. Does not wait.

        Returns:
            A future of the acknowledging event.

        Raises:
            ValueError: If *item_id* is empty.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        return self._acknowledged(
            ConversationItemDelete(event_id=self._engine.sender.new_event_id(), item_id=item_id),
            about(ConversationItemDeleted, item_id),
            codes=("item_delete_invalid_item_id",),
        )

    def truncate_item(
        self, item_id: str, content_index: int, audio_end_ms: int
    ) -> Future[ConversationItemTruncated]:
        """
        Cut a spoken message of the assistant at what the user heard. Does not wait.

        Args:
            content_index: Which part; 0.
            audio_end_ms: Milliseconds from the start of the item's audio; not beyond its end.

        Returns:
            A future of the acknowledging event.

        Raises:
            ValueError: If *item_id* is empty, or *audio_end_ms* is below 0.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        restored = self._engine.restored_items
        if restored.has(item_id):
            future: Future[Any] = self._engine.sender.new_future(self)
            restored.truncate(item_id, audio_end_ms, future)
            return future
        return self._acknowledged(
            ConversationItemTruncate(
                event_id=self._engine.sender.new_event_id(),
                item_id=item_id,
                content_index=content_index,
                audio_end_ms=audio_end_ms,
            ),
            about(ConversationItemTruncated, item_id),
            codes=("item_truncate_invalid_item_id", "unsupported_content_type"),
            params=("audio_end_ms", "content_index"),
        )

    def retrieve_item(self, item_id: str) -> Future[ConversationItemRetrieved]:
        """
        Ask for an item as the service has it, audio included. Does not wait.

        Returns:
            A future of the event that has it.

        Raises:
            ValueError: If *item_id* is empty.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        return self._acknowledged(
            ConversationItemRetrieve(event_id=self._engine.sender.new_event_id(), item_id=item_id),
            about(ConversationItemRetrieved, item_id),
            codes=("item_retrieve_invalid_item_id",),
        )

    def _acknowledged(
        self,
        command: Command,
        answers: Answers,
        *,
        codes: tuple[str, ...] = (),
        params: tuple[str, ...] = (),
        ids: tuple[str | None, ...] = (),
    ) -> Future[Any]:
        return self._engine.sender.acknowledged(
            command,
            self,
            answers,
            wait=self._engine.sender.wait_to_send,
            codes=frozenset(codes),
            params=params,
            ids=frozenset(name for name in ids if name),
        )

    # ------------------------------------------------------------ responses

    @forgets_locals
    def create_response(
        self,
        config: ResponseConfig | Mapping[str, Any] | None = None,
        *,
        if_active: Literal["wait", "raise"] = "wait",
        superseded: Literal["wait", "drop"] = "wait",
    ) -> PendingResponse:
        """
        Ask the model to answer. Does not wait.

        ::

            pending = client.create_response({"instructions": "Greet the user."})
            print(pending.result(timeout=20).text)

        The default conversation has one response at a time. If one is in progress, this one waits its
        turn in a queue; so it does while the user speaks, and until that turn is answered. With
        ``conversation="none"`` it runs beside it and leaves no trace.

        Args:
            config: What to change for this response; an object or a mapping.
            if_active: ``"raise"`` to refuse instead of queueing.
            superseded: ``"drop"`` if it is not wanted any more when the user's own turn was answered while
                it waited; it fails with :class:`ResponseSupersededError` then. ``"wait"`` sends it after.

        Returns:
            A handle: take its ``result()``, iterate its ``text()`` or ``audio()``, ``cancel()`` it.

        Raises:
            ValueError: If a field cannot be right; names its path.
            ResponseActiveError: If it would have to wait, as one is in progress or it is the user's turn, and
                *if_active* is ``"raise"``; says which.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        if if_active not in ("wait", "raise"):
            raise ValueError(f'if_active must be "wait" or "raise", not {if_active!r}')
        if superseded not in ("wait", "drop"):
            raise ValueError(f'superseded must be "wait" or "drop", not {superseded!r}')
        made = None if config is None else build(ResponseConfig, config, "response")
        return self._engine.response_queue.request(
            made,
            may_wait=if_active == "wait",
            owner=self,
            wait=self._engine.sender.wait_to_send,
            superseded=superseded,
        )

    def say(self, text: str, *, superseded: Literal["wait", "drop"] = "wait") -> PendingResponse:
        """
        Have the model say a text, such as a greeting. Does not wait.

        ::

            with AzureRealTimeAudio(options) as client, client.talk() as voice:
                client.say("Hello! How can I help you?")
                voice.wait()

        It is said in its turn, as any response: not over another answer, nor while the user speaks, who may
        interrupt it. It is part of the conversation, and calls no tools. The words are asked of the model by
        instruction: it keeps to them as well as it follows those. To have it said at once, stop the answer
        first: :meth:`cancel_response`, or ``interrupt()`` of the voice session.

        Args:
            text: What to say, in any language.
            superseded: As that of :meth:`create_response`.

        Returns:
            A handle, as that of :meth:`create_response`.

        Raises:
            TypeError: If *text* is no text.
            ValueError: If it is empty.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        if superseded not in ("wait", "drop"):
            raise ValueError(f'superseded must be "wait" or "drop", not {superseded!r}')
        return self._engine.response_queue.request(
            recital(text),
            may_wait=True,
            owner=self,
            wait=self._engine.sender.wait_to_send,
            superseded=superseded,
            is_recital=True,
        )

    def cancel_response(self, response_id: str | None = None) -> None:
        """
        Stop the response in progress, or the one named. Does not wait.

        If it has been asked for but has not begun, it is stopped when it begins. If there is none, the
        service answers with a harmless error.

        Raises:
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        self._engine.sender.wait_to_send()
        self._engine.response_queue.canceller.cancel(response_id)

    @forgets_locals
    def ask(
        self,
        prompt: str | AudioLike,
        *,
        sample_rate_hz: int | None = None,
        channels: int | None = None,
        channel: Channel = "mix",
        response: ResponseConfig | Mapping[str, Any] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        check: bool = True,
    ) -> Response:
        """
        Send text or a recording and wait for the whole answer. Blocks.

        Question and request are one unit: of several threads that ask, each gets the answer to its own
        question. They are sent in their turn, when no response is in progress and the user does not speak.
        With ``conversation="none"`` they are sent at once; then the question stays, the answer does not. If
        the model calls tools of the client, the answer to their results is returned. ::

            print(client.ask("How tall is it?", timeout=20).text)

        Args:
            prompt: Text; or a whole recording, as :meth:`append_audio` takes it, except base64. A file's is
                ``read_audio(path)``, with ``sample_rate_hz=24_000`` if the session's input format is G.711.
            sample_rate_hz: The rate of a recording that is not in the session's input format: it is PCM16
                then, or an array, and is converted. Without it the bytes are sent as they are.
            channels: How many are interleaved in its bytes.
            channel: What becomes of them, as for :meth:`append_audio`.
            response: What to change for this response.
            timeout: Seconds; ``None`` waits as long as the connection lives.
            check: ``False`` returns a response that failed as well.

        Returns:
            The response; ``.text`` is what was said. One that was cut short, by the content filter or the
            limit of tokens, or cancelled has the reason as ``.error``.
            ``.steps`` has the calls of tools and their outputs.

        Raises:
            ValueError: If *prompt* is empty, the path of a sound file, or the content of one; if *timeout* is
                below 0.
            TypeError: If it is neither text nor sound.
            ServiceError: If the response failed, or the service refused the request.
            ResponseLostError: If the service fell silent about it.
            ConnectionClosedError: If the connection ended first.
            TimeoutError: If it took longer, from the call on, whatever it waited for. The response is
                cancelled, as it is if you press Ctrl-C.
            RuntimeError: In a tool of this client, unless it is asked beside the conversation.
        """
        self._engine.sender.check_may_wait()
        deadline = Deadline(timeout, self._engine.sender.clock)
        if timeout is not None and timeout < 0:
            raise ValueError(f"timeout is {timeout}: give the seconds that the answer may take, or None")
        if isinstance(prompt, str):
            if not prompt.strip():
                raise ValueError("prompt is empty: there is nothing to ask")
            if names_sound_file(prompt) and os.path.isfile(prompt):
                raise ValueError(f"{prompt!r} is a sound file, and its name would be sent: {FILE_REMEDY}")
            part = ContentPart(type="input_text", text=prompt)
        else:
            if prompt is None or isinstance(prompt, int | float | list | tuple | dict | set):
                kind = "None" if prompt is None else type(prompt).__name__
                raise TypeError(f"prompt must be text, or sound as append_audio() takes it, not {kind}")
            sound = self._engine.audio_input.recording(prompt, sample_rate_hz, channels, channel)
            if not sound:
                raise ValueError("prompt is empty: there is no sound in it")
            self._engine.transcription.on_recording()
            part = ContentPart(type="input_audio", audio=sound.decode())
        made = None if response is None else build(ResponseConfig, response, "response")
        self._tools.check_may_ask(made)
        pending = self._engine.questions.ask(MessageItem(role="user", content=[part]), made, self, deadline)
        pending._ends_with_wait = True
        try:
            return pending.result(deadline.remaining(), check=check)
        except BaseException as exc:
            # The caller has no handle to cancel it. If the connection is over, so is the response.
            with contextlib.suppress(RealtimeError, TimeoutError):
                pending.cancel()
            if isinstance(exc, TimeoutError):  # of the time that was left
                raise TimeoutError(
                    f"the answer took longer than {timeout} seconds and was cancelled"
                ) from None
            raise

    @forgets_locals
    def send(self, event: Mapping[str, Any] | Command) -> None:
        """
        Send an event of your own making. Waits only until the session is ready.

        For events without a method here. A mapping is sent untranslated, in the words of the service's
        documentation; a command object of :mod:`azure_rt_audio.protocol.commands` in the dialect's shape.
        Only the type is checked, and an ``event_id`` is added if there is none, to a
        ``conversation.item.create`` an id of the item too; *event* itself is left as it is. Answers and
        errors reach listeners, ``wait_for`` and ``events``.

        What a ``session.update`` asks for, once acknowledged, is asked of the session of each later
        connection. Commands that the service acknowledges, and a ``response.create``, are sent again, once,
        on another connection if they were not answered on the one that was lost. Sound that is appended this
        way is kept for it like that of :meth:`append_audio`. Events of other types are not sent again: what
        was on its way is lost with the connection.

        A ``response.create`` in the conversation waits its turn like :meth:`create_response`, and later
        requests wait for it; with ``"conversation": "none"`` it is sent at once. Audio that follows a
        ``session.update`` is taken for the input format that it asks for. A held-back end of a converted
        stream is not sent before a raw commit; use :meth:`commit_audio`.

        Raises:
            TypeError: If it is no object, or holds something that JSON cannot express.
            ValueError: If it has no ``type``.
            ConnectionClosedError: If the connection is over.
            TimeoutError: If the session did not become ready, or the backlog stayed full.
        """
        self._engine.raw_commands.send(event)

    # ------------------------------------------------------------ talking

    def talk(
        self,
        microphone: MicrophoneLike | None = None,
        speaker: SpeakerLike | None = None,
        *,
        echo: EchoPolicy = "gate",
        push_to_talk: bool = False,
        on_event: Callable[[Any], object] | None = None,
        record: Record | None = None,
    ) -> VoiceSession:
        """
        Return a spoken conversation with microphone and speaker, to begin in a ``with`` statement.

        See :class:`azure_rt_audio.voice.VoiceSession`, whose arguments these are. Needs the ``audio`` extra.

        Args:
            record: As that of the client, to record from now to the end of the spoken conversation.
        """
        from .voice import VoiceSession

        self._engine.connection.check_ours()
        voice = VoiceSession(
            self, microphone, speaker, echo=echo, push_to_talk=push_to_talk, on_event=on_event
        )
        if record is not None:
            voice._recorder = make_recorder(self, record)
        return voice

    # ------------------------------------------------------------ a loop of the program's own

    def run_pending(self, timeout: float | None = 0.0) -> int:
        """
        Run the listeners of all events that wait, on this thread: once per turn of the program's own loop.

        For a client made with ``dispatcher=QueueDispatcher()``, whose own method this is.

        Args:
            timeout: Seconds to wait for a first event if there is none; ``None`` waits until there is one. A
                wait also ends with the session. When that is over already, a limited one takes its time, as
                before: it may be what paces the loop.

        Returns:
            How many calls were made.

        Raises:
            ConnectionClosedError, ConnectError: With ``None``, if nothing waits and nothing will come: the
                session is over, for this reason.
            RuntimeError: If listeners run elsewhere by themselves.
        """
        where = self._engine.dispatcher
        self._engine.connection.check_ours()
        if not isinstance(where, QueueDispatcher):
            raise RuntimeError(
                f"the listeners of this client run by themselves, by {type(where).__name__}; "
                "to run them in a loop of yours, make it with dispatcher=QueueDispatcher()"
            )
        engine, is_endless = self._engine, timeout is None or timeout == math.inf
        if timeout == 0 or (engine.outcome is not None and not is_endless):
            return where.run_pending(timeout)
        with engine.waiters.told_of_end() if is_endless else contextlib.nullcontext():
            done = where._run(timeout, lambda: engine.outcome is not None)
        if is_endless and not done and engine.outcome is not None:
            raise engine.outcome.again()
        return done

    # ------------------------------------------------------------ in a notebook

    def display(self) -> None:
        """
        Show the conversation in the notebook's cell that runs, live. Does not wait.

        A status light, the level of the answer, how soon it came, what both sides say, a button that
        stops the answer and one that closes the client. There is one view of a client; it moves to the cell
        that asks last, and leaves its last picture behind.

        Raises:
            MissingExtraError: The ``jupyter`` extra is not installed.
            RuntimeError: This is no notebook.
        """
        from ._notebook import show

        show(self)

    # ------------------------------------------------------------ the end

    def set_model_speak_done(self) -> None:
        """Set the status to idle: the answer has been played."""
        self._engine.set_status(ModelStatusEnum.IDLE)

    def close(self, timeout: float = FROM_OPTIONS) -> bool:
        """
        Close the connection and end the threads. Idempotent; from any thread, listeners included.

        What was sent before is still delivered, and listeners still see what came before. Blocked
        callers wake with :class:`ConnectionClosedError`. A signal's handler, which may strike in the middle
        of a call, raises an exception instead of this: ``docs/explanation/threads.md``.

        Args:
            timeout: Seconds for all of it; left out, the options' ``close_timeout``. It returns within
                one second more, whatever the service or the network does.

        Returns:
            Whether both threads and those of tools and the guard have ended, and the recording, if there is
            one, was written, all of it: else :attr:`recorder` has the ``error``. From a listener they cannot
            yet have, and a tool may run on.
        """
        check_timeout(timeout)
        if timeout is None or timeout == FROM_OPTIONS:
            timeout = self._engine.websocket_options.close_timeout
        timeout = min(timeout, 604800.0)  # as the options; the system's clock cannot count to infinity
        deadline = Deadline(timeout)
        self._tools.stop()
        if self._guard is not None:
            self._guard.stop()
        has_ended = self._engine.close(timeout)
        if self._worker is not None:
            self._worker.close()
            if self._engine.sender.owns_this_thread():
                has_ended = False  # nobody waits for itself
            else:
                has_ended = self._worker.join(deadline.remaining()) and has_ended
        have_tools_ended = self._tools.join(deadline.remaining())
        if self._guard is not None:
            have_tools_ended = self._guard.join(deadline.remaining()) and have_tools_ended
        if self._recorder is None:
            return has_ended and have_tools_ended
        if not has_ended:  # what is still to come is recorded
            self._recorder._close_with_connection()
            return False
        return self._recorder.close(max(_RECORDER_SECONDS, deadline.remaining() or 0.0)) and have_tools_ended

    def __enter__(self) -> AzureRealTimeAudio:
        """Wait until ready; if it never is, close and raise why."""
        try:
            self.wait_until_ready()
        except BaseException:
            self.close(0)  # nothing was begun, and Ctrl-C must not have to wait
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _is_ephemeral(options: AzureRealTimeOptions, websocket_options: WebSocketOptions) -> bool:
    """Whether the client proves itself with a key that the service takes once."""
    keys = (options.api_key, *websocket_options.headers.values())
    shown = [key.reveal() for key in keys if key is not None]
    return options.credential is None and any(key.removeprefix("Bearer ").startswith("ek_") for key in shown)
