"""Times without a connection that last until the test ends them."""

from __future__ import annotations

from typing import Any

from listeners import HANG

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.emulator import Emulator

DISTANT: dict[str, Any] = {"initial_delay": 3600, "max_delay": 3600}
"""The policy of a client that is not to connect again before it is told to."""


def lose(client: AzureRealTimeAudio, service: Emulator) -> None:
    """Have the connection lost, and wait until the client knows."""
    with client.events("reconnecting", timeout=HANG) as events:
        service.drop()
        next(events)


def come_back(client: AzureRealTimeAudio, *names: str) -> Any:
    """Have a client that waits connect now; return its event."""
    with client.events(*(names or ("reconnected",)), timeout=2 * HANG) as events:
        place = client._engine.reconnector._place
        place._due = place._clock()
        client._engine.attempts.call_in(0.0)
        return next(events)
