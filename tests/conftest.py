"""Fixtures of all tests, the check for leaked threads, and the options ``--effort`` and ``--seed``."""

from __future__ import annotations

import functools
import math
import random
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
from manual_clock import ManualClock

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio._session.engine import Engine
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.protocol import event_filter

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell that runs the tests in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Events of the tests' own, which no service has: listening to them is no mistake, and not to be logged.
event_filter._told.update(
    f"test.{name}" for name in ("done", "early", "last", "marker", "number", "one", "two", "unknown")
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare ``--effort`` and ``--seed``."""
    group = parser.getgroup("azure_rt_audio")
    group.addoption(
        "--effort",
        type=float,
        default=1.0,
        help="factor for repetitions and generated examples; below 1, also the share of the tests marked "
        "'thorough' that run; of the others its square root runs, with that share of their cases or one",
    )
    group.addoption("--seed", type=int, help="seed of that choice and of the races; random by default")


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed, one for all workers of pytest-xdist."""
    if config.option.seed is None:
        given = getattr(config, "workerinput", {})
        config.option.seed = given.get("seed", random.SystemRandom().randrange(10**9))
    examples = max(10, round(100 * config.option.effort))
    # No deadline for an example: a busy machine may exceed any; pytest-timeout ends what hangs.
    hypothesis.settings.register_profile("effort", deadline=None, max_examples=examples)
    hypothesis.settings.load_profile("effort")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the seed to a worker of pytest-xdist."""
    node.workerinput["seed"] = node.config.option.seed


def pytest_report_header(config: pytest.Config) -> str:
    """Name the seed, to repeat a run."""
    return f"azure_rt_audio: --effort {config.option.effort:g} --seed {config.option.seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With less effort, keep that share of the thorough tests, and fewer of the others and of their cases."""
    effort, chance = config.option.effort, random.Random(config.option.seed)
    if effort >= 1:
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept: set[pytest.Item] = set()
    for test in cases.values():
        is_thorough = test[0].get_closest_marker("thorough") is not None
        wanted = math.floor(len(test) * effort + chance.random())
        if not is_thorough:
            wanted = max(1, wanted) if chance.random() < math.sqrt(effort) else 0
        kept.update(chance.sample(test, wanted))
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


@pytest.fixture
def effort(request: pytest.FixtureRequest) -> float:
    """The factor for repetitions."""
    effort: float = request.config.option.effort
    return effort


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run."""
    seed: int = request.config.option.seed
    return seed


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
        names = ("websocket_options", "dispatcher", "record", "reconnect", "history")
        own = {name: options.pop(name) for name in names if name in options}
        chosen = {**(service or emulator).options(dialect), **options}
        client = AzureRealTimeAudio(chosen, own.pop("websocket_options", None), **own)
        made.append(client)
        return client

    yield connect
    for client in made:
        recorder = client.recorder
        assert client.close() or (recorder is not None and recorder.error is not None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """Time that the test advances, by which the callers of clients wait that are made from now on."""
    clock = ManualClock()
    monkeypatch.setattr("azure_rt_audio.client.Engine", functools.partial(Engine, clock=clock))
    return clock


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
