"""The conversation that the other tests of this folder cut, over a connection that lasts."""

from __future__ import annotations

import ssl

import pytest
import trustme
from cutting_proxy import CuttingProxy
from listeners import HANG
from scripted_conversation import SESSION, Program, recognise, respond, synthesise

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Emulator


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
def test_a_conversation_that_is_not_cut(
    dialect: str, is_secure: bool, authority: trustme.CA, tls_context: ssl.SSLContext
) -> None:
    """All twelve turns are as the script says: what a cut one is compared with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with (
        Emulator(responder=respond, recogniser=recognise, synthesiser=synthesise) as service,
        CuttingProxy(service.port, ssl_context=context if is_secure else None) as proxy,
    ):
        address = f"{'wss' if is_secure else 'ws'}://localhost:{proxy.port}"
        options = service.options(dialect, host_name=address, session_config=SESSION)
        client = AzureRealTimeAudio(options, {"ssl_context": tls_context})
        client.wait_until_ready(HANG)
        program = Program(client)
        outcome = program.run()
        assert client.close()
        program.check(service)

    assert outcome.failures == []
    assert outcome.told == []
    assert proxy.boundaries["up"] > 30
    assert proxy.boundaries["down"] > 200
