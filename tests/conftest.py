"""What every test has: no thread left behind; and a client and a service for those that ask."""

from __future__ import annotations

import signal
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import trustme
from listeners import HANG, Connect

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Emulator

# A busy machine takes its time for an example; what hangs, pytest-timeout ends.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell that runs the tests in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Fail a test that leaves a thread behind."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + HANG
    left = set(threading.enumerate()) - before
    while left and time.monotonic() < deadline:
        for thread in left:
            try:
                thread.join(max(0.0, deadline - time.monotonic()))
            except RuntimeError:  # one that is only just being started
                threading.Event().wait(0.01)
        left = set(threading.enumerate()) - before
    assert [thread.name for thread in left] == []


@pytest.fixture(params=["ga", "preview"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Each dialect in turn."""
    dialect: str = request.param
    return dialect


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A service that answers as fast as it can."""
    with Emulator(pace=0) as service:
        yield service


@pytest.fixture
def keeping() -> Iterator[Emulator]:
    """The same, remembering the audio it was sent."""
    with Emulator(pace=0, keep_audio=True) as service:
        yield service


@pytest.fixture
def connect(emulator: Emulator, dialect: str) -> Iterator[Connect]:
    """A function that makes clients of the emulator, in each dialect, which are closed at the end."""
    made: list[AzureRealTimeAudio] = []

    def connect(*, service: Emulator | None = None, **options: Any) -> AzureRealTimeAudio:
        own = {name: options.pop(name) for name in ("websocket_options", "dispatcher") if name in options}
        chosen = {**(service or emulator).options(dialect), **options}
        client = AzureRealTimeAudio(chosen, own.get("websocket_options"), dispatcher=own.get("dispatcher"))
        made.append(client)
        return client

    yield connect
    for client in made:
        assert client.close()


@pytest.fixture
def client(connect: Connect) -> AzureRealTimeAudio:
    """A client whose session is ready, in each dialect."""
    client = connect()
    client.wait_until_ready(HANG)
    return client


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that nobody else trusts."""
    return trustme.CA()


@pytest.fixture
def tls_emulator(authority: trustme.CA) -> Iterator[Emulator]:
    """A service behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with Emulator(pace=0, ssl_context=context) as service:
        yield service


@pytest.fixture
def tls_context(authority: trustme.CA) -> ssl.SSLContext:
    """A context that trusts :func:`tls_emulator`."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
