"""
Conversations in a room with sound, in figures: how exactly interruptions are told, and who hears the echo.

The tests measure with these functions; by itself it prints the tables of docs/how-to/echo.md::

    python tests/system/sound/figures.py
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import sys
import threading
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import numpy
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from sound.room import RATE_HZ, Room
from sound.signals import Events, best_match, noise

from azure_rt_audio import AzureRealTimeAudio
from azure_rt_audio.audio import read_wav
from azure_rt_audio.emulator import Emulator
from azure_rt_audio.voice import EchoPolicy, Interrupted, VoiceSession

HANG = 20.0

_WINDOWS_PER_S = 5
_LAST_MS = 100
"""So much of what was heard is looked for in what was said."""

LISTENS: dict[str, Any] = {
    "turn_detection": {
        "type": "server_vad",
        "threshold": 0.5,
        "silence_duration_ms": 300,
        "create_response": False,
    }
}
"""The service hears the user, and answers when it is asked to."""

POLICIES: tuple[EchoPolicy, ...] = get_args(EchoPolicy)


def user() -> bytes:
    """What the user says to interrupt: "Stop. Thank you, that is enough." """
    with (files("azure_rt_audio") / "data" / "interruption.wav").open("rb") as file:
        return read_wav(file)


def stop() -> bytes:
    """Only the first word of it, and what silence ends the turn."""
    return user()[: 48 * 900] + bytes(48 * 500)


class Call:
    """A client and its voice session, and all that went wrong."""

    def __init__(self, service: Emulator, **options: Any) -> None:
        self.events = Events()
        self.errors: list[Any] = []
        self.starts = 0  # how often the service heard somebody speak
        self.client = AzureRealTimeAudio(service.options())
        self.client.on("error", self.errors.append)
        self.client.on("input_audio_buffer.speech_started", self._count)
        self.client.wait_until_ready(HANG)
        self.client.update_session(LISTENS).result(HANG)
        self.voice: VoiceSession = self.client.talk(on_event=self.events, **options)

    def _count(self, event: Any) -> None:
        self.starts += 1

    def ask(self) -> None:
        """Have the service say what it says."""
        text = [{"type": "input_text", "text": "Say it."}]
        self.client.create_conversation_item({"type": "message", "role": "user", "content": text})
        self.client.create_response()


@contextmanager
def call(service: Emulator, **options: Any) -> Iterator[Call]:
    """A call, from beginning to end."""
    made = Call(service, **options)
    try:
        with made.voice:
            yield made
    finally:
        made.client.close()


def noises(seconds: float) -> Any:
    """A voice that is never silent, and never the same."""
    numbers = iter(range(1, 10_000))
    return lambda text, session: [noise(seconds, seed=next(numbers))]


# ------------------------------------------------------------ interruptions


@frozen
class Turn:
    """
    One answer that was spoken over.

    Attributes:
        heard_ms: Which moment of the answer was the last on the loudspeaker; a busy machine may have
            paused in between.
        truncated_ms: What the service was told.
    """

    heard_ms: float
    truncated_ms: int

    @property
    def difference_ms(self) -> float:
        """How much more the service believes to have been heard."""
        return self.truncated_ms - self.heard_ms


def interruptions(room: Room, turns: int = 20) -> tuple[list[Turn], list[Any], list[Any], int]:
    """
    Interrupt so many answers by speaking into the microphone, each at another moment.

    A turn at whose end the device of a busy machine stutters cannot be measured: another takes its place, up
    to as many again.

    Returns:
        The turns; the errors that listeners were told; those that the service sent; and the
        milliseconds that the speaker's device takes in advance.
    """
    moments = random.Random(1876)
    found: list[Turn] = []
    told: list[int] = []
    with (
        Emulator(synthesiser=noises(6.0), keep_audio=True) as service,
        call(service, echo="headphones") as talk,
    ):
        for _ in range(2 * turns):
            with room.listen() as heard:
                talk.ask()
                heard.wait_for_sound()
                threading.Event().wait(moments.uniform(0.0, 1.5))
                said = room.say(stop())
                cut = talk.events.wait_for(Interrupted, HANG).cuts[0]
                heard.wait_for_silence(ms=300)
                said.wait(HANG)
            told.append(cut.heard_ms)
            said_ms = _last_moment_ms(heard.sound, _spoken(service, cut.item_id))
            if said_ms is not None:
                found.append(Turn(said_ms, cut.heard_ms))
            if len(found) == turns:
                break
        assert len(found) == turns, f"the device stuttered in {len(told) - len(found)} of {len(told)} turns"
        speaker: Any = talk.voice.speaker
        latency_ms = speaker.latency_ms
        truncated = [command["audio_end_ms"] for command in service.received("conversation.item.truncate")]
        assert truncated == told
        return found, talk.errors, service.sent("error"), latency_ms


def _spoken(service: Emulator, item_id: str) -> bytes:
    """All sound of an item that the service sent."""
    deltas = [event for event in service.sent("response.audio.delta") if event["item_id"] == item_id]
    return b"".join(b64decode(delta["delta"]) for delta in deltas)


def _last_moment_ms(heard: bytes, spoken: bytes) -> float | None:
    """Where in *spoken* it was when *heard* ended; ``None`` if the device stuttered just then."""
    last = heard[-48 * _LAST_MS :]
    likeness, frame = best_match(last, spoken)
    return (frame + len(last) // 2) / 24 if likeness > 0.9 else None


# ------------------------------------------------------------ echo


@frozen
class Echo:
    """
    One policy in a room where the microphone hears the loudspeaker.

    Attributes:
        policy: Its name.
        self_interruptions: How often the assistant's own voice was taken for the user's.
        is_user_heard: Whether the user can interrupt.
        erle_db: How much weaker the echo is in what is sent than in the microphone, in half of the loud
            windows of 200 ms after the first second; ``inf`` if nothing is left of it. A busy machine makes
            the device stutter, and then the canceller has to find the delay anew: a mean would tell that.
    """

    policy: EchoPolicy
    self_interruptions: int
    is_user_heard: bool
    erle_db: float


class _Watched:
    """A policy, and what goes in and comes out of it."""

    def __init__(self, policy: Any) -> None:
        self._policy = policy
        self.before = bytearray()
        self.after = bytearray()

    def process(self, microphone: bytes, reference: bytes, is_playing: bool) -> bytes:
        sent: bytes = self._policy.process(microphone, reference, is_playing)
        if is_playing:
            self.before += microphone
            self.after += sent
        return sent

    def erle_db(self) -> float:
        before, after = (_powers(bytes(pcm)) for pcm in (self.before, self.after))
        first = _WINDOWS_PER_S if len(after) > 2 * _WINDOWS_PER_S else 0
        loud = [
            math.inf if not left else 10 * math.log10(power / left)
            for power, left in zip(before[first:], after[first:], strict=True)
            if power > before.mean() / 10
        ]
        return statistics.median_low(loud)


def _powers(pcm: bytes) -> Any:
    """Mean power of each whole window."""
    samples = numpy.frombuffer(pcm, "<i2").astype("f8")
    size = RATE_HZ // _WINDOWS_PER_S
    return (samples[: len(samples) // size * size].reshape(-1, size) ** 2).mean(axis=1)


def echo(room: Room, policy: EchoPolicy, *, delay_ms: int = 40, loss_db: float = 12.0) -> Echo:
    """
    Let the assistant speak alone, for some seconds, and then let the user interrupt it.

    The microphone hears the loudspeaker, later and weaker.
    """
    answer = "The tallest tree in the world is a redwood in California, and nobody is told where it stands."
    with Emulator(responder=lambda *_: answer) as service, room.echo(delay_ms=delay_ms, loss_db=loss_db):
        with call(service, echo=policy) as talk:
            watched = _Watched(talk.voice._echo)
            talk.voice._echo = watched
            talk.ask()
            speaker: Any = talk.voice.speaker
            with room.listen() as heard:
                heard.wait_for_sound()
                speaker.wait_until_quiet(HANG)
            threading.Event().wait(0.5)
            by_itself = talk.starts
            erle_db = watched.erle_db()
            talk.ask()
            with room.listen() as heard:
                heard.wait_for_sound()
                threading.Event().wait(1.0)
                before = talk.starts
                talk.events.all.clear()
                room.say(user()).wait(HANG)
            is_user_heard = talk.starts > before and any(isinstance(e, Interrupted) for e in talk.events.all)
        return Echo(policy, by_itself, is_user_heard, erle_db)


# ------------------------------------------------------------ tables


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [list(map(str, row)) for row in (head, ["---"] * len(list(head)), *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Print both tables."""
    argparse.ArgumentParser(description="Print the tables of interruptions and of echo.").parse_args()
    with Room() as room:
        os.environ.update({k: v for k, v in room.environment.items() if k != "HOME"})
        room.furnish()
        turns, errors, refusals, latency_ms = interruptions(room)
        rows = [
            [number, f"{turn.heard_ms:.1f}", turn.truncated_ms, f"{turn.difference_ms:+.1f}"]
            for number, turn in enumerate(turns, 1)
        ]
        _say(_table(["turn", "ms heard", "ms truncated", "difference"], rows))
        _say(f"errors: {errors} {json.dumps(refusals)}; the device takes {latency_ms} ms in advance\n")
        found = [echo(room, policy) for policy in POLICIES]
        _say(
            _table(
                ["policy", "interrupts itself", "the user can interrupt", "ERLE, dB"],
                [[e.policy, e.self_interruptions, e.is_user_heard, f"{e.erle_db:.1f}"] for e in found],
            )
        )


if __name__ == "__main__":
    main()
