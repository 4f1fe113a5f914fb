"""The tools of this folder do what they say: the proxy cuts in place, the script sees what is wrong."""

from __future__ import annotations

import array
import json
import queue
import socket
import ssl
from typing import Any

import pytest
import trustme
from cutting_proxy import Cut, CuttingProxy
from listeners import HANG
from scripted_conversation import EXPECTED, differences, recognise, speech
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from azure_rt_audio.emulator import Emulator, Session

HEAD = 500


def dial(service: Emulator, proxy: CuttingProxy, context: ssl.SSLContext | None = None) -> ClientConnection:
    host = f"{'ws' if context is None else 'wss'}://localhost:{proxy.port}"
    url = service.url().replace(service.host_name, host)
    return connect(url, additional_headers={"api-key": "emulator-key"}, ssl=context, open_timeout=HANG)


def talk(client: ClientConnection, commands: int) -> list[str]:
    """Send commands, and return what comes until the connection is cut."""
    found: list[str] = []
    try:
        for number in range(commands):
            event = {"type": "session.update", "session": {"type": "realtime", "instructions": str(number)}}
            client.send(json.dumps(event))
        while True:
            found.append(json.loads(client.recv(timeout=HANG))["type"])
    except ConnectionClosed:
        return found


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
def test_cut_behind_a_message(
    how: str, is_secure: bool, emulator: Emulator, authority: trustme.CA, tls_context: ssl.SSLContext
) -> None:
    """So many messages arrive, and none more, in either direction; the next connection is whole."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    cuts = (Cut(how, "down", 3), Cut(how, "up", 2))
    with CuttingProxy(emulator.port, *cuts, ssl_context=context if is_secure else None, delay=0.02) as proxy:
        heard = []
        for _ in cuts:
            with dial(emulator, proxy, tls_context if is_secure else None) as client:
                heard.append(talk(client, 5))
        assert emulator.connections[1].wait_closed(HANG)
        with dial(emulator, proxy, tls_context if is_secure else None) as client:
            client.send('{"type": "input_audio_buffer.clear"}')
            whole = [json.loads(client.recv(timeout=HANG))["type"] for _ in range(2)]

    assert heard[0] == ["session.created", "session.updated", "session.updated"]
    assert [len(link.received) for link in emulator.connections[1:]] == [2, 1]
    assert whole == ["session.created", "input_audio_buffer.cleared"]
    assert proxy.happened == list(cuts)


def test_cut_at_a_byte(emulator: Emulator) -> None:
    """A message may be cut in two; what came before it arrives."""
    with CuttingProxy(emulator.port, Cut("reset", "up", 120, "byte"), delay=0.02, jitter=0.01) as proxy:
        with dial(emulator, proxy) as client:
            talk(client, 5)
        assert emulator.connections[0].wait_closed(HANG)

    assert len(emulator.connections[0].received) == 1


def test_silence_and_what_the_service_does(emulator: Emulator) -> None:
    """Nothing arrives any more in silence; another way to fail is the test's own, and bytes go on for it."""
    asked: queue.Queue[Any] = queue.Queue()

    def on_cut(how: str, number: int) -> None:
        emulator.connections[number - 1].close_going_away()
        asked.put((how, number))

    cuts = (Cut("silence", "down", 1), Cut("1001", "down", 1))
    with (
        CuttingProxy(emulator.port, *cuts, on_cut=on_cut, delay=0.01, jitter=0) as proxy,
        dial(emulator, proxy) as client,
    ):
        client.recv(timeout=HANG)
        client.send('{"type": "input_audio_buffer.clear"}')
        with dial(emulator, proxy) as other:
            assert talk(other, 0) == ["session.created"]
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.1)
        client.socket.shutdown(socket.SHUT_RDWR)  # its thread that reads would wait for ever

    assert asked.get(timeout=HANG) == ("1001", 2)
    assert list(emulator.connections[0].received) == []
    assert other.close_code == 1001


def test_what_is_wrong_with_speech_is_seen() -> None:
    """A sample that is missing, doubled or in another place makes another text of it."""
    session, whole = Session("realtime", "s", "m", 0), speech(3)
    samples = array.array("h", whole)
    swapped = array.array("h", [*samples[:100], samples[101], samples[100], *samples[102:]]).tobytes()
    doubled = whole[:4800] + whole[4700:]

    assert recognise(bytes(900) + whole + bytes(200), session) == "spoken 3"
    assert {recognise(pcm, session)[:6] for pcm in (whole[2:], whole[:-2], swapped, doubled, b"")} == {
        "broken"
    }


def test_what_is_wrong_with_a_conversation_is_seen() -> None:
    """An item that is missing, doubled, cut or in another place is told, unless it was excused."""
    doubled, swapped = [*EXPECTED, EXPECTED[-1]], [*EXPECTED[1:2], EXPECTED[0], *EXPECTED[2:]]
    short = [(role, words[:8]) for role, words in EXPECTED]

    assert differences(EXPECTED, set()) == differences(EXPECTED[:-1], {"queued b"}) == []
    assert differences(short, {words for _, words in EXPECTED}) == []
    assert all(differences(one, set()) for one in (doubled, swapped, short, EXPECTED[:-1], EXPECTED[1:]))
