"""Whether the peer is still there: noticed within two intervals, whatever the program or the machine does."""

from __future__ import annotations

import ast
import contextlib
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
from close_cable import Cable
from close_callers import Caller, append_for_ever
from close_peers import answer, host_of, prompted
from close_service import Service
from close_sleeper import Sleeper
from listeners import HANG, Aside, Probe, Stage

import azure_rt_audio
from azure_rt_audio import (
    AzureRealTimeAudio,
    ConnectionClosedError,
    InlineDispatcher,
    QueueDispatcher,
    WebSocketState,
)
from azure_rt_audio._transport.websocket import Transport

INTERVAL = 0.4
"""Seconds of silence before a ping, and of silence after it before the verdict."""

NOTICED = 2 * INTERVAL + 3.0
"""Seconds after which a dead link must have been noticed, most of them for the delays of a busy machine."""

LIVELY = {"ping_interval": INTERVAL, "ping_timeout": INTERVAL, "close_timeout": 0.2, "send_timeout": 60}

posix_only = pytest.mark.skipif(os.name != "posix", reason="stops processes by signals")


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A service that can be frozen."""
    with Service() as service:
        yield service


@pytest.fixture
def frozen(service: Service) -> Iterator[Callable[[], None]]:
    """A function that freezes the service until the end of the test."""
    yield service.freeze
    service.go_on()


@contextlib.contextmanager
def lively(options: dict[str, Any], dispatcher: Any = None, **more: Any) -> Iterator[AzureRealTimeAudio]:
    """Yield a client that pings often, its session ready."""
    client = AzureRealTimeAudio(options, {**LIVELY, **more}, dispatcher=dispatcher, reconnect=None)
    try:
        client.wait_until_ready(HANG)
        yield client
    finally:
        assert client.close(HANG)


def seconds_until_lost(client: AzureRealTimeAudio, cut: Callable[[], object]) -> float:
    """Cut the line while somebody waits for the end, and return the seconds until it is noticed."""
    waiting = Aside(lambda: client.wait_for("closed", timeout=HANG).error)
    began = time.monotonic()
    cut()
    error = waiting.result()
    took = time.monotonic() - began
    assert isinstance(error, ConnectionClosedError)
    assert not error.is_clean
    return took


# ------------------------------------------------------------ a peer that is there no more


@posix_only
@pytest.mark.parametrize("dispatcher", [None, InlineDispatcher(), QueueDispatcher()])
def test_an_idle_link(service: Service, frozen: Callable[[], None], dispatcher: Any) -> None:
    """A service that stands still is given up after a ping without an answer."""
    with lively(service.options(), dispatcher) as client:
        assert seconds_until_lost(client, frozen) < NOTICED
        with pytest.raises(ConnectionClosedError, match=r"did not answer a ping within 0\.4 s"):
            client.append_audio(bytes(2))


@posix_only
def test_in_the_midst_of_receiving(service: Service, frozen: Callable[[], None]) -> None:
    """A service that talked a moment ago is given up as fast."""
    with lively(service.options("talks")) as client:
        client.wait_for("*", timeout=HANG)

        assert seconds_until_lost(client, frozen) < NOTICED


@posix_only
def test_a_stalled_send(service: Service, frozen: Callable[[], None]) -> None:
    """A backlog that the peer does not take does not hide that it is gone, and its senders are told."""
    with lively(service.options(), max_send_backlog_bytes=1_000_000) as client:

        def cut() -> None:
            frozen()
            sender.append(Caller(append_for_ever, client))

        sender: list[Caller] = []
        assert seconds_until_lost(client, cut) < NOTICED
        sender[0].join()

        assert isinstance(sender[0].error, ConnectionClosedError)
        assert "lost" in str(sender[0].error) or "did not answer a ping" in str(sender[0].error)


@posix_only
def test_a_stuck_listener(service: Service, frozen: Callable[[], None]) -> None:
    """A listener that does not return keeps nobody from noticing."""
    stage = Stage()
    with lively(service.options()) as client:
        client.once("input_audio_buffer.cleared", stage)
        client.clear_audio_buffer()
        stage.wait()
        try:
            assert seconds_until_lost(client, frozen) < NOTICED
        finally:
            stage.go_on.set()


@posix_only
def test_an_inline_listener_defers_it(service: Service, frozen: Callable[[], None]) -> None:
    """An inline listener stops the I/O thread, pings included: what it missed is noticed when it returns."""
    stage = Stage()
    with lively(service.options(), InlineDispatcher()) as client:
        client.once("input_audio_buffer.cleared", stage)
        client.clear_audio_buffer()
        stage.wait()
        frozen()
        threading.Event().wait(3 * INTERVAL)
        assert client.state is WebSocketState.OPEN

        assert seconds_until_lost(client, stage.go_on.set) < NOTICED


# ------------------------------------------------------------ a peer that is


@contextlib.contextmanager
def pinged() -> Iterator[tuple[AzureRealTimeAudio, threading.Event, threading.Semaphore]]:
    """Yield a client, what prompts its service to say something, and the pings that service answered."""
    pings = threading.Semaphore(0)
    with prompted(lambda sock: answer(sock, pings.release)) as (url, prompt):
        options = {"host_name": host_of(url), "deployment": "m", "api_key": "k"}
        with lively(options, ping_interval=0.1, ping_timeout=2 * HANG) as client:
            yield client, prompt, pings


def test_pings_do_not_depend_on_listeners() -> None:
    """While a listener is stuck, pings go out, answers are heard, and the connection stays."""
    stage = Stage()
    with pinged() as (client, prompt, pings):
        client.once("input_audio_buffer.cleared", stage)
        prompt.set()
        stage.wait()
        for _ in range(5):
            assert pings.acquire(timeout=HANG)

        assert client.state is WebSocketState.OPEN
        stage.go_on.set()


@posix_only
def test_an_inline_listener_that_was_long_does_no_harm(service: Service) -> None:
    """After an inline listener that took three intervals, a service that is well is not given up."""
    stage, probe = Stage(), Probe()
    with lively(service.options("talks"), InlineDispatcher()) as client:
        client.once("*", stage)
        stage.wait()
        threading.Event().wait(3 * INTERVAL)
        stage.go_on.set()
        client.on("*", probe)
        for _ in range(5):
            probe.next()

        assert client.clear_audio_buffer().result(HANG).type == "input_audio_buffer.cleared"


@posix_only
def test_who_is_held_up_before_a_ping_has_not_asked_yet(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time-out counts from when the ping was written, not from when it was due."""
    pings = threading.Semaphore(0)
    held: list[bool] = []
    ping = Transport.ping

    def late(transport: Transport) -> None:
        if not held:
            held.append(True)
            threading.Event().wait(1.2 * INTERVAL)
        ping(transport)
        pings.release()

    monkeypatch.setattr(Transport, "ping", late)
    with lively(service.options()) as client:
        assert pings.acquire(timeout=HANG)
        assert pings.acquire(timeout=HANG), "the first one was not answered, it seems"
        assert client.state is WebSocketState.OPEN


def test_who_talks_is_alive(service: Service) -> None:
    """A service that talks but reads nothing is not given up: it is heard, and that alone counts."""
    probe = Probe()
    with lively(service.options("deaf"), max_send_backlog_bytes=1_000_000, ping_timeout=1.0) as client:
        sender = Caller(append_for_ever, client)
        sender.wait_until_blocked()
        client.on("response.hologram.delta", probe)
        began = time.monotonic()
        while time.monotonic() - began < 2.0:
            assert client.state is WebSocketState.OPEN
            probe.next()

        assert client.state is WebSocketState.OPEN
        client.close(0.1)
        sender.join()


# ------------------------------------------------------------ stopped and suspended

ACKNOWLEDGED = "works input_audio_buffer.cleared"


def stopped(service: Service) -> None:
    """Stopped for longer than the interval and the time-out together, the connection is as it was."""
    with Sleeper(service, interval=0.2, timeout=1.0) as sleeper:
        sleeper.sleep(1.6)

        assert sleeper.work() == ACKNOWLEDGED


def answered_while_stopped(service: Service) -> None:
    """The time-out of a ping passes while the program is stopped, but its answer is there to be read."""
    with Sleeper(service, interval=0.2, timeout=2.0) as sleeper:
        service.freeze()
        sleeper.hear("ping")
        sleeper.stop()
        service.go_on()
        sleeper.sleep(2.2)

        assert sleeper.work() == ACKNOWLEDGED


def asked_again(service: Service) -> None:
    """If there is no answer because this side was away, the peer is asked again before it is given up."""
    with Sleeper(service, interval=0.2, timeout=2.0) as sleeper:
        service.freeze()
        sleeper.hear("ping")
        sleeper.sleep(3.4)
        sleeper.hear("ping")
        service.go_on()

        assert sleeper.work() == ACKNOWLEDGED


def gone_while_stopped(service: Service) -> None:
    """Who was gone before the program woke up is given up as soon as ever."""
    with Sleeper(service, interval=INTERVAL, timeout=INTERVAL) as sleeper:
        service.freeze()
        sleeper.sleep(3 * INTERVAL)
        woke = time.monotonic()

        assert "did not answer a ping" in sleeper.hear("closed")
        assert time.monotonic() - woke < NOTICED


SLEEPS = (stopped, answered_while_stopped, asked_again, gone_while_stopped)


@pytest.fixture(scope="module")
def sleeps() -> dict[Callable[[Service], None], Future[None]]:
    """What came of those, each with a service of its own, all at once: they mostly sleep."""

    def run(sleep: Callable[[Service], None]) -> None:
        with Service() as service:
            sleep(service)

    with ThreadPoolExecutor(len(SLEEPS)) as pool:
        return {sleep: pool.submit(run, sleep) for sleep in SLEEPS}


@posix_only
@pytest.mark.parametrize("sleep", SLEEPS, ids=lambda sleep: sleep.__name__)
def test_a_program_that_was_stopped(
    sleep: Callable[[Service], None], sleeps: dict[Callable[[Service], None], Future[None]]
) -> None:
    """A program that is suspended and goes on finds its connection as it is, be it well or dead."""
    sleeps[sleep].result()


# ------------------------------------------------------------ clocks


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set(jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day more or less on the wall is none of a connection's business."""
    real = time.time
    with pinged() as (client, prompt, pings):
        waiting = Caller(lambda client: client.wait_for("input_audio_buffer.cleared", timeout=HANG), client)
        waiting.wait_until_blocked()
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        prompt.set()
        waiting.join()
        for _ in range(3):
            assert pings.acquire(timeout=HANG)

        assert waiting.error is None
        assert client.state is WebSocketState.OPEN
        assert client.close(HANG)
        outcome = client._engine.connection.outcome
        assert isinstance(outcome, ConnectionClosedError)
        assert outcome.is_clean


WRITE_DATES = {"emulator", "_cli", "_recorder", "recording"}
COMPARE_DATES = {
    "_retry_after.py",
    "_transport/handshake.py",
    "_session/attempts.py",
    "_session/session_age.py",
    "tools/schema.py",  # dates as arguments of tools
    "tools/shape.py",
}
"""The service says when a session ends by the wall clock."""


def test_nobody_looks_at_the_wall_clock() -> None:
    """Outside of what writes dates, and compares the service's, no module asks for the time of day."""
    package = Path(azure_rt_audio.__file__).parent
    modules = [path for path in package.rglob("*.py") if not WRITE_DATES & {*path.parts}]
    found = [
        f"{path.relative_to(package).as_posix()}:{node.lineno}"
        for path in modules
        if path.relative_to(package).as_posix() not in COMPARE_DATES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.time", "time.time_ns"))
        or (isinstance(node, ast.ImportFrom) and node.module == "time")
        or (isinstance(node, (ast.Import, ast.ImportFrom)) and "datetime" in ast.unparse(node))
    ]

    assert len(modules) > 50
    assert found == []


# ------------------------------------------------------------ a network whose link goes down


@pytest.fixture
def cable() -> Iterator[Cable]:
    """A cable that can be pulled."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs root and the program ip, of the package iproute2")
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(Cable())
        except subprocess.CalledProcessError as exc:
            pytest.skip(f"this machine allows no network namespaces: {exc.stderr.decode().strip()}")
        yield made


@pytest.fixture
def far_service(cable: Cable, tmp_path: Path, authority: trustme.CA) -> Iterator[Service]:
    """A service at the far end of the cable; behind TLS, because keys travel over no other."""
    pem = tmp_path / "far.pem"
    authority.issue_cert(cable.address).private_key_and_cert_chain_pem.write_to_path(str(pem))
    with Service(cable.address, pem=pem, within=cable.within) as service:
        yield service


@pytest.mark.parts
@pytest.mark.parametrize("end", ["ours", "theirs"])
@pytest.mark.parametrize("doing", ["idle", "sending", "stalled", "receiving"])
def test_a_cable_that_is_pulled(
    cable: Cable, far_service: Service, tls_context: ssl.SSLContext, doing: str, end: str
) -> None:
    """A link that goes down without a word is noticed within two intervals, whatever goes over it."""
    model = "talks" if doing == "receiving" else "deaf" if doing == "stalled" else "calm"
    with lively(
        far_service.options(model), ssl_context=tls_context, max_send_backlog_bytes=1_000_000
    ) as client:
        sender = Caller(append_for_ever, client) if doing in ("sending", "stalled") else None
        if doing == "stalled" and sender is not None:
            sender.wait_until_blocked()
        if doing == "receiving":
            client.wait_for("*", timeout=HANG)

        assert seconds_until_lost(client, lambda: cable.pull(end)) < NOTICED
        if sender is not None:
            sender.join()
            assert isinstance(sender.error, ConnectionClosedError)


@pytest.mark.parts
def test_a_cable_that_is_plugged_in_again(
    cable: Cable, far_service: Service, tls_context: ssl.SSLContext
) -> None:
    """A short interruption is none: what was sent meanwhile arrives, and the connection stays."""
    with lively(
        far_service.options(), ssl_context=tls_context, ping_interval=0.1, ping_timeout=HANG
    ) as client:
        cable.pull("theirs")
        acknowledged = client.clear_audio_buffer()
        with pytest.raises(TimeoutError):
            acknowledged.result(0.5)
        cable.plug("theirs")

        assert acknowledged.result(HANG).type == "input_audio_buffer.cleared"
