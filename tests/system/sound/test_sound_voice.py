"""Spoken conversations through real devices: interruptions, devices that vanish, echo."""

from __future__ import annotations

import threading
from base64 import b64decode

import pytest
from sound.figures import HANG, POLICIES, call, echo, interruptions, noises, stop
from sound.room import Room
from sound.signals import best_match

from azure_rt_audio.devices import DeviceLost, DeviceOpened, Microphone, Speaker
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.voice import FirstSound, Interrupted, Levels

pytestmark = pytest.mark.sound

BLOCK_MS = 20
"""What the device takes at a time."""


def test_interruptions_are_told_to_the_millisecond(room: Room) -> None:
    """Twenty answers are spoken over, each at another moment; the service is told what was heard."""
    turns, errors, refusals, _ = interruptions(room)

    assert len(turns) == 20
    assert errors == []
    assert refusals == []
    assert max(abs(turn.difference_ms) for turn in turns) < BLOCK_MS
    assert len({turn.truncated_ms for turn in turns}) > 10  # not always the same moment


@pytest.mark.parametrize("policy", POLICIES)
def test_an_assistant_in_a_room_with_an_echo(room: Room, policy: str) -> None:
    """Without a policy it interrupts itself; with one it does not, and but for half duplex the user can."""
    found = echo(room, policy)  # type: ignore[arg-type]

    if policy == "headphones":
        assert found.self_interruptions > 0
        assert round(found.erle_db, 3) == 0.0
        return
    assert found.self_interruptions == 0
    assert found.is_user_heard == (policy != "half_duplex")
    assert found.erle_db > 15


def test_the_sink_is_removed_in_mid_call(room: Room) -> None:
    """The program is told, the answer goes on where the default is, and so does the call."""
    room.add_sink("spk2")
    with Emulator(synthesiser=noises(3.0)) as service, room.pinned():
        devices = {"microphone": Microphone(), "speaker": Speaker("spk")}
        with call(service, echo="headphones", **devices) as talk:
            talk.events.wait_for(DeviceOpened)
            talk.ask()
            talk.events.wait_for(FirstSound)
            room.make_default(sink="spk2")
            room.remove_sink("spk")
            lost = talk.events.wait_for(DeviceLost)
            talk.events.wait_for(DeviceOpened)
            with room.listen("spk2") as heard:
                heard.wait_for_silence()
                talk.ask()
                talk.events.wait_for(FirstSound)
                threading.Event().wait(0.5)
                said = room.say(stop())
                cut = talk.events.wait_for(Interrupted).cuts[0]
                heard.wait_for_silence()
                said.wait(HANG)
            assert talk.voice.is_open
            errors, refusals = talk.errors, service.sent("error")

    assert (lost.kind, lost.device_name) == ("output", "spk")
    assert 400 < cut.heard_ms < 3000
    assert (errors, refusals) == ([], [])


def test_what_is_said_is_what_the_service_hears(room: Room) -> None:
    """From the first moment on, while the service is still being reached; and both levels are told."""
    with Emulator(keep_audio=True) as service:
        with call(service, echo="headphones") as talk:
            talk.events.wait_for(Levels)
            room.say(stop()).wait(HANG)
            with talk.client.events("input_audio_buffer.speech_stopped", timeout=HANG) as stopped:
                room.say(stop()).wait(HANG)
                next(stopped)
        appends = service.received("input_audio_buffer.append")
    heard = b"".join(b64decode(command["audio"]) for command in appends)

    assert best_match(stop()[48 * 300 : 48 * 900], heard)[0] > 0.99
