"""A service that is not there, refuses, or has changed: when the client dials again, and when it gives up."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from cutting_proxy import CuttingProxy
from listeners import HANG, Connect, Probe, ready

from azure_rt_audio import AzureRealTimeAudio, ConnectError, ReconnectPolicy
from azure_rt_audio.emulator import (
    Drop,
    Emulator,
    Faults,
    ManualClock,
    Refuse,
    Rule,
    SystemClock,
    at_handshake,
)

QUICK = ReconnectPolicy(initial_delay=0.02, max_delay=0.1, max_seconds=20)


def lose(service: Emulator, client: AzureRealTimeAudio, *rules: Rule) -> Probe:
    """Drop the connection, with rules for the dials that follow; return what hears of it."""
    told = Probe()
    for name in ("reconnecting", "reconnected", "closed"):
        client.on(name, told)
    service.faults.add(*rules)
    service.drop()
    return told


def end(told: Probe) -> Any:
    """Return the event that ends an outage."""
    return told.until(lambda event: event.type in ("reconnected", "closed"))[-1]


@pytest.mark.parametrize("status", [503, 500, 404])
def test_refused_twice_then_well(status: int, connect: Connect, emulator: Emulator) -> None:
    """What may pass is tried again, with a delay that grows; one event for each attempt."""
    client = ready(connect, reconnect=QUICK)
    told = lose(emulator, client, at_handshake(Refuse(status), times=2))
    events = told.until(lambda event: event.type == "reconnected")

    assert [event.attempt for event in events[:-1]] == [1, 2, 3]
    assert [attempt.status for attempt in emulator.attempts] == [101, status, status, 101]
    assert client.ask("hello", timeout=HANG).text


def test_refused_with_a_time(connect: Connect, emulator: Emulator) -> None:
    """The service's own time is kept, however short the policy's delays are."""
    client = ready(connect, reconnect=QUICK)
    began = time.monotonic()
    told = lose(emulator, client, at_handshake(Refuse(429, retry_after_ms=700)))
    events = told.until(lambda event: event.type == "reconnected")

    assert events[1].delay_s >= 0.7
    assert time.monotonic() - began >= 0.7


@pytest.mark.parametrize("status", [401, 403])
def test_refused_for_good(status: int, connect: Connect, emulator: Emulator) -> None:
    """With a key that is refused the client gives up at once, and says why."""
    client = ready(connect, reconnect=QUICK)
    closed = end(lose(emulator, client, at_handshake(Refuse(status), times=None)))

    assert closed.type == "closed"
    assert isinstance(closed.error, ConnectError)
    assert closed.error.status == status
    assert [attempt.status for attempt in emulator.attempts] == [101, status]
    with pytest.raises(ConnectError):
        client.ask("hello", timeout=HANG)


class Credential:
    """Hands out tokens, the next one each time."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.asked = 0

    def get_token(self, *scopes: str) -> Any:
        self.asked += 1
        return SimpleNamespace(token=self.tokens[min(self.asked, len(self.tokens)) - 1])


def test_a_token_that_expires(connect: Connect) -> None:
    """The credential is asked anew at each dial; an old token is refused once, and another one works."""
    clock = ManualClock()
    tokens = {"first": clock.time() + 60, "second": clock.time() + 600}
    with Emulator(pace=0, clock=clock, tokens=tokens) as service:
        credential = Credential(["first", "first", "second"])
        client = connect(service=service, api_key=None, credential=credential, reconnect=QUICK)
        client.wait_until_ready(HANG)
        clock.advance(61)
        told = lose(service, client)

        assert end(told).type == "reconnected"
        assert [attempt.status for attempt in service.attempts] == [101, 401, 101]
        assert client.close()


class Hanging(Credential):
    """One that does not return until it may, but for the first time."""

    def __init__(self) -> None:
        super().__init__(["first"])
        self.go_on = threading.Event()

    def get_token(self, *scopes: str) -> Any:
        token = super().get_token(*scopes)
        assert self.asked == 1 or self.go_on.wait(4 * HANG)
        return token


@pytest.mark.parametrize("returns", [True, False])
def test_a_credential_that_hangs(returns: bool, connect: Connect) -> None:
    """Each attempt ends in time; the credential is not asked again beside the call that hangs."""
    with Emulator(pace=0, tokens=["first"]) as service:
        credential = Hanging()
        client = connect(
            service=service,
            api_key=None,
            credential=credential,
            reconnect=attrs.evolve(QUICK, max_attempts=None if returns else 2),
            websocket_options={"connect_timeout": 0.2},
        )
        client.wait_until_ready(HANG)
        told = lose(service, client)
        try:
            if returns:
                again = told.until(lambda event: event.type == "reconnecting" and event.attempt == 3)[-1]
                assert "no token within 0.2 s" in again.reason
                assert credential.asked == 2
                credential.go_on.set()
                assert end(told).type == "reconnected"
            else:
                closed = end(told)
                assert isinstance(closed.error, ConnectError)
                assert closed.error.type == "authentication_error"
                assert credential.asked == 2
        finally:
            credential.go_on.set()
        assert len(service.attempts) == 1 + returns
        assert client.close()


def test_a_service_that_restarts(connect: Connect, dialect: str) -> None:
    """The client comes back to the port, and the new process gets the conversation."""
    with Emulator(pace=0) as first:
        client = connect(service=first, reconnect=QUICK)
        client.wait_until_ready(HANG)
        answer = client.ask("one", timeout=HANG).text
        told = lose(first, client)
        first.stop()
        told.until(lambda event: event.type == "reconnecting" and event.attempt >= 2)
    with Emulator(pace=0, port=first.port) as second:
        assert end(told).type == "reconnected"
        assert client.ask("two", timeout=HANG).text
        conversation = second.connections[-1]._engine.conversation
        assert [item.text for item in conversation][:3] == ["one", answer, "two"]
        assert client.close()


def test_a_clock_that_is_an_hour_off(connect: Connect) -> None:
    """The age of a session is told by the service's own clock, so the swap comes in time, not an hour off."""
    for offset in (3600.0, -3600.0):
        clock, faults = SystemClock(offset=offset), Faults(session_seconds=4)
        with Emulator(pace=0, clock=clock, faults=faults) as service:
            client = connect(
                service=service, reconnect=ReconnectPolicy(initial_delay=0.02, swap_before_s=2.5)
            )
            told = Probe()
            client.on("reconnected", told)
            client.wait_until_ready(HANG)
            began = time.monotonic()
            event = told.next()

            assert event.is_planned, offset
            assert 0.5 < time.monotonic() - began < 4.5, offset
            assert client.close()


@pytest.mark.parametrize("is_limited", [False, True], ids=["free", "429"])
def test_many_clients_that_are_dropped_at_once(
    is_limited: bool, effort: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    They come back spread over time: no more than five dials a second after the first, or one after a 429.

    20 clients, or 100 with ``--effort`` 5, or a quarter of them after a 429: these take 20 s.
    """
    count = max(20, min(100, round(20 * effort))) // (4 if is_limited else 1)
    lock, dials = threading.Lock(), list[float]()

    def credential() -> str:
        with lock:
            dials.append(time.monotonic())
        return "token"

    faults = Faults()
    with Emulator(pace=0, tokens=["token"], faults=faults) as service:
        options = service.options("ga", api_key=None, credential=credential)
        clients = [AzureRealTimeAudio(options, reconnect={"initial_delay": 0.1}) for _ in range(count)]
        back = [threading.Event() for _ in clients]
        for client, is_back in zip(clients, back, strict=True):
            client.wait_until_ready(4 * HANG)
            client.on("reconnected", lambda event, is_back=is_back: is_back.set())
        del dials[:]
        if is_limited:
            faults.add(at_handshake(Refuse(429)))
        service.inject(Drop(is_reset=True))
        came_back = [is_back.wait(count / 5 + 4 * HANG) for is_back in back]
        have_ended = [client.close() for client in clients]
    seconds = [int(when - dials[0]) for when in sorted(dials)]
    histogram = {second: seconds.count(second) for second in sorted(set(seconds))}
    with capsys.disabled():
        print(f"\ndials by second{' after a 429' if is_limited else ''}: {histogram}")  # noqa: T201 - the report

    assert all(came_back)
    assert all(have_ended)
    assert len(dials) == count + is_limited
    assert max(histogram.values()) <= (3 if is_limited else 7)  # a busy machine is late with some


@pytest.mark.parametrize("state", ["delay", "dialling", "restoring", "standby"])
def test_close_while_it_connects_again(state: str, emulator: Emulator, dialect: str) -> None:
    """close() returns in its time, with no thread left; what waits ends, and nothing dials after it."""
    delay = {"restoring": 0.2}.get(state, 0.0)
    with CuttingProxy(emulator.port, delay=delay, jitter=0) as proxy:
        options = emulator.options(dialect, host_name=f"ws://localhost:{proxy.port}")
        policy = ReconnectPolicy(initial_delay=30 if state == "delay" else 0.01, max_delay=30)
        client = AzureRealTimeAudio(options, reconnect=policy)
        client.wait_until_ready(HANG)
        client.ask("hello", timeout=HANG)
        if state == "standby":
            client.reconnect()
        else:
            if state == "dialling":
                emulator.faults.add(at_handshake(Refuse(503), times=None))
            lost = threading.Event()
            client.on("reconnecting", lambda event: lost.set())
            proxy.cut_now()
            assert lost.wait(HANG)
        if state in ("restoring", "standby"):
            emulator.wait_for_connection(HANG, count=2)
        future = client.clear_audio_buffer()
        began = time.monotonic()
        assert client.close(2.0)

        assert time.monotonic() - began < 3.0
        assert future.done()
        dials = len(emulator.attempts)
    assert len(emulator.attempts) == dials
