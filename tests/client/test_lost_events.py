"""Events that never arrive, through sockets: a session goes on. See also ``test_odd_wires.py``."""

from __future__ import annotations

import pytest
from listeners import HANG, Connect, message, ready

from azure_rt_audio import ResponseLostError
from azure_rt_audio.emulator import Emulator, Faults, Say, Swallow, before

EVENTS = (
    "session.created",
    "session.updated",
    "conversation.item.added",
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_audio.delta",
    "response.output_audio_transcript.done",
    "response.output_item.done",
    "response.done",
)
ODD = {"type": "test.unknown", "event_id": "evt_1"}
LIMITS = {"response_start_timeout": 0.5, "response_silence_timeout": 0.5}


@pytest.mark.thorough
@pytest.mark.parametrize("lost", EVENTS)
def test_one_event_is_lost(connect: Connect, lost: str) -> None:
    """The question about which it was is answered or given up, and the next one is answered."""
    with Emulator(pace=0, faults=Faults(before(lost, Say(ODD), Swallow()))) as service:
        client = connect(service=service, **LIMITS)
        try:
            first = client.ask("one", timeout=HANG).status
        except ResponseLostError as exc:
            first = exc.response.status if exc.response is not None else None

        assert first in ("completed", "incomplete")
        assert client.ask("two", timeout=HANG).is_completed


def test_an_item_is_only_said_to_be_complete(connect: Connect) -> None:
    """That acknowledges it: its future is resolved with what it promises, and nothing is left waiting."""
    with Emulator(pace=0, faults=Faults(before("conversation.item.added", Swallow(), times=100))) as service:
        client = ready(connect, service=service, dialect="ga")
        added = client.create_conversation_item(message("one")).result(HANG)

        assert added.type == "conversation.item.added"
        assert getattr(added.item, "text", None) == "one"
        assert client.ask("two", timeout=HANG).is_completed
        assert client._engine.waiters.waiting == ()
