"""
A spoken conversation whose connection is replaced every few seconds, and what is heard at both ends.

The user says words, each a noise of its own, and which of them a turn has is read from the samples that the
service was sent. What leaves the loudspeaker is compared with that of the same conversation over one
connection, sample by sample. By itself it prints the figures, and draws what was heard::

    python tests/system/sound/swaps.py --turns 30 --picture swaps.png
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from sound.room import RATE_HZ, Room
from sound.signals import best_match, noise

from azure_rt_audio import AzureRealTimeAudio, Reconnected
from azure_rt_audio.devices import Speaker
from azure_rt_audio.emulator import Emulator

HANG = 30.0

SESSION: dict[str, Any] = {
    "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
    "input_audio_transcription": {"model": "gpt-4o-transcribe"},
}

_WORDS = 3  # in a turn
_WORD_S = 0.25
_PAUSE_S = 0.08  # between words: less than what ends a turn
_ANSWER_S = 2.0
_PACE = 4.0  # sent that much faster than played: a response is over long before its sound
_ANCHOR = 2 * RATE_HZ // 5  # bytes of 200 ms
_CLEAR = RATE_HZ // 50  # frames beside a sound that filters smear
_LOUD = 1000
_APART = 20 * RATE_HZ  # frames from the end of an answer to that of the next


def _word(number: int) -> bytes:
    return noise(_WORD_S, seed=10_000 + number)


def words_of(turn: int) -> list[int]:
    """Return the words that the user says in a turn, none of which is in another one."""
    return list(range(turn * _WORDS, (turn + 1) * _WORDS))


def _spoken(turn: int) -> bytes:
    pause = bytes(2 * int(_PAUSE_S * RATE_HZ))
    return pause.join(map(_word, words_of(turn))) + bytes(RATE_HZ)


def _understand(pcm: bytes, turn: int) -> list[int]:
    """Return the words in a sound, in order: of this turn and those beside it, or -1 for what is none."""
    found: list[tuple[int, int]] = []
    left = numpy.frombuffer(pcm, "<i2").copy()
    for number in range((turn - 1) * _WORDS, (turn + 2) * _WORDS):
        said = _word(number)
        while 2 * len(left) >= len(said):
            likeness, frame = best_match(said, left.tobytes())
            if likeness < 0.9:
                break
            found.append((frame, number))
            left[max(0, frame - _CLEAR) : frame + len(said) // 2 + _CLEAR] = 0
    loud = numpy.flatnonzero(numpy.abs(left) > _LOUD)
    found += [(int(loud[0]), -1)] if len(loud) else []
    return [number for _, number in sorted(found)]


@frozen
class Answer:
    """
    An answer, as it was heard.

    Attributes:
        began_s: When, on the recording.
        gap_ms: How much longer it took than it is: what was between its samples, or is missing.
        is_given: Whether the device was given all of its samples, and nothing between them.
        samples: From its first one on, as many as it has.
    """

    began_s: float
    gap_ms: float
    is_given: bool
    samples: Any


@frozen
class Talk:
    """
    What became of a conversation.

    Attributes:
        said: The words of each turn.
        understood: The words of each turn that the last session has.
        answers: In their order.
        swaps: What listeners were told, and when on the recording.
        click: The largest sample on the loudspeaker outside of all answers.
        errors: What listeners were told, what the service sent, and what ``reconnect()`` raised.
        recording: What was on the loudspeaker: PCM16.
        is_real_time: Otherwise sound stutters while the machine is busy.
    """

    said: list[list[int]]
    understood: list[list[int]]
    answers: list[Answer]
    swaps: list[tuple[float, Reconnected]]
    click: int
    errors: list[Any]
    recording: bytes
    is_real_time: bool

    @property
    def gap_ms(self) -> float:
        """The longest gap in an answer."""
        return max((abs(answer.gap_ms) for answer in self.answers), default=0.0)

    def steps(self, other: Talk) -> list[int]:
        """For each answer the largest difference between a sample and that of another conversation."""
        pairs = zip(self.answers, other.answers, strict=False)
        return [
            2**16 if one.gap_ms or two.gap_ms else int(numpy.abs(one.samples - two.samples).max())
            for one, two in pairs
        ]

    def __str__(self) -> str:
        lost = {word for turn in self.said for word in turn} - {w for turn in self.understood for w in turn}
        given = sum(answer.is_given for answer in self.answers)
        return (
            f"{len(self.said)} turns in {len(self.recording) / 2 / RATE_HZ:.0f} s, {len(self.swaps)} swaps; "
            f"{len(lost)} words lost, {'in order' if self.said == self.understood else 'NOT AS SAID'}; "
            f"{len(self.answers)} answers, {given} given to the device sample for sample; longest gap "
            f"{self.gap_ms:.2f} ms, largest sample between answers {self.click}; {len(self.errors)} errors"
        )


@contextlib.contextmanager
def _real_time() -> Iterator[bool]:
    """Give this thread, and those that it starts, real time; yields whether that is allowed."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """The emulator remembers dozens of sessions in this process; looking through them would take 100 ms."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def converse(room: Room, turns: int, *, swaps: bool, dialect: str = "ga", seed: int = 1) -> Talk:
    """
    Talk, while the client goes over to another connection as often as it can, or never.

    Args:
        seed: Of the moments.
    """
    chance = random.Random(seed)
    committed: list[bytes] = []
    given = bytearray()
    errors: list[Any] = []
    told: list[tuple[float, Reconnected]] = []
    pause = threading.Event()
    sounds = [noise(_ANSWER_S, seed=20_000 + number) for number in range(turns + 1)]
    turns_said = list(map(_spoken, range(turns)))

    def recognise(pcm: bytes, session: Any) -> str:
        committed.append(pcm)
        return str(len(committed))

    def on_played(pcm: bytes, when: float) -> None:
        given.extend(pcm)

    with (
        _without_collections(),
        room.hastened(),
        _real_time() as is_real_time,
        Emulator(
            recogniser=recognise,
            responder=lambda conversation, session: conversation.last_user_text,
            synthesiser=lambda text, session: [sounds[int(text) % len(sounds)]],
            pace=_PACE,
            keep_audio=True,
        ) as service,
        room.listen() as heard,
        AzureRealTimeAudio(service.options(dialect, session_config=SESSION)) as client,
    ):
        began = time.monotonic() - len(heard.pcm) / 2 / RATE_HZ
        client.on("error", errors.append)
        client.on("reconnected", lambda event: told.append((time.monotonic() - began, event)))
        client.wait_until_ready(HANG)
        speaker = Speaker("spk", on_played=on_played)
        with client.talk(echo="headphones", speaker=speaker), _swapping(client, swaps, chance, errors):
            for sound in turns_said:
                with client.events("response.done", timeout=HANG) as done:
                    room.say(sound).wait(HANG)
                    next(done)
                speaker.wait_until_quiet(HANG)
                pause.wait(chance.uniform(0.0, 0.5))
        heard.wait_for_silence()
        session_id = client.session.id
        errors += service.sent("error")
        last = next(link for link in service.connections if link._engine.session.id == session_id)
        kept = [item.text for item in last._engine.conversation if item.role == "user"]
        sent = _sent(service)
    answers, click = _find(heard.pcm, bytes(given), sent)
    understood = [_understand(committed[int(number) - 1], turn) for turn, number in enumerate(kept)]
    said = list(map(words_of, range(turns)))
    return Talk(said, understood, answers, told, click, errors, heard.pcm, is_real_time)


@contextlib.contextmanager
def _swapping(
    client: AzureRealTimeAudio, is_wanted: bool, chance: random.Random, errors: list[Any]
) -> Iterator[None]:
    is_over = threading.Event()

    def run() -> None:
        try:
            while not is_over.wait(chance.uniform(0.2, 2.0)):
                client.reconnect().result(HANG)
        except Exception as exc:  # noqa: BLE001 - an outcome
            errors.append(exc)

    thread = threading.Thread(target=run, name="swaps", daemon=True)
    if is_wanted:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        if is_wanted:
            thread.join(HANG)


def _sent(service: Emulator) -> list[bytes]:
    """Return the sound of each answer that the service sent."""
    items: dict[str, bytearray] = {}
    for event in service.sent("response.audio.delta"):
        items.setdefault(event["item_id"], bytearray()).extend(b64decode(event["delta"]))
    return list(map(bytes, items.values()))


def _find(recording: bytes, given: bytes, sent: list[bytes]) -> tuple[list[Answer], int]:
    """Return each answer as it is on a recording, and the largest sample beside them."""
    whole = numpy.frombuffer(recording, "<i2").astype("i4")
    is_beside = numpy.ones(len(whole), bool)
    answers, end = [], 0
    for said in sent:
        frames = len(said) // 2
        place = recording[2 * end : 2 * (end + _APART)]
        first = end + best_match(said[:_ANCHOR], place)[1]
        end += best_match(said[-_ANCHOR:], place)[1] + _ANCHOR // 2
        is_beside[max(0, first - _CLEAR) : end + _CLEAR] = False
        gap_ms = (end - first - frames) * 1000 / RATE_HZ
        answers.append(Answer(first / RATE_HZ, gap_ms, said in given, whole[first : first + frames]))
    return answers, int(numpy.abs(whole[is_beside]).max())


# ------------------------------------------------------------ figures


def _draw(picture: Path, talk: Talk, other: Talk) -> None:
    """Draw what was heard, with the swaps, and the differences to the other conversation."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, figsize=(16, 8), sharex=True)
    samples = numpy.frombuffer(talk.recording, "<i2")
    above.plot(numpy.arange(len(samples)) / RATE_HZ, samples, linewidth=0.2)
    for when, _ in talk.swaps:
        above.axvline(when, color="red", linewidth=0.5)
    above.set_ylabel("on the loudspeaker; red: swaps")
    for one, two in zip(talk.answers, other.answers, strict=False):
        seconds = one.began_s + numpy.arange(len(one.samples)) / RATE_HZ
        below.plot(seconds, one.samples - two.samples, linewidth=0.4, color="black")
    below.set_ylabel("difference to one connection")
    below.set_xlabel("s")
    figure.savefig(picture, dpi=100)


def main() -> None:
    """Talk without and with swaps, and print the figures of both."""
    parser = argparse.ArgumentParser(description="Print how a conversation is heard, without and with swaps.")
    parser.add_argument("--turns", type=int, default=30, help="some four seconds each")
    parser.add_argument("--dialect", default="ga")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--picture", type=Path, help="a PNG of what was on the loudspeaker")
    chosen = parser.parse_args()
    say: Callable[[str], object] = lambda text: (sys.stdout.write(f"{text}\n"), sys.stdout.flush())  # noqa: E731
    with Room() as room:
        os.environ.update({k: v for k, v in room.environment.items() if k != "HOME"})
        room.furnish()
        one, many = (
            converse(room, chosen.turns, swaps=swaps, dialect=chosen.dialect, seed=chosen.seed)
            for swaps in (False, True)
        )
        say(f"{chosen.dialect}, {'' if many.is_real_time else 'NOT '}in real time")
        say(f"one connection: {one}\nwith swaps: {many}")
        say(f"largest difference of a sample: {max(many.steps(one))}")
        for error in (*one.errors, *many.errors):
            say(f"  {error!r}")
        if chosen.picture is not None:
            _draw(chosen.picture, many, one)


if __name__ == "__main__":
    main()
