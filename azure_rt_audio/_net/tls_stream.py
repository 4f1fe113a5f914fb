"""
TLS in memory, in front of a non-blocking socket: no record is ever half-written inside OpenSSL.

An :class:`ssl.SSLSocket` whose send has to wait keeps a half-written record inside OpenSSL. If the peer then
asks for new keys and sends any other message of the handshake protocol, such as a session ticket, OpenSSL
wants to write its answer into that record and ends the connection ("bad length", OpenSSL 1.1.1 to at least
3.0.19). Here OpenSSL writes into memory, which takes everything, and only bytes wait for the socket.

Threads and locks: one thread at a time, under the ``write_lock`` of the :class:`SendQueue`. No locks here.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Final

__all__ = ["TlsStream"]

_AT_A_TIME: Final = 256 * 1024
"""Bytes read from the socket, or encrypted, at a time."""


class TlsStream:
    """
    What a :class:`BufferedSocket` uses of a non-blocking :class:`ssl.SSLSocket`.

    **Threads.** One at a time.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, name: str) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._out = bytearray()  # encrypted, and not yet taken by the socket

    def do_handshake(self) -> None:
        """Go on with the handshake; raise what an SSLSocket would if the socket does not let it end yet."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.push()
                if self._out:
                    raise ssl.SSLWantWriteError from None
                self._pull()
            except BaseException:
                with contextlib.suppress(OSError):  # the alert that says what is wrong
                    self.push()
                raise
            else:
                self.push()
                if self._out:
                    raise ssl.SSLWantWriteError
                return

    def recv_into(self, room: memoryview) -> int:
        """Read at least a byte; 0 at the end; :class:`ssl.SSLWantReadError` if nothing is there yet."""
        while True:
            try:
                count: int = self._tls.read(len(room), room)  # type: ignore[assignment]
                return count
            except ssl.SSLWantReadError:
                self._pull()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return 0
            except ssl.SSLError:
                with contextlib.suppress(OSError):  # the alert that says what is wrong
                    self.push()
                raise

    def pending(self) -> int:
        """Bytes that can be read although the descriptor does not say so."""
        return self._tls.pending() or self._incoming.pending

    def send(self, data: bytearray) -> int:
        """Encrypt and write; return how many bytes were taken. Raises if the socket takes nothing yet."""
        self.push()
        if self._out:
            raise ssl.SSLWantWriteError
        with memoryview(data) as view, view[:_AT_A_TIME] as part:
            count = self._tls.write(part)
        self.push()
        return count

    @property
    def unsent(self) -> int:
        """Encrypted bytes that wait for the socket."""
        return len(self._out) + self._outgoing.pending

    def push(self) -> None:
        """Write what is encrypted, as far as the socket takes it."""
        if self._outgoing.pending:
            self._out += self._outgoing.read()
        with contextlib.suppress(BlockingIOError):
            while self._out:
                del self._out[: self._sock.send(self._out)]

    def _pull(self) -> None:
        try:
            data = self._sock.recv(_AT_A_TIME)
        except BlockingIOError:
            raise ssl.SSLWantReadError from None
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def unwrap(self) -> None:
        """Say that nothing more will come."""
        try:
            self._tls.unwrap()
        finally:
            self.push()

    def setblocking(self, flag: bool) -> None:
        """Do nothing: it never blocks."""

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._sock.fileno()

    def shutdown(self, how: int) -> None:
        """Shut the connection down."""
        self._sock.shutdown(how)

    def close(self) -> None:
        """Release the descriptor."""
        self._sock.close()
