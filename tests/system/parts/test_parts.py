"""
Through proxies that others have written: nginx in front of the service, squid and microsocks on the way.

Each test runs its own, as a process; ``tests/system/parts/install.py`` installs the programs.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from listeners import HANG
from parts.daemons import Nginx, directory_for_all, free_port, microsocks, squid

from azure_rt_audio import AzureRealTimeAudio, ConnectError, ConnectionClosedError
from azure_rt_audio.emulator import Emulator

pytestmark = pytest.mark.parts

USER, PASSWORD = "me", "p:ss word"
IN_A_URL = "me:p%3Ass%20word"
SERVICE = "res.example"


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for a daemon."""
    with directory_for_all() as place:
        yield place


@pytest.fixture
def nginx(place: Path) -> Nginx:
    """An nginx that is not running yet."""
    return Nginx(place)


@pytest.fixture
def certificate(authority: trustme.CA, place: Path) -> str:
    """nginx's directives for a certificate of localhost."""
    own = authority.issue_cert("localhost")
    own.private_key_and_cert_chain_pem.write_to_path(str(place / "own.pem"))
    return "ssl_certificate own.pem; ssl_certificate_key own.pem;"


def passing_on(service: Emulator, more: str = "") -> str:
    """Return nginx's directives for a WebSocket service behind it."""
    return (
        "location / {"
        f"proxy_pass http://127.0.0.1:{service.port}; proxy_http_version 1.1; proxy_set_header Host $host;"
        f'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; {more}'
        "}"
    )


def options(service: Emulator, host: str) -> dict[str, Any]:
    """Return a client's options for the service behind another host."""
    return {**service.options("ga"), "host_name": f"wss://{host}"}


def speak(client: AzureRealTimeAudio) -> str:
    """Have a conversation, sound and all; return what was answered."""
    client.append_audio(bytes(4800))
    client.clear_audio_buffer().result(timeout=HANG)
    return client.ask("Hello!").text


# ------------------------------------------------------------ nginx in front of the service


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_conversation_through_nginx(
    nginx: Nginx, certificate: str, emulator: Emulator, tls_context: ssl.SSLContext, version: str
) -> None:
    """nginx ends TLS of either version and passes frames on; it sees no Origin, and no key in the URL."""
    port = nginx.serve(passing_on(emulator), tls=f"{certificate} ssl_protocols {version};")
    with (
        nginx.running(),
        AzureRealTimeAudio(options(emulator, f"localhost:{port}"), {"ssl_context": tls_context}) as client,
    ):
        assert speak(client)
    request, *_ = nginx.log.splitlines()

    assert request.startswith(f'101 {version} "GET /openai/v1/realtime?model=')
    assert 'origin="-"' in request
    assert str(emulator.options()["api_key"]) not in nginx.log


def test_nginx_that_wants_a_client_certificate(
    nginx: Nginx, certificate: str, emulator: Emulator, authority: trustme.CA, tls_context: ssl.SSLContext
) -> None:
    """Without one it says so, and with one it lets in."""
    authority.cert_pem.write_to_path(str(nginx.directory / "ca.pem"))
    wanted = "ssl_client_certificate ca.pem; ssl_verify_client on;"
    port = nginx.serve(passing_on(emulator), tls=f"{certificate} {wanted}")
    where = options(emulator, f"localhost:{port}")
    with nginx.running():
        with pytest.raises(ConnectError) as caught, AzureRealTimeAudio(where, {"ssl_context": tls_context}):
            pass
        authority.issue_cert("client.example", common_name="the client").configure_cert(tls_context)
        with AzureRealTimeAudio(where, {"ssl_context": tls_context}) as client:
            assert speak(client)

    assert caught.value.status == 400
    assert "No required SSL certificate was sent" in (caught.value.body or "")
    assert "the client" in nginx.log


@pytest.mark.parametrize(
    ("answer", "status", "kind", "retry_after", "says"),
    [
        (
            'default_type application/json; return 401 \'{"error":{"code":"401","message":"No such key"}}\';',
            401,
            "authentication_error",
            None,
            "No such key",
        ),
        (
            "return 307 https://elsewhere.example/x?sig=s3cret;",
            307,
            "connection_error",
            None,
            "redirects to elsewhere.example",
        ),
        ("add_header Retry-After 7 always; return 429;", 429, "rate_limit_error", 7.0, "Too Many Requests"),
        ("return 502;", 502, "server_error", None, "Bad Gateway"),
        ("return 200 hello;", 200, "connection_error", None, "not a WebSocket endpoint"),
    ],
)
def test_a_refusal_by_nginx(
    nginx: Nginx,
    certificate: str,
    emulator: Emulator,
    tls_context: ssl.SSLContext,
    answer: str,
    status: int,
    kind: str,
    retry_after: float | None,
    says: str,
) -> None:
    """Status, kind, time to wait and words are told; a redirect is not followed."""
    port = nginx.serve(answer, tls=certificate)
    where = options(emulator, f"localhost:{port}")
    with (
        nginx.running(),
        pytest.raises(ConnectError) as caught,
        AzureRealTimeAudio(where, {"ssl_context": tls_context}),
    ):
        pass

    error = caught.value
    assert (error.status, error.type, error.retry_after) == (status, kind, retry_after)
    assert says in error.message
    assert "s3cret" not in error.message
    assert nginx.log.count("GET /openai/v1/realtime") == 1


def test_nginx_without_the_upgrade(
    nginx: Nginx, certificate: str, emulator: Emulator, tls_context: ssl.SSLContext
) -> None:
    """A gateway that passes the request on without its upgrade, which is a usual mistake, is named."""
    port = nginx.serve(f"location / {{ proxy_pass http://127.0.0.1:{emulator.port}; }}", tls=certificate)
    with (
        nginx.running(),
        pytest.raises(ConnectError) as caught,
        AzureRealTimeAudio(options(emulator, f"localhost:{port}"), {"ssl_context": tls_context}),
    ):
        pass

    assert caught.value.status is not None
    assert f"localhost:{port} refused the connection" in caught.value.message


@pytest.fixture
def impatient(nginx: Nginx, certificate: str, emulator: Emulator) -> Iterator[dict[str, Any]]:
    """Options for a service behind an nginx that cuts connections after a second of silence."""
    port = nginx.serve(passing_on(emulator, "proxy_read_timeout 1s;"), tls=certificate)
    with nginx.running():
        yield options(emulator, f"localhost:{port}")


def test_an_idle_connection_is_cut_by_nginx(
    impatient: dict[str, Any], tls_context: ssl.SSLContext, nginx: Nginx
) -> None:
    """It is reported as a loss without a close frame, by the name of the host."""
    ended, errors = threading.Event(), []
    never = {"ssl_context": tls_context, "ping_interval": None}
    with AzureRealTimeAudio(impatient, never, reconnect=None) as client:
        client.on("error", errors.append)
        client.on("closed", lambda _: ended.set())
        assert ended.wait(HANG)
        with pytest.raises(ConnectionClosedError) as caught:
            client.append_audio(bytes(480))

    assert caught.value.close_code == 1006
    assert "localhost" in caught.value.message
    assert "lost without a close frame" in caught.value.message
    assert [error.type for error in errors] == ["connection_error"]


def test_pings_keep_nginx_from_cutting(impatient: dict[str, Any], tls_context: ssl.SSLContext) -> None:
    """With a ping interval shorter than nginx's patience a quiet connection lives on: pongs count for it."""
    ended = threading.Event()
    with AzureRealTimeAudio(impatient, {"ssl_context": tls_context, "ping_interval": 0.3}) as client:
        client.on("closed", lambda _: ended.set())
        assert not ended.wait(2.2)
        assert client.ask("Still there?").text


# ------------------------------------------------------------ proxies on the way


@pytest.fixture
def service(authority: trustme.CA) -> Iterator[Emulator]:
    """A service behind TLS that has a name of its own, which only a proxy can resolve."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(SERVICE, "127.0.0.1").configure_cert(context)
    with Emulator(pace=0, ssl_context=context) as service:
        yield service


def test_squid_that_wants_a_password(
    service: Emulator, tls_context: ssl.SSLContext, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without credentials it is a clear 407; with them, by option or variable, there is a conversation."""
    where = options(service, f"{SERVICE}:{service.port}")
    trust = {"ssl_context": tls_context}
    with squid(place, USER, PASSWORD, f"127.0.0.1 {SERVICE}\n") as (port, log):
        for auth in ("", "me:wrong@"):
            refused = {**trust, "http_proxy": f"http://{auth}127.0.0.1:{port}"}
            with (
                pytest.raises(ConnectError) as caught,
                AzureRealTimeAudio(where, refused),
            ):
                pass
            assert (caught.value.status, caught.value.type) == (407, "authentication_error")
            assert f"The proxy 127.0.0.1:{port} refused the way to {SERVICE}" in caught.value.message
            assert "http_proxy=" in caught.value.hint
            assert "wrong" not in caught.value.message

        chosen = {**trust, "http_proxy": f"http://{IN_A_URL}@127.0.0.1:{port}"}
        with AzureRealTimeAudio(where, chosen) as client:
            assert speak(client)

        for variable in (f"http://{IN_A_URL}@127.0.0.1:{port}", f"{IN_A_URL}@127.0.0.1:{port}"):
            monkeypatch.setenv("HTTPS_PROXY", variable)
            with AzureRealTimeAudio(where, trust) as client:
                assert speak(client)
        said, deadline = log(), time.monotonic() + 10
        # Squid writes the line of a tunnel when it has seen its end.
        while said.count(f"CONNECT {SERVICE}:{service.port}") < 5 and time.monotonic() < deadline:
            threading.Event().wait(0.05)
            said = log()

    assert said.count(f"CONNECT {SERVICE}:{service.port}") >= 5
    assert said.count("TCP_DENIED/407") == 2
    assert service.options()["api_key"] not in said


def test_squid_that_does_not_get_there(tls_context: ssl.SSLContext, place: Path) -> None:
    """A service that is not there is told as the proxy's refusal."""
    where = {"host_name": f"wss://{SERVICE}:{free_port()}", "deployment": "x", "api_key": "k"}
    with squid(place, USER, PASSWORD, f"127.0.0.1 {SERVICE}\n") as (port, _):
        chosen = {"ssl_context": tls_context, "http_proxy": f"http://{IN_A_URL}@127.0.0.1:{port}"}
        with pytest.raises(ConnectError) as caught, AzureRealTimeAudio(where, chosen):
            pass

    assert caught.value.status == 503
    assert f"The proxy 127.0.0.1:{port} refused the way to {SERVICE}" in caught.value.message
    assert "NO_PROXY" in caught.value.hint


def test_microsocks(service: Emulator, tls_context: ssl.SSLContext, place: Path) -> None:
    """A SOCKS5 proxy lets through whoever has the password."""
    where = options(service, f"127.0.0.1:{service.port}")
    with microsocks(place, USER, PASSWORD) as port:
        for kind in ("socks5", "socks5h"):
            chosen = {"ssl_context": tls_context, "http_proxy": f"{kind}://{IN_A_URL}@127.0.0.1:{port}"}
            with AzureRealTimeAudio(where, chosen) as client:
                assert speak(client)

        chosen["http_proxy"] = f"socks5h://127.0.0.1:{port}"
        with pytest.raises(ConnectError) as caught, AzureRealTimeAudio(where, chosen):
            pass

    assert "to this user" in caught.value.message
