"""A user who speaks through a loss: the turn is answered once, and the session changed meanwhile stays so."""

from __future__ import annotations

from typing import Any

import pytest
from fake_devices import BLOCK, QUIET
from listeners import HANG

from azure_rt_audio import AzureRealTimeAudio, ServiceError
from azure_rt_audio.emulator import Emulator


def test_a_turn_that_ends_as_the_connection_is_back() -> None:
    """Its last words are in the sound that is sent late, the silence after them is not."""
    with (
        Emulator(pace=0, recogniser=["One.", "Two."], responder=lambda *_: "Well.") as service,
        AzureRealTimeAudio(service.options(), reconnect={"initial_delay": 0.3}) as client,
        client.events("response.done", timeout=HANG) as done,
        client.events("reconnected", timeout=HANG) as reconnected,
    ):
        client.append_audio(BLOCK * 25)
        service.drop()
        client.append_audio(BLOCK * 75 + QUIET * 10)
        next(reconnected)
        for _ in range(3):
            client.append_audio(QUIET * 25)
        assert next(done).response.status == "completed"
        client.append_audio(BLOCK * 25 + QUIET * 75)  # the service answers by itself again
        assert next(done).response.status == "completed"
        roles = [entry.role for entry in client.conversation.entries]
        assert roles == ["user", "assistant", "user", "assistant"]


def late(client: AzureRealTimeAudio, service: Emulator) -> None:
    """Lose the connection while the user speaks, and say more than a second of it without one."""
    with client.events("reconnecting", timeout=HANG) as reconnecting:
        client.append_audio(BLOCK * 25)
        service.drop()
        next(reconnecting)
    client.append_audio(BLOCK * 75)


@pytest.mark.parametrize("asked", [None, {"type": "server_vad", "threshold": 0.7, "create_response": False}])
def test_another_turn_detection_while_there_is_no_connection(asked: dict[str, Any] | None) -> None:
    """It is in force, and what the client does for the late sound does not undo it."""
    with (
        Emulator(pace=0) as service,
        AzureRealTimeAudio(service.options(), reconnect={"initial_delay": 0.3}) as client,
    ):
        late(client, service)
        update = client.update_session({"turn_detection": asked})
        client.append_audio(QUIET * 75)
        detections = [update.result(timeout=HANG).session.turn_detection]
        client.ask("Is the late sound over?", timeout=HANG)
        client.update_session({"instructions": "More."}).result(timeout=HANG)
        detections.append(client.session.turn_detection)
        for detection in detections:
            wanted = None if asked is None else (0.7, False)
            assert wanted == (detection and (detection.threshold, detection.create_response))


def test_a_change_that_is_refused_while_late_sound_is_sent() -> None:
    """Its own future fails, and no session is ever asked for it again."""
    with (
        Emulator(pace=0) as service,
        AzureRealTimeAudio(service.options(), reconnect={"initial_delay": 0.3}) as client,
    ):
        late(client, service)
        refused = client.update_session({"voice": "no-such-voice"})
        taken = client.update_session({"instructions": "More."})
        assert isinstance(refused.exception(timeout=HANG), ServiceError)
        assert taken.result(timeout=HANG).session.instructions == "More."
        client.reconnect().result(timeout=HANG)
        assert client.session.instructions == "More."
