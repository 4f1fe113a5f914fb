"""A service that brings each of its clients into a phase of ``close_phases.py``, and leaves it there."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
from collections.abc import Iterator

from close_peers import CLEARED, greet, host_of, no_answer, silent
from close_phases import LOSSES
from fake_servers import CLOSE, TEXT, frame, read_frame, read_head, tcp_server


@contextlib.contextmanager
def phased(phase: str, patience: float) -> Iterator[tuple[str, threading.Event]]:
    """
    Run it for one client; yield its host, and what makes it say something on the first connection.

    Args:
        patience: Seconds of silence after which it gives its client up.
    """
    numbers, prompt = itertools.count(), threading.Event()

    def script(sock: socket.socket) -> None:
        sock.settimeout(patience)
        if next(numbers) == 0:
            _first(sock, prompt, is_lost=phase in LOSSES)
        elif phase == "waiting":
            read_head(sock)
            sock.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n")
        elif phase == "connecting":
            no_answer(sock)
        elif phase == "restoring":
            silent(sock)
        else:
            _take_items(sock)

    with tcp_server(script) as url:
        yield host_of(url), prompt


def _first(sock: socket.socket, prompt: threading.Event, *, is_lost: bool) -> None:
    greet(sock)
    lock = threading.Lock()

    def speak() -> None:
        prompt.wait()
        with lock, contextlib.suppress(OSError):
            sock.sendall(CLEARED)

    speaking = threading.Thread(target=speak, name="speaking")
    speaking.start()
    try:
        while True:
            opcode, payload = read_frame(sock)
            if opcode == CLOSE:
                continue  # not even that is answered
            with lock:
                kind = _answer(sock, payload)
            if kind == "input_audio_buffer.clear" and is_lost:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
                return
    finally:
        prompt.set()
        speaking.join()


def _take_items(sock: socket.socket) -> None:
    greet(sock)
    while True:
        _, payload = read_frame(sock)
        _answer(sock, payload)


def _answer(sock: socket.socket, payload: bytes) -> str:
    """Acknowledge an item; return what kind of command it was."""
    if not payload.startswith(b"{"):
        return ""
    command = json.loads(payload)
    kind: str = command["type"]
    if kind == "conversation.item.create":
        item = {"object": "realtime.item", "status": "completed", **command["item"]}
        for moment in ("added", "done"):
            event = {"type": f"conversation.item.{moment}", "event_id": f"event_{moment}", "item": item}
            sock.sendall(frame(TEXT, json.dumps({**event, "previous_item_id": None}).encode()))
    return kind
