"""
Hearing when somebody speaks: the input buffer and the detector that watches its level.

The detector is energy over frames of 20 ms. ``threshold`` 0 to 1 is taken as a level from -60 to
-10 dB of full scale, so the default of 0.5 is -35 dB. Three loud frames in a row are speech;
``silence_duration_ms`` of quiet ones end it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import mul
from typing import Any, Final

from .sound import samples

__all__ = ["InputBuffer", "SpeechStarted", "SpeechStopped"]

_FRAME_MS: Final = 20
_FRAME_BYTES: Final = _FRAME_MS * 48
_ONSET_FRAMES: Final = 3
# How long a semantic detector waits here: it cannot understand, so it is patient or hasty.
_EAGERNESS_MS: Final = {"low": 1000, "medium": 600, "auto": 600, "high": 300}


@dataclass(frozen=True)
class SpeechStarted:
    """Somebody speaks. *audio_start_ms* counts from the session's first sound, padding included."""

    audio_start_ms: int


@dataclass(frozen=True)
class SpeechStopped:
    """They stopped. *audio_end_ms* includes the silence that was waited for; *pcm* is the turn."""

    audio_end_ms: int
    pcm: bytes


class InputBuffer:
    """
    User audio that is not committed yet: PCM16, 24 000 Hz.

    While a detector is on and nobody speaks, only as much is kept as a turn may need for its
    padding; with the detector off everything waits for a commit.
    """

    def __init__(self) -> None:
        self._kept = bytearray()
        self._kept_from = 0  # bytes of the session's sound in front of _kept
        self._judged = 0  # bytes of the session's sound the detector has seen
        self._loud_frames = 0
        self._speech_from: int | None = None
        self._quiet_ms = 0

    @property
    def total_ms(self) -> int:
        """All sound ever appended."""
        return (self._kept_from + len(self._kept)) // 48

    @property
    def duration_ms(self) -> float:
        """Sound waiting in the buffer."""
        return len(self._kept) / 48

    @property
    def hears_speech(self) -> bool:
        """Whether somebody is speaking."""
        return self._speech_from is not None

    def take(self) -> bytes:
        """Hand out what waits and start afresh; a turn in progress is over."""
        pcm = bytes(self._kept)
        self.clear()
        return pcm

    def clear(self) -> None:
        """Forget what waits."""
        self._kept_from += len(self._kept)
        self._kept.clear()
        self._judged = self._kept_from
        self.reset_detector()

    def reset_detector(self) -> None:
        """Forget any turn in progress, keep the sound."""
        self._loud_frames = 0
        self._speech_from = None
        self._quiet_ms = 0
        self._judged = max(self._judged, self._kept_from)

    def append(self, pcm: bytes, detection: Mapping[str, Any] | None) -> list[SpeechStarted | SpeechStopped]:
        """
        Add sound and report what the detector made of it.

        Args:
            pcm: PCM16, 24 000 Hz, any even number of bytes.
            detection: The session's turn detection; ``None`` only collects.
        """
        self._kept += pcm
        if detection is None:
            self._judged = self._kept_from + len(self._kept)
            return []
        found: list[SpeechStarted | SpeechStopped] = []
        while self._kept_from + len(self._kept) - self._judged >= _FRAME_BYTES:
            start = self._judged - self._kept_from
            frame = bytes(self._kept[start : start + _FRAME_BYTES])
            self._judged += _FRAME_BYTES
            self._judge(frame, detection, found)
        if not self.hears_speech:
            self._forget_all_but(_padding_ms(detection) + (_ONSET_FRAMES + 1) * _FRAME_MS)
        return found

    def _judge(
        self, frame: bytes, detection: Mapping[str, Any], found: list[SpeechStarted | SpeechStopped]
    ) -> None:
        is_loud = _level_db(frame) >= -60 + 50 * float(detection.get("threshold", 0.5))
        if self._speech_from is None:
            self._loud_frames = self._loud_frames + 1 if is_loud else 0
            if self._loud_frames < _ONSET_FRAMES:
                return
            onset = self._judged - _ONSET_FRAMES * _FRAME_BYTES
            self._speech_from = max(self._kept_from, onset - _padding_ms(detection) * 48)
            self._quiet_ms = 0
            found.append(SpeechStarted(self._speech_from // 48))
            return
        self._quiet_ms = 0 if is_loud else self._quiet_ms + _FRAME_MS
        if self._quiet_ms >= _silence_ms(detection):
            start = self._speech_from - self._kept_from
            end = self._judged - self._kept_from
            turn = bytes(self._kept[start:end])
            del self._kept[:end]
            self._kept_from = self._judged
            self.reset_detector()
            found.append(SpeechStopped(self._judged // 48, turn))

    def _forget_all_but(self, ms: int) -> None:
        surplus = len(self._kept) - ms * 48
        if surplus > 0:
            del self._kept[:surplus]
            self._kept_from += surplus


def _padding_ms(detection: Mapping[str, Any]) -> int:
    return int(detection.get("prefix_padding_ms", 300))


def _silence_ms(detection: Mapping[str, Any]) -> int:
    if detection.get("type") == "semantic_vad":
        return _EAGERNESS_MS[detection.get("eagerness", "auto")]
    return int(detection.get("silence_duration_ms", 200))


def _level_db(frame: bytes) -> float:
    """Root mean square of PCM16 in dB of full scale; -100 for silence."""
    frames = samples(frame)
    mean_square = sum(map(mul, frames, frames)) / len(frames)
    return 10 * math.log10(mean_square / 32768**2) if mean_square else -100.0
