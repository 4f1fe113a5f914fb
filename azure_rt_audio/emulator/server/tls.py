"""
TLS in front of the server, with one thread per connection.

``websockets`` reads and writes a connection from two threads. CPython's TLS sockets do not support that:
they lose connections and have crashed the interpreter. So, as with the real service, TLS ends at a gateway:
:class:`TlsListener` accepts, and gives the server a plain socket; a relay copies between its other end and
the encrypted one.

Threads and locks: one relay thread per connection owns both of its sockets; no locks.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any, Final

from ..._log import get_logger

__all__ = ["TlsListener"]

log: logging.Logger = get_logger(__name__)

_READ_BYTES: Final = 64 * 1024
# Bytes in flight in a relay; beyond that the sender waits, so that a stalled service stalls its client.
_BACKLOG_BYTES: Final = 256 * 1024


class TlsListener(socket.socket):
    """
    A listening socket that accepts TLS clients as plain sockets.

    Args:
        context: A server-side context.
        on_relay: Called with each relay's thread before it starts, and the client's socket; shutting that
            down ends the relay even when the client does not read.
    """

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext,
        on_relay: Callable[[threading.Thread, socket.socket], None],
    ) -> None:
        listening = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        super().__init__(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self._context = context
        self._on_relay = on_relay

    def accept(self) -> tuple[socket.socket, Any]:
        """Wait for a client; return a plain socket, whose TLS handshake goes on meanwhile."""
        client, address = super().accept()
        inside, outside = _pair()
        relay = _Relay(client, outside, self._context)
        thread = threading.Thread(target=relay.run, name="azure-rt-emulator-tls", daemon=True)
        self._on_relay(thread, client)
        thread.start()
        return inside, address


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection; :func:`socket.socketpair` has no TCP options on most systems."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outside = socket.create_connection(listener.getsockname())
        while True:
            inside, address = listener.accept()
            if address == outside.getsockname():
                return inside, outside
            inside.close()  # another client of this port


class _Relay:
    """Copies between an encrypted socket and a plain one until either ends."""

    def __init__(self, client: socket.socket, server: socket.socket, context: ssl.SSLContext) -> None:
        self._client = client
        self._server = server
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._to_client = bytearray()  # encrypted
        self._to_server = bytearray()  # plain
        self._to_encrypt = bytearray()
        self._is_open = False
        self._client_ended = False
        self._server_ended = False

    def run(self) -> None:
        """Relay; both sockets are closed at the end."""
        for end in (self._client, self._server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        with selectors.DefaultSelector() as poller, self._client, self._server:
            try:
                while not self._is_over():
                    self._move(poller)
            except ConnectionError:
                # A reset on one side becomes a reset on the other.
                with contextlib.suppress(OSError):
                    self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except ssl.SSLError:
                # The handshake failed, or a record is invalid; the alert is sent if that is still possible.
                self._to_client += self._outgoing.read()
                with contextlib.suppress(OSError):
                    self._client.send(self._to_client)
            except OSError as exc:
                log.debug("= a TLS connection was ended by the network: %s", exc)

    def _is_over(self) -> bool:
        return self._server_ended and not self._to_client

    def _move(self, poller: selectors.BaseSelector) -> None:
        """Wait until bytes can be moved, and move them."""
        wanted = {
            self._client: (
                not self._client_ended and len(self._to_server) < _BACKLOG_BYTES,
                bool(self._to_client),
            ),
            self._server: (
                not self._server_ended and len(self._to_client) < _BACKLOG_BYTES,
                bool(self._to_server),
            ),
        }
        for end, (reads, writes) in wanted.items():
            _watch(poller, end, selectors.EVENT_READ * reads | selectors.EVENT_WRITE * writes)
        for key, ready in poller.select():
            if key.fileobj is self._client:
                if ready & selectors.EVENT_READ:
                    self._read_client()
                if ready & selectors.EVENT_WRITE:
                    del self._to_client[: self._client.send(self._to_client)]
            else:
                if ready & selectors.EVENT_READ:
                    self._read_server()
                if ready & selectors.EVENT_WRITE:
                    del self._to_server[: self._server.send(self._to_server)]
        if self._client_ended and not self._to_server:
            with contextlib.suppress(OSError):
                self._server.shutdown(socket.SHUT_WR)

    def _read_client(self) -> None:
        data = self._client.recv(_READ_BYTES)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
            self._client_ended = True
        self._decrypt()
        self._encrypt()

    def _read_server(self) -> None:
        data = self._server.recv(_READ_BYTES)
        self._server_ended = not data
        self._to_encrypt += data
        self._encrypt()

    def _decrypt(self) -> None:
        try:
            if not self._is_open:
                self._tls.do_handshake()
                self._is_open = True
            while piece := self._tls.read(_READ_BYTES):
                self._to_server += piece
            self._client_ended = True  # by close_notify
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            self._client_ended = True

    def _encrypt(self) -> None:
        while self._is_open and self._to_encrypt:
            del self._to_encrypt[: self._tls.write(self._to_encrypt)]  # a record at a time
        self._to_client += self._outgoing.read()


def _watch(poller: selectors.BaseSelector, end: socket.socket, events: int) -> None:
    """Wait for *events* of *end* and no others, which may be none."""
    known = poller.get_map().get(end)
    if known is None:
        if events:
            poller.register(end, events)
    elif not events:
        poller.unregister(end)
    elif known.events != events:
        poller.modify(end, events)
