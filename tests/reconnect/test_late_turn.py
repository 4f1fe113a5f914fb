"""A user who speaks through a loss, and has just finished when it is over, is answered, once."""

from __future__ import annotations

from fake_devices import BLOCK, QUIET
from listeners import HANG

from azure_rt_audio import AzureRealTimeAudio
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
