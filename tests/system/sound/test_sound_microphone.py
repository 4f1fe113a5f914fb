"""The microphone, on a device that can be spoken into."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cli_runner import environment
from listeners import HANG
from sound.room import RATE_HZ, Room
from sound.signals import Events, likeness, noise

from azure_rt_audio.devices import DeviceError, DeviceLost, DeviceOpened, Microphone, Speaker, list_devices
from azure_rt_audio.devices.portaudio import rescan

pytestmark = pytest.mark.sound


def read_for(microphone: Microphone, seconds: float) -> bytes:
    """Return the next so many seconds."""
    blocks = []
    while len(blocks) * 0.02 < seconds:
        block = microphone.read(5)
        assert block is not None
        blocks.append(block)
    return b"".join(blocks)


@pytest.mark.parametrize("device", [None, "narrow"])
def test_what_is_said_is_read(room: Room, device: str | None) -> None:
    """What is said into the microphone is read, the same; from a device of another rate too."""
    said = noise(1.0)
    with Microphone(device) as microphone:
        read_for(microphone, 0.1)
        room.say(said)
        recorded = read_for(microphone, 2.0)

    assert likeness(said, recorded) > 0.999


def test_what_is_recorded_waits(room: Room) -> None:
    """What is recorded while nobody reads is not lost."""
    said = noise(0.5)
    with Microphone() as microphone:
        assert room.say(said).wait(HANG) == 0
        assert microphone.buffered_ms > 400
        assert microphone.overflows == 0
        assert likeness(said, read_for(microphone, 1.0)) > 0.999


def test_a_full_buffer_is_counted(room: Room) -> None:
    """When the buffer is full, what comes next is lost and counted; what waits is not."""
    with Microphone(buffer_ms=200) as microphone:
        pause = threading.Event()
        deadline = time.monotonic() + HANG
        while not microphone.overflows and time.monotonic() < deadline:
            pause.wait(0.02)
        assert microphone.overflows
        assert 180 <= microphone.buffered_ms <= 200
        read_for(microphone, 1.0)


def test_a_muted_microphone_records_silence(room: Room) -> None:
    """While it is muted the microphone goes on, with silence; the level tells it too."""
    with room.echo(delay_ms=0, loss_db=0), Microphone() as microphone, Speaker() as speaker:
        speaker.play(noise(20.0))
        while microphone.level_db < -40:
            read_for(microphone, 0.02)
        assert speaker.level_db > -40
        microphone.is_muted = True
        read_for(microphone, 0.3)
        assert set(read_for(microphone, 0.3)) == {0}
        assert microphone.level_db == -100
        microphone.is_muted = False
        read_for(microphone, 0.3)
        assert microphone.level_db > -40


def test_a_device_that_is_pulled_out_is_replaced(room: Room) -> None:
    """A microphone that disappears is told within a second, and the default one is read instead."""
    events = Events()
    room.add_sink("spk2")
    with room.pinned(), Microphone("mic", on_event=events) as microphone:
        events.wait_for(DeviceOpened)
        read_for(microphone, 0.2)
        begin = time.monotonic()
        room.remove_sink("micpipe")
        lost = events.wait_for(DeviceLost)
        took = time.monotonic() - begin
        assert events.wait_for(DeviceOpened).device_name == "default"
        while microphone.read(0):
            pass
        read_for(microphone, 0.5)

    assert (lost.kind, lost.device_name, lost.reason) == ("input", "mic", "disconnected")
    assert took < 1


def test_closing_ends_a_read(room: Room) -> None:
    """A thread that waits for sound is told when the microphone is closed by another one."""
    microphone = Microphone(block_ms=60_000, buffer_ms=60_000)
    microphone.start()
    caught: list[Exception] = []

    def read() -> None:
        try:
            microphone.read(None)
        except DeviceError as error:
            caught.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    microphone.close()
    microphone.close()
    reader.join(HANG)
    assert [str(error) for error in caught] == ["the microphone is closed"]


def test_time_limits_of_reading(room: Room) -> None:
    """When no block comes in time, there is none."""
    with Microphone(block_ms=5_000) as microphone:
        assert microphone.read(0) is None
        assert microphone.read(0.05) is None


def test_looking_for_devices_again_interrupts_nobody_for_long(room: Room) -> None:
    """When PortAudio starts anew, an open microphone goes on after a moment, and is not called lost."""
    events = Events()
    with Microphone(on_event=events) as microphone:
        read_for(microphone, 0.1)
        assert rescan()
        for _ in range(2):
            events.wait_for(DeviceOpened)
        read_for(microphone, 0.5)
        assert [type(event) for event in events.all] == [DeviceOpened, DeviceOpened]


def test_streams_of_others_are_left_alone(room: Room) -> None:
    """PortAudio does not start anew while the program has a stream of its own open."""
    import sounddevice

    with sounddevice.RawOutputStream(samplerate=RATE_HZ, channels=1, dtype="int16") as stream:
        assert list_devices()
        assert not rescan()
        assert stream.active
    assert rescan()


def test_nothing_is_left(room: Room) -> None:
    """After opening and closing there are as many file descriptors as before."""

    def once() -> int:
        with Microphone() as microphone, Speaker():
            read_for(microphone, 0.1)
        return len(os.listdir("/proc/self/fd"))

    once()
    assert once() == once()


def test_devices_are_listed(room: Room) -> None:
    """The list names the devices, what they can do, and which are the default ones."""
    devices = {device.name: device for device in list_devices()}

    assert {"mic", "spk", "narrow", "default"} <= set(devices)
    assert devices["spk"].host_api == "ALSA"
    assert devices["narrow"].output_channels == 2
    assert [name for name, device in devices.items() if device.is_default_output] == ["default"]
    assert [name for name, device in devices.items() if device.is_default_input] == ["default"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("kitchen", "no output device matches 'kitchen'"),
        ("a", "output devices match 'a'"),
        (77, "no output device matches 77"),
    ],
)
def test_a_device_must_be_found(room: Room, wanted: str | int, said: str) -> None:
    """A name that fits none or several devices, and a number of none, is refused with a list."""
    with pytest.raises(DeviceError, match=said) as caught:
        Speaker(wanted).start()
    assert "spk, ALSA" in str(caught.value)


@pytest.mark.parametrize("wanted", ["SPK2", "Narr", 0])
def test_a_device_is_found(room: Room, wanted: str | int) -> None:
    """A part of a name will do, in any case; an equal name comes first; so will a number."""
    room.add_sink("spk2")
    with Speaker(wanted) as speaker:
        assert speaker.device_name in ("spk2", "narrow", list_devices()[0].name)


def test_there_may_be_no_device(tmp_path: Path) -> None:
    """Without any device the error says so."""
    (tmp_path / "asound.conf").write_text("pcm.gone { type hw card 31 }\n")
    script = (
        "from azure_rt_audio.devices import *\n"
        "print(list_devices())\n"
        "for machine in (Microphone(), Speaker()):\n"
        "    try:\n"
        "        machine.start()\n"
        "    except DeviceError as error:\n"
        "        print(error)\n"
    )
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**environment(), "ALSA_CONFIG_PATH": str(tmp_path / "asound.conf")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    nothing, microphone, speaker = process.stdout.splitlines()
    assert nothing == "()"
    assert microphone.startswith("there is no input device: connect one")
    assert speaker.startswith("there is no output device: connect one")
