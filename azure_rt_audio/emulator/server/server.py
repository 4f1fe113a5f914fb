"""
The emulator as a server: one port, both dialects, any number of clients.

Threads and locks: ``azure-rt-emulator`` accepts; ``websockets`` starts one thread per connection, which
becomes ``azure-rt-emulator-N`` and runs the connection's brain, and one more that reads its socket;
TLS adds a relay, see :mod:`.tls`.
Reply, ears and voice functions run on the connection's thread; a future that one returns is somebody
else's work, see :mod:`.jobs`. The only lock is the leaf condition
``_news`` of :mod:`.witness`; it is never held across I/O or user code.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import socket
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson

from ..._extras import importing
from ..session.engine import Behaviour, Close, SessionEngine
from ..session.replies import Ears, ReplyFunction, Voice, default_reply, ears_from
from ..speech.tones import synthesise
from ..speech.vad import Detector, EnergyDetector
from . import faults as fault
from .connection import Connection
from .handshake import Accepted, Authenticator, Refused, redacted_target
from .request_log import Attempt, RequestLog
from .tls import TlsListener

if TYPE_CHECKING:
    import ssl

    from websockets.http11 import Request, Response
    from websockets.sync.server import Server, ServerConnection
    from websockets.typing import Subprotocol

__all__ = ["Emulator"]

log: logging.Logger = logging.getLogger(__name__)

_SECRET_HEADERS: Final = frozenset({"api-key", "authorization", "sec-websocket-protocol", "cookie"})
_MAX_MESSAGE_BYTES: Final = 32 * 1024 * 1024
_CLOSE_SECONDS: Final = 2.0


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
            client = AzureRealTimeAudio(service.options())

    Args:
        api_key: The key that is let in; also accepted as a bearer token.
        tokens: Further bearer tokens that are let in.
        deployments: Names of deployments; the first is the one :meth:`options` names.
        port: 0 takes a free one, see :attr:`port`.
        reply: What it says, see :mod:`.replies`.
        ears: What it hears: a function, a mapping from milliseconds to words, or a list of texts.
        voice: How it sounds: ``(text, session)`` to pieces of PCM16 24 000 Hz.
        detector: Makes what tells speech from silence, for each connection: :class:`EnergyDetector`, the
            default, or :class:`SileroDetector`.
        faults: What goes wrong; :attr:`faults` may be changed later too.
        ssl_context: A server-side context makes it ``wss``.
        dialects: Those it speaks; the path of another is not found.
        pace: Seconds of audio sent per second. The service is faster than real time but not
            instantaneous, hence 20; 0 sends as fast as it can be made, 1 is real time.
        first_delay: Seconds of thinking before a response's first output.
        region: As told in the ``x-ms-region`` header.
        keep_audio: Whether :meth:`received` and :meth:`sent` keep audio; it is abridged otherwise.
        log_limit: Commands and events remembered for each connection; older ones are forgotten.
        on_log: Receives a line for everything that happens: type and size, never audio or keys. Called on
            the thread where it happens.
        seed: Makes ids repeat; ``None`` does not.

    **Threads**: every method may be called from any thread.
    """

    def __init__(
        self,
        *,
        api_key: str = "emulator-key",
        tokens: Iterable[str] = (),
        deployments: Iterable[str] = ("gpt-realtime", "gpt-realtime-mini", "gpt-4o-realtime-preview"),
        host: str = "127.0.0.1",
        port: int = 0,
        reply: ReplyFunction | None = None,
        ears: Ears | Mapping[int, str] | Iterable[str] | None = None,
        voice: Voice | None = None,
        detector: Callable[[], Detector] = EnergyDetector,
        faults: fault.Faults | None = None,
        ssl_context: ssl.SSLContext | None = None,
        dialects: Iterable[str] = ("ga", "preview"),
        pace: float = 20.0,
        first_delay: float = 0.0,
        region: str = "Sweden Central",
        keep_audio: bool = False,
        log_limit: int = 10_000,
        on_log: Callable[[str], None] | None = None,
        seed: int | None = None,
    ) -> None:
        self.faults: fault.Faults = faults if faults is not None else fault.Faults()
        self._door = Authenticator(api_key, frozenset(tokens), tuple(deployments), tuple(dialects))
        if not self._door.deployments:
            raise ValueError("deployments is empty: name at least one")
        self._reply = reply if reply is not None else default_reply
        self._ears = ears_from(ears)
        self._voice = voice if voice is not None else synthesise
        self._detector = detector
        self._host = host
        self._asked_port = port
        self._ssl_context = ssl_context
        self._pace = pace
        self._first_delay = first_delay
        self._region = region
        self._keep_audio = keep_audio
        self._log_limit = log_limit
        self._on_log = on_log if on_log is not None else _ignore
        self._seed = seed
        super().__init__(log_limit)
        self._verdicts: dict[ServerConnection, Accepted] = {}  # guarded by _news
        self._numbers = 0  # guarded by _news
        # Sockets and threads of clients still at the door, which must not outlive stop().
        self._sockets: weakref.WeakSet[ServerConnection] = weakref.WeakSet()  # guarded by _news
        self._threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()  # guarded by _news
        self._clients: weakref.WeakSet[socket.socket] = weakref.WeakSet()  # guarded by _news
        self._server: Server | None = None
        self._acceptor: threading.Thread | None = None
        self._closer: threading.Thread = threading.Thread()
        self._goodbyes: list[threading.Thread] = []
        self._stopped = threading.Event()

    # Life ------------------------------------------------------------------------------------

    def start(self) -> Emulator:
        """
        Listen and return; clients are served on threads of their own.

        Raises:
            MissingExtraError: The ``websockets`` package is not installed.
            OSError: The port is taken.
        """
        with importing("websockets.sync.server", "emulator", "the emulator"):
            from websockets.sync.server import serve
        if self._acceptor is not None:
            raise RuntimeError("this emulator was started before; make another one")
        options: dict[str, Any] = {}
        if "ping_interval" in inspect.signature(serve).parameters:
            options["ping_interval"] = None  # ours come from the connection's own loop
        where: dict[str, Any] = {"host": self._host, "port": self._asked_port}
        if ":" in self._host:
            where["family"] = socket.AF_INET6
        if self._ssl_context is not None:
            where = {"sock": TlsListener(self._host, self._asked_port, self._ssl_context, self._own)}
        self._server = serve(
            self._serve,
            **where,
            process_request=self._at_the_door,
            process_response=self._with_service_headers,
            select_subprotocol=_choose_subprotocol,
            server_header=None,
            logger=_Hushed(log, {}),
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

    def stop(self, timeout: float = 5.0) -> None:
        """
        Say goodbye to everybody (close 1001) and stop listening.

        Returns after at most about *timeout* seconds, with every thread ended; may be called from any
        thread, also more than once.
        """
        if self._server is None or self._acceptor is None:
            return
        deadline = time.monotonic() + timeout
        with self._news:
            is_first = not self._stopped.is_set()
            self._stopped.set()
        if is_first:
            self._say_goodbye(self._server)
        for goodbye in self._goodbyes:
            _join(goodbye, min(deadline, time.monotonic() + _CLOSE_SECONDS))
        for connection in self.connections:
            connection.cut()
        with self._news:
            sockets, threads = list(self._sockets), list(self._threads)
            clients = list(self._clients)
        for waiting in (*(connection.socket for connection in sockets), *clients):
            with contextlib.suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() not in threads:
            threads.append(self._closer)
        for thread in (*threads, *(s.recv_events_thread for s in sockets), *self._goodbyes, self._acceptor):
            _join(thread, deadline)
        self._on_log("= stopped")

    def _say_goodbye(self, server: Server) -> None:
        """Close every connection and the listening socket, each on a thread of its own."""
        self._goodbyes = [
            threading.Thread(target=connection.leave, name="azure-rt-emulator-goodbye", daemon=True)
            for connection in self.connections
            if connection.is_open
        ]
        # websockets' own shutdown returns at once in version 14 and waits for clients in later ones.
        self._closer = threading.Thread(target=server.shutdown, name="azure-rt-emulator-stop", daemon=True)
        for thread in (self._closer, *self._goodbyes):
            thread.start()

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

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

    def options(self, dialect: str = "ga") -> dict[str, Any]:
        """
        What a client needs to connect: ``host_name``, ``api_version``, ``deployment``, ``api_key``.

        Args:
            dialect: ``"ga"`` or ``"preview"``.
        """
        versions = {"ga": "v1", "preview": "2025-04-01-preview"}
        if dialect not in versions:
            raise ValueError(f"dialect is {dialect!r}: use 'ga' or 'preview'")
        return {
            "host_name": self.host_name,
            "api_version": versions[dialect],
            "deployment": self._door.deployments[0],
            "api_key": self._door.api_key,
        }

    def url(self, dialect: str = "ga") -> str:
        """The address for a client that takes a whole one; the key is not in it."""
        options = self.options(dialect)
        deployment = quote(options["deployment"])
        if dialect == "ga":
            return f"{self.host_name}/openai/v1/realtime?model={deployment}"
        version = options["api_version"]
        return f"{self.host_name}/openai/realtime?api-version={version}&deployment={deployment}"

    # What to do to clients --------------------------------------------------------------------

    def inject(self, action: fault.Action, connection: Connection | None = None) -> None:
        """Let a fault happen now: to *connection*, or to everybody who is connected."""
        for link in (connection,) if connection is not None else self.connections:
            if link.is_open:
                link.perform(action)

    def say(self, event: Mapping[str, Any]) -> None:
        """Send everybody an event, as it is."""
        self.inject(fault.Say(event))

    def send_raw(self, data: str | bytes) -> None:
        """Send everybody a message, as it is: text that is no JSON, or a binary one."""
        self.inject(fault.SendRaw(data))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close every connection with *code*; the service goes on."""
        self.inject(Close(code, reason))

    def drop(self, *, is_reset: bool = False) -> None:
        """Cut every connection without a close frame; the service goes on."""
        self.inject(fault.Drop(is_reset))

    def resume(self) -> None:
        """Undo ``StopReading``, ``IgnorePings`` and ``Silence`` on every connection."""
        for link in self.connections:
            link.resume()

    def _own(self, thread: threading.Thread, client: socket.socket) -> None:
        """Remember a relay that must not outlive :meth:`stop`."""
        with self._news:
            self._threads.add(thread)
            self._clients.add(client)

    # Handshakes -------------------------------------------------------------------------------

    def _make_socket(self, *args: Any, **options: Any) -> ServerConnection:
        from websockets.sync.server import ServerConnection

        made = ServerConnection(*args, **options)
        with self._news:
            self._sockets.add(made)
            self._threads.add(threading.current_thread())
        return made

    def _at_the_door(self, client: ServerConnection, request: Request) -> Response | None:
        headers = [(name.lower(), value) for name, value in request.headers.raw_items()]
        refusal: Refused | None = None
        for action in self.faults.due("handshake"):
            if isinstance(action, fault.Delay):
                self._stopped.wait(action.seconds)
            elif isinstance(action, fault.Drop):
                self._record(request, headers, 0)
                client.socket.shutdown(socket.SHUT_RDWR)
                return client.respond(503, "")
            elif isinstance(action, (fault.Refuse, fault.Redirect)):
                refusal = action.as_refused()
        verdict = refusal if refusal is not None else self._door.judge(request.path, headers)
        if isinstance(verdict, Refused):
            self._record(request, headers, verdict.status)
            return self._answer(client, verdict, dict(headers))
        self._record(request, headers, 101)
        with self._news:
            self._verdicts[client] = verdict
        return None

    def _record(self, request: Request, headers: Iterable[tuple[str, str]], status: int) -> None:
        target = redacted_target(request.path)
        self._note_attempt(Attempt(target, status, _redacted(headers)))
        self._on_log(f"= handshake {target} -> {status}")

    def _answer(self, client: ServerConnection, refused: Refused, headers: Mapping[str, str]) -> Response:
        text = orjson.dumps(refused.body).decode() if refused.body else ""
        response = client.respond(refused.status, text)
        del response.headers["Content-Type"]
        if text:
            response.headers["Content-Type"] = "application/json"
        for name, value in {**self._service_headers(headers), **refused.headers}.items():
            response.headers[name] = value
        return response

    def _with_service_headers(
        self, client: ServerConnection, request: Request, response: Response
    ) -> Response | None:
        if response.status_code == 101:
            given = {name.lower(): value for name, value in request.headers.raw_items()}
            for name, value in self._service_headers(given).items():
                response.headers[name] = value
        return None

    def _service_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        named = {"apim-request-id": str(uuid.uuid4()), "x-ms-region": self._region}
        asked = headers.get("x-ms-client-request-id")
        return {**named, "x-ms-client-request-id": asked} if asked else named

    # Clients ----------------------------------------------------------------------------------

    def _serve(self, client: ServerConnection) -> None:
        """Serve one client that came in; called by websockets on the connection's thread."""
        assert client.request is not None
        with self._news:
            accepted = self._verdicts.pop(client)
            self._numbers += 1
            number = self._numbers
        temper = Behaviour(
            reply=self._reply,
            ears=self._ears,
            voice=self._voice,
            detector=self._detector,
            pace=self._pace,
            first_delay=self._first_delay,
            session_seconds=self.faults.session_seconds,
            seed=self._seed,
        )
        brain = SessionEngine(
            temper,
            dialect=accepted.dialect,
            kind=accepted.kind,
            deployment=accepted.deployment,
            model=accepted.model,
            now=time.monotonic(),
            wall_time=time.time(),
        )
        if accepted.fatal is not None:
            brain.turn_away(accepted.fatal)
        link = Connection(
            client,
            brain,
            self.faults,
            number=number,
            accepted=accepted,
            target=redacted_target(client.request.path),
            headers=_redacted((name.lower(), value) for name, value in client.request.headers.raw_items()),
            keep_audio=self._keep_audio,
            log_limit=self._log_limit,
            on_news=self._announce,
            on_log=self._on_log,
        )
        self._note_connection(link)
        if self._stopped.is_set():
            link.cut()
        link.run()


class _Hushed(logging.LoggerAdapter):  # type: ignore[type-arg]  # not generic before Python 3.11
    """A client that leaves in the middle of its handshake is no error of the service's."""

    def log(self, level: int, msg: object, *args: Any, **options: Any) -> None:
        super().log(logging.DEBUG, msg, *args, **options)


def _join(thread: threading.Thread, deadline: float) -> None:
    """Wait for a thread that was started, unless it is our own."""
    if thread.ident is not None and thread is not threading.current_thread():
        thread.join(max(0.0, deadline - time.monotonic()))


def _ignore(line: str) -> None:
    """The default listener of the log."""


def _choose_subprotocol(client: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    # Browsers offer "realtime" and will not connect unless it is chosen.
    return next((name for name in offered if name == "realtime"), None)


def _redacted(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: "***" if name in _SECRET_HEADERS else value for name, value in headers}
