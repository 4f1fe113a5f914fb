"""What a microphone or a speaker tells its owner."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import frozen

__all__ = ["DeviceEvent", "DeviceLost", "DeviceOpened", "Kind", "Played"]

Kind: TypeAlias = Literal["input", "output"]


@frozen
class DeviceOpened:
    """
    A device is open, the first one or another one than before.

    Attributes:
        kind: ``"input"`` for a microphone, ``"output"`` for a speaker.
        device_name: As PortAudio calls it.
        sample_rate_hz: The device's own; what is read and played is converted.
        latency_ms: Of the device, as it says itself.
    """

    kind: Kind
    device_name: str
    sample_rate_hz: int
    latency_ms: int


@frozen
class DeviceLost:
    """
    A device disappeared or stalled; the default is being opened instead, until it succeeds.

    Attributes:
        kind: ``"input"`` for a microphone, ``"output"`` for a speaker.
        device_name: As PortAudio calls it.
        reason: What was noticed, for people.
    """

    kind: Kind
    device_name: str
    reason: str


@frozen
class Played:
    """
    How much of an item was played. As an event: the item was played to its end.

    Attributes:
        item_id: As given to ``play``.
        frames: Frames at the rate of the speaker (24 000 Hz unless said otherwise).
        ms: The same in milliseconds, rounded down.
        is_complete: Whether that is all of it, and no more will come.
    """

    item_id: str
    frames: int
    ms: int
    is_complete: bool


DeviceEvent: TypeAlias = DeviceOpened | DeviceLost | Played
