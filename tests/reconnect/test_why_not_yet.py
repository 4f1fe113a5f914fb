"""Who waits for another connection, or for a command that needs one, is told what it is that he waits for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest
from listeners import HANG, NO_VAD, TONE, Connect, message, ready
from outages import DISTANT, come_back, lose

from azure_rt_audio.emulator import Emulator, Refuse, Swallow, at_handshake, before

NO_WORD = "the service did not acknowledge it"

pytestmark = pytest.mark.parametrize("dialect", ["ga"])  # no word of it is the service's


def why_late(future: Future[Any]) -> str:
    """Return what somebody is told who does not wait any longer."""
    with pytest.raises(TimeoutError) as caught:
        future.result(0)
    assert NO_WORD not in str(caught.value)
    assert str(caught.value).endswith("See docs/how-to/waiting.md.")
    return str(caught.value)


def wait_until_late(future: Future[Any], why: str) -> None:
    """Wait until that is for this reason."""
    deadline, pause = time.monotonic() + HANG, threading.Event()
    while why not in (found := why_late(future)):
        assert time.monotonic() < deadline, found
        pause.wait(0.003)


@pytest.mark.parametrize("noise", ["a response", "a command", "a transcript"])
def test_no_quiet_moment(noise: str, connect: Connect) -> None:
    """Another connection is ready, and something goes on."""
    pending: Future[str] = Future()
    with Emulator(pace=0, responder=lambda *_: pending, recogniser=lambda *_: pending) as service:
        session = {**NO_VAD, "input_audio_transcription": {"model": "gpt-4o-transcribe"}}
        client = ready(connect, service=service, session_config=session)
        if noise == "a response":
            with client.events("response.created", timeout=HANG) as created:
                asked = client.create_response()
                next(created)
            why = "a response is in progress"
        elif noise == "a command":
            service.faults.add(before("conversation.item.retrieved", Swallow()))
            item_id = client.create_conversation_item(message("Hello!")).result(HANG).item.id
            asked = client.retrieve_item(item_id)
            why = "a command is not acknowledged"
        else:
            client.append_audio(TONE)
            asked = client.commit_audio().result(HANG)
            why = "the user is being transcribed"
        future = client.reconnect()

        wait_until_late(future, f"another connection is ready, and waits for a quiet moment: {why}. See")
        assert asked is not None  # a future that nobody holds is not waited for


def test_a_voice_that_waits_for_a_quiet_moment(connect: Connect) -> None:
    """An update that needs another session is no question to the service either."""
    with Emulator(pace=0) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect={"voice_change": "swap"})
        assert client.ask("hello", timeout=HANG).audio
        service.faults.add(at_handshake(Refuse(503)))

        wait_until_late(
            client.update_session({"voice": "verse"}), "(the last try: HTTP 503 Service Unavailable)"
        )


def test_a_connection_that_cannot_be_made(connect: Connect) -> None:
    """With the reason, and the time of the next try."""
    with Emulator(pace=0) as service:
        client = ready(connect, service=service, session_config=NO_VAD)
        service.faults.add(at_handshake(Refuse(503, retry_after_ms=60_000)))
        future = client.reconnect()

        wait_until_late(future, "(the last try: HTTP 503 Service Unavailable)")
        assert "another connection is made in " in why_late(future)


def test_there_is_no_connection(connect: Connect) -> None:
    """A command that is held was not sent, and when the next attempt is made is known."""
    with Emulator(pace=0) as service:
        client = ready(connect, service=service, session_config=NO_VAD, reconnect=DISTANT)
        lose(client, service)
        swap, created = client.reconnect(), client.create_conversation_item(message("Hello!"))
        found = why_late(swap), why_late(created)

        assert "within 0 seconds: there is no connection, and attempt 1 is made in " in found[0]
        assert "within 0 seconds: it waits to be sent: there is no connection, and attempt 1 is" in found[1]
        assert all("(the connection was lost). See" in text for text in found)
        come_back(client)
        assert created.result(HANG).item.id
        assert not swap.result(HANG).is_planned
