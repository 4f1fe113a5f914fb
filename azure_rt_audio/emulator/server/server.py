"""
The emulator as a server: one port, both dialects, any number of clients.

Threads and locks: ``azure-rt-emulator`` accepts; ``websockets`` starts one thread per connection, which
becomes ``azure-rt-emulator-N`` and runs the connection's session, and one more that reads its socket; TLS
adds a relay, see :mod:`.tls`. Responder, recogniser and synthesiser run on the connection's thread, or return
futures, see :mod:`~..model.background`. What threads share is guarded by the leaf condition
``_changed`` of :mod:`.request_log`; it is never held across I/O or user code.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from ..._extras import importing
from ..._log import get_logger
from ..dialects.choose import DIALECTS, dialect_named
from ..dialects.profile import profile_named
from ..model.deployments import Deployments
from ..model.replies import McpServers, RecogniserFunction, ResponderFunction, SynthesiserFunction
from ..session.behaviour import Behaviour
from ..session.engine import Close, SessionEngine
from ..speech.rule_responder import default_responder
from ..speech.scripted_recogniser import recogniser_from
from ..speech.silero import SileroDetector
from ..speech.tones import synthesise
from ..speech.vad import Detector, EnergyDetector
from . import faults as fault
from .arguments import (
    check_callable,
    check_clock,
    check_count,
    check_flag,
    check_header,
    check_key,
    check_latency,
    check_mcp_tools,
    check_names,
    check_number,
    check_seconds,
    check_text,
    check_tls,
    check_tokens,
    check_whole,
)
from .clock import Clock, SystemClock
from .connection import Connection, Engine
from .handshake import Accepted, Authenticator, redacted_target
from .request_handler import RequestHandler, lower_names, redacted
from .request_log import Attempt, RequestLog
from .rest import is_rest
from .tls import TlsListener

if TYPE_CHECKING:
    import ssl

    from websockets.sync.server import Server, ServerConnection
    from websockets.typing import Subprotocol

    from ...recording import Recording
    from ..replay.comparison import Difference
    from ..replay.replayed_service import ReplayedService

__all__ = ["Emulator"]

log: logging.Logger = get_logger(__name__)

_MAX_MESSAGE_BYTES: Final = 32 * 1024 * 1024
_CLOSE_SECONDS: Final = 2.0
_REQUEST_SECONDS: Final = 5.0


def _accept(server: Server) -> None:
    try:
        server.serve_forever()
    except RuntimeError:
        # A program that ends without stopping the emulator: Python starts no more threads by then.
        if threading.main_thread().is_alive():
            raise


class Emulator(RequestLog):
    """
    The service in miniature.

    ::

        with Emulator() as service:
            with AzureRealTimeAudio(service.options()) as client:
                print(client.ask("Hello!").text)

    Args:
        api_key: The accepted key; also accepted as a bearer token.
        tokens: Further accepted bearer tokens; a mapping names for each the Unix seconds at which it expires.
        deployments: Names of all deployments, those that transcribe included; the first is the one
            :meth:`options` names. Not given, there is any whose name has "realtime" in it, and for
            transcription ``gpt-4o-transcribe`` and ``gpt-realtime-whisper``.
        host: Address to listen on; ``"0.0.0.0"`` is reached from other machines.
        port: 0 takes a free one, see :attr:`port`.
        responder: Gives the answers: ``(conversation, session)`` to a text, a :class:`Reply`, function calls,
            or a future of one; :class:`ChatModel` is one.
        recogniser: Transcribes user audio: a function of ``(pcm, session)``, a mapping from milliseconds to
            words, or a list of texts; :class:`Recogniser` is one.
        synthesiser: Speaks: ``(text, session)`` to pieces of PCM16, 24 000 Hz; :class:`Synthesiser` is one.
        mcp_tools: Functions by the label of an MCP server and the name of a tool, such as
            ``{"port": {"look_up": look_up}}``: the responder calls them like functions of the client, and the
            emulator runs them, once they are approved if the client wants to be asked. A function that
            raises fails its call; the import of the tools of any other server fails.
        detector: Makes the detector of speech for each connection: :class:`EnergyDetector`, the default, or
            :class:`SileroDetector`.
        faults: Injected faults; :attr:`faults` may be changed later too.
        ssl_context: A server-side context makes it ``wss``.
        profile: The service whose manners it has in the GA dialect: ``"azure"`` and ``"openai"`` as in
            recordings of them, ``"documented"`` as in the reference. The preview is always as documented.
        dialects: Those it serves, ``"ga"`` and ``"preview"``; the path of another is not found.
        pace: Seconds of audio sent per second. The service is faster than real time but not
            instantaneous, hence 20; 0 sends as fast as it can be made, 1 is real time.
        first_delay: Seconds before a response's first output.
        latency_ms: Delay of the network, each way, and its jitter: ``(60, 30)`` is 30 to 90 ms, in order. By
            the *clock*. Without it most races between client and service cannot happen.
        region: Sent in the ``x-ms-region`` header.
        keep_audio: Whether :meth:`received` and :meth:`sent` keep audio; it is abridged otherwise, and that
            of a conversation goes when its connection ends.
        log_limit: Commands and events kept for each connection; older ones are dropped.
        on_log: Called with a line for each command, event and fault: type and size, never audio or keys.
            Runs on the thread concerned.
        seed: Of the ids, to make them repeat from run to run, each connection's its own; ``None`` makes them
            random.
        clock: The time to go by; :class:`ManualClock` stands still until it is advanced.

    Raises:
        TypeError: An argument is of the wrong type; names it.
        ValueError: An argument has a value that cannot work; names it.

    **Threads**: every method may be called from any thread.
    """

    def __init__(
        self,
        *,
        api_key: str = "emulator-key",
        tokens: Iterable[str] | Mapping[str, float] = (),
        deployments: Iterable[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        responder: ResponderFunction | None = None,
        recogniser: RecogniserFunction | Mapping[int, str] | Iterable[str] | None = None,
        synthesiser: SynthesiserFunction | None = None,
        mcp_tools: McpServers | None = None,
        detector: Callable[[], Detector] = EnergyDetector,
        faults: fault.Faults | None = None,
        ssl_context: ssl.SSLContext | None = None,
        profile: str = "azure",
        dialects: Iterable[str] = tuple(DIALECTS),
        pace: float = 20.0,
        first_delay: float = 0.0,
        latency_ms: tuple[float, float] = (0, 0),
        region: str = "Sweden Central",
        keep_audio: bool = False,
        log_limit: int = 10_000,
        on_log: Callable[[str], None] | None = None,
        seed: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        if faults is not None and not isinstance(faults, fault.Faults):
            raise TypeError(f"faults is {faults!r}: give Faults(rule, ...), such as Faults(after(...))")
        for name, function, arguments in (
            ("responder", responder, ("conversation", "session")),
            ("recogniser", recogniser if callable(recogniser) else None, ("pcm", "session")),
            ("synthesiser", synthesiser, ("text", "session")),
            ("detector", detector, ()),
            ("on_log", on_log, ("line",)),
        ):
            check_callable(name, function, arguments)
        if mcp_tools is not None:
            check_mcp_tools(mcp_tools)
        check_whole("port", port, 0, 65535)
        check_key("api_key", api_key)
        check_text("host", host)
        check_header("region", region)
        check_number("pace", pace)
        check_seconds("first_delay", first_delay)
        check_count("log_limit", log_limit)
        check_flag("keep_audio", keep_audio)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise TypeError(f"seed is {seed!r}: give a whole number, or None")
        if clock is not None:
            check_clock(clock)
        if ssl_context is not None:
            check_tls(ssl_context)
        self.faults: fault.Faults = faults if faults is not None else fault.Faults()
        self._profile = profile_named(profile).name
        served = tuple(dialect_named(name, profile) for name in check_names("dialects", dialects))
        names = check_names("deployments", deployments) if deployments is not None else ()
        self._deployments = Deployments(names)
        self._authenticator = Authenticator(api_key, check_tokens(tokens), self._deployments, served)
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._responder = responder if responder is not None else default_responder
        self._recogniser = recogniser_from(recogniser)
        self._synthesiser = synthesiser if synthesiser is not None else synthesise
        self._mcp_tools = mcp_tools if mcp_tools is not None else {}
        self._detector = detector
        self._host = host
        self._asked_port = port
        self._ssl_context = ssl_context
        self._pace = pace
        self._first_delay = first_delay
        self._latency = check_latency(latency_ms)
        self._keep_audio = keep_audio
        self._log_limit = log_limit
        self._on_log = on_log if on_log is not None else _ignore
        self._seed = seed
        super().__init__(log_limit)
        self._replayed: ReplayedService | None = None
        self._is_strict = False
        self._dialect = served[0].name
        self._numbers = 0  # guarded by _changed
        # Sockets and threads of handshakes in progress too, which must not outlive stop().
        self._sockets: weakref.WeakSet[ServerConnection] = weakref.WeakSet()  # guarded by _changed
        self._threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()  # guarded by _changed
        self._clients: weakref.WeakSet[socket.socket] = weakref.WeakSet()  # guarded by _changed
        self._server: Server | None = None
        self._acceptor: threading.Thread | None = None
        self._shutdown_thread: threading.Thread = threading.Thread()
        self._closers: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._requests = RequestHandler(
            self._authenticator,
            self.faults,
            region,
            self._clock,
            self._stopped,
            self._note_request,
        )

    # Start and stop ------------------------------------------------------------------------------------

    def start(self) -> Emulator:
        """
        Listen and return; clients are served on threads of their own.

        Raises:
            MissingExtraError: The ``websockets`` package is not installed, or what the detector needs.
            OSError: The port is taken.
        """
        with importing("websockets.sync.server", "emulator", "the emulator"):
            from websockets.sync.server import serve
        if self._acceptor is not None:
            raise RuntimeError("this emulator was started before; make another one")
        if self._detector is SileroDetector:
            SileroDetector.import_now()
        options: dict[str, Any] = {}
        if "ping_interval" in inspect.signature(serve).parameters:
            options["ping_interval"] = None  # the connection's loop sends its own
        where: dict[str, Any] = {"host": self._host, "port": self._asked_port}
        if ":" in self._host:
            where["family"] = socket.AF_INET6
        if self._ssl_context is not None:
            where = {"sock": TlsListener(self._host, self._asked_port, self._ssl_context, self._own)}
        self._server = serve(
            self._serve,
            **where,
            process_request=self._requests.check_handshake,
            process_response=self._requests.add_headers,
            select_subprotocol=_choose_subprotocol,
            server_header=None,
            logger=_QuietLogger(log, {}),
            compression=None,
            open_timeout=5,
            close_timeout=_CLOSE_SECONDS,
            max_size=_MAX_MESSAGE_BYTES,
            create_connection=self._make_socket,  # type: ignore[arg-type]
            **options,
        )
        self._port = int(self._server.socket.getsockname()[1])
        self._acceptor = threading.Thread(
            target=_accept, args=(self._server,), name="azure-rt-emulator", daemon=True
        )
        self._acceptor.start()
        self._on_log(f"= listening on {self.host_name}")
        return self

    @staticmethod
    def replay(
        recording: Recording | str | os.PathLike[str],
        *,
        speed: float | None = None,
        is_strict: bool = True,
        **options: Any,
    ) -> Emulator:
        """
        Return an emulator that answers as it was recorded, to a client that says the same.

        ::

            with Emulator.replay("session.rta") as service:
                run_my_assistant(service.options())

        A client that says the same as the one that was recorded gets the same answers. Ids, sound and the
        time at which things are said need not be the same. Where the client differs is in
        :attr:`differences`; at the end of the ``with`` it is an ``AssertionError`` with the first one.
        Connections are replayed one after the other: an end that the service or the network made is made
        again, and a client that connects again meets the next one. A client that connects once more than was
        recorded is sent away for good.

        Args:
            recording: A file of a :class:`~azure_rt_audio.Recorder`, or what was read of one.
            speed: Seconds of the recording per second; ``None`` answers as soon as the client has said what
                comes before.
            is_strict: Whether to raise at the end of the ``with`` statement if the client differed.
            options: Of the emulator; those that make answers have no effect.

        Raises:
            RecordingError: It is no recording.
            OSError: The file cannot be read.
        """
        from ...recording import Recording
        from ..replay.replayed_service import ReplayedService

        if speed is not None:
            check_number("speed", speed, above=True)
        read = recording if isinstance(recording, Recording) else Recording.load(recording)
        replayed = ReplayedService(read, speed=speed)
        deployments = None if replayed.deployment is None else (replayed.deployment,)
        emulator = Emulator(**{"dialects": (replayed.dialect,), "deployments": deployments, **options})
        emulator._replayed, emulator._is_strict = replayed, is_strict
        replayed.on_difference = emulator._notify
        return emulator

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Where clients differ from what is replayed, by now; what has not come yet is no difference."""
        return () if self._replayed is None else self._replayed.differences

    def assert_same(self) -> None:
        """
        Check that clients said all that was recorded, and nothing else.

        Raises:
            AssertionError: One did not; names the first difference, and says how many there are.
        """
        found = [] if self._replayed is None else [*self.differences] or self._replayed.missing()
        if found:
            more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
            raise AssertionError(f"the client differs from the recording: {found[0]}{more}")

    def stop(self, timeout: float = 5.0) -> None:
        """
        Close every connection with 1001 and stop listening.

        Returns after at most about *timeout* seconds, with every thread ended; may be called from any
        thread, also more than once.
        """
        check_seconds("timeout", timeout)
        if self._server is None or self._acceptor is None:
            return
        deadline = time.monotonic() + timeout
        with self._changed:
            is_first = not self._stopped.is_set()
            self._stopped.set()
        if is_first:
            self._close_all(self._server)
        for closer in self._closers:
            _join(closer, min(deadline, time.monotonic() + _CLOSE_SECONDS))
        for connection in self.connections:
            connection.abort()
        with self._changed:
            sockets, threads = list(self._sockets), list(self._threads)
            clients = list(self._clients)
        for waiting in (*(connection.socket for connection in sockets), *clients):
            with contextlib.suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() not in threads:
            threads.append(self._shutdown_thread)
        for thread in (*threads, *(s.recv_events_thread for s in sockets), *self._closers, self._acceptor):
            _join(thread, deadline)
        self._on_log("= stopped")

    def _close_all(self, server: Server) -> None:
        """Close every connection and the listening socket, each on a thread of its own."""
        self._closers = [
            threading.Thread(target=connection.close_going_away, name="azure-rt-emulator-close", daemon=True)
            for connection in self.connections
            if connection.is_open
        ]
        # websockets' own shutdown returns at once in version 14 and waits for clients in later ones.
        self._shutdown_thread = threading.Thread(
            target=server.shutdown, name="azure-rt-emulator-stop", daemon=True
        )
        for thread in (self._shutdown_thread, *self._closers):
            thread.start()

    def __repr__(self) -> str:
        if getattr(self, "_server", None) is None:  # a refused argument's traceback shows it half made
            return "<Emulator, not started>"
        return f"<Emulator at {self.host_name}, {'stopped' if self._stopped.is_set() else 'running'}>"

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and raise how a client differs from what is replayed: it may be the cause of what failed."""
        self.stop()
        if self._is_strict and (exc_value is None or (isinstance(exc_value, Exception) and self.differences)):
            try:
                self.assert_same()
            except AssertionError as exc:
                raise exc from exc_value

    def wait(self, timeout: float | None = None) -> bool:
        """Block until :meth:`stop` is called; ``False`` when *timeout* seconds passed before."""
        return self._stopped.wait(timeout)

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise RuntimeError(
                "the emulator has not been started: use it in a with statement or call start()"
            )
        return self._port

    @property
    def host_name(self) -> str:
        """Scheme, host and port, as a client's ``host_name`` option takes them."""
        scheme, host = "ws", self._host
        if self._ssl_context is not None:
            scheme = "wss"
            if host in ("127.0.0.1", "::1"):
                host = "localhost"  # which certificates for tests name, unlike its addresses
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    def options(self, dialect: str | None = None, **options: Any) -> dict[str, Any]:
        """
        What a client needs to connect: ``host_name``, ``api_version``, ``deployment``, ``api_key``.

        Args:
            dialect: ``"ga"`` or ``"preview"``; by default the first that is served.
            options: Further options of the client, such as ``session_config``; they win.
        """
        spoken = dialect_named(self._dialect if dialect is None else dialect)
        return {
            "host_name": self.host_name,
            "api_version": spoken.api_version,
            "deployment": self._deployments.first,
            "api_key": self._authenticator.api_key,
            **options,
        }

    def url(self, dialect: str | None = None) -> str:
        """The address for a client that takes a whole one; the key is not in it."""
        spoken = dialect_named(self._dialect if dialect is None else dialect)
        return spoken.url(self.host_name, self._deployments.first)

    # Faults now ---------------------------------------------------------------------------------

    def inject(self, action: fault.Action, connection: Connection | None = None) -> None:
        """
        Perform an action now, on *connection* or on all.

        Raises:
            TypeError: It is no action, or *connection* is none.
            ValueError: It is one of handshakes, or of :func:`before`, or closes with what no close frame can
                have.
        """
        fault.check_action(action, fault.ANY_TIME, "inject()")
        if connection is not None and not isinstance(connection, Connection):
            raise TypeError(f"connection is {connection!r}: give one of connections, or None for all")
        for link in (connection,) if connection is not None else self.connections:
            if link.is_open:
                link.perform(action)

    def say(self, event: Mapping[str, Any]) -> None:
        """Send an event on every connection, as it is; ``TypeError`` if it cannot be written as JSON."""
        self.inject(fault.Say(event))

    def send_raw(self, data: str | bytes) -> None:
        """Send a message on every connection, as it is: text that is no JSON, or a binary one."""
        self.inject(fault.SendRaw(data))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Close every connection with *code*; the emulator goes on.

        Raises:
            TypeError: The code is no whole number, or the reason no string.
            ValueError: No close frame has this code, such as 1006, or the reason exceeds 123 bytes of UTF-8.
        """
        self.inject(Close(code, reason))

    def drop(self, *, is_reset: bool = False) -> None:
        """Drop every connection without a close frame, by a TCP reset if *is_reset*; the emulator goes on."""
        self.inject(fault.Drop(is_reset))

    def resume(self) -> None:
        """Undo ``StopReading``, ``IgnorePings`` and ``Silence`` on every connection."""
        for link in self.connections:
            link.resume()

    def _note_request(self, attempt: Attempt) -> None:
        self._note_attempt(attempt)
        what = "handshake" if attempt.method == "GET" else attempt.method
        self._on_log(f"= {what} {attempt.target} -> {attempt.status}")

    def _own(self, thread: threading.Thread, client: socket.socket) -> None:
        """Keep a relay that must not outlive :meth:`stop`."""
        with self._changed:
            self._threads.add(thread)
            self._clients.add(client)

    # Clients ----------------------------------------------------------------------------------

    def _make_socket(self, *args: Any, **options: Any) -> ServerConnection:
        from websockets.sync.server import ServerConnection

        client: socket.socket = args[0]
        with self._changed:
            self._threads.add(threading.current_thread())
            self._clients.add(client)
        client.settimeout(_REQUEST_SECONDS)
        if is_rest(client):
            self._requests.serve_rest(client)
            raise ConnectionAbortedError("it was no handshake")  # websockets closes the socket
        client.settimeout(None)
        self._requests.answer_unread(args[1])
        made = ServerConnection(*args, **options)
        with self._changed:
            self._sockets.add(made)
        return made

    def _serve(self, client: ServerConnection) -> None:
        """Serve an accepted client; called by websockets on the connection's thread."""
        assert client.request is not None
        accepted = self._requests.take(client)
        with self._changed:
            self._numbers += 1
            number = self._numbers
        engine = self._new_engine(accepted, number)
        if accepted.fatal is not None and isinstance(engine, SessionEngine):
            engine.refuse(accepted.fatal)
        connection = Connection(
            client,
            engine,
            self.faults,
            number=number,
            accepted=accepted,
            target=redacted_target(client.request.path),
            headers=redacted(lower_names(client.request.headers)),
            keep_audio=self._keep_audio,
            log_limit=self._log_limit,
            latency=self._latency,
            clock=self._clock,
            on_change=self._notify,
            on_log=self._on_log,
        )
        self._note_connection(connection)
        if self._stopped.is_set():
            connection.abort()
        connection.run()

    def _new_engine(self, accepted: Accepted, number: int) -> Engine:
        """Return what answers a connection."""
        if self._replayed is not None:
            return self._replayed.new_engine(number, self._clock.monotonic())
        behaviour = Behaviour(
            responder=self._responder,
            recogniser=self._recogniser,
            synthesiser=self._synthesiser,
            detector=self._detector,
            mcp_tools=self._mcp_tools,
            pace=self._pace,
            first_delay=self._first_delay,
            session_seconds=self.faults.session_seconds,
            renames_items=self.faults.renames_items,
            refuses_calls=self.faults.refuses_calls,
            writes_on=self.faults.writes_on,
            deployments=self._deployments,
            seed=None if self._seed is None else f"{self._seed}/{number}",
        )
        return SessionEngine(
            behaviour,
            dialect=accepted.dialect.name,
            profile=self._profile,
            kind=accepted.kind,
            model=accepted.model,
            now=self._clock.monotonic(),
            wall_time=self._clock.time(),
            settings=accepted.settings,
        )


class _QuietLogger(logging.LoggerAdapter):  # type: ignore[type-arg]  # not generic before Python 3.11
    """
    Lets through what websockets has to say, at DEBUG: a client that leaves in mid-handshake is no error.

    What websockets itself says at DEBUG is left out: headers, which hold the key, and texts.
    """

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # logging's name
        return level > logging.DEBUG and super().isEnabledFor(logging.DEBUG)

    def log(self, level: int, msg: object, *args: Any, **options: Any) -> None:
        if level > logging.DEBUG:
            self.logger.log(logging.DEBUG, msg, *args, **options)


def _join(thread: threading.Thread, deadline: float) -> None:
    """Wait for a thread that was started, unless it is our own."""
    if thread.ident is not None and thread is not threading.current_thread():
        thread.join(max(0.0, deadline - time.monotonic()))


def _ignore(line: str) -> None:
    """The default listener of the log."""


def _choose_subprotocol(client: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    # Browsers offer "realtime" and will not connect unless it is chosen.
    return next((name for name in offered if name == "realtime"), None)
