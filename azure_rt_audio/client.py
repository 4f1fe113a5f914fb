"""The client: what one conversation with the service looks like from a program."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from ._concurrency.deadline import Deadline
from ._editing import Editing
from ._listening import FROM_OPTIONS, Listening
from ._session.engine import Engine
from ._session.pending_response import DEFAULT_TIMEOUT, PendingResponse
from ._speaking import AudioInput, Speaking
from ._transport import WebSocketState
from ._typescript import TypeScriptNames
from ._wire import WebSocketImpl, wire_of
from .audio.pcm import AudioLike
from .dispatch import Dispatcher, QueueDispatcher, default_dispatcher
from .dispatch.base import Hosting
from .errors import RealtimeError
from .options import AzureRealTimeOptions, WebSocketOptions, make_options
from .protocol.base import UNSET
from .protocol.codec import build
from .protocol.commands import SessionUpdate
from .protocol.conversation import Conversation
from .protocol.events import SessionUpdated
from .protocol.items import ContentPart, MessageItem
from .protocol.responses import Response, ResponseConfig
from .protocol.session import Session, SessionConfig
from .protocol.turn import ModelStatusEnum

if TYPE_CHECKING:
    from .voice import EchoPolicy, MicrophoneLike, SpeakerLike, VoiceSession

__all__ = ["AzureRealTimeAudio"]


class AzureRealTimeAudio(Listening, Speaking, Editing, TypeScriptNames):
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

    Raises:
        ValueError: If the configuration cannot be right; names the field.

    **Threads.** Any method may be called from any thread, listeners included, several at once; what one
    thread sends goes out in the order of its calls. A wait is bounded, and ends at once when the
    connection ends, with the recorded reason, or on Ctrl-C, with ``KeyboardInterrupt``, which damages
    nothing. The thread ``azure-rt-reader-N`` receives, answers pings and sends what is queued; a single
    message is written by the thread that sends it, while the reader waits. No two are ever inside the
    socket, or OpenSSL, at once. Listeners run one at a time, in order, on ``azure-rt-events-N`` unless a
    dispatcher says otherwise. Methods called before the session is ready wait for it, at most
    ``connect_timeout`` seconds.

    **The end.** :meth:`close` returns within its timeout and a second, whatever the service, the network
    or a listener does, from any thread. An object that is dropped without it is collected and its
    connection ended, even if its own listeners refer to it; so are all when the interpreter exits. After
    a fork the child can neither use nor harm the parent's connection.

    **Liveness.** After ``ping_interval`` seconds without a byte from the service it is asked whether it
    is still there, and after ``ping_timeout`` more the connection counts as lost: whatever listeners do
    meanwhile (but for an inline dispatcher's, which hold the reader up), and even if sending has stalled.
    """

    def __init__(
        self,
        options: AzureRealTimeOptions | Mapping[str, Any],
        websocket_options: WebSocketOptions | Mapping[str, Any] | None = None,
        websocket_impl: WebSocketImpl | None = None,
        *,
        dispatcher: Dispatcher | None = None,
    ) -> None:
        self._options = make_options(AzureRealTimeOptions, options)
        ws_options = make_options(WebSocketOptions, websocket_options)
        ours = "api-key" if self._options.api_key is not None else "authorization"
        for name in ws_options.headers:
            if name.lower() == ours:
                raise ValueError(
                    f"headers[{name!r}] is sent already, with what the options hold; leave it out"
                )
        if dispatcher is not None and not isinstance(dispatcher, Dispatcher):
            raise TypeError(f"dispatcher must have submit(callback, event), not {type(dispatcher).__name__}")
        self._worker = default_dispatcher() if dispatcher is None else None  # ours to close
        where = dispatcher if self._worker is None else self._worker
        assert where is not None
        self._engine = Engine(self._options, ws_options, wire_of(ws_options, websocket_impl), where)
        self._audio_input = AudioInput(self._engine)
        if isinstance(where, Hosting):
            where.host(self)
        self._engine.start()

    def __repr__(self) -> str:
        state = self.state.name.lower()
        return f"<AzureRealTimeAudio {self._options.endpoint.authority} {self._options.wire.name}, {state}>"

    # ------------------------------------------------------------ properties

    @property
    def status(self) -> ModelStatusEnum:
        """What the model is doing. Setting it tells the listeners of ``status_changed``."""
        return self._engine.status

    @status.setter
    def status(self, status: ModelStatusEnum | str) -> None:
        self._engine.set_status(ModelStatusEnum(status))

    @property
    def is_initialized(self) -> bool:
        """Whether the session has been configured: ``init`` has happened."""
        return self._engine.ready.is_initialized

    @property
    def state(self) -> WebSocketState:
        """Where the connection is in its life."""
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

    # ------------------------------------------------------------ the session

    def update_session(self, config: SessionConfig | Mapping[str, Any]) -> Future[SessionUpdated]:
        """
        Condition the session. Does not wait.

        Args:
            config: What to change. What is not in it stays; ``None`` clears (turn detection,
                transcription, noise reduction).

        Returns:
            A future of the acknowledging event.

        Raises:
            ValueError: If a field cannot be right; names its path.
        """
        command = SessionUpdate(
            event_id=self._engine.sender.new_event_id(), session=build(SessionConfig, config, "session")
        )
        if getattr(command.session, "input_audio_format", UNSET) is not UNSET:
            self._audio_input.finish()  # what a stream holds back is in the format that ends here
        return self._engine.update_session(command, self)

    # ------------------------------------------------------------ responses

    def create_response(
        self,
        config: ResponseConfig | Mapping[str, Any] | None = None,
        *,
        if_active: Literal["wait", "raise"] = "wait",
    ) -> PendingResponse:
        """
        Ask the model to answer. Does not wait.

        The default conversation has one response at a time. If one is in progress, this one waits its
        turn in a queue. With ``conversation="none"`` it runs beside it and leaves no trace.

        Args:
            config: What to change for this response; an object or a mapping.
            if_active: ``"raise"`` to refuse instead of queueing.

        Returns:
            A handle: take its ``result()``, iterate its ``text()`` or ``audio()``, ``cancel()`` it.

        Raises:
            ValueError: If a field cannot be right; names its path.
            ResponseActiveError: If one is in progress and *if_active* is ``"raise"``.
        """
        if if_active not in ("wait", "raise"):
            raise ValueError(f'if_active must be "wait" or "raise", not {if_active!r}')
        made = None if config is None else build(ResponseConfig, config, "response")
        return self._engine.response_queue.request(
            made, may_wait=if_active == "wait", owner=self, wait=self._engine.ready.wait_to_send
        )

    def cancel_response(self, response_id: str | None = None) -> None:
        """
        Stop the response in progress, or the one named. Does not wait.

        If it has been asked for but has not begun, it is stopped when it begins. If there is none, the
        service answers with a harmless error.
        """
        self._engine.ready.wait_to_send()
        self._engine.response_queue.cancel(response_id)

    def ask(
        self,
        prompt: str | AudioLike,
        *,
        sample_rate_hz: int | None = None,
        channels: int | None = None,
        response: ResponseConfig | Mapping[str, Any] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> Response:
        """
        Say something and wait for the whole answer. Blocks.

        Args:
            prompt: Text; or a whole recording, as :meth:`append_audio` takes it, except base64.
            sample_rate_hz: The rate of a recording that is not in the session's input format.
            channels: How many are interleaved in its bytes.
            response: What to change for this response.
            timeout: Seconds; ``None`` waits as long as the connection lives.

        Returns:
            The response, whatever its status; ``.text`` is what was said.

        Raises:
            ServiceError: If the service refused.
            ConnectionClosedError: If the connection ended first.
            TimeoutError: If it took longer. The response is cancelled, as it is if you press Ctrl-C.
        """
        self._engine.sender.check_may_wait()
        deadline = Deadline(timeout)
        if isinstance(prompt, str):
            part = ContentPart(type="input_text", text=prompt)
        else:
            part = ContentPart(
                type="input_audio", audio=self._recording(prompt, sample_rate_hz, channels).decode()
            )
        created = self.create_conversation_item(MessageItem(role="user", content=[part]))
        pending = self.create_response(response)
        try:
            created.result(deadline.remaining())
            return pending.result(deadline.remaining())
        except BaseException as exc:
            # Nobody else could: the handle is ours. If the connection is over, so is the response.
            with contextlib.suppress(RealtimeError, TimeoutError):
                pending.cancel()
            if isinstance(exc, TimeoutError):  # of what had been left of the time
                raise TimeoutError(
                    f"the answer took longer than {timeout} seconds and was cancelled"
                ) from None
            raise

    # ------------------------------------------------------------ talking

    def talk(
        self,
        microphone: MicrophoneLike | None = None,
        speaker: SpeakerLike | None = None,
        *,
        echo: EchoPolicy = "gate",
        push_to_talk: bool = False,
        on_event: Callable[[Any], object] | None = None,
    ) -> VoiceSession:
        """
        Return a spoken conversation with microphone and speaker, to begin in a ``with`` statement.

        See :class:`azure_rt_audio.voice.VoiceSession`, whose arguments these are. Needs the ``audio`` extra.
        """
        from .voice import VoiceSession

        return VoiceSession(
            self, microphone, speaker, echo=echo, push_to_talk=push_to_talk, on_event=on_event
        )

    # ------------------------------------------------------------ a loop of the program's own

    def run_pending(self, timeout: float | None = 0.0) -> int:
        """
        Run the listeners of all events that wait, on this thread: once per turn of the program's own loop.

        For a client made with ``dispatcher=QueueDispatcher()``, whose own method this is.

        Args:
            timeout: Seconds to wait for a first event if there is none; ``None`` waits without limit.

        Returns:
            How many calls were made.

        Raises:
            RuntimeError: If listeners run elsewhere by themselves.
        """
        where = self._engine.dispatcher
        if not isinstance(where, QueueDispatcher):
            raise RuntimeError(
                f"the listeners of this client run by themselves, by {type(where).__name__}; "
                "to run them in a loop of yours, make it with dispatcher=QueueDispatcher()"
            )
        return where.run_pending(timeout)

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
        """Say that the answer has been played: the status becomes idle."""
        self._engine.set_status(ModelStatusEnum.IDLE)

    def close(self, timeout: float = FROM_OPTIONS) -> bool:
        """
        Say goodbye and end the threads. Idempotent; from any thread, listeners included.

        What was sent before is still delivered, and listeners still see what came before. Blocked
        callers wake with :class:`ConnectionClosedError`.

        Args:
            timeout: Seconds for all of it; left out, the options' ``close_timeout``. It returns within
                one second more, whatever the service or the network does.

        Returns:
            Whether both threads have ended; from a listener they cannot yet have.
        """
        if timeout is None or timeout == FROM_OPTIONS:
            timeout = self._engine.websocket_options.close_timeout
        timeout = min(timeout, 604800.0)  # as the options; the system's clock cannot count to infinity
        deadline = Deadline(timeout)
        has_ended = self._engine.close(timeout)
        if self._worker is None:
            return has_ended
        self._worker.close()
        if self._engine.sender.owns_this_thread():
            return False
        return self._worker.join(deadline.remaining()) and has_ended

    def __enter__(self) -> AzureRealTimeAudio:
        """Wait until ready; if it never is, close and raise why."""
        try:
            self.wait_until_ready()
        except BaseException:
            self.close(0)  # nothing was begun, and whoever pressed Ctrl-C has waited long enough
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
