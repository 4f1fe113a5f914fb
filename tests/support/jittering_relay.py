"""A relay between a client and a service that delays what it passes on, by a time that varies."""

from __future__ import annotations

import contextlib
import queue
import random
import socket
import threading
import time
from types import TracebackType

__all__ = ["JitteringRelay"]


class JitteringRelay:
    """
    Passes on the bytes of each connection, in order, after 60 ± 30 ms each way.

    Args:
        port: Of the service, on this machine.
    """

    def __init__(self, port: int, *, delay: float = 0.06, jitter: float = 0.03) -> None:
        self._to = port
        self._delay = delay
        self._jitter = jitter
        self._dice = random.Random(10)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> JitteringRelay:
        threading.Thread(target=self._accept, name="relay", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for sock in (self._listener, *self._sockets):
            sock.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                service = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [client, service]
                for source, sink in ((client, service), (service, client)):
                    waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                    for function, sock in ((self._take, source), (self._give, sink)):
                        thread = threading.Thread(target=function, args=(sock, waiting), daemon=True)
                        thread.start()

    def _take(self, source: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        data = b"?"
        while data:
            try:
                data = source.recv(16_384)
            except OSError:
                data = b""
            due = time.monotonic() + self._dice.uniform(
                self._delay - self._jitter, self._delay + self._jitter
            )
            waiting.put((due, data))

    def _give(self, sink: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        never = threading.Event()
        with contextlib.suppress(OSError):
            while True:
                due, data = waiting.get()
                never.wait(max(0.0, due - time.monotonic()))
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
