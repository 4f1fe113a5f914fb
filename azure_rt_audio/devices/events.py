"""Events of microphones and speakers."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import frozen

__all__ = ["DeviceEvent", "DeviceLost", "DeviceOpened", "Kind", "Played"]

Kind: TypeAlias = Literal["input", "output"]


@frozen
class DeviceOpened:
    """
    A device was opened: the first one, or a replacement.

    Attributes:
        kind: ``"input"`` for a microphone, ``"output"`` for a speaker.
        device_name: PortAudio's name.
        sample_rate_hz: Rate of the stream; audio is converted from or to it.
        latency_ms: Latency reported by the device.
    """

    kind: Kind
    device_name: str
    sample_rate_hz: int
    latency_ms: int


@frozen
class DeviceLost:
    """
    A device disappeared or stalled; opening the default device is retried until it succeeds.

    Attributes:
        kind: ``"input"`` for a microphone, ``"output"`` for a speaker.
        device_name: PortAudio's name.
        reason: A description for messages.
    """

    kind: Kind
    device_name: str
    reason: str


@frozen
class Played:
    """
    The played part of an item. As an event: the item was played to its end.

    Attributes:
        item_id: As passed to ``play``.
        frames: Frames played, at the speaker's ``sample_rate_hz``.
        ms: Milliseconds played, rounded down.
        is_complete: Whether the item was finished and played to its end.
    """

    item_id: str
    frames: int
    ms: int
    is_complete: bool


DeviceEvent: TypeAlias = DeviceOpened | DeviceLost | Played
"""What ``on_event`` of a microphone or speaker is called with."""
