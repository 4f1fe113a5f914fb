"""Proxies on the way to the service: of each kind, chosen or found, willing, refusing or silent."""

from __future__ import annotations

import base64
import selectors
import socket
import threading
from typing import Any

import pytest
from connect_helpers import opened, receive, refusal
from fake_proxies import at, http_proxy, no_file_is_left_open, refusing_addresses, socks_proxy
from fake_servers import (
    HANG,
    HEADERS,
    KEY,
    Recorder,
    await_eof,
    echo_server,
    read_exactly,
    read_head,
    tcp_server,
)
from listeners import Aside

from azure_rt_audio._concurrency.deadline import Deadline
from azure_rt_audio._net.http_connect import connect_through
from azure_rt_audio._net.proxy import is_spared, proxy_from_environment
from azure_rt_audio._net.waiting import BoundedWait, Waker
from azure_rt_audio._transport import Target
from azure_rt_audio._transport.handshake import open_transport
from azure_rt_audio.errors import ConnectError
from azure_rt_audio.options import WebSocketOptions
from azure_rt_audio.options.proxy_url import Proxy, parse_proxy

PASSWORD = "proxy-password-0123"


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


# ------------------------------------------------------------ proxies by HTTP


@pytest.mark.parametrize("tls", [False, True])
def test_through_a_proxy(tls: bool) -> None:
    """The tunnel carries ws and wss; the proxy gets its own credential and never ours."""
    log: list[bytes] = []
    with (
        echo_server(tls=tls) as url,
        http_proxy(log) as proxy,
        opened(url, http_proxy=f"http://me:p%C3%A4ss%3Aword@{proxy}") as transport,
    ):
        transport.send(b"x")
        transport.flush()

        assert receive(transport) == b"x"

    assert b"CONNECT " + url.split("/")[2].encode() in log[0]
    assert base64.b64encode("me:päss:word".encode()) in log[0]
    assert KEY.encode() not in log[0]


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\n\r\nhello"],
        [b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 9000, b"\r\n\r", b"\nhello"],
    ],
    ids=["one write", "many writes"],
)
def test_what_follows_the_proxys_answer_is_the_peers(parts: list[bytes]) -> None:
    """A peer's first bytes may arrive together with the proxy's last, and are not taken for its answer."""
    done = threading.Event()

    def script(sock: socket.socket) -> None:
        assert read_head(sock).startswith(b"CONNECT res.example:443 HTTP/1.1\r\n")
        for part in parts:
            sock.sendall(part)
        done.wait(HANG)

    waker = Waker()
    with tcp_server(script) as url:
        way = parse_proxy(f"http://{url.split('/')[2]}")
        with socket.create_connection((way.host, way.port), HANG) as sock:
            connect_through(
                sock, "wss://res.example/", "res.example", 443, way, BoundedWait(Deadline(HANG), waker)
            )
            assert read_exactly(sock, 5) == b"hello"
        done.set()
    waker.close()


@pytest.mark.parametrize(
    ("variable", "spelling"),
    [
        ("HTTPS_PROXY", "http://me:pw@{}"),
        ("https_proxy", "http://me:pw@{}/"),
        ("HTTPS_PROXY", "{}"),
        ("HTTPS_PROXY", "me:pw@{}"),
        ("HTTPS_PROXY", " http://{} "),
        ("ALL_PROXY", "http://{}"),
    ],
)
def test_a_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str, spelling: str) -> None:
    """The variable works with and without a scheme, and the refusal names what to set."""
    log: list[bytes] = []
    refuse = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    with http_proxy(log, refuse) as proxy:
        monkeypatch.setenv(variable, spelling.format(proxy))
        error = refusal("wss://res.example/x")

    assert (error.status, error.type) == (407, "authentication_error")
    assert error.code == "proxy_authentication_required"
    assert f"The proxy {proxy} refused the way to res.example:443" in error.message
    assert 'http_proxy="<kind>://user:password@host:port"' in error.hint
    assert b"CONNECT res.example:443 HTTP/1.1" in log[0]
    assert (base64.b64encode(b"me:pw") in log[0]) is ("me:pw" in spelling)


@pytest.mark.parametrize("kind", ["socks5", "socks5h"])
def test_a_socks_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Each kind of proxy may stand in the variable."""
    monkeypatch.setenv("HTTPS_PROXY", f"{kind}://me:{PASSWORD}@proxy.example")

    found = proxy_from_environment("res.example", 443, secure=True)

    assert found == Proxy(kind, "proxy.example", 1080, ("me", PASSWORD))


def test_the_environment_in_lower_case_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in curl and elsewhere; and each scheme has a variable of its own."""
    monkeypatch.setenv("HTTPS_PROXY", "http://upper.example")
    monkeypatch.setenv("https_proxy", "http://lower.example")
    monkeypatch.setenv("HTTP_PROXY", "http://plain.example")

    assert str(proxy_from_environment("res.example", 443, secure=True)) == "lower.example:80"
    assert str(proxy_from_environment("res.example", 80, secure=False)) == "plain.example:80"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (f"https://me:{PASSWORD}@proxy.example:3128", "must begin with http://, not https://"),
        (f"gopher://me:{PASSWORD}@proxy.example", "must look like"),
        (f"http://me:{PASSWORD}/x@proxy.example:1", "must look like"),
        (f"http://me:{PASSWORD}@", "must look like"),
        (f"http://[me:{PASSWORD}", "must look like"),
        (f"socks5://me:{PASSWORD}é@proxy.example", "must have a user and a password of 1 to 255 ASCII"),
    ],
)
def test_a_variable_that_cannot_be_right(monkeypatch: pytest.MonkeyPatch, value: str, says: str) -> None:
    """It is refused by name instead of being passed by, and the password in it is not repeated."""
    monkeypatch.setenv("HTTPS_PROXY", value)

    error = refusal("wss://res.example/x")

    assert f"the variable HTTPS_PROXY {says}" in error.message
    assert error.type == "invalid_request_error"
    assert_silent(error)


def assert_silent(error: BaseException) -> None:
    """Fail if a proxy's password can be reached from an error: by its text, or by the frames it keeps."""
    seen: set[int] = set()
    todo: list[Any] = [error]
    while todo:
        item = todo.pop()
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        assert PASSWORD not in repr(item) + str(item) + repr(getattr(item, "__dict__", {}))
        if isinstance(item, BaseException):
            todo += [item.__cause__, item.__context__, *item.args]
            trace = item.__traceback__
            while trace is not None:
                if "azure_rt_audio" in trace.tb_frame.f_code.co_filename:
                    assert PASSWORD not in repr(trace.tb_frame.f_locals)
                trace = trace.tb_next


@pytest.mark.parametrize(
    ("no_proxy", "host", "spared"),
    [
        ("res.example", "res.example", True),
        ("RES.example", "res.example", True),
        ("res.example.", "res.example", True),
        ("res.example", "RES.EXAMPLE.", True),
        ("example", "res.example", True),
        (".example", "res.example", True),
        ("*.example", "res.example", True),
        ("a.org, example", "res.example", True),
        ("a.org example", "res.example", True),
        ("*", "res.example", True),
        ("a.org,*", "res.example", True),
        ("res.example:443", "res.example", True),
        ("*:443", "res.example", True),
        ("res.example:8443", "res.example", False),
        ("ample", "res.example", False),
        ("res.example.org", "res.example", False),
        (",", "res.example", False),
        ("", "res.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", False),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "res.example", False),
        ("10.0.0.0/99", "10.1.2.3", False),
        ("2001:db8::1", "2001:db8::1", True),
        ("2001:DB8:0::1", "2001:db8::1", True),
        ("[2001:db8::1]", "2001:db8::1", True),
        ("[2001:db8::1]:443", "2001:db8::1", True),
        ("[2001:db8::1]:80", "2001:db8::1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db9::/32", "2001:db8::1", False),
        pytest.param(f"res.example:{'4' * 5_000}", "res.example", False, id="no port"),
    ],
)
def test_whom_no_proxy_spares(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, host: str, spared: bool
) -> None:
    """Hosts, domains and networks are left out, with a port or without."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", no_proxy)

    assert spared is is_spared(host, 443, no_proxy)
    assert spared is (proxy_from_environment(host, 443, secure=True) is None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "app.localhost"])
def test_loopback_is_spared(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """What does not leave the machine needs no proxy, which would see plain traffic."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")

    assert proxy_from_environment(host, 443, secure=True) is None


@pytest.mark.parametrize("no_proxy", ["", "*"])
def test_a_proxy_that_is_chosen_is_used_in_any_case(monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    """The option comes before the environment, and NO_PROXY does not concern it."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", no_proxy)
    log: list[bytes] = []
    with http_proxy(log, "HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
        error = refusal("wss://res.example/x", http_proxy=f"http://{proxy}")

    assert (error.status, len(log)) == (403, 1)


def test_a_proxy_that_is_not_there() -> None:
    """The proxy is named, not the service."""
    with refusing_addresses() as [(host, port)]:
        for kind in ("http", "socks5h"):
            error = refusal("wss://res.example/", http_proxy=f"{kind}://{host}:{port}")

            assert f"Nothing listens at the proxy {host}:{port}" in error.message


def test_a_service_that_is_not_there_behind_a_proxy() -> None:
    """What fails beyond the proxy is not blamed on it."""
    log: list[bytes] = []
    with tcp_server(await_eof) as url, http_proxy(log) as proxy:
        error = refusal(url.replace("ws:", "wss:"), seconds=0.4, http_proxy=f"http://{proxy}")

    assert f"{url.split('/')[2]} did not complete the handshake in time" in error.message
    assert "TLS handshake was still going on. Check" in error.message


@pytest.mark.parametrize("junk", ["", "SSH-2.0\r\n\r\n", "HTTP/1.1 200 " + "x" * 20000])
def test_a_proxy_that_is_none(junk: str) -> None:
    """Whatever listens there, it is an error of the proxy."""
    with http_proxy([], junk or "x") as proxy:
        error = refusal("wss://res.example/", http_proxy=f"http://me:{PASSWORD}@{proxy}")

    assert f"The proxy {proxy}" in error.message
    assert_silent(error)


# ------------------------------------------------------------ proxies by SOCKS


def through(kind: str, place: str, auth: str = "") -> str:
    """Return the URL of a proxy."""
    return f"{kind}://{auth}{place}"


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("socks5h", "name:localhost"),
        ("socks5", "ipv4:127.0.0.1"),
        ("socks4a", "name:localhost"),
        ("socks4", "ipv4:127.0.0.1"),
    ],
)
def test_through_a_socks_proxy(monkeypatch: pytest.MonkeyPatch, tls: bool, kind: str, asked: str) -> None:
    """The kinds with a letter at the end have the proxy resolve the name, the others do it here."""
    log: list[str] = []
    real = socket.getaddrinfo
    monkeypatch.setattr(  # whatever order the machine has for its own name
        socket, "getaddrinfo", lambda *args, **options: sorted(real(*args, **options))
    )
    with echo_server(tls=tls) as url, socks_proxy(log, refuse={"ipv6": 8}) as proxy:
        url = url.replace("127.0.0.1", "localhost")
        with opened(url, http_proxy=through(kind, proxy)) as transport:
            transport.send(b"x")
            transport.flush()

            assert receive(transport) == b"x"

    assert [entry for entry in log if not entry.startswith("user:")] == [asked]


def test_socks_with_user_and_password() -> None:
    """They are sent if the proxy asks, and a user alone identifies by SOCKS4."""
    log: list[str] = []
    with echo_server() as url:
        with (
            socks_proxy(log, auth=("m@", PASSWORD)) as proxy,
            opened(url, http_proxy=through("socks5", proxy, f"m%40:{PASSWORD}@")),
        ):
            pass
        with socks_proxy(log) as proxy, opened(url, http_proxy=through("socks4", proxy, "me@")):
            pass

    assert log == [f"user:m@:{PASSWORD}", "ipv4:127.0.0.1", "user:me", "ipv4:127.0.0.1"]


@pytest.mark.parametrize("auth", ["", f"me:{PASSWORD}-wrong@"])
def test_socks_with_a_wrong_password(auth: str) -> None:
    """The remedy is named, the password is not."""
    with socks_proxy([], auth=("me", "another")) as proxy:
        error = refusal("wss://res.example/x", http_proxy=through("socks5h", proxy, auth))

    assert f"The proxy {proxy} refused the way to res.example:443 to this user" in error.message
    assert "http_proxy=" in error.hint
    assert_silent(error)


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("socks5h", 2, "its rules do not allow it"),
        ("socks5h", 5, "nothing listens there"),
        ("socks5h", 99, "did not answer as a SOCKS proxy does"),
        ("socks4a", 0x5B, "it was rejected, or failed"),
    ],
)
def test_a_socks_proxy_that_refuses(kind: str, code: int, says: str) -> None:
    """Its reason is told in words."""
    with socks_proxy([], refuse={"name": code}) as proxy:
        error = refusal("wss://res.example/x", http_proxy=through(kind, proxy))

    assert f"The proxy {proxy}" in error.message
    assert says in error.message


def test_a_socks_proxy_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the name is resolved here, the proxy is asked for an address of the other family, too."""
    log: list[str] = []
    with echo_server() as url, socks_proxy(log, refuse={"ipv6": 4}) as proxy:
        port = int(url.split("/")[2].split(":")[1])
        real = socket.getaddrinfo

        def resolve(host: str, *args: Any, **options: Any) -> Any:
            if host != "res.example":
                return real(host, *args, **options)
            if options.get("flags"):
                raise socket.gaierror(socket.EAI_NONAME, "not a number")
            return at(("2001:db8::1", port), ("2001:db8::2", port), ("127.0.0.1", port))

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        with opened(f"ws://res.example:{port}/", http_proxy=through("socks5", proxy)):
            pass

    assert log == ["ipv6:2001:db8::1", "ipv4:127.0.0.1"]


def test_socks4_has_no_ipv6() -> None:
    """What cannot be asked for is refused here."""
    error = refusal("wss://[2001:db8::1]/x", http_proxy=through("socks4a", "127.0.0.1:1"))

    assert "SOCKS4 knows no IPv6" in error.message


@pytest.mark.parametrize("junk", [b"SSH-2.0-OpenSSH\r\n", b"\5\7", b"\5\0\5", b""])
def test_a_socks_proxy_that_is_none(junk: bytes) -> None:
    """Whatever listens there, it is an error of the proxy, and no exception of python-socks."""

    def script(sock: socket.socket) -> None:
        sock.sendall(junk)
        sock.shutdown(socket.SHUT_WR)
        await_eof(sock)

    with tcp_server(script) as url:
        place = url.split("/")[2]
        error = refusal("wss://res.example/x", http_proxy=through("socks5h", place, f"me:{PASSWORD}@"))

    assert f"he proxy {place}" in error.message
    assert error.type == ("authentication_error" if junk == b"\5\7" else "connection_error")
    assert_silent(error)


def test_a_name_that_socks_cannot_carry() -> None:
    """It is the name that is wrong."""
    with socks_proxy([]) as proxy:
        error = refusal(f"wss://{'x' * 70}.example/", http_proxy=through("socks5h", proxy))

    assert "host name is not a valid one" in error.message


def test_socks_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is named."""
    for name in ("python_socks", "python_socks.sync", "python_socks.sync.v2"):
        monkeypatch.setitem(__import__("sys").modules, name, None)

    error = refusal("wss://res.example/", http_proxy=through("socks5h", "proxy.example:1"))

    assert "azure-rt-audio[socks]" in error.message


# ------------------------------------------------------------ proxies that hang


def hangs_before_anything(sock: socket.socket) -> None:
    await_eof(sock)


def hangs_in_socks(sock: socket.socket) -> None:
    sock.recv(16)
    sock.sendall(b"\5\0")
    await_eof(sock)


def drips_in_http(sock: socket.socket) -> None:
    read_head(sock)
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000:
            sock.sendall(bytes([byte]))
            if selector.select(0.02):
                return


HANGING = [
    pytest.param("http", hangs_before_anything, "proxy's CONNECT", id="CONNECT"),
    pytest.param("http", drips_in_http, "proxy's CONNECT", id="dripping CONNECT"),
    pytest.param("socks5h", hangs_before_anything, "SOCKS handshake", id="SOCKS greeting"),
    pytest.param("socks5h", hangs_in_socks, "SOCKS handshake", id="SOCKS request"),
    pytest.param("socks4", hangs_before_anything, "SOCKS handshake", id="SOCKS4"),
]


@pytest.mark.parametrize(("kind", "script", "phase"), HANGING)
def test_a_hanging_proxy_is_late(kind: str, script: Any, phase: str) -> None:
    """The deadline holds for the whole, and what hung is named."""
    with no_file_is_left_open(), tcp_server(script) as url:
        place = url.split("/")[2]
        error = refusal("wss://127.0.0.1:1/x", seconds=0.3, http_proxy=through(kind, place))

    assert f"the {phase} was still going on at the proxy {place}" in error.message


@pytest.mark.parametrize(("kind", "script", "phase"), HANGING)
def test_closing_does_not_wait_for_a_hanging_proxy(kind: str, script: Any, phase: str) -> None:
    """close() ends the attempt: the I/O thread is gone when it returns, and the proxy sees the end."""
    arrived, left = threading.Event(), threading.Event()

    def told(sock: socket.socket) -> None:
        arrived.set()
        try:
            script(sock)
        finally:
            left.set()

    with no_file_is_left_open(), tcp_server(told) as url:
        way = through(kind, url.split("/")[2])
        recorder = Recorder("wss://127.0.0.1:1/x", http_proxy=way, connect_timeout=60.0)
        recorder.connection.start()
        assert arrived.wait(HANG)
        assert recorder.close(0.5)
        assert left.wait(HANG)

    assert "closed by this side" in recorder.end().message


def test_a_chosen_proxy_shows_no_password() -> None:
    """A repr ends up in logs, and an attempt that is given up is told without it."""
    way = through("socks5h", "127.0.0.1:1", f"me:{PASSWORD}@")
    error = refusal("wss://res.example/", http_proxy=way)

    assert PASSWORD not in repr(WebSocketOptions(http_proxy=way)) + str(parse_proxy(way))
    assert_silent(error)


def test_an_attempt_that_is_given_up_shows_no_password() -> None:
    """Neither does the error of an attempt that was interrupted behind a proxy."""
    arrived = threading.Event()

    def script(sock: socket.socket) -> None:
        arrived.set()
        await_eof(sock)

    waker = Waker()
    with tcp_server(script) as url:
        way = through("http", url.split("/")[2], f"me:{PASSWORD}@")
        aside = Aside(
            lambda: open_transport(
                Target("wss://h.example/", HEADERS), WebSocketOptions(http_proxy=way), Deadline(None), waker
            )
        )
        assert arrived.wait(HANG)
        waker.interrupt()
        with pytest.raises(ConnectError, match="given up") as caught:
            aside.result()
    waker.close()

    assert_silent(caught.value)
