"""A service, a proxy or a recording that wants to write on the terminal; and what shows whether it could."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

HOSTILE = "\x1b]0;pwned\x07\x1b[2J\u202egnp\u2066\r\x9b31m\x00\x08\x7f\u200f\u2028\nforged: line\ud83d"
"""A title, a clear, bidirectional overrides, C1, line breaks of every kind, half an emoji."""

_REACHES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def reaches(text: str) -> list[str]:
    """Return what of *text* a terminal would obey, or would break a line at; no line may be a forged one."""
    return _REACHES.findall(text) + [line for line in text.splitlines() if line.startswith("forged")]


Act = Callable[[Callable[..., None], dict[str, Any], ServerConnection], None]

_SESSION = {"id": "sess_1", "object": "realtime.session", "type": "realtime", "model": HOSTILE}


@contextlib.contextmanager
def hostile_service(act: Act) -> Iterator[str]:
    """
    Yield the URL of a service that configures the session and adds items.

    Args:
        act: Called with a function that sends an event, each other command, and the connection.
    """

    def converse(connection: ServerConnection) -> None:
        def send(event_type: str, **fields: Any) -> None:
            connection.send(json.dumps({"type": event_type, "event_id": HOSTILE, **fields}))

        with contextlib.suppress(ConnectionClosed):
            send("session.created", session=_SESSION)
            for message in connection:
                command = json.loads(message)
                if command["type"] == "session.update":
                    send("session.updated", session=_SESSION)
                elif command["type"] == "conversation.item.create":
                    item = {"id": "item_1", **command["item"]}
                    send("conversation.item.added", previous_item_id=None, item=item)
                else:
                    act(send, command, connection)

    with serve(converse, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def refusing(answer: bytes) -> Iterator[str]:
    """Yield ``host:port`` of a server that gives every request this answer, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.settimeout(5)
                        connection.recv(65536)
                        connection.sendall(answer)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def http(status: int, *, headers: dict[str, str] | None = None, message: str = HOSTILE) -> bytes:
    """Return an answer that is hostile in its headers and its body."""
    body = json.dumps({"error": {"code": HOSTILE, "message": message}}).encode()
    escapes = HOSTILE.replace("\r", "").replace("\n", "").encode("utf-8", "replace").decode("latin-1")
    lines = {"apim-request-id": escapes, "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} {escapes}\r\n{head}\r\n".encode("latin-1", "replace") + body
