"""The queue of a speaker: what is played when, and what of it was heard."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azure_rt_audio.audio.resample import _Stream, resample
from azure_rt_audio.devices.playback import Playback
from azure_rt_audio.devices.speaker import Speaker

RATE = 24_000
BLOCK = 480
LATENCY = 0.05


def sound(frames: int, value: int = 1000) -> bytes:
    """Return that many equal samples."""
    return value.to_bytes(2, "little", signed=True) * frames


def loud(pcm: bytes) -> bytes:
    """Return the samples that are not zero."""
    return array("h", filter(None, array("h", pcm))).tobytes()


class Device:
    """Asks for blocks, 20 ms after each other, and hears them 50 ms later."""

    def __init__(self, playback: Playback) -> None:
        self.playback = playback
        self.now = 100.0
        self.heard = b""

    def take(self, blocks: int = 1, frames: int = BLOCK, rate: int = RATE) -> bytes:
        """Return what the next blocks hold."""
        taken = b""
        for _ in range(blocks):
            block = bytearray(frames * 2)
            self.playback.pull(memoryview(block), self.now + LATENCY, self.now)
            self.now += frames / rate
            taken += block
        self.heard += taken
        return taken


@pytest.fixture
def playback() -> Playback:
    """A queue that waits for 100 ms."""
    return Playback(RATE, 100)


@pytest.fixture
def device(playback: Playback) -> Device:
    """What plays it."""
    return Device(playback)


def test_nothing_is_silence(playback: Playback, device: Device) -> None:
    """A queue with nothing in it plays silence, which is no underflow."""
    assert device.take(3) == bytes(3 * BLOCK * 2)
    assert playback.underflows == 0
    assert playback.is_quiet(device.now)


def test_an_item_waits_for_a_little_of_it(playback: Playback, device: Device) -> None:
    """An item begins when 100 ms of it are there."""
    playback.add("a", sound(2399))
    assert set(device.take()) == {0}
    playback.add("a", sound(1))
    assert device.take() == sound(BLOCK)


def test_an_item_does_not_wait_for_ever(playback: Playback, device: Device) -> None:
    """An item of which little comes begins when it has waited for 100 ms."""
    playback.add("a", sound(BLOCK))
    assert set(device.take(5)) == {0}
    assert device.take(2).count(sound(BLOCK)) == 1


def test_a_short_item_that_is_finished_begins_at_once(playback: Playback, device: Device) -> None:
    """An item that is finished does not wait for more."""
    playback.add("a", sound(100))
    playback.finish("a")
    assert device.take() == sound(100) + bytes((BLOCK - 100) * 2)
    assert playback.underflows == 0


def test_after_running_dry_it_fills_again(playback: Playback, device: Device) -> None:
    """An item that runs dry is counted once, and begins again when 100 ms are there."""
    playback.add("a", sound(2400))
    device.take(5)
    assert set(device.take(4)) == {0}
    assert playback.underflows == 1
    playback.add("a", sound(2399))
    assert set(device.take()) == {0}
    playback.add("a", sound(1))
    assert device.take() == sound(BLOCK)


def test_heard_is_later_than_taken(playback: Playback, device: Device) -> None:
    """What the device has taken counts as heard when its time comes, frame by frame."""
    playback.add("a", sound(2400))
    device.take(2)
    begin = 100 + LATENCY
    for ms, frames in ((-10, 0), (0, 0), (5, 120), (20, 480), (30, 720), (40, 960), (90, 960)):
        assert playback.played_frames("a", begin + ms / 1000) == pytest.approx(frames, abs=1)
    assert playback.received_frames("a") == 2400
    assert (playback.played_frames("b", 200), playback.received_frames("b")) == (0, 0)


def test_the_end_is_told_when_it_was_heard(playback: Playback, device: Device) -> None:
    """An item was played when its last frame was heard and it is finished; that is told once."""
    playback.add("a", sound(2400))
    device.take(6)
    assert playback.take_ended(device.now + 1) == []
    playback.finish("a")
    (played,) = playback.take_ended(device.now + 1)
    assert (played.item_id, played.frames, played.ms, played.is_complete) == ("a", 2400, 100, True)
    assert playback.take_ended(device.now + 2) == []

    playback.add("b", sound(480))
    playback.finish("b")
    device.take(1)
    assert playback.take_ended(device.now) == []
    assert not playback.is_quiet(device.now)
    assert [played.item_id for played in playback.take_ended(device.now + LATENCY)] == ["b"]
    assert playback.is_quiet(device.now + LATENCY)


def test_items_follow_without_a_gap(playback: Playback, device: Device) -> None:
    """The next item begins in the block in which the last one ends, if it may."""
    playback.add("a", sound(100, 1))
    playback.finish("a")
    playback.add("b", sound(100, 2))
    playback.finish("b")
    assert device.take() == sound(100, 1) + sound(100, 2) + bytes((BLOCK - 200) * 2)


def test_an_item_that_another_follows_is_over(playback: Playback, device: Device) -> None:
    """Nobody waits for more of an item when there is another; what comes late is played after it."""
    playback.add("a", sound(480, 1))
    playback.add("b", sound(480, 2))
    playback.finish("b")
    assert device.take(2) == sound(480, 1) + sound(480, 2)
    playback.add("a", sound(480, 3))
    playback.finish("a")
    assert device.take() == sound(480, 3)
    assert [(p.item_id, p.frames) for p in playback.take_ended(device.now + 1)] == [("a", 960), ("b", 480)]


def test_a_cut_drops_what_the_device_does_not_have(playback: Playback, device: Device) -> None:
    """After a cut there is silence, and every item is told with what the device had of it."""
    playback.add("a", sound(2400, 1))
    playback.finish("a")
    playback.add("b", sound(2400, 2))
    device.take(6)
    assert [(p.item_id, p.frames, p.ms, p.is_complete) for p in playback.cut()] == [
        ("a", 2400, 100, True),
        ("b", 480, 20, False),
    ]
    assert set(device.take()) == {0}
    assert playback.underflows == 0
    assert playback.played_frames("b", device.now + 1) == 480
    assert playback.take_ended(device.now + 1) == []
    assert playback.cut() == ()


def test_an_item_of_which_nothing_was_played_is_cut_at_zero(playback: Playback) -> None:
    """What never began is told too, with nothing."""
    playback.add("a", sound(2400))
    assert [(p.item_id, p.frames) for p in playback.cut()] == [("a", 0)]


def test_after_a_cut_an_id_begins_again(playback: Playback, device: Device) -> None:
    """What comes of an item after it was cut, or finished, is another one."""
    playback.add("a", sound(4800))
    device.take(2)
    playback.cut()
    playback.add("a", sound(2400))
    assert playback.received_frames("a") == 2400
    playback.finish("a")
    playback.add("a", sound(480))
    assert playback.received_frames("a") == 480


def test_what_a_lost_device_had_is_played_again(playback: Playback, device: Device) -> None:
    """What a device had and nobody heard comes out of the next device, and counts once."""
    said = b"".join(sound(480, value) for value in range(1, 11))
    playback.add("a", said)
    playback.finish("a")
    device.take(5)  # 100 ms, of which 50 were heard
    heard = playback.played_frames("a", device.now)
    playback.lose(device.now)
    assert playback.played_frames("a", device.now) == pytest.approx(heard, abs=1)
    rest = loud(device.take(8))
    assert len(rest) // 2 == pytest.approx(4800 - heard, abs=1)
    assert rest == said[-len(rest) :]
    (played,) = playback.take_ended(device.now + 1)
    assert played.frames == 4800


def test_what_was_cut_is_not_played_again(playback: Playback, device: Device) -> None:
    """A device that is lost after a cut leaves nothing to play."""
    playback.add("a", sound(4800))
    device.take(3)
    playback.cut()
    playback.lose(device.now)
    assert set(device.take()) == {0}


def test_a_device_with_another_rate(playback: Playback, device: Device) -> None:
    """Frames are counted at the speaker's rate, whatever the device's is, and across a change of it."""
    playback.add("a", sound(12_000))
    device.take(5)
    playback.lose(device.now + 1)
    playback.change_device_rate(48_000)
    playback.add("a", sound(12_000))
    playback.finish("a")
    device.take(60, frames=960, rate=48_000)
    (played,) = playback.take_ended(device.now + 1)
    assert (played.frames, played.is_complete) == (24_000, True)
    assert playback.is_quiet(device.now + 1)


def test_a_device_with_another_rate_waits_for_no_conversion(
    playback: Playback, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is queued, at most 100 ms are converted at a time; the sound is that of all at once."""
    said = array("h", (1 + number * 37 % 9_999 for number in range(RATE))).tobytes()
    converted_ms: list[float] = []

    advance = _Stream.advance

    def counting(stream: _Stream, pcm: bytes, *, is_last: bool) -> bytes:
        converted_ms.append(len(pcm) / 48)
        return advance(stream, pcm, is_last=is_last)

    monkeypatch.setattr(_Stream, "advance", counting)
    playback.add("a", said)
    playback.finish("a")
    converted_ms.clear()
    playback.change_device_rate(48_000)
    most = [sum(converted_ms)]
    device.heard = b""
    while not device.heard or loud(device.heard[-20:]):
        converted_ms.clear()
        device.take(frames=960, rate=48_000)
        most.append(sum(converted_ms))

    assert max(most) <= 100
    monkeypatch.undo()
    expected = resample(said, RATE, 48_000)
    assert device.heard[: len(expected)] == expected
    assert playback.take_ended(device.now + 1)[0].frames == RATE


@pytest.mark.parametrize("rates", [(48_000, 44_100), (16_000, RATE), (44_100, 48_000, 8_000)], ids=str)
def test_devices_with_other_rates_one_after_the_other(
    playback: Playback, device: Device, rates: tuple[int, ...]
) -> None:
    """Each is lost in the middle; all that was said is played once, in its order."""
    first, second = sound(RATE, 1000), sound(RATE, 2000)
    playback.add("a", first[:RATE])
    for rate in rates:
        playback.change_device_rate(rate)
        device.take(10, frames=rate // 50, rate=rate)
        playback.lose(device.now)
    playback.change_device_rate(RATE)
    playback.add("a", first[RATE:])
    playback.finish("a")
    playback.add("b", second)
    playback.finish("b")
    device.heard = b""
    heard = playback.played_frames("a", device.now)
    device.take(130)

    played = array("h", device.heard)
    louder = next(number for number, value in enumerate(played) if value > 1500)
    assert [(end.item_id, end.frames) for end in playback.take_ended(device.now + 1)] == [
        ("a", RATE),
        ("b", RATE),
    ]
    assert louder == pytest.approx(RATE - heard, abs=RATE // 20)  # a conversion begins and ends softly
    assert sum(value > 500 for value in played) == pytest.approx(2 * RATE - heard, abs=RATE // 20)


def test_the_end_of_an_item_that_another_follows_is_told(playback: Playback, device: Device) -> None:
    """It comes to its end although what is still in its conversion has nobody to play it."""
    playback.change_device_rate(48_000)
    playback.add("a", sound(12_000))
    device.take(30, frames=960, rate=48_000)
    playback.add("b", sound(12_000))
    playback.finish("b")
    device.take(30, frames=960, rate=48_000)
    playback.finish("a")

    assert sorted(end.item_id for end in playback.take_ended(device.now + 1)) == ["a", "b"]


@given(st.data())
def test_every_frame_is_played_once_and_in_order(data: st.DataObject) -> None:
    """However the sound comes and is taken: all of it is played, in its order, and the sums agree."""
    playback = Playback(RATE, data.draw(st.sampled_from([0, 20, 100])))
    device = Device(playback)
    sent = b""
    for number in range(1, data.draw(st.integers(1, 4)) + 1):
        for _ in range(data.draw(st.integers(1, 5))):
            piece = sound(data.draw(st.integers(1, 3000)), number)
            playback.add(str(number), piece)
            sent += piece
            device.take(data.draw(st.integers(0, 8)))
        playback.finish(str(number))
    device.take(len(sent) // BLOCK // 2 + 10)
    assert loud(device.heard) == sent
    ends = playback.take_ended(device.now + 1)
    assert sum(end.frames for end in ends) == len(sent) // 2
    assert all(end.is_complete for end in ends)


def test_a_speaker_refuses_what_is_not_audio() -> None:
    """Half a frame, text and a negative buffer are refused before anything is played."""
    with pytest.raises(ValueError, match="prebuffer_ms is -1"):
        Speaker(prebuffer_ms=-1)
    with pytest.raises(ValueError, match="2 bytes per frame"):
        Speaker().play(b"\0")
    with pytest.raises(TypeError, match="audio is a str"):
        Speaker().play("AAAA")  # type: ignore[arg-type]


def test_what_is_queued_before_the_start_counts() -> None:
    """A speaker that was not started takes sound, plays none, and can be stopped."""
    speaker = Speaker()
    speaker.play(sound(24_000), item_id="a")
    assert (speaker.received_ms("a"), speaker.played_ms("a"), speaker.is_playing) == (1000, 0, True)
    assert not speaker.wait_until_quiet(0)
    assert [(played.item_id, played.ms) for played in speaker.stop()] == [("a", 0)]
    assert speaker.wait_until_quiet(0)
