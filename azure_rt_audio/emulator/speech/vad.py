"""
Detection of speech: the input buffer and its detector.

A detector gives every frame of audio a score from 0 to 1, which is compared with the session's
``threshold``. 60 ms of frames that reach it are speech; ``silence_duration_ms`` of others end it. The
detector here is energy: -60 to -10 dB of full scale are the scores 0 to 1, so the default threshold
of 0.5 is -35 dB. :mod:`.silero` has one that knows speech from noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ...audio.level import level_db

__all__ = ["Detector", "EnergyDetector", "InputBuffer", "SpeechStarted", "SpeechStopped"]

_ONSET_MS: Final = 60
# How long a semantic detector waits here: by time alone, since it does not understand.
_EAGERNESS_MS: Final = {"low": 1000, "medium": 600, "auto": 600, "high": 300}


class Detector(Protocol):
    """
    Scores audio, frame by frame.

    **Threads**: each belongs to one connection, and is called on its thread.
    """

    @property
    def frame_ms(self) -> int:
        """How long a frame is."""

    @property
    def slack(self) -> float:
        """How far below the threshold a frame still counts as speech during speech."""

    def scores(self, pcm: bytes) -> list[float]:
        """
        Take the next audio, and score the frames it completes: 0 to 1, in order.

        Args:
            pcm: PCM16, 24 000 Hz, any even number of bytes.
        """

    def reset(self) -> None:
        """Reset; the next audio begins with a new frame."""


class EnergyDetector:
    """Takes all loud audio for speech."""

    frame_ms: Final = 20
    slack: Final = 0.0

    def __init__(self) -> None:
        self._rest = bytearray()

    def scores(self, pcm: bytes) -> list[float]:
        """Score frames by their level; see the module docstring."""
        self._rest += pcm
        frame_bytes = self.frame_ms * 48
        whole = len(self._rest) - len(self._rest) % frame_bytes
        taken = bytes(self._rest[:whole])
        del self._rest[:whole]
        return [
            (level_db(taken[start : start + frame_bytes]) + 60) / 50 for start in range(0, whole, frame_bytes)
        ]

    def reset(self) -> None:
        """Forget the frame that has begun."""
        self._rest.clear()


@dataclass(frozen=True)
class SpeechStarted:
    """Speech began. *audio_start_ms* counts from the session's first audio, padding included."""

    audio_start_ms: int


@dataclass(frozen=True)
class SpeechStopped:
    """Speech ended. *audio_end_ms* includes the silence waited for; *pcm* is the turn."""

    audio_end_ms: int
    pcm: bytes


class InputBuffer:
    """
    User audio that is not committed yet: PCM16, 24 000 Hz.

    With a detector on, silence is kept only as long as a turn may need it for its padding; with the
    detector off everything waits for a commit.
    """

    def __init__(self, detector: Detector | None = None) -> None:
        self._detector: Detector = detector if detector is not None else EnergyDetector()
        self._frame_bytes = self._detector.frame_ms * 48
        self._onset_frames = math.ceil(_ONSET_MS / self._detector.frame_ms)
        self._kept = bytearray()
        self._kept_from = 0  # bytes of the session's sound in front of _kept
        self._judged = 0  # bytes of the session's sound the detector has given scores to
        self._loud_frames = 0
        self._speech_from: int | None = None
        self._quiet_ms = 0

    @property
    def total_ms(self) -> int:
        """Milliseconds of audio ever appended."""
        return (self._kept_from + len(self._kept)) // 48

    @property
    def duration_ms(self) -> float:
        """Milliseconds of audio in the buffer."""
        return len(self._kept) / 48

    @property
    def is_in_speech(self) -> bool:
        """Whether a turn is in progress."""
        return self._speech_from is not None

    def take(self) -> bytes:
        """Empty the buffer and return its audio; a turn in progress ends."""
        pcm = bytes(self._kept)
        self.clear()
        return pcm

    def clear(self) -> None:
        """Empty the buffer."""
        self._kept_from += len(self._kept)
        self._kept.clear()
        self.reset_detector()

    def reset_detector(self) -> None:
        """Forget a turn in progress, keep the audio."""
        self._detector.reset()
        self._judged = self._kept_from + len(self._kept)
        self._forget_turn()

    def _forget_turn(self) -> None:
        self._loud_frames = 0
        self._speech_from = None
        self._quiet_ms = 0

    def append(
        self, pcm: bytes, detection: Mapping[str, Any] | None, *, keep_from_ms: int | None = None
    ) -> list[SpeechStarted | SpeechStopped]:
        """
        Append audio and return the starts and ends of speech in it.

        Args:
            pcm: PCM16, 24 000 Hz, any even number of bytes.
            detection: The session's turn detection; ``None`` only collects.
            keep_from_ms: Silence from there on is kept too, in milliseconds of audio ever appended.
        """
        self._kept += pcm
        if detection is None:
            self._judged = self._kept_from + len(self._kept)
            return []
        found: list[SpeechStarted | SpeechStopped] = []
        for score in self._detector.scores(pcm):
            self._judged += self._frame_bytes
            self._judge(score, detection, found)
        if not self.is_in_speech:
            needed_ms = _padding_ms(detection) + (self._onset_frames + 1) * self._detector.frame_ms
            needed_from = self._judged - needed_ms * 48
            self._forget_before(needed_from if keep_from_ms is None else min(needed_from, keep_from_ms * 48))
        return found

    def _judge(
        self, score: float, detection: Mapping[str, Any], found: list[SpeechStarted | SpeechStopped]
    ) -> None:
        threshold = float(detection.get("threshold", 0.5))
        if self._speech_from is None:
            self._loud_frames = self._loud_frames + 1 if score >= threshold else 0
            if self._loud_frames < self._onset_frames:
                return
            onset = self._judged - self._onset_frames * self._frame_bytes
            self._speech_from = max(self._kept_from, onset - _padding_ms(detection) * 48)
            self._quiet_ms = 0
            found.append(SpeechStarted(self._speech_from // 48))
            return
        is_speech = score >= threshold - self._detector.slack
        self._quiet_ms = 0 if is_speech else self._quiet_ms + self._detector.frame_ms
        if self._quiet_ms >= _silence_ms(detection):
            start = self._speech_from - self._kept_from
            end = self._judged - self._kept_from
            turn = bytes(self._kept[start:end])
            del self._kept[:end]
            self._kept_from = self._judged
            self._forget_turn()
            found.append(SpeechStopped(self._judged // 48, turn))

    def _forget_before(self, position: int) -> None:
        surplus = position - self._kept_from
        if surplus > 0:
            del self._kept[:surplus]
            self._kept_from += surplus


def _padding_ms(detection: Mapping[str, Any]) -> int:
    return int(detection.get("prefix_padding_ms", 300))


def _silence_ms(detection: Mapping[str, Any]) -> int:
    if detection.get("type") == "semantic_vad":
        return _EAGERNESS_MS[detection.get("eagerness", "auto")]
    return int(detection.get("silence_duration_ms", 200))
