"""TLS on the way to the service: whom to trust, who we are, and contexts with a mind of their own."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from connect_helpers import opened, receive, refusal
from fake_proxies import no_file_is_left_open
from fake_servers import CLIENT_TLS, HANG, Recorder, await_eof, echo_frames, tcp_server

from azure_rt_audio import AzureRealTimeAudio, WebSocketOptions
from azure_rt_audio._net import tls as _tls
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.errors import ConnectError


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[str]:
    """Run an echo with this context; yield its URL, in which it is called localhost."""

    def script(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as peer:
            echo_frames(peer)

    with tcp_server(script) as url:
        yield url.replace("ws:", "wss:").replace("127.0.0.1", "localhost")


def server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return a server's context, whose certificate holds the names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def echoes(url: str, **options: Any) -> bool:
    """Whether a message comes back."""
    with opened(url, **options) as transport:
        transport.send(b"x")
        transport.flush()
        return receive(transport) == b"x"


def await_helpers() -> None:
    """Wait for the threads that handshakes were left to: less long than the servers here are silent."""
    for thread in threading.enumerate():
        if thread.name == "azure-rt-tls":
            thread.join(HANG / 2)
            assert not thread.is_alive()


# ------------------------------------------------------------ a context of the user's


def test_connections_share_one_context() -> None:
    """A context takes 18 ms and 0.9 MB, so the default one is made once."""
    assert _tls.choose_context(None) is _tls.choose_context(None)
    assert _tls.choose_context(CLIENT_TLS) is CLIENT_TLS


def test_an_authority_of_ones_own_is_trusted(authority: trustme.CA, tls_context: ssl.SSLContext) -> None:
    """A service that only a company's authority vouches for is reached with a context that knows it."""
    with tls_server(server_context(authority, "localhost")) as url:
        assert echoes(url, ssl_context=tls_context)
        assert "was not accepted" in refusal(url, ssl_context=None).message


def test_a_certificate_for_another_name(authority: trustme.CA, tls_context: ssl.SSLContext) -> None:
    """A certificate that is valid, but not for this host, is refused."""
    with tls_server(server_context(authority, "other.example")) as url:
        error = refusal(url, ssl_context=tls_context)

    assert "certificate of localhost" in error.message
    assert "not valid for 'localhost'" in error.message


def test_the_server_is_told_the_name(authority: trustme.CA, tls_context: ssl.SSLContext) -> None:
    """SNI says which of a machine's services is meant; an address has none."""
    told: list[str | None] = []
    context = server_context(authority, "localhost", "127.0.0.1")
    context.sni_callback = lambda sock, name, own: told.append(name)
    with tls_server(context) as url:
        assert echoes(url, ssl_context=tls_context)
        assert echoes(url.replace("localhost", "127.0.0.1"), ssl_context=tls_context)

    assert told == ["localhost", None]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate(
    authority: trustme.CA, tls_context: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    """A server that asks for one gets it, and one that gets none says so."""
    shown: list[Any] = []
    context = server_context(authority, "localhost")
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)

    def script(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as peer:
            shown.append(peer.getpeercert())
            echo_frames(peer)

    with tcp_server(script) as url:
        url = url.replace("ws:", "wss:").replace("127.0.0.1", "localhost")
        without = refusal(url, ssl_context=tls_context)
        authority.issue_cert("me.example").configure_cert(tls_context)
        assert echoes(url, ssl_context=tls_context)

    assert [cert["subjectAltName"] for cert in shown] == [(("DNS", "me.example"),)]
    assert "localhost" in without.message
    assert without.type == "connection_error"


# ------------------------------------------------------------ a context with code of its own


class DeadlinePassed(ssl.SSLContext):
    """Checks at the end of wrap_socket, if that did the handshake: as truststore did before 0.10.5."""

    checked: list[str]
    verdict: ssl.SSLError | None = None

    def wrap_socket(self, sock: Any, *args: Any, **options: Any) -> ssl.SSLSocket:  # type: ignore[override]
        tls = super().wrap_socket(sock, *args, **options)
        if options.get("do_handshake_on_connect", True):
            self.checked.append(str(options["server_hostname"]))
            if self.verdict is not None:
                tls.close()
                raise self.verdict
        return tls


@pytest.fixture
def late(authority: trustme.CA) -> DeadlinePassed:
    """A context that checks late."""
    context = DeadlinePassed(ssl.PROTOCOL_TLS_CLIENT)
    context.checked = []
    authority.configure_trust(context)
    return context


def test_a_context_that_checks_late_gets_to_check(authority: trustme.CA, late: DeadlinePassed) -> None:
    """Whatever a context does in wrap_socket after the handshake is done, and its verdict counts."""
    with tls_server(server_context(authority, "localhost")) as url:
        assert echoes(url, ssl_context=late)
        late.verdict = ssl.SSLCertVerificationError("The system does not trust it")
        error = refusal(url, ssl_context=late)

    assert late.checked == ["localhost", "localhost"]
    assert "certificate of localhost" in error.message
    assert "The system does not trust it" in error.message


class Slow(DeadlinePassed):
    """Checks in the handshake, for as long as it is told to: as truststore does since 0.10.5."""

    def wrap_socket(self, sock: Any, *args: Any, **options: Any) -> ssl.SSLSocket:  # type: ignore[override]
        return ssl.SSLContext.wrap_socket(self, sock, *args, **options)


@pytest.fixture
def slow(authority: trustme.CA) -> Iterator[tuple[Slow, threading.Event, threading.Event]]:
    """A context whose check takes long, an event for its beginning, and one that lets it end."""
    begun, go_on = threading.Event(), threading.Event()

    class Checking(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            begun.set()
            assert go_on.wait(HANG)

    context = Slow(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = Checking
    authority.configure_trust(context)
    yield context, begun, go_on
    go_on.set()


def test_a_check_that_takes_long_is_left_behind(
    authority: trustme.CA, slow: tuple[Slow, threading.Event, threading.Event]
) -> None:
    """Closing does not wait while the system asks the network about a certificate, and nothing leaks."""
    context, begun, go_on = slow
    with no_file_is_left_open(), tls_server(server_context(authority, "localhost")) as url:
        recorder = Recorder(url, ssl_context=context, connect_timeout=60.0)
        recorder.connection.start()
        assert begun.wait(HANG)
        assert recorder.close(0.5)
        go_on.set()
        await_helpers()

    assert "closed by this side" in recorder.end().message


def test_a_check_in_time(authority: trustme.CA, slow: tuple[Slow, threading.Event, threading.Event]) -> None:
    """With a check that comes to an end the connection is as any other."""
    context, _, go_on = slow
    go_on.set()
    with tls_server(server_context(authority, "localhost")) as url:
        assert echoes(url, ssl_context=context)


@pytest.mark.parametrize("kind", ["late", "slow"])
def test_a_silent_server_with_such_a_context(kind: str, request: pytest.FixtureRequest) -> None:
    """The deadline and close() hold there, too, and no thread is left."""
    made = request.getfixturevalue(kind)
    context = made if kind == "late" else made[0]
    with no_file_is_left_open(), tcp_server(await_eof) as url:
        url = url.replace("ws:", "wss:")
        assert "TLS handshake was still going on" in refusal(url, seconds=0.3, ssl_context=context).message
        await_helpers()

    arrived = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.recv(1)
        arrived.set()
        await_eof(sock)

    with no_file_is_left_open(), tcp_server(script) as url:
        recorder = Recorder(url.replace("ws:", "wss:"), ssl_context=context, connect_timeout=60.0)
        recorder.connection.start()
        assert arrived.wait(HANG)
        assert recorder.close(0.5)
        await_helpers()


# ------------------------------------------------------------ truststore


@pytest.fixture
def truststore(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package truststore, on a system that trusts the authority; what connections share is made anew."""
    import truststore as library  # late: it looks at the system

    if sys.platform not in ("linux", "freebsd"):
        pytest.skip("this system's trust is not to be changed by a variable")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setattr(_tls, "_shared", {})
    return library


def test_what_the_system_trusts(
    authority: trustme.CA, truststore: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By a word in the options, certificates are checked against the system's own, by name as well."""
    with tls_server(server_context(authority, "localhost")) as url:
        assert echoes(url, ssl_context="truststore")
        assert "certificate of 127.0.0.1" in (
            refusal(url.replace("localhost", "127.0.0.1"), ssl_context="truststore").message
        )
    stranger = trustme.CA()
    with tls_server(server_context(stranger, "localhost")) as url:
        error = refusal(url, ssl_context="truststore")

    assert "The TLS certificate of localhost" in error.message
    assert list(_tls._shared) == ["truststore"]


def test_a_truststore_of_ones_own(authority: trustme.CA, truststore: Any) -> None:
    """A context of truststore's is taken as an option, and may trust more than the system does."""
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger = trustme.CA()
    with tls_server(server_context(stranger, "localhost")) as url:
        assert "was not accepted" in refusal(url, ssl_context=context).message
        stranger.configure_trust(context)
        assert echoes(url, ssl_context=WebSocketOptions(ssl_context=context).ssl_context)


def test_a_truststore_in_the_place_of_ssl(authority: trustme.CA, truststore: Any) -> None:
    """Where truststore stands in the place of ssl's own class, our default is one of its contexts."""
    truststore.inject_into_ssl()
    try:
        with tls_server(server_context(authority, "localhost")) as url:
            assert echoes(url, ssl_context=None)
            assert type(_tls.choose_context(None)).__module__.startswith("truststore")
            own = ssl.create_default_context()
            assert echoes(url, ssl_context=WebSocketOptions(ssl_context=own).ssl_context)
    finally:
        truststore.extract_from_ssl()


def test_one_silent_server_does_not_hold_up_the_others(authority: trustme.CA, truststore: Any) -> None:
    """Connections share the context, and its lock is not held while one of them waits for its server."""
    arrived = threading.Event()

    def script(sock: socket.socket) -> None:
        sock.recv(1)
        arrived.set()
        await_eof(sock)

    with tcp_server(script) as silent, tls_server(server_context(authority, "localhost")) as url:
        recorder = Recorder(silent.replace("ws:", "wss:"), ssl_context="truststore", connect_timeout=60.0)
        recorder.connection.start()
        assert arrived.wait(HANG)
        assert echoes(url, ssl_context="truststore")
        assert recorder.close(0.5)


def test_a_conversation_with_what_the_system_trusts(tls_emulator: Emulator, truststore: Any) -> None:
    """The option does what it says from end to end."""
    options = {**tls_emulator.options("ga"), "host_name": f"wss://127.0.0.1:{tls_emulator.port}"}
    with AzureRealTimeAudio(options, {"ssl_context": "truststore"}) as client:
        assert client.ask("Hello!").text


def test_truststore_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is named."""
    monkeypatch.setattr(_tls, "_shared", {})
    monkeypatch.setitem(sys.modules, "truststore", None)

    error = refusal("wss://127.0.0.1:1/", ssl_context="truststore")

    assert isinstance(error, ConnectError)
    assert "azure-rt-audio[truststore]" in error.message
    assert error.type == "invalid_request_error"
