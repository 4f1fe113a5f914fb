"""Real proxies as processes: each in a directory and on ports of its own, and gone afterwards."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
from parts.install import find

START = 20.0
"""Seconds within which a daemon must answer."""


def free_port() -> int:
    """Return a port that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def daemon(command: Sequence[str], directory: Path, ports: Sequence[int]) -> Iterator[None]:
    """Run a command as long as the block lasts, from when all of its ports answer."""
    program = find(command[0])
    if program is None:
        pytest.fail(f"{command[0]} is missing; run: python tests/system/parts/install.py")
    output = directory / f"{command[0]}.out"
    with (
        output.open("wb") as file,
        subprocess.Popen([program, *command[1:]], cwd=directory, stdout=file, stderr=file) as process,
    ):
        try:
            deadline = time.monotonic() + START
            for port in ports:
                while not _answers(port):
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(0.05)  # a moment, unless it has ended
                    if process.poll() is not None or time.monotonic() > deadline:
                        pytest.fail(f"{command[0]} does not run: {output.read_text()[-2000:]}")
            yield
        finally:
            process.terminate()
            try:
                process.wait(START)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


@contextlib.contextmanager
def directory_for_all() -> Iterator[Path]:
    """Yield a new directory; a daemon that gives up being root may write there, unlike in pytest's own."""
    with tempfile.TemporaryDirectory(prefix="parts-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o777)
        yield Path(name)


class Nginx:
    """nginx in front of something; what it wrote down is in :attr:`log` once it has stopped."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._servers: list[str] = []
        self._ports: list[int] = []

    def serve(self, body: str, *, tls: str = "") -> int:
        """Add a server with these directives; *tls* are those of its certificate. Returns its port."""
        port = free_port()
        self._ports.append(port)
        self._servers.append(f"server {{ listen 127.0.0.1:{port}{' ssl' if tls else ''}; {tls} {body} }}")
        return port

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run."""
        places = "\n".join(
            f"{kind}_temp_path temp/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.directory / "temp").mkdir()
        servers = "\n".join(self._servers)
        (self.directory / "nginx.conf").write_text(
            f"""
            {"user root;" if os.geteuid() == 0 else ""}
            daemon off;
            worker_processes 1;
            pid nginx.pid;
            error_log error.log info;
            events {{ worker_connections 64; }}
            http {{
                {places}
                log_format all '$status $ssl_protocol "$request" origin="$http_origin" "$ssl_client_s_dn"';
                access_log access.log all;
                {servers}
            }}
            """
        )
        command = ["nginx", "-p", f"{self.directory}/", "-c", "nginx.conf", "-e", "error.log"]
        with daemon(command, self.directory, self._ports):
            yield

    @property
    def log(self) -> str:
        """The requests, one a line; and what went wrong."""
        return (self.directory / "access.log").read_text() + (self.directory / "error.log").read_text()


@contextlib.contextmanager
def squid(directory: Path, user: str, password: str, hosts: str) -> Iterator[tuple[int, Callable[[], str]]]:
    """Run squid, which wants to know who we are; yield its port, and a function that returns its log."""
    port = free_port()
    told = quote(password, safe=":")  # as squid spells it to its helper
    helper = directory / "who.sh"
    helper.write_text(
        f'#!/bin/sh\nwhile read line; do [ "$line" = "{user} {told}" ] && echo OK || echo ERR; done\n'
    )
    helper.chmod(0o755)
    (directory / "hosts").write_text(hosts)
    (directory / "squid.conf").write_text(
        f"""
http_port 127.0.0.1:{port}
visible_hostname squid.example
auth_param basic program /bin/sh {helper}
auth_param basic children 1
auth_param basic realm squid
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
hosts_file {directory}/hosts
dns_nameservers 127.0.0.1
cache deny all
pid_filename none
cache_log {directory}/cache.log
access_log stdio:{directory}/access.log
coredump_dir {directory}
netdb_filename none
pinger_enable off
shutdown_lifetime 0 seconds
"""
    )
    with daemon(["squid", "-N", "-f", f"{directory}/squid.conf"], directory, [port]):
        yield port, lambda: (directory / "access.log").read_text()


@contextlib.contextmanager
def microsocks(directory: Path, user: str, password: str) -> Iterator[int]:
    """Run a SOCKS5 proxy that wants to know who we are; yield its port."""
    port = free_port()
    command = ["microsocks", "-i", "127.0.0.1", "-p", str(port), "-u", user, "-P", password]
    with daemon(command, directory, [port]):
        yield port
