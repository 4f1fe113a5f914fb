"""Each kind of service, proxy and resolver that a client may meet in each phase of ``close_phases.py``."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from close_callers import OPEN_CALLS, STALLED_CALLS, Client
from close_peers import (
    PeerScript,
    blank,
    half_a_head,
    no_answer,
    resolver_that_hangs,
    silent_beyond,
    socks_that_stalls,
)
from close_phase_peers import (
    MANNERS,
    WayIn,
    by_connect,
    by_connect_and_tls,
    by_socks4,
    by_socks5,
    nobody_home_again,
    phased,
    straight_in,
)
from close_phases import HANG, QUICK, reach, reach_unconfigured
from close_rows import Place, Places, Row
from fake_servers import await_eof

from azure_rt_audio import InlineDispatcher, QueueDispatcher

_EARLY = "closed by this side before it was open"
_UNANSWERED = r"did not answer the close frame within 0\.3 s"
_POLITE = "closed by this side"


@contextlib.contextmanager
def _there(phase: str, *, dispatcher: Any = None, **peer: Any) -> Iterator[Place]:
    with phased(phase, HANG, **peer) as (host, _):
        yield Place(host, lambda client: reach(client, phase), reconnect=QUICK, dispatcher=dispatcher)


@contextlib.contextmanager
def _stalled(*, tls: bool) -> Iterator[Place]:
    """The connection that there is takes nothing more while another one stands by; callers fill it."""
    done = threading.Event()

    def deaf(_: socket.socket) -> None:
        assert done.wait(6 * HANG)

    with phased("standby", HANG, tls=tls, old=deaf) as (host, _):
        limit = {"max_send_backlog_bytes": 1_000_000}
        try:
            yield Place(host, lambda client: reach(client, "standby"), options=limit, reconnect=QUICK)
        finally:
            done.set()


@contextlib.contextmanager
def _redialling(
    script: PeerScript,
    *,
    scheme: str = "",
    proxy: str = "",
    way_in: WayIn = straight_in,
    tls: bool = False,
) -> Iterator[Place]:
    """The next handshake hangs in a script of a service or of a proxy, whose kind is given."""
    arrived = threading.Event()

    def noted(sock: socket.socket) -> None:
        arrived.set()
        script(sock)

    def get_there(client: Client) -> None:
        reach(client, "connecting")
        assert arrived.wait(HANG)

    with phased("connecting", HANG, tls=tls, way_in=way_in, redialled=noted) as (host, _):
        options = {"http_proxy": f"{proxy}://{host.partition('://')[2]}"} if proxy else {}
        target = f"{scheme}://localhost" if proxy else host
        yield Place(target, get_there, options=options, reconnect=QUICK)


@contextlib.contextmanager
def _resolving() -> Iterator[Place]:
    """The next look-up of the host's name hangs."""
    with resolver_that_hangs("localhost", answers=1) as (entered, go_on):

        def get_there(client: Client) -> None:
            reach(client, "connecting")
            assert entered.wait(HANG)

        with phased("connecting", HANG) as (host, _):
            yield Place(host.replace("127.0.0.1", "localhost"), get_there, go_on.set, reconnect=QUICK)


@contextlib.contextmanager
def _knocking() -> Iterator[Place]:
    """The next TCP connect is not answered."""
    with nobody_home_again(HANG) as host:
        yield Place(host, lambda client: reach(client, "connecting"), reconnect=QUICK)


@contextlib.contextmanager
def _unconfigured(*, tls: bool) -> Iterator[Place]:
    """The next connection is open, and no session is created on it."""
    with phased("connecting", HANG, tls=tls, redialled=blank) as (host, _):
        yield Place(host, reach_unconfigured, reconnect=QUICK)


def _row(place: Callable[[], Places], reason: str, **more: Any) -> Row:
    return Row(place, reason, **{"calls": OPEN_CALLS, **more})


def _connecting() -> Iterator[tuple[str, Row]]:
    def row(script: PeerScript, **more: Any) -> Row:
        return _row(lambda: _redialling(script, **more), _EARLY)

    yield "DNS hangs", _row(_resolving, _EARLY)
    yield "TCP hangs", _row(_knocking, _EARLY)
    yield "HTTP hangs, TLS", row(no_answer, tls=True)
    yield "half an HTTP head", row(half_a_head)
    yield "half an HTTP head, TLS", row(half_a_head, tls=True)
    beyond = {"scheme": "wss", "proxy": "http", "way_in": by_connect_and_tls}
    yield "proxy: TLS hangs beyond", row(silent_beyond, **beyond)
    yield "proxy: CONNECT hangs", row(no_answer, scheme="ws", proxy="http", way_in=by_connect)
    yield "proxy: half a head", row(half_a_head, scheme="ws", proxy="http", way_in=by_connect)
    five = {"scheme": "ws", "proxy": "socks5h", "way_in": by_socks5}
    yield "SOCKS: greeting hangs", row(await_eof, **five)
    yield "SOCKS: request hangs", row(socks_that_stalls, **five)
    four = {"scheme": "ws", "proxy": "socks4a", "way_in": by_socks4}
    yield "SOCKS4: request hangs", row(await_eof, **four)
    for tls in (False, True):
        yield f"no session{', TLS' * tls}", _row(partial(_unconfigured, tls=tls), _UNANSWERED)


def _rows(phase: str) -> Iterator[tuple[str, Row]]:
    if phase == "connecting":
        yield from _connecting()
    early = phase in ("waiting", "connecting")
    default = _EARLY if early else _UNANSWERED
    yield "TLS", _row(lambda: _there(phase, tls=True), default)
    yield "inline", _row(lambda: _there(phase, dispatcher=InlineDispatcher()), default)
    yield "queue never run", _row(lambda: _there(phase, dispatcher=QueueDispatcher()), default)
    if early:
        return
    for manner, script in MANNERS.items():
        # The current connection is the old one as long as it lasts.
        for name, which in (
            (("peer", "new"),) if phase == "restoring" else (("peer", "old"), ("other peer", "new"))
        ):
            reason = _POLITE if (name, manner) == ("peer", "is polite") else default
            for tls in (False, True):
                peer = {"tls": tls, which: script}
                yield f"{name} {manner}{', TLS' * tls}", _row(partial(_there, phase, **peer), reason)
    if phase == "standby":
        for tls in (False, True):
            stalled = partial(_stalled, tls=tls)
            yield f"send stalled{', TLS' * tls}", _row(stalled, default, calls=STALLED_CALLS)


KIND_ROWS = {
    f"{phase}: {name}": row
    for phase in ("waiting", "connecting", "restoring", "standby", "holding")
    for name, row in _rows(phase)
}
