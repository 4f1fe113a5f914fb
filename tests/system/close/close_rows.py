"""
Every state that a client can be closed in, built on real sockets, and its closing, timed.

A row takes a place, brings a client there, lets callers block in it, closes it, looks at what they were
told, and lifts the obstacle. ``test_close_matrix.py`` runs each row once, ``close_table.py`` as often as it
is asked to.
"""

from __future__ import annotations

import contextlib
import gc
import queue
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from close_callers import (
    EARLY_CALLS,
    LIMIT,
    OPEN_CALLS,
    STALLED_CALLS,
    TIMEOUT,
    Call,
    Client,
    Close,
    Closing,
    append_for_ever,
    beside_a_patient_one,
    blocked,
    check_callers,
    descriptors,
    from_exit,
    from_two_threads,
    outcome_of,
    straight,
    threads,
)
from close_peers import (
    PeerScript,
    awaited,
    deaf,
    flood,
    half_a_frame,
    half_a_head,
    host_of,
    no_answer,
    nobody_home,
    polite,
    prompted,
    resolver_that_hangs,
    silent,
    silent_beyond,
    socks_that_stalls,
)
from fake_servers import CLIENT_TLS, await_eof, tcp_server
from listeners import HANG

from azure_rt_audio import (
    AzureRealTimeAudio,
    InlineDispatcher,
    QueueDispatcher,
)

# ------------------------------------------------------------ places


def become_ready(client: Client) -> None:
    """Wait until the session is ready."""
    client.wait_until_ready(HANG)


def nothing() -> None:
    """Do nothing: there is no obstacle that could be lifted."""


@dataclass(frozen=True)
class Place:
    """
    Where a client gets into a state.

    Attributes:
        host: What it connects to.
        reach: Returns when it is in that state.
        lift: Lifts the obstacle.
        options: Of the client, all together.
        dispatcher: Of the client.
        close: How to close.
        reconnect: The policy; none by default.
    """

    host: str
    reach: Call = become_ready
    lift: Callable[[], object] = nothing
    options: Mapping[str, Any] = field(default_factory=dict)
    dispatcher: Any = None
    close: Close = straight
    reconnect: Any = None

    def connect(self, **more: Any) -> Client:
        """Return a client that is about to get there."""
        options = {
            "ssl_context": CLIENT_TLS,
            "connect_timeout": 60,
            "send_timeout": 60,
            **self.options,
            **more,
        }
        proof = {"api_key": "close-key"}
        if "credential" in options:
            proof = {"credential": options.pop("credential")}
        target = {"host_name": self.host, "deployment": "m", **proof}
        return AzureRealTimeAudio(target, options, dispatcher=self.dispatcher, reconnect=self.reconnect)


Places = contextlib.AbstractContextManager[Place]


@contextlib.contextmanager
def ready(script: PeerScript, *, tls: bool = False, **more: Any) -> Iterator[Place]:
    """The session is ready, and the service goes on with a script."""
    with tcp_server(script, tls=tls) as url:
        yield Place(host_of(url), **more)


@contextlib.contextmanager
def stalled(*, tls: bool = False) -> Iterator[Place]:
    """The service reads nothing; callers fill what there is to fill."""
    with deaf(tls=tls) as url:
        yield Place(host_of(url), options={"max_send_backlog_bytes": 1_000_000})


@contextlib.contextmanager
def left_while_stalled() -> Iterator[Place]:
    """The service has said goodbye, but does not read the answer, nor what is before it."""
    leave = threading.Event()

    def reach(client: Client) -> None:
        become_ready(client)
        (caller,) = blocked({"append": append_for_ever}, client).values()
        leave.set()
        caller.join()

    with deaf(leave) as url:
        yield Place(host_of(url), reach, options={"max_send_backlog_bytes": 1_000_000})


@contextlib.contextmanager
def connecting(script: PeerScript, *, scheme: str = "ws", tls: bool = False) -> Iterator[Place]:
    """The handshake hangs in a service's script; *tls* is whether the service speaks it."""
    with awaited(script, tls=tls) as (url, arrived):
        yield Place(f"{scheme}://{urlsplit(url).netloc}", lambda _: arrived.wait(HANG))


@contextlib.contextmanager
def knocking() -> Iterator[Place]:
    """The TCP connect is not answered."""
    with nobody_home() as address:
        yield Place(f"ws://{address}", lambda _: None)


@contextlib.contextmanager
def resolving() -> Iterator[Place]:
    """The host name is being looked up."""
    with resolver_that_hangs() as (entered, go_on):
        yield Place("wss://hang.example", lambda _: entered.wait(HANG), go_on.set)


@contextlib.contextmanager
def proxied(script: PeerScript, kind: str = "http") -> Iterator[Place]:
    """The talk with a proxy hangs."""
    with awaited(script) as (url, arrived):
        proxy = {"http_proxy": f"{kind}://{urlsplit(url).netloc}"}
        yield Place("wss://res.example", lambda _: arrived.wait(HANG), options=proxy)


@contextlib.contextmanager
def knocking_at_a_proxy(kind: str) -> Iterator[Place]:
    """The proxy does not answer the TCP connect."""
    with nobody_home() as address:
        yield Place("wss://res.example", lambda _: None, options={"http_proxy": f"{kind}://{address}"})


class Obstacle:
    """Something that is entered, and not left again before it is told to, or for a while."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, *_: object) -> Any:
        self.entered.set()
        assert self.go_on.wait(HANG)
        return "token"


@contextlib.contextmanager
def asking_for_a_token() -> Iterator[Place]:
    """The credential does not return."""
    obstacle = Obstacle()
    options = {"credential": obstacle}
    yield Place(
        "wss://res.example", lambda _: obstacle.entered.wait(HANG), obstacle.go_on.set, options=options
    )


@contextlib.contextmanager
def stuck(subject: str = "input_audio_buffer.cleared", dispatcher: Any = None) -> Iterator[Place]:
    """A listener does not return, not from this event nor from later ones."""
    obstacle = Obstacle()

    def reach(client: Client) -> None:
        become_ready(client)
        client.status = "speaking"  # so that its end is news
        for key in {subject, "input_audio_buffer.cleared"}:
            client.on(key, obstacle)
        prompt.set()
        assert obstacle.entered.wait(HANG)

    with prompted() as (url, prompt):
        yield Place(host_of(url), reach, obstacle.go_on.set, dispatcher=dispatcher)


@contextlib.contextmanager
def stuck_predicate() -> Iterator[Place]:
    """The predicate of somebody who waits for an event does not return."""
    obstacle = Obstacle()

    def reach(client: Client) -> None:
        become_ready(client)
        blocked({"wait_for": lambda client: client.wait_for("*", obstacle, timeout=None)}, client)
        prompt.set()
        assert obstacle.entered.wait(HANG)

    with prompted() as (url, prompt):
        yield Place(host_of(url), reach, obstacle.go_on.set)


@contextlib.contextmanager
def closing_itself(
    place: Callable[[Client, Callable[[Any], Any]], object], dispatcher: Any = None
) -> Iterator[Place]:
    """The client is closed in a place of its own, when the service says something."""
    told: queue.Queue[Closing] = queue.Queue()

    def reach(client: Client) -> None:
        become_ready(client)
        place(client, lambda _: told.put(straight(client)))

    def close(_: Client) -> Closing:
        prompt.set()
        return told.get(timeout=HANG)

    with prompted() as (url, prompt):
        yield Place(host_of(url), reach, dispatcher=dispatcher, close=close)


def in_a_listener(client: Client, close: Callable[[Any], Any]) -> None:
    """Close in a listener."""
    client.once("input_audio_buffer.cleared", close)


def in_a_callback(client: Client, close: Callable[[Any], Any]) -> None:
    """Close in a callback of a future."""
    client.clear_audio_buffer().add_done_callback(close)


def in_a_predicate(client: Client, close: Callable[[Any], Any]) -> None:
    """Close in the predicate of somebody who waits."""
    subject = "input_audio_buffer.cleared"
    blocked({"wait_for": lambda client: client.wait_for(subject, close, timeout=None)}, client)


@contextlib.contextmanager
def closed_by_its_credential() -> Iterator[Place]:
    """The client is closed by the function that is to give its token."""
    clients: queue.Queue[Client] = queue.Queue()
    told: queue.Queue[Closing] = queue.Queue()

    def credential() -> str:
        told.put(straight(clients.get(timeout=HANG)))
        return "token"

    def close(client: Client) -> Closing:
        clients.put(client)
        return told.get(timeout=HANG)

    options = {"credential": credential}
    yield Place("wss://res.example", lambda client: None, options=options, close=close)


# ------------------------------------------------------------ the rows


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """
    Stop the cyclic garbage collector.

    It would hide that objects refer to each other in a circle; and a client that a thread of its own holds,
    for the moment in which that looks at it, would go at the collector's next turn, minutes later.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass(frozen=True)
class Row:
    """
    A state to end a client in.

    Attributes:
        place: Where it gets there.
        reason: What the recorded outcome says, as a pattern.
        calls: What callers are blocked in meanwhile.
        ends: Whether both threads can have ended when close returns.
        close: How to close, unless the place knows.
        is_dropped: Whether a client that nobody holds can be in that state.
    """

    place: Callable[[], Places]
    reason: str
    calls: Mapping[str, Call] = field(default_factory=dict)
    ends: bool = True
    close: Close | None = None
    is_dropped: bool = True

    def run(self) -> float:
        """Close in that state, check everything that must hold, and return the seconds that close took."""
        before = descriptors()
        with self.place() as place:
            client = place.connect()
            try:
                place.reach(client)
                callers = blocked(self.calls, client)
                began = time.monotonic()
                closing = (self.close or place.close)(client)
                outcome = outcome_of(client)
                woke = check_callers(callers, outcome, is_ours=True)
            finally:
                place.lift()
                assert client.close(HANG)
        assert closing.ended is self.ends
        assert re.search(self.reason, str(outcome)), outcome
        assert woke - began < LIMIT
        assert descriptors() <= before
        return closing.seconds

    def drop(self) -> None:
        """Forget the client in that state, and check that nothing is left of it, without the collector."""
        before, running = descriptors(), threads()
        with self.place() as place, uncollected():
            client = place.connect(close_timeout=0.1)
            place.reach(client)
            reference = weakref.ref(client)
            del client
            assert reference() is None
            place.lift()
            deadline = time.monotonic() + LIMIT + 1.0  # the machine's own delays
            for thread in threads() - running:
                thread.join(deadline - time.monotonic())
            assert {thread.name for thread in threads() - running} == set()
        assert descriptors() <= before


_ours = "closed by this side"
_unanswered = r"did not answer the close frame within 0\.3 s"
_early = "closed by this side before it was open"
_held_up = "held up in a callback"
_inline = InlineDispatcher()


def _early_row(place: Callable[[], Places]) -> Row:
    return Row(place, _early, EARLY_CALLS)


def _inline_row(place: Callable[[], Places]) -> Row:
    return Row(place, _held_up, OPEN_CALLS, ends=False)


def _self_row(place: Callable[[], Places]) -> Row:
    return Row(place, _unanswered, OPEN_CALLS, ends=False, is_dropped=False)


ROWS: dict[str, Row] = {
    "idle": Row(lambda: ready(polite), _ours, OPEN_CALLS),
    "idle, TLS": Row(lambda: ready(polite, tls=True), _ours, OPEN_CALLS),
    "idle, inline": Row(lambda: ready(polite, dispatcher=_inline), _ours, OPEN_CALLS),
    "idle, queue never run": Row(lambda: ready(polite, dispatcher=QueueDispatcher()), _ours, OPEN_CALLS),
    "mid-receive": Row(lambda: ready(half_a_frame), _unanswered, OPEN_CALLS),
    "mid-receive, TLS": Row(lambda: ready(half_a_frame, tls=True), _unanswered, OPEN_CALLS),
    "flooded": Row(lambda: ready(flood), _unanswered, OPEN_CALLS),
    "flooded, TLS": Row(lambda: ready(flood, tls=True), _unanswered, OPEN_CALLS),
    "peer silent": Row(lambda: ready(silent), _unanswered, OPEN_CALLS),
    "peer silent, TLS": Row(lambda: ready(silent, tls=True), _unanswered, OPEN_CALLS),
    "send stalled": Row(stalled, _unanswered, STALLED_CALLS),
    "send stalled, TLS": Row(lambda: stalled(tls=True), _unanswered, STALLED_CALLS),
    "peer left, send stalled": Row(left_while_stalled, "going away"),
    "DNS hangs": _early_row(resolving),
    "TCP hangs": _early_row(knocking),
    "TLS hangs": _early_row(lambda: connecting(await_eof, scheme="wss")),
    "HTTP hangs": _early_row(lambda: connecting(no_answer)),
    "HTTP hangs, TLS": _early_row(lambda: connecting(no_answer, scheme="wss", tls=True)),
    "half an HTTP head": _early_row(lambda: connecting(half_a_head)),
    "half an HTTP head, TLS": _early_row(lambda: connecting(half_a_head, scheme="wss", tls=True)),
    "proxy: TCP hangs": _early_row(lambda: knocking_at_a_proxy("http")),
    "proxy: CONNECT hangs": _early_row(lambda: proxied(no_answer)),
    "proxy: half a head": _early_row(lambda: proxied(half_a_head)),
    "proxy: TLS hangs beyond": _early_row(lambda: proxied(silent_beyond)),
    "SOCKS: TCP hangs": _early_row(lambda: knocking_at_a_proxy("socks5h")),
    "SOCKS: greeting hangs": _early_row(lambda: proxied(await_eof, "socks5h")),
    "SOCKS: request hangs": _early_row(lambda: proxied(socks_that_stalls, "socks5h")),
    "SOCKS4: request hangs": _early_row(lambda: proxied(await_eof, "socks4a")),
    "credential hangs": Row(asking_for_a_token, _early, EARLY_CALLS, ends=False),
    "listener hangs": Row(stuck, _unanswered, OPEN_CALLS, ends=False),
    "inline listener hangs": _inline_row(lambda: stuck(dispatcher=_inline)),
    "inline listener of all hangs": _inline_row(lambda: stuck("*", _inline)),
    "inline listener of the end hangs": _inline_row(lambda: stuck("closed", _inline)),
    "inline listener of the status hangs": _inline_row(lambda: stuck("status_changed", _inline)),
    "predicate hangs": Row(stuck_predicate, _held_up, ends=False, is_dropped=False),
    "from a listener": _self_row(lambda: closing_itself(in_a_listener)),
    "from an inline listener": _self_row(lambda: closing_itself(in_a_listener, _inline)),
    "from a future's callback": _self_row(lambda: closing_itself(in_a_callback)),
    "from a predicate": _self_row(lambda: closing_itself(in_a_predicate)),
    "from its credential": Row(closed_by_its_credential, _early, EARLY_CALLS, ends=False, is_dropped=False),
    "from two threads": Row(
        lambda: ready(silent), _unanswered, OPEN_CALLS, close=from_two_threads, is_dropped=False
    ),
    "beside a patient close": Row(
        lambda: ready(silent), _unanswered, OPEN_CALLS, close=beside_a_patient_one, is_dropped=False
    ),
    "from __exit__, an exception": Row(
        lambda: ready(silent, options={"close_timeout": TIMEOUT}),
        _unanswered,
        OPEN_CALLS,
        close=from_exit,
        is_dropped=False,
    ),
}
