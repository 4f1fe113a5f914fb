"""
websocket-client made fast and safe: one non-blocking socket, large reads, bounded messages.

websocket-client does the opening handshake. It sees a :class:`BufferedSocket` in place of its socket, which
never blocks and has a buffer on either side: one read of the real socket serves many frames, and what
is sent is collected until the socket takes it. Frames are made and taken apart in ``frames.py``, unless a
class of the user's own wants to see them: then websocket-client's code does it, by way of ``theirs.py``.

:class:`Transport` is the seam: what the connection needs, and no more.

Threads and locks: one thread at a time, as the send_queue sees to; so no two calls of OpenSSL for one
connection ever overlap. There are no locks here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

import attrs
import websocket

from .._concurrency.deadline import Deadline
from .._net.connect_errors import failed, lost, place, refused, unusable
from .._net.dial import Target, dial
from .._net.waiting import BoundedWait, Cancelled, DeadlinePassed, Waker
from .._version import __version__
from ..errors import ConnectError, ConnectionClosedError
from ..options import WebSocketOptions
from .buffered_socket import BufferedSocket, NotUpgraded
from .custom_websocket import CustomWebSocketFrames, sees_frames
from .frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FrameReader,
    Payload,
    ProtocolFault,
    TooBig,
    build_frame,
    parse_close,
)

__all__ = ["CloseFrame", "Payload", "Target", "Transport", "Waker", "WebSocketImpl", "open_transport"]

WebSocketImpl = type[websocket.WebSocket] | Callable[..., websocket.WebSocket]
"""Makes the WebSocket that does the opening handshake."""

_USER_AGENT: Final = f"azure-rt-audio/{__version__}"

_CREDENTIAL: Final = re.compile("key|auth|token|secret|cookie|sig", re.IGNORECASE)
"""Headers that hold one, by their names."""

_MAX_PONGS: Final = 1024 * 1024
"""Bytes of unwritten answers to pings that end a connection."""
_PONG_HEAD: Final = 6
"""Bytes of header and mask."""


@attrs.frozen
class CloseFrame:
    """The peer's close frame; code 1005 if it named none."""

    code: int
    reason: str


class Transport(Protocol):
    """
    A WebSocket connection that never blocks.

    Every method may raise :class:`ConnectionClosedError`, after which only
    :meth:`send_close`, :meth:`flush` and :meth:`release` make sense.

    **Threads.** One at a time.
    """

    @property
    def where(self) -> str:
        """``host:port``, for logs and errors."""

    @property
    def unsent(self) -> int:
        """Bytes that wait for the socket to take them."""

    @property
    def is_lendable(self) -> bool:
        """Whether it may be written through on the thread that calls, one at a time."""

    @property
    def interest(self) -> int:
        """What to wait for, as :mod:`selectors` writes it."""

    @property
    def last_heard(self) -> float:
        """When bytes last arrived, by :func:`time.monotonic`."""

    def fileno(self) -> int:
        """Return the descriptor to wait on."""

    @property
    def has_more(self) -> bool:
        """Whether :meth:`fill` has more to read, although the descriptor may not say so."""

    def fill(self) -> None:
        """Read once what the socket has."""

    def receive(self) -> Payload | CloseFrame | None:
        """
        Return the next whole message that was read, or ``None`` if there is none.

        It lies in the buffer, so it is to be used up, or copied, before the next :meth:`fill`.
        """

    def send(self, payload: bytes) -> None:
        """Append a text frame to what is unsent."""

    def ping(self) -> None:
        """Append a ping to what is unsent."""

    def send_close(self, code: int, reason: str) -> None:
        """Append the close frame; whatever would follow it is dropped."""

    def flush(self) -> None:
        """Write as much of what is unsent as the socket takes."""

    def release(self) -> None:
        """Give the descriptor back; what is unsent is lost."""


def open_transport(
    target: Target,
    options: WebSocketOptions,
    deadline: Deadline,
    waker: Waker | None = None,
    websocket_impl: WebSocketImpl | None = None,
) -> Transport:
    """
    Connect and finish the opening handshake. Blocks, at most until *deadline*.

    Args:
        target: Where to, with the credential.
        options: How.
        deadline: Of the whole handshake.
        waker: Its ``interrupt`` gives the attempt up.
        websocket_impl: Makes the ``websocket.WebSocket`` to use.

    Raises:
        ConnectError: If there is no connection, whatever the reason.
    """
    own = Waker() if waker is None else None
    patience = BoundedWait(deadline, waker or cast(Waker, own))
    link: BufferedSocket | None = None
    ws: Any = None
    problem: ConnectError
    phase = "HTTP upgrade"
    try:
        _check(target)
        ws = (websocket_impl or websocket.WebSocket)(
            # UTF-8 is left to the JSON decoder: the check of websocket-client takes a millisecond per 10 KB.
            skip_utf8_validation=True,
            enable_multithread=False,
            sockopt=list(options.sockopt),
        )
        lines = _header_lines(target.headers)
        # A class that connects by a way of its own must be given the headers, and its trace may print them.
        is_theirs = type(ws).connect is not websocket.WebSocket.connect
        unseen = "" if is_theirs else "".join(f"{line}\r\n" for line in lines)
        link = BufferedSocket(dial(target.url, options, patience), patience, unseen.encode())
        ws.connect(
            target.url,
            header=lines if is_theirs else [],
            socket=link,
            suppress_origin=True,
            redirect_limit=0,  # a redirect would carry the credential to another host
        )
        if _status(ws) == 101:
            if ws.sock is not link:  # a class of the user's own that makes its own socket
                link.release()
                link = BufferedSocket(ws.sock, patience)
            link.settle()
            return WebSocketTransport(ws, link, place(target.url), options.max_message_bytes)
        if ws.sock is not link:
            ws.shutdown()
        problem = refused(target.url, _status(ws), ws.handshake_response.headers, b"")
    except NotUpgraded as exc:
        assert link is not None
        body = link.read_body(exc.headers)
        problem = refused(target.url, exc.status, exc.headers, body, secrets=_secrets(target.headers))
    except websocket.WebSocketBadStatusException as exc:  # from a class that reads its own socket
        head, body = exc.resp_headers or {}, exc.resp_body or b""
        problem = refused(target.url, exc.status_code, head, body, secrets=_secrets(target.headers))
    except DeadlinePassed:
        problem = failed(target.url, phase, None)
    except Cancelled:
        problem = ConnectError(f"The attempt to connect to {place(target.url)} was given up by this side.")
    except ConnectError as exc:
        problem = exc
    except websocket.WebSocketConnectionClosedException:
        problem = failed(target.url, phase, EOFError())
    except websocket.WebSocketException:
        if _status(ws) == 101:
            problem = failed(target.url, phase, ValueError("its answer to the upgrade is not a valid one"))
        else:  # a redirect, which some versions let pass and others refuse
            problem = refused(target.url, _status(ws), ws.handshake_response.headers, b"")
    except Exception as exc:  # noqa: BLE001 - websocket_impl is the user's code
        problem = failed(target.url, phase, exc)
    finally:
        if own is not None:
            own.close()
    # Raised out here, without a context: the frames that failed hold the request's headers.
    if link is not None:
        link.release()
    raise problem


def _status(ws: Any) -> int:
    """Return the status that websocket-client took for a success, which includes redirects."""
    response = getattr(ws, "handshake_response", None)
    return 101 if response is None else int(response.status)


def _check(target: Target) -> None:
    if not target.url.startswith(("ws://", "wss://")) or place(target.url).startswith(":"):
        raise unusable("the URL does not begin with ws:// or wss:// and a host")
    for name, value in target.headers.items():
        if not (name + value).isprintable():
            raise unusable(f"the header {name!r} holds a line break or another control character")


def _header_lines(headers: Mapping[str, str]) -> list[str]:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if "user-agent" not in {name.lower() for name in headers}:
        lines.append(f"User-Agent: {_USER_AGENT}")
    return lines


def _secrets(headers: Mapping[str, str]) -> list[str]:
    """Return what a refusal must not repeat: credentials, with and without their scheme."""
    return [
        word
        for name, value in headers.items()
        if _CREDENTIAL.search(name)
        for word in (value, value.rpartition(" ")[2])
        if len(word) > 3
    ]


class WebSocketTransport:
    """:class:`Transport` over websocket-client."""

    def __init__(self, ws: Any, link: BufferedSocket, where: str, limit: int) -> None:
        self._ws = ws
        self._link = link
        self._where = where
        self._limit = limit
        self._pong_bytes = 0  # since nothing was unsent last
        ws.sock = link
        self._theirs = CustomWebSocketFrames(ws, link, limit) if sees_frames(ws) else None
        self._next = (self._theirs or FrameReader(link.buffer, limit)).next

    @property
    def where(self) -> str:
        return self._where

    @property
    def unsent(self) -> int:
        return self._link.unsent

    @property
    def is_lendable(self) -> bool:
        if self._theirs is not None:
            return False  # the user's own class keeps to the I/O thread
        # Signal handlers run on the main thread, and Ctrl-C must not cost the connection.
        return self._link.is_atomic or threading.get_ident() != threading.main_thread().ident

    @property
    def interest(self) -> int:
        return self._link.interest

    @property
    def last_heard(self) -> float:
        return self._link.last_heard

    def fileno(self) -> int:
        return self._link.fileno()

    @property
    def has_more(self) -> bool:
        return self._link.has_more

    def fill(self) -> None:
        try:
            self._link.fill()
        except OSError as exc:
            raise lost(self._where, exc) from exc

    def receive(self) -> Payload | CloseFrame | None:
        try:
            while True:
                found = self._next()
                if found is None:
                    break
                opcode, payload = found
                if opcode <= BINARY:
                    return payload
                if opcode == CLOSE:
                    return CloseFrame(*parse_close(bytes(payload)))
                if opcode == PING:
                    self._answer(bytes(payload))
        except ProtocolFault as fault:
            raise self._broken(fault.what, fault.code) from None
        except TooBig:
            raise self._too_big() from None
        if self._link.at_eof:
            raise lost(self._where)
        return None

    def _answer(self, ping: bytes) -> None:
        if self._pong_bytes > _MAX_PONGS:
            raise ConnectionClosedError(
                f"{self._where} sends pings but does not read the answers; connect again.", close_code=1008
            )
        self._pong_bytes += len(ping) + _PONG_HEAD
        if self._theirs is None:  # else websocket-client has answered it
            self._link.send(build_frame(PONG, ping))

    def send(self, payload: bytes) -> None:
        if self._theirs is None:
            self._link.send(build_frame(TEXT, payload))
        else:
            self._ws.send(payload, TEXT)

    def ping(self) -> None:
        if self._theirs is None:
            self._link.send(build_frame(PING, b""))
        else:
            self._ws.ping()

    def send_close(self, code: int, reason: str) -> None:
        self._link.unseal()
        if self._theirs is None:
            self._link.send(build_frame(CLOSE, code.to_bytes(2, "big") + reason.encode()))
        else:
            self._ws.send_close(code, reason.encode())
        self._link.seal()

    def flush(self) -> None:
        try:
            self._link.flush()
        except OSError as exc:
            raise lost(self._where, exc) from exc
        if not self._link.unsent:
            self._pong_bytes = 0

    def release(self) -> None:
        self._link.release()

    def _broken(self, what: str, code: int) -> ConnectionClosedError:
        return ConnectionClosedError(
            f"{self._where} broke the WebSocket protocol ({what}), so the connection was ended; "
            "connect again.",
            close_code=code,
            reason=what,
        )

    def _too_big(self) -> ConnectionClosedError:
        return ConnectionClosedError(
            f"{self._where} sent a message over the limit of {self._limit} bytes, so the connection "
            "was ended; raise max_message_bytes if such messages are expected.",
            close_code=1009,
            reason="message too big",
        )
