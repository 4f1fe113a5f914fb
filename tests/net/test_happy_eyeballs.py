"""A host with several addresses: they race, and dead ones are not waited for."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from connect_helpers import opened, receive, refusal
from fake_proxies import (
    at,
    has_ipv6,
    http_proxy,
    no_file_is_left_open,
    refusing_addresses,
    silent_address,
    socks_proxy,
)
from fake_servers import HANG, echo_frames, echo_server
from listeners import Aside

from azure_rt_audio._concurrency.deadline import Deadline
from azure_rt_audio._net import happy_eyeballs as _addresses
from azure_rt_audio._net.waiting import BoundedWait, Cancelled, DeadlinePassed, Waker

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")

FAMILY_NOBODY_HAS = (12345, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))


@contextlib.contextmanager
def patient(seconds: float | None = HANG) -> Iterator[BoundedWait]:
    """Yield the patience of an attempt."""
    waker = Waker()
    try:
        yield BoundedWait(Deadline(seconds), waker)
    finally:
        waker.close()


def unprepared(sock: socket.socket) -> None:
    """Set no option."""


def test_the_families_take_turns() -> None:
    """The resolver's first family begins, then they alternate; what it names twice is tried once."""
    six, four = [("::1", 1), ("::2", 1), ("::3", 1)], [("127.0.0.1", 1), ("127.0.0.2", 1)]

    found = _addresses.by_turns(at(*six, *six, *four))

    assert [address[4][0] for address in found] == ["::1", "127.0.0.1", "::2", "127.0.0.2", "::3"]


def test_a_dead_first_address_is_not_waited_for() -> None:
    """The second address is tried a quarter of a second later, and it wins."""
    with (
        silent_address() as dead,
        socket.create_server(("127.0.0.1", 0)) as live,
        no_file_is_left_open(),
        patient(2.0) as patience,
        _addresses.connect(at(dead, live.getsockname()), unprepared, patience) as sock,
    ):
        assert sock.getpeername() == live.getsockname()
        assert sock.gettimeout() == 0.0


def test_a_refusal_needs_no_head_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an address refuses, the next is tried at once."""
    monkeypatch.setattr(_addresses, "_HEAD_START", 3600.0)
    with (
        refusing_addresses(3) as dead,
        socket.create_server(("127.0.0.1", 0)) as live,
        patient() as patience,
        _addresses.connect(at(*dead, live.getsockname()), unprepared, patience) as sock,
    ):
        assert sock.getpeername() == live.getsockname()


@pytest.mark.parametrize("kind", ["refused", "refused at once"])
def test_a_refusal_ends_the_head_start_of_the_next(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Also while another attempt is still under way."""
    monkeypatch.setattr(_addresses, "_HEAD_START", 0.05)
    starts: list[socket.socket] = []

    def prepare(sock: socket.socket) -> None:
        starts.append(sock)
        if len(starts) == 2:  # the one that is refused would have the longest of starts
            monkeypatch.setattr(_addresses, "_HEAD_START", 3600.0)

    with (
        silent_address() as silent,
        refusing_addresses() as [refusing],
        socket.create_server(("127.0.0.1", 0)) as live,
        patient() as patience,
    ):
        other = refusing if kind == "refused" else ("255.255.255.255", 1)
        found = at(silent, other, live.getsockname())
        with _addresses.connect(found, prepare, patience) as sock:
            assert sock.getpeername() == live.getsockname()


def test_when_all_addresses_are_silent() -> None:
    """The deadline ends it, and no descriptor is left."""
    with (
        silent_address() as one,
        silent_address() as other,
        no_file_is_left_open(),
        patient(0.4) as patience,
        pytest.raises(DeadlinePassed),
    ):
        _addresses.connect(at(one, other), unprepared, patience)


@pytest.mark.parametrize("silent_first", [False, True])
def test_the_most_telling_reason_is_told(silent_first: bool) -> None:
    """That a host refuses says more than that another of its addresses is silent, or cannot be tried here."""
    with silent_address() as silent, refusing_addresses() as refusing, patient(2) as patience:
        two = at(silent, *refusing) if silent_first else at(*refusing, silent)
        with no_file_is_left_open(), pytest.raises(ConnectionRefusedError):
            _addresses.connect([FAMILY_NOBODY_HAS, *two], unprepared, patience)


def test_a_family_that_is_not_here_is_told_last() -> None:
    """If there is nothing else to say, it is said; and no address at all is a reason, too."""
    with patient() as patience:
        with pytest.raises(OSError, match="not supported"):
            _addresses.connect([FAMILY_NOBODY_HAS], unprepared, patience)
        with pytest.raises(OSError, match="no address"):
            _addresses.connect([], unprepared, patience)


def test_a_host_with_many_addresses_is_not_tried_for_ever() -> None:
    """Eight attempts are enough."""
    tried: list[socket.socket] = []
    with refusing_addresses(20) as dead, patient() as patience:
        with pytest.raises(ConnectionRefusedError):
            _addresses.connect(at(*dead), tried.append, patience)

        assert len(tried) == 8


def test_an_interrupt_ends_the_race() -> None:
    """Closing does not wait for an address that is silent, and leaves no descriptor behind."""
    under_way = threading.Event()
    with (
        silent_address() as one,
        silent_address() as other,
        patient(None) as patience,
        no_file_is_left_open(),
    ):
        aside = Aside(lambda: _addresses.connect(at(one, other), lambda sock: under_way.set(), patience))
        assert under_way.wait(HANG)
        patience.waker.interrupt()
        with pytest.raises(Cancelled):
            aside.result()


def test_a_name_with_a_dead_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service is reached although the first of its addresses is silent."""
    with silent_address() as dead, echo_server() as url:
        real = socket.getaddrinfo
        live = ("127.0.0.1", int(url.split("/")[2].split(":")[1]))

        def resolve(host: str, *args: Any, **options: Any) -> Any:
            if host != "res.example":
                return real(host, *args, **options)
            if options.get("flags"):
                raise socket.gaierror(socket.EAI_NONAME, "not a number")
            return at(dead, live)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with opened(f"ws://res.example:{live[1]}/") as transport:
            transport.send(b"x")
            transport.flush()

            assert receive(transport) == b"x"


@needs_ipv6
@pytest.mark.parametrize("through", ["nothing", "http", "socks5", "socks5h"])
def test_ipv6(through: str) -> None:
    """An IPv6 address is reached, and asked for from proxies in their spelling."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))

        def serve() -> None:
            sock, _ = listener.accept()
            with sock, contextlib.suppress(OSError):
                sock.settimeout(HANG)
                echo_frames(sock)

        aside = Aside(serve)
        port = listener.getsockname()[1]
        heads: list[bytes] = []
        asked: list[str] = []
        proxy = None
        if through == "http":
            proxy = f"http://{stack.enter_context(http_proxy(heads))}"
        elif through != "nothing":
            proxy = f"{through}://{stack.enter_context(socks_proxy(asked))}"
        with opened(f"ws://[::1]:{port}/", http_proxy=proxy) as transport:
            transport.send(b"x")
            transport.flush()

            assert receive(transport) == b"x"
            assert transport.where == f"[::1]:{port}"
        aside.result()

    assert [head.split(b" ")[1] for head in heads] == [b"[::1]:%d" % port] * (through == "http")
    assert asked == ["ipv6:::1"] * through.startswith("socks")


def test_a_socket_option_the_system_does_not_take() -> None:
    """It is the option that is wrong, and it is named."""
    error = refusal("ws://127.0.0.1:1/", sockopt=[(socket.SOL_SOCKET, 99999, 1)])

    assert "does not take the sockopt" in error.message
    assert "99999" in error.message
    assert error.type == "invalid_request_error"


def test_socket_options_are_set_before_connecting() -> None:
    """Some take effect only then: the size of the receive window, or the interface to go by."""
    with socket.create_server(("127.0.0.1", 0)) as live, patient() as patience:
        seen: list[bool] = []

        def prepare(sock: socket.socket) -> None:
            try:
                sock.getpeername()
                seen.append(True)
            except OSError:
                seen.append(False)

        _addresses.connect(at(live.getsockname()), prepare, patience).close()

    assert seen == [False]
