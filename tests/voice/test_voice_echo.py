"""The echo policies, with arrays in and arrays out."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from azure_rt_audio.audio import read_wav
from azure_rt_audio.audio.level import level_db
from azure_rt_audio.emulator import speak
from azure_rt_audio.voice.echo import Gate, HalfDuplex, Headphones, echo_control
from azure_rt_audio.voice.echo_reference import SAMPLE_RATE_HZ, Reference
from azure_rt_audio.voice.self_interruption import SelfInterruptionDetector

FRAMES = 480  # 20 ms

Sound = Any
"""Float samples in steps of 16 bits, 24 000 Hz; shape (frames,)."""


def octets(sound: Sound) -> bytes:
    return bytes(np.clip(sound, -32768, 32767).astype("<i2").tobytes())


def recorded(name: str) -> Sound:
    """A recording of a user that comes with the package."""
    with (files("azure_rt_audio") / "data" / f"{name}.wav").open("rb") as file:
        return np.frombuffer(read_wav(file), "<i2").astype(float)


def spoken() -> Sound:
    """Some seconds of the assistant."""
    text = "The tallest tree in the world is a redwood in California, and it is very tall indeed."
    return np.frombuffer(speak(text), "<i2").astype(float)


def in_a_room(sound: Sound, *, delay_ms: int = 120, loss_db: float = 12.0, seconds: float = 0.2) -> Sound:
    """What a microphone hears of a speaker: later, softer, with the room around it."""
    noise = np.random.default_rng(7)
    length = round(24_000 * seconds)
    room = noise.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length) * 0.03
    room[0] = 1.0
    heard = np.convolve(sound, room)[: len(sound)] * 10 ** (-loss_db / 20)
    late = np.concatenate((np.zeros(delay_ms * 24), heard))[: len(sound)]
    return late + noise.standard_normal(len(sound)) * 8


def run(policy: Any, microphone: Sound, speaker: Sound, *, is_playing: bool = True) -> Sound:
    """Pass sound through a policy, 20 ms at a time; what comes out, joined."""
    out = bytearray()
    for at in range(0, len(microphone) - FRAMES + 1, FRAMES):
        block = slice(at, at + FRAMES)
        out += policy.process(octets(microphone[block]), octets(speaker[block]), is_playing)
    return np.frombuffer(bytes(out), "<i2").astype(float)


def loud_blocks(sound: Sound, above_db: float = -40.0) -> int:
    """How many blocks a detector of the service would take for speech."""
    blocks = sound[: len(sound) // FRAMES * FRAMES].reshape(-1, FRAMES)
    return sum(level_db(octets(block)) > above_db for block in blocks)


# ------------------------------------------------------------ policies


def test_headphones() -> None:
    """Everything goes through, as it is."""
    sound = spoken()

    assert np.array_equal(run(Headphones(), sound, sound), sound[: len(sound) // FRAMES * FRAMES])


def test_half_duplex() -> None:
    """Silence while something plays and 400 ms longer; then everything."""
    policy = HalfDuplex()
    block = b"\x01\x00" * FRAMES

    while_playing = [policy.process(block, block, True) for _ in range(10)]
    after = [policy.process(block, bytes(960), False) for _ in range(25)]

    assert [bytes(960)] * 10 == while_playing
    assert [bytes(960)] * 20 + [block] * 5 == after


@pytest.mark.parametrize("loss_db", [0.0, 12.0, 30.0])
def test_the_gate_keeps_the_echo_out(loss_db: float) -> None:
    """However loud the speaker is in the room, its echo is not taken for a user, from the start on."""
    speaker = spoken()

    assert loud_blocks(run(Gate(), in_a_room(speaker, loss_db=loss_db), speaker)) == 0


def test_the_gate_lets_a_user_in() -> None:
    """Speech that is clearly louder than the echo goes through, with its beginning."""
    speaker = spoken()
    user = np.zeros(len(speaker))
    voice = recorded("interruption")[:24_000]
    start = 72_000
    user[start : start + len(voice)] = voice

    out = run(Gate(), in_a_room(speaker, loss_db=20) + user, speaker)

    assert loud_blocks(out[: start - 4_800]) == 0
    assert loud_blocks(out) >= loud_blocks(voice) * 0.8


def test_the_gate_is_open_when_nothing_plays() -> None:
    """Soft speech goes through as it is, once the room is quiet again."""
    policy = Gate()
    soft = recorded("question") * 0.05
    run(policy, in_a_room(spoken()), spoken())

    out = run(policy, soft, np.zeros(len(soft)), is_playing=False)

    assert np.array_equal(out[19_200:], soft.astype("<i2")[19_200 : len(out)])


def test_the_gate_stays_shut_in_a_pause_of_the_answer() -> None:
    """Between two sentences the room still sounds; what is soft then is not let through."""
    policy = Gate()
    speaker = spoken()
    run(policy, in_a_room(speaker), speaker)
    tail = in_a_room(speaker)[-4_800:] * 0.5

    assert not run(policy, tail, np.zeros(4_800)).any()


def test_the_gate_learns_how_loud_the_echo_is() -> None:
    """At first it is taken to be as loud as the speaker's own signal; then it is known."""
    policy = Gate()
    speaker = spoken()
    assert policy.echo_db == 0.0

    run(policy, in_a_room(speaker, loss_db=24), speaker)

    assert -26 < policy.echo_db < -16


def test_policies_by_name() -> None:
    """Each name makes a policy of its own."""
    assert [type(echo_control(name)) for name in ("headphones", "half_duplex", "gate")] == [  # type: ignore[arg-type]
        Headphones,
        HalfDuplex,
        Gate,
    ]


# ------------------------------------------------------------ what left the speaker


def ramp(start: int, frames: int) -> bytes:
    return np.arange(start, start + frames).astype("<i2").tobytes()


def test_what_left_when() -> None:
    """A block taken is what left in the time that ends now; silence before and after it."""
    reference = Reference()
    reference.add(ramp(1, 480), 10.0)

    before = reference.take(480, 10.01)
    after = reference.take(480, 10.03)

    assert before == bytes(480) + ramp(1, 240)
    assert after == ramp(241, 240) + bytes(480)


def test_bursts_make_no_gaps() -> None:
    """Devices report late and early by some milliseconds: the sound stays in one piece."""
    reference = Reference()
    jitter = [0.0, 0.013, -0.008, 0.02, 0.001, -0.015, 0.004, 0.0, 0.017, -0.003]
    for number, late in enumerate(jitter):
        reference.add(ramp(1 + 480 * number, 480), 10 + number * 0.02 + late)

    taken = b"".join(reference.take(480, 10.02 + number * 0.02 - late) for number, late in enumerate(jitter))

    assert taken == ramp(1, 4_800)


def test_a_pause_is_kept() -> None:
    """When nothing was played for a while, that is in the timeline."""
    reference = Reference()
    reference.add(ramp(1, 480), 10.0)
    reference.add(ramp(1, 480), 10.5)

    taken = reference.take(round(0.52 * SAMPLE_RATE_HZ), 10.52)

    assert taken == ramp(1, 480) + bytes(2 * 11_520) + ramp(1, 480)


def test_a_clock_that_drifts() -> None:
    """After a jump of more than a burst both ends are where the clock says."""
    reference = Reference()
    reference.take(480, 10.0)
    reference.add(ramp(1, 480), 11.0)

    assert reference.take(480, 11.02) == ramp(1, 480)


def test_what_is_too_old_is_forgotten() -> None:
    """Three seconds are kept; who asks for more gets silence."""
    reference = Reference()
    reference.add(b"\x01\x00" * 96_000, 10.0)

    taken = reference.take(96_000, 14.0)

    assert taken == bytes(48_000) + b"\x01\x00" * 72_000


# ------------------------------------------------------------ hearing oneself


def feed(hearing: SelfInterruptionDetector, sent: Sound, played: Sound) -> None:
    for at in range(0, min(len(sent), len(played)) - FRAMES + 1, FRAMES):
        hearing.feed(octets(sent[at : at + FRAMES]), octets(played[at : at + FRAMES]))


@pytest.mark.parametrize("delay_ms", [0, 40, 120, 400, 800])
def test_an_echo_is_recognised(delay_ms: int) -> None:
    """However late it comes, within 900 ms, in a room that sounds."""
    hearing = SelfInterruptionDetector()
    speaker = spoken()[:48_000]
    feed(hearing, in_a_room(speaker, delay_ms=delay_ms), speaker)

    assert hearing.correlation() > 0.4


def test_a_user_is_not_an_echo() -> None:
    """Somebody else's voice is not taken for the speaker's, whatever it says."""
    speaker = spoken()
    for name in ("question", "interruption"):
        hearing = SelfInterruptionDetector()
        feed(hearing, recorded(name)[:48_000], speaker)

        assert hearing.correlation() < 0.3


def test_silence_is_not_an_echo() -> None:
    """Nothing sent, or nothing played, is like nothing."""
    hearing = SelfInterruptionDetector()
    assert hearing.correlation() == 0.0
    feed(hearing, spoken()[:24_000], np.zeros(24_000))
    assert hearing.correlation() < 0.1


def test_three_times_in_a_minute() -> None:
    """Once may be an accident; the third time within a minute is worth a word."""
    hearing = SelfInterruptionDetector()
    feed(hearing, in_a_room(spoken()), spoken())

    assert [hearing.on_interruption(now) for now in (0.0, 50.0, 70.0, 100.0, 105.0)] == [
        False,
        False,
        False,
        True,
        True,
    ]
    assert hearing.interruptions == 5


def test_an_interruption_by_a_user_does_not_count() -> None:
    """Users may interrupt as often as they like."""
    hearing = SelfInterruptionDetector()
    feed(hearing, recorded("interruption")[:48_000], spoken()[:48_000])

    assert not any(hearing.on_interruption(0.0) for _ in range(5))
    assert hearing.interruptions == 0
