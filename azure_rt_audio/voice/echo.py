"""
Keeping the assistant from hearing itself: what of the microphone's sound goes to the service.

Each policy takes a block of the microphone and what left the speaker in the same time, and returns
what to send. All sound is PCM16: int16, little-endian, mono, 24 000 Hz. Pure, but for the canceller,
which is a library of its own.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

from ..audio.level import SILENCE_DB, level_db

__all__ = ["POLICIES", "EchoControl", "EchoPolicy", "Gate", "HalfDuplex", "Headphones", "echo_control"]

EchoPolicy: TypeAlias = Literal["headphones", "half_duplex", "gate", "cancel"]

POLICIES: Final[tuple[EchoPolicy, ...]] = ("headphones", "half_duplex", "gate", "cancel")

_BYTES_PER_MS: Final = 48


class EchoControl(Protocol):
    """A policy at work. **Threads.** One thread at a time."""

    def process(self, microphone: bytes, reference: bytes, is_playing: bool) -> bytes:
        """
        Return what of a block of the microphone may be sent.

        Args:
            reference: What left the speaker in the same time; as long as *microphone*.
            is_playing: Whether an answer is being played; true in its pauses, too.
        """
        ...


class Headphones:
    """Everything goes through: the microphone cannot hear the speaker."""

    def process(self, microphone: bytes, reference: bytes, is_playing: bool) -> bytes:
        """Return it as it is."""
        return microphone


class HalfDuplex:
    """
    Silence while the speaker plays and a little longer: the user cannot interrupt.

    Args:
        tail_ms: How long the room goes on sounding, the devices' latencies included.
    """

    def __init__(self, tail_ms: float = 400.0) -> None:
        self._tail_ms = tail_ms
        self._left_ms = 0.0

    def process(self, microphone: bytes, reference: bytes, is_playing: bool) -> bytes:
        """Return it as it is, or as much silence."""
        duration_ms = len(microphone) / _BYTES_PER_MS
        if is_playing:
            self._left_ms = self._tail_ms
            return bytes(len(microphone))
        is_silenced = self._left_ms > 0
        self._left_ms = max(0.0, self._left_ms - duration_ms)
        return bytes(len(microphone)) if is_silenced else microphone


class Gate:
    """
    While the speaker plays, only what is clearly louder than its echo.

    How loud the echo is, measured against what leaves the speaker, is learned while it plays; until half
    a second has been heard it is taken to be as loud as the speaker's own signal. What opens the gate is
    sent with the 100 ms before it, so that words keep their beginnings.

    Args:
        margin_db: How much louder than the echo speech must be.
        hold_ms: How long the gate stays open after the last loud block.
        tail_ms: How long an echo may come after its sound.
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
        """How much louder the echo is than the speaker's signal, as far as is known; usually negative."""
        if len(self._loss_db) < 25:
            return 0.0
        return sorted(self._loss_db)[len(self._loss_db) * 9 // 10]

    def process(self, microphone: bytes, reference: bytes, is_playing: bool) -> bytes:
        """Return it as it is, as silence, or with what came before it."""
        duration_ms = len(microphone) / _BYTES_PER_MS
        speaker_db = self._loudest(level_db(reference), duration_ms)
        if speaker_db <= SILENCE_DB and not is_playing:
            self._shut()
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
            self._forget_held()
            return sent
        self._hold_back(microphone, duration_ms)
        return bytes(len(microphone))

    def _loudest(self, level: float, duration_ms: float) -> float:
        """The speaker's loudest block of those whose echo may still be in the room."""
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

    def _forget_held(self) -> None:
        self._held.clear()
        self._held_ms = 0.0

    def _shut(self) -> None:
        self._forget_held()
        self._loud_ms = self._open_ms = 0.0


def echo_control(policy: EchoPolicy) -> EchoControl:
    """
    Return a policy at work.

    Raises:
        ValueError: There is no such policy.
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
