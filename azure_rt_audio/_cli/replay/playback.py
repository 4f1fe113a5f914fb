"""Replays a timeline on the terminal, in its own time or faster, with its sound."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, nullcontext
from time import monotonic
from typing import Final

from ...audio.pcm import SAMPLE_RATE_HZ
from ...devices import Speaker
from ...devices.interfaces import SpeakerLike
from ...errors import DeviceError, MissingExtraError
from ...recording.stereo import mixed_blocks
from ...recording.timeline import Timeline
from ..printer import Printer
from .script import Line, script

__all__ = ["open_speaker", "play"]

_BLOCK_SECONDS: Final = 0.2
_AHEAD_SECONDS: Final = 1.0
_MIN_SPEED, _MAX_SPEED = 0.25, 8.0


def open_speaker(
    timeline: Timeline, speed: float, device: str | int | None
) -> tuple[SpeakerLike | None, str | None]:
    """
    Start a speaker for the sound of a timeline.

    Returns:
        The speaker, or ``None`` and why there is no sound.
    """
    if not timeline.has_sound:
        return None, "the recording has no sound"
    if not _MIN_SPEED <= speed <= _MAX_SPEED:
        return None, f"without sound, which plays at speeds from {_MIN_SPEED:g} to {_MAX_SPEED:g}"
    # A higher rate is a higher speed, and a higher voice.
    speaker = Speaker(device, sample_rate_hz=round(SAMPLE_RATE_HZ * speed))
    try:
        speaker.start()
    except (DeviceError, MissingExtraError) as exc:
        return None, f"without sound: {exc}"
    return speaker, None


def play(timeline: Timeline, screen: Printer, speed: float, speaker: SpeakerLike | None) -> None:
    """
    Print a timeline, and play its sound. Blocks until its end; closes the speaker.

    Args:
        speed: Seconds of the recording per second; 0 does not wait.
    """
    with closing(speaker) if speaker is not None else nullcontext():
        sound = _Sound(timeline, speaker) if speaker is not None else None
        began, never = monotonic(), threading.Event()
        growing = ""
        for line in [*script(timeline), _end(timeline)]:
            while speed:
                now = (monotonic() - began) * speed
                if sound is not None:
                    sound.feed(now)
                if now >= line.at:
                    break
                never.wait(min((line.at - now) / speed, _AHEAD_SECONDS / 4 / speed))
            if not line.text:
                continue
            if line.is_first or growing != line.key:
                screen.end_line()
                screen.grow(line.label, f"{_clock(line.at)}  {'' if line.is_first else '… '}")
            screen.grow(line.label, line.text)
            growing = line.key
            if not line.key:
                screen.end_line()
        screen.end_line()


class _Sound:
    """Gives a speaker the sound of both sides, a second ahead. **Threads**: not shared."""

    def __init__(self, timeline: Timeline, speaker: SpeakerLike) -> None:
        self._speaker = speaker
        self._blocks: Iterator[bytes] = mixed_blocks(timeline, 0.0, _BLOCK_SECONDS)
        self._given = 0.0

    def feed(self, now: float) -> None:
        """Give what is heard until a second after *now*, in seconds of the recording."""
        while self._given < now + _AHEAD_SECONDS:
            block = next(self._blocks, None)
            if block is None:
                return
            self._speaker.play(block, item_id="recording")
            self._given += _BLOCK_SECONDS


def _end(timeline: Timeline) -> Line:
    return Line(timeline.seconds, "", "", "", True)


def _clock(seconds: float) -> str:
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"
