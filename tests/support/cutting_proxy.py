"""
A network between a client and a service: it takes time, and it fails where a test says.

The proxy knows where WebSocket messages end. To know that of an encrypted connection too it decrypts it: TLS
ends here, and the service behind it is a plain one.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import random
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

__all__ = ["Cut", "CuttingProxy", "MessageCounter"]

Direction = Literal["up", "down"]


@dataclass(frozen=True)
class Cut:
    """
    Where and how a connection fails.

    Attributes:
        how: ``"reset"`` by TCP, ``"end"`` of the stream, ``"silence"``: nothing arrives any more in either
            direction; anything else is left to the proxy's *on_cut*, and bytes go on meanwhile.
        direction: ``"up"`` is from the client to the service.
        position: After how many messages, or bytes, of that direction have arrived.
        unit: ``"message"``, or ``"byte"`` behind the HTTP head.
    """

    how: str
    direction: Direction
    position: int
    unit: Literal["message", "byte"] = "message"


class MessageCounter:
    """Finds where messages end in a stream of WebSocket frames that begins with an HTTP head."""

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self._head = b""
        self._is_http = True
        self._left = 0
        self._is_last = False

    def steps(self, data: bytes) -> Iterator[int]:
        """Go through data, and stop behind each message; yields the position there."""
        position = 0
        while position < len(data):
            if self._is_http:
                self._head += data[position : position + 1]
                position += 1
                if self._head.endswith(b"\r\n\r\n"):
                    self._head, self._is_http = b"", False
                continue
            if not self._left:
                self._head += data[position : position + 1]
                position += 1
                self.bytes += 1
                if not self._read_header():
                    continue
            step = min(self._left, len(data) - position)
            self._left -= step
            self.bytes += step
            position += step
            if not self._left and self._is_last:
                self.messages += 1
                yield position

    def _read_header(self) -> bool:
        """Take the length from the header, once it is complete."""
        head = self._head
        if len(head) < 2:
            return False
        short = head[1] & 0x7F
        extended = {126: 2, 127: 8}.get(short, 0)
        mask = 4 if head[1] & 0x80 else 0
        if len(head) < 2 + extended + mask:
            return False
        self._left = int.from_bytes(head[2 : 2 + extended], "big") if extended else short
        self._is_last = bool(head[0] & 0x80) and head[0] & 0x0F < 8
        self._head = b""
        return True


class _Socket:
    """A socket without waits, encrypted or not."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.unsent = bytearray()
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context and context.wrap_bio(self._arrived, self._leaving, server_side=True)
        self._is_shaken = context is None

    def read(self) -> bytes | None:
        """Return what has come; ``None`` at the end of the stream."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if self._tls is None:
            return data or None
        if not data:
            return None
        self._arrived.write(data)
        found = b""
        try:
            if not self._is_shaken:
                self._tls.do_handshake()
                self._is_shaken = True
            while piece := self._tls.read(65536):
                found += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # the client ends its side, or refuses the certificate
            return None
        finally:
            self.unsent += self._leaving.read()
            self.flush()
        return found

    def write(self, data: bytes, *, is_torn: bool = False) -> None:
        """Send all that can be sent now; of a torn record the first half."""
        if self._tls is not None and data:
            with contextlib.suppress(ssl.SSLError):  # the peer has ended its side
                self._tls.write(data)
            data = self._leaving.read()
            data = data[: len(data) // 2] if is_torn else data
        self.unsent += data
        self.flush()

    def flush(self) -> None:
        """Send what waits; a peer that has gone is noticed when reading."""
        with contextlib.suppress(OSError):
            while self.unsent:
                del self.unsent[: self.socket.send(self.unsent)]

    def end(self, *, is_reset: bool) -> None:
        """Release the socket."""
        with contextlib.suppress(OSError):
            if is_reset:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class _Link:
    """One connection of a client, and the one to the service that belongs to it."""

    def __init__(self, number: int, client: _Socket, service: _Socket, cut: Cut | None) -> None:
        self.number = number
        self.ends = {"up": (client, service), "down": (service, client)}
        self.counters = {"up": MessageCounter(), "down": MessageCounter()}
        self.last_due = {"up": 0.0, "down": 0.0}
        self.cut = cut
        self.is_silent = False
        self.is_over = False


class CuttingProxy:
    """
    Passes on the bytes of each connection, in order, after 60 ± 30 ms each way.

    Args:
        port: Of the service, on this machine.
        cuts: Of the first connection, the second and so on; those beyond are whole.
        on_cut: Called with each other way to fail and the number of the connection, on a thread of its own.
        ssl_context: A server-side context: clients speak TLS.
        seed: Of the delays.

    Attributes:
        happened: The cuts that were made.
        links: Connections so far.
    """

    def __init__(
        self,
        port: int,
        *cuts: Cut | None,
        on_cut: Callable[[str, int], None] = lambda how, number: None,
        ssl_context: ssl.SSLContext | None = None,
        delay: float = 0.06,
        jitter: float = 0.03,
        seed: int = 0,
    ) -> None:
        self._to = port
        self._cuts = cuts
        self._on_cut = on_cut
        self._context = ssl_context
        self._delays = (delay - jitter, delay + jitter)
        self._chance = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.happened: list[Cut] = []
        self.links: list[_Link] = []
        self._selector = selectors.DefaultSelector()
        self._numbers = itertools.count()
        self._flights: list[tuple[float, int, _Link, Direction, bytes | None]] = []
        self._asked: list[str] = []
        self._wake_end, self._woken = socket.socketpair()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="cutting-proxy", daemon=True)
        self._helpers: list[threading.Thread] = []

    def __enter__(self) -> CuttingProxy:
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_stopped = True
        self._wake_end.send(b"!")
        self._thread.join(5)
        for sock in (self._wake_end, self._woken):  # here: the thread may end before it is woken
            sock.close()
        for helper in self._helpers:
            helper.join(5)

    def cut_now(self, how: str = "reset") -> None:
        """Cut all connections; any thread."""
        self._asked.append(how)
        self._wake_end.send(b"!")

    @property
    def boundaries(self) -> dict[str, int]:
        """How many messages of the first connection have arrived, by direction."""
        return {direction: counter.messages for direction, counter in self.links[0].counters.items()}

    # ------------------------------------------------------------ the proxy's thread

    def _run(self) -> None:
        while not self._is_stopped:
            due = self._flights[0][0] - time.monotonic() if self._flights else None
            for key, events in self._selector.select(None if due is None else max(0.0, due)):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._woken.recv(64)
                    while self._asked:
                        how = self._asked.pop()
                        for link in self.links:
                            self._fail(link, Cut(how, "up", 0))
                else:
                    link, direction = key.data
                    if events & selectors.EVENT_READ and not link.is_over:
                        self._take(link, direction)
            while self._flights and self._flights[0][0] <= time.monotonic():
                _, _, link, direction, data = heapq.heappop(self._flights)
                self._deliver(link, direction, data)
        for link in self.links:
            self._release(link, is_reset=False)
        self._selector.close()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = self._listener.accept()
            try:
                service = socket.create_connection(("127.0.0.1", self._to), 5)
            except OSError:  # the service is not there
                _Socket(client, None).end(is_reset=True)
                return
            number = len(self.links) + 1
            cut = self._cuts[number - 1] if number <= len(self._cuts) else None
            link = _Link(number, _Socket(client, self._context), _Socket(service, None), cut)
            self.links.append(link)
            for direction, (source, _) in link.ends.items():
                self._selector.register(source.socket, selectors.EVENT_READ, (link, direction))

    def _take(self, link: _Link, direction: Direction) -> None:
        source, _ = link.ends[direction]
        data = source.read()
        if data is None:
            self._selector.unregister(source.socket)
        if data == b"":
            return
        due = max(link.last_due[direction], time.monotonic() + self._chance.uniform(*self._delays))
        link.last_due[direction] = due
        heapq.heappush(self._flights, (due, next(self._numbers), link, direction, data))

    def _deliver(self, link: _Link, direction: Direction, data: bytes | None) -> None:
        if link.is_over or link.is_silent:
            return
        _, sink = link.ends[direction]
        if data is None:
            with contextlib.suppress(OSError):
                sink.flush()
                sink.socket.shutdown(socket.SHUT_WR)
            others = [source.socket for source, _ in link.ends.values()]
            if not any(sock in self._registered() for sock in others):
                self._release(link, is_reset=False)
            return
        counter, cut = link.counters[direction], link.cut
        if cut is None or cut.direction != direction:
            for _ in counter.steps(data):
                pass
            sink.write(data)
            return
        at = self._find(counter, cut, data)
        sink.write(data[:at], is_torn=at is not None and cut.unit == "byte")
        if at is not None:
            link.cut = None
            self._fail(link, cut)
            if not link.is_over and not link.is_silent:
                sink.write(data[at:])

    @staticmethod
    def _find(counter: MessageCounter, cut: Cut, data: bytes) -> int | None:
        """Return where in data the cut is; ``None`` if it is not in there."""
        if cut.unit == "message":
            found = None
            for position in counter.steps(data):
                if counter.messages == cut.position:
                    found = position
            return found
        before = counter.bytes
        for _ in counter.steps(data):
            pass
        if counter.bytes < cut.position:
            return None
        head = len(data) - (counter.bytes - before)  # of HTTP
        return max(0, head + cut.position - before)

    def _registered(self) -> set[Any]:
        return {key.fileobj for key in self._selector.get_map().values()}

    def _fail(self, link: _Link, cut: Cut) -> None:
        if link.is_over or link.is_silent:
            return
        self.happened.append(cut)
        if cut.how in ("reset", "end"):
            self._release(link, is_reset=cut.how == "reset")
        elif cut.how == "silence":
            link.is_silent = True
            for source, _ in link.ends.values():
                with contextlib.suppress(KeyError):
                    self._selector.unregister(source.socket)
        else:
            helper = threading.Thread(
                target=self._on_cut, args=(cut.how, link.number), name="cutting-proxy-call", daemon=True
            )
            self._helpers.append(helper)
            helper.start()

    def _release(self, link: _Link, *, is_reset: bool) -> None:
        link.is_over = True
        for source, _ in link.ends.values():
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(source.socket)
            source.end(is_reset=is_reset)
