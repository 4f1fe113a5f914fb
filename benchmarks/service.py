"""The service that all of them talk to: the process of ``peer.py``, and where it listens."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import trustme
from attrs import frozen
from peer import model

__all__ = ["HANG_SECONDS", "Service", "expect", "serving"]

HANG_SECONDS: Final = 60.0
"""After which a client that waits for the service gives up."""


@frozen
class Service:
    """
    Where the peer listens, and what it shall send.

    Attributes:
        scheme: ``"ws"`` or ``"wss"``.
        authority_file: PEM of the authority that its certificate is of.
        events: How many deltas a response has.
        characters: How long each of them is.
    """

    scheme: str
    port: int
    authority_file: str
    events: int = 0
    characters: int = 10_240

    @property
    def model(self) -> str:
        """What the client shall ask for."""
        return model(self.events, self.characters)

    @property
    def netloc(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def http_scheme(self) -> str:
        """For those that want it so."""
        return {"ws": "http", "wss": "https"}[self.scheme]

    def tls(self) -> ssl.SSLContext | None:
        """Return a context that trusts the service; ``None`` if it is not needed."""
        return ssl.create_default_context(cafile=self.authority_file) if self.scheme == "wss" else None


def expect(what: str, expected: object, actual: object) -> None:
    """Raise ``AssertionError`` unless the service did what it is there for."""
    if expected != actual:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")


@contextmanager
def serving(pinned: bool = True) -> Iterator[dict[str, Service]]:
    """
    Run the peer, and yield where it is by the scheme, ``"ws"`` and ``"wss"``.

    Args:
        pinned: Give it a core of its own, and this process and those it starts the others, if there are three
            at least. Services are on other machines. On the client's own core, where a scheduler likes to put
            it, the two take turns, and a round trip has no waking of a core in it.
    """
    with tempfile.TemporaryDirectory() as folder:
        authority, certificate = Path(folder, "authority.pem"), Path(folder, "certificate.pem")
        issuer = trustme.CA()
        issuer.cert_pem.write_to_path(str(authority))
        issuer.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
            str(certificate)
        )
        command = [sys.executable, str(Path(__file__).with_name("peer.py")), str(certificate)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                if pinned:
                    _share_out_cores(process.pid)
                ports: dict[str, int] = json.loads(process.stdout.readline())
                yield {scheme: Service(scheme, port, str(authority)) for scheme, port in ports.items()}
            finally:
                process.kill()


def _share_out_cores(pid: int) -> None:
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = os.sched_getaffinity(0)
    if len(cores) >= 3:
        own = max(cores)
        os.sched_setaffinity(pid, {own})
        os.sched_setaffinity(0, cores - {own})
