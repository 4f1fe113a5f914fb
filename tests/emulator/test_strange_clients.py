"""Clients that send what nobody should: the emulator answers, and goes on."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from azure_rt_audio.emulator import Emulator, SessionEngine

HANG_SECONDS = 5.0


@pytest.fixture
def service() -> Iterator[Emulator]:
    with Emulator(pace=5.0) as running:
        yield running


def connected(service: Emulator) -> Any:
    return connect(service.url(), additional_headers={"api-key": "emulator-key"}, open_timeout=HANG_SECONDS)


def hear(client: Any, kind: str) -> dict[str, Any]:
    while True:
        event: dict[str, Any] = json.loads(client.recv(timeout=HANG_SECONDS))
        if event["type"] == kind:
            return event


def exchange(service: Emulator, request: bytes) -> bytes:
    """The answer to raw bytes, to its end or to its first kilobyte."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=HANG_SECONDS) as raw:
        raw.sendall(request)
        return raw.recv(1024)


def test_a_get_that_is_no_request_is_answered(service: Emulator) -> None:
    """In pieces too: the whole of it counts."""
    assert exchange(service, b"GET / of nothing HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    with socket.create_connection(("127.0.0.1", service.port), timeout=HANG_SECONDS) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (b"G", b"ET /nowhere HTTP/1.1\r\n", b"Content-Length: 2\r\n", b"\r\n{}"):
            raw.sendall(piece)
        assert raw.recv(1024).startswith(b"HTTP/1.1 404 ")

    assert [(one.method, one.target, one.status) for one in service.attempts] == [
        ("GET", "", 400),
        ("GET", "/nowhere", 404),
    ]


def test_odd_commands_are_answered_with_an_error(service: Emulator) -> None:
    """Types that are no strings, and nesting beyond all measure, are refused; the session goes on."""
    deep = '{"type": "session.update", "session": ' + '{"tools": [' * 200 + "]}" * 200 + "}"
    with connected(service) as client:
        for frame in ('{"type": []}', '{"type": {}}', '{"type": null}', deep, deep.replace("tools", "item")):
            client.send(frame)
            assert hear(client, "error")["error"]["type"] == "invalid_request_error"
        client.send('{"type": "input_audio_buffer.clear"}')
        hear(client, "input_audio_buffer.cleared")
    assert service.received()[0]["type"] == []


def test_an_error_of_its_own_does_not_end_a_session(
    service: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Should the emulator itself fail over a command, it says server_error and goes on."""

    def handle(engine: SessionEngine, command: dict[str, Any]) -> None:
        raise ZeroDivisionError("a mistake")

    with connected(service) as client:
        with monkeypatch.context() as patch:
            patch.setattr(SessionEngine, "handle", handle)
            client.send('{"type": "response.create"}')
            assert hear(client, "error")["error"]["type"] == "server_error"
        client.send('{"type": "input_audio_buffer.clear"}')
        hear(client, "input_audio_buffer.cleared")
    assert "a mistake" in caplog.text


def test_an_answer_is_truncated_while_it_is_produced(service: Emulator) -> None:
    """What was cut stays cut although the answer goes on."""
    with connected(service) as client:
        client.send('{"type": "response.create"}')
        item_id = hear(client, "response.output_audio.delta")["item_id"]
        cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": 50}
        client.send(json.dumps({"type": "conversation.item.truncate", **cut}))
        assert hear(client, "conversation.item.truncated")["audio_end_ms"] == 50
        done = hear(client, "response.done")["response"]
        client.send(json.dumps({"type": "conversation.item.retrieve", "item_id": item_id}))
        part = hear(client, "conversation.item.retrieved")["item"]["content"][0]

    assert done["status"] == "completed"
    assert (len(part["audio"]), part["transcript"]) == (50 * 48 * 4 // 3, None)


@pytest.mark.parametrize("header", ["", "api-key: \xff\xfe\r\n", "x-ms-client-request-id: \xff\r\n"])
def test_odd_requests_are_refused(service: Emulator, header: str) -> None:
    """A target that is no URL is 400, bytes that are no text are no key; both are recorded."""
    target = "/openai/v1/realtime" if header else "http://[::1/"
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode("latin-1")
    status = 401 if header else 400

    assert exchange(service, request).startswith(f"HTTP/1.1 {status} ".encode())
    assert [(attempt.target, attempt.status) for attempt in service.attempts] == [(target, status)]
