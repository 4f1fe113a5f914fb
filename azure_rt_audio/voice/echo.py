"""
Echo control: what part of the microphone's input is sent.

Each policy takes a block of the microphone and the speaker's output of the same time, and returns the
audio to send. All audio is PCM16: int16, little-endian, mono, 24 000 Hz. Pure, except for the canceller,
which is a native library.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

from ..audio.level import SILENCE_DB, level_db

__all__ = ["POLICIES", "EchoControl", "EchoPolicy", "Gate", "HalfDuplex", "Headphones", "echo_control"]

EchoPolicy: TypeAlias = Literal["headphones", "half_duplex", "gate", "cancel"]
"""What is done about the loudspeaker in the microphone; see :class:`VoiceSession`."""

POLICIES: Final[tuple[EchoPolicy, ...]] = ("headphones", "half_duplex", "gate", "cancel")

_BYTES_PER_MS: Final = 48


class EchoControl(Protocol):
    """An echo policy. **Threads.** Not shared; one thread at a time."""

    def process(self, microphone: bytes, reference: bytes, is_playing: bool) -> bytes:
        """
        Return the audio to send for a block of the microphone.

        Args:
            reference: The speaker's output of the same time; as long as *microphone*.
            is_playing: Whether an answer is being played, its pauses included.
        """


class Headphones:
    """No echo control: the microphone cannot pick up the speaker."""

    def process(self, microphone: bytes, reference: bytes, is_playing: bool) -> bytes:
        """Return *microphone* unchanged."""
        return microphone


class HalfDuplex:
    """
    Silence while the speaker plays and for a tail after it: no barge-in.

    Args:
        tail_ms: Reverberation time of the room, plus the devices' latencies.
    """

    def __init__(self, tail_ms: float = 400.0) -> None:
        self._tail_ms = tail_ms
        self._left_ms = 0.0

    def process(self, microphone: bytes, reference: bytes, is_playing: bool) -> bytes:
        """Return *microphone*, or silence of the same length."""
        duration_ms = len(microphone) / _BYTES_PER_MS
        if is_playing:
            self._left_ms = self._tail_ms
            return bytes(len(microphone))
        is_silenced = self._left_ms > 0
        self._left_ms = max(0.0, self._left_ms - duration_ms)
        return bytes(len(microphone)) if is_silenced else microphone


class Gate:
    """
    A noise gate: while the speaker plays, only input clearly louder than the echo passes.

    The level of the echo relative to the speaker's output is estimated during playback; for the first half
    second it is taken to be as loud as the output. When the gate opens, the 100 ms before are sent as well,
    so that the onset of a word is not clipped.

    Args:
        margin_db: How much louder than the echo speech must be.
        hold_ms: How long the gate stays open after the last loud block.
        tail_ms: The longest delay of the echo.
    """

    def __init__(self, margin_db: float = 8.0, hold_ms: float = 400.0, tail_ms: float = 500.0) -> None:
        self._margin_db = margin_db
        self._hold_ms = hold_ms
        self._tail_ms = tail_ms
        self._recent: collections.deque[tuple[float, float]] = collections.deque()  # level of the speaker, ms
        self._recent_ms = 0.0
        self._loss_db: collections.deque[float] = collections.deque(maxlen=100)
        self._held: collections.deque[bytes] = collections.deque()
        self._held_ms = 0.0
        self._loud_ms = 0.0
        self._open_ms = 0.0

    @property
    def echo_db(self) -> float:
        """Level of the echo relative to the speaker's output, as estimated so far; usually negative."""
        if len(self._loss_db) < 25:
            return 0.0
        return sorted(self._loss_db)[len(self._loss_db) * 9 // 10]

    def process(self, microphone: bytes, reference: bytes, is_playing: bool) -> bytes:
        """Return *microphone*, silence, or *microphone* with the blocks held back before it."""
        duration_ms = len(microphone) / _BYTES_PER_MS
        speaker_db = self._loudest(level_db(reference), duration_ms)
        if speaker_db <= SILENCE_DB and not is_playing:
            self._close()
            return microphone
        heard_db = level_db(microphone)
        is_loud = heard_db > max(speaker_db + self.echo_db + self._margin_db, -60.0)
        if not is_loud and speaker_db > -50.0 and self._open_ms <= 0:
            self._loss_db.append(max(heard_db - speaker_db, -60.0))
        self._loud_ms = self._loud_ms + duration_ms if is_loud else 0.0
        if self._loud_ms >= 40.0:
            self._open_ms = self._hold_ms
        if self._open_ms > 0:
            self._open_ms -= duration_ms
            sent = b"".join((*self._held, microphone))
            self._drop_held()
            return sent
        self._hold_back(microphone, duration_ms)
        return bytes(len(microphone))

    def _loudest(self, level: float, duration_ms: float) -> float:
        """Return the level of the loudest block of the last *tail_ms*."""
        self._recent.append((level, duration_ms))
        self._recent_ms += duration_ms
        while len(self._recent) > 1 and self._recent_ms - self._recent[0][1] >= self._tail_ms:
            self._recent_ms -= self._recent.popleft()[1]
        return max(level for level, _ in self._recent)

    def _hold_back(self, block: bytes, duration_ms: float) -> None:
        self._held.append(block)
        self._held_ms += duration_ms
        while self._held_ms > 100.0:
            self._held_ms -= len(self._held.popleft()) / _BYTES_PER_MS

    def _drop_held(self) -> None:
        self._held.clear()
        self._held_ms = 0.0

    def _close(self) -> None:
        self._drop_held()
        self._loud_ms = self._open_ms = 0.0


def echo_control(policy: EchoPolicy) -> EchoControl:
    """
    Create the echo control of a policy.

    Raises:
        ValueError: Unknown policy.
        MissingExtraError: The ``echo`` extra, which ``"cancel"`` needs, is not installed.
    """
    make: dict[str, Callable[[], EchoControl]] = {
        "headphones": Headphones,
        "half_duplex": HalfDuplex,
        "gate": Gate,
        "cancel": _canceller,
    }
    if policy not in make:
        raise ValueError(f"echo is {policy!r}; it must be one of {', '.join(map(repr, POLICIES))}")
    return make[policy]()


def _canceller() -> EchoControl:
    from .canceller import Canceller

    return Canceller()
