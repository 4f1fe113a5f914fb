"""The microphone, on a device that can be spoken into."""

from __future__ import annotations

import pytest
from sound.room import Room
from sound.signals import best_match, noise

from azure_rt_audio.devices import Microphone

pytestmark = pytest.mark.sound


def test_what_is_said_is_read(room: Room) -> None:
    """Sound that is said into the microphone is read from it, the same, in blocks of 20 ms."""
    said = noise(1.0)
    with Microphone() as microphone:
        blocks = [microphone.read(5)]
        speaking = room.say(said)
        while speaking.poll() is None:
            blocks.append(microphone.read(5))
        blocks += [microphone.read(5) for _ in range(20)]
        assert microphone.overflows == 0

    assert {len(block or b"") for block in blocks} == {960}
    correlation, _ = best_match(said, b"".join(block for block in blocks if block))
    assert correlation > 0.999
