"""
The phases of a client that is about to have another connection, and how it is brought into each.

``waiting``, ``connecting`` and ``restoring`` follow a loss; ``standby`` and ``holding`` are those of a
planned swap. Programs import this module as well as the tests, so it needs nothing but the library.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from azure_rt_audio import AzureRealTimeAudio, WebSocketState

PHASES = ("waiting", "connecting", "restoring", "standby", "holding")

LOSSES = PHASES[:3]
"""Those without a connection."""

HANG = 10.0
"""Seconds after which a phase that is not reached counts as a hang."""

QUICK = {"initial_delay": 0.01}
"""The policy of a client that is to get there soon."""


def _waits(client: AzureRealTimeAudio) -> bool:
    due = _reconnector(client)._place._due
    return due is not None and due - time.monotonic() > 10


def _connects(client: AzureRealTimeAudio) -> bool:
    dialling = client._engine.connection._driver._dialling
    return _is_between(client) and dialling is not None and dialling.ident is not None


def _restores(client: AzureRealTimeAudio) -> bool:
    return _is_between(client) and _reconnector(client)._restorer is not None


def _is_between(client: AzureRealTimeAudio) -> bool:
    reconnector = _reconnector(client)
    return reconnector.is_reconnecting() and not reconnector._place.is_taken


def _reconnector(client: AzureRealTimeAudio) -> Any:
    return client._engine.reconnector


def _swaps(state: str) -> Callable[[AzureRealTimeAudio], bool]:
    return lambda client: _reconnector(client).swap._state.name == state


_REACHED: dict[str, Callable[[AzureRealTimeAudio], bool]] = {
    "waiting": _waits,
    "connecting": _connects,
    "restoring": _restores,
    "standby": _swaps("STANDBY"),
    "holding": _swaps("HOLDING"),
}


def reach(client: AzureRealTimeAudio, phase: str) -> None:
    """Bring a client of ``close_phase_peers.phased`` into a phase; one item is to be restored."""
    client.wait_until_ready(HANG)
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
    client.create_conversation_item(item).result(HANG)
    if phase != "holding":  # the service takes that as its cue, or leaves it unanswered
        client.clear_audio_buffer()
    if phase not in LOSSES:
        client.reconnect()
    _wait_until(_REACHED[phase], client, phase)


def reach_unconfigured(client: AzureRealTimeAudio) -> None:
    """Bring a client onto a second connection that is open and has no session."""
    client.wait_until_ready(HANG)
    client.clear_audio_buffer()
    _wait_until(lambda client: _is_between(client) and client.state is WebSocketState.OPEN, client, "open")


def _wait_until(
    is_reached: Callable[[AzureRealTimeAudio], bool], client: AzureRealTimeAudio, phase: str
) -> None:
    deadline = time.monotonic() + HANG
    while not is_reached(client):
        assert time.monotonic() < deadline, f"{phase} is not reached"
        threading.Event().wait(0.005)
