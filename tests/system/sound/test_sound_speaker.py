"""The speaker, on a device that can be listened to."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from cli_runner import environment
from listeners import HANG
from sound.room import RATE_HZ, Room
from sound.signals import Events, best_match, likeness, noise, tone

from azure_rt_audio.devices import DeviceError, DeviceLost, DeviceOpened, Microphone, Played, Speaker

pytestmark = pytest.mark.sound

BUFFER = RATE_HZ * 60 // 1000
"""Frames that a device takes in advance: two blocks of 20 ms, and one on the way."""


def test_what_is_played_is_heard(room: Room) -> None:
    """What is played is heard, the same, and all of it; and its end is told."""
    said = noise(1.0)
    events = Events()
    with room.listen() as heard:
        with Speaker("spk", on_event=events) as speaker:
            assert speaker.device_name == "spk"
            speaker.play(said, item_id="a")
            speaker.finish("a")
            assert speaker.is_playing
            assert speaker.wait_until_quiet(HANG)
            assert events.wait_for(Played) == Played("a", RATE_HZ, 1000, True)
            assert (speaker.played_ms("a"), speaker.received_ms("a")) == (1000, 1000)
            assert not speaker.is_playing
        heard.wait_for_silence()

    assert likeness(said, heard.pcm) > 0.999
    assert abs(len(heard.sound) // 2 - RATE_HZ) < BUFFER


def test_a_speaker_has_another_rate_than_its_device(room: Room) -> None:
    """A device that cannot play at the rate of the sound plays at its own; the sound is the same."""
    said = noise(1.0)
    with room.listen() as heard:
        with Speaker("narrow") as speaker:
            speaker.play(said, item_id="a")
            speaker.finish("a")
            assert speaker.wait_until_quiet(HANG)
            assert speaker.played_ms("a") == 1000
        heard.wait_for_silence()

    assert likeness(said, heard.pcm) > 0.999


@pytest.mark.parametrize("ms", [130, 480, 900])
def test_stop_tells_what_was_heard(room: Room, ms: int) -> None:
    """What stop() says was heard of an item is what was heard of it, and the rest is not."""
    said = noise(3.0)
    with room.listen() as heard, Speaker() as speaker:
        speaker.play(said, item_id="a")
        while speaker.played_ms("a") < ms:
            threading.Event().wait(0.005)
        begin = time.monotonic()
        (played,) = speaker.stop()
        took = time.monotonic() - begin
        assert not played.is_complete
        assert speaker.wait_until_quiet(HANG)
        assert speaker.played_ms("a") == played.ms
        assert speaker.stop() == ()
        heard.wait_for_silence()

    assert took < 0.1
    assert played.ms - ms < 200
    assert abs(len(heard.sound) // 2 - played.frames) < BUFFER
    assert likeness(heard.sound, said) > 0.999


def test_items_follow_each_other(room: Room) -> None:
    """Items are heard one after the other, in their order, and each end is told once."""
    events = Events()
    with room.listen() as heard:
        with Speaker(on_event=events) as speaker:
            for item_id, seed in (("a", 1), ("b", 2)):
                speaker.play(noise(0.3, seed=seed), item_id=item_id)
                speaker.finish(item_id)
            assert [events.wait_for(Played).item_id for _ in range(2)] == ["a", "b"]
            speaker.play(noise(0.3, seed=3), item_id="a")
            assert speaker.wait_until_quiet(HANG)
        heard.wait_for_silence()

    places = [best_match(noise(0.3, seed=seed), heard.pcm) for seed in (1, 2, 3)]
    assert min(likeness(noise(0.3, seed=seed), heard.pcm) for seed in (1, 2, 3)) > 0.999
    assert [place for _, place in places] == sorted(place for _, place in places)


def test_running_dry_is_counted_and_heals(room: Room) -> None:
    """An item that runs dry is counted, and goes on when more of it comes."""
    first, second = noise(0.3, seed=1), noise(0.3, seed=2)
    with room.listen() as heard:
        with Speaker() as speaker:
            speaker.play(first, item_id="a")
            assert speaker.wait_until_quiet(HANG)
            assert speaker.underflows
            assert speaker.played_ms("a") == 300
            speaker.play(second, item_id="a")
            speaker.finish("a")
            assert speaker.wait_until_quiet(HANG)
            assert speaker.played_ms("a") == 600
        heard.wait_for_silence()

    assert min(likeness(part, heard.pcm) for part in (first, second)) > 0.999


def test_a_device_that_is_pulled_out_is_replaced(room: Room) -> None:
    """A device that disappears is told within a second; what it did not play is heard on the default one."""
    said = noise(3.0)
    events = Events()
    room.add_sink("spk2")
    room.make_default(sink="spk2")
    with room.pinned(), room.listen("spk2") as other, Speaker("spk", on_event=events) as speaker:
        events.wait_for(DeviceOpened)
        with room.listen("spk") as heard:
            speaker.play(said, item_id="a")
            speaker.finish("a")
            heard.wait_for_sound()
            begin = time.monotonic()
            room.remove_sink("spk")
            lost = events.wait_for(DeviceLost)
            took = time.monotonic() - begin
            opened = events.wait_for(DeviceOpened)
        assert speaker.wait_until_quiet(HANG)
        other.wait_for_silence()
        name = speaker.device_name

    assert took < 1
    assert (lost.device_name, lost.reason) == ("spk", "disconnected")
    assert (opened.device_name, name) == ("default", "default")
    frames = (len(heard.sound) + len(other.sound)) // 2
    assert abs(frames - 3 * RATE_HZ) < RATE_HZ // 10
    assert likeness(other.sound, said) > 0.999


def test_a_device_that_stalls_is_noticed(room: Room) -> None:
    """A device that stalls is told within a second or so; when there is one again, the rest is heard."""
    said = noise(2.0)
    events = Events()
    with Speaker(on_event=events) as speaker:
        events.wait_for(DeviceOpened)
        speaker.play(said, item_id="a")
        speaker.finish("a")
        begin = time.monotonic()
        room.freeze()
        try:
            lost = events.wait_for(DeviceLost)
            took = time.monotonic() - begin
        finally:
            room.thaw()
        events.wait_for(DeviceOpened)
        with room.listen() as heard:
            assert speaker.wait_until_quiet(HANG)
            heard.wait_for_silence()

    assert lost.reason == "stalled"
    assert took < 1.5
    assert heard.sound


def test_the_server_may_go_and_come(room: Room) -> None:
    """When there is no device at all for a while, the next one that comes is opened."""
    events = Events()
    with Speaker("spk", on_event=events) as speaker, Microphone(on_event=events) as microphone:
        for _ in range(2):
            events.wait_for(DeviceOpened)
        room.crash()
        for _ in range(2):
            events.wait_for(DeviceLost)
        speaker.play(noise(0.5), item_id="a")
        speaker.finish("a")
        room.restart()
        for _ in range(2):
            events.wait_for(DeviceOpened)
        while microphone.read(0) is not None:
            pass
        assert microphone.read(5)
        assert events.wait_for(Played).frames == RATE_HZ // 2


def test_closing_is_bounded_when_the_driver_hangs(room: Room) -> None:
    """close() returns while the driver hangs, and what is left of the device goes when it hangs no more."""
    speaker = Speaker()
    speaker.start()
    room.freeze()
    try:
        begin = time.monotonic()
        speaker.close()
        took = time.monotonic() - begin
        with pytest.raises(DeviceError, match="closed"):
            speaker.play(b"")
    finally:
        room.thaw()

    assert took < 5


@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_program_may_end_without_closing(room: Room, is_frozen: bool) -> None:
    """A program that does not close its devices ends all the same, though a driver hangs."""
    script = (
        "import sys\n"
        "from azure_rt_audio.devices import Microphone, Speaker\n"
        "speaker, microphone = Speaker(), Microphone()\n"
        "speaker.start(), microphone.start()\n"
        "speaker.play(bytes(480_000))\n"
        "microphone.read(5)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "raise SystemExit(3)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        if is_frozen:
            room.freeze()
        try:
            _, complaints = program.communicate("\n", timeout=HANG + 10)
        finally:
            room.thaw()
            program.kill()

    assert program.returncode == 3
    assert is_frozen or not complaints


def test_closing_in_on_event(room: Room) -> None:
    """A speaker may be closed by the function that is told of its events."""
    closed = threading.Event()

    def close(event: object) -> None:
        if isinstance(event, Played):
            speaker.close()
            closed.set()

    speaker = Speaker(on_event=close)
    speaker.start()
    speaker.play(tone(0.1))
    speaker.finish()
    assert closed.wait(HANG)


def test_the_tap_and_the_microphone_have_one_clock(room: Room) -> None:
    """What the tap says is heard at a time is recorded at that time, later by the way of the echo."""
    said = noise(1.0)
    taken: list[tuple[bytes, float]] = []
    blocks: list[tuple[bytes, float]] = []
    positions: list[tuple[float, int]] = []
    with (
        room.echo(delay_ms=0, loss_db=6),
        Microphone() as microphone,
        Speaker(on_played=lambda pcm, at: taken.append((pcm, at))) as speaker,
    ):
        speaker.play(said)
        speaker.finish()
        while len(blocks) < 100:
            block = microphone.read(5)
            assert block is not None
            blocks.append((block, microphone.captured_at))
            positions.append((time.monotonic(), speaker.played_ms()))

    left, came = times_of(said, taken), times_of(said, blocks)
    delays = [came[part] - left[part] for part in range(3, 10) if part in came]
    assert len(delays) > 3
    assert min(delays) > 0
    assert max(delays) < 0.15
    assert max(delays) - min(delays) < 0.04
    # played_ms is on that clock too: what it says was heard is what the tap said would be.
    begin = left[5] - 0.5
    behind = [at - begin - ms / 1000 for at, ms in positions if 500 < ms < 900]
    assert min(behind) > -0.03
    assert max(behind) < 0.03


def times_of(said: bytes, stream: list[tuple[bytes, float]]) -> dict[int, float]:
    """Return when each tenth of what was said is at the place of a stream of blocks and their times."""
    whole = b"".join(pcm for pcm, _ in stream)
    size = len(stream[0][0])
    assert {len(pcm) for pcm, _ in stream} == {size}
    tenth = len(said) // 10
    result = {}
    for part in range(10):
        correlation, frame = best_match(said[part * tenth : (part + 1) * tenth], whole)
        if correlation > 0.99:  # else the machine was too busy just then
            number, rest = divmod(frame * 2, size)
            result[part] = stream[number][1] + rest / 2 / RATE_HZ
    return result
