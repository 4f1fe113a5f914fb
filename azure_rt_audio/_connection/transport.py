"""
websocket-client made fast and safe: one non-blocking socket, large reads, bounded messages.

websocket-client does the opening handshake, masks what we send, and reassembles and checks
what we receive. It sees a :class:`Link` in the place of its socket, which never blocks
and has a buffer on either side: one read of the real socket serves many frames, and what
websocket-client sends (our frames, its own pongs) is collected until the socket takes it.
Its frame code keeps a frame that is not complete and goes on with it at the next call.

:class:`Transport` is the seam: what the connection needs, and no more.

Threads and locks: everything here runs on one thread, the connection's I/O thread, so no two
calls of OpenSSL for one connection can ever overlap. There are no locks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

import attrs
import websocket

from .._deadline import Deadline
from ..errors import ConnectError, ConnectionClosedError
from .dial import Target, Wire, dial
from .link import Link, NotUpgraded
from .outcomes import failed, lost, place, refused, unusable
from .patience import Interrupted, Late, Patience, Waker

__all__ = ["Goodbye", "Target", "Transport", "Waker", "Wire", "open_transport"]

_CREDENTIAL: Final = re.compile("key|auth|token|secret|cookie|sig", re.IGNORECASE)
"""Headers that hold one, by their names."""

_MAX_PONGS: Final = 1024 * 1024
"""Bytes of unwritten answers to pings that end a connection."""


@attrs.frozen
class Goodbye:
    """The peer's close frame; code 1005 if it named none."""

    code: int
    reason: str


class Transport(Protocol):
    """
    A WebSocket connection that never blocks.

    Every method may raise :class:`ConnectionClosedError`, after which only
    :meth:`send_close`, :meth:`flush` and :meth:`release` make sense.

    **Threads.** One thread only.
    """

    @property
    def where(self) -> str:
        """``host:port``, for logs and errors."""

    @property
    def unsent(self) -> int:
        """Bytes that wait for the socket to take them."""

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

    def receive(self) -> bytes | Goodbye | None:
        """Return the next whole message that was read, or ``None`` if there is none."""

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


def open_transport(target: Target, wire: Wire, deadline: Deadline, waker: Waker | None = None) -> Transport:
    """
    Connect and finish the opening handshake. Blocks, at most until *deadline*.

    Args:
        target: Where to, with the credential.
        wire: How.
        deadline: Of the whole handshake.
        waker: Its ``interrupt`` gives the attempt up.

    Raises:
        ConnectError: If there is no connection, whatever the reason.
    """
    own = Waker() if waker is None else None
    patience = Patience(deadline, waker or cast(Waker, own))
    link: Link | None = None
    ws: Any = None
    problem: ConnectError
    phase = "HTTP upgrade"
    try:
        _check(target)
        ws = _make(wire)
        link = Link(dial(target.url, wire, patience), patience)
        ws.connect(
            target.url,
            header=_header_lines(target.headers, wire.user_agent),
            socket=link,
            suppress_origin=True,
            redirect_limit=0,  # a redirect would carry the credential to another host
            subprotocols=list(wire.subprotocols) or None,
        )
        if _status(ws) == 101:
            if ws.sock is not link:  # a class of the user's own that makes its own socket
                link.release()
                link = Link(ws.sock, patience)
            link.settle()
            return WebSocketTransport(ws, link, place(target.url), wire.max_message_bytes)
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
    except Late:
        problem = failed(target.url, phase, None)
    except Interrupted:
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


def _header_lines(headers: Mapping[str, str], user_agent: str | None) -> list[str]:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if user_agent and "user-agent" not in {name.lower() for name in headers}:
        lines.append(f"User-Agent: {user_agent}")
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


def _make(wire: Wire) -> websocket.WebSocket:
    make: Callable[..., websocket.WebSocket] = wire.websocket_impl or websocket.WebSocket
    # UTF-8 is left to the JSON decoder: websocket-client's check takes a millisecond per 10 KB.
    return make(
        skip_utf8_validation=True,
        enable_multithread=False,
        sockopt=list(wire.sockopt),
        sslopt=dict(wire.sslopt),
    )


class _TooBig(Exception):  # noqa: N818 - an outcome, never shown
    """A message is, or claims to be, over the limit."""


class _Frames(websocket.frame_buffer):
    """websocket-client's frame reader over a :class:`Link`: bounded before anything is taken."""

    def __init__(self, link: Link, messages: _Messages, limit: int) -> None:
        super().__init__(link.recv, True)
        self._link = link
        self._messages = messages
        self._limit = limit

    def recv_length(self) -> None:
        super().recv_length()
        fin, _, _, _, opcode, has_mask, _ = cast("tuple[int, ...]", self.header)
        length = cast(int, self.length)
        if has_mask:
            raise websocket.WebSocketProtocolException("a masked frame")
        if opcode >= 8:
            if not fin or length > 125:
                raise websocket.WebSocketProtocolException("a control frame in parts or over 125 bytes")
        elif length + self._messages.size > self._limit:
            raise _TooBig

    def recv_strict(self, bufsize: int) -> bytes:
        """Return *bufsize* bytes at once or nothing yet, instead of a list of pieces that grows."""
        if self._link.buffered >= bufsize:
            return self._link.take(bufsize)
        if self._link.at_eof:
            raise websocket.WebSocketConnectionClosedException
        raise websocket.WebSocketTimeoutException

    def recv_frame(self) -> websocket.ABNF:
        frame = super().recv_frame()
        if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
            # websocket-client answers every close frame with 1000; the connection answers in kind, and once.
            self._link.seal()
        return frame


class _Messages(websocket.continuous_frame):
    """websocket-client's reassembly, in a buffer that grows instead of a copy for each fragment."""

    def __init__(self) -> None:
        super().__init__(False, True)

    @property
    def size(self) -> int:
        """Bytes of the message so far."""
        return len(self.cont_data[1]) if self.cont_data else 0

    def add(self, frame: websocket.ABNF) -> None:
        super().add(frame)
        if not frame.fin and self.cont_data and isinstance(self.cont_data[1], bytes):
            self.cont_data[1] = bytearray(self.cont_data[1])

    def extract(self, frame: websocket.ABNF) -> tuple[int, websocket.ABNF]:
        opcode, whole = super().extract(frame)
        if isinstance(whole.data, bytearray):
            whole.data = bytes(whole.data)
        return opcode, whole


class WebSocketTransport:
    """:class:`Transport` over websocket-client."""

    def __init__(self, ws: Any, link: Link, where: str, limit: int) -> None:
        self._ws = ws
        self._link = link
        self._where = where
        self._limit = limit
        self._pong_bytes = 0  # since nothing was unsent last
        ws.sock = link
        # A class of the user's own may bring frame code of its own, which then stays.
        theirs = (websocket.frame_buffer, websocket.continuous_frame)
        if (type(ws.frame_buffer), type(ws.cont_frame)) == theirs:
            ws.cont_frame = _Messages()
            ws.frame_buffer = _Frames(link, ws.cont_frame, limit)

    @property
    def where(self) -> str:
        return self._where

    @property
    def unsent(self) -> int:
        return self._link.unsent

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

    def receive(self) -> bytes | Goodbye | None:
        if self._pong_bytes > _MAX_PONGS:
            raise ConnectionClosedError(
                f"{self._where} sends pings but does not read the answers; connect again.", close_code=1008
            )
        before = self._link.unsent
        try:
            opcode, frame = self._ws.recv_data_frame(True)
            while opcode in (websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_PONG):
                opcode, frame = self._ws.recv_data_frame(True)
        except websocket.WebSocketTimeoutException:
            return None
        except websocket.WebSocketConnectionClosedException:
            raise lost(self._where) from None
        except _TooBig:
            raise self._too_big() from None
        except websocket.WebSocketException as exc:
            raise self._broken(str(exc.args[0] if exc.args else type(exc).__name__)) from exc
        finally:
            self._pong_bytes += self._link.unsent - before
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return self._goodbye(frame.data)
        payload: bytes = frame.data
        if len(payload) > self._limit:
            raise self._too_big()
        return payload

    def send(self, payload: bytes) -> None:
        self._ws.send(payload, websocket.ABNF.OPCODE_TEXT)

    def ping(self) -> None:
        self._ws.ping()

    def send_close(self, code: int, reason: str) -> None:
        self._link.unseal()
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

    def _goodbye(self, data: bytes) -> Goodbye:
        if not data:
            return Goodbye(1005, "")
        try:
            return Goodbye(int.from_bytes(data[:2], "big"), data[2:].decode())
        except UnicodeDecodeError as exc:
            raise self._broken("a close reason that is not UTF-8", 1007) from exc

    def _broken(self, what: str, code: int = 1002) -> ConnectionClosedError:
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
