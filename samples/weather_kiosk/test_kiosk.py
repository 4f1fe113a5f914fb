"""
Tests of the kiosk: with the service in miniature, with faults, and with a session that was recorded.

Run them with ``pytest`` in this folder.

Threads: the service runs on threads of its own, in the process of the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kiosk import SORRY, Kiosk

from azure_rt_audio.emulator import Close, Drop, Emulator, Failure, Refuse, Reply, after, at_handshake


@pytest.fixture
def kiosk(rt_emulator: Emulator) -> Iterator[Kiosk]:
    """A kiosk that talks with the emulator."""
    kiosk = Kiosk(rt_emulator.options())
    yield kiosk
    kiosk.client.close()


def test_an_answer(kiosk: Kiosk, rt_emulator: Emulator) -> None:
    """The function is called, and its result is sent back."""
    kiosk.answer("How is the weather in Lisbon?")

    items = [command["item"] for command in rt_emulator.received("conversation.item.create")]
    assert [item.get("output") for item in items] == [None, "sunny in Lisbon"]


@pytest.mark.rt_emulator(responder=lambda conversation, session: "It is noon.")
def test_an_answer_without_a_function(kiosk: Kiosk) -> None:
    """The responder of the test decides what the model says."""
    assert kiosk.answer("How late is it?") == "It is noon."


@pytest.mark.parametrize(
    "rt_emulator",
    [
        at_handshake(Refuse(429)),
        after("response.created", Close(3000)),
        {"responder": lambda *_: Reply(failure=Failure())},
    ],
    indirect=True,
    ids=["refused", "closed", "failed"],
)
def test_a_service_that_fails(kiosk: Kiosk) -> None:
    """The kiosk apologises, whatever goes wrong."""
    assert kiosk.answer("How is the weather in Lisbon?") == SORRY


@pytest.mark.parametrize(
    "rt_emulator",
    [after("response.created", Drop()), after("response.created", Close(1011))],
    indirect=True,
    ids=["lost", "closed"],
)
def test_a_connection_that_is_lost(kiosk: Kiosk) -> None:
    """The client connects again, and asks again: the customer notices nothing but time."""
    assert "sunny in Lisbon" in kiosk.answer("How is the weather in Lisbon?")


@pytest.mark.rt_replay("sunny.rta")
def test_a_session_that_was_recorded(rt_replay: Emulator) -> None:
    """A kiosk that says what it said on that day gets the answers of that day."""
    kiosk = Kiosk(rt_replay.options())
    answer = kiosk.answer("How is the weather in Lisbon?")
    kiosk.client.close()

    assert "sunny in Lisbon" in answer


def test_what_the_recording_shows(rt_emulator: Emulator, tmp_path: Any) -> None:
    """A session of the kiosk can be recorded, and replayed at once."""
    kiosk = Kiosk(rt_emulator.options(), tmp_path / "session.rta")
    first = kiosk.answer("How is the weather in Oslo?")
    kiosk.client.close()

    with Emulator.replay(tmp_path / "session.rta") as service:
        kiosk = Kiosk(service.options())
        assert kiosk.answer("How is the weather in Oslo?") == first
        kiosk.client.close()
