"""Keys, tokens and passwords of a client that connects again: in no frame of ours, no log and no event."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fake_proxies import pass_on
from fake_servers import read_head, tcp_server
from frames import held_by_frames, shows
from listeners import HANG, Connect, Probe

from azure_rt_audio import AzureRealTimeAudio, RealtimeError, ReconnectPolicy
from azure_rt_audio.emulator import Emulator, Faults, Refuse, at_handshake

KEY = "KEY-0123456789-SECRET"
QUICK = ReconnectPolicy(initial_delay=0.02, max_delay=0.05, max_attempts=2)


@contextlib.contextmanager
def proxy_that_changes_its_mind(answers: list[bytes]) -> Iterator[str]:
    """Yield ``host:port`` of a proxy that lets the first through, and gives each other one of the answers."""
    asked = iter([b"", *answers])

    def script(sock: socket.socket) -> None:
        head = read_head(sock)
        answer = next(asked, answers[-1])
        if answer:
            sock.sendall(answer)
            return
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        with contextlib.suppress(OSError):  # the service drops it
            pass_on(sock, host, int(port), b"HTTP/1.1 200 Connection established\r\n\r\n")

    with tcp_server(script) as url:
        yield url.split("/")[2]


def followed(client: AzureRealTimeAudio, lose: Callable[[], object]) -> list[BaseException]:
    """Lose a connection for good; return what is raised and told of it, and look at all that is shown."""
    told = Probe()
    for name in ("reconnecting", "closed", "error"):
        client.on(name, told)
    pending = client.create_response()
    with client.events("closed", timeout=HANG) as ends:
        lose()
        closed = next(iter(ends))
    seen = told.until(lambda event: getattr(event, "type", "") == "closed")
    errors: list[BaseException] = [event for event in seen if isinstance(event, BaseException)]
    errors.append(closed.error)
    calls: list[Callable[[], object]] = [
        lambda: client.ask("hello", timeout=HANG),
        lambda: client.append_audio(bytes(480)),
        lambda: client.clear_audio_buffer().result(HANG),
        lambda: client.wait_for("response.done", timeout=HANG),
        lambda: client.wait_until_ready(HANG),
        lambda: pending.result(HANG, check=False) and pending.result(HANG),
        lambda: list(pending.text(HANG)),
    ]
    for call in calls:
        with contextlib.suppress(RealtimeError):
            try:
                call()
            except RealtimeError as exc:
                errors.append(exc)
                raise
    assert len(errors) > 5
    assert [shows((event, str(event)), KEY) for event in seen] == [[]] * len(seen)
    return errors


class Raising:
    """A credential that gives one token, and then raises."""

    def __init__(self, then: Callable[[], str]) -> None:
        self.client_secret, self.then, self.asked = KEY, then, 0

    def get_token(self, *scopes: str) -> Any:
        """Return it, or raise."""
        self.asked += 1
        return SimpleNamespace(token=KEY if self.asked == 1 else self.then())


def fail() -> str:
    """A source of tokens that is not there any more."""
    token = KEY  # of the program's own frame
    raise OSError(f"no more after {len(token)} characters")


def safe(errors: list[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    """Fail if a frame of ours, or a line of the log, holds a secret."""
    assert [held_by_frames(error, KEY) for error in errors] == [[]] * len(errors)
    assert KEY not in caplog.text


@pytest.mark.parametrize("then", [fail, lambda: f"{KEY}\n", lambda: ""], ids=["raises", "no token", "empty"])
def test_a_credential_that_fails_later(
    then: Callable[[], str], connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """What it holds and what it has returned."""
    caplog.set_level(logging.DEBUG, "azure_rt_audio")
    with Emulator(pace=0, tokens=[KEY]) as service:
        client = connect(service=service, api_key=None, credential=Raising(then), reconnect=QUICK)
        client.wait_until_ready(HANG)
        safe(followed(client, service.drop), caplog)


@pytest.mark.parametrize("status", [401, 403, 429, 503])
def test_a_service_that_refuses_later(
    status: int, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """For good, or until the policy gives up; a key, and a header for a gateway."""
    caplog.set_level(logging.DEBUG, "azure_rt_audio")
    web = {"headers": {"X-Gateway-Key": f"{KEY}-2"}}
    faults = Faults()
    with Emulator(pace=0, api_key=KEY, faults=faults) as service:
        client = connect(service=service, websocket_options=web, reconnect=QUICK)
        client.wait_until_ready(HANG)
        body = {"error": {"code": KEY, "message": f"{KEY} is not known"}}
        faults.add(at_handshake(Refuse(status, body=body, retry_after_ms=10), times=None))
        safe(followed(client, service.drop), caplog)


ANSWERS = {
    "407": b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
    "echo": f"HTTP/1.1 502 {KEY}\r\nX-Why: {KEY}\r\nContent-Length: {len(KEY)}\r\n\r\n{KEY}".encode(),
    "garbage": b"\0" * 64,
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_proxy_that_refuses_later(
    answer: str, connect: Connect, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Its password, and the service's key."""
    caplog.set_level(logging.DEBUG, "azure_rt_audio")
    with proxy_that_changes_its_mind([ANSWERS[answer]]) as at:
        client = connect(
            service=emulator, websocket_options={"http_proxy": f"http://user:{KEY}@{at}"}, reconnect=QUICK
        )
        client.wait_until_ready(HANG)
        safe(followed(client, emulator.drop), caplog)


def test_a_swap_that_is_refused(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """The present connection goes on; what is told of the attempt has no key."""
    caplog.set_level(logging.DEBUG, "azure_rt_audio")
    is_refused, faults = threading.Event(), Faults()
    with Emulator(
        pace=0, api_key=KEY, faults=faults, on_log=lambda line: is_refused.set() if "401" in line else None
    ) as service:
        client = connect(service=service, reconnect=QUICK)
        client.wait_until_ready(HANG)
        faults.add(at_handshake(Refuse(401, body={"error": {"message": KEY}}), times=None))
        swapped = client.reconnect()
        assert is_refused.wait(HANG)
        assert client.ask("hello", timeout=HANG).text
        assert client.close()
    error = swapped.exception(HANG)

    assert error is not None
    safe([error], caplog)
