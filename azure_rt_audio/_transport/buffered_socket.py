"""
A socket with a buffer on either side, which stands in the place of websocket-client's socket.

One read of the real socket serves many frames, and what websocket-client sends is
collected until the socket takes it.

Threads and locks: no locks here. What touches the socket is called under the ``write_lock`` of the
:class:`SendQueue`, so no two calls of OpenSSL for one connection ever overlap.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import ssl
import sys
from collections.abc import Mapping
from typing import Final

import websocket

from .._net.connect_errors import MAX_BODY
from .._net.http_head import parse_head
from .._net.tls_stream import TlsStream
from .._net.waiting import BoundedWait, Cancelled, DeadlinePassed
from .receive_buffer import ReceiveBuffer

__all__ = ["BadUpgrade", "BufferedSocket", "NotUpgraded"]

_READ_ON: Final = 256 * 1024
"""Bytes of full TLS records after which frames are served first."""
_AT_A_TIME: Final = 1024 * 1024
"""Bytes given to the socket with one call."""
_FULL_RECORD: Final = 16 * 1024
"""Bytes of payload in a TLS record at most."""
_MAX_HEAD: Final = 64 * 1024
_MOST_HEADS: Final = 16
"""Interim answers (1xx) before the final one."""
_MOST_DIGITS: Final = 18
"""Of a length that is meant: Python refuses to read 4 300."""
_NEGOTIATED: Final = ("sec-websocket-extensions", "sec-websocket-protocol")
_NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


if sys.platform == "linux":
    import fcntl
    import termios

    def _held_by_system(descriptor: int) -> int:
        """Return the bytes that were written, and the far end has not acknowledged."""
        try:
            return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        except (OSError, ValueError):  # released, or no TCP
            return 0

else:

    def _held_by_system(descriptor: int) -> int:
        """Return 0: it does not tell."""
        return 0


class NotUpgraded(Exception):  # noqa: N818 - an outcome, never shown
    """The peer answered with something else than 101. Passes through websocket-client as it is."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = headers


class BadUpgrade(websocket.WebSocketException):
    """The peer's upgrade breaks RFC 6455; says how."""


class BufferedSocket:
    """
    A non-blocking socket with a buffer on either side, in the place of websocket-client's socket.

    During the opening handshake ``recv`` and ``send`` wait, within the bounds given;
    after :meth:`settle` they never do.
    """

    def __init__(self, sock: socket.socket | TlsStream, bounds: BoundedWait, hidden: bytes = b"") -> None:
        sock.setblocking(False)
        self._sock = sock
        self._tls = sock if isinstance(sock, ssl.SSLSocket | TlsStream) else None
        self.is_atomic = self._tls is None
        """Whether no signal handler can come between a write and its being noted."""
        self._stream = sock if isinstance(sock, TlsStream) else None
        self._bounds: BoundedWait | None = bounds
        # Header lines that join the request only here: websocket-client's trace prints all that it sends.
        self._hidden = hidden
        self._head: bytes | None = None  # of the HTTP response, as websocket-client is to see it
        self._asked_for: set[str] = set()  # of _NEGOTIATED; a websocket_impl may ask for what we do not
        self.buffer = ReceiveBuffer()
        # What is to be written, and how many bytes each write took of it so far.
        self._unsent: tuple[bytearray, list[int]] = (bytearray(), [])
        self.given = 0
        """Bytes that :meth:`send` was given in all."""
        self._is_sealed = False
        self._is_in_doubt = False  # whether what is unsent has been sent
        self._read_waits_for_write = False
        self._write_waits_for_read = False
        self.at_eof = False
        self.has_more = False
        """Whether more can be read at once, although the descriptor may not say so."""

    # What websocket-client calls.

    def gettimeout(self) -> float:
        """Return 0, by which websocket-client calls ``recv`` and ``send`` without a wait of its own."""
        return 0.0

    def settimeout(self, seconds: float | None) -> None:
        """Do nothing; websocket-client does not wait by itself."""

    def recv(self, size: int) -> bytes:
        """Return up to *size* bytes; ``b""`` at the end; :class:`TimeoutError` if nothing is there yet."""
        if self._bounds is not None:
            if self._head is None:
                self._head = self._read_head()
            if self._head:
                part, self._head = self._head[:size], self._head[size:]
                return part
            while not self.buffer and not self.at_eof:
                self._await_input(self._bounds)
        if not self.buffer and not self.at_eof:
            raise TimeoutError
        return self.buffer.take(min(size, len(self.buffer)))

    def send(self, data: bytes | bytearray) -> int:
        """Append to what is unsent."""
        if not self._is_sealed:
            unsent = self._unsent[0]
            unsent += data
            self.given += len(data)
            if self._hidden:  # the request it is, and its last line is empty
                unsent[-2:-2] = self._hidden
                self._hidden = b""
            if self._bounds is not None:
                request = bytes(data).lower()
                self._asked_for.update(name for name in _NEGOTIATED if name.encode() in request)
        if self._bounds is not None:
            while self.unsent:
                self.flush()
                if self.unsent:
                    write_only = self.interest & selectors.EVENT_WRITE
                    self._bounds.wait(self._sock, write_only or selectors.EVENT_READ)
        return len(data)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._sock.fileno()

    def shutdown(self, how: int) -> None:
        """Do nothing: the I/O thread ends the connection through :meth:`release`."""

    def close(self) -> None:
        """Do nothing: a refusal's body is yet to be read, and only the owner releases."""

    # What the transport calls.

    @property
    def unsent(self) -> int:
        """Bytes that wait for the socket."""
        encrypted = 0 if self._stream is None else self._stream.unsent
        data, counts = self._unsent
        return len(data) - sum(counts) + encrypted

    @property
    def acknowledged(self) -> int:
        """
        How many of the bytes :attr:`given` the far end's system has, as far as the system here tells.

        From any thread; a write meanwhile may make it too large, never too small.
        """
        held = _held_by_system(self._sock.fileno())
        unsent = self.unsent
        return self.given - unsent - held

    @property
    def interest(self) -> int:
        """What to wait for. TLS may need to write before it can read, and the reverse."""
        if self._read_waits_for_write or (self.unsent and not self._write_waits_for_read):
            return selectors.EVENT_READ | selectors.EVENT_WRITE
        return selectors.EVENT_READ

    def settle(self) -> None:
        """End the opening handshake: from here on nothing waits."""
        self._bounds = None
        self._head = None

    def seal(self) -> None:
        """Drop what is sent from here on; nothing may follow a close frame."""
        self._is_sealed = True

    def unseal(self) -> None:
        """Take what is sent again."""
        self._is_sealed = False

    def fill(self) -> bool:
        """Read once what the socket has; return whether it had something, be it the end."""
        self.buffer.make_room()
        self._read_waits_for_write = False
        self.has_more = False
        try:
            count = self._read()
        except _NOT_NOW as exc:  # BlockingIOError also from TLS, on Python 3.13 and later
            self._read_waits_for_write = isinstance(exc, ssl.SSLWantWriteError)
            return False
        self._write_waits_for_read = False
        if not count:
            self.at_eof = True
            return True
        if self._tls is not None:
            # A full record is mostly followed by another one, and reading on is cheaper than a wait.
            until = self.buffer.end + _READ_ON
            with contextlib.suppress(OSError):  # the next call meets it again
                while count == _FULL_RECORD and self.buffer.end < until:
                    count = self._read()
            # What OpenSSL has decrypted already makes no descriptor readable.
            self.has_more = self._tls.pending() > 0
        return True

    def _read(self) -> int:
        count = self._sock.recv_into(self.buffer.room())
        self.buffer.grow(count)
        return count

    def flush(self) -> bool:
        """
        Write as much as the socket takes; return whether that was all.

        Raises:
            OSError: If it takes nothing any more, or if a thread was stopped (by an exception that another
                one raised in it, say) between a write and its being noted: the stream cannot be continued.
        """
        if self._is_in_doubt:
            raise InterruptedError(errno.EINTR, "sending was interrupted")
        data, counts = self._unsent
        try:
            while (done := sum(counts)) < len(data):
                whole = not done and len(data) <= _AT_A_TIME
                part = data if whole else data[done : done + _AT_A_TIME]
                # Writing and noting are one step for the interpreter, so that Ctrl-C does not come between;
                # over TLS they are not.
                self._is_in_doubt = not self.is_atomic
                counts.extend(map(self._sock.send, (part,)))
                self._is_in_doubt = False
            self._unsent = (bytearray(), [])
            self._write_waits_for_read = False
            if self._stream is not None:
                self._is_in_doubt = True
                self._stream.push()
                self._is_in_doubt = False
                return not self._stream.unsent
            return True
        except _NOT_NOW as exc:
            self._is_in_doubt = False
            self._write_waits_for_read = isinstance(exc, ssl.SSLWantReadError)
            if 2 * done > len(data):
                self._unsent = (data[done:], [])
            return False

    def read_body(self, headers: Mapping[str, str]) -> bytes:
        """Return the start of a refusal's body: what arrives soon, as much as it says, up to a limit."""
        assert self._bounds is not None
        bounds = self._bounds.at_most(1.0)
        length = headers.get("content-length", "")
        # Read some beyond what is kept, so that a credential cannot survive by being cut in half.
        wanted = MAX_BODY + 4096
        if length.isdecimal() and len(length) <= _MOST_DIGITS:
            wanted = min(int(length), wanted)
        # A refusal without its body is still a refusal.
        with contextlib.suppress(DeadlinePassed, Cancelled, OSError):
            while len(self.buffer) < wanted and not self.at_eof:
                self._await_input(bounds)
        return self.buffer.take(min(wanted, len(self.buffer)))

    def release(self) -> None:
        """Send the TLS close alert if that needs no wait, and release the descriptor."""
        if self._tls is not None and not self.unsent:
            # Raises in any case: the alert is out and no answer there yet, or it cannot be sent.
            with contextlib.suppress(OSError, ValueError):
                self._tls.unwrap()
        with contextlib.suppress(OSError):  # the peer was first
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _await_input(self, bounds: BoundedWait) -> None:
        while not self.fill():
            bounds.wait(self._sock, self.interest)

    def _read_head(self) -> bytes:
        """
        Read the head of the HTTP response and return it for websocket-client to check.

        Done here because websocket-client takes a redirect for a success, reads a body only
        if it has a length, and then all of it; and because it knows no interim answers (RFC 9110, 15.2),
        and accepts extensions and subprotocols that nobody asked for (RFC 6455, 4.1).
        """
        for _ in range(_MOST_HEADS):
            raw, status, headers = self._read_one_head()
            if status == 101 or not 100 <= status < 200:
                break
        if status != 101:
            raise NotUpgraded(status, headers)
        for name in _NEGOTIATED:
            if headers.get(name) and name not in self._asked_for:
                raise BadUpgrade(f"its answer to the upgrade has {name.title()}, which was not asked for")
        # Cookies would end up in a jar that all connections of the process share.
        lines = (line for line in raw.split(b"\r\n") if not line.lower().startswith(b"set-cookie:"))
        return b"\r\n".join(lines)

    def _read_one_head(self) -> tuple[bytes, int, dict[str, str]]:
        assert self._bounds is not None
        buffer = self.buffer
        while (end := buffer.data.find(b"\r\n\r\n", buffer.begin, buffer.end)) < 0:
            if len(buffer) > _MAX_HEAD:
                raise websocket.WebSocketException("no end of the headers")
            if self.at_eof:
                raise websocket.WebSocketConnectionClosedException("no whole response")
            self._await_input(self._bounds)
        raw = buffer.take(end + 4 - buffer.begin)
        try:
            status, headers = parse_head(raw[:-4])
        except ValueError:
            raise websocket.WebSocketException("not an HTTP response") from None
        return raw, status, headers
