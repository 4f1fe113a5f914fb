"""A network whose link goes down for a while: the conversation goes on when it is back."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cli_runner import environment
from close_cable import Cable
from listeners import HANG, Probe

from azure_rt_audio import AzureRealTimeAudio, ReconnectPolicy

pytestmark = pytest.mark.parts

SERVICE = """
import ssl, sys
from azure_rt_audio.emulator import Emulator

host, pem = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pem)
with Emulator(host=host, pace=0, deployments=["m"], ssl_context=context) as service:
    print(service.port, flush=True)
    sys.stdin.readline()
    items = [item.text for item in service.connections[-1]._engine.conversation]
    print(len(service.connections), *items[::2], flush=True)
    sys.stdin.read()
"""
"""Prints its port, and, when it is told to, how many connections it had and what the user has said."""

LIVELY = {"ping_interval": 0.5, "ping_timeout": 0.5, "connect_timeout": 2, "close_timeout": 0.2}


@pytest.fixture
def cable() -> Iterator[Cable]:
    """A cable that can be pulled."""
    with Cable() as cable:
        yield cable


@pytest.fixture
def service(cable: Cable, authority: trustme.CA, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """An emulator at its far end."""
    pem = tmp_path / "service.pem"
    authority.issue_cert(cable.address).private_key_and_cert_chain_pem.write_to_path(str(pem))
    with subprocess.Popen(
        [*cable.within, sys.executable, "-c", SERVICE, cable.address, str(pem)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment(), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("end", ["ours", "theirs"])
def test_a_conversation_outlives_a_link_that_is_down(
    cable: Cable, service: subprocess.Popen[str], tls_context: ssl.SSLContext, end: str, effort: float
) -> None:
    """What was asked while it was down is answered after; for 3 s, and for 20 s with ``--effort`` 20."""
    assert service.stdout is not None
    assert service.stdin is not None
    seconds = 20.0 if effort >= 20 else 3.0
    host = f"wss://{cable.address}:{int(service.stdout.readline())}"
    options = {"host_name": host, "deployment": "m", "api_key": "emulator-key"}
    policy = ReconnectPolicy(initial_delay=0.1, max_delay=1.0)
    with AzureRealTimeAudio(options, {**LIVELY, "ssl_context": tls_context}, reconnect=policy) as client:
        told = Probe()
        client.on("reconnecting", told)
        client.on("reconnected", told)
        assert client.ask("one", timeout=2 * HANG).text
        cable.pull(end)
        told.until(lambda event: event.type == "reconnecting")
        answer = client.create_conversation_item(
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "two"}]}
        )
        response = client.create_response()
        threading.Event().wait(seconds)
        assert not answer.done()
        cable.plug(end)

        event = told.until(lambda event: event.type == "reconnected")[-1]
        assert event.gap_s >= seconds - 1.0
        assert event.lost == {}
        assert response.result(2 * HANG).text
        assert client.ask("three", timeout=2 * HANG).text
        service.stdin.write("\n")
        service.stdin.flush()
        connections, *asked = service.stdout.readline().split()
        assert int(connections) >= 2
        assert asked == ["one", "two", "three"]
