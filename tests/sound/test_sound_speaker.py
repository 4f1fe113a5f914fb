"""The speaker, on a device that can be listened to."""

from __future__ import annotations

import pytest
from probes import HANG
from sound.room import RATE_HZ, Room
from sound.signals import Events, best_match, noise

from azure_rt_audio.devices import Played, Speaker

pytestmark = pytest.mark.sound


def test_what_is_played_is_heard(room: Room) -> None:
    """A tone that is played is heard, the same, and all of it; and its end is told."""
    said = noise(1.0)
    events = Events()
    with room.listen() as heard:
        with Speaker("spk", on_event=events) as speaker:
            speaker.play(said, item_id="a")
            speaker.finish("a")
            assert speaker.wait_until_quiet(HANG)
            assert events.wait_for(Played) == Played("a", RATE_HZ, 1000, True)
            assert (speaker.played_ms("a"), speaker.received_ms("a"), speaker.underflows) == (1000, 1000, 0)
        heard.wait_for_silence()

    correlation, _ = best_match(said, heard.pcm)
    assert correlation > 0.999
    assert abs(len(heard.sound) // 2 - RATE_HZ) < RATE_HZ // 200
