"""A thousand connections that came and went, in every way there is, leave nothing behind."""

from __future__ import annotations

import gc
import os
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from close_callers import descriptors
from close_service import Service
from listeners import HANG, Probe

from azure_rt_audio import AzureRealTimeAudio, ConnectError, RealtimeError, WebSocketState

pytestmark = pytest.mark.thorough

Make = Callable[..., AzureRealTimeAudio]


def closed_by_us(make: Make) -> None:
    """Connect, talk, close."""
    client = make("calm")
    client.wait_until_ready(HANG)
    assert client.close(HANG)


def closed_after_work(make: Make) -> None:
    """Connect, listen, ask and be answered, and close in a ``with`` statement."""
    with make("calm") as client:
        probe = Probe()
        client.on("*", probe)
        assert client.clear_audio_buffer().result(HANG).type == "input_audio_buffer.cleared"
        probe.next()


def closed_by_the_peer(make: Make) -> None:
    """Be told goodbye."""
    _until_closed(make("closes", reconnect=None))


def cut_by_the_peer(make: Make) -> None:
    """Lose the connection without a word."""
    client = make("drops", reconnect=None)
    client.on("error", Probe())
    _until_closed(client)


def closed_between_two_connections(make: Make) -> None:
    """Lose the connection, and be closed before there is another one."""
    assert _without_connection(make).close(HANG)


def dropped_between_two_connections(make: Make) -> None:
    """Lose the connection, and be forgotten before there is another one."""
    _without_connection(make)


def refused(make: Make) -> None:
    """Be refused with a 401."""
    with pytest.raises(ConnectError, match="401"):
        make("refuses").wait_until_ready(HANG)


def dropped(make: Make) -> None:
    """Forget a client that is ready."""
    make("calm").wait_until_ready(HANG)


def dropped_with_listeners(make: Make) -> None:
    """Forget a client to which its own listener refers, and that was about to answer somebody."""
    client = make("talks")
    client.on("*", lambda event: client.state)
    client.wait_until_ready(HANG)
    client.create_response()
    client.commit_audio()


def dropped_at_once(make: Make) -> None:
    """Forget a client that has hardly begun to connect."""
    make("calm")


def aborted_at_once(make: Make) -> None:
    """Close a client that has hardly begun to connect."""
    assert make("calm").close(HANG)


def aborted(make: Make) -> None:
    """Close a client in the middle of the handshake."""
    client = make("hangs")
    assert client.state is WebSocketState.CONNECTING
    assert client.close(HANG)


def dropped_in_the_handshake(make: Make) -> None:
    """Forget a client in the middle of the handshake."""
    make("hangs")


FATES = (
    closed_by_us,
    closed_after_work,
    closed_by_the_peer,
    cut_by_the_peer,
    closed_between_two_connections,
    dropped_between_two_connections,
    refused,
    dropped,
    dropped_with_listeners,
    dropped_at_once,
    aborted_at_once,
    aborted,
    dropped_in_the_handshake,
)


def _until_closed(client: AzureRealTimeAudio) -> None:
    deadline = time.monotonic() + HANG
    while client.state is not WebSocketState.CLOSED:
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def _without_connection(make: Make) -> AzureRealTimeAudio:
    client = make("drops", reconnect={"retry_first": True, "initial_delay": 60, "max_delay": 60})
    reconnector = client._engine.reconnector
    assert reconnector is not None
    deadline = time.monotonic() + HANG
    while not reconnector.is_reconnecting():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)
    return client


class Belongings:
    """What this process has of the library's: threads, objects; and its descriptors."""

    def __init__(self, service: Service) -> None:
        gc.collect()
        self.threads = Counter(
            thread.name.rstrip("0123456789")
            for thread in threading.enumerate()
            if thread.name.startswith("azure-rt-")
        )
        self.objects = Counter(
            type(thing).__qualname__
            for thing in gc.get_objects()
            if str(type(thing).__module__).startswith("azure_rt_audio")
        )
        self.descriptors = Counter(ours=descriptors(), theirs=_descriptors_of(service))

    def beyond(self, before: Belongings) -> Counter[str]:
        """Return what there was not before."""
        return (
            (self.threads - before.threads)
            + (self.objects - before.objects)
            + (self.descriptors - before.descriptors)
        )


def _descriptors_of(service: Service) -> int:
    listing = Path(f"/proc/{service.process.pid}/fd")
    return len(os.listdir(listing)) if listing.is_dir() else 0


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def service(request: pytest.FixtureRequest, authority: trustme.CA, tmp_path: Path) -> Iterator[Service]:
    """A service, plain and behind TLS."""
    pem = tmp_path / "service.pem" if request.param else None
    if pem is not None:
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    with Service(pem=pem) as service:
        yield service


@pytest.mark.filterwarnings("error::ResourceWarning")
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_nothing_is_left(
    service: Service,
    tls_context: ssl.SSLContext,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    effort: float,
) -> None:
    """However connections end, threads, descriptors and objects are as many afterwards as before."""
    caplog.set_level("CRITICAL", "azure_rt_audio")  # what is logged is kept, and what it is about
    rounds = max(5, round((20 if "tls" in request.node.name else 91) * effort))  # of thirteen connections

    def make(model: str, **more: Any) -> AzureRealTimeAudio:
        options = {"ssl_context": tls_context, "close_timeout": 0.5}
        return AzureRealTimeAudio(service.options(model), options, **more)

    for fate in FATES:  # whatever is made once is made now
        fate(make)
    before = _settled(service, None)

    for number in range(rounds):
        for fate in FATES:
            fate(make)
        if number % 10 == 0:
            gc.collect()

    left = _settled(service, before).beyond(before)
    assert left == Counter()


def _settled(service: Service, before: Belongings | None) -> Belongings:
    """Return what is left when what was dropped has had its time to go."""
    deadline = time.monotonic() + HANG
    while True:
        now = Belongings(service)
        is_settled = not now.threads if before is None else not now.beyond(before)
        if is_settled or time.monotonic() > deadline:
            return now
        threading.Event().wait(0.05)


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system has no more threads, the constructor says so, and what it had made is gone."""
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("azure-rt-reader-"):
            raise RuntimeError("can't start new thread")
        real(thread)

    gc.collect()
    before = descriptors()
    monkeypatch.setattr(threading.Thread, "start", start)
    options = {"host_name": "ws://127.0.0.1:1", "deployment": "m", "api_key": "k"}
    errors: list[str] = []
    for _ in range(5):
        try:
            AzureRealTimeAudio(options)
        except (RuntimeError, RealtimeError) as exc:
            errors.append(str(exc))

    assert errors == ["can't start new thread"] * 5
    assert descriptors() == before
